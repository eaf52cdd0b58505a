//! `ticket_add`, `ticket_update`, `ticket_remove`

use critd_sdk::serde_json::Map;
use critd_sdk::{element, prelude::*};

/// Adds tickets to the object. A number that is already there is left as it is.
///
/// # Rules
///
/// ticket_add.2 and .6: the host splits, trims and drops blanks and duplicates, and fills in the date.
#[action(
    on = "*",
    permission = "tickets_add",
    refusal = "User does not have permission to add tickets.",
    touches = "self.tickets",
    answers = "the entries for the numbers given, added or already there"
)]
#[example("a new number",
    before = {"tickets": []}, args = {"ticket": {"ticket_number": 12345, "date": "2026-01-15 10:20:30.123456"}},
    message = "Ticket added.",
    object = [{"ticket_number": "12345", "date": {"$date": 1768472430123}, "analyst": "example"}],
    operations = [{"push": ["tickets", {"ticket_number": "12345", "date": {"$date": 1768472430123}, "analyst": "example"}]}])]
#[example("two numbers share the date of the request, one is there already",
    before = {"tickets": [{"ticket_number": "7", "date": {"$date": 1}, "analyst": "other"}]},
    args = {"ticket": {"ticket_number": "7, 8"}},
    message = "Ticket added.",
    object = [{"ticket_number": "7", "date": {"$date": 1}, "analyst": "other"},
        {"ticket_number": "8", "date": {"$date": 1767225600000}, "analyst": "example"}],
    operations = [{"push": ["tickets", {"ticket_number": "8", "date": {"$date": 1767225600000}, "analyst": "example"}]}])]
#[example("a date that another ticket has moves on by a millisecond",
    before = {"tickets": [{"ticket_number": "7", "date": {"$date": 1767225600000}, "analyst": "other"}]},
    args = {"ticket": {"ticket_number": "8", "date": "2026-01-01 00:00:00.000000"}},
    message = "Ticket added.",
    object = [{"ticket_number": "8", "date": {"$date": 1767225600001}, "analyst": "example"}])]
#[example("of many dates in a row the first free one",
    before = {"tickets": [{"ticket_number": "1", "date": {"$date": 1767225600000}}, {"ticket_number": "2", "date": {"$date": 1767225600001}},
        {"ticket_number": "3", "date": {"$date": 1767225600002}}, {"ticket_number": "4", "date": {"$date": 1767225600003}},
        {"ticket_number": "5", "date": {"$date": 1767225600004}}, {"ticket_number": "6", "date": {"$date": 1767225600006}}]},
    args = {"ticket": {"ticket_number": "8", "date": "2026-01-01 00:00:00.000000"}},
    message = "Ticket added.",
    object = [{"ticket_number": "8", "date": {"$date": 1767225600005}, "analyst": "example"}])]
#[example("no number", args = {"ticket": {"ticket_number": " , "}}, fault = {"invalid": "ticket"})]
pub(crate) fn ticket_add(tlo: &mut Tlo, call: &Call, args: TicketAdd) -> Outcome {
    let TicketAdd { ticket } = args;
    if ticket.ticket_number.is_empty() {
        return Err(no_number());
    }
    // Rule ACT-21: the date is the handle of an entry, so a new one has it for itself. All of one call share it.
    let (user, date) = (
        call.user(),
        tlo.free_date("tickets", ticket.date, &Map::new())?,
    );
    let (mut entries, mut added) = (Vec::new(), false);
    for number in ticket.ticket_number {
        let entry = json!({ "ticket_number": number, "date": date, "analyst": user });
        if tlo.push_unique("tickets", &entry, &["ticket_number"])? {
            added = true;
            entries.push(entry);
        } else {
            entries.extend(tlo.first::<Json>("tickets", &json!({ "ticket_number": number }))?);
        }
    }
    Ok(Answer::new(if added {
        "Ticket added."
    } else {
        "Ticket already present."
    })
    .object(entries))
}

#[derive(Args)]
pub(crate) struct TicketAdd {
    /// The numbers and when they were opened.
    ticket: NewTickets,
}

#[derive(Args)]
struct NewTickets {
    /// One number, several separated by commas, or a list.
    #[arg(example = "INC-12345")]
    ticket_number: Vec<String>,
    /// When they were opened.
    #[arg(default = "now", example = "2026-01-15 10:20:30.123456")]
    date: Date,
}

/// Changes the number of a ticket, which is found by its date. The ticket moves to the end of the list.
///
/// # Rules
///
/// ACT-22: of several with this date the first. ACT-23: to the end. ACT-18: an equal ticket stays where it is.
#[action(
    on = "*",
    permission = "tickets_edit",
    refusal = "User does not have permission to modify tickets.",
    touches = "self.tickets",
    answers = "the entry"
)]
#[example("another number",
    before = {"tickets": [{"ticket_number": "7", "date": {"$date": 1768472430123}, "analyst": "other"}]},
    args = {"ticket": {"ticket_number": "INC-7", "date": "2026-01-15 10:20:30.123000"}},
    message = "Ticket updated.",
    object = {"ticket_number": "INC-7", "date": {"$date": 1768472430123}, "analyst": "example"},
    operations = [{"pull": ["tickets", {"date": {"$date": 1768472430123}}, 1]},
        {"push": ["tickets", {"ticket_number": "INC-7", "date": {"$date": 1768472430123}, "analyst": "example"}]}])]
#[example("nothing to do",
    before = {"tickets": [{"ticket_number": "7", "date": {"$date": 1768472430123}, "analyst": "example"}]},
    args = {"ticket": {"ticket_number": "7", "date": "2026-01-15 10:20:30.123"}},
    message = "Ticket updated.", operations = [])]
#[example("another ticket has the number",
    before = {"tickets": [{"ticket_number": "7", "date": {"$date": 1768472430123}}, {"ticket_number": "8", "date": {"$date": 1}}]},
    args = {"ticket": {"ticket_number": "8", "date": "2026-01-15 10:20:30.123"}},
    fault = {"refused": "already_exists", "message": "Ticket 8 already exists."})]
#[example("no ticket of this date",
    before = {"tickets": []}, args = {"ticket": {"ticket_number": "8", "date": "2026-01-15 10:20:30.123"}},
    fault = {"missing": "Ticket not found."})]
pub(crate) fn ticket_update(tlo: &mut Tlo, call: &Call, args: TicketUpdate) -> Outcome {
    let ChangedTicket {
        ticket_number,
        date,
    } = args.ticket;
    if ticket_number.is_empty() {
        return Err(no_number());
    }
    let (user, by_date) = (call.user(), json!({ "date": date }));
    let Some(position) = tlo.find("tickets", &by_date)? else {
        return Err(not_found());
    };
    if has_another(tlo, position, &ticket_number)? {
        refuse!(already_exists: "Ticket {ticket_number} already exists.");
    }
    let entry = tlo.get::<Json>(&element("tickets", position))?;
    let before = entry.and_then(into_map).unwrap_or_default();
    let mut after = before.clone();
    after.insert("ticket_number".into(), ticket_number.into());
    after.insert("date".into(), json!(date));
    after.insert("analyst".into(), user.into());
    if after != before {
        tlo.pull("tickets", &by_date)?;
        tlo.push("tickets", Json::Object(after.clone()))?;
    }
    Ok(Answer::new("Ticket updated.").object(after))
}

#[derive(Args)]
pub(crate) struct TicketUpdate {
    /// The new number, and the date of the ticket to change.
    ticket: ChangedTicket,
}

#[derive(Args)]
struct ChangedTicket {
    /// The new number, one only: a comma is part of it.
    #[arg(example = "INC-7")]
    ticket_number: String,
    /// Date of the ticket, as answers show it.
    #[arg(example = "2026-01-15 10:20:30.123000")]
    date: Date,
}

/// Rule ticket_update.4: does a ticket elsewhere in the list have the number?
fn has_another(tlo: &Tlo, position: u32, number: &str) -> Result<bool, Fault> {
    let by_number = json!({ "ticket_number": number });
    match tlo.find("tickets", &by_number)? {
        Some(found) if found == position => Ok(tlo
            .find_from("tickets", &by_number, position + 1)?
            .is_some()),
        found => Ok(found.is_some()),
    }
}

/// Removes a ticket, which is found by its date.
///
/// # Rules
///
/// ACT-22: of several with this date the first. ticket_remove.2 is the host's.
#[action(
    on = "*",
    permission = "tickets_delete",
    refusal = "User does not have permission to delete tickets.",
    touches = "self.tickets",
    answers = "the removed entry"
)]
#[example("the only ticket",
    before = {"tickets": [{"ticket_number": "7", "date": {"$date": 1768472430123}, "analyst": "other"}]},
    args = {"date": "2026-01-15 10:20:30.123000"},
    message = "Ticket removed.", object = {"ticket_number": "7", "date": {"$date": 1768472430123}, "analyst": "other"})]
#[example("one of two that share a date",
    before = {"tickets": [{"ticket_number": "7", "date": {"$date": 1768472430123}}, {"ticket_number": "8", "date": {"$date": 1768472430123}}]},
    args = {"date": "2026-01-15 10:20:30.123000", "ticket_number": "8"},
    message = "Ticket removed.", object = {"ticket_number": "8", "date": {"$date": 1768472430123}})]
#[example("no ticket of this date",
    before = {"tickets": []}, args = {"date": "2026-01-15 10:20:30.123000"}, fault = {"missing": "Ticket not found."})]
pub(crate) fn ticket_remove(tlo: &mut Tlo, args: TicketRemove) -> Outcome {
    // Rule ticket_remove.3.
    let condition = match args.ticket_number.filter(|number| !number.is_empty()) {
        Some(number) => json!({ "date": args.date, "ticket_number": number }),
        None => json!({ "date": args.date }),
    };
    let Some(entry) = tlo.first::<Json>("tickets", &condition)? else {
        return Err(not_found());
    };
    tlo.pull("tickets", &condition)?;
    Ok(Answer::new("Ticket removed.").object(entry))
}

#[derive(Args)]
pub(crate) struct TicketRemove {
    /// Date of the ticket, as answers show it.
    #[arg(example = "2026-01-15 10:20:30.123000")]
    date: Date,
    /// Its number, where several tickets share the date.
    ticket_number: Option<String>,
}

fn into_map(json: Json) -> Option<Map<String, Json>> {
    match json {
        Json::Object(map) => Some(map),
        _ => None,
    }
}

/// Rule ticket_add.5.
fn no_number() -> Fault {
    invalid("ticket", "Argument 'ticket' has no ticket number.")
}

/// Rules ticket_update.2, ticket_remove.1.
fn not_found() -> Fault {
    missing("Ticket not found.")
}
