//! `add_object`, `delete_object`

use anyhow::{Context as _, Result};
use critd_tests::{Answer, Json, json};

use crate::{FLAGS, TYPES, World, done, list, refused, without};

const DONE: &str = "Object added successfully";

fn add(more: &Json) -> Json {
    let mut body =
        json!({"action": "add_object", "object_type": "Mutex", "value": "x", "source": "OSINT"});
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}

/// PATCH of a multipart form with a file, as alice.
async fn upload(
    world: &World,
    event: &str,
    file: (&str, &[u8]),
    more: &[(&str, &str)],
) -> Result<Answer> {
    let (name, bytes) = file;
    let part = reqwest::multipart::Part::bytes(bytes.to_vec()).file_name(name.to_owned());
    let mut form = reqwest::multipart::Form::new().part("filedata", part);
    let fields = [
        ("action", "add_object"),
        ("object_type", "File Upload"),
        ("source", "OSINT"),
    ];
    for (name, value) in fields.iter().chain(more) {
        form = form.text((*name).to_owned(), (*value).to_owned());
    }
    let url = format!(
        "{}/api/v1/events/{event}/?username={}&api_key={}",
        world.server.url(),
        world.alice.name,
        world.alice.key
    );
    world
        .server
        .send(world.server.client().patch(url).multipart(form))
        .await
}

/// The only document of a resource.
async fn only(world: &World, resource: &str) -> Result<Json> {
    let page = world
        .server
        .get(&format!("/api/v1/{resource}/"))
        .await?
        .json();
    assert_eq!(page["meta"]["total_count"], 1, "{resource}: {page}");
    Ok(page["objects"][0].clone())
}

/// It works, and the original's internals are no arguments (ACT-10).
#[tokio::test]
async fn add_object_1_act_10_internals_are_no_arguments() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    let more = json!({"tlo": "x", "cache": {}, "is_validate_only": true, "is_validate_locally": true, "is_sort_relationships": true, "get_objects": false, "file_": "x"});
    let answer = world.say("events", &event, add(&more)).await?;
    done(&answer, DONE);
    let ignored = [
        "cache",
        "file_",
        "get_objects",
        "is_sort_relationships",
        "is_validate_locally",
        "is_validate_only",
        "tlo",
    ];
    let mut told: Vec<&str> = list(&answer, "ignored_arguments")
        .iter()
        .filter_map(Json::as_str)
        .collect();
    told.sort_unstable();
    assert_eq!(told, ignored);
    assert_eq!(
        list(&world.document("events", &event).await?, "objects").len(),
        1
    );
    Ok(())
}

#[tokio::test]
async fn add_object_2_values_are_those_of_indicators() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    for (object_type, value, stored) in [
        ("IPv4 Address", "010.1.2.3", "10.1.2.3"),
        ("IPv6 Address", "2001:0DB8:0:0::0001", "2001:db8::1"),
        ("IPv4 Subnet", "010.0.0.0/08", "10.0.0.0/8"),
        ("Domain", " WWW.Example.com. ", "WWW.Example.com"),
        (
            "URI",
            "http://www.example.com/A?b",
            "http://www.example.com/A?b",
        ),
        ("Email Address", "a@example.com", "a@example.com"),
        ("Mutex", " any: text ", "any: text"),
    ] {
        let body = add(&json!({"object_type": object_type, "value": value}));
        let object = done(&world.say("events", &event, body).await?, DONE);
        assert_eq!(object["value"], stored, "{value}");
    }
    let before = world.document("events", &event).await?;
    for (object_type, value, message) in [
        ("IPv4 Address", "10.0.0.300", "Invalid IPv4 address"),
        ("IPv6 Subnet", "x:/4", "Invalid IPv6 CIDR address"),
        ("Domain", "nothing.invalidtld", "No valid TLD found"),
        (
            "URI",
            "http:///x",
            "Failed to parse a domain or IP from the URL",
        ),
        ("Email Address", "x", "Email address must contain an '@'"),
        ("Mutex", " ", "Argument 'value' must not be empty."),
    ] {
        let body = add(&json!({"object_type": object_type, "value": value}));
        let answer = world.say("events", &event, body).await?;
        refused(&answer, message, "invalid_value");
        assert_eq!(answer["error"]["argument"], "value");
    }
    let answer = world
        .say("events", &event, add(&json!({"value": null})))
        .await?;
    refused(
        &answer,
        "Missing required argument 'value' for action 'add_object'.",
        "missing_argument",
    );
    assert_eq!(world.document("events", &event).await?, before);
    let body = add(&json!({"object_type": "MD5", "value": "abc"}));
    let answer = world.say("events", &event, body).await?;
    done(&answer, DONE);
    assert_eq!(
        answer["warnings"],
        json!(["The value is stored, but the MD5 digest needs to be 32 hex characters."])
    );
    Ok(())
}

#[tokio::test]
async fn add_object_3_types_of_objects() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    let answer = world
        .say("events", &event, add(&json!({"object_type": "Shoe Size"})))
        .await?;
    refused(&answer, "Invalid object type: Shoe Size.", "invalid_value");
    let answer = world
        .say("events", &event, add(&json!({"object_type": null})))
        .await?;
    refused(
        &answer,
        "Missing required argument 'object_type' for action 'add_object'.",
        "missing_argument",
    );
    for (object_type, value, stored) in [("mutex", "a", "Mutex"), ("Win Mutex", "b", "Mutex")] {
        let body = add(&json!({"object_type": object_type, "value": value}));
        assert_eq!(
            done(&world.say("events", &event, body).await?, DONE)["type"],
            stored
        );
    }
    Ok(())
}

#[tokio::test]
async fn add_object_4_s6_sources_of_objects() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    for source in ["Partner", "Reading", "Nobody"] {
        let answer = world
            .say("events", &event, add(&json!({"source": source})))
            .await?;
        let text = format!("User does not have permission to add object using source {source}.");
        refused(&answer, &text, "forbidden");
    }
    let answer = world
        .say("events", &event, add(&json!({"source": null})))
        .await?;
    refused(
        &answer,
        "Missing required argument 'source' for action 'add_object'.",
        "missing_argument",
    );
    let answer = world
        .say("events", &event, add(&json!({"tlp": "purple"})))
        .await?;
    refused(&answer, "'purple' is not a valid TLP.", "invalid_value");
    assert_eq!(
        world.document("events", &event).await?["objects"],
        json!([])
    );
    Ok(())
}

#[tokio::test]
async fn add_object_5_type_and_value_are_the_key() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    done(&world.say("events", &event, add(&json!({}))).await?, DONE);
    let before = world.document("events", &event).await?;
    for more in [json!({}), json!({"tlp": "red", "source": "Alpha"})] {
        let answer = world.say("events", &event, add(&more)).await?;
        refused(
            &answer,
            "Object already exists! [Type: \"Mutex\"][Value: \"x\"]",
            "already_exists",
        );
    }
    assert_eq!(world.document("events", &event).await?, before);
    done(
        &world
            .say("events", &event, add(&json!({"value": "X"})))
            .await?,
        DONE,
    );
    done(
        &world
            .say("events", &event, add(&json!({"object_type": "Pipe"})))
            .await?,
        DONE,
    );
    Ok(())
}

#[tokio::test]
async fn add_object_6_what_is_stored() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    let more = json!({"method": "feed", "reference": "r1", "tlp": "Green"});
    let object = done(&world.say("events", &event, add(&more)).await?, DONE);
    let stored = world.document("events", &event).await?;
    let instance = json!({"analyst": "alice", "date": object["date"], "method": "feed", "reference": "r1", "tlp": "green"});
    let entry = json!({"type": "Mutex", "value": "x", "analyst": "alice", "date": object["date"], "source": [{"name": "OSINT", "instances": [instance]}]});
    assert_eq!(object, entry);
    assert_eq!(stored["objects"], json!([entry]));
    assert_eq!(stored["modified"], object["date"]);
    Ok(())
}

/// Actions.md 7.2, and what becomes of the indicator.
#[tokio::test]
async fn add_object_7_an_indicator_too() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    for (name, confidence) in [("Bear", "high"), ("Fox", "low")] {
        let body = json!({"action": "campaign_add", "name": name, "confidence": confidence});
        done(
            &world.say("events", &event, body).await?,
            "Campaign assigned successfully!",
        );
    }
    let body = json!({"action": "add_object", "object_type": "IPv4 Address", "value": "010.1.2.3", "source": "OSINT", "add_indicator": true});
    let object = done(&world.say("events", &event, body.clone()).await?, DONE);
    let indicator = only(&world, "indicators").await?;
    let expected = json!({"type": "IPv4 Address", "value": "10.1.2.3", "analyst": "alice", "date": object["date"], "source": [{"name": "OSINT", "instances": [{"analyst": "alice", "date": object["date"], "method": "", "reference": "", "tlp": "amber"}]}], "indicator_id": indicator["_id"]});
    assert_eq!(object, expected);
    refused(
        &world.say("events", &event, body).await?,
        "Object already exists! [Type: \"IPv4 Address\"][Value: \"10.1.2.3\"]",
        "already_exists",
    );

    assert_eq!(
        (&indicator["value"], &indicator["type"]),
        (&json!("10.1.2.3"), &json!("IPv4 Address"))
    );
    assert_eq!(
        (&indicator["threat_types"], &indicator["attack_types"]),
        (&json!(["Unknown"]), &json!(["Unknown"]))
    );
    let campaigns: Vec<(&Json, &Json)> = list(&indicator, "campaign")
        .iter()
        .map(|entry| (&entry["name"], &entry["confidence"]))
        .collect();
    assert_eq!(
        campaigns,
        [
            (&json!("Bear"), &json!("high")),
            (&json!("Fox"), &json!("low"))
        ]
    );
    assert_eq!(indicator["source"][0]["instances"][0]["tlp"], "amber");
    let stored = world.document("events", &event).await?;
    // The indicator is no part of the stored object.
    assert_eq!(
        stored["objects"],
        json!([without(&object, &["indicator_id"])])
    );
    let relation = &list(&stored, "relationships")[0];
    assert_eq!(
        (
            &relation["relationship"],
            &relation["type"],
            &relation["value"]
        ),
        (&json!("Related To"), &json!("Indicator"), &indicator["_id"])
    );
    let back: Vec<&Json> = list(&indicator, "relationships")
        .iter()
        .filter(|entry| entry["type"] == "Event")
        .collect();
    assert_eq!(back.len(), 1);
    assert_eq!(back[0]["value"], json!(event));
    let ip = only(&world, "ips").await?;
    assert_eq!(ip["ip"], "10.1.2.3");

    // A type that no indicator has: nothing is stored.
    let answer = world
        .say(
            "events",
            &event,
            add(&json!({"object_type": "File Upload", "add_indicator": "1"})),
        )
        .await?;
    refused(
        &answer,
        "Not a valid Indicator Type: File Upload",
        "invalid_value",
    );
    // A false one of a form is none.
    let object = done(
        &world
            .say("events", &event, add(&json!({"add_indicator": "false"})))
            .await?,
        DONE,
    );
    assert!(object.get("indicator_id").is_none());
    Ok(())
}

/// Without the flag nothing is stored; what prevents the indicator otherwise does not prevent the object.
#[tokio::test]
async fn add_object_7_what_prevents_the_indicator() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    let flags = |without: &str| -> Vec<String> {
        TYPES
            .iter()
            .flat_map(|of| FLAGS.iter().map(move |flag| format!("{of}.{flag}")))
            .filter(|flag| flag != without)
            .collect()
    };
    let mut users = Vec::new();
    for (name, lacks) in [("weak", "Indicator.write"), ("half", "Domain.write")] {
        let flags = flags(lacks);
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        users.push(
            world
                .server
                .add_user(name, &flags, &[("OSINT", crate::ALL)])?,
        );
    }
    let body =
        add(&json!({"object_type": "Domain", "value": "www.example.com", "add_indicator": true}));
    let answer = world.say_as(&users[0], "events", &event, &body).await?;
    refused(
        &answer,
        "User does not have permission to add object",
        "forbidden",
    );
    assert_eq!(
        world.document("events", &event).await?["objects"],
        json!([])
    );
    let answer = world.say_as(&users[1], "events", &event, &body).await?;
    let detail = answer["detail"].as_str().context("detail")?.to_owned();
    assert!(detail.starts_with("Object added successfully, but failed to add Indicator. Error: User does not have permission"), "{detail}");
    let object = done(&answer, &detail);
    assert!(object.get("indicator_id").is_none());
    let stored = world.document("events", &event).await?;
    assert_eq!(
        (
            list(&stored, "objects").len(),
            list(&stored, "relationships").len()
        ),
        (1, 0)
    );
    for resource in ["indicators", "domains"] {
        assert_eq!(world.server.count(resource).await?, 0, "{resource}");
    }
    Ok(())
}

/// A file: its MD5 is the value; a capture becomes a PCAP too.
#[tokio::test]
async fn add_object_8_files() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    let answer = upload(&world, &event, ("report \u{fc}.txt", b"content"), &[])
        .await?
        .json();
    let object = done(&answer, DONE);
    assert_eq!(
        (&object["type"], &object["value"]),
        (
            &json!("File Upload"),
            &json!("9a0364b9e99bb480dd25e1f0284c8555")
        )
    );
    assert_eq!(
        object["source"][0]["instances"][0]["reference"],
        "report \u{fc}.txt"
    );
    let again = upload(&world, &event, ("other.txt", b"content"), &[])
        .await?
        .json();
    refused(
        &again,
        "Object already exists! [Type: \"File Upload\"][Value: \"9a0364b9e99bb480dd25e1f0284c8555\"]",
        "already_exists",
    );
    let wrong = upload(
        &world,
        &event,
        ("other.txt", b"other"),
        &[("object_type", "Mutex")],
    )
    .await?
    .json();
    refused(
        &wrong,
        "Argument 'filedata' is for objects of type File Upload.",
        "invalid_value",
    );
    assert_eq!(world.server.count("pcaps").await?, 0);

    let capture = [b"\xd4\xc3\xb2\xa1\x02\x00\x04\x00".as_slice(), &[0; 16]].concat();
    let answer = upload(
        &world,
        &event,
        ("c2.pcap", &capture),
        &[("reference", "r1"), ("tlp", "green")],
    )
    .await?
    .json();
    let object = done(&answer, DONE);
    let pcap = only(&world, "pcaps").await?;
    assert_eq!(object["pcap_id"], pcap["_id"]);
    assert_eq!(object["source"][0]["instances"][0]["reference"], "r1");
    assert_eq!(
        (&pcap["filename"], &pcap["md5"]),
        (&json!("c2.pcap"), &object["value"])
    );
    assert_eq!(pcap["source"][0]["instances"][0]["tlp"], "green");
    assert_eq!(
        (
            &pcap["relationships"][0]["type"],
            &pcap["relationships"][0]["value"]
        ),
        (&json!("Event"), &json!(event))
    );
    Ok(())
}

/// ACT-17: the object's document is changed, and only by what is new.
#[tokio::test]
async fn add_object_9_act_17_the_answer_and_modified() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    let before = world.document("events", &event).await?["modified"].clone();
    let answer = world.say("events", &event, add(&json!({}))).await?;
    let object = done(&answer, DONE);
    let members: Vec<&String> = object.as_object().context("an object")?.keys().collect();
    assert_eq!(members, ["type", "value", "analyst", "date", "source"]);
    let after = world.document("events", &event).await?["modified"].clone();
    assert_ne!(before, after);
    world.say("events", &event, add(&json!({}))).await?;
    assert_eq!(world.document("events", &event).await?["modified"], after);
    Ok(())
}

#[tokio::test]
async fn new_7_delete_object() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    let first = done(
        &world
            .say(
                "events",
                &event,
                add(&json!({"object_type": "IPv4 Address", "value": "10.1.2.3"})),
            )
            .await?,
        DONE,
    );
    let second = done(&world.say("events", &event, add(&json!({}))).await?, DONE);
    let file = done(
        &upload(&world, &event, ("f", b"content"), &[]).await?.json(),
        DONE,
    );
    let remove = |object_type: &str, value: &str| json!({"action": "delete_object", "object_type": object_type, "value": value});
    for (object_type, value) in [
        ("Mutex", "X"),
        ("Pipe", "x"),
        ("Shoe Size", "43"),
        ("IPv4 Address", "x"),
    ] {
        let answer = world
            .say("events", &event, remove(object_type, value))
            .await?;
        refused(&answer, "Could not find object to remove!", "not_found");
    }
    let answer = world
        .say("events", &event, remove("ipv4 address", "010.1.2.3"))
        .await?;
    assert_eq!(done(&answer, "Object removed."), first);
    let value = file["value"].as_str().context("a value")?;
    assert_eq!(
        done(
            &world
                .say("events", &event, remove("File Upload", value))
                .await?,
            "Object removed."
        ),
        file
    );
    let stored = world.document("events", &event).await?;
    assert_eq!(stored["objects"], json!([second]));
    let answer = world.say("events", &event, remove("Mutex", "x")).await?;
    assert_eq!(done(&answer, "Object removed."), second);
    let answer = world
        .say(
            "events",
            &event,
            json!({"action": "delete_object", "object_type": "Mutex"}),
        )
        .await?;
    refused(
        &answer,
        "Missing required argument 'value' for action 'delete_object'.",
        "missing_argument",
    );
    Ok(())
}
