//! Database-managed sets (sources, identifier types, …), the public suffix list and the server's settings.
//!
//! ```text
//! seeds      what a fresh store holds
//! hosts      host names, registrable domains
//! settings   names, kinds and defaults of the settings
//! ```

pub mod hosts;
mod seeds;
pub mod settings;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use bson::oid::ObjectId;
use bson::{Bson, DateTime, doc};

use crate::access::records::{self, AdminError, AdminResult};
use crate::access::{CONFIG, SETTINGS, SOURCES, SUFFIX_LISTS};
use crate::dates::Zones;
use crate::store::{FieldPath, KeyRead, Op, Store, StoreError, Write};
use crate::vocabulary;
use hosts::{SuffixList, SuffixRules};

/// Where types of actions are kept.
const ACTION_TYPES: &str = "idb_actions";

/// A database-managed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Register {
    /// Sources, `source_access`.
    Source,
    /// Types of actor identifiers.
    IdentifierType,
    /// Types of raw data.
    RawDataType,
    /// Types of signatures.
    SignatureType,
    /// What signatures depend on.
    SignatureDependency,
    /// Types of actions.
    ActionType,
    /// Sectors: the closed set of the vocabulary.
    Sector,
    /// Countries.
    Location,
}

impl Register {
    /// All registers.
    pub const ALL: [Self; 8] = [
        Self::Source,
        Self::IdentifierType,
        Self::RawDataType,
        Self::SignatureType,
        Self::SignatureDependency,
        Self::ActionType,
        Self::Sector,
        Self::Location,
    ];

    /// As plugins and the command line name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::IdentifierType => "identifier-type",
            Self::RawDataType => "raw-data-type",
            Self::SignatureType => "signature-type",
            Self::SignatureDependency => "signature-dependency",
            Self::ActionType => "action-type",
            Self::Sector => "sector",
            Self::Location => "location",
        }
    }

    /// By its name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|register| register.name() == name)
    }

    /// The flag of those who may add to it by the API; none: it is the administrators' alone.
    #[must_use]
    pub fn flag(self) -> Option<&'static str> {
        match self {
            Self::IdentifierType => Some("add_new_actor_identifier_type"),
            Self::RawDataType => Some("add_new_raw_data_type"),
            Self::SignatureType => Some("add_new_signature_type"),
            Self::SignatureDependency => Some("add_new_signature_dependency"),
            Self::ActionType => Some("add_new_indicator_action"),
            Self::Source | Self::Sector | Self::Location => None,
        }
    }

    /// What adds an entry as part of a larger change; none for the closed set.
    pub(crate) fn insertion(self, id: ObjectId, name: &str) -> Option<(KeyRead, Write)> {
        let collection = self.collection()?;
        let mut body = seeds::entry(self, name);
        body.insert("_id", id);
        let key = KeyRead {
            key: records::key(collection, "name", name),
            holder: None,
        };
        let write = Write::Insert {
            collection: collection.to_owned(),
            body,
        };
        Some((key, write))
    }

    /// Where it is stored; none for the closed set.
    fn collection(self) -> Option<&'static str> {
        match self {
            Self::Source => Some(SOURCES),
            Self::IdentifierType => Some("actor_threat_identifiers"),
            Self::RawDataType => Some("raw_data_types"),
            Self::SignatureType => Some("signature_types"),
            Self::SignatureDependency => Some("signature_dependency"),
            Self::ActionType => Some(ACTION_TYPES),
            Self::Sector => None,
            Self::Location => Some("locations"),
        }
    }
}

/// Can this be the name of an entry?
///
/// # Errors
///
/// What it must be: not empty, no blanks around it, no control characters, at most 200 characters.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let legal = !name.is_empty()
        && name.trim() == name
        && !name.chars().any(char::is_control)
        && name.chars().count() <= 200;
    if legal {
        Ok(())
    } else {
        Err(format!(
            "{name:?} is not a name: 1 to 200 characters, no blanks around it"
        ))
    }
}

/// Everything that is kept in the store, as of one administrative revision.
struct Snapshot {
    revision: u64,
    entries: HashMap<Register, BTreeSet<String>>,
    action_types: BTreeMap<String, ActionType>,
    settings: BTreeMap<&'static str, String>,
    /// Settings whose value came from `config` of a taken-over database.
    from_config: BTreeSet<&'static str>,
    zones: Zones,
}

/// What the register says of a type of actions besides its name.
struct ActionType {
    is_active: bool,
    /// Types of objects that it is for; empty: all.
    object_types: Vec<String>,
}

impl ActionType {
    fn read(entry: &bson::Document) -> Self {
        let object_types = entry.get_array("object_types").ok();
        Self {
            is_active: entry.get_str("active").ok() != Some("off"),
            object_types: object_types
                .into_iter()
                .flatten()
                .filter_map(Bson::as_str)
                .map(str::to_owned)
                .collect(),
        }
    }

    fn is_for(&self, type_name: &str) -> bool {
        self.is_active
            && (self.object_types.is_empty() || self.object_types.iter().any(|of| of == type_name))
    }
}

/// The list in use and the revision of the document it came from.
#[derive(Default)]
struct Suffixes {
    list: SuffixList,
    document: Option<u64>,
}

/// Where the value of a setting comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// Set on this server.
    Set,
    /// Taken from the configuration of the original in a taken-over database.
    TakenOver,
}

/// A setting with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingValue {
    /// Which one.
    pub setting: &'static settings::Setting,
    /// As text; the value of a secret too.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// The settings as they were at one moment.
#[derive(Clone)]
pub struct Current(Arc<Snapshot>);

impl Current {
    /// A setting as text: what was set, else its default; none for unknown names.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        value_of(&self.0.settings, name)
    }

    /// The zones that `stored_timezone` and `display_timezone` name.
    #[must_use]
    pub fn zones(&self) -> &Zones {
        &self.0.zones
    }

    /// Is this switch on? False for unknown names and settings of other kinds.
    #[must_use]
    pub fn is_on(&self, name: &str) -> bool {
        self.text(name) == Some("true")
    }

    /// A setting of kind number; none for other kinds.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }
}

/// What was set, else the default.
fn value_of<'s>(set: &'s BTreeMap<&'static str, String>, name: &str) -> Option<&'s str> {
    let setting = settings::named(name)?;
    Some(
        set.get(setting.name)
            .map_or(setting.default, String::as_str),
    )
}

/// The registers of a store; cached for one administrative revision.
pub struct Registers {
    store: Arc<dyn Store>,
    snapshot: ArcSwapOption<Snapshot>,
    suffixes: ArcSwap<Suffixes>,
    loading: tokio::sync::Mutex<()>,
}

impl Registers {
    /// The registers of a store whose administrative collections are declared.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            snapshot: ArcSwapOption::empty(),
            suffixes: ArcSwap::default(),
            loading: tokio::sync::Mutex::new(()),
        }
    }

    /// Puts the default entries into empty registers.
    ///
    /// # Errors
    ///
    /// Only the store's.
    pub async fn seed(&self) -> AdminResult<()> {
        seeds::plant(self.store.as_ref()).await
    }

    /// Takes up what other processes have changed. Every other method does so by itself, except
    /// [`Registers::registrable_domain`] and [`Registers::zones`], which use what was known at the last refresh.
    ///
    /// # Errors
    ///
    /// Only the store's.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        self.snapshot().await.map(|_| ())
    }

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
        self.load_suffixes().await?;
        let snapshot = Arc::new(self.load(revision).await?);
        self.snapshot.store(Some(Arc::clone(&snapshot)));
        Ok(snapshot)
    }

    async fn load(&self, revision: u64) -> Result<Snapshot, StoreError> {
        let store = self.store.as_ref();
        let mut entries = HashMap::new();
        for register in Register::ALL {
            let names = match register.collection() {
                Some(collection) => records::all(store, collection)
                    .await?
                    .iter()
                    .filter_map(|entry| entry.get_str("name").ok())
                    .map(str::to_owned)
                    .collect(),
                None => vocabulary::values("Sectors")
                    .unwrap_or_default()
                    .iter()
                    .map(|name| (*name).to_owned())
                    .collect(),
            };
            entries.insert(register, names);
        }
        let action_types = records::all(store, ACTION_TYPES)
            .await?
            .iter()
            .filter_map(|entry| {
                Some((
                    entry.get_str("name").ok()?.to_owned(),
                    ActionType::read(entry),
                ))
            })
            .collect();
        let mut settings = BTreeMap::new();
        let mut from_config = BTreeSet::new();
        // The first document counts (documents 6.3).
        if let Some(config) = records::all(store, CONFIG).await?.first() {
            for setting in settings::SETTINGS {
                let name = setting.from_config;
                let stored = name.and_then(|name| config.get(name));
                let Some(value) = stored.and_then(settings::text) else {
                    continue;
                };
                match setting.parse(&value) {
                    Ok(_) => {
                        settings.insert(setting.name, value);
                        from_config.insert(setting.name);
                    }
                    Err(reason) => {
                        tracing::error!(%reason, "a setting of the database that was taken over can't be used; the default is");
                    }
                }
            }
        }
        for stored in records::all(store, SETTINGS).await? {
            let setting = stored.get_str("name").ok().and_then(settings::named);
            if let (Some(setting), Some(value)) =
                (setting, stored.get("value").and_then(settings::text))
            {
                settings.insert(setting.name, value);
                from_config.remove(setting.name);
            }
        }
        let text = |name| value_of(&settings, name).unwrap_or_default();
        let zones = Zones::named(text("stored_timezone"), text("display_timezone"));
        Ok(Snapshot {
            revision,
            entries,
            action_types,
            settings,
            from_config,
            zones,
        })
    }

    async fn load_suffixes(&self) -> Result<(), StoreError> {
        let stored = self
            .store
            .by_key(&records::key(SUFFIX_LISTS, "name", LOADED))
            .await?;
        let revision = stored.as_ref().map(|stored| stored.revision);
        if self.suffixes.load().document == revision {
            return Ok(());
        }
        let list = match stored
            .as_ref()
            .and_then(|stored| stored.body.get_str("text").ok())
        {
            None => SuffixList::BuiltIn,
            Some(text) => match SuffixRules::parse(text) {
                Ok(rules) => SuffixList::Loaded(rules),
                Err(reason) => {
                    tracing::error!(%reason, "the loaded public suffix list can't be used; the built-in one is");
                    SuffixList::BuiltIn
                }
            },
        };
        self.suffixes.store(Arc::new(Suffixes {
            list,
            document: revision,
        }));
        Ok(())
    }

    /// Is there such an entry? Registers: `source`, `identifier-type`, `raw-data-type`, `signature-type`,
    /// `signature-dependency`, `action-type`, `sector`, `location`. Unknown register: false. Exact, case included;
    /// `active` of an entry plays no part (vocabulary section 17).
    ///
    /// # Errors
    ///
    /// Only the store's.
    pub async fn has(&self, register: &str, name: &str) -> Result<bool, StoreError> {
        let Some(register) = Register::named(register) else {
            return Ok(false);
        };
        Ok(self
            .snapshot()
            .await?
            .entries
            .get(&register)
            .is_some_and(|names| names.contains(name)))
    }

    /// Is there a type of actions of this name that is in use and for objects of this type (rule action_add.4)?
    ///
    /// # Errors
    ///
    /// Only the store's.
    pub async fn has_action_type(&self, name: &str, of: &str) -> Result<bool, StoreError> {
        let snapshot = self.snapshot().await?;
        let found = snapshot.action_types.get(name);
        Ok(found.is_some_and(|action_type| action_type.is_for(of)))
    }

    /// At most 1,000 entries in alphabetic order after `after`.
    ///
    /// # Errors
    ///
    /// Only the store's.
    pub async fn entries(&self, register: &str, after: &str) -> Result<Vec<String>, StoreError> {
        let Some(register) = Register::named(register) else {
            return Ok(Vec::new());
        };
        let snapshot = self.snapshot().await?;
        let names = snapshot.entries.get(&register).into_iter().flatten();
        Ok(names
            .filter(|name| name.as_str() > after)
            .take(1_000)
            .cloned()
            .collect())
    }

    /// Adds an entry. False: it was there.
    ///
    /// # Errors
    ///
    /// Refused: not a name (empty, blanks around it, control characters, over 200 characters), or a closed set.
    pub async fn add(&self, register: Register, name: &str) -> AdminResult<bool> {
        check_name(name).map_err(AdminError::refused)?;
        let Some(collection) = register.collection() else {
            return Err(AdminError::refused(format!(
                "entries of `{}` are fixed",
                register.name()
            )));
        };
        records::insert(
            self.store.as_ref(),
            collection,
            "name",
            name,
            seeds::entry(register, name),
        )
        .await
    }

    /// Makes a file of publicsuffix.org the public suffix list. How many rules it has.
    ///
    /// # Errors
    ///
    /// Refused: it is not such a file; the list stays as it was.
    pub async fn load_suffix_file(&self, text: &str) -> AdminResult<usize> {
        let rules = SuffixRules::parse(text)
            .map_err(|reason| AdminError::refused(format!("not a public suffix list: {reason}")))?;
        let (loaded, count) = (
            DateTime::now(),
            i64::try_from(rules.len()).unwrap_or(i64::MAX),
        );
        let store = self.store.as_ref();
        let body = doc! { "name": LOADED, "text": text, "rules": count, "loaded": loaded };
        if !records::insert(store, SUFFIX_LISTS, "name", LOADED, body).await? {
            let set = |field: &'static str, value: Bson| Op::Set(FieldPath::literal(field), value);
            let operations = vec![
                set("text", text.into()),
                set("rules", count.into()),
                set("loaded", loaded.into()),
            ];
            records::change(store, SUFFIX_LISTS, "name", LOADED, |_| {
                Ok((operations.clone(), ()))
            })
            .await?;
        }
        Ok(rules.len())
    }

    /// A setting as text: what was set, else its default; none for unknown names.
    ///
    /// # Errors
    ///
    /// Only the store's.
    pub async fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        Ok(self.current().await?.text(name).map(str::to_owned))
    }

    /// All settings as they are now, to look several up in one request.
    ///
    /// # Errors
    ///
    /// Only the store's.
    pub async fn current(&self) -> Result<Current, StoreError> {
        Ok(Current(self.snapshot().await?))
    }

    /// The zones of dates as they were at the last refresh: whoever answers requests has just looked.
    #[must_use]
    pub fn zones(&self) -> Zones {
        let snapshot = self.snapshot.load();
        snapshot
            .as_ref()
            .map_or_else(Zones::default, |snapshot| snapshot.zones.clone())
    }

    /// A setting, if plugins may read it.
    ///
    /// # Errors
    ///
    /// Only the store's.
    pub async fn setting_for_plugins(&self, name: &str) -> Result<Option<String>, StoreError> {
        if settings::named(name).is_some_and(|setting| setting.for_plugins) {
            self.setting(name).await
        } else {
            Ok(None)
        }
    }

    /// All settings with their values, in alphabetic order.
    ///
    /// # Errors
    ///
    /// Only the store's.
    pub async fn settings(&self) -> Result<Vec<SettingValue>, StoreError> {
        let snapshot = self.snapshot().await?;
        let with_value = |setting: &'static settings::Setting| {
            let origin = match snapshot.settings.contains_key(setting.name) {
                true if snapshot.from_config.contains(setting.name) => Origin::TakenOver,
                true => Origin::Set,
                false => Origin::Default,
            };
            let value = snapshot
                .settings
                .get(setting.name)
                .cloned()
                .unwrap_or_else(|| setting.default.to_owned());
            SettingValue {
                setting,
                value,
                origin,
            }
        };
        Ok(settings::SETTINGS.iter().map(with_value).collect())
    }

    /// Sets settings: all of them or, if one is refused, none.
    ///
    /// # Errors
    ///
    /// Refused: an unknown name or a value that the setting does not take.
    pub async fn set(&self, values: &[(String, String)]) -> AdminResult<()> {
        let mut parsed = BTreeMap::new();
        for (name, text) in values {
            let setting = settings::named(name).ok_or_else(|| {
                AdminError::with_hint(
                    format!("there is no setting `{name}`; nothing was changed"),
                    "`critd get` lists the settings",
                )
            })?;
            let value = setting
                .parse(text)
                .map_err(|reason| AdminError::refused(format!("{reason}; nothing was changed")))?;
            parsed.insert(setting.name, value);
        }
        records::put_values(self.store.as_ref(), SETTINGS, parsed).await
    }

    /// The registrable domain of a host by the public suffix list, as lower-case A-labels. None: unknown suffix, an
    /// address, a bare suffix (create.md 5.7 [better]).
    #[must_use]
    pub fn registrable_domain(&self, host: &str) -> Option<String> {
        self.suffixes.load().list.registrable_domain(host)
    }

    /// The host name that a text stands for, see [`hosts::host_name`].
    #[must_use]
    pub fn host_name(&self, text: &str) -> Option<String> {
        hosts::host_name(text)
    }
}

/// Name of the record with the operator's list.
const LOADED: &str = "loaded";
