//! Captures of network traffic, kept as files.

use critd_sdk::prelude::*;

plugin! {
    name = "pcap",
    summary = "Captures of network traffic, with the file.",
    types = [Pcap],
}

/// A capture of network traffic: the file, what it is, and what it is related to.
///
/// The MD5 of the bytes is the key: the same file sent again is the same document. The capture's form is not checked.
#[derive(Debug, TloType)]
#[tlo(
    name = "PCAP",
    resource = "pcaps",
    collection = "pcaps",
    schema_version = 3,
    keys(md5),
    lookup = "md5"
)]
pub struct Pcap {
    /// The file.
    #[field(kind = "file", bucket = "pcaps")]
    pub filedata: Option<ObjectId>,
    /// Name under which it was first sent.
    #[field(required, sortable, indexed, searchable)]
    pub filename: String,
    /// What the file is, found from its content: `pcap capture file, microsecond ts (little-endian) - version 2.4 (Ethernet, capture length 65535)`.
    #[field(name = "contentType")]
    pub content_type: Option<String>,
    /// Bytes.
    #[field(default = 0, sortable)]
    pub length: i64,
    /// MD5 of the bytes.
    #[field(sortable, indexed, searchable)]
    pub md5: String,
}

/// What a new capture is made of.
#[derive(Debug, Args)]
pub struct NewPcap {
    /// The capture, as a file part of a multipart form.
    #[arg(
        required,
        missing = "Upload type of 'file' but no file uploaded.",
        example = "c2.pcap"
    )]
    pub filedata: Upload,
    /// Its name, in place of that of the file part.
    #[arg(example = "c2.pcap")]
    pub filename: Option<String>,
    /// Name of the source that told of it. Required.
    #[arg(synonyms("source_name"), example = "Example CERT")]
    pub source: Option<String>,
    /// What is known about it. Of a capture that exists it changes nothing.
    #[arg(example = "Sandbox traffic of the dropper")]
    pub description: Option<String>,
    /// Id of an object to relate to.
    #[arg(example = "5b2c3d4e5f60718293a4b5c6")]
    pub related_id: Option<String>,
    /// Natural key of an object to relate to: digest, name, address.
    #[arg(example = "0123456789abcdef0123456789abcdef")]
    pub related_md5: Option<String>,
    /// Type of that object. Alone it is ignored.
    #[arg(example = "Sample")]
    pub related_type: Option<String>,
    /// Name of the relationship, read from the side of that object; `Related To` if not given.
    #[arg(
        vocab = "RelationshipTypes",
        synonyms("relationship_type"),
        invalid = "Could not find relationship type",
        example = "Connected From"
    )]
    pub relationship: Option<String>,
}

/// Create.md 5.14: adds a capture, or a source to the one of these bytes.
///
/// # Errors
///
/// No bytes; half of a relationship, or one to something that is not there; no source, or one that the user may not write
/// with.
#[create(Pcap)]
#[example("no file", args = {"source": "Example"}, fault = {"invalid": "filedata", "message": "Upload type of 'file' but no file uploaded."})]
pub fn create(args: NewPcap, shared: &Shared) -> Outcome {
    let size = args.filedata.size()?;
    if size == 0 {
        return Err(invalid("filedata", "No data object passed in"));
    }
    let related = related(&args, shared)?;
    shared
        .source()
        .ok_or_else(|| invalid("source", "Missing source information."))?;

    let md5 = args.filedata.digest("md5")?;
    let md5 = md5.ok_or_else(|| internal("no MD5 was answered"))?;
    let (mut pcap, origin) = Tlo::make::<Pcap>([("md5", &md5)])?;
    if let Some(related) = related {
        pcap.merge_shared(related)?;
    }
    shared.require_source(SourceText::Object)?;
    if origin == Origin::Fresh {
        let name = match args.filename {
            Some(name) => name,
            None => args.filedata.file_name()?,
        };
        pcap.set_many(params! {
            "filename" => name,
            "contentType" => args.filedata.kind()?.0,
            "length" => i64::try_from(size).unwrap_or(i64::MAX),
            "description" => args.description,
        })?;
    }
    if origin == Origin::Fresh || Upload::open(&pcap, "filedata")?.is_none() {
        // Also bytes that were lost (documents.md M26).
        args.filedata.keep(&mut pcap, "filedata")?;
    }
    pcap.merge_shared(shared.params().clone().without(&RELATED))?;
    Ok(Answer::new("Uploaded pcap").document(&pcap))
}

/// Names of the arguments that relate.
const RELATED: [&str; 4] = ["related_id", "related_md5", "related_type", "relationship"];

/// The arguments that relate. The host's rules read a relationship from the new object's side, captures from the other.
fn related(args: &NewPcap, shared: &Shared) -> Result<Option<Params>, Fault> {
    if args.related_id.is_none() && args.related_md5.is_none() {
        return Ok(None);
    }
    if args.related_type.is_none() {
        return Err(invalid(
            "related_type",
            "Must specify both related_type and related_id or related_md5.",
        ));
    }
    let name = args.relationship.as_deref().unwrap_or("Related To");
    let inverse = registers::inverse(name)
        .ok_or_else(|| invalid("relationship", "Could not find relationship type"))?;
    let related = shared.params().clone().only(&RELATED);
    Ok(Some(related.with("relationship", inverse)))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_examples_hold() {
        critd_sdk::bench::check::<super::Plugin>();
    }
}
