//! Bodies of all formats as one kind of value, so that they compare alike.

use anyhow::{Context, Result, bail, ensure};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use serde_json::{Map, Value as Json};

/// What a body says; a text where it is none of the formats.
pub(crate) fn body(content_type: &str, text: &str) -> Result<Json> {
    let kind = content_type.split(';').next().unwrap_or_default();
    match kind {
        "application/json" => Ok(serde_json::from_str(text)?),
        // The tags of the original are compared as such.
        "text/yaml" => Ok(serde_norway::from_str(&text.replace(TAG, ""))?),
        "application/xml" => xml(text),
        _ => Ok(text.into()),
    }
}

const TAG: &str = "!!python/unicode ";

/// Does a body carry the tags that only Python reads (Y3)?
pub(crate) fn is_tagged(text: &str) -> bool {
    text.contains(TAG)
}

struct Element {
    tag: String,
    kind: Option<String>,
    text: String,
    children: Vec<(String, Json)>,
}

fn xml(text: &str) -> Result<Json> {
    const HEAD: &str = "<?xml version='1.0' encoding='utf-8'?>\n";
    ensure!(text.starts_with(HEAD), "it does not begin with {HEAD:?}");
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut open: Vec<Element> = Vec::new();
    loop {
        match reader.read_event()? {
            Event::Start(start) => open.push(element(&start)?),
            Event::Text(text) => {
                if let Some(last) = open.last_mut() {
                    last.text += &text;
                }
            }
            Event::GeneralRef(reference) => {
                let last = open.last_mut().context("a reference outside")?;
                if let Some(character) = reference.resolve_char_ref()? {
                    last.text.push(character);
                } else {
                    last.text += quick_xml::escape::resolve_predefined_entity(&reference)
                        .context("an unknown entity")?;
                }
            }
            Event::End(_) => {
                let closed = open.pop().context("an end without a beginning")?;
                let tag = closed.tag.clone();
                let value = value(closed);
                match open.last_mut() {
                    Some(parent) => parent.children.push((tag, value)),
                    None => {
                        ensure!(tag == "response", "the root is {tag}");
                        return Ok(value);
                    }
                }
            }
            Event::Eof => bail!("it ends in the middle"),
            _ => {}
        }
    }
}

fn element(start: &BytesStart<'_>) -> Result<Element> {
    let kind = start.try_get_attribute("type")?;
    Ok(Element {
        tag: start.name().as_ref().to_owned(),
        kind: kind.map(|kind| kind.value.into_owned()),
        text: String::new(),
        children: Vec::new(),
    })
}

/// Scalars other than texts keep their type's name; what an element of a list is called stays visible unless it is a map.
fn value(element: Element) -> Json {
    let root = element.tag == "response";
    match element.kind.as_deref() {
        Some("list") => element
            .children
            .into_iter()
            .map(|(tag, value)| match tag.as_str() {
                "object" => value,
                _ => Json::from_iter([(format!("<{tag}>"), value)]),
            })
            .collect(),
        Some("hash") => Json::Object(Map::from_iter(element.children)),
        None if root || !element.children.is_empty() => {
            Json::Object(Map::from_iter(element.children))
        }
        Some(kind) => Json::from(format!("{kind} {}", element.text)),
        None => Json::from(element.text),
    }
}
