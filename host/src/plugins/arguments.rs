//! Arguments of a request, checked against the declaration before any plugin runs.
//!
//! One function for creates and one for actions; both include the check of the permission, in the order that the
//! specification and the declaration ask for. Nothing a client can send makes them fail otherwise than with a refusal.
//!
//! ```text
//! convert    one argument: type, keys, dates, vocabulary → a value of the contract
//! shared     the create arguments that all types share
//! ```

mod convert;
mod shared;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use self::convert::{Converter, Pending};
use super::declaration::{
    ActionPermission, ArgCheck, ArgDeclaration, ArgKind, PermissionCheck, TypeDeclaration,
};
use super::registry::{ActionEntry, Registry, TypeEntry};
use super::{Arg, NotDone, Param, Params, Refusal, Services, Value};
use crate::access::Caller;
use crate::dates::Zones;
use crate::store::{
    Direction, FieldPath, Filter, ListQuery, SortKey, StagedFile, StoreError, Test,
};

pub use self::shared::shared_arguments;

/// Names that the host supplies itself; a client's are dropped without a word (ACT-9).
const INJECTED: [&str; 3] = ["id_", "type_", "user"];
/// Names that steer the request and are never arguments.
const RESERVED: [&str; 4] = ["action", "username", "api_key", "format"];

/// The vocabularies that a caller's rights are.
const RIGHTS: [&str; 2] = ["sources", WRITABLE];
/// Sources that the caller may write with.
const WRITABLE: &str = "writable-sources";

/// So many unknown parameters of a POST are told.
const MOST_TOLD: usize = 20;

/// Who asks, when, and what is known.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// On whose behalf.
    pub caller: &'a Caller,
    /// Types by name.
    pub registry: &'a Registry,
    /// Registers.
    pub services: &'a Services,
    /// Time of the request in the form of stored dates.
    pub now: i64,
    /// What dates without a zone mean.
    pub zones: &'a Zones,
}

/// Validated arguments.
#[derive(Debug, Clone, Default)]
pub struct Checked {
    /// In declaration order; absent ones are left out, defaults put in.
    pub args: Vec<Arg>,
    /// Files by argument name; `Value::File(i + 1)` means the one at position `i`. For `Request::files`.
    pub files: Vec<(String, Arc<StagedFile>)>,
    /// Names that the declaration does not know (rule P12a).
    pub ignored: Vec<String>,
    /// Sentences for `warnings`.
    pub warnings: Vec<String>,
    /// The permission to create lacks, and it is the plugin that says so at its place ([`PermissionCheck::Within`]).
    pub denied: Option<Refusal>,
}

/// A parameter as it was sent.
#[derive(Debug, Clone)]
pub(crate) enum Sent {
    /// A text of a form is a JSON text here.
    Json(Json),
    /// A file, under the number that the plugin will know it by.
    File(u32),
}

/// What the arguments are for: it decides what counts as absent, and some texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose<'a> {
    /// A POST: an empty text is absent (create.md 4-G3).
    Create,
    /// A PATCH: an empty text is a value (ACT-12).
    Action(&'a str),
}

/// Checks arguments and permission of a POST.
///
/// # Errors
///
/// `Refused` for whatever the client did wrong, `Internal` if the store failed.
pub async fn for_create(
    context: Context<'_>,
    of: &TypeEntry,
    params: &Params,
) -> Result<Checked, NotDone> {
    let declarations = create_arguments(&of.declaration);
    let mut files = Vec::new();
    let sent = read(context, &declarations, params, &mut files).await?;
    let mut checked = checked_create(context, &of.declaration, &sent).await?;
    checked.files = files;
    // Policy P3: what is silently dropped is at least said.
    let ignored = checked
        .ignored
        .iter()
        .take(MOST_TOLD)
        .map(|name| format!("Unknown parameter '{name}' was ignored."));
    checked.warnings.extend(ignored);
    Ok(checked)
}

/// The same for a create within a request: values come from a plugin, files are numbers of its own.
pub(crate) async fn for_nested_create(
    context: Context<'_>,
    of: &TypeEntry,
    args: Vec<Arg>,
) -> Result<Checked, NotDone> {
    let mut sent = Vec::with_capacity(args.len());
    for arg in args {
        let value = match arg.value {
            Value::Null => continue,
            Value::File(number) => Sent::File(number),
            Value::Id(id) => Sent::Json(Json::from(id)),
            other => Sent::Json(other.to_json().map_err(|problem| {
                NotDone::Refused(refusal(
                    format!("Argument '{}': {problem}.", arg.name),
                    "invalid_type",
                    &[("argument", &arg.name)],
                ))
            })?),
        };
        sent.push((arg.name, value));
    }
    checked_create(context, &of.declaration, &sent).await
}

async fn checked_create(
    context: Context<'_>,
    of: &TypeDeclaration,
    sent: &[(String, Sent)],
) -> Result<Checked, NotDone> {
    let declarations = create_arguments(of);
    if of.permission_check == PermissionCheck::First {
        permission(context, of, &[])?;
    }
    let mut check = Check::new(context, Purpose::Create, sent);
    for declaration in &declarations {
        if is_demanded(declaration)
            && declaration.default.is_none()
            && check.sent_for(declaration).is_none()
        {
            return Err(missing(Purpose::Create, declaration).into());
        }
    }
    for declaration in &declarations {
        check.argument(declaration).await?;
    }
    // A type that declares `related_type` itself has its own rules and texts for it.
    if !of.args.iter().any(|own| own.name == "related_type") {
        shared::check_related(&check.args)?;
    }
    let denied = match of.permission_check {
        PermissionCheck::First => None,
        PermissionCheck::AfterArguments => {
            permission(context, of, &check.args)?;
            None
        }
        PermissionCheck::Within => permission(context, of, &check.args).err(),
    };
    let mut checked = check.finish(&declarations)?;
    checked.denied = denied;
    Ok(checked)
}

/// The permission to create, which may depend on an argument.
fn permission(context: Context<'_>, of: &TypeDeclaration, args: &[Arg]) -> Result<(), Refusal> {
    // Which flag it takes to be handed a task depends on the task.
    if of.tasks {
        return Ok(());
    }
    let flag = qualified(&filled(&of.permission, args), &of.name);
    if context.caller.rights.may(&flag) {
        return Ok(());
    }
    let message = match &of.refusal {
        Some(template) => filled(template, args),
        None => "User does not have permission to create Object.".to_owned(),
    };
    Err(refusal(message, "forbidden", &[("permission", &flag)]))
}

/// A template with the values of text arguments in place of `{NAME}`.
fn filled(template: &str, args: &[Arg]) -> String {
    args.iter()
        .fold(template.to_owned(), |text, arg| match &arg.value {
            Value::Text(value) => text.replace(&format!("{{{}}}", arg.name), value),
            _ => text,
        })
}

/// The declaration with the values of arguments before it in its text about invalid ones: `Invalid {ci_type}: {value}.`
fn naming<'a>(declaration: &'a ArgDeclaration, before: &[Arg]) -> Cow<'a, ArgDeclaration> {
    // `{value}` is what was sent for the argument itself.
    let named = |template: &str| {
        let others = template
            .split('{')
            .skip(1)
            .any(|part| !part.starts_with("value}"));
        others
            && before
                .iter()
                .any(|arg| arg.name != "value" && template.contains(&format!("{{{}}}", arg.name)))
    };
    match &declaration.invalid {
        Some(template) if named(template) => Cow::Owned(ArgDeclaration {
            invalid: Some(filled(template, before)),
            ..declaration.clone()
        }),
        _ => Cow::Borrowed(declaration),
    }
}

/// Checks permission and arguments of a PATCH on a document of this type.
///
/// # Errors
///
/// `Refused` for whatever the client did wrong, `Internal` if the store failed.
pub async fn for_action(
    context: Context<'_>,
    on: &TypeEntry,
    action: &ActionEntry,
    params: &Params,
) -> Result<Checked, NotDone> {
    let declared = &action.declaration;
    let declarations: Vec<&ArgDeclaration> = declared.args.iter().collect();
    let mut files = Vec::new();
    let sent = read(context, &declarations, params, &mut files).await?;
    let purpose = Purpose::Action(&declared.name);
    let mut check = Check::new(context, purpose, &sent);
    // ACT-4: the permission comes first, but for the argument that it depends on.
    let (flag, text, value) = match &declared.permission {
        ActionPermission::Flag(flag) => (Some(flag), declared.refusal.as_ref(), String::new()),
        ActionPermission::By { by, map, refusals } => {
            if let Some(declaration) = declarations
                .iter()
                .find(|declaration| declaration.name == *by)
            {
                check.argument(declaration).await?;
            }
            let value = match check.args.iter().find(|arg| arg.name == *by) {
                Some(Arg {
                    value: Value::Text(text),
                    ..
                }) => text.clone(),
                _ => String::new(),
            };
            (
                map.get(&value),
                refusals.get(&value).or(declared.refusal.as_ref()),
                value,
            )
        }
    };
    let flag = flag.map(|flag| qualified(flag, &on.declaration.name));
    // A flag that depends on the document is asked for when the document is known.
    let is_deferred = flag.as_deref().is_some_and(|flag| flag.starts_with('{'));
    if !is_deferred
        && !flag
            .as_deref()
            .is_some_and(|flag| context.caller.rights.may(flag))
    {
        let message = match text {
            Some(text) => text.replace("{value}", &value),
            None => format!(
                "User does not have permission to use action '{}'.",
                declared.name
            ),
        };
        let flag = flag.unwrap_or_default();
        return Err(NotDone::Refused(refusal(
            message,
            "forbidden",
            &[("permission", &flag)],
        )));
    }
    check.args.clear();
    check.deferred.clear();
    check.converter.warnings.clear();
    for declaration in &declarations {
        check.argument(declaration).await?;
    }
    let mut checked = check.finish(&declarations)?;
    checked.files = files;
    Ok(checked)
}

/// Checks the options of an analysis service, as they are given, against its declaration: in its order, with defaults.
///
/// # Errors
///
/// The first that is missing or wrong; what is given beyond the declaration is not looked at.
pub(crate) fn for_service<'d>(
    registry: &Registry,
    zones: &Zones,
    now: i64,
    declared: impl Iterator<Item = &'d ArgDeclaration>,
    given: &Map<String, Json>,
) -> Result<Vec<Arg>, Refusal> {
    let mut converter = Converter::of_options(registry, zones, now);
    let mut args = Vec::new();
    for declaration in declared {
        let sent = std::iter::once(&declaration.name)
            .chain(&declaration.synonyms)
            .find_map(|name| given.get(name))
            .map(|json| Sent::Json(json.clone()))
            .filter(|sent| !convert::is_absent(converter.purpose(), declaration, sent));
        let value = match (sent, &declaration.default) {
            (Some(sent), _) => converter.argument(declaration, &sent)?,
            (None, Some(default)) => converter.default(declaration, default)?,
            (None, None) if declaration.required => {
                let name = &declaration.name;
                let message = match &declaration.missing {
                    Some(text) => text.clone(),
                    None => format!("Missing required option '{name}'."),
                };
                return Err(refusal(message, "missing_argument", &[("argument", name)]));
            }
            (None, None) => None,
        };
        args.extend(value.map(|value| Arg {
            name: declaration.name.clone(),
            value,
        }));
    }
    Ok(args)
}

/// Does what the checks say of a POST's arguments depend on what is stored, the caller's rights aside?
pub(crate) fn looks_up(of: &TypeDeclaration) -> bool {
    let is_stored = |vocabulary: &str| {
        !RIGHTS.contains(&vocabulary) && crate::vocabulary::values(vocabulary).is_none()
    };
    create_arguments(of).iter().any(|declaration| {
        let keys = declaration.keys.iter();
        std::iter::once(*declaration)
            .chain(keys)
            .any(|declaration| declaration.vocab.as_deref().is_some_and(is_stored))
    })
}

/// Own arguments first, then those shared ones that the type takes and does not declare itself.
fn create_arguments(of: &TypeDeclaration) -> Vec<&ArgDeclaration> {
    let mut declarations: Vec<&ArgDeclaration> = of.args.iter().collect();
    for shared in shared_arguments(of) {
        if !of.args.iter().any(|own| own.name == shared.name) {
            declarations.push(shared);
        }
    }
    declarations
}

/// Parameters as sent; files that the declaration knows get their numbers. A text where a file is wanted is the content
/// of a file named `unknown` (create.md 1.1).
async fn read(
    context: Context<'_>,
    declarations: &[&ArgDeclaration],
    params: &Params,
    files: &mut Vec<(String, Arc<StagedFile>)>,
) -> Result<Vec<(String, Sent)>, NotDone> {
    let mut sent = Vec::with_capacity(params.len());
    for (name, param) in params {
        let declaration = declarations
            .iter()
            .find(|declaration| goes_by(declaration, name));
        let wants_file = declaration.is_some_and(|declaration| declaration.kind == ArgKind::File);
        let file = match param {
            Param::Text(text) | Param::Json(Json::String(text))
                if wants_file && !text.is_empty() =>
            {
                let staged = super::work::stage(
                    context.services.store.as_ref(),
                    "unknown",
                    text.clone().into_bytes(),
                )
                .await;
                Arc::new(staged.map_err(NotDone::Internal)?)
            }
            Param::Text(text) => {
                sent.push((name.clone(), Sent::Json(Json::from(text.as_str()))));
                continue;
            }
            Param::Json(json) => {
                sent.push((name.clone(), Sent::Json(json.clone())));
                continue;
            }
            Param::File(file) => Arc::clone(file),
        };
        if wants_file || declaration.is_some() {
            files.push((name.clone(), file));
            sent.push((name.clone(), Sent::File(files.len() as u32)));
        } else {
            sent.push((name.clone(), Sent::File(0)));
        }
    }
    Ok(sent)
}

/// One request's arguments while they are being checked.
struct Check<'a> {
    context: Context<'a>,
    purpose: Purpose<'a>,
    sent: &'a [(String, Sent)],
    converter: Converter<'a>,
    args: Vec<Arg>,
    /// Sources to write with: a matter of rights, so looked at after the permission.
    deferred: Vec<Pending>,
}

impl<'a> Check<'a> {
    fn new(context: Context<'a>, purpose: Purpose<'a>, sent: &'a [(String, Sent)]) -> Self {
        let converter = Converter::new(purpose, context);
        Self {
            context,
            purpose,
            sent,
            converter,
            args: Vec::new(),
            deferred: Vec::new(),
        }
    }

    /// What was sent under the argument's own name, else under a synonym. Absent values don't count.
    fn sent_for(&self, declaration: &ArgDeclaration) -> Option<Sent> {
        std::iter::once(&declaration.name)
            .chain(&declaration.synonyms)
            .find_map(|name| {
                let values: Vec<&Sent> = self
                    .sent
                    .iter()
                    .filter(|(sent, _)| sent == name)
                    .map(|(_, value)| value)
                    .collect();
                let value = match values.as_slice() {
                    [] => return None,
                    [.., last] if declaration.kind != ArgKind::List => (*last).clone(),
                    [one] => (*one).clone(),
                    // Repeated keys of a form are one list (create.md 1.1, 4-G5).
                    several => Sent::Json(
                        several
                            .iter()
                            .flat_map(|value| convert::elements(value))
                            .collect(),
                    ),
                };
                (!convert::is_absent(self.purpose, declaration, &value)).then_some(value)
            })
    }

    async fn argument(&mut self, declaration: &ArgDeclaration) -> Result<(), NotDone> {
        let declaration = &*naming(declaration, &self.args);
        let value = match self.sent_for(declaration) {
            Some(sent) => self.converter.argument(declaration, &sent)?,
            None => match &declaration.default {
                Some(default) => self.converter.default(declaration, default)?,
                None if is_demanded(declaration) => {
                    return Err(missing(self.purpose, declaration).into());
                }
                None => return Ok(()),
            },
        };
        let Some(mut value) = value else {
            return Ok(());
        };
        for pending in std::mem::take(&mut self.converter.pending) {
            if pending.vocabulary == WRITABLE {
                self.deferred.push(pending);
                continue;
            }
            match self.look_up(&pending).await? {
                None => return Err(pending.refusal.into()),
                Some(current) if current != pending.text => {
                    replace(&mut value, &pending.text, &current)
                }
                Some(_) => {}
            }
        }
        self.args.push(Arg {
            name: declaration.name.clone(),
            value,
        });
        Ok(())
    }

    /// The spelling under which a database-managed set knows a value.
    async fn look_up(&self, pending: &Pending) -> Result<Option<String>, NotDone> {
        let Context {
            caller, services, ..
        } = self.context;
        let known = |known: bool| known.then(|| pending.text.clone());
        if let Some(type_name) = pending.vocabulary.strip_prefix(ACTIVE) {
            return active_document(self.context, type_name, &pending.text).await;
        }
        let register = match pending.vocabulary.as_str() {
            "sources" => return Ok(known(caller.rights.sources.contains_key(&pending.text))),
            "registered-sources" => "source",
            "identifier-types" => "identifier-type",
            "raw-data-types" => "raw-data-type",
            "signature-types" => "signature-type",
            "action-types" => "action-type",
            other => {
                return Err(NotDone::Internal(format!(
                    "a declaration names the unknown vocabulary `{other}`"
                )));
            }
        };
        let has = services
            .registers
            .has(register, &pending.text)
            .await
            .map_err(store_failed)?;
        Ok(known(has))
    }

    fn finish(self, declarations: &[&ArgDeclaration]) -> Result<Checked, NotDone> {
        for pending in self.deferred {
            if !self.context.caller.rights.may_write(&pending.text) {
                let message = match pending.has_template {
                    true => pending.refusal.message,
                    false => format!(
                        "User does not have permission to add object using source {}.",
                        pending.text
                    ),
                };
                return Err(NotDone::Refused(refusal(
                    message,
                    "forbidden",
                    &[("argument", &pending.argument)],
                )));
            }
        }
        let mut ignored: Vec<String> = Vec::new();
        for (name, _) in self.sent {
            let known = declarations
                .iter()
                .any(|declaration| goes_by(declaration, name));
            let ours = INJECTED.contains(&name.as_str()) || RESERVED.contains(&name.as_str());
            if !known && !ours && !ignored.contains(name) {
                ignored.push(name.clone());
            }
        }
        Ok(Checked {
            args: self.args,
            files: Vec::new(),
            ignored,
            warnings: self.converter.warnings,
            denied: None,
        })
    }
}

/// Is it refused here if it is not there?
fn is_demanded(declaration: &ArgDeclaration) -> bool {
    declaration.required && declaration.check == ArgCheck::Before
}

fn goes_by(declaration: &ArgDeclaration, name: &str) -> bool {
    declaration.name == name || declaration.synonyms.iter().any(|synonym| synonym == name)
}

/// The vocabulary `active:TYPE`: the natural keys of that type's documents that are not switched off, in any case
/// (create.md 5.9). Those only that the caller may see.
pub(super) const ACTIVE: &str = "active:";

/// The natural key of an active document as it is stored.
async fn active_document(
    context: Context<'_>,
    type_name: &str,
    name: &str,
) -> Result<Option<String>, NotDone> {
    let Context {
        caller,
        registry,
        services,
        ..
    } = context;
    let Some(of) = registry
        .type_named(type_name)
        .map(|entry| &entry.declaration)
    else {
        return Ok(None);
    };
    let Some(lookup) = of
        .lookup
        .as_deref()
        .and_then(|field| FieldPath::parse(field).ok())
    else {
        return Ok(None);
    };
    let expression = regex::RegexBuilder::new(&format!("^{}$", regex::escape(name)))
        .case_insensitive(true)
        .build();
    let expression = expression.map_err(|error| NotDone::Internal(error.to_string()))?;
    let filter = Filter::And(vec![
        Filter::Field(lookup.clone(), Test::Matches(expression)),
        Filter::Field(FieldPath::literal("active"), Test::Ne("off".into())),
    ]);
    let query = ListQuery {
        collection: of.collection.clone(),
        visible: services.access.visible(caller, of.sources),
        filter,
        sort: vec![SortKey {
            path: lookup.clone(),
            direction: Direction::Ascending,
        }],
        offset: 0,
        limit: 20,
    };
    let page = services.store.list(&query).await.map_err(store_failed)?;
    let names: Vec<&str> = page
        .documents
        .iter()
        .filter_map(|document| document.body.get_str(lookup.as_str()).ok())
        .collect();
    Ok(names
        .iter()
        .find(|found| **found == name)
        .or(names.first())
        .map(|found| (*found).to_owned()))
}

/// Puts the current spelling in place of the one sent, in a text or in a list of texts.
fn replace(value: &mut Value, old: &str, current: &str) {
    match value {
        Value::Text(text) if text == old => current.clone_into(text),
        Value::Json(text) => {
            if let Ok(Json::Array(mut elements)) = serde_json::from_str(text) {
                elements
                    .iter_mut()
                    .filter(|element| element.as_str() == Some(old))
                    .for_each(|element| *element = current.into());
                *text = Json::Array(elements).to_string();
            }
        }
        _ => {}
    }
}

/// A flag with the type it is for: `tickets_add` of a Domain is `Domain.tickets_add`.
#[must_use]
pub fn qualified(flag: &str, type_name: &str) -> String {
    if flag.contains('.') {
        flag.to_owned()
    } else {
        format!("{type_name}.{flag}")
    }
}

fn missing(purpose: Purpose<'_>, declaration: &ArgDeclaration) -> Refusal {
    let name = &declaration.name;
    let message = match (&declaration.missing, purpose) {
        (Some(text), _) => text.clone(),
        (None, Purpose::Create) => format!("Missing required argument '{name}'."),
        (None, Purpose::Action(action)) => {
            format!("Missing required argument '{name}' for action '{action}'.")
        }
    };
    refusal(message, "missing_argument", &[("argument", name)])
}

/// A refusal with its machine-readable half (core-api 13.3).
pub(crate) fn refusal(message: impl Into<String>, code: &str, members: &[(&str, &str)]) -> Refusal {
    let mut error = Map::new();
    error.insert("code".into(), code.into());
    error.extend(
        members
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Json::from(*value))),
    );
    Refusal {
        message: message.into(),
        error,
    }
}

fn store_failed(error: StoreError) -> NotDone {
    error.into()
}

impl From<Refusal> for NotDone {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
