//! Rule CON-9: changes only of what the client has seen.

use anyhow::Result;
use critd_tests::{Json, Server, json};

#[tokio::test]
async fn con_9_a_document_that_has_changed_is_left_alone() -> Result<()> {
    let server = Server::start().await?;
    let event = server.event("seen").await?;
    let path = format!("/api/v1/events/{event}/");
    let seen = server.get(&path).await?.json()["modified"].clone();
    let status = async |value: &str, expected: Json| -> Result<Json> {
        let body =
            json!({"action": "status_update", "value": value, "expected_modified": expected});
        Ok(server.patch(&path, &body).await?.json())
    };
    let first = status("Analyzed", seen.clone()).await?;
    assert_eq!(
        (&first["return_code"], &first["ignored_arguments"]),
        (&json!(0), &Json::Null),
        "{first}"
    );
    let second = status("New", seen).await?;
    assert_eq!(
        (&second["return_code"], &second["message"], &second["error"]),
        (
            &json!(1),
            &json!("Document has changed."),
            &json!({"code": "conflict"})
        )
    );
    let malformed = status("New", json!("yesterday")).await?;
    assert_eq!(
        (&malformed["message"], &malformed["error"]),
        (
            &json!("Argument 'expected_modified' must match %Y-%m-%d %H:%M:%S.%f."),
            &json!({"code": "invalid_date", "argument": "expected_modified"})
        )
    );
    assert_eq!(server.get(&path).await?.json()["status"], "Analyzed");
    for absent in [Json::Null, json!("")] {
        let answer = status("In Progress", absent).await?;
        assert_eq!(answer["return_code"], 0, "{answer}");
    }
    // ACT-1: who does not see the document learns nothing.
    let stranger = server.add_user("stranger", &["Event.read", "Event.status_edit"], &[])?;
    let body = json!({"action": "status_update", "value": "New", "expected_modified": "x"});
    assert_eq!(server.patch_as(&stranger, &path, &body).await?.status, 404);
    Ok(())
}

/// Of many clients that have seen the same, one succeeds.
#[tokio::test]
async fn con_9_of_many_with_one_expectation_one_succeeds() -> Result<()> {
    let server = Server::start().await?;
    let event = server.event("raced").await?;
    let path = format!("/api/v1/events/{event}/");
    let seen = server.get(&path).await?.json()["modified"].clone();
    // A change in the same millisecond as the one before would not be told apart.
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    let tried = (0..16).map(|number| {
        let body = json!({"action": "ticket_add", "ticket": {"ticket_number": number}, "expected_modified": seen});
        let path = path.clone();
        let server = &server;
        async move { server.patch(&path, &body).await }
    });
    let mut done = 0;
    for answer in futures_util::future::join_all(tried).await {
        let answer = answer?.json();
        match answer["return_code"].as_i64() {
            Some(0) => done += 1,
            _ => assert_eq!(answer["error"]["code"], "conflict", "{answer}"),
        }
    }
    assert_eq!(done, 1);
    let tickets = server.get(&path).await?.json()["tickets"].clone();
    assert_eq!(tickets.as_array().map(Vec::len), Some(1), "{tickets}");
    Ok(())
}
