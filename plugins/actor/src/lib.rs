//! Actors (create.md 5.1, documents.md 3.2) and their own actions (actions.md section 3).

mod aliases;
mod create;
mod identifiers;
mod name;
mod tags;

use aliases::update_actor_aliases;
use critd_sdk::{Fields, TloType, plugin};
use identifiers::{attribute_actor_identifier, remove_attribution, set_identifier_confidence};
use name::set_actor_name;
use tags::update_actor_tags;

/// Somebody who attacks, alone or as a group.
#[derive(TloType)]
#[tlo(
    resource = "actors",
    collection = "actors",
    schema_version = 2,
    keys(name),
    lookup = "name",
    empty_id,
    shared(
        "source",
        "campaign",
        "bucket_list",
        "ticket",
        "status",
        "sectors",
        "related"
    ),
    permission_check = "first"
)]
struct Actor {
    /// Name by which the actor is found; case matters.
    #[field(required, sortable, indexed, searchable)]
    name: String,
    /// Other names.
    #[field(indexed, searchable)]
    aliases: Vec<String>,
    /// What the actor wants to achieve.
    #[field(vocab = "IntendedEffects")]
    intended_effects: Vec<String>,
    /// Why the actor does it.
    #[field(vocab = "Motivations")]
    motivations: Vec<String>,
    /// How capable the actor is.
    #[field(vocab = "Sophistications")]
    sophistications: Vec<String>,
    /// What kind of threat the actor is.
    #[field(vocab = "ThreatTypes")]
    threat_types: Vec<String>,
    /// Identifiers attributed to the actor.
    identifiers: Vec<Attribution>,
}

/// An identifier attributed to an actor.
#[derive(Fields)]
struct Attribution {
    /// Id of the actor identifier, as text.
    #[field(required)]
    identifier_id: String,
    /// Who attributed it.
    #[field(required)]
    analyst: String,
    /// How sure that is.
    #[field(default = "unknown")]
    confidence: String,
    /// When it was attributed.
    date: Option<critd_sdk::Date>,
}

plugin! {
    name = "actor",
    summary = "Actors and what is done to them.",
    types = [Actor],
    actions = [
        update_actor_tags,
        attribute_actor_identifier,
        set_identifier_confidence,
        remove_attribution,
        set_actor_name,
        update_actor_aliases
    ],
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_examples_hold() {
        critd_sdk::bench::check::<super::Plugin>();
    }
}
