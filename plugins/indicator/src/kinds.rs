//! `modify_attack_types`, `modify_threat_types`, and their forerunners `set_indicator_attack_type`,
//! `set_indicator_threat_type`.

use critd_sdk::prelude::*;

use crate::ratings::distinct_kinds;

/// Replaces the kinds of attack that the indicator was seen in.
///
/// # Rules
///
/// modify_types.1 is the host's. modify_types.2: a set, in which `Unknown` gives way to anything else; none means
/// `Unknown`.
#[action(
    on = "Indicator",
    permission = "attack_type_edit",
    refusal = "User does not have permission to edit attack type.",
    touches = "self.attack_types",
    answers = "all of them: {\"attack_types\": […]}"
)]
#[example("two",
    before = {"attack_types": ["Unknown"]}, args = {"attack_types": "Phishing, Malware"},
    message = "Attack types set.", object = {"attack_types": ["Phishing", "Malware"]},
    operations = [{"set": ["attack_types", ["Phishing", "Malware"]]}])]
#[example("none",
    before = {"attack_types": ["Phishing"]}, args = {"attack_types": []},
    message = "Attack types set.", object = {"attack_types": ["Unknown"]})]
#[example("no such kind",
    args = {"attack_types": ["Nope"]}, fault = {"invalid": "attack_types", "message": "Not a valid Attack Type: Nope"})]
pub(crate) fn modify_attack_types(tlo: &mut Tlo, args: ModifyAttackTypes) -> Outcome {
    set_attack_types(tlo, &args.attack_types)
}

#[derive(Debug, Args)]
pub(crate) struct ModifyAttackTypes {
    /// Kinds of attack, separated by commas or as a list; none: `Unknown`.
    #[arg(
        vocab = "IndicatorAttackTypes",
        invalid = "Not a valid Attack Type: {value}",
        example = "Phishing, Malware"
    )]
    attack_types: Vec<String>,
}

/// Replaces the threats that the indicator stands for.
///
/// # Rules
///
/// As `modify_attack_types`.
#[action(
    on = "Indicator",
    permission = "threat_type_edit",
    refusal = "User does not have permission to edit threat type.",
    touches = "self.threat_types",
    answers = "all of them: {\"threat_types\": […]}"
)]
#[example("Unknown gives way",
    before = {"threat_types": ["Unknown"]}, args = {"threat_types": ["Bad Actor", "Unknown"]},
    message = "Threat types set.", object = {"threat_types": ["Bad Actor"]})]
#[example("nothing to do",
    before = {"threat_types": ["Bad Actor"]}, args = {"threat_types": "Bad Actor"}, message = "Threat types set.", operations = [])]
pub(crate) fn modify_threat_types(tlo: &mut Tlo, args: ModifyThreatTypes) -> Outcome {
    set_threat_types(tlo, &args.threat_types)
}

#[derive(Debug, Args)]
pub(crate) struct ModifyThreatTypes {
    /// Threats, separated by commas or as a list; none: `Unknown`.
    #[arg(
        vocab = "IndicatorThreatTypes",
        invalid = "Not a valid Threat Type: {value}",
        example = "Bad Actor"
    )]
    threat_types: Vec<String>,
}

/// Makes this the only kind of attack that the indicator was seen in. `modify_attack_types` takes several.
///
/// # Rules
///
/// set_type.2.
#[action(
    on = "Indicator",
    permission = "attack_type_edit",
    refusal = "User does not have permission to edit attack type.",
    touches = "self.attack_types",
    answers = "all of them: {\"attack_types\": […]}"
)]
#[example("one instead of two",
    before = {"attack_types": ["Phishing", "Malware"]}, args = {"attack_type": "Targeted"},
    message = "Attack types set.", object = {"attack_types": ["Targeted"]})]
pub(crate) fn set_indicator_attack_type(tlo: &mut Tlo, args: SetIndicatorAttackType) -> Outcome {
    set_attack_types(tlo, &[args.attack_type])
}

#[derive(Debug, Args)]
pub(crate) struct SetIndicatorAttackType {
    /// The kind of attack.
    #[arg(
        vocab = "IndicatorAttackTypes",
        synonyms("attack_types"),
        invalid = "Not a valid Attack Type: {value}",
        example = "Targeted"
    )]
    attack_type: String,
}

/// Makes this the only threat that the indicator stands for. `modify_threat_types` takes several.
///
/// # Rules
///
/// set_type.2.
#[action(
    on = "Indicator",
    permission = "threat_type_edit",
    refusal = "User does not have permission to edit threat type.",
    touches = "self.threat_types",
    answers = "all of them: {\"threat_types\": […]}"
)]
#[example("no such threat",
    args = {"threat_type": "Nope"}, fault = {"invalid": "threat_type", "message": "Not a valid Threat Type: Nope"})]
pub(crate) fn set_indicator_threat_type(tlo: &mut Tlo, args: SetIndicatorThreatType) -> Outcome {
    set_threat_types(tlo, &[args.threat_type])
}

#[derive(Debug, Args)]
pub(crate) struct SetIndicatorThreatType {
    /// The threat.
    #[arg(
        vocab = "IndicatorThreatTypes",
        synonyms("threat_types"),
        invalid = "Not a valid Threat Type: {value}",
        example = "Malicious URL"
    )]
    threat_type: String,
}

fn set_attack_types(tlo: &mut Tlo, given: &[String]) -> Outcome {
    let attack_types = distinct_kinds(&[], given);
    tlo.set("attack_types", &attack_types)?;
    Ok(Answer::new("Attack types set.").object(json!({ "attack_types": attack_types })))
}

fn set_threat_types(tlo: &mut Tlo, given: &[String]) -> Outcome {
    let threat_types = distinct_kinds(&[], given);
    tlo.set("threat_types", &threat_types)?;
    Ok(Answer::new("Threat types set.").object(json!({ "threat_types": threat_types })))
}
