//! `set_backdoor_name`, `set_backdoor_version`, `update_backdoor_aliases`

use critd_sdk::merge::Mode;
use critd_sdk::prelude::*;

/// Renames the backdoor: this one alone, not its family or the versions of it.
///
/// # Rules
///
/// actions.md section 10. Name and version are unique, also among backdoors that the user may not see.
#[action(
    on = "Backdoor",
    permission = "name_edit",
    refusal = "User does not have permission to edit name.",
    touches = "self.name",
    answers = "the name: {\"name\": …}"
)]
#[example("a new name",
    before = {"name": "Old", "version": "2.1"}, args = {"name": " ExampleRAT "},
    message = "Name set.", object = {"name": "ExampleRAT"}, operations = [{"set": ["name", "ExampleRAT"]}])]
#[example("a name that another backdoor of this version has, seen or not",
    before = {"name": "Old", "version": "2.1"},
    others = [{"type": "Backdoor", "document": {"name": "ExampleRAT", "version": "2.1"}, "visible": false}],
    args = {"name": "ExampleRAT"},
    fault = {"refused": "conflict", "message": "A Backdoor named 'ExampleRAT' with version '2.1' already exists."})]
#[example("no name", before = {"name": "Old"}, args = {"name": " "}, fault = {"invalid": "name"})]
pub(crate) fn set_backdoor_name(tlo: &mut Tlo, args: SetBackdoorName) -> Outcome {
    let (name, version) = (args.name, tlo.text("version")?);
    if tlo.text("name")? != name {
        check_free(&name, &version)?;
        tlo.set("name", &name)?;
    }
    Ok(Answer::new("Name set.").object(json!({ "name": name })))
}

#[derive(Debug, Args)]
pub(crate) struct SetBackdoorName {
    /// The new name.
    #[arg(nonempty, example = "ExampleRAT")]
    name: String,
}

/// Says which version of its family the backdoor is. Without a version it is the family itself.
///
/// # Rules
///
/// As `set_backdoor_name`.
#[action(
    on = "Backdoor",
    permission = "version_edit",
    refusal = "User does not have permission to edit version.",
    touches = "self.version",
    answers = "the version: {\"version\": …}"
)]
#[example("another version",
    before = {"name": "ExampleRAT", "version": "2.1"}, args = {"version": 3},
    message = "Version set.", object = {"version": "3"}, operations = [{"set": ["version", "3"]}])]
#[example("there is a family already",
    before = {"name": "ExampleRAT", "version": "2.1"},
    others = [{"type": "Backdoor", "document": {"name": "ExampleRAT", "version": ""}}],
    args = {"version": ""},
    fault = {"refused": "conflict", "message": "A Backdoor named 'ExampleRAT' with version '' already exists."})]
pub(crate) fn set_backdoor_version(tlo: &mut Tlo, args: SetBackdoorVersion) -> Outcome {
    let (name, version) = (tlo.text("name")?, args.version);
    if tlo.text("version")? != version {
        check_free(&name, &version)?;
        tlo.set("version", &version)?;
    }
    Ok(Answer::new("Version set.").object(json!({ "version": version })))
}

#[derive(Debug, Args)]
pub(crate) struct SetBackdoorVersion {
    /// The version; empty for the family.
    #[arg(example = "2.1")]
    version: String,
}

fn check_free(name: &str, version: &str) -> Result<(), Fault> {
    if Tlo::taken("Backdoor", [("name", name), ("version", version)])? {
        refuse!(conflict: "A Backdoor named '{name}' with version '{version}' already exists.");
    }
    Ok(())
}

/// Adds other names of the backdoor, removes some, or replaces them all.
///
/// # Rules
///
/// actions.md section 10.
#[action(
    on = "Backdoor",
    permission = "aliases_edit",
    refusal = "User does not have permission to edit alias.",
    touches = "self.aliases",
    answers = "all aliases: {\"aliases\": […]}"
)]
#[example("one more",
    before = {"aliases": ["ERAT"]}, args = {"aliases": "XRAT, ERAT"},
    message = "Aliases updated.", object = {"aliases": ["ERAT", "XRAT"]}, operations = [{"set": ["aliases", ["ERAT", "XRAT"]]}])]
#[example("none any more",
    before = {"aliases": ["ERAT"]}, args = {"aliases": [], "mode": "replace"}, message = "Aliases updated.", object = {"aliases": []})]
pub(crate) fn update_backdoor_aliases(tlo: &mut Tlo, args: UpdateBackdoorAliases) -> Outcome {
    let aliases = args
        .mode
        .apply(&tlo.list::<String>("aliases")?, args.aliases);
    tlo.set("aliases", &aliases)?;
    Ok(Answer::new("Aliases updated.").object(json!({ "aliases": aliases })))
}

#[derive(Debug, Args)]
pub(crate) struct UpdateBackdoorAliases {
    /// The aliases, separated by commas or as a list.
    #[arg(example = "ERAT")]
    aliases: Vec<String>,
    /// What is done with them.
    #[arg(default = "add")]
    mode: Mode,
}
