//! How an answer differs from the recorded one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use critd_tests::Answer;
use regex::Regex;
use serde_json::{Map, Value as Json};

use crate::exchange::{Exchange, Ids};
use crate::reading;

/// One difference.
#[derive(Debug, Clone)]
pub(crate) struct Difference {
    /// `status`, `content-type`, another header's name, `tags`, `zip`, or a place in the body: `/objects/*/tlp`; with
    /// `/objects/page` for documents that are on this page of many or not, and `/objects/order`.
    pub(crate) at: String,
    /// What the original said there, as JSON; `-` if nothing.
    pub(crate) recorded: String,
    /// What this server says there.
    pub(crate) answered: String,
}

/// All of them.
pub(crate) fn differences(exchange: &Exchange, answer: &Answer, ids: &Ids) -> Vec<Difference> {
    let mut found = Found {
        all: Vec::new(),
        ids,
        total: None,
    };
    let recorded = &exchange.response;
    if recorded.status != answer.status {
        found.add("status", recorded.status, answer.status);
    }
    let kind = answer.header("content-type").unwrap_or_default();
    let recorded_kind = recorded.content_type.as_deref().unwrap_or_default();
    if recorded_kind != kind {
        found.add("content-type", recorded_kind, kind);
    }
    for (name, value) in &recorded.headers {
        let value = ids.fill(value);
        let given = answer.header(name).unwrap_or_default();
        if value != given {
            found.add(name, value, given);
        }
    }
    if recorded.zip.is_some() && !answer.text.starts_with("PK") {
        found.add("zip", "a ZIP", answer.text.as_str());
    }
    let Some(text) = &recorded.body else {
        return found.all;
    };
    if reading::is_tagged(text) != reading::is_tagged(&answer.text) {
        found.add(
            "tags",
            reading::is_tagged(text),
            reading::is_tagged(&answer.text),
        );
    }
    let expected = reading::body(recorded_kind, &ids.fill(text));
    match (expected, reading::body(kind, &answer.text)) {
        (Ok(expected), Ok(given)) => {
            let total = &expected["meta"]["total_count"];
            found.total = total
                .as_u64()
                .or_else(|| total.as_str()?.strip_prefix("integer ")?.parse().ok());
            found.compare("", &expected, &given);
        }
        (Err(error), _) => found.add("recording", error.to_string(), "-"),
        (_, Err(error)) => found.add("body", "readable", format!("{error}: {}", answer.text)),
    }
    found.all
}

struct Found<'a> {
    all: Vec<Difference>,
    ids: &'a Ids,
    /// Documents of the recorded list, on all pages.
    total: Option<u64>,
}

impl Found<'_> {
    fn add(&mut self, at: &str, recorded: impl Into<Json>, answered: impl Into<Json>) {
        let at = if at.is_empty() { "body" } else { at };
        self.all.push(Difference {
            at: at.to_owned(),
            recorded: recorded.into().to_string(),
            answered: answered.into().to_string(),
        });
    }

    /// Something that only one of them has.
    fn missing(&mut self, at: String, recorded: Option<&Json>, answered: Option<&Json>) {
        let shown = |value: Option<&Json>| value.map_or("-".to_owned(), Json::to_string);
        self.all.push(Difference {
            at,
            recorded: shown(recorded),
            answered: shown(answered),
        });
    }

    fn compare(&mut self, at: &str, recorded: &Json, answered: &Json) {
        match (recorded, answered) {
            (Json::Object(recorded), Json::Object(answered)) => self.maps(at, recorded, answered),
            (Json::Array(recorded), Json::Array(answered)) => self.lists(at, recorded, answered),
            (Json::String(recorded), Json::String(answered)) => {
                let is_page = at.ends_with("meta/next") || at.ends_with("meta/previous");
                let same = if is_page {
                    page(recorded) == page(answered)
                } else {
                    is_like(recorded, answered)
                };
                if !same {
                    self.add(at, recorded.as_str(), answered.as_str());
                }
            }
            _ if recorded == answered => {}
            _ => self.add(at, recorded.clone(), answered.clone()),
        }
    }

    fn maps(&mut self, at: &str, recorded: &Map<String, Json>, answered: &Map<String, Json>) {
        let keys: BTreeSet<&String> = recorded.keys().chain(answered.keys()).collect();
        for key in keys {
            let at = format!("{at}/{key}");
            match (recorded.get(key), answered.get(key)) {
                (Some(recorded), Some(answered)) => self.compare(&at, recorded, answered),
                (recorded, answered) => self.missing(at, recorded, answered),
            }
        }
    }

    /// Documents are compared by their ids, and their order by itself.
    fn lists(&mut self, at: &str, recorded: &[Json], answered: &[Json]) {
        let inside = format!("{at}/*");
        let (Some(expected), Some(given)) = (self.by_key(recorded), self.by_key(answered)) else {
            for place in 0..recorded.len().max(answered.len()) {
                match (recorded.get(place), answered.get(place)) {
                    (Some(recorded), Some(answered)) => self.compare(&inside, recorded, answered),
                    (recorded, answered) => self.missing(inside.clone(), recorded, answered),
                }
            }
            return;
        };
        let is_page_of_many = self
            .total
            .is_some_and(|total| total > recorded.len() as u64);
        let other = if is_page_of_many {
            format!("{at}/page")
        } else {
            format!("{inside}/_id")
        };
        for (id, recorded) in &expected {
            match given.get(id) {
                Some(answered) => self.compare(&inside, recorded, answered),
                None => self.missing(other.clone(), Some(&recorded["_id"]), None),
            }
        }
        for (id, answered) in &given {
            if !expected.contains_key(id) {
                self.missing(other.clone(), None, Some(&answered["_id"]));
            }
        }
        let common = |list: &[Json]| {
            let keys = list.iter().filter_map(|document| self.key(document));
            keys.filter(|key| expected.contains_key(key) && given.contains_key(key))
                .collect::<Vec<_>>()
        };
        let (expected, given) = (common(recorded), common(answered));
        if expected != given {
            self.add(&format!("{at}/order"), expected, given);
        }
    }

    fn by_key<'d>(&self, list: &'d [Json]) -> Option<BTreeMap<String, &'d Json>> {
        list.iter()
            .map(|document| Some((self.key(document)?, document)))
            .collect()
    }

    /// By what a document is the same in the recording and here: its id, or what it is called if the recording has no name
    /// for its id.
    fn key(&self, document: &Json) -> Option<String> {
        let id = document.get("_id")?.as_str()?;
        if self.ids.has(id) {
            return Some(id.to_owned());
        }
        let names = ["domain", "ip", "value", "name", "title"];
        let name = names.iter().find_map(|name| document[name].as_str());
        Some(name.unwrap_or(id).to_owned())
    }
}

/// Path and parameters, whatever their order.
fn page(url: &str) -> (String, Vec<(String, String)>) {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let mut parameters: Vec<_> = form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    parameters.sort();
    (path.to_owned(), parameters)
}

/// The same, where `{{oid}}`, `{{uuid}}` and `{{now}}` stand for any value of their kind.
fn is_like(recorded: &str, answered: &str) -> bool {
    static HOLES: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\\\{\\\{(oid|uuid|now)\\\}\\\}").unwrap_or_else(never));
    if !recorded.contains("{{") {
        return recorded == answered;
    }
    let escaped = regex::escape(recorded);
    let pattern = HOLES.replace_all(&escaped, |hole: &regex::Captures<'_>| match &hole[1] {
        "oid" => "[0-9a-f]{24}",
        "uuid" => "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        _ => r"2[0-9]{3}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}",
    });
    Regex::new(&format!("^(?s:{pattern})$")).is_ok_and(|pattern| pattern.is_match(answered))
}

fn never<T, E: std::fmt::Display>(error: E) -> T {
    panic!("{error}")
}
