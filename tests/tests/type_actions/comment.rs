//! `comment_update`, `comment_remove` (actions.md section 10): PATCHes of the object that was commented on.

use anyhow::{Context, Result};
use critd_tests::{Json, Server, User, admin, json};

use crate::{Subject, about, not_found};

/// A server whose plugins include one that shows comments.
async fn server() -> Result<Server> {
    let mut server = Server::prepare()?;
    server.add_guest("reader", "")?;
    server.run().await?;
    Ok(server)
}

async fn event(server: &Server) -> Result<Subject<'_>> {
    let form = [
        ("title", "Invoice wave"),
        ("event_type", "Phishing"),
        ("description", "d"),
        ("source", "Alpha"),
    ];
    Subject::post(server, "events", "Event", &form).await
}

async fn comments(object: &Subject<'_>) -> Result<Vec<Json>> {
    let answer = object.patch(&json!({"action": "show_comments"})).await?;
    answer["object"].as_array().cloned().context("no comments")
}

/// Says something about an object; the date by which the comment is found.
async fn say(server: &Server, user: &User, object: &Subject<'_>, text: &str) -> Result<String> {
    let form = [
        ("object_type", object.type_name),
        ("object_id", object.id()),
        ("comment", text),
    ];
    let id = server.post_as(user, "/api/v1/comments/", &form).await?;
    id.created_id()?;
    let said = comments(object).await?;
    let said = said.iter().find(|comment| comment["comment"] == text);
    said.and_then(|comment| comment["date"].as_str().map(str::to_owned))
        .context("the comment is not there")
}

fn update(date: &str, text: &str) -> Json {
    json!({"action": "comment_update", "date": date, "comment": text})
}

fn remove(date: &str) -> Json {
    json!({"action": "comment_remove", "date": date})
}

/// Text, users and tags follow, and when it was changed; the object itself stays as it is, and so does an equal comment.
#[tokio::test]
async fn comment_update_changes_ones_own_comment() -> Result<()> {
    let server = server().await?;
    let event = event(&server).await?;
    let date = say(&server, &admin(), &event, "old #tag").await?;
    let other = say(&server, &admin(), &event, "another").await?;
    let before = comments(&event).await?;
    let object = event
        .idle(
            update(&date, "Same packer, @admin @nobody #packer"),
            "Comment updated.",
        )
        .await?;
    assert_eq!(
        object,
        json!({"comment": "Same packer, @admin @nobody #packer", "date": date, "edit_date": object["edit_date"], "analyst": "admin", "users": ["admin"], "tags": ["packer"]})
    );
    assert!(
        object["edit_date"].as_str() > Some(date.as_str()),
        "{object}"
    );
    let after = comments(&event).await?;
    let mut expected = before.clone();
    for field in ["comment", "edit_date", "users", "tags"] {
        expected[0][field] = object[field].clone();
    }
    assert_eq!(after, expected);
    assert_eq!(after[1]["date"], json!(other));
    // 9.2: a second time.
    event
        .idle(
            update(&date, "Same packer, @admin @nobody #packer"),
            "Comment updated.",
        )
        .await?;
    assert_eq!(comments(&event).await?, after);
    event
        .refuses(vec![
            (
                update("2001-01-01 00:00:00.0", "x"),
                "Cannot find comment to update!",
                not_found(),
            ),
            (
                update("yesterday", "x"),
                "Argument 'date' must match %Y-%m-%d %H:%M:%S.%f.",
                about("invalid_date", "date"),
            ),
            (
                update(&date, " "),
                "Argument 'comment' must not be empty.",
                about("invalid_value", "comment"),
            ),
            (
                json!({"action": "comment_update", "date": date}),
                "Missing required argument 'comment' for action 'comment_update'.",
                about("missing_argument", "comment"),
            ),
        ])
        .await?;
    assert_eq!(comments(&event).await?, after);
    Ok(())
}

#[tokio::test]
async fn comment_remove_takes_ones_own_comment_away() -> Result<()> {
    let server = server().await?;
    let event = event(&server).await?;
    let date = say(&server, &admin(), &event, "first").await?;
    say(&server, &admin(), &event, "second").await?;
    let tried = format!("/api/v1/events/{}/?dry_run=1", event.id());
    let tried = server.patch(&tried, &remove(&date)).await?.json();
    let gone = &tried["difference"][0];
    assert_eq!(
        (&gone["type"], &gone["fields"]["comment"]),
        (&json!("Comment"), &json!({"before": "first"})),
        "{tried}"
    );
    assert_eq!(comments(&event).await?.len(), 2);
    let object = event.idle(remove(&date), "Comment removed.").await?;
    assert_eq!(
        (&object["comment"], &object["date"]),
        (&json!("first"), &json!(date))
    );
    let left = comments(&event).await?;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["comment"], "second");
    // 9.2: a second time.
    event
        .refuses(vec![
            (
                remove(&date),
                "Could not find comment to remove!",
                not_found(),
            ),
            (
                remove(""),
                "Missing required argument 'date' for action 'comment_remove'.",
                about("missing_argument", "date"),
            ),
        ])
        .await
}

/// Of two who take one comment away at once, one is told that it is gone.
#[tokio::test]
async fn con_1_a_comment_is_removed_once() -> Result<()> {
    let server = server().await?;
    let event = event(&server).await?;
    for round in 0..5 {
        let date = say(&server, &admin(), &event, &format!("round {round}")).await?;
        let body = remove(&date);
        let (one, two) = tokio::join!(event.patch(&body), event.patch(&body));
        let mut codes = [one?["return_code"].as_i64(), two?["return_code"].as_i64()];
        codes.sort_unstable();
        assert_eq!(codes, [Some(0), Some(1)]);
    }
    assert!(comments(&event).await?.is_empty());
    Ok(())
}

/// Only one's own; a comment that one does not see is none. The flags are those of the commented type.
#[tokio::test]
async fn comments_of_others_and_flags() -> Result<()> {
    let server = server().await?;
    let event = event(&server).await?;
    let campaign = Subject::post(&server, "campaigns", "Campaign", &[("name", "Bear")]).await?;
    let date = say(&server, &admin(), &event, "the administrator's").await?;
    let flags = [
        "Event.read",
        "Event.comments_edit",
        "Event.comments_delete",
        "Event.comments_add",
        "Campaign.read",
    ];
    let insider = server.add_user(
        "insider",
        &flags,
        &[("Alpha", &["--read", "--tlp", "red,amber"])],
    )?;
    // Comments are red.
    let half = server.add_user("half", &flags, &[("Alpha", &["--read", "--tlp", "amber"])])?;
    server.cli(&["user", "set", "insider", "--organization", "Alpha"])?;
    for (user, body, message, code) in [
        (
            &insider,
            update(&date, "mine"),
            "You cannot edit comments from other analysts!",
            "forbidden",
        ),
        (
            &insider,
            remove(&date),
            "You cannot delete comments from other analysts!",
            "forbidden",
        ),
        (
            &half,
            update(&date, "mine"),
            "Cannot find comment to update!",
            "not_found",
        ),
        (
            &half,
            remove(&date),
            "Could not find comment to remove!",
            "not_found",
        ),
    ] {
        let answer = event.patch_as(user, &body).await?;
        assert_eq!(
            (answer["message"].as_str(), &answer["error"]["code"]),
            (Some(message), &json!(code)),
            "{body}"
        );
    }
    for (body, message, flag) in [
        (
            update(&date, "x"),
            "User does not have permission to edit comments.",
            "Campaign.comments_edit",
        ),
        (
            remove(&date),
            "User does not have permission to delete comments.",
            "Campaign.comments_delete",
        ),
    ] {
        let answer = campaign.patch_as(&insider, &body).await?;
        assert_eq!(
            (answer["message"].as_str(), &answer["error"]),
            (
                Some(message),
                &json!({"code": "forbidden", "permission": flag})
            )
        );
    }
    // A comment on another object is none of this one's.
    let elsewhere = campaign.patch(&remove(&date)).await?;
    assert_eq!(elsewhere["message"], "Could not find comment to remove!");
    let own = say(&server, &insider, &event, "mine").await?;
    let answer = event
        .patch_as(&insider, &update(&own, "mine, changed"))
        .await?;
    assert_eq!(
        (&answer["return_code"], &answer["object"]["analyst"]),
        (&json!(0), &json!("insider")),
        "{answer}"
    );
    let answer = event.patch_as(&insider, &remove(&own)).await?;
    assert_eq!(answer["return_code"], 0, "{answer}");
    assert_eq!(comments(&event).await?.len(), 1);
    Ok(())
}
