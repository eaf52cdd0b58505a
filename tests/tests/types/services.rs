//! create.md 5.18, actions.md 8.3 and 8.5: what workers report on tasks.

use anyhow::Result;
use critd_tests::{Json, Server, json};

use crate::refusals::{Form, expect, expect_as};
use crate::tasks::{TASK, make_task, refused, report, server_with, server_with_task, task, tasks};

const NOBODY: &str = "0123456789abcdef01234567";
const NEED: &str = "Need an object type, object id, and analysis id.";
const ALSO: &str = "When adding a result, also need type and subtype";
const LISTS: &str = "result, result_type, and result_subtype must be JSON lists.";
const UNEQUAL: &str = "When adding results in batch result, result_type, and result_subtype must have the same length!";
const NO_OBJECT: &str = "Could not find object to add results to.";
const PARTS: &str = "Need a result, type, and subtype to add a result.";
const NO_RESULT_TASK: &str = "Could not find task to add results to.";
const NO_LOG_TASK: &str = "Could not find task to add log to.";
const NO_END_TASK: &str = "Could not find task to finish.";

const ROWS: &[(Form, &str)] = &[
    (&[], NEED),
    (&[("object_type", "Event"), ("object_id", NOBODY)], NEED),
    (&[("object_type", "Event"), ("analysis_id", TASK)], NEED),
    (&[("object_id", NOBODY), ("analysis_id", TASK)], NEED),
    (
        &[
            ("object_type", ""),
            ("object_id", NOBODY),
            ("analysis_id", TASK),
        ],
        NEED,
    ),
    (
        &[
            ("object_type", "Nonsense"),
            ("object_id", NOBODY),
            ("analysis_id", TASK),
        ],
        NO_OBJECT,
    ),
    (
        &[
            ("object_type", "Comment"),
            ("object_id", NOBODY),
            ("analysis_id", TASK),
        ],
        NO_OBJECT,
    ),
];

/// What follows the object and the task, in this order of checks.
const REPORTS: &[(Form, &str)] = &[
    (&[("result", "r")], ALSO),
    (&[("result", "r"), ("result_type", "t")], ALSO),
    (&[("result", "r"), ("result_subtype", "s")], ALSO),
    (
        &[
            ("result", "r"),
            ("result_type", ""),
            ("result_subtype", "s"),
        ],
        ALSO,
    ),
    (
        &[
            ("result", "r"),
            ("result_type", "[\"t\"]"),
            ("result_subtype", "[\"s\"]"),
            ("result_is_batch", "true"),
        ],
        LISTS,
    ),
    (
        &[
            ("result", "[\"r\"]"),
            ("result_type", "['t']"),
            ("result_subtype", "[\"s\"]"),
            ("result_is_batch", "1"),
        ],
        LISTS,
    ),
    (
        &[
            ("result", "[\"r\"]"),
            ("result_type", "[\"t\"]"),
            ("result_subtype", "{}"),
            ("result_is_batch", "yes"),
        ],
        LISTS,
    ),
    (
        &[
            ("result", "[\"r\", \"r\"]"),
            ("result_type", "[\"t\"]"),
            ("result_subtype", "[\"s\", \"s\"]"),
            ("result_is_batch", "True"),
        ],
        UNEQUAL,
    ),
    // From here on the object is looked for.
    (&[], NO_OBJECT),
    (
        &[
            ("result", "r"),
            ("result_type", "t"),
            ("result_subtype", "s"),
        ],
        NO_OBJECT,
    ),
    (&[("log_message", "m")], NO_OBJECT),
    (&[("finish", "1")], NO_OBJECT),
    (
        &[
            ("result", "r"),
            ("result_type", "t"),
            ("result_subtype", "s"),
            ("log_message", "m"),
            ("finish", "1"),
        ],
        "Could not find object to add results to., Could not find object to add results to., Could not find object to add results to.",
    ),
];

#[tokio::test]
async fn create_5_18_validation_rows() -> Result<()> {
    let server = Server::start().await?;
    expect(&server, "services", ROWS).await?;
    for id in [NOBODY, "xyz"] {
        for (form, message) in REPORTS {
            let mut whole = vec![
                ("object_type", "Event"),
                ("object_id", id),
                ("analysis_id", TASK),
            ];
            whole.extend(*form);
            let admin = critd_tests::admin();
            expect_as(&server, &admin, "services", &whole, message).await?;
        }
    }
    Ok(())
}

/// The texts of the three actions, joined; nothing is written if one fails. The object is named where it is seen.
#[tokio::test]
async fn create_5_18_failures_are_joined_and_nothing_is_written() -> Result<()> {
    const OTHER: &str = "00000000-0000-4000-8000-000000000002";
    let (server, (event, other)) = server_with(async |server| {
        let (event, other) = (server.event("e").await?, server.event("o").await?);
        make_task(server, TASK, "Event", &event, &[]).await?;
        make_task(server, OTHER, "Event", &other, &[]).await?;
        // Of another type with the same id.
        make_task(server, &OTHER.replace('2', "3"), "Domain", &event, &[]).await?;
        Ok((event, other))
    })
    .await?;
    let (before, others) = (
        tasks(&server, "events", &event).await?,
        tasks(&server, "events", &other).await?,
    );
    let result = [
        ("result", "r"),
        ("result_type", "t"),
        ("result_subtype", "s"),
    ];
    let (log, end) = (("log_message", "m"), ("finish", "true"));
    for id in [
        "00000000-0000-4000-8000-000000000009",
        OTHER,
        &OTHER.replace('2', "3"),
        "no uuid",
        "\0",
    ] {
        for (form, message) in [
            (result.to_vec(), NO_RESULT_TASK.to_owned()),
            (vec![log], NO_LOG_TASK.to_owned()),
            (vec![end], NO_END_TASK.to_owned()),
            (vec![log, end], [NO_LOG_TASK, NO_END_TASK].join(", ")),
            (
                [&result[..], &[log, end]].concat(),
                [NO_RESULT_TASK, NO_LOG_TASK, NO_END_TASK].join(", "),
            ),
            // Nothing is reported, but on nothing.
            (vec![], NO_RESULT_TASK.to_owned()),
        ] {
            let form = [&form[..], &[("analysis_id", id)]].concat();
            let body = refused(&report(&server, &event, &form).await?, &message);
            assert_eq!(
                (&body["type"], &body["id"], &body["url"]),
                (
                    &json!("Event"),
                    &json!(event),
                    &json!(format!("/api/v1/events/{event}/"))
                )
            );
            assert_eq!(body["error"]["code"], "not_found");
        }
    }
    // What is wrong with the results alone keeps the line and the end out, too.
    for (results, types, subtypes) in [
        ("[]", "[]", "[]"),
        ("[null]", "[\"t\"]", "[\"s\"]"),
        ("[\"r\", \"r\"]", "[\"t\", \"\"]", "[\"s\", \"s\"]"),
        ("[\"r\"]", "[[]]", "[\"s\"]"),
        ("[\"r\"]", "[\"t\"]", "[\" \"]"),
    ] {
        let form = [
            ("result_is_batch", "1"),
            ("result", results),
            ("result_type", types),
            ("result_subtype", subtypes),
            log,
            end,
        ];
        let body = refused(&report(&server, &event, &form).await?, PARTS);
        assert_eq!(body["error"]["code"], "invalid_value");
    }
    assert_eq!(tasks(&server, "events", &event).await?, before);
    assert_eq!(tasks(&server, "events", &other).await?, others);
    Ok(())
}

/// Results, a line, the end: how they are stored, what is answered, and how the task goes on.
#[tokio::test]
async fn create_5_18_stored_form_and_answer() -> Result<()> {
    let (server, event) = server_with_task("created").await?;
    let before = server.document("events", &event).await?;
    let form = [
        ("result", " .text "),
        ("result_type", "{'size': 4096, 'ok': True, 'x': None}"),
        ("result_subtype", "pe_section"),
        // A UUID in any case (actions.md 8.5).
        ("analysis_id", "1B9D6BCD-BBFD-4B2D-9B5D-AB8DFBBD4BED"),
    ];
    let answer = report(&server, &event, &form).await?;
    assert_eq!(
        answer.json(),
        json!({"return_code": 0, "type": "Event", "id": event, "message": "", "url": format!("/api/v1/events/{event}/"), "created": false})
    );
    let first =
        json!({"subtype": "pe_section", "result": " .text ", "size": 4096, "ok": true, "x": null});
    let mut expected = json!({"schema_version": 1, "analysis_id": TASK, "object_type": "Event", "object_id": event, "service_name": "yara",
        "analyst": "admin", "status": "started", "start_date": "2018-06-21 14:03:12.000417", "log": [], "results": [first]});
    assert_eq!(task(&server, &event).await?, expected);
    // A line without a level, one with any level, the end with the last results.
    report(
        &server,
        &event,
        &[("log_message", "m\n"), ("log_level", "")],
    )
    .await?
    .created_id()?;
    let last = [
        ("result", "x"),
        ("result_type", "string"),
        ("result_subtype", "s"),
        ("log_message", "done"),
        ("log_level", "Weird"),
        ("finish", "1"),
        ("status", "error"),
    ];
    report(&server, &event, &last).await?.created_id()?;
    let stored = task(&server, &event).await?;
    let times: Vec<&str> = ["/log/0/datetime", "/log/1/datetime", "/finish_date"]
        .iter()
        .filter_map(|place| stored.pointer(place)?.as_str())
        .collect();
    assert!(
        times.len() == 3 && times.is_sorted() && times[1] == times[2],
        "{stored}"
    );
    assert!(times.iter().all(|time| time.len() == 26), "{stored}");
    expected["log"] = json!([{"message": "m\n", "level": "info", "datetime": times[0]}, {"message": "done", "level": "Weird", "datetime": times[1]}]);
    expected["results"] =
        json!([expected["results"][0], {"subtype": "s", "result": "x", "type": "string"}]);
    expected["status"] = "error".into();
    expected["finish_date"] = times[2].into();
    assert_eq!(stored, expected);
    // Nothing of all that is the object's.
    assert_eq!(server.document("events", &event).await?, before);
    Ok(())
}

/// actions.md 8.3, PL-14: after the end, results and lines are taken, the state stays; another end is recorded in the log.
#[tokio::test]
async fn create_5_18_pl_14_reports_after_the_end() -> Result<()> {
    let (server, event) = server_with_task("started").await?;
    for (status, expected) in [
        ("completed", "completed"),
        ("error", "error"),
        ("ERROR", "error"),
        ("whatever", "completed"),
        ("", "completed"),
    ] {
        let form = [("finish", "yes"), ("status", status)];
        report(&server, &event, &form).await?.created_id()?;
        assert_eq!(task(&server, &event).await?["status"], expected, "{status}");
    }
    let stored = task(&server, &event).await?;
    let messages: Vec<&Json> = stored["log"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|line| &line["message"])
        .collect();
    assert_eq!(
        messages,
        [
            "Finished again: error.",
            "Finished again: error.",
            "Finished again: completed.",
            "Finished again: completed."
        ]
    );
    let late = [
        ("log_message", "late"),
        ("result", "r"),
        ("result_type", "t"),
        ("result_subtype", "s"),
        ("finish", "false"),
        ("status", "error"),
    ];
    report(&server, &event, &late).await?.created_id()?;
    let after = task(&server, &event).await?;
    assert_eq!(
        (&after["status"], &after["finish_date"]),
        (&json!("completed"), &stored["finish_date"])
    );
    assert_eq!(after["log"][4]["message"], "late");
    assert_eq!(after["results"].as_array().map(Vec::len), Some(1));
    Ok(())
}

/// Batches as forms have them, and as JSON has them; maps as texts of either kind and as they are.
#[tokio::test]
async fn create_5_18_batches() -> Result<()> {
    let (server, event) = server_with_task("started").await?;
    let form = [
        ("result_is_batch", "1"),
        ("result", r#"["rule_a", "rule_b", 3]"#),
        (
            "result_type",
            r#"["{'strings': ['x', (1, 2)]}", "{}", "plain"]"#,
        ),
        ("result_subtype", r#"["yara", "yara", "n"]"#),
    ];
    report(&server, &event, &form).await?.created_id()?;
    let body = json!({"object_type": "event", "object_id": event.to_uppercase(), "analysis_id": TASK, "result_is_batch": true,
        "result": ["a", {"b": [1]}], "result_type": [{"type": "t", "analyst": "somebody", "subtype": "no", "result": "no"}, "{\"deep\": {\"x\": 1.5}}"],
        "result_subtype": ["s", "s"]});
    let answer = server.post_json("/api/v1/services/", &body).await?;
    assert_eq!(answer.created_id()?, event);
    // Not a batch: the list is the result.
    let mut single = body.clone();
    single["result_is_batch"] = false.into();
    single["result_type"] = json!({"$oid": 1});
    single["result_subtype"] = "s".into();
    let answer = server.post_json("/api/v1/services/", &single).await?;
    assert_eq!(answer.created_id()?, event);
    assert_eq!(
        task(&server, &event).await?["results"],
        json!([
            {"subtype": "yara", "result": "rule_a", "strings": ["x", [1, 2]]},
            {"subtype": "yara", "result": "rule_b"},
            {"subtype": "n", "result": 3, "type": "plain"},
            {"subtype": "s", "result": "a", "type": "t", "analyst": "somebody"},
            {"subtype": "s", "result": {"b": [1]}, "deep": {"x": 1.5}},
            {"subtype": "s", "result": ["a", {"b": [1]}], "type": "{\"$oid\":1}"},
        ])
    );
    // A type without a result is nobody's.
    let alone = report(&server, &event, &[("result_type", "t")]).await?;
    assert_eq!(
        alone.json()["warnings"],
        json!(["'result_type' and 'result_subtype' are ignored without 'result'."])
    );
    assert_eq!(
        task(&server, &event).await?["results"]
            .as_array()
            .map(Vec::len),
        Some(6)
    );
    Ok(())
}
