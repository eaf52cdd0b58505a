//! Answers to requests that were not carried out (core-api section 15).

use axum::http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::json;

use super::answer;
use super::format::Format;
use crate::plugins::NotDone;
use crate::query::Unreadable;
use crate::store::StoreError;

/// Why a request gets no ordinary answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// 400: text for the client.
    BadRequest(String),
    /// 400 because of warnings (rule G44).
    Warned(Unreadable),
    /// 401, the same for every cause (rule A8).
    Unauthorized,
    /// 403: text for the client.
    Forbidden(&'static str),
    /// 404: no such thing, or nothing that the caller may see (rule S8).
    NotFound,
    /// 404: a resource that is gone, and what there is instead.
    Replaced(&'static str),
    /// 405, with the methods that would do.
    MethodNotAllowed(String),
    /// 408: the body stopped coming.
    TooSlow,
    /// 413 (rule L1).
    TooLarge,
    /// 415: the type of the body as sent.
    UnsupportedType(String),
    /// 503: the text is for the log.
    Busy(String),
    /// 500: the text is for the log.
    Internal(String),
}

/// Text of rule S21.
pub(super) const NO_ACCESS: &str = "You do not have access to this object.";

impl Failure {
    /// The answer, in the format that was asked for (rules Q6, E5, X4, Y3).
    pub(super) fn response(self, format: Format) -> Response {
        let error = |status, message: &str| error(status, format, message);
        match self {
            Self::BadRequest(message) => error(StatusCode::BAD_REQUEST, &message),
            Self::Warned(refused) if refused.warnings.is_empty() => {
                error(StatusCode::BAD_REQUEST, &refused.message)
            }
            Self::Warned(refused) => answer::rendered(
                StatusCode::BAD_REQUEST,
                format,
                &json!({"error": refused.message, "warnings": refused.warnings}),
            ),
            Self::Unauthorized => with(
                error(StatusCode::UNAUTHORIZED, "Authentication failed."),
                WWW_AUTHENTICATE,
                "ApiKey realm=\"crits\"",
            ),
            Self::Forbidden(message) => error(StatusCode::FORBIDDEN, message),
            Self::NotFound => error(StatusCode::NOT_FOUND, "Not found."),
            Self::Replaced(message) => error(StatusCode::NOT_FOUND, message),
            Self::MethodNotAllowed(methods) => with(
                error(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed."),
                ALLOW,
                &methods,
            ),
            Self::TooSlow => error(
                StatusCode::REQUEST_TIMEOUT,
                "The request body did not arrive in time.",
            ),
            Self::TooLarge => error(StatusCode::PAYLOAD_TOO_LARGE, "Request body too large."),
            Self::UnsupportedType(kind) => error(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                &format!("Unsupported content type '{kind}'."),
            ),
            Self::Busy(reason) => {
                tracing::warn!(%reason, "request refused: busy");
                with(
                    error(
                        StatusCode::SERVICE_UNAVAILABLE,
                        "The server is busy. Please try again later.",
                    ),
                    RETRY_AFTER,
                    "1",
                )
            }
            Self::Internal(details) => internal(format, &details),
        }
    }
}

/// Rule E2: the client gets an id under which the details are in the log.
pub(super) fn internal(format: Format, details: &str) -> Response {
    let id = answer::random_id();
    tracing::error!(error_id = %id, %details, "request failed");
    answer::rendered(
        StatusCode::INTERNAL_SERVER_ERROR,
        format,
        &json!({"error_message": "Sorry, this request could not be processed. Please try again later.", "error_id": id}),
    )
}

fn error(status: StatusCode, format: Format, message: &str) -> Response {
    answer::rendered(status, format, &json!({"error": message}))
}

fn with(mut response: Response, name: axum::http::HeaderName, value: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
    response
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::TooSlow(limit) => {
                Self::BadRequest(format!("The query took longer than {limit} ms."))
            }
            StoreError::Unavailable(_) => Self::Busy(error.to_string()),
            other => Self::Internal(other.to_string()),
        }
    }
}

impl From<Unreadable> for Failure {
    fn from(refused: Unreadable) -> Self {
        Self::Warned(refused)
    }
}

impl From<NotDone> for Failure {
    /// A refusal has an envelope of its own; whoever has one answers it before coming here.
    fn from(reason: NotDone) -> Self {
        match reason {
            NotDone::Refused(refusal) => Self::BadRequest(refusal.message),
            NotDone::NoDocument => Self::NotFound,
            NotDone::Busy(reason) => Self::Busy(reason),
            NotDone::Internal(details) => Self::Internal(details),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_cannot_be_reached_is_busy_whoever_met_it() {
        let lost = || StoreError::Unavailable("no primary".to_owned());
        for failure in [Failure::from(lost()), Failure::from(NotDone::from(lost()))] {
            let response = failure.response(Format::Json);
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(
                response.headers().get(RETRY_AFTER),
                Some(&HeaderValue::from_static("1"))
            );
        }
        let broken = Failure::from(StoreError::Engine("disk full".to_owned()));
        assert_eq!(
            broken.response(Format::Json).status(),
            StatusCode::INTERNAL_SERVER_ERROR
        );
    }
}
