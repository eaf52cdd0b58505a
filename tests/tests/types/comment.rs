//! create.md 5.6, documents.md 3.7.

use anyhow::{Context, Result};
use critd_tests::{Json, Server, User, admin, json};

use crate::refusals::{Form, expect, expect_as};

const NOBODY: &str = "0123456789abcdef01234567";

const ROWS: &[(Form, &str)] = &[
    (&[], "Must provide an object type."),
    (&[("object_type", "")], "Must provide an object type."),
    (
        &[("object_type", "Nonsense"), ("comment", "c")],
        "Must provide an object id.",
    ),
    (
        &[("object_type", "Nonsense"), ("object_id", NOBODY)],
        "Must provide a comment.",
    ),
    (
        &[
            ("object_type", "Event"),
            ("object_id", NOBODY),
            ("comment", " "),
        ],
        "Must provide a comment.",
    ),
    // No type, no id, nothing behind it, nothing that can be commented on: nobody is told which.
    (
        &[
            ("object_type", "Nonsense"),
            ("object_id", NOBODY),
            ("comment", "c"),
        ],
        "Could not find the top-level object.",
    ),
    (
        &[
            ("object_type", "Event"),
            ("object_id", "xyz"),
            ("comment", "c"),
        ],
        "Could not find the top-level object.",
    ),
    (
        &[
            ("object_type", "Event"),
            ("object_id", NOBODY),
            ("comment", "c"),
        ],
        "Could not find the top-level object.",
    ),
    (
        &[
            ("object_type", "IndicatorActivity"),
            ("object_id", NOBODY),
            ("comment", "c"),
        ],
        "Could not find the top-level object.",
    ),
    (
        &[
            ("object_type", "Event"),
            ("object_id", NOBODY),
            ("comment", "c"),
            ("parent_date", "2018-04-02 09:00:00"),
        ],
        "Must provide both parent_date and parent_analyst.",
    ),
    (
        &[
            ("object_type", "Event"),
            ("object_id", NOBODY),
            ("comment", "c"),
            ("parent_analyst", "jdoe"),
        ],
        "Must provide both parent_date and parent_analyst.",
    ),
    (
        &[
            ("object_type", "Event"),
            ("object_id", NOBODY),
            ("comment", "c"),
            ("parent_date", "no date"),
            ("parent_analyst", "jdoe"),
        ],
        "Invalid date: no date.",
    ),
];

/// A server whose plugins include one that shows comments.
async fn server() -> Result<Server> {
    let mut server = Server::prepare()?;
    server.add_guest("reader", "")?;
    server.run().await?;
    Ok(server)
}

/// The comments on an object of a resource that a user sees.
async fn comments(server: &Server, user: &User, resource: &str, id: &str) -> Result<Vec<Json>> {
    let answer = server
        .patch_as(
            user,
            &format!("/api/v1/{resource}/{id}/"),
            &json!({"action": "show_comments"}),
        )
        .await?;
    let body = answer.json();
    body["object"]
        .as_array()
        .cloned()
        .with_context(|| format!("no comments: {} {}", answer.status, answer.text))
}

#[tokio::test]
async fn create_5_6_validation_rows() -> Result<()> {
    let server = Server::start().await?;
    expect(&server, "comments", ROWS).await?;
    let mut form = vec![("object_type", "Event"), ("comment", "c")];
    let refused = server.post("/api/v1/comments/", &form).await?.json();
    assert_eq!(
        (&refused["success"], refused.get("status_code")),
        (&json!(false), None)
    );
    // A comment is no object to comment on, even with a real id.
    let event = server.event("e").await?;
    form.push(("object_id", &event));
    let comment = server
        .post("/api/v1/comments/", &form)
        .await?
        .created_id()?;
    let on_comment = [
        ("object_type", "Comment"),
        ("object_id", comment.as_str()),
        ("comment", "c"),
    ];
    expect_as(
        &server,
        &admin(),
        "comments",
        &on_comment,
        "Could not find the top-level object.",
    )
    .await?;
    Ok(())
}

/// The flag is that of the commented type, after what must be provided and before the object is looked for.
#[tokio::test]
async fn create_5_6_r5_the_right_is_that_of_the_commented_type() -> Result<()> {
    let server = Server::start().await?;
    let event = server.event("e").await?;
    let user = server.add_user(
        "writer",
        &["Event.read", "Domain.comments_add"],
        &[("Alpha", &["--read", "--tlp", "amber"])],
    )?;
    expect_as(
        &server,
        &user,
        "comments",
        &[("object_type", "Event"), ("object_id", &event)],
        "Must provide a comment.",
    )
    .await?;
    for id in [event.as_str(), NOBODY, "xyz"] {
        let denied = expect_as(
            &server,
            &user,
            "comments",
            &[
                ("object_type", "events"),
                ("object_id", id),
                ("comment", "c"),
            ],
            "You do not have permission to add comment to type Event.",
        )
        .await?;
        assert_eq!(
            (&denied["success"], &denied["status_code"], &denied["type"]),
            (&json!(false), &json!(1), &json!("Comment"))
        );
    }
    expect_as(
        &server,
        &user,
        "comments",
        &[
            ("object_type", "Domain"),
            ("object_id", NOBODY),
            ("comment", "c"),
        ],
        "Could not find the top-level object.",
    )
    .await?;
    Ok(())
}

#[tokio::test]
async fn create_5_6_stored_form_and_answer() -> Result<()> {
    let server = server().await?;
    server.cli(&["user", "add", "asmith", "--role", "Analyst"])?;
    server.cli(&["user", "deactivate", "asmith"])?;
    // Neither the right to write events nor one to write with any source is needed.
    let flags = ["Event.read", "Event.comments_add", "Event.comments_read"];
    let user = server.add_user(
        "jdoe",
        &flags,
        &[
            ("Alpha", &["--read", "--tlp", "amber"]),
            ("Beta", &["--read", "--tlp", "red"]),
        ],
    )?;
    server.cli(&["user", "set", "jdoe", "--organization", "Beta"])?;
    let event = server.event("Invoice wave").await?;
    let before = server.document("events", &event).await?;
    let text = " Same packer as last week, @asmith @nobody @asmith, @jdoe #packer #2 #packer \n";
    let form = [
        ("object_type", "event"),
        ("object_id", event.as_str()),
        ("comment", text),
    ];
    let answer = server.post_as(&user, "/api/v1/comments/", &form).await?;
    let body = answer.json();
    let id = body["id"].as_str().unwrap_or_default();
    assert_eq!(id.len(), 24);
    assert_eq!(
        body,
        json!({"return_code": 0, "type": "Comment", "id": id, "message": "Comment added successfully!", "success": true, "created": true})
    );
    assert_eq!(answer.header("location"), None);
    let mut stored = comments(&server, &user, "events", &event).await?;
    assert_eq!(stored.len(), 1);
    let now = stored[0]["date"].clone();
    assert_eq!(now.as_str().map(str::len), Some(26));
    assert_eq!(
        stored[0],
        json!({"schema_version": 1, "comment": text, "date": now, "edit_date": now, "analyst": "jdoe", "obj_type": "Event", "obj_id": event,
            "url_key": event, "users": ["asmith", "jdoe"], "tags": ["packer", "2"],
            "source": [{"name": "Beta", "instances": [{"analyst": "jdoe", "date": now, "method": "", "reference": "", "tlp": "red"}]}]})
    );
    // A reply, by somebody else, to what jdoe said.
    let date = now.as_str().unwrap_or_default();
    let reply = [
        ("object_type", "Event"),
        ("object_id", event.as_str()),
        ("comment", "yes"),
        ("parent_date", date),
        ("parent_analyst", "jdoe"),
    ];
    server
        .post("/api/v1/comments/", &reply)
        .await?
        .created_id()?;
    stored = comments(&server, &admin(), "events", &event).await?;
    assert_eq!(stored.len(), 2);
    assert_eq!(
        (&stored[1]["parent"], &stored[1]["analyst"]),
        (&json!({"date": date, "analyst": "jdoe"}), &json!("admin"))
    );
    assert!(stored[0].get("parent").is_none());
    // The object itself is as it was.
    assert_eq!(server.document("events", &event).await?, before);
    Ok(())
}

/// Same object: none. Every POST is a new comment; objects without sources can be commented on too.
#[tokio::test]
async fn create_5_6_second_post_is_another_comment() -> Result<()> {
    let server = server().await?;
    let campaign = server
        .post("/api/v1/campaigns/", &[("name", "Bear")])
        .await?
        .created_id()?;
    let form = [
        ("object_type", "Campaign"),
        ("object_id", campaign.as_str()),
        ("comment", "c"),
    ];
    let mut ids = Vec::new();
    for _ in 0..2 {
        let answer = server.post("/api/v1/comments/", &form).await?;
        ids.push(answer.created_id()?);
    }
    assert_ne!(ids[0], ids[1]);
    let stored = comments(&server, &admin(), "campaigns", &campaign).await?;
    assert_eq!(stored.len(), 2);
    Ok(())
}

/// AZ-12, S9: whoever does not see an object can neither comment on it nor learn of comments on it, and whoever sees it
/// sees the comments of those whose organisation is a source of theirs.
#[tokio::test]
async fn s9_az_12_comments_of_an_invisible_object_are_invisible() -> Result<()> {
    let server = server().await?;
    let flags = ["Event.read", "Event.comments_add", "Event.comments_read"];
    let outsider = server.add_user(
        "outsider",
        &flags,
        &[("Beta", &["--read", "--write", "--tlp", "red,amber,green"])],
    )?;
    let insider = server.add_user(
        "insider",
        &flags,
        &[("Alpha", &["--read", "--tlp", "red,amber"])],
    )?;
    let half = server.add_user("half", &flags, &[("Alpha", &["--read", "--tlp", "amber"])])?;
    let event = server.event("secret").await?;
    let form = [
        ("object_type", "Event"),
        ("object_id", event.as_str()),
        ("comment", "c"),
    ];
    // The administrator's organisation is Alpha.
    server
        .post("/api/v1/comments/", &form)
        .await?
        .created_id()?;
    let refused = expect_as(
        &server,
        &outsider,
        "comments",
        &form,
        "Could not find the top-level object.",
    )
    .await?;
    let unknown = expect_as(
        &server,
        &outsider,
        "comments",
        &[
            ("object_type", "Event"),
            ("object_id", NOBODY),
            ("comment", "c"),
        ],
        "Could not find the top-level object.",
    )
    .await?;
    assert_eq!(refused, unknown);
    let path = format!("/api/v1/events/{event}/");
    let shown = server
        .patch_as(&outsider, &path, &json!({"action": "show_comments"}))
        .await?;
    assert_eq!(shown.status, 404, "{}", shown.text);
    assert_eq!(
        comments(&server, &admin(), "events", &event).await?.len(),
        1
    );
    assert_eq!(
        comments(&server, &insider, "events", &event).await?.len(),
        1
    );
    // Comments are red.
    assert_eq!(comments(&server, &half, "events", &event).await?.len(), 0);
    Ok(())
}

/// core-api 1.2: POST is all there is.
#[tokio::test]
async fn u12_comments_are_not_read_here() -> Result<()> {
    let server = Server::start().await?;
    for path in ["comments/", "comments/0123456789abcdef01234567/"] {
        let answer = server.get(&format!("/api/v1/{path}")).await?;
        assert_eq!(answer.status, 405, "{path}: {}", answer.text);
    }
    let answer = server.get("/api/v1/comments/").await?;
    assert_eq!(answer.header("allow"), Some("POST"));
    let schema = server.get("/api/v1/comments/schema/").await?.json();
    assert_eq!(schema["allowed_list_http_methods"], json!(["post"]));
    assert!(schema["fields"]["obj_id"].is_object(), "{schema}");
    Ok(())
}
