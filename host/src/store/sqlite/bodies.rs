//! Large documents that were read or written last, in memory.
//!
//! Thousands of hosts are added to one domain by reading its document, megabytes of it, several times for each. A
//! revision is given once in a store and never again, so it says alone whether a document in memory is the stored one.

use std::sync::Arc;

use bson::RawDocumentBuf;
use bson::oid::ObjectId;
use parking_lot::Mutex;

/// Smaller documents are read as fast as they are found here.
pub(super) const LARGE: usize = 32 << 10;

/// Bytes that are kept.
const MOST: usize = 24 << 20;

/// See the module text. The one used last is at the end.
#[derive(Debug, Default)]
pub(super) struct Bodies {
    kept: Mutex<Vec<Kept>>,
}

#[derive(Debug)]
struct Kept {
    id: ObjectId,
    revision: u64,
    body: Arc<RawDocumentBuf>,
}

impl Bodies {
    /// Is the document of this revision not here?
    pub(super) fn lacks(&self, revision: u64) -> bool {
        let kept = self.kept.lock();
        !kept.iter().any(|known| known.revision == revision)
    }

    /// The document of a revision.
    pub(super) fn get(&self, revision: u64) -> Option<Arc<RawDocumentBuf>> {
        let mut kept = self.kept.lock();
        let place = kept.iter().position(|known| known.revision == revision)?;
        kept[place..].rotate_left(1);
        kept.last().map(|known| Arc::clone(&known.body))
    }

    /// Keeps a document, if it is large, instead of an earlier revision of it.
    pub(super) fn keep(&self, id: ObjectId, revision: u64, body: &Arc<RawDocumentBuf>) {
        let size = body.as_bytes().len();
        if !(LARGE..=MOST / 2).contains(&size) {
            return;
        }
        let mut kept = self.kept.lock();
        // A reader may come late with what is an earlier one by now.
        if kept
            .iter()
            .any(|known| known.id == id && known.revision >= revision)
        {
            return;
        }
        kept.retain(|known| known.id != id);
        kept.push(Kept {
            id,
            revision,
            body: Arc::clone(body),
        });
        let mut bytes = 0;
        let fit = kept.iter().rev().take_while(|known| {
            bytes += known.body.as_bytes().len();
            bytes <= MOST
        });
        let fit = fit.count();
        let surplus = kept.len() - fit;
        kept.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use bson::{Binary, doc, spec::BinarySubtype};

    use super::*;

    fn body(size: usize) -> Arc<RawDocumentBuf> {
        let bytes = Binary {
            subtype: BinarySubtype::Generic,
            bytes: vec![0; size],
        };
        let document = doc! { "a": bytes }.to_vec().expect("document");
        Arc::new(RawDocumentBuf::from_bytes(document).expect("document"))
    }

    fn id(number: u8) -> ObjectId {
        ObjectId::from_bytes([number; 12])
    }

    #[test]
    fn what_was_used_last_is_kept() {
        let bodies = Bodies::default();
        bodies.keep(id(1), 1, &body(100));
        assert!(bodies.lacks(1), "small ones are not kept");
        for revision in 2..8_u8 {
            bodies.keep(id(revision), revision.into(), &body(5 << 20));
        }
        let kept = |revisions: &[u64]| {
            let found: Vec<u64> = (0..20)
                .filter(|revision| !bodies.lacks(*revision))
                .collect();
            assert_eq!(found, revisions);
        };
        kept(&[4, 5, 6, 7]);
        assert!(bodies.get(4).is_some() && bodies.get(3).is_none());
        bodies.keep(id(8), 8, &body(5 << 20));
        kept(&[4, 6, 7, 8]);
        bodies.keep(id(7), 9, &body(LARGE));
        bodies.keep(id(7), 3, &body(LARGE));
        kept(&[4, 6, 8, 9]);
        bodies.keep(id(10), 10, &body(20 << 20));
        kept(&[4, 6, 8, 9]);
    }
}
