//! POST over HTTP: what each type stores, its side effects across types, its second POST, its refusals.

use anyhow::{Context, Result};
use critd_tests::{Server, json};

/// documents.md 2.1, create.md 2.7: a new event has exactly these keys, in this shape.
#[tokio::test]
async fn create_5_9_event_is_stored_in_the_originals_shape() -> Result<()> {
    let server = Server::start().await?;
    let answer = server
        .post(
            "/api/v1/events/",
            &[
                ("title", " Invoice wave "),
                ("event_type", "phishing"),
                ("description", "Three mailboxes"),
                ("source", "Alpha"),
                ("tlp", "Amber"),
                ("method", "m"),
                ("reference", "r"),
                ("date", "2018-05-03"),
                ("bucket_list", "a, b,,a"),
                ("ticket", "T-1, T-2"),
            ],
        )
        .await?;
    let body = answer.json();
    let id = body["id"].as_str().context("id")?.to_owned();
    assert_eq!(
        body,
        json!({"return_code": 0, "type": "Event", "id": id, "message": "Success! Click here to view the new event: Invoice wave", "url": format!("/api/v1/events/{id}/"), "created": true})
    );
    assert_eq!(
        answer.header("location"),
        Some(format!("/api/v1/events/{id}/").as_str())
    );
    let mut event = server.document("events", &id).await?;
    for date in ["created", "modified"] {
        assert_eq!(
            event[date].as_str().map(str::len),
            Some(26),
            "{date}: {}",
            event[date]
        );
    }
    let now = event["created"].clone();
    assert_eq!(event["event_id"].as_str().map(str::len), Some(36));
    assert_eq!(event["tickets"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        event["tickets"][1],
        json!({"ticket_number": "T-2", "analyst": "admin", "date": now})
    );
    assert_eq!(
        event["source"],
        json!([{"name": "Alpha", "instances": [{"analyst": "admin", "date": "2018-05-03 00:00:00.000000", "method": "m", "reference": "r", "tlp": "amber"}]}])
    );
    let object = event.as_object_mut().context("an object")?;
    for varying in ["created", "modified", "event_id", "tickets", "source"] {
        object.remove(varying);
    }
    assert_eq!(
        event,
        json!({"_id": id, "schema_version": 3, "status": "New", "tlp": "amber", "title": "Invoice wave", "event_type": "Phishing", "description": "Three mailboxes", "bucket_list": ["a", "b"],
            "actions": [], "campaign": [], "locations": [], "objects": [], "relationships": [], "releasability": [], "screenshots": [], "sectors": [], "unsupported_attrs": {}})
    );
    Ok(())
}

/// A form: names and values.
type Form = &'static [(&'static str, &'static str)];

/// One row: resource, form, message.
const REFUSALS: &[(&str, Form, &str)] = &[
    (
        "events",
        &[
            ("title", "t"),
            ("event_type", "Phishing"),
            ("source", "Alpha"),
        ],
        "Must provide a title, event_type, source, and description.",
    ),
    (
        "events",
        &[
            ("title", "t"),
            ("event_type", "Nonsense"),
            ("description", "d"),
            ("source", "Alpha"),
        ],
        "Not a valid Event Type.",
    ),
    (
        "events",
        &[
            ("title", "t"),
            ("event_type", "Phishing"),
            ("description", "d"),
            ("source", "Nowhere"),
        ],
        "User does not have permission to add object using source Nowhere.",
    ),
    (
        "events",
        &[
            ("title", "t"),
            ("event_type", "Phishing"),
            ("description", "d"),
            ("source", "Alpha"),
            ("campaign", "None"),
        ],
        "None is not a valid campaign.",
    ),
    (
        "events",
        &[
            ("title", "t"),
            ("event_type", "Phishing"),
            ("description", "d"),
            ("source", "Alpha"),
            ("tlp", "purple"),
        ],
        "'purple' is not a valid TLP.",
    ),
    (
        "events",
        &[
            ("title", "t"),
            ("event_type", "Phishing"),
            ("description", "d"),
            ("source", "Alpha"),
            ("date", "no date"),
        ],
        "Invalid date: no date.",
    ),
    (
        "indicators",
        &[("type", "MD5"), ("value", "x")],
        "Missing source information.",
    ),
    (
        "indicators",
        &[("type", "MD5"), ("source", "Alpha")],
        "Can't create indicator with an empty value field",
    ),
    (
        "indicators",
        &[("value", "x"), ("source", "Alpha")],
        "Can't create indicator with an empty type field",
    ),
    (
        "indicators",
        &[("value", "x"), ("type", "Nope"), ("source", "Alpha")],
        "Not a valid Indicator Type: Nope",
    ),
    (
        "indicators",
        &[
            ("value", "x"),
            ("type", "MD5"),
            ("threat_type", "Nope"),
            ("source", "Alpha"),
        ],
        "Not a valid Indicator Threat Type: Nope",
    ),
    (
        "indicators",
        &[
            ("value", "x"),
            ("type", "MD5"),
            ("attack_type", "Nope"),
            ("source", "Alpha"),
        ],
        "Not a valid Indicator Attack Type: Nope",
    ),
    (
        "indicators",
        &[("value", "http:///x"), ("type", "URI"), ("source", "Alpha")],
        "Failed to parse a domain or IP from the URL",
    ),
    (
        "indicators",
        &[
            ("value", "nobody"),
            ("type", "Email Address"),
            ("source", "Alpha"),
        ],
        "Email address must contain an '@'",
    ),
    (
        "indicators",
        &[
            ("value", "a@"),
            ("type", "Email Address"),
            ("source", "Alpha"),
        ],
        "Email address must contain a domain (or IP)",
    ),
    (
        "indicators",
        &[
            ("value", "a@[x]"),
            ("type", "Email Address"),
            ("source", "Alpha"),
        ],
        "Email address does not contain a valid IP",
    ),
    (
        "indicators",
        &[
            ("value", "1.2.3"),
            ("type", "IPv4 Address"),
            ("source", "Alpha"),
        ],
        "Invalid IPv4 address",
    ),
    (
        "indicators",
        &[("value", "x"), ("type", "MD5"), ("source", "Nowhere")],
        "User does not have permission to add object using source Nowhere.",
    ),
    (
        "indicators",
        &[
            ("value", "x"),
            ("type", "MD5"),
            ("source", "Alpha"),
            ("campaign", "C"),
            ("confidence", "sure"),
        ],
        "Invalid campaign confidence: sure.",
    ),
    (
        "ips",
        &[("ip", "10.0.0.1"), ("source", "Alpha")],
        "Must provide an IP, IP Type, and Source.",
    ),
    (
        "ips",
        &[
            ("ip", "10.0.0.1"),
            ("ip_type", "IPv4 Subnet"),
            ("source", "Alpha"),
        ],
        "Invalid CIDR address",
    ),
    (
        "ips",
        &[
            ("ip", "10.0.0.0/33"),
            ("ip_type", "IPv4 Subnet"),
            ("source", "Alpha"),
        ],
        "Invalid CIDR address",
    ),
    (
        "ips",
        &[
            ("ip", "10.0.0.256"),
            ("ip_type", "IPv4 Address"),
            ("source", "Alpha"),
        ],
        "Invalid IPv4 address",
    ),
    (
        "ips",
        &[
            ("ip", "10.0.0/8"),
            ("ip_type", "IPv4 Subnet"),
            ("source", "Alpha"),
        ],
        "Invalid IPv4 CIDR address",
    ),
    (
        "ips",
        &[
            ("ip", "2001::x"),
            ("ip_type", "IPv6 Address"),
            ("source", "Alpha"),
        ],
        "Invalid IPv6 address",
    ),
    (
        "ips",
        &[
            ("ip", "2001::x/64"),
            ("ip_type", "IPv6 Subnet"),
            ("source", "Alpha"),
        ],
        "Invalid IPv6 CIDR address",
    ),
    (
        "ips",
        &[
            ("ip", "10.0.0.1"),
            ("ip_type", "Carrier pigeon"),
            ("source", "Alpha"),
        ],
        "Invalid IP type.",
    ),
    (
        "ips",
        &[
            ("ip", "10.0.0.1"),
            ("ip_type", "IPv4 Address"),
            ("source", "Nowhere"),
        ],
        "User does not have permission to add object using source Nowhere.",
    ),
    ("domains", &[("source", "Alpha")], "Need a Domain Name."),
    (
        "domains",
        &[("domain", ""), ("source", "Alpha")],
        "Need a Domain Name.",
    ),
    (
        "domains",
        &[("domain", "www.example.com"), ("source", "Nowhere")],
        "User does not have permission to add objects using source Nowhere.",
    ),
    (
        "domains",
        &[("domain", "www.example.com")],
        "User does not have permission to add objects using source None.",
    ),
    (
        "domains",
        &[("domain", "a b.com"), ("source", "Alpha")],
        " Domain cannot contain space or characters /:@\\  ",
    ),
    (
        "domains",
        &[("domain", "nosuchtld.nosuchtld"), ("source", "Alpha")],
        " No valid TLD found ",
    ),
    (
        "domains",
        &[("domain", "10.0.0.1"), ("source", "Alpha")],
        " No valid TLD found ",
    ),
    (
        "domains",
        &[
            ("domain", "www.example.com"),
            ("source", "Alpha"),
            ("add_ip", "true"),
            ("ip", "1.2.3"),
            ("ip_type", "IPv4 Address"),
            ("same_source", "true"),
        ],
        " Invalid IPv4 address ",
    ),
    ("campaigns", &[("aliases", "x")], "Need a Campaign name."),
    ("actors", &[("name", "A")], "Missing source information."),
    ("actors", &[("source", "Alpha")], "Need an Actor name."),
    (
        "actors",
        &[("name", "A"), ("source", "Nowhere")],
        "User does not have permission to add objects using source Nowhere.",
    ),
    (
        "actoridentifiers",
        &[("identifier", "x"), ("source", "Alpha")],
        "Unknown Identifier Type",
    ),
    (
        "actoridentifiers",
        &[
            ("identifier_type", "Nope"),
            ("identifier", "x"),
            ("source", "Alpha"),
        ],
        "Unknown Identifier Type",
    ),
    (
        "actoridentifiers",
        &[("identifier_type", "Handle"), ("source", "Alpha")],
        "Missing Identifier",
    ),
    (
        "actoridentifiers",
        &[("identifier_type", "Handle"), ("identifier", "x")],
        "Missing source information.",
    ),
];

/// create.md section 5, the validation rows of the foundation's types: exact texts, nothing stored.
#[tokio::test]
async fn create_5_validation_rows() -> Result<()> {
    let server = Server::start().await?;
    for (resource, form, message) in REFUSALS {
        let answer = server.post(&format!("/api/v1/{resource}/"), form).await?;
        let body = answer.json();
        assert_eq!(
            (
                answer.status,
                &body["return_code"],
                body["message"].as_str()
            ),
            (200, &json!(1), Some(*message)),
            "{resource} {form:?}: {}",
            answer.text
        );
        assert!(body.get("url").is_none(), "{resource} {form:?}");
    }
    for resource in [
        "events",
        "indicators",
        "ips",
        "domains",
        "campaigns",
        "actors",
        "actoridentifiers",
    ] {
        assert_eq!(server.count(resource).await?, 0, "{resource}");
    }
    Ok(())
}

/// create.md 1.5, B18: without the right to create.
#[tokio::test]
async fn b18_creating_needs_the_types_write_flag() -> Result<()> {
    let server = Server::start().await?;
    let user = server.add_user(
        "reader",
        &["Event.read"],
        &[("Alpha", &["--read", "--write"])],
    )?;
    let rows: [(&str, &[(&str, &str)]); 7] = [
        (
            "events",
            &[
                ("title", "t"),
                ("event_type", "Phishing"),
                ("description", "d"),
                ("source", "Alpha"),
            ],
        ),
        (
            "indicators",
            &[("type", "MD5"), ("value", "x"), ("source", "Alpha")],
        ),
        (
            "ips",
            &[
                ("ip", "10.0.0.1"),
                ("ip_type", "IPv4 Address"),
                ("source", "Alpha"),
            ],
        ),
        (
            "domains",
            &[("domain", "www.example.com"), ("source", "Alpha")],
        ),
        ("campaigns", &[("name", "c")]),
        ("actors", &[("name", "a"), ("source", "Alpha")]),
        (
            "actoridentifiers",
            &[
                ("identifier_type", "Handle"),
                ("identifier", "x"),
                ("source", "Alpha"),
            ],
        ),
    ];
    for (resource, form) in rows {
        let body = server
            .post_as(&user, &format!("/api/v1/{resource}/"), form)
            .await?
            .json();
        assert_eq!(
            (&body["return_code"], body["message"].as_str()),
            (
                &json!(1),
                Some("User does not have permission to create Object.")
            ),
            "{resource}: {body}"
        );
        assert_eq!(server.count(resource).await?, 0, "{resource}");
    }
    Ok(())
}

/// create.md 5.1, 5.2, 5.4: names are keys; what a second POST does.
#[tokio::test]
async fn create_5_1_5_2_5_4_actor_identifier_campaign() -> Result<()> {
    let server = Server::start().await?;
    let actor = server
        .post(
            "/api/v1/actors/",
            &[
                ("name", "Bear"),
                ("aliases", "a, b,,a"),
                ("description", " d "),
                ("source", "Alpha"),
                ("campaign", "C"),
                ("confidence", "HIGH"),
            ],
        )
        .await?;
    assert_eq!(
        actor.json()["message"],
        "Success! Click here to view the new Actor: Bear"
    );
    let id = actor.created_id()?;
    let again = server
        .post(
            "/api/v1/actors/",
            &[
                ("name", "Bear"),
                ("aliases", "b,c"),
                ("description", "other"),
                ("source", "Beta"),
                ("campaign", "C"),
                ("confidence", "low"),
            ],
        )
        .await?;
    assert_eq!(again.created_id()?, id);
    let stored = server.document("actors", &id).await?;
    assert_eq!(
        (
            &stored["aliases"],
            &stored["description"],
            &stored["schema_version"]
        ),
        (&json!(["a", "b", "c"]), &json!("d"), &json!(2))
    );
    assert_eq!(
        (
            &stored["campaign"][0]["confidence"],
            stored["campaign"].as_array().map(Vec::len)
        ),
        (&json!("high"), Some(1))
    );
    for empty in [
        "threat_types",
        "motivations",
        "sophistications",
        "intended_effects",
        "identifiers",
    ] {
        assert_eq!(stored[empty], json!([]), "{empty}");
    }

    let identifier = server
        .post(
            "/api/v1/actoridentifiers/",
            &[
                ("identifier_type", " Handle "),
                ("identifier", " bear99 "),
                ("source", "Alpha"),
            ],
        )
        .await?;
    assert_eq!(
        identifier.json()["message"],
        "Actor Identifier added successfully!"
    );
    let id = identifier.created_id()?;
    let stored = server.document("actoridentifiers", &id).await?;
    let keys: Vec<&str> = stored
        .as_object()
        .map(|o| {
            let mut keys: Vec<&str> = o.keys().map(String::as_str).collect();
            keys.sort_unstable();
            keys
        })
        .unwrap_or_default();
    assert_eq!(
        keys,
        [
            "_id",
            "active",
            "created",
            "identifier_type",
            "name",
            "schema_version",
            "source",
            "unsupported_attrs"
        ]
    );
    assert_eq!(
        (
            &stored["name"],
            &stored["identifier_type"],
            &stored["unsupported_attrs"]
        ),
        (&json!("bear99"), &json!("Handle"), &json!({"tlp": "amber"}))
    );
    assert_eq!(
        server
            .post(
                "/api/v1/actoridentifiers/",
                &[
                    ("identifier_type", "Handle"),
                    ("identifier", "bear99"),
                    ("source", "Beta")
                ]
            )
            .await?
            .created_id()?,
        id
    );
    assert_eq!(
        server.document("actoridentifiers", &id).await?["source"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    assert_eq!(
        server
            .patch(
                &format!("/api/v1/actoridentifiers/{id}/"),
                &json!({"action": "status_update"})
            )
            .await?
            .status,
        405
    );

    let campaign = server.post_json("/api/v1/campaigns/", &json!({"name": "Night Owl", "aliases": ["NO", " owl "], "ticket": "T-9", "bucket_list": ["x"]})).await?;
    assert_eq!(campaign.json()["message"], "Campaign created successfully!");
    let id = campaign.created_id()?;
    let stored = server.document("campaigns", &id).await?;
    assert_eq!(
        (
            &stored["aliases"],
            &stored["active"],
            &stored["actor_count"],
            &stored["ttps"]
        ),
        (&json!(["NO", "owl"]), &json!("on"), &json!(0), &json!([]))
    );
    assert_eq!(stored["tickets"][0]["ticket_number"], "T-9");
    assert!(stored.get("source").is_none());
    let twice = server
        .post("/api/v1/campaigns/", &[("name", "Night Owl")])
        .await?
        .json();
    assert_eq!(
        (
            &twice["return_code"],
            twice["message"].as_str(),
            &twice["id"],
            &twice["url"]
        ),
        (
            &json!(1),
            Some("Campaign already exists."),
            &json!(id),
            &json!(format!("/api/v1/campaigns/{id}/"))
        )
    );
    let event = server
        .post(
            "/api/v1/events/",
            &[
                ("title", "t"),
                ("event_type", "Phishing"),
                ("description", "d"),
                ("source", "Alpha"),
                ("campaign", "night owl"),
                ("confidence", "high"),
            ],
        )
        .await?
        .created_id()?;
    let event = server.document("events", &event).await?;
    assert_eq!(
        (
            &event["campaign"][0]["name"],
            &event["campaign"][0]["confidence"]
        ),
        (&json!("Night Owl"), &json!("high"))
    );
    Ok(())
}
