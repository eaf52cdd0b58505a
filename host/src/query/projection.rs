//! `only` and `exclude` (core-api 10.10).

use std::collections::BTreeSet;

use bson::{Bson, Document};

use super::Parameters;
use super::model::Model;

/// Which fields of a document are shown, by stored paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Projection {
    /// `only` was given.
    limited: bool,
    only: BTreeSet<String>,
    exclude: BTreeSet<String>,
    /// Root fields that are always shown.
    required: BTreeSet<String>,
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
        let hides_id = exclude
            .as_ref()
            .is_some_and(|names| names.iter().any(|(sent, _)| sent == "id"));
        if hides_id {
            required.remove("_id");
        }
        let paths = |names: Option<Vec<(String, String)>>| {
            names.into_iter().flatten().map(|(_, path)| path).collect()
        };
        Self {
            limited: only.is_some(),
            only: paths(only),
            exclude: paths(exclude),
            required,
        }
    }

    /// Are all fields shown?
    #[must_use]
    pub fn is_everything(&self) -> bool {
        !self.limited && self.exclude.is_empty()
    }

    /// Is anything of this root field shown?
    #[must_use]
    pub fn shows_root(&self, stored: &str) -> bool {
        if self.required.contains(stored) {
            return true;
        }
        if self.exclude.contains(stored) {
            return false;
        }
        !self.limited
            || self
                .only
                .iter()
                .any(|path| path.split('.').next() == Some(stored))
    }

    /// Removes what is not shown.
    pub fn apply(&self, document: &mut Document) {
        if self.is_everything() {
            return;
        }
        // Not by `Document::remove`, which puts the last field in the place of the one removed.
        let fields = std::mem::take(document);
        let shown = fields
            .into_iter()
            .filter(|(root, _)| self.required.contains(root) || self.shows_root(root));
        *document = shown.collect();
        for (root, value) in document.iter_mut() {
            if !self.required.contains(root) {
                self.prune(value, root, !self.limited || self.only.contains(root));
            }
        }
    }

    /// Removes what is not shown below a path. `whole`: `only` does not limit what is below it.
    fn prune(&self, value: &mut Bson, path: &str, whole: bool) {
        match value {
            Bson::Array(list) => list
                .iter_mut()
                .for_each(|element| self.prune(element, path, whole)),
            Bson::Document(document) => {
                let keys: Vec<String> = document.keys().cloned().collect();
                for key in keys {
                    let inner = format!("{path}.{key}");
                    let below = format!("{inner}.");
                    let whole = whole || self.only.contains(&inner);
                    let wanted = whole || self.only.iter().any(|only| only.starts_with(&below));
                    if !wanted || self.exclude.contains(&inner) {
                        document.remove(&key);
                    } else if let Some(field) = document.get_mut(&key) {
                        self.prune(field, &inner, whole);
                    }
                }
            }
            _ => {}
        }
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
