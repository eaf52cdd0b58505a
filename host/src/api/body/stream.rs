//! A body as it arrives: counted, with a limit on how long the client may pause.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};

use crate::api::failure::Failure;

/// How long a client may send nothing.
const PAUSE: Duration = Duration::from_secs(60);

/// Why a body could not be read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum ReadError {
    /// Rule L1.
    #[error("the body is too large")]
    TooLarge,
    /// The client paused for too long.
    #[error("the body did not arrive in time")]
    TooSlow,
    /// The connection broke.
    #[error("the connection broke")]
    Broken,
    /// Whoever reads it got too much without getting anywhere: headers of a part without end.
    #[error("the headers of a part are too long")]
    NoProgress,
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::TooLarge => Self::TooLarge,
            ReadError::TooSlow => Self::TooSlow,
            ReadError::Broken => Self::BadRequest("The request body is incomplete.".into()),
            ReadError::NoProgress => {
                Self::BadRequest("Request is not valid multipart/form-data.".into())
            }
        }
    }
}

/// Bytes handed over since the reader last reported progress.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress(Arc<AtomicUsize>);

impl Progress {
    /// Most bytes between two reports.
    const MOST: usize = 1 << 20;

    /// The reader got somewhere.
    pub(super) fn made(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// The body in pieces. A reader that takes one without reporting progress has to be polled again for the next one, so
/// that a parser that reads until nothing is ready does not collect the whole body.
pub(super) fn pieces(
    body: Body,
    most: u64,
    progress: Progress,
) -> impl Stream<Item = Result<Bytes, ReadError>> + Send {
    let begin = Some((body.into_data_stream(), 0_u64));
    stream::unfold(begin, move |state| {
        let progress = progress.clone();
        async move {
            let (mut body, before) = state?;
            if progress.0.load(Ordering::Relaxed) > 0 {
                tokio::task::yield_now().await;
            }
            if progress.0.load(Ordering::Relaxed) > Progress::MOST {
                return Some((Err(ReadError::NoProgress), None));
            }
            let piece = match tokio::time::timeout(PAUSE, body.next()).await {
                Ok(None) => return None,
                Ok(Some(Ok(piece))) => piece,
                Ok(Some(Err(_))) => return Some((Err(ReadError::Broken), None)),
                Err(_) => return Some((Err(ReadError::TooSlow), None)),
            };
            let read = before + piece.len() as u64;
            if read > most {
                return Some((Err(ReadError::TooLarge), None));
            }
            progress.0.fetch_add(piece.len(), Ordering::Relaxed);
            Some((Ok(piece), Some((body, read))))
        }
    })
}

/// The whole body.
pub(super) async fn read(body: Body, most: u64) -> Result<Bytes, ReadError> {
    let progress = Progress::default();
    let mut pieces = std::pin::pin!(pieces(body, most, progress.clone()));
    let mut whole = BytesMut::new();
    while let Some(piece) = pieces.next().await {
        whole.extend_from_slice(&piece?);
        progress.made();
    }
    Ok(whole.freeze())
}
