//! A STIX 2 report as the objects of a CRITs server: what becomes what, and what is left out and why. No I/O.

use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Everything of one report that the server can hold.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// In the order in which they must be posted: the event is first.
    pub(crate) objects: Vec<Planned>,
    /// Pairs of indexes into `objects` that are related.
    pub(crate) relations: Vec<(usize, usize)>,
    /// What is left out: reason and number.
    pub(crate) left_out: BTreeMap<String, usize>,
}

/// One object to post.
#[derive(Debug)]
pub(crate) struct Planned {
    /// Name of the object within this report, stable from run to run.
    pub(crate) key: String,
    /// Type name as relationships give it.
    pub(crate) type_name: &'static str,
    /// Resource that it is posted to.
    pub(crate) resource: &'static str,
    /// Parameters of the POST, without the source.
    pub(crate) form: Vec<(&'static str, String)>,
}

/// Works out what becomes of a bundle.
pub(crate) fn plan(bundle: &Value) -> Plan {
    let objects: Vec<&Value> = bundle["objects"].as_array().into_iter().flatten().collect();
    let mut builder = Builder::default();
    for kind in [
        "report",
        "campaign",
        "intrusion-set",
        "threat-actor",
        "indicator",
    ] {
        for object in objects.iter().filter(|object| object["type"] == kind) {
            match kind {
                "report" => builder.event(object),
                "campaign" => builder.named(object, "Campaign", "campaigns"),
                "indicator" => builder.indicators(object),
                _ => builder.named(object, "Actor", "actors"),
            }
        }
    }
    for object in &objects {
        match text(object, "type") {
            "report" | "campaign" | "intrusion-set" | "threat-actor" | "indicator" => {}
            "relationship" => builder.relation(object),
            other => builder.leave_out(format!("{other}: no type of this server holds it")),
        }
    }
    builder.plan
}

#[derive(Default)]
struct Builder {
    plan: Plan,
    /// STIX id → the objects made of it.
    made: HashMap<String, Vec<usize>>,
    /// Indicators by type and value: patterns share addresses.
    indicators: HashMap<(&'static str, String), usize>,
    related: HashSet<(usize, usize)>,
}

impl Builder {
    fn leave_out(&mut self, reason: String) {
        *self.plan.left_out.entry(reason).or_default() += 1;
    }

    fn add(&mut self, object: &Value, planned: Planned) -> usize {
        let index = self.plan.objects.len();
        self.plan.objects.push(planned);
        self.made
            .entry(text(object, "id").to_owned())
            .or_default()
            .push(index);
        index
    }

    fn event(&mut self, object: &Value) {
        let description = non_empty(text(object, "description"), text(object, "name"));
        let form = vec![
            ("title", text(object, "name").to_owned()),
            ("event_type", "Intel Sharing".to_owned()),
            ("description", description),
            ("date", text(object, "published").to_owned()),
        ];
        let key = text(object, "id").to_owned();
        self.add(
            object,
            Planned {
                key,
                type_name: "Event",
                resource: "events",
                form,
            },
        );
    }

    fn named(&mut self, object: &Value, type_name: &'static str, resource: &'static str) {
        let aliases: Vec<&str> = object["aliases"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let form = vec![
            ("name", text(object, "name").to_owned()),
            ("aliases", aliases.join(",")),
            ("description", text(object, "description").trim().to_owned()),
        ];
        let key = text(object, "id").to_owned();
        self.add(
            object,
            Planned {
                key,
                type_name,
                resource,
                form,
            },
        );
    }

    fn indicators(&mut self, object: &Value) {
        let comparisons = match comparisons(text(object, "pattern")) {
            Ok(comparisons) => comparisons,
            Err(reason) => return self.leave_out(format!("indicator: {reason}")),
        };
        let mut first = None;
        for (path, value) in comparisons {
            let Some(indicator_type) = indicator_type(&path, &value) else {
                self.leave_out(format!("part of a pattern: no indicator type for {path}"));
                continue;
            };
            let identity = (indicator_type, value.to_lowercase());
            let index = if let Some(&index) = self.indicators.get(&identity) {
                let of_this = self.made.entry(text(object, "id").to_owned()).or_default();
                if !of_this.contains(&index) {
                    of_this.push(index);
                }
                index
            } else {
                let form = vec![
                    ("type", indicator_type.to_owned()),
                    ("value", value.clone()),
                    ("description", text(object, "name").to_owned()),
                ];
                let key = format!("{indicator_type}={value}");
                let planned = Planned {
                    key,
                    type_name: "Indicator",
                    resource: "indicators",
                    form,
                };
                let index = self.add(object, planned);
                self.indicators.insert(identity, index);
                index
            };
            match first {
                None => first = Some(index),
                // The values of one pattern are alternatives for the same thing.
                Some(first) => self.relate(first, index),
            }
        }
    }

    fn relation(&mut self, object: &Value) {
        let ends = ["source_ref", "target_ref"].map(|key| text(object, key));
        let [Some(left), Some(right)] = ends.map(|end| self.made.get(end).cloned()) else {
            let missing = ends.into_iter().find(|end| !self.made.contains_key(*end));
            let kind = missing.map_or("something", kind_of);
            return self.leave_out(format!("relationship: its other end is a left-out {kind}"));
        };
        for &left in &left {
            for &right in &right {
                self.relate(left, right);
            }
        }
    }

    fn relate(&mut self, left: usize, right: usize) {
        let pair = (left.min(right), left.max(right));
        if left != right && self.related.insert(pair) {
            self.plan.relations.push((left, right));
        }
    }
}

fn text<'v>(object: &'v Value, key: &str) -> &'v str {
    object[key].as_str().unwrap_or_default()
}

fn non_empty(text: &str, otherwise: &str) -> String {
    if text.trim().is_empty() {
        otherwise.to_owned()
    } else {
        text.trim().to_owned()
    }
}

fn kind_of(id: &str) -> &str {
    id.split("--").next().unwrap_or(id)
}

/// The indicator type of a STIX object path.
fn indicator_type(path: &str, value: &str) -> Option<&'static str> {
    let path = path.to_lowercase().replace(['\'', '-'], "");
    Some(match (path.as_str(), value.contains('/')) {
        ("domainname:value", _) => "Domain",
        ("ipv4addr:value", false) => "IPv4 Address",
        ("ipv4addr:value", true) => "IPv4 Subnet",
        ("ipv6addr:value", false) => "IPv6 Address",
        ("ipv6addr:value", true) => "IPv6 Subnet",
        ("url:value", _) => "URI",
        ("emailaddr:value", _) => "Email Address",
        ("file:hashes.md5", _) => "MD5",
        ("file:hashes.sha1", _) => "SHA1",
        ("file:hashes.sha256", _) => "SHA256",
        ("file:hashes.ssdeep", _) => "SSDEEP",
        ("file:name", _) => "File Name",
        ("mutex:name", _) => "Mutex",
        ("windowsregistrykey:key", _) => "Registry Key",
        _ => return None,
    })
}

/// The comparisons of a pattern that is a list of alternatives: `[path = 'value' OR path = 'value']`.
fn comparisons(pattern: &str) -> Result<Vec<(String, String)>, &'static str> {
    let inner = pattern
        .trim()
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .ok_or("the pattern is not one observation")?;
    let mut found = Vec::new();
    let mut rest = inner.trim();
    loop {
        let (path, after) = rest
            .split_once(" = ")
            .ok_or("the pattern compares otherwise than by =")?;
        let after = after
            .trim_start()
            .strip_prefix('\'')
            .ok_or("the pattern compares with something that is no text")?;
        let (value, after) = quoted(after).ok_or("the pattern is not closed")?;
        found.push((path.trim().to_owned(), value));
        rest = after.trim();
        if rest.is_empty() {
            return Ok(found);
        }
        rest = match rest.split_once(char::is_whitespace) {
            Some(("OR", next)) => next.trim(),
            Some(("AND", _)) => return Err("the pattern needs two things at once (AND)"),
            _ => return Err("the pattern is more than a list of alternatives"),
        };
    }
}

/// Text up to the closing quote, with `\'` and `\\` undone, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\'' => return Some((value, &text[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn alternatives_are_taken_apart() {
        let pattern = r"[domain-name:value = 'a.example' OR file:hashes.'SHA-256' = 'it\'s']";
        let expected = vec![
            ("domain-name:value".to_owned(), "a.example".to_owned()),
            ("file:hashes.'SHA-256'".to_owned(), "it's".to_owned()),
        ];
        assert_eq!(comparisons(pattern), Ok(expected));
    }

    #[test]
    fn what_cannot_be_single_indicators_is_named() {
        let cases = [
            (
                "[a:b = 'x' AND a:c = 'y']",
                "the pattern needs two things at once (AND)",
            ),
            ("[a:b > 5]", "the pattern compares otherwise than by ="),
            (
                "[a:b = 5]",
                "the pattern compares with something that is no text",
            ),
            ("[a:b = 'x", "the pattern is not one observation"),
            ("[a:b = 'x]", "the pattern is not closed"),
            (
                "[a:b = 'x'] FOLLOWEDBY [a:b = 'y']",
                "the pattern is more than a list of alternatives",
            ),
        ];
        for (pattern, reason) in cases {
            assert_eq!(comparisons(pattern), Err(reason), "{pattern}");
        }
    }

    #[test]
    fn paths_become_indicator_types() {
        assert_eq!(
            indicator_type("ipv4-addr:value", "192.0.2.1"),
            Some("IPv4 Address")
        );
        assert_eq!(
            indicator_type("ipv4-addr:value", "192.0.2.0/24"),
            Some("IPv4 Subnet")
        );
        assert_eq!(indicator_type("file:hashes.md5", "00"), Some("MD5"));
        assert_eq!(indicator_type("file:hashes.'SHA-1'", "00"), Some("SHA1"));
        assert_eq!(indicator_type("process:pid", "1"), None);
    }

    #[test]
    fn a_report_becomes_an_event_with_indicators_and_relations() {
        let bundle = json!({"objects": [
            {"type": "indicator", "id": "indicator--1", "name": "one",
             "pattern": "[domain-name:value = 'a.example' OR ipv4-addr:value = '192.0.2.1']"},
            {"type": "indicator", "id": "indicator--2", "name": "two", "pattern": "[ipv4-addr:value = '192.0.2.1']"},
            {"type": "campaign", "id": "campaign--1", "name": "C"},
            {"type": "malware", "id": "malware--1", "name": "M"},
            {"type": "relationship", "id": "relationship--1", "relationship_type": "indicates",
             "source_ref": "indicator--2", "target_ref": "campaign--1"},
            {"type": "relationship", "id": "relationship--2", "relationship_type": "indicates",
             "source_ref": "indicator--1", "target_ref": "malware--1"},
            {"type": "report", "id": "report--1", "name": "R", "published": "2026-01-01T00:00:00Z"},
        ]});
        let plan = plan(&bundle);
        let types: Vec<_> = plan.objects.iter().map(|object| object.type_name).collect();
        assert_eq!(types, ["Event", "Campaign", "Indicator", "Indicator"]);
        assert_eq!(plan.relations, [(2, 3), (3, 1)]);
        let reasons: Vec<_> = plan.left_out.keys().map(String::as_str).collect();
        let expected = [
            "malware: no type of this server holds it",
            "relationship: its other end is a left-out malware",
        ];
        assert_eq!(reasons, expected);
        assert!(
            plan.objects[0]
                .form
                .contains(&("description", "R".to_owned())),
            "an event needs a description"
        );
    }
}
