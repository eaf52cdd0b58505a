//! What `explain` prints.

use std::path::Path;

use bson::doc;
use bson::oid::ObjectId;

use super::*;
use crate::access::roles;
use crate::access::users::{self, UserChange};
use crate::access::{self, SourceRights};
use crate::plugins::declaration::Declaration;
use crate::registers::{Register, Registers};
use crate::store::mongo::{self, MongoStore, tests::Scratch};
use crate::store::sqlite::{self, SqliteStore};
use crate::store::{Write, WriteSet};

fn registry() -> Registry {
    let declaration: Declaration = serde_json::from_value(json!({
        "format": 1, "contract": "1.0", "name": "test", "version": "1.0.0", "summary": "For tests.",
        "types": [{
            "name": "Event", "resource": "events", "collection": "events", "schema_version": 3, "sources": true,
            "fields": [
                {"name": "title", "kind": "text", "required": true, "sortable": true, "indexed": true, "searchable": true},
                {"name": "size", "kind": "int", "sortable": true, "indexed": true},
                {"name": "remark", "kind": "text"}
            ],
            "args": []
        }],
    }))
    .expect("a declaration");
    Registry::of_declarations([declaration]).expect("a registry")
}

/// The sources A and B, alice, who sees A, and three hundred events, every other one of A.
async fn fill(store: &Arc<dyn Store>) {
    let data = store.as_ref();
    data.declare(&access::specifications())
        .await
        .expect("declared");
    data.declare(&registry().collection_specs())
        .await
        .expect("declared");
    roles::seed(data).await.expect("roles");
    let registers = Registers::new(Arc::clone(store));
    for source in ["A", "B"] {
        registers
            .add(Register::Source, source)
            .await
            .expect("a source");
    }
    roles::add(data, "reader").await.expect("a role");
    let flags = ["api_interface", "Event.read"].map(String::from);
    roles::grant(data, "reader", &flags).await.expect("granted");
    let rights = SourceRights {
        read: true,
        write: false,
        red: true,
        amber: true,
        green: true,
    };
    roles::set_source(data, "reader", "A", rights)
        .await
        .expect("a right");
    let change = UserChange {
        roles: Some(vec!["reader".to_owned()]),
        ..UserChange::default()
    };
    users::add(data, "alice", &change, "My Company")
        .await
        .expect("a user");
    let event = |number: i32| {
        let mut id = [0; 12];
        id[8..].copy_from_slice(&number.to_be_bytes());
        let source = if number % 2 == 0 { "A" } else { "B" };
        let title = if number % 100 == 0 {
            format!("needle {number}")
        } else {
            format!("straw {number}")
        };
        Write::Insert {
            collection: "events".to_owned(),
            body: doc! {
                "_id": ObjectId::from_bytes(id), "title": title, "size": number % 3, "remark": "said",
                "source": [{ "name": source, "instances": [{ "tlp": "red" }] }],
            },
        }
    };
    let changes = WriteSet {
        writes: (0..300).map(event).collect(),
        ..WriteSet::default()
    };
    data.commit(changes).await.expect("stored");
}

async fn embedded(folder: &Path) -> Arc<dyn Store> {
    let store = SqliteStore::open(folder, sqlite::Options::default()).expect("a store");
    let store: Arc<dyn Store> = Arc::new(store);
    fill(&store).await;
    store
}

/// What is printed, times replaced.
async fn printed(
    store: &Arc<dyn Store>,
    url: &str,
    user: Option<&str>,
    json: bool,
) -> Result<String, Failure> {
    let (mut out, mut err, mut input) = (Vec::new(), Vec::new(), std::io::empty());
    let mut terminal = Terminal::new(&mut out, &mut err, &mut input);
    terminal.json = json;
    with_types(store, registry(), url, user, &mut terminal).await?;
    assert!(err.is_empty());
    let text = String::from_utf8(out).expect("text");
    let times = regex::Regex::new(r"[0-9]+\.[0-9]+ ms").expect("pattern");
    Ok(times.replace_all(&text, "0 ms").into_owned())
}

#[tokio::test]
async fn the_way_of_a_list_is_printed() {
    let folder = tempfile::tempdir().expect("folder");
    let store = embedded(folder.path()).await;
    let url = "http://h:8080/api/v1/events/?c-size=1&c-title=NEEDLE&regex=1&limit=20&username=alice&api_key=0123456789abcdef";
    let text = printed(&store, url, None, false).await.expect("printed");
    assert_eq!(
        text,
        "request   GET /api/v1/events/?c-size=1&c-title=NEEDLE&regex=1&limit=20\n\
         user      alice\n\
         store     SQLite, collection `events`, 150 of 300 documents visible\n\
         way       all of: index `size`: equal to one value; trigrams of `title`\n\
         order     as found\n\
         examined  103 index rows, 0 documents\n\
         found     1 document, 1 of them on this page\n\
         count     all that was found\n\
         time      plan 0 ms, find and count 0 ms, page 0 ms\n\
         \n\
         STEP                                  DOCUMENTS LEFT\n\
         trigrams of `title`                   3\n\
         index `size`: equal to one value      50\n\
         and index `size`: equal to one value  1\n\
         \n\
         CONSIDERED                        ROWS        TAKEN\n\
         trigrams of `title`               3           yes\n\
         index `title`: all texts          -           no\n\
         index `size`: equal to one value  64 or more  yes\n"
    );
    let text = printed(
        &store,
        "/api/v1/events/?order_by=-size",
        Some("alice"),
        false,
    )
    .await
    .expect("printed");
    assert_eq!(
        text,
        "request   GET /api/v1/events/?order_by=-size\n\
         user      alice\n\
         store     SQLite, collection `events`, 150 of 300 documents visible\n\
         way       all documents\n\
         order     along the order of `size`\n\
         examined  101 index rows, 0 documents\n\
         found     150 documents, 20 of them on this page\n\
         count     from class sums, nothing was looked at for it\n\
         time      plan 0 ms, find and count 0 ms, page 0 ms\n"
    );
}

#[tokio::test]
async fn the_way_of_a_list_as_json() {
    let folder = tempfile::tempdir().expect("folder");
    let store = embedded(folder.path()).await;
    let url = "/api/v1/events/?c-remark=said&c-size__ne=1";
    let text = printed(&store, url, Some("alice"), true)
        .await
        .expect("printed");
    let mut value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    for time in ["plan", "count", "page"] {
        assert!(value["milliseconds"][time].take().is_number());
    }
    assert_eq!(
        value,
        json!({
            "request": url, "user": "alice", "store": "SQLite", "collection": "events",
            "documents": 300, "visible": 150,
            "way": "all but: index `size`: equal to one value; documents looked at",
            "steps": [
                {"kind": "equal", "what": "index `size`: equal to one value", "left": 50},
                {"kind": "directory", "what": "directory", "left": 150},
                {"kind": "except", "what": "all but: index `size`: equal to one value", "left": 100},
                {"kind": "scan", "what": "every visible document looked at", "left": 100},
            ],
            "considered": [],
            "order": "as found", "index_rows": 400, "documents_examined": 150, "found": 100, "returned": 20,
            "count_from_classes": false,
            "milliseconds": {"plan": null, "count": null, "page": null},
        })
    );
}

#[tokio::test]
async fn what_is_not_explained_is_said() {
    let folder = tempfile::tempdir().expect("folder");
    let store = embedded(folder.path()).await;
    let rows = [
        (
            "/api/v1/events/?c-size=1",
            None,
            "who asks? Give `--user NAME`, or `username=NAME` in the URL",
            None,
        ),
        (
            "/api/v1/events/",
            Some("bob"),
            "there is no active user `bob` who may use the API",
            Some("`critd user list` shows the users"),
        ),
        (
            "/api/v1/events/000000000000000000000001/",
            Some("alice"),
            "that is not the URL of a list",
            Some("lists are explained, such as '/api/v1/indicators/?c-value=example.com&limit=20'"),
        ),
        (
            "/api/v1/events/?limit=x",
            Some("alice"),
            "the server answers 400: Invalid limit 'x' provided. Please provide a positive integer.",
            None,
        ),
    ];
    for (url, user, wanted, wanted_hint) in rows {
        match printed(&store, url, user, false).await {
            Err(Failure::Usage(message)) => {
                assert_eq!((message.as_str(), None), (wanted, wanted_hint))
            }
            Err(Failure::Refused { message, hint }) => {
                assert_eq!((message.as_str(), hint.as_deref()), (wanted, wanted_hint));
            }
            Ok(text) => panic!("{url}: {text}"),
        }
    }
    roles::revoke(store.as_ref(), "reader", &["Event.read".to_owned()])
        .await
        .expect("revoked");
    let refused = printed(&store, "/api/v1/events/", Some("alice"), false).await;
    let Err(Failure::Refused { message, .. }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(
        message,
        "the server answers 403: You do not have access to this object."
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_mongodb_it_is_the_server_that_explains() {
    let scratch = Scratch::new();
    let folder = tempfile::tempdir().expect("folder");
    let store = MongoStore::open(scratch.url(), folder.path(), mongo::Options::default())
        .await
        .expect("a store");
    let store: Arc<dyn Store> = Arc::new(store);
    fill(&store).await;
    let url = "/api/v1/events/?c-title=needle%20100&limit=20";
    let text = printed(&store, url, Some("alice"), false)
        .await
        .expect("printed");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[..3],
        [
            "request   GET /api/v1/events/?c-title=needle+100&limit=20",
            "user      alice",
            "store     MongoDB, collection `events`",
        ]
    );
    assert!(
        lines[3].starts_with("way       ") && lines[3].contains("IXSCAN"),
        "{text}"
    );
    // How many keys the server steps over to see that there are no more is its own business.
    assert!(lines[5].ends_with(", 1 document"), "{text}");
    assert_eq!(
        [lines[4], lines[6], lines[7]],
        [
            "order     by the server: _id",
            "found     1 document, 1 of them on this page",
            "count     all that was found",
        ]
    );
    let text = printed(
        &store,
        "/api/v1/events/?c-remark=said",
        Some("alice"),
        false,
    )
    .await
    .expect("printed");
    assert!(
        text.contains("found     150 documents, 20 of them on this page\n"),
        "{text}"
    );
    store.close().await.expect("closed");
}
