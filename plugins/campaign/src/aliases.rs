//! `update_campaign_aliases`

use critd_sdk::merge::Mode;
use critd_sdk::prelude::*;

/// Adds other names of the campaign, removes some, or replaces them all.
///
/// # Rules
///
/// actions.md section 10.
#[action(
    on = "Campaign",
    permission = "aliases_edit",
    refusal = "User does not have permission to edit alias.",
    touches = "self.aliases",
    answers = "all aliases: {\"aliases\": […]}"
)]
#[example("one more",
    before = {"aliases": ["EB"]}, args = {"aliases": "Bear, EB"},
    message = "Aliases updated.", object = {"aliases": ["EB", "Bear"]}, operations = [{"set": ["aliases", ["EB", "Bear"]]}])]
#[example("one less",
    before = {"aliases": ["EB", "Bear"]}, args = {"aliases": ["EB"], "mode": "remove"}, message = "Aliases updated.", object = {"aliases": ["Bear"]})]
pub(crate) fn update_campaign_aliases(tlo: &mut Tlo, args: UpdateCampaignAliases) -> Outcome {
    let aliases = args
        .mode
        .apply(&tlo.list::<String>("aliases")?, args.aliases);
    tlo.set("aliases", &aliases)?;
    Ok(Answer::new("Aliases updated.").object(json!({ "aliases": aliases })))
}

#[derive(Debug, Args)]
pub(crate) struct UpdateCampaignAliases {
    /// The aliases, separated by commas or as a list.
    #[arg(example = "EB, Bear")]
    aliases: Vec<String>,
    /// What is done with them.
    #[arg(default = "add")]
    mode: Mode,
}
