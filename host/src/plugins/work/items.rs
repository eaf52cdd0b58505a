//! Several POSTs in one transaction, one after the other. Each finds what the ones before have written as if it were stored
//! already, and one that is refused leaves nothing behind.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bson::oid::ObjectId;
use serde_json::Value as Json;

use super::documents::draft_failed;
use super::rules::date;
use super::{Concerned, Savepoint, Work};
use crate::plugins::Refusal;
use crate::plugins::registry::TypeEntry;
use crate::plugins::value::{Failure, Fault, Outcome};
use crate::store::{FieldPath, Op, StagedFile};

/// Type and id of the document that a refusal is about.
type About = Option<(String, ObjectId)>;

/// Why one POST of several was not carried out.
pub enum Refused {
    /// The handler's fault, or one of the rules on results, with the document that it is about.
    Fault(Fault, About),
    /// The check that was left to the handler (`denied` of [`Work::begin_item`]).
    Denied(Refusal),
}

/// What one POST of several came to.
pub struct Item {
    /// The handler's answer with the document it names.
    pub answer: Result<(Outcome, Option<Concerned>), Refused>,
    /// Sentences for `warnings`.
    pub warnings: Vec<String>,
    /// Its effective writes, as [`Work::operations`]; none unless they were asked for.
    pub operations: Vec<Json>,
}

impl Work {
    /// Opens the frame of the next POST. Arguments and permission were checked before; `files` are those that the
    /// arguments refer to, `denied` as in [`Work::begin_create`]. Budgets begin anew. `now`: its time in the form of stored
    /// dates, not before that of the POST before.
    pub fn begin_item(
        &mut self,
        of: &Arc<TypeEntry>,
        files: &[(String, Arc<StagedFile>)],
        denied: Option<Refusal>,
        now: i64,
    ) {
        self.now = now;
        self.creates = 0;
        self.made_bytes = 0;
        self.earlier_documents = self.documents.len();
        self.earlier_uploads = self.uploads.len();
        self.savepoints.push(Savepoint {
            log: self.log.len(),
            documents: self.documents.len(),
            warnings: 0,
            registered: self.registered.len(),
            before: HashMap::new(),
        });
        let frame = self.push_frame(
            &of.plugin,
            "",
            &of.declaration.name,
            &of.declaration.touches,
        );
        frame.denied = denied;
        self.number_files(files);
    }

    /// Closes the frame of [`Work::begin_item`]. A fault, the handler's own or one of the rules on results, takes back what
    /// the POST wrote. `tells`: its operations are asked for.
    ///
    /// None: it has written to a document to which one before it wrote at the same time. That was taken back too; it has to
    /// be carried out at a later time, as entries of a list are told from one another by their dates.
    ///
    /// # Errors
    ///
    /// Aborts alone.
    pub fn end_item(
        &mut self,
        answer: Result<Outcome, Fault>,
        tells: bool,
    ) -> Result<Option<Item>, Failure> {
        if answer.is_ok() && self.is_too_soon() {
            self.about = None;
            self.warnings.clear();
            self.frames.pop();
            if let Some(savepoint) = self.savepoints.pop() {
                self.roll_back(savepoint);
            }
            return Ok(None);
        }
        let (about, warnings) = (
            self.about()
                .map(|(type_name, id)| (type_name.to_owned(), id)),
            std::mem::take(&mut self.warnings),
        );
        self.about = None;
        let first = self.savepoints.last().map_or(0, |savepoint| savepoint.log);
        let operations = match tells {
            true => self.operations_from(first),
            false => Vec::new(),
        };
        let answer = match (answer, self.denied()) {
            (Ok(_), Some(refusal)) => Err(Refused::Denied(refusal.clone())),
            (Ok(outcome), None) => match self.completed(&outcome) {
                Ok(concerned) => Ok((outcome, concerned)),
                Err(Failure::Fault(fault)) => Err(Refused::Fault(fault, about)),
                Err(abort @ Failure::Abort(_)) => return Err(abort),
            },
            (Err(fault), _) => Err(Refused::Fault(fault, about)),
        };
        self.frames.pop();
        if let Some(savepoint) = self.savepoints.pop() {
            match &answer {
                Ok(_) => self.settle(&savepoint)?,
                Err(_) => self.roll_back(savepoint),
            }
        }
        Ok(Some(Item {
            answer,
            warnings,
            operations,
        }))
    }

    /// Has the present POST written to a document to which an earlier one wrote at the same time?
    fn is_too_soon(&self) -> bool {
        let first = self.savepoints.last().map_or(0, |savepoint| savepoint.log);
        self.log[first..]
            .iter()
            .any(|entry| self.documents[entry.document].settled == Some(self.now))
    }

    /// Checks what a POST leaves behind; what it is about.
    fn completed(&self, outcome: &Outcome) -> Result<Option<Concerned>, Failure> {
        for index in self.touched() {
            self.check_result(index)?;
        }
        self.concerned(outcome)
    }

    /// Documents that have been opened or changed since the last savepoint.
    fn touched(&self) -> BTreeSet<usize> {
        let Some(savepoint) = self.savepoints.last() else {
            return BTreeSet::new();
        };
        (savepoint.documents..self.documents.len())
            .filter(|index| !self.documents[*index].withdrawn)
            .chain(savepoint.before.keys().copied())
            .collect()
    }

    /// From here on what a POST wrote is what the following ones find.
    fn settle(&mut self, savepoint: &Savepoint) -> Result<(), Failure> {
        let now = self.now;
        let mut changed: HashMap<usize, BTreeSet<String>> = HashMap::new();
        for entry in &self.log[savepoint.log..] {
            changed
                .entry(entry.document)
                .or_default()
                .insert(entry.operation.path().root().to_owned());
            if !entry.partner {
                self.documents[entry.document].moved = Some(now);
            }
        }
        for index in
            (savepoint.documents..self.documents.len()).chain(savepoint.before.keys().copied())
        {
            let document = &self.documents[index];
            if document.withdrawn {
                continue;
            }
            let is_new = document.revision.is_none() && document.settled.is_none();
            let audit = match changed.get(&index) {
                _ if is_new => Some("new document".to_owned()),
                Some(roots) => Some(Vec::from_iter(roots.iter().map(String::as_str)).join(",")),
                None => None,
            };
            if let Some(audit) = audit {
                self.audited.push((index, audit));
                let hidden = self.is_hidden(index)?;
                let document = &mut self.documents[index];
                document.hidden = hidden;
                document.settled = Some(now);
                // What is not stored yet has no operations of its own: it is stored as it is in the end.
                let is_changed_again = document.revision.is_none() && !is_new;
                if is_changed_again && document.moved == Some(now) && document.has_modified() {
                    let modified = Op::Set(FieldPath::literal("modified"), date(now));
                    document.draft.apply(&modified).map_err(draft_failed)?;
                }
            }
            let document = &mut self.documents[index];
            document.claimed = false;
            document.source_added = false;
        }
        Ok(())
    }

    /// Rule S1 on a document as it is now in this transaction.
    fn is_hidden(&self, index: usize) -> Result<bool, Failure> {
        let document = &self.documents[index];
        if !document.of.declaration.sources {
            return Ok(false);
        }
        let pairs = document.draft.pairs().map_err(draft_failed)?;
        Ok(!self.request.caller.rights.sees(&pairs))
    }
}
