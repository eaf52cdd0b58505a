//! E-mails: as they went over the wire, as Outlook keeps them, or taken apart by the client. What is attached becomes Samples.

mod attachments;
mod decode;
mod eml;
mod envelope;
mod fields;
mod header;
mod limits;
mod mail;
mod mime;
mod msg;
mod received;
mod tree;
mod yaml;

use critd_sdk::prelude::*;

plugin! {
    name = "email",
    summary = "E-mails with their headers and texts; attachments become samples.",
    types = [Email],
    needs = {
        "create:Sample" = "Attachments become samples.",
    },
}

/// An e-mail: its header, its text, who sent it to whom. What is attached is related to it as samples.
///
/// E-mails have no key: the same message posted twice makes two e-mails.
#[derive(Debug, TloType)]
#[tlo(
    resource = "emails",
    collection = "email",
    schema_version = 2,
    answer_keys = {"forbidden": {"success": false}}
)]
pub struct Email {
    /// The date as the message has it; if it has none, when it was added.
    #[field(required)]
    pub date: String,
    /// What that means. Absent if it can't be read as a time.
    #[field(sortable, indexed)]
    pub isodate: Option<Date>,
    /// Who it claims to be from, as in its header, encoded words decoded.
    #[field(stored = "from", indexed, searchable)]
    pub from_address: Option<String>,
    /// The header, a field on each line.
    #[field(stored = "raw_headers")]
    pub raw_header: Option<String>,
    /// Addresses of those it is for.
    #[field(indexed, searchable)]
    pub to: Vec<String>,
    /// Addresses of those who get a copy.
    #[field(indexed, searchable)]
    pub cc: Vec<String>,
    /// Its subject, encoded words decoded.
    #[field(sortable, indexed, searchable)]
    pub subject: Option<String>,
    /// What separates its parts.
    pub boundary: Option<String>,
    /// How the sending machine named itself.
    pub helo: Option<String>,
    /// Message-ID.
    #[field(indexed, searchable)]
    pub message_id: Option<String>,
    /// Address of the sending machine.
    #[field(indexed)]
    pub originating_ip: Option<String>,
    /// All texts of the message, in their order.
    pub raw_body: Option<String>,
    /// Where answers go.
    pub reply_to: Option<String>,
    /// Who sent it.
    #[field(indexed, searchable)]
    pub sender: Option<String>,
    /// Address from which it was written.
    #[field(indexed)]
    pub x_originating_ip: Option<String>,
    /// Program with which it was written.
    #[field(indexed, searchable)]
    pub x_mailer: Option<String>,
    /// Other fields of the header, in lower case, `_` for `-`.
    #[field(kind = "map", protected)]
    pub unsupported_attrs: Json,
}

/// How an e-mail is uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum UploadType {
    /// A message as a file.
    Eml,
    /// A message of Outlook.
    Msg,
    /// A message as a text.
    Raw,
    /// A YAML mapping of fields.
    Yaml,
    /// The fields themselves.
    Fields,
}

/// What a new e-mail is made of.
#[derive(Debug, Args)]
pub struct NewEmail {
    /// `eml`: a message as a file. `raw`: the same as a text, whose folded lines may have been lost. `msg`: a message of
    /// Outlook. `yaml`: a YAML mapping of fields. `fields`: the arguments below.
    #[arg(
        missing = "You must specify the upload type.",
        invalid = "Unknown or unsupported upload type.",
        example = "eml"
    )]
    pub upload_type: UploadType,
    /// The message, for all upload types but `fields`.
    #[arg(example = "message.eml")]
    pub filedata: Option<Upload>,
    /// Name of the source that told of it. Required, but to change an e-mail by `email_id`.
    #[arg(synonyms("source_name"), example = "Example CERT")]
    pub source: Option<String>,
    /// Only for `yaml`: the e-mail to change. Only what the mapping names is overwritten.
    #[arg(example = "5b2c3d4e5f60718293a40050")]
    pub email_id: Option<String>,
    /// Only for `yaml`: keep what the mapping has under `unsupported_attrs`.
    pub save_unsupported: bool,
    /// Only for `msg`: the password of attached archives.
    #[arg(secret, trim = false)]
    pub password: Option<String>,
    /// Only for `fields`, as all that follows: the date as the message has it. Without it: now.
    #[arg(max_length = 65536, example = "Wed, 02 May 2018 07:58:31 +0000")]
    pub date: Option<String>,
    /// Addresses of those it is for, separated by commas.
    #[arg(required = false, example = "victim@example.org")]
    pub to: Vec<String>,
    /// Addresses of those who get a copy, separated by commas.
    #[arg(required = false, example = "other@example.org")]
    pub cc: Vec<String>,
    /// Who it claims to be from.
    #[arg(
        max_length = 65536,
        synonyms("from"),
        example = "Billing <billing@example.com>"
    )]
    pub from_address: Option<String>,
    /// Who sent it.
    #[arg(max_length = 65536, example = "billing@example.com")]
    pub sender: Option<String>,
    /// Its subject.
    #[arg(max_length = 65536, example = "Invoice 17")]
    pub subject: Option<String>,
    /// Where answers go.
    #[arg(max_length = 65536, example = "billing@example.net")]
    pub reply_to: Option<String>,
    /// How the sending machine named itself.
    #[arg(max_length = 65536, example = "mail.example.com")]
    pub helo: Option<String>,
    /// What separates its parts.
    #[arg(max_length = 65536, example = "b1")]
    pub boundary: Option<String>,
    /// Message-ID.
    #[arg(max_length = 65536, example = "<17@mail.example.com>")]
    pub message_id: Option<String>,
    /// The header.
    #[arg(
        max_length = 1048576,
        type = "text",
        synonyms("raw_headers"),
        example = "From: Billing <billing@example.com>"
    )]
    pub raw_header: Option<String>,
    /// The text.
    #[arg(
        max_length = 33554432,
        type = "text",
        example = "Please see attachment."
    )]
    pub raw_body: Option<String>,
    /// Address of the sending machine.
    #[arg(max_length = 65536, example = "192.0.2.7")]
    pub originating_ip: Option<String>,
    /// Address from which it was written.
    #[arg(max_length = 65536, example = "192.0.2.8")]
    pub x_originating_ip: Option<String>,
    /// Program with which it was written.
    #[arg(max_length = 65536, example = "ExampleMailer 1.0")]
    pub x_mailer: Option<String>,
    /// What is known about the e-mail.
    #[arg(max_length = 65536, example = "Sent to all of accounting")]
    pub description: Option<String>,
}

/// Create.md 5.8: adds an e-mail, or changes one.
///
/// # Errors
///
/// No file, or one that is not of the type said; no source, or one that the user may not write with; more parts, attachments
/// or bytes than an e-mail may have; attachments that can't be added.
#[create(Email, touches("create:Sample"))]
#[example(
    "fields",
    args = {"upload_type": "fields", "from": "Billing <billing@example.com>", "to": "a@example.org, b@example.org", "subject": "Invoice 17", "source_name": "Example"},
    message = ""
)]
#[example("no upload type", args = {"source": "Example"}, fault = {"invalid": "upload_type", "message": "You must specify the upload type."})]
#[example("an upload type that is none", args = {"upload_type": "mbox", "source": "Example"}, fault = {"invalid": "upload_type", "message": "Unknown or unsupported upload type."})]
#[example("no file", args = {"upload_type": "eml", "source": "Example"}, fault = {"invalid": "filedata", "message": "No file uploaded."})]
#[example("fields without a source", args = {"upload_type": "fields", "subject": "Invoice 17"}, fault = {"invalid": "source", "message": "Missing source information."})]
pub fn create(call: &Call, args: NewEmail, shared: &Shared) -> Outcome {
    match args.upload_type {
        UploadType::Eml => eml::add(call, eml::Form::Eml, args.filedata, shared),
        UploadType::Raw => eml::add(call, eml::Form::Raw, args.filedata, shared),
        UploadType::Msg => msg::add(call, &args, shared),
        UploadType::Yaml => yaml::add(call, &args, shared),
        UploadType::Fields => fields::add(call, args, shared),
    }
}

#[cfg(test)]
mod tests;
