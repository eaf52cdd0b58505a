//! `description_update`

use critd_sdk::prelude::*;

/// Replaces the description.
///
/// # Rules
///
/// ACT-14 and description_update.1: the host decodes HTML entities once (`unescape`) and leaves blanks alone (`text`).
/// ACT-12: an empty text clears it. ACT-18: a description that is already there is no change, which the host notices.
#[action(
    on = "*",
    permission = "description_edit",
    refusal = "User does not have permission to edit description.",
    touches = "self.description",
    answers = "the description: {\"description\": …}"
)]
#[example("entities are decoded once",
    before = {"description": "old"}, args = {"description": "a &lt;b&gt; &amp;amp;"},
    message = "Description set.", object = {"description": "a <b> &amp;"},
    operations = [{"set": ["description", "a <b> &amp;"]}])]
#[example("an empty text clears it",
    before = {"description": "old"}, args = {"description": ""},
    message = "Description set.", object = {"description": ""}, operations = [{"set": ["description", ""]}])]
#[example("nothing to do",
    before = {"description": "same"}, args = {"description": "same"},
    message = "Description set.", object = {"description": "same"}, operations = [])]
pub(crate) fn description_update(tlo: &mut Tlo, args: DescriptionUpdate) -> Outcome {
    tlo.set("description", &args.description)?;
    Ok(Answer::new("Description set.").object(json!({ "description": args.description })))
}

#[derive(Args)]
pub(crate) struct DescriptionUpdate {
    /// The new description; empty to clear it.
    #[arg(type = "text", unescape, example = "seen &lt;twice&gt;")]
    description: String,
}
