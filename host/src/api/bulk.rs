//! `POST /api/v1/RESOURCE/?bulk=1`: many objects in one request. Ours, not the original's.
//!
//! Every object is a POST of its own, carried out in the order sent; the answer has one line of JSON for each, in that order:
//! what its own POST would have been answered. Two hundred share one commit. With `atomic=1` all of them do, or nothing is stored.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _};
use serde_json::{Map, Value as Json};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinError;
use tokio_util::task::AbortOnDropHandle;

use super::answer;
use super::body::objects::{self, Objects};
use super::create::Envelopes;
use super::failure::Failure;
use super::once::Key;
use super::pipeline::Call;
use super::{Handlers, rows};
use crate::access::Caller;
use crate::plugins::{
    Batch, Created, Mode, NotDone, Object, Order, Params, Refusal, Registry, Together, TypeEntry,
};
use crate::query::is_on;

/// Objects in one transaction: enough to share a commit, few enough that other requests hardly wait.
const BATCH: usize = 200;
/// Parts under way: one runs, one waits until the one before it has been stored.
const AT_ONCE: usize = 3;
/// Parts whose answers the client has not taken yet, at most.
const AHEAD: usize = 8;
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
        order: Arc::default(),
        is_busy: AtomicBool::new(false),
    };
    let body = if is_on("atomic") {
        Body::from(bulk.together(objects).await?)
    } else {
        Body::from_stream(bulk.in_parts(objects))
    };
    Ok(answer::response(StatusCode::OK, rows::NDJSON, body))
}

/// What was sent for an object: its parameters, or a sentence about what is none.
type Sent = Result<Params, &'static str>;

/// Some of the objects.
struct Part {
    /// How many parts come before.
    number: u64,
    /// How many objects come before.
    first: u64,
    sent: Vec<Sent>,
}

/// The objects in parts.
fn parts(mut objects: Objects) -> impl Iterator<Item = Part> + Send {
    let mut first = 0;
    (0..).map_while(move |number| {
        let sent: Vec<_> = objects.by_ref().take(BATCH).collect();
        let before = first;
        first += sent.len() as u64;
        (!sent.is_empty()).then_some(Part {
            number,
            first: before,
            sent,
        })
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
    /// In which parts are carried out.
    order: Arc<Order>,
    /// The store can't be reached, which has been told of.
    is_busy: AtomicBool,
}

impl Bulk {
    /// The answers to all objects, in pieces. They are carried out in a task of their own, so that a client that does not read holds
    /// up nothing but what is not begun; what is under way stops when the answer is dropped.
    fn in_parts(self, objects: Objects) -> impl Stream<Item = Result<Bytes, JoinError>> {
        let (bulk, room) = (Arc::new(self), Arc::new(Semaphore::new(AHEAD)));
        let (send, answers) = mpsc::unbounded_channel();
        let work = async move {
            let parts = stream::iter(parts(objects)).map(|part| {
                let (bulk, room) = (Arc::clone(&bulk), Arc::clone(&room));
                async move {
                    // Nobody closes it.
                    let place = room.acquire_owned().await.ok();
                    (bulk.carry_out(part, Together::Each).await, place)
                }
            });
            let mut parts = std::pin::pin!(parts.buffered(AT_ONCE));
            while let Some(answer) = parts.next().await {
                if send.send(answer).is_err() {
                    return;
                }
            }
        };
        let working = Some(AbortOnDropHandle::new(tokio::spawn(work)));
        stream::unfold((answers, working), |(mut answers, working)| async move {
            if let Some((lines, _place)) = answers.recv().await {
                return Some((Ok(Bytes::from(lines)), (answers, working)));
            }
            // What broke must not look like the end.
            let broken = working?.await.err()?;
            Some((Err(broken), (answers, None)))
        })
    }

    async fn together(&self, objects: Objects) -> Result<Vec<u8>, Failure> {
        let objects: Vec<_> = objects.take(MOST_TOGETHER + 1).collect();
        if objects.len() > MOST_TOGETHER {
            return Err(Failure::BadRequest(format!(
                "With atomic=1 a request may have {MOST_TOGETHER} objects."
            )));
        }
        let part = Part {
            number: 0,
            first: 0,
            sent: objects,
        };
        Ok(self.carry_out(part, Together::All).await)
    }

    /// The answers to some objects, a line each.
    async fn carry_out(&self, part: Part, together: Together) -> Vec<u8> {
        let Part {
            number,
            first,
            sent,
        } = part;
        let what = ["POST", &self.of.declaration.resource];
        // The sentences about what is no object keep their places.
        let (mut objects, mut places) = (Vec::with_capacity(sent.len()), Vec::new());
        for (position, sent) in (first..).zip(sent) {
            places.push(sent.as_ref().err().copied());
            if let Ok(params) = sent {
                let key = self.key.as_ref();
                let once = key.map(|key| key.once(Some(position), &what, &params));
                objects.push(Object { params, once });
            }
        }
        let is_broken = places.iter().any(Option::is_some);
        let answers = if is_broken && together == Together::All {
            objects.iter().map(|_| Err(not_stored())).collect()
        } else {
            let batch = Batch {
                objects,
                mode: self.mode,
                together,
                order: Arc::clone(&self.order),
                before: number,
            };
            self.handlers
                .create_many(&self.registry, &self.caller, &self.of, batch)
                .await
        };
        let mut answers = answers.into_iter();
        let mut lines = Vec::with_capacity(places.len() * 256);
        for place in places {
            let line = match place {
                Some(text) => self.envelopes.refused(Refusal {
                    message: text.to_owned(),
                    error: Map::from_iter([("code".to_owned(), Json::from("invalid_body"))]),
                }),
                None => self.envelope(answers.next()),
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
