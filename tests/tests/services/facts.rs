//! The services that come with the server, on real and on hostile files.

use anyhow::{Context as _, Result, ensure};
use critd_tests::{Answer, Json, Server, admin, json};
use reqwest::multipart::{Form, Part};

const CERTIFICATE: &[u8] = include_bytes!("../uploads/fixtures/cert.pem");

async fn server() -> Result<Server> {
    let server = Server::start().await?;
    for service in ["file_facts", "certificate_facts"] {
        server.cli(&["service", "enable", service])?;
    }
    Ok(server)
}

/// A new object of this resource with a file.
async fn object(server: &Server, resource: &str, bytes: Vec<u8>) -> Result<String> {
    let form = Form::new()
        .text("username", admin().name)
        .text("api_key", admin().key)
        .text("source", "Alpha")
        .text("upload_type", "file")
        .part("filedata", Part::bytes(bytes).file_name("some.bin"));
    let url = format!("{}/api/v1/{resource}/", server.url());
    let request = server.client().post(url).multipart(form);
    server.send(request).await?.created_id()
}

async fn run(
    server: &Server,
    resource: &str,
    bytes: Vec<u8>,
    service: &str,
    options: Json,
) -> Result<Answer> {
    let id = object(server, resource, bytes).await?;
    let run =
        json!({"action": "run_service", "name": service, "custom_config": options, "wait": 60});
    server
        .patch(&format!("/api/v1/{resource}/{id}/"), &run)
        .await
}

/// The task of a run, as it ended.
async fn task(server: &Server, answer: &Answer) -> Result<Json> {
    let id = answer.json()["object"]["analysis_id"]
        .as_str()
        .map(String::from);
    let id = id.with_context(|| format!("no task: {}", answer.text))?;
    let path = format!("/api/v1/analysis_results/{id}/");
    let task = server.get(&path).await?.json();
    ensure!(task["finish_date"].is_string(), "it did not end: {task}");
    Ok(task)
}

/// (subtype, result) of all results.
fn told(task: &Json) -> Vec<(&str, &str)> {
    let results = task["results"].as_array().into_iter().flatten();
    results
        .map(|found| {
            let text = |name: &str| found[name].as_str().unwrap_or_default();
            (text("subtype"), text("result"))
        })
        .collect()
}

/// The lines of a task's log of this level.
fn lines<'a>(task: &'a Json, level: &str) -> Vec<&'a str> {
    let log = task["log"].as_array().into_iter().flatten();
    log.filter(|line| line["level"] == level)
        .filter_map(|line| line["message"].as_str())
        .collect()
}

/// The headers of a program of Windows with so many sections, the first of which holds some texts.
fn program(sections: u16) -> Vec<u8> {
    let mut file = vec![0; 0x178 + 40 * usize::from(sections)];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"MZ");
    put(0x3c, &0x80_u32.to_le_bytes());
    put(0x80, b"PE\0\0\x4c\x01");
    put(0x86, &sections.to_le_bytes());
    put(0x94, &0xe0_u16.to_le_bytes());
    put(0x98, &0x10b_u16.to_le_bytes());
    put(0xdc, &2_u16.to_le_bytes());
    put(0xf4, &16_u32.to_le_bytes());
    for section in 0..usize::from(sections) {
        let at = 0x178 + 40 * section;
        put(at, b".text");
        for (at, value) in [
            (at + 8, 0x200_u32),
            (at + 12, 0x1000),
            (at + 16, 0x200),
            (at + 20, 0x400),
        ] {
            put(at, &value.to_le_bytes());
        }
    }
    let length = file.len().max(0x400);
    file.resize(length, 0);
    file.extend(b"\0http://c2.example.com/a\0mail bob@example.com\0");
    file.resize(length + 0x200, 0);
    file
}

#[tokio::test]
async fn svc_7_file_facts_tell_of_a_program() -> Result<()> {
    let server = server().await?;
    let answer = run(&server, "samples", program(1), "file_facts", json!({})).await?;
    let task = task(&server, &answer).await?;
    assert_eq!(task["status"], "completed", "{task}");
    assert_eq!(
        told(&task),
        [
            ("entropy", "0.450"),
            ("pe_header", "I386"),
            ("pe_section", ".text"),
            ("url", "http://c2.example.com/a"),
            ("email_address", "bob@example.com"),
        ]
    );
    assert_eq!(task["results"][1]["subsystem"], "WINDOWS_GUI");
    assert_eq!(task["results"][3]["offset"], 0x401);
    assert_eq!(
        lines(&task, "info"),
        [
            "Starting Analysis",
            "1536 bytes, 2 links.",
            "Analysis complete"
        ]
    );
    let few = json!({"links": false});
    let answer = run(&server, "samples", program(2), "file_facts", few).await?;
    let task = self::task(&server, &answer).await?;
    assert!(told(&task).iter().all(|(kind, _)| *kind != "url"), "{task}");
    Ok(())
}

#[tokio::test]
async fn svc_8_hostile_files_end_with_readable_lines() -> Result<()> {
    let server = server().await?;
    let mut state = 3_u64;
    let mut noise: Vec<u8> = (0..3 << 20)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 40) as u8
        })
        .collect();
    noise[..2].copy_from_slice(b"MZ");
    let mut overlapping = program(100);
    for section in 0..100 {
        let at = 0x178 + 40 * section + 16;
        overlapping[at..at + 8].copy_from_slice(&[0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0]);
    }
    let rows = [
        (program(1)[..0x100].to_vec(), "The headers can't be read: "),
        (noise, "It begins as a program of Windows, but: "),
        (
            program(u16::MAX),
            "It has 65535 sections: the first 128 were looked at.",
        ),
        (
            overlapping,
            "sections was not worked out: sections share their bytes.",
        ),
        (
            b"\x7fELF\x02\x01\x01".to_vec(),
            "Not all of its tables can be read: ",
        ),
    ];
    for (file, expected) in rows {
        let answer = run(&server, "samples", file, "file_facts", json!({})).await?;
        let task = task(&server, &answer).await?;
        assert_eq!(task["status"], "completed", "{expected}: {task}");
        let warnings = lines(&task, "warning");
        assert!(
            warnings.iter().any(|line| line.contains(expected)),
            "{expected}: {warnings:?}"
        );
        assert!(
            warnings.iter().all(|line| line.ends_with('.')),
            "{warnings:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn svc_7_certificate_facts_tell_what_is_weak() -> Result<()> {
    let server = server().await?;
    let pem = CERTIFICATE.to_vec();
    let answer = run(&server, "certificates", pem, "certificate_facts", json!({})).await?;
    let task = task(&server, &answer).await?;
    assert_eq!(task["status"], "completed", "{task}");
    let told = told(&task);
    let texts = |subtype: &str| -> Vec<&str> {
        let texts = told.iter().filter(|(known, _)| *known == subtype);
        texts.map(|(_, text)| *text).collect()
    };
    assert_eq!(texts("certificate"), ["O=Example,CN=mail.example.com"]);
    assert_eq!(
        texts("fingerprint")[2],
        "23fa31cd9a90ac10760a6c9a61b64277bd627a8105962a2e5fabf058bf15a42c"
    );
    let shown = &task["results"][0];
    assert_eq!(
        (&shown["not_after"], &shown["self_issued"]),
        (&json!("2036-11-27 21:38:04.000000"), &json!(true))
    );
    assert_eq!(texts("public_key").len(), 1);
    Ok(())
}

#[tokio::test]
async fn svc_3_what_is_no_certificate_is_refused_before_there_is_a_task() -> Result<()> {
    let server = server().await?;
    let answer = run(
        &server,
        "certificates",
        b"hello".to_vec(),
        "certificate_facts",
        json!({}),
    )
    .await?;
    assert!(
        answer
            .text
            .contains("There is no X.509 certificate in the file."),
        "{}",
        answer.text
    );
    let sample = run(
        &server,
        "samples",
        b"hello".to_vec(),
        "certificate_facts",
        json!({}),
    )
    .await?;
    assert_eq!(sample.json()["return_code"], 1, "{}", sample.text);
    assert_eq!(server.count("analysis_results").await?, 0);
    Ok(())
}
