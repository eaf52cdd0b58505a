//! What a path addresses, and which methods may be used there (core-api section 1).

use std::sync::Arc;

use axum::http::{HeaderMap, Method};
use bson::oid::ObjectId;
use percent_encoding::percent_decode_str;

use super::{actions, services, vocabulary};
use crate::plugins::{Registry, TypeEntry};

/// What a path addresses.
#[derive(Debug, Clone)]
pub(super) enum Target {
    /// `/health/live`.
    Live,
    /// `/health/ready`.
    Ready,
    /// `/api/v1/` (rule U14).
    Listing,
    /// `/api/v1/vocab/` and `/api/v1/vocab/CATEGORY/` (rule U10).
    Vocabulary(Option<String>),
    /// `/api/v1/services/`: what is posted there is a type's.
    Services(Option<Arc<TypeEntry>>),
    /// `/api/v1/services/ID or NAME/`.
    Service(String),
    /// `/api/v1/actions/` and `/api/v1/actions/NAME/`.
    Actions(Option<String>),
    /// `/api/v1/RESOURCE/actions/`.
    ActionsOn(Arc<TypeEntry>),
    /// `/api/v1/RESOURCE/`.
    Collection(Arc<TypeEntry>),
    /// `/api/v1/RESOURCE/schema/` (rule U15).
    Schema(Arc<TypeEntry>),
    /// `/api/v1/RESOURCE/set/ID;ID/` (rule U16): the ids as sent.
    Set(Arc<TypeEntry>, Vec<String>),
    /// `/api/v1/RESOURCE/ID/`, and the id as sent; no id: nothing that could be one (rules U2, U4).
    Document(Arc<TypeEntry>, Option<ObjectId>, String),
}

/// Resources that older servers had, and what has taken their place (field case O31).
const REPLACED: &[(&str, &str)] = &[(
    "relationships",
    "There is no resource 'relationships': PATCH one of the two objects with the action 'forge_relationship'.",
)];

/// What a client of a resource that is gone is told.
pub(super) fn replaced(prefix: &str, path: &str) -> Option<&'static str> {
    let segments = segments(prefix, path)?;
    match segments.as_slice() {
        [api, v1, resource, ..] if api == "api" && v1 == "v1" => REPLACED
            .iter()
            .find(|(name, _)| name == resource)
            .map(|(_, text)| *text),
        _ => None,
    }
}

/// Is this below `/api/`?
pub(super) fn is_api(prefix: &str, path: &str) -> bool {
    segments(prefix, path)
        .is_some_and(|segments| segments.first().is_some_and(|first| first == "api"))
}

/// The parts of a path below the prefix; repeated slashes and one at the end don't count (rule U3 and the decision on
/// repeated slashes). None: outside of the prefix, or not UTF-8.
fn segments(prefix: &str, path: &str) -> Option<Vec<String>> {
    let below = path.strip_prefix(prefix)?;
    if !below.is_empty() && !below.starts_with('/') {
        return None;
    }
    below
        .split('/')
        .filter(|part| !part.is_empty())
        .map(|part| {
            percent_decode_str(part)
                .decode_utf8()
                .ok()
                .map(|part| part.into_owned())
        })
        .collect()
}

/// What a path addresses; none: nothing (rule U6).
pub(super) fn resolve(prefix: &str, path: &str, registry: &Registry) -> Option<Target> {
    let segments = segments(prefix, path)?;
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let (resource, rest) = match segments.as_slice() {
        ["health", "live"] => return Some(Target::Live),
        ["health", "ready"] => return Some(Target::Ready),
        ["api", "v1"] => return Some(Target::Listing),
        ["api", "v1", vocabulary::RESOURCE] => return Some(Target::Vocabulary(None)),
        ["api", "v1", vocabulary::RESOURCE, rest @ ..] => {
            return Some(Target::Vocabulary(Some(rest.join("/"))));
        }
        ["api", "v1", services::RESOURCE] => {
            let posted = registry.resource(services::RESOURCE).cloned();
            return Some(Target::Services(posted));
        }
        ["api", "v1", services::RESOURCE, name] if *name != "schema" => {
            return Some(Target::Service((*name).to_owned()));
        }
        ["api", "v1", actions::RESOURCE] => return Some(Target::Actions(None)),
        ["api", "v1", actions::RESOURCE, name] => {
            return Some(Target::Actions(Some((*name).to_owned())));
        }
        ["api", "v1", resource, rest @ ..] => (*resource, rest),
        _ => return None,
    };
    let of = Arc::clone(registry.resource(resource)?);
    Some(match rest {
        [] => Target::Collection(of),
        ["schema"] => Target::Schema(of),
        [actions::RESOURCE] => Target::ActionsOn(of),
        ["set", ids @ ..] => Target::Set(
            of,
            ids.join("/")
                .split(';')
                .filter(|id| !id.is_empty())
                .map(str::to_owned)
                .collect(),
        ),
        [id] => Target::Document(of, ObjectId::parse_str(id).ok(), (*id).to_owned()),
        _ => Target::Document(of, None, String::new()),
    })
}

impl Target {
    /// Methods that may be used, as `Allow` names them (rule U12). HEAD goes with GET, OPTIONS everywhere.
    pub(super) fn methods(&self) -> Vec<&'static str> {
        let of_type = |of: &TypeEntry, possible: &[&'static str]| {
            let declared = &of.declaration.methods;
            possible
                .iter()
                .copied()
                .filter(|method| declared.iter().any(|declared| declared == method))
                .collect()
        };
        match self {
            Self::Live
            | Self::Ready
            | Self::Listing
            | Self::Vocabulary(_)
            | Self::Actions(_)
            | Self::ActionsOn(_)
            | Self::Schema(_)
            | Self::Set(..) => vec!["GET"],
            Self::Service(_) => vec!["GET"],
            Self::Services(posted) => {
                let posted = posted.iter().flat_map(|of| of_type(of, &["POST"]));
                std::iter::once("GET").chain(posted).collect()
            }
            Self::Collection(of) => of_type(of, &["GET", "POST"]),
            Self::Document(of, ..) => of_type(of, &["GET", "PATCH"]),
        }
    }
}

/// Rule U13: `X-HTTP-Method-Override`, on POST only.
pub(super) fn effective_method(method: &Method, headers: &HeaderMap) -> Method {
    let wanted = headers
        .get("x-http-method-override")
        .and_then(|value| value.to_str().ok());
    match wanted {
        Some(wanted) if method == Method::POST => {
            Method::from_bytes(wanted.trim().to_ascii_uppercase().as_bytes())
                .unwrap_or(Method::POST)
        }
        _ => method.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn u13_override_on_post_only_in_any_case() {
        let mut headers = HeaderMap::new();
        assert_eq!(effective_method(&Method::POST, &headers), Method::POST);
        headers.insert("X-HTTP-Method-Override", "patch".parse().unwrap());
        assert_eq!(effective_method(&Method::POST, &headers), Method::PATCH);
        assert_eq!(effective_method(&Method::GET, &headers), Method::GET);
        headers.insert("X-HTTP-Method-Override", "no method".parse().unwrap());
        assert_eq!(effective_method(&Method::POST, &headers), Method::POST);
    }

    #[test]
    fn u3_u7_slashes_and_prefix() {
        let parts = |prefix: &str, path: &str| segments(prefix, path).map(|parts| parts.join("|"));
        assert_eq!(parts("", "/api/v1//ips/").as_deref(), Some("api|v1|ips"));
        assert_eq!(parts("", "/api/v1/ips").as_deref(), Some("api|v1|ips"));
        assert_eq!(parts("/crits", "/crits/api/v1/").as_deref(), Some("api|v1"));
        assert_eq!(parts("/crits", "/critsx/api/v1/"), None);
        assert_eq!(parts("/crits", "/api/v1/"), None);
        assert_eq!(parts("", "/api/%ff"), None);
        assert!(
            is_api("", "/api")
                && is_api("", "//api/x")
                && !is_api("", "/apis/")
                && !is_api("", "/health/live")
        );
    }
}
