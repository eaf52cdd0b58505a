//! Messages read natively, without a server.

use critd_sdk::{Fault, Json, json};

use crate::eml::{self, Form};
mod oracle;

use crate::{limits, mime};

#[test]
fn the_examples_hold() {
    critd_sdk::bench::check::<super::Plugin>();
}

fn read(text: &str) -> eml::Message {
    eml::read(Form::Eml, text.as_bytes().to_vec())
        .unwrap()
        .unwrap()
}

/// (name, content) of what becomes a sample.
fn attachments(message: &eml::Message) -> Vec<(String, String)> {
    let kept = message
        .parts
        .leaves
        .iter()
        .filter(|leaf| leaf.is_attachment);
    kept.map(|leaf| {
        let content = String::from_utf8_lossy(&leaf.content()).into_owned();
        (leaf.name.clone().unwrap_or_default(), content)
    })
    .collect()
}

fn pair(name: &str, content: &str) -> (String, String) {
    (name.to_owned(), content.to_owned())
}

const MIXED: &str = "From: =?utf-8?B?SsO2cmc=?= <j@example.org>\r\nTo: \"Doe, Jane\" <Jane+tag@example.com>, x@example.net,\r\n x@example.net\r\n\
    Cc: Team: a@example.com, b@example.com;\r\nSubject: =?iso-8859-1?Q?Gr=FC=DFe?= und\r\n mehr\r\nDate: Tue, 14 Jan 2020 10:20:30 +0000\r\n\
    Message-ID: <1@example.org>\r\nX-Originating-IP: [192.0.2.55] (2)\r\nReceived: from a by b; Tue, 14 Jan 2020 10:20:29 +0000\r\n\
    X-Odd.$Name--of: =?utf-8?Q?kept?=\r\nSource: forged\r\nBucket-List: forged\r\n\
    Content-Type: multipart/mixed; boundary=\"B\"\r\n\r\npreamble\r\n--B\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\
    Content-Transfer-Encoding: quoted-printable\r\n\r\nSch=F6n\r\n--B\r\nContent-Type: text/html\r\n\r\n<b>x</b>\r\n--B\r\n\
    Content-Type: text/plain; name=\"note.txt\"\r\n\r\nnote\r\n--B\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\
    Content-Disposition: attachment; filename*=utf-8''b%C3%A4r.pdf\r\n\r\nYWJj\r\n--B--\r\nepilogue\r\n";

#[test]
fn create_5_8_1_headers_find_their_fields() {
    let mail = read(MIXED).mail;
    assert_eq!(mail.text("from"), "Jörg <j@example.org>");
    assert_eq!(mail.to, ["Jane+tag@example.com", "x@example.net"]);
    assert_eq!(mail.cc, ["a@example.com", "b@example.com"]);
    assert_eq!(mail.text("subject"), "Grüße und mehr");
    assert_eq!(mail.date, "Tue, 14 Jan 2020 10:20:30 +0000");
    assert_eq!(mail.text("message_id"), "<1@example.org>");
    assert_eq!(mail.text("x_originating_ip"), "192.0.2.55");
    assert_eq!(mail.text("boundary"), "B");
    assert_eq!(mail.fallback_dates, ["Tue, 14 Jan 2020 10:20:29 +0000"]);
    assert_eq!(
        json!(mail.unsupported),
        json!({
            "received": "from a by b; Tue, 14 Jan 2020 10:20:29 +0000",
            "x_oddname_of": "=?utf-8?Q?kept?=",
            "content_type": "multipart/mixed; boundary=\"B\"",
        })
    );
    let raw: Vec<&str> = mail.raw_headers.lines().take(3).collect();
    assert_eq!(
        raw,
        [
            "From: =?utf-8?B?SsO2cmc=?= <j@example.org>",
            "To: \"Doe, Jane\" <Jane+tag@example.com>, x@example.net, x@example.net",
            "Cc: Team: a@example.com, b@example.com;",
        ]
    );
}

#[test]
fn create_5_8_1_texts_are_the_body_and_files_are_attachments() {
    let message = read(MIXED);
    assert_eq!(message.mail.raw_body, "Schön\n<b>x</b>\nnote\n");
    assert_eq!(
        attachments(&message),
        [pair("note.txt", "note"), pair("bär.pdf", "abc")]
    );
}

#[test]
fn create_5_8_1_what_is_no_text_is_an_attachment() {
    let message = read(
        "Content-Type: multipart/mixed; boundary=B\n\n--B\nContent-Type: image/png\n\npng\n--B\nContent-Type: text/x\nContent-Disposition: attachment\n\nt\n--B\n\nplain\n--B--",
    );
    assert_eq!(attachments(&message), [pair("", "png"), pair("", "t")]);
    assert_eq!(message.mail.raw_body, "t\nplain\n");
}

#[test]
fn create_5_8_1_messages_within_are_taken_apart() {
    let inner = "Subject: inner\n\nContent\n";
    let encoded =
        "U3ViamVjdDogaW5uZXIKQ29udGVudC1UeXBlOiBhcHBsaWNhdGlvbi94OyBuYW1lPXkuYmluCgphYmM="; // Subject: inner, application/x, abc
    let message = read(&format!(
        "Content-Type: multipart/digest; boundary=B\n\n--B\n\n{inner}--B\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n{encoded}\n--B\n\
         Content-Type: message/rfc822; name=\"no mail.eml\"\nContent-Transfer-Encoding: base64\n\nYWJj\n--B--\n"
    ));
    assert_eq!(message.mail.raw_body, "Content\n");
    assert_eq!(
        attachments(&message),
        [pair("y.bin", "abc"), pair("no mail.eml", "abc")]
    );
}

#[test]
fn create_5_8_1_damaged_structure_loses_nothing() {
    for (text, body, files) in [
        // Never closed; closed by the outer one; no delimiter at all; one in the middle of a line; no header of a part.
        (
            "Content-Type: multipart/mixed; boundary=B\n\n--B\n\na\n--B\n\nb",
            "a\nb\n",
            vec![],
        ),
        (
            "Content-Type: multipart/mixed; boundary=A\n\n--A\nContent-Type: multipart/mixed; boundary=B\n\n--B\n\na\n--A\n\nb\n--A--",
            "a\nb\n",
            vec![],
        ),
        (
            "Content-Type: multipart/mixed; boundary=B\n\nno part",
            "no part\n",
            vec![],
        ),
        (
            "Content-Type: multipart/mixed\n\nno part",
            "no part\n",
            vec![],
        ),
        (
            "Content-Type: multipart/mixed; boundary=B\n\nx--B\n\na\n--B-x\n\ny--B--",
            "a\ny\n",
            vec![],
        ),
        (
            "Content-Type: multipart/mixed; boundary=B\n\n--BB\n--B \t\nContent-Type: x/y\n--Bx\n\nz\n--B--",
            "",
            vec![pair("", "z")],
        ),
        ("Content-Type: nonsense\n\ntext", "text\n", vec![]),
    ] {
        let message = read(text);
        assert_eq!(
            (message.mail.raw_body.as_str(), attachments(&message)),
            (body, files),
            "{text}"
        );
    }
}

#[test]
fn create_5_8_1_what_has_no_header_is_no_mail() {
    for text in ["", "~/message.eml", "two\nlines\n\nSubject: s\n", "\n\n"] {
        assert!(
            eml::read(Form::Eml, text.into()).unwrap().is_none(),
            "{text}"
        );
    }
}

#[test]
fn up_12_a_header_can_inject_nothing() {
    let mail = read("Subject: a\r\n\tb\x00\x07c\rX-Forged: y\r\nX-A: =?utf-8?Q?a=0D=0AX-Forged:_y?=\r\nFrom: =?utf-8?Q?a=0D=0Ab?= <a@b.c>\r\n\r\n").mail;
    assert_eq!(mail.text("subject"), "a bcX-Forged: y");
    assert_eq!(mail.text("from"), "ab <a@b.c>");
    assert!(!mail.unsupported.contains_key("x_forged"));
    assert_eq!(mail.raw_headers.lines().count(), 3);
}

fn limit(message: String) -> String {
    match eml::read(Form::Eml, message.into_bytes()) {
        Err(Fault::Refused((code, text))) => {
            assert_eq!(code, "limit");
            text
        }
        other => format!("no refusal: {:?}", other.map(|read| read.is_some())),
    }
}

#[test]
fn up_12_too_many_parts_and_fields_are_refused() {
    let parts = |count: usize| {
        format!(
            "Content-Type: multipart/mixed; boundary=B\n\n{}--B--",
            "--B\n\nx\n".repeat(count)
        )
    };
    assert_eq!(limit(parts(10_000)), "The e-mail has more than 2000 parts.");
    assert_eq!(read(&parts(1_999)).parts.leaves.len(), 1_999);
    assert_eq!(
        limit("a:\n".repeat(5_001)),
        "The header of the e-mail has more than 5000 fields."
    );
    assert_eq!(
        limit(format!("a: {}", "x".repeat(1 << 20))),
        "The header of the e-mail has more than 1048576 bytes."
    );
}

#[test]
fn up_12_what_is_nested_deep_is_kept_as_it_is() {
    let mut multipart = "Subject: s\n".to_owned();
    for level in 0..200 {
        multipart += &format!("Content-Type: multipart/mixed; boundary=B{level}\n\n--B{level}\n");
    }
    multipart += "\ndeepest";
    let message = read(&multipart);
    let kept = attachments(&message);
    assert_eq!((kept.len(), message.mail.raw_body.as_str()), (1, ""));
    assert!(kept[0].1.ends_with("\n\ndeepest"));
    assert_eq!(message.parts.notes.len(), 1);

    let messages = format!(
        "Subject: s\n{}deepest",
        "Content-Type: message/rfc822\n\n".repeat(200)
    );
    let kept = attachments(&read(&messages));
    assert!(kept.len() == 1 && kept[0].1.ends_with("deepest"));
}

#[test]
fn up_12_encoded_messages_in_each_other_end() {
    let mut inner = "Subject: innermost\n\ntext".to_owned();
    for _ in 0..6 {
        let escaped = inner.replace('=', "=3D");
        inner = format!(
            "Content-Type: message/rfc822\nContent-Transfer-Encoding: quoted-printable\n\n{escaped}"
        );
    }
    let message = read(&inner);
    assert_eq!(message.mail.raw_body, "");
    let kept = attachments(&message);
    assert!(kept.len() == 1 && kept[0].1.ends_with("text"), "{kept:?}");
    assert_eq!(message.parts.notes.len(), 1);
}

#[test]
fn documents_3_9_long_texts_are_cut_off() {
    let letters = limits::TEXT_BYTES / 2 + 10;
    let message = read(&format!(
        "Subject: s\nContent-Type: text/plain; charset=utf-8\n\n{}",
        "ö".repeat(letters)
    ));
    assert_eq!(message.mail.raw_body.len(), limits::TEXT_BYTES);
    assert!(
        message.mail.text_bytes >= letters * 2,
        "{}",
        message.mail.text_bytes
    );
    let short = read("Subject: s\n\nx").mail;
    assert_eq!((short.raw_body.as_str(), short.text_bytes), ("x\n", 2));
}

#[test]
fn create_5_8_1_file_names_have_no_folders() {
    for (sent, name) in [
        ("a.txt", Some("a.txt")),
        ("C:\\temp\\a.txt", Some("a.txt")),
        ("../../etc/passwd", Some("passwd")),
        ("=?utf-8?Q?b=C3=A4r?=", Some("bär")),
        (" \r\n", None),
        ("x/", None),
    ] {
        assert_eq!(mime::file_name(sent).as_deref(), name, "{sent}");
    }
}

#[test]
fn core_api_10_5_fields_have_both_names() {
    let declaration: Json =
        critd_sdk::serde_json::from_str(&<super::Plugin as critd_sdk::Plugin>::declaration())
            .unwrap();
    let stored = |name: &str| {
        let fields = declaration["types"][0]["fields"].as_array().unwrap();
        fields.iter().find(|field| field["name"] == name).unwrap()["stored"].clone()
    };
    assert_eq!(
        (stored("from_address"), stored("raw_header")),
        (json!("from"), json!("raw_headers"))
    );
}
