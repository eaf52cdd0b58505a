//! Bodies with many objects: a JSON array, or one JSON object a line (NDJSON).

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use bytes::Bytes;
use serde_json::Value as Json;

use super::{Decoded, Failure, MOST_IN_MEMORY, stream};
use crate::plugins::Params;

/// An array is decoded as a whole; lines one after the other.
const LONGEST_ARRAY: usize = 16 << 20;

/// The objects of a body, in their order.
#[derive(Debug)]
pub(in crate::api) enum Objects {
    Array(std::vec::IntoIter<Json>),
    Lines(Bytes),
}

/// Reads a body whole, so that a client that does not listen before it has sent everything gets its answers.
///
/// # Errors
///
/// Not of a type that can hold many objects, too large, no array.
pub(in crate::api) async fn read(
    headers: &HeaderMap,
    body: Body,
    most: u64,
) -> Result<Objects, Failure> {
    let sent = headers
        .get(CONTENT_TYPE)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .unwrap_or_default();
    let media_type = sent.split(';').next().unwrap_or_default().trim();
    let is_lines = match media_type.to_ascii_lowercase().as_str() {
        "" | "application/json" => false,
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => true,
        _ => {
            return Err(Failure::UnsupportedType(crate::api::answer::printable(
                &sent,
            )));
        }
    };
    let bytes = stream::read(body, most.min(MOST_IN_MEMORY)).await?;
    let bytes = match bytes.strip_prefix(b"\xef\xbb\xbf") {
        Some(rest) => bytes.slice_ref(rest),
        None => bytes,
    };
    match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
        None => Err(Failure::BadRequest(
            "There are no objects in the body.".into(),
        )),
        // Lines are also understood where the type was not said.
        Some(b'{') => Ok(Objects::Lines(bytes)),
        _ if is_lines => Ok(Objects::Lines(bytes)),
        Some(_) => array(bytes).await,
    }
}

async fn array(bytes: Bytes) -> Result<Objects, Failure> {
    if bytes.len() > LONGEST_ARRAY {
        return Err(Failure::BadRequest(format!(
            "A JSON array may have {} MiB; send more objects as application/x-ndjson, one a line.",
            LONGEST_ARRAY >> 20
        )));
    }
    let read = move || match serde_json::from_slice(&bytes) {
        Ok(Json::Array(objects)) if objects.is_empty() => Err("There are no objects in the body."),
        Ok(Json::Array(objects)) => Ok(Objects::Array(objects.into_iter())),
        Ok(_) => Err("Request body must be a JSON array of objects, or one object a line."),
        Err(_) => Err("Request is not valid JSON."),
    };
    match tokio::task::spawn_blocking(read).await {
        Ok(objects) => objects.map_err(|text| Failure::BadRequest(text.into())),
        Err(error) => Err(Failure::Internal(format!("decoding a body: {error}"))),
    }
}

impl Iterator for Objects {
    /// The parameters of an object; a sentence about what is none.
    type Item = Result<Params, &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        let value = match self {
            Self::Array(objects) => Ok(objects.next()?),
            Self::Lines(rest) => loop {
                if rest.is_empty() {
                    return None;
                }
                let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
                let line = rest.split_to(end);
                if !line.iter().all(u8::is_ascii_whitespace) {
                    break serde_json::from_slice(&line);
                }
            },
        };
        Some(match value {
            Ok(Json::Object(object)) => Ok(Decoded::of_object(object).params),
            Ok(_) => Err("This is no JSON object."),
            Err(_) => Err("This is not valid JSON."),
        })
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;
    use crate::endless::{any_of_parts, for_a_while};

    async fn objects(content_type: &str, body: &str) -> Result<Vec<String>, String> {
        let mut headers = HeaderMap::new();
        if !content_type.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap());
        }
        let read = read(&headers, Body::from(body.to_owned()), 1 << 20).await;
        let shown = |object: Result<Params, &str>| match object {
            Ok(params) => params
                .iter()
                .map(|(name, value)| format!("{name}={value:?}"))
                .collect(),
            Err(text) => text.to_owned(),
        };
        match read {
            Ok(objects) => Ok(objects.map(shown).collect()),
            Err(failure) => Err(format!("{failure:?}")),
        }
    }

    #[tokio::test]
    async fn arrays_and_lines_are_objects_in_their_order() {
        let wanted = Ok(vec![
            r#"value=Json(String("a"))"#.to_owned(),
            "This is no JSON object.".to_owned(),
            r#"value=Json(String("b"))"#.to_owned(),
        ]);
        let array = r#" [{"value": "a", "username": "u", "api_key": "k"}, 3, {"value": "b"}]"#;
        assert_eq!(
            objects("application/json; charset=utf-8", array).await,
            wanted
        );
        assert_eq!(objects("", array).await, wanted);
        let lines = "\u{feff}{\"value\": \"a\", \"api_key\": \"k\"}\r\n\n3\n{\"value\": \"b\"}";
        for kind in [
            "application/x-ndjson",
            "application/jsonl",
            "application/json",
            "",
        ] {
            assert_eq!(objects(kind, lines).await, wanted, "{kind}");
        }
        assert_eq!(
            objects("application/x-ndjson", "{\n[1]\n").await,
            Ok(vec![
                "This is not valid JSON.".to_owned(),
                "This is no JSON object.".to_owned()
            ])
        );
    }

    #[tokio::test]
    async fn a_body_without_objects_is_refused() {
        for (kind, body, wanted) in [
            (
                "",
                " \n",
                "BadRequest(\"There are no objects in the body.\")",
            ),
            (
                "",
                "[]",
                "BadRequest(\"There are no objects in the body.\")",
            ),
            (
                "",
                "\"x\"",
                "BadRequest(\"Request body must be a JSON array of objects, or one object a line.\")",
            ),
            ("", "[{]", "BadRequest(\"Request is not valid JSON.\")"),
            ("text/csv", "a,b", "UnsupportedType(\"text/csv\")"),
        ] {
            assert_eq!(
                objects(kind, body).await,
                Err(wanted.to_owned()),
                "{kind} {body}"
            );
        }
        let headers = HeaderMap::new();
        let long = read(&headers, Body::from("[1]".repeat(10)), 20).await;
        assert!(matches!(long, Err(Failure::TooLarge)), "{long:?}");
    }

    #[test]
    fn qy13_any_lines_are_objects_or_told_of() {
        let parts = &[
            "{",
            "}",
            "\"a\"",
            ":",
            "1",
            ",",
            "\n",
            "\n",
            "[",
            "]",
            "\r",
            " ",
            "\u{0}",
            "é",
            "{\"a\": 1}",
        ];
        for_a_while(any_of_parts(parts, 40), |text| {
            let lines = text.lines().count();
            let found = Objects::Lines(Bytes::from(text)).count();
            prop_assert!(found <= lines, "{} of {}", found, lines);
            Ok(())
        });
    }
}
