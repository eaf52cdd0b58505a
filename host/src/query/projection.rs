//! `only` and `exclude` (core-api 10.10).

use std::collections::{BTreeMap, BTreeSet};

use super::Parameters;
use super::model::Model;

/// Which fields of a document are shown, by stored paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Projection {
    /// `only` was given.
    limited: bool,
    /// Root fields that are always shown.
    required: BTreeSet<String>,
    /// What `only` and `exclude` name.
    named: Node,
    /// Lists that `only` leaves out are shown as empty (setting `legacy_projection`, rule G47).
    legacy: bool,
}

/// What is said of a path and of those below it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Node {
    only: bool,
    exclude: bool,
    /// `only` names something below.
    leads_to_only: bool,
    below: BTreeMap<String, Node>,
}

impl Node {
    fn at(&mut self, path: &str) -> &mut Self {
        path.split('.').fold(self, |node, segment| {
            node.below.entry(segment.to_owned()).or_default()
        })
    }

    fn note_only(&mut self) -> bool {
        let mut leads = false;
        for node in self.below.values_mut() {
            leads |= node.note_only();
        }
        self.leads_to_only = leads;
        leads || self.only
    }
}

/// What a projection shows of a value and of what is below it. An element of a list is shown like the list.
#[derive(Debug, Clone, Copy)]
pub struct Mask<'a> {
    /// `only` does not limit what is here.
    whole: bool,
    node: Option<&'a Node>,
}

impl<'a> Mask<'a> {
    /// Everything is shown.
    pub const ALL: Self = Self {
        whole: true,
        node: None,
    };

    /// Of the field of this name; none: it is not shown.
    #[must_use]
    pub fn field(self, stored: &str) -> Option<Mask<'a>> {
        let node = self.node.and_then(|node| node.below.get(stored));
        let whole = self.whole || node.is_some_and(|node| node.only);
        let is_shown = whole || node.is_some_and(|node| node.leads_to_only);
        let is_hidden = !is_shown || node.is_some_and(|node| node.exclude);
        (!is_hidden).then_some(Mask { whole, node })
    }
}

impl Projection {
    /// Rules G45 to G50.
    pub(super) fn read(model: &Model, parameters: &Parameters, warnings: &mut Vec<String>) -> Self {
        let only = names(model, parameters, "only", warnings);
        let exclude = names(model, parameters, "exclude", warnings);
        let mut required: BTreeSet<String> = model
            .fields
            .iter()
            .filter(|field| field.required)
            .map(|field| field.stored.clone())
            .collect();
        required.extend(["_id".into(), "schema_version".into()]);
        let mut named = Node::default();
        for (_, path) in only.iter().flatten() {
            named.at(path).only = true;
        }
        for (sent, path) in exclude.iter().flatten() {
            named.at(path).exclude = true;
            if sent == "id" {
                required.remove("_id");
            }
        }
        named.note_only();
        Self {
            limited: only.is_some(),
            required,
            named,
            legacy: false,
        }
    }

    /// Without these root fields, unless `only` says which are wanted.
    #[must_use]
    pub fn without(mut self, fields: &[&str]) -> Self {
        if !self.limited {
            for field in fields {
                self.named.at(field).exclude = true;
            }
        }
        self
    }

    /// As of old: lists that `only` leaves out are there and empty (rule G47).
    #[must_use]
    pub fn with_empty_lists(self) -> Self {
        Self {
            legacy: true,
            ..self
        }
    }

    /// Is this root field, if it is a list, shown although nothing of it is?
    #[must_use]
    pub fn shows_empty(&self, stored: &str) -> bool {
        let is_excluded = self
            .named
            .below
            .get(stored)
            .is_some_and(|node| node.exclude);
        self.legacy && self.limited && !is_excluded
    }

    /// What is shown of this root field; none: nothing.
    #[must_use]
    pub fn root(&self, stored: &str) -> Option<Mask<'_>> {
        if self.required.contains(stored) {
            return Some(Mask::ALL);
        }
        let all = Mask {
            whole: !self.limited,
            node: Some(&self.named),
        };
        all.field(stored)
    }
}

/// The names of a parameter as sent, each with its stored path; none if the parameter is absent or empty.
fn names(
    model: &Model,
    parameters: &Parameters,
    parameter: &str,
    warnings: &mut Vec<String>,
) -> Option<Vec<(String, String)>> {
    let value = parameters
        .last(parameter)
        .map(str::trim)
        .filter(|value| !value.is_empty())?;
    let mut found = Vec::new();
    for name in value
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
    {
        let root = name.split('.').next().unwrap_or_default();
        let is_fixed = parameter == "exclude" && matches!(name, "_id" | "schema_version");
        let resolved = model
            .field(root)
            .and_then(|_| model.resolve(name).ok())
            .and_then(|resolved| resolved.paths.into_iter().next_back());
        match resolved {
            _ if is_fixed => warnings.push(format!("exclude: '{name}' is always shown, ignored")),
            Some(path) => found.push((name.to_owned(), path.as_str().to_owned())),
            None => warnings.push(format!("{parameter}: unknown field '{name}', ignored")),
        }
    }
    Some(found)
}
