//! `forge_relationship`

use anyhow::Result;
use critd_tests::{Json, json};

use crate::{ALL, World, done, list, refused, without};

const NOBODY: &str = "0123456789abcdef01234567";
const NO_RIGHT: &str = "Failed to get right TLO";
const NO_TYPE: &str = "Could not find relationship type";

/// The body of a request to relate to an object, with more members.
fn forge(right_type: &str, right_id: &str, rel_type: &str, more: &Json) -> Json {
    let mut body = json!({"action": "forge_relationship", "right_type": right_type, "right_id": right_id, "rel_type": rel_type});
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}

/// (relationship, id of the partner) of all relationships.
fn relations(document: &Json) -> Vec<(&str, &str)> {
    list(document, "relationships")
        .iter()
        .map(|entry| {
            (
                entry["relationship"].as_str().unwrap_or_default(),
                entry["value"].as_str().unwrap_or_default(),
            )
        })
        .collect()
}

#[tokio::test]
async fn forge_relationship_1_order_of_checks() -> Result<()> {
    let world = World::start().await?;
    let (event, domain) = (world.event("E").await?, world.domain("example.com").await?);
    let bad_date = "Argument 'rel_date' is not a date: soon.";
    for (right_type, right_id, rel_type, more, message, code) in [
        (
            "Nothing",
            "x",
            "Foo",
            json!({"rel_date": "soon"}),
            bad_date,
            "invalid_date",
        ),
        ("Nothing", NOBODY, "Foo", json!({}), NO_RIGHT, "not_found"),
        ("Domain", NOBODY, "Foo", json!({}), NO_RIGHT, "not_found"),
        ("Domain", "x", "Foo", json!({}), NO_RIGHT, "not_found"),
        ("Domain", &event, "Foo", json!({}), NO_RIGHT, "not_found"),
        (
            "Event",
            &event,
            "Foo",
            json!({}),
            "Cannot forge relationship to oneself",
            "conflict",
        ),
        (
            "Domain",
            &domain,
            "Foo",
            json!({}),
            NO_TYPE,
            "invalid_value",
        ),
        ("Domain", &domain, "", json!({}), NO_TYPE, "invalid_value"),
        (
            "Domain",
            &domain,
            "x",
            json!({"rel_type": null}),
            NO_TYPE,
            "missing_argument",
        ),
        (
            "Domain",
            NOBODY,
            "x",
            json!({"rel_type": null}),
            NO_RIGHT,
            "not_found",
        ),
    ] {
        let body = forge(right_type, right_id, rel_type, &more);
        let answer = world.say("events", &event, body).await?;
        refused(&answer, message, code);
        if message == NO_TYPE {
            assert_eq!(answer["error"]["argument"], "rel_type");
        }
    }
    for missing in ["right_type", "right_id"] {
        let body = forge("Domain", &domain, "Contains", &json!({missing: null}));
        let answer = world.say("events", &event, body).await?;
        let text =
            format!("Missing required argument '{missing}' for action 'forge_relationship'.");
        refused(&answer, &text, "missing_argument");
    }
    for (resource, id) in [("events", &event), ("domains", &domain)] {
        assert_eq!(
            world.document(resource, id).await?["relationships"],
            json!([])
        );
    }
    Ok(())
}

#[tokio::test]
async fn forge_relationship_2_dates_are_read_leniently() -> Result<()> {
    let world = World::start().await?;
    let (event, domain) = (world.event("E").await?, world.domain("example.com").await?);
    for (sent, stored) in [
        ("2026-01-14", "2026-01-14 00:00:00.000000"),
        ("13 Jan 2026", "2026-01-13 00:00:00.000000"),
        ("2026-01-12 10:20:30.123456", "2026-01-12 10:20:30.123000"),
    ] {
        let body = forge("Domain", &domain, "Contains", &json!({"rel_date": sent}));
        let object = done(
            &world.say("events", &event, body).await?,
            "Relationship forged.",
        );
        assert_eq!(object["relationship_date"], stored, "{sent}");
    }
    let body = forge(
        "Domain",
        &domain,
        "Contains",
        &json!({"rel_date": {"a": 1}}),
    );
    let answer = world.say("events", &event, body).await?;
    refused(
        &answer,
        "Argument 'rel_date' is not a date: {\"a\":1}.",
        "invalid_date",
    );
    // None of these is a date, so each of them is the first of its name.
    for (number, none) in [json!(null), json!(""), json!("None")]
        .into_iter()
        .enumerate()
    {
        let name = ["Created", "Dropped", "Decoded"][number];
        let body = forge("Domain", &domain, name, &json!({"rel_date": none}));
        let object = done(
            &world.say("events", &event, body).await?,
            "Relationship forged.",
        );
        assert_eq!(object["relationship_date"], object["date"]);
    }
    Ok(())
}

/// Actions.md 7.2.
#[tokio::test]
async fn forge_relationship_3_both_sides_say_the_same() -> Result<()> {
    let world = World::start().await?;
    let (event, domain) = (world.event("E").await?, world.domain("example.com").await?);
    let body = json!({"action": "forge_relationship", "right_type": "Domain", "right_id": domain, "rel_type": "Contains", "rel_confidence": "high", "rel_date": "2026-01-14"});
    let answer = world.say("events", &event, body.clone()).await?;
    let object = done(&answer, "Relationship forged.");
    let expected = json!({"relationship": "Contains", "type": "Domain", "value": domain, "relationship_date": "2026-01-14 00:00:00.000000", "analyst": "alice", "rel_confidence": "high", "rel_reason": ""});
    assert_eq!(without(&object, &["date"]), expected);
    assert_eq!(
        (&answer["type"], &answer["id"]),
        (&json!("Event"), &json!(event))
    );

    let left = world.document("events", &event).await?;
    assert_eq!(left["relationships"], json!([object]));
    let mut mirror = object.clone();
    mirror["relationship"] = json!("Contained Within");
    mirror["type"] = json!("Event");
    mirror["value"] = json!(event);
    let right = world.document("domains", &domain).await?;
    assert_eq!(right["relationships"], json!([mirror]));

    let again = world.say("events", &event, body).await?;
    refused(&again, "Relationship already exists", "already_exists");
    let body = forge("Domain", &domain, "Foo", &json!({}));
    refused(
        &world.say("events", &event, body).await?,
        NO_TYPE,
        "invalid_value",
    );
    assert_eq!(world.document("events", &event).await?, left);
    Ok(())
}

/// Without a date any relationship of the name is the same; another date makes another one.
#[tokio::test]
async fn forge_relationship_4_what_is_the_same_relationship() -> Result<()> {
    let world = World::start().await?;
    let (event, domain) = (world.event("E").await?, world.domain("example.com").await?);
    let (first, second) = (
        json!({"rel_date": "2026-01-14"}),
        json!({"rel_date": "2026-01-15"}),
    );
    for (rel_type, more, is_new) in [
        ("Contains", &first, true),
        ("Contains", &first, false),
        ("Contains", &second, true),
        ("contains", &json!({}), false),
        (
            "Contains",
            &json!({"rel_reason": "another", "rel_confidence": "low"}),
            false,
        ),
        ("Created", &json!({}), true),
        ("Created", &json!({}), false),
    ] {
        let body = forge("Domain", &domain, rel_type, more);
        let answer = world.say("events", &event, body).await?;
        if is_new {
            done(&answer, "Relationship forged.");
        } else {
            refused(&answer, "Relationship already exists", "already_exists");
        }
    }
    // From the other side it is there too.
    let body = forge("Event", &event, "Contained Within", &json!({}));
    let answer = world.say("domains", &domain, body).await?;
    refused(&answer, "Relationship already exists", "already_exists");
    assert_eq!(
        list(&world.document("events", &event).await?, "relationships").len(),
        3
    );
    assert_eq!(
        list(&world.document("domains", &domain).await?, "relationships").len(),
        3
    );
    Ok(())
}

/// Whatever is related to a version of a backdoor is related to its family too, from either side, and reads the same.
#[tokio::test]
async fn forge_relationship_6_families_of_backdoors() -> Result<()> {
    let world = World::start().await?;
    let form = [("name", "Rat"), ("version", "2.1"), ("source", "OSINT")];
    let version = world.make("backdoors", &form).await?;
    let families = world
        .server
        .get("/api/v1/backdoors/?c-name=Rat&c-version=")
        .await?
        .json();
    let family = families["objects"][0]["_id"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert_ne!(family, version);
    let (domain, event) = (world.domain("example.com").await?, world.event("E").await?);

    let body = forge(
        "Backdoor",
        &version,
        "Connected From",
        &json!({"rel_reason": "r", "rel_date": "2026-01-14"}),
    );
    done(
        &world.say("domains", &domain, body).await?,
        "Relationship forged.",
    );
    let body = forge("Event", &event, "Contained Within", &json!({}));
    done(
        &world.say("backdoors", &version, body).await?,
        "Relationship forged.",
    );
    // The family itself has no further one.
    let body = forge("Backdoor", &family, "Created", &json!({}));
    done(
        &world.say("events", &event, body).await?,
        "Relationship forged.",
    );

    let domain = world.document("domains", &domain).await?;
    let pairs = [
        ("Connected From", version.as_str()),
        ("Connected From", &family),
    ];
    assert_eq!(relations(&domain), pairs);
    for detail in [
        "relationship_date",
        "date",
        "analyst",
        "rel_reason",
        "rel_confidence",
    ] {
        let entries = list(&domain, "relationships");
        assert_eq!(entries[0][detail], entries[1][detail], "{detail}");
    }
    let pairs = [
        ("Contains", version.as_str()),
        ("Contains", &family),
        ("Created", &family),
    ];
    assert_eq!(relations(&world.document("events", &event).await?), pairs);
    let of_family = world.document("backdoors", &family).await?;
    let to_event: Vec<_> = relations(&of_family)
        .into_iter()
        .filter(|(_, partner)| *partner == event)
        .map(|(name, _)| name)
        .collect();
    assert_eq!(to_event, ["Contained Within", "Created By"]);
    Ok(())
}

/// S19, AZ-10: what can't be related to, and what the caller does not see, does not exist. Of what is seen no right to write
/// is needed.
#[tokio::test]
async fn forge_relationship_7_s19_the_other_object_must_be_visible() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    let secret = [("domain", "example.net"), ("source", "Closed")];
    world.server.cli(&["role", "add", "of-closed"])?;
    world
        .server
        .cli(&[&["role", "source", "of-closed", "Closed"], ALL].concat())?;
    world.server.cli(&[
        "user",
        "set",
        "admin",
        "--role",
        "UberAdmin",
        "--role",
        "of-closed",
    ])?;
    let hidden = world
        .server
        .post("/api/v1/domains/", &secret)
        .await?
        .created_id()?;
    for (right_type, right_id) in [
        ("Domain", hidden.as_str()),
        ("Role", NOBODY),
        ("Comment", NOBODY),
        ("Screenshot", NOBODY),
        ("ActorIdentifier", NOBODY),
        ("AnalysisResult", NOBODY),
        ("", NOBODY),
    ] {
        let body = forge(right_type, right_id, "Contains", &json!({}));
        let answer = world.say("events", &event, body).await?;
        if right_type.is_empty() {
            let text = "Missing required argument 'right_type' for action 'forge_relationship'.";
            refused(&answer, text, "missing_argument");
        } else {
            refused(&answer, NO_RIGHT, "not_found");
        }
    }
    assert_eq!(
        world.document("domains", &hidden).await?["relationships"],
        json!([])
    );

    let reader = world.server.add_user(
        "reader",
        &["Event.read", "Event.relationships_add"],
        &[("OSINT", &["--read", "--tlp", "red,amber,green"])],
    )?;
    let domain = world.domain("example.com").await?;
    // Types by their resource and in any case (vocabulary.md 15).
    for (right_type, name) in [
        ("Domain", "Created"),
        ("domains", "Dropped"),
        ("dOMAIN", "Decoded"),
    ] {
        let body = forge(right_type, &domain.to_uppercase(), name, &json!({}));
        let object = done(
            &world.say_as(&reader, "events", &event, &body).await?,
            "Relationship forged.",
        );
        assert_eq!(
            (&object["type"], &object["value"]),
            (&json!("Domain"), &json!(domain))
        );
    }
    Ok(())
}

#[tokio::test]
async fn forge_relationship_8_confidence_and_what_is_answered() -> Result<()> {
    let world = World::start().await?;
    let (event, domain) = (world.event("E").await?, world.domain("example.com").await?);
    let body = forge(
        "Domain",
        &domain,
        "Contains",
        &json!({"rel_confidence": "sure"}),
    );
    let answer = world.say("events", &event, body).await?;
    refused(
        &answer,
        "Invalid relationship confidence: sure.",
        "invalid_value",
    );
    assert_eq!(answer["error"]["argument"], "rel_confidence");
    let more =
        json!({"rel_confidence": " High", "rel_reason": " with blanks ", "get_rels": "true"});
    let body = forge("Domain", &domain, "Contains", &more);
    let object = done(
        &world.say("events", &event, body).await?,
        "Relationship forged.",
    );
    assert_eq!(
        (&object["rel_confidence"], &object["rel_reason"]),
        (&json!("high"), &json!(" with blanks "))
    );
    let stored = world.document("events", &event).await?;
    assert_eq!(object["relationships"], stored["relationships"]);
    // Without a confidence nobody knows.
    let body = forge(
        "Domain",
        &domain,
        "Created",
        &json!({"class_": "Event", "right_class": "Role", "id_": NOBODY}),
    );
    let answer = world.say("events", &event, body).await?;
    let object = done(&answer, "Relationship forged.");
    assert_eq!(object["rel_confidence"], "unknown");
    assert!(object.get("relationships").is_none());
    // ACT-10: internals of the original are no arguments.
    assert_eq!(
        answer["ignored_arguments"],
        json!(["class_", "right_class"])
    );
    Ok(())
}

/// C5: `get_rels` shows what a GET shows.
#[tokio::test]
async fn c5_get_rels_leaves_out_hidden_partners() -> Result<()> {
    let world = World::start().await?;
    let (event, domain) = (world.event("E").await?, world.domain("example.com").await?);
    let form = [("domain", "secret.example.org"), ("source", "Beta")];
    let hidden = world
        .server
        .post("/api/v1/domains/", &form)
        .await?
        .created_id()?;
    let body = forge("Domain", &hidden, "Contains", &json!({}));
    let path = format!("/api/v1/events/{event}/");
    assert_eq!(
        world.server.patch(&path, &body).await?.json()["return_code"],
        0
    );
    let body = forge("Domain", &domain, "Contains", &json!({"get_rels": true}));
    let object = done(
        &world.say("events", &event, body).await?,
        "Relationship forged.",
    );
    let shown = world.server.get_as(&world.alice, &path).await?.json();
    assert_eq!(list(&shown, "relationships").len(), 1);
    assert_eq!(object["relationships"], shown["relationships"]);
    Ok(())
}
