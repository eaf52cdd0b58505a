//! `update_raw_data_type`

use critd_sdk::prelude::*;

/// Says what kind of text it is.
///
/// # Rules
///
/// actions.md section 10.
#[action(
    on = "RawData",
    permission = "data_type_edit",
    refusal = "User does not have permission to edit data type.",
    touches = "self.data_type",
    answers = "the kind: {\"data_type\": …}"
)]
#[example("another kind",
    before = {"data_type": "Text"}, args = {"data_type": "JSON"},
    message = "Data type set.", object = {"data_type": "JSON"}, operations = [{"set": ["data_type", "JSON"]}])]
#[example("a kind that the server does not know",
    before = {"data_type": "Text"}, args = {"data_type": "Zoo"},
    fault = {"invalid": "data_type", "message": "Invalid data type passed in"})]
pub(crate) fn update_raw_data_type(tlo: &mut Tlo, args: UpdateRawDataType) -> Outcome {
    tlo.set("data_type", &args.data_type)?;
    Ok(Answer::new("Data type set.").object(json!({ "data_type": args.data_type })))
}

#[derive(Debug, Args)]
pub(crate) struct UpdateRawDataType {
    /// One of the server's raw data types.
    #[arg(
        vocab = "raw-data-types",
        invalid = "Invalid data type passed in",
        example = "JSON"
    )]
    data_type: String,
}
