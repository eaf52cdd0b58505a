//! HTTP in and out.
//!
//! ```text
//! route        what a path addresses, which methods may be used there
//! credentials  where user name and key are read from       https  sending plain HTTP on
//! body         request bodies → parameters: forms, multipart, JSON, XML, YAML
//! pipeline     the order of core-api section 2, from the path to the handler
//! listing      GET /api/v1/          health  GET /health/…
//! paging       the page of a list, also without a count or by cursor
//! list         GET of a collection   detail  GET of one document   set, schema, vocabulary
//! create       POST                  action  PATCH                bulk  many POSTs in one request
//! services     GET of analysis services, names of tasks
//! actions      what can be done with PATCH, as the plugins declare it
//! once         requests that are carried out once
//! difference   what a dry run would change
//! models       the fields of each type              explain  a list for `critd explain`
//! format       which format is asked for         render  a stored document as answers show it
//! rows, export CSV and NDJSON                    download, inline  files, as archives and inside documents
//! answer       responses, headers    failure  errors (core-api section 15)
//! ```
//!
//! Invariants: a credential never leaves `credentials`, `body` and `pipeline`; whatever a caller reads went through
//! `access` (visible, clean); a query string is never logged.

mod action;
mod actions;
mod answer;
mod body;
mod bulk;
mod confine;
mod create;
mod credentials;
mod detail;
mod difference;
mod download;
pub mod explain;
mod export;
mod failure;
mod format;
mod health;
mod https;
mod inline;
mod list;
mod listing;
mod models;
mod once;
mod paging;
mod pipeline;
mod reading;
mod render;
mod route;
mod rows;
mod schema;
mod services;
mod set;
#[cfg(test)]
mod tests;
mod vocabulary;

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::extract::Request;
use bson::oid::ObjectId;

use crate::access::{Access, Caller};
use crate::dates;
use crate::plugins::{
    Batch, Created, Mode, NotDone, Params, Performed, Plugins, Registry, Services, TypeEntry,
};
use crate::registers::Registers;
use crate::store::{Store, StoreError, StoredDocument};

use models::Models;

/// What the API asks of the plugin system: [`Plugins`], or what stands for it where HTTP alone is under test.
#[async_trait]
trait Handlers: Send + Sync {
    /// See [`Plugins::current`].
    fn current(&self) -> Arc<Registry>;

    /// See [`Plugins::create`].
    async fn create(
        &self,
        registry: &Arc<Registry>,
        caller: &Arc<Caller>,
        of: &TypeEntry,
        params: Params,
        mode: Mode,
    ) -> Result<Created, NotDone>;

    /// See [`Plugins::create_many`].
    async fn create_many(
        &self,
        registry: &Arc<Registry>,
        caller: &Arc<Caller>,
        of: &TypeEntry,
        batch: Batch,
    ) -> Vec<Result<Created, NotDone>>;

    /// See [`Plugins::perform`].
    async fn perform(
        &self,
        request: Patch<'_>,
        params: Params,
        mode: Mode,
    ) -> Result<Performed, NotDone>;

    /// See [`Plugins::sweep_leases`]. Where nothing is handed out there is nothing to settle.
    async fn settle_tasks(&self, _of: &TypeEntry) -> Result<(), StoreError> {
        Ok(())
    }

    /// See [`Plugins::sees_object_of`].
    async fn sees_object_of(
        &self,
        _caller: &Caller,
        _task: &StoredDocument,
    ) -> Result<bool, StoreError> {
        Ok(false)
    }
}

/// What a PATCH addresses.
struct Patch<'a> {
    registry: &'a Arc<Registry>,
    caller: &'a Arc<Caller>,
    on: &'a TypeEntry,
    id: ObjectId,
    action: Option<&'a str>,
}

#[async_trait]
impl Handlers for Plugins {
    fn current(&self) -> Arc<Registry> {
        Plugins::current(self)
    }

    async fn create(
        &self,
        registry: &Arc<Registry>,
        caller: &Arc<Caller>,
        of: &TypeEntry,
        params: Params,
        mode: Mode,
    ) -> Result<Created, NotDone> {
        Plugins::create(self, registry, caller, of, params, mode).await
    }

    async fn create_many(
        &self,
        registry: &Arc<Registry>,
        caller: &Arc<Caller>,
        of: &TypeEntry,
        batch: Batch,
    ) -> Vec<Result<Created, NotDone>> {
        Plugins::create_many(self, registry, caller, of, batch).await
    }

    async fn perform(
        &self,
        patch: Patch<'_>,
        params: Params,
        mode: Mode,
    ) -> Result<Performed, NotDone> {
        Plugins::perform(
            self,
            patch.registry,
            patch.caller,
            patch.on,
            patch.id,
            patch.action,
            params,
            mode,
        )
        .await
    }

    async fn settle_tasks(&self, of: &TypeEntry) -> Result<(), StoreError> {
        self.sweep_leases(of, dates::now()).await
    }

    async fn sees_object_of(
        &self,
        caller: &Caller,
        task: &StoredDocument,
    ) -> Result<bool, StoreError> {
        Plugins::sees_object_of(self, caller, task).await
    }
}

/// What the API answers from. One for the whole server.
pub struct State {
    handlers: Arc<dyn Handlers>,
    access: Arc<Access>,
    registers: Arc<Registers>,
    store: Arc<dyn Store>,
    /// Path below which the server is mounted: empty, or `/something` (rule U7).
    prefix: String,
    models: Models,
}

impl State {
    /// The API of a store with these plugins.
    #[must_use]
    pub fn new(plugins: Arc<Plugins>, services: &Services) -> Self {
        Self::with_handlers(plugins, services)
    }

    fn with_handlers(handlers: Arc<dyn Handlers>, services: &Services) -> Self {
        Self {
            handlers,
            access: Arc::clone(&services.access),
            registers: Arc::clone(&services.registers),
            store: Arc::clone(&services.store),
            prefix: String::new(),
            models: Models::new(),
        }
    }

    /// The same, mounted below a path (rule U7): only paths that begin with it are answered, and every URL in an answer
    /// begins with it. A slash at the end does not count.
    #[must_use]
    pub fn below(self, prefix: &str) -> Self {
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() {
            String::new()
        } else {
            format!("/{prefix}")
        };
        Self { prefix, ..self }
    }
}

/// Everything below `/api/` and `/health/`. Serve it with `into_make_service_with_connect_info::<SocketAddr>()`, so that
/// keys that are bound to addresses can be checked.
pub fn router(state: State) -> Router {
    let state = Arc::new(state);
    Router::new().fallback(move |request: Request| {
        let state = Arc::clone(&state);
        async move { pipeline::answer(&state, request).await }
    })
}
