//! create.md 5.3, documents.md 3.4.

use anyhow::Result;
use critd_tests::{Json, Server, json};

use crate::refusals::{Form, expect, expect_as, made, relationships, sources};

const ROWS: &[(Form, &str)] = &[
    (
        &[("name", "Rat"), ("source", "Nowhere")],
        "User does not have permission to add objects using source Nowhere.",
    ),
    // The source comes before the name.
    (
        &[("source", "Nowhere")],
        "User does not have permission to add objects using source Nowhere.",
    ),
    (&[("name", "Rat")], "Missing source information."),
    (
        &[("name", "Rat"), ("source", "")],
        "Missing source information.",
    ),
    (&[], "Missing source information."),
    (&[("source", "Alpha")], "Need a Backdoor name."),
    (
        &[("source", "Alpha"), ("name", " ")],
        "Need a Backdoor name.",
    ),
    (
        &[("source", "Alpha"), ("name", "Rat"), ("tlp", "purple")],
        "'purple' is not a valid TLP.",
    ),
    (
        &[
            ("source", "Alpha"),
            ("name", "Rat"),
            ("campaign", "C"),
            ("confidence", "sure"),
        ],
        "Invalid campaign confidence: sure.",
    ),
];

#[tokio::test]
async fn create_5_3_validation_rows() -> Result<()> {
    let server = Server::start().await?;
    expect(&server, "backdoors", ROWS).await?;
    // The right to create comes before everything else.
    let user = server.add_user(
        "reader",
        &["Backdoor.read"],
        &[("Alpha", &["--read", "--write"])],
    )?;
    let denied = expect_as(
        &server,
        &user,
        "backdoors",
        &[("source", "Nowhere")],
        "User does not have permission to create Object.",
    )
    .await?;
    assert_eq!(
        (&denied["type"], &denied["id"]),
        (&json!("Backdoor"), &json!(""))
    );
    assert_eq!(server.count("backdoors").await?, 0);
    Ok(())
}

async fn post(server: &Server, form: &[(&str, &str)], name: &str) -> Result<Json> {
    let answer = server.post("/api/v1/backdoors/", form).await?.json();
    let id = made(&answer, &format!("Success: {name}"))?;
    assert_eq!(answer["url"], format!("/api/v1/backdoors/{id}/"));
    server.document("backdoors", &id).await
}

/// A version makes its family; what both have, and how they are related.
#[tokio::test]
async fn create_5_3_family_and_version() -> Result<()> {
    let server = Server::start().await?;
    let version = post(
        &server,
        &[
            ("name", " ExampleRAT "),
            ("version", "2.1"),
            ("aliases", "ERAT, E2,,ERAT"),
            ("description", " the second "),
            ("source", "Alpha"),
            ("tlp", "green"),
            ("campaign", "Bear"),
            ("confidence", "HIGH"),
            ("bucket_list", "rat"),
            ("ticket", "T-1"),
            ("sectors", "Energy"),
        ],
        "ExampleRAT",
    )
    .await?;
    assert_eq!(server.count("backdoors").await?, 2);
    let found = server.get("/api/v1/backdoors/?c-version=").await?.json();
    let family = &found["objects"][0];
    for made in [&version, family] {
        assert_eq!(made["name"], "ExampleRAT");
        assert_eq!(made["aliases"], json!(["ERAT", "E2"]));
        assert_eq!(sources(made), [("Alpha".to_owned(), 1)]);
        assert_eq!(
            (&made["tlp"], &made["campaign"][0]["confidence"]),
            (&json!("green"), &json!("high"))
        );
        assert_eq!(
            (&made["bucket_list"], &made["tickets"][0]["ticket_number"]),
            (&json!(["rat"]), &json!("T-1"))
        );
    }
    assert_eq!(
        (
            &version["version"],
            &version["description"],
            &version["sectors"]
        ),
        (&json!("2.1"), &json!("the second"), &json!(["Energy"]))
    );
    assert_eq!(
        (
            &family["version"],
            &family["description"],
            &family["sectors"]
        ),
        (&json!(""), &Json::Null, &json!([]))
    );
    for (one, other) in [(&version, family), (family, &version)] {
        let id = other["_id"].as_str().unwrap_or_default();
        assert_eq!(relationships(one), [("Related To", id)]);
        let entry = &one["relationships"][0];
        assert!(entry.get("analyst").is_none(), "{entry}");
        assert_eq!(
            (
                &entry["type"],
                &entry["rel_confidence"],
                &entry["rel_reason"]
            ),
            (&json!("Backdoor"), &json!("unknown"), &json!(""))
        );
        assert_eq!(entry["relationship_date"], one["created"]);
    }
    Ok(())
}

/// documents.md 3.4: a new family has exactly these keys.
#[tokio::test]
async fn create_5_3_stored_form() -> Result<()> {
    let server = Server::start().await?;
    let mut family = post(
        &server,
        &[("name", "Poison"), ("source", "Beta"), ("description", "d")],
        "Poison",
    )
    .await?;
    let now = family["created"].clone();
    let id = family["_id"].clone();
    assert_eq!(
        family["source"],
        json!([{"name": "Beta", "instances": [{"analyst": "admin", "date": now, "method": "", "reference": "", "tlp": "amber"}]}])
    );
    for varying in ["created", "modified", "source"] {
        family.as_object_mut().map(|object| object.remove(varying));
    }
    assert_eq!(
        family,
        json!({"_id": id, "schema_version": 1, "status": "New", "tlp": "amber", "name": "Poison", "version": "", "description": "d", "aliases": [],
            "actions": [], "bucket_list": [], "campaign": [], "locations": [], "objects": [], "relationships": [], "releasability": [],
            "screenshots": [], "sectors": [], "tickets": [], "unsupported_attrs": {}})
    );
    Ok(())
}

#[tokio::test]
async fn create_5_3_second_post_merges_into_both() -> Result<()> {
    let server = Server::start().await?;
    let first = post(
        &server,
        &[
            ("name", "Rat"),
            ("version", "1"),
            ("aliases", "a"),
            ("source", "Alpha"),
        ],
        "Rat",
    )
    .await?;
    // Blank so far: it is filled.
    let second = post(
        &server,
        &[
            ("name", "Rat"),
            ("version", "1"),
            ("aliases", "b,a"),
            ("description", "one"),
            ("source", "Beta"),
            ("bucket_list", "x"),
        ],
        "Rat",
    )
    .await?;
    assert_eq!(second["_id"], first["_id"]);
    // No longer blank: it stays.
    let third = post(
        &server,
        &[
            ("name", "Rat"),
            ("version", "1"),
            ("description", "two"),
            ("source", "Alpha"),
        ],
        "Rat",
    )
    .await?;
    assert_eq!(third["description"], "one");
    let family = post(&server, &[("name", "Rat"), ("source", "Alpha")], "Rat").await?;
    assert_eq!(server.count("backdoors").await?, 2);
    for (made, alpha) in [(&third, 2), (&family, 3)] {
        assert_eq!(
            sources(made),
            [("Alpha".to_owned(), alpha), ("Beta".to_owned(), 1)]
        );
        assert_eq!(
            (&made["aliases"], &made["bucket_list"]),
            (&json!(["a", "b"]), &json!(["x"]))
        );
        assert_eq!(relationships(made).len(), 1, "{made}");
    }
    // Case matters.
    let other = post(&server, &[("name", "rat"), ("source", "Alpha")], "rat").await?;
    assert_ne!(other["_id"], family["_id"]);
    Ok(())
}

/// create.md 2.6, the family rule: whatever is related to a version is related to the family.
#[tokio::test]
async fn create_5_3_what_is_related_to_a_version_is_related_to_the_family() -> Result<()> {
    let server = Server::start().await?;
    let version = post(
        &server,
        &[("name", "Rat"), ("version", "1"), ("source", "Alpha")],
        "Rat",
    )
    .await?;
    let family = server.get("/api/v1/backdoors/?c-version=").await?.json()["objects"][0].clone();
    let (version, family) = (
        version["_id"].as_str().unwrap_or_default(),
        family["_id"].as_str().unwrap_or_default(),
    );
    let domain = server
        .post(
            "/api/v1/domains/",
            &[
                ("domain", "example.com"),
                ("source", "Alpha"),
                ("related_id", version),
                ("related_type", "Backdoor"),
                ("relationship", "Connected From"),
            ],
        )
        .await?
        .created_id()?;
    let stored = server.document("domains", &domain).await?;
    assert_eq!(
        relationships(&stored),
        [("Connected From", version), ("Connected From", family)]
    );
    let stored = server.document("backdoors", family).await?;
    assert_eq!(
        relationships(&stored),
        [("Related To", version), ("Connected To", domain.as_str())]
    );
    Ok(())
}
