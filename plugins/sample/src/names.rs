//! `update_sample_filename`, `modify_sample_filenames`

use critd_sdk::merge::{self, Mode};
use critd_sdk::prelude::*;

use crate::single::legible;

/// Sets the name under which the sample is listed.
///
/// # Rules
///
/// actions.md section 10.
#[action(
    on = "Sample",
    permission = "filename_edit",
    refusal = "User does not have permission to edit filename.",
    touches = "self.filename",
    answers = "the name: {\"filename\": …}"
)]
#[example("another name",
    before = {"filename": "5b2c3d4e"}, args = {"filename": " invoice.exe "},
    message = "Filename set.", object = {"filename": "invoice.exe"}, operations = [{"set": ["filename", "invoice.exe"]}])]
#[example("no name", before = {"filename": "a"}, args = {"filename": " "}, fault = {"invalid": "filename"})]
pub(crate) fn update_sample_filename(tlo: &mut Tlo, args: UpdateSampleFilename) -> Outcome {
    let filename = legible(&args.filename);
    tlo.set("filename", &filename)?;
    Ok(Answer::new("Filename set.").object(json!({ "filename": filename })))
}

#[derive(Debug, Args)]
pub(crate) struct UpdateSampleFilename {
    /// The name.
    #[arg(nonempty, example = "invoice.exe")]
    filename: String,
}

/// Adds further names that the sample was met under, removes some, or replaces them all. Replacing needs the right to add
/// and the right to remove.
///
/// # Rules
///
/// actions.md section 10. ACT-4: `mode` decides which flag is needed.
#[action(
    on = "Sample",
    permission(by = "mode", "add" = "filenames_add", "remove" = "filenames_remove", "replace" = "filenames_remove"),
    refusal = "User does not have permission to modify filenames.",
    touches = "self.filenames",
    answers = "all of them: {\"filenames\": […]}"
)]
#[example("one more",
    before = {"filenames": ["a.exe"]}, args = {"filenames": "b.exe, a.exe"},
    message = "Filenames updated.", object = {"filenames": ["a.exe", "b.exe"]}, operations = [{"set": ["filenames", ["a.exe", "b.exe"]]}])]
#[example("one less",
    before = {"filenames": ["a.exe", "b.exe"]}, args = {"filenames": ["a.exe"], "mode": "remove"},
    message = "Filenames updated.", object = {"filenames": ["b.exe"]})]
#[example("others",
    before = {"filenames": ["a.exe", "b.exe"]}, args = {"filenames": ["c, d.exe"], "mode": "replace"},
    message = "Filenames updated.", object = {"filenames": ["c, d.exe"]})]
#[example("replacing is adding too",
    before = {"filenames": ["a.exe"]}, may = ["Sample.filenames_remove"], args = {"filenames": [], "mode": "replace"},
    fault = {"refused": "forbidden", "message": "User does not have permission to modify filenames."})]
pub(crate) fn modify_sample_filenames(
    tlo: &mut Tlo,
    call: &Call,
    args: ModifySampleFilenames,
) -> Outcome {
    if args.mode == Mode::Replace && !call.may("filenames_add") {
        refuse!("User does not have permission to modify filenames.");
    }
    // What is stored may be taken out whatever it looks like.
    let given = match args.mode {
        Mode::Remove => args.filenames,
        Mode::Add | Mode::Replace => {
            merge::distinct(args.filenames.iter().map(|name| legible(name)))
        }
    };
    let filenames = args.mode.apply(&tlo.list::<String>("filenames")?, given);
    tlo.set("filenames", &filenames)?;
    Ok(Answer::new("Filenames updated.").object(json!({ "filenames": filenames })))
}

#[derive(Debug, Args)]
pub(crate) struct ModifySampleFilenames {
    /// The names: separated by commas, or as a list, in which a name may have commas.
    #[arg(example = "invoice.exe")]
    filenames: Vec<String>,
    /// What is done with them.
    #[arg(default = "add")]
    mode: Mode,
}
