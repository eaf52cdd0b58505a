//! Roles: read, united to rights, and changed (core-api section 5).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bson::{Bson, Document, doc};

use super::catalogue::{self, Known, UBER_ADMIN};
use super::collections::{ROLES, SOURCES};
use super::records::{self, AdminError, AdminResult, truth};
use super::rights::{EVERY_FLAG, Rights, SourceRights};
use crate::store::{FieldPath, Filter, Op, Store, Test};

/// A role as it is stored (documents 6.2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Role {
    /// `name`.
    pub name: String,
    /// `active` is not `off`.
    pub active: bool,
    /// `description`.
    pub description: String,
    /// Flags that are on: `flag` or `Type.flag`.
    pub flags: BTreeSet<String>,
    /// Sources by name.
    pub sources: BTreeMap<String, SourceRights>,
}

/// A TLP that reading can be limited to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReadableTlp {
    /// `tlp_red`.
    Red,
    /// `tlp_amber`.
    Amber,
    /// `tlp_green`.
    Green,
}

impl Role {
    /// Reads a stored role. A missing flag or block is false.
    #[must_use]
    pub fn read(stored: &Document) -> Self {
        let mut role = Self {
            name: stored.get_str("name").unwrap_or_default().to_owned(),
            active: stored.get_str("active").unwrap_or("on") != "off",
            description: stored.get_str("description").unwrap_or_default().to_owned(),
            ..Self::default()
        };
        for (name, value) in stored {
            match value {
                Bson::Document(block) => {
                    role.flags.extend(
                        block
                            .iter()
                            .filter(|(_, flag)| truth(flag))
                            .map(|(flag, _)| format!("{name}.{flag}")),
                    );
                }
                Bson::Boolean(true) => {
                    role.flags.insert(name.clone());
                }
                // Numbers count as booleans for flags only: `schema_version` is none.
                number if catalogue::known(name) == Known::Yes && truth(number) => {
                    role.flags.insert(name.clone());
                }
                _ => {}
            }
        }
        for entry in stored
            .get_array("sources")
            .into_iter()
            .flatten()
            .filter_map(Bson::as_document)
        {
            let Ok(source) = entry.get_str("name") else {
                continue;
            };
            let on = |flag: &str| entry.get(flag).is_some_and(truth);
            role.sources
                .entry(source.to_owned())
                .or_default()
                .unite(SourceRights {
                    read: on("read"),
                    write: on("write"),
                    red: on("tlp_red"),
                    amber: on("tlp_amber"),
                    green: on("tlp_green"),
                });
        }
        // Only `UberAdmin` has every flag, whatever a stored block says.
        role.flags.remove(EVERY_FLAG);
        role
    }
}

/// Rules R3, R4, R7: the union of the active ones among the roles named. `register`: all sources, for `UberAdmin`.
pub(crate) fn unite(
    names: &BTreeSet<String>,
    roles: &BTreeMap<String, Role>,
    register: &BTreeSet<String>,
) -> Arc<Rights> {
    let mut rights = Rights::default();
    for role in names
        .iter()
        .filter_map(|name| roles.get(name))
        .filter(|role| role.active)
    {
        rights.flags.extend(role.flags.iter().cloned());
        for (source, of_role) in &role.sources {
            rights
                .sources
                .entry(source.clone())
                .or_default()
                .unite(*of_role);
        }
        if role.name == UBER_ADMIN {
            rights.flags.insert(EVERY_FLAG.to_owned());
            rights.sources.extend(
                register
                    .iter()
                    .map(|source| (source.clone(), SourceRights::ALL)),
            );
        }
    }
    Arc::new(rights)
}

/// A role document with all flags of the catalogue; `on` says which are set (documents 6.2: false ones are written too).
fn document(name: &str, description: &str, on: impl Fn(&str) -> bool) -> Document {
    let mut role = doc! { "name": name, "active": "on", "description": description, "sources": [], "schema_version": 1 };
    for type_name in catalogue::types() {
        let flags = catalogue::type_flags(type_name).into_iter();
        let block: Document = flags
            .map(|flag| {
                (
                    flag.clone(),
                    Bson::Boolean(on(&format!("{type_name}.{flag}"))),
                )
            })
            .collect();
        role.insert(*type_name, block);
    }
    for flag in catalogue::general_flags() {
        role.insert(*flag, on(flag));
    }
    role
}

fn name_of(flag: &str) -> &str {
    flag.split_once('.').map_or(flag, |(_, name)| name)
}

/// Rule R6: the three roles of a fresh installation, as documents.
pub(crate) fn default_roles() -> [(&'static str, Document); 3] {
    let interface = |flag: &str| catalogue::INTERFACES.contains(&flag);
    [
        (
            UBER_ADMIN,
            document(UBER_ADMIN, "Everything, on every source.", |_| true),
        ),
        (
            "Read Only",
            document(
                "Read Only",
                "May read everything except files; add sources.",
                |flag| interface(flag) || name_of(flag).contains("read"),
            ),
        ),
        (
            "Analyst",
            document(
                "Analyst",
                "May do everything to objects except delete; add sources.",
                |flag| interface(flag) || (flag.contains('.') && !name_of(flag).contains("delete")),
            ),
        ),
    ]
}

/// Adds the default roles that are missing. Which were added.
///
/// # Errors
///
/// Only the store's.
pub async fn seed(store: &dyn Store) -> AdminResult<Vec<&'static str>> {
    let mut added = Vec::new();
    for (name, body) in default_roles() {
        if records::insert(store, ROLES, "name", name, body).await? {
            added.push(name);
        }
    }
    Ok(added)
}

/// All roles by name; of several with one name the oldest counts.
///
/// # Errors
///
/// Only the store's.
pub async fn list(store: &dyn Store) -> AdminResult<BTreeMap<String, Role>> {
    Ok(by_name(records::all(store, ROLES).await?))
}

pub(crate) fn by_name(stored: Vec<Document>) -> BTreeMap<String, Role> {
    let mut roles = BTreeMap::new();
    for role in stored.iter().map(Role::read) {
        roles.entry(role.name.clone()).or_insert(role);
    }
    roles
}

/// A role.
///
/// # Errors
///
/// Refused: no such role.
pub async fn show(store: &dyn Store, name: &str) -> AdminResult<Role> {
    let found = records::find(store, ROLES, "name", name).await?;
    found
        .map(|(_, body)| Role::read(&body))
        .ok_or_else(|| missing(name))
}

pub(crate) fn missing(name: &str) -> AdminError {
    AdminError::with_hint(
        format!("there is no role `{name}`"),
        "`critd role list` shows the roles, `critd role add` makes one",
    )
}

fn refuse_uber_admin(name: &str) -> AdminResult<()> {
    if name == UBER_ADMIN {
        return Err(AdminError::with_hint(
            "the role `UberAdmin` can't be edited",
            "make a role of your own with `critd role add NAME`",
        ));
    }
    Ok(())
}

/// Adds an empty role: no flags, no sources.
///
/// # Errors
///
/// Refused: the name is empty or taken.
pub async fn add(store: &dyn Store, name: &str) -> AdminResult<()> {
    if name.trim().is_empty() || name.trim() != name {
        return Err(AdminError::refused(
            "a role needs a name without blanks around it",
        ));
    }
    if !records::insert(store, ROLES, "name", name, document(name, "", |_| false)).await? {
        return Err(AdminError::refused(format!(
            "there is a role `{name}` already"
        )));
    }
    Ok(())
}

async fn change<T>(
    store: &dyn Store,
    name: &str,
    decide: impl FnMut(&Document) -> AdminResult<(Vec<Op>, T)>,
) -> AdminResult<T> {
    refuse_uber_admin(name)?;
    let answer = records::change(store, ROLES, "name", name, decide)
        .await?
        .ok_or_else(|| missing(name))?;
    records::mark_stale(
        store,
        Filter::Field(FieldPath::literal("roles"), Test::Eq(Bson::from(name))),
    )
    .await?;
    Ok(answer)
}

/// Whether a role counts (rule R4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// `on`.
    On,
    /// `off`: the role grants nothing.
    Off,
}

/// Switches a role on or off.
///
/// # Errors
///
/// Refused: no such role, or `UberAdmin`.
pub async fn set_activity(store: &dyn Store, name: &str, activity: Activity) -> AdminResult<()> {
    let text = match activity {
        Activity::On => "on",
        Activity::Off => "off",
    };
    change(store, name, |_| {
        Ok((
            vec![Op::Set(FieldPath::literal("active"), Bson::from(text))],
            (),
        ))
    })
    .await
}

/// What a change of flags came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlagChange {
    /// Flags that are different now.
    pub changed: Vec<String>,
    /// Flags that were so already.
    pub unchanged: Vec<String>,
    /// Flags among both that have an effect only if a plugin asks for them.
    pub perhaps_of_plugin: Vec<String>,
}

/// Switches flags on.
///
/// # Errors
///
/// Refused: no such role, `UberAdmin`, or something that can't be a flag; nothing was changed then.
pub async fn grant(store: &dyn Store, name: &str, flags: &[String]) -> AdminResult<FlagChange> {
    set_flags(store, name, flags, true).await
}

/// Switches flags off.
///
/// # Errors
///
/// As [`grant`].
pub async fn revoke(store: &dyn Store, name: &str, flags: &[String]) -> AdminResult<FlagChange> {
    set_flags(store, name, flags, false).await
}

async fn set_flags(
    store: &dyn Store,
    name: &str,
    flags: &[String],
    to: bool,
) -> AdminResult<FlagChange> {
    let flags: BTreeSet<&String> = flags.iter().collect();
    let mut perhaps_of_plugin = Vec::new();
    for flag in &flags {
        match catalogue::known(flag) {
            Known::Yes => {}
            Known::PerhapsOfPlugin => perhaps_of_plugin.push((*flag).clone()),
            Known::No => {
                return Err(AdminError::with_hint(
                    format!("`{flag}` is not a flag; nothing was changed"),
                    "flags are written `Type.flag` (`Domain.read`) or are general ones (`api_interface`); `critd role show UberAdmin` lists them all",
                ));
            }
        }
    }
    change(store, name, |stored| {
        let on = Role::read(stored).flags;
        let (unchanged, changed): (Vec<String>, Vec<String>) = flags
            .iter()
            .map(|flag| (*flag).clone())
            .partition(|flag| on.contains(flag) == to);
        let mut operations = Vec::new();
        for flag in &changed {
            let path = FieldPath::parse(flag)
                .map_err(|error| AdminError::refused(format!("`{flag}`: {error}")))?;
            operations.push(Op::Set(path, Bson::Boolean(to)));
        }
        Ok((
            operations,
            FlagChange {
                changed,
                unchanged,
                perhaps_of_plugin: perhaps_of_plugin.clone(),
            },
        ))
    })
    .await
}

/// Gives a role exactly these rights on a source, instead of those that it had.
///
/// # Errors
///
/// Refused: no such role or source, or `UberAdmin`.
pub async fn set_source(
    store: &dyn Store,
    name: &str,
    source: &str,
    rights: SourceRights,
) -> AdminResult<()> {
    refuse_uber_admin(name)?;
    if records::find(store, SOURCES, "name", source)
        .await?
        .is_none()
    {
        return Err(AdminError::with_hint(
            format!("there is no source `{source}`"),
            format!("`critd source add {source:?}` adds it"),
        ));
    }
    change(store, name, |stored| {
        let mut entries = stored.get_array("sources").cloned().unwrap_or_default();
        let flags = doc! {
            "name": source, "read": rights.read, "write": rights.write,
            "tlp_red": rights.red, "tlp_amber": rights.amber, "tlp_green": rights.green,
        };
        let is_it = |entry: &Bson| {
            entry
                .as_document()
                .is_some_and(|entry| records::has_text(entry, "name", source))
        };
        let mut kept = entries
            .iter()
            .find(|entry| is_it(entry))
            .and_then(Bson::as_document)
            .cloned()
            .unwrap_or_default();
        kept.extend(flags);
        entries.retain(|entry| !is_it(entry));
        entries.push(Bson::Document(kept));
        Ok((
            vec![Op::Set(FieldPath::literal("sources"), Bson::Array(entries))],
            (),
        ))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(documents: Vec<Document>) -> BTreeMap<String, Role> {
        by_name(documents)
    }

    fn rights(held: &[&str], roles: &BTreeMap<String, Role>) -> Arc<Rights> {
        let names = held.iter().map(|name| (*name).to_owned()).collect();
        unite(
            &names,
            roles,
            &BTreeSet::from(["A".to_owned(), "New".to_owned()]),
        )
    }

    fn two() -> BTreeMap<String, Role> {
        roles(vec![
            doc! {"name": "one", "Event": {"read": true}, "sources": [{"name": "A", "read": true, "tlp_amber": true}, {"name": "B"}]},
            doc! {"name": "two", "api_interface": 1, "Event": {"read": false, "write": true}, "sources": [{"name": "A", "write": true, "tlp_red": true}]},
        ])
    }

    #[test]
    fn r7_flags_are_united_by_or_and_r9_order_does_not_matter() {
        let both = rights(&["one", "two"], &two());
        assert_eq!(
            both.flags.iter().map(String::as_str).collect::<Vec<_>>(),
            ["Event.read", "Event.write", "api_interface"]
        );
        assert_eq!(
            both.sources.keys().map(String::as_str).collect::<Vec<_>>(),
            ["A", "B"]
        );
        assert_eq!(both, rights(&["two", "one"], &two()));
    }

    #[test]
    fn r8_source_flags_of_two_roles_add_up() {
        let both = rights(&["one", "two"], &two());
        assert_eq!(
            both.sources["A"],
            SourceRights {
                read: true,
                write: true,
                red: true,
                amber: true,
                green: false
            }
        );
        assert!(both.sees(&vec![("A".to_owned(), crate::store::class::Mark::Red)]));
        assert!(
            !rights(&["two"], &two()).sees(&vec![("A".to_owned(), crate::store::class::Mark::Red)])
        );
    }

    #[test]
    fn r3_unknown_roles_are_ignored_and_r4_inactive_ones_grant_nothing() {
        let set = roles(vec![
            doc! {"name": "off", "active": "off", "api_interface": true, "sources": [{"name": "A", "read": true}]},
        ]);
        assert_eq!(*rights(&["off", "nothing"], &set), Rights::default());
    }

    #[test]
    fn the_oldest_of_two_roles_with_one_name_counts() {
        let set = roles(vec![
            doc! {"name": "r", "api_interface": true},
            doc! {"name": "r", "web_interface": true},
        ]);
        assert!(rights(&["r"], &set).may("api_interface"));
        assert!(!rights(&["r"], &set).may("web_interface"));
    }

    #[test]
    fn r6_default_roles() {
        let set = roles(default_roles().map(|(_, body)| body).to_vec());
        let uber = rights(&["UberAdmin"], &set);
        assert!(
            uber.may("Actor.delete") && uber.may("add_new_source") && uber.may("OfAPlugin.read")
        );
        assert_eq!(uber.sources["New"], SourceRights::ALL);
        let reader = rights(&["Read Only"], &set);
        assert!(reader.sources.is_empty());
        assert!(
            reader.may("api_interface")
                && reader.may("Domain.read")
                && reader.may("control_panel_read")
                && reader.may("Actor.aliases_read")
        );
        assert!(
            !reader.may("Domain.download")
                && !reader.may("Domain.write")
                && !reader.may("stix_import_add")
                && !reader.may("OfAPlugin.read")
        );
        let analyst = rights(&["Analyst"], &set);
        assert!(
            analyst.may("web_interface")
                && analyst.may("Domain.write")
                && analyst.may("Domain.download")
        );
        assert!(
            !analyst.may("Domain.delete")
                && !analyst.may("Domain.tickets_delete")
                && !analyst.may("control_panel_read")
        );
    }

    #[test]
    fn documents_6_2_all_flags_are_written() {
        let (_, stored) = &default_roles()[1];
        assert!(
            !stored
                .get_document("Actor")
                .expect("block")
                .get_bool("write")
                .expect("flag")
        );
        assert!(!stored.get_bool("stix_import_add").expect("flag"));
        assert_eq!(
            stored.get_document("ActorIdentifier").expect("block").len(),
            3
        );
    }

    #[test]
    fn a_stored_star_is_not_every_flag() {
        let set = roles(vec![doc! {"name": "r", "*": true, "nested": {"x": true}}]);
        let rights = rights(&["r"], &set);
        assert!(!rights.may("Domain.read"));
        assert!(rights.may("nested.x"));
    }
}
