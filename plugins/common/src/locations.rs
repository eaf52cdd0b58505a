//! `location_add`, `location_edit`, `location_remove`

use critd_sdk::prelude::*;

/// Notes a place that the object came from or is meant for.
///
/// # Rules
///
/// NEW-9, documents.md 2.6: place, kind and date are the key; without a date it is that of the request, in whole seconds.
#[action(
    on = "*",
    permission = "locations_add",
    refusal = "User does not have permission to add locations.",
    touches = "self.locations",
    answers = "the entry"
)]
#[example("a place",
    before = {"locations": []}, args = {"location": "Iceland", "location_type": "destined for", "latitude": 64.1},
    message = "Location added.",
    object = {"location": "Iceland", "location_type": "Destined For", "analyst": "example", "date": {"$date": 1767225600000}, "description": "",
        "latitude": "64.1", "longitude": ""})]
#[example("a place that is there already",
    before = {"locations": [{"location": "Iceland", "location_type": "Destined For", "date": {"$date": 1767225600000}}]},
    args = {"location": "Iceland", "location_type": "Destined For"},
    fault = {"refused": "already_exists", "message": "This location is already assigned."})]
pub(crate) fn location_add(tlo: &mut Tlo, call: &Call, args: LocationAdd) -> Outcome {
    let date = args.date.unwrap_or_else(|| {
        let now = call.now().millis();
        Date::from_millis(now - now.rem_euclid(1_000))
    });
    let entry = json!({
        "location_type": args.location_type.as_str(), "location": args.location, "analyst": call.user(), "date": date,
        "description": args.description, "latitude": args.latitude, "longitude": args.longitude,
    });
    if !tlo.push_unique("locations", &entry, &["location", "location_type", "date"])? {
        refuse!(already_exists: "This location is already assigned.");
    }
    Ok(Answer::new("Location added.").object(entry))
}

#[derive(Args)]
pub(crate) struct LocationAdd {
    /// Name of the place, such as a country.
    #[arg(nonempty, example = "Iceland")]
    location: String,
    /// Whether the object came from there or was meant for it.
    #[arg(invalid = "Invalid location type: {value}.")]
    location_type: Kind,
    /// When that was; now if not given.
    #[arg(example = "2026-01-15 10:20:30.000000")]
    date: Option<Date>,
    /// What is known about it.
    #[arg(type = "text", default = "", example = "from the mail's header")]
    description: String,
    /// Degrees north.
    #[arg(default = "", example = "64.1")]
    latitude: String,
    /// Degrees east.
    #[arg(default = "", example = "-21.9")]
    longitude: String,
}

/// What a place is to an object.
#[derive(Choice, Clone, Copy)]
enum Kind {
    #[choice("Originated From")]
    OriginatedFrom,
    #[choice("Destined For")]
    DestinedFor,
}

/// Changes what is said of a place. The entry moves to the end of the list.
///
/// # Rules
///
/// NEW-9: what is not sent stays as it is. ACT-18: an equal entry stays where it is. ACT-22, ACT-23.
#[action(
    on = "*",
    permission = "locations_edit",
    refusal = "User does not have permission to edit locations.",
    touches = "self.locations",
    answers = "the entry"
)]
#[example("another description",
    before = {"locations": [{"location": "Iceland", "location_type": "Destined For", "date": {"$date": 1768472430000}, "description": "d", "latitude": "1"}]},
    args = {"location": "Iceland", "location_type": "Destined For", "date": "2026-01-15 10:20:30.000000", "description": ""},
    message = "Location updated.",
    object = {"location": "Iceland", "location_type": "Destined For", "analyst": "example", "date": {"$date": 1768472430000}, "description": "", "latitude": "1"})]
#[example("no such place",
    before = {"locations": []}, args = {"location": "Iceland", "location_type": "Destined For", "date": "2026-01-15 10:20:30.000000"},
    fault = {"missing": "Location not found."})]
pub(crate) fn location_edit(tlo: &mut Tlo, call: &Call, args: LocationEdit) -> Outcome {
    let handle = handle(&args.location, args.location_type, args.date);
    let changes = [
        ("description", args.description.map(Json::from)),
        ("latitude", args.latitude.map(Json::from)),
        ("longitude", args.longitude.map(Json::from)),
    ];
    let entry = crate::replaced(tlo, call, "locations", &handle, changes)?;
    Ok(Answer::new("Location updated.").object(entry.ok_or_else(not_found)?))
}

#[derive(Args)]
pub(crate) struct LocationEdit {
    /// Name of the place.
    #[arg(example = "Iceland")]
    location: String,
    /// Whether the object came from there or was meant for it.
    #[arg(invalid = "Invalid location type: {value}.")]
    location_type: Kind,
    /// Date of the entry, as answers show it.
    #[arg(example = "2026-01-15 10:20:30.000000")]
    date: Date,
    /// What is known about it; empty to clear it.
    #[arg(type = "text")]
    description: Option<String>,
    /// Degrees north; empty to clear it.
    latitude: Option<String>,
    /// Degrees east; empty to clear it.
    longitude: Option<String>,
}

/// Removes a place.
///
/// # Rules
///
/// NEW-9, ACT-22.
#[action(
    on = "*",
    permission = "locations_delete",
    refusal = "User does not have permission to delete locations.",
    touches = "self.locations",
    answers = "the removed entry"
)]
#[example("a place",
    before = {"locations": [{"location": "Iceland", "location_type": "Destined For", "date": {"$date": 1768472430000}}]},
    args = {"location": "Iceland", "location_type": "Destined For", "date": "2026-01-15 10:20:30.000000"},
    message = "Location removed.", object = {"location": "Iceland", "location_type": "Destined For", "date": {"$date": 1768472430000}})]
#[example("the other kind",
    before = {"locations": [{"location": "Iceland", "location_type": "Destined For", "date": {"$date": 1768472430000}}]},
    args = {"location": "Iceland", "location_type": "Originated From", "date": "2026-01-15 10:20:30.000000"}, fault = {"missing": "Location not found."})]
pub(crate) fn location_remove(tlo: &mut Tlo, args: LocationRemove) -> Outcome {
    let handle = handle(&args.location, args.location_type, args.date);
    let entry = tlo.first::<Json>("locations", &handle)?;
    let entry = entry.ok_or_else(not_found)?;
    tlo.pull("locations", &handle)?;
    Ok(Answer::new("Location removed.").object(entry))
}

#[derive(Args)]
pub(crate) struct LocationRemove {
    /// Name of the place.
    #[arg(example = "Iceland")]
    location: String,
    /// Whether the object came from there or was meant for it.
    #[arg(invalid = "Invalid location type: {value}.")]
    location_type: Kind,
    /// Date of the entry, as answers show it.
    #[arg(example = "2026-01-15 10:20:30.000000")]
    date: Date,
}

fn handle(location: &str, kind: Kind, date: Date) -> Json {
    json!({ "location": location, "location_type": kind.as_str(), "date": date })
}

fn not_found() -> Fault {
    missing("Location not found.")
}
