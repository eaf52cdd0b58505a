//! Tasks because of a POST (create.md 3.1, rules SVC-12 to SVC-14, SVC-31). The POST neither fails nor waits because of it:
//! what takes longer goes on in the background.

use std::sync::Arc;
use std::time::Duration;

use bson::oid::ObjectId;

use super::records::{self, Record};
use super::runner::Desk;
use super::start::{self, Objection};
use super::tasks::{self, NewTask, is};
use crate::access::Caller;
use crate::dates;
use crate::plugins::declaration::Triage;
use crate::plugins::perform::new_request;
use crate::plugins::registry::{Registry, TypeEntry};
use crate::plugins::value::Failure;
use crate::plugins::work::{Eyes, Request};
use crate::plugins::{NotDone, Plugins, Services};
use crate::store::{Filter, Store, StoreError, Write, WriteSet};

/// So long an answer waits for the tasks that it tells of.
const PATIENCE: Duration = Duration::from_millis(250);

/// A document that a POST made, or found.
#[derive(Debug, Clone)]
pub(in crate::plugins) struct Made {
    /// Its type.
    pub(in crate::plugins) of: Arc<TypeEntry>,
    /// Its id.
    pub(in crate::plugins) id: ObjectId,
    /// It did not exist before.
    pub(in crate::plugins) is_fresh: bool,
}

/// A task that was made, and its object.
pub(in crate::plugins) type Started = (ObjectId, String);

impl Plugins {
    /// Starts the services that run on new objects. Which tasks there are by now; others may follow. `depth`: how many
    /// creates by services lie between a client's request and these objects.
    pub(in crate::plugins) async fn triage(
        &self,
        registry: &Arc<Registry>,
        caller: &Arc<Caller>,
        made: Vec<Made>,
        depth: i64,
    ) -> Vec<Started> {
        let Some(tasks) = registry.tasks().filter(|_| !made.is_empty()) else {
            return Vec::new();
        };
        let services = self.desk.triaging(self.services.store.as_ref()).await;
        if services.is_empty() {
            return Vec::new();
        }
        let deepest = self.services.registers.current().await;
        let deepest = deepest.ok().and_then(|on| on.number("triage_max_depth"));
        let is_too_deep = deepest.is_some_and(|deepest| depth.unsigned_abs() > deepest);
        if is_too_deep {
            return Vec::new();
        }
        let round = Round {
            services: self.services.clone(),
            desk: Arc::clone(&self.desk),
            registry: Arc::clone(registry),
            tasks: Arc::clone(tasks),
            caller: Arc::clone(caller),
            records: services,
            depth,
        };
        let Some(working) = self.desk.background(round.run(made)) else {
            return Vec::new();
        };
        match tokio::time::timeout(PATIENCE, working).await {
            Ok(started) => started.unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }
}

/// All services on all objects of one request.
struct Round {
    services: Services,
    desk: Arc<Desk>,
    registry: Arc<Registry>,
    tasks: Arc<TypeEntry>,
    caller: Arc<Caller>,
    /// By name (rule SVC-12).
    records: Arc<Vec<Record>>,
    depth: i64,
}

impl Round {
    async fn run(self, made: Vec<Made>) -> Vec<Started> {
        let mut started = Vec::new();
        for object in made {
            match self.on(&object).await {
                Ok(tasks) => {
                    started.extend(tasks.into_iter().map(|task| (object.id, task)));
                }
                Err(reason) => tracing::warn!(
                    object = %object.id,
                    "no analysis of a new object: {reason}"
                ),
            }
        }
        self.desk.wake();
        started
    }

    /// All services on one object.
    async fn on(&self, object: &Made) -> Result<Vec<String>, String> {
        let store = self.services.store.as_ref();
        let type_name = &object.of.declaration.name;
        let fitting: Vec<&Record> = self
            .records
            .iter()
            .filter(|record| record.supports(type_name))
            .collect();
        if fitting.is_empty()
            || !self
                .is_due(object)
                .await
                .map_err(|error| error.to_string())?
        {
            return Ok(Vec::new());
        }
        let stored = store
            .get(&object.of.declaration.collection, object.id)
            .await
            .map_err(|error| error.to_string())?;
        let Some(stored) = stored else {
            return Ok(Vec::new());
        };
        let body =
            bson::Document::try_from(stored.body.as_ref()).map_err(|error| error.to_string())?;
        let request = self.request()?;
        let mut started = Vec::new();
        for record in fitting {
            let lacking = record
                .required_fields
                .iter()
                .find(|field| start::is_lacking_in(body.get(field)));
            match self.begin(&request, record, object, lacking).await {
                Ok(task) => started.push(task),
                Err(reason) => tracing::debug!(
                    service = record.name,
                    object = %object.id,
                    "does not run on a new object: {reason}"
                ),
            }
        }
        Ok(started)
    }

    /// Is the object new, or has it not been analysed where that counts?
    async fn is_due(&self, object: &Made) -> Result<bool, StoreError> {
        if object.is_fresh {
            return Ok(true);
        }
        if object.of.declaration.triage == Triage::New {
            return Ok(false);
        }
        let results = Filter::And(vec![
            is(tasks::OBJECT_ID, object.id.to_hex()),
            is(tasks::OBJECT_TYPE, object.of.declaration.name.as_str()),
        ]);
        let collection = &self.tasks.declaration.collection;
        let found = self
            .services
            .store
            .select(collection, &results, None, 1)
            .await?;
        Ok(found.is_empty())
    }

    fn request(&self) -> Result<Arc<Request>, String> {
        new_request(&self.services, &self.registry, &self.caller, Vec::new()).map_err(|reason| {
            match reason {
                NotDone::Internal(reason) | NotDone::Busy(reason) => reason,
                NotDone::Refused(refusal) => refusal.message,
                NotDone::NoDocument => "no document".to_owned(),
            }
        })
    }

    /// One service on one object.
    async fn begin(
        &self,
        request: &Arc<Request>,
        record: &Record,
        object: &Made,
        lacking: Option<&String>,
    ) -> Result<String, String> {
        let said = |failure: Failure| match failure {
            Failure::Fault(fault) => start::text_of(fault),
            Failure::Abort(abort) => abort.to_string(),
        };
        start::check(
            request,
            record,
            &object.of,
            object.id,
            lacking.map(String::as_str),
            Eyes::Hosts,
        )
        .await
        .map_err(said)?;
        let effective = record
            .effective(&self.registry, &request.zones, &Default::default())
            .map_err(|message| Objection::Invalid(message).text().to_owned())?;
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| error.to_string())?;
        let now = dates::text(request.zones.stored(dates::now()));
        let task = NewTask {
            id: ObjectId::new(),
            random: &random,
            record,
            of: &object.of,
            tasks: &self.tasks,
            object: object.id,
            analyst: &self.caller.user,
            config: start::kept(record, &effective).map_err(said)?,
            triage_depth: Some(self.depth),
            now: &now,
        };
        let insert = Write::Insert {
            collection: self.tasks.declaration.collection.clone(),
            body: task.document()?,
        };
        let changes = WriteSet {
            writes: vec![insert],
            ..WriteSet::default()
        };
        let stored = self.services.store.commit(changes).await;
        stored.map_err(|error| error.to_string())?;
        Ok(task.analysis_id())
    }
}

/// The records of services that run on new objects, by name.
///
/// # Errors
///
/// Only the store's.
pub(super) async fn triaging(store: &dyn Store) -> Result<Vec<Record>, StoreError> {
    let mut all = records::all(store).await?;
    all.retain(|record| record.is_usable() && record.run_on_triage);
    Ok(all)
}
