//! Users, roles, keys and what they allow: permissions, source and TLP restriction (rule S1), cleaning for the reader.
//!
//! Never sees HTTP. Credentials never leave this module: a [`Caller`] carries none.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use bson::{Document, RawDocument};

use crate::store::class::Pairs;
use crate::store::{Store, StoreError, Visible};

/// Rights on one source, united over all active roles of a user (rules R7, R8).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SourceRights {
    /// `read`.
    pub read: bool,
    /// `write`: may add things under this source (rule S6).
    pub write: bool,
    /// `tlp_red`.
    pub red: bool,
    /// `tlp_amber`.
    pub amber: bool,
    /// `tlp_green`.
    pub green: bool,
}

/// What a user may do: the union of the user's active roles.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights {
    /// Flags that are on: `api_interface`, `Event.tickets_add`.
    pub flags: BTreeSet<String>,
    /// Sources by name, whatever their flags.
    pub sources: BTreeMap<String, SourceRights>,
}

impl Rights {
    /// Is this flag on? `flag` or `Type.flag` (rule R5).
    #[must_use]
    pub fn may(&self, flag: &str) -> bool {
        self.flags.contains(flag)
    }

    /// May things be added under this source (rule S6)?
    #[must_use]
    pub fn may_write(&self, source: &str) -> bool {
        self.sources.get(source).is_some_and(|rights| rights.write)
    }

    /// Rule S1, the one function for it: may a document with these (source, TLP) pairs be seen?
    #[must_use]
    pub fn sees(&self, pairs: &Pairs) -> bool {
        let _ = pairs;
        todo!()
    }
}

/// An authenticated user.
#[derive(Debug, Clone)]
pub struct Caller {
    /// User name.
    pub user: String,
    /// Organisation of the user.
    pub organization: String,
    /// What the user may do.
    pub rights: Arc<Rights>,
    /// The key that was used may only read.
    pub read_only: bool,
}

/// The access rules over a store.
pub struct Access {
    store: Arc<dyn Store>,
    // caches, valid for one administrative revision
}

impl Access {
    /// Access rules over a store whose administrative collections are declared.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Who has this name and key, coming from this address? None for every failure alike (rules A8, A9); takes as long
    /// whether or not the user exists.
    ///
    /// # Errors
    ///
    /// Only the store's.
    pub async fn authenticate(&self, user: &str, key: &str, peer: Option<IpAddr>) -> Result<Option<Arc<Caller>>, StoreError> {
        let _ = (&self.store, user, key, peer);
        todo!()
    }

    /// What the caller may see of a collection with (`classed`) or without sources.
    pub fn visible(&self, caller: &Caller, classed: bool) -> Visible {
        let _ = (caller, classed);
        todo!()
    }

    /// Rules C1 to C7 on a page: copies of the documents as this caller may read them. Partners of relationships are
    /// checked for the whole page in one query (rule C5). `collections`: type name → (collection, classed), to find partners.
    ///
    /// # Errors
    ///
    /// Only the store's. A document that can't be decoded is rendered as far as it can be and logged (rule J10).
    pub async fn clean(&self, caller: &Caller, documents: &[&RawDocument], collections: &BTreeMap<String, (String, bool)>) -> Result<Vec<Document>, StoreError> {
        let _ = (caller, documents, collections);
        todo!()
    }
}
