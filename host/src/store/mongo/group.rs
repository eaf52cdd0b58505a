//! Several write sets on their way into one transaction.
//!
//! What it has in common with the embedded store is in `admission`. What members need is read beforehand, with few
//! queries for all of them.
//!
//! The server notices when two transactions write the same document, and nothing else. So whatever a member that writes
//! has only *read* is written too, by its guard (`flush`): documents, unique keys, absent ids, selections.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use bson::oid::ObjectId;
use bson::{Bson, Document, doc};
use mongodb::ClientSession;

use super::Shared;
use super::errors::Trouble;
use super::list::{Look, stored};
use super::own::{self, KeyDigest};
use super::schema::{Collection, Schema};
use crate::store::admission::{self, Before, Documents, Drafts};
use crate::store::apply::{self, damaged};
use crate::store::draft::Draft;
use crate::store::write::{CommitError, DocKey, KeyRead, Write, WriteSet};
use crate::store::{FieldPath, Result, StoreError};

/// Ids in one query.
const MANY: usize = 1_000;

/// Bytes below the limit of a document, from which on it is looked at what the store adds to it.
const ROOM: usize = 1 << 20;

/// A document as the group has it.
pub(super) type Held = admission::Held<Collection, ()>;

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
    pub(super) documents: Documents<Collection, ()>,
    /// Who has which key, as far as anybody asked, after the members so far.
    holders: HashMap<Place, BTreeSet<ObjectId>>,
    pub(super) guards: Guards,
    /// Keys that have changed hands.
    pub(super) moved_keys: BTreeSet<Place>,
}

/// What one member makes of the unique keys.
#[derive(Default)]
struct Moves {
    lost: Vec<(Place, ObjectId)>,
    gained: Vec<(Place, ObjectId)>,
}

impl<'a> Group<'a> {
    pub(super) fn new(shared: &'a Shared, session: &'a mut ClientSession) -> Self {
        Self {
            look: Look { shared, session },
            schema: Arc::clone(&shared.schema.read()),
            documents: Documents::default(),
            holders: HashMap::new(),
            guards: Guards::default(),
            moved_keys: BTreeSet::new(),
        }
    }

    /// Has any member changed anything?
    pub(super) fn is_dirty(&self) -> bool {
        self.documents.changed().next().is_some()
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
        for document in admission::named(changes) {
            self.schema.collection(&document.collection)?;
        }
        for read in &changes.documents {
            self.documents.check(read)?;
        }
        for read in &changes.keys {
            self.check_key(read)?;
        }
        for read in &changes.selections {
            let collection = self.schema.collection(&read.collection)?.clone();
            let room = self.documents.room_for(read);
            let found = self
                .look
                .select(&collection, &read.filter, read.after, room)
                .await?;
            self.documents.check_selection(read, found)?;
        }
        let drafts = self
            .documents
            .write(changes, |document, draft| self.allows(document, draft))?;
        let moves = self.check_uniqueness(&drafts).await?;
        self.accept(drafts, moves, changes);
        Ok(())
    }

    fn accept(&mut self, drafts: Drafts, moves: Moves, changes: &WriteSet) {
        if !drafts.is_empty() {
            self.guard(changes);
        }
        self.documents.accept(drafts);
        for (place, id) in moves.lost {
            if let Some(holders) = self.holders.get_mut(&place) {
                holders.remove(&id);
            }
            self.moved_keys.insert(place);
        }
        for (place, id) in moves.gained {
            self.holders.entry(place.clone()).or_default().insert(id);
            self.moved_keys.insert(place);
        }
    }

    /// Notes what a member that writes has read.
    fn guard(&mut self, changes: &WriteSet) {
        let read = changes.documents.iter().map(|read| &read.document);
        let met = changes.writes.iter().filter_map(|write| match write {
            Write::Change { document, .. } => Some(document),
            Write::Insert { .. }
            | Write::Make { .. }
            | Write::Copy { .. }
            | Write::Remove { .. } => None,
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
        for document in changes.iter().flat_map(admission::named) {
            wanted
                .entry(document.collection)
                .or_default()
                .insert(document.id);
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
            self.documents
                .hold(document, Held::new(Arc::clone(collection), None));
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
            let before = Before {
                place: (),
                revision: found.revision,
                body: found.body,
            };
            self.documents
                .hold(document, Held::new(Arc::clone(collection), Some(before)));
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
                    Write::Make { document, body } => {
                        (&document.collection, Ok(Draft::stored(Arc::clone(body))))
                    }
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
        Err(admission::key_moved(&read.key))
    }

    /// May the document be stored as a member would have it?
    fn allows(&self, document: &DocKey, draft: &Draft) -> Result<(), CommitError> {
        let own = draft.get(&FieldPath::literal(own::FIELD));
        if own.map_err(|error| damaged(document, error))?.is_some() {
            return Err(CommitError::Impossible(format!(
                "`{}` belongs to the store",
                own::FIELD
            )));
        }
        self.check_size(document, draft)
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

    /// Works out who has which key after the member, and refuses what somebody else has.
    async fn check_uniqueness(&mut self, drafts: &Drafts) -> Result<Moves, Trouble> {
        let mut moves = Moves::default();
        let mut gained: Vec<(DocKey, Arc<Collection>, usize, KeyDigest)> = Vec::new();
        for (document, draft) in drafts {
            let Some(held) = self.documents.get(document) else {
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
                    moves.lost.push((place(old), document.id));
                }
                if let Some(new) = new {
                    moves.gained.push((place(new), document.id));
                    let collection = Arc::clone(&held.collection);
                    gained.push((document.clone(), collection, number, new));
                }
            }
        }
        // What a member changed before this one was looked up then: what is looked up now, nobody has touched yet.
        let places = moves.gained.iter().chain(&moves.lost);
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
            for (lost, id) in &moves.lost {
                if *lost == place {
                    holders.remove(id);
                }
            }
            for (gained, id) in &moves.gained {
                if *gained == place {
                    holders.insert(*id);
                }
            }
            if let Some(holder) = holders.into_iter().find(|holder| *holder != document.id) {
                let key = admission::key_shown(drafts, &document, &key.spec.fields)?;
                return Err(CommitError::Duplicate { key, holder }.into());
            }
        }
        Ok(moves)
    }
}
