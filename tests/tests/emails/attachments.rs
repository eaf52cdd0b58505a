//! What is attached becomes Samples (create.md 5.8.1 step 5, 5.8.3).

use anyhow::Result;
use critd_tests::zips::{self, Entry};
use critd_tests::{Json, Server, admin, json};

use crate::outlook::{Attached, Writer};
use crate::{file, method, refusal, upload, upload_as};

/// MD5 of `abc`, `note`, and of the smallest capture.
const ABC: &str = "900150983cd24fb0d6963f7d28e17f72";
const NOTE: &str = "aad653ca3ee669635f2938b73098b6d7";
/// The header of a capture without packets.
const CAPTURE: &[u8] = b"\xd4\xc3\xb2\xa1\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x00\x00\x01\x00\x00\x00";

/// The document of a resource with this value.
async fn find(server: &Server, resource: &str, field: &str, value: &str) -> Result<Json> {
    let page = server
        .get(&format!("/api/v1/{resource}/?c-{field}={value}"))
        .await?
        .json();
    assert_eq!(
        page["meta"]["total_count"], 1,
        "{resource} {field}={value}: {page}"
    );
    Ok(page["objects"][0].clone())
}

/// Names of the relationships that point to `partner`.
fn relations(document: &Json, partner: &Json) -> Vec<String> {
    let entries = document["relationships"].as_array().into_iter().flatten();
    entries
        .filter(|entry| entry["value"] == partner["_id"])
        .filter_map(|entry| entry["relationship"].as_str().map(str::to_owned))
        .collect()
}

/// Parts of a mail, each with its header.
fn mixed(parts: &[&str]) -> String {
    let parts: String = parts
        .iter()
        .map(|part| format!("--B\r\n{part}\r\n"))
        .collect();
    format!("Subject: s\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n{parts}--B--\r\n")
}

const PDF: &str = "Content-Type: application/pdf; name=invoice.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nYWJj";

/// A sample of each, with what the e-mail has: source, campaign, buckets, tickets; texts are none.
#[tokio::test]
async fn create_5_8_1_attachments_become_samples() -> Result<()> {
    let server = Server::start().await?;
    let form = [
        ("upload_type", "eml"),
        ("source", "Alpha"),
        ("method", "feed"),
        ("reference", "ref"),
        ("tlp", "green"),
        ("campaign", "Bear"),
        ("confidence", "high"),
        ("bucket_list", "b1"),
        ("ticket", "INC-1"),
    ];
    let mail = mixed(&[
        "\r\nplain",
        "Content-Type: text/html\r\n\r\n<b>",
        PDF,
        "Content-Type: text/plain\r\nContent-Disposition: attachment; filename=\"/x/note.txt\"\r\n\r\nnote",
    ]);
    let id = upload_as(&server, &admin(), &form, file(mail.as_bytes()))
        .await?
        .created_id()?;
    assert_eq!(server.count("samples").await?, 2);
    let mail = server.document("emails", &id).await?;
    assert_eq!(mail["raw_body"], "plain\n<b>\nnote\n");
    for (md5, name) in [(ABC, "invoice.pdf"), (NOTE, "note.txt")] {
        let sample = find(&server, "samples", "md5", md5).await?;
        assert_eq!(sample["filename"], name);
        assert_eq!(relations(&mail, &sample), ["Contains"]);
        assert_eq!(relations(&sample, &mail), ["Contained Within"]);
        assert_eq!(
            (
                &sample["source"][0]["name"],
                method(&sample),
                &sample["tlp"]
            ),
            (
                &json!("Alpha"),
                "File Upload - EML Upload - feed",
                &json!("green")
            )
        );
        assert_eq!(
            (
                &sample["campaign"][0]["name"],
                &sample["campaign"][0]["confidence"]
            ),
            (&json!("Bear"), &json!("high"))
        );
        assert_eq!(
            (
                &sample["bucket_list"],
                &sample["tickets"][0]["ticket_number"]
            ),
            (&json!(["b1"]), &json!("INC-1"))
        );
    }
    Ok(())
}

/// Equal bytes are one sample with the last name; without a name it is the MD5; nothing is no sample; messages within
/// the message are taken apart.
#[tokio::test]
async fn create_5_8_1_equal_bytes_are_one_sample() -> Result<()> {
    let server = Server::start().await?;
    let inner = format!(
        "Content-Type: message/rfc822\r\n\r\n{}",
        mixed(&["Content-Type: image/png; name=last.png\r\n\r\nabc"])
            .replace("=B", "=I")
            .replace("--B", "--I")
    );
    let mail = mixed(&[
        PDF,
        "Content-Type: application/x\r\n\r\nabc",
        &inner,
        "Content-Type: application/x\r\n\r\nnote",
        "Content-Type: application/x; name=empty\r\n\r\n",
    ]);
    upload(&server, "eml", file(mail.as_bytes()))
        .await?
        .created_id()?;
    assert_eq!(server.count("samples").await?, 2);
    assert_eq!(
        find(&server, "samples", "md5", ABC).await?["filename"],
        "last.png"
    );
    assert_eq!(
        find(&server, "samples", "md5", NOTE).await?["filename"],
        NOTE
    );
    Ok(())
}

/// Create.md 5.16: a capture becomes a PCAP, contained in the e-mail like a sample.
#[tokio::test]
async fn create_5_8_1_captures_become_pcaps() -> Result<()> {
    let server = Server::start().await?;
    let mail = [
        mixed(&["Content-Type: application/x; name=traffic.pcap\r\n\r\n"])
            .trim_end_matches("\r\n--B--\r\n")
            .as_bytes(),
        CAPTURE,
        b"\r\n--B--\r\n",
    ]
    .concat();
    let id = upload(&server, "eml", file(&mail)).await?.created_id()?;
    let mail = server.document("emails", &id).await?;
    let pcap = server.get("/api/v1/pcaps/").await?.json()["objects"][0].clone();
    assert_eq!(
        (server.count("pcaps").await?, server.count("samples").await?),
        (1, 0)
    );
    assert_eq!(
        (relations(&mail, &pcap), relations(&pcap, &mail)),
        (
            vec!["Contains".to_owned()],
            vec!["Contained Within".to_owned()]
        )
    );
    Ok(())
}

/// Create.md 3.2: who may not add samples stores nothing, and reads of each attachment why.
#[tokio::test]
async fn create_5_8_1_failures_are_told_of_all_and_nothing_is_stored() -> Result<()> {
    let server = Server::start().await?;
    let user = server.add_user(
        "writer",
        &["Email.write"],
        &[("Alpha", &["--read", "--write", "--tlp", "red"])],
    )?;
    let mail = mixed(&[PDF, "Content-Type: application/x\r\n\r\nnote"]);
    let form = [("upload_type", "eml"), ("source", "Alpha")];
    let answer = upload_as(&server, &user, &form, file(mail.as_bytes())).await?;
    assert_eq!(
        refusal(&server, &answer).await?,
        format!(
            "Failed to save attachment '{ABC}'.\nUser does not have permission to create Object.\n\
             Failed to save attachment '{NOTE}'.\nUser does not have permission to create Object."
        )
    );
    assert_eq!(server.count("samples").await?, 0);
    Ok(())
}

/// The attachments of Outlook: reported one by one, without buckets and tickets.
#[tokio::test]
async fn create_5_8_3_attachments_are_reported() -> Result<()> {
    let server = Server::start().await?;
    let message = Writer::new(&[("0037", "s")])
        .attach("invoice.pdf", "application/pdf", &Attached::Bytes(b"abc"))
        .attach("note.txt", "text/plain", &Attached::Bytes(b"note"))
        .finish();
    let form = [
        ("upload_type", "msg"),
        ("source", "Alpha"),
        ("method", "feed"),
        ("reference", "ref"),
        ("campaign", "Bear"),
        ("bucket_list", "b"),
        ("ticket", "T"),
    ];
    let answer = upload_as(&server, &admin(), &form, file(&message)).await?;
    assert_eq!(
        answer.json()["message"],
        "invoice.pdf: Added Successfully!\nnote.txt: Added Successfully!"
    );
    let mail = server.document("emails", &answer.created_id()?).await?;
    let sample = find(&server, "samples", "md5", ABC).await?;
    assert_eq!(
        (
            &sample["filename"],
            method(&sample),
            &sample["source"][0]["instances"][0]["reference"]
        ),
        (&json!("invoice.pdf"), "File Upload", &json!("ref"))
    );
    assert_eq!(
        (
            &sample["campaign"][0]["name"],
            &sample["bucket_list"],
            &sample["tickets"]
        ),
        (&json!("Bear"), &json!([]), &json!([]))
    );
    assert_eq!(relations(&sample, &mail), ["Contained Within"]);
    // Who may not add samples keeps the e-mail, and reads what was not added.
    let user = server.add_user(
        "writer",
        &["Email.write"],
        &[("Alpha", &["--read", "--write", "--tlp", "red"])],
    )?;
    let form = [("upload_type", "msg"), ("source", "Alpha")];
    let answer = upload_as(&server, &user, &form, file(&message)).await?;
    answer.created_id()?;
    assert_eq!(
        answer.json()["message"],
        "invoice.pdf: User does not have permission to create Object.\nnote.txt: User does not have permission to create Object."
    );
    Ok(())
}

/// An archive is unpacked with the password; its members are contained in the e-mail, the archive itself is not stored.
#[tokio::test]
async fn create_5_8_3_archives_are_unpacked() -> Result<()> {
    let server = Server::start().await?;
    let message = Writer::new(&[("0037", "s")])
        .attach(
            "plain.zip",
            "application/zip",
            &Attached::Bytes(&zips::archive(&[zips::file("abc.bin", b"abc")])?),
        )
        .finish();
    let answer = upload(&server, "msg", file(&message)).await?;
    assert_eq!(answer.json()["message"], "plain.zip: Added Successfully!");
    let mail = server.document("emails", &answer.created_id()?).await?;
    let member = find(&server, "samples", "md5", ABC).await?;
    assert_eq!(
        (&member["filename"], relations(&member, &mail)),
        (&json!("abc.bin"), vec!["Contained Within".to_owned()])
    );
    assert_eq!(server.count("samples").await?, 1);
    // In a mail of the wire it is kept as it is.
    let encoded = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        zips::archive(&[zips::file("note", b"note")])?,
    );
    let mail = mixed(&[&format!(
        "Content-Type: application/zip; name=a.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n{encoded}"
    )]);
    upload(&server, "eml", file(mail.as_bytes()))
        .await?
        .created_id()?;
    assert_eq!(
        find(&server, "samples", "filename", "a.zip").await?["mimetype"],
        "application/zip"
    );
    Ok(())
}

/// The password of the request is for all archives that are attached; without it they are tried with the usual one.
#[tokio::test]
async fn create_5_8_3_encrypted_archives_need_the_password() -> Result<()> {
    let server = Server::start().await?;
    let member = |name, content, password| Entry {
        password: Some(password),
        ..zips::file(name, content)
    };
    let archives = [
        ("one.zip", member("abc.bin", b"abc", "geheim")),
        ("two.zip", member("note.txt", b"note", "geheim")),
        ("usual.zip", member("usual.bin", b"usual", "infected")),
    ];
    let mut message = Writer::new(&[("0037", "s")]);
    for (name, member) in archives {
        let archive = zips::archive(&[member])?;
        message = message.attach(name, "application/zip", &Attached::Bytes(&archive));
    }
    let message = message.finish();
    let send = async |password: Option<&str>| -> Result<Json> {
        let mut form = vec![("upload_type", "msg"), ("source", "Alpha")];
        form.extend(password.map(|password| ("password", password)));
        let answer = upload_as(&server, &admin(), &form, file(&message)).await?;
        answer.created_id()?;
        Ok(answer.json()["message"].clone())
    };
    let wrong = "Error while extracting archive: the password is wrong.";
    assert_eq!(
        send(Some("geheim")).await?,
        json!(format!(
            "one.zip: Added Successfully!\ntwo.zip: Added Successfully!\nusual.zip: {wrong}"
        ))
    );
    for (name, md5) in [("abc.bin", ABC), ("note.txt", NOTE)] {
        assert_eq!(
            find(&server, "samples", "md5", md5).await?["filename"],
            name
        );
    }
    assert_eq!(server.count("samples").await?, 2);
    let usual = "Error while extracting archive: it is encrypted, and not with the usual password.";
    assert_eq!(
        send(None).await?,
        json!(format!(
            "one.zip: {usual}\ntwo.zip: {usual}\nusual.zip: Added Successfully!"
        ))
    );
    Ok(())
}

/// UP-12: several archives of a message, each of which unpacks to many megabytes.
#[tokio::test]
async fn up_12_large_archives_in_one_message() -> Result<()> {
    let server = Server::start().await?;
    let mut message = Writer::new(&[("0037", "s")]);
    for number in 0..5_u8 {
        // Some bytes that do not compress among many that do.
        let mut content = vec![number; 4 << 20];
        let mut state = u32::from(number) + 1;
        for byte in content.iter_mut().step_by(8) {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = (state >> 24) as u8;
        }
        let archive = zips::archive(&[zips::file("large.bin", &content)])?;
        let name = format!("{number}.zip");
        message = message.attach(&name, "application/zip", &Attached::Bytes(&archive));
    }
    let answer = upload(&server, "msg", file(&message.finish())).await?;
    answer.created_id()?;
    let lines = (0..5).map(|number| format!("{number}.zip: Added Successfully!"));
    assert_eq!(
        answer.json()["message"],
        lines.collect::<Vec<_>>().join("\n")
    );
    let list = server.get("/api/v1/samples/?only=size").await?.json();
    let sizes: Vec<_> = list["objects"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|sample| sample["size"].clone())
        .collect();
    assert_eq!(sizes, vec![json!(4 << 20); 5]);
    Ok(())
}

/// UP-12: as many attachments as there may be, and one more; twenty megabytes of them.
#[tokio::test]
async fn up_12_many_and_large_attachments() -> Result<()> {
    let server = Server::start().await?;
    let part =
        |number: usize| format!("Content-Type: application/x; name=f{number}\r\n\r\nfile {number}");
    let parts = |count: usize| (0..count).map(part).collect::<Vec<_>>();
    let of = |parts: &[String]| mixed(&parts.iter().map(String::as_str).collect::<Vec<_>>());
    let answer = upload(&server, "eml", file(of(&parts(201)).as_bytes())).await?;
    assert_eq!(
        refusal(&server, &answer).await?,
        "The e-mail has more than 200 attachments."
    );
    upload(&server, "eml", file(of(&parts(200)).as_bytes()))
        .await?
        .created_id()?;
    assert_eq!(server.count("samples").await?, 200);
    let large = mixed(&[&format!(
        "Content-Type: application/x; name=large\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
        "QUJD".repeat(5 << 20)
    )]);
    let begin = std::time::Instant::now();
    upload(&server, "eml", file(large.as_bytes()))
        .await?
        .created_id()?;
    eprintln!("an attachment of 15 MiB: {:?}", begin.elapsed());
    assert_eq!(
        find(&server, "samples", "filename", "large").await?["size"],
        15 << 20
    );
    Ok(())
}
