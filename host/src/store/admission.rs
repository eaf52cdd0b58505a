//! Several write sets on their way into one commit, as far as it is the same whatever the engine.
//!
//! Documents that members touch are held as drafts: later members see what earlier ones did, and a document that many
//! members change is read once and written once. A member works on copies, which become the group's when all of it went
//! well; so a member that conflicts leaves no trace.
//!
//! An engine holds ([`Documents::hold`]) whatever a member names before it asks for anything here.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bson::oid::ObjectId;
use bson::{Bson, RawDocumentBuf};

use super::apply::{self, conflict, damaged, name};
use super::draft::Draft;
use super::path::FieldPath;
use super::write::{CommitError, DocKey, DocRead, SelectRead, Write, WriteSet};
use super::{KeyValue, StoreError};

/// A document as the group has it. `C` is what the engine knows of its collection, `R` of where it is.
pub(crate) struct Held<C, R> {
    pub(crate) collection: Arc<C>,
    /// As it was before the group; none: it did not exist.
    pub(crate) before: Option<Before<R>>,
    /// As it is now.
    pub(crate) draft: Option<Draft>,
    /// Has a member changed it?
    pub(crate) dirty: bool,
}

/// A stored document.
#[derive(Clone)]
pub(crate) struct Before<R> {
    pub(crate) place: R,
    pub(crate) revision: u64,
    pub(crate) body: Arc<RawDocumentBuf>,
}

impl<C, R> Held<C, R> {
    pub(crate) fn new(collection: Arc<C>, before: Option<Before<R>>) -> Self {
        Self {
            collection,
            draft: before
                .as_ref()
                .map(|before| Draft::stored(Arc::clone(&before.body))),
            before,
            dirty: false,
        }
    }

    fn revision(&self) -> Option<u64> {
        self.before.as_ref().map(|before| before.revision)
    }
}

/// What one member makes of documents; none: removed.
pub(crate) type Drafts = BTreeMap<DocKey, Option<Draft>>;

/// All documents of a group.
pub(crate) struct Documents<C, R>(HashMap<DocKey, Held<C, R>>);

impl<C, R> Default for Documents<C, R> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<C, R> Documents<C, R> {
    pub(crate) fn hold(&mut self, document: DocKey, held: Held<C, R>) {
        self.0.insert(document, held);
    }

    pub(crate) fn get(&self, document: &DocKey) -> Option<&Held<C, R>> {
        self.0.get(document)
    }

    /// Those that a member has changed.
    pub(crate) fn changed(&self) -> impl Iterator<Item = (&DocKey, &Held<C, R>)> {
        self.0.iter().filter(|(_, held)| held.dirty)
    }

    fn held(&self, document: &DocKey) -> Result<&Held<C, R>, CommitError> {
        self.get(document).ok_or_else(|| {
            CommitError::Store(StoreError::Engine(format!(
                "{} was not read",
                name(document)
            )))
        })
    }

    /// Does what a member has read of a document still hold?
    ///
    /// # Errors
    ///
    /// [`CommitError::Conflict`] if not.
    pub(crate) fn check(&self, read: &DocRead) -> Result<(), CommitError> {
        let held = self.held(&read.document)?;
        let (draft, revision) = match (&held.draft, read.revision) {
            (None, None) => return Ok(()),
            (Some(draft), Some(revision)) => (draft, revision),
            (None, Some(_)) => return Err(gone(&read.document)),
            (Some(_), None) => {
                return Err(conflict(format!(
                    "{} has come into being",
                    name(&read.document)
                )));
            }
        };
        if !held.dirty && held.revision() == Some(revision) {
            return Ok(());
        }
        match read.broken_by(draft) {
            Ok(None) => Ok(()),
            Ok(Some(path)) => Err(conflict(format!("`{path}` of {}", name(&read.document)))),
            Err(error) => Err(damaged(&read.document, error).into()),
        }
    }

    fn changed_in<'a>(
        &'a self,
        collection: &'a str,
    ) -> impl Iterator<Item = (&'a DocKey, &'a Held<C, R>)> {
        self.changed()
            .filter(move |(document, _)| document.collection == collection)
    }

    /// How many documents that meet a member's condition the engine has to look for: some of them may not meet it any
    /// more.
    pub(crate) fn room_for(&self, read: &SelectRead) -> u32 {
        let changed = self.changed_in(&read.collection).count();
        read.limit
            .saturating_add(u32::try_from(changed).unwrap_or(u32::MAX))
    }

    /// Do the same documents meet a member's condition? `stored`: those that did before the group.
    ///
    /// # Errors
    ///
    /// [`CommitError::Conflict`] if not.
    pub(crate) fn check_selection(
        &self,
        read: &SelectRead,
        stored: Vec<ObjectId>,
    ) -> Result<(), CommitError> {
        let mut found: BTreeSet<ObjectId> = stored.into_iter().collect();
        for (document, held) in self.changed_in(&read.collection) {
            let meets = match &held.draft {
                Some(draft) if read.after.is_none_or(|after| document.id > after) => draft
                    .matches(&read.filter)
                    .map_err(|error| damaged(document, error))?,
                _ => false,
            };
            if meets {
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

    /// Does what a member writes, on copies. `allows` may refuse a document as it would be.
    ///
    /// # Errors
    ///
    /// [`CommitError::Conflict`] or [`CommitError::Impossible`].
    pub(crate) fn write(
        &self,
        changes: &WriteSet,
        allows: impl Fn(&DocKey, &Draft) -> Result<(), CommitError>,
    ) -> Result<Drafts, CommitError> {
        let mut drafts = Drafts::new();
        for write in &changes.writes {
            let (document, draft) = match write {
                Write::Insert { collection, body } => {
                    self.is_free(&drafts, &apply::inserted(collection, body)?)?;
                    let (document, draft) = apply::fresh(collection, body)?;
                    (document, Some(draft))
                }
                Write::Make { document, body } => {
                    self.is_free(&drafts, document)?;
                    let draft = Draft::stored(Arc::clone(body));
                    apply::check_size(document, &draft)?;
                    (document.clone(), Some(draft))
                }
                Write::Copy { collection, body } => {
                    self.is_free(&drafts, &apply::copied_key(collection, body)?)?;
                    let (document, draft) = apply::copied(collection, body)?;
                    (document, Some(draft))
                }
                Write::Change {
                    document,
                    operations,
                } => {
                    let Some(mut draft) = self.draft(&drafts, document)? else {
                        return Err(gone(document));
                    };
                    let as_read = || self.is_as_read(changes, document);
                    if !apply::change(document, &mut draft, operations, as_read)? {
                        continue;
                    }
                    (document.clone(), Some(draft))
                }
                Write::Remove { document } => {
                    if self.draft(&drafts, document)?.is_none() {
                        return Err(gone(document));
                    }
                    (document.clone(), None)
                }
            };
            if let Some(draft) = &draft {
                allows(&document, draft)?;
            }
            drafts.insert(document, draft);
        }
        Ok(drafts)
    }

    fn is_free(&self, drafts: &Drafts, document: &DocKey) -> Result<(), CommitError> {
        match self.draft(drafts, document)? {
            Some(_) => Err(conflict(format!("{} exists already", name(document)))),
            None => Ok(()),
        }
    }

    /// The member's copy of a document.
    fn draft(&self, drafts: &Drafts, document: &DocKey) -> Result<Option<Draft>, CommitError> {
        match drafts.get(document) {
            Some(draft) => Ok(draft.clone()),
            None => Ok(self.held(document)?.draft.clone()),
        }
    }

    /// Is the document as the handler read it, or did it not look?
    fn is_as_read(&self, changes: &WriteSet, document: &DocKey) -> bool {
        let mut reads = changes
            .documents
            .iter()
            .filter(|read| read.document == *document);
        let held = self.get(document);
        reads.all(|read| held.is_some_and(|held| !held.dirty && held.revision() == read.revision))
    }

    /// Takes over what a member made.
    pub(crate) fn accept(&mut self, drafts: Drafts) {
        for (document, draft) in drafts {
            if let Some(held) = self.0.get_mut(&document) {
                held.draft = draft;
                held.dirty = true;
            }
        }
    }
}

/// Documents that a write set names, so that they can be held.
pub(crate) fn named(changes: &WriteSet) -> impl Iterator<Item = DocKey> {
    let read = changes.documents.iter().map(|read| read.document.clone());
    let written = changes.writes.iter().filter_map(|write| match write {
        Write::Insert { collection, body } => apply::inserted(collection, body).ok(),
        Write::Copy { collection, body } => apply::copied_key(collection, body).ok(),
        Write::Make { document, .. }
        | Write::Change { document, .. }
        | Write::Remove { document } => Some(document.clone()),
    });
    read.chain(written)
}

/// The values of a unique key in a member's copy, for the error that names its holder.
///
/// # Errors
///
/// The document can't be read.
pub(crate) fn key_shown(
    drafts: &Drafts,
    document: &DocKey,
    fields: &[FieldPath],
) -> Result<KeyValue, CommitError> {
    let mut parts = Vec::new();
    if let Some(Some(draft)) = drafts.get(document) {
        for field in fields {
            let value = draft.get(field).map_err(|error| damaged(document, error))?;
            parts.push((field.clone(), value.unwrap_or(Bson::Null)));
        }
    }
    Ok(KeyValue {
        collection: document.collection.clone(),
        parts,
    })
}

/// Somebody else has a key whose holder a member has looked up.
pub(crate) fn key_moved(key: &KeyValue) -> CommitError {
    conflict(format!(
        "who has the key ({}) in `{}`",
        apply::describe(key),
        key.collection
    ))
}

fn gone(document: &DocKey) -> CommitError {
    conflict(format!("{} is gone", name(document)))
}
