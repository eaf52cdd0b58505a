//! `campaign_add`, `campaign_edit`, `campaign_remove`

use critd_sdk::{element, prelude::*};

use crate::last_elements;

/// From the least to the most.
const CONFIDENCE: [&str; 3] = ["low", "medium", "high"];
const ADD: &str = "campaigns_add";

/// Attributes the object to a campaign. Where it is already, the confidence is only raised.
///
/// # Rules
///
/// NEW-2. With `related` it is done to every related object that the caller sees and has the flag for.
#[action(
    on("*", "-Campaign"),
    permission = "campaigns_add",
    refusal = "User does not have permission to add campaigns.",
    touches("self.campaign", "other:*"),
    answers = "the entry; with `related` the number of related objects that were changed in its `related`"
)]
#[example("a new campaign",
    before = {"campaign": []}, args = {"name": "Bear", "confidence": "medium", "description": "d"},
    message = "Campaign assigned successfully!",
    object = {"name": "Bear", "confidence": "medium", "analyst": "example", "date": {"$date": 1767225600000}, "description": "d"})]
#[example("a higher confidence",
    before = {"campaign": [{"name": "Bear", "confidence": "low", "analyst": "other", "date": {"$date": 1}}]}, args = {"name": "Bear", "confidence": "high"},
    message = "Campaign assigned successfully!",
    object = {"name": "Bear", "confidence": "high", "analyst": "example", "date": {"$date": 1}},
    operations = [{"set": ["campaign.0.confidence", "high"]}, {"set": ["campaign.0.analyst", "example"]}])]
#[example("a lower confidence",
    before = {"campaign": [{"name": "Bear", "confidence": "high", "analyst": "other", "date": {"$date": 1}}]}, args = {"name": "Bear"},
    message = "Campaign assigned successfully!",
    object = {"name": "Bear", "confidence": "high", "analyst": "other", "date": {"$date": 1}}, operations = [])]
pub(crate) fn campaign_add(tlo: &mut Tlo, call: &Call, args: CampaignAdd) -> Outcome {
    attribute(tlo, call, &args)?;
    let entry = tlo.first::<Json>("campaign", &json!({ "name": args.name }))?;
    let mut entry = entry.ok_or_else(|| internal("the campaign is not there"))?;
    if args.related {
        let mut changed = 0;
        for mut other in related(tlo, call)? {
            changed += u32::from(attribute(&mut other, call, &args)?);
        }
        entry["related"] = json!(changed);
    }
    Ok(Answer::new("Campaign assigned successfully!").object(entry))
}

#[derive(Args)]
pub(crate) struct CampaignAdd {
    /// Name of the campaign.
    #[arg(nonempty, example = "Example Bear")]
    name: String,
    /// How sure that is.
    #[arg(
        default = "low",
        vocab = "Confidence",
        invalid = "Invalid campaign confidence: {value}.",
        example = "medium"
    )]
    confidence: String,
    /// Why. Of a campaign that is there already it changes nothing.
    #[arg(type = "text", default = "", example = "same infrastructure")]
    description: String,
    /// Attribute all related objects too.
    related: bool,
}

/// True: something has changed.
fn attribute(tlo: &mut Tlo, call: &Call, args: &CampaignAdd) -> Result<bool, Fault> {
    let entry = json!({
        "name": args.name, "confidence": args.confidence, "analyst": call.user(), "date": call.now(),
        "description": args.description,
    });
    if tlo.push_unique("campaign", &entry, &["name"])? {
        return Ok(true);
    }
    let position = tlo.find("campaign", &json!({ "name": args.name }))?;
    let place = element("campaign", position.unwrap_or_default());
    let stored = tlo.text(&[&place, ".confidence"].concat())?;
    let rank = |confidence: &str| CONFIDENCE.iter().position(|known| *known == confidence);
    if rank(&args.confidence) <= rank(&stored) {
        return Ok(false);
    }
    tlo.set(&[&place, ".confidence"].concat(), &args.confidence)?;
    tlo.set(&[&place, ".analyst"].concat(), call.user())?;
    Ok(true)
}

/// The related objects that may be attributed by the caller.
fn related(tlo: &Tlo, call: &Call) -> Result<Vec<Tlo>, Fault> {
    let mut found: Vec<Tlo> = Vec::new();
    for entry in last_elements(tlo, call, "relationships")? {
        let (Some(type_name), Some(id)) = (entry["type"].as_str(), entry["value"]["$oid"].as_str())
        else {
            continue;
        };
        if type_name == "Campaign" || !call.may(&[type_name, ".", ADD].concat()) {
            continue;
        }
        match Tlo::by_id(type_name, id) {
            Ok(other) if other != *tlo && !found.contains(&other) => found.push(other),
            Ok(_) | Err(Fault::Missing(_)) => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(found)
}

/// Changes what is said of a campaign of the object. The entry moves to the end of the list.
///
/// # Rules
///
/// NEW-3: what is not sent stays as it is; the confidence may become lower. ACT-18: an equal entry stays where it is. ACT-23.
#[action(
    on("*", "-Campaign"),
    permission = "campaigns_edit",
    refusal = "User does not have permission to edit campaigns.",
    touches = "self.campaign",
    answers = "the entry"
)]
#[example("a lower confidence",
    before = {"campaign": [{"name": "Bear", "confidence": "high", "analyst": "other", "date": {"$date": 1}, "description": "d"}]},
    args = {"name": "Bear", "confidence": "low", "date": "2026-01-15 10:20:30.123456"},
    message = "Campaign updated.",
    object = {"name": "Bear", "confidence": "low", "analyst": "example", "date": {"$date": 1768472430123}, "description": "d"})]
#[example("no such campaign", before = {"campaign": []}, args = {"name": "Bear"}, fault = {"missing": "Campaign not found."})]
pub(crate) fn campaign_edit(tlo: &mut Tlo, call: &Call, args: CampaignEdit) -> Outcome {
    let changes = [
        ("confidence", args.confidence.map(Json::from)),
        ("description", args.description.map(Json::from)),
        ("date", args.date.map(|date| json!(date))),
    ];
    let by_name = json!({ "name": args.name });
    let entry = crate::replaced(tlo, call, "campaign", &by_name, changes)?;
    Ok(Answer::new("Campaign updated.").object(entry.ok_or_else(not_found)?))
}

#[derive(Args)]
pub(crate) struct CampaignEdit {
    /// Name of the campaign.
    #[arg(nonempty, example = "Example Bear")]
    name: String,
    /// How sure the attribution is.
    #[arg(
        vocab = "Confidence",
        invalid = "Invalid campaign confidence: {value}.",
        example = "medium"
    )]
    confidence: Option<String>,
    /// Why; empty to clear it.
    #[arg(type = "text", example = "same infrastructure")]
    description: Option<String>,
    /// When it was attributed.
    #[arg(example = "2026-01-15 10:20:30.123000")]
    date: Option<Date>,
}

/// Takes the object out of a campaign. Relationships to the campaign stay.
///
/// # Rules
///
/// NEW-4.
#[action(
    on("*", "-Campaign"),
    permission = "campaigns_delete",
    refusal = "User does not have permission to delete campaigns.",
    touches = "self.campaign",
    answers = "the removed entry"
)]
#[example("a campaign",
    before = {"campaign": [{"name": "Bear", "confidence": "high"}]}, args = {"name": "Bear"},
    message = "Campaign removed.", object = {"name": "Bear", "confidence": "high"},
    operations = [{"pull": ["campaign", {"name": "Bear"}, 1]}])]
#[example("no such campaign", before = {"campaign": []}, args = {"name": "Bear"}, fault = {"missing": "Campaign not found."})]
pub(crate) fn campaign_remove(tlo: &mut Tlo, args: CampaignRemove) -> Outcome {
    let by_name = json!({ "name": args.name });
    let entry = tlo.first::<Json>("campaign", &by_name)?;
    let entry = entry.ok_or_else(not_found)?;
    tlo.pull("campaign", &by_name)?;
    Ok(Answer::new("Campaign removed.").object(entry))
}

#[derive(Args)]
pub(crate) struct CampaignRemove {
    /// Name of the campaign.
    #[arg(nonempty, example = "Example Bear")]
    name: String,
}

fn not_found() -> Fault {
    missing("Campaign not found.")
}
