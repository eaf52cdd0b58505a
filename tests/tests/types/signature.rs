//! create.md 5.19, documents.md 3.17.

use anyhow::{Context, Result};
use critd_tests::{Json, Server, User, json};

use crate::refusals::{Form, expect, expect_as, made, relationships, sources};

const RULE: &str = "rule a { condition: \"é\" }\n";
const LINK: &str = "6f1b0c1e-0000-4000-8000-00000000beef";

const ROWS: &[(Form, &str)] = &[
    (&[], "Must provide a title."),
    (
        &[("data_type", "Yara"), ("data", "x"), ("source", "Alpha")],
        "Must provide a title.",
    ),
    (&[("title", "t")], "Must provide a data type."),
    (
        &[("title", "t"), ("data_type", "Zoo")],
        "No data object, title, or data type passed in",
    ),
    (
        &[("title", "t"), ("data_type", "Zoo"), ("data", "x")],
        "Missing source information.",
    ),
    (
        &[
            ("title", "t"),
            ("data_type", "Zoo"),
            ("data", "x"),
            ("source", "Nowhere"),
            ("link_id", "no"),
        ],
        "Invalid data type passed in",
    ),
    (
        &[
            ("title", "t"),
            ("data_type", "Yara"),
            ("data", "x"),
            ("source", "Nowhere"),
            ("link_id", "no"),
        ],
        "Invalid link_id.",
    ),
    (
        &[
            ("title", "t"),
            ("data_type", "Yara"),
            ("data", "x"),
            ("source", "Nowhere"),
        ],
        "User does not have permission to add object using source Nowhere.",
    ),
];

#[tokio::test]
async fn create_5_19_validation_rows() -> Result<()> {
    let server = Server::start().await?;
    expect(&server, "signatures", ROWS).await?;
    // The right to create comes after title and type, before all else.
    let user = server.add_user(
        "reader",
        &["Signature.read"],
        &[("Alpha", &["--read", "--write"])],
    )?;
    for (form, message) in [
        (&[][..], "Must provide a title."),
        (&[("title", "t")], "Must provide a data type."),
        (
            &[("title", "t"), ("data_type", "Zoo")],
            "User does not have permission to create Object.",
        ),
    ] {
        expect_as(&server, &user, "signatures", form, message).await?;
    }
    assert_eq!(server.count("signatures").await?, 0);
    Ok(())
}

async fn post(server: &Server, more: &[(&str, &str)]) -> Result<Json> {
    let mut form = vec![
        ("title", "Sig"),
        ("data_type", "Yara"),
        ("data", RULE),
        ("source", "Alpha"),
    ];
    form.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
    form.extend(more);
    let answer = server.post("/api/v1/signatures/", &form).await?.json();
    let id = made(&answer, "Uploaded signature")?;
    assert_eq!(
        (&answer["type"], &answer["url"]),
        (
            &json!("Signature"),
            &json!(format!("/api/v1/signatures/{id}/"))
        )
    );
    server.document("signatures", &id).await
}

#[tokio::test]
async fn create_5_19_stored_form_and_second_post() -> Result<()> {
    let server = Server::start().await?;
    let mut first = post(
        &server,
        &[
            ("data_type_min_version", "3.0"),
            ("data_type_max_version", "4"),
            ("data_type_dependency", "pe, math,,pe"),
            ("description", " d "),
        ],
    )
    .await?;
    let (id, link, now) = (
        first["_id"].clone(),
        first["link_id"].clone(),
        first["created"].clone(),
    );
    assert_eq!(link.as_str().map(str::len), Some(36));
    assert_eq!(
        first["source"],
        json!([{"name": "Alpha", "instances": [{"analyst": "admin", "date": now, "method": "Upload", "reference": "", "tlp": "amber"}]}])
    );
    for varying in ["created", "modified", "source"] {
        first.as_object_mut().map(|object| object.remove(varying));
    }
    assert_eq!(
        first,
        json!({"_id": id, "schema_version": 1, "status": "New", "tlp": "amber", "title": "Sig", "data_type": "Yara", "data": RULE,
            "md5": "bc88df5e9cd461887e267b223653cc2b", "data_type_min_version": "3.0", "data_type_max_version": "4", "data_type_dependency": ["pe", "math"],
            "link_id": link, "version": 1, "description": "d",
            "actions": [], "bucket_list": [], "campaign": [], "locations": [], "objects": [], "relationships": [], "releasability": [],
            "screenshots": [], "sectors": [], "tickets": [], "unsupported_attrs": {}})
    );
    // The same text and type: another source, nothing else.
    let second = post(
        &server,
        &[
            ("title", "Other"),
            ("source", "Beta"),
            ("method", "m"),
            ("bucket_list", "b"),
            ("campaign", "Bear"),
            ("ticket", "T-1"),
        ],
    )
    .await?;
    assert_eq!((&second["_id"], &second["title"]), (&id, &json!("Sig")));
    assert_eq!((&second["link_id"], &second["version"]), (&link, &json!(1)));
    assert_eq!(
        sources(&second),
        [("Alpha".to_owned(), 1), ("Beta".to_owned(), 1)]
    );
    assert_eq!(second["source"][1]["instances"][0]["method"], "m");
    assert_eq!(
        (&second["bucket_list"], &second["campaign"][0]["name"]),
        (&json!(["b"]), &json!("Bear"))
    );
    // Another type is another signature.
    let other = post(&server, &[("data_type", "Snort")]).await?;
    assert_ne!(other["_id"], id);
    assert_eq!(server.count("signatures").await?, 2);
    Ok(())
}

/// What somebody else has is not joined by those who don't see it.
#[tokio::test]
async fn create_5_19_an_invisible_signature_is_not_the_same() -> Result<()> {
    let server = Server::start().await?;
    let hidden = post(&server, &[]).await?;
    let bob: User = server.add_user(
        "bob",
        &["Signature.read", "Signature.write"],
        &[("Beta", &["--read", "--write", "--tlp", "amber"])],
    )?;
    let form = [
        ("title", "Sig"),
        ("data_type", "Yara"),
        ("data", RULE),
        ("source", "Beta"),
    ];
    let mut ids = Vec::new();
    for _ in 0..2 {
        let answer = server.post_as(&bob, "/api/v1/signatures/", &form).await?;
        ids.push(answer.created_id()?);
    }
    assert_eq!(ids[0], ids[1]);
    assert_ne!(hidden["_id"], json!(ids[0]));
    Ok(())
}

/// Versions: a link that nobody has begins a chain; the same text is a new version too.
#[tokio::test]
async fn create_5_19_versions_of_one_link() -> Result<()> {
    let server = Server::start().await?;
    let event = server.event("Invoice wave").await?;
    let spelled = LINK.to_uppercase().replace('-', "");
    let first = post(
        &server,
        &[
            ("link_id", LINK),
            ("related_id", &event),
            ("related_type", "Event"),
        ],
    )
    .await?;
    let second = post(
        &server,
        &[("link_id", &spelled), ("copy_relationships", "true")],
    )
    .await?;
    let third = post(
        &server,
        &[
            ("link_id", LINK),
            ("data", "rule b"),
            ("copy_relationships", "false"),
        ],
    )
    .await?;
    for (signature, version) in [(&first, 1), (&second, 2), (&third, 3)] {
        assert_eq!(
            (&signature["link_id"], &signature["version"]),
            (&json!(LINK), &json!(version))
        );
    }
    assert_eq!(relationships(&second), [("Related To", event.as_str())]);
    assert!(relationships(&third).is_empty());
    let found = server
        .get(&format!(
            "/api/v1/signatures/?c-link_id={LINK}&order_by=-version&only=version"
        ))
        .await?
        .json();
    let versions: Vec<i64> = found["objects"]
        .as_array()
        .context("a list")?
        .iter()
        .filter_map(|one| one["version"].as_i64())
        .collect();
    assert_eq!(versions, [3, 2, 1]);
    Ok(())
}
