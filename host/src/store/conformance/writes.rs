//! Commits: what takes effect, what conflicts, what is refused.

use super::*;

pub(crate) async fn appends_to_one_list_both_take_effect(store: Shared) {
    declare(&store).await;
    apply(&store, vec![insert(1, doc! { "list": ["a"] })]).await;
    let one = store.commit(writes(vec![change(1, vec![push("list", "b")])]));
    let other = store.commit(writes(vec![change(1, vec![push("list", "c")])]));
    let (one, other) = tokio::join!(one, other);
    one.unwrap();
    other.unwrap();
    let list = body(&store, 1).await.get_array("list").unwrap().clone();
    assert_eq!(list.len(), 3);
    assert!(list.contains(&"b".into()) && list.contains(&"c".into()));
}

pub(crate) async fn changes_of_different_fields_both_take_effect(store: Shared) {
    declare(&store).await;
    apply(&store, vec![insert(1, doc! { "a": 1, "b": { "c": 1 } })]).await;
    let read_a = read(&store, 1, &["a"]).await;
    let read_b = read(&store, 1, &["b.c"]).await;
    let one = WriteSet {
        documents: vec![read_a],
        ..writes(vec![change(1, vec![set("a", 2)])])
    };
    let other = WriteSet {
        documents: vec![read_b],
        ..writes(vec![change(1, vec![set("b.d", 2)])])
    };
    let (one, other) = tokio::join!(store.commit(one), store.commit(other));
    one.unwrap();
    other.unwrap();
    assert_eq!(
        body(&store, 1).await,
        with_id(1, doc! { "a": 2, "b": { "c": 1, "d": 2 } })
    );
}

pub(crate) async fn a_read_that_no_longer_holds_is_a_conflict(store: Shared) {
    declare(&store).await;
    apply(&store, vec![insert(1, doc! { "a": 1 }), insert(2, doc! {})]).await;
    let seen = read(&store, 1, &["a"]).await;
    apply(&store, vec![change(1, vec![set("a", 2)])]).await;
    let late = WriteSet {
        documents: vec![seen],
        ..writes(vec![change(2, vec![set("b", 1)])])
    };
    assert!(is_conflict(&store.commit(late).await));
    assert_eq!(body(&store, 2).await, with_id(2, doc! {}));
}

pub(crate) async fn a_read_of_another_field_still_holds(store: Shared) {
    declare(&store).await;
    apply(
        &store,
        vec![insert(1, doc! { "a": 1, "list": [{ "n": 1 }] })],
    )
    .await;
    let mut seen = read(&store, 1, &["a", "list.0.n", "list.n", "gone"]).await;
    assert_eq!(seen.values[2].1, None);
    apply(&store, vec![change(1, vec![set("b", 2), push("list", 7)])]).await;
    // A number of another width is the same number.
    seen.values[0].1 = Some(Bson::Int64(1));
    store
        .commit(WriteSet {
            documents: vec![seen],
            ..WriteSet::default()
        })
        .await
        .unwrap();
}

pub(crate) async fn a_search_guards_its_answer_and_not_the_list(store: Shared) {
    declare(&store).await;
    apply(&store, vec![insert(1, doc! { "list": [{ "n": 1 }] })]).await;
    let searched = async |number: i32, found: Option<usize>| {
        let mut seen = read(&store, 1, &[]).await;
        seen.searches.push(SearchRead {
            path: path("list"),
            condition: eq("n", number),
            start: 0,
            found,
        });
        seen
    };
    let commit = async |seen: DocRead| {
        store
            .commit(WriteSet {
                documents: vec![seen],
                ..WriteSet::default()
            })
            .await
    };
    let (first, third) = (searched(1, Some(0)).await, searched(3, None).await);
    apply(&store, vec![change(1, vec![push("list", doc! { "n": 2 })])]).await;
    commit(first.clone()).await.unwrap();
    commit(third.clone()).await.unwrap();
    apply(&store, vec![change(1, vec![push("list", doc! { "n": 3 })])]).await;
    commit(first.clone()).await.unwrap();
    assert!(is_conflict(&commit(third).await));
    apply(&store, vec![change(1, vec![set("list", 7)])]).await;
    assert!(is_conflict(&commit(first).await));
}

pub(crate) async fn a_read_of_a_document_that_goes_is_a_conflict(store: Shared) {
    declare(&store).await;
    apply(&store, vec![insert(1, doc! { "a": 1 })]).await;
    let seen = read(&store, 1, &[]).await;
    apply(&store, vec![remove(1)]).await;
    assert!(is_conflict(
        &store
            .commit(WriteSet {
                documents: vec![seen],
                ..WriteSet::default()
            })
            .await
    ));
    assert!(is_conflict(
        &store
            .commit(writes(vec![change(1, vec![set("a", 2)])]))
            .await
    ));
    assert!(is_conflict(&store.commit(writes(vec![remove(1)])).await));
}

pub(crate) async fn a_read_of_absence_guards_against_its_coming(store: Shared) {
    declare(&store).await;
    let seen = read(&store, 1, &[]).await;
    assert_eq!(seen.revision, None);
    store
        .commit(WriteSet {
            documents: vec![seen.clone()],
            ..WriteSet::default()
        })
        .await
        .unwrap();
    apply(&store, vec![insert(1, doc! {})]).await;
    assert!(is_conflict(
        &store
            .commit(WriteSet {
                documents: vec![seen],
                ..WriteSet::default()
            })
            .await
    ));
}

pub(crate) async fn a_key_read_guards_against_a_new_holder(store: Shared) {
    declare(&store).await;
    let seen = look_up(&store, "x").await;
    assert_eq!(seen.holder, None);
    apply(&store, vec![insert(1, doc! { "name": "x" })]).await;
    let late = WriteSet {
        keys: vec![seen],
        ..writes(vec![insert(2, doc! {})])
    };
    assert!(is_conflict(&store.commit(late).await));
    let seen = look_up(&store, "x").await;
    assert_eq!(seen.holder, Some(id(1)));
    store
        .commit(WriteSet {
            keys: vec![seen],
            ..WriteSet::default()
        })
        .await
        .unwrap();
    let parts = vec![(path("kind"), "k".into()), (path("number"), Bson::Int32(1))];
    let key = KeyValue {
        collection: "things".to_owned(),
        parts,
    };
    apply(
        &store,
        vec![insert(3, doc! { "kind": "k", "number": 1_i64 })],
    )
    .await;
    assert_eq!(
        store
            .by_key(&key)
            .await
            .unwrap()
            .map(|document| document.id),
        Some(id(3))
    );
}

pub(crate) async fn a_key_read_sees_its_holder_lose_the_key(store: Shared) {
    declare(&store).await;
    apply(&store, vec![insert(1, doc! { "name": "x" })]).await;
    let seen = look_up(&store, "x").await;
    apply(&store, vec![change(1, vec![set("name", "y")])]).await;
    assert!(is_conflict(
        &store
            .commit(WriteSet {
                keys: vec![seen],
                ..WriteSet::default()
            })
            .await
    ));
    assert_eq!(look_up(&store, "y").await.holder, Some(id(1)));
}

pub(crate) async fn two_inserts_with_one_key_give_one_document(store: Shared) {
    declare(&store).await;
    let mut tasks = Vec::new();
    for number in 0..32 {
        let store = Arc::clone(&store);
        // Half of them looked first: they conflict; the others are told who was first.
        tasks.push(tokio::spawn(async move {
            let keys = if number % 2 == 0 {
                vec![KeyRead {
                    key: name_key("x"),
                    holder: None,
                }]
            } else {
                Vec::new()
            };
            let changes = WriteSet {
                keys,
                ..writes(vec![insert(number, doc! { "name": "x" })])
            };
            (number, store.commit(changes).await)
        }));
    }
    let mut winners = Vec::new();
    let mut holders = Vec::new();
    for task in tasks {
        match task.await.unwrap() {
            (number, Ok(())) => winners.push(id(number)),
            (number, Err(CommitError::Conflict(_))) => assert_eq!(number % 2, 0),
            (number, Err(CommitError::Duplicate { key, holder })) => {
                assert_eq!(number % 2, 1);
                assert_eq!(key, name_key("x"));
                holders.push(holder);
            }
            (_, Err(other)) => panic!("{other}"),
        }
    }
    assert_eq!(winners.len(), 1);
    assert!(holders.iter().all(|holder| *holder == winners[0]));
    assert_eq!(page(&store, &all(Filter::All)).await, (winners, 1));
}

pub(crate) async fn a_key_is_free_again_after_removal_and_change(store: Shared) {
    declare(&store).await;
    apply(
        &store,
        vec![
            insert(1, doc! { "name": "x" }),
            insert(2, doc! { "name": "y" }),
        ],
    )
    .await;
    apply(
        &store,
        vec![remove(1), change(2, vec![Op::Unset(path("name"))])],
    )
    .await;
    apply(
        &store,
        vec![
            insert(3, doc! { "name": "x" }),
            insert(4, doc! { "name": "y" }),
        ],
    )
    .await;
    assert_eq!(look_up(&store, "x").await.holder, Some(id(3)));
    assert_eq!(look_up(&store, "y").await.holder, Some(id(4)));
    let taken = store
        .commit(writes(vec![change(3, vec![set("name", "y")])]))
        .await;
    assert!(matches!(taken, Err(CommitError::Duplicate { holder, .. }) if holder == id(4)));
}

pub(crate) async fn documents_without_a_field_of_the_key_have_no_key(store: Shared) {
    declare(&store).await;
    let halves = (1..5)
        .map(|number| insert(number, doc! { "kind": "k" }))
        .collect();
    apply(&store, halves).await;
    apply(&store, vec![insert(5, doc! { "kind": "k", "number": 1 })]).await;
    let late = store
        .commit(writes(vec![change(1, vec![set("number", 1)])]))
        .await;
    assert!(matches!(late, Err(CommitError::Duplicate { holder, .. }) if holder == id(5)));
}

pub(crate) async fn keys_may_be_swapped_within_one_write_set(store: Shared) {
    declare(&store).await;
    apply(
        &store,
        vec![
            insert(1, doc! { "name": "x" }),
            insert(2, doc! { "name": "y" }),
        ],
    )
    .await;
    apply(
        &store,
        vec![
            change(1, vec![set("name", "y")]),
            change(2, vec![set("name", "x")]),
        ],
    )
    .await;
    assert_eq!(look_up(&store, "x").await.holder, Some(id(2)));
    assert_eq!(look_up(&store, "y").await.holder, Some(id(1)));
    // Within one write set, too, a key has one holder.
    let both = store
        .commit(writes(vec![
            insert(3, doc! { "name": "z" }),
            insert(4, doc! { "name": "z" }),
        ]))
        .await;
    assert!(matches!(both, Err(CommitError::Duplicate { .. })));
    assert_eq!(look_up(&store, "z").await.holder, None);
}

async fn choose(store: &Shared, filter: Filter, limit: u32) -> super::super::SelectRead {
    let found = store.select("things", &filter, None, limit).await.unwrap();
    super::super::SelectRead {
        collection: "things".to_owned(),
        filter,
        after: None,
        limit,
        found,
    }
}

pub(crate) async fn a_selection_guards_against_phantoms(store: Shared) {
    declare(&store).await;
    apply(&store, vec![insert(1, doc! { "status": "New" })]).await;
    for filter in [eq("status", "New"), eq("unindexed", 1)] {
        let seen = choose(&store, filter, 100).await;
        store
            .commit(WriteSet {
                selections: vec![seen.clone()],
                ..WriteSet::default()
            })
            .await
            .unwrap();
        apply(
            &store,
            vec![insert(2, doc! { "status": "New", "unindexed": 1 })],
        )
        .await;
        let late = WriteSet {
            selections: vec![seen],
            ..writes(vec![insert(3, doc! {})])
        };
        assert!(is_conflict(&store.commit(late).await));
        apply(&store, vec![remove(2)]).await;
    }
    // Also when both are on their way into the same commit.
    let seen = choose(&store, eq("status", "Odd"), 100).await;
    let mut tasks = Vec::new();
    for number in 10..42 {
        let store = Arc::clone(&store);
        let changes = WriteSet {
            selections: vec![seen.clone()],
            ..writes(vec![insert(number, doc! { "status": "Odd" })])
        };
        tasks.push(tokio::spawn(async move { store.commit(changes).await }));
    }
    let mut done = 0;
    for task in tasks {
        done += u32::from(task.await.unwrap().is_ok());
    }
    assert_eq!(done, 1);
}

pub(crate) async fn a_selection_with_limit_guards_its_part_only(store: Shared) {
    declare(&store).await;
    apply(
        &store,
        (1..6)
            .map(|number| insert(number * 10, doc! { "status": "New" }))
            .collect(),
    )
    .await;
    let seen = choose(&store, eq("status", "New"), 2).await;
    assert_eq!(seen.found, ids(&[10, 20]));
    apply(
        &store,
        vec![insert(25, doc! { "status": "New" }), remove(50)],
    )
    .await;
    store
        .commit(WriteSet {
            selections: vec![seen.clone()],
            ..WriteSet::default()
        })
        .await
        .unwrap();
    apply(&store, vec![insert(15, doc! { "status": "New" })]).await;
    assert!(is_conflict(
        &store
            .commit(WriteSet {
                selections: vec![seen],
                ..WriteSet::default()
            })
            .await
    ));
}

pub(crate) async fn a_write_set_without_writes_asks_whether_its_reads_hold(store: Shared) {
    declare(&store).await;
    apply(&store, vec![insert(1, doc! { "a": 1 })]).await;
    let seen = read(&store, 1, &["a"]).await;
    let before = stored(&store, 1).await.revision;
    store
        .commit(WriteSet {
            documents: vec![seen],
            ..WriteSet::default()
        })
        .await
        .unwrap();
    store.commit(WriteSet::default()).await.unwrap();
    assert_eq!(stored(&store, 1).await.revision, before);
}

pub(crate) async fn all_of_a_write_set_or_nothing(store: Shared) {
    declare(&store).await;
    apply(
        &store,
        vec![insert(
            1,
            doc! { "a": 1, "name": "x", "source": [source("s", &["red"])] },
        )],
    )
    .await;
    let failing = [
        vec![change(1, vec![set("a", 2)]), remove(9)],
        vec![
            insert(2, doc! { "status": "New" }),
            change(1, vec![set("a", 2), push("a", 1)]),
        ],
        vec![
            change(1, vec![set("name", "y")]),
            insert(2, doc! { "name": "y" }),
        ],
        vec![
            change(1, vec![set("source", Bson::Array(Vec::new()))]),
            insert(1, doc! {}),
        ],
    ];
    let before = (body(&store, 1).await, stored(&store, 1).await.revision);
    for changes in failing {
        assert!(store.commit(writes(changes)).await.is_err());
        assert_eq!(
            (body(&store, 1).await, stored(&store, 1).await.revision),
            before
        );
        assert_eq!(page(&store, &all(Filter::All)).await, (ids(&[1]), 1));
        assert_eq!(page(&store, &all(eq("status", "New"))).await, (vec![], 0));
        assert_eq!(look_up(&store, "y").await.holder, None);
        assert_eq!(look_up(&store, "x").await.holder, Some(id(1)));
    }
}

pub(crate) async fn nothing_is_left_of_what_conflicts_in_a_group(store: Shared) {
    declare(&store).await;
    apply(&store, vec![insert(1, doc! { "list": [] })]).await;
    let mut tasks = Vec::new();
    for number in 0..64_i32 {
        let store = Arc::clone(&store);
        tasks.push(tokio::spawn(async move {
            let mut changes = vec![change(1, vec![push("list", number)])];
            if number % 2 == 1 {
                changes.push(remove(999));
            }
            store.commit(writes(changes)).await.is_ok()
        }));
    }
    for (number, task) in tasks.into_iter().enumerate() {
        assert_eq!(task.await.unwrap(), number % 2 == 0);
    }
    let mut list: Vec<i32> = body(&store, 1)
        .await
        .get_array("list")
        .unwrap()
        .iter()
        .filter_map(Bson::as_i32)
        .collect();
    list.sort_unstable();
    assert_eq!(list, (0..64).step_by(2).collect::<Vec<_>>());
}

pub(crate) async fn an_insert_of_an_existing_document_is_a_conflict(store: Shared) {
    declare(&store).await;
    apply(&store, vec![insert(1, doc! {})]).await;
    assert!(is_conflict(
        &store.commit(writes(vec![insert(1, doc! {})])).await
    ));
    let body = doc! { "_id": "text" };
    let odd = Write::Insert {
        collection: "things".to_owned(),
        body,
    };
    assert!(matches!(
        store.commit(writes(vec![odd])).await,
        Err(CommitError::Impossible(_))
    ));
}

pub(crate) async fn a_document_is_made_and_removed_in_one_write_set(store: Shared) {
    declare(&store).await;
    apply(
        &store,
        vec![
            insert(1, doc! { "name": "x" }),
            change(1, vec![set("a", 1)]),
            remove(1),
        ],
    )
    .await;
    assert!(store.get("things", id(1)).await.unwrap().is_none());
    apply(
        &store,
        vec![insert(
            1,
            doc! { "name": "x", "status": "a", "source": [source("s", &["red"])] },
        )],
    )
    .await;
    apply(
        &store,
        vec![
            remove(1),
            insert(
                1,
                doc! { "name": "y", "status": "b", "source": [source("t", &[])] },
            ),
        ],
    )
    .await;
    assert_eq!(look_up(&store, "x").await.holder, None);
    assert_eq!(look_up(&store, "y").await.holder, Some(id(1)));
    assert_eq!(page(&store, &all(eq("status", "a"))).await, (vec![], 0));
    assert_eq!(page(&store, &all(eq("status", "b"))).await, (ids(&[1]), 1));
    let visible = seeing(&store, &["t"]);
    assert_eq!(
        page(
            &store,
            &ListQuery {
                visible,
                ..all(Filter::All)
            }
        )
        .await,
        (ids(&[1]), 1)
    );
}

/// A document that no map of names to values could hold.
fn odd(number: u32) -> RawDocumentBuf {
    let mut raw = RawDocumentBuf::new();
    raw.append(cstr!("name"), "x");
    raw.append(cstr!("name"), "y");
    raw.append(cstr!("_id"), id(number));
    let regex = bson::Regex {
        pattern: cstr!("a").into(),
        options: cstr!("x").into(),
    };
    raw.append(cstr!("regex"), regex);
    raw
}

pub(crate) async fn copies_keep_their_bytes(store: Shared) {
    declare(&store).await;
    let copy = |body: RawDocumentBuf| {
        let body = Arc::new(body);
        writes(vec![Write::Copy {
            collection: "plain".to_owned(),
            body,
        }])
    };
    store.commit(copy(odd(1))).await.unwrap();
    let stored = store.get("plain", id(1)).await.unwrap().unwrap();
    let as_kept = crate::store::walk::id_first(&odd(1)).unwrap();
    assert_eq!(crate::store::walk::id_first(&stored.body).unwrap(), as_kept);
    assert!(matches!(
        store.commit(copy(odd(1))).await,
        Err(CommitError::Conflict(text)) if text == format!("`plain` {} exists already", id(1))
    ));
    let without = RawDocumentBuf::try_from(&doc! { "_id": 7 }).unwrap();
    assert!(matches!(
        store.commit(copy(without)).await,
        Err(CommitError::Impossible(text)) if text == "a document of `plain` needs an object id as `_id`"
    ));
    let mut bytes = odd(2).into_bytes();
    let length = bytes.len();
    // The type of the last element becomes none that there is.
    bytes[length - 12] = 0x77;
    let damaged = RawDocumentBuf::from_bytes(bytes).unwrap();
    let refused = store.commit(copy(damaged)).await;
    assert!(
        matches!(refused, Err(CommitError::Store(StoreError::Damaged { .. }))),
        "{refused:?}"
    );
}
