//! Backdoors: malware that lets attackers in, as families and their versions.

mod edit;

use critd_sdk::prelude::*;

use edit::{set_backdoor_name, set_backdoor_version, update_backdoor_aliases};

plugin! {
    name = "backdoor",
    summary = "Backdoors: malware by name, as families and their versions.",
    types = [Backdoor],
    actions = [set_backdoor_name, set_backdoor_version, update_backdoor_aliases],
}

/// Malware that lets attackers in, known by its name: `ExampleRAT`.
///
/// A backdoor without a version is the *family*. A POST with a version is about two objects: the family, which is made if
/// it is not there, and the version; both get sources, campaigns, aliases, buckets and tickets, and are related to each
/// other. Description, status, sectors and related objects are those of the version alone. Whatever is related to a
/// version later is related to the family too.
#[derive(Debug, TloType)]
#[tlo(
    resource = "backdoors",
    collection = "backdoors",
    schema_version = 1,
    keys((name, version)),
    family = "version",
    empty_id,
    permission_check = "first"
)]
pub struct Backdoor {
    /// Name of the family.
    #[field(required, sortable, indexed, searchable)]
    pub name: String,
    /// Version; empty for the family itself.
    #[field(sortable, indexed)]
    pub version: String,
    /// Other names.
    #[field(indexed, searchable)]
    pub aliases: Vec<String>,
}

/// What a new backdoor is made of.
#[derive(Debug, Args)]
pub struct NewBackdoor {
    /// Name of the source that told of it. Must be given.
    #[arg(required = false, synonyms("source_name"), example = "Example CERT")]
    pub source: String,
    /// Name of the family; case matters. Must be given.
    #[arg(required = false, example = "ExampleRAT")]
    pub name: String,
    /// Version of the family that it is.
    #[arg(example = "2.1")]
    pub version: Option<String>,
    /// Other names, separated by commas; added to those that are known.
    #[arg(required = false, example = "ERAT")]
    pub aliases: Vec<String>,
    /// What is known about it. Used for a backdoor that has no description yet.
    #[arg(example = "Remote administration tool")]
    pub description: Option<String>,
}

/// What family and version have in common.
const COMMON: [&str; 8] = [
    "source",
    "method",
    "reference",
    "tlp",
    "campaign",
    "confidence",
    "bucket_list",
    "ticket",
];

/// Create.md 5.3: adds a backdoor and its family, or brings those of that name up to date.
///
/// # Errors
///
/// No source, or one that the user may not write with; no name.
#[create(Backdoor)]
#[example(
    "a family",
    args = {"name": "ExampleRAT", "aliases": "ERAT, ERAT", "description": "Fictional", "source": "Example"},
    message = "Success: ExampleRAT"
)]
#[example(
    "a version of a known family",
    before = {"name": "ExampleRAT", "version": "", "aliases": ["ERAT"]},
    args = {"name": "ExampleRAT", "version": "2.1", "source": "Example"},
    message = "Success: ExampleRAT"
)]
#[example("no source", args = {"name": "ExampleRAT"}, fault = {"invalid": "source", "message": "Missing source information."})]
#[example("no name", args = {"source": "Example"}, fault = {"invalid": "name", "message": "Need a Backdoor name."})]
#[example(
    "a source that the user may not write with comes before the name",
    sources = ["Example"], args = {"source": "Other"},
    fault = {"refused": "forbidden", "message": "User does not have permission to add objects using source Other."}
)]
pub fn create(call: &Call, args: NewBackdoor, shared: &Shared) -> Outcome {
    shared.require_source(SourceText::Objects)?;
    if args.name.is_empty() {
        return Err(invalid("name", "Need a Backdoor name."));
    }
    let version = args.version.as_deref().unwrap_or_default();
    let mut family = family(&args.name)?;
    let backdoor = if version.is_empty() {
        write(&mut family, &args, shared.params())?;
        family
    } else {
        let key = params! { "name" => &args.name, "version" => version };
        let (mut backdoor, _) = Tlo::make::<Backdoor>(key)?;
        for alias in &args.aliases {
            family.push_unique("aliases", alias, &[])?;
        }
        family.merge_shared(shared.params().clone().only(&COMMON))?;
        write(&mut backdoor, &args, shared.params())?;
        // Nobody in particular says so.
        family.relate("Related To", &backdoor, [("anonymous", true)])?;
        backdoor
    };
    let name = call.link(
        &["backdoors", "details", backdoor.id()?.as_str()],
        &args.name,
    );
    Ok(Answer::new(["Success: ", &name].concat()).document(&backdoor))
}

/// The family of this name. One of an old database may lack the field that is empty in a family (documents.md 3.4).
fn family(name: &str) -> Result<Tlo, Fault> {
    let old = json!({ "name": name, "version": { "exists": false } });
    if let Some(mut family) = Tlo::select("Backdoor", &old, 1)?.pop() {
        family.set("version", "")?;
        return Ok(family);
    }
    let key = params! { "name" => name, "version" => "" };
    Ok(Tlo::make::<Backdoor>(key)?.0)
}

/// What was posted about this very object.
fn write(backdoor: &mut Tlo, args: &NewBackdoor, shared: &Params) -> Result<(), Fault> {
    for alias in &args.aliases {
        backdoor.push_unique("aliases", alias, &[])?;
    }
    if let Some(description) = &args.description
        && backdoor.text("description")?.trim().is_empty()
    {
        backdoor.set("description", description)?;
    }
    backdoor.merge_shared(shared)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_examples_hold() {
        critd_sdk::bench::check::<super::Plugin>();
    }
}
