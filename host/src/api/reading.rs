//! What all reading of documents has in common: permission, cleaning, rendering.

use std::sync::Arc;

use bson::oid::ObjectId;
use bson::{Bson, RawDocument};

use super::confine::Confines;
use super::failure::{Failure, NO_ACCESS};
use super::inline::Inlined;
use super::pipeline::Call;
use super::render::{self, Content, Sink};
use crate::access::{Clearance, Learned, OfVisible};
use crate::dates::Zones;
use crate::plugins::TypeEntry;
use crate::plugins::analysis::tasks;
use crate::plugins::declaration::TypeDeclaration;
use crate::query::{Model, Projection, Strictness};
use crate::store::{
    FieldPath, Filter, ListQuery, Page, Place, Store, StoredDocument, Test, Visible,
};

/// A type as a caller may read it. Whoever has it can go on reading when the answer has begun.
pub(super) struct Reader {
    pub(super) store: Arc<dyn Store>,
    pub(super) of: Arc<TypeDeclaration>,
    pub(super) model: Arc<Model>,
    pub(super) visible: Visible,
    pub(super) strictness: Strictness,
    /// How dates are read and shown (rule D1).
    pub(super) zones: Zones,
    /// What the caller may see of a document.
    clearance: Arc<Clearance>,
    /// Of tasks: those that the caller may see (rule SVC-18). Of personal documents: the caller's.
    narrowed: Option<Filter>,
}

/// How often a condition on relationships is evaluated: partners that were met for the first time are looked up, and it
/// is evaluated again. Twice, unless relationships are made meanwhile.
const ROUNDS: usize = 5;

impl Reader {
    /// Rules S15, S21: who may not read the type gets 403, whatever is asked for.
    pub(super) async fn admit(call: &Call<'_>, entry: &TypeEntry) -> Result<Self, Failure> {
        let of = Arc::clone(&entry.declaration);
        if !of.tasks && !of.is_open() && !call.may(&of.name, &of.read_permission) {
            return Err(Failure::Forbidden(NO_ACCESS));
        }
        let types = call.state.models.of(&call.registry);
        let strictness = if call.settings.is_on("strict_queries") {
            Strictness::Strict
        } else {
            Strictness::Lenient
        };
        let access = &call.state.access;
        let clearance = access
            .clearance(&call.caller, &of.name, &types.collections)
            .await?;
        let clearance = Arc::new(clearance);
        let narrowed = match (of.tasks, of.personal) {
            (true, _) => Some(visible_tasks(call, entry, &clearance).await?),
            (false, Some(field)) => {
                let own = Test::Eq(call.caller.user.as_str().into());
                Some(Filter::Field(FieldPath::literal(field), own))
            }
            (false, None) => None,
        };
        Ok(Self {
            store: Arc::clone(&call.state.store),
            clearance,
            narrowed,
            model: types.model(&of),
            visible: access.visible(&call.caller, of.sources),
            of,
            strictness,
            zones: call.settings.zones().clone(),
        })
    }

    /// A client's condition on what the caller may see, and of what it may see.
    pub(super) fn filter(&self, filter: Filter) -> Filter {
        let filter = self.confines().filter(filter);
        match &self.narrowed {
            // A search that comes to a limit would tell of what is not visible.
            Some(narrowed) if filter.is_searched_stepwise() => {
                Filter::And(vec![narrowed.clone(), filter])
            }
            // Else whether an object is visible is asked last: it costs more.
            Some(narrowed) => Filter::And(vec![filter, narrowed.clone()]),
            None => filter,
        }
    }

    /// How conditions and orders are kept to what the caller may see (check AZ-8).
    pub(super) fn confines(&self) -> Confines {
        Confines::new(Arc::clone(&self.clearance), self.store.classes())
    }

    /// The page of a list.
    pub(super) async fn list(&self, query: &ListQuery) -> Result<Page, Failure> {
        for _ in 0..ROUNDS {
            let page = self.store.list(query).await?;
            if self.is_settled().await? {
                return Ok(page);
            }
        }
        Err(unsettled())
    }

    /// The next ids of documents that meet a condition, ascending. Which of them are visible is another question.
    pub(super) async fn select(
        &self,
        filter: &Filter,
        after: Option<ObjectId>,
        limit: u32,
    ) -> Result<Vec<ObjectId>, Failure> {
        for _ in 0..ROUNDS {
            let ids = self
                .store
                .select(&self.of.collection, filter, after, limit)
                .await?;
            if self.is_settled().await? {
                return Ok(ids);
            }
        }
        Err(unsettled())
    }

    /// The next ids of visible documents that meet a condition, ascending; it is evaluated on no others.
    pub(super) async fn select_visible(
        &self,
        filter: &Filter,
        after: Option<ObjectId>,
        limit: u32,
    ) -> Result<Vec<ObjectId>, Failure> {
        let query = ListQuery {
            collection: self.of.collection.clone(),
            visible: self.visible.clone(),
            filter: filter.clone(),
            sort: Vec::new(),
            offset: 0,
            limit,
        };
        let place = after.map(|id| Place::new(Vec::new(), id));
        let documents = self.uncounted(&query, place.as_ref()).await?;
        Ok(documents.iter().map(|document| document.id).collect())
    }

    /// The documents of a page without a count, after a place.
    pub(super) async fn uncounted(
        &self,
        query: &ListQuery,
        after: Option<&Place>,
    ) -> Result<Vec<StoredDocument>, Failure> {
        for _ in 0..ROUNDS {
            let documents = self.store.uncounted(query, after).await?;
            if self.is_settled().await? {
                return Ok(documents);
            }
        }
        Err(unsettled())
    }

    /// Does a document meet a condition?
    pub(super) async fn meets(
        &self,
        document: &StoredDocument,
        filter: &Filter,
    ) -> Result<bool, Failure> {
        for _ in 0..ROUNDS {
            let holds = filter.matches(raw(document)).map_err(|error| {
                Failure::Internal(format!("{} {}: {error}", self.of.collection, document.id))
            })?;
            if self.is_settled().await? {
                return Ok(holds);
            }
        }
        Err(unsettled())
    }

    /// Those documents that meet a condition. One that can't be read meets none (rule J10).
    pub(super) async fn meeting(
        &self,
        documents: Vec<StoredDocument>,
        filter: &Filter,
    ) -> Result<Vec<StoredDocument>, Failure> {
        let mut found = Vec::with_capacity(documents.len());
        for document in documents {
            match self.meets(&document, filter).await {
                Ok(true) => found.push(document),
                Ok(false) => {}
                Err(Failure::Internal(details)) => {
                    tracing::error!(%details, "a stored document is damaged; it is left out");
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(found)
    }

    /// Has a condition been evaluated with all that it needed to know of the partners of relationships?
    async fn is_settled(&self) -> Result<bool, Failure> {
        match self.clearance.learn(self.store.as_ref()).await? {
            Ok(learned) => Ok(learned == Learned::Nothing),
            Err(error) => Err(Failure::BadRequest(format!(
                "The query takes too long: {error}. Narrow it down."
            ))),
        }
    }

    /// What the caller may see of the documents of a page (core-api section 7): their partners are looked up at once.
    pub(super) async fn clearance(
        &self,
        documents: &[StoredDocument],
    ) -> Result<&Clearance, Failure> {
        let raw: Vec<&RawDocument> = documents.iter().map(raw).collect();
        self.clearance.meet(self.store.as_ref(), &raw).await?;
        Ok(&self.clearance)
    }

    /// Forgets what was looked up for documents that are written, so that reading on takes no more and more memory.
    pub(super) fn forget(&self) {
        self.clearance.forget();
    }

    /// A document of that page in the form of the API (core-api section 8).
    pub(super) fn shown<'d>(
        &'d self,
        document: &'d StoredDocument,
        clearance: &'d Clearance,
        projection: &'d Projection,
    ) -> Shown<'d> {
        Shown {
            reader: self,
            document,
            clearance,
            projection,
            inlined: None,
        }
    }
}

/// The tasks that the caller may see: those on objects that it may see, of types whose tasks it may read (rule SVC-18). Leases
/// that have run out are settled before (rule SVC-27).
async fn visible_tasks(
    call: &Call<'_>,
    entry: &TypeEntry,
    clearance: &Arc<Clearance>,
) -> Result<Filter, Failure> {
    let readable = call.registry.types().filter(|of| {
        let of = &of.declaration;
        of.top_level && call.may(&of.name, tasks::READ)
    });
    let readable: Vec<Bson> = readable
        .map(|of| Bson::from(of.declaration.name.as_str()))
        .collect();
    if readable.is_empty() {
        return Err(Failure::Forbidden(NO_ACCESS));
    }
    call.state.handlers.settle_tasks(entry).await?;
    let fields = [tasks::OBJECT_TYPE, tasks::OBJECT_ID];
    Ok(Filter::And(vec![
        Filter::Field(FieldPath::literal(tasks::OBJECT_TYPE), Test::In(readable)),
        Filter::Judged(Arc::new(OfVisible::new(Arc::clone(clearance), fields))),
    ]))
}

fn unsettled() -> Failure {
    Failure::Busy("relationships changed while a condition on them was evaluated".to_owned())
}

/// A document as its reader sees it.
pub(super) struct Shown<'d> {
    reader: &'d Reader,
    document: &'d StoredDocument,
    clearance: &'d Clearance,
    projection: &'d Projection,
    inlined: Option<&'d Inlined>,
}

impl<'d> Shown<'d> {
    /// With the bytes of its file.
    pub(super) fn with(self, inlined: &'d Inlined) -> Self {
        Self {
            inlined: Some(inlined),
            ..self
        }
    }

    fn inlined(&self) -> Option<(&str, &str)> {
        self.inlined?.of(self.document.id)
    }
}

impl Content for Shown<'_> {
    fn write(&self, sink: &mut impl Sink) {
        let stored = raw(self.document);
        let cleared = self.clearance.of(stored);
        render::document(
            sink,
            &self.reader.model,
            stored,
            &cleared,
            self.projection,
            self.inlined(),
            &self.reader.zones,
        );
    }

    fn size(&self) -> usize {
        size_of(std::slice::from_ref(self.document))
            + self.inlined().map_or(0, |(_, text)| text.len())
    }
}

pub(super) fn raw(document: &StoredDocument) -> &RawDocument {
    document.body.as_ref().as_ref()
}

/// A projection as the settings have it (rule G47).
pub(super) fn projection(call: &Call<'_>, projection: Projection) -> Projection {
    if call.settings.is_on("legacy_projection") {
        projection.with_empty_lists()
    } else {
        projection
    }
}

/// About how many bytes an answer with these documents takes.
pub(super) fn size_of(documents: &[StoredDocument]) -> usize {
    let stored: usize = documents
        .iter()
        .map(|document| raw(document).as_bytes().len())
        .sum();
    stored + stored / 2 + 512
}
