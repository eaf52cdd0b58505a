//! Several write sets on their way into one transaction.
//!
//! As in the embedded store, documents that members touch are held as drafts: later members see what earlier ones did,
//! a document that many members change is read once and written once, and a member that conflicts leaves no trace.
//! What members need is read beforehand, with few queries for all of them.
//!
//! The server notices when two transactions write the same document, and nothing else. So whatever a member that writes
//! has only *read* is written too, by its guard (`flush`): documents, unique keys, absent ids, selections.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use bson::oid::ObjectId;
use bson::{Bson, Document, RawDocumentBuf, doc};
use mongodb::ClientSession;

use super::Shared;
use super::errors::Trouble;
use super::list::{Look, stored};
use super::own::{self, KeyDigest};
use super::schema::{Collection, Schema, UniqueKey};
use crate::store::apply::{self, conflict, damaged, name};
use crate::store::draft::Draft;
use crate::store::write::{CommitError, DocKey, DocRead, KeyRead, Op, SelectRead, Write, WriteSet};
use crate::store::{FieldPath, KeyValue, Result, StoreError};

/// Ids in one query.
const MANY: usize = 1_000;

/// Bytes below the limit of a document, from which on it is looked at what the store adds to it.
const ROOM: usize = 1 << 20;

/// A document as the group has it.
pub(super) struct Held {
    pub(super) collection: Arc<Collection>,
    /// As it was before the group; none: it did not exist.
    pub(super) before: Option<Before>,
    /// As it is now.
    pub(super) draft: Option<Draft>,
    /// Has a member changed it?
    pub(super) dirty: bool,
}

#[derive(Clone)]
pub(super) struct Before {
    pub(super) revision: u64,
    pub(super) body: Arc<RawDocumentBuf>,
}

/// A unique key of a collection with values.
pub(super) type Place = (String, KeyDigest);

/// What members that write have read.
#[derive(Default)]
pub(super) struct Guards {
    pub(super) documents: HashSet<DocKey>,
    pub(super) keys: BTreeSet<Place>,
    pub(super) selections: BTreeSet<String>,
}

pub(super) struct Group<'a> {
    pub(super) look: Look<'a>,
    schema: Arc<Schema>,
    pub(super) held: HashMap<DocKey, Held>,
    /// Who has which key, as far as anybody asked, after the members so far.
    holders: HashMap<Place, BTreeSet<ObjectId>>,
    pub(super) guards: Guards,
    /// Keys that have changed hands.
    pub(super) moved_keys: BTreeSet<Place>,
}

/// What one member makes of the documents and keys.
#[derive(Default)]
struct Member {
    drafts: BTreeMap<DocKey, Option<Draft>>,
    lost: Vec<(Place, ObjectId)>,
    gained: Vec<(Place, ObjectId)>,
}

/// What a member's selections found, in the order of the selections.
type Found = Vec<Vec<ObjectId>>;

impl<'a> Group<'a> {
    pub(super) fn new(shared: &'a Shared, session: &'a mut ClientSession) -> Self {
        Self {
            look: Look { shared, session },
            schema: Arc::clone(&shared.schema.read()),
            held: HashMap::new(),
            holders: HashMap::new(),
            guards: Guards::default(),
            moved_keys: BTreeSet::new(),
        }
    }

    /// Has any member changed anything?
    pub(super) fn is_dirty(&self) -> bool {
        self.held.values().any(|held| held.dirty)
    }

    /// Takes the write sets in whose reads still hold. What each of them gets for an answer, if the transaction comes
    /// about.
    pub(super) async fn admit_all(
        &mut self,
        changes: &[WriteSet],
    ) -> Result<Vec<Result<(), CommitError>>, Trouble> {
        self.fetch_documents(changes).await?;
        self.fetch_holders(changes).await?;
        let mut answers = Vec::with_capacity(changes.len());
        for one in changes {
            answers.push(match self.admit(one).await {
                Ok(()) => Ok(()),
                Err(Trouble::Commit(
                    error @ (CommitError::Conflict(_)
                    | CommitError::Duplicate { .. }
                    | CommitError::Impossible(_)
                    | CommitError::Store(
                        StoreError::UnknownCollection(_) | StoreError::UnknownKey(..),
                    )),
                )) => Err(error),
                Err(Trouble::Commit(error @ CommitError::Store(StoreError::Damaged { .. })))
                    if changes.len() == 1 =>
                {
                    Err(error)
                }
                Err(trouble) => return Err(trouble),
            });
        }
        Ok(answers)
    }

    async fn admit(&mut self, changes: &WriteSet) -> Result<(), Trouble> {
        for read in &changes.documents {
            self.check_document(read)?;
        }
        for read in &changes.keys {
            self.check_key(read)?;
        }
        let found = self.select(changes).await?;
        for (read, found) in changes.selections.iter().zip(found) {
            self.check_selection(read, found)?;
        }
        let mut member = Member::default();
        for write in &changes.writes {
            match write {
                Write::Insert { collection, body } => {
                    self.insert(&mut member, &apply::inserted(collection, body)?, || {
                        apply::fresh(collection, body)
                    })?;
                }
                Write::Copy { collection, body } => {
                    self.insert(&mut member, &apply::copied_key(collection, body)?, || {
                        apply::copied(collection, body)
                    })?;
                }
                Write::Change {
                    document,
                    operations,
                } => self.change(&mut member, changes, document, operations)?,
                Write::Remove { document } => self.remove(&mut member, document)?,
            }
        }
        self.check_uniqueness(&mut member).await?;
        self.accept(member, changes);
        Ok(())
    }

    fn accept(&mut self, member: Member, changes: &WriteSet) {
        if !member.drafts.is_empty() {
            self.guard(changes);
        }
        for (key, draft) in member.drafts {
            if let Some(held) = self.held.get_mut(&key) {
                held.draft = draft;
                held.dirty = true;
            }
        }
        for (place, id) in member.lost {
            if let Some(holders) = self.holders.get_mut(&place) {
                holders.remove(&id);
            }
            self.moved_keys.insert(place);
        }
        for (place, id) in member.gained {
            self.holders.entry(place.clone()).or_default().insert(id);
            self.moved_keys.insert(place);
        }
    }

    /// Notes what a member that writes has read.
    fn guard(&mut self, changes: &WriteSet) {
        let read = changes.documents.iter().map(|read| &read.document);
        let met = changes.writes.iter().filter_map(|write| match write {
            Write::Change { document, .. } => Some(document),
            Write::Insert { .. } | Write::Copy { .. } | Write::Remove { .. } => None,
        });
        self.guards.documents.extend(read.chain(met).cloned());
        for read in &changes.keys {
            if let Some(digest) = own::digest_of(&read.key) {
                let place = (read.key.collection.clone(), digest);
                self.guards.keys.insert(place);
            }
        }
        for read in &changes.selections {
            self.guards.selections.insert(read.collection.clone());
        }
    }

    /// Reads all documents that the write sets name.
    async fn fetch_documents(&mut self, changes: &[WriteSet]) -> Result<(), Trouble> {
        let mut wanted: BTreeMap<String, BTreeSet<ObjectId>> = BTreeMap::new();
        let mut want = |document: DocKey| {
            wanted
                .entry(document.collection)
                .or_default()
                .insert(document.id);
        };
        for one in changes {
            for read in &one.documents {
                want(read.document.clone());
            }
            for write in &one.writes {
                match write {
                    Write::Insert { collection, body } => {
                        if let Ok(document) = apply::inserted(collection, body) {
                            want(document);
                        }
                    }
                    Write::Copy { collection, body } => {
                        if let Ok(document) = apply::copied_key(collection, body) {
                            want(document);
                        }
                    }
                    Write::Change { document, .. } | Write::Remove { document } => {
                        want(document.clone());
                    }
                }
            }
        }
        for (collection, ids) in wanted {
            // Who named a collection that there is not is told so.
            let Ok(collection) = self.schema.collection(&collection).cloned() else {
                continue;
            };
            let ids: Vec<ObjectId> = ids.into_iter().collect();
            for part in ids.chunks(MANY) {
                self.fetch(&collection, part).await?;
            }
        }
        Ok(())
    }

    async fn fetch(
        &mut self,
        collection: &Arc<Collection>,
        ids: &[ObjectId],
    ) -> Result<(), Trouble> {
        for id in ids {
            let document = DocKey {
                collection: collection.name.clone(),
                id: *id,
            };
            let absent = Held {
                collection: Arc::clone(collection),
                before: None,
                draft: None,
                dirty: false,
            };
            self.held.insert(document, absent);
        }
        let mut cursor = self
            .look
            .handle(&collection.name)
            .find(doc! { "_id": { "$in": ids.to_vec() } })
            .session(&mut *self.look.session)
            .await?;
        while cursor.advance(self.look.session).await? {
            let found = stored(collection, cursor.current().to_owned())?;
            let document = DocKey {
                collection: collection.name.clone(),
                id: found.id,
            };
            if let Some(held) = self.held.get_mut(&document) {
                held.draft = Some(Draft::stored(Arc::clone(&found.body)));
                held.before = Some(Before {
                    revision: found.revision,
                    body: found.body,
                });
            }
        }
        Ok(())
    }

    /// Looks up the keys that the write sets have read, and those of the documents they make.
    async fn fetch_holders(&mut self, changes: &[WriteSet]) -> Result<(), Trouble> {
        let mut wanted = BTreeSet::new();
        for one in changes {
            for read in &one.keys {
                if let Some(digest) = own::digest_of(&read.key) {
                    wanted.insert((read.key.collection.clone(), digest));
                }
            }
            for write in &one.writes {
                let (collection, draft) = match write {
                    Write::Insert { collection, body } => (collection, Draft::fresh(body)),
                    Write::Copy { collection, body } => {
                        (collection, Ok(Draft::stored(Arc::clone(body))))
                    }
                    Write::Change { .. } | Write::Remove { .. } => continue,
                };
                if let Ok(collection) = self.schema.collection(collection)
                    && !collection.keys.is_empty()
                    && let Ok(draft) = draft
                {
                    for key in &collection.keys {
                        if let Ok(Some(digest)) = own::key_of(&draft, &key.spec) {
                            wanted.insert((collection.name.clone(), digest));
                        }
                    }
                }
            }
        }
        self.look_up(wanted).await
    }

    /// Who has these keys in the database. To be asked before any member that was admitted could have changed it.
    async fn look_up(&mut self, places: BTreeSet<Place>) -> Result<(), Trouble> {
        let mut wanted: BTreeMap<String, Vec<Bson>> = BTreeMap::new();
        for (collection, digest) in places {
            wanted
                .entry(collection.clone())
                .or_default()
                .push(own::binary(&digest));
            self.holders.entry((collection, digest)).or_default();
        }
        for (collection, digests) in wanted {
            for part in digests.chunks(MANY) {
                let found = self
                    .look
                    .fields(
                        &collection,
                        doc! { own::KEYS: { "$in": part.to_vec() } },
                        doc! { "_id": 1, own::KEYS: 1 },
                    )
                    .await?;
                for document in found {
                    self.note_holder(&collection, &document);
                }
            }
        }
        Ok(())
    }

    fn note_holder(&mut self, collection: &str, document: &Document) {
        let digests = document
            .get_document(own::FIELD)
            .and_then(|field| field.get_array("keys"));
        let (Ok(id), Ok(digests)) = (document.get_object_id("_id"), digests) else {
            return;
        };
        for digest in digests {
            let Bson::Binary(digest) = digest else {
                continue;
            };
            let Ok(digest) = KeyDigest::try_from(digest.bytes.as_slice()) else {
                continue;
            };
            if let Some(holders) = self.holders.get_mut(&(collection.to_owned(), digest)) {
                holders.insert(id);
            }
        }
    }

    fn hold(&self, document: &DocKey) -> Result<&Held, CommitError> {
        self.schema.collection(&document.collection)?;
        self.held.get(document).ok_or_else(|| {
            CommitError::Store(StoreError::Engine("a document was not read".to_owned()))
        })
    }

    fn check_document(&self, read: &DocRead) -> Result<(), CommitError> {
        let held = self.hold(&read.document)?;
        let (draft, revision) = match (&held.draft, read.revision) {
            (None, None) => return Ok(()),
            (Some(draft), Some(revision)) => (draft, revision),
            (None, Some(_)) => return Err(conflict(format!("{} is gone", name(&read.document)))),
            (Some(_), None) => {
                return Err(conflict(format!(
                    "{} has come into being",
                    name(&read.document)
                )));
            }
        };
        let before = held.before.as_ref().map(|before| before.revision);
        if !held.dirty && before == Some(revision) {
            return Ok(());
        }
        match read.broken_by(draft) {
            Ok(None) => Ok(()),
            Ok(Some(path)) => Err(conflict(format!("`{path}` of {}", name(&read.document)))),
            Err(error) => Err(damaged(&read.document, error).into()),
        }
    }

    fn check_key(&self, read: &KeyRead) -> Result<(), CommitError> {
        let collection = self.schema.collection(&read.key.collection)?;
        collection.key(&read.key)?;
        let holder = own::digest_of(&read.key).and_then(|digest| {
            let holders = self.holders.get(&(collection.name.clone(), digest))?;
            holders.first().copied()
        });
        if holder == read.holder {
            return Ok(());
        }
        Err(conflict(format!(
            "who has the key ({}) in `{}`",
            apply::describe(&read.key),
            read.key.collection
        )))
    }

    /// What the selections of a member find in the database.
    async fn select(&mut self, changes: &WriteSet) -> Result<Found, Trouble> {
        let mut found = Found::new();
        for read in &changes.selections {
            let collection = self.schema.collection(&read.collection)?.clone();
            let changed = self.changed_in(&read.collection).count();
            let room = read
                .limit
                .saturating_add(u32::try_from(changed).unwrap_or(u32::MAX));
            found.push(
                self.look
                    .select(&collection, &read.filter, read.after, room)
                    .await?,
            );
        }
        Ok(found)
    }

    fn changed_in<'s>(
        &'s self,
        collection: &'s str,
    ) -> impl Iterator<Item = (&'s DocKey, &'s Held)> {
        self.held
            .iter()
            .filter(move |(key, held)| held.dirty && key.collection == collection)
    }

    fn check_selection(&self, read: &SelectRead, stored: Vec<ObjectId>) -> Result<(), CommitError> {
        let mut found: BTreeSet<ObjectId> = stored.into_iter().collect();
        for (document, held) in self.changed_in(&read.collection) {
            let holds = match &held.draft {
                Some(draft) if read.after.is_none_or(|after| document.id > after) => draft
                    .matches(&read.filter)
                    .map_err(|error| damaged(document, error))?,
                _ => false,
            };
            if holds {
                found.insert(document.id);
            } else {
                found.remove(&document.id);
            }
        }
        if found
            .into_iter()
            .take(read.limit as usize)
            .eq(read.found.iter().copied())
        {
            return Ok(());
        }
        Err(conflict(format!(
            "which documents of `{}` meet a condition",
            read.collection
        )))
    }

    /// The member's copy of a document.
    fn draft(&self, member: &Member, document: &DocKey) -> Result<Option<Draft>, CommitError> {
        match member.drafts.get(document) {
            Some(draft) => Ok(draft.clone()),
            None => Ok(self.hold(document)?.draft.clone()),
        }
    }

    fn insert(
        &self,
        member: &mut Member,
        document: &DocKey,
        made: impl FnOnce() -> Result<(DocKey, Draft), CommitError>,
    ) -> Result<(), CommitError> {
        if self.draft(member, document)?.is_some() {
            return Err(conflict(format!("{} exists already", name(document))));
        }
        let (document, draft) = made()?;
        let own = draft.get(&FieldPath::literal(own::FIELD));
        if own.map_err(|error| damaged(&document, error))?.is_some() {
            return Err(reserved());
        }
        self.check_size(&document, &draft)?;
        member.drafts.insert(document, Some(draft));
        Ok(())
    }

    fn change(
        &self,
        member: &mut Member,
        changes: &WriteSet,
        document: &DocKey,
        operations: &[Op],
    ) -> Result<(), CommitError> {
        let Some(mut draft) = self.draft(member, document)? else {
            return Err(conflict(format!("{} is gone", name(document))));
        };
        let of_the_store = |operation| apply::path_of(operation).root() == own::FIELD;
        if operations.iter().any(of_the_store) {
            return Err(reserved());
        }
        let as_read = || self.is_as_read(changes, document);
        if apply::change(document, &mut draft, operations, as_read)? {
            self.check_size(document, &draft)?;
            member.drafts.insert(document.clone(), Some(draft));
        }
        Ok(())
    }

    /// The limit is for the document with what the store adds.
    fn check_size(&self, document: &DocKey, draft: &Draft) -> Result<(), CommitError> {
        if draft.size_at_most() + ROOM <= apply::LARGEST {
            return Ok(());
        }
        let collection = self.schema.collection(&document.collection)?;
        let body = draft.to_raw();
        let whole = own::whole(collection, draft, &body, 0, 0)
            .and_then(|own| Ok(own::join(&body, &own)?))
            .map_err(|error| damaged(document, error))?;
        if whole.as_bytes().len() > apply::LARGEST {
            return Err(apply::too_large(document));
        }
        Ok(())
    }

    /// Is the document as the handler read it, or did it not look?
    fn is_as_read(&self, changes: &WriteSet, document: &DocKey) -> bool {
        let mut reads = changes
            .documents
            .iter()
            .filter(|read| read.document == *document);
        let held = self.held.get(document);
        reads.all(|read| {
            held.is_some_and(|held| {
                let before = held.before.as_ref().map(|before| before.revision);
                !held.dirty && before == read.revision
            })
        })
    }

    fn remove(&self, member: &mut Member, document: &DocKey) -> Result<(), CommitError> {
        if self.draft(member, document)?.is_none() {
            return Err(conflict(format!("{} is gone", name(document))));
        }
        member.drafts.insert(document.clone(), None);
        Ok(())
    }

    /// Works out who has which key after the member, and refuses what somebody else has.
    async fn check_uniqueness(&mut self, member: &mut Member) -> Result<(), Trouble> {
        let mut gained: Vec<(DocKey, Arc<Collection>, usize, KeyDigest)> = Vec::new();
        for (document, draft) in &member.drafts {
            let Some(held) = self.held.get(document) else {
                continue;
            };
            for (number, key) in held.collection.keys.iter().enumerate() {
                let value = |draft: &Option<Draft>| match draft {
                    Some(draft) => {
                        own::key_of(draft, &key.spec).map_err(|error| damaged(document, error))
                    }
                    None => Ok(None),
                };
                let (old, new) = (value(&held.draft)?, value(draft)?);
                if old == new {
                    continue;
                }
                let place = |digest| (document.collection.clone(), digest);
                if let Some(old) = old {
                    member.lost.push((place(old), document.id));
                }
                if let Some(new) = new {
                    member.gained.push((place(new), document.id));
                    let collection = Arc::clone(&held.collection);
                    gained.push((document.clone(), collection, number, new));
                }
            }
        }
        // What a member changed before this one was looked up then: what is looked up now, nobody has touched yet.
        let places = member.gained.iter().chain(&member.lost);
        let unknown: BTreeSet<Place> = places
            .map(|(place, _)| place.clone())
            .filter(|place| !self.holders.contains_key(place))
            .collect();
        self.look_up(unknown).await?;
        for (document, collection, number, digest) in gained {
            let Some(key) = collection.keys.get(number).filter(|key| key.enforced) else {
                continue;
            };
            let place = (document.collection.clone(), digest);
            let mut holders = self.holders.get(&place).cloned().unwrap_or_default();
            for (lost, id) in &member.lost {
                if *lost == place {
                    holders.remove(id);
                }
            }
            for (gained, id) in &member.gained {
                if *gained == place {
                    holders.insert(*id);
                }
            }
            if let Some(holder) = holders.into_iter().find(|holder| *holder != document.id) {
                let key = key_shown(member, &document, &collection, key)?;
                return Err(CommitError::Duplicate { key, holder }.into());
            }
        }
        Ok(())
    }
}

fn reserved() -> CommitError {
    CommitError::Impossible(format!("`{}` belongs to the store", own::FIELD))
}

fn key_shown(
    member: &Member,
    document: &DocKey,
    collection: &Collection,
    key: &UniqueKey,
) -> Result<KeyValue, CommitError> {
    let mut parts = Vec::new();
    if let Some(Some(draft)) = member.drafts.get(document) {
        for field in &key.spec.fields {
            let value = draft.get(field).map_err(|error| damaged(document, error))?;
            parts.push((field.clone(), value.unwrap_or(Bson::Null)));
        }
    }
    Ok(KeyValue {
        collection: collection.name.clone(),
        parts,
    })
}
