//! Calls that are no handler's: actions of the host itself, and analysis services, which read the object and change others
//! through a [`Sink`] only.

use std::sync::Arc;

use bson::Document;
use bson::oid::ObjectId;

use super::documents::draft_failed;
use super::{DocNumber, Open, Work, internal};
use crate::plugins::analysis::Sink;
use crate::plugins::registry::{ServiceEntry, TypeEntry};
use crate::plugins::value::{Arg, Failure, Fault, Outcome, Value};
use crate::store::{Draft, FieldPath, Op, StagedFile};

/// Whose eyes the object of a service is opened with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Eyes {
    /// The user's: rule S1.
    Users,
    /// The host's: what a user posts is analysed, whether or not that user may read it (rule SVC-13).
    Hosts,
}

/// Why a service can't write.
fn read_only() -> Failure {
    internal("documents are read-only in services")
}

impl Work {
    /// Opens the frame of a call of a service on an object. False: there is no such object, or the user may not see it.
    ///
    /// # Errors
    ///
    /// Only the store's.
    pub async fn begin_service(
        &mut self,
        service: &ServiceEntry,
        of: &Arc<TypeEntry>,
        id: ObjectId,
        eyes: Eyes,
        sink: Option<Arc<dyn Sink>>,
    ) -> Result<bool, Failure> {
        let subject = match eyes {
            Eyes::Users => self.open_by_id(of, id).await?,
            Eyes::Hosts => self.open_unseen(of, id).await?,
        };
        let Some(subject) = subject else {
            return Ok(false);
        };
        self.sink = sink;
        let name = of.declaration.name.clone();
        let frame = self.push_frame(&service.plugin, "", &name, &service.declaration.touches);
        frame.subject = Some(subject);
        frame.is_service = true;
        Ok(true)
    }

    /// Where a service's results and changes go; none if this is no run of one.
    #[must_use]
    pub fn sink(&self) -> Option<Arc<dyn Sink>> {
        self.sink.clone()
    }

    /// Is the innermost call one of a service?
    pub(super) fn is_service(&self) -> bool {
        self.frame().is_some_and(|frame| frame.is_service)
    }

    /// Services change nothing themselves.
    ///
    /// # Errors
    ///
    /// Fault `internal` in a service.
    pub(super) fn refuse_in_services(&self) -> Result<(), Failure> {
        match self.is_service() {
            true => Err(read_only()),
            false => Ok(()),
        }
    }

    /// `documents.create` in a service: what is to be asked of the sink. Files change from numbers of the call to files.
    ///
    /// # Errors
    ///
    /// Fault `internal`: no run of a service, or the create is not declared.
    pub async fn for_sink(
        &mut self,
        type_name: &str,
        mut args: Vec<Arg>,
    ) -> Result<(Arc<dyn Sink>, Vec<Arg>, Vec<Arc<StagedFile>>), Failure> {
        let Some(sink) = self.sink() else {
            return Err(internal("a service creates only while it analyses"));
        };
        let name = self.type_entry(type_name)?.declaration.name.clone();
        let declared = self.frame().is_some_and(|frame| {
            let mut created = frame
                .touches
                .iter()
                .filter_map(|touched| touched.strip_prefix("create:"));
            created.any(|touched| touched == name || touched == "*")
        });
        if !declared {
            return Err(internal(format!(
                "the service creates a `{name}` without declaring `create:{name}`"
            )));
        }
        let mut files = Vec::new();
        for arg in &mut args {
            if let Value::File(number) = &mut arg.value {
                files.push(self.staged(*number).await?);
                *number = u32::try_from(files.len()).unwrap_or(u32::MAX);
            }
        }
        Ok((sink, args, files))
    }

    /// The document that a create through the sink was about, as a document of this call.
    ///
    /// # Errors
    ///
    /// The store's; a budget.
    pub async fn from_sink(
        &mut self,
        mut outcome: Outcome,
        concerned: Option<(String, ObjectId)>,
    ) -> Result<Outcome, Failure> {
        outcome.document = match concerned {
            Some((type_name, id)) => {
                let of = self.type_entry(&type_name)?;
                match self.open_by_id(&of, id).await? {
                    Some(index) => Some(self.number(index)?),
                    None => None,
                }
            }
            None => None,
        };
        Ok(outcome)
    }

    /// `documents.relate` in a service: the two documents, if the service may relate them.
    ///
    /// # Errors
    ///
    /// Fault `internal`: no run of a service, an unknown number, or it is not declared.
    pub fn related_by_sink(
        &self,
        left: DocNumber,
        right: DocNumber,
    ) -> Result<(Arc<dyn Sink>, [(String, ObjectId); 2]), Failure> {
        let Some(sink) = self.sink() else {
            return Err(internal("a service relates only while it analyses"));
        };
        let both = [self.document(left)?, self.document(right)?];
        let subject = self.frame().and_then(|frame| frame.subject);
        let [left, right] = both.map(|index| {
            let document = &self.documents[index];
            (document.of.declaration.name.clone(), document.id)
        });
        // What it analyses may be related to whatever it may create or relate.
        let allowed = both.iter().all(|index| {
            subject == Some(*index) || self.may_relate(&self.documents[*index].of.declaration.name)
        });
        match allowed {
            true => Ok((sink, [left, right])),
            false => Err(internal(format!(
                "the service relates {} and {} without declaring that it creates them, or `other:TYPE`",
                left.0, right.0
            ))),
        }
    }

    fn may_relate(&self, type_name: &str) -> bool {
        self.frame().is_some_and(|frame| {
            let named = |touched: &String| {
                let of = touched
                    .strip_prefix("create:")
                    .or_else(|| touched.strip_prefix("other:"));
                of.is_some_and(|of| of == type_name || of == "*")
            };
            frame.touches.iter().any(named)
        })
    }

    /// Opens the frame of the host's own change of documents, under no rule but S1.
    pub(in crate::plugins) fn begin_own(&mut self, touches: &[String]) {
        self.push_frame(crate::plugins::analysis::HOST, "own", "", touches);
    }

    /// A new document of a type that the host keeps itself.
    ///
    /// # Errors
    ///
    /// A budget; it can't be written as BSON.
    pub(in crate::plugins) fn insert(
        &mut self,
        of: &Arc<TypeEntry>,
        id: ObjectId,
        body: &Document,
    ) -> Result<DocNumber, Failure> {
        let index = self.add(Open {
            of: Arc::clone(of),
            id,
            revision: None,
            draft: Draft::fresh(body).map_err(draft_failed)?,
            reads: Default::default(),
            searches: Vec::new(),
            hidden: false,
            was_made: false,
            claimed: false,
            source_added: false,
            rekeyed: true,
            withdrawn: false,
            removed: false,
            settled: None,
            moved: None,
        })?;
        self.number(index)
    }

    /// Changes a document that the host keeps itself, whatever its type's plugin declares.
    ///
    /// # Errors
    ///
    /// Fault `internal`: an unknown number, an operation that does not fit.
    pub(in crate::plugins) fn put(
        &mut self,
        document: DocNumber,
        operation: Op,
    ) -> Result<(), Failure> {
        let index = self.document(document)?;
        self.apply(index, operation, None).map(drop)
    }

    /// A field of a document of the call; remembered.
    ///
    /// # Errors
    ///
    /// Fault `internal`: an unknown number.
    pub(in crate::plugins) fn field(
        &mut self,
        document: DocNumber,
        path: &'static str,
    ) -> Result<Option<bson::Bson>, Failure> {
        let index = self.document(document)?;
        self.read(index, &FieldPath::literal(path))
    }

    /// Opens a visible document by its id.
    ///
    /// # Errors
    ///
    /// The store's; a budget.
    pub(in crate::plugins) async fn opened(
        &mut self,
        of: &Arc<TypeEntry>,
        id: ObjectId,
    ) -> Result<Option<DocNumber>, Failure> {
        match self.open_by_id(of, id).await? {
            Some(index) => self.number(index).map(Some),
            None => Ok(None),
        }
    }

    /// Opens a document by its type and id.
    ///
    /// # Errors
    ///
    /// Fault `missing`; the store's.
    pub(in crate::plugins) async fn opened_with(
        &mut self,
        eyes: Eyes,
        type_name: &str,
        id: ObjectId,
    ) -> Result<DocNumber, Failure> {
        let of = self.type_entry(type_name)?;
        let index = match eyes {
            Eyes::Users => self.open_by_id(&of, id).await?,
            Eyes::Hosts => self.open_unseen(&of, id).await?,
        };
        self.number(index.ok_or_else(super::documents::not_found)?)
    }

    /// The type of the document of the call, and its id.
    pub(in crate::plugins) fn subject(&self) -> Option<(Arc<TypeEntry>, ObjectId)> {
        let document = &self.documents[self.frame()?.subject?];
        Some((Arc::clone(&document.of), document.id))
    }

    /// Documents that this transaction makes, and those that it was asked to make and that were there.
    pub(in crate::plugins) fn made(&self) -> Vec<crate::plugins::analysis::Made> {
        let open = self
            .documents
            .iter()
            .filter(|document| !document.withdrawn && document.of.declaration.top_level);
        let made = open.filter(|document| document.revision.is_none() || document.was_made);
        made.map(|document| crate::plugins::analysis::Made {
            of: Arc::clone(&document.of),
            id: document.id,
            is_fresh: document.revision.is_none(),
        })
        .collect()
    }

    /// What a fault of the host's own handlers says.
    pub(in crate::plugins) fn refused(code: &str, message: impl Into<String>) -> Failure {
        Fault::Refused(code.to_owned(), message.into()).into()
    }
}
