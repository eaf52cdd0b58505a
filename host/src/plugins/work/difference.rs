//! What a transaction would change, for those who ask before they do it (`dry_run`).

use std::sync::Arc;

use bson::RawDocumentBuf;
use bson::oid::ObjectId;

use super::{Failure, Op, Work};
use crate::plugins::registry::TypeEntry;

/// A document that would be written.
#[derive(Debug, Clone)]
pub struct Changed {
    /// Its type.
    pub of: Arc<TypeEntry>,
    /// Its id.
    pub id: ObjectId,
    /// As it is; none: there is no such document yet.
    pub before: Option<Arc<RawDocumentBuf>>,
    /// As it would be, but for `modified`; none: it would be gone.
    pub after: Option<Arc<RawDocumentBuf>>,
}

impl Work {
    /// The documents that would be written, in the order in which they were met; none of those that the caller may not see.
    ///
    /// # Errors
    ///
    /// The store holds something unreadable.
    pub fn changed(&self) -> Result<Vec<Changed>, Failure> {
        let mut all = Vec::new();
        for (index, document) in self.documents.iter().enumerate() {
            if document.withdrawn || document.hidden {
                continue;
            }
            let before = match document.revision {
                None => None,
                Some(_) if document.removed => Some(Arc::clone(document.draft.base())),
                Some(_) => {
                    let written = self.log.iter().filter(|entry| entry.document == index);
                    let operations: Vec<Op> =
                        written.map(|entry| entry.operation.clone()).collect();
                    if operations.is_empty()
                        || super::finish::leaves_all_as_it_was(document, &operations)?
                    {
                        continue;
                    }
                    Some(Arc::clone(document.draft.base()))
                }
            };
            all.push(Changed {
                of: Arc::clone(&document.of),
                id: document.id,
                before,
                after: (!document.removed).then(|| Arc::new(document.draft.to_raw())),
            });
        }
        Ok(all)
    }
}
