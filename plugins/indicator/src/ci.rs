//! `ci_update`

use critd_sdk::prelude::*;

/// Says how sure one is of the indicator, or how much harm it stands for. Unlike a POST it may also lower the rating.
///
/// # Rules
///
/// ACT-4: `ci_type` decides which flag is needed, so it is looked at before the flag. ci_update.3: an equal rating remains
/// that of whoever gave it.
#[action(
    on = "Indicator",
    permission(by = "ci_type", "confidence" = "confidence_edit", "impact" = "impact_edit"),
    refusal = "User does not have permission to edit {value}.",
    touches("self.confidence", "self.impact"),
    answers = "the rating: {\"impact\": {\"rating\": …, \"analyst\": …}}"
)]
#[example("a lower impact",
    before = {"impact": {"rating": "high", "analyst": "other"}}, args = {"ci_type": "impact", "value": "low"},
    message = "Impact set.", object = {"impact": {"rating": "low", "analyst": "example"}},
    operations = [{"set": ["impact", {"rating": "low", "analyst": "example"}]}])]
#[example("nothing to do",
    before = {"confidence": {"rating": "high", "analyst": "other"}}, args = {"ci_type": "confidence", "value": "high"},
    message = "Confidence set.", object = {"confidence": {"rating": "high", "analyst": "other"}}, operations = [])]
#[example("no such rating",
    args = {"ci_type": "impact", "value": "MAX"}, fault = {"invalid": "value", "message": "Invalid impact: MAX."})]
pub(crate) fn ci_update(tlo: &mut Tlo, call: &Call, args: CiUpdate) -> Outcome {
    let field = args.ci_type.as_str();
    let stored = tlo.get::<Json>(field)?.unwrap_or_default();
    let rating = if stored["rating"] == args.value.as_str() {
        stored
    } else {
        let rating = json!({ "rating": args.value, "analyst": call.user() });
        tlo.set(field, &rating)?;
        rating
    };
    let said = match args.ci_type {
        CiType::Confidence => "Confidence set.",
        CiType::Impact => "Impact set.",
    };
    Ok(Answer::new(said).object(json!({ field: rating })))
}

#[derive(Debug, Args)]
pub(crate) struct CiUpdate {
    /// Which of the two is meant.
    #[arg(invalid = "Invalid CI type", example = "impact")]
    ci_type: CiType,
    /// The rating.
    #[arg(
        vocab = "IndicatorCI",
        invalid = "Invalid {ci_type}: {value}.",
        example = "high"
    )]
    value: String,
}

#[derive(Debug, Choice, Clone, Copy)]
enum CiType {
    Confidence,
    Impact,
}
