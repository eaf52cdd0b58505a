//! `update_actor_aliases`

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
    let before: Vec<String> = tlo.list("aliases")?;
    let after = args.mode.apply(&before, args.aliases);
    if after != before {
        tlo.set("aliases", &after)?;
    }
    Ok(Answer::new("Aliases updated.").object(json!({ "aliases": after })))
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

#[derive(Choice, Clone, Copy)]
enum Mode {
    Replace,
    Add,
    Remove,
}

impl Mode {
    fn apply(self, before: &[String], given: Vec<String>) -> Vec<String> {
        match self {
            Self::Replace => given,
            Self::Add => {
                let new = given.into_iter().filter(|alias| !before.contains(alias));
                before.iter().cloned().chain(new).collect()
            }
            Self::Remove => before
                .iter()
                .filter(|alias| !given.contains(alias))
                .cloned()
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Mode;

    #[test]
    fn update_actor_aliases_has_three_modes() {
        let list = |text: &str| {
            text.split_whitespace()
                .map(String::from)
                .collect::<Vec<_>>()
        };
        for (mode, before, given, after) in [
            (Mode::Replace, "a b", "c", "c"),
            (Mode::Replace, "a b", "", ""),
            (Mode::Add, "a b", "b c", "a b c"),
            (Mode::Remove, "a b c", "c a x", "b"),
        ] {
            assert_eq!(mode.apply(&list(before), list(given)), list(after));
        }
    }
}
