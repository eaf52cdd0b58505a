//! create.md 5.20, documents.md 3.18.

use anyhow::Result;
use critd_tests::{Json, Server, json};

use crate::refusals::{Form, expect, expect_as, made, relationships};

const ROWS: &[(Form, &str)] = &[
    (&[("firstname", "Vic")], "No email address to look up"),
    (&[("email_address", "")], "No email address to look up"),
    (
        &[("email_address", "Vic Tim")],
        "Target save failed: Invalid Mail-address: Vic Tim",
    ),
    (
        &[("email_address", "victim@localhost")],
        "Target save failed: Invalid Mail-address: victim@localhost",
    ),
    (
        &[
            ("email_address", "victim@example.org"),
            ("related_id", "0123456789abcdef01234567"),
        ],
        "Must specify both related_type and related_id or related_md5.",
    ),
    (
        &[
            ("email_address", "victim@example.org"),
            ("related_id", "0123456789abcdef01234567"),
            ("related_type", "Domain"),
        ],
        "Related object not found.",
    ),
    (
        &[
            ("email_address", "victim@example.org"),
            ("relationship_type", "Nonsense"),
        ],
        "Could not find relationship type",
    ),
];

#[tokio::test]
async fn create_5_20_validation_rows() -> Result<()> {
    let server = Server::start().await?;
    expect(&server, "targets", ROWS).await?;
    let user = server.add_user("reader", &["Target.read"], &[])?;
    let denied = expect_as(
        &server,
        &user,
        "targets",
        &[],
        "User does not have permission to create Object.",
    )
    .await?;
    assert_eq!(denied["id"], "");
    assert_eq!(server.count("targets").await?, 0);
    Ok(())
}

async fn post(server: &Server, form: &[(&str, &str)]) -> Result<Json> {
    let answer = server.post("/api/v1/targets/", form).await?.json();
    let id = made(&answer, "Target saved successfully")?;
    assert_eq!(answer["url"], format!("/api/v1/targets/{id}/"));
    server.document("targets", &id).await
}

/// O07: everything at once, with parameters that do not apply to targets.
#[tokio::test]
async fn create_5_20_o07_every_parameter_is_stored() -> Result<()> {
    let server = Server::start().await?;
    let mut target = post(
        &server,
        &[
            ("campaign", "Bear"),
            ("confidence", "medium"),
            ("firstname", "Vic"),
            ("lastname", "Tim"),
            ("division", "Finance"),
            ("department", "Billing"),
            ("organization_id", "E-17"),
            ("title", "Clerk"),
            ("note", "n"),
            ("email_address", " Victim@Example.ORG "),
            ("source", "Alpha"),
            ("method", "m"),
            ("reference", "r"),
            ("ticket", "T-1"),
            ("bucket_list", "b"),
        ],
    )
    .await?;
    let id = target["_id"].clone();
    assert_eq!(
        (
            &target["campaign"][0]["name"],
            &target["campaign"][0]["confidence"]
        ),
        (&json!("Bear"), &json!("medium"))
    );
    assert_eq!(target["tickets"][0]["ticket_number"], "T-1");
    for varying in ["created", "modified", "campaign", "tickets"] {
        target.as_object_mut().map(|object| object.remove(varying));
    }
    assert_eq!(
        target,
        json!({"_id": id, "schema_version": 3, "status": "New", "tlp": "red", "email_address": "victim@example.org", "email_count": 0, "firstname": "Vic",
            "lastname": "Tim", "division": "Finance", "department": "Billing", "organization_id": "E-17", "title": "Clerk", "note": "n", "bucket_list": ["b"],
            "actions": [], "locations": [], "objects": [], "relationships": [], "releasability": [], "screenshots": [], "sectors": [], "unsupported_attrs": {}})
    );
    Ok(())
}

#[tokio::test]
async fn create_5_20_second_post_overwrites_what_it_names() -> Result<()> {
    let server = Server::start().await?;
    let first = post(
        &server,
        &[
            ("email_address", "victim@example.org"),
            ("firstname", "Vic"),
            ("note", "old"),
            ("bucket_list", "a"),
        ],
    )
    .await?;
    let second = post(
        &server,
        &[
            ("email_address", " VICTIM@example.org"),
            ("firstname", ""),
            ("lastname", "Tim"),
            ("note", "new"),
            ("bucket_list", "b"),
            ("campaign", "Bear"),
            ("camp_conf", "high"),
        ],
    )
    .await?;
    assert_eq!(second["_id"], first["_id"]);
    assert_eq!(server.count("targets").await?, 1);
    assert_eq!(
        (&second["firstname"], &second["lastname"], &second["note"]),
        (&json!("Vic"), &json!("Tim"), &json!("new"))
    );
    assert_eq!(
        (&second["bucket_list"], &second["campaign"][0]["confidence"]),
        (&json!(["a", "b"]), &json!("high"))
    );
    Ok(())
}

/// Section 6, row 20: the relationship of a target is named from the other side.
#[tokio::test]
async fn create_5_20_the_relationship_is_read_from_the_related_object() -> Result<()> {
    let server = Server::start().await?;
    let event = server.event("Invoice wave").await?;
    let form = |relationship| {
        [
            ("email_address", "victim@example.org"),
            ("related_id", event.as_str()),
            ("related_type", "Event"),
            ("relationship_type", relationship),
        ]
    };
    let target = post(&server, &form("Sent To")).await?;
    let id = target["_id"].as_str().unwrap_or_default();
    assert_eq!(relationships(&target), [("Received From", event.as_str())]);
    assert_eq!(
        relationships(&server.document("events", &event).await?),
        [("Sent To", id)]
    );
    let target = post(&server, &form("")).await?;
    assert_eq!(
        relationships(&target),
        [
            ("Received From", event.as_str()),
            ("Related To", event.as_str())
        ]
    );
    Ok(())
}

/// O05: whoever may read targets sees all of them, with or without sources.
#[tokio::test]
async fn o05_targets_and_campaigns_have_no_sources_to_be_seen_by() -> Result<()> {
    let server = Server::start().await?;
    for address in ["a@example.org", "b@example.org"] {
        post(&server, &[("email_address", address)]).await?;
    }
    server
        .post("/api/v1/campaigns/", &[("name", "Bear")])
        .await?
        .created_id()?;
    let flags = ["Target.read", "Campaign.read"];
    for (name, sources) in [
        ("one", &[("Alpha", &["--read"] as &[&str])][..]),
        ("none", &[]),
    ] {
        let user = server.add_user(name, &flags, sources)?;
        for (resource, count) in [("targets", 2), ("campaigns", 1)] {
            let list = server
                .get_as(&user, &format!("/api/v1/{resource}/"))
                .await?;
            assert_eq!(list.status, 200, "{name} {resource}: {}", list.text);
            let list = list.json();
            assert_eq!(list["meta"]["total_count"], count, "{name} {resource}");
            assert_eq!(
                list["objects"].as_array().map(Vec::len),
                Some(count),
                "{name} {resource}"
            );
        }
    }
    Ok(())
}
