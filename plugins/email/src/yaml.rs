//! `yaml`: an e-mail as a mapping, new or over one that is there (create.md 5.8.4).

use critd_sdk::prelude::*;
use critd_sdk::serde_json::Map;

use crate::mail::{self, Mail, PROTECTED, TEXTS};
use crate::{NewEmail, header, limits, tree};

/// What is said of anything but a mapping.
const NO_YAML: &str = "Cannot convert data to YAML.";
const FAILED: &str = "Failed to save email.";
const PREFIX: &str = "YAML Upload";

/// What the server itself keeps, or other arguments say; and credentials, which are never content (core-api A6).
const IGNORED: [&str; 17] = [
    "_id",
    "actions",
    "analyst",
    "created",
    "id",
    "isodate",
    "locations",
    "modified",
    "screenshots",
    "sectors",
    "status",
    "tickets",
    "tlp",
    "api_key",
    "username",
    "format",
    "action",
];

/// What the mapping says, by stored names.
#[derive(Debug, Default)]
struct Said {
    texts: Vec<(String, String)>,
    to: Option<Vec<String>>,
    cc: Option<Vec<String>>,
    date: Option<String>,
    unsupported: Map<String, Json>,
    ignored: Vec<String>,
}

/// Adds an e-mail, or brings the one with the id `email_id` up to date.
///
/// # Errors
///
/// The texts of create.md 5.8.4.
pub(crate) fn add(call: &Call, args: &NewEmail, shared: &Shared) -> Outcome {
    let unreadable = |detail: &str| invalid("filedata", mail::failure(call, NO_YAML, detail));
    let Some(file) = args.filedata else {
        return Err(unreadable("No file uploaded."));
    };
    let bytes = limits::read(file, limits::YAML_BYTES)?;
    let mapping = tree::read(&bytes).map_err(|detail| unreadable(&detail))?;
    drop(bytes);
    let said = Said::of(mapping, args.save_unsupported);
    for key in &said.ignored {
        call.warn(&format!("'{key}' can't be set by YAML; it was ignored."));
    }
    let email = match &args.email_id {
        Some(id) => update(call, id, &said, shared)?,
        None => {
            mail::require_source(shared, mail::NO_SOURCE)?;
            said.mail().store(call, PREFIX, FAILED, shared)?
        }
    };
    Ok(Answer::new("").document(&email))
}

/// Only what was said is overwritten; sources are kept, and one is added only if the client names one.
fn update(call: &Call, id: &str, said: &Said, shared: &Shared) -> Result<Tlo, Fault> {
    let mut email = Tlo::by_id("Email", id).map_err(|fault| match fault {
        Fault::Missing(_) => invalid("email_id", "Unknown email_id."),
        other => other,
    })?;
    let named = shared.source().is_some();
    if named {
        mail::require_source(shared, mail::NO_SOURCE)?;
    }
    for (name, text) in &said.texts {
        email.set(name, mail::cut(text, limits::TEXT_BYTES))?;
    }
    for (name, list) in [("to", &said.to), ("cc", &said.cc)] {
        if let Some(list) = list {
            email.set(name, list)?;
        }
    }
    if let Some(date) = &said.date {
        mail::set_date(call, &mut email, date, &[])?;
    }
    if !said.unsupported.is_empty() {
        let mut all: Map<String, Json> = email.get_json("unsupported_attrs")?.unwrap_or_default();
        all.extend(said.unsupported.clone());
        email.set("unsupported_attrs", Json::Object(all))?;
    }
    if named {
        let method = mail::method(PREFIX, shared.text("method"));
        email.merge_shared(shared.clone().with("method", method))?;
    } else {
        let rest = shared.params().clone();
        email.merge_shared(rest.without(&["source", "method", "reference", "tlp"]))?;
    }
    Ok(email)
}

impl Said {
    fn of(mapping: Map<String, Json>, save_unsupported: bool) -> Self {
        let mut said = Self::default();
        for (name, value) in mapping {
            let key = header::key(&name);
            let key = match key.as_str() {
                "from_address" => "from",
                "raw_header" => "raw_headers",
                other => other,
            };
            if value.is_null() || key.is_empty() {
                continue;
            }
            match key {
                "to" => said.to = Some(texts(&value)),
                "cc" => said.cc = Some(texts(&value)),
                "date" => said.date = Some(text(&value)),
                "x_originating_ip" => {
                    let address = header::originating_ip(&text(&value));
                    said.texts.push((key.to_owned(), address));
                }
                "unsupported_attrs" => {
                    if let (true, Json::Object(more)) = (save_unsupported, value) {
                        let more = more
                            .into_iter()
                            .map(|(name, value)| (header::key(&name), value));
                        said.unsupported
                            .extend(more.filter(|(key, _)| !key.is_empty()));
                    }
                }
                key if TEXTS.contains(&key) => said.texts.push((key.to_owned(), text(&value))),
                key if PROTECTED.contains(&key) || IGNORED.contains(&key) => {
                    if !["api_key", "username", "format", "action"].contains(&key) {
                        said.ignored.push(key.to_owned());
                    }
                }
                key => {
                    said.unsupported.insert(key.to_owned(), value);
                }
            }
        }
        said
    }

    fn mail(self) -> Mail {
        let mut mail = Mail {
            to: self.to.unwrap_or_default(),
            cc: self.cc.unwrap_or_default(),
            date: self.date.unwrap_or_default(),
            unsupported: self.unsupported,
            ..Mail::default()
        };
        for (name, text) in self.texts {
            match name.as_str() {
                "raw_headers" => mail.raw_headers = text,
                "raw_body" => mail.set_body(&text),
                name => mail.set(name, text),
            }
        }
        mail
    }
}

/// A value as one text.
fn text(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Array(_) => texts(value).join(", "),
        other => other.to_string(),
    }
}

/// A value as a list of texts; a text is a list of one.
fn texts(value: &Json) -> Vec<String> {
    match value {
        Json::Array(items) => items
            .iter()
            .filter(|item| !item.is_null())
            .map(|item| {
                item.as_str()
                    .map_or_else(|| item.to_string(), str::to_owned)
            })
            .collect(),
        Json::String(text) if text.trim().is_empty() => Vec::new(),
        other => vec![text(other)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(yaml: &str, save_unsupported: bool) -> Said {
        Said::of(tree::read(yaml.as_bytes()).unwrap(), save_unsupported)
    }

    #[test]
    fn create_5_8_4_keys_find_their_fields() {
        let said = said(
            "from: f@example.org\nTo: t@example.com\ncc: [a, 2]\nX-Originating-IP: '[192.0.2.7] x'\nReply To: r\nraw_header: 'H: v'\n\
             Extra  key: kept\nMy.Odd-$-key: {a: 1}\nempty:\nstatus: Analyzed\nsource: no\napi_key: secret\ndate: 2020-01-02\n",
            false,
        );
        assert_eq!(said.to.as_deref(), Some(&["t@example.com".to_owned()][..]));
        assert_eq!(
            said.cc.as_deref(),
            Some(&["a".to_owned(), "2".to_owned()][..])
        );
        assert_eq!(said.date.as_deref(), Some("2020-01-02"));
        let texts: Vec<(&str, &str)> = said
            .texts
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .collect();
        assert_eq!(
            texts,
            [
                ("from", "f@example.org"),
                ("x_originating_ip", "192.0.2.7"),
                ("reply_to", "r"),
                ("raw_headers", "H: v")
            ]
        );
        assert_eq!(
            json!(said.unsupported),
            json!({"extra_key": "kept", "myodd_key": {"a": 1}})
        );
        assert_eq!(said.ignored, ["status", "source"]);
    }

    #[test]
    fn create_5_8_4_unsupported_attributes_are_kept_on_demand() {
        let yaml = "unsupported_attrs: {X-Thing: 1}\nsubject: s";
        assert_eq!(json!(said(yaml, true).unsupported), json!({"x_thing": 1}));
        assert_eq!(json!(said(yaml, false).unsupported), json!({}));
    }
}
