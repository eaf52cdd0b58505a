//! `action_add`, `action_update`, `action_remove`

use critd_sdk::prelude::*;
use critd_sdk::serde_json::Map;

/// Notes an action that is taken on account of the object, such as blocking it.
///
/// # Rules
///
/// action_add.2: the host fills in dates that are missing or empty; the date of the entry is that of the request. .5: equal
/// ones are not told apart. ACT-21, CON-10: those of one type have different dates.
#[action(
    on = "*",
    permission = "actions_add",
    refusal = "User does not have permission to add actions.",
    touches = "self.actions",
    answers = "the entry"
)]
#[example("an action",
    before = {"actions": []},
    args = {"tlo_action": {"action_type": "Blocked Outbound At Firewall", "active": "on", "begin_date": "2026-01-15 09:00:00.000000", "end_date": "", "reason": "c2", "date": "x"}},
    message = "Action added.",
    object = {"action_type": "Blocked Outbound At Firewall", "active": "on", "analyst": "example", "begin_date": {"$date": 1768467600000},
        "end_date": {"$date": 1767225600000}, "performed_date": {"$date": 1767225600000}, "reason": "c2", "date": {"$date": 1767225600000}})]
#[example("a further one of the type at the same time",
    before = {"actions": [{"action_type": "Watch", "date": {"$date": 1767225600000}}, {"action_type": "Block", "date": {"$date": 1767225600001}}]},
    args = {"tlo_action": {"action_type": "Watch", "active": "yes"}},
    message = "Action added.",
    object = {"action_type": "Watch", "active": "on", "analyst": "example", "begin_date": {"$date": 1767225600000},
        "end_date": {"$date": 1767225600000}, "performed_date": {"$date": 1767225600000}, "reason": "", "date": {"$date": 1767225600001}})]
#[example("neither on nor off",
    args = {"tlo_action": {"action_type": "Watch", "active": "maybe"}},
    fault = {"invalid": "tlo_action.active", "message": "Invalid active flag: maybe."})]
pub(crate) fn action_add(tlo: &mut Tlo, call: &Call, args: ActionAdd) -> Outcome {
    let NewAction {
        action_type,
        active,
        begin_date,
        end_date,
        performed_date,
        reason,
    } = args.tlo_action;
    check_type(call, &action_type)?;
    let of_type = Map::from_iter([("action_type".to_owned(), json!(action_type))]);
    let date = tlo.free_date("actions", call.now(), &of_type)?;
    let entry = json!({
        "action_type": action_type, "active": switch(&active)?, "analyst": call.user(), "begin_date": begin_date,
        "end_date": end_date, "performed_date": performed_date, "reason": reason, "date": date,
    });
    tlo.push("actions", &entry)?;
    Ok(Answer::new("Action added.").object(entry))
}

#[derive(Args)]
pub(crate) struct ActionAdd {
    /// What is done, and when.
    tlo_action: NewAction,
}

#[derive(Args)]
struct NewAction {
    /// What is done: the name of a registered type of actions, or with the server's setting also any other text.
    #[arg(example = "Blocked Outbound At Firewall")]
    action_type: String,
    /// Whether it is in force: `on` or `off`, true or false.
    #[arg(
        default = "on",
        enum("on", "off"),
        check = "within",
        invalid = "Invalid active flag: {value}."
    )]
    active: String,
    /// Since when.
    #[arg(default = "now", example = "2026-01-15 09:00:00.000000")]
    begin_date: Date,
    /// Until when.
    #[arg(default = "now")]
    end_date: Date,
    /// When it was done.
    #[arg(default = "now")]
    performed_date: Date,
    /// Why.
    #[arg(type = "text", default = "", example = "c2")]
    reason: String,
}

/// Changes an action, which is found by its date and type. It moves to the end of the list.
///
/// # Rules
///
/// action_update.2: what is not sent stays as it is, an empty date is now. ACT-18: an equal action stays where it is. ACT-22:
/// of several with this date and type the first. ACT-23: to the end.
#[action(
    on = "*",
    permission = "actions_edit",
    refusal = "User does not have permission to edit actions.",
    touches = "self.actions",
    answers = "the entry"
)]
#[example("switched off",
    before = {"actions": [{"action_type": "Watch", "active": "on", "analyst": "other", "date": {"$date": 1768472430123}, "reason": "c2"}]},
    args = {"tlo_action": {"date": "2026-01-15 10:20:30.123456", "action_type": "Watch", "active": "False"}},
    message = "Action updated.",
    object = {"action_type": "Watch", "active": "off", "analyst": "example", "date": {"$date": 1768472430123}, "reason": "c2"},
    operations = [{"pull": ["actions", {"action_type": "Watch", "date": {"$date": 1768472430123}}, 1]},
        {"push": ["actions", {"action_type": "Watch", "active": "off", "analyst": "example", "date": {"$date": 1768472430123}, "reason": "c2"}]}])]
#[example("two of this date and type: the first is changed, and moves",
    before = {"actions": [{"action_type": "Watch", "analyst": "example", "date": {"$date": 1768472430123}, "reason": "a"},
        {"action_type": "Watch", "analyst": "example", "date": {"$date": 1768472430123}, "reason": "b"}]},
    args = {"tlo_action": {"date": "2026-01-15 10:20:30.123456", "action_type": "Watch", "reason": "c"}},
    message = "Action updated.",
    object = {"action_type": "Watch", "analyst": "example", "date": {"$date": 1768472430123}, "reason": "c"},
    operations = [{"pull": ["actions", {"action_type": "Watch", "date": {"$date": 1768472430123}}, 1]},
        {"push": ["actions", {"action_type": "Watch", "analyst": "example", "date": {"$date": 1768472430123}, "reason": "c"}]}])]
#[example("an empty date is now, an empty reason none",
    before = {"actions": [{"action_type": "Watch", "active": "on", "date": {"$date": 1768472430123}, "end_date": {"$date": 1}, "reason": "c2"}]},
    args = {"tlo_action": {"date": "2026-01-15 10:20:30.123456", "action_type": "Watch", "end_date": "", "reason": ""}},
    message = "Action updated.",
    object = {"action_type": "Watch", "active": "on", "analyst": "example", "date": {"$date": 1768472430123}, "end_date": {"$date": 1767225600000}, "reason": ""})]
#[example("nothing to do",
    before = {"actions": [{"action_type": "Watch", "active": "on", "analyst": "example", "date": {"$date": 1768472430123}}]},
    args = {"tlo_action": {"date": "2026-01-15 10:20:30.123456", "action_type": "Watch", "active": "on"}},
    message = "Action updated.", operations = [])]
#[example("another type",
    before = {"actions": [{"action_type": "Watch", "active": "on", "date": {"$date": 1768472430123}}]},
    args = {"tlo_action": {"date": "2026-01-15 10:20:30.123456", "action_type": "Block"}}, fault = {"missing": "Action not found."})]
pub(crate) fn action_update(tlo: &mut Tlo, call: &Call, args: ActionUpdate) -> Outcome {
    let ChangedAction {
        date,
        action_type,
        active,
        begin_date,
        end_date,
        performed_date,
        reason,
    } = args.tlo_action;
    let handle = json!({ "date": date, "action_type": action_type });
    let active = active.map(|active| switch(&active)).transpose()?;
    let changes = [
        ("active", active.map(Json::from)),
        ("begin_date", begin_date.map(|date| json!(date))),
        ("end_date", end_date.map(|date| json!(date))),
        ("performed_date", performed_date.map(|date| json!(date))),
        ("reason", reason.map(Json::from)),
    ];
    let entry = crate::replaced(tlo, call, "actions", &handle, changes)?;
    Ok(Answer::new("Action updated.").object(entry.ok_or_else(not_found)?))
}

#[derive(Args)]
pub(crate) struct ActionUpdate {
    /// Date and type of the action, and what is to change.
    tlo_action: ChangedAction,
}

#[derive(Args)]
struct ChangedAction {
    /// Date of the action, as answers show it.
    #[arg(example = "2026-01-15 10:20:31.456000")]
    date: Date,
    /// Its type.
    #[arg(example = "Blocked Outbound At Firewall")]
    action_type: String,
    /// Whether it is in force: `on` or `off`, true or false.
    #[arg(
        enum("on", "off"),
        check = "within",
        invalid = "Invalid active flag: {value}."
    )]
    active: Option<String>,
    /// Since when; empty: now.
    #[arg(empty = "now")]
    begin_date: Option<Date>,
    /// Until when; empty: now.
    #[arg(empty = "now")]
    end_date: Option<Date>,
    /// When it was done; empty: now.
    #[arg(empty = "now")]
    performed_date: Option<Date>,
    /// Why; empty: no reason.
    #[arg(type = "text")]
    reason: Option<String>,
}

/// Removes an action, which is found by its date and type.
///
/// # Rules
///
/// ACT-22: of several with this date and type the first.
#[action(
    on = "*",
    permission = "actions_delete",
    refusal = "User does not have permission to delete actions.",
    touches = "self.actions",
    answers = "the removed entry"
)]
#[example("the only one",
    before = {"actions": [{"action_type": "Watch", "active": "on", "date": {"$date": 1768472430123}}]},
    args = {"date": "2026-01-15 10:20:30.123000", "action_type": "Watch"},
    message = "Action removed.", object = {"action_type": "Watch", "active": "on", "date": {"$date": 1768472430123}},
    operations = [{"pull": ["actions", {"action_type": "Watch", "date": {"$date": 1768472430123}}, 1]}])]
#[example("another type",
    before = {"actions": [{"action_type": "Watch", "active": "on", "date": {"$date": 1768472430123}}]},
    args = {"date": "2026-01-15 10:20:30.123000", "action_type": "Block"}, fault = {"missing": "Action not found."})]
pub(crate) fn action_remove(tlo: &mut Tlo, args: ActionRemove) -> Outcome {
    let handle = json!({ "date": args.date, "action_type": args.action_type });
    let entry = tlo
        .first::<Json>("actions", &handle)?
        .ok_or_else(not_found)?;
    tlo.pull("actions", &handle)?;
    Ok(Answer::new("Action removed.").object(entry))
}

#[derive(Args)]
pub(crate) struct ActionRemove {
    /// Date of the action, as answers show it.
    #[arg(example = "2026-01-15 10:20:31.456000")]
    date: Date,
    /// Its type.
    #[arg(example = "Blocked Outbound At Firewall")]
    action_type: String,
}

/// Rule action_add.3: `on` and `off`, and what stands for yes and no in requests (create.md 3.3).
fn switch(active: &str) -> Result<&'static str, Fault> {
    match active.trim().to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" | "" => Ok("on"),
        "off" | "false" | "no" | "0" | "none" => Ok("off"),
        _ => Err(invalid(
            "tlo_action.active",
            ["Invalid active flag: ", active, "."].concat(),
        )),
    }
}

/// Rule action_add.4. The register knows for which types of objects an action is.
fn check_type(call: &Call, action_type: &str) -> Result<(), Fault> {
    let is_strict = call.setting("strict_action_types").as_deref() == Some("true");
    if !is_strict || registers::has("action-type", action_type) {
        return Ok(());
    }
    Err(invalid(
        "tlo_action.action_type",
        ["Invalid action type: ", action_type, "."].concat(),
    ))
}

fn not_found() -> Fault {
    missing("Action not found.")
}
