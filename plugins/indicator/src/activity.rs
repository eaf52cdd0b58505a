//! When and where an indicator was active: the resource `indicator_activity`, `activity_add`, `activity_update`,
//! `activity_remove`.

use critd_sdk::prelude::*;
use critd_sdk::serde_json::Map;

/// A time in which an indicator was active; each POST adds an entry to `activity` of an indicator.
#[derive(Debug, TloType)]
#[tlo(
    resource = "indicator_activity",
    part_of = "Indicator",
    permission = "Indicator.activity_add"
)]
pub(crate) struct IndicatorActivity {}

/// What a new entry is made of.
#[derive(Debug, Args)]
pub(crate) struct NewActivity {
    /// Id of the indicator.
    #[arg(
        required,
        missing = "Must provide object_id and description.",
        example = "5b2c3d4e5f60718293a40080"
    )]
    pub(crate) object_id: String,
    /// What was seen.
    #[arg(
        required,
        missing = "Must provide object_id and description.",
        example = "seen in proxy log"
    )]
    pub(crate) description: String,
    /// When it began. Most written forms of dates are understood. Without it: now.
    #[arg(
        type = "ldate",
        default = "now",
        invalid = "Invalid date: {value}.",
        example = "2018-05-04"
    )]
    pub(crate) start_date: Date,
    /// When it ended. Without it: now.
    #[arg(
        type = "ldate",
        default = "now",
        invalid = "Invalid date: {value}.",
        example = "2018-05-05"
    )]
    pub(crate) end_date: Date,
}

/// Create.md 5.12: adds an entry. Entries are never merged; their date tells them apart (rule ACT-21).
///
/// # Errors
///
/// There is no such indicator.
#[create(IndicatorActivity)]
#[example(
    "an entry",
    others = [{"type": "Indicator", "document": {"_id": {"$oid": "0123456789abcdef01234567"}, "value": "x", "lower": "x", "type": "MD5"}}],
    args = {"object_id": "0123456789ABCDEF01234567", "description": "seen in proxy log", "start_date": "2018-05-04"},
    message = ""
)]
#[example("no description", args = {"object_id": "0123456789abcdef01234567"}, fault = {"invalid": "description", "message": "Must provide object_id and description."})]
#[example(
    "an indicator that the user does not see",
    others = [{"type": "Indicator", "visible": false, "document": {"_id": {"$oid": "0123456789abcdef01234567"}, "value": "x", "lower": "x", "type": "MD5"}}],
    args = {"object_id": "0123456789abcdef01234567", "description": "seen"},
    fault = {"missing": "Could not find Indicator"}
)]
pub(crate) fn create(call: &Call, args: NewActivity) -> Outcome {
    let found = Tlo::by_id("Indicator", &args.object_id);
    let mut indicator = found.map_err(|fault| match fault {
        Fault::Missing(_) => missing("Could not find Indicator"),
        other => other,
    })?;
    let entry = Entry {
        description: args.description,
        start_date: args.start_date,
        end_date: args.end_date,
        date: call.now(),
    };
    add(&mut indicator, call, entry)?;
    Ok(Answer::new("").document(&indicator))
}

/// Adds a time in which the indicator was active. Entries are never merged; their date tells them apart.
///
/// # Rules
///
/// activity_add.1: the host reads dates leniently here; activity_add.2, .3.
#[action(
    on = "Indicator",
    permission = "activity_add",
    refusal = "User does not have permission to add activity.",
    touches = "self.activity",
    answers = "the entry"
)]
#[example("an entry",
    before = {"activity": []},
    args = {"activity": {"start_date": "2026-01-14 00:00:00.0", "end_date": "2026-01-15 00:00:00.0", "description": "beacon", "date": "2026-01-15 10:00:00.0"}},
    message = "Activity added.",
    object = {"analyst": "example", "start_date": {"$date": 1768348800000}, "end_date": {"$date": 1768435200000}, "description": "beacon", "date": {"$date": 1768471200000}})]
#[example("now, where no date is given, and a millisecond later than another entry",
    before = {"activity": [{"date": {"$date": 1767225600000}, "description": "other"}]},
    args = {"activity": {"description": "", "end_date": ""}},
    message = "Activity added.",
    object = {"analyst": "example", "start_date": {"$date": 1767225600000}, "end_date": {"$date": 1767225600000}, "description": "", "date": {"$date": 1767225600001}},
    operations = [{"push": ["activity", {"analyst": "example", "description": "", "start_date": {"$date": 1767225600000},
        "end_date": {"$date": 1767225600000}, "date": {"$date": 1767225600001}}]}])]
pub(crate) fn activity_add(tlo: &mut Tlo, call: &Call, args: ActivityAdd) -> Outcome {
    let entry = add(tlo, call, args.activity)?;
    Ok(Answer::new("Activity added.").object(entry))
}

#[derive(Debug, Args)]
pub(crate) struct ActivityAdd {
    /// What was seen, and when.
    activity: Entry,
}

/// What a request says of an entry.
#[derive(Debug, Args)]
struct Entry {
    /// What was seen.
    #[arg(type = "text", example = "seen in proxy log")]
    description: String,
    /// When it began. Most written forms of dates are understood.
    #[arg(
        type = "ldate",
        default = "now",
        invalid = "Argument 'start_date' must match %Y-%m-%d %H:%M:%S.%f.",
        example = "2018-05-04"
    )]
    start_date: Date,
    /// When it ended.
    #[arg(
        type = "ldate",
        default = "now",
        invalid = "Argument 'end_date' must match %Y-%m-%d %H:%M:%S.%f.",
        example = "2018-05-05"
    )]
    end_date: Date,
    /// The date by which the entry is found later. If another entry has it, it moves on by a millisecond.
    #[arg(
        type = "ldate",
        default = "now",
        invalid = "Argument 'date' must match %Y-%m-%d %H:%M:%S.%f.",
        example = "2018-05-05 10:00:00"
    )]
    date: Date,
}

/// The entry as it was stored: rule ACT-21.
fn add(indicator: &mut Tlo, call: &Call, entry: Entry) -> Result<Json, Fault> {
    let entry = json!({
        "analyst": call.user(),
        "description": entry.description,
        "start_date": entry.start_date,
        "end_date": entry.end_date,
        "date": indicator.free_date("activity", entry.date, &Map::new())?,
    });
    indicator.push("activity", &entry)?;
    Ok(entry)
}

/// Changes an entry, which is found by its date. It moves to the end of the list; what is not given stays.
///
/// # Rules
///
/// actions.md 4.2. ACT-22: of several with this date the first. ACT-23: to the end. ACT-18: an equal entry stays where it is.
#[action(
    on = "Indicator",
    permission = "activity_edit",
    refusal = "User does not have permission to edit activity.",
    touches = "self.activity",
    answers = "the entry"
)]
#[example("another description, and an end",
    before = {"activity": [{"date": {"$date": 1768471200000}, "description": "beacon", "start_date": {"$date": 5}, "end_date": {"$date": 6}, "analyst": "other"}]},
    args = {"activity": {"date": "2026-01-15 10:00:00.0", "description": "two beacons", "end_date": ""}},
    message = "Activity updated.",
    object = {"analyst": "example", "description": "two beacons", "start_date": {"$date": 5}, "end_date": {"$date": 1767225600000}, "date": {"$date": 1768471200000}},
    operations = [{"pull": ["activity", {"date": {"$date": 1768471200000}}, 1]},
        {"push": ["activity", {"analyst": "example", "description": "two beacons", "start_date": {"$date": 5}, "end_date": {"$date": 1767225600000}, "date": {"$date": 1768471200000}}]}])]
#[example("nothing to do",
    before = {"activity": [{"date": {"$date": 1768471200000}, "description": "beacon", "analyst": "example"}]},
    args = {"activity": {"date": "2026-01-15 10:00:00.000000", "description": "beacon"}},
    message = "Activity updated.", operations = [])]
#[example("no entry of this date",
    before = {"activity": []}, args = {"activity": {"date": "2026-01-15 10:00:00.0"}}, fault = {"missing": "Activity not found."})]
pub(crate) fn activity_update(tlo: &mut Tlo, call: &Call, args: ActivityUpdate) -> Outcome {
    let changes = args.activity;
    let by_date = json!({ "date": changes.date });
    let Some(Json::Object(before)) = tlo.first("activity", &by_date)? else {
        return Err(not_found());
    };
    let mut after = before.clone();
    after.insert("analyst".into(), call.user().into());
    for (name, given) in [
        ("start_date", changes.start_date.map(|date| json!(date))),
        ("end_date", changes.end_date.map(|date| json!(date))),
        ("description", changes.description.map(Json::from)),
    ] {
        if let Some(given) = given {
            after.insert(name.into(), given);
        }
    }
    if after != before {
        tlo.pull("activity", &by_date)?;
        tlo.push("activity", Json::Object(after.clone()))?;
    }
    Ok(Answer::new("Activity updated.").object(after))
}

#[derive(Debug, Args)]
pub(crate) struct ActivityUpdate {
    /// The date of the entry to change, and what is new.
    activity: Changes,
}

#[derive(Debug, Args)]
struct Changes {
    /// Date of the entry, as answers show it.
    #[arg(example = "2026-01-15 10:00:00.000000")]
    date: Date,
    /// When it began; empty: now.
    #[arg(empty = "now")]
    start_date: Option<Date>,
    /// When it ended; empty: now.
    #[arg(empty = "now")]
    end_date: Option<Date>,
    /// What was seen.
    #[arg(type = "text")]
    description: Option<String>,
}

/// Removes an entry, which is found by its date.
///
/// # Rules
///
/// actions.md 4.3. ACT-22: of several with this date the first.
#[action(
    on = "Indicator",
    permission = "activity_delete",
    refusal = "User does not have permission to delete activity.",
    touches = "self.activity",
    answers = "the removed entry"
)]
#[example("one of two that share a date",
    before = {"activity": [{"date": {"$date": 1768471200000}, "description": "a"}, {"date": {"$date": 1768471200000}, "description": "b"}]},
    args = {"date": "2026-01-15 10:00:00.000000"},
    message = "Activity removed.", object = {"date": {"$date": 1768471200000}, "description": "a"},
    operations = [{"pull": ["activity", {"date": {"$date": 1768471200000}}, 1]}])]
#[example("no entry of this date",
    before = {"activity": []}, args = {"date": "2026-01-15 10:00:00.0"}, fault = {"missing": "Activity not found."})]
pub(crate) fn activity_remove(tlo: &mut Tlo, args: ActivityRemove) -> Outcome {
    let by_date = json!({ "date": args.date });
    let Some(entry) = tlo.first::<Json>("activity", &by_date)? else {
        return Err(not_found());
    };
    tlo.pull("activity", &by_date)?;
    Ok(Answer::new("Activity removed.").object(entry))
}

#[derive(Debug, Args)]
pub(crate) struct ActivityRemove {
    /// Date of the entry, as answers show it.
    #[arg(example = "2026-01-15 10:00:00.000000")]
    date: Date,
}

fn not_found() -> Fault {
    missing("Activity not found.")
}
