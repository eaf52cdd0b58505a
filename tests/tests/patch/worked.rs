//! The worked examples of actions.md 7.2 for tickets, status and description; the others stand with their families.

use anyhow::Result;
use critd_tests::json;

use crate::{World, done, refused};

#[tokio::test]
async fn actions_7_2_tickets_status_description() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    let body = json!({"action": "ticket_add", "ticket": {"ticket_number": 12345, "date": "2026-01-15 10:20:30.123456"}});
    done(&world.say("events", &event, body).await?, "Ticket added.");

    let entry =
        json!({"analyst": "alice", "date": "2026-01-15 10:20:30.123000", "ticket_number": "INC-7"});
    let not_found = ("Ticket not found.", "not_found");
    let succeed = [
        (
            json!({"action": "ticket_update", "ticket": {"ticket_number": "INC-7", "date": "2026-01-15 10:20:30.123000"}}),
            "Ticket updated.",
            entry.clone(),
        ),
        (
            json!({"action": "ticket_remove", "date": "2026-01-15 10:20:30.123000"}),
            "Ticket removed.",
            entry,
        ),
        (
            json!({"action": "status_update", "value": "Analyzed"}),
            "Status set to Analyzed.",
            json!({"status": "Analyzed"}),
        ),
        (
            json!({"action": "description_update", "description": "seen &lt;twice&gt;"}),
            "Description set.",
            json!({"description": "seen <twice>"}),
        ),
    ];
    for (body, detail, object) in succeed {
        let answer = world.say("events", &event, body).await?;
        assert_eq!(done(&answer, detail), object);
        assert_eq!(
            (&answer["type"], &answer["id"]),
            (&json!("Event"), &json!(event))
        );
    }
    let fail = [
        (
            json!({"action": "ticket_update", "ticket": {"ticket_number": "INC-7", "date": "2026-01-15 10:20:31.123000"}}),
            not_found,
        ),
        (
            json!({"action": "ticket_remove", "date": "2026-01-15 10:20:30.123000"}),
            not_found,
        ),
        (
            json!({"action": "status_update", "value": "Bad"}),
            ("Invalid status: Bad.", "invalid_value"),
        ),
        (
            json!({"action": "description_update"}),
            (
                "Missing required argument 'description' for action 'description_update'.",
                "missing_argument",
            ),
        ),
    ];
    let before = world.document("events", &event).await?;
    for (body, (message, code)) in fail {
        refused(&world.say("events", &event, body).await?, message, code);
    }
    assert_eq!(world.document("events", &event).await?, before);
    Ok(())
}
