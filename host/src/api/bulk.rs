//! `POST /api/v1/RESOURCE/?bulk=1`: many objects in one request. Ours, not the original's.
//!
//! Every object is a POST of its own, carried out in the order sent; the answer has one line of JSON for each, in that order:
//! what its own POST would have been answered. A hundred share one commit. With `atomic=1` all of them do, or nothing is stored.

use std::sync::Arc;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Map, Value as Json};

use super::answer;
use super::body::objects::{self, Objects};
use super::create::Envelopes;
use super::failure::Failure;
use super::once::Key;
use super::pipeline::Call;
use super::{Handlers, rows};
use crate::access::Caller;
use crate::plugins::{
    Created, Mode, NotDone, Object, Params, Refusal, Registry, Together, TypeEntry,
};
use crate::query::is_on;

/// Objects in one transaction: enough to share a commit, few enough that other requests hardly wait.
const BATCH: usize = 100;
/// Objects that are stored together or not at all.
const MOST_TOGETHER: usize = 1_000;

/// Does the request ask for it?
pub(super) fn is_asked_for(parameters: &crate::query::Parameters) -> bool {
    is_on(parameters.last("bulk"))
}

pub(super) async fn post(
    call: &Call<'_>,
    of: &Arc<TypeEntry>,
    body: Body,
) -> Result<Response, Failure> {
    let most = call.settings.number("max_body_bytes").unwrap_or(u64::MAX);
    let objects = objects::read(&call.headers, body, most).await?;
    let is_on = |name| is_on(call.parameters.last(name));
    let mut bulk = Bulk {
        handlers: Arc::clone(&call.state.handlers),
        registry: Arc::clone(&call.registry),
        caller: Arc::clone(&call.caller),
        envelopes: Envelopes::new(call, of),
        of: Arc::clone(of),
        mode: Mode {
            dry_run: is_on("dry_run"),
            once: None,
        },
        key: Key::of(call)?,
        done: 0,
        is_busy: false,
    };
    let body = if is_on("atomic") {
        Body::from(bulk.together(objects).await?)
    } else {
        Body::from_stream(stream::unfold(
            (bulk, objects),
            |(mut bulk, mut objects)| async {
                let batch: Vec<_> = objects.by_ref().take(BATCH).collect();
                if batch.is_empty() {
                    return None;
                }
                let lines = bulk.carry_out(batch, Together::Each).await;
                Some((
                    Ok::<_, std::convert::Infallible>(Bytes::from(lines)),
                    (bulk, objects),
                ))
            },
        ))
    };
    Ok(answer::response(StatusCode::OK, rows::NDJSON, body))
}

/// What carries the objects out. It outlives the request's handler: the client reads while it goes on.
struct Bulk {
    handlers: Arc<dyn Handlers>,
    registry: Arc<Registry>,
    caller: Arc<Caller>,
    envelopes: Envelopes,
    of: Arc<TypeEntry>,
    mode: Mode,
    /// Of the request; each object has one of its own by its position.
    key: Option<Key>,
    /// Objects before the present ones.
    done: u64,
    /// The store can't be reached: what follows is not tried.
    is_busy: bool,
}

impl Bulk {
    async fn together(&mut self, objects: Objects) -> Result<Vec<u8>, Failure> {
        let objects: Vec<_> = objects.take(MOST_TOGETHER + 1).collect();
        if objects.len() > MOST_TOGETHER {
            return Err(Failure::BadRequest(format!(
                "With atomic=1 a request may have {MOST_TOGETHER} objects."
            )));
        }
        Ok(self.carry_out(objects, Together::All).await)
    }

    /// The answers to some objects, a line each.
    async fn carry_out(
        &mut self,
        objects: Vec<Result<Params, &'static str>>,
        together: Together,
    ) -> Vec<u8> {
        let is_broken = objects.iter().any(Result::is_err);
        let what = ["POST", &self.of.declaration.resource];
        let sound: Vec<Object> = (self.done..)
            .zip(&objects)
            .filter_map(|(position, object)| {
                let params = object.as_ref().ok()?.clone();
                let key = self.key.as_ref();
                let once = key.map(|key| key.once(Some(position), &what, &params));
                Some(Object { params, once })
            })
            .collect();
        self.done += objects.len() as u64;
        let mut answers = if self.is_busy {
            sound
                .iter()
                .map(|_| Err(NotDone::Busy(String::new())))
                .collect()
        } else if is_broken && together == Together::All {
            sound.iter().map(|_| Err(not_stored())).collect()
        } else {
            self.handlers
                .create_many(
                    &self.registry,
                    &self.caller,
                    &self.of,
                    sound,
                    self.mode,
                    together,
                )
                .await
        }
        .into_iter();
        let mut lines = Vec::with_capacity(objects.len() * 256);
        for object in objects {
            let line = match object {
                Err(text) => self.envelopes.refused(Refusal {
                    message: text.to_owned(),
                    error: Map::from_iter([("code".to_owned(), Json::from("invalid_body"))]),
                }),
                Ok(_) => self.envelope(answers.next()),
            };
            lines.extend_from_slice(Json::Object(line).to_string().as_bytes());
            lines.push(b'\n');
        }
        lines
    }

    fn envelope(&mut self, answer: Option<Result<Created, NotDone>>) -> Map<String, Json> {
        let (code, message, id) = match answer {
            Some(Ok(created)) => {
                let is_repeated = created.is_repeated;
                let (mut envelope, _) = self.envelopes.made(created);
                if is_repeated {
                    envelope.insert("replayed".into(), true.into());
                }
                return envelope;
            }
            Some(Err(NotDone::Refused(refusal))) => return self.envelopes.refused(refusal),
            Some(Err(NotDone::Busy(reason))) => {
                if !self.is_busy {
                    tracing::warn!(%reason, "objects of many were not stored: busy");
                }
                self.is_busy = true;
                (
                    "unavailable",
                    "The server is busy. Please try again later.",
                    None,
                )
            }
            Some(Err(NotDone::NoDocument)) | None => ("internal", SORRY, None),
            Some(Err(NotDone::Internal(details))) => {
                let id = answer::random_id();
                tracing::error!(error_id = %id, %details, "an object of many failed");
                ("internal", SORRY, Some(id))
            }
        };
        let mut error = Map::from_iter([("code".to_owned(), Json::from(code))]);
        error.extend(id.map(|id| ("error_id".to_owned(), Json::from(id))));
        self.envelopes.refused(Refusal {
            message: message.to_owned(),
            error,
        })
    }
}

const SORRY: &str = "Sorry, this request could not be processed. Please try again later.";

fn not_stored() -> NotDone {
    NotDone::Refused(Refusal {
        message: "Not stored, because another object was refused.".to_owned(),
        error: Map::from_iter([("code".to_owned(), Json::from("not_stored"))]),
    })
}
