//! `attribute_actor_identifier`, `set_identifier_confidence`, `remove_attribution`: which identifiers are the actor's.
//!
//! The identifiers themselves are documents of their own and never changed here.

use critd_sdk::{element, prelude::*};

/// Attributes an identifier that the server knows to the actor.
///
/// # Rules
///
/// attribute_actor_identifier.1: found by type and value, and only if the user may see it. CON-4: of two equal requests at
/// the same time one is refused.
#[action(
    on = "Actor",
    permission = "actor_identifiers_add",
    refusal = "User does not have permission to attribute actor identifier.",
    touches = "self.identifiers",
    answers = "the entry"
)]
#[example("an identifier that nobody has yet",
    before = {"name": "A", "identifiers": []},
    others = [{"type": "ActorIdentifier", "document": {"_id": {"$oid": "5b2c3d4e5f60718293a40001"}, "identifier_type": "Handle", "name": "h1"}}],
    args = {"identifier_type": "Handle", "identifier": " h1 ", "confidence": "medium"},
    message = "Identifier attributed.",
    object = {"identifier_id": "5b2c3d4e5f60718293a40001", "confidence": "medium", "analyst": "example", "date": {"$date": 1767225600000}},
    operations = [{"push": ["identifiers",
        {"identifier_id": "5b2c3d4e5f60718293a40001", "confidence": "medium", "analyst": "example", "date": {"$date": 1767225600000}}]}])]
#[example("an identifier that is the actor's already",
    before = {"name": "A", "identifiers": [{"identifier_id": "5b2c3d4e5f60718293a40001", "confidence": "low", "analyst": "other"}]},
    others = [{"type": "ActorIdentifier", "document": {"_id": {"$oid": "5b2c3d4e5f60718293a40001"}, "identifier_type": "Handle", "name": "h1"}}],
    args = {"identifier_type": "Handle", "identifier": "h1"},
    fault = {"refused": "already_exists", "message": "Invalid data submitted or identifier is already attributed."})]
#[example("an identifier of another type",
    before = {"name": "A"},
    others = [{"type": "ActorIdentifier", "document": {"identifier_type": "Handle", "name": "h1"}}],
    args = {"identifier_type": "Domain", "identifier": "h1"},
    fault = {"missing": "Invalid data submitted or identifier is already attributed."})]
#[example("an identifier that the user may not see",
    before = {"name": "A"},
    others = [{"type": "ActorIdentifier", "visible": false, "document": {"identifier_type": "Handle", "name": "h1"}}],
    args = {"identifier_type": "Handle", "identifier": "h1"},
    fault = {"missing": "Invalid data submitted or identifier is already attributed."})]
#[example("nothing",
    before = {"name": "A"}, args = {"identifier_type": "Handle", "identifier": ""},
    fault = {"missing": "Invalid data submitted or identifier is already attributed."})]
pub(crate) fn attribute_actor_identifier(
    tlo: &mut Tlo,
    call: &Call,
    args: AttributeActorIdentifier,
) -> Outcome {
    let key = params! { "identifier_type" => args.identifier_type, "name" => args.identifier };
    let Some(identifier) = Tlo::by_key("ActorIdentifier", key)? else {
        return Err(missing(NOT_ATTRIBUTED));
    };
    let entry = json!({
        "identifier_id": identifier.id()?.as_str(),
        "confidence": args.confidence,
        "analyst": call.user(),
        "date": call.now(),
    });
    if !tlo.push_unique("identifiers", &entry, &["identifier_id"])? {
        return Err(refused("already_exists", NOT_ATTRIBUTED));
    }
    Ok(Answer::new("Identifier attributed.").object(entry))
}

/// Rule attribute_actor_identifier.3: one text, so that nobody learns of identifiers that they may not see.
const NOT_ATTRIBUTED: &str = "Invalid data submitted or identifier is already attributed.";

#[derive(Args)]
pub(crate) struct AttributeActorIdentifier {
    /// Kind of identifier: one of the server's identifier types.
    #[arg(example = "Email Address")]
    identifier_type: String,
    /// The identifier itself, not its id.
    #[arg(example = "someone@example.org")]
    identifier: String,
    /// How sure the attribution is.
    #[arg(
        default = "low",
        vocab = "Confidence",
        invalid = "Invalid confidence: {value}."
    )]
    confidence: String,
}

/// Says how sure it is that an identifier is the actor's. Who attributed it, and when, stays as it is.
///
/// # Rules
///
/// actions.md 3.3. ACT-22: of several entries for the identifier the first.
#[action(
    on = "Actor",
    permission = "actor_identifiers_edit",
    refusal = "User does not have permission to edit identifiers.",
    touches = "self.identifiers",
    answers = "the entry"
)]
#[example("more certain",
    before = {"identifiers": [{"identifier_id": "5b2c3d4e5f60718293a40001", "confidence": "low", "analyst": "other"}]},
    args = {"identifier": "5B2C3D4E5F60718293A40001", "confidence": "high"},
    message = "Confidence set.",
    object = {"identifier_id": "5b2c3d4e5f60718293a40001", "confidence": "high", "analyst": "other"},
    operations = [{"set": ["identifiers.0.confidence", "high"]}])]
#[example("nothing to do",
    before = {"identifiers": [{"identifier_id": "5b2c3d4e5f60718293a40001", "confidence": "low", "analyst": "other"}]},
    args = {"identifier": "5b2c3d4e5f60718293a40001"}, message = "Confidence set.", operations = [])]
#[example("an identifier that is not the actor's",
    before = {"identifiers": []}, args = {"identifier": "5b2c3d4e5f60718293a40001"}, fault = {"missing": "Identifier not found."})]
pub(crate) fn set_identifier_confidence(tlo: &mut Tlo, args: SetIdentifierConfidence) -> Outcome {
    let Some(position) = tlo.find("identifiers", &attributed(&args.identifier))? else {
        return Err(not_found());
    };
    let entry = element("identifiers", position);
    tlo.set(&[&entry, ".confidence"].concat(), args.confidence)?;
    Ok(Answer::new("Confidence set.").object(tlo.get::<Json>(&entry)?.unwrap_or_default()))
}

#[derive(Args)]
pub(crate) struct SetIdentifierConfidence {
    /// Id of the identifier.
    #[arg(example = "5b2c3d4e5f60718293a40001")]
    identifier: ObjectId,
    /// How sure the attribution is.
    #[arg(
        default = "low",
        vocab = "Confidence",
        invalid = "Invalid confidence: {value}."
    )]
    confidence: String,
}

/// Says that an identifier is not the actor's after all. It need not exist any more, nor be one that the user may see.
///
/// # Rules
///
/// actions.md 3.4. ACT-22: of several entries for the identifier the first.
#[action(
    on = "Actor",
    permission = "actor_identifiers_delete",
    refusal = "User does not have permission to remove attributed identifier.",
    touches = "self.identifiers",
    answers = "the removed entry"
)]
#[example("the first of two",
    before = {"identifiers": [{"identifier_id": "5b2c3d4e5f60718293a40001", "confidence": "low", "analyst": "other"},
        {"identifier_id": "5b2c3d4e5f60718293a40001", "confidence": "high", "analyst": "other"}]},
    args = {"identifier": "5b2c3d4e5f60718293a40001"},
    message = "Attribution removed.",
    object = {"identifier_id": "5b2c3d4e5f60718293a40001", "confidence": "low", "analyst": "other"},
    operations = [{"pull": ["identifiers", {"identifier_id": "5b2c3d4e5f60718293a40001"}, 1]}])]
#[example("an identifier that is not the actor's",
    before = {"identifiers": []}, args = {"identifier": "5b2c3d4e5f60718293a40001"}, fault = {"missing": "Identifier not found."})]
pub(crate) fn remove_attribution(tlo: &mut Tlo, args: RemoveAttribution) -> Outcome {
    let condition = attributed(&args.identifier);
    let Some(entry) = tlo.first::<Json>("identifiers", &condition)? else {
        return Err(not_found());
    };
    tlo.pull("identifiers", &condition)?;
    Ok(Answer::new("Attribution removed.").object(entry))
}

#[derive(Args)]
pub(crate) struct RemoveAttribution {
    /// Id of the identifier.
    #[arg(example = "5b2c3d4e5f60718293a40001")]
    identifier: ObjectId,
}

/// Entries hold the id as text.
fn attributed(identifier: &ObjectId) -> Json {
    json!({ "identifier_id": identifier.as_str() })
}

fn not_found() -> Fault {
    missing("Identifier not found.")
}
