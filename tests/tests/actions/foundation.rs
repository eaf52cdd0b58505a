//! Tickets, status, description: actions.md 2.1 to 2.5, rule by rule; and what holds for the arguments of all actions.

use anyhow::{Context as _, Result};
use critd_tests::{Json, Server, json};

/// An event, and what is done to it.
struct Subject {
    server: Server,
    path: String,
}

impl Subject {
    async fn new() -> Result<Self> {
        let server = Server::start().await?;
        let path = format!("/api/v1/events/{}/", server.event("subject").await?);
        Ok(Self { server, path })
    }

    async fn say(&self, body: Json) -> Result<Json> {
        let answer = self.server.patch(&self.path, &body).await?;
        assert_eq!(answer.status, 200, "{body}: {}", answer.text);
        Ok(answer.json())
    }

    async fn done(&self, body: Json) -> Result<Json> {
        let answer = self.say(body).await?;
        assert_eq!(answer["return_code"], 0, "{answer}");
        Ok(answer)
    }

    async fn refused(&self, body: Json, message: &str, code: &str) -> Result<()> {
        let before = self.now().await?;
        let answer = self.say(body.clone()).await?;
        assert_eq!(
            (
                answer["return_code"].as_i64(),
                answer["message"].as_str(),
                answer["error"]["code"].as_str()
            ),
            (Some(1), Some(message), Some(code)),
            "{body}"
        );
        assert_eq!(self.now().await?, before, "{body}");
        Ok(())
    }

    async fn now(&self) -> Result<Json> {
        Ok(self.server.get(&self.path).await?.json())
    }

    async fn numbers(&self) -> Result<Vec<String>> {
        let tickets = self.now().await?["tickets"].clone();
        let numbers = tickets.as_array().into_iter().flatten();
        Ok(numbers
            .map(|ticket| {
                ticket["ticket_number"]
                    .as_str()
                    .unwrap_or("no text")
                    .to_owned()
            })
            .collect())
    }
}

#[tokio::test]
async fn status_update_1_status_update_4_the_vocabulary_in_any_case() -> Result<()> {
    let subject = Subject::new().await?;
    for (sent, stored) in [
        ("Analyzed", "Analyzed"),
        (" in progress ", "In Progress"),
        ("NEW", "New"),
        ("deprecated", "Deprecated"),
    ] {
        let answer = subject
            .done(json!({"action": "status_update", "value": sent}))
            .await?;
        assert_eq!(answer["detail"], format!("Status set to {stored}."));
        assert_eq!(answer["object"], json!({"status": stored}));
        assert_eq!(subject.now().await?["status"], stored);
    }
    for (sent, told) in [
        (json!("Bad"), "Bad"),
        (json!(7), "7"),
        (json!("New,"), "New,"),
    ] {
        let message = format!("Invalid status: {told}.");
        subject
            .refused(
                json!({"action": "status_update", "value": sent}),
                &message,
                "invalid_value",
            )
            .await?;
    }
    Ok(())
}

#[tokio::test]
async fn status_update_3_without_a_value_the_default_also_on_indicators() -> Result<()> {
    let server = Server::start().await?;
    let form = [("type", "Mutex"), ("value", "x"), ("source", "Alpha")];
    let indicator = server
        .post("/api/v1/indicators/", &form)
        .await?
        .created_id()?;
    let event = server.event("e").await?;
    for path in [
        format!("/api/v1/indicators/{indicator}/"),
        format!("/api/v1/events/{event}/"),
    ] {
        for value in [
            json!({"action": "status_update"}),
            json!({"action": "status_update", "value": null}),
        ] {
            let answer = server.patch(&path, &value).await?.json();
            assert_eq!(answer["object"], json!({"status": "In Progress"}), "{path}");
        }
    }
    assert_eq!(
        server.document("indicators", &indicator).await?["value"],
        "x"
    );
    Ok(())
}

#[tokio::test]
async fn description_update_1_description_update_2_description_update_3() -> Result<()> {
    let subject = Subject::new().await?;
    for (sent, stored) in [
        (json!("  kept as it is \n"), "  kept as it is \n"),
        (json!("a &lt;b&gt; &amp;amp;"), "a <b> &amp;"),
        (json!(12.5), "12.5"),
        (json!(7), "7"),
        (json!(""), ""),
    ] {
        let answer = subject
            .done(json!({"action": "description_update", "description": sent}))
            .await?;
        assert_eq!(
            (&answer["detail"], &answer["object"]),
            (&json!("Description set."), &json!({"description": stored}))
        );
        assert_eq!(subject.now().await?["description"], stored);
    }
    for wrong in [json!({"a": 1}), json!(["a"])] {
        let body = json!({"action": "description_update", "description": wrong});
        subject
            .refused(
                body,
                "Argument 'description' must be a string.",
                "invalid_type",
            )
            .await?;
    }
    let missing = "Missing required argument 'description' for action 'description_update'.";
    subject
        .refused(
            json!({"action": "description_update"}),
            missing,
            "missing_argument",
        )
        .await?;
    subject
        .refused(
            json!({"action": "description_update", "description": null}),
            missing,
            "missing_argument",
        )
        .await
}

/// Numbers of any form, one after the other: those that are there already are answered and left.
#[tokio::test]
async fn ticket_add_1_ticket_add_2_ticket_add_3_ticket_add_4_ticket_add_7() -> Result<()> {
    let subject = Subject::new().await?;
    let rows = [
        (json!("12345, 7"), vec!["12345", "7"], "Ticket added."),
        (
            json!(["a", " b ", 3, "", "a"]),
            vec!["a", "b", "3"],
            "Ticket added.",
        ),
        (json!(12), vec!["12"], "Ticket added."),
        (json!("7"), vec!["7"], "Ticket already present."),
        (json!("7, 8"), vec!["7", "8"], "Ticket added."),
        (json!("A"), vec!["A"], "Ticket added."),
    ];
    for (number, (sent, told, detail)) in rows.into_iter().enumerate() {
        let date = format!("2026-01-15 10:20:3{number}.000000");
        let body = json!({"action": "ticket_add", "ticket": {"ticket_number": sent, "date": date, "analyst": "somebody", "x": 1}});
        let before = subject.now().await?["modified"].clone();
        let answer = subject.done(body).await?;
        let entries = answer["object"].as_array().context("object")?;
        let numbers: Vec<_> = entries
            .iter()
            .filter_map(|entry| entry["ticket_number"].as_str())
            .collect();
        assert_eq!(
            (numbers, answer["detail"].as_str()),
            (told, Some(detail)),
            "{answer}"
        );
        assert!(
            entries.iter().all(|entry| entry["analyst"] == "admin"),
            "{answer}"
        );
        if detail == "Ticket already present." {
            assert_eq!(subject.now().await?["modified"], before);
            assert_eq!(entries[0]["date"], "2026-01-15 10:20:30.000000");
        } else {
            assert_eq!(entries[entries.len() - 1]["date"], date);
        }
    }
    assert_eq!(
        subject.numbers().await?,
        ["12345", "7", "a", "b", "3", "12", "8", "A"]
    );
    Ok(())
}

#[tokio::test]
async fn ticket_add_5_ticket_add_6_what_is_no_ticket() -> Result<()> {
    let subject = Subject::new().await?;
    for none in [json!(""), json!([]), json!(" , "), json!(["", " "])] {
        let body = json!({"action": "ticket_add", "ticket": {"ticket_number": none}});
        subject
            .refused(
                body,
                "Argument 'ticket' has no ticket number.",
                "invalid_value",
            )
            .await?;
    }
    let missing = "Missing key 'ticket_number' in argument 'ticket'.";
    for ticket in [
        json!({}),
        json!({"date": "2026-01-15 10:20:30.0"}),
        json!({"ticket_number": null}),
    ] {
        subject
            .refused(
                json!({"action": "ticket_add", "ticket": ticket}),
                missing,
                "missing_key",
            )
            .await?;
    }
    for wrong in [json!("2026-01-15 10:20:30.0"), json!(7), json!(["a"])] {
        let body = json!({"action": "ticket_add", "ticket": wrong});
        subject
            .refused(body, "Argument 'ticket' must be an object.", "invalid_type")
            .await?;
    }
    // Without a date, or with an empty one: now.
    for ticket in [
        json!({"ticket_number": "1"}),
        json!({"ticket_number": "2", "date": ""}),
        json!({"ticket_number": "3", "date": null}),
    ] {
        let answer = subject
            .done(json!({"action": "ticket_add", "ticket": ticket}))
            .await?;
        assert_eq!(
            answer["object"][0]["date"],
            subject.now().await?["modified"],
            "{ticket}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn ticket_update_1_ticket_update_3_ticket_update_5_an_entry_is_replaced() -> Result<()> {
    let subject = Subject::new().await?;
    for (number, date) in [
        ("1", "2026-01-15 10:20:30.123"),
        ("2", "2026-01-15 10:20:31.0"),
    ] {
        subject
            .done(
                json!({"action": "ticket_add", "ticket": {"ticket_number": number, "date": date}}),
            )
            .await?;
    }
    let rows = [
        (json!("INC-7"), "INC-7"),
        (json!(99), "99"),
        (json!(" a, b "), "a, b"),
    ];
    for (sent, stored) in rows {
        let body = json!({"action": "ticket_update", "ticket": {"ticket_number": sent, "date": "2026-01-15 10:20:30.123456"}});
        let answer = subject.done(body).await?;
        let entry = json!({"analyst": "admin", "date": "2026-01-15 10:20:30.123000", "ticket_number": stored});
        assert_eq!(
            (&answer["detail"], &answer["object"]),
            (&json!("Ticket updated."), &entry)
        );
        assert_eq!(
            subject.numbers().await?,
            ["2", stored],
            "ACT-23: at the end"
        );
    }
    let ticket = |ticket: Json| json!({"action": "ticket_update", "ticket": ticket});
    let number = "Missing key 'ticket_number' in argument 'ticket'.";
    subject
        .refused(
            ticket(json!({"date": "2026-01-15 10:20:31.0"})),
            number,
            "missing_key",
        )
        .await?;
    let date = "Missing key 'date' in argument 'ticket'.";
    subject
        .refused(ticket(json!({"ticket_number": "1"})), date, "missing_key")
        .await?;
    subject
        .refused(
            ticket(json!({"ticket_number": "1", "date": ""})),
            date,
            "missing_key",
        )
        .await
}

#[tokio::test]
async fn ticket_update_2_ticket_update_4_no_such_ticket_and_no_second_one() -> Result<()> {
    let subject = Subject::new().await?;
    for (number, date) in [
        ("1", "2026-01-15 10:20:30.0"),
        ("2", "2026-01-15 10:20:31.0"),
    ] {
        subject
            .done(
                json!({"action": "ticket_add", "ticket": {"ticket_number": number, "date": date}}),
            )
            .await?;
    }
    let update = |number: &str, date: &str| json!({"action": "ticket_update", "ticket": {"ticket_number": number, "date": date}});
    subject
        .refused(
            update("9", "2026-01-15 10:20:32.0"),
            "Ticket not found.",
            "not_found",
        )
        .await?;
    subject
        .refused(
            update("1", "2026-01-15 10:20:31.0"),
            "Ticket 1 already exists.",
            "already_exists",
        )
        .await?;
    // Its own number is no other ticket's, and changes nothing.
    let before = subject.now().await?;
    subject.done(update("1", "2026-01-15 10:20:30.0")).await?;
    assert_eq!(subject.now().await?, before);
    Ok(())
}

#[tokio::test]
async fn ticket_remove_1_ticket_remove_2_ticket_remove_3() -> Result<()> {
    let subject = Subject::new().await?;
    let both = json!({"action": "ticket_add", "ticket": {"ticket_number": "1, 2", "date": "2026-01-15 10:20:30.5"}});
    subject.done(both).await?;
    subject.done(json!({"action": "ticket_add", "ticket": {"ticket_number": "3", "date": "2026-01-15 10:20:31.0"}})).await?;
    let remove = |date: &str| json!({"action": "ticket_remove", "date": date});
    subject
        .refused(
            remove("2026-01-16 00:00:00.0"),
            "Ticket not found.",
            "not_found",
        )
        .await?;
    for (wrong, code) in [("2026-01-15", "invalid_date"), ("x", "invalid_date")] {
        subject
            .refused(
                remove(wrong),
                "Argument 'date' must match %Y-%m-%d %H:%M:%S.%f.",
                code,
            )
            .await?;
    }
    let none = "Missing required argument 'date' for action 'ticket_remove'.";
    subject
        .refused(json!({"action": "ticket_remove"}), none, "missing_argument")
        .await?;
    let which =
        json!({"action": "ticket_remove", "date": "2026-01-15 10:20:30.5", "ticket_number": 2});
    let removed = subject.done(which.clone()).await?;
    let entry =
        json!({"analyst": "admin", "date": "2026-01-15 10:20:30.500000", "ticket_number": "2"});
    assert_eq!(
        (&removed["detail"], &removed["object"]),
        (&json!("Ticket removed."), &entry)
    );
    subject
        .refused(which, "Ticket not found.", "not_found")
        .await?;
    // ACT-22: of several the first.
    subject.done(json!({"action": "ticket_add", "ticket": {"ticket_number": "4, 5", "date": "2026-01-15 10:20:40.0"}})).await?;
    subject.done(remove("2026-01-15 10:20:40.000000")).await?;
    assert_eq!(subject.numbers().await?, ["1", "3", "5"]);
    Ok(())
}

/// What is wrong first in the order of the declaration is told, and the state of the document is looked at last.
#[tokio::test]
async fn act_5_act_7_the_order_of_checks() -> Result<()> {
    let subject = Subject::new().await?;
    let update = |ticket: Json| json!({"action": "ticket_update", "ticket": ticket});
    let rows = [
        (
            json!({"date": "x"}),
            "Missing key 'ticket_number' in argument 'ticket'.",
            "missing_key",
        ),
        (
            json!({"ticket_number": {}, "date": "x"}),
            "Argument 'ticket_number' must be a string.",
            "invalid_type",
        ),
        (
            json!({"ticket_number": "1", "date": "x"}),
            "Argument 'date' must match %Y-%m-%d %H:%M:%S.%f.",
            "invalid_date",
        ),
        (
            json!({"ticket_number": "1", "date": "2026-01-15 10:20:30.0"}),
            "Ticket not found.",
            "not_found",
        ),
    ];
    for (ticket, message, code) in rows {
        subject.refused(update(ticket), message, code).await?;
    }
    Ok(())
}

/// Strict dates, cut to milliseconds; a key of a map may lack or be empty where it means now.
#[tokio::test]
async fn act_13_dates_are_strict_and_cut_to_milliseconds() -> Result<()> {
    let subject = Subject::new().await?;
    let add = |number: u32, date: &str| json!({"action": "ticket_add", "ticket": {"ticket_number": number, "date": date}});
    for (number, (sent, stored)) in [
        ("2026-01-15 10:20:30.123999", "2026-01-15 10:20:30.123000"),
        ("2026-01-15 10:20:31.1", "2026-01-15 10:20:31.100000"),
        ("2026-1-5 1:2:3.0", "2026-01-05 01:02:03.000000"),
        ("2026-01-15 10:20:32", "2026-01-15 10:20:32.000000"),
        ("2026-01-15T10:20:33.5", "2026-01-15 10:20:33.500000"),
        ("2026-01-15 12:20:34+02:00", "2026-01-15 10:20:34.000000"),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = subject.done(add(number as u32, sent)).await?;
        assert_eq!(answer["object"][0]["date"], stored, "{sent}");
    }
    let text = "Argument 'date' must match %Y-%m-%d %H:%M:%S.%f.";
    for wrong in [
        "2026-01-15",
        "2026-02-30 10:20:30.0",
        "15.01.2026",
        "2026-01-15 10:20:30.1234567",
        "now",
    ] {
        subject.refused(add(9, wrong), text, "invalid_date").await?;
    }
    Ok(())
}

/// An action that is refused or breaks leaves nothing of what it had done before.
#[tokio::test]
async fn act_19_all_or_nothing() -> Result<()> {
    let mut server = Server::prepare()?;
    server.add_guest("hostile", "")?;
    server.run().await?;
    let event = server.event("whole").await?;
    let path = format!("/api/v1/events/{event}/");
    let before = server.get(&path).await?.json();
    let broken = server
        .patch(&path, &json!({"action": "hostile_trap_after_writes"}))
        .await?;
    assert_eq!(broken.status, 500);
    assert_eq!(server.get(&path).await?.json(), before);
    let entries = server
        .get(&format!("/api/v1/audit/?c-target_id={event}"))
        .await?
        .json();
    assert_eq!(entries["meta"]["total_count"], 1);

    // What an action registers is registered only if it succeeds.
    let form = [
        ("title", "s"),
        ("data_type", "Yara"),
        ("data", "rule x {}"),
        ("source", "Alpha"),
        ("data_type_dependency", "pe"),
    ];
    server
        .cli(&["register", "add", "signature-type", "Yara"])
        .ok();
    let signature = server
        .post("/api/v1/signatures/", &form)
        .await?
        .created_id()?;
    let all: &[&str] = &["--read", "--write", "--tlp", "red,amber,green"];
    let user = server.add_user(
        "narrow",
        &["Signature.read", "add_new_signature_dependency"],
        &[("Alpha", all)],
    )?;
    let body = json!({"action": "update_dependency", "dep": "never"});
    let path = format!("/api/v1/signatures/{signature}/");
    let refused = server.patch_as(&user, &path, &body).await?.json();
    assert_eq!(refused["error"]["code"], "forbidden", "{refused}");
    let known = server.cli(&["register", "list", "signature-dependency"])?;
    assert!(!known.contains("never"), "{known}");
    Ok(())
}

/// Whatever is sent for whatever argument of whatever action: the answer is 200 and says in words what is wrong.
#[tokio::test]
async fn act_20_refusals_are_texts() -> Result<()> {
    let subject = Subject::new().await?;
    let list = subject
        .server
        .get("/api/v1/events/actions/?limit=0")
        .await?
        .json();
    let actions = list["objects"].as_array().context("actions")?;
    let odd = [
        json!(null),
        json!([]),
        json!({}),
        json!([[1], {"a": "b"}]),
        json!({"": {"$date": 1}}),
        json!(true),
        json!(-1.5e300),
        json!("\u{0}\u{202e}é"),
    ];
    let mut tried = 0;
    for action in actions {
        for arg in action["args"].as_array().into_iter().flatten() {
            let name = arg["name"].as_str().context("name")?;
            for value in &odd {
                let mut body = action["request"].clone();
                body[name] = value.clone();
                let answer = subject
                    .server
                    .patch(&format!("{}?dry_run=1", subject.path), &body)
                    .await?;
                let said = answer.json();
                let message = said["message"].as_str().unwrap_or_default();
                assert!(
                    answer.status == 200 && !message.is_empty(),
                    "{body}: {} {}",
                    answer.status,
                    answer.text
                );
                if said["return_code"] == 1 {
                    assert!(said["error"]["code"].is_string(), "{body}: {said}");
                }
                tried += 1;
            }
        }
    }
    assert!(tried >= 8 * actions.len(), "{tried}");
    Ok(())
}
