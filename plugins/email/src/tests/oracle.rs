//! Messages that other people made, against what others read from them: those of the crate `mail-parser` 1.0.1 with the
//! expected parse beside each. That crate's code is not in use here (it needs a newer Rust), so it is a second opinion.
//!
//! Where we read something else, `explained.txt` says why, or the test fails.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use critd_sdk::Json;
use critd_sdk::serde_json;

use crate::eml::{self, Form};
use crate::{decode, header};

const EXPLAINED: &str = include_str!("explained.txt");

/// What is compared, each as one text.
#[derive(Debug, PartialEq, Eq)]
struct Reading {
    subject: String,
    from: String,
    to: String,
    date: String,
    count: String,
    bytes: String,
}

impl Reading {
    fn members(&self) -> [(&'static str, &str); 6] {
        [
            ("subject", &self.subject),
            ("from", &self.from),
            ("to", &self.to),
            ("date", &self.date),
            ("count", &self.count),
            ("bytes", &self.bytes),
        ]
    }
}

#[test]
fn messages_of_the_mail_parser_are_read_as_expected() -> Result<()> {
    let folder = match critd_packages::crates(&critd_packages::cache()?, "mail-parser", "1.0.1") {
        Ok(folder) => folder.join("resources/eml"),
        Err(reason) => {
            eprintln!("SKIPPED: the crate mail-parser 1.0.1 cannot be had: {reason:#}");
            return Ok(());
        }
    };
    let (mut compared, mut differences) = (0, BTreeSet::new());
    for group in [
        "rfc",
        "legacy",
        "malformed",
        "regressions",
        "thirdparty",
        "issues",
    ] {
        let mut files: Vec<PathBuf> = fs::read_dir(folder.join(group))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|ending| ending == "eml"))
            .collect();
        files.sort();
        for file in files {
            let bytes = fs::read(&file)?;
            let bare: Vec<u8> = bytes
                .iter()
                .copied()
                .filter(|byte| *byte != b'\r')
                .collect();
            for (message, ending) in [(bare.clone(), "json"), (with_returns(&bare), "crlf.json")] {
                // No message makes it fail, whether somebody has read it before or not.
                let ours = ours(message)?;
                let expected = file.with_extension(ending);
                if !expected.is_file() {
                    continue;
                }
                compared += 1;
                let theirs = theirs(&expected)?;
                let name = file.file_stem().unwrap_or_default().to_string_lossy();
                for ((member, our), (_, their)) in ours.members().iter().zip(theirs.members()) {
                    if *our != their {
                        let key = format!("{group}/{name} {member}");
                        if differences.insert(key.clone()) && !is_explained(&key) {
                            eprintln!("{key} ({ending})\n  ours:   {our:?}\n  theirs: {their:?}");
                        }
                    }
                }
            }
        }
    }
    assert!(compared > 300, "{compared} compared");
    let unexplained: Vec<&String> = differences
        .iter()
        .filter(|key| !is_explained(key))
        .collect();
    assert!(unexplained.is_empty(), "not explained: {unexplained:#?}");
    let stale: Vec<&str> = explained()
        .filter(|key| !differences.contains(*key))
        .collect();
    assert!(
        stale.is_empty(),
        "explained, but there is no such difference: {stale:#?}"
    );
    eprintln!(
        "{compared} readings compared, {} differences, all explained",
        differences.len()
    );
    Ok(())
}

/// Field case O56: mails of malware, against the mail parser's own walk.
#[test]
fn o56_mails_of_malware_have_as_many_leaves() -> Result<()> {
    let folder = match critd_packages::pypi(&critd_packages::cache()?, "mail-parser", "4.8.0") {
        Ok(folder) => folder.join("tests/mails"),
        Err(reason) => {
            eprintln!("SKIPPED: PyPI's mail-parser 4.8.0 cannot be had: {reason:#}");
            return Ok(());
        }
    };
    let mut differences = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let bytes = fs::read(&path)?;
        if name == "mail_outlook_1" {
            continue;
        }
        let theirs = mail_parser::MessageParser::default()
            .parse(&bytes)
            .map_or(0, |message| attachments_within(&message));
        let read = eml::read(Form::Eml, bytes).map_err(|fault| anyhow::anyhow!("{fault:?}"))?;
        let ours = read.with_context(|| name.clone())?.parts.leaves;
        let ours = ours
            .iter()
            .filter(|leaf| leaf.is_attachment && !leaf.content().is_empty())
            .count();
        if ours != theirs {
            differences.push(format!("{name}: ours {ours}, theirs {theirs}"));
        }
    }
    differences.sort();
    assert_eq!(differences, O56_EXPLAINED);
    Ok(())
}

/// Where the two walks differ.
const O56_EXPLAINED: [&str; 0] = [];

fn attachments_within(message: &mail_parser::Message<'_>) -> usize {
    use mail_parser::{MimeHeaders as _, PartType};
    let of = |part: &mail_parser::MessagePart<'_>| {
        let named = part.attachment_name().is_some_and(|name| !name.is_empty())
            || part
                .content_disposition()
                .is_some_and(|said| said.is_attachment());
        match &part.body {
            PartType::Text(text) | PartType::Html(text) => usize::from(named && !text.is_empty()),
            PartType::Binary(bytes) | PartType::InlineBinary(bytes) => {
                usize::from(!bytes.is_empty())
            }
            PartType::Message(inner) => attachments_within(inner),
            PartType::Multipart(_) => 0,
        }
    };
    message.parts.iter().map(of).sum()
}

fn explained() -> impl Iterator<Item = &'static str> {
    EXPLAINED
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .map(|line| line.split_once(": ").map_or(line, |(key, _)| key))
}

fn is_explained(key: &str) -> bool {
    explained().any(|explained| explained == key)
}

fn with_returns(bytes: &[u8]) -> Vec<u8> {
    bytes
        .iter()
        .flat_map(|byte| {
            let with: &[u8] = if *byte == b'\n' {
                b"\r\n"
            } else {
                std::slice::from_ref(byte)
            };
            with.to_vec()
        })
        .collect()
}

fn ours(message: Vec<u8>) -> Result<Reading> {
    let read = eml::read(Form::Eml, message).map_err(|fault| anyhow::anyhow!("{fault:?}"))?;
    let Some(message) = read else {
        return Ok(reading(String::new(), &[], &[], None, &[]));
    };
    let from = header::addresses(message.mail.text("from").as_bytes());
    let leaves: Vec<Vec<u8>> = message
        .parts
        .leaves
        .iter()
        .filter(|leaf| leaf.is_attachment)
        .map(|leaf| {
            if leaf.is_text {
                leaf.text().0.into_bytes()
            } else {
                leaf.content()
            }
        })
        .filter(|content| !content.is_empty())
        .collect();
    let date = header::date(&message.mail.date);
    Ok(reading(
        message.mail.text("subject").to_owned(),
        &from,
        &message.mail.to,
        date,
        &leaves,
    ))
}

fn reading(
    subject: String,
    from: &[String],
    to: &[String],
    date: Option<i64>,
    leaves: &[Vec<u8>],
) -> Reading {
    let digest = |bytes: &[u8]| {
        format!(
            "{}:{}",
            bytes.len(),
            STANDARD.encode(&bytes[..bytes.len().min(90)])
        )
    };
    Reading {
        subject: squeezed(&subject),
        from: from.join(" "),
        to: to.join(" "),
        date: date.map(|date| date.to_string()).unwrap_or_default(),
        count: leaves.len().to_string(),
        bytes: leaves
            .iter()
            .map(|leaf| digest(leaf))
            .collect::<Vec<_>>()
            .join(" "),
    }
}

/// How many blanks stand where a line was folded is nobody's concern.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn theirs(path: &Path) -> Result<Reading> {
    let all: Json = serde_json::from_slice(&fs::read(path)?)?;
    let parts = all["parts"].as_array().context("no parts")?;
    let root = parts.first().context("no root")?;
    let value = |part: &Json, name: &str| {
        let headers = part["headers"].as_array().into_iter().flatten();
        headers
            .filter(|header| {
                header["name"]
                    .as_str()
                    .is_some_and(|known| known.eq_ignore_ascii_case(name))
            })
            .map(|header| header["value"].clone())
            .next_back()
            .unwrap_or_default()
    };
    let subject = value(root, "subject")["text"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let mailboxes = |name: &str| {
        let mut found = Vec::new();
        addresses(&value(root, name), &mut found);
        critd_sdk::merge::distinct(found.iter().filter(|address| address.contains('@')))
    };
    let leaves: Vec<Vec<u8>> = parts
        .iter()
        .filter_map(|part| {
            let kind = part["kind"].as_str()?;
            let is_text = match kind {
                "text" | "html" => true,
                "binary" | "inline_binary" => false,
                _ => return None,
            };
            let of = |name: &str, attribute: &str| {
                let value = value(part, name);
                let attributes = value["content_type"]["attributes"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default();
                attributes
                    .iter()
                    .any(|pair| pair[0] == attribute && pair[1] != "")
            };
            let disposition = value(part, "content-disposition")["content_type"]["type"].clone();
            let is_attachment = !is_text
                || disposition
                    .as_str()
                    .is_some_and(|word| word.eq_ignore_ascii_case("attachment"))
                || of("content-disposition", "filename")
                || of("content-type", "name");
            let content = match part["binary"].as_str() {
                Some(encoded) => STANDARD.decode(encoded).ok()?,
                None => decode::text(part["text"].as_str().unwrap_or_default().as_bytes(), None)
                    .into_bytes(),
            };
            (is_attachment && !content.is_empty()).then_some(content)
        })
        .collect();
    let date = date(&value(root, "date")["date_time"]);
    Ok(reading(
        subject,
        &mailboxes("from"),
        &mailboxes("to"),
        date,
        &leaves,
    ))
}

/// All members called `address` or `email`, in order.
fn addresses(value: &Json, found: &mut Vec<String>) {
    match value {
        Json::Object(members) => {
            for (name, value) in members {
                match value.as_str() {
                    Some(text) if name == "address" => found.push(text.to_owned()),
                    _ => addresses(value, found),
                }
            }
        }
        Json::Array(items) => items.iter().for_each(|item| addresses(item, found)),
        _ => {}
    }
}

fn date(value: &Json) -> Option<i64> {
    let part = |name: &str| {
        value[name]
            .as_u64()
            .and_then(|part| u8::try_from(part).ok())
    };
    let parsed = mail_parser::DateTime {
        year: u16::try_from(value["year"].as_u64()?).ok()?,
        month: part("month")?,
        day: part("day")?,
        hour: part("hour")?,
        minute: part("minute")?,
        second: part("second")?,
        tz_before_gmt: value["tz_before_gmt"].as_bool()?,
        tz_hour: part("tz_hour")?,
        tz_minute: part("tz_minute")?,
    };
    Some(parsed.to_timestamp() * 1_000)
}
