//! The commands on administrative records: init, source, user, role, key, register, set, get.

use std::sync::Arc;

use serde_json::{Value, json};

use super::grammar::{
    KeyCommand, RegisterCommand, RoleCommand, SourceCommand, SubscriptionTo, UserCommand,
    UserProperties,
};
use super::output::{Terminal, time_text, yes};
use super::place::Place;
use super::{Failure, read_password};
use crate::access::Subscription;
use crate::access::catalogue::UBER_ADMIN;
use crate::access::keys::{Key, Scope};
use crate::access::rights::SourceRights;
use crate::access::roles::{self, Activity, ReadableTlp, Role};
use crate::access::users::{self, UserChange, UserView};
use crate::registers::settings::Kind;
use crate::registers::{Origin, Register, Registers, SettingValue};
use crate::store::Store;

pub(super) type Shared = Arc<dyn Store>;

/// `init`: idempotent, adds what is missing.
pub(super) async fn init(place: &Place, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
    let (opened, fresh, name) = place.make().await?;
    let store = &opened.store;
    let added = roles::seed(store.as_ref()).await?;
    Registers::new(Arc::clone(store)).seed().await?;
    store.close().await?;
    if !fresh {
        terminal.say(&format!(
            "There is a store in {name} already; what was missing has been added"
        ));
        return Ok(());
    }
    terminal.say(&format!(
        "Made a store in {name} with the roles {}",
        added.join(", ")
    ));
    terminal.say("hint: next: `critd user add NAME --role UberAdmin`, `critd source add NAME`, `critd key add NAME`, `critd set enable_api=true`");
    Ok(())
}

/// `source …`
pub(super) async fn source(
    store: &Shared,
    command: SourceCommand,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    let registers = Registers::new(Arc::clone(store));
    match command {
        SourceCommand::Add { names } => {
            for name in names {
                match registers.add(Register::Source, &name).await? {
                    true => terminal.say(&format!("Added the source `{name}`")),
                    false => terminal.say(&format!("There is a source `{name}` already")),
                }
            }
            Ok(())
        }
        SourceCommand::List => entries(&registers, Register::Source, terminal).await,
    }
}

async fn entries(
    registers: &Registers,
    register: Register,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    let mut all: Vec<String> = Vec::new();
    loop {
        let page = registers
            .entries(register.name(), all.last().map_or("", String::as_str))
            .await?;
        if page.is_empty() {
            break;
        }
        all.extend(page);
    }
    if terminal.json {
        return terminal.json(&json!(all));
    }
    all.iter().try_for_each(|name| terminal.line(name))
}

fn change(properties: UserProperties, terminal: &mut Terminal<'_>) -> Result<UserChange, Failure> {
    let password = properties
        .password_stdin
        .then(|| read_password(terminal.input))
        .transpose()?;
    let roles = Some(properties.roles).filter(|roles| !roles.is_empty());
    Ok(UserChange {
        roles,
        organization: properties.organization,
        password,
    })
}

/// `user …`
pub(super) async fn user(
    store: &Shared,
    command: UserCommand,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    match command {
        UserCommand::Add { name, properties } => {
            let with = change(properties, terminal)?;
            let company = Registers::new(Arc::clone(store))
                .setting("company_name")
                .await?
                .unwrap_or_default();
            users::add(store.as_ref(), &name, &with, &company).await?;
            terminal.say(&format!("Added the user `{name}`"));
            terminal.say(&match with.roles {
                None => format!(
                    "hint: without a role it may do nothing: `critd user set {name} --role R`"
                ),
                Some(_) => format!("hint: `critd key add {name}` makes an API key"),
            });
            Ok(())
        }
        UserCommand::Set { name, properties } => {
            let to = change(properties, terminal)?;
            users::set(store.as_ref(), &name, &to).await?;
            terminal.say(&format!("Changed the user `{name}`"));
            Ok(())
        }
        UserCommand::Deactivate { name } => {
            terminal.say(&match users::deactivate(store.as_ref(), &name).await? {
                true => format!("The user `{name}` is locked out from the next request on"),
                false => format!("The user `{name}` was locked out already"),
            });
            Ok(())
        }
        UserCommand::Activate { name } => {
            terminal.say(&match users::activate(store.as_ref(), &name).await? {
                true => format!("The user `{name}` is let in again"),
                false => format!("The user `{name}` was let in already"),
            });
            Ok(())
        }
        UserCommand::Subscribe { name, to } => {
            let is_news = users::subscribe(store.as_ref(), &name, &subscription(to)?, true).await?;
            terminal.say(&match is_news {
                true => format!("The user `{name}` is told of changes"),
                false => format!("The user `{name}` is told of them already"),
            });
            Ok(())
        }
        UserCommand::Unsubscribe { name, to } => {
            let is_news =
                users::subscribe(store.as_ref(), &name, &subscription(to)?, false).await?;
            terminal.say(&match is_news {
                true => format!("The user `{name}` is told of them no longer"),
                false => format!("The user `{name}` was not told of them"),
            });
            Ok(())
        }
        UserCommand::List => list_users(&users::list(store.as_ref()).await?, terminal),
    }
}

fn subscription(to: SubscriptionTo) -> Result<Subscription, Failure> {
    match (to.source, to.object) {
        (Some(source), None) => Ok(Subscription::Source(source)),
        (None, Some((type_name, id))) => Ok(Subscription::Object(type_name, id)),
        _ => Err(Failure::refused("name a source or an object".to_owned())),
    }
}

fn list_users(all: &[UserView], terminal: &mut Terminal<'_>) -> Result<(), Failure> {
    if terminal.json {
        let object = |user: &UserView| {
            let keys: Vec<&str> = user.keys.iter().map(|key| key.name.as_str()).collect();
            json!({"name": user.name, "active": user.active, "organization": user.organization, "roles": user.roles, "keys": keys})
        };
        return terminal.json(&all.iter().map(object).collect());
    }
    let row = |user: &UserView| {
        [
            user.name.clone(),
            yes(user.active),
            user.keys.len().to_string(),
            user.organization.clone(),
            user.roles.join(", "),
        ]
    };
    terminal.table(
        ["USER", "ACTIVE", "KEYS", "ORGANIZATION", "ROLES"],
        &all.iter().map(row).collect::<Vec<_>>(),
    )
}

/// `role …`
pub(super) async fn role(
    store: &Shared,
    command: RoleCommand,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    let store = store.as_ref();
    match command {
        RoleCommand::List => {
            let all = roles::list(store).await?;
            if terminal.json {
                return terminal.json(&all.values().map(role_object).collect());
            }
            let count = |role: &Role| {
                if role.name == UBER_ADMIN {
                    "all".to_owned()
                } else {
                    role.sources.len().to_string()
                }
            };
            let row = |role: &Role| {
                [
                    role.name.clone(),
                    yes(role.active),
                    role.flags.len().to_string(),
                    count(role),
                    role.description.clone(),
                ]
            };
            terminal.table(
                ["ROLE", "ACTIVE", "FLAGS", "SOURCES", "DESCRIPTION"],
                &all.values().map(row).collect::<Vec<_>>(),
            )
        }
        RoleCommand::Show { name } => show_role(&roles::show(store, &name).await?, terminal),
        RoleCommand::Add { name } => {
            roles::add(store, &name).await?;
            terminal.say(&format!("Added the role `{name}`; it allows nothing yet"));
            terminal.say("hint: `critd role grant` gives it flags (`api_interface` to use the API), `critd role source` gives it sources");
            Ok(())
        }
        RoleCommand::Set { name, active } => {
            let activity = Activity::from(active);
            roles::set_activity(store, &name, activity).await?;
            terminal.say(&match activity {
                Activity::On => format!("The role `{name}` counts"),
                Activity::Off => format!("The role `{name}` allows nothing any more"),
            });
            Ok(())
        }
        RoleCommand::Grant { name, flags } => report(
            &name,
            "allows",
            &roles::grant(store, &name, &flags).await?,
            terminal,
        ),
        RoleCommand::Revoke { name, flags } => report(
            &name,
            "does not allow",
            &roles::revoke(store, &name, &flags).await?,
            terminal,
        ),
        RoleCommand::Source {
            name,
            source,
            read,
            write,
            tlp,
        } => {
            let tlp: Vec<ReadableTlp> = tlp.into_iter().map(ReadableTlp::from).collect();
            let may = |wanted| tlp.contains(&wanted);
            let rights = SourceRights {
                read,
                write,
                red: may(ReadableTlp::Red),
                amber: may(ReadableTlp::Amber),
                green: may(ReadableTlp::Green),
            };
            roles::set_source(store, &name, &source, rights).await?;
            terminal.say(&format!(
                "The role `{name}` allows on the source `{source}`: {}",
                rights_text(rights)
            ));
            if !read && !tlp.is_empty() {
                terminal.say("hint: TLPs have no effect without `--read`");
            }
            Ok(())
        }
    }
}

fn report(
    name: &str,
    verb: &str,
    change: &roles::FlagChange,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    for flag in &change.changed {
        terminal.say(&format!("The role `{name}` {verb} `{flag}` now"));
    }
    for flag in &change.unchanged {
        terminal.say(&format!("The role `{name}` {verb} `{flag}` anyway"));
    }
    for flag in &change.perhaps_of_plugin {
        terminal.say(&format!("note: `{flag}` is none of the usual flags; it has an effect only if a plugin asks for it"));
    }
    Ok(())
}

fn tlp_words(rights: SourceRights) -> Vec<&'static str> {
    [
        ("red", rights.red),
        ("amber", rights.amber),
        ("green", rights.green),
    ]
    .into_iter()
    .filter_map(|(word, on)| on.then_some(word))
    .collect()
}

fn rights_text(rights: SourceRights) -> String {
    let mut words: Vec<String> = [("read", rights.read), ("write", rights.write)]
        .into_iter()
        .filter(|(_, on)| *on)
        .map(|(word, _)| word.to_owned())
        .collect();
    let tlp = tlp_words(rights);
    if !tlp.is_empty() {
        words.push(format!("tlp {}", tlp.join(",")));
    }
    if words.is_empty() {
        "nothing but what is TLP white".to_owned()
    } else {
        words.join(", ")
    }
}

fn role_object(role: &Role) -> Value {
    let source = |(name, rights): (&String, &SourceRights)| json!({"name": name, "read": rights.read, "write": rights.write, "tlp": tlp_words(*rights)});
    json!({
        "name": role.name,
        "active": role.active,
        "description": role.description,
        "all_sources": role.name == UBER_ADMIN,
        "sources": role.sources.iter().map(source).collect::<Vec<_>>(),
        "flags": role.flags,
    })
}

fn show_role(role: &Role, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
    if terminal.json {
        return terminal.json(&role_object(role));
    }
    terminal.line(&format!(
        "{}: {}",
        role.name,
        if role.active {
            "active"
        } else {
            "switched off, allows nothing"
        }
    ))?;
    if !role.description.is_empty() {
        terminal.line(&role.description)?;
    }
    terminal.line("sources:")?;
    if role.name == UBER_ADMIN {
        terminal.line("  all: read, write, tlp red,amber,green")?;
    }
    for (name, rights) in &role.sources {
        terminal.line(&format!("  {name}: {}", rights_text(*rights)))?;
    }
    terminal.line("flags:")?;
    role.flags
        .iter()
        .try_for_each(|flag| terminal.line(&format!("  {flag}")))
}

/// `key …`
pub(super) async fn key(
    store: &Shared,
    command: KeyCommand,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    let store = store.as_ref();
    match command {
        KeyCommand::Add {
            user,
            name,
            value,
            expires,
            read_only,
            from,
        } => {
            let scope = Scope {
                expires,
                read_only,
                networks: from,
            };
            let new = users::add_key(store, &user, &name, value.as_deref(), &scope).await?;
            if terminal.json {
                let networks: Vec<String> =
                    scope.networks.iter().map(ToString::to_string).collect();
                terminal.json(&json!({
                    "user": user, "name": new.name, "key": new.value, "date": time_text(new.date), "default": new.default,
                    "expires": expires.map(time_text), "read_only": read_only, "networks": networks,
                }))?;
            } else {
                terminal.line(&new.value)?;
            }
            terminal.say(&format!(
                "Made the key `{}` of `{user}`; it can't be shown again",
                new.name
            ));
            Ok(())
        }
        KeyCommand::List { user } => list_keys(&users::show(store, &user).await?.keys, terminal),
        KeyCommand::Revoke { user, name } => {
            let (count, promoted) = users::revoke_key(store, &user, &name).await?;
            terminal.say(&match count {
                1 => format!("Revoked the key `{name}` of `{user}`"),
                many => format!("Revoked {many} keys `{name}` of `{user}`"),
            });
            if let Some(promoted) = promoted {
                terminal.say(&format!("The default is `{promoted}` now"));
            }
            Ok(())
        }
        KeyCommand::Default { user, name } => {
            users::set_default_key(store, &user, &name).await?;
            terminal.say(&format!("The default key of `{user}` is `{name}` now"));
            Ok(())
        }
    }
}

fn list_keys(all: &[Key], terminal: &mut Terminal<'_>) -> Result<(), Failure> {
    let networks = |key: &Key| {
        key.networks
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    if terminal.json {
        let object = |key: &Key| {
            json!({
                "name": key.name, "date": key.date.map(time_text), "default": key.default,
                "expires": key.expires.map(time_text), "read_only": key.read_only, "networks": networks(key),
            })
        };
        return terminal.json(&all.iter().map(object).collect());
    }
    let or_dash = |text: Option<String>| {
        text.filter(|text| !text.is_empty())
            .unwrap_or_else(|| "-".to_owned())
    };
    let row = |key: &Key| {
        [
            key.name.clone(),
            or_dash(key.date.map(time_text)),
            yes(key.default),
            or_dash(key.expires.map(time_text)),
            if key.read_only { "read" } else { "read, write" }.to_owned(),
            or_dash(Some(networks(key).join(", "))),
        ]
    };
    terminal.table(
        ["KEY", "MADE", "DEFAULT", "EXPIRES", "MAY", "FROM"],
        &all.iter().map(row).collect::<Vec<_>>(),
    )
}

/// `register …`
pub(super) async fn register(
    store: &Shared,
    command: RegisterCommand,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    let registers = Registers::new(Arc::clone(store));
    match command {
        RegisterCommand::Add { kind, name } => {
            let kind = Register::from(kind);
            terminal.say(&match registers.add(kind, &name).await? {
                true => format!("Added `{name}` to the register `{}`", kind.name()),
                false => format!("The register `{}` has `{name}` already", kind.name()),
            });
            Ok(())
        }
        RegisterCommand::List { kind } => entries(&registers, kind, terminal).await,
        RegisterCommand::LoadSuffixes { file } => {
            let text = std::fs::read_to_string(&file)
                .map_err(|error| Failure::refused(format!("{}: {error}", file.display())))?;
            let count = registers.load_suffix_file(&text).await?;
            terminal.say(&format!("Loaded {count} public suffixes from {}; a running server uses them from the next request on", file.display()));
            Ok(())
        }
    }
}

/// `set KEY=VALUE…`
pub(super) async fn set(
    store: &Shared,
    values: &[(String, String)],
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    let registers = Registers::new(Arc::clone(store));
    registers.set(values).await?;
    for known in registers
        .settings()
        .await?
        .iter()
        .filter(|known| values.iter().any(|(name, _)| name == known.setting.name))
    {
        terminal.say(&format!(
            "{} = {}",
            known.setting.name,
            shown(known).unwrap_or(HIDDEN)
        ));
    }
    Ok(())
}

const HIDDEN: &str = "(not shown)";

/// The value, unless it is a secret.
fn shown(value: &SettingValue) -> Option<&str> {
    (value.setting.kind != Kind::Secret).then_some(value.value.as_str())
}

fn origin_text(origin: Origin) -> &'static str {
    match origin {
        Origin::Default => "default",
        Origin::Set => "set",
        Origin::TakenOver => "taken over",
    }
}

/// `get [KEY]`
pub(super) async fn get(
    store: &Shared,
    name: Option<&str>,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    let all = Registers::new(Arc::clone(store)).settings().await?;
    let object = |value: &SettingValue| json!({"name": value.setting.name, "value": shown(value), "origin": origin_text(value.origin), "description": value.setting.description});
    let Some(name) = name else {
        if terminal.json {
            return terminal.json(&all.iter().map(object).collect());
        }
        let row = |value: &SettingValue| {
            [
                value.setting.name.to_owned(),
                shown(value).unwrap_or(HIDDEN).to_owned(),
                origin_text(value.origin).to_owned(),
                value.setting.description.to_owned(),
            ]
        };
        return terminal.table(
            ["SETTING", "VALUE", "FROM", "WHAT IT DOES"],
            &all.iter().map(row).collect::<Vec<_>>(),
        );
    };
    let Some(value) = all.iter().find(|value| value.setting.name == name) else {
        return Err(Failure::with_hint(
            format!("there is no setting `{name}`"),
            "`critd get` lists the settings",
        ));
    };
    if terminal.json {
        terminal.json(&object(value))
    } else {
        terminal.line(shown(value).unwrap_or(HIDDEN))
    }
}
