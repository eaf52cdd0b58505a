//! `update_min_version`, `update_max_version`, `update_signature_data`, `update_signature_type`, `update_title`. None of
//! them makes a new version.

use critd_sdk::digest;
use critd_sdk::prelude::*;

/// Sets the lowest version of the program that understands the signature.
///
/// # Rules
///
/// update_version.1: any text, which need not be below that of the highest version.
#[action(
    on = "Signature",
    permission = "data_type_min_version_edit",
    refusal = "User does not have permission to edit min version.",
    touches = "self.data_type_min_version",
    answers = "the version: {\"data_type_min_version\": …}"
)]
#[example("a number",
    before = {"data_type_min_version": ""}, args = {"data_type_min_version": 3},
    message = "Data type min version set.", object = {"data_type_min_version": "3"}, operations = [{"set": ["data_type_min_version", "3"]}])]
pub(crate) fn update_min_version(tlo: &mut Tlo, args: UpdateMinVersion) -> Outcome {
    let version = args.data_type_min_version;
    tlo.set("data_type_min_version", &version)?;
    Ok(Answer::new("Data type min version set.")
        .object(json!({ "data_type_min_version": version })))
}

#[derive(Debug, Args)]
pub(crate) struct UpdateMinVersion {
    /// The version; empty to clear it.
    #[arg(type = "text", example = "3.0")]
    data_type_min_version: String,
}

/// Sets the highest version of the program that understands the signature.
///
/// # Rules
///
/// update_version.1: any text, which need not be above that of the lowest version.
#[action(
    on = "Signature",
    permission = "data_type_max_version_edit",
    refusal = "User does not have permission to edit max version.",
    touches = "self.data_type_max_version",
    answers = "the version: {\"data_type_max_version\": …}"
)]
#[example("none",
    before = {"data_type_max_version": "4"}, args = {"data_type_max_version": ""},
    message = "Data type max version set.", object = {"data_type_max_version": ""}, operations = [{"set": ["data_type_max_version", ""]}])]
pub(crate) fn update_max_version(tlo: &mut Tlo, args: UpdateMaxVersion) -> Outcome {
    let version = args.data_type_max_version;
    tlo.set("data_type_max_version", &version)?;
    Ok(Answer::new("Data type max version set.")
        .object(json!({ "data_type_max_version": version })))
}

#[derive(Debug, Args)]
pub(crate) struct UpdateMaxVersion {
    /// The version; empty to clear it.
    #[arg(type = "text", example = "4.0")]
    data_type_max_version: String,
}

/// Replaces the rule itself, which is kept as it is sent, and its MD5.
///
/// # Rules
///
/// update_signature_data.1, ACT-14: entities are not decoded, a rule may hold some.
#[action(
    on = "Signature",
    permission = "data_edit",
    refusal = "User does not have permission to edit data.",
    touches("self.data", "self.md5"),
    answers = "the digest: {\"md5\": …}"
)]
#[example("another rule",
    before = {"data": "x", "md5": "9dd4e461268c8034f5c8564e155c67a6"}, args = {"data": "rule y { condition: true } // &lt;\n"},
    message = "Signature value updated.", object = {"md5": "510cd32c641995168a65286682e69d8b"})]
#[example("nothing to do",
    before = {"data": "x", "md5": "9dd4e461268c8034f5c8564e155c67a6"}, args = {"data": "x"},
    message = "Signature value updated.", operations = [])]
pub(crate) fn update_signature_data(tlo: &mut Tlo, args: UpdateSignatureData) -> Outcome {
    let md5 = digest::md5(args.data.as_bytes());
    tlo.set_many(params! { "data" => args.data, "md5" => &md5 })?;
    Ok(Answer::new("Signature value updated.").object(json!({ "md5": md5 })))
}

#[derive(Debug, Args)]
pub(crate) struct UpdateSignatureData {
    /// The rule.
    #[arg(
        type = "text",
        nonempty,
        example = "rule example_rat { condition: false }"
    )]
    data: String,
}

/// Says what understands the signature.
///
/// # Rules
///
/// update_signature_type.1 is the host's.
#[action(
    on = "Signature",
    permission = "data_type_edit",
    refusal = "User does not have permission to edit data type.",
    touches = "self.data_type",
    answers = "the type: {\"data_type\": …}"
)]
#[example("another program",
    before = {"data_type": "Yara"}, args = {"data_type": "Snort"},
    message = "Data type set.", object = {"data_type": "Snort"}, operations = [{"set": ["data_type", "Snort"]}])]
#[example("a program that the server does not know",
    before = {"data_type": "Yara"}, args = {"data_type": "Zoo"},
    fault = {"invalid": "data_type", "message": "Invalid data type passed in"})]
pub(crate) fn update_signature_type(tlo: &mut Tlo, args: UpdateSignatureType) -> Outcome {
    tlo.set("data_type", &args.data_type)?;
    Ok(Answer::new("Data type set.").object(json!({ "data_type": args.data_type })))
}

#[derive(Debug, Args)]
pub(crate) struct UpdateSignatureType {
    /// One of the server's signature types.
    #[arg(
        vocab = "signature-types",
        invalid = "Invalid data type passed in",
        example = "Yara"
    )]
    data_type: String,
}

/// Sets what the signature is called.
///
/// # Rules
///
/// update_title.1, ACT-14: the host decodes HTML entities once.
#[action(
    on = "Signature",
    permission = "write",
    refusal = "User does not have permission to edit title.",
    touches = "self.title",
    answers = "the title: {\"title\": …}"
)]
#[example("entities are decoded once",
    before = {"title": "old"}, args = {"title": "T &lt;b&gt;"},
    message = "Signature title updated.", object = {"title": "T <b>"}, operations = [{"set": ["title", "T <b>"]}])]
#[example("a blank title", before = {"title": "old"}, args = {"title": " "}, fault = {"invalid": "title"})]
pub(crate) fn update_title(tlo: &mut Tlo, args: UpdateTitle) -> Outcome {
    tlo.set("title", &args.title)?;
    Ok(Answer::new("Signature title updated.").object(json!({ "title": args.title })))
}

#[derive(Debug, Args)]
pub(crate) struct UpdateTitle {
    /// The new title.
    #[arg(unescape, nonempty, example = "example_rat")]
    title: String,
}
