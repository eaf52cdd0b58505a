//! Targets: people whom attackers write to.

mod address;

use critd_sdk::prelude::*;

plugin! {
    name = "target",
    summary = "Targets: people whom attackers write to, by their e-mail addresses.",
    types = [Target],
}

/// Somebody whom attackers write to, known by an e-mail address.
///
/// Targets have no sources: whoever may read targets sees all of them.
#[derive(Debug, TloType)]
#[tlo(
    resource = "targets",
    collection = "targets",
    schema_version = 3,
    sources = false,
    keys(email_address),
    lookup = "email_address",
    empty_id,
    permission_check = "first"
)]
pub struct Target {
    /// The address, in lower case.
    #[field(required, sortable, indexed, searchable)]
    pub email_address: String,
    /// Number of stored e-mails to it, counted by a batch job.
    #[field(default = 0, sortable, indexed)]
    pub email_count: i64,
    /// First name.
    #[field(sortable, indexed, searchable)]
    pub firstname: String,
    /// Last name.
    #[field(sortable, indexed, searchable)]
    pub lastname: String,
    /// Department of the organisation.
    #[field(sortable, indexed)]
    pub department: String,
    /// Division of the organisation.
    #[field(sortable, indexed)]
    pub division: String,
    /// Number or name by which the organisation knows the person.
    pub organization_id: String,
    /// Title or position.
    pub title: String,
    /// Anything else.
    pub note: String,
}

/// What a new target is made of. Each text that is given takes the place of the one that is known.
#[derive(Debug, Args)]
pub struct NewTarget {
    /// The e-mail address, in any letter case.
    #[arg(
        required,
        missing = "No email address to look up",
        example = "victim@example.org"
    )]
    pub email_address: String,
    /// First name.
    #[arg(example = "Vic")]
    pub firstname: Option<String>,
    /// Last name.
    #[arg(example = "Tim")]
    pub lastname: Option<String>,
    /// Division of the organisation.
    #[arg(example = "Finance")]
    pub division: Option<String>,
    /// Department of the organisation.
    #[arg(example = "Billing")]
    pub department: Option<String>,
    /// Number or name by which the organisation knows the person.
    #[arg(example = "E-17")]
    pub organization_id: Option<String>,
    /// Title or position.
    #[arg(example = "Clerk")]
    pub title: Option<String>,
    /// Anything else.
    pub note: Option<String>,
    /// Name of the relationship to the related object, read from that object; `Related To` if not given.
    #[arg(
        vocab = "RelationshipTypes",
        synonyms("relationship_type"),
        invalid = "Could not find relationship type",
        example = "Received From"
    )]
    pub relationship: Option<String>,
}

/// Create.md 5.20: adds a target, or brings the one of that address up to date.
///
/// # Errors
///
/// The address is none.
#[create(Target)]
#[example(
    "a new target",
    args = {"email_address": " Victim@Example.org ", "firstname": "Vic", "department": ""},
    message = "Target saved successfully"
)]
#[example(
    "a target that is known",
    before = {"email_address": "victim@example.org", "firstname": "Vic"},
    args = {"email_address": "VICTIM@example.org", "lastname": "Tim"},
    message = "Target saved successfully"
)]
#[example("no address", args = {"firstname": "Vic"}, fault = {"invalid": "email_address", "message": "No email address to look up"})]
#[example(
    "not an address",
    args = {"email_address": "Vic Tim"},
    fault = {"invalid": "email_address", "message": "Target save failed: Invalid Mail-address: Vic Tim"}
)]
pub fn create(args: NewTarget, shared: &Shared) -> Outcome {
    if !address::is_address(&args.email_address) {
        let text = format!(
            "Target save failed: Invalid Mail-address: {}",
            args.email_address
        );
        return Err(invalid("email_address", text));
    }
    let mut target = target(&args.email_address)?;
    for (field, text) in [
        ("firstname", args.firstname),
        ("lastname", args.lastname),
        ("division", args.division),
        ("department", args.department),
        ("organization_id", args.organization_id),
        ("title", args.title),
        ("note", args.note),
    ] {
        if let Some(text) = text {
            target.set(field, text)?;
        }
    }
    // The relationship is named from the other side.
    let inverse = args.relationship.as_deref().and_then(registers::inverse);
    target.merge_shared(shared.clone().with("relationship", inverse))?;
    Ok(Answer::new("Target saved successfully").document(&target))
}

/// The target of an address. Old databases have addresses in other letter case: the one that was posted comes first
/// (vocabulary.md 15).
fn target(posted: &str) -> Result<Tlo, Fault> {
    let address = posted.to_lowercase();
    if address != posted
        && let Some(known) = Tlo::by_key("Target", [("email_address", posted)])?
    {
        return Ok(known);
    }
    Ok(Tlo::make::<Target>([("email_address", address)])?.0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_examples_hold() {
        critd_sdk::bench::check::<super::Plugin>();
    }
}
