//! Events: something that happened, to which the other objects are related.

mod edit;

use critd_sdk::prelude::*;

use edit::{update_event_title, update_event_type};

plugin! {
    name = "event",
    summary = "Events: something that happened, with everything that is related to it.",
    types = [Event],
    actions = [update_event_title, update_event_type],
}

/// Something that happened: a wave of mails, a break-in, a report that somebody shared. What was seen in it is related to
/// it: e-mails, samples, indicators.
///
/// Events have no key: two equal POSTs make two events.
#[derive(Debug, TloType)]
#[tlo(
    resource = "events",
    collection = "events",
    schema_version = 3,
    empty_id
)]
pub struct Event {
    /// What happened, in a few words.
    #[field(required, sortable, indexed, searchable)]
    pub title: String,
    /// Kind of event: `Phishing`.
    #[field(required, sortable, indexed, vocab = "EventTypes")]
    pub event_type: String,
    /// What happened, in full.
    #[field(required)]
    pub description: String,
    /// A UUID by which other systems can name the event; given by the server.
    #[field(required, kind = "uuid", indexed)]
    pub event_id: String,
}

/// What a new event is made of.
#[derive(Debug, Args)]
pub struct NewEvent {
    /// What happened, in a few words.
    #[arg(
        required,
        missing = "Must provide a title, event_type, source, and description.",
        example = "Invoice wave"
    )]
    pub title: String,
    /// Kind of event.
    #[arg(
        required,
        vocab = "EventTypes",
        missing = "Must provide a title, event_type, source, and description.",
        invalid = "Not a valid Event Type.",
        example = "Phishing"
    )]
    pub event_type: String,
    /// Name of the source that told of it.
    #[arg(
        required,
        missing = "Must provide a title, event_type, source, and description.",
        synonyms("source_name"),
        example = "Example CERT"
    )]
    pub source: String,
    /// What happened, in full. Blanks at its ends don't count.
    #[arg(
        required,
        missing = "Must provide a title, event_type, source, and description.",
        example = "Three mailboxes received an invoice with macros."
    )]
    pub description: String,
    /// When the source told of it: the date of the event's first source instance. Most written forms of dates are
    /// understood. Without it: now.
    #[arg(
        type = "ldate",
        default = "now",
        invalid = "Invalid date: {value}.",
        example = "2018-05-03 10:00:00"
    )]
    pub date: Date,
    /// Campaigns it belongs to, separated by commas: active ones that the server knows, in any letter case.
    #[arg(
        required = false,
        vocab = "active:Campaign",
        invalid = "{value} is not a valid campaign.",
        example = "Example Bear"
    )]
    pub campaign: Vec<String>,
}

/// Create.md 5.9: adds an event.
///
/// # Errors
///
/// A source that the user may not write with.
#[create(Event)]
#[example(
    "a new event",
    args = {"title": "Invoice wave", "event_type": "Phishing", "description": "Three mailboxes", "source": "Example"},
    message = "Success! Click here to view the new event: Invoice wave"
)]
#[example("no description", args = {"title": "Invoice wave", "event_type": "Phishing", "source": "Example"}, fault = {"invalid": "description", "message": "Must provide a title, event_type, source, and description."})]
#[example(
    "a type that is none",
    args = {"title": "Invoice wave", "event_type": "Party", "description": "Three mailboxes", "source": "Example"},
    fault = {"invalid": "event_type", "message": "Not a valid Event Type."}
)]
pub fn create(call: &Call, args: NewEvent, shared: &Shared) -> Outcome {
    let source = shared.require_source(SourceText::Object)?;
    let (mut event, _) = Tlo::make::<Event>(Params::new())?;
    event.set_many(params! {
        "title" => &args.title,
        "event_type" => args.event_type,
        "description" => args.description,
        "event_id" => call.random_uuid(),
    })?;
    // The date belongs to the source instance, which is why the shared rules don't add it.
    let instance = shared
        .params()
        .clone()
        .only(&["method", "reference", "tlp"])
        .with("date", args.date);
    event.add_source(source, instance)?;
    event.merge_shared(shared.params().clone().without(&[
        "source",
        "method",
        "reference",
        "tlp",
    ]))?;
    Ok(Answer::new(message(call, event.id()?.as_str(), &args.title)).document(&event))
}

/// The original puts the whole sentence into a block where messages have markup at all.
fn message(call: &Call, id: &str, title: &str) -> String {
    let link = call.link(&["events", "details", id], title);
    let sentence = format!("Success! Click here to view the new event: {link}");
    if link == title {
        sentence
    } else {
        format!("<div>{sentence}</div>")
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_examples_hold() {
        critd_sdk::bench::check::<super::Plugin>();
    }
}
