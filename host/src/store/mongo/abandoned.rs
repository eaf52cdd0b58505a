//! Transactions that a process left open when it was killed.
//!
//! The server keeps what they have written locked until they are `transactionLifetimeLimitSeconds` old, a minute by
//! default. A committer that is in the way of another sends its next command within milliseconds; one that has sent none
//! for [`IDLE`] is dead, or will find its transaction given up and begin another.

use std::time::{Duration, Instant};

use bson::{Bson, Document, doc};
use mongodb::Client;
use mongodb::options::ReadConcern;

use super::connect::APP_NAME;

/// For how long the owner of a transaction has to be silent.
const IDLE: Duration = Duration::from_secs(3);

/// How long somebody waits for a document before it is asked who has it, and between two questions.
const PAUSE: Duration = Duration::from_millis(500);

/// A look that takes longer is given up.
const LONGEST: Duration = Duration::from_secs(1);

/// Looks for abandoned transactions while somebody waits for what they hold.
pub(super) struct Watch {
    asked: Instant,
}

impl Watch {
    /// Begins to wait.
    pub(super) fn new() -> Self {
        Self {
            asked: Instant::now(),
        }
    }

    /// To be called each time the wait was in vain. That it did not come about is no reason to stop waiting.
    pub(super) async fn look(&mut self, client: &Client) {
        if self.asked.elapsed() < PAUSE {
            return;
        }
        match tokio::time::timeout(LONGEST, end_abandoned(client)).await {
            Ok(Ok(0)) => {}
            Ok(Ok(ended)) => tracing::info!(
                ended,
                "transactions of processes that are gone were given up"
            ),
            Ok(Err(error)) => tracing::warn!(%error, "no look at abandoned transactions"),
            Err(_) => tracing::warn!("the look at abandoned transactions took too long"),
        }
        self.asked = Instant::now();
    }
}

/// Ends the sessions of critd whose transactions are open and have been idle for [`IDLE`]. How many.
///
/// A user of the database may always see and end what is their own; it needs no further privilege.
async fn end_abandoned(client: &Client) -> mongodb::error::Result<usize> {
    let admin = client.database("admin");
    let idle = i64::try_from(IDLE.as_micros()).unwrap_or(i64::MAX);
    let pipeline = [
        doc! { "$currentOp": { "idleSessions": true } },
        doc! { "$match": {
            "type": "idleSession",
            "appName": APP_NAME,
            "transaction.timeInactiveMicros": { "$gt": idle },
        } },
        doc! { "$project": { "session": "$lsid.id" } },
    ];
    let mut cursor = admin
        .aggregate(pipeline)
        .read_concern(ReadConcern::local())
        .await?;
    let mut sessions = Vec::new();
    while cursor.advance().await? {
        let found: Document = cursor.deserialize_current()?;
        if let Some(id @ Bson::Binary(_)) = found.get("session") {
            sessions.push(doc! { "id": id });
        }
    }
    let ended = sessions.len();
    if ended > 0 {
        admin.run_command(doc! { "killSessions": sessions }).await?;
    }
    Ok(ended)
}
