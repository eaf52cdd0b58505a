//! XML bodies (rule B5): `<request>` or `<object>` whose children are parameters; `type` attributes as in answers.

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use serde_json::{Map, Value as Json};

/// How deep elements may be nested.
const DEPTH: usize = 64;

/// An element while it is read.
struct Element {
    tag: String,
    kind: Option<String>,
    text: String,
    children: Vec<(String, Json)>,
}

/// None: not well-formed, another root, a document type, a reference to an entity, or nested too deep.
pub(super) fn read(bytes: &[u8]) -> Option<Map<String, Json>> {
    let mut reader = Reader::from_str(
        std::str::from_utf8(bytes)
            .ok()?
            .trim_start_matches('\u{feff}'),
    );
    reader.config_mut().expand_empty_elements = true;
    let mut open: Vec<Element> = Vec::new();
    let mut root = None;
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                if open.len() == DEPTH || root.is_some() {
                    return None;
                }
                open.push(element(&start)?);
            }
            Event::End(_) => {
                let closed = open.pop()?;
                match open.last_mut() {
                    Some(parent) => parent.children.push((closed.tag.clone(), value(closed)?)),
                    None => root = Some(closed),
                }
            }
            Event::Text(text) => append(&mut open, &text.xml_content(XmlVersion::Implicit1_0))?,
            Event::CData(text) => append(&mut open, &text.xml_content(XmlVersion::Implicit1_0))?,
            Event::GeneralRef(reference) => {
                let character = match reference.resolve_char_ref().ok()? {
                    Some(character) => character,
                    None => match &*reference.xml_content(XmlVersion::Implicit1_0) {
                        "amp" => '&',
                        "lt" => '<',
                        "gt" => '>',
                        "quot" => '"',
                        "apos" => '\'',
                        _ => return None,
                    },
                };
                append(&mut open, character.encode_utf8(&mut [0; 4]))?;
            }
            Event::DocType(_) => return None,
            Event::Empty(_) => return None,
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    let root = root.filter(|_| open.is_empty())?;
    match root.tag.as_str() {
        "object" => Some(map(root.children)),
        "request" => match root.children.iter().find(|(tag, _)| tag == "object") {
            Some((_, Json::Object(inner))) => Some(inner.clone()),
            _ => Some(map(root.children)),
        },
        _ => None,
    }
}

fn element(start: &BytesStart<'_>) -> Option<Element> {
    let kind = match start.try_get_attribute("type").ok()? {
        Some(attribute) => Some(
            attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .ok()?
                .into_owned(),
        ),
        None => None,
    };
    Some(Element {
        tag: start.name().as_ref().to_owned(),
        kind,
        text: String::new(),
        children: Vec::new(),
    })
}

/// Text outside of the root must be blank.
fn append(open: &mut [Element], text: &str) -> Option<()> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return None,
    }
    Some(())
}

/// Of equal names the last one counts (rule B10).
fn map(children: Vec<(String, Json)>) -> Map<String, Json> {
    children.into_iter().collect()
}

/// core-api 8.2, read backwards.
fn value(element: Element) -> Option<Json> {
    let Element {
        tag,
        kind,
        text,
        children,
    } = element;
    let kind = kind.as_deref();
    if tag == "object" || kind == Some("hash") {
        return Some(Json::Object(map(children)));
    }
    if tag == "objects" || kind == Some("list") {
        return Some(Json::Array(
            children.into_iter().map(|(_, value)| value).collect(),
        ));
    }
    if !children.is_empty() {
        return Some(Json::Object(map(children)));
    }
    match kind {
        Some("integer") => text.trim().parse::<i64>().ok().map(Json::from),
        Some("float") => text
            .trim()
            .parse::<f64>()
            .ok()
            .and_then(serde_json::Number::from_f64)
            .map(Json::Number),
        Some("boolean") => Some(Json::Bool(
            text.trim().eq_ignore_ascii_case("true") || text.trim() == "1",
        )),
        Some("null") => Some(Json::Null),
        _ => Some(Json::String(text)),
    }
}
