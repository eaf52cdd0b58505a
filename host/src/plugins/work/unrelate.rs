//! Relationships taken away and changed, on both sides in one unit (actions.md NEW-5, NEW-6).

use std::sync::Arc;

use bson::oid::ObjectId;
use bson::{Bson, Document};

use super::changes::Side;
use super::relate::confidence;
use super::rules::{as_written, date, date_of, refused, within};
use super::{DocNumber, Work, internal, store_failed};
use crate::plugins::value::{Arg, Failure};
use crate::store::{FieldPath, Filter, Op, Test};

/// The other document of a relationship.
enum Partner {
    Visible(usize),
    Gone,
    /// It exists, but the caller may not see it; so the relationship is not shown either (rule C3).
    Hidden,
}

/// A relationship that is there.
struct Found {
    name: &'static str,
    left: usize,
    position: usize,
    entry: Document,
    partner: Option<usize>,
    /// Position of the other half, if that is there.
    mirror: Option<usize>,
}

fn list() -> FieldPath {
    FieldPath::literal("relationships")
}

/// Entries of this name about this document; of one date if there is one.
fn about(name: &str, type_name: &str, id: ObjectId, of_date: Option<&Bson>) -> Filter {
    let is = |field, value: Bson| Filter::Field(FieldPath::literal(field), Test::Eq(value));
    let mut all = vec![
        is("value", id.into()),
        is("relationship", name.into()),
        is("type", type_name.into()),
    ];
    all.extend(of_date.map(|date| is("relationship_date", date.clone())));
    Filter::And(all)
}

impl Work {
    /// `documents.unrelate`. `right`: type and id.
    ///
    /// # Errors
    ///
    /// Fault `invalid`: the relationship's name; `internal`: not declared in `touches`.
    pub async fn unrelate(
        &mut self,
        left: DocNumber,
        relationship: &str,
        right: (&str, &str),
        details: &[Arg],
    ) -> Result<bool, Failure> {
        let Some(found) = self.relation(left, relationship, right, details).await? else {
            return Ok(false);
        };
        let halves = [
            Some((found.left, found.position)),
            found.partner.zip(found.mirror),
        ];
        for (on, position) in halves.into_iter().flatten() {
            // Equal entries are one as good as the other: the first of them goes.
            let entry = self.read(on, &within(&list(), position)?)?;
            let equal = Filter::Field(FieldPath::itself(), Test::Eq(entry.unwrap_or(Bson::Null)));
            let operation = Op::Pull {
                path: list(),
                condition: equal,
                limit: 1,
                removed: 0,
            };
            self.apply_on(Side::Own, on, operation, None)?;
        }
        Ok(true)
    }

    /// `documents.change-relation`. `right`: type and id.
    ///
    /// # Errors
    ///
    /// Fault `invalid`: a relationship's name, the confidence, a date; `refused(already_exists)`: there is such a
    /// relationship; `internal`: not declared in `touches`.
    pub async fn change_relation(
        &mut self,
        left: DocNumber,
        relationship: &str,
        right: (&str, &str),
        details: &[Arg],
        changes: &[Arg],
    ) -> Result<bool, Failure> {
        let new_name = match as_written(changes, "relationship") {
            Some(name) => Some(self.names(&name)?),
            None => None,
        };
        let new_date = date_of(changes, "relationship_date", &self.request.zones)?;
        let new_confidence = confidence(changes)?;
        let new_reason = changes.iter().any(|change| change.name == "rel_reason");
        let Some(found) = self.relation(left, relationship, right, details).await? else {
            return Ok(false);
        };
        let mut entry = found.entry.clone();
        if let Some((name, _)) = new_name {
            entry.insert("relationship", name);
        }
        if let Some(new_date) = new_date {
            entry.insert("relationship_date", date(new_date));
        }
        if let Some(confidence) = new_confidence {
            entry.insert("rel_confidence", confidence);
        }
        if new_reason {
            let reason = as_written(changes, "rel_reason").unwrap_or_default();
            entry.insert("rel_reason", reason);
        }
        let name = new_name.map_or(found.name, |(name, _)| name);
        self.refuse_second(&found, &entry, name)?;
        self.write_entry(found.left, found.position, &found.entry, &entry)?;
        if let Some(partner) = found.partner {
            let (_, inverse) = self.names(name)?;
            let (id, type_name) = {
                let left = &self.documents[found.left];
                (left.id, left.of.declaration.name.clone())
            };
            let mut mirror = entry;
            mirror.insert("relationship", inverse);
            mirror.insert("value", id);
            mirror.insert("type", type_name);
            match found.mirror {
                Some(position) => {
                    let path = within(&list(), position)?;
                    let before = self.read(partner, &path)?;
                    let before = before.as_ref().and_then(Bson::as_document).cloned();
                    self.write_entry(partner, position, &before.unwrap_or_default(), &mirror)?;
                }
                None => {
                    self.append_unique(Side::Own, partner, list(), mirror.into(), &[])?;
                }
            }
        }
        Ok(true)
    }

    /// The relationship on the left document, and its other half.
    async fn relation(
        &mut self,
        left: DocNumber,
        relationship: &str,
        (right_type, right_id): (&str, &str),
        details: &[Arg],
    ) -> Result<Option<Found>, Failure> {
        let left = self.document(left)?;
        if !self.may_apply_rules(left, "relationships") {
            return Err(internal(
                "the document's relationships are not this plugin's to change; declare it in `touches`",
            ));
        }
        let (name, inverse) = self.names(relationship)?;
        let of_date = date_of(details, "relationship_date", &self.request.zones)?.map(date);
        let Ok(id) = ObjectId::parse_str(right_id.trim()) else {
            return Ok(None);
        };
        let (partner, type_name) = match self.partner(right_type, id).await? {
            (Partner::Hidden, _) => return Ok(None),
            (Partner::Gone, type_name) => (None, type_name),
            (Partner::Visible(index), type_name) => (Some(index), type_name),
        };
        let condition = about(name, &type_name, id, of_date.as_ref());
        let Some(position) = self.search(left, list(), condition, 0)? else {
            return Ok(None);
        };
        let entry = self.read(left, &within(&list(), position)?)?;
        let Some(Bson::Document(entry)) = entry else {
            return Ok(None);
        };
        let mirror = match partner {
            Some(partner) => self.mirror(partner, left, inverse, &entry)?,
            None => None,
        };
        Ok(Some(Found {
            name,
            left,
            position,
            entry,
            partner,
            mirror,
        }))
    }

    async fn partner(
        &mut self,
        type_name: &str,
        id: ObjectId,
    ) -> Result<(Partner, String), Failure> {
        let Ok(of) = self.type_entry(type_name) else {
            return Ok((Partner::Gone, type_name.to_owned()));
        };
        let name = of.declaration.name.clone();
        if let Some(index) = self.open_by_id(&of, id).await? {
            return Ok((Partner::Visible(index), name));
        }
        let store = Arc::clone(&self.request.services.store);
        let stored = store.get(&of.declaration.collection, id).await;
        let stored = stored.map_err(|error| store_failed(&error))?;
        let partner = match stored {
            Some(_) => Partner::Hidden,
            None => Partner::Gone,
        };
        Ok((partner, name))
    }

    /// The other half: that of the same date, else the first of the name.
    fn mirror(
        &mut self,
        partner: usize,
        left: usize,
        inverse: &str,
        entry: &Document,
    ) -> Result<Option<usize>, Failure> {
        let (id, type_name) = {
            let left = &self.documents[left];
            (left.id, left.of.declaration.name.clone())
        };
        if let Some(of_date) = entry.get("relationship_date") {
            let same = about(inverse, &type_name, id, Some(of_date));
            if let Some(position) = self.search(partner, list(), same, 0)? {
                return Ok(Some(position));
            }
        }
        self.search(partner, list(), about(inverse, &type_name, id, None), 0)
    }

    /// A relationship must not become one that is there already (documents.md 2.9).
    fn refuse_second(
        &mut self,
        found: &Found,
        entry: &Document,
        name: &'static str,
    ) -> Result<(), Failure> {
        let (Ok(type_name), Ok(id)) = (entry.get_str("type"), entry.get_object_id("value")) else {
            return Ok(());
        };
        let same = about(name, type_name, id, entry.get("relationship_date"));
        let mut start = 0;
        while let Some(position) = self.search(found.left, list(), same.clone(), start)? {
            if position != found.position {
                return Err(refused("already_exists", "Relationship already exists"));
            }
            start = position + 1;
        }
        Ok(())
    }

    fn write_entry(
        &mut self,
        on: usize,
        position: usize,
        before: &Document,
        after: &Document,
    ) -> Result<(), Failure> {
        let place = within(&list(), position)?;
        for (name, value) in after {
            if before.get(name) != Some(value) {
                let path = within(&place, name)?;
                self.apply_on(Side::Own, on, Op::Set(path, value.clone()), None)?;
            }
        }
        Ok(())
    }
}
