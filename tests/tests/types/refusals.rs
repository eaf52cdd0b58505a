//! Tables of refusals: what is posted, what is said.

use anyhow::Result;
use critd_tests::{Json, Server, User, admin, json};

/// A form: names and values.
pub(crate) type Form = &'static [(&'static str, &'static str)];

/// Posts each form as the administrator and expects its text, an envelope of failure, and nothing that names an object.
pub(crate) async fn expect(server: &Server, resource: &str, rows: &[(Form, &str)]) -> Result<()> {
    for (form, message) in rows {
        expect_as(server, &admin(), resource, form, message).await?;
    }
    Ok(())
}

/// The same for one form of a user; the answer.
pub(crate) async fn expect_as(
    server: &Server,
    user: &User,
    resource: &str,
    form: &[(&str, &str)],
    message: &str,
) -> Result<Json> {
    let answer = server
        .post_as(user, &format!("/api/v1/{resource}/"), form)
        .await?;
    let body = answer.json();
    assert_eq!(
        (
            answer.status,
            &body["return_code"],
            body["message"].as_str()
        ),
        (200, &json!(1), Some(message)),
        "{resource} {form:?}: {}",
        answer.text
    );
    assert!(
        body.get("url").is_none() && matches!(body["id"].as_str(), None | Some("")),
        "{resource} {form:?}: {body}"
    );
    Ok(body)
}

/// Number of instances by source of a document, in its order.
pub(crate) fn sources(document: &Json) -> Vec<(String, usize)> {
    let sources = document["source"].as_array().into_iter().flatten();
    sources
        .map(|source| {
            (
                source["name"].as_str().unwrap_or_default().to_owned(),
                source["instances"].as_array().map_or(0, Vec::len),
            )
        })
        .collect()
}

/// (relationship, partner's id) of a document, in its order.
pub(crate) fn relationships(document: &Json) -> Vec<(&str, &str)> {
    let entries = document["relationships"].as_array().into_iter().flatten();
    entries
        .map(|entry| {
            (
                entry["relationship"].as_str().unwrap_or_default(),
                entry["value"].as_str().unwrap_or_default(),
            )
        })
        .collect()
}

/// What is stored in an envelope of success.
pub(crate) fn made(answer: &Json, message: &str) -> Result<String> {
    assert_eq!(
        (&answer["return_code"], answer["message"].as_str()),
        (&json!(0), Some(message)),
        "{answer}"
    );
    Ok(answer["id"].as_str().unwrap_or_default().to_owned())
}
