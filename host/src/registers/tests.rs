//! Registers over a real store.

use std::path::Path;
use std::sync::Arc;

use bson::oid::ObjectId;
use bson::{Document, doc};

use super::{Origin, Register, Registers};
use crate::access::{SETTINGS, specifications};
use crate::store::{Store, Write, WriteSet};

async fn open(folder: &Path) -> Arc<dyn Store> {
    let store = crate::store::testing::open(folder).await;
    store.declare(&specifications()).await.expect("declared");
    store
}

async fn insert(store: &dyn Store, collection: &str, mut body: Document) {
    body.insert("_id", ObjectId::new());
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
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[tokio::test]
async fn vocabulary_17_fresh_registers_and_their_names() {
    let folder = tempfile::tempdir().expect("folder");
    let registers = Registers::new(open(folder.path()).await);
    registers.seed().await.expect("seeded");
    for (register, name, there) in [
        ("raw-data-type", "Text", true),
        ("raw-data-type", "text", false),
        ("signature-type", "Yara", true),
        ("identifier-type", "Handle", true),
        ("action-type", "Blocked Outbound At Firewall", true),
        ("sector", "Dams", true),
        ("location", "Germany", true),
        ("source", "Text", false),
        ("signature-dependency", "", false),
        ("no-register", "Text", false),
    ] {
        assert_eq!(
            registers.has(register, name).await.expect("store"),
            there,
            "{register} {name}"
        );
    }
    assert_eq!(
        registers.entries("no-register", "").await.expect("store"),
        Vec::<String>::new()
    );
    assert_eq!(
        registers
            .entries("signature-type", "Bro")
            .await
            .expect("store"),
        ["Snort", "Yara"]
    );
    assert_eq!(
        registers
            .add(Register::Sector, "New")
            .await
            .expect_err("closed")
            .to_string(),
        "entries of `sector` are fixed"
    );
}

#[tokio::test]
async fn entries_come_in_pages_of_a_thousand() {
    let folder = tempfile::tempdir().expect("folder");
    let store = open(folder.path()).await;
    let bodies = (0..1_200).map(|number| doc! {"name": format!("s{number:04}")});
    crate::access::records::insert_all(store.as_ref(), "source_access", bodies)
        .await
        .expect("stored");
    let registers = Registers::new(store);
    let first = registers.entries("source", "").await.expect("store");
    assert_eq!((first.len(), first[999].as_str()), (1_000, "s0999"));
    assert_eq!(
        registers
            .entries("source", "s0999")
            .await
            .expect("store")
            .len(),
        200
    );
}

#[tokio::test]
async fn l2_settings_have_defaults_and_k10_changes_of_another_process_hold() {
    let folder = tempfile::tempdir().expect("folder");
    let registers = Registers::new(open(folder.path()).await);
    assert!(
        !registers
            .current()
            .await
            .expect("store")
            .is_on("enable_api")
    );
    assert_eq!(registers.setting("no_setting").await.expect("store"), None);
    let other = Registers::new(open(folder.path()).await);
    other
        .set(&[pair("enable_api", "True"), pair("api_limit_per_page", "7")])
        .await
        .expect("set");
    let now = registers.current().await.expect("store");
    assert!(now.is_on("enable_api"));
    assert_eq!(
        (
            now.number("api_limit_per_page"),
            now.number("api_max_limit"),
            now.number("company_name")
        ),
        (Some(7), Some(1_000), None)
    );
    other
        .set(&[pair("enable_api", "no"), pair("api_limit_per_page", "8")])
        .await
        .expect("set");
    let now = registers.current().await.expect("store");
    assert!(!now.is_on("enable_api"));
    assert_eq!(now.number("api_limit_per_page"), Some(8));
    // All or nothing.
    assert!(
        other
            .set(&[pair("enable_api", "yes"), pair("api_limit_per_page", "x")])
            .await
            .is_err()
    );
    assert!(
        !registers
            .current()
            .await
            .expect("store")
            .is_on("enable_api")
    );
}

#[tokio::test]
async fn plugins_read_only_what_they_may() {
    let folder = tempfile::tempdir().expect("folder");
    let registers = Registers::new(open(folder.path()).await);
    assert_eq!(
        registers
            .setting_for_plugins("html_messages")
            .await
            .expect("store")
            .as_deref(),
        Some("false")
    );
    assert_eq!(
        registers
            .setting_for_plugins("zip7_password")
            .await
            .expect("store"),
        None
    );
    assert_eq!(
        registers
            .setting_for_plugins("no_setting")
            .await
            .expect("store"),
        None
    );
}

#[tokio::test]
async fn documents_6_4_a_taken_over_configuration_gives_defaults_and_is_never_written() {
    let folder = tempfile::tempdir().expect("folder");
    let store = open(folder.path()).await;
    let config = doc! {"enable_api": true, "debug": true, "company_name": "Old Org", "zip7_password": "", "session_timeout": 3};
    insert(store.as_ref(), "config", config).await;
    let registers = Registers::new(Arc::clone(&store));
    let origin = async |name: &str| {
        let all = registers.settings().await.expect("store");
        all.into_iter()
            .find(|value| value.setting.name == name)
            .map(|value| (value.value, value.origin))
            .expect("setting")
    };
    assert_eq!(
        origin("enable_api").await,
        ("true".to_owned(), Origin::TakenOver)
    );
    assert_eq!(
        origin("company_name").await,
        ("Old Org".to_owned(), Origin::TakenOver)
    );
    // OP-6, E1: the original's default for this one is not ours.
    assert_eq!(origin("debug").await, ("false".to_owned(), Origin::Default));
    registers
        .set(&[pair("enable_api", "false")])
        .await
        .expect("set");
    assert_eq!(
        origin("enable_api").await,
        ("false".to_owned(), Origin::Set)
    );
    let kept = crate::access::records::all(store.as_ref(), "config")
        .await
        .expect("store");
    assert!(kept[0].get_bool("enable_api").expect("flag"));
}

#[tokio::test]
async fn m14_the_zone_of_a_taken_over_database_is_the_stored_one() {
    let folder = tempfile::tempdir().expect("folder");
    let store = open(folder.path()).await;
    let config = doc! {"timezone": "America/New_York"};
    insert(store.as_ref(), "config", config).await;
    let registers = Registers::new(Arc::clone(&store));
    let six = 6 * 3_600_000;
    // Before anything was read.
    assert_eq!(registers.zones().stored(six), six);
    let current = registers.current().await.expect("store");
    assert_eq!(current.text("stored_timezone"), Some("America/New_York"));
    assert_eq!(current.zones().stored(six), 3_600_000);
    assert_eq!(registers.zones().stored(six), 3_600_000);
    for (name, value) in [
        ("stored_timezone", "Asia/Dubai"),
        ("display_timezone", "asia/kolkata"),
    ] {
        registers.set(&[pair(name, value)]).await.expect("set");
    }
    let current = registers.current().await.expect("store");
    assert_eq!(current.text("display_timezone"), Some("Asia/Kolkata"));
    assert_eq!(current.zones().stored(0), 4 * 3_600_000);
    assert_eq!(
        current.zones().shown(4 * 3_600_000),
        5 * 3_600_000 + 1_800_000
    );
}

#[tokio::test]
async fn d1_m14_zones_that_nobody_knows_convert_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let store = open(folder.path()).await;
    insert(store.as_ref(), "config", doc! {"timezone": "Mars/Olympus"}).await;
    for name in ["display_timezone", "stored_timezone"] {
        let stored = doc! {"name": name, "value": "Europe/Atlantis"};
        insert(store.as_ref(), SETTINGS, stored).await;
    }
    let registers = Registers::new(Arc::clone(&store));
    let zones = registers.current().await.expect("store").zones().clone();
    assert_eq!((zones.stored(7), zones.shown(7)), (7, 7));
    let refused = registers
        .set(&[pair("display_timezone", "Europe/Atlantis")])
        .await;
    assert_eq!(
        refused.expect_err("refused").to_string(),
        "`display_timezone` takes the name of a time zone such as Europe/Berlin, not `Europe/Atlantis`; nothing was changed"
    );
    registers
        .set(&[
            pair("stored_timezone", "Europe/Berlin"),
            pair("display_timezone", ""),
        ])
        .await
        .expect("set");
    let current = registers.current().await.expect("store");
    assert_eq!(current.zones().stored(0), 3_600_000);
}

#[tokio::test]
async fn create_5_7_a_loaded_suffix_list_replaces_the_built_in_one_at_the_next_refresh() {
    let folder = tempfile::tempdir().expect("folder");
    let registers = Registers::new(open(folder.path()).await);
    registers.refresh().await.expect("store");
    assert_eq!(
        registers.registrable_domain("a.b.example.com").as_deref(),
        Some("example.com")
    );
    let other = Registers::new(open(folder.path()).await);
    assert_eq!(
        other
            .load_suffix_file("com\nexample.com\n")
            .await
            .expect("loaded"),
        2
    );
    registers.refresh().await.expect("store");
    assert_eq!(
        registers.registrable_domain("a.b.example.com").as_deref(),
        Some("b.example.com")
    );
    assert_eq!(registers.registrable_domain("example.org"), None);
    assert_eq!(other.load_suffix_file("org\n").await.expect("loaded"), 1);
    registers.refresh().await.expect("store");
    assert_eq!(
        registers.registrable_domain("www.example.org").as_deref(),
        Some("example.org")
    );
    assert!(other.load_suffix_file("<html>").await.is_err());
    registers.refresh().await.expect("store");
    assert_eq!(
        registers.registrable_domain("www.example.org").as_deref(),
        Some("example.org")
    );
    assert_eq!(
        registers.host_name(" Example.ORG. ").as_deref(),
        Some("example.org")
    );
}

#[tokio::test]
async fn action_add_4_types_of_actions_in_use_for_a_type_of_objects() {
    let folder = tempfile::tempdir().expect("folder");
    let store = open(folder.path()).await;
    for entry in [
        doc! { "name": "all", "active": "on", "object_types": [] },
        doc! { "name": "old" },
        doc! { "name": "some", "active": "on", "object_types": ["Domain", "IP"] },
        doc! { "name": "off", "active": "off", "object_types": ["Domain"] },
    ] {
        insert(store.as_ref(), "idb_actions", entry).await;
    }
    let registers = Registers::new(store);
    for (name, of, is_there) in [
        ("all", "Domain", true),
        ("old", "Domain", true),
        ("some", "Domain", true),
        ("some", "Event", false),
        ("off", "Domain", false),
        ("none", "Domain", false),
        ("All", "Domain", false),
    ] {
        let answered = registers.has_action_type(name, of).await.expect("store");
        assert_eq!(answered, is_there, "{name} {of}");
    }
}
