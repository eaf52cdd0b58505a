//! What the driver's errors mean: try again, say so to the client, or give up.

use std::time::Duration;

use mongodb::error::{
    Error, ErrorKind, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT, WriteFailure,
};

use crate::store::raw::Malformed;
use crate::store::write::CommitError;
use crate::store::{DocKey, StoreError, apply};

/// Codes of the server.
mod code {
    pub(super) const LOCK_TIMEOUT: i32 = 24;
    pub(super) const INDEX_OPTIONS_CONFLICT: i32 = 85;
    pub(super) const NAMESPACE_EXISTS: i32 = 48;
    pub(super) const MAX_TIME_EXPIRED: i32 = 50;
    pub(super) const WRITE_CONFLICT: i32 = 112;
    pub(super) const SNAPSHOT_TOO_OLD: i32 = 239;
    pub(super) const SNAPSHOT_UNAVAILABLE: i32 = 246;
    pub(super) const NO_SUCH_TRANSACTION: i32 = 251;
    pub(super) const DUPLICATE_KEY: i32 = 11000;
    pub(super) const TOO_LARGE: i32 = 10334;
    pub(super) const TOO_LARGE_UPDATE: i32 = 17419;
    pub(super) const TOO_LARGE_INSERT: i32 = 17420;
    pub(super) const TOO_DEEP: i32 = 15;
    /// The primary is gone or going; an election is under way.
    pub(super) const NO_PRIMARY: [i32; 12] = [
        6, 7, 89, 91, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436,
    ];
}

/// Why something did not come about.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The driver or the server says so.
    Driver(Error),
    /// The write set is not to be applied, or the store can't.
    Commit(CommitError),
    /// Another transaction was in the way.
    Again(&'static str),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Driver(error)
    }
}

impl From<CommitError> for Trouble {
    fn from(error: CommitError) -> Self {
        Self::Commit(error)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Commit(CommitError::Store(error))
    }
}

impl Trouble {
    /// A stored document that can't be read.
    pub(super) fn damaged(collection: &str, id: bson::oid::ObjectId, error: Malformed) -> Self {
        let document = DocKey {
            collection: collection.to_owned(),
            id,
        };
        apply::damaged(&document, error).into()
    }

    /// May the same succeed a moment later?
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Driver(error) => is_transient(error),
            Self::Again(_) => true,
            Self::Commit(_) => false,
        }
    }

    /// Does nobody answer, so that it is the same for whoever asks?
    pub(super) fn is_outage(&self) -> bool {
        match self {
            Self::Driver(error) => is_unreachable(error),
            Self::Commit(CommitError::Store(StoreError::Unavailable(_))) => true,
            Self::Commit(_) | Self::Again(_) => false,
        }
    }

    pub(super) fn into_store(self, longest: Duration) -> StoreError {
        match self {
            Self::Driver(error) => store_error(&error, longest),
            Self::Commit(CommitError::Store(error)) => error,
            Self::Commit(other) => StoreError::Engine(other.to_string()),
            Self::Again(why) => StoreError::Unavailable(why.to_owned()),
        }
    }

    pub(super) fn into_commit(self, longest: Duration) -> CommitError {
        match self {
            Self::Commit(error) => error,
            Self::Driver(error) => match code_of(&error) {
                Some(code::TOO_LARGE | code::TOO_LARGE_INSERT | code::TOO_LARGE_UPDATE) => {
                    CommitError::Impossible("a document would be larger than 16 MiB".to_owned())
                }
                Some(code::TOO_DEEP) => {
                    CommitError::Impossible("a document is nested too deeply".to_owned())
                }
                _ => CommitError::Store(store_error(&error, longest)),
            },
            other => CommitError::Store(other.into_store(longest)),
        }
    }
}

/// The server's code for what went wrong, if it was the server.
pub(super) fn code_of(error: &Error) -> Option<i32> {
    match error.kind.as_ref() {
        ErrorKind::Command(command) => Some(command.code),
        ErrorKind::Write(WriteFailure::WriteError(failure)) => Some(failure.code),
        ErrorKind::Write(WriteFailure::WriteConcernError(failure)) => Some(failure.code),
        ErrorKind::InsertMany(failure) => {
            match (&failure.write_errors, &failure.write_concern_error) {
                (Some(errors), _) if !errors.is_empty() => errors.first().map(|error| error.code),
                (_, Some(error)) => Some(error.code),
                _ => None,
            }
        }
        _ => None,
    }
}

pub(super) fn is_transient(error: &Error) -> bool {
    error.contains_label(TRANSIENT_TRANSACTION_ERROR)
        || matches!(
            code_of(error),
            Some(
                code::WRITE_CONFLICT
                    | code::LOCK_TIMEOUT
                    | code::SNAPSHOT_TOO_OLD
                    | code::SNAPSHOT_UNAVAILABLE
                    | code::NO_SUCH_TRANSACTION
            )
        )
}

/// Is it unknown whether a transaction was committed?
pub(super) fn is_unknown(error: &Error) -> bool {
    error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT)
}

pub(super) fn is_duplicate(error: &Error) -> bool {
    code_of(error) == Some(code::DUPLICATE_KEY)
}

pub(super) fn exists_already(error: &Error) -> bool {
    code_of(error) == Some(code::NAMESPACE_EXISTS)
}

/// The same index, under another name: somebody else's, and as good.
pub(super) fn is_there_by_another_name(error: &Error) -> bool {
    code_of(error) == Some(code::INDEX_OPTIONS_CONFLICT)
        && error.to_string().contains("different name")
}

pub(super) fn is_unreachable(error: &Error) -> bool {
    match error.kind.as_ref() {
        ErrorKind::ServerSelection { .. }
        | ErrorKind::ConnectionPoolCleared { .. }
        | ErrorKind::DnsResolve { .. }
        | ErrorKind::Io(_) => true,
        _ => code_of(error).is_some_and(|code| code::NO_PRIMARY.contains(&code)),
    }
}

pub(super) fn store_error(error: &Error, longest: Duration) -> StoreError {
    if code_of(error) == Some(code::MAX_TIME_EXPIRED) {
        return StoreError::TooSlow(u64::try_from(longest.as_millis()).unwrap_or(u64::MAX));
    }
    if matches!(error.kind.as_ref(), ErrorKind::Shutdown) {
        return closed();
    }
    if is_unreachable(error) || is_transient(error) || is_unknown(error) {
        return StoreError::Unavailable(said(error));
    }
    StoreError::Engine(said(error))
}

/// What the driver says, without its list of labels.
pub(super) fn said(error: &Error) -> String {
    error.kind.to_string()
}

pub(super) fn closed() -> StoreError {
    StoreError::Engine("the store has been closed".to_owned())
}

/// Waits longer each time, each process differently, and not for ever.
pub(super) struct Patience {
    since: std::time::Instant,
    longest: Duration,
    times: u32,
}

impl Patience {
    pub(super) fn new(longest: Duration) -> Self {
        Self {
            since: std::time::Instant::now(),
            longest,
            times: 0,
        }
    }

    /// Waits, unless it has been long enough: then false.
    pub(super) async fn wait(&mut self) -> bool {
        if self.since.elapsed() > self.longest {
            return false;
        }
        let most = 2_u64 << self.times.min(7);
        self.times += 1;
        let share = u64::from(getrandom::u32().unwrap_or(u32::MAX / 2)) * most;
        tokio::time::sleep(Duration::from_micros((share * 1000) >> 32)).await;
        true
    }
}

/// What a command says of a statement that failed.
pub(super) fn write_failure(failure: &bson::Document) -> Trouble {
    let text = failure.get_str("errmsg").unwrap_or("a write failed");
    match failure.get_i32("code") {
        Ok(code::WRITE_CONFLICT | code::DUPLICATE_KEY) => {
            Trouble::Again("others write the same documents all the time")
        }
        Ok(code::TOO_LARGE | code::TOO_LARGE_INSERT | code::TOO_LARGE_UPDATE) => {
            CommitError::Impossible("a document would be larger than 16 MiB".to_owned()).into()
        }
        Ok(code) if code::NO_PRIMARY.contains(&code) => {
            StoreError::Unavailable(text.to_owned()).into()
        }
        _ => StoreError::Engine(text.to_owned()).into(),
    }
}
