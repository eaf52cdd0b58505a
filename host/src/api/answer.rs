//! Responses and the headers that all of them carry.

use std::fmt::Write as _;

use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, VARY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::Value as Json;

use super::format::Format;
use super::render::{Content, JsonSink, Sink, XmlSink, YamlSink};

/// Header with the id under which a request is in the log.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Header of rule G43.
pub(super) const WARNING: HeaderName = HeaderName::from_static("x-crits-warning");

/// A response of some type.
pub(super) fn response(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Body>,
) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A JSON response.
pub(super) fn json(status: StatusCode, body: &Json) -> Response {
    response(status, "application/json", body.to_string())
}

/// A response in the format that was asked for.
pub(super) fn rendered(status: StatusCode, format: Format, content: &impl Content) -> Response {
    let room = content.size();
    let bytes = match format {
        Format::Json => {
            let mut sink = JsonSink::with_capacity(room);
            content.write(&mut sink);
            sink.into_bytes()
        }
        Format::Xml => {
            let mut sink = XmlSink::with_capacity(room);
            content.write(&mut sink);
            sink.into_bytes()
        }
        Format::Yaml => {
            let mut sink = YamlSink::with_capacity(room);
            content.write(&mut sink);
            sink.into_bytes()
        }
    };
    response(status, format.content_type(), bytes)
}

/// A response about one thing: in XML a list of one element (rule X2).
pub(super) fn detail(format: Format, content: &impl Content) -> Response {
    match format {
        Format::Json | Format::Yaml => rendered(StatusCode::OK, format, content),
        Format::Xml => rendered(StatusCode::OK, format, &OneElement(content)),
    }
}

struct OneElement<'a, C>(&'a C);

impl<C: Content> Content for OneElement<'_, C> {
    fn write(&self, sink: &mut impl Sink) {
        sink.begin_object();
        sink.key("objects");
        sink.begin_list();
        self.0.write(sink);
        sink.end_list();
        sink.end_object();
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}

/// Headers that every answer carries (core-api section 2).
pub(super) fn add_common_headers(response: &mut Response, request_id: &str) {
    let headers = response.headers_mut();
    for (name, value) in [
        (VARY, "Accept"),
        (CACHE_CONTROL, "no-store"),
        (X_FRAME_OPTIONS, "SAMEORIGIN"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'; sandbox",
        ),
        (REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(value) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, value);
    }
}

/// Adds a header for each warning (rule G43).
pub(super) fn add_warnings(response: &mut Response, warnings: &[String]) {
    for warning in warnings.iter().take(20) {
        if let Ok(value) = HeaderValue::from_str(&printable(warning)) {
            response.headers_mut().append(WARNING, value);
        }
    }
}

/// A text as visible ASCII on one line, for headers and logs: anything else is written `\u{…}`. At most about 300 characters.
pub(super) fn printable(text: &str) -> String {
    let mut printable = String::new();
    for character in text.chars() {
        if printable.len() > 300 {
            printable.push_str("...");
            break;
        }
        if character == ' ' || character.is_ascii_graphic() {
            printable.push(character);
        } else {
            // Writing to a text does not fail.
            let _ = write!(printable, "{}", character.escape_unicode());
        }
    }
    printable
}

/// 16 random hex digits.
pub(super) fn random_id() -> String {
    let mut bytes = [0; 8];
    if getrandom::fill(&mut bytes).is_err() {
        // Without randomness ids are only unique within this process, which is what they are for.
        static NUMBER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        bytes = NUMBER
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed)
            .to_be_bytes();
    }
    hex::encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xs2_hostile_text_stays_on_one_line() {
        assert_eq!(
            printable("a\r\nSet-Cookie: x\u{1b}[2Jé\u{202e} ok"),
            "a\\u{d}\\u{a}Set-Cookie: x\\u{1b}[2J\\u{e9}\\u{202e} ok"
        );
        assert!(printable(&"x".repeat(10_000)).ends_with("xxx..."));
    }

    #[test]
    fn g43_warnings_become_headers() {
        let mut response = Response::new(Body::empty());
        add_warnings(
            &mut response,
            &["c-é\n: unknown".to_owned(), "two".to_owned()],
        );
        let values: Vec<&str> = response
            .headers()
            .get_all(WARNING)
            .iter()
            .map(|value| value.to_str().unwrap())
            .collect();
        assert_eq!(values, ["c-\\u{e9}\\u{a}: unknown", "two"]);
    }

    #[test]
    fn ids_are_random() {
        assert_ne!(random_id(), random_id());
        assert_eq!(random_id().len(), 16);
    }
}
