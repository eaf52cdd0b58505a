//! The validation list of create.md 5.8 and its texts.

use anyhow::Result;
use critd_tests::{Server, admin, json};

use crate::{file, outlook, refusal, upload, upload_as};

const NO_HEADER: &str = "Could not parse email. Possibly the input does not conform to a Internet Message style headers and header continuation lines...";
const MAIL: &[u8] = b"Subject: s\r\n\r\nb\r\n";

/// (1) and (2): the upload type; empty is absent (4-G3).
#[tokio::test]
async fn create_5_8_upload_type() -> Result<()> {
    let server = Server::start().await?;
    for (sent, text) in [
        (None, "You must specify the upload type."),
        (Some(""), "You must specify the upload type."),
        (Some("mbox"), "Unknown or unsupported upload type."),
    ] {
        let mut form = vec![("source", "Alpha"), ("filedata", "Subject: s\n\nb")];
        form.extend(sent.map(|sent| ("upload_type", sent)));
        let answer = server.post("/api/v1/emails/", &form).await?;
        assert_eq!(
            answer.status, 400,
            "a form cannot hold a file: {}",
            answer.text
        );
        let form: Vec<_> = form
            .into_iter()
            .filter(|(name, _)| *name != "filedata")
            .collect();
        let answer = server.post("/api/v1/emails/", &form).await?;
        assert_eq!(refusal(&server, &answer).await?, text, "{sent:?}");
    }
    Ok(())
}

/// (3): the right, after the upload type and before everything else.
#[tokio::test]
async fn create_5_8_permission() -> Result<()> {
    let server = Server::start().await?;
    let reader = server.add_user(
        "reader",
        &["Email.read"],
        &[("Alpha", &["--write", "--tlp", "red"])],
    )?;
    let form = [("upload_type", "eml"), ("source", "Alpha")];
    let answer = upload_as(&server, &reader, &form, file(MAIL)).await?;
    assert_eq!(
        refusal(&server, &answer).await?,
        "User does not have permission to create Object."
    );
    assert_eq!(answer.json()["success"], false);
    let answer = server
        .post_as(&reader, "/api/v1/emails/", &[("upload_type", "x")])
        .await?;
    assert_eq!(
        refusal(&server, &answer).await?,
        "Unknown or unsupported upload type."
    );
    Ok(())
}

/// No file, for each type that wants one.
#[tokio::test]
async fn create_5_8_no_file() -> Result<()> {
    let server = Server::start().await?;
    for (upload_type, text) in [
        ("eml", "No file uploaded."),
        ("raw", "No file uploaded."),
        ("msg", "No file uploaded."),
        ("yaml", "Cannot convert data to YAML.\nNo file uploaded."),
    ] {
        let form = [("upload_type", upload_type), ("source", "Alpha")];
        let answer = server.post("/api/v1/emails/", &form).await?;
        assert_eq!(refusal(&server, &answer).await?, text, "{upload_type}");
    }
    Ok(())
}

/// No source: the checks before it come first, those after it last.
#[tokio::test]
async fn create_5_8_no_source() -> Result<()> {
    let server = Server::start().await?;
    let named_none = "User does not have permission to add object using source None. ";
    let message = outlook::message(&[("0037", "s")]);
    for (upload_type, bytes, text) in [
        ("eml", MAIL, "Missing source information."),
        ("eml", &b"no header"[..], "Missing source information."),
        ("raw", MAIL, "Missing source information."),
        ("fields", MAIL, "Missing source information."),
        ("yaml", b"subject: s", named_none),
        (
            "yaml",
            b"- no mapping",
            "Cannot convert data to YAML.\na mapping of names to values is expected",
        ),
        ("msg", &message, named_none),
    ] {
        for source in [vec![], vec![("source", "")], vec![("source_name", " ")]] {
            let form = [&[("upload_type", upload_type)], &source[..]].concat();
            let answer = upload_as(&server, &admin(), &form, file(bytes)).await?;
            assert_eq!(
                refusal(&server, &answer).await?,
                text,
                "{upload_type} {source:?}"
            );
        }
    }
    Ok(())
}

/// A source that the user may not write with: the text of all upload types has a blank at its end.
#[tokio::test]
async fn create_5_8_source_not_writable() -> Result<()> {
    let server = Server::start().await?;
    let text = "User does not have permission to add object using source Gamma. ";
    let message = outlook::message(&[("0037", "s")]);
    for (upload_type, bytes) in [
        ("eml", MAIL),
        ("raw", MAIL),
        ("yaml", b"subject: s"),
        ("msg", &message),
        ("fields", b""),
    ] {
        let form = [("upload_type", upload_type), ("source_name", "Gamma")];
        let answer = upload_as(&server, &admin(), &form, file(bytes)).await?;
        assert_eq!(refusal(&server, &answer).await?, text, "{upload_type}");
    }
    Ok(())
}

/// What is no e-mail, no Outlook file, no YAML.
#[tokio::test]
async fn create_5_8_not_of_the_type_said() -> Result<()> {
    let server = Server::start().await?;
    let no_ole2 = "The upload file is not a valid Outlook file. It must be in OLE2 format (.msg)";
    let half = &outlook::message(&[("0037", "s")])[..600];
    for (upload_type, bytes, text) in [
        ("eml", &b"no header\n\nSubject: s\n"[..], NO_HEADER),
        ("eml", b"", NO_HEADER),
        ("raw", b"no header", NO_HEADER),
        ("msg", MAIL, no_ole2),
        ("msg", b"", no_ole2),
        ("msg", half, no_ole2),
    ] {
        let answer = upload(&server, upload_type, file(bytes)).await?;
        assert_eq!(refusal(&server, &answer).await?, text, "{upload_type}");
    }
    let answer = upload(&server, "yaml", file(b"a: [")).await?;
    let text = refusal(&server, &answer).await?;
    assert!(
        text.starts_with("Cannot convert data to YAML.\n") && text.len() > 35,
        "{text}"
    );
    Ok(())
}

/// With the setting `html_messages` the details of a failure stand in a block, as of old.
#[tokio::test]
async fn create_5_8_failures_with_markup() -> Result<()> {
    let server = Server::start().await?;
    server.cli(&["set", "html_messages=true"])?;
    let answer = upload(&server, "yaml", file(b"- <b>")).await?;
    assert_eq!(
        refusal(&server, &answer).await?,
        "Cannot convert data to YAML.\n<br /><pre>a mapping of names to values is expected</pre>"
    );
    Ok(())
}

/// Field case O20: the client forgot the `@` before the file's name.
#[tokio::test]
async fn o20_a_name_in_place_of_the_file() -> Result<()> {
    let server = Server::start().await?;
    let form = reqwest::multipart::Form::new()
        .text("upload_type", "eml")
        .text("source", "Alpha")
        .text("filedata", "~/message.eml");
    let url = format!(
        "{}/api/v1/emails/?username=admin&api_key={}",
        server.url(),
        admin().key
    );
    let answer = server
        .send(server.client().post(url).multipart(form))
        .await?;
    let text = refusal(&server, &answer).await?;
    assert_eq!(
        text,
        format!(
            "{NO_HEADER} A file was expected; 'filedata' was sent as a text that is no e-mail."
        )
    );
    Ok(())
}

/// Core-api 12.4 and create.md 2.3: shared arguments that are none.
#[tokio::test]
async fn create_2_shared_arguments_are_checked() -> Result<()> {
    let server = Server::start().await?;
    for (name, value, text) in [
        ("tlp", "purple", "'purple' is not a valid TLP."),
        ("source_tlp", "purple", "'purple' is not a valid TLP."),
        ("confidence", "sure", "Invalid campaign confidence: sure."),
        (
            "campaign_confidence",
            "sure",
            "Invalid campaign confidence: sure.",
        ),
    ] {
        let form = [
            ("upload_type", "eml"),
            ("source", "Alpha"),
            ("campaign", "Bear"),
            (name, value),
        ];
        let answer = upload_as(&server, &admin(), &form, file(MAIL)).await?;
        assert_eq!(refusal(&server, &answer).await?, text, "{name}");
    }
    Ok(())
}

/// Field case O52: refusals don't contain the word that a published connector takes for a success; a success has an id.
#[tokio::test]
async fn o52_success_has_an_id_and_refusals_lack_the_word() -> Result<()> {
    let server = Server::start().await?;
    for (upload_type, bytes) in [
        ("eml", &b"x"[..]),
        ("msg", b"x"),
        ("yaml", b"x"),
        ("none", b"x"),
    ] {
        let answer = upload(&server, upload_type, file(bytes)).await?;
        let text = refusal(&server, &answer).await?;
        assert!(!text.to_lowercase().contains("success"), "{text}");
    }
    let body = upload(&server, "eml", file(MAIL)).await?.json();
    let id = body["id"].as_str().unwrap_or_default();
    assert_eq!(id.len(), 24, "{body}");
    assert_eq!(
        (
            &body["return_code"],
            &body["type"],
            &body["message"],
            &body["created"],
            &body["url"]
        ),
        (
            &json!(0),
            &json!("Email"),
            &json!(""),
            &json!(true),
            &json!(format!("/api/v1/emails/{id}/"))
        )
    );
    Ok(())
}
