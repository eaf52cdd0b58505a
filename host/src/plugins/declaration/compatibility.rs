//! Whether a new version of a plugin keeps what the old one promised to clients, to other plugins and to stored documents.

use super::{
    ActionDeclaration, ArgDeclaration, Declaration, FieldDeclaration, ServiceDeclaration,
    TypeDeclaration,
};

/// What clients of the old version can no longer do, a phrase each; empty: the new one is compatible.
#[must_use]
pub fn broken_promises(old: &Declaration, new: &Declaration) -> Vec<String> {
    let mut broken = Vec::new();
    for before in &old.types {
        match new.types.iter().find(|after| after.name == before.name) {
            Some(after) => compare_types(&mut broken, before, after),
            None => broken.push(format!("the type `{}` is gone", before.name)),
        }
    }
    for before in &old.actions {
        compare_actions(&mut broken, before, &new.actions);
    }
    for before in &old.services {
        let place = format!("service `{}`", before.name);
        match new.services.iter().find(|after| after.name == before.name) {
            Some(after) => {
                let declared = |service: &ServiceDeclaration| -> Vec<ArgDeclaration> {
                    let options = service.options.iter().filter(|option| option.is_for_runs());
                    options.map(|option| option.declared.clone()).collect()
                };
                compare_args(&mut broken, &place, &declared(before), &declared(after));
            }
            None => broken.push(format!("the {place} is gone")),
        }
    }
    broken
}

/// May `new` break what `old` promised? Only with a higher major version; below 1.0.0 the minor version is it.
#[must_use]
pub fn may_break(old: &semver::Version, new: &semver::Version) -> bool {
    new.major > old.major || (old.major == 0 && new.major == 0 && new.minor > old.minor)
}

/// The lowest version that may break what `old` promised.
#[must_use]
pub fn next_breaking(old: &semver::Version) -> semver::Version {
    match old.major {
        0 => semver::Version::new(0, old.minor + 1, 0),
        major => semver::Version::new(major + 1, 0, 0),
    }
}

fn compare_types(broken: &mut Vec<String>, before: &TypeDeclaration, after: &TypeDeclaration) {
    let place = format!("type `{}`", before.name);
    if before.resource != after.resource {
        broken.push(format!(
            "the resource of {place} is no longer `{}`",
            before.resource
        ));
    }
    if before.part_of != after.part_of {
        broken.push(format!("{place} is part of something else"));
    }
    if before.collection != after.collection {
        broken.push(format!(
            "the collection of {place} is no longer `{}`",
            before.collection
        ));
    }
    for method in before
        .methods
        .iter()
        .filter(|method| !after.methods.contains(method))
    {
        broken.push(format!("the method {method} of {place} is gone"));
    }
    for field in &before.fields {
        match after.fields.iter().find(|other| other.name == field.name) {
            None => broken.push(format!("the field `{}` of {place} is gone", field.name)),
            Some(other) if !same_kind(field, other) => broken.push(format!(
                "the field `{}` of {place} is of another kind",
                field.name
            )),
            Some(other) if other.stored_name() != field.stored_name() => {
                broken.push(format!(
                    "the field `{}` of {place} is stored elsewhere",
                    field.name
                ));
            }
            Some(_) => {}
        }
    }
    compare_args(broken, &place, &before.args, &after.args);
}

fn same_kind(before: &FieldDeclaration, after: &FieldDeclaration) -> bool {
    before.kind == after.kind && before.of == after.of
}

fn compare_actions(
    broken: &mut Vec<String>,
    before: &ActionDeclaration,
    all: &[ActionDeclaration],
) {
    let place = format!("action `{}`", before.name);
    let named: Vec<_> = all
        .iter()
        .filter(|after| after.name == before.name)
        .collect();
    if named.is_empty() {
        broken.push(format!("the {place} is gone"));
        return;
    }
    for pattern in before.on.iter().filter(|pattern| !pattern.starts_with('-')) {
        let covered = |after: &&&ActionDeclaration| {
            after.on.iter().any(|other| other == pattern)
                || (pattern != "*" && after.applies_to(pattern))
        };
        let Some(after) = named.iter().find(covered) else {
            broken.push(format!("the {place} is no longer for `{pattern}`"));
            continue;
        };
        for excluded in after.on.iter().filter_map(|other| other.strip_prefix('-')) {
            if before.applies_to(excluded) {
                broken.push(format!("the {place} is no longer for `{excluded}`"));
            }
        }
        compare_args(broken, &place, &before.args, &after.args);
    }
    broken.dedup();
}

fn compare_args(
    broken: &mut Vec<String>,
    place: &str,
    before: &[ArgDeclaration],
    after: &[ArgDeclaration],
) {
    for arg in before {
        let name = &arg.name;
        let Some(other) = after
            .iter()
            .find(|other| other.name == *name || other.synonyms.contains(name))
        else {
            broken.push(format!("the argument `{name}` of {place} is gone"));
            continue;
        };
        if other.kind != arg.kind || other.of != arg.of {
            broken.push(format!("the argument `{name}` of {place} has another type"));
        }
        if other.required && !arg.required {
            broken.push(format!("the argument `{name}` of {place} is now required"));
        }
        compare_args(
            broken,
            &format!("argument `{name}` of {place}"),
            &arg.keys,
            &other.keys,
        );
    }
    for arg in after.iter().filter(|arg| arg.required) {
        let known = before
            .iter()
            .any(|old| old.name == arg.name || arg.synonyms.contains(&old.name));
        if !known {
            broken.push(format!(
                "the argument `{}` of {place} is new and required",
                arg.name
            ));
        }
    }
}
