//! When and where an indicator was active: the resource `indicator_activity`.

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
    let date = indicator.free_date("activity", call.now(), &Map::new())?;
    indicator.push(
        "activity",
        json!({
            "analyst": call.user(),
            "description": args.description,
            "start_date": args.start_date,
            "end_date": args.end_date,
            "date": date,
        }),
    )?;
    Ok(Answer::new("").document(&indicator))
}
