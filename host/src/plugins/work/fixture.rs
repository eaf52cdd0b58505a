//! A small installation for tests: a real store in a folder, a few types, users with different sources.

use std::sync::Arc;

use bson::Document;
use bson::oid::ObjectId;
use serde_json::{Value as Json, json};

use super::{Budgets, DocNumber, Request, Waits, Work};
use crate::access::{Access, Caller, Rights, SourceRights};
use crate::dates::Zones;
use crate::plugins::declaration::Declaration;
use crate::plugins::value::{Arg, Failure, Fault, Outcome, Value};
use crate::plugins::{Registry, Services};
use crate::registers::Registers;
use crate::store::{CommitError, StagedFile, Store};

/// 2026-01-15 10:20:31.456.
pub(crate) const NOW: i64 = 1_768_472_431_456;

pub(crate) struct Fixture {
    _folder: tempfile::TempDir,
    pub(crate) services: Services,
    pub(crate) registry: Arc<Registry>,
}

fn declarations() -> Vec<Declaration> {
    let shared = json!([
        "source",
        "campaign",
        "bucket_list",
        "ticket",
        "status",
        "sectors",
        "related"
    ]);
    let plugin = |name: &str, types: Json, actions: Json| {
        let text = json!({"format": 1, "contract": "1.0", "name": name, "version": "1.0.0", "summary": "For tests.", "types": types, "actions": actions});
        Declaration::read(&text.to_string()).unwrap()
    };
    let domain = json!({"name": "Domain", "resource": "domains", "collection": "domains", "schema_version": 3, "sources": true,
        "keys": [["domain"]], "lookup": "domain", "shared": shared, "touches": ["create:IP", "create:Domain", "create:Log"],
        "fields": [
            {"name": "domain", "kind": "text", "required": true, "indexed": true, "sortable": true},
            {"name": "record_type", "stored": "type", "kind": "text", "default": "A"},
            {"name": "watchlistEnabled", "kind": "bool", "default": false},
            {"name": "size", "kind": "int"}, {"name": "seen", "kind": "date"}, {"name": "uuid", "kind": "uuid"},
            {"name": "secret", "kind": "text", "protected": true}],
        "args": [{"name": "domain", "type": "string", "required": true, "missing": "Need a Domain Name."},
            {"name": "add_ip", "type": "bool", "default": false},
            {"name": "ip_type", "type": "string", "vocab": "IPTypes", "invalid": "Invalid IP type."}]});
    let ip = json!({"name": "IP", "resource": "ips", "collection": "ips", "schema_version": 3, "sources": true, "keys": [["ip"]],
        "lookup": "ip", "shared": shared, "touches": [],
        "fields": [{"name": "ip", "kind": "text", "required": true, "indexed": true}],
        "args": [{"name": "ip", "type": "string", "required": true}]});
    let event = json!({"name": "Event", "resource": "events", "collection": "events", "schema_version": 3, "sources": true,
        "permission_check": "first", "shared": shared,
        "fields": [{"name": "title", "kind": "text", "required": true}],
        "args": [{"name": "title", "type": "string", "required": true},
            {"name": "date", "type": "ldate", "default": "now"},
            {"name": "campaign", "type": "string", "vocab": "active:Campaign", "invalid": "{value} is not a valid campaign."}]});
    let backdoor = json!({"name": "Backdoor", "resource": "backdoors", "collection": "backdoors", "sources": true,
        "keys": [["name", "version"]], "family": "version", "shared": shared,
        "fields": [{"name": "name", "kind": "text", "required": true}, {"name": "version", "kind": "text"}], "args": []});
    let campaign = json!({"name": "Campaign", "resource": "campaigns", "collection": "campaigns", "schema_version": 3, "keys": [["name"]],
        "lookup": "name", "shared": ["bucket_list", "ticket", "status", "sectors", "related"],
        "fields": [{"name": "name", "kind": "text", "required": true}, {"name": "active", "kind": "text", "default": "on"}], "args": []});
    let identifier = json!({"name": "ActorIdentifier", "resource": "actoridentifiers", "collection": "actor_identifiers", "sources": true,
        "top_level": false, "keys": [["identifier_type", "name"]], "permission": "Actor.actor_identifiers_add", "permission_check": "first",
        "shared": ["source"],
        "fields": [{"name": "identifier_type", "kind": "text", "required": true}, {"name": "name", "kind": "text", "required": true},
            {"name": "created", "kind": "date", "default": "now"}],
        "args": [{"name": "identifier_type", "type": "string", "vocab": "identifier-types", "required": true, "invalid": "Unknown Identifier Type"}]});
    let sample = json!({"name": "Sample", "resource": "samples", "collection": "samples", "sources": true, "shared": ["source"],
        "fields": [{"name": "filedata", "kind": "file", "bucket": "sample"}, {"name": "unsupported_attrs", "kind": "map", "protected": true}],
        "args": [{"name": "filedata", "type": "file", "required": true}]});
    let note = json!({"name": "Note", "resource": "notes", "collection": "notes", "sources": true, "top_level": false, "author_source": true,
        "methods": ["POST"], "permission": "{object_type}.notes_add", "refusal": "No notes on {object_type}.",
        "fields": [{"name": "parent", "kind": "map", "refers": true, "fields": [{"name": "analyst", "kind": "text"}]},
            {"name": "entries", "kind": "list", "of": "map"}],
        "args": [{"name": "object_type", "type": "type", "required": true, "invalid": "No such type."}]});
    let part = json!({"name": "NotePart", "resource": "note_parts", "part_of": "Note", "top_level": false, "methods": ["POST"], "fields": [], "args": []});
    let scrap = json!({"name": "Scrap", "resource": "scraps", "collection": "scraps", "top_level": false, "lookup": "name", "methods": ["POST"],
        "fields": [{"name": "name", "kind": "text", "indexed": true}], "args": []});
    let tidy = json!([
        {"name": "tidy", "on": ["*"], "permission": "write", "args": [], "touches": ["other:Scrap", "other:Domain", "registry:signature-dependency"]},
        {"name": "look", "on": ["*"], "permission": "write", "args": []}]);
    let log = json!({"name": "Log", "resource": "logs", "collection": "logs", "permission_check": "within", "fields": [], "args": []});
    let ticket = json!({"name": "ticket", "type": "map", "required": true, "keys": [
        {"name": "ticket_number", "type": "list", "of": "string", "required": true}, {"name": "date", "type": "date", "default": "now"}]});
    let actions = json!([
        {"name": "ticket_add", "on": ["*"], "permission": "tickets_add", "refusal": "User does not have permission to add tickets.",
            "args": [ticket], "touches": ["self.tickets"]},
        {"name": "ticket_update", "on": ["*"], "permission": "tickets_add", "args": [{"name": "ticket", "type": "map", "required": true, "keys": [
            {"name": "ticket_number", "type": "string", "required": true}, {"name": "date", "type": "date", "required": true}]}]},
        {"name": "forge_relationship", "on": ["*"], "permission": "relationships_add", "touches": ["self.relationships", "other:*"], "args": [
            {"name": "right_type", "type": "type", "required": true, "invalid": "Failed to get right TLO"},
            {"name": "right_id", "type": "id", "required": true, "invalid": "Failed to get right TLO"},
            {"name": "rel_date", "type": "ldate"}]},
        {"name": "source_add_update", "on": ["*"], "touches": ["self.source", "self.tlp"],
            "permission": {"by": "action_type", "map": {"add": "sources_add", "update": "sources_edit"},
                "refusals": {"add": "User does not have permission to add sources to object.", "update": "User does not have permission to edit sources."}},
            "args": [{"name": "action_type", "type": "string", "required": true, "enum": ["add", "update"]},
                {"name": "source", "type": "string", "required": true, "vocab": "registered-sources", "invalid": "Source not found."}]},
        {"name": "add_object", "on": ["*"], "permission": "objects_add", "touches": ["self.objects"], "args": []},
        {"name": "everything", "on": ["*"], "permission": "write", "args": [
            {"name": "text", "type": "text"}, {"name": "title", "type": "string", "unescape": true, "nonempty": true, "max_length": 10},
            {"name": "description", "type": "text", "unescape": true}, {"name": "flag", "type": "bool"}, {"name": "wait", "type": "int"},
            {"name": "score", "type": "num"}, {"name": "thing", "type": "any", "max_length": 9}, {"name": "id", "type": "id"}, {"name": "kind", "type": "type"}, {"name": "date", "type": "date"},
            {"name": "when", "type": "ldate"}, {"name": "aliases", "type": "list", "of": "string", "synonyms": ["alias"]},
            {"name": "value", "type": "string", "vocab": "Status", "invalid": "Invalid status: {value}."},
            {"name": "kinds", "type": "list", "of": "string", "vocab": "IndicatorTypes"},
            {"name": "config", "type": "map"}, {"name": "parts", "type": "list", "of": "map", "keys": [{"name": "n", "type": "int", "required": true}]},
            {"name": "level", "type": "string", "default": "low", "vocab": "Confidence"},
            {"name": "own", "type": "string", "required": true, "vocab": "Status", "check": "within"},
            {"name": "active", "type": "string", "enum": ["on", "off"], "check": "within"}]},
        {"name": "worded", "on": ["*"], "permission": "write", "args": [
            {"name": "rated", "type": "string", "enum": ["confidence", "impact"]},
            {"name": "rating", "type": "string", "vocab": "IndicatorCI", "invalid": "Invalid {rated}: {value}."},
            {"name": "title", "type": "string", "nonempty": true, "missing": "No title to change"},
            {"name": "end", "type": "date", "empty": "now"},
            {"name": "span", "type": "map", "keys": [{"name": "begin", "type": "date"}, {"name": "end", "type": "ldate", "empty": "now"}]}]}
    ]);
    vec![
        plugin("domain", json!([domain]), json!([])),
        plugin("ip", json!([ip]), json!([])),
        plugin("event", json!([event]), json!([])),
        plugin("backdoor", json!([backdoor]), json!([])),
        plugin("campaign", json!([campaign]), json!([])),
        plugin("identifier", json!([identifier]), json!([])),
        plugin("sample", json!([sample]), json!([])),
        plugin("note", json!([note, part]), json!([])),
        plugin("scrap", json!([scrap]), tidy),
        plugin("log", json!([log]), json!([])),
        plugin("common", json!([]), actions),
    ]
}

/// A user with all rights on some sources; alice has OSINT, bob has Partner, carol reads OSINT and writes nothing.
pub(crate) fn caller(name: &str) -> Arc<Caller> {
    let all = SourceRights {
        read: true,
        write: true,
        red: true,
        amber: true,
        green: true,
    };
    let (sources, flags): (&[(&str, SourceRights)], &[&str]) = match name {
        "alice" => (&[("OSINT", all), ("Feed", all)], &["*"]),
        "bob" => (&[("Partner", all)], &["*"]),
        _ => (
            &[(
                "OSINT",
                SourceRights {
                    write: false,
                    ..all
                },
            )],
            &["Domain.read"],
        ),
    };
    let rights = Rights {
        flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
        sources: sources
            .iter()
            .map(|(name, rights)| ((*name).to_owned(), *rights))
            .collect(),
    };
    Arc::new(Caller {
        user: name.to_owned(),
        organization: "Example".into(),
        rights: Arc::new(rights),
        read_only: false,
    })
}

pub(crate) fn arg(name: &str, value: Value) -> Arg {
    Arg {
        name: name.to_owned(),
        value,
    }
}

pub(crate) fn text(name: &str, value: &str) -> Arg {
    arg(name, Value::Text(value.to_owned()))
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = crate::store::testing::open(folder.path()).await;
        let registry = Arc::new(Registry::of_declarations(declarations()).unwrap());
        store.declare(&registry.collection_specs()).await.unwrap();
        store
            .declare(&crate::access::specifications())
            .await
            .unwrap();
        let registers = Arc::new(Registers::new(Arc::clone(&store)));
        registers.seed().await.unwrap();
        for source in ["OSINT", "Feed", "Partner"] {
            registers
                .add(crate::registers::Register::Source, source)
                .await
                .unwrap();
        }
        let services = Services {
            access: Arc::new(Access::new(Arc::clone(&store))),
            registers,
            store,
        };
        Self {
            _folder: folder,
            services,
            registry,
        }
    }

    pub(crate) fn store(&self) -> &dyn Store {
        self.services.store.as_ref()
    }

    pub(crate) fn request(
        &self,
        user: &str,
        now: i64,
        seed: u8,
        files: Vec<(String, Arc<StagedFile>)>,
    ) -> Arc<Request> {
        Arc::new(Request {
            caller: caller(user),
            registry: Arc::clone(&self.registry),
            services: self.services.clone(),
            now,
            zones: Zones::default(),
            seed: [seed; 32],
            request_id: "test".into(),
            files,
            micros: 0,
            waits: Waits::default(),
        })
    }

    /// A POST's transaction; every seed is another request.
    pub(crate) fn creating(&self, user: &str, type_name: &str, now: i64, seed: u8) -> Work {
        let mut work = Work::new(
            self.request(user, now, seed, Vec::new()),
            Budgets::default(),
        );
        work.begin_create(self.registry.type_named(type_name).unwrap(), None);
        work
    }

    /// A PATCH's transaction.
    pub(crate) async fn acting(
        &self,
        user: &str,
        action: &str,
        type_name: &str,
        id: ObjectId,
        now: i64,
        seed: u8,
    ) -> Work {
        let mut work = Work::new(
            self.request(user, now, seed, Vec::new()),
            Budgets::default(),
        );
        let (action, of) = (
            self.registry.action(type_name, action).unwrap(),
            self.registry.type_named(type_name).unwrap(),
        );
        assert!(
            work.begin_action(action, of, id).await.unwrap(),
            "no such document"
        );
        work
    }

    pub(crate) async fn commit(&self, work: Work) -> Result<(), CommitError> {
        self.store()
            .commit(work.into_write_set().await.unwrap())
            .await
    }

    pub(crate) async fn stored(&self, collection: &str, id: ObjectId) -> Document {
        let stored = self.store().get(collection, id).await.unwrap().unwrap();
        Document::try_from(stored.body.as_ref()).unwrap()
    }

    pub(crate) async fn all(&self, collection: &str) -> Vec<Document> {
        let ids = self
            .store()
            .select(collection, &crate::store::Filter::All, None, 1000)
            .await
            .unwrap();
        let stored = self.store().get_many(collection, &ids).await.unwrap();
        stored
            .iter()
            .map(|stored| Document::try_from(stored.body.as_ref()).unwrap())
            .collect()
    }

    /// A domain of alice's, committed.
    pub(crate) async fn domain(&self, name: &str) -> ObjectId {
        let seed = name
            .bytes()
            .fold(7_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
        let mut work = self.creating("alice", "Domain", NOW - 60_000, seed);
        let (domain, _) = work.make("Domain", &[text("domain", name)]).await.unwrap();
        work.merge_shared(domain, &[text("source", "OSINT")])
            .await
            .unwrap();
        let id = id_of(&work, domain);
        self.commit(work).await.unwrap();
        id
    }
}

pub(crate) fn id_of(work: &Work, document: DocNumber) -> ObjectId {
    ObjectId::parse_str(work.id(document).unwrap()).unwrap()
}

pub(crate) fn fault<T: std::fmt::Debug>(result: Result<T, Failure>) -> Fault {
    match result.unwrap_err() {
        Failure::Fault(fault) => fault,
        Failure::Abort(abort) => panic!("{abort}"),
    }
}

pub(crate) fn answer(document: DocNumber) -> Outcome {
    Outcome {
        document: Some(document),
        message: String::new(),
        extra: String::new(),
    }
}
