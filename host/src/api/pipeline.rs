//! From the path to the handler, in the order of core-api section 2.

use std::any::Any;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::header::ALLOW;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::Response;
use futures_util::FutureExt as _;
use tracing::Instrument as _;

use super::actions::Which;
use super::body::{self, Allowance, Decoded};
use super::credentials::{self, Offered, Pair};
use super::failure::{self, Failure};
use super::format::Format;
use super::route::{self, Target};
use super::{
    State, action, actions, answer, bulk, create, detail, health, https, list, listing, schema,
    services, set, vocabulary,
};
use crate::access::{Caller, catalogue};
use crate::plugins::Registry;
use crate::query::Parameters;
use crate::registers::Current;

/// A request of an authenticated caller.
pub(super) struct Call<'a> {
    pub(super) state: &'a State,
    /// The set of plugins that the request began with.
    pub(super) registry: Arc<Registry>,
    pub(super) caller: Arc<Caller>,
    /// As they were when the request came.
    pub(super) settings: Current,
    /// Of the query string, credentials included (rule G8).
    pub(super) parameters: Parameters,
    pub(super) headers: HeaderMap,
}

impl Call<'_> {
    /// May the caller do this with objects of a type? The flag is one of the type, names another type itself, or is one of
    /// no type.
    pub(super) fn may(&self, type_name: &str, flag: &str) -> bool {
        if flag.contains('.') || catalogue::general_flags().contains(&flag) {
            self.caller.rights.may(flag)
        } else {
            self.caller.rights.may(&format!("{type_name}.{flag}"))
        }
    }

    /// The path of a resource: `/api/v1/domains/`.
    pub(super) fn path_of(&self, resource: &str) -> String {
        path_of(&self.state.prefix, resource)
    }
}

/// The path of a resource on a server that is mounted below `prefix`.
pub(super) fn path_of(prefix: &str, resource: &str) -> String {
    format!("{prefix}/api/v1/{resource}/")
}

/// Answers a request, whatever happens, and writes one line to the log about it (rules A7, E2).
pub(super) async fn answer(state: &State, request: Request) -> Response {
    let begin = Instant::now();
    let id = answer::random_id();
    let method = answer::printable(request.method().as_str());
    let path = answer::printable(request.uri().path());
    let is_head = request.method() == Method::HEAD;
    let format = Format::of_query(request.uri().query());
    let user = OnceLock::new();
    let span = tracing::info_span!("request", request_id = %id);
    let outcome = AssertUnwindSafe(serve(state, request, &user))
        .catch_unwind()
        .instrument(span.clone())
        .await;
    let _within = span.enter();
    let mut response = match outcome {
        Ok(Ok(response)) => response,
        Ok(Err(failure)) => failure.response(format),
        Err(panic) => failure::internal(format, &format!("panic: {}", panic_text(panic.as_ref()))),
    };
    answer::add_common_headers(&mut response, &id);
    if is_head {
        *response.body_mut() = Body::empty();
    }
    tracing::info!(
        %method,
        %path,
        status = response.status().as_u16(),
        ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX),
        user = user.get().map_or("-", String::as_str),
        "answered"
    );
    response
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no text")
}

/// The steps of core-api section 2. `user`: for the log, as soon as it is known.
async fn serve(
    state: &State,
    request: Request,
    user: &OnceLock<String>,
) -> Result<Response, Failure> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let settings = match route::is_api(&state.prefix, path) {
        true => Some(state.registers.current().await?),
        false => None,
    };
    if settings
        .as_ref()
        .is_some_and(|settings| !settings.is_on("enable_api"))
    {
        return Err(Failure::NotFound);
    }
    let https = settings.as_ref().and_then(|on| on.text("https_url"));
    if let Some(redirect) = https.and_then(|base| https::redirect(base, &parts)) {
        return Ok(redirect);
    }
    let registry = state.handlers.current();
    let target = route::resolve(&state.prefix, path, &registry).ok_or_else(|| {
        route::replaced(&state.prefix, path).map_or(Failure::NotFound, Failure::Replaced)
    })?;
    let method = route::effective_method(&parts.method, &parts.headers);
    let methods = target.methods();
    if method == Method::OPTIONS {
        return Ok(options(&methods));
    }
    let wanted = if method == Method::HEAD {
        "GET"
    } else {
        method.as_str()
    };
    if !methods.contains(&wanted) {
        return Err(Failure::MethodNotAllowed(methods.join(", ")));
    }
    match target {
        Target::Live => return Ok(health::live()),
        Target::Ready => return Ok(health::ready(state).await),
        Target::Listing
        | Target::Vocabulary(_)
        | Target::Services(_)
        | Target::Service(_)
        | Target::Actions(_)
        | Target::ActionsOn(_)
        | Target::Collection(_)
        | Target::Schema(_)
        | Target::Set(..)
        | Target::Document(..) => {}
    }
    let settings = settings.ok_or(Failure::NotFound)?;
    let parameters = Parameters::parse(parts.uri.query().unwrap_or_default().as_bytes())
        .map_err(|error| Failure::BadRequest(error.to_string()))?;
    if let Target::Listing = target {
        return listing::get(state, &registry, &parameters);
    }
    let peer = parts
        .extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map(|peer| peer.0.ip());
    let is_bulk = wanted == "POST" && bulk::is_asked_for(&parameters);
    // Many objects are read after the caller is known: credentials are not looked for in them.
    let mut many = None;
    let admitted = if wanted == "GET" {
        // What a reading request has as its body is not looked at (core-api section 2).
        let Offered::Pair(pair) = credentials::outside_of_body(&parts.headers, &parameters) else {
            return Err(Failure::Unauthorized);
        };
        Admitted {
            caller: authenticate(state, &pair, peer).await?,
            body: Ok(Decoded::default()),
        }
    } else if is_bulk {
        let Offered::Pair(pair) = credentials::outside_of_body(&parts.headers, &parameters) else {
            return Err(Failure::Unauthorized);
        };
        many = Some(body);
        Admitted {
            caller: authenticate(state, &pair, peer).await?,
            body: Ok(Decoded::default()),
        }
    } else {
        let allowance = Allowance {
            most: settings.number("max_body_bytes").unwrap_or(u64::MAX),
            folder: state.store.staging_folder(),
        };
        admit_writing(state, &parts.headers, &parameters, body, allowance, peer).await?
    };
    let Admitted { caller, body } = admitted;
    // The names of users are ASCII without blanks, but nothing in a log depends on it.
    let _ = user.set(answer::printable(&caller.user));
    if wanted != "GET" && caller.read_only {
        return Err(Failure::Forbidden("This API key may only read."));
    }
    let call = Call {
        state,
        registry,
        caller,
        settings,
        parameters,
        headers: parts.headers,
    };
    if let (Target::Collection(of) | Target::Services(Some(of)), Some(body)) = (&target, many) {
        return bulk::post(&call, of, body).await;
    }
    match target {
        Target::Collection(of) | Target::Services(Some(of)) if wanted == "POST" => {
            create::post(&call, &of, body?.params).await
        }
        Target::Services(_) => services::list(&call).await,
        Target::Service(name) => services::detail(&call, &name).await,
        Target::Collection(of) => list::get(&call, &of).await,
        Target::Document(of, id, sent) => {
            let id = match id {
                Some(id) => Some(id),
                None => services::id_of_task(&call, &of, &sent).await?,
            };
            match wanted {
                "PATCH" => action::patch(&call, &of, id, body).await,
                _ => detail::get(&call, &of, id).await,
            }
        }
        Target::Vocabulary(None) => vocabulary::list(&call).await,
        Target::Vocabulary(Some(category)) => vocabulary::detail(&call, &category),
        Target::Actions(None) => actions::get(&call, Which::All),
        Target::Actions(Some(name)) => actions::get(&call, Which::Named(&name)),
        Target::ActionsOn(of) => actions::get(&call, Which::On(&of)),
        Target::Schema(of) => schema::get(&call, &of),
        Target::Set(of, ids) => set::get(&call, &of, &ids).await,
        Target::Live | Target::Ready | Target::Listing => Err(Failure::NotFound),
    }
}

/// Rule of core-api 1.3: no authentication, the methods in body and header.
fn options(methods: &[&str]) -> Response {
    let methods = methods.join(", ");
    let mut response =
        answer::response(StatusCode::OK, "text/plain; charset=utf-8", methods.clone());
    if let Ok(value) = HeaderValue::from_str(&methods) {
        response.headers_mut().insert(ALLOW, value);
    }
    response
}

/// Who asks, and what came with the request. A body that can't be read is a matter for later: who asks comes first.
struct Admitted {
    caller: Arc<Caller>,
    body: Result<Decoded, Failure>,
}

async fn authenticate(
    state: &State,
    pair: &Pair,
    peer: Option<IpAddr>,
) -> Result<Arc<Caller>, Failure> {
    state
        .access
        .authenticate(&pair.username, &pair.api_key, peer)
        .await?
        .ok_or(Failure::Unauthorized)
}

/// Rules A1 to A6 for POST and PATCH. The body is read before the caller is known only if the credentials may be in it.
async fn admit_writing(
    state: &State,
    headers: &HeaderMap,
    parameters: &Parameters,
    body: Body,
    allowance: Allowance<'_>,
    peer: Option<IpAddr>,
) -> Result<Admitted, Failure> {
    if body::announces_too_much(headers, allowance.most) {
        return Err(Failure::TooLarge);
    }
    match credentials::outside_of_body(headers, parameters) {
        Offered::Unusable => Err(Failure::Unauthorized),
        Offered::Pair(pair) => {
            let caller = authenticate(state, &pair, peer).await?;
            Ok(Admitted {
                caller,
                body: body::decode(headers, body, allowance).await,
            })
        }
        Offered::Incomplete { username, api_key } => {
            let mut decoded = match body::decode(headers, body, allowance).await {
                Ok(decoded) => decoded,
                // Nobody is told more than that before it is known who asks.
                Err(Failure::BadRequest(_) | Failure::UnsupportedType(_)) => {
                    return Err(Failure::Unauthorized);
                }
                Err(failure) => return Err(failure),
            };
            let username = username.or_else(|| decoded.username.take());
            let api_key = api_key.or_else(|| decoded.api_key.take());
            let Offered::Pair(pair) = credentials::complete(username, api_key) else {
                return Err(Failure::Unauthorized);
            };
            Ok(Admitted {
                caller: authenticate(state, &pair, peer).await?,
                body: Ok(decoded),
            })
        }
    }
}
