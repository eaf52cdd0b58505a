//! `update_event_title`, `update_event_type`

use critd_sdk::prelude::*;

/// Says in other words what happened.
///
/// # Rules
///
/// actions.md section 10.
#[action(
    on = "Event",
    permission = "title_edit",
    refusal = "User does not have permission to edit title.",
    touches = "self.title",
    answers = "the title: {\"title\": …}"
)]
#[example("another title",
    before = {"title": "old"}, args = {"title": " Invoice wave "},
    message = "Title set.", object = {"title": "Invoice wave"}, operations = [{"set": ["title", "Invoice wave"]}])]
#[example("no title", before = {"title": "old"}, args = {"title": ""}, fault = {"invalid": "title"})]
pub(crate) fn update_event_title(tlo: &mut Tlo, args: UpdateEventTitle) -> Outcome {
    tlo.set("title", &args.title)?;
    Ok(Answer::new("Title set.").object(json!({ "title": args.title })))
}

#[derive(Debug, Args)]
pub(crate) struct UpdateEventTitle {
    /// What happened, in a few words.
    #[arg(nonempty, missing = "No title to change", example = "Invoice wave")]
    title: String,
}

/// Says what kind of event it is.
///
/// # Rules
///
/// actions.md section 10.
#[action(
    on = "Event",
    permission = "type_edit",
    refusal = "User does not have permission to edit type.",
    touches = "self.event_type",
    answers = "the kind: {\"event_type\": …}"
)]
#[example("another kind",
    before = {"event_type": "Unknown"}, args = {"event_type": "Phishing"},
    message = "Event type set.", object = {"event_type": "Phishing"}, operations = [{"set": ["event_type", "Phishing"]}])]
#[example("a kind that is none",
    before = {"event_type": "Phishing"}, args = {"event_type": "Party"},
    fault = {"invalid": "event_type", "message": "Not a valid Event Type."})]
#[example("no kind", before = {"event_type": "Phishing"}, args = {}, fault = {"invalid": "event_type"})]
pub(crate) fn update_event_type(tlo: &mut Tlo, args: UpdateEventType) -> Outcome {
    tlo.set("event_type", &args.event_type)?;
    Ok(Answer::new("Event type set.").object(json!({ "event_type": args.event_type })))
}

#[derive(Debug, Args)]
pub(crate) struct UpdateEventType {
    /// Kind of event.
    #[arg(
        nonempty,
        vocab = "EventTypes",
        synonyms("type"),
        missing = "No event type to change",
        invalid = "Not a valid Event Type.",
        example = "Phishing"
    )]
    event_type: String,
}
