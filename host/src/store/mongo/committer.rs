//! Takes what waits into one transaction (group commit), answers after it.
//!
//! One committer a process: its own write sets never meet as transactions. Those of several processes may; then one of
//! them is refused by the server and tried again.

use std::sync::Arc;
use std::time::Duration;

use mongodb::ClientSession;
use mongodb::options::ReadConcern;
use tokio::sync::{mpsc, oneshot};

use super::abandoned::Watch;
use super::connect::durable;
use super::errors::{Patience, Trouble, is_transient, is_unknown, said};
use super::group::Group;
use super::{Revisions, Shared};
use crate::store::StoreError;
use crate::store::write::{CommitError, Write, WriteSet};

/// Write sets that go into one transaction at most.
const GROUP: usize = 64;

/// Times that a group is tried before its members are tried one by one.
const TRIES: u32 = 6;

type Answer = Result<(), CommitError>;

/// A write set and who waits for its end.
pub(super) struct Waiting {
    pub(super) changes: WriteSet,
    pub(super) reply: oneshot::Sender<Answer>,
}

/// Works until nobody is left to ask.
pub(super) async fn run(shared: Arc<Shared>, mut jobs: mpsc::UnboundedReceiver<Waiting>) {
    let mut committer = Committer {
        shared,
        revisions: Revisions::default(),
    };
    while let Some(first) = jobs.recv().await {
        let mut waiting = vec![first];
        while waiting.len() < GROUP {
            match jobs.try_recv() {
                Ok(next) => waiting.push(next),
                Err(_) => break,
            }
        }
        committer.commit(waiting).await;
    }
}

struct Committer {
    shared: Arc<Shared>,
    revisions: Revisions,
}

impl Committer {
    async fn commit(&mut self, waiting: Vec<Waiting>) {
        let (changes, replies): (Vec<WriteSet>, Vec<_>) = waiting
            .into_iter()
            .map(|waiting| (waiting.changes, waiting.reply))
            .unzip();
        let tries = if changes.len() > 1 { TRIES } else { u32::MAX };
        match self.attempt_often(&changes, tries).await {
            Ok(answers) => {
                for (reply, answer) in replies.into_iter().zip(answers) {
                    let _ = reply.send(answer);
                }
            }
            // Nobody answers: that is so for each of them.
            Err(trouble) if trouble.is_outage() => {
                let error = trouble.into_commit(self.shared.options.longest_query);
                for reply in replies {
                    let _ = reply.send(Err(repeated(&error)));
                }
            }
            // What is wrong with one must not fail those who happened to come along with it.
            Err(trouble) => {
                let alone = changes.len() == 1;
                let mut trouble = Some(trouble);
                for (changes, reply) in changes.iter().zip(replies) {
                    let answer = match trouble.take_if(|_| alone) {
                        Some(trouble) => Err(trouble),
                        None => self
                            .attempt_often(std::slice::from_ref(changes), u32::MAX)
                            .await
                            .map(|mut answers| answers.pop()),
                    };
                    let answer = match answer {
                        Ok(answer) => answer.unwrap_or_else(|| Err(lost())),
                        Err(trouble) => Err(trouble.into_commit(self.shared.options.longest_query)),
                    };
                    let _ = reply.send(answer);
                }
            }
        }
    }

    /// Tries until it is known what becomes of the group, or it takes too long.
    async fn attempt_often(
        &mut self,
        changes: &[WriteSet],
        tries: u32,
    ) -> Result<Vec<Answer>, Trouble> {
        let mut patience = Patience::new(self.shared.options.patience);
        let written = || {
            let writes = changes.iter().flat_map(|changes| &changes.writes);
            writes.map(Write::collection)
        };
        while let Err(trouble) = self.shared.make_written(written()).await {
            let may_pass = trouble.is_transient() || trouble.is_outage();
            if !may_pass || !patience.wait().await {
                return Err(trouble);
            }
        }
        let mut watch = Watch::new();
        let mut tried = 0;
        loop {
            tried += 1;
            let longest = self.shared.options.longest_commit;
            let attempt = tokio::time::timeout(longest, self.attempt(changes)).await;
            let trouble = match attempt {
                Ok(Ok(answers)) => return Ok(answers),
                Ok(Err(trouble)) => trouble,
                Err(_) => {
                    return Err(StoreError::Unavailable(format!(
                        "the database did not answer within {} s; it is not known whether the change was stored",
                        longest.as_secs()
                    ))
                    .into());
                }
            };
            if !trouble.is_transient() || tried >= tries || !patience.wait().await {
                return Err(trouble);
            }
            watch.look(&self.shared.client).await;
        }
    }

    /// One transaction for all. Trouble concerns everybody; what concerns one is among the answers.
    async fn attempt(&mut self, changes: &[WriteSet]) -> Result<Vec<Answer>, Trouble> {
        let mut session = self.shared.client.start_session().await?;
        session
            .start_transaction()
            .read_concern(ReadConcern::snapshot())
            .write_concern(durable())
            .max_commit_time(self.shared.options.longest_commit)
            .await?;
        let done = self.within(&mut session, changes).await;
        match done {
            Ok((answers, None)) => {
                end(&mut session).await;
                Ok(answers)
            }
            Ok((answers, Some(outcome))) => {
                self.finish(&mut session).await?;
                if let Some(revision) = outcome.administrative {
                    self.shared.administrative_commit(revision);
                }
                Ok(answers)
            }
            Err(trouble) => {
                end(&mut session).await;
                Err(trouble)
            }
        }
    }

    async fn within(
        &mut self,
        session: &mut ClientSession,
        changes: &[WriteSet],
    ) -> Result<(Vec<Answer>, Option<super::flush::Outcome>), Trouble> {
        let mut group = Group::new(&self.shared, session);
        let answers = group.admit_all(changes).await?;
        if !group.is_dirty() {
            return Ok((answers, None));
        }
        let outcome = group.flush(&mut self.revisions).await?;
        Ok((answers, Some(outcome)))
    }

    /// Commits. Asking again after a lost answer does not commit twice.
    async fn finish(&self, session: &mut ClientSession) -> Result<(), Trouble> {
        let mut patience = Patience::new(self.shared.options.patience);
        loop {
            let error = match session.commit_transaction().await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if is_transient(&error) && !is_unknown(&error) {
                return Err(error.into());
            }
            if !is_unknown(&error) {
                return Err(error.into());
            }
            if !patience.wait().await {
                return Err(StoreError::Unavailable(format!(
                    "it is not known whether the change was stored: {}",
                    said(&error)
                ))
                .into());
            }
        }
    }
}

/// Gives a transaction up; what can't be told to the server, the server finds out by itself.
async fn end(session: &mut ClientSession) {
    let _ = tokio::time::timeout(Duration::from_secs(2), session.abort_transaction()).await;
}

fn lost() -> CommitError {
    CommitError::Store(StoreError::Engine(
        "an answer was lost; this is a defect".to_owned(),
    ))
}

/// One error for each who waits.
fn repeated(error: &CommitError) -> CommitError {
    CommitError::Store(match error {
        CommitError::Store(StoreError::Unavailable(text)) => StoreError::Unavailable(text.clone()),
        CommitError::Store(StoreError::TooSlow(limit)) => StoreError::TooSlow(*limit),
        CommitError::Store(StoreError::Engine(text)) => StoreError::Engine(text.clone()),
        other => StoreError::Engine(other.to_string()),
    })
}
