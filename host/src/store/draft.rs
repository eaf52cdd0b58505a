//! A document while it is being changed.
//!
//! Shared by the writers of the stores, which apply operations to what is stored, and by the transactions of handlers,
//! which must see their own writes. The stored bytes are not decoded as a whole: each root field is decoded when it is
//! first changed, and a list that is only appended to stays raw, so that adding the 10,000th relationship of a document
//! costs a copy and not a parse.
//!
//! A path addresses exactly one place: digits are a position where the value is a list, a name where it is a document.
//! A list entered without a position leads nowhere.

mod alike;
mod decoded;
mod whole;

use std::collections::BTreeMap;
use std::sync::Arc;

use bson::{Bson, Document, RawDocumentBuf};

use self::alike::{Wanted, may_be_met_in};
use self::decoded::{Peek, make_place, peek, step, step_mut};
use super::filter::Filter;
use super::order::{self, equal_bson};
use super::path::FieldPath;
use super::raw::{self, Elements, Malformed, OwnedValue, Value};
use super::write::Op;

/// A document with changes that are not stored yet. Cloning is cheap: changed fields are shared until one of the
/// clones changes them further.
#[derive(Debug, Clone)]
pub struct Draft {
    base: Arc<RawDocumentBuf>,
    /// The root fields changed so far.
    changed: BTreeMap<Arc<str>, Arc<Root>>,
}

/// What has become of a root field.
#[derive(Debug, Clone)]
enum Root {
    Removed,
    Replaced(Bson),
    Appended(Appended),
    /// As stored, with elements appended to lists within it.
    Grown(OwnedValue),
}

/// The list as stored, and what comes behind it.
#[derive(Debug, Clone)]
struct Appended {
    stored: usize,
    added: Vec<OwnedValue>,
}

/// What an operation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The document is as before.
    Unchanged,
    /// Something is different now; for a pull, how many elements went, else 1.
    Changed(u32),
}

/// Why an operation can't be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// `push`, `pull`, `len`, `find` on something that is not a list.
    #[error("`{0}` is not a list")]
    NotAList(FieldPath),
    /// The path goes through a plain value, or a position outside of a list.
    #[error("`{0}` can't be reached")]
    Unreachable(FieldPath),
    /// `Increment` of something that is not a number.
    #[error("`{0}` is not a number")]
    NotANumber(FieldPath),
    /// `Increment` beyond what 64 bits hold.
    #[error("`{0}` grows too large")]
    TooLarge(FieldPath),
    /// The stored bytes are damaged, or the new value can't be written.
    #[error("damaged document: {0}")]
    Damaged(String),
}

impl From<Malformed> for DraftError {
    fn from(error: Malformed) -> Self {
        Self::Damaged(error.0.to_owned())
    }
}

/// What a path addresses at the moment.
enum Place<'a> {
    Absent,
    Stored(Value<'a>),
    Decoded(&'a Bson),
    /// A stored list with elements appended.
    Appended(Value<'a>, &'a Appended),
}

impl Draft {
    /// A document as it is stored.
    #[must_use]
    pub fn stored(base: Arc<RawDocumentBuf>) -> Self {
        Self {
            base,
            changed: BTreeMap::new(),
        }
    }

    /// A new document.
    ///
    /// # Errors
    ///
    /// [`DraftError::Damaged`] if it can't be written as BSON (a key with NUL).
    pub fn fresh(body: &Document) -> Result<Self, DraftError> {
        Self::of_members(body.iter().map(|(name, value)| (name.as_str(), value)))
    }

    /// The same by its root fields.
    ///
    /// # Errors
    ///
    /// As [`Draft::fresh`].
    pub fn of_members<'m>(
        members: impl Iterator<Item = (&'m str, &'m Bson)>,
    ) -> Result<Self, DraftError> {
        let mut bytes = vec![0; 4];
        for (name, value) in members {
            if name.contains('\0') {
                return Err(Malformed("a name with NUL").into());
            }
            raw::check_encodable(value, 1)?;
            raw::write_field(name, value, &mut bytes)?;
        }
        bytes.push(0);
        raw::set_length(&mut bytes, 0)?;
        let base = RawDocumentBuf::from_bytes(bytes)
            .map_err(|error| DraftError::Damaged(error.to_string()))?;
        Ok(Self::stored(Arc::new(base)))
    }

    /// The document before the changes.
    #[must_use]
    pub fn base(&self) -> &Arc<RawDocumentBuf> {
        &self.base
    }

    /// Has nothing been changed?
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        self.changed.is_empty()
    }

    /// What is at a path; digits are a position of a list. None: absent.
    ///
    /// # Errors
    ///
    /// [`DraftError::Damaged`].
    pub fn get(&self, path: &FieldPath) -> Result<Option<Bson>, DraftError> {
        Ok(match self.place(path)? {
            Place::Absent => None,
            Place::Stored(value) => Some(value.decode()?),
            Place::Decoded(value) => Some(value.clone()),
            Place::Appended(list, appended) => Some(decode_appended(list, appended)?),
        })
    }

    /// Number of elements of a list; 0 if absent.
    ///
    /// # Errors
    ///
    /// [`DraftError::NotAList`].
    pub fn len(&self, path: &FieldPath) -> Result<usize, DraftError> {
        match self.place(path)? {
            Place::Absent => Ok(0),
            Place::Stored(list) if list.is_list() => Ok(count(list)?),
            Place::Decoded(Bson::Array(list)) => Ok(list.len()),
            Place::Appended(_, appended) => Ok(appended.stored + appended.added.len()),
            Place::Stored(_) | Place::Decoded(_) => Err(DraftError::NotAList(path.clone())),
        }
    }

    /// Is there no element in the list?
    ///
    /// # Errors
    ///
    /// [`DraftError::NotAList`].
    pub fn is_empty(&self, path: &FieldPath) -> Result<bool, DraftError> {
        Ok(self.len(path)? == 0)
    }

    /// Position of the first element from `start` on that meets the condition.
    ///
    /// # Errors
    ///
    /// [`DraftError::NotAList`].
    pub fn find(
        &self,
        path: &FieldPath,
        condition: &Filter,
        start: usize,
    ) -> Result<Option<usize>, DraftError> {
        let (list, stored, added) = match self.place(path)? {
            Place::Absent => return Ok(None),
            Place::Stored(list) if list.is_list() => (list, 0, &[][..]),
            Place::Appended(list, appended) => (list, appended.stored, appended.added.as_slice()),
            Place::Decoded(Bson::Array(list)) => {
                for (position, element) in list.iter().enumerate().skip(start) {
                    if condition.matches_element(element)? {
                        return Ok(Some(position));
                    }
                }
                return Ok(None);
            }
            Place::Stored(_) | Place::Decoded(_) => return Err(DraftError::NotAList(path.clone())),
        };
        if may_be_met_in(condition, list.bytes) {
            for (position, element) in Elements::new(list.bytes)?.enumerate() {
                let element = element?;
                if position >= start && condition.holds(element.value)? {
                    return Ok(Some(position));
                }
            }
        }
        for (position, element) in (stored..).zip(added) {
            if position >= start && condition.holds(element.as_value())? {
                return Ok(Some(position));
            }
        }
        Ok(None)
    }

    /// Does the document meet a condition?
    ///
    /// # Errors
    ///
    /// [`DraftError::Damaged`].
    pub fn matches(&self, condition: &Filter) -> Result<bool, DraftError> {
        if self.is_unchanged() {
            return Ok(condition.matches_stored(self.base.as_bytes())?);
        }
        Ok(condition.matches_stored(self.to_raw().as_bytes())?)
    }

    /// Applies an operation. `added` and `removed` of the operation are not looked at: the caller compares them with
    /// the effect.
    ///
    /// # Errors
    ///
    /// See [`DraftError`]; the draft is as before then.
    pub fn apply(&mut self, operation: &Op) -> Result<Effect, DraftError> {
        match operation {
            Op::Set(path, value) => self.set(path, value),
            Op::Unset(path) => self.unset(path),
            Op::Push(path, value) => {
                self.append(path, value)?;
                Ok(Effect::Changed(1))
            }
            Op::PushUnique {
                path, value, keys, ..
            } => {
                if self.holds_alike(path, value, keys)? {
                    return Ok(Effect::Unchanged);
                }
                self.append(path, value)?;
                Ok(Effect::Changed(1))
            }
            Op::Pull {
                path,
                condition,
                limit,
                ..
            } => self.pull(path, condition, *limit),
            Op::Increment(path, by) => self.increment(path, *by),
        }
    }

    /// Names of the root fields changed so far, sorted.
    #[must_use]
    pub fn changed_roots(&self) -> Vec<String> {
        self.changed
            .keys()
            .map(|name| name.as_ref().to_owned())
            .collect()
    }

    /// Has this root field been changed?
    #[must_use]
    pub fn has_changed(&self, root: &str) -> bool {
        self.changed.contains_key(root)
    }

    /// If all that happened to a root field is that a list grew: the new elements, as a list of its own in a document
    /// under the field's name.
    #[must_use]
    pub fn only_appended(&self, root: &str) -> Option<RawDocumentBuf> {
        let Root::Appended(appended) = self.changed.get(root)?.as_ref() else {
            return None;
        };
        let mut bytes = vec![0; 4];
        write_list(root, &[], 0, &appended.added, &mut bytes).ok()?;
        bytes.push(0);
        raw::set_length(&mut bytes, 0).ok()?;
        RawDocumentBuf::from_bytes(bytes).ok()
    }

    /// At least as many bytes as the document would take, without writing it out.
    #[must_use]
    pub fn size_at_most(&self) -> usize {
        let added: usize = self
            .changed
            .iter()
            .map(|(name, root)| match root.as_ref() {
                Root::Removed => 0,
                Root::Replaced(value) => {
                    name.len() + 2 + OwnedValue::encode(value).map_or(0, |value| value.bytes.len())
                }
                Root::Grown(value) => value.bytes.len(),
                Root::Appended(appended) => appended
                    .added
                    .iter()
                    .map(|element| element.bytes.len() + 12)
                    .sum(),
            })
            .sum();
        self.base.as_bytes().len() + added
    }

    /// The document with its changes.
    #[must_use]
    pub fn to_raw(&self) -> RawDocumentBuf {
        if self.changed.is_empty() {
            return self.base.as_ref().clone();
        }
        // What could not be written was refused when it was set; what can't be read, when it was first changed.
        self.splice().unwrap_or_else(|_| self.base.as_ref().clone())
    }

    fn splice(&self) -> Result<RawDocumentBuf, Malformed> {
        let base = self.base.as_bytes();
        let mut bytes = Vec::with_capacity(base.len() + 256);
        bytes.extend_from_slice(&[0; 4]);
        let mut met = 0;
        for element in Elements::new(base)? {
            let element = element?;
            let changed = std::str::from_utf8(element.name)
                .ok()
                .and_then(|name| self.changed.get_key_value(name));
            let Some((name, root)) = changed else {
                bytes.extend_from_slice(element.whole);
                continue;
            };
            met += 1;
            match root.as_ref() {
                Root::Removed => {}
                Root::Replaced(value) => raw::write_field(name, value, &mut bytes)?,
                Root::Grown(value) => raw::write_element(name, value, &mut bytes),
                Root::Appended(appended) => {
                    let inner = &element.value.bytes[4..element.value.bytes.len() - 1];
                    write_list(name, inner, appended.stored, &appended.added, &mut bytes)?;
                }
            }
        }
        if met < self.changed.len() {
            for (name, root) in &self.changed {
                if let Root::Replaced(value) = root.as_ref()
                    && self.stored_root(name)?.is_none()
                {
                    raw::write_field(name, value, &mut bytes)?;
                }
            }
        }
        bytes.push(0);
        raw::set_length(&mut bytes, 0)?;
        RawDocumentBuf::from_bytes(bytes).map_err(|_| Malformed("a document that can't be read"))
    }

    fn stored_root(&self, name: &str) -> Result<Option<Value<'_>>, Malformed> {
        Value::document(self.base.as_bytes()).field(name)
    }

    fn place(&self, path: &FieldPath) -> Result<Place<'_>, DraftError> {
        let mut segments = path.segments();
        let Some(name) = segments.next() else {
            return Ok(Place::Absent);
        };
        let stored = match self.changed.get(name).map(AsRef::as_ref) {
            Some(Root::Removed) => return Ok(Place::Absent),
            Some(Root::Replaced(value)) => {
                return Ok(segments
                    .try_fold(value, step)
                    .map_or(Place::Absent, Place::Decoded));
            }
            Some(Root::Appended(appended)) => {
                let Some(list) = self.stored_root(name)? else {
                    return Ok(Place::Absent);
                };
                let Some(segment) = segments.next() else {
                    return Ok(Place::Appended(list, appended));
                };
                match raw::position(segment) {
                    None => return Ok(Place::Absent),
                    Some(position) if position < appended.stored => list.at(position)?,
                    Some(position) => appended
                        .added
                        .get(position - appended.stored)
                        .map(OwnedValue::as_value),
                }
            }
            Some(Root::Grown(value)) => Some(value.as_value()),
            None => self.stored_root(name)?,
        };
        let Some(mut value) = stored else {
            return Ok(Place::Absent);
        };
        for segment in segments {
            match value.step(segment)? {
                Some(next) => value = next,
                None => return Ok(Place::Absent),
            }
        }
        Ok(Place::Stored(value))
    }

    /// A root field decoded, with the changes so far.
    fn root(&self, name: &str) -> Result<Option<Bson>, DraftError> {
        Ok(match self.changed.get(name).map(AsRef::as_ref) {
            Some(Root::Removed) => None,
            Some(Root::Replaced(value)) => Some(value.clone()),
            Some(Root::Appended(appended)) => match self.stored_root(name)? {
                Some(list) => Some(decode_appended(list, appended)?),
                None => None,
            },
            Some(Root::Grown(value)) => Some(value.as_value().decode()?),
            None => self.stored_root(name)?.map(Value::decode).transpose()?,
        })
    }

    /// Lets `change` work on the root field of a path, decoded. It must check before it changes anything.
    fn edit<T>(
        &mut self,
        path: &FieldPath,
        change: impl FnOnce(&mut Bson, &[&str]) -> Result<T, DraftError>,
        default: impl FnOnce(&[&str]) -> Bson,
    ) -> Result<T, DraftError> {
        let mut segments: Vec<&str> = path.segments().collect();
        if segments.is_empty() {
            return Err(DraftError::Unreachable(path.clone()));
        }
        let name = segments.remove(0);
        if let Some(root) = self.changed.get_mut(name)
            && matches!(root.as_ref(), Root::Replaced(_))
            && let Root::Replaced(value) = Arc::make_mut(root)
        {
            return change(value, &segments);
        }
        let mut value = match self.root(name)? {
            Some(value) => value,
            None => default(&segments),
        };
        let answer = change(&mut value, &segments)?;
        self.changed
            .insert(name.into(), Arc::new(Root::Replaced(value)));
        Ok(answer)
    }

    fn set(&mut self, path: &FieldPath, value: &Bson) -> Result<Effect, DraftError> {
        let unchanged = match self.place(path)? {
            Place::Absent => false,
            Place::Decoded(present) => equal_bson(present, value),
            Place::Stored(present) => order::equal(present, OwnedValue::encode(value)?.as_value())?,
            Place::Appended(list, appended) => equal_bson(&decode_appended(list, appended)?, value),
        };
        if unchanged {
            return Ok(Effect::Unchanged);
        }
        raw::check_encodable(value, path.segments().count())?;
        let mut segments = path.segments();
        if let (Some(name), None) = (segments.next(), segments.next()) {
            self.changed
                .insert(name.into(), Arc::new(Root::Replaced(value.clone())));
            return Ok(Effect::Changed(1));
        }
        self.edit(
            path,
            |root, segments| {
                let place = make_place(root, segments)
                    .ok_or_else(|| DraftError::Unreachable(path.clone()))?;
                *place = value.clone();
                Ok(Effect::Changed(1))
            },
            |_| Bson::Document(Document::new()),
        )
    }

    fn unset(&mut self, path: &FieldPath) -> Result<Effect, DraftError> {
        if matches!(self.place(path)?, Place::Absent) {
            return Ok(Effect::Unchanged);
        }
        let mut segments = path.segments();
        if let (Some(name), None) = (segments.next(), segments.next()) {
            self.changed.insert(name.into(), Arc::new(Root::Removed));
            return Ok(Effect::Changed(1));
        }
        self.edit(
            path,
            |root, segments| {
                let unreachable = || DraftError::Unreachable(path.clone());
                let (last, way) = segments.split_last().ok_or_else(unreachable)?;
                match way
                    .iter()
                    .try_fold(root, |value, segment| step_mut(value, segment))
                {
                    Some(Bson::Document(document)) => {
                        document.remove(last);
                        Ok(Effect::Changed(1))
                    }
                    // An element is pulled, not unset.
                    _ => Err(unreachable()),
                }
            },
            |_| Bson::Document(Document::new()),
        )
    }

    fn append(&mut self, path: &FieldPath, value: &Bson) -> Result<(), DraftError> {
        let mut segments = path.segments();
        let name = segments
            .next()
            .ok_or_else(|| DraftError::Unreachable(path.clone()))?;
        if segments.next().is_none() {
            let element = OwnedValue::encode(value)?;
            match self.changed.get(name).map(AsRef::as_ref) {
                Some(Root::Appended(_)) => {
                    if let Some(root) = self.changed.get_mut(name)
                        && let Root::Appended(appended) = Arc::make_mut(root)
                    {
                        appended.added.push(element);
                    }
                    return Ok(());
                }
                None => {
                    if let Some(list) = self.stored_root(name)?.filter(|value| value.is_list()) {
                        let appended = Appended {
                            stored: count(list)?,
                            added: vec![element],
                        };
                        self.changed
                            .insert(name.into(), Arc::new(Root::Appended(appended)));
                        return Ok(());
                    }
                }
                Some(Root::Removed | Root::Replaced(_) | Root::Grown(_)) => {}
            }
        } else {
            raw::check_encodable(value, path.segments().count() + 1)?;
            if self.append_within(path, value)? {
                return Ok(());
            }
        }
        self.edit(
            path,
            |root, segments| {
                match peek(root, segments) {
                    Peek::Present(Bson::Array(_)) | Peek::Makeable => {}
                    Peek::Present(_) => return Err(DraftError::NotAList(path.clone())),
                    Peek::Blocked => return Err(DraftError::Unreachable(path.clone())),
                }
                let absent = !matches!(peek(root, segments), Peek::Present(_));
                let place = make_place(root, segments)
                    .ok_or_else(|| DraftError::Unreachable(path.clone()))?;
                if absent {
                    *place = Bson::Array(Vec::new());
                }
                if let Bson::Array(list) = place {
                    list.push(value.clone());
                }
                Ok(())
            },
            |segments| match segments {
                [] => Bson::Array(Vec::new()),
                _ => Bson::Document(Document::new()),
            },
        )
    }

    /// Appends to a list within a stored root field, without decoding that: a source may have thousands of instances.
    /// False, and nothing done, if the list is not there or the field has been changed otherwise.
    fn append_within(&mut self, path: &FieldPath, value: &Bson) -> Result<bool, DraftError> {
        let mut segments = path.segments();
        let Some(name) = segments.next() else {
            return Ok(false);
        };
        if let Some(root) = self.changed.get_mut(name) {
            if matches!(root.as_ref(), Root::Grown(_))
                && let Root::Grown(grown) = Arc::make_mut(root)
            {
                return Ok(grown.append(segments, &OwnedValue::encode(value)?)?);
            }
            return Ok(false);
        }
        let Some(stored) = self.stored_root(name)? else {
            return Ok(false);
        };
        let mut grown = OwnedValue {
            kind: stored.kind,
            bytes: stored.bytes.to_vec(),
        };
        if !grown.append(segments, &OwnedValue::encode(value)?)? {
            return Ok(false);
        }
        self.changed
            .insert(name.into(), Arc::new(Root::Grown(grown)));
        Ok(true)
    }

    /// Does the list have an element that agrees with `value` in all of `keys`?
    fn holds_alike(
        &self,
        path: &FieldPath,
        value: &Bson,
        keys: &[String],
    ) -> Result<bool, DraftError> {
        let wanted = OwnedValue::encode(value)?;
        let wanted = Wanted::new(wanted.as_value(), keys)?;
        let (list, added) = match self.place(path)? {
            Place::Absent => return Ok(false),
            Place::Stored(list) if list.is_list() => (list, &[][..]),
            Place::Appended(list, appended) => (list, appended.added.as_slice()),
            Place::Decoded(Bson::Array(list)) => {
                for element in list {
                    if wanted.is_like(OwnedValue::encode(element)?.as_value())? {
                        return Ok(true);
                    }
                }
                return Ok(false);
            }
            Place::Stored(_) | Place::Decoded(_) => return Err(DraftError::NotAList(path.clone())),
        };
        if wanted.may_be_in(list.bytes) {
            for element in Elements::new(list.bytes)? {
                if wanted.is_like(element?.value)? {
                    return Ok(true);
                }
            }
        }
        for element in added {
            if wanted.is_like(element.as_value())? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn pull(
        &mut self,
        path: &FieldPath,
        condition: &Filter,
        limit: u32,
    ) -> Result<Effect, DraftError> {
        if self.find(path, condition, 0)?.is_none() {
            return Ok(Effect::Unchanged);
        }
        self.edit(
            path,
            |root, segments| {
                let list = match segments
                    .iter()
                    .try_fold(root, |value, segment| step_mut(value, segment))
                {
                    Some(Bson::Array(list)) => list,
                    _ => return Err(DraftError::NotAList(path.clone())),
                };
                let mut goes = Vec::with_capacity(list.len());
                let mut removed = 0;
                for element in list.iter() {
                    let go =
                        (limit == 0 || removed < limit) && condition.matches_element(element)?;
                    removed += u32::from(go);
                    goes.push(go);
                }
                let mut goes = goes.into_iter();
                list.retain(|_| !goes.next().unwrap_or(false));
                Ok(Effect::Changed(removed))
            },
            |_| Bson::Array(Vec::new()),
        )
    }

    fn increment(&mut self, path: &FieldPath, by: i64) -> Result<Effect, DraftError> {
        let sum = match self.get(path)? {
            None => integer(by, false),
            Some(Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_)) if by == 0 => {
                return Ok(Effect::Unchanged);
            }
            Some(Bson::Int32(number)) => integer(
                i64::from(number)
                    .checked_add(by)
                    .ok_or_else(|| DraftError::TooLarge(path.clone()))?,
                false,
            ),
            Some(Bson::Int64(number)) => integer(
                number
                    .checked_add(by)
                    .ok_or_else(|| DraftError::TooLarge(path.clone()))?,
                true,
            ),
            Some(Bson::Double(number)) => Bson::Double(number + by as f64),
            Some(_) => return Err(DraftError::NotANumber(path.clone())),
        };
        self.set(path, &sum)
    }
}

fn integer(value: i64, wide: bool) -> Bson {
    match i32::try_from(value) {
        Ok(value) if !wide => Bson::Int32(value),
        _ => Bson::Int64(value),
    }
}

fn count(list: Value<'_>) -> Result<usize, Malformed> {
    let mut count = 0;
    for element in Elements::new(list.bytes)? {
        element?;
        count += 1;
    }
    Ok(count)
}

fn decode_appended(list: Value<'_>, appended: &Appended) -> Result<Bson, Malformed> {
    let Bson::Array(mut values) = list.decode()? else {
        return Err(Malformed("a list that is none"));
    };
    for value in &appended.added {
        values.push(value.as_value().decode()?);
    }
    Ok(Bson::Array(values))
}

/// A list field: elements as they are, then further ones, numbered on.
fn write_list(
    name: &str,
    elements: &[u8],
    count: usize,
    added: &[OwnedValue],
    to: &mut Vec<u8>,
) -> Result<(), Malformed> {
    to.push(raw::kind::ARRAY);
    to.extend_from_slice(name.as_bytes());
    to.push(0);
    let start = to.len();
    to.extend_from_slice(&[0; 4]);
    to.extend_from_slice(elements);
    for (position, element) in (count..).zip(added) {
        raw::write_element(&position.to_string(), element, to);
    }
    to.push(0);
    raw::set_length(to, start)
}

#[cfg(test)]
mod tests;
