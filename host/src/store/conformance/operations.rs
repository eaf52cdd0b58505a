//! Operations: their effects, their limits, and that none of them is lost.

use super::*;

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
