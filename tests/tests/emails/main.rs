//! E-mails over HTTP (create.md 5.8): every upload type, every text of a refusal, what is stored, and what an e-mail may not be.

mod attachments;
mod eml;
mod fields;
mod limits;
mod msg;
mod outlook;
mod packages;
mod validation;
mod yaml;

use anyhow::Result;
use critd_tests::{Answer, Json, Server, User, admin};

/// A file part.
#[derive(Clone, Copy)]
struct File<'a> {
    name: &'a str,
    bytes: &'a [u8],
}

/// POST of a multipart form with a file part `filedata`, as a user.
async fn upload_as(
    server: &Server,
    user: &User,
    fields: &[(&str, &str)],
    file: File<'_>,
) -> Result<Answer> {
    let part = reqwest::multipart::Part::bytes(file.bytes.to_vec()).file_name(file.name.to_owned());
    let mut form = reqwest::multipart::Form::new();
    for (name, value) in fields {
        form = form.text((*name).to_owned(), (*value).to_owned());
    }
    let url = format!(
        "{}/api/v1/emails/?username={}&api_key={}",
        server.url(),
        user.name,
        user.key
    );
    let request = server
        .client()
        .post(url)
        .multipart(form.part("filedata", part));
    server.send(request).await
}

/// The same as the administrator, from the source `Alpha`.
async fn upload(server: &Server, upload_type: &str, file: File<'_>) -> Result<Answer> {
    let fields = [("upload_type", upload_type), ("source", "Alpha")];
    upload_as(server, &admin(), &fields, file).await
}

/// A file of a name that says nothing.
const fn file(bytes: &[u8]) -> File<'_> {
    File {
        name: "message",
        bytes,
    }
}

/// Uploads and reads what was stored.
async fn stored(server: &Server, upload_type: &str, bytes: &[u8]) -> Result<Json> {
    let id = upload(server, upload_type, file(bytes))
        .await?
        .created_id()?;
    server.document("emails", &id).await
}

/// `message` of an answer that says failure, of which nothing was stored.
async fn refusal(server: &Server, answer: &Answer) -> Result<String> {
    let body = answer.json();
    assert_eq!(
        (answer.status, &body["return_code"]),
        (200, &Json::from(1)),
        "{}",
        answer.text
    );
    assert!(
        body.get("id").is_none() && body.get("url").is_none(),
        "{body}"
    );
    assert_eq!(server.count("emails").await?, 0, "{body}");
    Ok(body["message"].as_str().unwrap_or_default().to_owned())
}

/// Method of the first source instance.
fn method(document: &Json) -> &str {
    document["source"][0]["instances"][0]["method"]
        .as_str()
        .unwrap_or_default()
}
