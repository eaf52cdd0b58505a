//! `update_actor_tags`

use critd_sdk::merge::{self, Mode};
use critd_sdk::prelude::*;

/// Replaces the tags of one type (threat types, motivations, sophistications, intended effects), adds some, or removes
/// some.
///
/// # Rules
///
/// ACT-4: `tag_type` decides which flag is needed, so it is looked at before the flag. update_actor_tags.1, .2.
#[action(
    on = "Actor",
    permission(by = "tag_type",
        "ActorThreatType" = "threat_types_edit",
        "ActorMotivation" = "motivations_edit",
        "ActorSophistication" = "sophistications_edit",
        "ActorIntendedEffect" = "intended_effects_edit"),
    refusal = "User does not have permission to modify tag.",
    touches("self.threat_types", "self.motivations", "self.sophistications", "self.intended_effects"),
    answers = "all tags of this type: {\"motivations\": […]}"
)]
#[example("other motivations",
    before = {"motivations": ["Military"]}, args = {"tag_type": "ActorMotivation", "tags": "ego, Political,,Ego"},
    message = "Tags updated.", object = {"motivations": ["Ego", "Political"]},
    operations = [{"set": ["motivations", ["Ego", "Political"]]}])]
#[example("one more threat type",
    before = {"threat_types": ["Hacktivist"]}, args = {"tag_type": "ActorThreatType", "tags": ["Spam Service", "Hacktivist"], "mode": "add"},
    message = "Tags updated.", object = {"threat_types": ["Hacktivist", "Spam Service"]})]
#[example("one sophistication less",
    before = {"sophistications": ["Expert", "Novice"]}, args = {"tag_type": "ActorSophistication", "tags": "Novice", "mode": "remove"},
    message = "Tags updated.", object = {"sophistications": ["Expert"]})]
#[example("no intended effects any more",
    before = {"intended_effects": ["Fraud"]}, args = {"tag_type": "ActorIntendedEffect", "tags": []},
    message = "Tags updated.", object = {"intended_effects": []})]
#[example("no such motivation",
    before = {"motivations": []}, args = {"tag_type": "ActorMotivation", "tags": ["Ego", "Fun"]},
    fault = {"invalid": "tags", "message": "Invalid value for ActorMotivation: Fun."})]
pub(crate) fn update_actor_tags(tlo: &mut Tlo, args: UpdateActorTags) -> Outcome {
    let (list, vocabulary) = args.tag_type.kept_in();
    let mut tags = Vec::with_capacity(args.tags.len());
    for tag in args.tags {
        let Some(tag) = registers::canonical(vocabulary, &tag) else {
            let tag_type = args.tag_type.as_str();
            return Err(invalid(
                "tags",
                format!("Invalid value for {tag_type}: {tag}."),
            ));
        };
        tags.push(tag);
    }
    let tags = args
        .mode
        .apply(&tlo.list::<String>(list)?, merge::distinct(tags));
    tlo.set(list, &tags)?;
    Ok(Answer::new("Tags updated.").object(json!({ list: tags })))
}

#[derive(Args)]
pub(crate) struct UpdateActorTags {
    /// Which tags are meant.
    #[arg(invalid = "Invalid tag type: {value}.", example = "ActorMotivation")]
    tag_type: TagType,
    /// Tags of that type, separated by commas or as a list; an empty list clears them.
    #[arg(example = ["Ego", "Political"])]
    tags: Vec<String>,
    /// What is done with them.
    #[arg(default = "replace")]
    mode: Mode,
}

#[derive(Choice, Clone, Copy)]
enum TagType {
    #[choice("ActorThreatType")]
    ThreatType,
    #[choice("ActorMotivation")]
    Motivation,
    #[choice("ActorSophistication")]
    Sophistication,
    #[choice("ActorIntendedEffect")]
    IntendedEffect,
}

impl TagType {
    /// The field, and the vocabulary of its values.
    const fn kept_in(self) -> (&'static str, &'static str) {
        match self {
            Self::ThreatType => ("threat_types", "ThreatTypes"),
            Self::Motivation => ("motivations", "Motivations"),
            Self::Sophistication => ("sophistications", "Sophistications"),
            Self::IntendedEffect => ("intended_effects", "IntendedEffects"),
        }
    }
}
