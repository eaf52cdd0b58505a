//! Signatures: rules by which programs recognise attacks (create.md 5.19), and their own actions (actions.md section 5).

mod dependency;
mod edit;

use critd_sdk::prelude::*;
use critd_sdk::{digest, versions};

use dependency::update_dependency;
use edit::{
    update_max_version, update_min_version, update_signature_data, update_signature_type,
    update_title,
};

plugin! {
    name = "signature",
    summary = "Signatures: rules by which programs recognise attacks, in versions.",
    types = [Signature],
    actions = [
        update_dependency,
        update_min_version,
        update_max_version,
        update_signature_data,
        update_signature_type,
        update_title,
    ],
    needs = {
        "registry:signature-dependency" = "`update_dependency` registers names that nobody has used before, for users who may do so.",
    },
}

/// A rule by which a program recognises an attack: a Yara rule, a Snort rule. Its syntax is not looked at.
///
/// A POST with a `link_id` makes a new version. Without one, a signature of the same text and type that the user may see
/// gets another source; else a new one is made.
#[derive(Debug, TloType)]
#[tlo(
    resource = "signatures",
    collection = "signatures",
    schema_version = 1,
    lookup = "md5"
)]
pub struct Signature {
    /// What it is called.
    #[field(sortable, indexed, searchable)]
    pub title: String,
    /// What understands it, one of those that the server knows: `Yara`.
    #[field(sortable, indexed, vocab = "signature-types")]
    pub data_type: String,
    /// The rule itself.
    pub data: String,
    /// MD5 of its UTF-8 bytes.
    #[field(indexed)]
    pub md5: String,
    /// Lowest version of the program that understands it.
    #[field(sortable, indexed)]
    pub data_type_min_version: String,
    /// Highest version of the program that understands it.
    #[field(sortable, indexed)]
    pub data_type_max_version: String,
    /// What else the program needs for it.
    #[field(sortable, indexed)]
    pub data_type_dependency: Vec<String>,
    /// What all its versions have in common.
    #[field(required, kind = "uuid", indexed)]
    pub link_id: String,
    /// Number of the version, from 1.
    #[field(sortable, indexed)]
    pub version: i64,
}

/// What a new signature is made of.
#[derive(Debug, Args)]
pub struct NewSignature {
    /// What it is called.
    #[arg(required, missing = "Must provide a title.", example = "example_rat")]
    pub title: String,
    /// What understands it: one of the server's signature types.
    #[arg(required, missing = "Must provide a data type.", example = "Yara")]
    pub data_type: String,
    /// The rule itself, kept as it is sent. Must be given.
    #[arg(
        type = "text",
        required = false,
        example = "rule example_rat { condition: false }"
    )]
    pub data: String,
    /// Name of the source that told of it. Must be given.
    #[arg(required = false, synonyms("source_name"), example = "Example CERT")]
    pub source: String,
    /// Lowest version of the program that understands it.
    #[arg(example = "3.0")]
    pub data_type_min_version: Option<String>,
    /// Highest version of the program that understands it.
    #[arg(example = "4.0")]
    pub data_type_max_version: Option<String>,
    /// What else the program needs for it, separated by commas.
    #[arg(required = false, example = "pe, math")]
    pub data_type_dependency: Vec<String>,
    /// What is known about it.
    #[arg(example = "Finds the strings of ExampleRAT")]
    pub description: Option<String>,
    /// UUID that all versions of the signature have; the new one gets the next number.
    #[arg(example = "3a2b1c0d-9e8f-4706-b5a4-938271605f4e")]
    pub link_id: Option<String>,
    /// With `link_id`: also give it the relationships of the version before.
    pub copy_relationships: bool,
}

/// Create.md 5.19: adds a signature, a version of one, or a source to one that is known.
///
/// # Errors
///
/// No text; no source, or one that the user may not write with; an unknown type; a `link_id` that is no UUID.
#[create(Signature)]
#[example(
    "a new signature",
    args = {"title": "example_rat", "data_type": "Yara", "data": "rule x { condition: false }", "source": "Example"},
    message = "Uploaded signature"
)]
#[example("no title", args = {"data_type": "Yara", "data": "x", "source": "Example"}, fault = {"invalid": "title", "message": "Must provide a title."})]
#[example("no text", args = {"title": "x", "data_type": "Zoo"}, fault = {"invalid": "data", "message": "No data object, title, or data type passed in"})]
#[example("no source", args = {"title": "x", "data_type": "Zoo", "data": "x"}, fault = {"invalid": "source", "message": "Missing source information."})]
#[example(
    "an unknown type",
    args = {"title": "x", "data_type": "Zoo", "data": "x", "source": "Other"},
    fault = {"invalid": "data_type", "message": "Invalid data type passed in"}
)]
#[example(
    "no link",
    args = {"title": "x", "data_type": "Yara", "data": "x", "source": "Example", "link_id": "one"},
    fault = {"invalid": "link_id", "message": "Invalid link_id."}
)]
pub fn create(call: &Call, args: NewSignature, shared: &Shared) -> Outcome {
    if args.data.is_empty() {
        return Err(invalid(
            "data",
            "No data object, title, or data type passed in",
        ));
    }
    if shared.source().is_none() {
        return Err(invalid("source", "Missing source information."));
    }
    if !registers::has("signature-type", &args.data_type) {
        return Err(invalid("data_type", "Invalid data type passed in"));
    }
    let link = args.link_id.as_deref().map(versions::link_id).transpose()?;
    shared.require_source(SourceText::Object)?;

    let md5 = digest::md5(args.data.as_bytes());
    let known = match &link {
        Some(_) => None,
        None => {
            let same = json!({ "md5": md5, "data_type": args.data_type });
            Tlo::select("Signature", &same, 1)?.pop()
        }
    };
    let mut signature = match known {
        Some(known) => known,
        None => {
            let mut signature = new(&args, md5)?;
            versions::join(
                call,
                &mut signature,
                link.as_deref(),
                args.copy_relationships,
            )?;
            signature
        }
    };
    let method = shared.text("method").unwrap_or("Upload").to_owned();
    signature.merge_shared(shared.clone().with("method", method))?;
    Ok(Answer::new("Uploaded signature").document(&signature))
}

fn new(args: &NewSignature, md5: String) -> Result<Tlo, Fault> {
    let (mut signature, _) = Tlo::make::<Signature>(Params::new())?;
    signature.set_many(params! {
        "title" => &args.title,
        "data_type" => &args.data_type,
        "data" => &args.data,
        "md5" => md5,
        "data_type_min_version" => args.data_type_min_version.as_deref(),
        "data_type_max_version" => args.data_type_max_version.as_deref(),
        "data_type_dependency" => &args.data_type_dependency,
        "description" => args.description.as_deref().unwrap_or_default(),
    })?;
    Ok(signature)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_examples_hold() {
        critd_sdk::bench::check::<super::Plugin>();
    }
}
