//! Opening, locking, several processes on one store, and what is left after a process was lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bson::{Bson, doc};

use super::*;
use crate::store::conformance::{
    all, apply, change, declare, eq, id, insert, look_up, page, push, seeing, set, source, stored,
    thing, things, writes,
};
use crate::store::{
    ClassSet, CollectionSpec, CommitError, Filter, StagedFile, StoreError, Test, Visible,
};

pub(super) fn open_at(folder: &TempDir) -> Arc<dyn Store> {
    Arc::new(SqliteStore::open(folder.path(), Options::default()).unwrap())
}

#[tokio::test]
async fn what_was_committed_is_there_after_reopening() {
    let (folder, store) = open().await;
    declare(&store).await;
    let body =
        doc! { "name": "x", "value": "some text", "size": 5, "source": [source("a", &["red"])] };
    apply(&store, vec![insert(1, body), insert(2, doc! {})]).await;
    let before = stored(&store, 1).await;
    store.close().await.unwrap();
    drop(store);
    let store = open_at(&folder);
    // Known without being declared again.
    let after = stored(&store, 1).await;
    assert_eq!(
        (after.class, after.revision, after.body),
        (before.class, before.revision, before.body)
    );
    assert_eq!(look_up(&store, "x").await.holder, Some(id(1)));
    assert_eq!(page(&store, &all(eq("size", 5))).await.1, 1);
    let visible = seeing(&store, &["a"]);
    assert_eq!(
        page(
            &store,
            &crate::store::ListQuery {
                visible,
                ..all(Filter::All)
            }
        )
        .await
        .1,
        1
    );
    apply(&store, vec![change(1, vec![set("size", 6)])]).await;
    assert!(stored(&store, 1).await.revision > before.revision);
}

/// Everything acknowledged is there, and what the indexes say is what the documents say.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_dropped_while_writing_reopens_whole() {
    let (folder, store) = open().await;
    declare(&store).await;
    for round in 0..4_u32 {
        let store = if round == 0 {
            Arc::clone(&store)
        } else {
            open_at(&folder)
        };
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = Vec::new();
        for writer in 0..8_u32 {
            let (store, stop) = (Arc::clone(&store), Arc::clone(&stop));
            tasks.push(tokio::spawn(async move {
                let mut done = Vec::new();
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let number = round * 1_000_000 + writer * 100_000 + number;
                    let body = doc! { "name": number.to_string(), "size": (number % 7) as i32, "value": "abc def" };
                    apply(&store, vec![insert(number, body)]).await;
                    done.push(id(number));
                }
                done
            }));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        // Requests are cut off where they wait, as when the process goes; their write sets may be in or not.
        let aborted = tasks.split_off(4);
        for task in &aborted {
            task.abort();
        }
        stop.store(true, Ordering::Relaxed);
        let mut acknowledged = Vec::new();
        for task in tasks {
            acknowledged.extend(task.await.unwrap());
        }
        drop(store);
        let store = open_at(&folder);
        assert_eq!(
            store.get_many("things", &acknowledged).await.unwrap().len(),
            acknowledged.len()
        );
        let select = async || {
            let found = store.select("things", &Filter::All, None, u32::MAX).await;
            found.unwrap()
        };
        // The writer that was dropped may still store what was cut off; then everything is asked for again.
        let mut everything = select().await;
        let mut counted = page(&store, &all(Filter::All)).await.1;
        for _ in 0..100 {
            if counted == everything.len() as u64 && select().await == everything {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            everything = select().await;
            counted = page(&store, &all(Filter::All)).await.1;
        }
        assert_eq!(counted, everything.len() as u64);
        let by_index = store
            .select(
                "things",
                &Filter::Field(
                    crate::store::FieldPath::literal("size"),
                    Test::Gte(0.into()),
                ),
                None,
                u32::MAX,
            )
            .await
            .unwrap();
        assert_eq!(by_index, everything);
        let last = everything.last().unwrap();
        let name = u32::from_be_bytes(last.bytes()[8..].try_into().unwrap()).to_string();
        assert_eq!(look_up(&store, &name).await.holder, Some(*last));
    }
    drop(store);
    let sql = rusqlite::Connection::open(folder.path().join("critd.db")).unwrap();
    let verdict: String = sql
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(verdict, "ok");
}

/// Two stores on one folder stand for the server and a command that runs meanwhile.
#[tokio::test]
async fn commits_of_another_process_are_noticed() {
    let (folder, server) = open().await;
    let users = CollectionSpec {
        name: "users".to_owned(),
        classed: false,
        administrative: true,
        keys: vec![],
        indexes: vec![],
    };
    server.declare(&[things(), users]).await.unwrap();
    apply(
        &server,
        vec![insert(1, doc! { "source": [source("a", &["red"])] })],
    )
    .await;
    let first = server.administrative_revision().await.unwrap();
    let command = open_at(&folder);
    let user = crate::store::Write::Insert {
        collection: "users".to_owned(),
        body: doc! { "_id": id(1) },
    };
    command.commit(writes(vec![user])).await.unwrap();
    assert_ne!(server.administrative_revision().await.unwrap(), first);

    // Documents and classes of the other process: counted at once, seen as soon as their class is known.
    apply(
        &command,
        vec![insert(
            2,
            doc! { "name": "x", "source": [source("b", &["red"])] },
        )],
    )
    .await;
    assert_eq!(page(&server, &all(Filter::All)).await.1, 2);
    let visible = seeing(&server, &["b"]);
    assert_eq!(
        page(
            &server,
            &crate::store::ListQuery {
                visible,
                ..all(Filter::All)
            }
        )
        .await
        .1,
        1
    );
    // The same new class in both.
    apply(
        &server,
        vec![insert(3, doc! { "source": [source("c", &["red"])] })],
    )
    .await;
    apply(
        &command,
        vec![insert(4, doc! { "source": [source("c", &["red"])] })],
    )
    .await;
    apply(
        &command,
        vec![insert(5, doc! { "source": [source("d", &["red"])] })],
    )
    .await;
    apply(
        &server,
        vec![insert(6, doc! { "source": [source("e", &["red"])] })],
    )
    .await;
    assert_eq!(
        stored(&server, 3).await.class,
        stored(&server, 4).await.class
    );
    for store in [&server, &command] {
        let keys: Vec<_> = (1..7).map(thing).collect();
        let classes: Vec<_> = store
            .classes_of(&keys)
            .await
            .unwrap()
            .into_iter()
            .flatten()
            .collect();
        store.administrative_revision().await.unwrap();
        let table = store.classes();
        let names: Vec<_> = classes
            .iter()
            .map(|class| table.classes[*class as usize][0].0.clone())
            .collect();
        assert_eq!(names, ["a", "b", "c", "c", "d", "e"]);
        assert_eq!(page(store, &all(Filter::All)).await.1, 6);
    }
    let taken = server
        .commit(writes(vec![insert(7, doc! { "name": "x" })]))
        .await;
    assert!(matches!(taken, Err(CommitError::Duplicate { holder, .. }) if holder == id(2)));
}

/// An index that another process declared is kept up by a process that does not know of it.
#[tokio::test]
async fn indexes_of_another_process_are_maintained() {
    let (folder, server) = open().await;
    let bare = CollectionSpec {
        indexes: Vec::new(),
        keys: Vec::new(),
        ..things()
    };
    server.declare(&[bare]).await.unwrap();
    let command = open_at(&folder);
    declare(&command).await;
    apply(
        &server,
        vec![insert(
            1,
            doc! { "name": "x", "size": 5, "value": "find me" },
        )],
    )
    .await;
    assert_eq!(page(&command, &all(eq("size", 5))).await.1, 1);
    assert_eq!(look_up(&command, "x").await.holder, Some(id(1)));
    let found = Filter::Field(
        crate::store::FieldPath::literal("value"),
        Test::Matches(regex::Regex::new("find").unwrap()),
    );
    assert_eq!(page(&command, &all(found)).await.1, 1);
}

#[tokio::test]
async fn only_one_process_serves() {
    let (folder, _keep) = open().await;
    let one = SqliteStore::open(folder.path(), Options::default()).unwrap();
    let two = SqliteStore::open(folder.path(), Options::default()).unwrap();
    one.lock_exclusively().unwrap();
    one.lock_exclusively().unwrap();
    let refused = two.lock_exclusively().unwrap_err();
    assert!(matches!(refused, StoreError::InUse(_)));
    assert_eq!(
        refused.to_string(),
        format!("another critd serves {} already", folder.path().display())
    );
    drop(one);
    two.lock_exclusively().unwrap();
}

#[tokio::test]
async fn staging_is_emptied_unless_somebody_uses_it() {
    let (folder, store) = open().await;
    let mut writer = StagedFile::create(store.staging_folder(), "upload").unwrap();
    writer.write(b"bytes").unwrap();
    let file = writer.finish().unwrap();
    let other = open_at(&folder);
    assert!(file.path.exists());
    let path = file.path.clone();
    std::mem::forget(file);
    store.close().await.unwrap();
    other.close().await.unwrap();
    drop(open_at(&folder));
    assert!(!path.exists());
}

#[tokio::test]
async fn other_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("critd.db");
    std::fs::write(&path, "this is some text, and surely no database at all").unwrap();
    let error = SqliteStore::open(folder.path(), Options::default())
        .err()
        .unwrap();
    assert_eq!(
        error.to_string(),
        format!("{}: is no database", path.display())
    );
    std::fs::remove_file(&path).unwrap();
    let sql = rusqlite::Connection::open(&path).unwrap();
    sql.execute_batch("CREATE TABLE a(b)").unwrap();
    let error = SqliteStore::open(folder.path(), Options::default())
        .err()
        .unwrap();
    assert_eq!(
        error.to_string(),
        format!("{}: is a database of some other program", path.display())
    );
    sql.execute_batch("DROP TABLE a; PRAGMA user_version = 4")
        .unwrap();
    let error = SqliteStore::open(folder.path(), Options::default())
        .err()
        .unwrap();
    assert_eq!(
        error.to_string(),
        format!(
            "{}: was written by a newer version of critd",
            path.display()
        )
    );
}

#[tokio::test]
async fn the_files_of_layout_1_are_taken_over() {
    let (folder, store) = open().await;
    declare(&store).await;
    let stage = |store: &Arc<dyn Store>| {
        let mut writer = StagedFile::create(store.staging_folder(), "a").unwrap();
        writer.write(b"bytes").unwrap();
        writer.finish().unwrap()
    };
    let kept = store.keep_file("sample", &stage(&store)).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    let sql = rusqlite::Connection::open(folder.path().join("critd.db")).unwrap();
    sql.execute_batch(
        "CREATE TABLE was(bucket TEXT, id BLOB, sha256 BLOB NOT NULL, md5 BLOB NOT NULL, size INTEGER NOT NULL,
             name TEXT NOT NULL, kept_at INTEGER NOT NULL, PRIMARY KEY (bucket, id), UNIQUE (bucket, sha256)) WITHOUT ROWID;
         INSERT INTO was SELECT bucket, id, sha256, md5, size, name, kept_at FROM file;
         DROP TABLE file;
         ALTER TABLE was RENAME TO file;
         CREATE INDEX file_bytes ON file(sha256);
         PRAGMA user_version = 1",
    )
    .unwrap();
    drop(sql);
    let store = open_at(&folder);
    let info = store.file("sample", kept).await.unwrap().unwrap();
    assert_eq!((info.name.as_str(), info.size), ("a", 5));
    store
        .keep_file_as("sample", id(1), &stage(&store))
        .await
        .unwrap();
    assert_eq!(store.files("sample", None, 9).await.unwrap().len(), 2);
}

#[tokio::test]
async fn slow_queries_are_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        longest_query: Duration::ZERO,
        ..Options::default()
    };
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(folder.path(), options).unwrap());
    declare(&store).await;
    apply(
        &store,
        (0..600)
            .map(|number| insert(number, doc! { "unindexed": 1, "value": "v" }))
            .collect(),
    )
    .await;
    let text = Filter::Field(
        crate::store::FieldPath::literal("value"),
        Test::Matches(regex::Regex::new(".").unwrap()),
    );
    for filter in [eq("unindexed", 1), text] {
        let error = store.list(&all(filter)).await.unwrap_err();
        assert_eq!(error.to_string(), "the query took longer than 0 ms");
    }
    assert_eq!(stored(&store, 5).await.id, id(5));
}

#[tokio::test]
async fn damaged_documents_are_named_and_harm_no_others() {
    let (folder, store) = open().await;
    declare(&store).await;
    apply(
        &store,
        (1..4)
            .map(|number| insert(number, doc! { "list": [number], "size": number }))
            .collect(),
    )
    .await;
    let sql = rusqlite::Connection::open(folder.path().join("critd.db")).unwrap();
    let damaged: Vec<u8> = [&[40_u8, 0, 0, 0][..], &[0x02; 35], &[0]].concat();
    sql.execute(
        "UPDATE doc_1 SET body = ? WHERE oid = ?",
        rusqlite::params![damaged, &id(2).bytes()[..]],
    )
    .unwrap();
    let error = store.list(&all(eq("unindexed", 1))).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Damaged { collection, id: hex, .. }
        if collection == "things" && *hex == id(2).to_hex()),
        "{error}"
    );
    assert_eq!(page(&store, &all(eq("size", 3))).await.1, 1);
    // Write sets that come along in the same commit.
    let mut tasks = Vec::new();
    for number in [1, 2, 3, 1, 2, 3] {
        let store = Arc::clone(&store);
        let operations = vec![push("list", 7), set("more", 1)];
        tasks.push(tokio::spawn(async move {
            store.commit(writes(vec![change(number, operations)])).await
        }));
    }
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap().is_ok());
    }
    assert_eq!(results, [true, false, true, true, false, true]);
}

#[tokio::test]
async fn a_class_born_later_is_not_in_a_set_made_before() {
    let mut set = ClassSet::default();
    set.insert(3);
    let visible = Visible::Classes(Arc::new(set));
    assert!(visible.allows(3));
    assert!(!visible.allows(2) && !visible.allows(64) && !visible.allows(u32::MAX));
}

/// The indexes are used at all: by the plan of the engine.
#[tokio::test]
async fn look_ups_go_through_indexes() {
    let (folder, store) = open().await;
    declare(&store).await;
    apply(
        &store,
        vec![insert(1, doc! { "size": 1, "more": Bson::Null })],
    )
    .await;
    let sql = rusqlite::Connection::open(folder.path().join("critd.db")).unwrap();
    let explain = |text: &str| -> Vec<String> {
        let mut statement = sql.prepare(&format!("EXPLAIN QUERY PLAN {text}")).unwrap();
        let rows = statement.query_map([], |row| row.get(3)).unwrap();
        rows.map(|row| row.unwrap()).collect()
    };
    let cases = [
        (
            "SELECT class, revision, body FROM doc_1 WHERE oid = x'00'",
            "SEARCH doc_1 USING INDEX dir_1 (oid=?)",
        ),
        (
            "SELECT oid, class FROM doc_1 INDEXED BY dir_1 ORDER BY oid DESC",
            "SCAN doc_1 USING COVERING INDEX dir_1",
        ),
        (
            "SELECT oid, class FROM entry_1 WHERE field = 1 AND key = x'00'",
            "SEARCH entry_1 USING PRIMARY KEY (field=? AND key=?)",
        ),
        (
            "SELECT oid, class FROM sort_1 WHERE field = 1 AND key < x'11' ORDER BY key DESC, oid DESC",
            "SEARCH sort_1 USING PRIMARY KEY (field=? AND key<?)",
        ),
        (
            "SELECT oid FROM entry_1 WHERE field = 1 AND key = x'00' AND oid > x'00' ORDER BY oid LIMIT 1",
            "SEARCH entry_1 USING PRIMARY KEY (field=? AND key=? AND oid>?)",
        ),
        (
            "SELECT oid FROM key_1 WHERE number = 1 AND key = x'00' ORDER BY oid LIMIT 1",
            "SEARCH key_1 USING PRIMARY KEY (number=? AND key=?)",
        ),
    ];
    for (text, wanted) in cases {
        assert_eq!(explain(text), [wanted], "{text}");
    }
}

/// A reader that sees a commit before the writer has published it fetches the commit's classes itself.
#[test]
fn classes_fetched_by_a_reader_are_not_added_again() {
    let pairs = Arc::new(vec![("a".to_owned(), crate::store::class::Mark::Red)]);
    let mut table = crate::store::ClassTable::empty();
    table.add(Arc::clone(&pairs));
    let shared = crate::store::sqlite::Shared {
        options: Options::default(),
        schema: parking_lot::RwLock::default(),
        classes: parking_lot::RwLock::new(Arc::new(table)),
        counts: parking_lot::RwLock::default(),
    };
    let state = crate::store::sqlite::State {
        commits: 1,
        administrative: 0,
        revision: 1,
    };
    let other = Arc::new(vec![("b".to_owned(), crate::store::class::Mark::Red)]);
    shared.publish(state, 1, vec![pairs, other], |_| {});
    let table = shared.classes.read();
    assert_eq!((table.classes.len(), table.numbers.len()), (3, 2));
    assert_eq!(shared.counts.read().commits, 1);
}
