//! What a service says and does while it runs. Each takes effect at once: what was added stays when the service fails later.

use std::sync::Arc;

use async_trait::async_trait;
use bson::oid::ObjectId;

use crate::plugins::value::{Arg, Failure, Outcome};
use crate::plugins::work::Relation;
use crate::store::StagedFile;

/// Where results, lines of the log and changes of a run go.
#[async_trait]
pub trait Sink: Send + Sync {
    /// `task.id`.
    fn id(&self) -> String;

    /// `task.add-result`.
    async fn add_result(&self, subtype: &str, text: &str, details: &str) -> Result<(), Failure>;

    /// `task.note`.
    async fn note(&self, level: u8, message: &str) -> Result<(), Failure>;

    /// `task.cancelled`.
    async fn is_cancelled(&self) -> Result<bool, Failure>;

    /// `documents.create`: the answer, and the document it is about. `Value::File(i + 1)` among the arguments means the file
    /// at position `i`.
    async fn create(
        &self,
        type_name: &str,
        args: Vec<Arg>,
        files: Vec<Arc<StagedFile>>,
    ) -> Result<(Outcome, Option<(String, ObjectId)>), Failure>;

    /// `documents.relate`: two documents by type and id.
    async fn relate(
        &self,
        left: (String, ObjectId),
        relationship: &str,
        right: (String, ObjectId),
        details: Vec<Arg>,
    ) -> Result<Relation, Failure>;
}
