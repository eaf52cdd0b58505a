//! An object of each resource, for tests of what holds for all types.

use anyhow::{Context as _, Result};

use crate::{Answer, Server};

/// Names and values.
pub type Form = &'static [(&'static str, &'static str)];

/// An object of each resource that lists objects: its form, and the file that goes with it.
pub const OBJECTS: &[(&str, Form, Option<&[u8]>)] = &[
    ("actors", &[("name", "A"), ("source", "Alpha")], None),
    (
        "actoridentifiers",
        &[
            ("identifier_type", "Handle"),
            ("identifier", "x"),
            ("source", "Alpha"),
        ],
        None,
    ),
    ("backdoors", &[("name", "B"), ("source", "Alpha")], None),
    ("campaigns", &[("name", "C")], None),
    ("certificates", &[("source", "Alpha")], Some(b"certificate")),
    (
        "domains",
        &[("domain", "example.com"), ("source", "Alpha")],
        None,
    ),
    (
        "emails",
        &[
            ("upload_type", "fields"),
            ("subject", "s"),
            ("date", "2020-03-03 10:11:12"),
            ("source", "Alpha"),
        ],
        None,
    ),
    (
        "events",
        &[
            ("title", "E"),
            ("event_type", "Phishing"),
            ("description", "d"),
            ("source", "Alpha"),
        ],
        None,
    ),
    ("exploits", &[("name", "X"), ("source", "Alpha")], None),
    (
        "indicators",
        &[("type", "Mutex"), ("value", "x"), ("source", "Alpha")],
        None,
    ),
    (
        "ips",
        &[
            ("ip", "192.0.2.1"),
            ("ip_type", "IPv4 Address"),
            ("source", "Alpha"),
        ],
        None,
    ),
    ("pcaps", &[("source", "Alpha")], Some(b"packets")),
    (
        "raw_data",
        &[
            ("upload_type", "metadata"),
            ("title", "R"),
            ("data_type", "Text"),
            ("data", "x"),
            ("source", "Alpha"),
        ],
        None,
    ),
    (
        "samples",
        &[
            ("upload_type", "metadata"),
            ("filename", "f"),
            ("md5", "0123456789abcdef0123456789abcdef"),
            ("source", "Alpha"),
        ],
        None,
    ),
    (
        "signatures",
        &[
            ("title", "S"),
            ("data_type", "Yara"),
            ("data", "x"),
            ("source", "Alpha"),
        ],
        None,
    ),
    ("targets", &[("email_address", "t@example.org")], None),
];

/// POST of a form, with a file part `filedata` if there is one.
///
/// # Errors
///
/// No answer.
pub async fn post(
    server: &Server,
    resource: &str,
    form: &[(&str, &str)],
    file: Option<&[u8]>,
) -> Result<Answer> {
    let path = format!("/api/v1/{resource}/");
    let Some(bytes) = file else {
        return server.post(&path, form).await;
    };
    let part = reqwest::multipart::Part::bytes(bytes.to_vec()).file_name("file.bin");
    let mut parts = reqwest::multipart::Form::new().part("filedata", part);
    for (name, value) in form {
        parts = parts.text((*name).to_owned(), (*value).to_owned());
    }
    let admin = crate::admin();
    let url = format!(
        "{}{path}?username={}&api_key={}",
        server.url(),
        admin.name,
        admin.key
    );
    server
        .send(server.client().post(url).multipart(parts))
        .await
}

/// One of each of [`OBJECTS`]: resource and id.
///
/// # Errors
///
/// One was refused.
pub async fn one_of_each(server: &Server) -> Result<Vec<(&'static str, String)>> {
    let mut made = Vec::new();
    for (resource, form, file) in OBJECTS {
        let answer = post(server, resource, form, *file).await?;
        let id = answer
            .created_id()
            .with_context(|| (*resource).to_owned())?;
        made.push((*resource, id));
    }
    Ok(made)
}
