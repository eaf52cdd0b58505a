//! Writes: checked, converted, applied to the draft, logged as operations. What changes nothing is not logged (ACT-18).

use std::sync::Arc;

use bson::Bson;

use super::documents::draft_failed;
use super::fields::{self, KEPT};
use super::{DocNumber, Logged, Work, conditions, internal};
use crate::plugins::declaration::FieldKind;
use crate::plugins::value::{Arg, Failure, Fault, Value};
use crate::store::draft::Effect;
use crate::store::{FieldPath, Filter, Op, Test};

/// How an operation counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// The document is changed for its own sake.
    Own,
    /// It is the partner in a relationship.
    Partner,
}

fn forbidden(message: String) -> Failure {
    Fault::Refused("forbidden".into(), message).into()
}

impl Work {
    /// Applies an operation to a document and logs it, unless it changes nothing.
    pub(super) fn apply(
        &mut self,
        index: usize,
        operation: Op,
        condition: Option<String>,
    ) -> Result<Effect, Failure> {
        self.apply_on(Side::Own, index, operation, condition)
    }

    pub(super) fn apply_on(
        &mut self,
        side: Side,
        index: usize,
        mut operation: Op,
        condition: Option<String>,
    ) -> Result<Effect, Failure> {
        self.refuse_in_services()?;
        let document = self.touch(index);
        let effect = document.draft.apply(&operation).map_err(draft_failed)?;
        let Effect::Changed(count) = effect else {
            return Ok(effect);
        };
        match &mut operation {
            Op::PushUnique { added, .. } => *added = true,
            Op::Pull { removed, .. } => *removed = count,
            Op::Set(path, _) | Op::Unset(path) => {
                let root = path.root();
                document.rekeyed |= document
                    .of
                    .declaration
                    .keys
                    .iter()
                    .flatten()
                    .any(|name| name == root);
            }
            Op::Push(..) | Op::Increment(..) => {}
        }
        self.log.push(Logged {
            document: index,
            operation,
            partner: side == Side::Partner,
            condition,
        });
        Ok(effect)
    }

    /// May the innermost call write this field? Whatever a plugin declares, some fields are kept by the host or by the
    /// type's own plugin.
    pub(super) fn may_change(&self, index: usize, path: &FieldPath) -> Result<(), Failure> {
        self.refuse_in_services()?;
        let frame = self
            .frame()
            .ok_or_else(|| internal("no call is under way"))?;
        let of = &self.documents[index].of;
        let (root, type_name) = (path.root(), &of.declaration.name);
        // What no field is for is the type's own matter if its plugin declares so (documents.md 3.9).
        let is_own = root == "unsupported_attrs"
            && of
                .declaration
                .fields
                .iter()
                .any(|field| field.stored_name() == root);
        if KEPT.contains(&root) && !is_own {
            return Err(forbidden(format!("`{root}` is kept by the server.")));
        }
        if root == "source" && frame.subject != Some(index) {
            return Err(forbidden(
                "Sources are added by the server's own rules.".into(),
            ));
        }
        let Some(field) = fields::root_field(&of.declaration, root) else {
            return Err(internal(format!(
                "`{type_name}` declares no field `{root}`"
            )));
        };
        if field.protected && frame.plugin != of.plugin {
            return Err(forbidden(format!(
                "`{root}` is kept by the type's own plugin."
            )));
        }
        if self.touches(index, path.as_str()) {
            return Ok(());
        }
        Err(internal(format!(
            "`{}` writes `{path}` of a `{type_name}` without declaring it in `touches`",
            frame.plugin
        )))
    }

    /// Does the innermost call declare to write this path, or own the document?
    fn touches(&self, index: usize, path: &str) -> bool {
        let Some(frame) = self.frame() else {
            return false;
        };
        let of = &self.documents[index].of;
        if frame.subject == Some(index) {
            return frame
                .touches
                .iter()
                .filter_map(|touched| touched.strip_prefix("self."))
                .any(|touched| {
                    path.strip_prefix(touched)
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
                });
        }
        if frame.is_create() && frame.plugin == of.plugin {
            return true;
        }
        let others = frame
            .touches
            .iter()
            .filter_map(|touched| touched.strip_prefix("other:"));
        others
            .into_iter()
            .any(|touched| touched == "*" || touched == of.declaration.name)
    }

    /// May the innermost call have the host's own rules applied to this document: sources, campaigns, relationships?
    pub(super) fn may_apply_rules(&self, index: usize, root: &str) -> bool {
        self.touches(index, root)
            || self
                .frame()
                .is_some_and(|frame| frame.created.contains(&index))
    }

    /// The value converted to the kind of the place, and no entry in somebody else's name.
    fn converted(
        &self,
        index: usize,
        path: &FieldPath,
        value: &Value,
        element: bool,
    ) -> Result<Bson, Failure> {
        let document = &self.documents[index];
        let mut place = fields::place(&document.of.declaration, path);
        if element {
            if !place.is_list() {
                return Err(internal(format!("`{path}` is not a list")));
            }
            place = place.element();
        }
        if let fields::Place::Field(field) = place
            && field.kind == FieldKind::File
        {
            return Err(forbidden(format!("`{path}` is set by keeping a file.")));
        }
        let bson = place.convert(value, &self.request.zones);
        let bson = bson.map_err(|wanted| {
            Failure::Fault(Fault::Invalid(
                path.to_string(),
                format!("`{path}` must be {wanted}."),
            ))
        })?;
        self.check_analysts(index, path, &bson)?;
        Ok(bson)
    }

    /// Entries bear the caller's name, or one that the field already had, unless the field tells of somebody else's.
    fn check_analysts(&self, index: usize, path: &FieldPath, value: &Bson) -> Result<(), Failure> {
        let of = &self.documents[index].of.declaration;
        if fields::root_field(of, path.root()).is_some_and(|field| field.refers) {
            return Ok(());
        }
        let mut named = Vec::new();
        if path.as_str().rsplit('.').next() == Some("analyst")
            && let Bson::String(name) = value
        {
            named.push(name.as_str());
        }
        analysts(value, &mut named);
        let user = self.user();
        if named.iter().all(|name| *name == user) {
            return Ok(());
        }
        let root = FieldPath::parse(path.root()).map_err(|error| internal(error.to_string()))?;
        let before = self.documents[index]
            .draft
            .get(&root)
            .map_err(draft_failed)?;
        let mut there = Vec::new();
        match &before {
            Some(Bson::String(name)) => there.push(name.as_str()),
            Some(value) => analysts(value, &mut there),
            None => {}
        }
        match named
            .iter()
            .find(|name| **name != user && !there.contains(name))
        {
            Some(name) => Err(forbidden(format!(
                "An entry can't be written in the name of {name}."
            ))),
            None => Ok(()),
        }
    }

    /// `documents.set`.
    ///
    /// # Errors
    ///
    /// Fault `refused`: a field that the host or another plugin keeps; `invalid`: not of the declared kind; `internal`:
    /// not declared, not reachable.
    pub fn set(&mut self, document: DocNumber, path: &str, value: &Value) -> Result<(), Failure> {
        if *value == Value::Null {
            return self.unset(document, path);
        }
        let (index, path) = (self.document(document)?, self.path(path)?);
        self.may_change(index, &path)?;
        let value = self.converted(index, &path, value, false)?;
        if self.apply(index, Op::Set(path.clone(), value), None)? == Effect::Unchanged {
            // That it was so already is why nothing is done.
            self.remember(index, &path)?;
        }
        Ok(())
    }

    /// `documents.set-many`.
    ///
    /// # Errors
    ///
    /// As for [`Work::set`]; what came before the fault stays set.
    pub fn set_many(&mut self, document: DocNumber, values: &[Arg]) -> Result<(), Failure> {
        values
            .iter()
            .try_for_each(|arg| self.set(document, &arg.name, &arg.value))
    }

    /// `documents.unset`.
    ///
    /// # Errors
    ///
    /// As for [`Work::set`].
    pub fn unset(&mut self, document: DocNumber, path: &str) -> Result<(), Failure> {
        let (index, path) = (self.document(document)?, self.path(path)?);
        self.may_change(index, &path)?;
        if self.apply(index, Op::Unset(path.clone()), None)? == Effect::Unchanged {
            self.remember(index, &path)?;
        }
        Ok(())
    }

    /// `documents.remove`.
    ///
    /// # Errors
    ///
    /// Fault `refused`: a top-level object, or another plugin's; `internal`: in a create, not declared, not stored yet.
    pub fn remove(&mut self, document: DocNumber) -> Result<(), Failure> {
        self.refuse_in_services()?;
        let index = self.document(document)?;
        let frame = self
            .frame()
            .ok_or_else(|| internal("no call is under way"))?;
        let (open, of) = (&self.documents[index], &self.documents[index].of);
        let type_name = &of.declaration.name;
        if of.declaration.top_level || frame.plugin != of.plugin {
            return Err(forbidden(format!("A `{type_name}` can't be removed.")));
        }
        if frame.is_create() || open.revision.is_none() {
            return Err(internal("only actions remove, and only what is stored"));
        }
        if !self.touches(index, "_id") {
            return Err(internal(format!(
                "`{}` removes a `{type_name}` without declaring `other:{type_name}`",
                frame.plugin
            )));
        }
        self.documents[index].removed = true;
        Ok(())
    }

    /// `documents.push`.
    ///
    /// # Errors
    ///
    /// As for [`Work::set`]; `internal`: not a list.
    pub fn push(&mut self, document: DocNumber, path: &str, value: &Value) -> Result<(), Failure> {
        let (index, path) = (self.document(document)?, self.path(path)?);
        self.may_change(index, &path)?;
        let value = self.converted(index, &path, value, true)?;
        self.apply(index, Op::Push(path, value), None)?;
        Ok(())
    }

    /// `documents.push-unique`.
    ///
    /// # Errors
    ///
    /// As for [`Work::push`].
    pub fn push_unique(
        &mut self,
        document: DocNumber,
        path: &str,
        value: &Value,
        keys: &[String],
    ) -> Result<bool, Failure> {
        let (index, path) = (self.document(document)?, self.path(path)?);
        self.may_change(index, &path)?;
        let value = self.converted(index, &path, value, true)?;
        self.append_unique(Side::Own, index, path, value, keys)
    }

    /// Appends unless an element agrees in all of `keys`; then that element, and it alone, counts as read.
    pub(super) fn append_unique(
        &mut self,
        side: Side,
        index: usize,
        path: FieldPath,
        value: Bson,
        keys: &[String],
    ) -> Result<bool, Failure> {
        let operation = Op::PushUnique {
            path: path.clone(),
            value: value.clone(),
            keys: keys.to_vec(),
            added: true,
        };
        if self.apply_on(side, index, operation, None)? != Effect::Unchanged {
            return Ok(true);
        }
        match self.alike(index, &path, &value, keys)? {
            Some(position) => self.remember_element(index, &path, position)?,
            None => self.remember(index, &path)?,
        }
        Ok(false)
    }

    /// Position of the first element that agrees in all of `keys`. Not remembered.
    pub(super) fn alike(
        &self,
        index: usize,
        path: &FieldPath,
        value: &Bson,
        keys: &[String],
    ) -> Result<Option<usize>, Failure> {
        let condition = match (keys, value) {
            ([], value) => Filter::Field(FieldPath::itself(), Test::Eq(value.clone())),
            (keys, Bson::Document(document)) => {
                let mut all = Vec::with_capacity(keys.len());
                for key in keys {
                    let path = FieldPath::parse(key)
                        .map_err(|error| internal(format!("`{key}`: {error}")))?;
                    all.push(Filter::Field(
                        path,
                        Test::Eq(document.get(key).cloned().unwrap_or(Bson::Null)),
                    ));
                }
                Filter::And(all)
            }
            _ => return Err(internal("keys name fields of an object")),
        };
        self.documents[index]
            .draft
            .find(path, &condition, 0)
            .map_err(draft_failed)
    }

    /// `documents.pull`.
    ///
    /// # Errors
    ///
    /// As for [`Work::push`]; `internal`: a malformed condition.
    pub fn pull(
        &mut self,
        document: DocNumber,
        path: &str,
        condition: &str,
        limit: u32,
    ) -> Result<u32, Failure> {
        let (index, path) = (self.document(document)?, self.path(path)?);
        self.may_change(index, &path)?;
        let of = Arc::clone(&self.documents[index].of);
        let place = fields::place(&of.declaration, &path).element();
        let filter = conditions::read(condition, &place, &self.request.zones).map_err(internal)?;
        let operation = Op::Pull {
            path: path.clone(),
            condition: filter,
            limit,
            removed: 0,
        };
        match self.apply(index, operation, Some(condition.to_owned()))? {
            Effect::Changed(count) => Ok(count),
            Effect::Unchanged => {
                self.remember(index, &path)?;
                Ok(0)
            }
        }
    }
}

/// All `analyst` members within a value.
fn analysts<'a>(value: &'a Bson, found: &mut Vec<&'a str>) {
    match value {
        Bson::Document(document) => {
            for (name, value) in document {
                match value {
                    Bson::String(text) if name == "analyst" => found.push(text),
                    other => analysts(other, found),
                }
            }
        }
        Bson::Array(elements) => elements.iter().for_each(|element| analysts(element, found)),
        _ => {}
    }
}
