//! What all types share: sources, campaigns, buckets, tickets, status, sectors, related objects (create.md 2).
//!
//! None of it reads whole lists: an element is found in the draft, and only what was found counts as read. So many
//! requests that add different things to one document don't get in each other's way.

use std::sync::Arc;

use bson::{Bson, DateTime, Document, doc};
use serde_json::Value as Json;

use super::changes::Side;
use super::documents::draft_failed;
use super::{DocNumber, Work, fields, internal};
use crate::dates::{self, Zones};
use crate::plugins::value::{Arg, Failure, Fault, Value};
use crate::store::{Draft, FieldPath, Filter, KeyValue, Op, Test};
use crate::vocabulary;

/// A field or position below a path.
pub(super) fn within(
    path: &FieldPath,
    inner: impl std::fmt::Display,
) -> Result<FieldPath, Failure> {
    FieldPath::parse(&format!("{path}.{inner}")).map_err(|error| internal(error.to_string()))
}

pub(super) fn invalid(argument: &str, message: impl Into<String>) -> Failure {
    Fault::Invalid(argument.to_owned(), message.into()).into()
}

pub(super) fn refused(code: &str, message: impl Into<String>) -> Failure {
    Fault::Refused(code.to_owned(), message.into()).into()
}

pub(super) fn date(milliseconds: i64) -> Bson {
    Bson::DateTime(DateTime::from_millis(milliseconds))
}

/// A condition on a list's element: its field is this.
fn is(field: &'static str, value: impl Into<Bson>) -> Filter {
    Filter::Field(FieldPath::literal(field), Test::Eq(value.into()))
}

/// The text of an argument or detail; empty counts as absent.
pub(super) fn text_of(args: &[Arg], name: &str) -> Option<String> {
    let value = args
        .iter()
        .find(|arg| arg.name == name)
        .map(|arg| &arg.value)?;
    let text = match value {
        Value::Text(text) | Value::Id(text) => text.trim().to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Json(text) => match serde_json::from_str(text) {
            Ok(Json::String(text)) => text,
            _ => return None,
        },
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// The text of a detail with its blanks (kind `text`): clients that find it again compare all of it.
pub(super) fn as_written(details: &[Arg], name: &str) -> Option<String> {
    match details
        .iter()
        .find(|arg| arg.name == name)
        .map(|arg| &arg.value)
    {
        Some(Value::Text(text)) if !text.is_empty() => Some(text.clone()),
        _ => text_of(details, name),
    }
}

/// A date among details; also as text.
pub(super) fn date_of(details: &[Arg], name: &str, zones: &Zones) -> Result<Option<i64>, Failure> {
    match details
        .iter()
        .find(|arg| arg.name == name)
        .map(|arg| &arg.value)
    {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Date(milliseconds)) => Ok(Some(*milliseconds)),
        Some(Value::Text(text)) if text.trim().is_empty() => Ok(None),
        Some(Value::Text(text)) => match dates::strict(text).or_else(|| dates::lenient(text)) {
            Some(written) => Ok(Some(zones.read(written))),
            None => Err(invalid(name, format!("Invalid date: {text}."))),
        },
        Some(_) => Err(invalid(name, format!("Argument '{name}' must be a date."))),
    }
}

/// A list argument: an array, or comma-separated text; trimmed, without blanks and duplicates.
fn list_of(args: &[Arg], name: &str) -> Vec<String> {
    let pieces: Vec<String> = match args
        .iter()
        .find(|arg| arg.name == name)
        .map(|arg| &arg.value)
    {
        Some(Value::Text(text)) => text.split(',').map(str::to_owned).collect(),
        Some(Value::Int(number)) => vec![number.to_string()],
        Some(Value::Json(text)) => match serde_json::from_str(text) {
            Ok(Json::Array(elements)) => elements
                .iter()
                .map(|element| {
                    element
                        .as_str()
                        .map_or_else(|| element.to_string(), str::to_owned)
                })
                .collect(),
            Ok(Json::String(text)) => vec![text],
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    let mut list: Vec<String> = Vec::new();
    for piece in pieces {
        let piece = piece.trim();
        if !piece.is_empty() && !list.iter().any(|known| known == piece) {
            list.push(piece.to_owned());
        }
    }
    list
}

/// One source instance.
struct Instance {
    analyst: String,
    date: i64,
    method: Option<String>,
    reference: Option<String>,
    tlp: String,
}

/// No text and an empty one are the same.
fn is_text(field: &'static str, text: Option<&str>) -> Filter {
    match text.filter(|text| !text.is_empty()) {
        Some(text) => is(field, text),
        None => Filter::Field(
            FieldPath::literal(field),
            Test::In(vec!["".into(), Bson::Null]),
        ),
    }
}

impl Instance {
    /// Identity of an instance, without `tlp` (documents.md 2.2).
    fn same(&self) -> Filter {
        Filter::And(vec![
            is("analyst", self.analyst.as_str()),
            is("date", date(self.date)),
            is_text("method", self.method.as_deref()),
            is_text("reference", self.reference.as_deref()),
        ])
    }

    /// Readers rely on all five (field case O45).
    fn document(&self) -> Document {
        doc! {
            "analyst": &self.analyst, "date": date(self.date),
            "method": self.method.as_deref().unwrap_or_default(),
            "reference": self.reference.as_deref().unwrap_or_default(),
            "tlp": &self.tlp,
        }
    }
}

impl Work {
    /// Notes an element that was found, unless the request itself put it there.
    pub(super) fn remember_element(
        &mut self,
        index: usize,
        list: &FieldPath,
        position: usize,
    ) -> Result<(), Failure> {
        let path = within(list, position)?;
        let stored = Draft::stored(Arc::clone(self.documents[index].draft.base()));
        if stored.get(&path).map_err(draft_failed)?.is_some() {
            self.remember(index, &path)?;
        }
        Ok(())
    }

    fn find_element(
        &self,
        index: usize,
        list: &FieldPath,
        condition: &Filter,
    ) -> Result<Option<usize>, Failure> {
        self.documents[index]
            .draft
            .find(list, condition, 0)
            .map_err(draft_failed)
    }

    fn may_use_rules(&self, index: usize, root: &str) -> Result<(), Failure> {
        if self.may_apply_rules(index, root) {
            return Ok(());
        }
        let of = &self.documents[index].of.declaration.name;
        let plugin = self
            .frame()
            .map(|frame| frame.plugin.clone())
            .unwrap_or_default();
        Err(internal(format!(
            "`{plugin}` changes `{root}` of a `{of}` without declaring it in `touches`"
        )))
    }

    /// `documents.add-source`.
    ///
    /// # Errors
    ///
    /// Fault `refused(forbidden)` (rule S6), `invalid(tlp, …)`, `invalid(source, …)`.
    pub async fn add_source(
        &mut self,
        document: DocNumber,
        source: &str,
        details: &[Arg],
    ) -> Result<bool, Failure> {
        let index = self.document(document)?;
        self.may_use_rules(index, "source")?;
        let (source, instance) = self.instance(source, details)?;
        self.add_instance(index, &source, instance)
    }

    /// Reads and checks a source instance of the caller.
    fn instance(&self, source: &str, details: &[Arg]) -> Result<(String, Instance), Failure> {
        let source = source.trim().to_owned();
        if source.is_empty() {
            return Err(invalid("source", "Missing source information."));
        }
        if !self.request.caller.rights.may_write(&source) {
            return Err(refused(
                "forbidden",
                format!("User does not have permission to add object using source {source}."),
            ));
        }
        let tlp = text_of(details, "tlp").unwrap_or_else(|| "amber".into());
        let Some(level) = vocabulary::canonical("TLP", &tlp) else {
            return Err(invalid("tlp", format!("'{tlp}' is not a valid TLP.")));
        };
        let instance = Instance {
            analyst: self.user().to_owned(),
            date: date_of(details, "date", &self.request.zones)?.unwrap_or(self.now),
            method: as_written(details, "method"),
            reference: as_written(details, "reference"),
            tlp: level.to_owned(),
        };
        Ok((source, instance))
    }

    /// The merge rule of sources (create.md 2.2), with dates that are unique within a source (ACT-21).
    fn add_instance(
        &mut self,
        index: usize,
        source: &str,
        mut instance: Instance,
    ) -> Result<bool, Failure> {
        let of = Arc::clone(&self.documents[index].of);
        if !of.declaration.sources {
            return Err(refused(
                "unsupported_for_type",
                format!("{} objects have no sources.", of.declaration.name),
            ));
        }
        let list = FieldPath::literal("source");
        let Some(position) = self.find_element(index, &list, &is("name", source))? else {
            let is_first = self.documents[index]
                .draft
                .is_empty(&list)
                .map_err(draft_failed)?;
            if is_first {
                self.remember(index, &list)?;
                let place = if of.declaration.top_level {
                    "tlp"
                } else {
                    "unsupported_attrs.tlp"
                };
                self.apply(
                    index,
                    Op::Set(FieldPath::literal(place), instance.tlp.as_str().into()),
                    None,
                )?;
            }
            let entry = doc! { "name": source, "instances": [instance.document()] };
            self.append_unique(Side::Own, index, list, entry.into(), &["name".into()])?;
            self.touch(index).source_added = true;
            return Ok(true);
        };
        let entry = within(&list, position)?;
        self.remember(index, &within(&entry, "name")?)?;
        let instances = within(&entry, "instances")?;
        loop {
            // Also where a date that was taken moved it on: the same request again is no other instance (actions.md 9.2).
            if let Some(position) = self.find_element(index, &instances, &instance.same())? {
                self.remember_element(index, &instances, position)?;
                // An equal instance under a source that the caller may write makes the document no stranger.
                self.touch(index).source_added = true;
                return Ok(false);
            }
            let of_date = is("date", date(instance.date));
            if self.find_element(index, &instances, &of_date)?.is_none() {
                break;
            }
            instance.date += 1;
        }
        self.append_unique(
            Side::Own,
            index,
            instances,
            instance.document().into(),
            &["date".into()],
        )?;
        self.touch(index).source_added = true;
        Ok(true)
    }

    /// `documents.inherit-sources`.
    ///
    /// # Errors
    ///
    /// Fault `internal`: an unknown number.
    pub async fn inherit_sources(
        &mut self,
        origin: DocNumber,
        target: DocNumber,
    ) -> Result<u32, Failure> {
        let (origin, target) = (self.document(origin)?, self.document(target)?);
        self.may_use_rules(target, "source")?;
        let Some(Bson::Array(sources)) = self.read(origin, &FieldPath::literal("source"))? else {
            return Ok(0);
        };
        let mut added = 0;
        for source in sources.iter().filter_map(Bson::as_document) {
            let Ok(name) = source.get_str("name") else {
                continue;
            };
            if !self.request.caller.rights.may_write(name) {
                continue;
            }
            let Ok(instances) = source.get_array("instances") else {
                continue;
            };
            for instance in instances.iter().filter_map(Bson::as_document) {
                let text = |name: &str| instance.get_str(name).ok().map(str::to_owned);
                let tlp = text("tlp").and_then(|tlp| vocabulary::canonical("TLP", &tlp));
                let copy = Instance {
                    analyst: text("analyst").unwrap_or_default(),
                    date: instance
                        .get_datetime("date")
                        .map_or(self.now, |date| date.timestamp_millis()),
                    method: text("method"),
                    reference: text("reference"),
                    tlp: tlp.unwrap_or("red").to_owned(),
                };
                added += u32::from(self.add_instance(target, name, copy)?);
            }
        }
        Ok(added)
    }

    /// `documents.merge-shared`.
    ///
    /// # Errors
    ///
    /// As for the functions it stands for; `Invalid campaign confidence: …`, `Invalid status: …`,
    /// `Related object not found.`, …
    pub async fn merge_shared(&mut self, document: DocNumber, args: &[Arg]) -> Result<(), Failure> {
        let index = self.document(document)?;
        let of = Arc::clone(&self.documents[index].of);
        if of.declaration.sources
            && let Some(source) = text_of(args, "source")
        {
            self.may_use_rules(index, "source")?;
            // The date of an event is that of its source instance, which the plugin adds itself; here it is always now.
            let details: Vec<Arg> = args
                .iter()
                .filter(|arg| arg.name != "date")
                .cloned()
                .collect();
            let (source, instance) = self.instance(&source, &details)?;
            self.add_instance(index, &source, instance)?;
        }
        if !of.declaration.top_level {
            return Ok(());
        }
        let campaigns = list_of(args, "campaign");
        if !campaigns.is_empty() {
            self.may_use_rules(index, "campaign")?;
            self.merge_campaigns(index, &campaigns, text_of(args, "confidence"))?;
        }
        for (argument, field) in [("bucket_list", "bucket_list"), ("sectors", "sectors")] {
            for value in list_of(args, argument) {
                self.may_use_rules(index, field)?;
                self.append_unique(
                    Side::Own,
                    index,
                    FieldPath::literal(field),
                    value.into(),
                    &[],
                )?;
            }
        }
        self.merge_tickets(index, &list_of(args, "ticket"))?;
        if let Some(status) = text_of(args, "status") {
            self.may_use_rules(index, "status")?;
            self.merge_status(index, &status)?;
        }
        self.merge_related(index, args).await
    }

    /// Campaigns are merged by name, confidence is only ever raised (create.md 2.3).
    fn merge_campaigns(
        &mut self,
        index: usize,
        names: &[String],
        confidence: Option<String>,
    ) -> Result<(), Failure> {
        let given = confidence.unwrap_or_else(|| "low".into());
        let Some(confidence) = vocabulary::canonical("Confidence", &given) else {
            return Err(invalid(
                "confidence",
                format!("Invalid campaign confidence: {given}."),
            ));
        };
        let list = FieldPath::literal("campaign");
        let user = self.user().to_owned();
        for name in names {
            let Some(position) = self.find_element(index, &list, &is("name", name.as_str()))?
            else {
                let entry = doc! { "name": name, "confidence": confidence, "analyst": &user, "date": date(self.now) };
                self.append_unique(
                    Side::Own,
                    index,
                    list.clone(),
                    entry.into(),
                    &["name".into()],
                )?;
                continue;
            };
            let entry = within(&list, position)?;
            self.remember(index, &within(&entry, "name")?)?;
            let place = within(&entry, "confidence")?;
            let known = self.read(index, &place)?;
            let known = known.as_ref().and_then(Bson::as_str).unwrap_or_default();
            if vocabulary::rank("Confidence", confidence) > vocabulary::rank("Confidence", known) {
                self.apply(index, Op::Set(place, confidence.into()), None)?;
                self.apply(
                    index,
                    Op::Set(within(&entry, "analyst")?, user.as_str().into()),
                    None,
                )?;
            }
        }
        Ok(())
    }

    /// Tickets by number; those of one call have one date, which no other ticket has (create.md 2.5, ACT-21).
    fn merge_tickets(&mut self, index: usize, numbers: &[String]) -> Result<(), Failure> {
        if numbers.is_empty() {
            return Ok(());
        }
        self.may_use_rules(index, "tickets")?;
        let list = FieldPath::literal("tickets");
        let mut when = self.now;
        while self
            .find_element(index, &list, &is("date", date(when)))?
            .is_some()
        {
            when += 1;
        }
        for number in numbers {
            let entry =
                doc! { "ticket_number": number, "analyst": self.user(), "date": date(when) };
            self.append_unique(
                Side::Own,
                index,
                list.clone(),
                entry.into(),
                &["ticket_number".into()],
            )?;
        }
        Ok(())
    }

    /// A new document gets the status; an existing one unless it is `New` (create.md 5.11). `Deprecated` turns the
    /// actions off (status_update.2).
    fn merge_status(&mut self, index: usize, given: &str) -> Result<(), Failure> {
        let Some(status) = vocabulary::canonical("Status", given) else {
            return Err(invalid("status", format!("Invalid status: {given}.")));
        };
        if self.documents[index].revision.is_some() && status == "New" {
            return Ok(());
        }
        let place = FieldPath::literal("status");
        self.apply(index, Op::Set(place.clone(), status.into()), None)?;
        self.remember(index, &place)?;
        if status != "Deprecated" {
            return Ok(());
        }
        let actions = FieldPath::literal("actions");
        self.remember(index, &actions)?;
        for position in 0..self.documents[index]
            .draft
            .len(&actions)
            .map_err(draft_failed)?
        {
            let place = within(&within(&actions, position)?, "active")?;
            self.apply(index, Op::Set(place, "off".into()), None)?;
        }
        Ok(())
    }

    /// `related_id` or `related_md5` with `related_type` and `relationship` (create.md 2.6).
    async fn merge_related(&mut self, index: usize, args: &[Arg]) -> Result<(), Failure> {
        let (id, key, type_name) = (
            text_of(args, "related_id"),
            text_of(args, "related_md5"),
            text_of(args, "related_type"),
        );
        let type_name = match (type_name, id.is_some() || key.is_some()) {
            (None, false) => return Ok(()),
            (Some(type_name), true) => type_name,
            _ => {
                return Err(invalid(
                    "related_type",
                    "Must specify both related_type and related_id or related_md5.",
                ));
            }
        };
        let absent = || Failure::Fault(Fault::Missing("Related object not found.".into()));
        let of = self.type_entry(&type_name).map_err(|_| absent())?;
        let partner = match (&id, &key) {
            (Some(id), _) => match bson::oid::ObjectId::parse_str(id) {
                Ok(id) => self.open_by_id(&of, id).await?,
                Err(_) => None,
            },
            (None, Some(key)) => self.by_natural_key(&of, key).await?,
            (None, None) => None,
        };
        let partner = partner.ok_or_else(absent)?;
        let relationship = text_of(args, "relationship").unwrap_or_else(|| "Related To".into());
        self.relate_documents(index, &relationship, partner, &[])
            .await?;
        Ok(())
    }

    /// By the field that the type declares for it (vocabulary.md 15), else by id.
    async fn by_natural_key(
        &mut self,
        of: &Arc<crate::plugins::TypeEntry>,
        text: &str,
    ) -> Result<Option<usize>, Failure> {
        let Some(lookup) = of.declaration.lookup.clone() else {
            return match bson::oid::ObjectId::parse_str(text) {
                Ok(id) => self.open_by_id(of, id).await,
                Err(_) => Ok(None),
            };
        };
        let path =
            FieldPath::parse(&lookup).map_err(|error| internal(format!("`{lookup}`: {error}")))?;
        let is_key = of
            .declaration
            .keys
            .iter()
            .any(|key| key.len() == 1 && key[0] == lookup);
        let mut spellings = vec![text.to_owned(), text.to_lowercase()];
        spellings.dedup();
        for spelling in spellings {
            let place = fields::place(&of.declaration, &path);
            let Ok(value) = place.convert(&Value::Text(spelling), &self.request.zones) else {
                continue;
            };
            let found = if is_key {
                let key = KeyValue {
                    collection: of.declaration.collection.clone(),
                    parts: vec![(path.clone(), value)],
                };
                self.visible_holder(of, &key).await?
            } else {
                let filter = Filter::Field(path.clone(), Test::Eq(value));
                self.selected(of, &filter, None, 1).await?.first().copied()
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The document that a family rule or another host rule looks for by key.
    pub(super) async fn visible_by_key(
        &mut self,
        of: &Arc<crate::plugins::TypeEntry>,
        parts: Vec<(FieldPath, Bson)>,
    ) -> Result<Option<usize>, Failure> {
        let key = KeyValue {
            collection: of.declaration.collection.clone(),
            parts,
        };
        self.visible_holder(of, &key).await
    }
}
