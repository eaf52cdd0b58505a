//! `forge_relationship`, `delete_relationship`, `update_relationship`

use critd_sdk::prelude::*;

use crate::last_elements;

/// Relates the object to another one, which gets the inverse relationship.
///
/// A relationship with the same name to the same object is the same one, unless both have dates that differ.
///
/// # Rules
///
/// forge_relationship.1: the arguments are declared in the order in which they are checked; the relationship's name is
/// checked last, by the host's rule of relationships, as are .3 to .6. .7: an object that can't be related to, or not seen,
/// does not exist. CON-3: both sides are one transaction.
#[action(
    on = "*",
    permission = "relationships_add",
    refusal = "User does not have permission to forge relationships",
    touches("self.relationships", "other:*"),
    answers = "the relationship; with `get_rels` all of the object in its `relationships`"
)]
#[example("two objects",
    before = {"relationships": []},
    others = [{"type": "Domain", "document": {"_id": {"$oid": "0123456789abcdef01234567"}, "domain": "example.com"}}],
    args = {"right_type": "Domain", "right_id": "0123456789ABCDEF01234567", "rel_type": "contains", "rel_confidence": "high", "rel_date": "2026-01-14"},
    message = "Relationship forged.",
    object = {"relationship": "Contains", "type": "Domain", "value": {"$oid": "0123456789abcdef01234567"}, "date": {"$date": 1767225600000},
        "relationship_date": {"$date": 1768348800000}, "analyst": "example", "rel_confidence": "high", "rel_reason": ""})]
#[example("one that only one of them has: the other one gets it",
    before = {"relationships": [{"relationship": "Contains", "type": "Domain", "value": {"$oid": "0123456789abcdef01234567"}, "date": {"$date": 1},
        "relationship_date": {"$date": 2}, "analyst": "other", "rel_confidence": "low", "rel_reason": "old"}]},
    others = [{"type": "Domain", "document": {"_id": {"$oid": "0123456789abcdef01234567"}, "domain": "example.com"}}],
    args = {"right_type": "Domain", "right_id": "0123456789abcdef01234567", "rel_type": "Contains", "rel_confidence": "high"},
    message = "Relationship repaired.",
    object = {"relationship": "Contains", "type": "Domain", "value": {"$oid": "0123456789abcdef01234567"}, "date": {"$date": 1},
        "relationship_date": {"$date": 2}, "analyst": "other", "rel_confidence": "low", "rel_reason": "old"})]
#[example("no such relationship",
    others = [{"type": "Domain", "document": {"_id": {"$oid": "0123456789abcdef01234567"}, "domain": "example.com"}}],
    args = {"right_type": "Domain", "right_id": "0123456789abcdef01234567", "rel_type": "Foo"},
    fault = {"invalid": "rel_type", "message": "Could not find relationship type"})]
#[example("an object that the user may not see",
    others = [{"type": "Domain", "visible": false, "document": {"_id": {"$oid": "0123456789abcdef01234567"}, "domain": "example.com"}}],
    args = {"right_type": "Domain", "right_id": "0123456789abcdef01234567", "rel_type": "Foo"},
    fault = {"missing": "Failed to get right TLO"})]
pub(crate) fn forge_relationship(tlo: &mut Tlo, call: &Call, args: ForgeRelationship) -> Outcome {
    let right = right(&args.right_type, &args.right_id)?;
    let details = params! {
        "relationship_date" => args.rel_date,
        "rel_confidence" => &args.rel_confidence,
        "rel_reason" => &args.rel_reason,
    };
    let relation = tlo
        .relate(&args.rel_type, &right, details)
        .map_err(of_this_action)?;
    let detail = match relation {
        Relation::Added => "Relationship forged.",
        Relation::Repaired => "Relationship repaired.",
        Relation::Present => refuse!(already_exists: "Relationship already exists"),
    };
    let name = registers::canonical("RelationshipTypes", &args.rel_type)
        .ok_or_else(|| internal("a relationship without a name"))?;
    let mut entry = match relation {
        // The list is not read: others may relate other objects at the same time.
        Relation::Added | Relation::Present => json!({
            "relationship": name, "type": args.right_type, "value": right.id()?, "date": call.now(),
            "relationship_date": args.rel_date.unwrap_or_else(|| call.now()), "analyst": call.user(),
            "rel_confidence": args.rel_confidence, "rel_reason": args.rel_reason,
        }),
        Relation::Repaired => {
            let mut same =
                json!({ "value": right.id()?, "relationship": name, "type": args.right_type });
            if let Some(date) = args.rel_date {
                same["relationship_date"] = json!(date);
            }
            tlo.first("relationships", &same)?.unwrap_or_default()
        }
    };
    if args.get_rels {
        entry["relationships"] = visible(tlo, call)?.into();
    }
    Ok(Answer::new(detail).object(entry))
}

#[derive(Args)]
pub(crate) struct ForgeRelationship {
    /// Since when the objects have been related. Most written forms of dates are understood.
    #[arg(type = "ldate", example = "2026-01-14")]
    rel_date: Option<Date>,
    /// Type of the other object; the name of its resource will do.
    #[arg(type = "type", invalid = "Failed to get right TLO", example = "Domain")]
    right_type: String,
    /// Id of the other object.
    #[arg(
        invalid = "Failed to get right TLO",
        example = "5b2c3d4e5f60718293a4b5e0"
    )]
    right_id: ObjectId,
    /// Name of the relationship, read from this object.
    #[arg(
        vocab = "RelationshipTypes",
        check = "within",
        missing = "Could not find relationship type",
        invalid = "Could not find relationship type",
        example = "Contains"
    )]
    rel_type: String,
    /// Why the objects are related.
    #[arg(type = "text", default = "", example = "seen in the same report")]
    rel_reason: String,
    /// How sure that is.
    #[arg(
        default = "unknown",
        vocab = "RelationshipConfidence",
        invalid = "Invalid relationship confidence: {value}.",
        example = "high"
    )]
    rel_confidence: String,
    /// Answer all relationships of the object too.
    get_rels: bool,
}

/// Takes a relationship away, from both objects. The other object need not exist any more.
///
/// # Rules
///
/// NEW-5: of several the first, with `rel_date` that of the date. Both sides are the host's rule.
#[action(
    on = "*",
    permission = "relationships_delete",
    refusal = "User does not have permission to delete relationships.",
    touches("self.relationships", "other:*"),
    answers = "nothing"
)]
#[example("a relationship to what is gone",
    before = {"relationships": [{"relationship": "Contains", "type": "Domain", "value": {"$oid": "0123456789abcdef01234567"}}]},
    args = {"right_type": "Domain", "right_id": "0123456789ABCDEF01234567", "rel_type": "contains"}, message = "Relationship removed.")]
#[example("another relationship",
    before = {"relationships": [{"relationship": "Contains", "type": "Domain", "value": {"$oid": "0123456789abcdef01234567"}}]},
    args = {"right_type": "Domain", "right_id": "0123456789abcdef01234567", "rel_type": "Created"}, fault = {"missing": "Relationship not found."})]
pub(crate) fn delete_relationship(tlo: &mut Tlo, args: DeleteRelationship) -> Outcome {
    let of_date = params! { "relationship_date" => args.rel_date };
    match tlo.unrelate(&args.rel_type, &args.right_type, &args.right_id, of_date)? {
        true => Ok("Relationship removed.".into()),
        false => Err(missing("Relationship not found.")),
    }
}

#[derive(Args)]
pub(crate) struct DeleteRelationship {
    /// Type of the other object; the name of its resource will do.
    #[arg(type = "type", invalid = "Relationship not found.", example = "Domain")]
    right_type: String,
    /// Id of the other object.
    #[arg(
        invalid = "Relationship not found.",
        example = "5b2c3d4e5f60718293a4b5e0"
    )]
    right_id: ObjectId,
    /// Name of the relationship, read from this object.
    #[arg(
        vocab = "RelationshipTypes",
        invalid = "Could not find relationship type",
        example = "Contains"
    )]
    rel_type: String,
    /// Only the relationship of this date.
    #[arg(type = "ldate", example = "2026-01-14")]
    rel_date: Option<Date>,
}

/// Changes a relationship, on both objects.
///
/// # Rules
///
/// NEW-6: it is found as by `delete_relationship`; a new name gives its inverse on the other object.
#[action(
    on = "*",
    permission = "relationships_edit",
    refusal = "User does not have permission to edit relationships.",
    touches("self.relationships", "other:*"),
    answers = "the relationship as it is now"
)]
#[example("another confidence and reason",
    before = {"relationships": [{"relationship": "Contains", "type": "Domain", "value": {"$oid": "0123456789abcdef01234567"}, "rel_confidence": "low"}]},
    args = {"right_type": "Domain", "right_id": "0123456789abcdef01234567", "rel_type": "Contains", "new_confidence": "high", "new_reason": "r"},
    message = "Relationship updated.",
    object = {"relationship": "Contains", "type": "Domain", "value": {"$oid": "0123456789abcdef01234567"}, "rel_confidence": "high", "rel_reason": "r"})]
#[example("nothing to change",
    before = {"relationships": [{"relationship": "Contains", "type": "Domain", "value": {"$oid": "0123456789abcdef01234567"}}]},
    args = {"right_type": "Domain", "right_id": "0123456789abcdef01234567", "rel_type": "Contains"}, fault = {"invalid": "new_type"})]
pub(crate) fn update_relationship(tlo: &mut Tlo, args: UpdateRelationship) -> Outcome {
    let of_date = params! { "relationship_date" => args.rel_date };
    let changes = params! {
        "relationship" => args.new_type.as_deref(), "relationship_date" => args.new_date,
        "rel_confidence" => args.new_confidence.as_deref(), "rel_reason" => args.new_reason.as_deref(),
    };
    if changes.is_empty() {
        return Err(invalid(
            "new_type",
            "One of 'new_type', 'new_date', 'new_confidence' and 'new_reason' is needed.",
        ));
    }
    let (id, kind) = (&args.right_id, &args.right_type);
    if !tlo.change_relation(&args.rel_type, kind, id, of_date, changes)? {
        return Err(missing("Relationship not found."));
    }
    let name = args.new_type.unwrap_or(args.rel_type);
    let mut same = json!({ "value": id, "relationship": name, "type": kind });
    if let Some(date) = args.new_date.or(args.rel_date) {
        same["relationship_date"] = json!(date);
    }
    let entry = tlo.first::<Json>("relationships", &same)?;
    Ok(Answer::new("Relationship updated.").object(entry.unwrap_or_default()))
}

#[derive(Args)]
pub(crate) struct UpdateRelationship {
    /// Type of the other object; the name of its resource will do.
    #[arg(type = "type", invalid = "Relationship not found.", example = "Domain")]
    right_type: String,
    /// Id of the other object.
    #[arg(
        invalid = "Relationship not found.",
        example = "5b2c3d4e5f60718293a4b5e0"
    )]
    right_id: ObjectId,
    /// Name of the relationship, read from this object.
    #[arg(
        vocab = "RelationshipTypes",
        invalid = "Could not find relationship type",
        example = "Contains"
    )]
    rel_type: String,
    /// Only the relationship of this date.
    #[arg(type = "ldate", example = "2026-01-14")]
    rel_date: Option<Date>,
    /// Its new name, read from this object.
    #[arg(
        vocab = "RelationshipTypes",
        invalid = "Could not find relationship type",
        example = "Created"
    )]
    new_type: Option<String>,
    /// Since when the objects have been related.
    #[arg(type = "ldate", example = "2026-01-15")]
    new_date: Option<Date>,
    /// How sure that is.
    #[arg(
        vocab = "RelationshipConfidence",
        invalid = "Invalid relationship confidence: {value}.",
        example = "high"
    )]
    new_confidence: Option<String>,
    /// Why; empty to clear it.
    #[arg(type = "text", example = "seen in the same report")]
    new_reason: Option<String>,
}

/// Rule forge_relationship.7.
fn right(type_name: &str, id: &ObjectId) -> Result<Tlo, Fault> {
    Tlo::by_id(type_name, id).map_err(|fault| match fault {
        Fault::Missing(_) => missing("Failed to get right TLO"),
        other => other,
    })
}

/// The host's rule calls its argument otherwise.
fn of_this_action(fault: Fault) -> Fault {
    match fault {
        Fault::Invalid((argument, message)) if argument == "relationship" => {
            invalid("rel_type", message)
        }
        other => other,
    }
}

/// The relationships of the object, but those to objects that the caller may not see (rule C5).
fn visible(tlo: &Tlo, call: &Call) -> Result<Vec<Json>, Fault> {
    let all = last_elements(tlo, call, "relationships")?;
    let mut shown = Vec::with_capacity(all.len());
    for entry in all {
        let (type_name, id) = (entry["type"].as_str(), entry["value"]["$oid"].as_str());
        if let (Some(type_name), Some(id)) = (type_name, id)
            && is_visible(type_name, id)?
        {
            shown.push(entry);
        }
    }
    Ok(shown)
}

fn is_visible(type_name: &str, id: &str) -> Result<bool, Fault> {
    match Tlo::by_id(type_name, id) {
        Ok(_) => Ok(true),
        Err(Fault::Missing(_)) => Ok(false),
        Err(fault) => Err(fault),
    }
}
