//! Indicators: values by which an attack is recognised (create.md 5.11, 5.12), and their own actions (actions.md section 4).

mod activity;
mod ci;
mod kinds;
mod ratings;
mod related;
mod retype;

use critd_sdk::observable;
use critd_sdk::prelude::*;

use activity::{IndicatorActivity, activity_add, activity_remove, activity_update};
use ci::ci_update;
use kinds::{
    modify_attack_types, modify_threat_types, set_indicator_attack_type, set_indicator_threat_type,
};
use ratings::{UNRATED, distinct_kinds, raised, seen_again};
use retype::set_indicator_type;

plugin! {
    name = "indicator",
    summary = "Indicators: values by which attacks are recognised.",
    types = [Indicator, IndicatorActivity],
    actions = [
        activity_add,
        activity_update,
        activity_remove,
        ci_update,
        modify_attack_types,
        modify_threat_types,
        set_indicator_attack_type,
        set_indicator_threat_type,
        set_indicator_type,
    ],
    needs = {
        "create:Domain" = "`add_domain` makes the domain of the value an object of its own.",
        "create:IP" = "`add_domain` makes the address of the value an object of its own.",
        "other:Domain" = "With `add_domain` the registrable domain takes over the indicator's sources and campaigns too.",
    },
}

/// A value by which an attack is recognised: a domain, an address, a digest, a mutex, a user agent.
///
/// Type and value together are the key, letter case of the value left aside: a second POST with another letter case
/// changes the same indicator. The value of the first POST stays; what else was seen is noted in the description.
#[derive(Debug, TloType)]
#[tlo(resource = "indicators", collection = "indicators", schema_version = 5, keys((ind_type, lower)), permission_check = "first")]
pub struct Indicator {
    /// The value as it was first posted. Addresses are kept in one spelling (RFC 5952 for IPv6).
    #[field(required = false, sortable, indexed, searchable)]
    pub value: String,
    /// The value in lower case, by which it is looked up.
    #[field(indexed)]
    pub lower: String,
    /// What the value is: `Domain`, `URI`, `MD5`.
    #[field(
        stored = "type",
        required = false,
        sortable,
        indexed,
        vocab = "IndicatorTypes"
    )]
    pub ind_type: String,
    /// What threat it stands for. `Unknown` only if nothing else is known.
    #[field(indexed, vocab = "IndicatorThreatTypes")]
    pub threat_types: Vec<String>,
    /// What kind of attack it was seen in. `Unknown` only if nothing else is known.
    #[field(indexed, vocab = "IndicatorAttackTypes")]
    pub attack_types: Vec<String>,
    /// How sure one is of it.
    #[field(default = {"rating": "unknown"})]
    pub confidence: Rating,
    /// How much harm it stands for.
    #[field(default = {"rating": "unknown"})]
    pub impact: Rating,
    /// When and where it was active.
    pub activity: Vec<Activity>,
}

/// A judgement, and whose it is.
#[derive(Debug, Fields)]
pub struct Rating {
    /// `unknown`, `benign`, `low`, `medium` or `high`, in this order.
    #[field(indexed, vocab = "IndicatorCI")]
    pub rating: String,
    /// Who said so.
    pub analyst: Option<String>,
}

/// A time in which an indicator was active.
#[derive(Debug, Fields)]
pub struct Activity {
    /// Who told of it.
    pub analyst: String,
    /// What was seen.
    pub description: String,
    /// Begin.
    pub start_date: Date,
    /// End.
    pub end_date: Date,
    /// When it was added; its key.
    pub date: Date,
}

/// What a new indicator is made of.
#[derive(Debug, Args)]
pub struct NewIndicator {
    /// Name of the source that told of it.
    #[arg(
        required,
        missing = "Missing source information.",
        synonyms("source_name"),
        example = "Example CERT"
    )]
    pub source: String,
    /// The value. URIs with a scheme, e-mail addresses, domains and IP addresses are checked.
    #[arg(
        required,
        missing = "Can't create indicator with an empty value field",
        example = "http://www.example.com/gate.php"
    )]
    pub value: String,
    /// What the value is.
    #[arg(
        name = "type",
        required,
        vocab = "IndicatorTypes",
        missing = "Can't create indicator with an empty type field",
        invalid = "Not a valid Indicator Type: {value}",
        example = "URI"
    )]
    pub kind: String,
    /// What threats it stands for, separated by commas. `Unknown` if not given.
    #[arg(
        required = false,
        vocab = "IndicatorThreatTypes",
        invalid = "Not a valid Indicator Threat Type: {value}",
        example = "Malicious URL"
    )]
    pub threat_type: Vec<String>,
    /// What kinds of attack it was seen in, separated by commas. `Unknown` if not given.
    #[arg(
        required = false,
        vocab = "IndicatorAttackTypes",
        invalid = "Not a valid Indicator Attack Type: {value}",
        example = "Phishing"
    )]
    pub attack_type: Vec<String>,
    /// How sure one is of it. A lower rating than the stored one changes nothing.
    #[arg(
        vocab = "IndicatorCI",
        invalid = "Not a valid Indicator Confidence: {value}",
        example = "medium"
    )]
    pub indicator_confidence: Option<String>,
    /// How much harm it stands for. A lower rating than the stored one changes nothing.
    #[arg(
        vocab = "IndicatorCI",
        invalid = "Not a valid Indicator Impact: {value}",
        example = "high"
    )]
    pub indicator_impact: Option<String>,
    /// What is known about it. If the indicator exists, a text that is not yet part of its description is appended on a
    /// line of its own.
    #[arg(example = "Gate of a banking trojan")]
    pub description: Option<String>,
    /// Also make the domain or the address of the value an object of its own, with the indicator's sources and campaigns,
    /// related to the indicator. For domains, IP addresses, subnets and URIs; what prevents it prevents the indicator too.
    pub add_domain: bool,
    /// Relate the indicator to the domain or the address of the value if that exists already.
    pub add_relationship: bool,
}

/// Create.md 5.11: adds an indicator, or brings the one of that type and value up to date.
///
/// # Errors
///
/// The value is not of that type; a source that the user may not write with; faults of the domain or address.
#[create(Indicator, touches("create:Domain", "create:IP", "other:Domain"))]
#[example(
    "a digest",
    args = {"value": "0123456789ABCDEF0123456789abcdef", "type": "MD5", "source": "Example"},
    message = ""
)]
#[example(
    "the same value in another letter case",
    before = {"value": "https://Host.example.com/CaseTest", "lower": "https://host.example.com/casetest", "type": "URI", "threat_types": ["Unknown"], "attack_types": ["Unknown"]},
    args = {"value": "https://host.example.com/casetest", "type": "URI", "threat_type": "Malicious URL", "source": "Example"},
    message = ""
)]
#[example("no such type", args = {"value": "43", "type": "Shoe Size", "source": "Example"}, fault = {"invalid": "type", "message": "Not a valid Indicator Type: Shoe Size"})]
#[example("an address without a host", args = {"value": "someone@", "type": "Email Address", "source": "Example"}, fault = {"invalid": "value", "message": "Email address must contain a domain (or IP)"})]
#[example("no value", args = {"value": " ", "type": "MD5", "source": "Example"}, fault = {"invalid": "value", "message": "Can't create indicator with an empty value field"})]
pub fn create(call: &Call, args: NewIndicator, shared: &Shared) -> Outcome {
    let checked =
        observable::check(&args.kind, &args.value).map_err(|text| invalid("value", text))?;
    shared.require_source(SourceText::Object)?;
    if let Some(doubt) = observable::digest_doubt(&args.kind, &checked.value) {
        call.warn(&doubt);
    }

    let key = params! { "type" => &args.kind, "lower" => checked.value.to_lowercase() };
    let (mut indicator, origin) = Tlo::make::<Indicator>(key)?;
    write(call, &mut indicator, &args, &checked.value, origin)?;
    indicator.merge_shared(shared)?;

    if args.add_domain {
        related::add(call, &mut indicator, origin, &checked.about, shared)?;
    } else if args.add_relationship {
        related::relate_known(&mut indicator, &checked.about)?;
    }
    Ok(Answer::new("").document(&indicator))
}

/// Everything of the indicator itself.
fn write(
    call: &Call,
    indicator: &mut Tlo,
    args: &NewIndicator,
    value: &str,
    origin: Origin,
) -> Result<(), Fault> {
    if origin == Origin::Fresh {
        indicator.set_many(params! { "value" => value, "description" => args.description.as_deref().unwrap_or_default() })?;
    } else {
        let stored = indicator.text("description")?;
        indicator.set(
            "description",
            seen_again(
                &stored,
                args.description.as_deref(),
                call.now(),
                &args.value,
            ),
        )?;
    }
    for (field, posted) in [
        ("threat_types", &args.threat_type),
        ("attack_types", &args.attack_type),
    ] {
        let stored = indicator.list::<String>(field)?;
        indicator.set(field, distinct_kinds(&stored, posted))?;
    }
    for (field, posted) in [
        ("confidence", &args.indicator_confidence),
        ("impact", &args.indicator_impact),
    ] {
        let stored = indicator.get::<String>(&[field, ".rating"].concat())?;
        let rating = match raised(stored.as_deref(), posted.as_deref()) {
            // Nobody has said anything yet.
            None if origin == Origin::Fresh => Some(UNRATED),
            rating => rating,
        };
        if let Some(rating) = rating {
            indicator.set(field, json!({ "rating": rating, "analyst": call.user() }))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_examples_hold() {
        critd_sdk::bench::check::<super::Plugin>();
    }
}
