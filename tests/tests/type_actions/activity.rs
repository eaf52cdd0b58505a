//! When an indicator was active: actions.md 4.1 to 4.3.

use anyhow::Result;
use critd_tests::{Json, Server, json};

use crate::indicator::{TEN, add, indicator, remove, update};
use crate::{about, about_key, not_found, not_of_type};

const FORMAT: &str = "must match %Y-%m-%d %H:%M:%S.%f.";

/// Dates are read leniently here; without one, or with an empty one, it is now. Nothing is merged, and each entry has its
/// date for itself (ACT-21).
#[tokio::test]
async fn activity_add_1_activity_add_2_act_21_lenient_dates_and_unique_handles() -> Result<()> {
    let server = Server::start().await?;
    let indicator = indicator(&server).await?;
    let said = json!({"description": " d ", "start_date": "2020-01-01", "end_date": "", "date": "2026-01-15T10:00:00Z"});
    let first = indicator.done(add(said.clone()), "Activity added.").await?;
    assert_eq!(
        (&first["start_date"], &first["date"], &first["description"]),
        (
            &json!("2020-01-01 00:00:00.000000"),
            &json!(TEN),
            &json!(" d ")
        )
    );
    let second = indicator.done(add(said), "Activity added.").await?;
    assert_eq!(second["date"], "2026-01-15 10:00:00.001000");
    let third = indicator
        .done(
            add(json!({"description": "now", "start_date": null})),
            "Activity added.",
        )
        .await?;
    assert_eq!(third["start_date"], third["end_date"]);
    assert_eq!(third["start_date"], third["date"]);
    assert_eq!(
        indicator.read().await?["activity"],
        json!([first, second, third])
    );
    // The other entry is found by its own handle.
    let removed = indicator
        .done(remove("2026-01-15 10:00:00.001999"), "Activity removed.")
        .await?;
    assert_eq!(removed, second);
    Ok(())
}

/// CON-10: additions at once get different dates.
#[tokio::test]
async fn con_10_activities_added_at_once_have_dates_of_their_own() -> Result<()> {
    let server = Server::start().await?;
    let indicator = indicator(&server).await?;
    let body = add(json!({"description": "beacon", "date": TEN}));
    let answers = futures_util::future::join_all((0..8).map(|_| indicator.patch(&body))).await;
    let mut dates = std::collections::BTreeSet::new();
    for answer in answers {
        let answer = answer?;
        assert_eq!(answer["return_code"], 0, "{answer}");
        dates.insert(answer["object"]["date"].to_string());
    }
    assert_eq!(dates.len(), 8);
    Ok(())
}

/// A begin after the end and a blank description are accepted. ACT-15: unknown keys are ignored, the analyst is the caller,
/// and a form's text is read as JSON.
#[tokio::test]
async fn activity_add_3_act_15_what_is_accepted() -> Result<()> {
    let server = Server::start().await?;
    let indicator = indicator(&server).await?;
    let entry = indicator
        .done(
            add(json!({"description": "", "start_date": "2026-01-15", "end_date": "2026-01-14", "analyst": "mallory", "colour": "red"})),
            "Activity added.",
        )
        .await?;
    assert_eq!(
        entry,
        json!({"analyst": "admin", "description": "", "start_date": "2026-01-15 00:00:00.000000", "end_date": "2026-01-14 00:00:00.000000", "date": entry["date"]})
    );
    indicator
        .done(
            json!({"action": "activity_add", "activity": "{\"description\": \"of a form\"}"}),
            "Activity added.",
        )
        .await?;
    // The same effect as that of a POST.
    let form = [("object_id", indicator.id()), ("description", "seen")];
    server.post("/api/v1/indicator_activity/", &form).await?;
    let activity = indicator.read().await?["activity"].clone();
    let keys = |entry: &Json| {
        entry
            .as_object()
            .map(|entry| entry.keys().cloned().collect::<Vec<_>>())
    };
    assert_eq!(keys(&activity[0]), keys(&activity[2]), "{activity}");
    let missing = "Missing required argument 'activity' for action 'activity_add'.";
    indicator
        .refuses(vec![
            (json!({"action": "activity_add"}), missing, about("missing_argument", "activity")),
            (add(json!("description")), "Argument 'activity' must be an object.", not_of_type("activity", "object")),
            (
                add(json!({"start_date": "2026-01-15"})),
                "Missing key 'description' in argument 'activity'.",
                about_key("missing_key", "activity", "description"),
            ),
            (
                add(json!({"description": ["d"]})),
                "Argument 'description' must be a string.",
                json!({"code": "invalid_type", "argument": "activity", "key": "description", "expected": "string"}),
            ),
        ])
        .await
}

/// Absent keys keep their value, an empty date is now; dates are strict. The entry becomes the caller's and moves to the end
/// (ACT-23).
#[tokio::test]
async fn activity_update_keeps_what_is_absent() -> Result<()> {
    let server = Server::start().await?;
    let indicator = indicator(&server).await?;
    let first = json!({"description": "a", "start_date": "2026-01-01", "end_date": "2026-01-02", "date": TEN});
    indicator.done(add(first), "Activity added.").await?;
    let other = indicator
        .done(add(json!({"description": "b"})), "Activity added.")
        .await?;
    let bob = server.add_user(
        "bob",
        &["Indicator.read", "Indicator.activity_edit"],
        &[("Alpha", &["--read", "--tlp", "red,amber,green"])],
    )?;
    let answer = indicator
        .patch_as(
            &bob,
            &update(json!({"date": TEN, "end_date": "2026-01-03 00:00:00.0"})),
        )
        .await?;
    let entry = json!({"analyst": "bob", "description": "a", "start_date": "2026-01-01 00:00:00.000000", "end_date": "2026-01-03 00:00:00.000000", "date": TEN});
    assert_eq!(
        (&answer["detail"], &answer["object"]),
        (&json!("Activity updated."), &entry)
    );
    assert_eq!(indicator.read().await?["activity"], json!([other, entry]));
    let answer = indicator
        .done(
            update(json!({"date": TEN, "start_date": "", "description": ""})),
            "Activity updated.",
        )
        .await?;
    assert_eq!(
        (&answer["description"], &answer["analyst"]),
        (&json!(""), &json!("admin"))
    );
    assert!(
        answer["start_date"].as_str() > Some("2026-01-03"),
        "{answer}"
    );
    // 9.2, ACT-18: the same content where it stands.
    indicator
        .idle(
            update(json!({"date": TEN, "description": "", "analyst": "mallory"})),
            "Activity updated.",
        )
        .await?;
    let strict = |name: &str| format!("Argument '{name}' {FORMAT}");
    let (date, start) = (strict("date").leak(), strict("start_date").leak());
    indicator
        .refuses(vec![
            (
                update(json!({"date": "2026-01-15"})),
                date,
                about_key("invalid_date", "activity", "date"),
            ),
            (
                update(json!({"date": TEN, "start_date": "2026-01-15"})),
                start,
                about_key("invalid_date", "activity", "start_date"),
            ),
            (
                update(json!({"description": "c"})),
                "Missing key 'date' in argument 'activity'.",
                about_key("missing_key", "activity", "date"),
            ),
            (
                update(json!({"date": "", "description": "c"})),
                "Missing key 'date' in argument 'activity'.",
                about_key("missing_key", "activity", "date"),
            ),
        ])
        .await
}

#[tokio::test]
async fn activity_remove_takes_strict_dates() -> Result<()> {
    let server = Server::start().await?;
    let indicator = indicator(&server).await?;
    indicator
        .done(
            add(json!({"description": "a", "date": TEN})),
            "Activity added.",
        )
        .await?;
    let missing = "Missing required argument 'date' for action 'activity_remove'.";
    let strict = format!("Argument 'date' {FORMAT}").leak();
    indicator
        .refuses(vec![
            (
                json!({"action": "activity_remove"}),
                missing,
                about("missing_argument", "date"),
            ),
            (remove(""), missing, about("missing_argument", "date")),
            (remove("2026-01-15"), strict, about("invalid_date", "date")),
            (
                remove("2026-01-15 10:00:00.001"),
                "Activity not found.",
                not_found(),
            ),
        ])
        .await?;
    // D4: finer digits are cut.
    indicator
        .done(remove("2026-01-15 10:00:00.000999"), "Activity removed.")
        .await?;
    assert_eq!(indicator.read().await?["activity"], json!([]));
    Ok(())
}
