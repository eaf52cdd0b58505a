//! Several processes on one database: here several stores, which share nothing.

use bson::{Bson, doc};

use super::*;
use crate::store::conformance::{
    all, apply, body, by, change, declare, eq, id, insert, is_conflict, look_up, page, plain, read,
    remove, set, source, stored, thing, things, writes,
};
use crate::store::{DocRead, SelectRead, Visible, WriteSet};

/// Waits until something holds that another process has brought about.
async fn until<F: Future<Output = bool>>(mut holds: impl FnMut() -> F) {
    for _ in 0..600 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("still not so after half a minute");
}

async fn two() -> (Scratch, Arc<dyn Store>, Arc<dyn Store>) {
    let (scratch, one) = open().await;
    declare(&one).await;
    let other = scratch.open().await;
    declare(&other).await;
    (scratch, one, other)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_one_writes_the_others_see_at_once() {
    let (_scratch, one, other) = two().await;
    let first = doc! { "name": "x", "source": [source("a", &["red"])] };
    apply(&one, vec![insert(1, first)]).await;
    let document = stored(&other, 1).await;
    // Its class, too, without waiting.
    let classes = other.classes();
    assert_eq!(classes.classes[document.class as usize][0].0, "a");
    assert_eq!(look_up(&other, "x").await.holder, Some(id(1)));
    apply(&other, vec![change(1, vec![set("name", "y")])]).await;
    assert_eq!(look_up(&one, "x").await.holder, None);
    assert!(stored(&one, 1).await.revision > document.revision);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn k10_administrative_changes_and_declarations_reach_all() {
    let (_scratch, one, other) = two().await;
    let users = CollectionSpec {
        name: "users".to_owned(),
        administrative: true,
        ..plain()
    };
    one.declare(&[users]).await.unwrap();
    let before = other.administrative_revision().await.unwrap();
    let write = crate::store::Write::Insert {
        collection: "users".to_owned(),
        body: doc! { "_id": id(1) },
    };
    one.commit(writes(vec![write])).await.unwrap();
    let now = one.administrative_revision().await.unwrap();
    assert_ne!(now, before);
    assert_eq!(other.administrative_revision().await.unwrap(), now);
    until(async || {
        other
            .get("users", id(1))
            .await
            .is_ok_and(|found| found.is_some())
    })
    .await;
    // Classes are known before anybody reads a document that has one.
    apply(
        &one,
        vec![insert(1, doc! { "source": [source("new", &[])] })],
    )
    .await;
    other.administrative_revision().await.unwrap();
    assert_eq!(other.classes().classes.len(), one.classes().classes.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_change_of_either_is_lost() {
    let (_scratch, one, other) = two().await;
    apply(&one, vec![insert(1, doc! { "n": 0, "list": [] })]).await;
    let mut tasks = Vec::new();
    for number in 0..40_i32 {
        let store = Arc::clone(if number % 2 == 0 { &one } else { &other });
        tasks.push(tokio::spawn(async move {
            loop {
                let seen = read(&store, 1, &["n"]).await;
                let n = seen.values[0].1.as_ref().and_then(Bson::as_i32).unwrap();
                let push = crate::store::conformance::push("list", number);
                let changes = WriteSet {
                    documents: vec![seen],
                    ..writes(vec![change(1, vec![set("n", n + 1), push])])
                };
                match store.commit(changes).await {
                    Ok(()) => return,
                    Err(CommitError::Conflict(_)) => {}
                    Err(other) => panic!("{other}"),
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let document = body(&one, 1).await;
    assert_eq!(document.get_i32("n").unwrap(), 40);
    assert_eq!(document.get_array("list").unwrap().len(), 40);
}

/// The server would keep it for a minute, far longer than anybody waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rl3_what_a_killed_process_held_is_given_up() {
    let (scratch, store) = open().await;
    declare(&store).await;
    apply(&store, vec![insert(1, doc! { "name": "x" })]).await;
    // Silent from now on, as a process that was killed; that nothing drops it keeps the driver from ending it.
    let (client, database) = connect::connect(scratch.url(), &Options::default())
        .await
        .unwrap();
    let mut killed = client.start_session().await.unwrap();
    killed.start_transaction().await.unwrap();
    let things = database.collection::<Document>(&things().name);
    let held = doc! { "$set": { "name": "half" } };
    things
        .update_one(doc! { "_id": id(1) }, held)
        .session(&mut killed)
        .await
        .unwrap();

    apply(&store, vec![change(1, vec![set("name", "y")])]).await;
    let late = killed.commit_transaction().await;
    assert!(errors::is_transient(&late.unwrap_err()));
    assert_eq!(body(&store, 1).await.get_str("name").unwrap(), "y");
}

/// Commits both at once; whether each came about.
async fn both(
    one: (&Arc<dyn Store>, WriteSet),
    other: (&Arc<dyn Store>, WriteSet),
) -> (bool, bool) {
    let outcome = |result: Result<(), CommitError>| {
        assert!(
            result.is_ok()
                || is_conflict(&result)
                || matches!(result, Err(CommitError::Duplicate { .. })),
            "{result:?}"
        );
        result.is_ok()
    };
    let (first, second) = tokio::join!(one.0.commit(one.1), other.0.commit(other.1));
    (outcome(first), outcome(second))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_reads_what_the_other_writes_and_one_of_them_conflicts() {
    let (_scratch, one, other) = two().await;
    for round in 0..30 {
        let (a, b) = (round * 2, round * 2 + 1);
        apply(
            &one,
            vec![
                insert(a, doc! { "on": true }),
                insert(b, doc! { "on": true }),
            ],
        )
        .await;
        let seen_a = read(&one, a, &["on"]).await;
        let seen_b = read(&other, b, &["on"]).await;
        let switch = |seen: DocRead, number| WriteSet {
            documents: vec![seen],
            ..writes(vec![change(number, vec![set("on", false)])])
        };
        let done = both((&one, switch(seen_a, b)), (&other, switch(seen_b, a))).await;
        assert_ne!(done, (true, true), "round {round}");
        assert_ne!(done, (false, false), "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_sees_the_absence_of_what_the_other_makes_and_one_of_them_conflicts() {
    let (_scratch, one, other) = two().await;
    for round in 0..30 {
        let (a, b) = (round * 2, round * 2 + 1);
        let absent = |number| DocRead {
            document: thing(number),
            revision: None,
            values: Vec::new(),
            searches: Vec::new(),
        };
        let make = |seen, number| WriteSet {
            documents: vec![absent(seen)],
            ..writes(vec![insert(number, doc! {})])
        };
        let done = both((&one, make(a, b)), (&other, make(b, a))).await;
        assert_ne!(done, (true, true), "round {round}");
        let there = [a, b].map(id);
        let found = one.get_many("things", &there).await.unwrap();
        assert_eq!(found.len(), 1, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_unique_key_has_one_holder_whoever_asks() {
    let (_scratch, one, other) = two().await;
    for round in 0..30 {
        let name = format!("n{round}");
        let make = |number| writes(vec![insert(number, doc! { "name": &name })]);
        let done = both((&one, make(round * 2)), (&other, make(round * 2 + 1))).await;
        assert!(done.0 != done.1, "round {round}: {done:?}");
        // Who looked and found nobody is told of the newcomer, too.
        let seen = look_up(&one, "free").await;
        assert_eq!(seen.holder, None);
        let careful = |number| WriteSet {
            keys: vec![seen.clone()],
            ..writes(vec![insert(number, doc! { "name": "free" })])
        };
        let (a, b) = (1000 + round * 2, 1001 + round * 2);
        let done = both((&one, careful(a)), (&other, careful(b))).await;
        assert!(done.0 != done.1, "round {round}: {done:?}");
        apply(&one, vec![remove(if done.0 { a } else { b })]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_selection_holds_whoever_writes() {
    let (_scratch, one, other) = two().await;
    for round in 0..30 {
        let status = format!("s{round}");
        let alone = |number| WriteSet {
            selections: vec![SelectRead {
                collection: "things".to_owned(),
                filter: eq("status", status.as_str()),
                after: None,
                limit: 5,
                found: Vec::new(),
            }],
            ..writes(vec![insert(number, doc! { "status": &status })])
        };
        let done = both((&one, alone(round * 2)), (&other, alone(round * 2 + 1))).await;
        assert!(done.0 != done.1, "round {round}: {done:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_database_of_the_original_is_taken_over() {
    let (scratch, store) = open().await;
    let client = Client::with_uri_str(&scratch.url).await.unwrap();
    let database = client.database(&scratch.name);
    let original = database.collection::<Document>("things");
    let documents = (1..500_u32).map(|number| {
        doc! { "_id": id(number), "name": format!("n{number}"), "size": -(number as i32), "extra": { "kept": true },
        "source": [source(if number % 2 == 0 { "even" } else { "odd" }, &["red"])] }
    });
    original.insert_many(documents).await.unwrap();
    declare(&store).await;
    assert_eq!(look_up(&store, "n7").await.holder, Some(id(7)));
    let first = crate::store::ListQuery {
        sort: by("size", crate::store::Direction::Ascending),
        limit: 2,
        visible: crate::store::conformance::seeing(&store, &["even"]),
        ..all(Filter::All)
    };
    assert_eq!(page(&store, &first).await, (vec![id(498), id(496)], 249));
    let before = body(&store, 7).await;
    assert!(!before.contains_key("_critd"));
    apply(&store, vec![change(7, vec![set("size", 1)])]).await;
    assert_eq!(
        body(&store, 7).await.get_document("extra").unwrap(),
        &doc! { "kept": true }
    );
    assert!(stored(&store, 7).await.revision > 0);

    // A file as the original's driver leaves it.
    let file = id(900);
    let chunk = |n: i32, data: &[u8]| doc! { "_id": ObjectId::new(), "files_id": file, "n": n, "data": own::binary(data) };
    let entry = doc! { "_id": file, "length": 5_i64, "chunkSize": 3, "uploadDate": bson::DateTime::from_millis(7),
    "md5": "5d41402abc4b2a76b9719d911017c592" };
    database
        .collection("sample.chunks")
        .insert_many([chunk(0, b"hel"), chunk(1, b"lo")])
        .await
        .unwrap();
    database
        .collection("sample.files")
        .insert_one(entry)
        .await
        .unwrap();
    let info = store.file("sample", file).await.unwrap().unwrap();
    assert_eq!(
        (hex::encode(info.sha256), info.size, info.kept_at),
        (
            "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824".to_owned(),
            5,
            7
        )
    );
    assert_eq!(store.read_file("sample", file, 2, 2).await.unwrap(), b"ll");
    assert_eq!(store.buckets().await.unwrap(), ["sample"]);
    database
        .collection::<Document>("sample.chunks")
        .delete_one(doc! { "n": 1 })
        .await
        .unwrap();
    assert_eq!(store.file("sample", file).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_others_write_by_an_old_declaration_is_brought_up_to_date() {
    let (scratch, one) = open().await;
    let bare = CollectionSpec {
        keys: Vec::new(),
        indexes: Vec::new(),
        ..things()
    };
    one.declare(&[bare]).await.unwrap();
    let other = scratch.open().await;
    declare(&other).await;
    // This one does not know yet.
    apply(
        &one,
        vec![
            insert(1, doc! { "name": "x", "size": 3 }),
            insert(2, doc! { "size": 2 }),
        ],
    )
    .await;
    until(async || look_up(&other, "x").await.holder == Some(id(1))).await;
    let sorted = crate::store::ListQuery {
        sort: by("size", crate::store::Direction::Ascending),
        visible: Visible::All,
        ..all(Filter::All)
    };
    until(async || page(&other, &sorted).await.0 == [id(2), id(1)]).await;
}

#[tokio::test]
async fn the_field_of_the_store_is_nobodys_to_change() {
    let (_scratch, store) = open().await;
    declare(&store).await;
    let refused = store
        .commit(writes(vec![insert(1, doc! { "_critd": 1 })]))
        .await
        .unwrap_err();
    assert_eq!(refused.to_string(), "`_critd` belongs to the store");
    apply(&store, vec![insert(1, doc! {})]).await;
    let refused = store
        .commit(writes(vec![change(1, vec![set("_critd.revision", 1)])]))
        .await
        .unwrap_err();
    assert_eq!(refused.to_string(), "`_critd` belongs to the store");
}
