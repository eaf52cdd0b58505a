//! Actions that keep meeting others on one document run one at a time: each new state has a winner, but without turns it may
//! be the same few who win, and the others run in vain.
//!
//! Only those that have met others take turns, so that actions which do not disturb each other go on side by side. Turns are
//! an order of runs within this process and guard nothing: whether a run counts is still decided by the store.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bson::oid::ObjectId;
use parking_lot::Mutex;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use super::Job;

/// The documents that are taken turns on: (collection, id).
#[derive(Default)]
pub(in crate::plugins) struct Turns(Mutex<HashMap<(String, ObjectId), Weak<Turn<()>>>>);

impl Turns {
    /// Waits for a turn on the document of an action, in the order of those who ask; none: a POST, or it takes too long.
    pub(super) async fn take(&self, job: &Job, longest: Duration) -> Option<OwnedMutexGuard<()>> {
        let Job::Action { on, id, .. } = job else {
            return None;
        };
        let turn = self.of((on.declaration.collection.clone(), *id));
        tokio::time::timeout(longest, turn.lock_owned()).await.ok()
    }

    fn of(&self, document: (String, ObjectId)) -> Arc<Turn<()>> {
        let mut turns = self.0.lock();
        if let Some(turn) = turns.get(&document).and_then(Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::default();
        turns.insert(document, Arc::downgrade(&turn));
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn con_1_documents_have_turns_of_their_own_as_long_as_somebody_waits() {
        let turns = Turns::default();
        let document = |name: &str| (name.to_owned(), ObjectId::from_bytes([1; 12]));
        let one = turns.of(document("events"));
        assert!(Arc::ptr_eq(&one, &turns.of(document("events"))));
        assert!(!Arc::ptr_eq(&one, &turns.of(document("domains"))));
        drop(one);
        turns.of(document("ips"));
        assert_eq!(
            turns.0.lock().len(),
            1,
            "those that nobody waits for are gone"
        );
    }
}
