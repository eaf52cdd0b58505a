//! `status_update`

use critd_sdk::{element, prelude::*};

/// Sets the status. Deprecating an object switches off all its actions.
///
/// # Rules
///
/// status_update.1 is the vocabulary, status_update.3 the default; both are the host's.
#[action(
    on = "*",
    permission = "status_edit",
    refusal = "User does not have permission to edit status.",
    touches("self.status", "self.actions"),
    answers = "the status: {\"status\": …}"
)]
#[example("analysed",
    before = {"status": "New"}, args = {"value": "Analyzed"},
    message = "Status set to Analyzed.", object = {"status": "Analyzed"}, operations = [{"set": ["status", "Analyzed"]}])]
#[example("deprecated: its actions end",
    before = {"status": "New", "actions": [{"action_type": "Block", "active": "on"}, {"action_type": "Watch", "active": "off"}]},
    args = {"value": "Deprecated"}, message = "Status set to Deprecated.",
    operations = [{"set": ["status", "Deprecated"]}, {"set": ["actions.0.active", "off"]}])]
#[example("no such status", args = {"value": "Bad"}, fault = {"invalid": "value"})]
pub(crate) fn status_update(tlo: &mut Tlo, args: StatusUpdate) -> Outcome {
    let status = args.value;
    tlo.set("status", &status)?;
    if status == "Deprecated" {
        end_actions(tlo)?;
    }
    Ok(Answer::new(["Status set to ", &status, "."].concat()).object(json!({ "status": status })))
}

#[derive(Args)]
pub(crate) struct StatusUpdate {
    /// The new status.
    #[arg(
        default = "In Progress",
        vocab = "Status",
        invalid = "Invalid status: {value}."
    )]
    value: String,
}

/// Rule status_update.2.
fn end_actions(tlo: &mut Tlo) -> Result<(), Fault> {
    for position in 0..tlo.len("actions")? {
        let active = element("actions", position) + ".active";
        if tlo.text(&active)? != "off" {
            tlo.set(&active, "off")?;
        }
    }
    Ok(())
}
