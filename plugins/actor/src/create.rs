//! POST of an actor.

use critd_sdk::prelude::*;

use crate::Actor;

/// Rules of create.md 5.1.
#[create(Actor)]
#[example("a new actor",
    args = {"name": " Example Actor ", "aliases": "EA-1, EA-2,,EA-1", "description": "Fictional", "source": "Example"},
    message = "Success! Click here to view the new Actor: Example Actor")]
#[example("an actor that is known",
    before = {"name": "Example Actor", "aliases": ["EA-1"], "description": "old"},
    args = {"name": "Example Actor", "aliases": ["EA-2"], "description": "new", "source": "Example"},
    message = "Success! Click here to view the new Actor: Example Actor")]
#[example("no source", args = {"name": "Example Actor"}, fault = {"invalid": "source", "message": "Missing source information."})]
#[example("no name", args = {"source": "Example"}, fault = {"invalid": "name", "message": "Need an Actor name."})]
#[example("a source that the user may not write with comes before the name",
    sources = ["Example"], args = {"source": "Other"},
    fault = {"refused": "forbidden", "message": "User does not have permission to add objects using source Other."})]
fn actor(call: &Call, shared: &Shared, args: ActorArgs) -> Outcome {
    shared.require_source(SourceText::Objects)?;
    if args.name.is_empty() {
        return Err(invalid("name", "Need an Actor name."));
    }
    let (mut actor, origin) = Tlo::make::<Actor>([("name", &args.name)])?;
    if let (Origin::Fresh, Some(description)) = (origin, &args.description) {
        actor.set("description", description)?;
    }
    for alias in args.aliases {
        actor.push_unique("aliases", alias, &[])?;
    }
    actor.merge_shared(shared)?;
    let name = call.link(&["actors", "details", actor.id()?.as_str()], &args.name);
    Ok(
        Answer::new(["Success! Click here to view the new Actor: ", &name].concat())
            .document(&actor),
    )
}

#[derive(Args)]
struct ActorArgs {
    /// Where the knowledge comes from: a source that you may write with. Must be given.
    #[arg(required = false, synonyms("source_name"), example = "Example CERT")]
    #[expect(
        dead_code,
        reason = "declared here because its text comes after another check; `Shared` has the value"
    )]
    source: String,
    /// Name of the actor; one of exactly that name is updated. Must be given.
    #[arg(required = false, example = "Example Actor")]
    name: String,
    /// Other names, separated by commas or as a list; added to those that are known.
    #[arg(required = false, example = "EA-1, EA-2")]
    aliases: Vec<String>,
    /// What is known; used only for a new actor.
    description: Option<String>,
}
