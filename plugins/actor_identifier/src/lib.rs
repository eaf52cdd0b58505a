//! Identifiers of actors: what an actor is known to use, such as an e-mail address or a handle.

use critd_sdk::prelude::*;

plugin! {
    name = "actor_identifier",
    summary = "Identifiers by which actors are recognised: e-mail addresses, handles, telephone numbers.",
    types = [ActorIdentifier],
}

/// Something by which an actor is recognised: an e-mail address, a handle, a telephone number. Which kinds there are is
/// up to the administrators of the server. An identifier belongs to no actor by itself: the action
/// `attribute_actor_identifier` of actors says whose it is.
///
/// Identifiers are listed with the right to read the identifiers of actors, and have no actions of their own.
#[derive(Debug, TloType)]
#[tlo(
    resource = "actoridentifiers",
    collection = "actor_identifiers",
    schema_version = 1,
    top_level = false,
    empty_id,
    keys((identifier_type, name)),
    shared("source"),
    methods("GET", "POST"),
    permission = "Actor.actor_identifiers_add",
    read_permission = "Actor.actor_identifiers_read",
    permission_check = "first"
)]
pub struct ActorIdentifier {
    /// Kind of identifier, one of those that the server knows: `Email Address`.
    #[field(required, sortable, indexed, vocab = "identifier-types")]
    pub identifier_type: String,
    /// The identifier itself: `someone@example.org`.
    #[field(required, sortable, indexed, searchable)]
    pub name: String,
    /// `on`, or `off` for an identifier that is no longer used.
    #[field(default = "on")]
    pub active: String,
    /// When it was added.
    #[field(default = "now", sortable)]
    pub created: Date,
}

/// What a new identifier is made of.
#[derive(Debug, Args)]
pub struct NewActorIdentifier {
    /// Kind of identifier: one of the server's identifier types.
    #[arg(
        required,
        vocab = "identifier-types",
        missing = "Unknown Identifier Type",
        invalid = "Unknown Identifier Type",
        example = "Email Address"
    )]
    pub identifier_type: String,
    /// The identifier itself. Blanks at its ends don't count.
    #[arg(
        required,
        missing = "Missing Identifier",
        example = "someone@example.org"
    )]
    pub identifier: String,
    /// Name of the source that told of it.
    #[arg(
        required,
        missing = "Missing source information.",
        synonyms("source_name"),
        example = "Example CERT"
    )]
    pub source: String,
}

/// Create.md 5.2: adds an identifier, or a source to the one of this type and value.
///
/// # Errors
///
/// A source that the user may not write with.
#[create(ActorIdentifier)]
#[example(
    "a new identifier",
    args = {"identifier_type": "Email Address", "identifier": " someone@example.org ", "source": "Example"},
    message = "Actor Identifier added successfully!"
)]
#[example("a type that the server does not know", args = {"identifier_type": "Shoe Size", "identifier": "43", "source": "Example"}, fault = {"invalid": "identifier_type", "message": "Unknown Identifier Type"})]
#[example("no value", args = {"identifier_type": "Email Address", "identifier": " ", "source": "Example"}, fault = {"invalid": "identifier", "message": "Missing Identifier"})]
pub fn create(args: NewActorIdentifier, shared: &Shared) -> Outcome {
    shared.require_source(SourceText::Object)?;
    let key = params! { "identifier_type" => args.identifier_type, "name" => args.identifier };
    let (mut identifier, _) = Tlo::make::<ActorIdentifier>(key)?;
    identifier.merge_shared(shared)?;
    Ok(Answer::new("Actor Identifier added successfully!").document(&identifier))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_examples_hold() {
        critd_sdk::bench::check::<super::Plugin>();
    }
}
