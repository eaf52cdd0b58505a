//! Relationships: on both sides, in one unit, idempotent (documents.md 2.9, 5.1; actions.md 2.12).

use std::sync::Arc;

use bson::oid::ObjectId;
use bson::{Bson, Document, doc};

use super::changes::Side;
use super::documents::draft_failed;
use super::rules::{as_written, date, date_of, invalid, refused, text_of};
use super::{DocNumber, Relation, Work, internal};
use crate::plugins::value::{Arg, Failure, Value};
use crate::store::{FieldPath, Filter, Test};
use crate::vocabulary;

/// What a relationship says besides its name.
#[derive(Clone)]
struct Details {
    /// Given by the caller: it makes the relationship a different one.
    given_date: Option<i64>,
    relationship_date: i64,
    date: i64,
    /// None: the detail `anonymous` is on (create.md 5.3).
    analyst: Option<String>,
    confidence: String,
    reason: String,
}

/// One half of a relationship: on which document, under which name, to whom.
struct Half {
    on: usize,
    name: &'static str,
    partner: ObjectId,
    partner_type: String,
    side: Side,
}

impl Half {
    fn list() -> FieldPath {
        FieldPath::literal("relationships")
    }

    fn keys(details: &Details) -> Vec<String> {
        let mut keys = vec![
            "value".to_owned(),
            "relationship".to_owned(),
            "type".to_owned(),
        ];
        if details.given_date.is_some() {
            keys.push("relationship_date".to_owned());
        }
        keys
    }

    fn same(&self, details: &Details) -> Filter {
        let is = |field, value: Bson| Filter::Field(FieldPath::literal(field), Test::Eq(value));
        let mut all = vec![
            is("value", self.partner.into()),
            is("relationship", self.name.into()),
            is("type", self.partner_type.as_str().into()),
        ];
        all.extend(
            details
                .given_date
                .map(|given| is("relationship_date", date(given))),
        );
        Filter::And(all)
    }

    fn entry(&self, details: &Details) -> Document {
        let mut entry = doc! {
            "relationship": self.name, "value": self.partner, "type": &self.partner_type,
            "relationship_date": date(details.relationship_date), "date": date(details.date),
        };
        if let Some(analyst) = &details.analyst {
            entry.insert("analyst", analyst);
        }
        entry.insert("rel_reason", &details.reason);
        entry.insert("rel_confidence", &details.confidence);
        entry
    }

    /// The half that is lacking, with what the other one says (forge_relationship.5).
    fn mirror(&self, other: &Document) -> Document {
        let mut entry =
            doc! { "relationship": self.name, "value": self.partner, "type": &self.partner_type };
        for name in [
            "relationship_date",
            "date",
            "analyst",
            "rel_reason",
            "rel_confidence",
        ] {
            if let Some(value) = other.get(name) {
                entry.insert(name, value.clone());
            }
        }
        entry
    }
}

/// The confidence among details.
pub(super) fn confidence(details: &[Arg]) -> Result<Option<&'static str>, Failure> {
    let Some(given) = text_of(details, "rel_confidence") else {
        return Ok(None);
    };
    match vocabulary::canonical("RelationshipConfidence", &given) {
        Some(confidence) => Ok(Some(confidence)),
        None => Err(invalid(
            "rel_confidence",
            format!("Invalid relationship confidence: {given}."),
        )),
    }
}

impl Work {
    /// `documents.relate`.
    ///
    /// # Errors
    ///
    /// Fault `invalid` (relationship name, confidence, date), `refused(conflict)` (with itself),
    /// `refused(unsupported_for_type)`.
    pub async fn relate(
        &mut self,
        left: DocNumber,
        relationship: &str,
        right: DocNumber,
        details: &[Arg],
    ) -> Result<Relation, Failure> {
        let (left, right) = (self.document(left)?, self.document(right)?);
        self.relate_documents(left, relationship, right, details)
            .await
    }

    pub(super) async fn relate_documents(
        &mut self,
        left: usize,
        relationship: &str,
        right: usize,
        details: &[Arg],
    ) -> Result<Relation, Failure> {
        if left == right {
            return Err(refused("conflict", "Cannot forge relationship to oneself"));
        }
        for index in [left, right] {
            let of = &self.documents[index].of.declaration;
            if !of.top_level {
                return Err(refused(
                    "unsupported_for_type",
                    format!("{} objects have no relationships.", of.name),
                ));
            }
        }
        let (name, inverse) = self.names(relationship)?;
        let confidence = confidence(details)?.unwrap_or("unknown");
        // One side must be the plugin's to write; for the other no right is needed (forge_relationship.7).
        if !self.may_apply_rules(left, "relationships")
            && !self.may_apply_rules(right, "relationships")
        {
            return Err(internal(
                "neither of the documents is this plugin's to relate; declare it in `touches`",
            ));
        }
        let given_date = date_of(details, "relationship_date", &self.request.zones)?;
        let is_anonymous = details
            .iter()
            .any(|arg| arg.name == "anonymous" && arg.value == Value::Flag(true));
        let details = Details {
            given_date,
            relationship_date: given_date.unwrap_or(self.now),
            date: self.now,
            analyst: (!is_anonymous).then(|| self.user().to_owned()),
            confidence: confidence.to_owned(),
            reason: as_written(details, "rel_reason").unwrap_or_default(),
        };
        let relation = self.relate_pair(left, name, inverse, right, &details)?;
        self.relate_family(left, name, inverse, right, &details)
            .await?;
        Ok(relation)
    }

    /// The current name of a relationship, and its inverse.
    pub(super) fn names(
        &mut self,
        relationship: &str,
    ) -> Result<(&'static str, &'static str), Failure> {
        let recognised = vocabulary::recognise("RelationshipTypes", relationship);
        let names = recognised
            .and_then(|recognised| Some((recognised, vocabulary::inverse(recognised.value)?)));
        let Some((recognised, inverse)) = names else {
            return Err(invalid("relationship", "Could not find relationship type"));
        };
        if recognised.by_old_name {
            self.warn(&format!(
                "'{}' is an old name; '{}' is used.",
                relationship.trim(),
                recognised.value
            ));
        }
        Ok((recognised.value, inverse))
    }

    fn half(&self, on: usize, name: &'static str, partner: usize, side: Side) -> Half {
        let of = &self.documents[partner].of.declaration;
        Half {
            on,
            name,
            partner: self.documents[partner].id,
            partner_type: of.name.clone(),
            side,
        }
    }

    fn relate_pair(
        &mut self,
        left: usize,
        name: &'static str,
        inverse: &'static str,
        right: usize,
        details: &Details,
    ) -> Result<Relation, Failure> {
        // An action changes both documents (ACT-17). A POST changes the one that it makes; what that is related to is its
        // partner (documents.md L6).
        let is_action = self
            .frames
            .first()
            .is_some_and(|frame| frame.subject.is_some());
        let right_side = if is_action { Side::Own } else { Side::Partner };
        let left = self.half(left, name, right, Side::Own);
        let right = self.half(right, inverse, left.on, right_side);
        match (
            self.present(&left, details)?,
            self.present(&right, details)?,
        ) {
            (Some(_), Some(_)) => Ok(Relation::Present),
            (Some(entry), None) => {
                self.write_half(&right, right.mirror(&entry), details)?;
                Ok(Relation::Repaired)
            }
            (None, Some(entry)) => {
                self.write_half(&left, left.mirror(&entry), details)?;
                Ok(Relation::Repaired)
            }
            (None, None) => {
                self.write_half(&left, left.entry(details), details)?;
                self.write_half(&right, right.entry(details), details)?;
                Ok(Relation::Added)
            }
        }
    }

    /// The half that is there already; it alone counts as read.
    fn present(&mut self, half: &Half, details: &Details) -> Result<Option<Document>, Failure> {
        let list = Half::list();
        let draft = &self.documents[half.on].draft;
        let Some(position) = draft
            .find(&list, &half.same(details), 0)
            .map_err(draft_failed)?
        else {
            return Ok(None);
        };
        self.remember_element(half.on, &list, position)?;
        let entry = self.documents[half.on]
            .draft
            .get(&super::rules::within(&list, position)?)
            .map_err(draft_failed)?;
        match entry {
            Some(Bson::Document(entry)) => Ok(Some(entry)),
            _ => Ok(None),
        }
    }

    fn write_half(
        &mut self,
        half: &Half,
        entry: Document,
        details: &Details,
    ) -> Result<(), Failure> {
        self.append_unique(
            half.side,
            half.on,
            Half::list(),
            entry.into(),
            &Half::keys(details),
        )?;
        Ok(())
    }

    /// Rule forge_relationship.6: whatever is related to a member of a family is related to the family too, so that
    /// both relationships read the same way. If there is no family to be seen, nothing is said.
    async fn relate_family(
        &mut self,
        left: usize,
        name: &'static str,
        inverse: &'static str,
        right: usize,
        details: &Details,
    ) -> Result<(), Failure> {
        if self.is_family(left)? || self.is_family(right)? {
            return Ok(());
        }
        if let Some(family) = self.family_of(right).await?
            && family != left
        {
            self.relate_pair(left, name, inverse, family, details)?;
        }
        if let Some(family) = self.family_of(left).await?
            && family != right
        {
            self.relate_pair(family, name, inverse, right, details)?;
        }
        Ok(())
    }

    /// The value that tells the members of a family apart. None: the type knows no families.
    fn member(&mut self, index: usize) -> Result<Option<String>, Failure> {
        let of = Arc::clone(&self.documents[index].of);
        let Some(field) = &of.declaration.family else {
            return Ok(None);
        };
        let path =
            FieldPath::parse(field).map_err(|error| internal(format!("`{field}`: {error}")))?;
        let value = self.read(index, &path)?;
        Ok(Some(
            value
                .as_ref()
                .and_then(Bson::as_str)
                .unwrap_or_default()
                .to_owned(),
        ))
    }

    fn is_family(&mut self, index: usize) -> Result<bool, Failure> {
        Ok(self.member(index)?.is_some_and(|member| member.is_empty()))
    }

    async fn family_of(&mut self, index: usize) -> Result<Option<usize>, Failure> {
        if self.member(index)?.is_none_or(|member| member.is_empty()) {
            return Ok(None);
        }
        let of = Arc::clone(&self.documents[index].of);
        let Some(family) = &of.declaration.family else {
            return Ok(None);
        };
        let Some(key) = of.declaration.keys.iter().find(|key| key.contains(family)) else {
            return Ok(None);
        };
        let mut parts = Vec::with_capacity(key.len());
        for name in key {
            let path =
                FieldPath::parse(name).map_err(|error| internal(format!("`{name}`: {error}")))?;
            let value = if name == family {
                Some(Bson::from(""))
            } else {
                self.read(index, &path)?
            };
            let Some(value) = value else { return Ok(None) };
            parts.push((path, value));
        }
        self.visible_by_key(&of, parts).await
    }
}
