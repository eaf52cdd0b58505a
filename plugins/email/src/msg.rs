//! `msg`: a message as Outlook stores it (create.md 5.8.3).

mod storage;

use critd_sdk::prelude::*;

use self::storage::{File, Storage};
use crate::attachments;
use crate::mail::{self, Mail};
use crate::{NewEmail, header, limits, mime, received};

/// What is said of anything but an OLE2 file.
pub(crate) const NOT_OLE2: &str =
    "The upload file is not a valid Outlook file. It must be in OLE2 format (.msg)";
const PREFIX: &str = "Outlook MSG Upload";

/// Shared arguments that the attachments take over.
const GIVEN: [&str; 5] = ["source", "reference", "tlp", "campaign", "confidence"];

/// What a message says, and its attachments.
#[derive(Debug, Default)]
struct Message {
    mail: Mail,
    attachments: Vec<Attachment>,
}

/// An attachment that is still in the file.
#[derive(Debug)]
struct Attachment {
    name: String,
    mime: String,
    content: Content,
}

#[derive(Debug)]
enum Content {
    /// Path of a stream.
    Stream(String),
    /// A message within the message, which has been read.
    Message,
    /// An object of another program, or nothing at all.
    Nothing(&'static str),
}

/// Adds the message in a file.
///
/// # Errors
///
/// The texts of create.md 5.8.3; that of an attachment which can't be added is part of the answer instead.
pub(crate) fn add(call: &Call, args: &NewEmail, shared: &Shared) -> Outcome {
    let upload = args
        .filedata
        .ok_or_else(|| invalid("filedata", "No file uploaded."))?;
    let not_ole2 = || invalid("filedata", NOT_OLE2);
    if !storage::is_ole2(&upload.read(0, 8)?) {
        return Err(not_ole2());
    }
    let bytes = limits::read(upload, limits::MESSAGE_BYTES)?;
    let mut file = storage::open(bytes).ok_or_else(not_ole2)?;
    let domain = call.setting("mail_domain").unwrap_or_default();
    let message = Message::read(&mut Storage::root(&mut file), &domain, 0);
    let source = mail::require_source(shared, mail::NO_SOURCE)?.to_owned();
    if message.attachments.len() > limits::ATTACHMENTS {
        let most = limits::ATTACHMENTS;
        return Err(limits::too_large(format!(
            "The e-mail has more than {most} attachments."
        )));
    }
    let mut email = message
        .mail
        .store(call, PREFIX, "Failed to save object.", shared)?;
    let given = shared.params().clone().only(&GIVEN).with("source", source);
    let mut report = Vec::with_capacity(message.attachments.len());
    for attachment in &message.attachments {
        report.push(attachment.add(call, &mut file, &mut email, args, &given)?);
    }
    let report = if mail::has_markup(call) {
        let lines: Vec<String> = report.iter().map(|line| mail::escaped(line)).collect();
        lines.join("<br/>")
    } else {
        report.join("\n")
    };
    Ok(Answer::new(report).document(&email))
}

impl Attachment {
    /// Adds it; the line of the report.
    fn add(
        &self,
        call: &Call,
        file: &mut File,
        email: &mut Tlo,
        args: &NewEmail,
        given: &Params,
    ) -> Result<String, Fault> {
        let name = &self.name;
        if self.mime.to_ascii_lowercase().contains("pkcs7") {
            return Ok(format!("{name}: Cannot decrypt attachment (pkcs7)."));
        }
        let content = match &self.content {
            Content::Message => {
                return Ok(format!(
                    "{name}: Embedded message; its text is part of the body, its attachments were added on their own."
                ));
            }
            Content::Nothing(why) => return Ok(format!("{name}: {why}")),
            Content::Stream(path) => storage::stream(file, path).unwrap_or_default(),
        };
        if content.is_empty() {
            return Ok(format!("{name}: The attachment is empty."));
        }
        let upload = Upload::make(name, &content)?;
        drop(content);
        let (_, kind) = upload.kind()?;
        let mut given = given.clone();
        let format = match kind.as_str() {
            "application/zip" => Some("zip"),
            "application/vnd.rar" | "application/x-rar" | "application/x-rar-compressed" => {
                Some("rar")
            }
            _ => None,
        };
        if format.is_some() {
            given = given
                .with("file_format", format)
                .with("password", args.password.as_deref());
        }
        let file = attachments::File {
            upload,
            name: name.clone(),
            md5: String::new(),
        };
        Ok(match attachments::add(email, &file, &given) {
            Ok(()) => format!("{name}: Added Successfully!"),
            Err(Fault::Internal(reason)) => {
                log::error!("attachment {name}: {reason}");
                format!(
                    "The email uploaded successfully, but there was an error uploading the attachment {name}"
                )
            }
            Err(fault) => {
                call.warn(&format!("The attachment {name} was not added."));
                format!("{name}: {}", mail::text_of(&fault))
            }
        })
    }
}

impl Message {
    /// Reads the message in a storage.
    fn read(storage: &mut Storage<'_>, domain: &str, depth: usize) -> Self {
        let mut mail = Mail::default();
        let text = storage.text("007D").unwrap_or_default();
        mail.raw_headers = mail::cut(&text, limits::HEADER_BYTES).to_owned();
        let headers = mail.raw_headers.clone();
        let block = header::block(headers.as_bytes(), limits::HEADER_FIELDS);
        let decoded = |name: &str| block.last(name).map(header::decoded).unwrap_or_default();
        let received: Vec<String> = block.all("received").map(header::raw).collect();
        let way = received::way(&received, domain);

        let subject = storage
            .text("0037")
            .map(|text| header::raw(text.as_bytes()));
        mail.set("subject", subject.unwrap_or_else(|| decoded("subject")));
        mail.date = decoded("date");
        mail.fallback_dates = received
            .iter()
            .filter_map(|field| header::received_date(field))
            .take(limits::DATES)
            .collect();
        let from = match decoded("from") {
            from if !from.is_empty() => from,
            // Messages that were never sent over the wire have no header.
            _ => storage
                .text("5D01")
                .or_else(|| storage.text("0C1F"))
                .unwrap_or_default(),
        };
        let first = |name: &str| {
            let value = block.last(name)?;
            header::addresses(value).into_iter().next()
        };
        let sender = first("sender").or_else(|| first("from"));
        for (name, text) in [
            ("sender", sender.unwrap_or_default()),
            ("from", from),
            ("reply_to", decoded("reply-to")),
            ("message_id", decoded("message-id")),
            ("x_mailer", decoded("x-mailer")),
        ] {
            mail.set_even_empty(name, text);
        }
        let origin = header::originating_ip(&decoded("x-originating-ip"));
        let origin = Some(origin).filter(|origin| !origin.is_empty());
        mail.set_even_empty(
            "x_originating_ip",
            origin.or(way.origin.clone()).unwrap_or_default(),
        );
        mail.set("helo", way.helo.clone());
        mail.to = recipients(storage, &block, &way);
        mail.set_body(&body(storage));

        let mut message = Self {
            mail,
            attachments: Vec::new(),
        };
        for path in storage.children("__attach_version1.0_") {
            message.attachment(&mut storage.at(path), domain, depth);
        }
        message
    }

    /// Takes up an attachment; of a message within the message, its text and its attachments.
    fn attachment(&mut self, storage: &mut Storage<'_>, domain: &str, depth: usize) {
        let name = ["3707", "3704", "3001"]
            .iter()
            .find_map(|property| storage.text(property))
            .and_then(|name| mime::file_name(&name))
            .unwrap_or_else(|| format!("attachment {}", self.attachments.len() + 1));
        let mime = storage.text("370E").unwrap_or_default();
        let content = if let Some(path) = storage.binary_path("3701") {
            Content::Stream(path)
        } else if let Some(mut inner) = storage.embedded() {
            if depth >= limits::EMBEDDED_DEPTH {
                Content::Nothing("Embedded message; it lies too deep and was not added.")
            } else if inner.is_message() {
                let inner = Self::read(&mut inner, domain, depth + 1);
                self.mail.add_body(&inner.mail.as_text(&name));
                self.attachments.extend(inner.attachments);
                Content::Message
            } else {
                Content::Nothing("Embedded object of another program; it was not added.")
            }
        } else {
            Content::Nothing("The attachment has no content.")
        };
        self.attachments.push(Attachment {
            name,
            mime,
            content,
        });
    }
}

/// Create.md 5.8.3, `to`: of the recipients, then of the header, then of the hop by which it came in.
fn recipients(
    storage: &mut Storage<'_>,
    block: &header::Block<'_>,
    way: &received::Way,
) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for path in storage.children("__recip_version1.0_") {
        let mut recipient = storage.at(path);
        let address = recipient
            .text("39FE")
            .or_else(|| recipient.text("3003").filter(|text| text.contains('@')));
        all.extend(address);
    }
    for name in ["to", "cc", "resent-to", "resent-cc"] {
        let Some(value) = block.last(name) else {
            continue;
        };
        all.extend(header::addresses(value));
    }
    all.extend(way.recipient.clone());
    let lower = all
        .iter()
        .map(|address| header::raw(address.as_bytes()).to_lowercase());
    critd_sdk::merge::distinct(lower.filter(|address| !address.contains("undisclosed-recipients")))
}

/// The text of a message, or what stands for it.
fn body(storage: &mut Storage<'_>) -> String {
    if let Some(text) = storage.text("1000").filter(|text| !text.trim().is_empty()) {
        return text;
    }
    let class = storage
        .text("001A")
        .unwrap_or_default()
        .to_ascii_lowercase();
    match class.trim() {
        "ipm.note.smime" => "<ENCRYPTED>".to_owned(),
        "ipm.note.smime.multipartsigned" => "<DIGITALLY SIGNED: body in smime.p7m>".to_owned(),
        _ => storage.text("1013").unwrap_or_default(),
    }
}
