//! Finding, opening and reading documents. Whatever is read is remembered, so that the store can tell at commit whether
//! it still holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use bson::oid::ObjectId;
use bson::{Bson, DateTime, Document, doc};

use super::fields::{self, LISTS, Place};
use super::{DocNumber, Open, Origin, Work, conditions, internal, store_failed};
use crate::plugins::declaration::{FieldKind, TypeDeclaration};
use crate::plugins::registry::TypeEntry;
use crate::plugins::value::{Abort, Arg, Failure, Fault, Value, json_to_bson};
use crate::store::draft::DraftError;
use crate::store::order;
use crate::store::{
    Draft, FieldPath, Filter, KeyRead, KeyValue, SearchRead, SelectRead, StoredDocument, Test,
};

/// Most segments of a path of the contract.
const MOST_PARTS: usize = 16;
/// Most documents of one `select`.
const MOST_SELECTED: u32 = 200;

/// What can't be found says no more than this (rule S8).
pub(super) fn not_found() -> Failure {
    Fault::Missing("Object not found.".into()).into()
}

/// What a draft could not do is the plugin's mistake, unless the document is damaged.
pub(super) fn draft_failed(error: DraftError) -> Failure {
    match error {
        DraftError::Damaged(_) => Abort::Store(error.to_string()).into(),
        other => internal(other.to_string()),
    }
}

impl Work {
    pub(super) fn type_entry(&self, name: &str) -> Result<Arc<TypeEntry>, Failure> {
        self.request
            .registry
            .type_as_written(name)
            .cloned()
            .ok_or_else(not_found)
    }

    /// The document behind a number of the innermost frame.
    pub(super) fn document(&self, number: DocNumber) -> Result<usize, Failure> {
        let position = usize::try_from(number)
            .ok()
            .and_then(|number| number.checked_sub(1));
        let index = position.and_then(|position| self.frame()?.documents.get(position).copied());
        index.ok_or_else(|| internal(format!("no document number {number} in this call")))
    }

    /// The number of a document in the innermost frame; always the same.
    pub(super) fn number(&mut self, index: usize) -> Result<DocNumber, Failure> {
        let frame = self
            .frames
            .last_mut()
            .ok_or_else(|| internal("no call is under way"))?;
        if let Some(position) = frame.documents.iter().position(|known| *known == index) {
            return Ok(position as u32 + 1);
        }
        frame.documents.push(index);
        Ok(frame.documents.len() as u32)
    }

    /// Reads a path of the contract.
    pub(super) fn path(&self, text: &str) -> Result<FieldPath, Failure> {
        let path =
            FieldPath::parse(text).map_err(|error| internal(format!("`{text}`: {error}")))?;
        if path.segments().count() > MOST_PARTS {
            return Err(internal(format!(
                "`{text}` has more than {MOST_PARTS} parts"
            )));
        }
        Ok(path)
    }

    /// Rule S1. Documents of types without sources are visible to all (rule S7).
    fn is_visible(&self, of: &TypeDeclaration, stored: &StoredDocument) -> bool {
        if !of.sources {
            return true;
        }
        let classes = self.request.services.store.classes();
        let pairs = classes.classes.get(stored.class as usize);
        // A class that is not known here fails closed.
        pairs.is_some_and(|pairs| self.request.caller.rights.sees(pairs))
    }

    pub(super) fn add(&mut self, open: Open) -> Result<usize, Failure> {
        if self.documents.len() - self.earlier_documents >= self.budgets.documents as usize {
            return Err(self.budget("documents"));
        }
        let index = self.documents.len();
        self.by_id
            .insert((open.of.declaration.collection.clone(), open.id), index);
        self.documents.push(open);
        Ok(index)
    }

    fn add_stored(
        &mut self,
        of: &Arc<TypeEntry>,
        stored: StoredDocument,
        hidden: bool,
    ) -> Result<usize, Failure> {
        self.add(Open {
            of: Arc::clone(of),
            id: stored.id,
            revision: Some(stored.revision),
            draft: Draft::stored(stored.body),
            reads: BTreeMap::new(),
            searches: Vec::new(),
            hidden,
            was_made: false,
            claimed: false,
            source_added: false,
            rekeyed: false,
            withdrawn: false,
            removed: false,
            settled: None,
            moved: None,
        })
    }

    /// A document already open.
    pub(super) fn known(&self, of: &TypeEntry, id: ObjectId) -> Option<usize> {
        self.by_id
            .get(&(of.declaration.collection.clone(), id))
            .copied()
    }

    /// A visible document.
    pub(super) async fn open_by_id(
        &mut self,
        of: &Arc<TypeEntry>,
        id: ObjectId,
    ) -> Result<Option<usize>, Failure> {
        if let Some(index) = self.known(of, id) {
            return Ok(self.shown(index));
        }
        let collection = of.declaration.collection.clone();
        let store = Arc::clone(&self.request.services.store);
        match store
            .get(&collection, id)
            .await
            .map_err(|error| store_failed(&error))?
        {
            Some(stored) if self.is_visible(&of.declaration, &stored) => {
                self.add_stored(of, stored, false).map(Some)
            }
            Some(_) => Ok(None),
            None => {
                self.absent.push((collection, id));
                Ok(None)
            }
        }
    }

    /// A document, whoever may see it.
    pub(super) async fn open_unseen(
        &mut self,
        of: &Arc<TypeEntry>,
        id: ObjectId,
    ) -> Result<Option<usize>, Failure> {
        if let Some(index) = self.known(of, id) {
            return Ok(Some(index));
        }
        let store = Arc::clone(&self.request.services.store);
        match store
            .get(&of.declaration.collection, id)
            .await
            .map_err(|error| store_failed(&error))?
        {
            Some(stored) => self.add_stored(of, stored, false).map(Some),
            None => Ok(None),
        }
    }

    /// What was removed does not exist any more; a hidden document exists only for the creates that made it known to themselves.
    fn shown(&self, index: usize) -> Option<usize> {
        let document = &self.documents[index];
        (!document.removed && (!document.hidden || document.source_added)).then_some(index)
    }

    /// `documents.current`.
    ///
    /// # Errors
    ///
    /// Fault `internal` in a create.
    pub fn current(&mut self) -> Result<DocNumber, Failure> {
        match self.frame().and_then(|frame| frame.subject) {
            Some(subject) => self.number(subject),
            None => Err(internal("a create has no current document")),
        }
    }

    /// `documents.by-id`.
    ///
    /// # Errors
    ///
    /// Fault `missing`: no such type, malformed or unknown id, not visible.
    pub async fn by_id(&mut self, type_name: &str, id: &str) -> Result<DocNumber, Failure> {
        let of = self.type_entry(type_name)?;
        let id = ObjectId::parse_str(id.trim()).map_err(|_| not_found())?;
        let index = self.open_by_id(&of, id).await?.ok_or_else(not_found)?;
        self.number(index)
    }

    /// A unique key with values as they are stored, in the order of the declaration.
    fn key_value(&self, of: &TypeDeclaration, key: &[Arg]) -> Result<KeyValue, Failure> {
        let stored_name = |arg: &Arg| {
            let field = of
                .fields
                .iter()
                .find(|field| field.name == arg.name || field.stored_name() == arg.name);
            field.map_or_else(|| arg.name.clone(), |field| field.stored_name().to_owned())
        };
        let names: Vec<String> = key.iter().map(stored_name).collect();
        let declared = of.keys.iter().find(|declared| {
            declared.len() == names.len() && declared.iter().all(|name| names.contains(name))
        });
        let Some(declared) = declared else {
            return Err(internal(format!(
                "`{}` has no unique key of {}",
                of.name,
                names.join(", ")
            )));
        };
        let mut parts = Vec::with_capacity(declared.len());
        for name in declared {
            let Some((_, arg)) = names.iter().zip(key).find(|(given, _)| *given == name) else {
                return Err(internal(format!("`{name}` is missing in the key")));
            };
            let path =
                FieldPath::parse(name).map_err(|error| internal(format!("`{name}`: {error}")))?;
            let value = fields::place(of, &path).convert(&arg.value, &self.request.zones);
            let value = value.map_err(|wanted| {
                Failure::Fault(Fault::Invalid(
                    name.clone(),
                    format!("`{name}` must be {wanted}."),
                ))
            })?;
            parts.push((path, value));
        }
        Ok(KeyValue {
            collection: of.collection.clone(),
            parts,
        })
    }

    /// The document with a unique key, visible or not, own writes seen.
    async fn holder(
        &mut self,
        of: &Arc<TypeEntry>,
        key: &KeyValue,
    ) -> Result<Option<usize>, Failure> {
        let bytes = key_bytes(key)?;
        if let Some(index) = self.made_keys.get(&bytes) {
            return Ok(Some(*index));
        }
        for index in 0..self.documents.len() {
            if self.documents[index].rekeyed
                && !self.documents[index].withdrawn
                && self.has_key(index, key)?
            {
                return Ok(Some(index));
            }
        }
        let store = Arc::clone(&self.request.services.store);
        let stored = store
            .by_key(key)
            .await
            .map_err(|error| store_failed(&error))?;
        let holder = stored.as_ref().map(|stored| stored.id);
        if self.looked_up.insert(bytes) {
            self.keys.push(KeyRead {
                key: key.clone(),
                holder,
            });
        }
        let Some(stored) = stored else {
            return Ok(None);
        };
        if let Some(index) = self.known(of, stored.id) {
            // The request may have given it another key meanwhile.
            return Ok(self.has_key(index, key)?.then_some(index));
        }
        let hidden = !self.is_visible(&of.declaration, &stored);
        self.add_stored(of, stored, hidden).map(Some)
    }

    fn has_key(&self, index: usize, key: &KeyValue) -> Result<bool, Failure> {
        let document = &self.documents[index];
        if document.of.declaration.collection != key.collection {
            return Ok(false);
        }
        for (path, wanted) in &key.parts {
            if document.draft.get(path).map_err(draft_failed)?.as_ref() != Some(wanted) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// `documents.by-key`.
    ///
    /// # Errors
    ///
    /// Fault `missing`: no such type; `internal`: not a unique key of it.
    pub async fn by_key(
        &mut self,
        type_name: &str,
        key: &[Arg],
    ) -> Result<Option<DocNumber>, Failure> {
        let of = self.type_entry(type_name)?;
        let key = self.key_value(&of.declaration, key)?;
        match self.visible_holder(&of, &key).await? {
            Some(index) => self.number(index).map(Some),
            None => Ok(None),
        }
    }

    pub(super) async fn visible_holder(
        &mut self,
        of: &Arc<TypeEntry>,
        key: &KeyValue,
    ) -> Result<Option<usize>, Failure> {
        Ok(self
            .holder(of, key)
            .await?
            .and_then(|index| self.shown(index)))
    }

    /// `documents.taken`.
    ///
    /// # Errors
    ///
    /// As for [`Work::by_key`].
    pub async fn taken(&mut self, type_name: &str, key: &[Arg]) -> Result<bool, Failure> {
        let of = self.type_entry(type_name)?;
        let key = self.key_value(&of.declaration, key)?;
        Ok(self.holder(&of, &key).await?.is_some())
    }

    /// `documents.select`.
    ///
    /// # Errors
    ///
    /// Fault `missing`: no such type; `internal`: malformed, or no indexed field in the condition.
    pub async fn select(
        &mut self,
        type_name: &str,
        condition: &str,
        after: &str,
        limit: u32,
    ) -> Result<Vec<DocNumber>, Failure> {
        let of = self.type_entry(type_name)?;
        let filter = conditions::read(
            condition,
            &Place::Root(&of.declaration),
            &self.request.zones,
        )
        .map_err(internal)?;
        if !uses_index(&of.declaration, &filter) {
            return Err(internal(format!(
                "no indexed field of `{type_name}` in the condition {condition}"
            )));
        }
        let after = match after {
            "" => None,
            text => Some(
                ObjectId::parse_str(text)
                    .map_err(|_| internal(format!("`{text}` is no object id")))?,
            ),
        };
        let found = self
            .selected(&of, &filter, after, limit.min(MOST_SELECTED))
            .await?;
        found.into_iter().map(|index| self.number(index)).collect()
    }

    /// Visible documents by ascending id, own writes seen.
    pub(super) async fn selected(
        &mut self,
        of: &Arc<TypeEntry>,
        filter: &Filter,
        after: Option<ObjectId>,
        limit: u32,
    ) -> Result<Vec<usize>, Failure> {
        let store = Arc::clone(&self.request.services.store);
        let collection = of.declaration.collection.clone();
        let mut found: Vec<(ObjectId, usize)> = Vec::new();
        let mut from = after;
        let mut complete = false;
        while !complete && (found.len() as u32) < limit {
            let ids = store
                .select(&collection, filter, from, MOST_SELECTED)
                .await
                .map_err(|error| store_failed(&error))?;
            complete = (ids.len() as u32) < MOST_SELECTED;
            self.selections.push(SelectRead {
                collection: collection.clone(),
                filter: filter.clone(),
                after: from,
                limit: MOST_SELECTED,
                found: ids.clone(),
            });
            from = ids.last().copied().or(from);
            for id in ids {
                let Some(index) = self.open_by_id(of, id).await? else {
                    continue;
                };
                if self.documents[index]
                    .draft
                    .matches(filter)
                    .map_err(draft_failed)?
                {
                    found.push((id, index));
                }
                if found.len() as u32 == limit {
                    break;
                }
            }
        }
        // What the request itself made or changed so that it meets the condition now.
        for (index, document) in self.documents.iter().enumerate() {
            let own = document.revision.is_none() || !document.draft.is_unchanged();
            let concerned =
                own && !document.withdrawn && document.of.declaration.collection == collection;
            if concerned
                && after.is_none_or(|after| document.id > after)
                && !found.iter().any(|(id, _)| *id == document.id)
                && self.shown(index).is_some()
                && document.draft.matches(filter).map_err(draft_failed)?
            {
                found.push((document.id, index));
            }
        }
        found.sort_unstable();
        found.truncate(limit as usize);
        Ok(found.into_iter().map(|(_, index)| index).collect())
    }

    /// `documents.make`.
    ///
    /// # Errors
    ///
    /// Fault `internal`: not in a create, another plugin's type, not a unique key.
    pub async fn make(
        &mut self,
        type_name: &str,
        key: &[Arg],
    ) -> Result<(DocNumber, Origin), Failure> {
        let of = self.type_entry(type_name)?;
        let frame = self
            .frame()
            .ok_or_else(|| internal("no call is under way"))?;
        if !frame.is_create() || frame.plugin != of.plugin {
            return Err(internal(format!(
                "`{}` can't make a `{type_name}` here",
                frame.plugin
            )));
        }
        let key = if key.is_empty() {
            None
        } else {
            Some(self.key_value(&of.declaration, key)?)
        };
        if let Some(key) = &key
            && let Some(index) = self.holder(&of, key).await?
        {
            let document = self.touch(index);
            // What the same request has made before is there for whoever asks again: the second of two equal attachments.
            let is_there =
                document.revision.is_some() || document.settled.is_some() || document.claimed;
            document.claimed = true;
            document.was_made = true;
            let origin = match (is_there, document.hidden) {
                (false, _) => Origin::Fresh,
                (true, true) => Origin::Hidden,
                (true, false) => Origin::Visible,
            };
            return Ok((self.number(index)?, origin));
        }
        let id = self.new_id();
        let body = self.initial(&of.declaration, id, key.as_ref())?;
        let index = self.add(Open {
            of: Arc::clone(&of),
            id,
            revision: None,
            draft: Draft::of_members(body.iter().map(|(name, value)| (*name, value)))
                .map_err(draft_failed)?,
            reads: BTreeMap::new(),
            searches: Vec::new(),
            hidden: false,
            was_made: true,
            claimed: true,
            source_added: false,
            rekeyed: true,
            withdrawn: false,
            removed: false,
            settled: None,
            moved: None,
        })?;
        if let Some(key) = key {
            self.made_keys.insert(key_bytes(&key)?, index);
            self.documents[index].rekeyed = false;
        }
        Ok((self.number(index)?, Origin::Fresh))
    }

    /// The fields of a new document before anything is done to it (create.md 2.7, documents.md 2.1).
    pub(super) fn initial<'d>(
        &self,
        of: &'d TypeDeclaration,
        id: ObjectId,
        key: Option<&'d KeyValue>,
    ) -> Result<Vec<(&'d str, Bson)>, Failure> {
        let now = Bson::DateTime(DateTime::from_millis(self.now));
        let mut body: Vec<(&str, Bson)> = vec![
            ("_id", id.into()),
            ("schema_version", of.schema_version.into()),
        ];
        if of.top_level {
            body.extend([
                ("created", now.clone()),
                ("modified", now.clone()),
                ("status", "New".into()),
                ("tlp", "red".into()),
            ]);
        }
        for field in &of.fields {
            let name = field.stored_name();
            let value = match (&field.default, field.kind) {
                (Some(serde_json::Value::String(text)), FieldKind::Date) if text == "now" => {
                    now.clone()
                }
                (Some(default), _) => {
                    let plain = json_to_bson(default)
                        .map_err(|problem| internal(format!("default of `{name}`: {problem}")))?;
                    let value = Place::Field(field).convert_bson(plain, &self.request.zones);
                    value.map_err(|wanted| {
                        internal(format!("the default of `{name}` is not {wanted}"))
                    })?
                }
                (None, FieldKind::List) => Bson::Array(Vec::new()),
                (None, _) => continue,
            };
            if value != Bson::Null {
                put(&mut body, name, value);
            }
        }
        if of.sources {
            let first = of.author_source.then(|| self.author_source());
            let sources = first.into_iter().map(Bson::from).collect();
            put(&mut body, "source", Bson::Array(sources));
        }
        if of.top_level {
            for list in LISTS {
                if !body.iter().any(|(name, _)| *name == list) {
                    body.push((list, Bson::Array(Vec::new())));
                }
            }
            put(&mut body, "unsupported_attrs", Document::new().into());
        }
        for (path, value) in key.iter().flat_map(|key| &key.parts) {
            put(&mut body, path.as_str(), value.clone());
        }
        Ok(body)
    }

    /// The source of what belongs to its author: the organisation, red (documents.md 3.7).
    fn author_source(&self) -> Document {
        let caller = &self.request.caller;
        let name = match caller.organization.trim() {
            "" => "Unknown",
            organization => organization,
        };
        let date = DateTime::from_millis(self.now);
        doc! { "name": name, "instances": [
            { "analyst": &caller.user, "date": date, "method": "", "reference": "", "tlp": "red" }
        ] }
    }

    /// `documents.id`.
    ///
    /// # Errors
    ///
    /// Fault `internal`: an unknown number.
    pub fn id(&self, document: DocNumber) -> Result<String, Failure> {
        Ok(self.documents[self.document(document)?].id.to_hex())
    }

    /// `documents.type-of`.
    ///
    /// # Errors
    ///
    /// Fault `internal`: an unknown number.
    pub fn type_of(&self, document: DocNumber) -> Result<String, Failure> {
        Ok(self.documents[self.document(document)?]
            .of
            .declaration
            .name
            .clone())
    }

    /// What is at a path; remembered.
    pub(super) fn read(&mut self, index: usize, path: &FieldPath) -> Result<Option<Bson>, Failure> {
        self.remember(index, path)?;
        self.documents[index].draft.get(path).map_err(draft_failed)
    }

    /// Notes what was stored at a path, as a ground for what the request does.
    pub(super) fn remember(&mut self, index: usize, path: &FieldPath) -> Result<(), Failure> {
        let document = &mut self.documents[index];
        if document.revision.is_none() || document.reads.contains_key(path) {
            return Ok(());
        }
        let stored = Draft::stored(Arc::clone(document.draft.base()))
            .get(path)
            .map_err(draft_failed)?;
        document.reads.insert(path.clone(), stored);
        Ok(())
    }

    /// The first element of a list that meets a condition. What is remembered is the answer, not the list.
    pub(super) fn search(
        &mut self,
        index: usize,
        path: FieldPath,
        condition: Filter,
        start: usize,
    ) -> Result<Option<usize>, Failure> {
        let document = &self.documents[index];
        let found = document.draft.find(&path, &condition, start);
        // In a list with own writes the answer depends on how long the list was, and on what went from it.
        if found.is_err() || document.draft.has_changed(path.root()) {
            self.remember(index, &path)?;
        } else if let (Ok(found), Some(_)) = (&found, document.revision) {
            self.documents[index].searches.push(SearchRead {
                path,
                condition,
                start,
                found: *found,
            });
        }
        found.map_err(draft_failed)
    }

    /// `documents.get`.
    ///
    /// # Errors
    ///
    /// Fault `internal`: an unknown number, a malformed path.
    pub fn get(&mut self, document: DocNumber, path: &str) -> Result<Option<Value>, Failure> {
        let (index, path) = (self.document(document)?, self.path(path)?);
        Ok(self.read(index, &path)?.as_ref().and_then(Value::from_bson))
    }

    /// `documents.get-many`.
    ///
    /// # Errors
    ///
    /// As for [`Work::get`]; more than 256 paths.
    pub fn get_many(
        &mut self,
        document: DocNumber,
        paths: &[String],
    ) -> Result<Vec<Option<Value>>, Failure> {
        if paths.len() > 256 {
            return Err(internal("more than 256 paths at once"));
        }
        paths.iter().map(|path| self.get(document, path)).collect()
    }

    /// `documents.len`.
    ///
    /// # Errors
    ///
    /// Fault `internal`: not a list.
    pub fn len(&mut self, document: DocNumber, path: &str) -> Result<u32, Failure> {
        let (index, path) = (self.document(document)?, self.path(path)?);
        self.remember(index, &path)?;
        let length = self.documents[index]
            .draft
            .len(&path)
            .map_err(draft_failed)?;
        Ok(u32::try_from(length).unwrap_or(u32::MAX))
    }

    /// `documents.find`.
    ///
    /// # Errors
    ///
    /// Fault `internal`: not a list, a malformed condition.
    pub fn find(
        &mut self,
        document: DocNumber,
        path: &str,
        condition: &str,
        start: u32,
    ) -> Result<Option<u32>, Failure> {
        let (index, path) = (self.document(document)?, self.path(path)?);
        let of = Arc::clone(&self.documents[index].of);
        let place = fields::place(&of.declaration, &path).element();
        let filter = conditions::read(condition, &place, &self.request.zones).map_err(internal)?;
        let found = self.search(index, path, filter, start as usize)?;
        Ok(found.and_then(|position| u32::try_from(position).ok()))
    }
}

/// Sets a field.
fn put<'d>(body: &mut Vec<(&'d str, Bson)>, name: &'d str, value: Bson) {
    match body.iter_mut().find(|(known, _)| *known == name) {
        Some((_, known)) => *known = value,
        None => body.push((name, value)),
    }
}

/// A key as bytes: equal for equal keys.
fn key_bytes(key: &KeyValue) -> Result<Vec<u8>, Failure> {
    let mut bytes = key.collection.clone().into_bytes();
    for (path, value) in &key.parts {
        let value = order::encode_bson(value).map_err(|error| draft_failed(error.into()))?;
        for part in [path.as_str().as_bytes(), &value] {
            bytes.extend_from_slice(&part.len().to_le_bytes());
            bytes.extend_from_slice(part);
        }
    }
    Ok(bytes)
}

/// Does a condition narrow the search by an index or a unique key?
fn uses_index(of: &TypeDeclaration, filter: &Filter) -> bool {
    match filter {
        Filter::And(conditions) => conditions.iter().any(|condition| uses_index(of, condition)),
        Filter::Field(path, test) => {
            let narrows = !matches!(test, Test::Ne(_) | Test::Nin(_) | Test::Exists(_));
            let declared = fields::root_field(of, path.root())
                .is_some_and(|field| field.indexed || field.sortable);
            let common = matches!(
                path.root(),
                "_id"
                    | "source"
                    | "campaign"
                    | "bucket_list"
                    | "relationships"
                    | "created"
                    | "modified"
                    | "status"
            );
            narrows
                && (declared
                    || common
                    || of
                        .keys
                        .iter()
                        .any(|key| key.first().is_some_and(|first| first == path.as_str())))
        }
        Filter::All
        | Filter::Nothing
        | Filter::Or(_)
        | Filter::Element(..)
        | Filter::Not(_)
        | Filter::Seen(_)
        | Filter::Judged(_) => false,
    }
}
