//! create.md 5.12: a resource that is part of another type.

use anyhow::Result;
use critd_tests::{Json, Server, json};

use crate::refusals::{Form, expect, expect_as};

const NOBODY: &str = "0123456789abcdef01234567";

const ROWS: &[(Form, &str)] = &[
    (&[], "Must provide object_id and description."),
    (
        &[("object_id", NOBODY)],
        "Must provide object_id and description.",
    ),
    (
        &[("description", "seen")],
        "Must provide object_id and description.",
    ),
    (
        &[("object_id", NOBODY), ("description", "")],
        "Must provide object_id and description.",
    ),
    (
        &[("object_id", NOBODY), ("description", "seen")],
        "Could not find Indicator",
    ),
    (
        &[("object_id", "xyz"), ("description", "seen")],
        "Could not find Indicator",
    ),
];

async fn indicator(server: &Server) -> Result<String> {
    let form = [
        ("type", "MD5"),
        ("value", "0123456789abcdef0123456789abcdef"),
        ("source", "Alpha"),
    ];
    let answer = server.post("/api/v1/indicators/", &form).await?;
    answer.created_id()
}

#[tokio::test]
async fn create_5_12_validation_rows() -> Result<()> {
    let server = Server::start().await?;
    expect(&server, "indicator_activity", ROWS).await?;
    let id = indicator(&server).await?;
    for date in ["start_date", "end_date"] {
        let form = [
            ("object_id", id.as_str()),
            ("description", "seen"),
            (date, "no date"),
        ];
        let body = server.post("/api/v1/indicator_activity/", &form).await?;
        assert_eq!(
            (&body.json()["return_code"], &body.json()["message"]),
            (&json!(1), &json!("Invalid date: no date.")),
            "{date}"
        );
    }
    // An event's id is no indicator's.
    let event = server.event("e").await?;
    let body = server
        .post(
            "/api/v1/indicator_activity/",
            &[("object_id", &event), ("description", "seen")],
        )
        .await?
        .json();
    assert_eq!(body["message"], "Could not find Indicator");
    assert_eq!(
        server.document("indicators", &id).await?["activity"],
        json!([])
    );
    Ok(())
}

/// S18, AZ-12: the flag, and that the indicator is seen.
#[tokio::test]
async fn s18_activity_needs_its_flag_and_a_visible_indicator() -> Result<()> {
    let server = Server::start().await?;
    let id = indicator(&server).await?;
    let form = [("object_id", id.as_str()), ("description", "seen")];
    let all: (&str, &[&str]) = ("Alpha", &["--read", "--write", "--tlp", "red,amber,green"]);
    let writer = server.add_user("writer", &["Indicator.read", "Indicator.write"], &[all])?;
    let text = "User does not have permission to create Object.";
    let denied = expect_as(&server, &writer, "indicator_activity", &form, text).await?;
    assert_eq!(
        (&denied["type"], &denied["error"]["permission"]),
        (&json!("Indicator"), &json!("Indicator.activity_add"))
    );
    expect_as(
        &server,
        &writer,
        "indicator_activity",
        &[("object_id", &id)],
        "Must provide object_id and description.",
    )
    .await?;
    expect_as(
        &server,
        &writer,
        "indicator_activity",
        &[("object_id", NOBODY), ("description", "seen")],
        text,
    )
    .await?;
    let stranger = server.add_user(
        "stranger",
        &["Indicator.read", "Indicator.activity_add"],
        &[("Beta", &["--read", "--write", "--tlp", "red,amber,green"])],
    )?;
    expect_as(
        &server,
        &stranger,
        "indicator_activity",
        &form,
        "Could not find Indicator",
    )
    .await?;
    assert_eq!(
        server.document("indicators", &id).await?["activity"],
        json!([])
    );
    // The flag is enough: neither the right to write indicators nor one to write with the source.
    let adder = server.add_user(
        "adder",
        &["Indicator.activity_add"],
        &[("Alpha", &["--read", "--tlp", "amber"])],
    )?;
    let added = server
        .post_as(&adder, "/api/v1/indicator_activity/", &form)
        .await?;
    assert_eq!(added.created_id()?, id);
    Ok(())
}

/// O33: stored, told as the indicator's, and never merged.
#[tokio::test]
async fn create_5_12_o33_each_post_is_an_entry() -> Result<()> {
    let server = Server::start().await?;
    let id = indicator(&server).await?;
    let before = server.document("indicators", &id).await?;
    let form = [
        ("object_id", id.as_str()),
        ("description", " seen in proxy log "),
        ("start_date", "2018-05-04"),
        ("end_date", "5 May 2018 10:00:00 +0200"),
    ];
    let answer = server.post("/api/v1/indicator_activity/", &form).await?;
    assert_eq!(
        answer.json(),
        json!({"return_code": 0, "type": "Indicator", "id": id, "message": "", "url": format!("/api/v1/indicators/{id}/"), "created": false})
    );
    for _ in 0..2 {
        let short = [("object_id", id.as_str()), ("description", "again")];
        server
            .post("/api/v1/indicator_activity/", &short)
            .await?
            .created_id()?;
    }
    let after = server.document("indicators", &id).await?;
    let entries: Vec<&Json> = after["activity"].as_array().into_iter().flatten().collect();
    assert_eq!(entries.len(), 3);
    assert_eq!(
        entries[0],
        &json!({"analyst": "admin", "description": "seen in proxy log", "start_date": "2018-05-04 00:00:00.000000",
            "end_date": "2018-05-05 08:00:00.000000", "date": entries[0]["date"]})
    );
    for entry in &entries[1..] {
        // Now, all three.
        assert_eq!(entry["start_date"], entry["end_date"]);
        assert_eq!(entry["description"], "again");
    }
    let dates: std::collections::BTreeSet<&str> = entries
        .iter()
        .filter_map(|entry| entry["date"].as_str())
        .collect();
    assert_eq!(dates.len(), 3, "{entries:?}");
    assert_ne!(after["modified"], before["modified"]);
    for unchanged in ["description", "source", "created", "value"] {
        assert_eq!(after[unchanged], before[unchanged], "{unchanged}");
    }
    assert_eq!(server.count("indicators").await?, 1);
    Ok(())
}

/// ACT-21: entries that come at the same moment have dates of their own, and none is lost.
#[tokio::test]
async fn create_5_12_act_21_entries_of_one_moment_are_told_apart() -> Result<()> {
    const MANY: usize = 40;
    let server = Server::start().await?;
    let id = indicator(&server).await?;
    let form = [("object_id", id.as_str()), ("description", "seen")];
    let posts = (0..MANY).map(|_| server.post("/api/v1/indicator_activity/", &form));
    for answer in futures_util::future::join_all(posts).await {
        assert_eq!(answer?.created_id()?, id);
    }
    let indicator = server.document("indicators", &id).await?;
    let dates: std::collections::BTreeSet<&str> = indicator["activity"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|entry| entry["date"].as_str())
        .collect();
    assert_eq!(dates.len(), MANY);
    Ok(())
}

/// core-api 1.2, U15: POST is all there is; the schema is that of what it adds to. It is no type: nothing can be related to it.
#[tokio::test]
async fn u12_u15_a_part_is_no_type() -> Result<()> {
    let server = Server::start().await?;
    let get = server.get("/api/v1/indicator_activity/").await?;
    assert_eq!((get.status, get.header("allow")), (405, Some("POST")));
    let schema = server.get("/api/v1/indicator_activity/schema/").await?;
    let schema = schema.json();
    assert_eq!(schema["allowed_list_http_methods"], json!(["post"]));
    assert!(schema["fields"]["attack_types"].is_object(), "{schema}");
    let listing = server.get("/api/v1/").await?.json();
    assert_eq!(
        listing["indicator_activity"]["list_endpoint"],
        "/api/v1/indicator_activity/"
    );
    let id = indicator(&server).await?;
    for name in ["IndicatorActivity", "indicator_activity"] {
        let form = [
            ("domain", "example.com"),
            ("source", "Alpha"),
            ("related_id", id.as_str()),
            ("related_type", name),
        ];
        let body = server.post("/api/v1/domains/", &form).await?.json();
        assert_eq!(body["message"], "Related object not found.", "{name}");
    }
    Ok(())
}
