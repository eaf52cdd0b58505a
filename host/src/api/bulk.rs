//! `POST /api/v1/RESOURCE/?bulk=1`: many objects in one request. Ours, not the original's.
//!
//! Every object is a POST of its own, carried out in the order sent; the answer has one line of JSON for each, in that order:
//! what its own POST would have been answered. A hundred share one commit. With `atomic=1` all of them do, or nothing is stored.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
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
    Batch, Created, Mode, NotDone, Object, Params, Passing, Refusal, Registry, Together, Turn,
    TypeEntry,
};
use crate::query::is_on;

/// Objects in one transaction: enough to share a commit, few enough that other requests hardly wait.
const BATCH: usize = 100;
/// Batches under way: one runs while the one before is being stored.
const AT_ONCE: usize = 2;
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
    let bulk = Bulk {
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
        is_busy: AtomicBool::new(false),
    };
    let body = if is_on("atomic") {
        Body::from(bulk.together(objects).await?)
    } else {
        let bulk = Arc::new(bulk);
        let lines = stream::iter(parts(objects)).map(move |part| {
            let bulk = Arc::clone(&bulk);
            async move {
                let lines = bulk.carry_out(part, Together::Each).await;
                Ok::<_, std::convert::Infallible>(Bytes::from(lines))
            }
        });
        Body::from_stream(lines.buffered(AT_ONCE))
    };
    Ok(answer::response(StatusCode::OK, rows::NDJSON, body))
}

/// Some of the objects, and when they may be stored.
struct Part {
    /// How many come before.
    first: u64,
    objects: Vec<Result<Params, &'static str>>,
    turn: Turn,
    /// The turn of the next part.
    passing: Option<Passing>,
}

/// The objects in parts, each of which has its turn after the one before.
fn parts(mut objects: Objects) -> impl Iterator<Item = Part> + Send {
    let (mut first, mut turn) = (0, Turn::now());
    std::iter::from_fn(move || {
        let objects: Vec<_> = objects.by_ref().take(BATCH).collect();
        if objects.is_empty() {
            return None;
        }
        let (passing, next) = Turn::after();
        let part = Part {
            first,
            turn: std::mem::replace(&mut turn, next),
            passing: Some(passing),
            objects,
        };
        first += part.objects.len() as u64;
        Some(part)
    })
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
    /// The store can't be reached: what follows is not tried.
    is_busy: AtomicBool,
}

impl Bulk {
    async fn together(&self, objects: Objects) -> Result<Vec<u8>, Failure> {
        let objects: Vec<_> = objects.take(MOST_TOGETHER + 1).collect();
        if objects.len() > MOST_TOGETHER {
            return Err(Failure::BadRequest(format!(
                "With atomic=1 a request may have {MOST_TOGETHER} objects."
            )));
        }
        let part = Part {
            first: 0,
            objects,
            turn: Turn::now(),
            passing: None,
        };
        Ok(self.carry_out(part, Together::All).await)
    }

    /// The answers to some objects, a line each.
    async fn carry_out(&self, part: Part, together: Together) -> Vec<u8> {
        let Part {
            first,
            objects,
            turn,
            passing,
        } = part;
        let is_broken = objects.iter().any(Result::is_err);
        let what = ["POST", &self.of.declaration.resource];
        let sound: Vec<Object> = (first..)
            .zip(&objects)
            .filter_map(|(position, object)| {
                let params = object.as_ref().ok()?.clone();
                let key = self.key.as_ref();
                let once = key.map(|key| key.once(Some(position), &what, &params));
                Some(Object { params, once })
            })
            .collect();
        let answers = if self.is_busy.load(Ordering::Relaxed) {
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
                    Batch {
                        objects: sound,
                        mode: self.mode,
                        together,
                        turn,
                    },
                )
                .await
        };
        let is_busy = |answer: &Result<_, NotDone>| matches!(answer, Err(NotDone::Busy(_)));
        if let Some(passing) = passing
            && !answers.iter().any(is_busy)
        {
            passing.pass();
        }
        let mut answers = answers.into_iter();
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

    fn envelope(&self, answer: Option<Result<Created, NotDone>>) -> Map<String, Json> {
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
                if !self.is_busy.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%reason, "objects of many were not stored: busy");
                }
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
