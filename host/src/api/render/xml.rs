//! XML (core-api 8.2): elements named by keys, kinds as attributes, members sorted by tag (rule X1).

use super::order::Members;
use super::sink::Sink;

/// What every answer begins with.
const DECLARATION: &str = "<?xml version='1.0' encoding='utf-8'?>\n";
/// Tag of a member whose name is impossible for an element (rule X3), and of plain elements of lists.
const VALUE: &str = "value";

/// XML with sorted members.
#[derive(Debug)]
pub(in crate::api) struct XmlSink {
    written: Vec<u8>,
    open: Vec<Open>,
    members: Members,
    /// The start tag of a member has been begun by its key.
    begun: Option<Tag>,
}

/// Where in what is written the name of an element's start tag is.
#[derive(Debug, Clone, Copy)]
struct Tag {
    at: usize,
    length: usize,
}

/// An object or a list that has not ended.
#[derive(Debug)]
struct Open {
    tag: Tag,
    /// Where its content begins.
    content: usize,
    /// Its members; none: a list.
    members: Option<usize>,
}

impl XmlSink {
    /// With room for about so many bytes.
    pub(in crate::api) fn with_capacity(bytes: usize) -> Self {
        let mut written = Vec::with_capacity(bytes);
        written.extend_from_slice(DECLARATION.as_bytes());
        Self {
            written,
            open: Vec::new(),
            members: Members::default(),
            begun: None,
        }
    }

    /// What was written.
    pub(in crate::api) fn into_bytes(self) -> Vec<u8> {
        self.written
    }

    fn push(&mut self, text: &str) {
        self.written.extend_from_slice(text.as_bytes());
    }

    /// `<name`, not yet closed.
    fn begin_tag(&mut self, name: &str) -> Tag {
        self.written.push(b'<');
        let tag = Tag {
            at: self.written.len(),
            length: name.len(),
        };
        self.push(name);
        tag
    }

    fn end_tag(&mut self, tag: Tag) {
        self.push("</");
        self.written.extend_from_within(tag.at..tag.at + tag.length);
        self.written.push(b'>');
    }

    /// The element of the value that comes: begun by its key, or one of a list.
    fn element(&mut self, unnamed: &str) -> Tag {
        match self.begun.take() {
            Some(tag) => tag,
            None => self.begin_tag(unnamed),
        }
    }

    fn enter(&mut self, tag: Tag, attributes: &str, members: Option<usize>) {
        self.push(attributes);
        self.written.push(b'>');
        self.open.push(Open {
            tag,
            content: self.written.len(),
            members,
        });
    }

    fn leave(&mut self) {
        let Some(open) = self.open.pop() else { return };
        if let Some(members) = open.members {
            self.members.close(members, &mut self.written);
        }
        if self.written.len() > open.content {
            self.end_tag(open.tag);
        } else {
            self.written.pop();
            self.push("/>");
        }
    }

    fn plain(&mut self, attributes: &str, text: &str) {
        let tag = self.element(VALUE);
        self.push(attributes);
        self.written.push(b'>');
        escape(&mut self.written, text, Within::Element);
        self.end_tag(tag);
    }
}

impl Sink for XmlSink {
    fn begin_object(&mut self) {
        let members = Some(self.members.open());
        if self.open.is_empty() {
            let tag = self.element("response");
            self.enter(tag, "", members);
        } else {
            let tag = self.element("object");
            self.enter(tag, " type=\"hash\"", members);
        }
    }

    fn key(&mut self, name: &str) {
        let start = self.written.len();
        if is_name(name) {
            self.members.mark(&[name], start);
            self.begun = Some(self.begin_tag(name));
            return;
        }
        // NUL sorts before everything that continues the tag.
        self.members.mark(&[VALUE, "\0", name], start);
        let tag = self.begin_tag(VALUE);
        self.push(" name=\"");
        escape(&mut self.written, name, Within::Attribute);
        self.written.push(b'"');
        self.begun = Some(tag);
    }

    fn end_object(&mut self) {
        self.leave();
    }

    fn begin_list(&mut self) {
        let attributes = match self.begun {
            Some(_) => " type=\"list\"",
            None => "",
        };
        let tag = self.element("objects");
        self.enter(tag, attributes, None);
    }

    fn end_list(&mut self) {
        self.leave();
    }

    fn text(&mut self, text: &str) {
        self.plain("", text);
    }

    fn whole(&mut self, number: i64) {
        self.plain(" type=\"integer\"", &number.to_string());
    }

    fn number(&mut self, number: f64) {
        self.plain(" type=\"float\"", &format!("{number:?}"));
    }

    fn flag(&mut self, flag: bool) {
        let text = if flag { "True" } else { "False" };
        self.plain(" type=\"boolean\"", text);
    }

    fn null(&mut self) {
        self.element(VALUE);
        self.push(" type=\"null\"/>");
    }
}

/// Can this be the name of an element, for every reader in use? Those differ on what beyond Latin is a letter, and a
/// colon means a namespace to many.
fn is_name(name: &str) -> bool {
    let is_letter = |c: char| {
        c.is_ascii_alphabetic()
            || c == '_'
            || matches!(c, '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{ff}')
    };
    let mut characters = name.chars();
    characters.next().is_some_and(is_letter)
        && characters.all(|c| is_letter(c) || c.is_ascii_digit() || matches!(c, '-' | '.'))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Element,
    Attribute,
}

/// Rule X3: what XML forbids becomes U+FFFD. What a reader would change (line ends) is written as a reference.
fn escape(written: &mut Vec<u8>, text: &str, within: Within) {
    let mut copied = 0;
    for (at, character) in text.char_indices() {
        let replacement = match character {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            '\r' => "&#13;",
            '"' if within == Within::Attribute => "&quot;",
            '\n' if within == Within::Attribute => "&#10;",
            '\t' if within == Within::Attribute => "&#9;",
            '\n' | '\t' => continue,
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => "\u{fffd}",
            _ => continue,
        };
        written.extend_from_slice(text.get(copied..at).unwrap_or_default().as_bytes());
        written.extend_from_slice(replacement.as_bytes());
        copied = at + character.len_utf8();
    }
    written.extend_from_slice(text.get(copied..).unwrap_or_default().as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use quick_xml::XmlVersion;
    use quick_xml::events::{BytesStart, Event};
    use serde_json::{Map, Value as Json, json};

    use super::super::testing::{any_object, written_by_python};
    use super::*;
    use crate::endless::for_a_while;

    fn xml(value: &Json) -> String {
        let mut sink = XmlSink::with_capacity(0);
        sink.value(value);
        String::from_utf8(sink.into_bytes()).unwrap()
    }

    /// Without the declaration.
    fn body(value: &Json) -> String {
        let text = xml(value);
        text.strip_prefix(DECLARATION).expect(&text).to_owned()
    }

    #[test]
    fn x1_x2_x3_kinds_of_values() {
        assert!(xml(&json!({})).starts_with("<?xml version='1.0' encoding='utf-8'?>\n<response"));
        for (value, expected) in [
            (json!({}), "<response/>"),
            (
                json!({"k": {"a": 1}}),
                "<response><k type=\"hash\"><a type=\"integer\">1</a></k></response>",
            ),
            (json!({"k": {}}), "<response><k type=\"hash\"/></response>"),
            (json!({"k": []}), "<response><k type=\"list\"/></response>"),
            (
                json!({"k": [{"a": "x"}, {}, "t", 1, null, []]}),
                "<response><k type=\"list\"><object type=\"hash\"><a>x</a></object><object type=\"hash\"/><value>t</value><value type=\"integer\">1</value><value type=\"null\"/><objects/></k></response>",
            ),
            (
                json!({"k": [["a", ["b"]], [{"c": 1}]]}),
                "<response><k type=\"list\"><objects><value>a</value><objects><value>b</value></objects></objects><objects><object type=\"hash\"><c type=\"integer\">1</c></object></objects></k></response>",
            ),
            (
                json!({"a": "", "b": -1, "c": 1.5, "d": true, "e": false, "f": null, "g": 2.0, "h": 1e300}),
                "<response><a></a><b type=\"integer\">-1</b><c type=\"float\">1.5</c><d type=\"boolean\">True</d><e type=\"boolean\">False</e><f type=\"null\"/><g type=\"float\">2.0</g><h type=\"float\">1e300</h></response>",
            ),
        ] {
            assert_eq!(body(&value), expected, "{value}");
        }
    }

    #[test]
    fn x1_children_are_sorted_by_tag_and_elements_of_lists_are_not() {
        assert_eq!(
            body(
                &json!({"b": {"z": 1, "a": {"y": "2", "x": "1"}}, "_id": "i", "a": ["2", "1"], "B": "c"})
            ),
            "<response><B>c</B><_id>i</_id><a type=\"list\"><value>2</value><value>1</value></a><b type=\"hash\"><a type=\"hash\"><x>1</x><y>2</y></a><z type=\"integer\">1</z></b></response>"
        );
    }

    #[test]
    fn x3_forbidden_characters_and_impossible_names() {
        assert_eq!(
            body(&json!({"t": "a\0b\u{1b}c\u{fffe}\u{ffff}\n\t\r<&>\"'\u{1f600}\u{85}\u{2028}"})),
            "<response><t>a\u{fffd}b\u{fffd}c\u{fffd}\u{fffd}\n\t&#13;&lt;&amp;&gt;\"'\u{1f600}\u{85}\u{2028}</t></response>"
        );
        for (name, tag) in [
            ("a.b-c_1é", "a.b-c_1é"),
            ("1a", "value name=\"1a\""),
            ("", "value name=\"\""),
            ("a b", "value name=\"a b\""),
            ("a:b", "value name=\"a:b\""),
            ("-a", "value name=\"-a\""),
            ("имя", "value name=\"имя\""),
            (
                "x\"><y/>\n\t\r\0&",
                "value name=\"x&quot;&gt;&lt;y/&gt;&#10;&#9;&#13;\u{fffd}&amp;\"",
            ),
        ] {
            let end = tag.split(' ').next().unwrap();
            let mut object = Map::new();
            object.insert(name.to_owned(), json!("v"));
            assert_eq!(
                body(&Json::Object(object)),
                format!("<response><{tag}>v</{end}></response>"),
                "{name}"
            );
        }
        assert_eq!(
            body(&json!({"value2": "1", "9": "2", "value": "3", "8": {"a": []}, "valu": "5"})),
            "<response><valu>5</valu><value>3</value><value name=\"8\" type=\"hash\"><a type=\"list\"/></value><value name=\"9\">2</value><value2>1</value2></response>"
        );
    }

    /// What a value looks like when it has been through XML.
    fn expected(value: &Json) -> Json {
        let text = |text: &str| -> String {
            text.chars()
                .map(|c| match c {
                    '\n' | '\t' | '\r' => c,
                    '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
                    other => other,
                })
                .collect()
        };
        match value {
            Json::Array(elements) => elements.iter().map(expected).collect(),
            Json::Object(members) => {
                // Of names that have become equal, the one that is written last counts.
                let mut members: Vec<_> = members.iter().collect();
                members.sort_by_key(|(name, _)| *name);
                let members = members.into_iter();
                Json::Object(
                    members
                        .map(|(name, value)| (text(name), expected(value)))
                        .collect(),
                )
            }
            Json::String(string) => text(string).into(),
            other => other.clone(),
        }
    }

    fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
        let attribute = tag.try_get_attribute(name).expect("well-formed")?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0);
        Some(value.expect("known references").into_owned())
    }

    /// Reads the form of core-api 8.2 with a parser of others; also checks the order of members (rule X1).
    fn read(text: &str) -> Json {
        struct Open {
            name: String,
            tag: String,
            kind: Option<String>,
            text: String,
            members: Vec<(String, String, Json)>,
        }
        let open = |tag: &BytesStart<'_>| {
            let tag_name = tag.name().as_ref().to_owned();
            Open {
                name: attribute(tag, "name").unwrap_or_else(|| tag_name.clone()),
                tag: tag_name,
                kind: attribute(tag, "type"),
                text: String::new(),
                members: Vec::new(),
            }
        };
        let close = |open: Open, is_root: bool| -> (String, String, Json) {
            let elements = || {
                Json::Array(
                    open.members
                        .iter()
                        .map(|(_, _, value)| value.clone())
                        .collect(),
                )
            };
            let value = match open.kind.as_deref() {
                Some("hash") => object(&open.members),
                None if is_root => object(&open.members),
                Some("list") => elements(),
                None if open.tag == "objects" => elements(),
                Some("integer") => open.text.parse::<i64>().unwrap().into(),
                Some("float") => open.text.parse::<f64>().unwrap().into(),
                Some("boolean") => (open.text == "True").into(),
                Some("null") => Json::Null,
                None => open.text.clone().into(),
                Some(other) => panic!("type {other}"),
            };
            (open.tag, open.name, value)
        };
        fn object(members: &[(String, String, Json)]) -> Json {
            assert!(members.is_sorted_by(|one, other| one.0 <= other.0), "X1");
            members
                .iter()
                .map(|(_, name, value)| (name.clone(), value.clone()))
                .collect::<Map<String, Json>>()
                .into()
        }
        let mut reader = quick_xml::Reader::from_str(text);
        let mut stack: Vec<Open> = Vec::new();
        loop {
            let closed = match reader.read_event().expect(text) {
                Event::Start(tag) => {
                    stack.push(open(&tag));
                    continue;
                }
                Event::Empty(tag) => close(open(&tag), stack.is_empty()),
                Event::End(_) => {
                    let open = stack.pop().expect("open");
                    close(open, stack.is_empty())
                }
                Event::Text(part) => {
                    if let Some(open) = stack.last_mut() {
                        open.text
                            .push_str(&part.xml_content(XmlVersion::Implicit1_0));
                    }
                    continue;
                }
                Event::GeneralRef(reference) => {
                    let open = stack.last_mut().expect("within an element");
                    match reference.resolve_char_ref().unwrap() {
                        Some(character) => open.text.push(character),
                        None => open.text.push_str(
                            match &*reference.xml_content(XmlVersion::Implicit1_0) {
                                "amp" => "&",
                                "lt" => "<",
                                "gt" => ">",
                                other => panic!("reference {other}"),
                            },
                        ),
                    }
                    continue;
                }
                Event::Decl(_) => continue,
                other => panic!("{other:?}"),
            };
            match stack.last_mut() {
                Some(parent) => parent.members.push(closed),
                None => return closed.2,
            }
        }
    }

    #[test]
    fn qy13_x1_x3_another_parser_reads_what_was_written() {
        for_a_while(any_object(), |value| {
            prop_assert_eq!(read(&xml(&value)), expected(&value));
            Ok(())
        });
    }

    #[test]
    fn x3_pythons_parser_reads_it_too() {
        let value =
            json!({"имя": "x", "a:b": {"1": ["\u{1}\r\n"]}, "é": "\u{1f600}", "xmlns": "y"});
        let script = "import sys, json, xml.etree.ElementTree as E\nr = E.fromstring(sys.stdin.buffer.read())\nprint(json.dumps([[c.tag, c.get('name'), c.text] for c in r]))";
        assert_eq!(
            written_by_python(script, xml(&value).as_bytes()),
            json!([
                ["value", "a:b", null],
                ["value", "имя", "x"],
                ["xmlns", null, "y"],
                ["é", null, "\u{1f600}"]
            ])
        );
    }
}
