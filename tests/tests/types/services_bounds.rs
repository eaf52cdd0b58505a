//! create.md 5.18: many workers, many results, and what no worker sends.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Result;
use critd_tests::{Json, json};

use crate::tasks::{TASK, make_task, refused, report, server_with, server_with_task, task};

const LIMIT: &str =
    "A report may have at most 5000 results of 8 MiB and 100000 values in all, nested 32 deep.";

/// 64 reports at once on one task: each with a result, a line and half of them the end. All are kept.
#[tokio::test]
async fn create_5_18_reports_at_once_lose_nothing() -> Result<()> {
    const MANY: usize = 64;
    let (server, event) = server_with_task("created").await?;
    let posts = (0..MANY).map(|number| {
        let (server, event) = (&server, &event);
        async move {
            let number_text = number.to_string();
            let finish = if number % 2 == 0 { "1" } else { "0" };
            let form = [
                ("result", number_text.as_str()),
                ("result_type", "t"),
                ("result_subtype", "s"),
                ("log_message", number_text.as_str()),
                ("finish", finish),
            ];
            report(server, event, &form).await?.created_id()
        }
    });
    for answer in futures_util::future::join_all(posts).await {
        assert_eq!(answer?, event);
    }
    let stored = task(&server, &event).await?;
    let numbers = |list: &str, member: &str| -> Vec<String> {
        let elements = stored[list].as_array().into_iter().flatten();
        elements
            .filter_map(|element| element[member].as_str().map(String::from))
            .collect()
    };
    let all: BTreeSet<String> = (0..MANY).map(|number| number.to_string()).collect();
    let results = numbers("results", "result");
    assert_eq!(
        (results.len(), results.into_iter().collect::<BTreeSet<_>>()),
        (MANY, all.clone())
    );
    let (again, lines): (Vec<String>, Vec<String>) = numbers("log", "message")
        .into_iter()
        .partition(|line| line == "Finished again: completed.");
    assert_eq!(
        (lines.len(), lines.into_iter().collect::<BTreeSet<_>>()),
        (MANY, all)
    );
    // One of them was the first.
    assert_eq!(again.len(), MANY / 2 - 1);
    assert_eq!(stored["status"], "completed");
    Ok(())
}

/// A task with 20,000 results is reported to as one with none.
#[tokio::test]
async fn create_5_18_tasks_of_thousands_of_results() -> Result<()> {
    const EMPTY: &str = "00000000-0000-4000-8000-000000000002";
    let (server, event) = server_with(async |server| {
        let event = server.event("e").await?;
        make_task(server, TASK, "Event", &event, &[("results", "20000")]).await?;
        make_task(server, EMPTY, "Event", &event, &[]).await?;
        Ok(event)
    })
    .await?;
    let mut taken = Vec::new();
    for id in [EMPTY, TASK] {
        let begun = Instant::now();
        for _ in 0..20 {
            let form = [
                ("result", "r"),
                ("result_type", "t"),
                ("result_subtype", "s"),
                ("analysis_id", id),
            ];
            report(&server, &event, &form).await?.created_id()?;
        }
        taken.push(begun.elapsed());
    }
    println!("20 reports on a task without results, with 20,000: {taken:?}");
    // Decoding it each time would take seconds; this is far from what a busy machine adds.
    assert!(
        taken[1] < taken[0] * 4 + Duration::from_secs(4),
        "{taken:?}"
    );
    // A batch of the largest size, on top of them.
    let list = |text: &str| json!(vec![text; 5_000]).to_string();
    let (results, types, subtypes) = (list("r"), list("{'n': 1}"), list("s"));
    let form = [
        ("result_is_batch", "1"),
        ("result", results.as_str()),
        ("result_type", types.as_str()),
        ("result_subtype", subtypes.as_str()),
    ];
    let begun = Instant::now();
    report(&server, &event, &form).await?.created_id()?;
    println!("a batch of 5,000: {:?}", begun.elapsed());
    let path = format!("/api/v1/events/{event}/");
    let shown = server
        .patch(&path, &json!({"action": "show_tasks"}))
        .await?
        .json();
    let lengths: BTreeSet<usize> = shown["object"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|task| task["results"].as_array().map(Vec::len))
        .collect();
    assert_eq!(lengths, BTreeSet::from([20, 25_020]));
    Ok(())
}

/// PL-14: too much is refused with a sentence, whatever it is, and nothing of it is stored.
#[tokio::test]
async fn create_5_18_pl_14_too_much_is_refused() -> Result<()> {
    let (server, event) = server_with_task("started").await?;
    let deep = [&*"[".repeat(200_000), &*"]".repeat(200_000)].concat();
    let many = |length: usize| json!(vec!["a"; length]).to_string();
    let values = format!("{{'a': [{}]}}", "0,".repeat(100_000));
    let nul = json!(["\0".repeat(600_000)]).to_string();
    let nuls = "\0".repeat(2 << 20);
    let long = "x".repeat(10 << 20);
    let one = "[\"a\"]".to_owned();
    let is_batch = ("result_is_batch", "1");
    for (batch, result, kind, subtype, message) in [
        (true, &deep, &one, &one, LIMIT),
        (true, &one, &deep, &one, LIMIT),
        (true, &one, &one, &deep, LIMIT),
        (true, &many(5_001), &many(5_001), &many(5_001), LIMIT),
        (true, &many(1_000_000), &one, &one, LIMIT),
        (false, &one, &values, &one, LIMIT),
        // Six bytes each, as JSON.
        (false, &nuls, &one, &one, LIMIT),
        (
            false,
            &long,
            &one,
            &one,
            "Argument 'result' is longer than 4194304 bytes.",
        ),
        (
            false,
            &one,
            &long,
            &one,
            "Argument 'result_type' is longer than 4194304 bytes.",
        ),
        (
            false,
            &one,
            &one,
            &long,
            "Argument 'result_subtype' is longer than 4194304 bytes.",
        ),
    ] {
        let mut form = vec![
            ("result", result.as_str()),
            ("result_type", kind),
            ("result_subtype", subtype),
            ("log_message", "m"),
        ];
        form.extend(batch.then_some(is_batch));
        refused(&report(&server, &event, &form).await?, message);
    }
    let body = json!({"object_type": "Event", "object_id": event, "analysis_id": TASK, "result_is_batch": true,
        "result": [["\0".repeat(700_000)], "x"], "result_type": ["a", "a"], "result_subtype": ["a", "a"]});
    refused(
        &server.post_json("/api/v1/services/", &body).await?,
        "Argument 'result' is longer than 4194304 bytes.",
    );
    let line = "x".repeat((1 << 20) + 1);
    refused(
        &report(&server, &event, &[("log_message", &line)]).await?,
        "Argument 'log_message' is longer than 1048576 bytes.",
    );
    // What fits is taken, until the document is full.
    let form = [
        ("result_is_batch", "1"),
        ("result", nul.as_str()),
        ("result_type", one.as_str()),
        ("result_subtype", one.as_str()),
    ];
    report(&server, &event, &form).await?.created_id()?;
    let nuls = "\0".repeat(1_300_000);
    let form = [
        ("result", nuls.as_str()),
        ("result_type", "t"),
        ("result_subtype", "s"),
    ];
    report(&server, &event, &form).await?.created_id()?;
    let full = "x".repeat(4 << 20);
    let form = [
        ("result", full.as_str()),
        ("result_type", "t"),
        ("result_subtype", "s"),
    ];
    let mut answers = Vec::new();
    for _ in 0..5 {
        let body = report(&server, &event, &form).await?.json();
        answers.push((body["return_code"].clone(), body["error"]["code"].clone()));
    }
    assert_eq!(answers[0].0, 0, "{answers:?}");
    assert_eq!(answers[4], (json!(1), json!("limit")), "{answers:?}");
    Ok(())
}

/// Literals and values that nobody sends: kept as texts, or refused, and never an error of the server.
#[tokio::test]
async fn create_5_18_hostile_values_are_kept_or_refused() -> Result<()> {
    let (server, event) = server_with_task("started").await?;
    let deep = format!("{{'a': {}", "[".repeat(1_000_000));
    let calls = "{'a': __import__('os').system('id')}";
    let kinds = [
        deep.as_str(),
        calls,
        "{'$where': 1}",
        "{'a\\0b': 1}",
        "{'a': '\\0'}",
        "{'a.b': {'': 1}}",
        "{'a': 99999999999999999999999999}",
        "{\"a\": 1e999}",
        "{'a': \u{202e}}",
        "\0",
    ];
    for kind in kinds {
        let form = [
            ("result", "\0r"),
            ("result_type", kind),
            ("result_subtype", "s\0"),
        ];
        let answer = report(&server, &event, &form).await?;
        assert_eq!(
            (answer.status, &answer.json()["return_code"]),
            (200, &json!(0)),
            "{}: {}",
            kind.chars().take(40).collect::<String>(),
            answer.text
        );
    }
    let stored = task(&server, &event).await?;
    let results: Vec<&Json> = stored["results"].as_array().into_iter().flatten().collect();
    assert_eq!(results.len(), kinds.len());
    for (place, member, expected) in [
        (0, "type", json!(deep)),
        (1, "type", json!(calls)),
        (2, "type", json!("{'$where': 1}")),
        (3, "type", json!("{'a\\0b': 1}")),
        (4, "a", json!("\0")),
        (5, "a.b", json!({"": 1})),
        (6, "a", json!("99999999999999999999999999")),
        (7, "a", json!("1e999")),
        (9, "type", json!("\0")),
    ] {
        assert_eq!(
            (&results[place]["result"], &results[place][member]),
            (&json!("\0r"), &expected),
            "{}",
            kinds[place].chars().take(40).collect::<String>()
        );
    }
    // Wrong kinds of values, in JSON.
    for (argument, value) in [
        ("object_id", json!(["x"])),
        ("object_type", json!({})),
        ("analysis_id", json!([])),
        ("analysis_id", json!({"$oid": 1})),
        ("result_subtype", json!({"a": 1})),
        ("result_type", json!(["a"])),
        ("log_message", json!({"a": 1})),
        ("finish", json!({"a": 1})),
        ("status", json!(["error"])),
    ] {
        let mut body = json!({"object_type": "Event", "object_id": event, "analysis_id": TASK,
            "result": "r", "result_type": "t", "result_subtype": "s"});
        body[argument] = value;
        let answer = server.post_json("/api/v1/services/", &body).await?;
        assert_eq!(
            (answer.status, &answer.json()["return_code"]),
            (200, &json!(1)),
            "{argument}: {}",
            answer.text
        );
    }
    assert_eq!(
        task(&server, &event).await?["results"]
            .as_array()
            .map(Vec::len),
        Some(kinds.len())
    );
    Ok(())
}

/// Reports as many objects of one request, and one that comes again.
#[tokio::test]
async fn create_5_18_bulk_and_repeated_reports() -> Result<()> {
    let (server, event) = server_with_task("started").await?;
    let line = |message: &str, id: &str| json!({"object_type": "Event", "object_id": event, "analysis_id": id, "log_message": message});
    let lines = json!([line("1", TASK), line("2", "no uuid"), line("3", TASK)]);
    let answer = server.post_json("/api/v1/services/?bulk=1", &lines).await?;
    assert!(
        answer.text.contains("Could not find task to add log to."),
        "{}",
        answer.text
    );
    let url = format!(
        "{}/api/v1/services/?username=admin&api_key={}",
        server.url(),
        critd_tests::ADMIN_KEY
    );
    for _ in 0..2 {
        let request = server
            .client()
            .post(&url)
            .header("Idempotency-Key", "report-4")
            .json(&line("4", TASK));
        let answer = server.send(request).await?;
        assert_eq!(
            (answer.created_id()?, &answer.json()["type"]),
            (event.clone(), &json!("Event"))
        );
    }
    let stored = task(&server, &event).await?;
    let messages: Vec<&Json> = stored["log"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|line| &line["message"])
        .collect();
    assert_eq!(messages, ["1", "3", "4"]);
    Ok(())
}
