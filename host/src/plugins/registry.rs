//! An immutable set of loaded plugins. A request keeps the set it began with.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::declaration::{ActionDeclaration, TypeDeclaration};

/// A type with the plugin that provides it.
#[derive(Debug)]
pub struct TypeEntry {
    /// What the plugin declares.
    pub declaration: Arc<TypeDeclaration>,
    /// Name of the plugin.
    pub plugin: String,
}

/// An action with the plugin that provides it.
#[derive(Debug)]
pub struct ActionEntry {
    /// What the plugin declares.
    pub declaration: Arc<ActionDeclaration>,
    /// Name of the plugin.
    pub plugin: String,
}

/// Types and actions by name.
#[derive(Debug, Default)]
pub struct Registry {
    types: BTreeMap<String, Arc<TypeEntry>>,
    resources: BTreeMap<String, Arc<TypeEntry>>,
    actions: BTreeMap<String, Vec<Arc<ActionEntry>>>,
}

impl Registry {
    /// All types by name.
    pub fn types(&self) -> impl Iterator<Item = &Arc<TypeEntry>> {
        self.types.values()
    }

    /// A type by its exact name.
    #[must_use]
    pub fn type_named(&self, name: &str) -> Option<&Arc<TypeEntry>> {
        self.types.get(name)
    }

    /// A type as clients name it: exact, any case, or by resource (vocabulary.md section 15).
    #[must_use]
    pub fn type_as_written(&self, name: &str) -> Option<&Arc<TypeEntry>> {
        self.types.get(name).or_else(|| {
            self.types
                .values()
                .find(|entry| entry.declaration.name.eq_ignore_ascii_case(name) || entry.declaration.resource.eq_ignore_ascii_case(name))
        })
    }

    /// The type behind a resource of the URL.
    #[must_use]
    pub fn resource(&self, resource: &str) -> Option<&Arc<TypeEntry>> {
        self.resources.get(resource)
    }

    /// All declarations of an action name, whatever types they are for.
    #[must_use]
    pub fn actions_named(&self, name: &str) -> &[Arc<ActionEntry>] {
        self.actions.get(name).map_or(&[], Vec::as_slice)
    }

    /// The action of this name for this type: one for this type alone first, then a common one (rules P7a, ACT-2).
    #[must_use]
    pub fn action(&self, type_name: &str, name: &str) -> Option<&Arc<ActionEntry>> {
        let candidates = self.actions_named(name);
        candidates
            .iter()
            .find(|entry| entry.declaration.is_specific_to(type_name))
            .or_else(|| candidates.iter().find(|entry| entry.declaration.applies_to(type_name)))
    }
}
