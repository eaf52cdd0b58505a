//! `forge_relationship`

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
