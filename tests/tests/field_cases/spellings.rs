//! Names outside of ASCII, defanged values, names of real feeds.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use critd_tests::{Json, Server};
use quick_xml::XmlVersion;
use quick_xml::events::Event;

use crate::{ids, post, refused, stored};

const NAMES: [&str; 4] = [
    "Кампания №1 / 測試 & \"x\"",
    "<b>'bold'</b> ]]> &amp; %41",
    "emoji 🐻 and ﷽ and e\u{301}",
    ": - {x: [1, 2]} # no comment",
];

/// The texts of the elements `name` of an XML answer.
fn names_of_xml(text: &str) -> Result<Vec<String>> {
    let mut reader = quick_xml::Reader::from_str(text);
    let (mut names, mut inside) = (Vec::new(), false);
    loop {
        match reader.read_event()? {
            Event::Start(tag) if tag.name().as_ref() == "name" => {
                inside = true;
                names.push(String::new());
            }
            Event::End(tag) if tag.name().as_ref() == "name" => inside = false,
            Event::Text(part) if inside => {
                if let Some(name) = names.last_mut() {
                    name.push_str(&part.xml_content(XmlVersion::Implicit1_0));
                }
            }
            Event::GeneralRef(part) if inside => {
                let letter = match part.resolve_char_ref()? {
                    Some(letter) => letter.to_string(),
                    None => quick_xml::escape::resolve_predefined_entity(&part)
                        .context("an entity that XML does not know")?
                        .to_owned(),
                };
                if let Some(name) = names.last_mut() {
                    name.push_str(&letter);
                }
            }
            Event::Eof => return Ok(names),
            _ => {}
        }
    }
}

/// O40: names of campaigns come back as they were, from lists and alone, in all formats; are found, sorted, and named by others.
#[tokio::test]
async fn o40_names_outside_of_ascii_come_back_exactly() -> Result<()> {
    let server = Server::start().await?;
    let mut made = Vec::new();
    for name in NAMES {
        let answer = post(&server, "campaigns", &[("name", name)], None).await?;
        made.push(answer.created_id()?);
        // The same name is the same campaign.
        let again = post(&server, "campaigns", &[("name", name)], None).await?;
        assert_eq!(
            again.json()["message"],
            "Campaign already exists.",
            "{name}"
        );
    }
    let mut sorted = NAMES.to_vec();
    sorted.sort_unstable();
    let names = |list: &Json| -> Vec<String> {
        let objects = list["objects"].as_array().into_iter().flatten();
        objects
            .filter_map(|object| object["name"].as_str().map(str::to_owned))
            .collect()
    };
    let all = "/api/v1/campaigns/?order_by=name";
    assert_eq!(names(&server.get(all).await?.json()), sorted);
    let yaml = server.get(&format!("{all}&format=yaml")).await?;
    assert_eq!(names(&serde_norway::from_str(&yaml.text)?), sorted);
    let xml = server.get(&format!("{all}&format=xml")).await?;
    assert_eq!(names_of_xml(&xml.text)?, sorted);
    let mut backwards = sorted.clone();
    backwards.reverse();
    for query in ["order_by=-name", "sort=-name"] {
        let list = server.get(&format!("/api/v1/campaigns/?{query}")).await?;
        assert_eq!(names(&list.json()), backwards, "{query}");
    }
    for (name, id) in NAMES.iter().zip(&made) {
        let encoded: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
        let query = format!("/api/v1/campaigns/?c-name={encoded}");
        assert_eq!(ids(&server, &query).await?, [id.as_str()], "{name}");
        let one = format!("/api/v1/campaigns/{id}/");
        assert_eq!(server.get(&one).await?.json()["name"], *name);
        let yaml = server.get(&format!("{one}?format=yaml")).await?;
        let yaml: Json = serde_norway::from_str(&yaml.text)?;
        assert_eq!(yaml["name"], *name);
        let xml = server.get(&format!("{one}?format=xml")).await?;
        assert_eq!(names_of_xml(&xml.text)?, [*name]);
        // Another object names it; commas are between names there.
        if name.contains(',') {
            continue;
        }
        let form = [
            ("title", *name),
            ("event_type", "Phishing"),
            ("description", "d"),
            ("source", "Alpha"),
            ("campaign", *name),
        ];
        let answer = post(&server, "events", &form, None).await?;
        let event = stored(&server, "events", &answer).await?;
        assert_eq!(event["campaign"][0]["name"], *name, "{event}");
        let query = format!("/api/v1/events/?c-campaign.name={encoded}");
        assert_eq!(ids(&server, &query).await?.len(), 1, "{name}");
    }
    Ok(())
}

/// O54: values of feeds, with a dot at the end or brackets around it: the same outcome each time, and none is a fault of the server.
#[tokio::test]
async fn o54_defanged_values_and_dots_at_the_end() -> Result<()> {
    const CHARACTERS: &str = r"Domain cannot contain space or characters /:@\ ";
    let server = Server::start().await?;
    for (kind, value, outcome) in [
        // Taken as they are; what is changed: one dot at the end of a domain goes.
        (
            "URI",
            "http://a.example.com/x?",
            Ok("http://a.example.com/x?"),
        ),
        (
            "URI",
            "hxxp://a.example.com/x",
            Ok("hxxp://a.example.com/x"),
        ),
        (
            "URI",
            "http://a.example.com./x.",
            Ok("http://a.example.com./x."),
        ),
        ("Domain", "a.example.com.", Ok("a.example.com")),
        ("Domain", "A.Example.com.", Ok("a.example.com")),
        ("Domain", "a.example.com", Ok("a.example.com")),
        ("Domain", "b.example.com", Ok("b.example.com")),
        ("Domain", "b.example.com.", Ok("b.example.com")),
        ("Email Address", "x@a.example.com.", Ok("x@a.example.com.")),
        // Brackets are no part of a name; what is meant is not guessed.
        ("URI", "http://a[.]example[.]com/x?", Err(CHARACTERS)),
        ("URI", "hxxp://a[.]example.com", Err(CHARACTERS)),
        ("Domain", "a[.]example.com", Err(CHARACTERS)),
        ("Domain", "a.example.com..", Err(CHARACTERS)),
        ("Email Address", "x@a[.]example.com", Err(CHARACTERS)),
    ] {
        let form = [("type", kind), ("value", value), ("source", "Alpha")];
        let first = post(&server, "indicators", &form, None).await?;
        let again = post(&server, "indicators", &form, None).await?;
        match outcome {
            Ok(expected) => {
                let indicator = stored(&server, "indicators", &first).await?;
                assert_eq!(indicator["lower"], expected, "{kind} {value}");
                assert_eq!(again.created_id()?, first.created_id()?, "{kind} {value}");
                let count = format!("/api/v1/indicators/?c-type={kind}&c-lower={expected}");
                assert_eq!(ids(&server, &count).await?.len(), 1, "{kind} {value}");
            }
            Err(text) => {
                assert_eq!(refused(&first), text, "{kind} {value}");
                assert_eq!(refused(&again), text, "{kind} {value}");
            }
        }
    }
    let list = server
        .get("/api/v1/indicators/?c-type=Domain")
        .await?
        .json();
    let mut values: Vec<&str> = list["objects"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|object| object["value"].as_str())
        .collect();
    values.sort_unstable();
    assert_eq!(values, ["a.example.com", "b.example.com"]);
    Ok(())
}

/// Three hundred names of a list of phishing sites: all odd ones, the longest, those in `xn--` form, then whatever comes.
fn names_of_phishing() -> Result<Option<Vec<String>>> {
    let folder = critd_packages::cache()
        .and_then(|cache| critd_packages::npm(&cache, "eth-phishing-detect", "1.2.0"));
    let folder = match folder {
        Ok(folder) => folder,
        Err(reason) => {
            eprintln!("SKIPPED: npm's eth-phishing-detect 1.2.0 cannot be had: {reason:#}");
            return Ok(None);
        }
    };
    let text = std::fs::read_to_string(folder.join("src/config.json"))?;
    let list: Json = serde_json::from_str(&text)?;
    let mut names: Vec<String> = list["blacklist"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect();
    assert!(names.len() > 10_000, "{} names", names.len());
    names.sort_by_key(|name| {
        let is_plain = name.contains('.')
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
        let rank = match (is_plain, name.contains("xn--")) {
            (false, _) => 0,
            (true, true) => 2,
            (true, false) if name.len() > 60 => 1,
            (true, false) => 3,
        };
        (rank, name.len().abs_diff(60))
    });
    names.truncate(300);
    Ok(Some(names))
}

/// O55: names as phishing has them: stored, or refused by a text that says why; the last as fast as the first.
#[tokio::test]
async fn o55_names_of_real_phishing() -> Result<()> {
    let server = Server::start().await?;
    let label = "a".repeat(63);
    for (name, is_stored) in [
        (format!("{label}.example.com"), true),
        (format!("{label}a.example.com"), false),
        (format!("{label}.{label}.{label}.example.com"), true),
        (format!("{label}.{label}.{label}.{label}.com"), false),
        ("under_score._dmarc.example.com".to_owned(), true),
        ("dot.example.com.".to_owned(), true),
        ("-a.example.com".to_owned(), false),
        ("xn--myeterwalle-2p7f.com".to_owned(), true),
        ("myetherẉallet.com".to_owned(), true),
        ("xn--.example.com".to_owned(), false),
    ] {
        let form = [("domain", name.as_str()), ("source", "Alpha")];
        let answer = post(&server, "domains", &form, None).await?;
        let is_made = answer.json()["return_code"] == 0;
        assert_eq!(
            (answer.status, is_made),
            (200, is_stored),
            "{name}: {}",
            answer.text
        );
    }
    let Some(names) = names_of_phishing()? else {
        return Ok(());
    };
    let mut refusals = Vec::new();
    let mut times = Vec::new();
    for name in &names {
        let form = [("domain", name.as_str()), ("source", "Alpha")];
        let begun = Instant::now();
        let answer = post(&server, "domains", &form, None).await?;
        times.push(begun.elapsed());
        assert_eq!(answer.status, 200, "{name}: {}", answer.text);
        if answer.json()["return_code"] == 0 {
            let domain = stored(&server, "domains", &answer).await?;
            assert_eq!(domain["domain"], name.as_str());
            continue;
        }
        let text = refused(&answer);
        assert!(
            text == " No valid TLD found " || text.starts_with(" Domain cannot contain"),
            "{name}: {text}"
        );
        refusals.push(name.as_str());
    }
    // Two entries of that list are no names below a top-level domain.
    refusals.sort_unstable();
    assert_eq!(refusals, ["com12786312634", "iclexofmarket"]);
    let third = times.len() / 3;
    let median = |part: &[Duration]| {
        let mut part = part.to_vec();
        part.sort_unstable();
        part[part.len() / 2]
    };
    let (first, last) = (median(&times[..third]), median(&times[2 * third..]));
    assert!(
        last < first * 4 + Duration::from_millis(20),
        "{first:?} became {last:?}"
    );
    Ok(())
}
