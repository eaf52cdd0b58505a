//! Who sees the document of a request; what requests have to do with tasks of analysis services, and creates that a service asks
//! for.

use std::sync::Arc;

use bson::oid::ObjectId;
use serde_json::Value as Json;

use super::Job;
use crate::access::Caller;
use crate::dates;
use crate::plugins::analysis;
use crate::plugins::arguments;
use crate::plugins::registry::{Registry, TypeEntry};
use crate::plugins::value::{Arg, Failure, Fault, Outcome, Value};
use crate::plugins::{Created, Mode, NotDone, Plugins};
use crate::store::{DocKey, StagedFile, StoreError, StoredDocument};

impl Plugins {
    /// A create that an analysis service asks for while it runs (rule SVC-15): stored at once. `args` are as the service
    /// gave them, `Value::File(i + 1)` among them is the file at position `i`. `depth`: as for [`Plugins::triage`].
    pub(in crate::plugins) async fn create_in_service(
        &self,
        registry: &Arc<Registry>,
        caller: &Arc<Caller>,
        type_name: &str,
        args: Vec<Arg>,
        files: Vec<Arc<StagedFile>>,
        depth: i64,
    ) -> Result<(Outcome, Option<(String, ObjectId)>), Failure> {
        let of = registry
            .type_as_written(type_name)
            .filter(|of| {
                !of.declaration.tasks && of.declaration.methods.iter().any(|name| name == "POST")
            })
            .ok_or_else(|| Fault::Missing(format!("{type_name} can't be created.")))?;
        let now = dates::now();
        let zones = self.services.registers.zones();
        let context = arguments::Context {
            caller,
            registry,
            services: &self.services,
            now: zones.stored(now),
            zones: &zones,
        };
        let checked = arguments::for_nested_create(context, of, args).await;
        let checked = checked.map_err(analysis::not_done)?;
        let named = |arg: &Arg| match arg.value {
            Value::File(number) => files
                .get((number as usize).wrapping_sub(1))
                .map(|file| (arg.name.clone(), Arc::clone(file))),
            _ => None,
        };
        let sent: Vec<(String, Arc<StagedFile>)> = checked.args.iter().filter_map(named).collect();
        let mut args = checked.args;
        let mut count = 0;
        for arg in &mut args {
            if let Value::File(number) = &mut arg.value {
                count += 1;
                *number = count;
            }
        }
        let request = self.request(registry, caller, now, zones, sent);
        let job = Job::Create {
            of: of.clone(),
            denied: checked.denied,
        };
        let request = request.map_err(analysis::not_done)?;
        let settled = self.settle(request, job, args, Mode::default()).await;
        let settled = settled.map_err(analysis::not_done)?;
        self.triage(registry, caller, settled.made, depth).await;
        let concerned = settled.concerned.map(|of| (of.type_name, of.id));
        Ok((settled.outcome, concerned))
    }

    /// What has to be settled before anybody looks at tasks: whose leases have run out.
    pub(super) async fn before_tasks(&self, of: &TypeEntry, now: i64) -> Result<(), NotDone> {
        if !of.declaration.tasks {
            return Ok(());
        }
        self.sweep_leases(of, now).await.map_err(NotDone::from)
    }

    /// May the caller see the document of this id?
    pub(super) async fn visible(
        &self,
        caller: &Caller,
        on: &TypeEntry,
        id: ObjectId,
    ) -> Result<bool, NotDone> {
        let stored = self
            .services
            .store
            .get(&on.declaration.collection, id)
            .await;
        let stored = stored.map_err(NotDone::from)?;
        let visible = self.services.access.visible(caller, on.declaration.sources);
        let Some(stored) = stored.filter(|stored| visible.allows(stored.class)) else {
            return Ok(false);
        };
        match on.declaration.tasks {
            true => Ok(self.sees_object_of(caller, &stored).await?),
            false => Ok(true),
        }
    }

    /// May the caller see the object of a task?
    ///
    /// # Errors
    ///
    /// The store's.
    pub async fn sees_object_of(
        &self,
        caller: &Caller,
        task: &StoredDocument,
    ) -> Result<bool, StoreError> {
        let registry = self.current();
        let Some((type_name, id)) = analysis::tasks::object_of(task) else {
            return Ok(false);
        };
        let Some(of) = registry.type_named(&type_name) else {
            return Ok(false);
        };
        let key = DocKey {
            collection: of.declaration.collection.clone(),
            id,
        };
        let classes = self.services.store.classes_of(&[key]).await?;
        let visible = self.services.access.visible(caller, of.declaration.sources);
        Ok(classes
            .first()
            .copied()
            .flatten()
            .is_some_and(|class| visible.allows(class)))
    }
}

/// Adds the tasks that a POST has started to its answer (rule SVC-14).
pub(super) fn tell_of(created: &mut Created, tasks: impl Iterator<Item = String>) {
    let tasks: Vec<Json> = tasks.map(Json::from).collect();
    if !tasks.is_empty() {
        created.extra.insert("analysis_ids".into(), tasks.into());
    }
}
