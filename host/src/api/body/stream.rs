//! A body as it arrives: counted, with limits on how long the client may pause and how slowly it may send.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};

use crate::api::failure::Failure;

/// How long a client may send nothing.
const PAUSE: Duration = Duration::from_secs(60);
/// Bytes that must arrive in each such time: a client that sends a byte now and then would hold a connection and a file for
/// as long as it likes (checks UP-6).
const LEAST: u64 = 16 << 10;

/// Why a body could not be read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum ReadError {
    /// Rule L1.
    #[error("the body is too large")]
    TooLarge,
    /// The client paused for too long, or sends next to nothing.
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
    let begin = Some((body.into_data_stream(), 0_u64, Pace::default()));
    stream::unfold(begin, move |state| {
        let progress = progress.clone();
        async move {
            let (mut body, before, mut pace) = state?;
            if progress.0.load(Ordering::Relaxed) > 0 {
                tokio::task::yield_now().await;
            }
            if progress.0.load(Ordering::Relaxed) > Progress::MOST {
                return Some((Err(ReadError::NoProgress), None));
            }
            let since = Instant::now();
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
            if pace.is_too_slow(since.elapsed(), read) {
                return Some((Err(ReadError::TooSlow), None));
            }
            progress.0.fetch_add(piece.len(), Ordering::Relaxed);
            Some((Ok(piece), Some((body, read, pace))))
        }
    })
}

/// How fast a client sends. Only the time counts in which it is waited for: what is done with the bytes may take long.
#[derive(Debug, Default)]
struct Pace {
    waited: Duration,
    /// Bytes read when the present span began.
    before: u64,
}

impl Pace {
    /// A piece was waited for so long; so many bytes have been read with it.
    fn is_too_slow(&mut self, waited: Duration, read: u64) -> bool {
        self.waited += waited;
        if self.waited < PAUSE {
            return false;
        }
        let is_too_slow = read - self.before < LEAST;
        self.waited = Duration::ZERO;
        self.before = read;
        is_too_slow
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many of at most 10,000 pieces of so many bytes, each waited for so long, a client is given up.
    fn given_up_after(size: u64, waited: Duration) -> Option<u64> {
        let mut pace = Pace::default();
        (1..=10_000).find(|pieces| pace.is_too_slow(waited, pieces * size))
    }

    #[test]
    fn up_6_a_client_that_drips_is_given_up() {
        let second = Duration::from_secs(1);
        assert_eq!(given_up_after(1, second), Some(60));
        assert_eq!(given_up_after(100, second), Some(60));
        assert_eq!(given_up_after(1, second * 59), Some(2));
        assert_eq!(given_up_after(1024, second), None);
        assert_eq!(given_up_after(20_000, second * 59), None);
        // Fast at first: what came before the present span does not count for it.
        let mut pace = Pace::default();
        assert!(!pace.is_too_slow(second * 60, 100 << 20));
        assert!(pace.is_too_slow(second * 60, (100 << 20) + 10));
    }

    /// What the server does between two pieces is not the client's doing.
    #[test]
    fn up_6_a_slow_reader_gives_nobody_up() {
        assert_eq!(given_up_after(10, Duration::ZERO), None);
    }
}
