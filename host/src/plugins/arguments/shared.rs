//! The create arguments that all types share (core-api 12.4, create.md 2).

use std::sync::LazyLock;

use super::refusal;
use crate::plugins::declaration::{ArgDeclaration, TypeDeclaration};
use crate::plugins::{Arg, Refusal};

/// Declarations by group, as `shared` of a type names the groups.
static GROUPS: LazyLock<Vec<(String, Vec<ArgDeclaration>)>> = LazyLock::new(|| {
    #[expect(
        clippy::expect_used,
        reason = "the text is a literal, and a test reads it"
    )]
    let groups: serde_json::Map<_, _> =
        serde_json::from_str(DECLARATIONS).expect("valid declarations");
    let read = |value| {
        #[expect(
            clippy::expect_used,
            reason = "the text is a literal, and a test reads it"
        )]
        serde_json::from_value(value).expect("valid declarations")
    };
    groups
        .into_iter()
        .map(|(group, declarations)| (group, read(declarations)))
        .collect()
});

const DECLARATIONS: &str = r#"{
  "source": [
    {"name": "source", "type": "string", "required": true, "vocab": "writable-sources", "synonyms": ["source_name"],
     "missing": "Missing source information.", "summary": "Name of the source of the information.", "example": "Example CERT"},
    {"name": "method", "type": "string", "synonyms": ["source_method"],
     "summary": "How the information was acquired.", "example": "feed"},
    {"name": "reference", "type": "string", "synonyms": ["source_reference"],
     "summary": "Where the information came from.", "example": "https://www.example.com/report"},
    {"name": "tlp", "type": "string", "vocab": "TLP", "synonyms": ["source_tlp"], "invalid": "'{value}' is not a valid TLP.",
     "summary": "Traffic light protocol level of the source; amber if not given.", "example": "green"}
  ],
  "campaign": [
    {"name": "campaign", "type": "list", "of": "string", "summary": "Campaigns to attribute to.", "example": "Example Bear"},
    {"name": "confidence", "type": "string", "vocab": "Confidence", "synonyms": ["campaign_confidence", "camp_conf"],
     "invalid": "Invalid campaign confidence: {value}.", "summary": "Confidence of the attribution; low if not given.", "example": "medium"}
  ],
  "bucket_list": [
    {"name": "bucket_list", "type": "list", "of": "string", "summary": "Buckets to add.", "example": "phishing,2026"}
  ],
  "ticket": [
    {"name": "ticket", "type": "list", "of": "string", "summary": "Ticket numbers to add.", "example": "INC-12345"}
  ],
  "status": [
    {"name": "status", "type": "string", "vocab": "Status", "invalid": "Invalid status: {value}.",
     "summary": "Status of the analysis.", "example": "New"}
  ],
  "sectors": [
    {"name": "sectors", "type": "list", "of": "string", "vocab": "Sectors", "invalid": "Invalid sector: {value}.",
     "summary": "Sectors concerned.", "example": "Energy"}
  ],
  "related": [
    {"name": "related_id", "type": "string", "summary": "Id of an object to relate to."},
    {"name": "related_md5", "type": "string", "summary": "Natural key of an object to relate to: digest, name, address."},
    {"name": "related_type", "type": "type", "invalid": "Related object not found.", "summary": "Type of that object.", "example": "Domain"},
    {"name": "relationship", "type": "string", "vocab": "RelationshipTypes", "synonyms": ["relationship_type"],
     "invalid": "Could not find relationship type",
     "summary": "Name of the relationship, read from the new object; Related To if not given.", "example": "Related To"}
  ]
}"#;

/// The shared arguments that a type takes, in a fixed order. Declarations of the type under the same name go before.
pub fn shared_arguments(
    of: &TypeDeclaration,
) -> impl Iterator<Item = &'static ArgDeclaration> + use<'_> {
    GROUPS
        .iter()
        .filter(|(group, _)| of.shared.contains(group))
        .flat_map(|(_, declarations)| declarations)
}

/// Create.md 5.5 (4): a type without an object, or the reverse.
pub(super) fn check_related(args: &[Arg]) -> Result<(), Refusal> {
    let given = |name: &str| args.iter().any(|arg| arg.name == name);
    if given("related_type") == (given("related_id") || given("related_md5")) {
        return Ok(());
    }
    Err(refusal(
        "Must specify both related_type and related_id or related_md5.",
        "invalid_value",
        &[("argument", "related_type")],
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shared_declarations_can_be_read() {
        let names: Vec<&str> = GROUPS.iter().map(|(group, _)| group.as_str()).collect();
        assert_eq!(
            names,
            [
                "source",
                "campaign",
                "bucket_list",
                "ticket",
                "status",
                "sectors",
                "related"
            ]
        );
    }
}
