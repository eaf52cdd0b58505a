//! An e-mail on its way into a document: what was read from whatever was uploaded, and how it is stored (documents.md 3.9).

use std::collections::BTreeMap;

use critd_sdk::prelude::*;
use critd_sdk::serde_json::Map;

use crate::{Email, header, limits};

/// Names that other parts of a document have: what a header or a YAML document says under them is dropped
/// (create.md 5.8.1).
pub(crate) const PROTECTED: [&str; 10] = [
    "schema_version",
    "comments",
    "objects",
    "campaign",
    "relationships",
    "source",
    "releasability",
    "analysis",
    "bucket_list",
    "ticket",
];

/// The fields that are a single text, by stored name.
pub(crate) const TEXTS: [&str; 13] = [
    "boundary",
    "description",
    "from",
    "helo",
    "message_id",
    "originating_ip",
    "raw_body",
    "raw_headers",
    "reply_to",
    "sender",
    "subject",
    "x_mailer",
    "x_originating_ip",
];

/// Member of `unsupported_attrs` that says that the text was cut off.
const TRUNCATED: &str = "raw_body_truncated";

/// What is known of an e-mail.
#[derive(Debug, Default)]
pub(crate) struct Mail {
    /// Single texts but for the raw ones, by stored name.
    pub(crate) texts: BTreeMap<String, String>,
    pub(crate) to: Vec<String>,
    pub(crate) cc: Vec<String>,
    /// As written; empty if there is none.
    pub(crate) date: String,
    /// Where to look for a time if that of `date` can't be read: dates of Received fields, in order.
    pub(crate) fallback_dates: Vec<String>,
    pub(crate) raw_headers: String,
    pub(crate) raw_body: String,
    /// Bytes of all texts, had nothing been cut off.
    pub(crate) text_bytes: usize,
    pub(crate) unsupported: Map<String, Json>,
}

impl Mail {
    /// Sets a text; an empty one takes it away.
    pub(crate) fn set(&mut self, name: &str, text: impl Into<String>) {
        let text = text.into();
        if text.is_empty() {
            self.texts.remove(name);
        } else {
            self.texts.insert(name.to_owned(), text);
        }
    }

    /// Sets a text, an empty one too.
    pub(crate) fn set_even_empty(&mut self, name: &str, text: impl Into<String>) {
        self.texts.insert(name.to_owned(), text.into());
    }

    /// A text, "" if there is none.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.texts.get(name).map_or("", String::as_str)
    }

    /// The whole message as a text, to stand in that of another: what is said of it, then what it says.
    pub(crate) fn as_text(&self, name: &str) -> String {
        let mut text = ["\n----- Embedded message: ", name, " -----\n"].concat();
        if self.raw_headers.is_empty() {
            for (label, value) in [
                ("From", self.text("from")),
                ("To", self.to.join(", ").as_str()),
                ("Date", self.date.as_str()),
                ("Subject", self.text("subject")),
            ] {
                if !value.is_empty() {
                    text.extend([label, ": ", value, "\n"]);
                }
            }
        } else {
            text.push_str(self.raw_headers.trim_end());
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&self.raw_body);
        text
    }

    /// Adds a text of the body and a line break, as far as there is room.
    pub(crate) fn add_body(&mut self, text: &str) {
        self.text_bytes = self.text_bytes.saturating_add(text.len() + 1);
        let room = limits::TEXT_BYTES - self.raw_body.len().min(limits::TEXT_BYTES);
        self.raw_body.push_str(cut(text, room));
        if self.raw_body.len() < limits::TEXT_BYTES {
            self.raw_body.push('\n');
        }
    }

    /// The text of the body as it is, as far as there is room.
    pub(crate) fn set_body(&mut self, text: &str) {
        self.text_bytes = text.len();
        cut(text, limits::TEXT_BYTES).clone_into(&mut self.raw_body);
    }

    /// The note that a text was cut off.
    fn truncation(&self) -> Option<String> {
        (self.text_bytes > limits::TEXT_BYTES).then(|| {
            format!(
                "The text has {} bytes; the first {} are kept.",
                self.text_bytes,
                self.raw_body.len()
            )
        })
    }

    /// A new document.
    ///
    /// # Errors
    ///
    /// Faults of the shared arguments; `failed` and what did not go, if a field can't be set.
    pub(crate) fn store(
        mut self,
        call: &Call,
        prefix: &str,
        failed: &str,
        shared: &Shared,
    ) -> Result<Tlo, Fault> {
        let (mut email, _) = Tlo::make::<Email>(Params::new())?;
        if let Some(note) = self.truncation() {
            self.unsupported.insert(TRUNCATED.to_owned(), note.into());
        }
        self.write(call, &mut email)
            .map_err(|fault| unsaved(call, failed, fault))?;
        let method = method(prefix, shared.text("method"));
        email.merge_shared(shared.clone().with("method", method))?;
        Ok(email)
    }

    fn write(&self, call: &Call, email: &mut Tlo) -> Result<(), Fault> {
        let mut values = Params::new();
        for (name, text) in &self.texts {
            values.set(name, text);
        }
        if !self.to.is_empty() {
            values.set("to", &self.to);
        }
        if !self.cc.is_empty() {
            values.set("cc", &self.cc);
        }
        for (name, text) in [
            ("raw_headers", &self.raw_headers),
            ("raw_body", &self.raw_body),
        ] {
            if !text.is_empty() {
                values.set(name, text);
            }
        }
        email.set_many(values)?;
        if !self.unsupported.is_empty() {
            let unsupported = Json::Object(self.unsupported.clone());
            email.set("unsupported_attrs", unsupported)?;
        }
        set_date(call, email, &self.date, &self.fallback_dates)
    }
}

/// Sets `date` and what it means. No date: now. One that can't be read: the first of the others that can (create.md 5.8).
///
/// # Errors
///
/// Only the host's.
pub(crate) fn set_date(
    call: &Call,
    email: &mut Tlo,
    date: &str,
    others: &[String],
) -> Result<(), Fault> {
    if date.trim().is_empty() {
        email.set("date", call.now().to_string())?;
        return email.set("isodate", call.now());
    }
    email.set("date", date)?;
    for text in std::iter::once(date).chain(others.iter().map(String::as_str)) {
        // The host reads many forms of dates; the odder ones of mails are known to the mail parser.
        match email.set("isodate", text) {
            Ok(()) => return Ok(()),
            Err(Fault::Invalid(_)) => {}
            Err(fault) => return Err(fault),
        }
        if let Some(millis) = header::date(text) {
            return email.set("isodate", Date::from_millis(millis));
        }
    }
    email.unset("isodate")
}

/// The method of the source instance: how it was uploaded, and what the client says.
pub(crate) fn method(prefix: &str, method: Option<&str>) -> String {
    match method.filter(|method| !method.is_empty()) {
        Some(method) => [prefix, " - ", method].concat(),
        None => prefix.to_owned(),
    }
}

/// The source, which must have been sent and be one that the user may write with. `missing`: what to say if none was sent.
///
/// # Errors
///
/// The texts of create.md 5.8; that of a refused source has a blank at its end.
pub(crate) fn require_source<'a>(shared: &'a Shared, missing: &str) -> Result<&'a str, Fault> {
    if shared.source().is_none() {
        return Err(invalid("source", missing));
    }
    shared
        .require_source(SourceText::Object)
        .map_err(|fault| match fault {
            Fault::Refused((code, text)) => Fault::Refused((code, text + " ")),
            other => other,
        })
}

/// What `msg` and `yaml` say without a source: the refusal for one that is called `None` (create.md 2.2).
pub(crate) const NO_SOURCE: &str =
    "User does not have permission to add object using source None. ";
/// What the other uploads say.
pub(crate) const MISSING_SOURCE: &str = "Missing source information.";

/// A failure with what is behind it: on a line of its own, or in a block where messages have markup (core-api B20).
pub(crate) fn failure(call: &Call, failed: &str, detail: &str) -> String {
    if has_markup(call) {
        format!("{failed}\n<br /><pre>{}</pre>", escaped(detail))
    } else {
        [failed, "\n", detail].concat()
    }
}

/// Have messages markup?
pub(crate) fn has_markup(call: &Call) -> bool {
    matches!(
        call.setting("html_messages").as_deref(),
        Some("true" | "on" | "yes" | "1")
    )
}

/// A text as it stands in markup.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn unsaved(call: &Call, failed: &str, fault: Fault) -> Fault {
    match fault {
        Fault::Invalid((argument, text)) => {
            Fault::Invalid((argument, failure(call, failed, &text)))
        }
        Fault::Refused((code, text)) => Fault::Refused((code, failure(call, failed, &text))),
        other => other,
    }
}

/// What a fault says, for those who read it in a longer message.
pub(crate) fn text_of(fault: &Fault) -> &str {
    match fault {
        Fault::Invalid((_, text)) | Fault::Refused((_, text)) | Fault::Missing(text) => text,
        Fault::Internal(_) => "Internal error.",
    }
}

/// At most so many bytes of a text, whole letters.
pub(crate) fn cut(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
