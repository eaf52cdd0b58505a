//! `set_indicator_type`

use critd_sdk::observable;
use critd_sdk::prelude::*;

/// Says what the indicator's value is, if the value can be that. An address gets the spelling in which addresses are kept;
/// otherwise the value stays, for together with the type it is the key.
///
/// # Rules
///
/// actions.md section 10. The key is unique also among indicators that the user may not see.
#[action(
    on = "Indicator",
    permission = "type_edit",
    refusal = "User does not have permission to edit type.",
    touches("self.type", "self.value", "self.lower"),
    answers = "type and value: {\"type\": …, \"value\": …}"
)]
#[example("a URI after all",
    before = {"value": "/gate.php", "lower": "/gate.php", "type": "Company name"}, args = {"type": "URI"},
    message = "Type set.", object = {"type": "URI", "value": "/gate.php"}, operations = [{"set": ["type", "URI"]}])]
#[example("an address",
    before = {"value": "010.1.2.3", "lower": "010.1.2.3", "type": "Company name"}, args = {"type": "IPv4 Address"},
    message = "Type set.", object = {"type": "IPv4 Address", "value": "10.1.2.3"})]
#[example("nothing to do",
    before = {"value": "x", "lower": "x", "type": "Company name"}, args = {"type": "Company name"}, message = "Type set.", operations = [])]
#[example("the value is no address",
    before = {"value": "x", "lower": "x", "type": "Company name"}, args = {"type": "IPv4 Address"},
    fault = {"invalid": "type", "message": "Invalid IPv4 address"})]
#[example("another indicator has type and value, seen or not",
    before = {"value": "x", "lower": "x", "type": "Company name"},
    others = [{"type": "Indicator", "document": {"value": "X", "lower": "x", "type": "Mutex"}, "visible": false}],
    args = {"type": "Mutex"},
    fault = {"refused": "conflict", "message": "An indicator of type 'Mutex' with this value already exists."})]
pub(crate) fn set_indicator_type(tlo: &mut Tlo, call: &Call, args: SetIndicatorType) -> Outcome {
    let (kind, stored) = (args.kind, tlo.text("value")?);
    if kind == tlo.text("type")? {
        return Ok(answer(&kind, &stored));
    }
    let checked = observable::check(&kind, &stored).map_err(|text| invalid("type", text))?;
    let value = checked.value;
    let lower = value.to_lowercase();
    if Tlo::taken("Indicator", [("type", &kind), ("lower", &lower)])? {
        refuse!(conflict: "An indicator of type '{kind}' with this value already exists.");
    }
    if let Some(doubt) = observable::digest_doubt(&kind, &value) {
        call.warn(&doubt);
    }
    tlo.set_many(params! { "type" => &kind, "value" => &value, "lower" => &lower })?;
    Ok(answer(&kind, &value))
}

fn answer(kind: &str, value: &str) -> Answer {
    Answer::new("Type set.").object(json!({ "type": kind, "value": value }))
}

#[derive(Debug, Args)]
pub(crate) struct SetIndicatorType {
    /// What the value is.
    #[arg(
        name = "type",
        vocab = "IndicatorTypes",
        invalid = "Not a valid Indicator Type: {value}",
        example = "URI"
    )]
    kind: String,
}
