//! `update_dependency`

use critd_sdk::merge::{self, Mode};
use critd_sdk::prelude::*;

/// Says what else the program needs for the signature.
///
/// # Rules
///
/// update_dependency.1, .2. update_dependency.3: names that nobody has used yet are registered, if the user may add to that
/// register; otherwise they stand on the signature alone.
#[action(
    on = "Signature",
    permission = "dependencies_edit",
    refusal = "User does not have permission to edit data dependencies.",
    touches("self.data_type_dependency", "registry:signature-dependency"),
    answers = "all of them: {\"data_type_dependency\": […]}"
)]
#[example("two in place of one",
    before = {"data_type_dependency": ["elf"]}, may = ["Signature.dependencies_edit"], args = {"dep": "pe, math,pe"},
    message = "Data type dependency set.", object = {"data_type_dependency": ["pe", "math"]},
    operations = [{"set": ["data_type_dependency", ["pe", "math"]]}])]
#[example("one more, registered",
    before = {"data_type_dependency": ["pe", "math"]}, args = {"dep": ["elf", "pe"], "append": true},
    message = "Data type dependency set.", object = {"data_type_dependency": ["pe", "math", "elf"]})]
#[example("none",
    before = {"data_type_dependency": ["pe"]}, args = {"dep": ""},
    message = "Data type dependency set.", object = {"data_type_dependency": []})]
pub(crate) fn update_dependency(tlo: &mut Tlo, call: &Call, args: UpdateDependency) -> Outcome {
    let mode = if args.append {
        Mode::Add
    } else {
        Mode::Replace
    };
    let stored = merge::distinct(tlo.list::<String>("data_type_dependency")?);
    if call.may("add_new_signature_dependency") {
        for name in &args.dep {
            registers::add("signature-dependency", name).map_err(about_dep)?;
        }
    }
    let dependencies = mode.apply(&stored, args.dep);
    tlo.set("data_type_dependency", &dependencies)?;
    Ok(Answer::new("Data type dependency set.")
        .object(json!({ "data_type_dependency": dependencies })))
}

/// The host speaks of a name; the client sent `dep`.
fn about_dep(fault: Fault) -> Fault {
    match fault {
        Fault::Invalid((_, message)) => invalid("dep", message),
        other => other,
    }
}

#[derive(Debug, Args)]
pub(crate) struct UpdateDependency {
    /// Names, separated by commas or as a list; none clears them.
    #[arg(synonyms("data_type_dependency"), example = "pe, math")]
    dep: Vec<String>,
    /// Add them to those that are there, instead of replacing them.
    append: bool,
}
