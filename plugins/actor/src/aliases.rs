//! `update_actor_aliases`

use critd_sdk::merge::Mode;
use critd_sdk::prelude::*;

/// Replaces the aliases of the actor, adds some, or removes some.
///
/// # Rules
///
/// actions.md 3.6; ACT-11 (a list or comma-separated text, without blanks and duplicates) is the host's.
#[action(
    on = "Actor",
    permission = "aliases_edit",
    refusal = "User does not have permission to edit alias.",
    touches = "self.aliases",
    answers = "all aliases: {\"aliases\": […]}"
)]
#[example("all of them",
    before = {"aliases": ["a"]}, args = {"aliases": "x, y ,,z"},
    message = "Aliases updated.", object = {"aliases": ["x", "y", "z"]}, operations = [{"set": ["aliases", ["x", "y", "z"]]}])]
#[example("one more",
    before = {"aliases": ["a"]}, args = {"aliases": ["a", "b"], "mode": "add"},
    message = "Aliases updated.", object = {"aliases": ["a", "b"]})]
#[example("one less",
    before = {"aliases": ["a", "b"]}, args = {"aliases": "b", "mode": "remove"},
    message = "Aliases updated.", object = {"aliases": ["a"]})]
#[example("an empty list clears them",
    before = {"aliases": ["a"]}, args = {"aliases": []}, message = "Aliases updated.", object = {"aliases": []})]
pub(crate) fn update_actor_aliases(tlo: &mut Tlo, args: UpdateActorAliases) -> Outcome {
    let aliases = args.mode.apply(&tlo.list("aliases")?, args.aliases);
    tlo.set("aliases", &aliases)?;
    Ok(Answer::new("Aliases updated.").object(json!({ "aliases": aliases })))
}

#[derive(Args)]
pub(crate) struct UpdateActorAliases {
    /// The aliases, separated by commas or as a list; an empty list clears them.
    #[arg(example = "x, y")]
    aliases: Vec<String>,
    /// What is done with them.
    #[arg(default = "replace")]
    mode: Mode,
}
