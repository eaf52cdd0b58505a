//! `set_actor_name`

use critd_sdk::prelude::*;

/// Renames the actor.
///
/// # Rules
///
/// set_actor_name.1 is the host's. set_actor_name.2: names are unique, also among actors that the user may not see.
#[action(
    on = "Actor",
    permission = "name_edit",
    refusal = "User does not have permission to edit name.",
    touches = "self.name",
    answers = "the name: {\"name\": …}"
)]
#[example("a new name",
    before = {"name": "Old"}, args = {"name": " New "},
    message = "Name set.", object = {"name": "New"}, operations = [{"set": ["name", "New"]}])]
#[example("a name that another actor has, seen or not",
    before = {"name": "Old"}, others = [{"type": "Actor", "document": {"name": "Taken"}, "visible": false}], args = {"name": "Taken"},
    fault = {"refused": "conflict", "message": "An Actor named 'Taken' already exists."})]
#[example("its own name", before = {"name": "Same"}, args = {"name": "Same"}, message = "Name set.", operations = [])]
#[example("an empty name", before = {"name": "Old"}, args = {"name": ""}, fault = {"invalid": "name"})]
pub(crate) fn set_actor_name(tlo: &mut Tlo, args: SetActorName) -> Outcome {
    let name = args.name;
    if tlo.text("name")? != name {
        if Tlo::taken("Actor", [("name", &name)])? {
            refuse!(conflict: "An Actor named '{name}' already exists.");
        }
        tlo.set("name", &name)?;
    }
    Ok(Answer::new("Name set.").object(json!({ "name": name })))
}

#[derive(Args)]
pub(crate) struct SetActorName {
    /// The new name.
    #[arg(trim, nonempty, example = "New")]
    name: String,
}
