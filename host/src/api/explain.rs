//! How the store would answer a list, asked for as clients ask for it.
//!
//! The request takes the way of every other as far as the store, with one difference: who asks is named, not
//! authenticated. So what is explained is what the server does.

use std::sync::Arc;

use async_trait::async_trait;
use axum::http::HeaderMap;

use super::credentials::{API_KEY, USERNAME};
use super::failure::Failure;
use super::format::Format;
use super::pipeline::Call;
use super::route::{self, Target};
use super::{Handlers, Patch, State, list};
use crate::access::{Access, Caller};
use crate::plugins::{
    Batch, Created, Mode, NotDone, Params, Performed, Registry, Services, TypeEntry,
};
use crate::query::Parameters;
use crate::registers::Registers;
use crate::store::explain::Explained;
use crate::store::recorder::Recorder;
use crate::store::{ListQuery, Store, StoreError};

/// A request for a list: path and query of a URL, without its credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    path: String,
    /// Without credentials.
    pairs: Vec<(String, String)>,
    /// The user named in the query.
    pub user: Option<String>,
}

/// A list, explained.
#[derive(Debug)]
pub struct Explanation {
    /// What the store was asked.
    pub query: ListQuery,
    /// How it answered.
    pub explained: Explained,
}

/// Why there is nothing to explain.
#[derive(Debug, thiserror::Error)]
pub enum Unexplained {
    /// The user does not exist, or may not use the API.
    #[error("there is no active user `{0}` who may use the API")]
    NoUser(String),
    /// The URL is not that of a list.
    #[error("that is not the URL of a list")]
    NoList,
    /// The server answers something else than a list.
    #[error("the server answers {status}: {message}")]
    Answered {
        /// HTTP status.
        status: u16,
        /// What the answer says.
        message: String,
    },
    /// Only the store's.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Asked {
    /// Reads a URL, or what of it begins with its path.
    ///
    /// # Errors
    ///
    /// [`Unexplained::NoList`] if there is no path below `/api/`; [`Unexplained::Answered`] for too many parameters.
    pub fn parse(url: &str) -> Result<Self, Unexplained> {
        let url = url.split('#').next().unwrap_or_default();
        let (place, query) = url.split_once('?').unwrap_or((url, ""));
        // What stands before may hold credentials, and a path below which a proxy has mounted the server.
        let Some(start) = place.find("/api/") else {
            return Err(Unexplained::NoList);
        };
        let parameters =
            Parameters::parse(query.as_bytes()).map_err(|error| Unexplained::Answered {
                status: 400,
                message: error.to_string(),
            })?;
        let user = parameters
            .last(USERNAME)
            .filter(|user| !user.is_empty())
            .map(str::to_owned);
        let pairs = parameters.into_pairs().into_iter();
        Ok(Self {
            path: place[start..].to_owned(),
            pairs: pairs
                .filter(|(name, _)| name != USERNAME && name != API_KEY)
                .collect(),
            user,
        })
    }

    fn query(&self) -> String {
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&self.pairs)
            .finish()
    }

    /// Path and query without credentials.
    #[must_use]
    pub fn shown(&self) -> String {
        if self.pairs.is_empty() {
            return self.path.clone();
        }
        format!("{}?{}", self.path, self.query())
    }
}

/// Types and nothing that runs.
struct TypesOnly(Arc<Registry>);

#[async_trait]
impl Handlers for TypesOnly {
    fn current(&self) -> Arc<Registry> {
        Arc::clone(&self.0)
    }

    async fn create(
        &self,
        _: &Arc<Registry>,
        _: &Arc<Caller>,
        _: &TypeEntry,
        _: Params,
        _: Mode,
    ) -> Result<Created, NotDone> {
        Err(NotDone::NoDocument)
    }

    async fn create_many(
        &self,
        _: &Arc<Registry>,
        _: &Arc<Caller>,
        _: &TypeEntry,
        _: Batch,
    ) -> Vec<Result<Created, NotDone>> {
        Vec::new()
    }

    async fn perform(&self, _: Patch<'_>, _: Params, _: Mode) -> Result<Performed, NotDone> {
        Err(NotDone::NoDocument)
    }
}

/// Asks for a list on behalf of a user, and says how the store found it. The types are those of `registry`.
///
/// # Errors
///
/// See [`Unexplained`].
pub async fn explain(
    store: Arc<dyn Store>,
    registry: Arc<Registry>,
    user: &str,
    asked: &Asked,
) -> Result<Explanation, Unexplained> {
    let recorder = Arc::new(Recorder::new(store));
    let store: Arc<dyn Store> = Arc::clone(&recorder) as Arc<dyn Store>;
    let services = Services {
        access: Arc::new(Access::new(Arc::clone(&store))),
        registers: Arc::new(Registers::new(Arc::clone(&store))),
        store,
    };
    let caller = services.access.session_caller(user).await?;
    let caller = caller
        .filter(|caller| caller.rights.may("api_interface"))
        .ok_or_else(|| Unexplained::NoUser(user.to_owned()))?;
    let Some(Target::Collection(of)) = route::resolve("", &asked.path, &registry) else {
        return Err(Unexplained::NoList);
    };
    let settings = services.registers.current().await?;
    // What access itself read of users and roles is none of the request's.
    recorder.first();
    let state = State::with_handlers(Arc::new(TypesOnly(Arc::clone(&registry))), &services);
    let parameters =
        Parameters::parse(asked.query().as_bytes()).map_err(|error| Unexplained::Answered {
            status: 400,
            message: error.to_string(),
        })?;
    let call = Call {
        state: &state,
        registry,
        caller,
        settings,
        parameters,
        headers: HeaderMap::new(),
    };
    if let Err(failure) = list::get(&call, &of).await {
        return Err(answered(failure).await);
    }
    let (query, explained) = recorder.first().ok_or(Unexplained::NoList)?;
    Ok(Explanation { query, explained })
}

async fn answered(failure: Failure) -> Unexplained {
    if let Failure::Busy(message) | Failure::Internal(message) = failure {
        return Unexplained::Store(StoreError::Engine(message));
    }
    let response = failure.response(Format::Json);
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await;
    let body: serde_json::Value = body
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    let message = body["error"].as_str().unwrap_or("no text").to_owned();
    Unexplained::Answered { status, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_taken_out_of_urls() {
        let rows = [
            (
                "https://ann:pw@h:8080/api/v1/ips/?username=ann&api_key=0123&c-ip=1.2.3.4&limit=5#x",
                "/api/v1/ips/?c-ip=1.2.3.4&limit=5",
                Some("ann"),
            ),
            ("/api/v1/ips/", "/api/v1/ips/", None),
            ("/api/v1/ips/?api%5Fkey=0123", "/api/v1/ips/", None),
            (
                "/crits/api/v1/ips/?c-value=a%20b&username=",
                "/api/v1/ips/?c-value=a+b",
                None,
            ),
        ];
        for (url, shown, user) in rows {
            let asked = Asked::parse(url).expect("a list");
            assert_eq!(
                (asked.shown().as_str(), asked.user.as_deref()),
                (shown, user)
            );
            assert!(!format!("{asked:?}").contains("0123"));
        }
        let refused = Asked::parse("http://h/other").expect_err("no list");
        assert_eq!(refused.to_string(), "that is not the URL of a list");
    }
}
