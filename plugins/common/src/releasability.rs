//! `add_releasability`

use critd_sdk::prelude::*;

/// Notes that the object may be released to a source. It gives nobody any right (rule S1 knows nothing of it).
///
/// # Rules
///
/// add_releasability.2: any source of the register will do, whoever has it. CON-4: of two additions at once one is added.
#[action(
    on = "*",
    permission = "releasability_add",
    refusal = "User does not have permission to add releasability.",
    touches = "self.releasability",
    answers = "the entry"
)]
#[example("a source",
    before = {"releasability": []}, args = {"name": "Example"},
    message = "Releasability added.", object = {"name": "Example", "analyst": "example", "instances": []},
    operations = [{"push": ["releasability", {"name": "Example", "analyst": "example", "instances": []}]}])]
#[example("one that is there already",
    before = {"releasability": [{"name": "Example", "analyst": "other", "instances": []}]}, args = {"name": "Example"},
    message = "Releasability already present.", object = {"name": "Example", "analyst": "other", "instances": []},
    operations = [])]
#[example("no such source", args = {"name": "Nobody"}, fault = {"invalid": "name", "message": "Source not found."})]
pub(crate) fn add_releasability(tlo: &mut Tlo, call: &Call, args: AddReleasability) -> Outcome {
    let entry = json!({ "name": args.name, "analyst": call.user(), "instances": [] });
    if tlo.push_unique("releasability", &entry, &["name"])? {
        return Ok(Answer::new("Releasability added.").object(entry));
    }
    let stored = tlo.first::<Json>("releasability", &json!({ "name": args.name }))?;
    let shown = shown(call, stored.unwrap_or(entry));
    Ok(Answer::new("Releasability already present.").object(shown))
}

#[derive(Args)]
pub(crate) struct AddReleasability {
    /// Name of the source to release to.
    #[arg(
        vocab = "registered-sources",
        invalid = "Source not found.",
        example = "Example CERT"
    )]
    name: String,
}

/// An entry as the caller may see it: of sources that are not the caller's no more than the caller wrote (rule C2).
fn shown(call: &Call, mut entry: Json) -> Json {
    let name = entry["name"].as_str().unwrap_or_default();
    if registers::has("source", name) {
        return entry;
    }
    let user = call.user();
    if entry["analyst"] != user {
        return json!({ "name": name });
    }
    if let Some(instances) = entry["instances"].as_array_mut() {
        instances.retain(|instance| instance["analyst"] == user);
    }
    entry
}
