//! PATCH: the actions that all types share, over HTTP. A module a family of actions; what holds for all of them is in
//! `rights` and `together`.

mod actions;
mod campaigns;
mod further;
mod objects;
mod relationships;
mod releasability;
mod rights;
mod source_remove;
mod sources;
mod together;
mod unrelate;
mod worked;

use anyhow::Result;
use critd_tests::{Json, Server, User, json};

/// The types that actions are for.
const TYPES: [&str; 15] = [
    "Actor",
    "Backdoor",
    "Campaign",
    "Certificate",
    "Domain",
    "Email",
    "Event",
    "Exploit",
    "Indicator",
    "IP",
    "PCAP",
    "RawData",
    "Sample",
    "Signature",
    "Target",
];
/// What alice may do to objects of each type.
const FLAGS: [&str; 29] = [
    "read",
    "write",
    "status_edit",
    "description_edit",
    "bucketlist_edit",
    "sectors_edit",
    "tickets_add",
    "tickets_edit",
    "tickets_delete",
    "sources_add",
    "sources_edit",
    "sources_delete",
    "actions_add",
    "actions_edit",
    "actions_delete",
    "campaigns_add",
    "campaigns_edit",
    "campaigns_delete",
    "locations_add",
    "locations_edit",
    "locations_delete",
    "objects_add",
    "objects_delete",
    "relationships_add",
    "relationships_edit",
    "relationships_delete",
    "releasability_add",
    "releasability_delete",
    "download",
];
/// What a user may do with a source.
const ALL: &[&str] = &["--read", "--write", "--tlp", "red,amber,green"];

/// A server with the sources `OSINT` and `Alpha`, which alice may read and write, `Partner` and `Closed`, which she has not, and
/// `Reading`, which she may not write.
struct World {
    server: Server,
    alice: User,
}

impl World {
    async fn start() -> Result<Self> {
        let server = Server::start().await?;
        server.cli(&["source", "add", "OSINT", "Partner", "Closed", "Reading"])?;
        let flags: Vec<String> = TYPES
            .iter()
            .flat_map(|of| FLAGS.iter().map(move |flag| format!("{of}.{flag}")))
            .collect();
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let reading: &[&str] = &["--read", "--tlp", "red,amber,green"];
        let sources = [("OSINT", ALL), ("Alpha", ALL), ("Reading", reading)];
        let alice = server.add_user("alice", &flags, &sources)?;
        Ok(Self { server, alice })
    }

    /// POST of a form as alice; the id.
    async fn make(&self, resource: &str, form: &[(&str, &str)]) -> Result<String> {
        let path = format!("/api/v1/{resource}/");
        let answer = self.server.post_as(&self.alice, &path, form).await?;
        answer.created_id()
    }

    /// An event of the source `OSINT`.
    async fn event(&self, title: &str) -> Result<String> {
        let form = [
            ("title", title),
            ("event_type", "Phishing"),
            ("description", "d"),
            ("source", "OSINT"),
        ];
        self.make("events", &form).await
    }

    /// A domain of the source `OSINT`.
    async fn domain(&self, name: &str) -> Result<String> {
        self.make("domains", &[("domain", name), ("source", "OSINT")])
            .await
    }

    /// PATCH as a user; the answer of status 200.
    async fn say_as(&self, user: &User, resource: &str, id: &str, body: &Json) -> Result<Json> {
        let path = format!("/api/v1/{resource}/{id}/");
        let answer = self.server.patch_as(user, &path, body).await?;
        assert_eq!(answer.status, 200, "{body}: {}", answer.text);
        Ok(answer.json())
    }

    /// PATCH as alice.
    async fn say(&self, resource: &str, id: &str, body: Json) -> Result<Json> {
        self.say_as(&self.alice, resource, id, &body).await
    }

    /// The document as the administrator reads it.
    async fn document(&self, resource: &str, id: &str) -> Result<Json> {
        self.server.document(resource, id).await
    }
}

/// `object` of an answer that says success with this `detail`.
#[track_caller]
fn done(answer: &Json, detail: &str) -> Json {
    let said = (
        &answer["return_code"],
        &answer["message"],
        &answer["detail"],
    );
    let wanted = (&json!(0), &json!("success!"), &json!(detail));
    assert_eq!(said, wanted, "{answer}");
    answer["object"].clone()
}

/// An answer that refuses with this message and code.
#[track_caller]
fn refused(answer: &Json, message: &str, code: &str) {
    let said = (
        &answer["return_code"],
        &answer["message"],
        &answer["error"]["code"],
    );
    let wanted = (&json!(1), &json!(message), &json!(code));
    assert_eq!(said, wanted, "{answer}");
    assert!(!message.contains("success"), "a client looks for the word");
}

/// Leaves these members out of an object: what depends on the time of the test.
fn without(object: &Json, members: &[&str]) -> Json {
    let mut object = object.clone();
    for member in members {
        let taken = object.as_object_mut().and_then(|map| map.remove(*member));
        assert!(taken.is_some(), "{member} is not in {object}");
    }
    object
}

/// The elements of a list of a document.
fn list<'a>(document: &'a Json, name: &str) -> &'a [Json] {
    document[name]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
}
