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

pub(crate) async fn push_unique_says_what_it_met(store: Shared) {
    declare(&store).await;
    apply(
        &store,
        vec![insert(1, doc! { "tickets": [{ "n": "1", "d": 5_i64 }] })],
    )
    .await;
    let unique = |n: &str, d: Bson, added| Op::PushUnique {
        path: path("tickets"),
        value: doc! { "n": n, "d": d, "more": true }.into(),
        keys: vec!["n".to_owned(), "d".to_owned()],
        added,
    };
    apply(
        &store,
        vec![change(1, vec![unique("1", Bson::Int32(5), false)])],
    )
    .await;
    assert_eq!(body(&store, 1).await.get_array("tickets").unwrap().len(), 1);
    assert!(is_conflict(
        &store
            .commit(writes(vec![change(
                1,
                vec![unique("1", Bson::Double(5.0), true)]
            )]))
            .await
    ));
    assert!(is_conflict(
        &store
            .commit(writes(vec![change(
                1,
                vec![unique("2", Bson::Int32(5), false)]
            )]))
            .await
    ));
    apply(
        &store,
        vec![change(
            1,
            vec![
                unique("2", Bson::Int32(5), true),
                unique("2", Bson::Int32(5), false),
            ],
        )],
    )
    .await;
    assert_eq!(body(&store, 1).await.get_array("tickets").unwrap().len(), 2);
    let whole = |added| Op::PushUnique {
        path: path("tags"),
        value: "a".into(),
        keys: Vec::new(),
        added,
    };
    apply(&store, vec![change(1, vec![whole(true), whole(false)])]).await;
    assert_eq!(body(&store, 1).await.get_array("tags").unwrap().len(), 1);
}

pub(crate) async fn pull_says_how_many_it_removed(store: Shared) {
    declare(&store).await;
    apply(
        &store,
        vec![insert(
            1,
            doc! { "list": [{ "n": 1 }, { "n": 2 }, { "n": 1 }, 1, 1] },
        )],
    )
    .await;
    let pull = |condition, limit, removed| Op::Pull {
        path: path("list"),
        condition,
        limit,
        removed,
    };
    assert!(is_conflict(
        &store
            .commit(writes(vec![change(1, vec![pull(eq("n", 1), 0, 1)])]))
            .await
    ));
    assert!(is_conflict(
        &store
            .commit(writes(vec![change(1, vec![pull(eq("n", 7), 0, 1)])]))
            .await
    ));
    assert!(is_conflict(
        &store
            .commit(writes(vec![change(1, vec![pull(eq("n", 1), 0, 0)])]))
            .await
    ));
    let itself = Filter::Field(FieldPath::itself(), Test::Eq(1.into()));
    let operations = vec![
        pull(eq("n", 1), 1, 1),
        pull(eq("n", 7), 0, 0),
        pull(itself, 0, 2),
    ];
    apply(&store, vec![change(1, operations)]).await;
    assert_eq!(
        body(&store, 1).await,
        with_id(1, doc! { "list": [{ "n": 2 }, { "n": 1 }] })
    );
}

pub(crate) async fn increments_add_up(store: Shared) {
    declare(&store).await;
    apply(&store, vec![insert(1, doc! { "d": 1.5, "i": i32::MAX })]).await;
    let mut tasks = Vec::new();
    for _ in 0..32 {
        let store = Arc::clone(&store);
        let operations = ["n", "d", "i"]
            .map(|field| Op::Increment(path(field), 1))
            .to_vec();
        tasks.push(tokio::spawn(async move {
            store.commit(writes(vec![change(1, operations)])).await
        }));
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let wanted = with_id(
        1,
        doc! { "d": 33.5, "i": i64::from(i32::MAX) + 32, "n": 32 },
    );
    assert_eq!(body(&store, 1).await, wanted);
}

pub(crate) async fn impossible_operations_are_refused(store: Shared) {
    declare(&store).await;
    apply(
        &store,
        vec![insert(
            1,
            doc! { "text": "t", "list": [1], "max": i64::MAX },
        )],
    )
    .await;
    let operations = [
        push("text", 1),
        set("text.a", 1),
        set("list.5", 1),
        set("list.a", 1),
        set("_id", 1),
        Op::Increment(path("text"), 1),
        Op::Increment(path("max"), 1),
        Op::Unset(path("list.0")),
        set("a", doc! { "with\0nul": 1 }),
    ];
    let before = body(&store, 1).await;
    for operation in operations {
        let refused = store
            .commit(writes(vec![change(1, vec![operation.clone()])]))
            .await;
        assert!(
            matches!(refused, Err(CommitError::Impossible(_))),
            "{operation:?}: {refused:?}"
        );
    }
    assert_eq!(body(&store, 1).await, before);
    // If the handler had seen something else, it shall look again.
    let mut seen = read(&store, 1, &[]).await;
    seen.revision = seen.revision.map(|revision| revision - 1);
    let late = WriteSet {
        documents: vec![seen],
        ..writes(vec![change(1, vec![push("text", 1)])])
    };
    assert!(is_conflict(&store.commit(late).await));
}

pub(crate) async fn too_large_a_document_is_refused(store: Shared) {
    declare(&store).await;
    apply(
        &store,
        vec![insert(1, doc! { "list": ["x".repeat(15 << 20)] })],
    )
    .await;
    let late = store
        .commit(writes(vec![change(
            1,
            vec![push("list", "y".repeat(2 << 20))],
        )]))
        .await;
    assert!(matches!(late, Err(CommitError::Impossible(_))));
    let late = store
        .commit(writes(vec![insert(
            2,
            doc! { "text": "x".repeat(17 << 20) },
        )]))
        .await;
    assert!(matches!(late, Err(CommitError::Impossible(_))));
    apply(&store, vec![change(1, vec![push("list", "z")])]).await;
}

pub(crate) async fn revisions_grow_and_never_come_back(store: Shared) {
    declare(&store).await;
    let mut seen = Vec::new();
    for round in 0..5 {
        apply(&store, vec![insert(1, doc! {})]).await;
        seen.push(stored(&store, 1).await.revision);
        apply(&store, vec![change(1, vec![set("a", round)])]).await;
        seen.push(stored(&store, 1).await.revision);
        apply(&store, vec![remove(1)]).await;
    }
    assert!(seen.is_sorted_by(|a, b| a < b), "{seen:?}");
}

pub(crate) async fn operations_without_effect_leave_the_revision(store: Shared) {
    declare(&store).await;
    let now = bson::DateTime::from_millis(1_000);
    apply(
        &store,
        vec![insert(1, doc! { "a": 1, "d": now, "list": [{ "n": 1 }] })],
    )
    .await;
    let before = stored(&store, 1).await.revision;
    let operations = vec![
        set("a", 1_i64),
        set("d", now),
        set("list.0.n", 1.0),
        Op::Unset(path("gone")),
        Op::Unset(path("a.b")),
        Op::Increment(path("a"), 0),
        Op::Pull {
            path: path("list"),
            condition: eq("n", 2),
            limit: 0,
            removed: 0,
        },
        Op::Pull {
            path: path("gone"),
            condition: Filter::All,
            limit: 0,
            removed: 0,
        },
    ];
    apply(&store, vec![change(1, operations)]).await;
    assert_eq!(stored(&store, 1).await.revision, before);
}

pub(crate) async fn sixty_four_writers_on_one_document_lose_nothing(store: Shared) {
    declare(&store).await;
    apply(
        &store,
        vec![insert(1, doc! { "relationships": [], "count": 0 })],
    )
    .await;
    let mut tasks = Vec::new();
    for writer in 0..64_u32 {
        let store = Arc::clone(&store);
        tasks.push(tokio::spawn(async move {
            for round in 0..8 {
                let partner = id(1000 + writer * 8 + round);
                let unique = Op::PushUnique {
                    path: path("relationships"),
                    value: doc! { "value": partner }.into(),
                    keys: vec!["value".to_owned()],
                    added: true,
                };
                apply(
                    &store,
                    vec![change(1, vec![unique, Op::Increment(path("count"), 1)])],
                )
                .await;
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let document = body(&store, 1).await;
    assert_eq!(document.get_i32("count").unwrap(), 512);
    assert_eq!(document.get_array("relationships").unwrap().len(), 512);
    for number in [1000, 1255, 1511] {
        assert_eq!(
            page(&store, &all(eq("relationships.value", id(number)))).await,
            (ids(&[1]), 1)
        );
    }
}

pub(crate) async fn read_modify_write_loses_nothing(store: Shared) {
    declare(&store).await;
    apply(
        &store,
        vec![insert(1, doc! { "n": 0 }), insert(2, doc! { "n": 0 })],
    )
    .await;
    let mut tasks = Vec::new();
    for _ in 0..8 {
        let store = Arc::clone(&store);
        tasks.push(tokio::spawn(async move {
            for _ in 0..20 {
                loop {
                    let one = read(&store, 1, &["n"]).await;
                    let two = read(&store, 2, &["n"]).await;
                    let number =
                        |read: &DocRead| read.values[0].1.as_ref().and_then(Bson::as_i32).unwrap();
                    let (a, b) = (number(&one), number(&two));
                    let changes = vec![
                        change(1, vec![set("n", a + 1)]),
                        change(2, vec![set("n", b - 1)]),
                    ];
                    match store
                        .commit(WriteSet {
                            documents: vec![one, two],
                            ..writes(changes)
                        })
                        .await
                    {
                        Ok(()) => break,
                        Err(CommitError::Conflict(_)) => {}
                        Err(other) => panic!("{other}"),
                    }
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(body(&store, 1).await, with_id(1, doc! { "n": 160 }));
    assert_eq!(body(&store, 2).await, with_id(2, doc! { "n": -160 }));
}

pub(crate) async fn a_list_of_ten_thousand_grows(store: Shared) {
    declare(&store).await;
    let list: Vec<Document> = (0..10_000)
        .map(|number| doc! { "value": id(number), "analyst": "somebody", "type": "Domain" })
        .collect();
    apply(
        &store,
        vec![insert(0, doc! { "name": "root", "relationships": list })],
    )
    .await;
    for number in 10_000..10_050 {
        let unique = Op::PushUnique {
            path: path("relationships"),
            value: doc! { "value": id(number), "analyst": "somebody", "type": "Domain" }.into(),
            keys: vec!["value".to_owned(), "type".to_owned()],
            added: true,
        };
        apply(&store, vec![change(0, vec![unique])]).await;
    }
    assert_eq!(
        body(&store, 0)
            .await
            .get_array("relationships")
            .unwrap()
            .len(),
        10_050
    );
    for number in [0, 9_999, 10_000, 10_049] {
        assert_eq!(
            page(&store, &all(eq("relationships.value", id(number))))
                .await
                .1,
            1,
            "{number}"
        );
    }
    let pull = Op::Pull {
        path: path("relationships"),
        condition: eq("value", id(10_000)),
        limit: 0,
        removed: 1,
    };
    apply(&store, vec![change(0, vec![pull])]).await;
    assert_eq!(
        page(&store, &all(eq("relationships.value", id(10_000))))
            .await
            .1,
        0
    );
    assert_eq!(
        page(&store, &all(eq("relationships.value", id(9_999))))
            .await
            .1,
        1
    );
}

pub(crate) async fn undeclared_collections_are_named(store: Shared) {
    declare(&store).await;
    let error = store.get("others", id(1)).await.unwrap_err();
    assert_eq!(error.to_string(), "collection `others` was not declared");
    let write = Write::Insert {
        collection: "others".to_owned(),
        body: with_id(1, doc! {}),
    };
    let error = store.commit(writes(vec![write])).await.unwrap_err();
    assert_eq!(error.to_string(), "collection `others` was not declared");
    let key = KeyValue {
        collection: "things".to_owned(),
        parts: vec![(path("size"), 1.into())],
    };
    let error = store.by_key(&key).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "collection `things` has no unique key (size)"
    );
}

pub(crate) async fn administrative_commits_move_the_revision(store: Shared) {
    let users = CollectionSpec {
        name: "users".to_owned(),
        administrative: true,
        ..plain()
    };
    store.declare(&[users, plain()]).await.unwrap();
    let insert_into = |collection: &str, number| {
        writes(vec![Write::Insert {
            collection: collection.to_owned(),
            body: with_id(number, doc! {}),
        }])
    };
    let first = store.administrative_revision().await.unwrap();
    store.commit(insert_into("plain", 1)).await.unwrap();
    assert_eq!(store.administrative_revision().await.unwrap(), first);
    store.commit(insert_into("users", 1)).await.unwrap();
    let second = store.administrative_revision().await.unwrap();
    assert_ne!(second, first);
    assert!(store.commit(insert_into("users", 1)).await.is_err());
    assert_eq!(store.administrative_revision().await.unwrap(), second);
}

pub(crate) async fn duplicates_are_reported_and_not_enforced(store: Shared) {
    let without = CollectionSpec {
        keys: Vec::new(),
        ..things()
    };
    store.declare(&[without]).await.unwrap();
    let twins = vec![
        insert(1, doc! { "name": "x" }),
        insert(2, doc! { "name": "x" }),
        insert(3, doc! { "name": "y" }),
    ];
    apply(&store, twins).await;
    for _ in 0..2 {
        let reports = store.declare(&[things()]).await.unwrap();
        assert_eq!(reports.len(), 1, "{reports:?}");
        assert!(
            reports[0].contains("name") && reports[0].contains("things"),
            "{reports:?}"
        );
    }
    assert_eq!(look_up(&store, "x").await.holder, Some(id(1)));
    apply(
        &store,
        vec![
            insert(4, doc! { "name": "y" }),
            insert(0, doc! { "name": "y" }),
        ],
    )
    .await;
    assert_eq!(look_up(&store, "y").await.holder, Some(id(0)));
    // The other key is as good as ever.
    apply(&store, vec![insert(5, doc! { "kind": "k", "number": 1 })]).await;
    assert!(
        store
            .commit(writes(vec![insert(6, doc! { "kind": "k", "number": 1 })]))
            .await
            .is_err()
    );
    // Once the operator has cleaned up, the next start enforces the key.
    apply(&store, vec![remove(0), remove(1), remove(4)]).await;
    assert!(store.declare(&[things()]).await.unwrap().is_empty());
    assert!(
        store
            .commit(writes(vec![insert(7, doc! { "name": "y" })]))
            .await
            .is_err()
    );
}

pub(crate) async fn new_indexes_are_filled(store: Shared) {
    let bare = CollectionSpec {
        keys: Vec::new(),
        indexes: Vec::new(),
        classed: false,
        ..things()
    };
    store.declare(&[bare]).await.unwrap();
    let documents = (1..200).map(|number| {
        insert(
            number,
            doc! { "name": format!("n{number}"), "value": format!("abc{number}xyz"), "size": -(number as i32),
            "source": [source("s", &["red"])] },
        )
    });
    apply(&store, documents.collect()).await;
    declare(&store).await;
    declare(&store).await;
    assert_eq!(look_up(&store, "n7").await.holder, Some(id(7)));
    assert_eq!(page(&store, &all(eq("size", -9))).await, (ids(&[9]), 1));
    let first = ListQuery {
        sort: by("size", super::super::Direction::Ascending),
        limit: 2,
        ..all(Filter::All)
    };
    assert_eq!(page(&store, &first).await, (ids(&[199, 198]), 199));
    let found = Filter::Field(
        path("value"),
        Test::Matches(regex::Regex::new("abc19\\dxyz").unwrap()),
    );
    assert_eq!(page(&store, &all(found)).await.1, 10);
    let visible = seeing(&store, &["s"]);
    assert_eq!(
        page(
            &store,
            &ListQuery {
                visible,
                limit: 1,
                ..all(Filter::All)
            }
        )
        .await,
        (ids(&[1]), 199)
    );
}
