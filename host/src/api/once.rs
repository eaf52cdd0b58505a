//! The header `Idempotency-Key`: a request that comes again within a day is answered as it was, and not carried out again.
//! Ours, not the original's.

use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use sha2::{Digest, Sha256};

use super::failure::Failure;
use super::pipeline::Call;
use crate::plugins::{Once, Param, Params};

const KEY: &str = "idempotency-key";
/// Longest key, in bytes.
const LONGEST: usize = 255;
const REPEATED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// A key as it was sent, with whose it is.
#[derive(Clone)]
pub(super) struct Key(Sha256);

impl Key {
    /// The key of a request, if it has one.
    ///
    /// # Errors
    ///
    /// One that is no key.
    pub(super) fn of(call: &Call<'_>) -> Result<Option<Self>, Failure> {
        let Some(sent) = call.headers.get(KEY) else {
            return Ok(None);
        };
        let is_key = |text: &&str| (1..=LONGEST).contains(&text.len());
        let Some(text) = sent.to_str().ok().map(str::trim).filter(is_key) else {
            return Err(Failure::BadRequest(format!(
                "Idempotency-Key takes 1 to {LONGEST} printable ASCII characters."
            )));
        };
        let digest = Sha256::new()
            .chain_update(call.caller.user.as_bytes())
            .chain_update([0])
            .chain_update(text.as_bytes());
        Ok(Some(Self(digest)))
    }

    /// For a request, or the object at a position of many. `what` and the parameters are what was asked for.
    pub(super) fn once(&self, position: Option<u64>, what: &[&str], params: &Params) -> Once {
        let mut key = self.0.clone();
        if let Some(position) = position {
            key.update([0]);
            key.update(position.to_be_bytes());
        }
        let mut request = Sha256::new();
        let mut add = |bytes: &[u8]| {
            request.update((bytes.len() as u64).to_be_bytes());
            request.update(bytes);
        };
        what.iter().for_each(|part| add(part.as_bytes()));
        for (name, value) in params {
            add(name.as_bytes());
            match value {
                Param::Text(text) => add(text.as_bytes()),
                Param::Json(value) => add(value.to_string().as_bytes()),
                Param::File(file) => {
                    add(file.name.as_bytes());
                    add(&file.sha256);
                }
            }
        }
        Once {
            key: key.finalize().into(),
            request: request.finalize().into(),
        }
    }
}

/// Says that an answer is the one of before.
pub(super) fn mark(response: &mut Response, is_repeated: bool) {
    if is_repeated {
        response
            .headers_mut()
            .insert(REPEATED, HeaderValue::from_static("true"));
    }
}
