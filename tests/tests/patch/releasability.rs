//! `add_releasability`

use anyhow::Result;
use critd_tests::json;

use crate::{World, done, list, refused};

/// Actions.md 7.2.
#[tokio::test]
async fn add_releasability_1_a_source_once() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    let body = json!({"action": "add_releasability", "name": "Partner"});
    let entry = json!({"name": "Partner", "analyst": "alice", "instances": []});
    let answer = world.say("events", &event, body.clone()).await?;
    assert_eq!(done(&answer, "Releasability added."), entry);
    let stored = world.document("events", &event).await?;
    assert_eq!(stored["releasability"], json!([entry]));
    let answer = world.say("events", &event, body).await?;
    assert_eq!(done(&answer, "Releasability already present."), entry);
    assert_eq!(world.document("events", &event).await?, stored);
    Ok(())
}

#[tokio::test]
async fn add_releasability_2_the_source_is_one_of_the_register() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    for name in [json!("Nobody"), json!(""), json!(7), json!("partner")] {
        let body = json!({"action": "add_releasability", "name": name});
        let answer = world.say("events", &event, body).await?;
        refused(&answer, "Source not found.", "invalid_value");
        assert_eq!(answer["error"]["argument"], "name");
    }
    let answer = world
        .say("events", &event, json!({"action": "add_releasability"}))
        .await?;
    let text = "Missing required argument 'name' for action 'add_releasability'.";
    refused(&answer, text, "missing_argument");
    let answer = world
        .say(
            "events",
            &event,
            json!({"action": "add_releasability", "name": ["Partner"]}),
        )
        .await?;
    refused(&answer, "Argument 'name' must be a string.", "invalid_type");
    assert_eq!(
        world.document("events", &event).await?["releasability"],
        json!([])
    );
    // One's own or not, with blanks around it.
    for name in ["OSINT", "Closed", " Reading "] {
        let answer = world
            .say(
                "events",
                &event,
                json!({"action": "add_releasability", "name": name}),
            )
            .await?;
        assert_eq!(done(&answer, "Releasability added.")["name"], name.trim());
    }
    Ok(())
}

/// It grants nothing. C2: of what others released to sources that are not the caller's, the answer says no more than a GET.
#[tokio::test]
async fn add_releasability_3_it_gives_nobody_a_right() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    let partner = world.server.add_user(
        "partner",
        &["Event.read"],
        &[(
            "Partner",
            &["--read", "--write", "--tlp", "red,amber,green"],
        )],
    )?;
    let body = json!({"action": "add_releasability", "name": "Partner"});
    let path = format!("/api/v1/events/{event}/");
    let answer = world.server.patch(&path, &body).await?.json();
    assert_eq!(done(&answer, "Releasability added.")["analyst"], "admin");
    assert_eq!(world.server.get_as(&partner, &path).await?.status, 404);
    let list_of = world
        .server
        .get_as(&partner, "/api/v1/events/")
        .await?
        .json();
    assert_eq!(list_of["meta"]["total_count"], 0);

    let answer = world.say("events", &event, body).await?;
    let object = done(&answer, "Releasability already present.");
    assert_eq!(object, json!({"name": "Partner"}));
    let shown = world.server.get_as(&world.alice, &path).await?.json();
    assert!(list(&shown, "releasability").is_empty());
    Ok(())
}
