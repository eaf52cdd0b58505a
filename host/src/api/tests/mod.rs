//! HTTP over a real store, real access rules and a registry of declarations; what plugins would do is written down.

mod confined;
mod downloads;
mod formats;
mod paging;
mod property;
mod reading;
mod requests;
mod rules;
mod writing;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use bson::{Document, doc, oid::ObjectId};
use serde_json::{Value as Json, json};
use tower::ServiceExt as _;

use super::*;
use crate::access::keys::Scope;
use crate::access::users::UserChange;
use crate::access::{SourceRights, roles, users};
use crate::plugins::declaration::Declaration;
use crate::plugins::{Param, Refusal};
use crate::registers::Register;
use crate::store::{Stepwise, Write, WriteSet};

const KEY: &str = "00112233445566778899aabbccddeeff00112233";
const ADMIN_KEY: &str = "0123456789abcdef0123456789abcdef01234567";

/// A call that reached the handlers.
#[derive(Debug, Clone)]
struct Seen {
    /// `POST events` or `PATCH events 5b2c… status_update`.
    what: String,
    user: String,
    params: Vec<(String, String)>,
    dry_run: bool,
}

/// Stands for the plugins: writes calls down and answers what was prepared.
struct Recorder {
    registry: Arc<Registry>,
    seen: Mutex<Vec<Seen>>,
    create: Mutex<Option<Result<Created, NotDone>>>,
    perform: Mutex<Option<Result<Performed, NotDone>>>,
}

impl Recorder {
    fn note(&self, what: String, caller: &Caller, params: &Params, mode: Mode) {
        let text = |value: &Param| match value {
            Param::Text(text) => text.clone(),
            Param::Json(value) => value.to_string(),
            Param::File(file) => format!("file {} {}", file.name, file.size),
        };
        let params = params
            .iter()
            .map(|(name, value)| (name.clone(), text(value)))
            .collect();
        self.seen.lock().unwrap().push(Seen {
            what,
            user: caller.user.clone(),
            params,
            dry_run: mode.dry_run,
        });
    }
}

fn made(id: Option<ObjectId>) -> Created {
    Created {
        document: id.map(|id| ("Event".to_owned(), id)),
        fresh: true,
        message: "made".into(),
        extra: serde_json::Map::new(),
        warnings: Vec::new(),
        is_repeated: false,
        changed: Vec::new(),
    }
}

#[async_trait]
impl Handlers for Recorder {
    fn current(&self) -> Arc<Registry> {
        Arc::clone(&self.registry)
    }

    async fn create(
        &self,
        _: &Arc<Registry>,
        caller: &Arc<Caller>,
        of: &TypeEntry,
        params: Params,
        mode: Mode,
    ) -> Result<Created, NotDone> {
        self.note(
            format!("POST {}", of.declaration.resource),
            caller,
            &params,
            mode,
        );
        if params.iter().any(|(name, _)| name == "panic") {
            panic!("on purpose, with {KEY} nowhere near");
        }
        self.create
            .lock()
            .unwrap()
            .take()
            .unwrap_or_else(|| Ok(made(None)))
    }

    async fn create_many(
        &self,
        registry: &Arc<Registry>,
        caller: &Arc<Caller>,
        of: &TypeEntry,
        batch: Batch,
    ) -> Vec<Result<Created, NotDone>> {
        let mut answers = Vec::new();
        for object in batch.objects {
            let created = self.create(registry, caller, of, object.params, batch.mode);
            answers.push(created.await);
        }
        answers
    }

    async fn perform(
        &self,
        patch: Patch<'_>,
        params: Params,
        mode: Mode,
    ) -> Result<Performed, NotDone> {
        let action = patch.action.unwrap_or("None");
        self.note(
            format!(
                "PATCH {} {} {action}",
                patch.on.declaration.resource, patch.id
            ),
            patch.caller,
            &params,
            mode,
        );
        self.perform.lock().unwrap().take().unwrap_or_else(|| {
            Ok(Performed {
                detail: "done".into(),
                extra: serde_json::Map::new(),
                ignored_arguments: Vec::new(),
                warnings: Vec::new(),
                is_repeated: false,
                changed: Vec::new(),
            })
        })
    }
}

fn registry() -> Registry {
    let declaration: Declaration = serde_json::from_value(json!({
        "format": 1, "contract": "1.0", "name": "test", "version": "1.0.0", "summary": "For tests.",
        "types": [
            {"name": "Event", "resource": "events", "collection": "events", "schema_version": 3, "sources": true, "empty_id": true,
             "fields": [{"name": "title", "kind": "text", "required": true, "indexed": true, "searchable": true}, {"name": "event_type", "kind": "text"},
                        {"name": "event_id", "kind": "uuid"}, {"name": "size", "kind": "int", "indexed": true}],
             "args": []},
            {"name": "Campaign", "resource": "campaigns", "collection": "campaigns", "schema_version": 3,
             "fields": [{"name": "name", "kind": "text", "required": true}], "args": []},
            {"name": "ActorIdentifier", "resource": "actoridentifiers", "collection": "actor_identifiers", "sources": true, "top_level": false,
             "methods": ["GET", "POST"], "read_permission": "Actor.actor_identifiers_read",
             "fields": [{"name": "name", "kind": "text", "required": true}], "args": []},
            {"name": "Sample", "resource": "samples", "collection": "sample", "schema_version": 5, "sources": true,
             "fields": [{"name": "filename", "kind": "text", "required": true}, {"name": "md5", "kind": "text", "required": true, "indexed": true},
                        {"name": "size", "kind": "int"}, {"name": "filedata", "kind": "file", "bucket": "sample"}], "args": []},
            {"name": "Screenshot", "resource": "screenshots", "collection": "screenshots", "sources": true, "top_level": false, "methods": ["GET", "POST"],
             "fields": [{"name": "md5", "kind": "text"}, {"name": "thumb", "kind": "file", "bucket": "screenshots"},
                        {"name": "screenshot", "kind": "file", "bucket": "screenshots"}], "args": []},
        ],
    }))
    .unwrap();
    Registry::of_declarations([declaration]).unwrap()
}

/// A server with the users `admin` (everything), `alice` (events of source A) and `ro` (as alice, by a key that only reads).
struct Server {
    _folder: tempfile::TempDir,
    store: Arc<dyn Store>,
    registers: Arc<Registers>,
    recorder: Arc<Recorder>,
    router: Router,
}

/// Name and value.
type Header<'a> = (&'a str, &'a str);

/// An answer.
struct Answer {
    status: u16,
    headers: HeaderMap,
    bytes: Vec<u8>,
    /// As far as the bytes are text.
    text: String,
}

impl Answer {
    fn json(&self) -> Json {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl Server {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = crate::store::testing::open(folder.path()).await;
        let registry = Arc::new(registry());
        store
            .declare(&crate::access::specifications())
            .await
            .unwrap();
        store.declare(&registry.collection_specs()).await.unwrap();
        let s = store.as_ref();
        roles::seed(s).await.unwrap();
        let registers = Arc::new(Registers::new(Arc::clone(&store)));
        for source in ["A", "B"] {
            registers.add(Register::Source, source).await.unwrap();
        }
        roles::add(s, "reader").await.unwrap();
        roles::grant(
            s,
            "reader",
            &[
                "api_interface",
                "Event.read",
                "Event.write",
                "Campaign.read",
                "Sample.read",
            ]
            .map(String::from),
        )
        .await
        .unwrap();
        let all = SourceRights {
            read: true,
            write: true,
            red: true,
            amber: true,
            green: true,
        };
        roles::set_source(s, "reader", "A", all).await.unwrap();
        for (name, role) in [
            ("admin", "UberAdmin"),
            ("alice", "reader"),
            ("ro", "reader"),
        ] {
            let change = UserChange {
                roles: Some(vec![role.to_owned()]),
                ..UserChange::default()
            };
            users::add(s, name, &change, "My Company").await.unwrap();
        }
        users::add_key(s, "admin", "default", Some(ADMIN_KEY), &Scope::default())
            .await
            .unwrap();
        users::add_key(s, "alice", "default", Some(KEY), &Scope::default())
            .await
            .unwrap();
        users::add_key(
            s,
            "ro",
            "default",
            Some(KEY),
            &Scope {
                read_only: true,
                ..Scope::default()
            },
        )
        .await
        .unwrap();
        let recorder = Arc::new(Recorder {
            registry,
            seen: Mutex::default(),
            create: Mutex::default(),
            perform: Mutex::default(),
        });
        let services = Services {
            access: Arc::new(Access::new(Arc::clone(&store))),
            registers: Arc::clone(&registers),
            store: Arc::clone(&store),
        };
        let handlers: Arc<dyn Handlers> = recorder.clone();
        let router = router(State::with_handlers(handlers, &services));
        let server = Self {
            _folder: folder,
            store,
            registers,
            recorder,
            router,
        };
        server.set("enable_api", "true").await;
        server
    }

    async fn set(&self, name: &str, value: &str) {
        self.registers
            .set(&[(name.to_owned(), value.to_owned())])
            .await
            .unwrap();
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let mut request = request;
        request
            .extensions_mut()
            .insert(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 4711))));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            text: String::from_utf8_lossy(&bytes).into_owned(),
            bytes: bytes.to_vec(),
        }
    }

    /// A request of alice, or of nobody if there is a `!` before the method.
    async fn call(&self, method: &str, path: &str, headers: &[Header<'_>], body: &str) -> Answer {
        let (method, path) = match method.strip_prefix('!') {
            Some(method) => (method, path.to_owned()),
            None => (method, with_credentials(path, "alice", KEY)),
        };
        let mut request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body.to_owned())).unwrap())
            .await
    }

    /// GET as alice.
    async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &[], "").await
    }

    async fn get_as(&self, user: &str, key: &str, path: &str) -> Answer {
        self.call("!GET", &with_credentials(path, user, key), &[], "")
            .await
    }

    async fn patch(&self, path: &str, body: &Json) -> Answer {
        self.call(
            "PATCH",
            path,
            &[("content-type", "application/json")],
            &body.to_string(),
        )
        .await
    }

    /// Stores a document of source `source`, red.
    async fn insert(&self, collection: &str, sources: &[&str], fields: Document) -> ObjectId {
        let id = ObjectId::new();
        let mut body = doc! {"_id": id};
        body.extend(fields);
        if !sources.is_empty() {
            let instance = doc! {"analyst": "x", "method": "", "reference": "", "tlp": "red"};
            let entries: Vec<Document> = sources
                .iter()
                .map(|name| doc! {"name": *name, "instances": [instance.clone()]})
                .collect();
            body.insert("source", entries);
        }
        self.store
            .commit(WriteSet {
                writes: vec![Write::Insert {
                    collection: collection.into(),
                    body,
                }],
                ..WriteSet::default()
            })
            .await
            .unwrap();
        id
    }

    /// The last call that reached the handlers.
    fn last(&self) -> Seen {
        self.recorder.seen.lock().unwrap().last().cloned().unwrap()
    }

    fn calls(&self) -> usize {
        self.recorder.seen.lock().unwrap().len()
    }
}

fn with_credentials(path: &str, user: &str, key: &str) -> String {
    let join = if path.contains('?') { '&' } else { '?' };
    format!("{path}{join}username={user}&api_key={key}")
}

/// Titles of a list.
fn titles(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, StatusCode::OK.as_u16(), "{}", answer.text);
    answer.json()["objects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|object| object["title"].as_str().unwrap_or_default().to_owned())
        .collect()
}
