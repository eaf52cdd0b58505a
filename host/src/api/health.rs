//! `/health/live`, `/health/ready`: for whoever keeps the server running. They say nothing about what is stored (OP-8).

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::{State, answer};

/// The process answers.
pub(super) fn live() -> Response {
    answer::json(StatusCode::OK, &json!({"status": "live"}))
}

/// The store answers.
pub(super) async fn ready(state: &State) -> Response {
    match state.store.administrative_revision().await {
        Ok(_) => answer::json(StatusCode::OK, &json!({"status": "ready"})),
        Err(error) => {
            tracing::error!(%error, "not ready: the store does not answer");
            answer::json(
                StatusCode::SERVICE_UNAVAILABLE,
                &json!({"status": "unavailable"}),
            )
        }
    }
}
