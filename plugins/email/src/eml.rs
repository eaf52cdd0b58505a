//! `eml` and `raw`: a message as it went over the wire (create.md 5.8.1, 5.8.2).

use critd_sdk::prelude::*;

use crate::attachments::{self, Files};
use crate::envelope::{self, Envelope};
use crate::mail::{self, Mail};
use crate::{header, limits, mime};

/// What is said of something without a header.
pub(crate) const NO_HEADER: &str = "Could not parse email. Possibly the input does not conform to a Internet Message style headers and header continuation lines...";
/// What is added if it was sent as a text (field case O20).
const NO_FILE_SENT: &str = " A file was expected; 'filedata' was sent as a text that is no e-mail.";
/// Name that the host gives to content that was sent as a text.
const SENT_AS_TEXT: &str = "unknown";

/// How a message was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As a file.
    Eml,
    /// Perhaps as a text that was pasted somewhere, with its folds lost.
    Raw,
}

/// Shared arguments that every Sample takes over.
const GIVEN: [&str; 7] = [
    "source",
    "reference",
    "tlp",
    "campaign",
    "confidence",
    "bucket_list",
    "ticket",
];

/// What a message says, and its leaves.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) mail: Mail,
    pub(crate) parts: mime::Leaves,
}

/// Adds the message in a file.
///
/// # Errors
///
/// The texts of create.md 5.8.1.
pub(crate) fn add(call: &Call, form: Form, file: Option<Upload>, shared: &Shared) -> Outcome {
    let file = file.ok_or_else(|| invalid("filedata", "No file uploaded."))?;
    if shared.source().is_none() {
        return Err(invalid("source", mail::MISSING_SOURCE));
    }
    let message = limits::read(file, limits::MESSAGE_BYTES)?;
    let Some(Message { mail, parts }) = read(form, message)? else {
        let sent_as_text = form == Form::Eml && file.name()? == SENT_AS_TEXT;
        let hint = if sent_as_text { NO_FILE_SENT } else { "" };
        return Err(invalid("filedata", [NO_HEADER, hint].concat()));
    };
    let source = mail::require_source(shared, mail::MISSING_SOURCE)?.to_owned();
    let mut files = Files::default();
    for leaf in parts.leaves.iter().filter(|leaf| leaf.is_attachment) {
        files.add(leaf.name.as_deref(), &leaf.content())?;
    }
    parts.notes.iter().for_each(|note| call.warn(note));
    let prefix = match form {
        Form::Eml => "EML Upload",
        Form::Raw => "Raw Upload",
    };
    // The parts need not stay in memory.
    drop(parts);
    let mut email = mail.store(call, prefix, "Failed to save email.", shared)?;
    let given = shared
        .params()
        .clone()
        .only(&GIVEN)
        .with("source", source)
        .with("method", mail::method(prefix, shared.text("method")));
    attachments::add_all(call, &mut email, &files, &given)?;
    Ok(Answer::new("").document(&email))
}

/// Reads a message. None: it has no header.
///
/// # Errors
///
/// `refused(limit)`: too large a header, too many parts.
pub(crate) fn read(form: Form, message: Vec<u8>) -> Result<Option<Message>, Fault> {
    let (mut message, envelope) = envelope::strip(message);
    if form == Form::Raw {
        message = envelope::folded(message);
    }
    let block = header::block(&message, limits::HEADER_FIELDS);
    if block.fields.is_empty() {
        return Ok(None);
    }
    if let Some(sentence) = header::excess(&block) {
        return Err(limits::too_large(sentence));
    }
    let mut mail = header::read(&block);
    let Envelope { mail_from, rcpt_to } = envelope;
    for (name, value) in [("mailfrom", mail_from), ("rcptto", rcpt_to)] {
        if let Some(value) = value {
            mail.unsupported.insert(name.to_owned(), value.into());
        }
    }
    let parts = mime::leaves(message)?;
    for leaf in parts.leaves.iter().filter(|leaf| leaf.is_text) {
        let (text, length) = leaf.text();
        mail.add_body(&text);
        mail.text_bytes = mail
            .text_bytes
            .saturating_add(length - text.len().min(length));
    }
    Ok(Some(Message { mail, parts }))
}
