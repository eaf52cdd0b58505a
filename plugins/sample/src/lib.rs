//! Samples: files as they were met with, or what is known of a file that is not at hand.

mod archive;
mod capture;
mod names;
mod relations;
mod single;

use critd_sdk::prelude::*;

use names::{modify_sample_filenames, update_sample_filename};
use single::Posted;

plugin! {
    name = "sample",
    summary = "Samples: files, or what is known of them, with digests and types; archives are unpacked.",
    types = [Sample],
    actions = [update_sample_filename, modify_sample_filenames],
    needs = {
        "create:PCAP" = "Captures of network traffic that come as samples become PCAPs.",
    },
}

/// A file that was met with: a dropper, a document, a tool. Or, without the bytes, what is known of it.
///
/// The MD5 is the key. A sample known by its digests alone gets the bytes when somebody sends them.
#[derive(Debug, TloType)]
#[tlo(
    resource = "samples",
    collection = "sample",
    schema_version = 5,
    keys(md5),
    lookup = "md5",
    triage = "unanalysed",
    permission_check = "within"
)]
pub struct Sample {
    /// The file. Absent if only its digests are known.
    #[field(kind = "file", bucket = "sample")]
    pub filedata: Option<ObjectId>,
    /// Name under which it was first met.
    #[field(required, sortable, indexed, searchable)]
    pub filename: String,
    /// Other names it was met under.
    #[field(indexed, searchable)]
    pub filenames: Vec<String>,
    /// What the file is, found from its content: `PE32 executable (GUI) for MS Windows`.
    #[field(sortable, indexed, searchable)]
    pub filetype: Option<String>,
    /// MIME type, found from the content, or as it was told.
    #[field(indexed)]
    pub mimetype: Option<String>,
    /// Bytes.
    #[field(default = 0, sortable, indexed)]
    pub size: i64,
    /// MD5 of the bytes.
    #[field(required, sortable, indexed, searchable)]
    pub md5: String,
    /// SHA-1 of the bytes.
    #[field(indexed, searchable)]
    pub sha1: Option<String>,
    /// SHA-256 of the bytes.
    #[field(indexed, searchable)]
    pub sha256: Option<String>,
    /// Fuzzy digest of the bytes.
    #[field(indexed, searchable)]
    pub ssdeep: Option<String>,
    /// Fuzzy digest of what a Windows program imports; absent for other files.
    #[field(indexed, searchable)]
    pub impfuzzy: Option<String>,
}

/// What a new sample is made of.
#[derive(Debug, Args)]
pub struct NewSample {
    /// `file` for bytes, `metadata` for digests alone.
    #[arg(
        required,
        enum("metadata", "file", "meta"),
        missing = "Must provide an upload type.",
        invalid = "Not a valid upload type.",
        example = "file"
    )]
    pub upload_type: String,
    /// The bytes, as a file part of a multipart form.
    #[arg(example = "invoice.exe")]
    pub filedata: Option<Upload>,
    /// `raw`: the file is the sample. `zip`, `rar`, `7z`: it is an archive whose members are the samples; which of the three
    /// it is, is found from its content. The archive itself is not stored.
    #[arg(
        enum("raw", "zip", "rar", "7z"),
        default = "raw",
        invalid = "'{value}' is not a valid file format.",
        example = "zip"
    )]
    pub file_format: String,
    /// Password of the archive. Without one, an encrypted archive is tried with `infected`.
    #[arg(secret, trim = false)]
    pub password: Option<String>,
    /// Its name, in place of that of the file part.
    #[arg(example = "invoice.exe")]
    pub filename: Option<String>,
    /// MD5, 32 hexadecimal digits. Required for metadata; bytes speak for themselves.
    #[arg(example = "0123456789abcdef0123456789abcdef")]
    pub md5: Option<String>,
    /// SHA-1, 40 hexadecimal digits.
    #[arg(example = "f572d396fae9206628714fb2ce00f72e94f2258f")]
    pub sha1: Option<String>,
    /// SHA-256, 64 hexadecimal digits.
    #[arg(example = "f572d396fae9206628714fb2ce00f72e94f2258f89abcdef0123456789abcdef")]
    pub sha256: Option<String>,
    /// Bytes.
    #[arg(example = 48128)]
    pub size: Option<i64>,
    /// MIME type. Bytes speak for themselves.
    #[arg(example = "application/x-dosexec")]
    pub mimetype: Option<String>,
    /// Name of the source that told of it. Required.
    #[arg(synonyms("source_name"), example = "Example CERT")]
    pub source: Option<String>,
    /// What is known about it. If the sample exists, a text that is not yet part of its description is appended on a line
    /// of its own.
    #[arg(example = "Dropper of the invoice wave")]
    pub description: Option<String>,
    /// Id of an object to relate to, with `related_type`.
    #[arg(example = "5b2c3d4e5f60718293a4b5c6")]
    pub related_id: Option<String>,
    /// MD5 of a sample to relate to, or with `related_type` the natural key of another object. If it is that of the archive
    /// sent, its members are related to it as `Compressed Into`.
    #[arg(example = "0123456789abcdef0123456789abcdef")]
    pub related_md5: Option<String>,
    /// Type of that object.
    #[arg(example = "Email")]
    pub related_type: Option<String>,
    /// Name of the relationship, read from the sample's side. Without it `Contained Within` for an e-mail, else
    /// `Related To`.
    #[arg(
        vocab = "RelationshipTypes",
        synonyms("relationship_type"),
        invalid = "Could not find relationship type",
        example = "Related To"
    )]
    pub relationship: Option<String>,
    /// Name of a backdoor that is there already, to relate to.
    #[arg(example = "ExampleRAT")]
    pub backdoor_name: Option<String>,
    /// Its version, to relate to that one too.
    #[arg(example = "2.1")]
    pub backdoor_version: Option<String>,
}

/// Create.md 5.16: adds a sample, or brings the one of this MD5 up to date.
///
/// # Errors
///
/// Neither bytes nor MD5; digests that are none; a related object that is not there; no source, or one that the user may not
/// write with; an archive that can't be unpacked.
#[create(Sample, touches("create:PCAP"))]
#[example(
    "digests alone",
    args = {"upload_type": "metadata", "md5": "0123456789ABCDEF0123456789abcdef", "filename": "invoice.exe", "source": "Example"},
    message = "Success: Added new sample 0123456789abcdef0123456789abcdef."
)]
#[example(
    "digests that are known",
    before = {"md5": "0123456789abcdef0123456789abcdef", "filename": "invoice.exe", "filenames": []},
    args = {"upload_type": "meta", "md5": "0123456789abcdef0123456789abcdef", "filename": "invoice(1).exe", "source": "Example"},
    message = "Success: Updated sample 0123456789abcdef0123456789abcdef."
)]
#[example("a file is missing", args = {"upload_type": "file", "source": "Example"}, fault = {"invalid": "filedata", "message": "Upload type of 'file' but no file uploaded."})]
#[example("no MD5", args = {"upload_type": "metadata", "sha256": "f572d396fae9206628714fb2ce00f72e94f2258f89abcdef0123456789abcdef", "source": "Example"}, fault = {"invalid": "md5", "message": "At least MD5 hash is required."})]
#[example("half an MD5", args = {"upload_type": "metadata", "md5": "0123456789abcdef", "source": "Example"}, fault = {"invalid": "md5", "message": "The MD5 digest needs to be 32 hex characters."})]
#[example("half a relationship", args = {"upload_type": "metadata", "md5": "0123456789abcdef0123456789abcdef", "related_type": "Email", "source": "Example"}, fault = {"invalid": "related_type", "message": "Must specify related_type and related_id"})]
pub fn create(call: &Call, args: NewSample, shared: &Shared) -> Outcome {
    let file = if args.upload_type == "file" {
        let missing = "Upload type of 'file' but no file uploaded.";
        Some(args.filedata.ok_or_else(|| invalid("filedata", missing))?)
    } else {
        None
    };
    relations::check_pair(&args)?;
    call.require("write")?;
    shared
        .source()
        .ok_or_else(|| invalid("source", "Missing source information."))?;
    let Some(file) = file else {
        let posted = Posted::of_metadata(&args)?;
        return Ok(single::store(call, &args, shared, &posted, None)?.answer());
    };
    if file.size()? == 0 {
        return Err(invalid("md5", "At least MD5 hash is required."));
    }
    if args.file_format != "raw" {
        return store_members(call, &args, shared, file);
    }
    let name = match &args.filename {
        Some(name) => single::legible(name),
        None => file.file_name()?,
    };
    Ok(single::store_file(call, &args, shared, file, &name, None)?.answer())
}

/// Unpacks an archive; every member is a sample of its own, with the same sources, campaigns and so on.
fn store_members(call: &Call, args: &NewSample, shared: &Shared, file: Upload) -> Outcome {
    // Looked at again with each member; unpacking takes its time.
    shared.require_source(SourceText::Object)?;
    let members = archive::unpack(file, args.password.as_deref())?;
    let md5 = file.digest("md5")?;
    let md5 = md5.ok_or_else(|| internal("no MD5 was answered"))?;
    let (mut first, mut ids, mut messages) = (None, Vec::new(), Vec::new());
    for member in members {
        let stored = single::store_file(call, args, shared, member.file, &member.name, Some(&md5))?;
        let id = Json::from(stored.tlo.id()?.as_str());
        if !ids.contains(&id) {
            ids.push(id);
            messages.push(stored.message);
        }
        first.get_or_insert(stored.tlo);
    }
    let first = first.ok_or_else(|| internal("an archive without members"))?;
    let answer = Answer::new(messages.join(" ")).document(&first);
    Ok(answer.extra("ids", ids))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_examples_hold() {
        critd_sdk::bench::check::<super::Plugin>();
    }
}
