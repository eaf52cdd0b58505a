//! What holds for every resource: field cases that are about all of them.

use anyhow::{Context, Result};
use critd_tests::{Json, Server, json};

use crate::refusals::Form;

/// A resource, a form that it takes, and one that it refuses.
const RESOURCES: &[(&str, Form, Form)] = &[
    (
        "actors",
        &[("name", "A"), ("source", "Alpha")],
        &[("name", "A")],
    ),
    (
        "actoridentifiers",
        &[
            ("identifier_type", "Handle"),
            ("identifier", "x"),
            ("source", "Alpha"),
        ],
        &[("identifier_type", "Handle"), ("identifier", "x")],
    ),
    (
        "backdoors",
        &[("name", "B"), ("version", "1"), ("source", "Alpha")],
        &[("name", "B"), ("version", "1")],
    ),
    ("campaigns", &[("name", "C")], &[]),
    (
        "domains",
        &[("domain", "example.com"), ("source", "Alpha")],
        &[("domain", "example.com")],
    ),
    (
        "events",
        &[
            ("title", "E"),
            ("event_type", "Phishing"),
            ("description", "d"),
            ("source", "Alpha"),
        ],
        &[
            ("title", "E"),
            ("event_type", "Phishing"),
            ("description", "d"),
        ],
    ),
    (
        "exploits",
        &[("name", "X"), ("source", "Alpha")],
        &[("name", "X")],
    ),
    (
        "indicators",
        &[("type", "Mutex"), ("value", "x"), ("source", "Alpha")],
        &[("type", "Mutex"), ("value", "x")],
    ),
    (
        "ips",
        &[
            ("ip", "192.0.2.1"),
            ("ip_type", "IPv4 Address"),
            ("source", "Alpha"),
        ],
        &[("ip", "192.0.2.1"), ("ip_type", "IPv4 Address")],
    ),
    (
        "raw_data",
        &[
            ("upload_type", "metadata"),
            ("title", "R"),
            ("data_type", "Text"),
            ("data", "x"),
            ("source", "Alpha"),
        ],
        &[
            ("upload_type", "metadata"),
            ("title", "R"),
            ("data_type", "Text"),
            ("data", "x"),
        ],
    ),
    (
        "signatures",
        &[
            ("title", "S"),
            ("data_type", "Yara"),
            ("data", "x"),
            ("source", "Alpha"),
        ],
        &[("title", "S"), ("data_type", "Yara"), ("data", "x")],
    ),
    ("targets", &[("email_address", "t@example.org")], &[]),
];

const OWN_ID: &str = "0123456789abcdef01234567";

/// O34: the envelope, whatever happens. O51: a sender's own id is ignored and told to be. O52: a success has an id, and a
/// refusal never says "success".
#[tokio::test]
async fn o34_o51_o52_envelopes_of_every_resource() -> Result<()> {
    let server = Server::start().await?;
    for (resource, good, bad) in RESOURCES {
        let path = format!("/api/v1/{resource}/");
        let refused = server.post(&path, bad).await?;
        let body = refused.json();
        assert_eq!(
            (refused.status, &body["return_code"]),
            (200, &json!(1)),
            "{resource}: {}",
            refused.text
        );
        let message = body["message"].as_str().context("a message")?;
        assert!(
            !message.is_empty() && !message.to_lowercase().contains("success"),
            "{resource}: {message}"
        );
        assert!(body["type"].is_string(), "{resource}: {body}");
        assert_eq!(server.count(resource).await?, 0, "{resource}");

        let mut form = good.to_vec();
        form.extend([("_id", OWN_ID), ("stix_id", "example:x-1")]);
        let made = server.post(&path, &form).await?;
        let body = made.json();
        let id = made.created_id()?;
        assert_ne!(id, OWN_ID, "{resource}");
        assert_eq!(body["url"], format!("{path}{id}/"), "{resource}");
        assert_eq!(
            body["warnings"],
            json!([
                "Unknown parameter '_id' was ignored.",
                "Unknown parameter 'stix_id' was ignored."
            ]),
            "{resource}"
        );
        let stored = server.get(&format!("{path}{id}/")).await?;
        assert_eq!(stored.status, 200, "{resource}");
        assert!(
            !stored.text.contains(OWN_ID) && !stored.text.contains("example:x-1"),
            "{resource}: {}",
            stored.text
        );
    }
    Ok(())
}

/// O52: a PATCH says `success` when it is one, and never otherwise.
#[tokio::test]
async fn o52_patch_says_success_only_when_it_is_one() -> Result<()> {
    let server = Server::start().await?;
    for (resource, good, _) in RESOURCES {
        if *resource == "actoridentifiers" {
            continue;
        }
        let path = format!("/api/v1/{resource}/");
        let id = server.post(&path, good).await?.created_id()?;
        for (action, succeeds) in [
            (
                json!({"action": "status_update", "value": "Analyzed"}),
                true,
            ),
            (json!({"action": "status_update", "value": "Lost"}), false),
            (json!({"action": "ticket_add"}), false),
            (json!({"action": "nonsense"}), false),
            (json!({}), false),
        ] {
            let body = server.patch(&format!("{path}{id}/"), &action).await?.json();
            let message = body["message"].as_str().context("a message")?;
            assert_eq!(
                message.to_lowercase().contains("success"),
                succeeds,
                "{resource} {action}: {body}"
            );
        }
    }
    Ok(())
}

/// O45: who sees one of two sources reads `method` and `reference` of each instance, whether or not they were given, and
/// of the other source nothing but how many there are.
#[tokio::test]
async fn o45_readers_of_one_source_can_rely_on_its_instances() -> Result<()> {
    let server = Server::start().await?;
    let flags: Vec<String> = [
        "Actor",
        "Backdoor",
        "Domain",
        "Event",
        "Exploit",
        "Indicator",
        "IP",
        "RawData",
        "Signature",
    ]
    .map(|name| format!("{name}.read"))
    .to_vec();
    let mut flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    flags.push("Actor.actor_identifiers_read");
    let reader = server.add_user("reader", &flags, &[("Beta", &["--read", "--tlp", "amber"])])?;
    for (resource, good, _) in RESOURCES {
        let Some(place) = good.iter().position(|(name, _)| *name == "source") else {
            continue;
        };
        let path = format!("/api/v1/{resource}/");
        let mut id = server.post(&path, good).await?.created_id()?;
        let mut form = good.to_vec();
        form[place] = ("source", "Beta");
        let again = server.post(&path, &form).await?.created_id()?;
        if *resource == "events" {
            // No two POSTs are the same event.
            id.clone_from(&again);
        }
        assert_eq!(again, id, "{resource}");
        let stored = server.get_as(&reader, &format!("{path}{id}/")).await?;
        let stored = stored.json();
        let sources = stored["source"]
            .as_array()
            .with_context(|| format!("{resource}: {stored}"))?;
        let own = &sources[0];
        assert_eq!(own["name"], "Beta", "{resource}: {stored}");
        for instance in own["instances"].as_array().into_iter().flatten() {
            for field in ["method", "reference", "analyst", "date", "tlp"] {
                assert!(
                    instance[field].is_string(),
                    "{resource} {field}: {instance}"
                );
            }
        }
        if *resource != "events" {
            assert_eq!(
                sources[1],
                json!({"name": "Other", "instances": [0]}),
                "{resource}"
            );
        }
        let list: Json = server.get_as(&reader, &path).await?.json();
        assert_eq!(list["objects"][0]["source"], stored["source"], "{resource}");
    }
    Ok(())
}
