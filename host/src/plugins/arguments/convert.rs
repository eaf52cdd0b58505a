//! One argument: from what was sent to a value of the contract.

use serde_json::{Map, Value as Json, json};

use super::{Context, Purpose, Sent, refusal};
use crate::dates::{self, Zones};
use crate::plugins::declaration::{ArgCheck, ArgDeclaration, ArgKind, EmptyDate};
use crate::plugins::{Refusal, Registry, Value};
use crate::vocabulary;

/// A value that has to be looked up in a database-managed set.
pub(super) struct Pending {
    /// Name of the set.
    pub(super) vocabulary: String,
    /// The value.
    pub(super) text: String,
    /// Argument it belongs to.
    pub(super) argument: String,
    /// What to say if it is not there.
    pub(super) refusal: Refusal,
    /// The text of the refusal is the declaration's own.
    pub(super) has_template: bool,
}

/// Converts arguments one after the other.
pub(super) struct Converter<'a> {
    purpose: Purpose<'a>,
    registry: &'a Registry,
    now: i64,
    zones: &'a Zones,
    /// Sentences about what was accepted although it should be written differently.
    pub(super) warnings: Vec<String>,
    /// What the last argument wants looked up.
    pub(super) pending: Vec<Pending>,
}

/// Where in an argument a value stands.
#[derive(Clone, Copy)]
enum At<'a> {
    Argument(&'a str),
    Key { argument: &'a str, key: &'a str },
}

impl<'a> At<'a> {
    /// The name that texts use.
    fn name(self) -> &'a str {
        match self {
            Self::Argument(name) | Self::Key { key: name, .. } => name,
        }
    }

    fn refusal(self, message: impl Into<String>, code: &str, expected: Option<&str>) -> Refusal {
        let mut members = match self {
            Self::Argument(name) => vec![("argument", name)],
            Self::Key { argument, key } => vec![("argument", argument), ("key", key)],
        };
        members.extend(expected.map(|expected| ("expected", expected)));
        refusal(message, code, &members)
    }

    fn wrong_type(self, article: &str, expected: &str) -> Refusal {
        self.refusal(
            format!("Argument '{}' must be {article} {expected}.", self.name()),
            "invalid_type",
            Some(expected),
        )
    }
}

/// Does what was sent count as not sent (create.md 4-G3, ACT-12)?
pub(super) fn is_absent(purpose: Purpose<'_>, declaration: &ArgDeclaration, sent: &Sent) -> bool {
    let Sent::Json(json) = sent else {
        return false;
    };
    let is_text = matches!(
        declaration.kind,
        ArgKind::String | ArgKind::Text | ArgKind::List
    );
    match (json, purpose) {
        (Json::Null, _) => true,
        (Json::String(_), Purpose::Action(_)) if is_text => false,
        (Json::String(text), Purpose::Create) if declaration.kind == ArgKind::List => {
            text.split(',').all(|part| part.trim().is_empty())
        }
        (Json::String(text), _) => {
            let text = text.trim();
            text.is_empty() && declaration.empty.is_none()
                || declaration.kind == ArgKind::Ldate && text.eq_ignore_ascii_case("none")
        }
        (Json::Array(elements), Purpose::Create) if declaration.kind != ArgKind::Any => {
            elements.iter().all(|element| {
                element.is_null() || element.as_str().is_some_and(|text| text.trim().is_empty())
            })
        }
        _ => false,
    }
}

/// What was sent for a list, as its elements.
pub(super) fn elements(sent: &Sent) -> Vec<Json> {
    match sent {
        Sent::Json(Json::Array(elements)) => elements.clone(),
        Sent::Json(Json::String(text)) => text.split(',').map(Json::from).collect(),
        Sent::Json(Json::Null) | Sent::File(_) => Vec::new(),
        Sent::Json(other) => vec![other.clone()],
    }
}

/// Numbers and booleans where a text is wanted (B10, ACT-11).
fn as_text(json: &Json) -> Option<String> {
    match json {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// How a refusal quotes a value.
fn quoted(json: &Json) -> String {
    let mut text = as_text(json).unwrap_or_else(|| json.to_string());
    if let Some((end, _)) = text.char_indices().nth(200) {
        text.truncate(end);
        text.push('…');
    }
    text
}

impl<'a> Converter<'a> {
    pub(super) fn new(purpose: Purpose<'a>, context: Context<'a>) -> Self {
        Self {
            purpose,
            registry: context.registry,
            now: context.now,
            zones: context.zones,
            warnings: Vec::new(),
            pending: Vec::new(),
        }
    }

    /// Of options of an analysis service, which nobody looks up anywhere.
    pub(super) fn of_options(registry: &'a Registry, zones: &'a Zones, now: i64) -> Self {
        Self {
            purpose: Purpose::Action(""),
            registry,
            now,
            zones,
            warnings: Vec::new(),
            pending: Vec::new(),
        }
    }

    pub(super) fn purpose(&self) -> Purpose<'a> {
        self.purpose
    }

    /// The value of an argument that was sent.
    pub(super) fn argument(
        &mut self,
        declaration: &ArgDeclaration,
        sent: &Sent,
    ) -> Result<Option<Value>, Refusal> {
        let at = At::Argument(&declaration.name);
        match sent {
            Sent::File(number) if declaration.kind == ArgKind::File && *number > 0 => {
                Ok(Some(Value::File(*number)))
            }
            Sent::File(_) => Err(at.refusal(
                format!("Argument '{}' can't be a file.", declaration.name),
                "invalid_type",
                Some(expected(declaration.kind).1),
            )),
            Sent::Json(json) => self.value(declaration, at, json).map(Some),
        }
    }

    /// The value of an argument that was not sent.
    pub(super) fn default(
        &mut self,
        declaration: &ArgDeclaration,
        default: &Json,
    ) -> Result<Option<Value>, Refusal> {
        self.default_at(declaration, At::Argument(&declaration.name), default)
    }

    fn default_at(
        &mut self,
        declaration: &ArgDeclaration,
        at: At<'_>,
        default: &Json,
    ) -> Result<Option<Value>, Refusal> {
        let is_date = matches!(declaration.kind, ArgKind::Date | ArgKind::Ldate);
        match default {
            Json::Null => Ok(None),
            Json::String(text) if is_date && text == "now" => Ok(Some(Value::Date(self.now))),
            default => self.value(declaration, at, default).map(Some),
        }
    }

    fn value(
        &mut self,
        declaration: &ArgDeclaration,
        at: At<'_>,
        json: &Json,
    ) -> Result<Value, Refusal> {
        match declaration.kind {
            ArgKind::List => self.list(declaration, at, json),
            ArgKind::Map => self.map(declaration, at, json),
            ArgKind::File => Err(refusal(
                "Expected filehandle, got string.",
                "invalid_type",
                &[("argument", at.name()), ("expected", "file")],
            )),
            ArgKind::Any => any(declaration, at, json),
            kind => self.single(declaration, kind, at, json),
        }
    }

    fn single(
        &mut self,
        declaration: &ArgDeclaration,
        kind: ArgKind,
        at: At<'_>,
        json: &Json,
    ) -> Result<Value, Refusal> {
        let (article, name) = expected(kind);
        let wrong = || at.wrong_type(article, name);
        match kind {
            ArgKind::String | ArgKind::Text => self.text(declaration, kind, at, json),
            ArgKind::Bool => flag(json).map(Value::Flag).ok_or_else(wrong),
            ArgKind::Int => {
                let number = whole(json).ok_or_else(wrong)?;
                self.choice(declaration, at, json, &Json::from(number))?;
                Ok(Value::Int(number))
            }
            ArgKind::Num => {
                let number = match json {
                    Json::Number(number) => number.as_f64(),
                    Json::String(text) => text.trim().parse().ok(),
                    _ => None,
                };
                number
                    .filter(|number| number.is_finite())
                    .map(Value::Num)
                    .ok_or_else(wrong)
            }
            ArgKind::Id => {
                let text = match json {
                    Json::Object(members) => members
                        .get("$oid")
                        .and_then(Json::as_str)
                        .map(str::to_owned),
                    other => as_text(other),
                };
                let id = text.map(|text| text.trim().to_ascii_lowercase());
                let id = id
                    .filter(|id| id.len() == 24 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
                match (id, &declaration.invalid) {
                    (Some(id), _) => Ok(Value::Id(id)),
                    // A malformed id is an unknown one (create.md 4-G11).
                    (None, Some(template)) => Err(at.refusal(
                        template.replace("{value}", &quoted(json)),
                        "not_found",
                        None,
                    )),
                    (None, None) => Err(wrong()),
                }
            }
            ArgKind::Type => {
                let text = as_text(json).ok_or_else(wrong)?;
                let named = self.registry.type_as_written(text.trim());
                // What is no top-level object can't be related to, commented on, …
                match named.filter(|entry| entry.declaration.top_level) {
                    Some(entry) => Ok(Value::Text(entry.declaration.name.clone())),
                    None => {
                        let template = declaration
                            .invalid
                            .as_deref()
                            .unwrap_or("Unknown object type: {value}.");
                        Err(at.refusal(template.replace("{value}", text.trim()), "not_found", None))
                    }
                }
            }
            ArgKind::Date | ArgKind::Ldate => self.date(declaration, kind, at, json),
            // Lists and maps in lists are looked at where lists are.
            ArgKind::List | ArgKind::Map | ArgKind::File | ArgKind::Any => Err(wrong()),
        }
    }

    fn date(
        &self,
        declaration: &ArgDeclaration,
        kind: ArgKind,
        at: At<'_>,
        json: &Json,
    ) -> Result<Value, Refusal> {
        if let Some(milliseconds) = json.get("$date").and_then(Json::as_i64) {
            return Ok(Value::Date(milliseconds));
        }
        if let (Some(EmptyDate::Now), Some("")) = (declaration.empty, json.as_str().map(str::trim))
        {
            return Ok(Value::Date(self.now));
        }
        let reader = if kind == ArgKind::Date {
            dates::strict
        } else {
            dates::lenient
        };
        if let Some(written) = as_text(json).and_then(|text| reader(&text)) {
            return Ok(Value::Date(self.zones.read(written)));
        }
        let (name, value) = (at.name(), quoted(json));
        let message = match (&declaration.invalid, kind, self.purpose) {
            (Some(template), _, _) => template.replace("{value}", &value),
            (None, ArgKind::Date, _) => {
                format!("Argument '{name}' must match %Y-%m-%d %H:%M:%S.%f.")
            }
            (None, _, Purpose::Create) => format!("Invalid date: {value}."),
            (None, _, Purpose::Action(_)) => format!("Argument '{name}' is not a date: {value}."),
        };
        Err(at.refusal(message, "invalid_date", None))
    }

    fn text(
        &mut self,
        declaration: &ArgDeclaration,
        kind: ArgKind,
        at: At<'_>,
        json: &Json,
    ) -> Result<Value, Refusal> {
        let mut text = as_text(json).ok_or_else(|| at.wrong_type("a", "string"))?;
        if declaration.unescape {
            text = html_escape::decode_html_entities(&text).into_owned();
        }
        if declaration.trim.unwrap_or(kind == ArgKind::String) {
            text = text.trim().to_owned();
        }
        if declaration.nonempty && text.trim().is_empty() {
            return Err(empty(declaration, at));
        }
        check_length(declaration, at, &text)?;
        if let Json::String(choice) =
            self.choice(declaration, at, json, &Json::from(text.as_str()))?
        {
            text = choice;
        }
        self.vocabulary(declaration, at, text).map(Value::Text)
    }

    /// The declared spelling of a value of an inline set.
    fn choice(
        &self,
        declaration: &ArgDeclaration,
        at: At<'_>,
        sent: &Json,
        value: &Json,
    ) -> Result<Json, Refusal> {
        let choices = &declaration.choices;
        let is_checked = declaration.check == ArgCheck::Before;
        if choices.is_empty() || choices.contains(value) || !is_checked {
            return Ok(value.clone());
        }
        let text = value.as_str().map(str::trim);
        let alike = |choice: &&Json| {
            choice
                .as_str()
                .zip(text)
                .is_some_and(|(choice, text)| choice.eq_ignore_ascii_case(text))
        };
        choices
            .iter()
            .find(alike)
            .cloned()
            .ok_or_else(|| invalid(declaration, at, &quoted(sent)))
    }

    /// The current spelling of a value of a named set; database-managed sets are looked up later.
    fn vocabulary(
        &mut self,
        declaration: &ArgDeclaration,
        at: At<'_>,
        text: String,
    ) -> Result<String, Refusal> {
        let Some(name) = declaration
            .vocab
            .as_ref()
            .filter(|_| declaration.check == ArgCheck::Before)
        else {
            return Ok(text);
        };
        if vocabulary::values(name).is_none() {
            self.pending.push(Pending {
                vocabulary: name.clone(),
                text: text.clone(),
                argument: at.name().to_owned(),
                refusal: invalid(declaration, at, &text),
                has_template: declaration.invalid.is_some(),
            });
            return Ok(text);
        }
        match vocabulary::recognise(name, &text) {
            Some(recognised) => {
                if recognised.by_old_name {
                    let warning = format!(
                        "'{}' is an old name; '{}' is used.",
                        text.trim(),
                        recognised.value
                    );
                    if !self.warnings.contains(&warning) {
                        self.warnings.push(warning);
                    }
                }
                Ok(recognised.value.to_owned())
            }
            None => Err(invalid(declaration, at, &quoted(&Json::from(text)))),
        }
    }

    /// A JSON array, comma-separated text, or a single value (ACT-11, create.md 4-G5).
    fn list(
        &mut self,
        declaration: &ArgDeclaration,
        at: At<'_>,
        json: &Json,
    ) -> Result<Value, Refusal> {
        let of = declaration.of.unwrap_or(ArgKind::String);
        let wrong = || at.wrong_type("a", &format!("list of {}", plural(of)));
        let elements = match json {
            Json::String(text) if of == ArgKind::Map => match serde_json::from_str(text) {
                Ok(Json::Array(elements)) => elements,
                Ok(object @ Json::Object(_)) => vec![object],
                _ => return Err(wrong()),
            },
            Json::Object(_) if of != ArgKind::Map => return Err(wrong()),
            other => self::elements(&Sent::Json(other.clone())),
        };
        let mut converted: Vec<Json> = Vec::with_capacity(elements.len());
        for element in &elements {
            let blank = element.is_null()
                || of != ArgKind::Map
                    && element.as_str().is_some_and(|text| text.trim().is_empty());
            if blank {
                continue;
            }
            if of != ArgKind::Map
                && (element.is_array() || element.is_object() && element.get("$oid").is_none())
            {
                return Err(wrong());
            }
            let value = match of {
                ArgKind::Map => self.map(declaration, at, element)?,
                // Elements of a list of texts are trimmed whatever the kind of text.
                ArgKind::String | ArgKind::Text => {
                    self.text(declaration, ArgKind::String, at, element)?
                }
                of => self.single(declaration, of, at, element)?,
            };
            let value = value.to_json().map_err(|_| wrong())?;
            if !converted.contains(&value) {
                converted.push(value);
            }
        }
        if declaration.nonempty && converted.is_empty() {
            return Err(empty(declaration, at));
        }
        Ok(Value::Json(Json::Array(converted).to_string()))
    }

    /// An object; a text is tried as JSON (ACT-15). Unknown keys are ignored, unless no key is declared at all.
    fn map(
        &mut self,
        declaration: &ArgDeclaration,
        at: At<'_>,
        json: &Json,
    ) -> Result<Value, Refusal> {
        let wrong = || at.wrong_type("an", "object");
        let parsed;
        let members = match json {
            Json::Object(members) => members,
            Json::String(text) => {
                parsed = serde_json::from_str::<Map<String, Json>>(text).map_err(|_| wrong())?;
                &parsed
            }
            _ => return Err(wrong()),
        };
        if declaration.keys.is_empty() {
            return Ok(Value::Json(Json::Object(members.clone()).to_string()));
        }
        let mut converted = Map::new();
        for key in &declaration.keys {
            let at = At::Key {
                argument: at.name(),
                key: &key.name,
            };
            let names = std::iter::once(&key.name).chain(&key.synonyms);
            let sent = names
                .filter_map(|name| members.get(name))
                .find(|value| !is_absent(self.purpose, key, &Sent::Json((*value).clone())));
            let value = match (sent, &key.default) {
                (Some(sent), _) => Some(self.value(key, at, sent)?),
                (None, Some(default)) => self.default_at(key, at, default)?,
                (None, None) if key.required => {
                    let message = match &key.missing {
                        Some(text) => text.clone(),
                        None => format!(
                            "Missing key '{}' in argument '{}'.",
                            key.name, declaration.name
                        ),
                    };
                    return Err(at.refusal(message, "missing_key", None));
                }
                (None, None) => None,
            };
            if let Some(value) = value {
                converted.insert(key.name.clone(), value.to_json().map_err(|_| wrong())?);
            }
        }
        Ok(Value::Json(json!(converted).to_string()))
    }
}

/// As it was sent: what it must be, the plugin says.
fn any(declaration: &ArgDeclaration, at: At<'_>, json: &Json) -> Result<Value, Refusal> {
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Flag(*flag),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => Value::Int(number),
            (None, Some(number)) => Value::Num(number),
            (None, None) => Value::Text(number.to_string()),
        },
        Json::String(text) => {
            check_length(declaration, at, text)?;
            Value::Text(text.clone())
        }
        Json::Array(_) | Json::Object(_) => {
            let text = json.to_string();
            check_length(declaration, at, &text)?;
            Value::Json(text)
        }
    })
}

fn check_length(declaration: &ArgDeclaration, at: At<'_>, text: &str) -> Result<(), Refusal> {
    match declaration.max_length {
        Some(limit) if text.len() as u64 > limit => Err(at.refusal(
            format!("Argument '{}' is longer than {limit} bytes.", at.name()),
            "invalid_value",
            None,
        )),
        _ => Ok(()),
    }
}

fn empty(declaration: &ArgDeclaration, at: At<'_>) -> Refusal {
    let message = match &declaration.missing {
        Some(text) => text.clone(),
        None => format!("Argument '{}' must not be empty.", at.name()),
    };
    at.refusal(message, "invalid_value", None)
}

fn invalid(declaration: &ArgDeclaration, at: At<'_>, value: &str) -> Refusal {
    let message = match &declaration.invalid {
        Some(template) => template.replace("{value}", value),
        None => format!("Invalid {}: {value}.", at.name()),
    };
    at.refusal(message, "invalid_value", None)
}

/// Article and name of a kind in texts.
fn expected(kind: ArgKind) -> (&'static str, &'static str) {
    match kind {
        ArgKind::String | ArgKind::Text => ("a", "string"),
        ArgKind::Bool => ("a", "boolean"),
        ArgKind::Int => ("an", "integer"),
        ArgKind::Num => ("a", "number"),
        ArgKind::Id => ("an", "object id"),
        ArgKind::Type => ("a", "type name"),
        ArgKind::Date | ArgKind::Ldate => ("a", "date"),
        ArgKind::List => ("a", "list"),
        ArgKind::Map => ("an", "object"),
        ArgKind::File => ("a", "file"),
        ArgKind::Any => ("a", "value"),
    }
}

fn plural(kind: ArgKind) -> &'static str {
    match kind {
        ArgKind::String | ArgKind::Text => "strings",
        ArgKind::Bool => "booleans",
        ArgKind::Int => "integers",
        ArgKind::Num => "numbers",
        ArgKind::Id => "object ids",
        ArgKind::Type => "type names",
        ArgKind::Date | ArgKind::Ldate => "dates",
        ArgKind::List => "lists",
        ArgKind::Map => "objects",
        ArgKind::File => "files",
        ArgKind::Any => "values",
    }
}

/// Booleans (create.md 3.3, B11).
fn flag(json: &Json) -> Option<bool> {
    match json {
        Json::Bool(flag) => Some(*flag),
        Json::Number(number) => Some(number.as_f64() != Some(0.0)),
        Json::String(text) => {
            let text = text.trim().to_ascii_lowercase();
            Some(!matches!(
                text.as_str(),
                "" | "0" | "false" | "no" | "off" | "none"
            ))
        }
        _ => None,
    }
}

fn whole(json: &Json) -> Option<i64> {
    match json {
        Json::Number(number) => number.as_i64().or_else(|| {
            let number = number.as_f64()?;
            (number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0)
                .then_some(number as i64)
        }),
        Json::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}
