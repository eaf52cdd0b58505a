//! Documents: finding, reading, changing, relating.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json, json};

use crate::plugin::TloType;
use crate::sys::documents;
use crate::{Date, Fault, FromValue, ObjectId, Params, Value, internal};

pub use crate::bindings::critd::plugin::documents::{Origin, Relation};

/// A top-level object of this call. The host keeps `_id`, `created`, `modified`, `schema_version`, audit, notifications
/// and bucket counters by itself. A write that leaves everything as it was is no change (rule ACT-18).
///
/// Paths name *stored* fields: `tickets.0.date`. Conditions are JSON: `json!({"name": "x", "size": {"gte": 5}})`.
#[derive(Debug, PartialEq, Eq)]
pub struct Tlo(u32);

/// What a nested create answered.
#[derive(Debug)]
pub struct Created {
    /// The document, if there is a single one.
    pub tlo: Option<Tlo>,
    /// Its message.
    pub message: String,
    /// Further keys of its answer.
    pub extra: Json,
}

impl Tlo {
    pub(crate) const fn number(&self) -> u32 {
        self.0
    }

    /// The document that the action is about.
    ///
    /// # Errors
    ///
    /// `internal` in a create.
    pub fn current() -> Result<Self, Fault> {
        documents::current().map(Self)
    }

    /// By id, if the user may see it.
    ///
    /// # Errors
    ///
    /// `missing`: no such type, malformed or unknown id, not visible.
    pub fn by_id(type_name: &str, id: impl AsRef<str>) -> Result<Self, Fault> {
        documents::by_id(type_name, id.as_ref()).map(Self)
    }

    /// By one of the unique keys that the type declares, if the user may see it.
    ///
    /// # Errors
    ///
    /// `internal`: not a key of that type.
    pub fn by_key(type_name: &str, key: impl Into<Params>) -> Result<Option<Self>, Fault> {
        Ok(documents::by_key(type_name, key.into().as_wire())?.map(Self))
    }

    /// Is there a document with this unique key, visible or not?
    ///
    /// # Errors
    ///
    /// `internal`: not a key of that type.
    pub fn taken(type_name: &str, key: impl Into<Params>) -> Result<bool, Fault> {
        documents::taken(type_name, key.into().as_wire())
    }

    /// The first `limit` visible documents that meet a condition on indexed fields, by ascending id.
    ///
    /// # Errors
    ///
    /// `internal`: a field that is not indexed, a malformed condition.
    pub fn select(type_name: &str, condition: &Json, limit: usize) -> Result<Vec<Self>, Fault> {
        /// The host's own limit.
        const PAGE: usize = 200;
        let (condition, mut found, mut after) = (condition.to_string(), Vec::new(), String::new());
        while found.len() < limit {
            let wanted = PAGE.min(limit - found.len());
            let page = documents::select(
                type_name,
                &condition,
                &after,
                u32::try_from(wanted).unwrap_or(u32::MAX),
            )?;
            let full = page.len() >= wanted;
            found.extend(page.into_iter().map(Self));
            match found.last() {
                Some(last) if full => after = documents::id(last.0)?,
                _ => break,
            }
        }
        Ok(found)
    }

    /// Only in a create, only for types of this plugin: the document with this unique key, else a new one in which the
    /// key's fields are set. An empty key always gives a new one.
    ///
    /// # Errors
    ///
    /// `internal`: not a key of that type.
    pub fn make<T: TloType>(key: impl Into<Params>) -> Result<(Self, Origin), Fault> {
        let (number, origin) = documents::make(T::NAME, key.into().as_wire())?;
        Ok((Self(number), origin))
    }

    /// Creates a document of any type as a POST of the same user would, within this call. Needs `touches("create:TYPE")`.
    ///
    /// # Errors
    ///
    /// The fault of that create; what it had written is taken back.
    pub fn create(type_name: &str, args: impl Into<Params>) -> Result<Created, Fault> {
        let outcome = documents::create(type_name, args.into().as_wire())?;
        let extra = serde_json::from_str(&outcome.extra).unwrap_or_default();
        Ok(Created {
            tlo: outcome.document.map(Self),
            message: outcome.message,
            extra,
        })
    }

    /// Its id.
    ///
    /// # Errors
    ///
    /// Only if the host does not know the document.
    pub fn id(&self) -> Result<ObjectId, Fault> {
        let id = documents::id(self.0)?;
        ObjectId::parse(&id).ok_or_else(|| internal("the host answered no object id"))
    }

    /// Its type: `Domain`.
    ///
    /// # Errors
    ///
    /// Only if the host does not know the document.
    pub fn type_of(&self) -> Result<String, Fault> {
        documents::type_of(self.0)
    }

    /// All fields that its type declares. For a document of another type, fields of that name.
    ///
    /// # Errors
    ///
    /// `internal`: a stored value has another kind.
    pub fn read<T: TloType>(&self) -> Result<T, Fault> {
        T::read(self)
    }

    /// A value: `tlo.get::<String>("name")?`. None: absent.
    ///
    /// # Errors
    ///
    /// `internal`: malformed path, or the stored value has another kind.
    pub fn get<T: FromValue>(&self, path: &str) -> Result<Option<T>, Fault> {
        let Some(value) = documents::get(self.0, path)? else {
            return Ok(None);
        };
        T::from_value(value)
            .map(Some)
            .ok_or_else(|| internal(["the stored value of ", path, " has another kind"].concat()))
    }

    /// A text, "" if absent.
    ///
    /// # Errors
    ///
    /// As [`Tlo::get`].
    pub fn text(&self, path: &str) -> Result<String, Fault> {
        Ok(self.get(path)?.unwrap_or_default())
    }

    /// A list, empty if absent: `tlo.list::<String>("aliases")?`.
    ///
    /// # Errors
    ///
    /// As [`Tlo::get`].
    pub fn list<T: FromValue>(&self, path: &str) -> Result<Vec<T>, Fault> {
        Ok(self.get(path)?.unwrap_or_default())
    }

    /// A list or an embedded document, read by serde. None: absent.
    ///
    /// # Errors
    ///
    /// `internal`: malformed path, or the stored value has another form.
    pub fn get_json<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Fault> {
        let Some(json) = self.get::<Json>(path)? else {
            return Ok(None);
        };
        serde_json::from_value(json)
            .map(Some)
            .map_err(|error| internal([path, ": ", &error.to_string()].concat()))
    }

    /// Several values at once, in the order of the paths.
    ///
    /// # Errors
    ///
    /// `internal`: malformed path.
    pub fn get_many(&self, paths: &[&str]) -> Result<Vec<Option<Value>>, Fault> {
        let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
        documents::get_many(self.0, &paths)
    }

    /// Number of elements of a list; 0 if absent.
    ///
    /// # Errors
    ///
    /// `internal`: not a list.
    pub fn len(&self, path: &str) -> Result<u32, Fault> {
        documents::len(self.0, path)
    }

    /// Is the list absent or without elements?
    ///
    /// # Errors
    ///
    /// `internal`: not a list.
    pub fn is_empty(&self, path: &str) -> Result<bool, Fault> {
        Ok(self.len(path)? == 0)
    }

    /// Position of the first element of a list that meets the condition.
    ///
    /// # Errors
    ///
    /// `internal`: not a list, malformed condition.
    pub fn find(&self, path: &str, condition: &Json) -> Result<Option<u32>, Fault> {
        self.find_from(path, condition, 0)
    }

    /// As [`Tlo::find`], from position `start` on.
    ///
    /// # Errors
    ///
    /// As [`Tlo::find`].
    pub fn find_from(
        &self,
        path: &str,
        condition: &Json,
        start: u32,
    ) -> Result<Option<u32>, Fault> {
        documents::find(self.0, path, &condition.to_string(), start)
    }

    /// The first element of a list that meets the condition.
    ///
    /// # Errors
    ///
    /// As [`Tlo::find`] and [`Tlo::get`].
    pub fn first<T: FromValue>(&self, path: &str, condition: &Json) -> Result<Option<T>, Fault> {
        match self.find(path, condition)? {
            Some(position) => self.get(&element(path, position)),
            None => Ok(None),
        }
    }

    /// The first date from `date` on, in steps of a millisecond, that no element of a list has (rule ACT-21). `among`: only
    /// elements that meet this condition count.
    ///
    /// # Errors
    ///
    /// As [`Tlo::find`].
    pub fn free_date(
        &self,
        list: &str,
        date: Date,
        among: &Map<String, Json>,
    ) -> Result<Date, Fault> {
        // Looking for one date disturbs nobody who adds another, so dates that were taken by others a moment ago are passed
        // one by one. Where very many entries share a date (imports that know the day only) the list is read as a whole, so
        // that the number of looks does not grow with it.
        const LOOKS: i64 = 64;
        let with = |date: Date| {
            let mut condition = among.clone();
            condition.insert("date".to_owned(), json!(date));
            Json::Object(condition)
        };
        for later in 0..LOOKS {
            let candidate = date.plus_millis(later);
            if self.find(list, &with(candidate))?.is_none() {
                return Ok(candidate);
            }
        }
        let taken: BTreeSet<i64> = self
            .list::<Json>(list)?
            .into_iter()
            .filter(|entry| {
                among
                    .iter()
                    .all(|(name, value)| entry.get(name) == Some(value))
            })
            .filter_map(|entry| serde_json::from_value(entry.get("date")?.clone()).ok())
            .map(Date::millis)
            .collect();
        let mut free = date;
        while taken.contains(&free.millis()) {
            free = free.plus_millis(1);
        }
        Ok(free)
    }

    /// Sets a field; embedded documents on the way are made. `None` and `null` unset it.
    ///
    /// # Errors
    ///
    /// `refused`: a field that the host or another plugin keeps. `invalid`: not of the declared kind.
    pub fn set(&mut self, path: &str, value: impl Into<Value>) -> Result<(), Fault> {
        documents::set(self.0, path, &value.into())
    }

    /// Sets several fields; the names are paths.
    ///
    /// # Errors
    ///
    /// As [`Tlo::set`].
    pub fn set_many(&mut self, values: impl Into<Params>) -> Result<(), Fault> {
        documents::set_many(self.0, values.into().as_wire())
    }

    /// Takes a field away.
    ///
    /// # Errors
    ///
    /// As [`Tlo::set`].
    pub fn unset(&mut self, path: &str) -> Result<(), Fault> {
        documents::unset(self.0, path)
    }

    /// Appends to a list, which is made if absent.
    ///
    /// # Errors
    ///
    /// As [`Tlo::set`]; `internal`: not a list.
    pub fn push(&mut self, path: &str, value: impl Into<Value>) -> Result<(), Fault> {
        documents::push(self.0, path, &value.into())
    }

    /// Appends unless an element agrees in all of `keys` (none: the whole value is compared). True: appended. Many
    /// different additions to one list at the same time don't get in each other's way.
    ///
    /// # Errors
    ///
    /// As [`Tlo::push`].
    pub fn push_unique(
        &mut self,
        path: &str,
        value: impl Into<Value>,
        keys: &[&str],
    ) -> Result<bool, Fault> {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        documents::push_unique(self.0, path, &value.into(), &keys)
    }

    /// Removes the first element that meets the condition. True: there was one.
    ///
    /// # Errors
    ///
    /// As [`Tlo::find`].
    pub fn pull(&mut self, path: &str, condition: &Json) -> Result<bool, Fault> {
        Ok(documents::pull(self.0, path, &condition.to_string(), 1)? > 0)
    }

    /// Removes all elements that meet the condition. How many there were.
    ///
    /// # Errors
    ///
    /// As [`Tlo::find`].
    pub fn pull_all(&mut self, path: &str, condition: &Json) -> Result<u32, Fault> {
        documents::pull(self.0, path, &condition.to_string(), 0)
    }

    /// Takes the document away when the call succeeds: in an action, a document of a type of this plugin that is no
    /// top-level object. Needs `touches("other:TYPE")`.
    ///
    /// # Errors
    ///
    /// `refused(forbidden)`: a top-level object, or another plugin's.
    pub fn remove(self) -> Result<(), Fault> {
        documents::remove(self.0)
    }

    /// Relates two documents, on both sides, read from the left: `domain.relate("Resolved To", &ip, Params::new())`.
    /// Details: `relationship_date` (date), `rel_confidence`, `rel_reason` (text), `anonymous` (flag: no analyst is named).
    ///
    /// # Errors
    ///
    /// `invalid`: unknown relationship or confidence. `refused(conflict)`: with itself.
    pub fn relate(
        &mut self,
        relationship: &str,
        right: &Self,
        details: impl Into<Params>,
    ) -> Result<Relation, Fault> {
        documents::relate(self.0, relationship, right.0, details.into().as_wire())
    }

    /// Takes a relationship away, on both sides: the first of this name, read from this document, to the one of this type and
    /// id, which need not exist any more. Details: `relationship_date`. False: there is none that the user may see.
    ///
    /// # Errors
    ///
    /// `invalid`: unknown relationship.
    pub fn unrelate(
        &mut self,
        relationship: &str,
        right_type: &str,
        right_id: &ObjectId,
        details: impl Into<Params>,
    ) -> Result<bool, Fault> {
        let details = details.into();
        let id = right_id.as_str();
        documents::unrelate(self.0, relationship, right_type, id, details.as_wire())
    }

    /// Changes a relationship, on both sides, that is found as by [`Tlo::unrelate`]: `relationship`, `relationship_date`,
    /// `rel_confidence`, `rel_reason`. False: there is none that the user may see.
    ///
    /// # Errors
    ///
    /// `invalid`: unknown relationship or confidence. `refused(already_exists)`.
    pub fn change_relation(
        &mut self,
        relationship: &str,
        right_type: &str,
        right_id: &ObjectId,
        details: impl Into<Params>,
        changes: impl Into<Params>,
    ) -> Result<bool, Fault> {
        let (details, changes) = (details.into(), changes.into());
        let (details, changes) = (details.as_wire(), changes.as_wire());
        let id = right_id.as_str();
        documents::change_relation(self.0, relationship, right_type, id, details, changes)
    }

    /// Adds a source instance: `method`, `reference`, `tlp` (text), `date`. False: an equal one was there.
    ///
    /// # Errors
    ///
    /// `refused(forbidden)`: the user may not write with that source. `invalid`: the TLP.
    pub fn add_source(&mut self, source: &str, details: impl Into<Params>) -> Result<bool, Fault> {
        documents::add_source(self.0, source, details.into().as_wire())
    }

    /// Applies the arguments that all types share, by the rules that all types share (create.md 2).
    ///
    /// # Errors
    ///
    /// The faults of those rules.
    pub fn merge_shared(&mut self, shared: impl AsRef<Params>) -> Result<(), Fault> {
        documents::merge_shared(self.0, shared.as_ref().as_wire())
    }

    /// Copies the sources of `origin` to this document, those that the user may write with. How many instances were added.
    ///
    /// # Errors
    ///
    /// Only if the host does not know one of the documents.
    pub fn inherit_sources(&mut self, origin: &Self) -> Result<u32, Fault> {
        documents::inherit_sources(origin.0, self.0)
    }

    /// Makes this the document that a refusal is about: the answer carries its id and URL, if the user may see it.
    /// Without effect in nested creates and if the call succeeds.
    ///
    /// # Errors
    ///
    /// Only if the host does not know the document.
    pub fn concerns(&self) -> Result<(), Fault> {
        documents::concerns(self.0)
    }
}

/// The path of an element: `tickets.3`.
#[must_use]
pub fn element(list: &str, position: u32) -> String {
    [list, ".", &position.to_string()].concat()
}
