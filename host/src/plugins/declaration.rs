//! What a plugin says of itself: the text of `describe`, read and checked.
//!
//! The form is JSON; `docs/PLUGINS.md` has the schema. Unknown keys are allowed at the top level (newer declarations on
//! older hosts) and are an error inside.

pub(crate) mod check;
pub mod compatibility;
mod service;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

pub use service::{ServiceDeclaration, ServiceExample, ServiceOption};

/// A plugin's declaration.
#[derive(Debug, Clone, Deserialize)]
pub struct Declaration {
    /// Form of the declaration: 1.
    pub format: u32,
    /// Contract version the plugin was built for: `1.1`.
    pub contract: String,
    /// Name of the plugin.
    pub name: String,
    /// Its version.
    pub version: semver::Version,
    /// One sentence for operators.
    pub summary: String,
    /// Types it provides.
    #[serde(default)]
    pub types: Vec<TypeDeclaration>,
    /// Actions it provides.
    #[serde(default)]
    pub actions: Vec<ActionDeclaration>,
    /// Analysis services it provides.
    #[serde(default)]
    pub services: Vec<ServiceDeclaration>,
    /// Why it needs what it touches beyond its own documents: capability → reason.
    #[serde(default)]
    pub needs: BTreeMap<String, String>,
    /// Limits it asks for; never above the operator's.
    #[serde(default)]
    pub limits: BTreeMap<String, u64>,
}

/// Longest declaration in bytes.
pub const LONGEST: usize = 1 << 20;

impl Declaration {
    /// Reads and checks the text of `describe`.
    ///
    /// # Errors
    ///
    /// A sentence that names everything that is wrong.
    pub fn read(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!(
                "the declaration is {} bytes long; at most {LONGEST} are read",
                text.len()
            ));
        }
        let declaration: Self = serde_json::from_str(text)
            .map_err(|error| format!("the declaration can't be read: {error}"))?;
        let problems = check::problems(&declaration);
        if problems.is_empty() {
            return Ok(declaration);
        }
        Err(format!("the declaration is wrong: {}", problems.join("; ")))
    }

    /// What the plugin may do beyond the document of the call and the documents of its own types: what an operator has
    /// to grant.
    #[must_use]
    pub fn capabilities(&self) -> BTreeSet<&str> {
        let touched = self
            .types
            .iter()
            .flat_map(|of| &of.touches)
            .chain(self.actions.iter().flat_map(|action| &action.touches))
            .chain(self.services.iter().flat_map(|service| &service.touches));
        let own = |capability: &str| {
            let of = capability
                .strip_prefix("create:")
                .or_else(|| capability.strip_prefix("other:"));
            capability.starts_with("self.")
                || of.is_some_and(|of| self.types.iter().any(|own| own.name == of))
        };
        touched
            .chain(self.needs.keys())
            .map(String::as_str)
            .filter(|capability| !own(capability))
            .collect()
    }
}

/// A top-level object type.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypeDeclaration {
    /// Type name: `Domain`.
    pub name: String,
    /// Resource in URLs: `domains`.
    pub resource: String,
    /// Collection of the store; empty if it is a part of another type.
    #[serde(default)]
    pub collection: String,
    /// Another type of the same plugin: what is posted here becomes part of documents of that type. There are no
    /// documents of one's own then: no collection, no fields, no method but POST (`indicator_activity`).
    #[serde(default)]
    pub part_of: Option<String>,
    /// `schema_version` written into every document.
    #[serde(default = "one")]
    pub schema_version: i32,
    /// Documents have sources and fall under S1.
    #[serde(default)]
    pub sources: bool,
    /// The host gives every new document its only source: the author's organisation, red, whatever the author may write
    /// with (create.md 5.6).
    #[serde(default)]
    pub author_source: bool,
    /// Has the fields every top-level object has.
    #[serde(default = "yes")]
    pub top_level: bool,
    /// Its documents are the tasks of analysis services (documents.md 3.19): the host makes them and hands them out, whatever
    /// is posted, and who may not see the object of a task does not see the task (rules SVC-18 to SVC-20).
    #[serde(default)]
    pub tasks: bool,
    /// Which objects analysis services are started on when they are posted.
    #[serde(default)]
    pub triage: Triage,
    /// Description for users.
    #[serde(default)]
    pub summary: String,
    /// Unique keys: stored fields.
    #[serde(default)]
    pub keys: Vec<Vec<String>>,
    /// Stored field by which `related_md5` finds a document.
    #[serde(default)]
    pub lookup: Option<String>,
    /// Stored field of a unique key by which the members of a family differ; it is empty in the family itself. Whatever
    /// is related to a member is also related to the family (rule forge_relationship.6): `version` of backdoors.
    #[serde(default)]
    pub family: Option<String>,
    /// The type's own fields.
    pub fields: Vec<FieldDeclaration>,
    /// Which groups of shared create arguments it takes.
    #[serde(default)]
    pub shared: Vec<String>,
    /// Create arguments.
    pub args: Vec<ArgDeclaration>,
    /// What `create` may write beyond documents of this type.
    #[serde(default)]
    pub touches: Vec<String>,
    /// HTTP methods of the resource.
    #[serde(default = "all_methods")]
    pub methods: Vec<String>,
    /// Flag needed to create. `{NAME}` in it is the value of an argument of kind `type`: `{object_type}.comments_add`.
    #[serde(default = "write_flag")]
    pub permission: String,
    /// Text when it lacks, with `{NAME}` as in `permission`.
    #[serde(default)]
    pub refusal: Option<String>,
    /// Flag needed to list and read; empty: none.
    #[serde(default = "read_flag")]
    pub read_permission: String,
    /// When the permission is checked.
    #[serde(default)]
    pub permission_check: PermissionCheck,
    /// A POST that names no object answers `id` as an empty text (rule B17).
    #[serde(default)]
    pub empty_id: bool,
    /// Further keys of the answers to a POST (create.md 1.3).
    #[serde(default)]
    pub answer_keys: AnswerKeys,
    /// Its documents tell of another object: whoever has subscribed to that one, and whom they name, is notified of them.
    #[serde(default)]
    pub notifies: Option<Notifies>,
    /// Stored field that must have the reader's name: the document is that user's alone. Of the host's own types only.
    #[serde(skip)]
    pub personal: Option<&'static str>,
    /// Executable examples.
    #[serde(default)]
    pub examples: Vec<ExampleDeclaration>,
}

/// Stored fields of a document that tells of another object (comments).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notifies {
    /// Type of the object.
    #[serde(rename = "type")]
    pub of_type: String,
    /// Its id.
    pub id: String,
    /// Names of users who are told as well.
    pub mentioned: String,
}

/// Which objects of a type are analysed because of a POST (create.md 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Triage {
    /// Those that did not exist before.
    #[default]
    New,
    /// Those that have not been analysed yet, also if they existed before.
    Unanalysed,
}

/// When a create permission is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PermissionCheck {
    /// Before the arguments.
    First,
    /// After them.
    #[default]
    AfterArguments,
    /// By the plugin, at its place among its own checks. The host refuses in the end what the plugin let pass.
    Within,
}

/// Keys that a resource has always answered besides those of the envelope, by how the POST ended.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerKeys {
    /// With success.
    #[serde(default)]
    pub success: serde_json::Map<String, Json>,
    /// With a refusal.
    #[serde(default)]
    pub failure: serde_json::Map<String, Json>,
    /// With a refusal for want of a permission; before those of `failure`.
    #[serde(default)]
    pub forbidden: serde_json::Map<String, Json>,
}

/// An action on existing documents.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ActionDeclaration {
    /// Name: `ticket_add`.
    pub name: String,
    /// Types: `*` all, `Event`, `-Campaign` not.
    pub on: Vec<String>,
    /// Flag needed.
    pub permission: ActionPermission,
    /// Text of the refusal.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub refusal: Option<String>,
    /// Description for users.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub summary: String,
    /// Arguments.
    pub args: Vec<ArgDeclaration>,
    /// What it may write.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub touches: Vec<String>,
    /// What `object` of the answer holds.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub answers: Option<String>,
    /// Executable examples.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub examples: Vec<ExampleDeclaration>,
}

/// The flag an action needs.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(untagged)]
pub enum ActionPermission {
    /// Always this one.
    Flag(String),
    /// Depends on an argument.
    By {
        /// The argument.
        by: String,
        /// Its values and their flags.
        map: BTreeMap<String, String>,
        /// Its values and the texts of refusals, where one text does not do for all.
        #[serde(default, skip_serializing_if = "is_usual")]
        refusals: BTreeMap<String, String>,
    },
}

/// A stored field.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldDeclaration {
    /// Name in the model.
    pub name: String,
    /// Name in the store, if another.
    #[serde(default)]
    pub stored: Option<String>,
    /// Kind of value.
    pub kind: FieldKind,
    /// Kind of a list's elements.
    #[serde(default)]
    pub of: Option<String>,
    /// Fields of an embedded document or of a list's elements.
    #[serde(default)]
    pub fields: Vec<FieldDeclaration>,
    /// Must be there when a document is created; always part of a projection.
    #[serde(default)]
    pub required: bool,
    /// Value of a new document.
    #[serde(default)]
    pub default: Option<Json>,
    /// `order_by` accepts it.
    #[serde(default)]
    pub sortable: bool,
    /// The store keeps an index.
    #[serde(default)]
    pub indexed: bool,
    /// Searched by substring.
    #[serde(default)]
    pub searchable: bool,
    /// Closed set of its values.
    #[serde(default)]
    pub vocab: Option<String>,
    /// Bucket of its file.
    #[serde(default)]
    pub bucket: Option<String>,
    /// Only the type's own plugin may write it.
    #[serde(default)]
    pub protected: bool,
    /// Tells of something else: an `analyst` in it is whoever made that, not who writes here.
    #[serde(default)]
    pub refers: bool,
    /// Description for users.
    #[serde(default)]
    pub summary: String,
}

impl FieldDeclaration {
    /// Name in the store.
    #[must_use]
    pub fn stored_name(&self) -> &str {
        self.stored.as_deref().unwrap_or(&self.name)
    }
}

/// Kind of a stored field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum FieldKind {
    Text,
    Int,
    Num,
    Bool,
    Date,
    Id,
    Uuid,
    Binary,
    List,
    Map,
    Any,
    File,
}

/// An argument of an action or of a create.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ArgDeclaration {
    /// Name.
    pub name: String,
    /// Type.
    #[serde(rename = "type")]
    pub kind: ArgKind,
    /// Type of a list's elements.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub of: Option<ArgKind>,
    /// Keys of a map (or of a list's maps).
    #[serde(default, skip_serializing_if = "is_usual")]
    pub keys: Vec<ArgDeclaration>,
    /// Must be sent.
    #[serde(default)]
    pub required: bool,
    /// Value if not sent; `now` for dates.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub default: Option<Json>,
    /// Of dates: what an empty text means, if something else than an absent one: `now` (action_update.2).
    #[serde(default, skip_serializing_if = "is_usual")]
    pub empty: Option<EmptyDate>,
    /// Closed set of values.
    #[serde(default, rename = "enum", skip_serializing_if = "is_usual")]
    pub choices: Vec<Json>,
    /// Name of a vocabulary.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub vocab: Option<String>,
    /// Longest text in bytes.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub max_length: Option<u64>,
    /// Blanks at the ends go.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub trim: Option<bool>,
    /// Must not be empty.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub nonempty: bool,
    /// HTML entities are decoded once (ACT-14).
    #[serde(default, skip_serializing_if = "is_usual")]
    pub unescape: bool,
    /// Other names it is accepted under.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub synonyms: Vec<String>,
    /// Text when missing, and when empty if `nonempty`.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub missing: Option<String>,
    /// Text when invalid; `{value}` is what was sent, `{NAME}` a text argument before this one.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub invalid: Option<String>,
    /// Who checks that it is there and of its vocabulary.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub check: ArgCheck,
    /// Description for users.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub summary: String,
    /// An example value.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub example: Option<Json>,
    /// Of service options: kept or not.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub scope: Option<String>,
    /// Never shown.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub secret: bool,
}

/// Who checks presence and vocabulary of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ArgCheck {
    /// The host, before the plugin runs.
    #[default]
    Before,
    /// The plugin, at its place among its own checks: they are declared for whoever reads them.
    Within,
}

/// What an empty text means where a date is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EmptyDate {
    /// The time of the request.
    Now,
}

/// Type of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "docs/PLUGINS.md lists them")]
pub enum ArgKind {
    String,
    Text,
    Bool,
    Int,
    Num,
    Id,
    Type,
    Date,
    Ldate,
    List,
    Map,
    File,
    Any,
}

/// An executable example.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ExampleDeclaration {
    /// What it shows.
    pub name: String,
    /// The document before, without the fields every one has.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub before: Option<Json>,
    /// Other documents.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub others: Vec<Json>,
    /// Flags the user has; absent: all.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub may: Option<Vec<String>>,
    /// Sources the user may write; absent: `Example`.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub sources: Option<Vec<String>>,
    /// Arguments as a client sends them.
    pub args: Json,
    /// Files by argument.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub files: Option<Json>,
    /// What comes out: `message`, `extra`, `operations` or `fault`.
    pub expect: Json,
}

impl TypeDeclaration {
    /// Reading needs no flag, and so the file of a document, which is what there is to read, needs none either
    /// (screenshots). Rule S1 holds all the same.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.read_permission.is_empty()
    }
}

impl ActionDeclaration {
    /// Does the action name this type itself?
    #[must_use]
    pub fn is_specific_to(&self, type_name: &str) -> bool {
        self.on.iter().any(|pattern| pattern == type_name)
    }

    /// May the action be used on this type?
    #[must_use]
    pub fn applies_to(&self, type_name: &str) -> bool {
        let excluded = self
            .on
            .iter()
            .any(|pattern| pattern.strip_prefix('-') == Some(type_name));
        !excluded
            && (self.is_specific_to(type_name) || self.on.iter().any(|pattern| pattern == "*"))
    }
}

/// Need it not be said?
fn is_usual<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn one() -> i32 {
    1
}

fn yes() -> bool {
    true
}

fn all_methods() -> Vec<String> {
    ["GET", "POST", "PATCH"].map(String::from).to_vec()
}

fn write_flag() -> String {
    "write".into()
}

fn read_flag() -> String {
    "read".into()
}
