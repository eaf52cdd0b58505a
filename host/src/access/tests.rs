//! Access over a real store.

use std::path::Path;
use std::sync::Arc;

use bson::oid::ObjectId;
use bson::{Document, RawDocumentBuf, doc};

use super::catalogue::UBER_ADMIN;
use super::keys::{Scope, parse_network};
use super::rights::SourceRights;
use super::users::UserChange;
use super::{Access, Caller, Collections, Sight, specifications};
use super::{roles, users};
use crate::registers::{Register, Registers};
use crate::store::{CollectionSpec, DocKey, Store, Visible, Write, WriteSet};

const KEY: &str = "00112233445566778899aabbccddeeff00112233";

async fn open(folder: &Path) -> Arc<dyn Store> {
    let store = crate::store::testing::open(folder).await;
    let mut collections = specifications();
    collections.extend(
        [("events", true), ("domains", true), ("campaigns", false)].map(|(name, classed)| {
            CollectionSpec {
                name: name.to_owned(),
                classed,
                administrative: false,
                keys: Vec::new(),
                indexes: Vec::new(),
            }
        }),
    );
    store.declare(&collections).await.expect("declared");
    store
}

/// A store with the default roles, sources A, B, Z and the user `alice`: A read+red, B without any flag; key [`KEY`].
async fn with_alice(folder: &Path) -> Arc<dyn Store> {
    let store = open(folder).await;
    let s = store.as_ref();
    roles::seed(s).await.expect("roles");
    let registers = Registers::new(Arc::clone(&store));
    for source in ["A", "B", "Z"] {
        registers
            .add(Register::Source, source)
            .await
            .expect("source");
    }
    roles::add(s, "reader").await.expect("role");
    roles::grant(
        s,
        "reader",
        &["api_interface".to_owned(), "Event.read".to_owned()],
    )
    .await
    .expect("flags");
    roles::set_source(
        s,
        "reader",
        "A",
        SourceRights {
            read: true,
            red: true,
            ..SourceRights::default()
        },
    )
    .await
    .expect("source");
    roles::set_source(s, "reader", "B", SourceRights::default())
        .await
        .expect("source");
    let change = UserChange {
        roles: Some(vec!["reader".to_owned()]),
        ..UserChange::default()
    };
    users::add(s, "alice", &change, "My Company")
        .await
        .expect("user");
    users::add_key(s, "alice", "default", Some(KEY), &Scope::default())
        .await
        .expect("key");
    store
}

async fn enters(access: &Access, user: &str, key: &str) -> bool {
    access
        .authenticate(user, key, None)
        .await
        .expect("store")
        .is_some()
}

async fn insert(store: &dyn Store, collection: &str, mut body: Document) -> ObjectId {
    let id = ObjectId::new();
    body.insert("_id", id);
    let writes = vec![Write::Insert {
        collection: collection.to_owned(),
        body,
    }];
    store
        .commit(WriteSet {
            writes,
            ..WriteSet::default()
        })
        .await
        .expect("stored");
    id
}

fn source(name: &str, tlp: &str) -> Document {
    doc! { "name": name, "instances": [{ "analyst": "x", "tlp": tlp }] }
}

#[tokio::test]
async fn a8_every_failure_looks_the_same_and_a9_success_is_that_user() {
    let folder = tempfile::tempdir().expect("folder");
    let store = with_alice(folder.path()).await;
    let s = store.as_ref();
    users::add(
        s,
        "locked",
        &UserChange {
            roles: Some(vec!["reader".to_owned()]),
            ..UserChange::default()
        },
        "",
    )
    .await
    .expect("user");
    users::add_key(s, "locked", "default", Some(KEY), &Scope::default())
        .await
        .expect("key");
    users::deactivate(s, "locked").await.expect("locked");
    users::add(s, "rightless", &UserChange::default(), "")
        .await
        .expect("user");
    users::add_key(s, "rightless", "default", Some(KEY), &Scope::default())
        .await
        .expect("key");
    users::add(
        s,
        "keyless",
        &UserChange {
            roles: Some(vec!["reader".to_owned()]),
            ..UserChange::default()
        },
        "",
    )
    .await
    .expect("user");
    let access = Access::new(Arc::clone(&store));
    let wrong = KEY.replace('0', "1");
    let upper = KEY.to_uppercase();
    for (user, key) in [
        ("", KEY),
        ("alice", ""),
        ("alice", wrong.as_str()),
        ("alice", upper.as_str()),
        ("Alice", KEY),
        ("alice ", KEY),
        ("nobody", KEY),
        ("locked", KEY),
        ("rightless", KEY),
        ("keyless", KEY),
        ("keyless", ""),
    ] {
        assert!(!enters(&access, user, key).await, "{user:?} {key:?}");
    }
    let caller = access
        .authenticate("alice", KEY, None)
        .await
        .expect("store")
        .expect("alice");
    assert_eq!(
        (
            caller.user.as_str(),
            caller.organization.as_str(),
            caller.read_only
        ),
        ("alice", "My Company", false)
    );
    assert!(caller.rights.may("Event.read") && !caller.rights.may("Event.write"));
    assert_eq!(caller.rights.sources.len(), 2);
}

#[tokio::test]
async fn k7_every_key_of_the_user_works_and_k6_the_default_is_only_a_mark() {
    let folder = tempfile::tempdir().expect("folder");
    let store = with_alice(folder.path()).await;
    let s = store.as_ref();
    let access = Access::new(Arc::clone(&store));
    let second = users::add_key(s, "alice", "second", None, &Scope::default())
        .await
        .expect("key");
    let third = users::add_key(s, "alice", "third", None, &Scope::default())
        .await
        .expect("key");
    assert!(!second.default && !third.default);
    for key in [KEY, &second.value, &third.value] {
        assert!(enters(&access, "alice", key).await);
    }
    assert_eq!(
        users::add_key(s, "alice", "second", None, &Scope::default())
            .await
            .expect_err("K5")
            .to_string(),
        "`alice` has a key `second` already"
    );
    assert_eq!(
        users::add_key(s, "alice", " ", None, &Scope::default())
            .await
            .expect_err("K4")
            .to_string(),
        "Need a name"
    );
    assert_eq!(
        users::set_default_key(s, "alice", "none")
            .await
            .expect_err("K6")
            .to_string(),
        "Key not found."
    );
    let defaults = async || -> Vec<String> {
        let keys = users::show(s, "alice").await.expect("alice").keys;
        keys.into_iter()
            .filter(|key| key.default)
            .map(|key| key.name)
            .collect()
    };
    assert_eq!(defaults().await, ["default"]);
    users::set_default_key(s, "alice", "third")
        .await
        .expect("default");
    assert_eq!(defaults().await, ["third"]);
    assert_eq!(
        users::revoke_key(s, "alice", "third")
            .await
            .expect("revoked"),
        (1, Some("default".to_owned()))
    );
    assert_eq!(defaults().await, ["default"]);
    assert!(!enters(&access, "alice", &third.value).await);
    assert!(enters(&access, "alice", KEY).await);
}

#[tokio::test]
async fn keys_with_an_end_a_network_or_for_reading_only() {
    let folder = tempfile::tempdir().expect("folder");
    let store = with_alice(folder.path()).await;
    let s = store.as_ref();
    let access = Access::new(Arc::clone(&store));
    let networks = vec![parse_network("192.0.2.0/24").expect("network")];
    let scope = Scope {
        expires: Some(super::records::now() + 3_600_000),
        read_only: true,
        networks,
    };
    let key = users::add_key(s, "alice", "narrow", None, &scope)
        .await
        .expect("key")
        .value;
    let from = async |peer: &str| {
        access
            .authenticate("alice", &key, Some(peer.parse().expect("address")))
            .await
            .expect("store")
    };
    assert!(from("192.0.2.9").await.expect("inside").read_only);
    assert!(from("198.51.100.1").await.is_none());
    assert!(!enters(&access, "alice", &key).await, "unknown address");
    let past = Scope {
        expires: Some(1),
        ..Scope::default()
    };
    assert_eq!(
        users::add_key(s, "alice", "past", None, &past)
            .await
            .expect_err("past")
            .to_string(),
        "the key would have expired already"
    );
}

#[tokio::test]
async fn k8_au9_no_file_of_the_store_contains_a_key() {
    let folder = tempfile::tempdir().expect("folder");
    let store = with_alice(folder.path()).await;
    let made = users::add_key(store.as_ref(), "alice", "second", None, &Scope::default())
        .await
        .expect("key")
        .value;
    store.close().await.expect("closed");
    let mut bytes = 0;
    for file in std::fs::read_dir(folder.path())
        .expect("folder")
        .filter_map(Result::ok)
        .filter(|entry| entry.path().is_file())
    {
        let content = std::fs::read(file.path()).expect("file");
        bytes += content.len();
        for key in [KEY, &made] {
            assert!(
                !content.windows(40).any(|window| window == key.as_bytes()),
                "{:?}",
                file.path()
            );
        }
    }
    assert!(bytes > 10_000, "something was looked at");
}

#[tokio::test]
async fn k10_changes_by_another_process_hold_on_the_next_request() {
    let folder = tempfile::tempdir().expect("folder");
    let store = with_alice(folder.path()).await;
    let access = Access::new(store);
    assert!(enters(&access, "alice", KEY).await);
    // Another opening of the same files is what another process is.
    let other = open(folder.path()).await;
    let o = other.as_ref();
    roles::revoke(o, "reader", &["api_interface".to_owned()])
        .await
        .expect("revoked");
    assert!(!enters(&access, "alice", KEY).await, "flag");
    roles::grant(o, "reader", &["api_interface".to_owned()])
        .await
        .expect("granted");
    assert!(enters(&access, "alice", KEY).await);
    roles::set_activity(o, "reader", roles::Activity::Off)
        .await
        .expect("off");
    assert!(!enters(&access, "alice", KEY).await, "R4: role");
    roles::set_activity(o, "reader", roles::Activity::On)
        .await
        .expect("on");
    users::deactivate(o, "alice").await.expect("locked");
    assert!(!enters(&access, "alice", KEY).await, "user");
    assert!(
        access
            .session_caller("alice")
            .await
            .expect("store")
            .is_none(),
        "A12"
    );
    users::activate(o, "alice").await.expect("open");
    assert!(enters(&access, "alice", KEY).await);
    assert!(
        access
            .session_caller("alice")
            .await
            .expect("store")
            .is_some(),
        "A12"
    );
    users::revoke_key(o, "alice", "default")
        .await
        .expect("revoked");
    assert!(!enters(&access, "alice", KEY).await, "key");
}

async fn alice(access: &Access) -> Arc<Caller> {
    access
        .authenticate("alice", KEY, None)
        .await
        .expect("store")
        .expect("alice")
}

#[tokio::test]
async fn s1_visible_classes_grow_with_the_table_and_fail_closed() {
    let folder = tempfile::tempdir().expect("folder");
    let store = with_alice(folder.path()).await;
    let access = Access::new(Arc::clone(&store));
    let caller = alice(&access).await;
    assert!(matches!(access.visible(&caller, false), Visible::All), "S7");
    let red = insert(
        store.as_ref(),
        "events",
        doc! {"source": [source("A", "red")]},
    )
    .await;
    let before = access.visible(&caller, true);
    let amber = insert(
        store.as_ref(),
        "events",
        doc! {"source": [source("A", "amber")]},
    )
    .await;
    let mixed = insert(
        store.as_ref(),
        "events",
        doc! {"source": [source("A", "amber"), source("Z", "white")]},
    )
    .await;
    let foreign = insert(
        store.as_ref(),
        "events",
        doc! {"source": [source("Z", "white")]},
    )
    .await;
    let bare = insert(store.as_ref(), "events", doc! {}).await;
    let keys: Vec<DocKey> = [red, amber, mixed, foreign, bare]
        .map(|id| DocKey {
            collection: "events".to_owned(),
            id,
        })
        .to_vec();
    let classes: Vec<u32> = store
        .classes_of(&keys)
        .await
        .expect("classes")
        .into_iter()
        .flatten()
        .collect();
    let seen = |visible: &Visible| {
        classes
            .iter()
            .map(|class| visible.allows(*class))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        seen(&before),
        [true, false, false, false, false],
        "later classes are not in an earlier answer"
    );
    assert_eq!(
        seen(&access.visible(&caller, true)),
        [true, false, true, false, false]
    );
}

#[tokio::test]
async fn r6_uber_admin_sees_sources_added_later() {
    let folder = tempfile::tempdir().expect("folder");
    let store = with_alice(folder.path()).await;
    let access = Access::new(Arc::clone(&store));
    let change = UserChange {
        roles: Some(vec![UBER_ADMIN.to_owned()]),
        ..UserChange::default()
    };
    users::set(store.as_ref(), "alice", &change)
        .await
        .expect("role");
    assert!(!alice(&access).await.rights.may_write("Late"));
    Registers::new(Arc::clone(&store))
        .add(Register::Source, "Late")
        .await
        .expect("source");
    insert(
        store.as_ref(),
        "events",
        doc! {"source": [source("Late", "red")]},
    )
    .await;
    let caller = alice(&access).await;
    assert!(caller.rights.may_write("Late"));
    let Visible::Classes(classes) = access.visible(&caller, true) else {
        panic!("all")
    };
    assert_eq!(classes.iter().count(), 1);
    assert_eq!(
        roles::grant(store.as_ref(), UBER_ADMIN, &["Domain.read".to_owned()])
            .await
            .expect_err("fixed")
            .to_string(),
        "the role `UberAdmin` can't be edited"
    );
}

fn relation(value: impl Into<bson::Bson>, type_name: &str) -> Document {
    doc! { "relationship": "Related To", "value": value.into(), "type": type_name, "rel_confidence": "low" }
}

#[tokio::test]
async fn c3_c5_partners_are_kept_if_they_exist_and_are_visible() {
    let folder = tempfile::tempdir().expect("folder");
    let store = with_alice(folder.path()).await;
    let access = Access::new(Arc::clone(&store));
    let caller = alice(&access).await;
    let seen = insert(
        store.as_ref(),
        "domains",
        doc! {"source": [source("A", "red")]},
    )
    .await;
    // C3 of the original would keep this one: the source is known, only the TLP is not.
    let amber = insert(
        store.as_ref(),
        "domains",
        doc! {"source": [source("A", "amber")]},
    )
    .await;
    let foreign = insert(
        store.as_ref(),
        "domains",
        doc! {"source": [source("Z", "red")]},
    )
    .await;
    let campaign = insert(store.as_ref(), "campaigns", doc! {"name": "c"}).await;
    let gone = ObjectId::new();
    let all = doc! {
        "_id": ObjectId::new(), "title": "t",
        "source": [source("A", "red"), source("Z", "white")],
        "releasability": [{"name": "Z"}, {"name": "B"}],
        "objects": [{"type": "o", "source": [source("Z", "red")]}],
        "relationships": [
            relation(seen, "Domain"), relation(amber, "Domain"), relation(foreign, "Domain"), relation(gone, "Domain"),
            relation(campaign, "Campaign"), relation(seen.to_hex(), "Domain"), relation(seen, "Event"), relation(seen, "Unknown"),
            relation("x", "Domain"),
        ],
    };
    let raw = RawDocumentBuf::try_from(&all).expect("raw");
    let plain =
        RawDocumentBuf::try_from(&doc! {"_id": 1, "relationships": [relation(seen, "Domain")]})
            .expect("raw");
    let collections: Collections = [
        ("Event", "events", true),
        ("Domain", "domains", true),
        ("Campaign", "campaigns", false),
    ]
    .map(|(t, c, classed)| (t.to_owned(), (c.to_owned(), classed)))
    .into();
    let cleaned = cleared(&access, &caller, &[&raw, &plain], &collections).await;
    assert_eq!(
        cleaned[0].get_array("relationships").expect("list"),
        &[
            relation(seen, "Domain"),
            relation(campaign, "Campaign"),
            relation(seen.to_hex(), "Domain")
        ]
        .map(bson::Bson::Document)
    );
    assert_eq!(
        cleaned[0].get_array("source").expect("list"),
        &[source("A", "red"), doc! {"name": "Other", "instances": [0]}].map(bson::Bson::Document)
    );
    assert_eq!(
        cleaned[0].get_array("releasability").expect("list"),
        &[bson::Bson::Document(doc! {"name": "B"})]
    );
    assert_eq!(
        cleaned[0].get_array("objects").expect("list"),
        &[bson::Bson::Document(doc! {"type": "o", "source": []})]
    );
    assert_eq!(
        cleaned[1],
        doc! {"_id": 1, "relationships": [relation(seen, "Domain")]}
    );
    // C7: what was given is as before.
    assert_eq!(Document::try_from(&raw).expect("document"), all);
}

/// A page as its reader sees it.
async fn cleared(
    access: &Access,
    caller: &Caller,
    page: &[&RawDocumentBuf],
    collections: &Collections,
) -> Vec<Document> {
    let raw: Vec<&bson::RawDocument> = page.iter().map(|document| document.as_ref()).collect();
    let clearance = access
        .clearance(caller, "Event", &Arc::new(collections.clone()))
        .await
        .expect("clearance");
    clearance
        .meet(access.store.as_ref(), &raw)
        .await
        .expect("partners");
    let shown = |document: &&bson::RawDocument| {
        let cleared = clearance.of(document);
        let mut shown = Document::try_from(*document).expect("document");
        let names: Vec<String> = shown.keys().cloned().collect();
        for name in names {
            match cleared.field(&name) {
                Sight::AsStored => {}
                Sight::Hidden => {
                    shown.remove(&name);
                }
                Sight::List(list) => {
                    let list: Vec<bson::Bson> = list.try_into().expect("list");
                    shown.insert(name, list);
                }
            }
        }
        shown
    };
    raw.iter().map(shown).collect()
}

#[tokio::test]
async fn s4_a_setting_hides_instances_that_are_not_readable_alone() {
    let folder = tempfile::tempdir().expect("folder");
    let store = with_alice(folder.path()).await;
    let access = Access::new(Arc::clone(&store));
    let caller = alice(&access).await;
    let stored =
        doc! {"_id": 1, "source": [{"name": "A", "instances": [{"tlp": "red"}, {"tlp": "green"}]}]};
    let raw = RawDocumentBuf::try_from(&stored).expect("raw");
    assert_eq!(
        cleared(&access, &caller, &[&raw], &Collections::new()).await,
        [stored]
    );
    let registers = Registers::new(Arc::clone(&store));
    registers
        .set(&[("hide_unreadable_instances".to_owned(), "on".to_owned())])
        .await
        .expect("set");
    let hidden = doc! {"_id": 1, "source": [{"name": "A", "instances": [{"tlp": "red"}]}]};
    assert_eq!(
        cleared(&access, &caller, &[&raw], &Collections::new()).await,
        [hidden]
    );
}

#[tokio::test]
async fn documents_6_1_keys_nobody_listed_are_preserved() {
    let folder = tempfile::tempdir().expect("folder");
    let store = with_alice(folder.path()).await;
    let old = doc! {
        "username": "old", "prefs": {"ui": {"theme": "dark"}}, "acl": {"name": "x"}, "acl_needs_update": false, "roles": ["reader"],
        "api_keys": [{"name": "k", "api_key": KEY, "date": bson::DateTime::from_millis(5), "default": true, "odd": 1}],
    };
    let id = insert(store.as_ref(), "users", old.clone()).await;
    let access = Access::new(Arc::clone(&store));
    assert!(
        enters(&access, "old", KEY).await,
        "a key in clear of the original"
    );
    users::add_key(store.as_ref(), "old", "new", None, &Scope::default())
        .await
        .expect("key");
    users::set_default_key(store.as_ref(), "old", "k")
        .await
        .expect("default");
    roles::grant(store.as_ref(), "reader", &["Domain.read".to_owned()])
        .await
        .expect("granted");
    let body = store
        .get("users", id)
        .await
        .expect("store")
        .expect("there")
        .body;
    let now = Document::try_from(body.as_ref()).expect("document");
    assert_eq!(now.get("prefs"), old.get("prefs"));
    assert_eq!(now.get("acl"), old.get("acl"), "A1: never written");
    assert!(
        now.get_bool("acl_needs_update").expect("flag"),
        "A1: the original rebuilds it"
    );
    assert_eq!(
        now.get_array("api_keys").expect("keys")[0],
        old.get_array("api_keys").expect("keys")[0]
    );
}

/// create.md 5.6: whom a comment may name.
#[tokio::test]
async fn users_exist_whether_or_not_they_are_active() {
    let folder = tempfile::tempdir().expect("folder");
    let store = with_alice(folder.path()).await;
    users::add(store.as_ref(), "gone", &UserChange::default(), "")
        .await
        .expect("user");
    users::deactivate(store.as_ref(), "gone")
        .await
        .expect("locked");
    let access = Access::new(Arc::clone(&store));
    for (name, exists) in [
        ("alice", true),
        ("gone", true),
        ("Alice", false),
        ("", false),
    ] {
        assert_eq!(
            access.has_user(name).await.expect("store"),
            exists,
            "{name}"
        );
    }
}
