//! Users, roles, keys and what they allow: permissions, source and TLP restriction (rule S1), cleaning for the reader.
//!
//! Never sees HTTP. Credentials never leave this module: a [`Caller`] carries none.
//!
//! ```text
//! rights        flags and sources of a user; rule S1
//! catalogue     the flags that exist
//! roles users   administrative changes, as the command line makes them
//! keys          API keys: made, kept as a hash, checked
//! passwords     passwords in the original's form
//! clean         a document as its reader may see it
//! records       how administrative records are read and changed safely while a server runs
//! collections   the administrative collections
//! subscriptions who is told of changes
//! ```

pub mod catalogue;
mod clearance;
mod collections;
pub mod keys;
pub mod passwords;
pub(crate) mod records;
pub mod rights;
pub mod roles;
mod subscriptions;
#[cfg(test)]
mod tests;
pub mod users;

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use bson::{Bson, Document};
use parking_lot::Mutex;

pub use clearance::{Clearance, Cleared, Collections, Learned, OfVisible, Sight, TooManyPartners};
pub use collections::specifications;
pub(crate) use collections::{CONFIG, SERVICES, SETTINGS, SOURCES, SUFFIX_LISTS};
pub use records::{AdminError, AdminResult};
pub use rights::{Rights, SourceRights};
pub use subscriptions::{Change, Subscription};

use crate::store::{ClassId, ClassSet, Store, StoreError, Visible};
use clearance::Instances;
use keys::Key;
use subscriptions::Subscriptions;
use users::UserView;

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

/// A user with keys, as of one administrative revision.
struct Account {
    /// For keys without restriction, and for sessions.
    full: Arc<Caller>,
    /// For keys that may only read.
    read_only: Arc<Caller>,
    active: bool,
    keys: Vec<Key>,
}

/// Everything that requests need of the administrative collections, as of one revision.
struct Snapshot {
    revision: u64,
    accounts: HashMap<String, Account>,
    subscriptions: Subscriptions,
    instances: Instances,
    /// Rule S22.
    enforces_field_flags: bool,
}

/// The visible classes worked out for some rights.
struct VisibleSet {
    /// Keeps the address, which is the key of the cache, from being used again.
    _rights: Arc<Rights>,
    /// Classes below this number have been looked at.
    known: usize,
    set: Arc<ClassSet>,
}

/// The access rules over a store.
pub struct Access {
    store: Arc<dyn Store>,
    snapshot: ArcSwapOption<Snapshot>,
    loading: tokio::sync::Mutex<()>,
    visible: Mutex<HashMap<usize, VisibleSet>>,
    decoy: Vec<Key>,
}

/// So many different rights are remembered at once; then the cache begins anew.
const MOST_VISIBLE_SETS: usize = 4_096;

impl Access {
    /// Access rules over a store whose administrative collections are declared.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            snapshot: ArcSwapOption::empty(),
            loading: tokio::sync::Mutex::new(()),
            visible: Mutex::new(HashMap::new()),
            decoy: vec![Key::decoy()],
        }
    }

    /// Rule K10: what is cached is used only as long as no process has changed a user, role, source or setting.
    async fn snapshot(&self) -> Result<Arc<Snapshot>, StoreError> {
        let fresh = |revision: u64| {
            self.snapshot
                .load_full()
                .filter(|snapshot| snapshot.revision == revision)
        };
        if let Some(snapshot) = fresh(self.store.administrative_revision().await?) {
            return Ok(snapshot);
        }
        let _one_at_a_time = self.loading.lock().await;
        // The revision is read before the records: a change in between makes the next request load again.
        let revision = self.store.administrative_revision().await?;
        if let Some(snapshot) = fresh(revision) {
            return Ok(snapshot);
        }
        let snapshot = Arc::new(self.load(revision).await?);
        self.snapshot.store(Some(Arc::clone(&snapshot)));
        self.visible.lock().clear();
        Ok(snapshot)
    }

    async fn load(&self, revision: u64) -> Result<Snapshot, StoreError> {
        let store = self.store.as_ref();
        let roles = roles::by_name(records::all(store, collections::ROLES).await?);
        let register: BTreeSet<String> = records::all(store, SOURCES)
            .await?
            .iter()
            .filter_map(|source| source.get_str("name").ok())
            .map(str::to_owned)
            .collect();
        let mut united: HashMap<BTreeSet<String>, Arc<Rights>> = HashMap::new();
        let (mut accounts, mut subscriptions) = (HashMap::new(), Subscriptions::default());
        for user in records::all(store, collections::USERS)
            .await?
            .iter()
            .filter_map(UserView::read)
        {
            let held: BTreeSet<String> = user.roles.into_iter().collect();
            let rights = Arc::clone(
                united
                    .entry(held)
                    .or_insert_with_key(|held| roles::unite(held, &roles, &register)),
            );
            let full = Caller {
                user: user.name.clone(),
                organization: user.organization,
                rights,
                read_only: false,
            };
            let read_only = Arc::new(Caller {
                read_only: true,
                ..full.clone()
            });
            // Of several users with one name the oldest counts (documents 6.1 A4).
            let Entry::Vacant(vacant) = accounts.entry(user.name) else {
                continue;
            };
            let full = Arc::new(full);
            if user.active {
                subscriptions.add(&full, user.subscriptions);
            }
            vacant.insert(Account {
                full,
                read_only,
                active: user.active,
                keys: user.keys,
            });
        }
        let settings = records::all(store, SETTINGS).await?;
        let is_on = |name: &str| {
            settings.iter().any(|setting: &Document| {
                records::has_text(setting, "name", name)
                    && setting.get("value") == Some(&Bson::Boolean(true))
            })
        };
        let instances = if is_on("hide_unreadable_instances") {
            Instances::Readable
        } else {
            Instances::All
        };
        Ok(Snapshot {
            revision,
            accounts,
            subscriptions,
            instances,
            enforces_field_flags: is_on("enforce_field_read_flags"),
        })
    }

    /// Who has this name and key, coming from this address? None for every failure alike (rules A8, A9); takes as long
    /// whether or not the user exists.
    ///
    /// # Errors
    ///
    /// Only the store's.
    pub async fn authenticate(
        &self,
        user: &str,
        key: &str,
        peer: Option<IpAddr>,
    ) -> Result<Option<Arc<Caller>>, StoreError> {
        let snapshot = self.snapshot().await?;
        let account = snapshot.accounts.get(user);
        let keys = account.map_or(&self.decoy, |account| {
            if account.keys.is_empty() {
                &self.decoy
            } else {
                &account.keys
            }
        });
        let matching = keys::matching(keys, key, records::now(), peer);
        let (Some(account), Some(key)) = (account, matching) else {
            return Ok(None);
        };
        if !account.active || !account.full.rights.may("api_interface") {
            return Ok(None);
        }
        Ok(Some(Arc::clone(if key.read_only {
            &account.read_only
        } else {
            &account.full
        })))
    }

    /// The user of a browser session, if the session still counts (rule A12): the user is active and may use the API
    /// or the web interface.
    ///
    /// # Errors
    ///
    /// Only the store's.
    pub async fn session_caller(&self, user: &str) -> Result<Option<Arc<Caller>>, StoreError> {
        let snapshot = self.snapshot().await?;
        let account = snapshot.accounts.get(user).filter(|account| account.active);
        Ok(account
            .map(|account| Arc::clone(&account.full))
            .filter(|caller| {
                caller.rights.may("api_interface") || caller.rights.may("web_interface")
            }))
    }

    /// An active user in whose name the server itself acts: a service that the user has started (rule SVC-15).
    ///
    /// # Errors
    ///
    /// Only the store's.
    pub async fn acting_for(&self, user: &str) -> Result<Option<Arc<Caller>>, StoreError> {
        let snapshot = self.snapshot().await?;
        let account = snapshot.accounts.get(user).filter(|account| account.active);
        Ok(account.map(|account| Arc::clone(&account.full)))
    }

    /// Has anybody subscribed to anything? As of the last request that was authenticated.
    #[must_use]
    pub fn has_subscribers(&self) -> bool {
        let snapshot = self.snapshot.load();
        let all = snapshot.as_ref().map(|all| &all.subscriptions);
        all.is_some_and(|all| !all.is_empty())
    }

    /// The users who are to be told of a change (rule ACT-16): those who have subscribed to the object or to one of its
    /// sources, and may see it. As of the last request that was authenticated.
    #[must_use]
    pub fn subscribers(&self, change: &Change<'_>) -> BTreeSet<String> {
        let snapshot = self.snapshot.load();
        snapshot
            .as_ref()
            .map(|snapshot| snapshot.subscriptions.of(change))
            .unwrap_or_default()
    }

    /// Of these users those who may see the object of a change that somebody else has made.
    #[must_use]
    pub fn who_may_see(&self, names: Vec<String>, change: &Change<'_>) -> BTreeSet<String> {
        let snapshot = self.snapshot.load();
        let may_see = |name: &String| {
            let account = snapshot.as_ref().and_then(|all| all.accounts.get(name));
            account.is_some_and(|account| account.active && change.is_told(&account.full))
        };
        names.into_iter().filter(may_see).collect()
    }

    /// Is there a user of this name, active or not?
    ///
    /// # Errors
    ///
    /// Only the store's.
    pub async fn has_user(&self, name: &str) -> Result<bool, StoreError> {
        Ok(self.snapshot().await?.accounts.contains_key(name))
    }

    /// What the caller may see of a collection with (`classed`) or without sources. Classes that come to be later are
    /// not in the answer.
    pub fn visible(&self, caller: &Caller, classed: bool) -> Visible {
        if !classed {
            return Visible::All;
        }
        let table = self.store.classes();
        let address = Arc::as_ptr(&caller.rights).addr();
        let mut cache = self.visible.lock();
        if cache.len() >= MOST_VISIBLE_SETS && !cache.contains_key(&address) {
            cache.clear();
        }
        let entry = cache.entry(address).or_insert_with(|| VisibleSet {
            _rights: Arc::clone(&caller.rights),
            known: 0,
            set: Arc::default(),
        });
        if entry.known < table.classes.len() {
            let set = Arc::make_mut(&mut entry.set);
            for (number, pairs) in table.classes.iter().enumerate().skip(entry.known) {
                if let (true, Ok(class)) = (caller.rights.sees(pairs), ClassId::try_from(number)) {
                    set.insert(class);
                }
            }
            entry.known = table.classes.len();
        }
        Visible::Classes(Arc::clone(&entry.set))
    }

    /// What this caller may see of documents of a type (rules C1 to C7, S4, S22). A relationship to a type that is not
    /// among `collections` is hidden, since nobody can say who may see it.
    ///
    /// # Errors
    ///
    /// Only the store's.
    pub async fn clearance(
        &self,
        caller: &Caller,
        type_name: &str,
        collections: &Arc<Collections>,
    ) -> Result<Clearance, StoreError> {
        let snapshot = self.snapshot().await?;
        let mut emptied = Vec::new();
        if snapshot.enforces_field_flags {
            for (list, flag) in clearance::FIELD_FLAGS {
                let flag = format!("{type_name}.{flag}");
                if catalogue::known(&flag) == catalogue::Known::Yes && !caller.rights.may(&flag) {
                    emptied.push(*list);
                }
            }
        }
        Ok(Clearance::new(
            Arc::clone(&caller.rights),
            snapshot.instances,
            emptied,
            Arc::clone(collections),
            self.visible(caller, true),
        ))
    }
}
