//! Sending clients that came by plain HTTP on to HTTPS (rule U8).
//!
//! critd speaks plain HTTP itself. Where a proxy in front of it speaks HTTPS, the proxy says by `X-Forwarded-Proto` how the
//! client came; the header grants nothing, so it is believed whoever sends it.

use axum::body::Body;
use axum::http::header::LOCATION;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::Response;

use super::answer;
use super::credentials::{API_KEY, USERNAME};

const PROTOCOL: &str = "x-forwarded-proto";

/// The redirect to `base` (setting `https_url`: scheme, host and port) for a request that did not come by HTTPS.
///
/// Reading is sent on with 301, as of old. Other methods get 308, because clients repeat a POST as a GET after 301. Credentials
/// of the query are not repeated in the answer: a client that is sent on asks again with its header, or is told 401.
pub(super) fn redirect(base: &str, request: &Parts) -> Option<Response> {
    let protocol = request
        .headers
        .get(PROTOCOL)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(',').next())
        .unwrap_or_default();
    if base.is_empty() || protocol.trim().eq_ignore_ascii_case("https") {
        return None;
    }
    let status = match request.method {
        Method::GET | Method::HEAD => StatusCode::MOVED_PERMANENTLY,
        _ => StatusCode::PERMANENT_REDIRECT,
    };
    let place = format!(
        "{base}{}{}",
        request.uri.path(),
        without_credentials(request.uri.query().unwrap_or_default())
    );
    let mut response = answer::response(status, "text/plain; charset=utf-8", Body::empty());
    // A URI that was received can be sent.
    if let Ok(place) = HeaderValue::from_str(&place) {
        response.headers_mut().insert(LOCATION, place);
    }
    Some(response)
}

/// The query as it was written, with its `?`, but for the credentials in it.
fn without_credentials(query: &str) -> String {
    let kept: Vec<&str> = query
        .split('&')
        .filter(|pair| {
            let name = form_urlencoded::parse(pair.as_bytes()).next();
            name.is_some_and(|(name, _)| name != USERNAME && name != API_KEY)
        })
        .collect();
    match kept.is_empty() {
        true => String::new(),
        false => format!("?{}", kept.join("&")),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    const BASE: &str = "https://crits.example:8443";

    fn ask(base: &str, method: &str, uri: &str, protocol: Option<&str>) -> Option<Response> {
        let mut request = Request::builder().method(method).uri(uri);
        if let Some(protocol) = protocol {
            request = request.header(PROTOCOL, protocol);
        }
        redirect(base, &request.body(()).unwrap().into_parts().0)
    }

    fn place(response: &Response) -> &str {
        response.headers()[LOCATION].to_str().unwrap()
    }

    #[test]
    fn u8_plain_requests_are_sent_on_to_https() {
        let response = ask(BASE, "GET", "/api/v1/ips/?limit=1&c-ip=a%20b", None).unwrap();
        assert_eq!(response.status(), StatusCode::MOVED_PERMANENTLY);
        assert_eq!(
            place(&response),
            "https://crits.example:8443/api/v1/ips/?limit=1&c-ip=a%20b"
        );
        for method in ["POST", "PATCH"] {
            let response = ask(BASE, method, "/api/v1/ips/", Some("http")).unwrap();
            assert_eq!(
                response.status(),
                StatusCode::PERMANENT_REDIRECT,
                "{method}"
            );
        }
    }

    #[test]
    fn u8_who_came_by_https_or_where_it_is_off_is_not_sent_on() {
        assert!(ask("", "GET", "/api/v1/", None).is_none());
        assert!(ask(BASE, "GET", "/api/v1/", Some("https")).is_none());
        assert!(ask(BASE, "GET", "/api/v1/", Some("HTTPS, http")).is_none());
        assert!(ask(BASE, "GET", "/api/v1/", Some("http, https")).is_some());
    }

    #[test]
    fn u8_credentials_are_not_repeated() {
        for (sent, kept) in [
            ("username=u&api_key=k&limit=1", "?limit=1"),
            ("limit=1&user%6eame=u&api%5Fkey=k&&x", "?limit=1&x"),
            ("username=u&api_key=k", ""),
        ] {
            let response = ask(BASE, "GET", &format!("/api/v1/ips/?{sent}"), None).unwrap();
            assert_eq!(
                place(&response),
                format!("{BASE}/api/v1/ips/{kept}"),
                "{sent}"
            );
        }
    }
}
