//! What is posted, right and wrong, to many types or to one of several resources.

use anyhow::{Context as _, Result};
use critd_tests::{Json, Server, json};

use crate::{OBJECTS, post, refused, stored};

/// O06: maps and lists where one value belongs: said, and nothing stored. Of every parameter that a type's form has, and of
/// those that all types share.
#[tokio::test]
async fn o06_maps_where_values_belong() -> Result<()> {
    let server = Server::start().await?;
    let reported = json!({
        "type": "Mutex", "value": "x", "source": "Alpha",
        "confidence": {"rating": "unknown"},
        "relationships": [{"relationship": "Related To", "type": "Domain", "value": "0123456789abcdef01234567"}],
        "add_relationship": true,
    });
    let answer = server.post_json("/api/v1/indicators/", &reported).await?;
    let message = refused(&answer);
    assert_eq!(message, "Argument 'confidence' must be a string.");
    assert_eq!(server.count("indicators").await?, 0);
    // A parameter that does not exist is no reason to refuse, but a client is told.
    let mut without = reported.clone();
    without["confidence"] = json!("low");
    let answer = server.post_json("/api/v1/indicators/", &without).await?;
    let warnings = answer.json()["warnings"].to_string();
    assert!(warnings.contains("'relationships'"), "{}", answer.text);
    let indicator = stored(&server, "indicators", &answer).await?;
    assert_eq!(indicator["relationships"], json!([]));

    // Events take campaigns that exist.
    post(&server, "campaigns", &[("name", "C")], None)
        .await?
        .created_id()?;
    let shared = [
        "campaign",
        "confidence",
        "tlp",
        "method",
        "reference",
        "bucket_list",
        "ticket",
        "description",
    ];
    for (resource, form, file) in OBJECTS {
        // A file comes with a form, and a form has no maps.
        if file.is_some() {
            continue;
        }
        let good: serde_json::Map<String, Json> = form
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        let names = form.iter().map(|(name, _)| *name).chain(shared);
        for (number, name) in names.enumerate() {
            for wrong in [json!({"rating": "unknown"}), json!([{"a": {"b": []}}])] {
                let mut body = good.clone();
                body.insert(name.to_owned(), wrong.clone());
                if *resource == "campaigns" && name != "name" {
                    // One of each name is all there can be.
                    body.insert(
                        "name".to_owned(),
                        json!(format!("C{number}{}", wrong.is_array())),
                    );
                }
                if name == "confidence" {
                    body.insert("campaign".to_owned(), json!("C"));
                }
                let path = format!("/api/v1/{resource}/");
                let answer = server.post_json(&path, &Json::Object(body)).await?;
                let text = format!("{resource} {name} {wrong}: {}", answer.text);
                assert_eq!(answer.status, 200, "{text}");
                let envelope = answer.json();
                if envelope["return_code"] == 0 {
                    // Not a parameter of the type: ignored, and said to be.
                    assert!(
                        envelope["warnings"]
                            .to_string()
                            .contains(&format!("'{name}'")),
                        "{text}"
                    );
                    continue;
                }
                let message = envelope["message"].as_str().unwrap_or_default();
                assert!(
                    message.contains(name) || envelope["error"]["argument"] == name,
                    "{text}"
                );
            }
        }
        // Only what ignored the parameter was stored, and nothing of the maps.
        let list = server.get(&format!("/api/v1/{resource}/")).await?;
        assert!(
            !list.text.contains("rating\\\"") && !list.text.contains("{'a'"),
            "{resource}: {}",
            list.text
        );
    }
    Ok(())
}

/// O16: the campaign of an event, in either spelling of the confidence.
#[tokio::test]
async fn o16_events_take_campaign_and_confidence() -> Result<()> {
    let server = Server::start().await?;
    server
        .post("/api/v1/campaigns/", &[("name", "Bear")])
        .await?
        .created_id()?;
    for (name, confidence) in [
        ("confidence", "high"),
        ("campaign_confidence", "HIGH"),
        ("camp_conf", " high "),
    ] {
        for campaign in ["Bear", "bear"] {
            let form = [
                ("title", "E"),
                ("event_type", "Phishing"),
                ("description", "d"),
                ("source", "Alpha"),
                ("campaign", campaign),
                (name, confidence),
            ];
            let answer = post(&server, "events", &form, None).await?;
            let event = stored(&server, "events", &answer).await?;
            let entries = event["campaign"].as_array().context("campaigns")?;
            assert_eq!(entries.len(), 1, "{name} {campaign}");
            assert_eq!(
                (&entries[0]["name"], &entries[0]["confidence"]),
                (&json!("Bear"), &json!("high")),
                "{name} {campaign}"
            );
        }
    }
    Ok(())
}

/// O19: every one of the four fields of an event, missing and empty.
#[tokio::test]
async fn o19_missing_fields_of_an_event_are_a_failure() -> Result<()> {
    let server = Server::start().await?;
    let good = [
        ("title", "E"),
        ("event_type", "Phishing"),
        ("description", "d"),
        ("source", "Alpha"),
    ];
    for missing in 0..good.len() {
        let mut form = good.to_vec();
        form.remove(missing);
        let mut empty = good.to_vec();
        empty[missing].1 = "  ";
        for form in [form, empty] {
            let answer = post(&server, "events", &form, None).await?;
            assert_eq!(
                refused(&answer),
                "Must provide a title, event_type, source, and description.",
                "{form:?}"
            );
        }
    }
    assert_eq!(server.count("events").await?, 0);
    Ok(())
}

/// O41: a source that does not exist, with an old name of an IP's type: nothing that nobody sees; and the name alone.
#[tokio::test]
async fn o41_unknown_sources_and_old_type_names() -> Result<()> {
    let server = Server::start().await?;
    let form = |source| {
        [
            ("ip", "198.51.100.7"),
            ("source", source),
            ("ip_type", "Address - ipv4-addr"),
            ("add_indicator", "true"),
            ("reference", "feed"),
        ]
    };
    let unknown = "www.unknown-feed.tld";
    let answer = post(&server, "ips", &form(unknown), None).await?;
    assert_eq!(
        refused(&answer),
        format!("User does not have permission to add object using source {unknown}.")
    );
    assert_eq!(server.count("ips").await?, 0);
    assert_eq!(server.count("indicators").await?, 0);
    let answer = post(&server, "ips", &form("Alpha"), None).await?;
    let address = stored(&server, "ips", &answer).await?;
    assert_eq!(address["type"], "IPv4 Address");
    let warnings = answer.json()["warnings"].to_string();
    assert!(warnings.contains("Address - ipv4-addr"), "{}", answer.text);
    let indicators = server.get("/api/v1/indicators/").await?.json();
    assert_eq!(indicators["objects"][0]["type"], "IPv4 Address");

    // Every resource refuses a source that does not exist, and none keeps anything.
    for (resource, good, file) in OBJECTS {
        let Some(place) = good.iter().position(|(name, _)| *name == "source") else {
            continue;
        };
        let before = server.count(resource).await?;
        let mut form = good.to_vec();
        form[place].1 = unknown;
        let answer = post(&server, resource, &form, *file).await?;
        let message = refused(&answer);
        assert!(
            message.starts_with("User does not have permission to add object")
                && message.contains(unknown),
            "{resource}: {message}"
        );
        assert_eq!(server.count(resource).await?, before, "{resource}");
    }
    Ok(())
}
