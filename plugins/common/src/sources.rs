//! `source_add_update`, `source_remove`, `modify_tlp`

use critd_sdk::{element, prelude::*};

use crate::last_elements;

/// Levels in place of one that was not given, or is none.
const ADDED: &str = "amber";
const STRICTEST: &str = "red";

/// Adds an instance to a source of the object, or changes the instances of a date.
///
/// `add` makes the source an object's if it is not yet. `update` changes all instances of the source that have the date;
/// what is not given becomes empty, the TLP red.
///
/// # Rules
///
/// source_add_update.1, .2, .5 and ACT-21 are the host's rule of sources, rule S6 too. .4: the TLP is checked here, as
/// a wrong one counts as red.
#[action(
    on("*", "-Campaign", "-Target"),
    permission(by = "action_type", "add" = "sources_add", "update" = "sources_edit"),
    refusal(
        "add" = "User does not have permission to add sources to object.",
        "update" = "User does not have permission to edit sources."
    ),
    touches("self.source", "self.tlp"),
    answers = "the source with its instances"
)]
#[example("a new source",
    before = {"source": [{"name": "Other", "instances": [{"analyst": "other", "date": {"$date": 1}, "method": "", "reference": "", "tlp": "white"}]}]},
    args = {"action_type": "add", "source": "Example", "method": "feed", "reference": "r1", "tlp": "green", "date": "2026-01-15 10:00:00.000000"},
    sources = ["Example", "Other"],
    message = "Source addition successful!",
    object = {"name": "Example", "instances": [{"analyst": "example", "date": {"$date": 1768471200000}, "method": "feed", "reference": "r1", "tlp": "green"}]})]
#[example("an instance of a date: what is not given is emptied",
    before = {"source": [{"name": "Example", "instances": [
        {"analyst": "other", "date": {"$date": 1768471200000}, "method": "feed", "reference": "r1", "tlp": "green"}]}]},
    args = {"action_type": "update", "source": "Example", "tlp": "amber", "date": "2026-01-15 10:00:00.000000"},
    message = "Source addition successful!",
    object = {"name": "Example", "instances": [{"analyst": "example", "date": {"$date": 1768471200000}, "method": "", "reference": "", "tlp": "amber"}]})]
#[example("two instances of a date: both",
    before = {"source": [{"name": "Example", "instances": [
        {"analyst": "a", "date": {"$date": 1768471200000}, "method": "x", "reference": "", "tlp": "green"},
        {"analyst": "b", "date": {"$date": 1768471200000}, "method": "y", "reference": "", "tlp": "green"}]}]},
    args = {"action_type": "update", "source": "Example", "method": "z", "tlp": "green", "date": "2026-01-15 10:00:00.000000"},
    message = "Source addition successful!",
    operations = [{"set": ["source.0.instances.0.method", "z"]}, {"set": ["source.0.instances.0.analyst", "example"]},
        {"set": ["source.0.instances.1.method", "z"]}, {"set": ["source.0.instances.1.analyst", "example"]}])]
#[example("no instance of this date",
    before = {"source": [{"name": "Example", "instances": [{"analyst": "other", "date": {"$date": 1}, "method": "", "reference": "", "tlp": "green"}]}]},
    args = {"action_type": "update", "source": "Example", "tlp": "amber", "date": "2026-01-15 10:00:00.000000"},
    fault = {"missing": "Could not make source changes. Refresh page and try again."})]
#[example("no such source", args = {"action_type": "add", "source": "Nobody", "tlp": "amber"}, fault = {"invalid": "source", "message": "Source not found."})]
pub(crate) fn source_add_update(tlo: &mut Tlo, call: &Call, args: SourceAddUpdate) -> Outcome {
    let tlp = args.tlp.as_deref().map(|tlp| level(call, tlp));
    match args.action_type {
        Change::Add => {
            let details = params! {
                "method" => &args.method, "reference" => &args.reference, "date" => args.date,
                "tlp" => tlp.as_deref().unwrap_or(ADDED),
            };
            tlo.add_source(&args.source, details)?;
        }
        Change::Update => {
            let date = args.date.ok_or_else(|| call.missing_argument("date"))?;
            let fields = [
                ("method", args.method.as_str()),
                ("reference", &args.reference),
                ("tlp", tlp.as_deref().unwrap_or(STRICTEST)),
                ("analyst", &call.user()),
            ];
            update(tlo, &args.source, date, &fields)?;
        }
    }
    Ok(Answer::new("Source addition successful!").object(entry(tlo, call, &args.source)?))
}

#[derive(Args)]
pub(crate) struct SourceAddUpdate {
    /// Whether to add an instance or to change those of a date.
    action_type: Change,
    /// Name of the source.
    #[arg(
        synonyms("name"),
        vocab = "registered-sources",
        invalid = "Source not found.",
        example = "Example CERT"
    )]
    source: String,
    /// How the information was acquired.
    #[arg(type = "text", default = "", example = "feed")]
    method: String,
    /// Where the information came from.
    #[arg(
        type = "text",
        default = "",
        example = "https://www.example.com/report"
    )]
    reference: String,
    /// Traffic light protocol level of the instance. Not given: amber for `add`, red for `update`; red if it is none.
    #[arg(vocab = "TLP", check = "within", example = "green")]
    tlp: Option<String>,
    /// Date of the instance, by which it is found again. For `add` now if not given.
    #[arg(example = "2026-01-15 10:00:00.000000")]
    date: Option<Date>,
}

/// Removes an instance of a source of the object, found by its date; with its last instance the source goes. The last source
/// stays, as nobody would see an object without one.
///
/// # Rules
///
/// source_remove.3: the name is checked before the date is missed. ACT-22: of several instances with the date the first. C1:
/// sources that are not the caller's are not shown to be there. CON-2: of the last two sources only one can be removed.
#[action(
    on("*", "-Campaign", "-Target"),
    permission = "sources_delete",
    refusal = "User does not have permission to delete sources.",
    touches = "self.source",
    answers = "the removed instance with the `name` of its source, or the removed source"
)]
#[example("one of two instances",
    before = {"source": [{"name": "Example", "instances": [{"analyst": "a", "date": {"$date": 1}, "tlp": "white"}, {"analyst": "b", "date": {"$date": 1768471200000}, "tlp": "red"}]}]},
    args = {"name": "Example", "date": "2026-01-15 10:00:00.000000"},
    message = "Deleted instance of Example",
    object = {"name": "Example", "analyst": "b", "date": {"$date": 1768471200000}, "tlp": "red"},
    operations = [{"pull": ["source.0.instances", {"date": {"$date": 1768471200000}}, 1]}])]
#[example("the last instance, with its source",
    before = {"source": [{"name": "Other", "instances": [{"analyst": "a", "date": {"$date": 1}, "tlp": "white"}]},
        {"name": "Example", "instances": [{"analyst": "b", "date": {"$date": 1768471200000}, "tlp": "red"}]}]},
    args = {"name": "Example", "date": "2026-01-15 10:00:00.000000"},
    message = "Deleted source Example",
    object = {"name": "Example", "analyst": "b", "date": {"$date": 1768471200000}, "tlp": "red"},
    operations = [{"pull": ["source", {"name": "Example"}, 1]}])]
#[example("the last source",
    before = {"source": [{"name": "Example", "instances": [{"analyst": "b", "date": {"$date": 1768471200000}, "tlp": "red"}]}]},
    args = {"name": "Example", "remove_all": true}, fault = {"refused": "conflict"})]
#[example("no such date",
    before = {"source": [{"name": "Example", "instances": [{"analyst": "b", "date": {"$date": 1}, "tlp": "red"}]}]},
    args = {"name": "Example", "date": "2026-01-15 10:00:00.000000"}, fault = {"missing": "Source not found."})]
pub(crate) fn source_remove(tlo: &mut Tlo, call: &Call, args: SourceRemove) -> Outcome {
    let name = args.name;
    if name.is_empty() {
        return Err(invalid("name", "No source to locate"));
    }
    let not_found = || missing("Source not found.");
    let handle = match (args.remove_all, args.date) {
        (true, _) => None,
        (false, Some(date)) => Some(json!({ "date": date })),
        (false, None) => return Err(call.missing_argument("date")),
    };
    let by_name = json!({ "name": name });
    if !registers::has("source", &name) {
        return Err(not_found());
    }
    let position = tlo.find("source", &by_name)?.ok_or_else(not_found)?;
    let instances = element("source", position) + ".instances";
    let removed = match &handle {
        None => json!({ "name": name, "instances": last_elements(tlo, call, &instances)? }),
        Some(of_date) => {
            let instance = tlo.first::<Json>(&instances, of_date)?;
            let mut instance = instance.ok_or_else(not_found)?;
            instance["name"] = json!(name);
            instance
        }
    };
    if let Some(of_date) = handle
        && tlo.len(&instances)? > 1
    {
        tlo.pull(&instances, &of_date)?;
        return Ok(Answer::new(["Deleted instance of ", &name].concat()).object(removed));
    }
    if tlo
        .find("source", &json!({ "name": { "ne": name } }))?
        .is_none()
    {
        refuse!(conflict: "{LAST_SOURCE}");
    }
    tlo.pull("source", &by_name)?;
    Ok(Answer::new(["Deleted source ", &name].concat()).object(removed))
}

#[derive(Args)]
pub(crate) struct SourceRemove {
    /// Name of the source.
    #[arg(synonyms("source"), example = "Example CERT")]
    name: String,
    /// Date of the instance, as answers show it. Needed unless all are to go.
    #[arg(example = "2026-01-15 10:00:00.000000")]
    date: Option<Date>,
    /// Remove the source with all its instances.
    remove_all: bool,
}

/// Says how confidential the object is. It gives nobody a right: that is the matter of its sources.
///
/// # Rules
///
/// NEW-10: the most permissive level among the source instances, and anything stricter.
#[action(
    on("*", "-Campaign", "-Target"),
    permission = "sources_edit",
    refusal = "User does not have permission to edit sources.",
    touches = "self.tlp",
    answers = "the level: {\"tlp\": …}"
)]
#[example("stricter than all sources",
    before = {"tlp": "green", "source": [{"name": "Example", "instances": [{"date": {"$date": 1}, "tlp": "green"}, {"date": {"$date": 2}}]}]},
    args = {"tlp": "amber"}, message = "TLP set to amber.", object = {"tlp": "amber"}, operations = [{"set": ["tlp", "amber"]}])]
#[example("more permissive than all sources",
    before = {"tlp": "red", "source": [{"name": "Example", "instances": [{"date": {"$date": 1}, "tlp": "amber"}, {"date": {"$date": 2}}]}]},
    args = {"tlp": "green"}, fault = {"refused": "conflict", "message": "Cannot set this TLP level."})]
pub(crate) fn modify_tlp(tlo: &mut Tlo, args: ModifyTlp) -> Outcome {
    let sources: Vec<Json> = tlo.list("source")?;
    let instances = sources
        .iter()
        .filter_map(|source| source["instances"].as_array())
        .flatten();
    // An instance without a level counts as red (rule S1).
    let rank = |level: &str| LEVELS.iter().position(|known| *known == level);
    let allowed = instances
        .map(|instance| instance["tlp"].as_str().and_then(rank))
        .map(|level| level.unwrap_or(LEVELS.len() - 1))
        .min();
    if rank(&args.tlp) < allowed {
        refuse!(conflict: "Cannot set this TLP level.");
    }
    tlo.set("tlp", &args.tlp)?;
    Ok(Answer::new(["TLP set to ", &args.tlp, "."].concat()).object(json!({ "tlp": args.tlp })))
}

#[derive(Args)]
pub(crate) struct ModifyTlp {
    /// The level.
    #[arg(
        vocab = "TLP",
        invalid = "'{value}' is not a valid TLP.",
        example = "amber"
    )]
    tlp: String,
}

/// From the most permissive to the strictest.
const LEVELS: [&str; 4] = ["white", "green", "amber", STRICTEST];

/// Rule source_remove.2, two blanks included.
const LAST_SOURCE: &str = "Must leave at least one source for access controls.  If you wish to change the source, please assign a new source and then remove the old.";

/// What is done to a source.
#[derive(Choice)]
enum Change {
    Add,
    Update,
}

/// Rule source_add_update.4.
fn level(call: &Call, tlp: &str) -> String {
    registers::canonical("TLP", tlp).unwrap_or_else(|| {
        call.warn(&format!("'{tlp}' is not a valid TLP; red is used."));
        STRICTEST.to_owned()
    })
}

/// A source as it is answered: all instances, or where readers do not see all of a source (rule S4) the caller's own.
fn entry(tlo: &Tlo, call: &Call, source: &str) -> Result<Json, Fault> {
    let position = tlo
        .find("source", &json!({ "name": source }))?
        .ok_or_else(|| internal("the source is not there"))?;
    let instances = element("source", position) + ".instances";
    let mut instances = last_elements(tlo, call, &instances)?;
    if call.setting("hide_unreadable_instances").as_deref() == Some("true") {
        let user = call.user();
        instances.retain(|instance| instance["analyst"] == user);
    }
    Ok(json!({ "name": source, "instances": instances }))
}

/// Rules source_add_update.6 and .7.
fn update(tlo: &mut Tlo, source: &str, date: Date, fields: &[(&str, &str)]) -> Result<(), Fault> {
    let nothing = || missing("Could not make source changes. Refresh page and try again.");
    if !registers::has("source", source) {
        return Err(nothing());
    }
    let position = tlo
        .find("source", &json!({ "name": source }))?
        .ok_or_else(nothing)?;
    let (instances, of_date) = (
        element("source", position) + ".instances",
        json!({ "date": date }),
    );
    let mut found = tlo.find(&instances, &of_date)?;
    if found.is_none() {
        return Err(nothing());
    }
    while let Some(position) = found {
        let place = element(&instances, position);
        for (field, value) in fields {
            tlo.set(&[&place, ".", field].concat(), *value)?;
        }
        found = tlo.find_from(&instances, &of_date, position + 1)?;
    }
    Ok(())
}
