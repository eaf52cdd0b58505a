//! Users and their keys, as an administrator changes them (core-api 3.4 and 4).

use bson::{Bson, DateTime, Document, doc};

use super::collections::{ROLES, USERS};
use super::keys::{self, Key, Scope};
use super::passwords;
use super::records::{self, AdminError, AdminResult, truth};
use super::roles;
use super::subscriptions::{self, Subscription};
use crate::store::{FieldPath, Op, Store};

/// What an administrator sees of a user. No credentials.
#[derive(Debug, Clone, PartialEq)]
pub struct UserView {
    /// `username`.
    pub name: String,
    /// `organization`.
    pub organization: String,
    /// `is_active`.
    pub active: bool,
    /// Names of roles, also of such that do not exist.
    pub roles: Vec<String>,
    /// The keys that can be used.
    pub keys: Vec<Key>,
    /// What the user is told of.
    pub subscriptions: Vec<Subscription>,
}

impl UserView {
    /// Reads a stored user; `username` must be a text.
    #[must_use]
    pub(crate) fn read(stored: &Document) -> Option<Self> {
        Some(Self {
            name: stored.get_str("username").ok()?.to_owned(),
            organization: stored
                .get_str("organization")
                .unwrap_or_default()
                .to_owned(),
            active: stored
                .get("is_active")
                .is_none_or(|value| matches!(value, Bson::Null) || truth(value)),
            roles: texts(stored, "roles"),
            keys: elements(stored)
                .iter()
                .filter_map(Bson::as_document)
                .filter_map(Key::read)
                .collect(),
            subscriptions: Subscription::all(stored),
        })
    }
}

fn texts(stored: &Document, field: &str) -> Vec<String> {
    stored
        .get_array(field)
        .into_iter()
        .flatten()
        .filter_map(Bson::as_str)
        .map(str::to_owned)
        .collect()
}

fn elements(stored: &Document) -> Vec<Bson> {
    stored.get_array("api_keys").cloned().unwrap_or_default()
}

/// What is to be set on a user; what is absent stays, or gets its default.
#[derive(Debug, Clone, Default)]
pub struct UserChange {
    /// Role names, instead of those that the user has.
    pub roles: Option<Vec<String>>,
    /// Organisation.
    pub organization: Option<String>,
    /// Password in clear; only its hash is kept.
    pub password: Option<String>,
}

/// Is this a user name: 1 to 30 characters, letters, digits, `@ . + - _` (core-api section 4)?
#[must_use]
pub fn is_name(name: &str) -> bool {
    (1..=30).contains(&name.chars().count())
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || "@.+-_".contains(c))
}

fn missing(name: &str) -> AdminError {
    AdminError::with_hint(
        format!("there is no user `{name}`"),
        "`critd user list` shows the users, `critd user add` makes one",
    )
}

async fn check_roles(store: &dyn Store, names: &[String]) -> AdminResult<()> {
    for name in names {
        if records::find(store, ROLES, "name", name).await?.is_none() {
            return Err(roles::missing(name));
        }
    }
    Ok(())
}

fn distinct(names: &[String]) -> Vec<String> {
    let mut seen = std::collections::BTreeSet::new();
    names
        .iter()
        .filter(|name| seen.insert(name.as_str()))
        .cloned()
        .collect()
}

/// Adds a user. `company`: the organisation of users for whom none is given. No key is made: nobody would see it.
///
/// # Errors
///
/// Refused: not a user name, taken, or a role that does not exist.
pub async fn add(
    store: &dyn Store,
    name: &str,
    with: &UserChange,
    company: &str,
) -> AdminResult<()> {
    if !is_name(name) {
        return Err(AdminError::refused(format!(
            "`{name}` is not a user name: 1 to 30 letters, digits and `@ . + - _`"
        )));
    }
    let roles = distinct(with.roles.as_deref().unwrap_or_default());
    check_roles(store, &roles).await?;
    let now = DateTime::now();
    let mut user = doc! {
        "schema_version": 3, "username": name, "is_active": true, "is_staff": false, "is_superuser": false,
        "last_login": now, "date_joined": now, "invalid_login_attempts": 0, "login_attempts": [], "secret": "", "totp": false,
        "organization": with.organization.as_deref().unwrap_or(company), "roles": roles, "api_keys": [], "acl_needs_update": true,
    };
    if let Some(password) = &with.password {
        user.insert("password", passwords::hash(password)?);
    }
    if !records::insert(store, USERS, "username", name, user).await? {
        return Err(AdminError::with_hint(
            format!("there is a user `{name}` already"),
            "`critd user set` changes one",
        ));
    }
    Ok(())
}

async fn change<T>(
    store: &dyn Store,
    name: &str,
    decide: impl FnMut(&Document) -> AdminResult<(Vec<Op>, T)>,
) -> AdminResult<T> {
    records::change(store, USERS, "username", name, decide)
        .await?
        .ok_or_else(|| missing(name))
}

/// Changes a user.
///
/// # Errors
///
/// Refused: no such user, or a role that does not exist.
pub async fn set(store: &dyn Store, name: &str, to: &UserChange) -> AdminResult<()> {
    let roles = to.roles.as_deref().map(distinct);
    check_roles(store, roles.as_deref().unwrap_or_default()).await?;
    let password = to.password.as_deref().map(passwords::hash).transpose()?;
    change(store, name, |stored| {
        let mut operations = Vec::new();
        if let Some(roles) = &roles {
            operations.push(Op::Set(
                FieldPath::literal("roles"),
                Bson::from(roles.clone()),
            ));
            if stored.contains_key("acl") {
                operations.push(Op::Set(
                    FieldPath::literal("acl_needs_update"),
                    Bson::Boolean(true),
                ));
            }
        }
        if let Some(organization) = &to.organization {
            operations.push(Op::Set(
                FieldPath::literal("organization"),
                Bson::from(organization.as_str()),
            ));
        }
        if let Some(password) = &password {
            operations.push(Op::Set(
                FieldPath::literal("password"),
                Bson::from(password.as_str()),
            ));
        }
        Ok((operations, ()))
    })
    .await
}

/// Switches a user off: takes effect on the next request (rule K10). Whether that was a change.
///
/// # Errors
///
/// Refused: no such user.
pub async fn deactivate(store: &dyn Store, name: &str) -> AdminResult<bool> {
    set_active(store, name, false).await
}

/// Switches a user on again. Whether that was a change.
///
/// # Errors
///
/// Refused: no such user.
pub async fn activate(store: &dyn Store, name: &str) -> AdminResult<bool> {
    set_active(store, name, true).await
}

async fn set_active(store: &dyn Store, name: &str, to: bool) -> AdminResult<bool> {
    change(store, name, |stored| {
        if UserView::read(stored).is_some_and(|user| user.active == to) {
            return Ok((Vec::new(), false));
        }
        Ok((
            vec![Op::Set(FieldPath::literal("is_active"), Bson::Boolean(to))],
            true,
        ))
    })
    .await
}

/// Subscribes a user to changes, or ends that. Whether it was a change.
///
/// # Errors
///
/// Refused: no such user.
pub async fn subscribe(
    store: &dyn Store,
    name: &str,
    to: &Subscription,
    is_wanted: bool,
) -> AdminResult<bool> {
    let (list, key, value) = to.place();
    let path = FieldPath::parse(&format!("{}.{list}", subscriptions::FIELD))
        .map_err(|error| AdminError::refused(format!("`{list}`: {error}")))?;
    change(store, name, |stored| {
        let lists = stored.get_document(subscriptions::FIELD).ok();
        let entries = lists.and_then(|lists| lists.get_array(list).ok());
        let mut entries = entries.cloned().unwrap_or_default();
        let is_it = |entry: &Bson| {
            let entry = entry.as_document();
            entry.and_then(|entry| entry.get(key)) == Some(&value)
        };
        let is_there = entries.iter().any(is_it);
        if is_there == is_wanted {
            return Ok((Vec::new(), false));
        }
        if is_wanted {
            entries.push(doc! { key: value.clone(), "date": DateTime::now() }.into());
        } else {
            entries.retain(|entry| !is_it(entry));
        }
        Ok((vec![Op::Set(path.clone(), entries.into())], true))
    })
    .await
}

/// All users by name.
///
/// # Errors
///
/// Only the store's.
pub async fn list(store: &dyn Store) -> AdminResult<Vec<UserView>> {
    let mut users: Vec<_> = records::all(store, USERS)
        .await?
        .iter()
        .filter_map(UserView::read)
        .collect();
    users.sort_by(|one, other| one.name.cmp(&other.name));
    users.dedup_by(|later, first| later.name == first.name);
    Ok(users)
}

/// A user.
///
/// # Errors
///
/// Refused: no such user.
pub async fn show(store: &dyn Store, name: &str) -> AdminResult<UserView> {
    let found = records::find(store, USERS, "username", name).await?;
    found
        .and_then(|(_, body)| UserView::read(&body))
        .ok_or_else(|| missing(name))
}

/// A key that was just made: the only time that its value is known.
#[derive(Debug, Clone, PartialEq)]
pub struct NewKey {
    /// 40 lower-case hex digits.
    pub value: String,
    /// Name.
    pub name: String,
    /// When it was made, ms since 1970.
    pub date: i64,
    /// It is the user's default now.
    pub default: bool,
}

/// Makes a key (rules K2 to K5, K8). `value`: one that was made elsewhere, else a random one.
///
/// # Errors
///
/// Refused: no such user; no name, or one that the user has already; a value that is not 40 lower-case hex digits;
/// a value that is a key of the user already; an end in the past.
pub async fn add_key(
    store: &dyn Store,
    user: &str,
    name: &str,
    value: Option<&str>,
    scope: &Scope,
) -> AdminResult<NewKey> {
    let name = name.trim();
    if name.is_empty() {
        return Err(AdminError::refused("Need a name"));
    }
    let now = records::now();
    if scope.expires.is_some_and(|end| end <= now) {
        return Err(AdminError::refused("the key would have expired already"));
    }
    let value = match value {
        Some(value) if keys::is_well_formed(value) => value.to_owned(),
        Some(_) => {
            return Err(AdminError::refused(
                "the value of a key is 40 lower-case hex digits",
            ));
        }
        None => keys::generate()?,
    };
    change(store, user, |stored| {
        let present = elements(stored);
        if present
            .iter()
            .filter_map(Bson::as_document)
            .any(|element| records::has_text(element, "name", name))
        {
            return Err(AdminError::with_hint(
                format!("`{user}` has a key `{name}` already"),
                "choose another with `--name`, or revoke that one",
            ));
        }
        let known: Vec<_> = present
            .iter()
            .filter_map(Bson::as_document)
            .filter_map(Key::read)
            .collect();
        if keys::is_known(&known, &value) {
            return Err(AdminError::refused(format!(
                "`{user}` has a key with this value already"
            )));
        }
        let default = present.is_empty();
        let new = keys::element(name, &value, now, default, scope);
        let operation = if stored.get_array("api_keys").is_ok() {
            Op::Push(FieldPath::literal("api_keys"), Bson::Document(new))
        } else {
            Op::Set(
                FieldPath::literal("api_keys"),
                Bson::Array(vec![Bson::Document(new)]),
            )
        };
        Ok((
            vec![operation],
            NewKey {
                value: value.clone(),
                name: name.to_owned(),
                date: now,
                default,
            },
        ))
    })
    .await
}

fn key_missing(user: &str) -> AdminError {
    AdminError::with_hint(
        "Key not found.",
        format!("`critd key list {user}` shows the keys"),
    )
}

fn set_default(element: &mut Bson, to: bool) {
    if let Bson::Document(element) = element {
        element.insert("default", to);
    }
}

fn is_named(element: &Bson, name: &str) -> bool {
    element
        .as_document()
        .is_some_and(|element| records::has_text(element, "name", name))
}

/// Revokes all keys of this name (rule K5); if the default goes, the oldest remaining key becomes the default (K6).
/// How many went, and the name of the new default if there is one.
///
/// # Errors
///
/// Refused: no such user or key.
pub async fn revoke_key(
    store: &dyn Store,
    user: &str,
    name: &str,
) -> AdminResult<(usize, Option<String>)> {
    change(store, user, |stored| {
        let (gone, mut kept): (Vec<Bson>, Vec<Bson>) = elements(stored)
            .into_iter()
            .partition(|element| is_named(element, name));
        if gone.is_empty() {
            return Err(key_missing(user));
        }
        let is_default = |element: &Bson| {
            element
                .as_document()
                .and_then(|element| element.get("default"))
                .is_some_and(truth)
        };
        let mut promoted = None;
        if gone.iter().any(is_default) && !kept.iter().any(is_default) {
            let date = |element: &Bson| {
                element
                    .as_document()
                    .and_then(|element| element.get_datetime("date").ok())
                    .map(|date| date.timestamp_millis())
            };
            if let Some(oldest) = kept
                .iter_mut()
                .min_by_key(|element| date(element).unwrap_or(i64::MAX))
            {
                set_default(oldest, true);
                promoted = oldest
                    .as_document()
                    .and_then(|element| element.get_str("name").ok())
                    .map(str::to_owned);
            }
        }
        Ok((
            vec![Op::Set(FieldPath::literal("api_keys"), Bson::Array(kept))],
            (gone.len(), promoted),
        ))
    })
    .await
}

/// Makes the keys of this name the default, and no others (rule K6).
///
/// # Errors
///
/// Refused: no such user or key; nothing was changed then.
pub async fn set_default_key(store: &dyn Store, user: &str, name: &str) -> AdminResult<()> {
    change(store, user, |stored| {
        let mut all = elements(stored);
        if !all.iter().any(|element| is_named(element, name)) {
            return Err(key_missing(user));
        }
        for element in &mut all {
            let to = is_named(element, name);
            set_default(element, to);
        }
        Ok((
            vec![Op::Set(FieldPath::literal("api_keys"), Bson::Array(all))],
            (),
        ))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_names() {
        for good in ["a", "alice", "A.b+c-d_e@f", "müller", &"x".repeat(30)] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", " ", "a b", "a:b", "a/b", &"x".repeat(31), "a\n"] {
            assert!(!is_name(bad), "{bad:?}");
        }
    }

    #[test]
    fn users_of_old_databases_are_read() {
        let user = UserView::read(&doc! {"username": "u", "role": "Administrator", "sources": ["A"], "api_keys": [{"name": "k", "api_key": "x"}, 5]}).expect("user");
        assert!(user.active);
        assert!(
            user.roles.is_empty(),
            "rights of the time before roles grant nothing"
        );
        assert_eq!(user.keys.len(), 1);
        assert!(
            !UserView::read(&doc! {"username": "u", "is_active": 0})
                .expect("user")
                .active
        );
        assert_eq!(UserView::read(&doc! {"username": 5}), None);
    }
}
