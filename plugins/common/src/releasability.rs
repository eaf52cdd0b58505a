//! `add_releasability`, `remove_releasability`, `add_releasability_instance`, `remove_releasability_instance`

use critd_sdk::serde_json::Map;
use critd_sdk::{element, prelude::*};

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

/// Takes back that the object may be released to a source. What has been released can't be taken back.
///
/// # Rules
///
/// Actions.md section 10: an entry with instances stays.
#[action(
    on = "*",
    permission = "releasability_delete",
    refusal = "User does not have permission to delete releasability.",
    touches = "self.releasability",
    answers = "the removed entry"
)]
#[example("nothing was released",
    before = {"releasability": [{"name": "Example", "analyst": "other", "instances": []}]}, args = {"name": "Example"},
    message = "Releasability removed.", object = {"name": "Example", "analyst": "other", "instances": []},
    operations = [{"pull": ["releasability", {"name": "Example"}, 1]}])]
#[example("something was released",
    before = {"releasability": [{"name": "Example", "analyst": "other", "instances": [{"analyst": "other", "date": {"$date": 1}}]}]},
    args = {"name": "Example"}, fault = {"refused": "conflict", "message": "Releasability with instances can't be removed."})]
#[example("no such entry", before = {"releasability": []}, args = {"name": "Example"}, fault = {"missing": "Releasability not found."})]
pub(crate) fn remove_releasability(
    tlo: &mut Tlo,
    call: &Call,
    args: RemoveReleasability,
) -> Outcome {
    let (position, entry) = found(tlo, call, &args.name)?;
    if !tlo.is_empty(&instances(position))? {
        refuse!(conflict: "Releasability with instances can't be removed.");
    }
    tlo.pull("releasability", &json!({ "name": args.name }))?;
    Ok(Answer::new("Releasability removed.").object(entry))
}

#[derive(Args)]
pub(crate) struct RemoveReleasability {
    /// Name of the source.
    #[arg(example = "Example CERT")]
    name: String,
}

/// Notes that the object was released to a source to which it may be released.
///
/// # Rules
///
/// Actions.md section 10, documents.md 2.7. The date tells instances of a source apart, so a new one has it for itself.
#[action(
    on = "*",
    permission = "releasability_add",
    refusal = "User does not have permission to add releasability.",
    touches = "self.releasability",
    answers = "the entry of the source"
)]
#[example("a first one",
    before = {"releasability": [{"name": "Example", "analyst": "other", "instances": []}]}, args = {"name": "Example", "note": "by mail"},
    message = "Releasability instance added.",
    object = {"name": "Example", "analyst": "other", "instances": [{"analyst": "example", "date": {"$date": 1767225600000}, "note": "by mail"}]})]
#[example("no such entry", before = {"releasability": []}, args = {"name": "Example"}, fault = {"missing": "Releasability not found."})]
pub(crate) fn add_releasability_instance(
    tlo: &mut Tlo,
    call: &Call,
    args: AddReleasabilityInstance,
) -> Outcome {
    let (position, _) = found(tlo, call, &args.name)?;
    let list = instances(position);
    let date = tlo.free_date(&list, args.date, &Map::new())?;
    tlo.push(
        &list,
        json!({ "analyst": call.user(), "date": date, "note": args.note }),
    )?;
    let (_, entry) = found(tlo, call, &args.name)?;
    Ok(Answer::new("Releasability instance added.").object(entry))
}

#[derive(Args)]
pub(crate) struct AddReleasabilityInstance {
    /// Name of the source.
    #[arg(example = "Example CERT")]
    name: String,
    /// When it was released; now if not given.
    #[arg(default = "now", example = "2026-01-15 10:20:30.000000")]
    date: Date,
    /// How, and to whom.
    #[arg(type = "text", default = "", example = "by mail")]
    note: String,
}

/// Removes the note of a release, which is found by its date.
///
/// # Rules
///
/// Actions.md section 10. ACT-22: of several with this date the first.
#[action(
    on = "*",
    permission = "releasability_delete",
    refusal = "User does not have permission to delete releasability.",
    touches = "self.releasability",
    answers = "the removed instance"
)]
#[example("the only one",
    before = {"releasability": [{"name": "Example", "analyst": "other", "instances": [{"analyst": "other", "date": {"$date": 1768472430000}, "note": ""}]}]},
    args = {"name": "Example", "date": "2026-01-15 10:20:30.000000"},
    message = "Releasability instance removed.", object = {"analyst": "other", "date": {"$date": 1768472430000}, "note": ""},
    operations = [{"pull": ["releasability.0.instances", {"date": {"$date": 1768472430000}}, 1]}])]
#[example("no such date",
    before = {"releasability": [{"name": "Example", "analyst": "other", "instances": []}]},
    args = {"name": "Example", "date": "2026-01-15 10:20:30.000000"}, fault = {"missing": "Releasability instance not found."})]
pub(crate) fn remove_releasability_instance(
    tlo: &mut Tlo,
    call: &Call,
    args: RemoveReleasabilityInstance,
) -> Outcome {
    let (position, _) = found(tlo, call, &args.name)?;
    let (list, of_date) = (instances(position), json!({ "date": args.date }));
    let instance = tlo.first::<Json>(&list, &of_date)?;
    let instance = instance.ok_or_else(|| missing("Releasability instance not found."))?;
    tlo.pull(&list, &of_date)?;
    Ok(Answer::new("Releasability instance removed.").object(instance))
}

#[derive(Args)]
pub(crate) struct RemoveReleasabilityInstance {
    /// Name of the source.
    #[arg(example = "Example CERT")]
    name: String,
    /// Date of the instance, as answers show it.
    #[arg(example = "2026-01-15 10:20:30.000000")]
    date: Date,
}

/// Position and content of an entry: one of the caller's sources, or one that the caller made. Others are not shown to be
/// there (rule C2).
fn found(tlo: &Tlo, call: &Call, name: &str) -> Result<(u32, Json), Fault> {
    let not_found = || missing("Releasability not found.");
    let position = tlo.find("releasability", &json!({ "name": name }))?;
    let position = position.ok_or_else(not_found)?;
    let entry = tlo.get::<Json>(&element("releasability", position))?;
    let entry = entry.ok_or_else(not_found)?;
    if registers::has("source", name) || entry["analyst"] == call.user() {
        Ok((position, shown(call, entry)))
    } else {
        Err(not_found())
    }
}

fn instances(position: u32) -> String {
    element("releasability", position) + ".instances"
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
