//! Writes of many documents in few commands.

use bson::{Bson, Document, RawDocumentBuf, doc};
use mongodb::{ClientSession, Database};

use super::errors::{Trouble, write_failure};

/// Statements in one command at most.
const MOST: usize = 500;

/// Bytes of statements in one command, so that it stays below the limit for a document.
const LARGE: usize = 8 << 20;

/// Changes one document.
pub(super) struct Update {
    pub(super) which: Document,
    pub(super) change: Change,
    /// Make it if there is none.
    pub(super) upsert: bool,
}

pub(super) enum Change {
    Operators(Document),
    Whole(RawDocumentBuf),
}

impl Update {
    fn size(&self) -> usize {
        match &self.change {
            Change::Operators(operators) => operators.to_vec().map_or(0, |bytes| bytes.len()),
            Change::Whole(body) => body.as_bytes().len(),
        }
    }
}

/// A place to write, within a transaction or without one.
pub(super) struct Writer<'a> {
    pub(super) database: &'a Database,
    pub(super) session: Option<&'a mut ClientSession>,
}

impl Writer<'_> {
    /// How many documents were there, or have been made.
    pub(super) async fn update(
        &mut self,
        collection: &str,
        updates: Vec<Update>,
    ) -> Result<u64, Trouble> {
        let (mut statements, mut bytes, mut met) = (Vec::new(), 0, 0);
        for update in updates {
            let size = update.size();
            if size > LARGE {
                met += self.update_large(collection, update).await?;
                continue;
            }
            if statements.len() >= MOST || bytes + size > LARGE {
                met += self
                    .send(
                        "update",
                        collection,
                        "updates",
                        std::mem::take(&mut statements),
                    )
                    .await?;
                bytes = 0;
            }
            bytes += size;
            let change = match update.change {
                Change::Operators(operators) => operators,
                Change::Whole(body) => {
                    Document::try_from(body.as_ref()).map_err(mongodb::error::Error::from)?
                }
            };
            statements.push(doc! { "q": update.which, "u": change, "upsert": update.upsert });
        }
        met += self
            .send("update", collection, "updates", statements)
            .await?;
        Ok(met)
    }

    /// The driver sends it apart from the command, so that it may have the full size of a document.
    async fn update_large(&mut self, collection: &str, update: Update) -> Result<u64, Trouble> {
        let handle = self.database.collection::<RawDocumentBuf>(collection);
        let done = match update.change {
            Change::Operators(operators) => {
                let action = handle.update_one(update.which, operators);
                match self.session.as_deref_mut() {
                    Some(session) => action.session(session).await?,
                    None => action.await?,
                }
            }
            Change::Whole(body) => {
                let action = handle.replace_one(update.which, &body);
                match self.session.as_deref_mut() {
                    Some(session) => action.session(session).await?,
                    None => action.await?,
                }
            }
        };
        Ok(done.matched_count)
    }

    pub(super) async fn insert(
        &mut self,
        collection: &str,
        documents: &[RawDocumentBuf],
    ) -> Result<(), Trouble> {
        if documents.is_empty() {
            return Ok(());
        }
        let handle = self.database.collection::<RawDocumentBuf>(collection);
        let action = handle.insert_many(documents);
        match self.session.as_deref_mut() {
            Some(session) => action.session(session).await?,
            None => action.await?,
        };
        Ok(())
    }

    pub(super) async fn delete(
        &mut self,
        collection: &str,
        which: Vec<Document>,
    ) -> Result<u64, Trouble> {
        let mut gone = 0;
        for part in which.chunks(MOST) {
            let statements = part
                .iter()
                .map(|which| doc! { "q": which.clone(), "limit": 1 })
                .collect();
            gone += self
                .send("delete", collection, "deletes", statements)
                .await?;
        }
        Ok(gone)
    }

    async fn send(
        &mut self,
        command: &str,
        collection: &str,
        name: &str,
        statements: Vec<Document>,
    ) -> Result<u64, Trouble> {
        if statements.is_empty() {
            return Ok(0);
        }
        let mut text = doc! { command: collection, name: statements, "ordered": true };
        if self.session.is_none() {
            text.insert("writeConcern", doc! { "w": "majority", "j": true });
        }
        let action = self.database.run_command(text);
        let answer = match self.session.as_deref_mut() {
            Some(session) => action.session(session).await?,
            None => action.await?,
        };
        // A command may succeed although none of its statements did.
        if let Some(Bson::Array(failures)) = answer.get("writeErrors")
            && let Some(Bson::Document(failure)) = failures.first()
        {
            return Err(write_failure(failure));
        }
        if let Some(Bson::Document(failure)) = answer.get("writeConcernError") {
            return Err(write_failure(failure));
        }
        Ok(match answer.get("n") {
            Some(Bson::Int32(n)) => u64::from(n.unsigned_abs()),
            Some(Bson::Int64(n)) => n.unsigned_abs(),
            _ => 0,
        })
    }
}
