//! YAML (core-api 8.3): block style, sorted keys, no tags, and quotes around every text that a reader of YAML 1.1 or 1.2
//! would take for something else.

use std::fmt::Write as _;

use super::order::Members;
use super::sink::Sink;

/// Columns by which each level is further right.
const STEP: usize = 2;
/// Readers take a key without a mark for one only if it is shorter than 1,024 characters.
const LONG_KEY: usize = 1_000;

/// YAML with sorted keys.
#[derive(Debug, Default)]
pub(in crate::api) struct YamlSink {
    written: Vec<u8>,
    open: Vec<Open>,
    members: Members,
    /// A key has been written whose value comes.
    is_keyed: bool,
}

/// An object or a list that has not ended.
#[derive(Debug)]
struct Open {
    place: Place,
    /// Of its own lines.
    column: usize,
    /// Where its lines begin.
    start: usize,
    /// Its members; none: a list.
    members: Option<usize>,
    is_empty: bool,
}

/// Where a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    /// After a key.
    Member,
    /// In a list.
    Element,
}

impl YamlSink {
    /// With room for about so many bytes.
    pub(in crate::api) fn with_capacity(bytes: usize) -> Self {
        Self {
            written: Vec::with_capacity(bytes),
            ..Self::default()
        }
    }

    /// What was written.
    pub(in crate::api) fn into_bytes(self) -> Vec<u8> {
        self.written
    }

    fn push(&mut self, text: &str) {
        self.written.extend_from_slice(text.as_bytes());
    }

    fn indent(&mut self, column: usize) {
        self.written.resize(self.written.len() + column, b' ');
    }

    /// Column of the innermost object or list.
    fn column(&self) -> usize {
        self.open.last().map_or(0, |open| open.column)
    }

    /// Where the value that comes stands; from now on what it is in is not empty.
    fn place(&mut self) -> Place {
        let Some(open) = self.open.last_mut() else {
            return Place::Root;
        };
        open.is_empty = false;
        match std::mem::take(&mut self.is_keyed) {
            true => Place::Member,
            false => Place::Element,
        }
    }

    fn enter(&mut self, members: Option<usize>) {
        let place = self.place();
        let column = match (place, members) {
            (Place::Root, _) => 0,
            // Lists stand below their key.
            (Place::Member, None) => self.column(),
            (Place::Member, Some(_)) | (Place::Element, _) => self.column() + STEP,
        };
        if place == Place::Member {
            self.written.push(b'\n');
        }
        self.open.push(Open {
            place,
            column,
            start: self.written.len(),
            members,
            is_empty: true,
        });
    }

    fn leave(&mut self, empty: &str) {
        let Some(open) = self.open.pop() else { return };
        if open.is_empty {
            if open.place == Place::Member {
                self.written.pop();
            }
            self.one_line(open.place, empty);
            return;
        }
        if let Some(members) = open.members {
            self.members.close(members, &mut self.written);
        }
        // Its first line begins with the dash of the list it is in.
        let dash = (open.start + open.column).checked_sub(STEP);
        if let (Place::Element, Some(dash)) =
            (open.place, dash.and_then(|at| self.written.get_mut(at)))
        {
            *dash = b'-';
        }
    }

    /// A value that takes no line of its own.
    fn one_line(&mut self, place: Place, text: &str) {
        match place {
            Place::Root => {}
            Place::Member => self.written.push(b' '),
            Place::Element => {
                self.indent(self.column());
                self.push("- ");
            }
        }
        self.push(text);
        self.written.push(b'\n');
    }

    fn plain(&mut self, text: &str) {
        let place = self.place();
        self.one_line(place, text);
    }
}

impl Sink for YamlSink {
    fn begin_object(&mut self) {
        let members = self.members.open();
        self.enter(Some(members));
    }

    fn key(&mut self, name: &str) {
        self.members.mark(&[name], self.written.len());
        let column = self.column();
        self.indent(column);
        let key = scalar(name);
        if key.len() > LONG_KEY {
            self.push("? ");
            self.push(&key);
            self.written.push(b'\n');
            self.indent(column);
        } else {
            self.push(&key);
        }
        self.written.push(b':');
        self.is_keyed = true;
    }

    fn end_object(&mut self) {
        self.leave("{}");
    }

    fn begin_list(&mut self) {
        self.enter(None);
    }

    fn end_list(&mut self) {
        self.leave("[]");
    }

    fn text(&mut self, text: &str) {
        self.plain(&scalar(text));
    }

    fn whole(&mut self, number: i64) {
        self.plain(&number.to_string());
    }

    fn number(&mut self, number: f64) {
        self.plain(&float(number));
    }

    fn flag(&mut self, flag: bool) {
        self.plain(if flag { "true" } else { "false" });
    }

    fn null(&mut self) {
        self.plain("null");
    }
}

/// A number that readers of YAML 1.1, too, take for one: with a point, and a sign in the exponent.
fn float(number: f64) -> String {
    let text = format!("{number:?}");
    let Some((digits, exponent)) = text.split_once('e') else {
        return text;
    };
    let point = if digits.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with('-') { "" } else { "+" };
    format!("{digits}{point}e{sign}{exponent}")
}

/// A text as a scalar on one line.
fn scalar(text: &str) -> String {
    if text.chars().any(needs_escape) {
        return escaped(text);
    }
    if needs_quotes(text) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    text.to_owned()
}

/// Control characters, line ends, and what YAML does not count as printable.
fn needs_escape(character: char) -> bool {
    matches!(
        character,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
    )
}

fn escaped(text: &str) -> String {
    let mut written = String::with_capacity(text.len() + 8);
    written.push('"');
    for character in text.chars() {
        match character {
            '"' => written.push_str("\\\""),
            '\\' => written.push_str("\\\\"),
            '\n' => written.push_str("\\n"),
            '\r' => written.push_str("\\r"),
            '\t' => written.push_str("\\t"),
            other if needs_escape(other) => {
                // Writing to a text does not fail.
                let _ = write!(written, "\\u{:04X}", u32::from(other));
            }
            other => written.push(other),
        }
    }
    written.push('"');
    written
}

/// Would a reader take this text, left plain, for something else? Rather too often than too rarely.
fn needs_quotes(text: &str) -> bool {
    let Some(first) = text.chars().next() else {
        return true;
    };
    matches!(
        first,
        '-' | '?'
            | ':'
            | ','
            | '['
            | ']'
            | '{'
            | '}'
            | '#'
            | '&'
            | '*'
            | '!'
            | '|'
            | '>'
            | '\''
            | '"'
            | '%'
            | '@'
            | '`'
            | '~'
            | '='
            | '<'
            | '.'
            | '+'
            | ' '
    ) || text.ends_with([' ', ':'])
        || text.contains(": ")
        || text.contains(" #")
        || is_like_number(text)
        || is_word(text)
}

/// Numbers to any base, sexagesimal ones, dates and times.
fn is_like_number(text: &str) -> bool {
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return false;
    }
    let has_base = text
        .get(..2)
        .is_some_and(|base| matches!(base, "0x" | "0X" | "0o" | "0O" | "0b" | "0B"));
    has_base
        || text.chars().all(|c| {
            c.is_ascii_digit()
                || matches!(
                    c,
                    '_' | ',' | '.' | ':' | '+' | '-' | 'e' | 'E' | 't' | 'T' | 'z' | 'Z' | ' '
                )
        })
}

/// Words that mean something in some version of YAML.
fn is_word(text: &str) -> bool {
    const WORDS: [&str; 12] = [
        "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "infinity",
    ];
    text.len() <= 8 && WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value as Json, json};

    use super::super::testing::{any_object, written_by_python};
    use super::*;
    use crate::endless::for_a_while;

    fn yaml(value: &Json) -> String {
        let mut sink = YamlSink::with_capacity(0);
        sink.value(value);
        String::from_utf8(sink.into_bytes()).unwrap()
    }

    #[test]
    fn y2_block_style_with_sorted_keys() {
        let value = json!({
            "title": "A phish", "_id": "5b2c3d4e5f60718293a4b5c6", "created": "2020-01-02 03:04:05.006000", "size": 3, "score": 1.5, "active": true,
            "none": null, "bucket_list": ["b", "a"], "campaign": [], "unsupported_attrs": {},
            "source": [{"name": "A", "instances": [{"tlp": "red", "date": "2020-01-02 03:04:05.006000"}, {}]}, {"instances": [0, 0], "name": "Other"}],
            "nested": [["x", ["y"], [], [{"k": []}]]], "map": {"b": {"c": "d"}, "a": ["e"]},
        });
        assert_eq!(
            yaml(&value),
            "\
_id: 5b2c3d4e5f60718293a4b5c6
active: true
bucket_list:
- b
- a
campaign: []
created: '2020-01-02 03:04:05.006000'
map:
  a:
  - e
  b:
    c: d
nested:
- - x
  - - 'y'
  - []
  - - k: []
none: null
score: 1.5
size: 3
source:
- instances:
  - date: '2020-01-02 03:04:05.006000'
    tlp: red
  - {}
  name: A
- instances:
  - 0
  - 0
  name: Other
title: A phish
unsupported_attrs: {}
"
        );
        assert_eq!(yaml(&json!({})), "{}\n");
    }

    #[test]
    fn y2_what_could_be_something_else_is_quoted() {
        for (text, expected) in [
            (
                "plain text, with (most) signs: none",
                "'plain text, with (most) signs: none'",
            ),
            ("http://x.example/?a=b#c", "http://x.example/?a=b#c"),
            ("it's", "it's"),
            ("", "''"),
            (" a", "' a'"),
            ("a ", "'a '"),
            ("a: b", "'a: b'"),
            ("a:", "'a:'"),
            ("a #b", "'a #b'"),
            ("#b", "'#b'"),
            ("'a", "'''a'"),
            ("\"a", "'\"a'"),
            ("- a", "'- a'"),
            ("---", "'---'"),
            ("...", "'...'"),
            ("%TAG", "'%TAG'"),
            ("yes", "'yes'"),
            ("No", "'No'"),
            ("on", "'on'"),
            ("Y", "'Y'"),
            ("true", "'true'"),
            ("NULL", "'NULL'"),
            ("~", "'~'"),
            ("~/x", "'~/x'"),
            ("=", "'='"),
            ("<<", "'<<'"),
            (".inf", "'.inf'"),
            (".NaN", "'.NaN'"),
            ("1", "'1'"),
            ("+1", "'+1'"),
            ("-1", "'-1'"),
            ("1e3", "'1e3'"),
            ("1.5", "'1.5'"),
            ("0x10", "'0x10'"),
            ("0o17", "'0o17'"),
            ("0b11", "'0b11'"),
            ("017", "'017'"),
            ("1_000", "'1_000'"),
            ("190:20:30", "'190:20:30'"),
            ("2020-01-01", "'2020-01-01'"),
            ("2020-01-01T00:00:00Z", "'2020-01-01T00:00:00Z'"),
            ("5b2c3d4e5f60718293a4b5c6", "5b2c3d4e5f60718293a4b5c6"),
            ("12345678901234567890e123", "'12345678901234567890e123'"),
            ("yesterday", "yesterday"),
            ("é\u{202e}\u{1f600}\u{a0}", "é\u{202e}\u{1f600}\u{a0}"),
            ("a\nb\t\"\\\r", "\"a\\nb\\t\\\"\\\\\\r\""),
            ("\0\u{7}\u{1b}\u{7f}", "\"\\u0000\\u0007\\u001B\\u007F\""),
            (
                "\u{85}\u{2028}\u{2029}\u{feff}\u{ffff}",
                "\"\\u0085\\u2028\\u2029\\uFEFF\\uFFFF\"",
            ),
            ("!!python/object", "'!!python/object'"),
            ("&a", "'&a'"),
            ("*a", "'*a'"),
            ("{a}", "'{a}'"),
            ("[a]", "'[a]'"),
            ("|", "'|'"),
            (">", "'>'"),
            ("@a", "'@a'"),
            ("`a", "'`a'"),
        ] {
            assert_eq!(scalar(text), expected, "{text:?}");
        }
    }

    #[test]
    fn y2_numbers_are_numbers_for_old_readers_too() {
        for (number, expected) in [
            (1.0, "1.0"),
            (-0.5, "-0.5"),
            (1e16, "1.0e+16"),
            (1.5e300, "1.5e+300"),
            (2.5e-10, "2.5e-10"),
            (1e-7, "1.0e-7"),
        ] {
            assert_eq!(float(number), expected);
        }
    }

    #[test]
    fn y2_keys_are_quoted_like_values_and_may_be_long() {
        let mut object = Map::new();
        let long = "k".repeat(1_500);
        object.insert(long.clone(), json!([{"a": 1}]));
        object.insert("yes".into(), json!("a"));
        object.insert("1".into(), json!({"x\ny": []}));
        object.insert(format!("{long}2"), json!("b"));
        let value = json!({"list": [Json::Object(object)]});
        let text = yaml(&value);
        assert_eq!(
            text,
            format!(
                "list:\n- '1':\n    \"x\\ny\": []\n  ? {long}\n  :\n  - a: 1\n  ? {long}2\n  : b\n  'yes': a\n"
            )
        );
        assert_eq!(serde_norway::from_str::<Json>(&text).unwrap(), value);
        assert_eq!(loaded(&text), value);
    }

    /// What PyYAML's safe loader, a reader of YAML 1.1, makes of a text.
    fn loaded(text: &str) -> Json {
        let script =
            "import sys, json, yaml\nprint(json.dumps(yaml.safe_load(sys.stdin.buffer.read())))";
        written_by_python(script, text.as_bytes())
    }

    fn has_pyyaml() -> bool {
        let there = "import importlib.util, json\nprint(json.dumps(importlib.util.find_spec('yaml') is not None))";
        written_by_python(there, b"") == json!(true)
    }

    #[test]
    fn qy13_y2_a_reader_of_yaml_1_2_reads_what_was_written() {
        for_a_while(any_object(), |value| {
            prop_assert_eq!(
                serde_norway::from_str::<Json>(&yaml(&value)).unwrap(),
                value
            );
            Ok(())
        });
    }

    #[test]
    fn y2_y3_pyyamls_safe_loader_reads_what_was_written() {
        use proptest::strategy::ValueTree as _;
        use proptest::test_runner::TestRunner;
        if !has_pyyaml() {
            return;
        }
        // One process for all of them.
        let mut runner = TestRunner::default();
        let values: Vec<Json> = (0..400)
            .map(|_| any_object().new_tree(&mut runner).unwrap().current())
            .collect();
        let texts: Vec<String> = values.iter().map(yaml).collect();
        let script = "import sys, json, yaml\nprint(json.dumps([yaml.safe_load(t) for t in json.load(sys.stdin)]))";
        let read = written_by_python(script, json!(texts).to_string().as_bytes());
        for ((value, text), read) in values.iter().zip(&texts).zip(read.as_array().unwrap()) {
            assert_eq!(read, value, "{text}");
        }
    }
}
