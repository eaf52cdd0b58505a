//! Places within a root field that has been decoded.

use bson::{Bson, Document};

use crate::store::raw;

/// One step along a path: a field of a document, a position of a list.
pub(super) fn step<'a>(value: &'a Bson, segment: &str) -> Option<&'a Bson> {
    match value {
        Bson::Document(document) => document.get(segment),
        Bson::Array(list) => list.get(raw::position(segment)?),
        _ => None,
    }
}

/// As [`step`], to change what is there.
pub(super) fn step_mut<'a>(value: &'a mut Bson, segment: &str) -> Option<&'a mut Bson> {
    match value {
        Bson::Document(document) => document.get_mut(segment),
        Bson::Array(list) => list.get_mut(raw::position(segment)?),
        _ => None,
    }
}

/// Whether a place is there or could be made.
pub(super) enum Peek<'a> {
    Present(&'a Bson),
    Makeable,
    Blocked,
}

/// What is at a place below a root field.
pub(super) fn peek<'a>(root: &'a Bson, segments: &[&str]) -> Peek<'a> {
    let mut value = root;
    for segment in segments {
        match step(value, segment) {
            Some(next) => value = next,
            None if matches!(value, Bson::Document(_)) => return Peek::Makeable,
            None => return Peek::Blocked,
        }
    }
    Peek::Present(value)
}

/// The place below a root field; missing documents on the way are made. Changes nothing if it can't be reached.
pub(super) fn make_place<'a>(root: &'a mut Bson, segments: &[&str]) -> Option<&'a mut Bson> {
    if matches!(peek(root, segments), Peek::Blocked) {
        return None;
    }
    let mut value = root;
    for (index, segment) in segments.iter().enumerate() {
        value = match value {
            Bson::Document(document) => {
                let missing = if index + 1 == segments.len() {
                    Bson::Null
                } else {
                    Bson::Document(Document::new())
                };
                document.entry((*segment).to_owned()).or_insert(missing)
            }
            Bson::Array(list) => list.get_mut(raw::position(segment)?)?,
            _ => return None,
        };
    }
    Some(value)
}
