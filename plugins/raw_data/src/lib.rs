//! Raw data: text of any kind that is worth keeping.

mod retype;
mod text;

use critd_sdk::prelude::*;
use critd_sdk::versions;

use retype::update_raw_data_type;
use text::Text;

plugin! {
    name = "raw_data",
    summary = "Raw data: text of any kind that is worth keeping, in versions.",
    types = [RawData],
    actions = [update_raw_data_type],
}

/// Text that is worth keeping: an extract of a log, a configuration, the output of a tool.
///
/// The bytes are the key: equal data is one object, whatever its title. Files that are no UTF-8 are kept as well:
/// `data_encoding` then says in which encoding `data` gives the bytes again.
#[derive(Debug, TloType)]
#[tlo(
    resource = "raw_data",
    collection = "raw_data",
    schema_version = 2,
    keys(md5),
    lookup = "md5",
    permission_check = "within"
)]
pub struct RawData {
    /// What it is called.
    #[field(sortable, indexed, searchable)]
    pub title: String,
    /// What kind of text it is, one of those that the server knows: `JSON`.
    #[field(sortable, indexed, vocab = "raw-data-types")]
    pub data_type: String,
    /// The text itself.
    pub data: String,
    /// Absent for UTF-8. `iso-8859-1`: the file was no UTF-8, and encoding `data` in this gives its bytes.
    pub data_encoding: String,
    /// MD5 of the bytes that were sent.
    #[field(indexed)]
    pub md5: String,
    /// What all its versions have in common.
    #[field(required, kind = "uuid", indexed)]
    pub link_id: String,
    /// Number of the version, from 1.
    #[field(sortable, indexed)]
    pub version: i64,
    /// The tool that made it.
    pub tool: Option<Tool>,
    /// Lines that somebody marked.
    pub highlights: Vec<Highlight>,
    /// Remarks on lines.
    pub inlines: Vec<Inline>,
}

/// The tool that made raw data.
#[derive(Debug, Fields)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// How it was used.
    pub details: String,
}

/// A line that somebody marked.
#[derive(Debug, Fields)]
pub struct Highlight {
    /// Number of the line.
    pub line: i64,
    /// The line.
    pub line_data: String,
    /// Why.
    pub comment: String,
    /// Who.
    pub analyst: String,
    /// When.
    pub date: Option<Date>,
    /// The time that the line tells of.
    pub line_date: Option<Date>,
}

/// A remark on a line.
#[derive(Debug, Fields)]
pub struct Inline {
    /// Number of the line.
    pub line: i64,
    /// The remark.
    pub comment: String,
    /// Number of the remark on that line.
    pub counter: i64,
    /// Who.
    pub analyst: String,
    /// When.
    pub date: Option<Date>,
}

/// Where the text is.
#[derive(Debug, Clone, Copy, Choice)]
pub enum UploadType {
    /// In the argument `data`.
    Metadata,
    /// In the file.
    File,
}

/// What new raw data is made of.
#[derive(Debug, Args)]
pub struct NewRawData {
    /// Where the text is: in `data`, or in the file. Must be given.
    #[arg(invalid = "Not a valid upload type.", example = "metadata")]
    pub upload_type: Option<UploadType>,
    /// The file, with `upload_type=file`. Bytes that are no UTF-8 are kept as ISO 8859-1.
    pub filedata: Option<Upload>,
    /// What it is called. Must be given.
    #[arg(required = false, example = "proxy log extract")]
    pub title: String,
    /// What kind of text it is: one of the server's raw data types. Must be given.
    #[arg(required = false, example = "Text")]
    pub data_type: String,
    /// The text, with `upload_type=metadata`; kept as it is sent.
    #[arg(
        type = "text",
        required = false,
        example = "2018-05-08 GET http://www.example.org/"
    )]
    pub data: String,
    /// Name of the source that told of it. Must be given.
    #[arg(required = false, synonyms("source_name"), example = "Example CERT")]
    pub source: String,
    /// What is known about it.
    #[arg(example = "Who asked for the gate")]
    pub description: Option<String>,
    /// The tool that made it.
    #[arg(example = "grep")]
    pub tool_name: Option<String>,
    /// Version of that tool.
    #[arg(required = false, example = "3.1")]
    pub tool_version: String,
    /// How it was used.
    #[arg(required = false)]
    pub tool_details: String,
    /// UUID that all versions of the data have. New data gets the next number; known data moves there.
    #[arg(example = "0f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f0")]
    pub link_id: Option<String>,
    /// With `link_id`: also give it the relationships of the version before.
    pub copy_relationships: bool,
}

/// Create.md 5.15: adds raw data, or a source to the data that is known.
///
/// # Errors
///
/// Something lacks; no right to create; an unknown type; a source that the user may not write with.
#[create(RawData)]
#[example(
    "new data",
    args = {"upload_type": "metadata", "data": "line one\nline two", "title": "Log", "data_type": "Text", "source": "Example"},
    message = "Uploaded raw_data"
)]
#[example(
    "a file",
    args = {"upload_type": "file", "title": "Log", "data_type": "Text", "source": "Example", "tool_name": "grep"},
    files = {"filedata": {"name": "log.txt", "text": "line one"}},
    message = "Uploaded raw_data"
)]
#[example("no upload type", args = {"title": "Log"}, fault = {"invalid": "upload_type", "message": "Must provide an upload type."})]
#[example("no file", args = {"upload_type": "file"}, fault = {"invalid": "filedata", "message": "Upload type of 'file' but no file uploaded."})]
#[example("no title", args = {"upload_type": "metadata"}, fault = {"invalid": "title", "message": "Must provide a title."})]
#[example("no type", args = {"upload_type": "metadata", "title": "Log"}, may = ["read"], fault = {"invalid": "data_type", "message": "Must provide a data type."})]
#[example(
    "no right to create",
    args = {"upload_type": "metadata", "title": "Log", "data_type": "Text"}, may = ["read"],
    fault = {"refused": "forbidden", "message": "User does not have permission to create Object."}
)]
#[example(
    "no text",
    args = {"upload_type": "metadata", "title": "Log", "data_type": "Text"},
    fault = {"invalid": "data", "message": "No data object, title, or data type passed in"}
)]
#[example(
    "no source",
    args = {"upload_type": "metadata", "title": "Log", "data_type": "Zoo", "data": "x"},
    fault = {"invalid": "source", "message": "Missing source information."}
)]
#[example(
    "an unknown type",
    args = {"upload_type": "metadata", "title": "Log", "data_type": "Zoo", "data": "x", "source": "Other"},
    fault = {"invalid": "data_type", "message": "Invalid data type passed in"}
)]
pub fn create(call: &Call, args: NewRawData, shared: &Shared) -> Outcome {
    let text = checked(call, &args, shared)?;
    let link = args.link_id.as_deref().map(versions::link_id).transpose()?;
    shared.require_source(SourceText::Object)?;

    let (mut raw_data, origin) = Tlo::make::<RawData>([("md5", &text.md5)])?;
    if origin == Origin::Fresh {
        raw_data.set_many(params! {
            "title" => &args.title,
            "data_type" => &args.data_type,
            "data" => text.text,
            "data_encoding" => text.encoding,
            "description" => args.description.as_deref().unwrap_or_default(),
        })?;
        if let Some(name) = &args.tool_name {
            let tool =
                json!({ "name": name, "version": args.tool_version, "details": args.tool_details });
            raw_data.set("tool", tool)?;
        }
    }
    versions::join(
        call,
        &mut raw_data,
        link.as_deref(),
        args.copy_relationships,
    )?;
    let method = shared.text("method").unwrap_or("Upload").to_owned();
    raw_data.merge_shared(shared.clone().with("method", method))?;
    Ok(Answer::new("Uploaded raw_data").document(&raw_data))
}

/// The checks in the order of create.md 5.15, up to the one of the type. The text that was sent.
fn checked(call: &Call, args: &NewRawData, shared: &Shared) -> Result<Text, Fault> {
    let file = match (args.upload_type, args.filedata) {
        (None, _) => return Err(invalid("upload_type", "Must provide an upload type.")),
        (Some(UploadType::File), None) => {
            return Err(invalid(
                "filedata",
                "Upload type of 'file' but no file uploaded.",
            ));
        }
        (Some(UploadType::File), file) => file,
        (Some(UploadType::Metadata), _) => None,
    };
    if args.title.is_empty() {
        return Err(invalid("title", "Must provide a title."));
    }
    if args.data_type.is_empty() {
        return Err(invalid("data_type", "Must provide a data type."));
    }
    call.require("write")?;
    let text = match file {
        Some(file) => Text::of_file(file)?,
        None => Text::of(args.data.clone().into_bytes())?,
    };
    if text.text.is_empty() {
        return Err(invalid(
            "data",
            "No data object, title, or data type passed in",
        ));
    }
    if shared.source().is_none() {
        return Err(invalid("source", "Missing source information."));
    }
    if !registers::has("raw-data-type", &args.data_type) {
        return Err(invalid("data_type", "Invalid data type passed in"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_examples_hold() {
        critd_sdk::bench::check::<super::Plugin>();
    }
}
