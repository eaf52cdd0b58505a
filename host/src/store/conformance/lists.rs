//! Lists, counts, order, classes, selections.

use super::super::Direction::{Ascending, Descending};
use super::*;

pub(crate) async fn get_many_keeps_the_order(store: Shared) {
    declare(&store).await;
    apply(
        &store,
        (1..6).map(|number| insert(number, doc! {})).collect(),
    )
    .await;
    let found = store
        .get_many("things", &ids(&[5, 9, 1, 3, 5]))
        .await
        .unwrap();
    assert_eq!(
        found.iter().map(|document| document.id).collect::<Vec<_>>(),
        ids(&[5, 1, 3, 5])
    );
}

pub(crate) async fn a_class_follows_the_source(store: Shared) {
    declare(&store).await;
    let body = doc! { "status": "New", "value": "some value", "source": [source("a", &["red", "green", "red"])] };
    apply(&store, vec![insert(1, body.clone()), insert(2, body)]).await;
    let (one, two) = (stored(&store, 1).await, stored(&store, 2).await);
    assert_eq!(one.class, two.class);
    apply(
        &store,
        vec![change(1, vec![push("source", source("b", &[]))])],
    )
    .await;
    let moved = stored(&store, 1).await.class;
    assert_ne!(moved, one.class);
    let pairs: Vec<String> = store.classes().classes[moved as usize]
        .iter()
        .map(|(name, mark)| format!("{name} {mark:?}"))
        .collect();
    assert_eq!(pairs, ["a Green", "a Red", "b NoInstance"]);
    // Every way to the document knows of it.
    let visible = seeing(&store, &["b"]);
    let found = Filter::Field(
        path("value"),
        Test::Matches(regex::Regex::new("me val").unwrap()),
    );
    for filter in [
        Filter::All,
        eq("status", "New"),
        eq("gone", Bson::Null),
        found,
    ] {
        for sort in [Vec::new(), by("size", Ascending), by("status", Descending)] {
            let query = ListQuery {
                visible: visible.clone(),
                sort,
                ..all(filter.clone())
            };
            assert_eq!(page(&store, &query).await, (ids(&[1]), 1), "{filter:?}");
        }
    }
    apply(&store, vec![change(1, vec![Op::Unset(path("source"))])]).await;
    let class = stored(&store, 1).await.class;
    assert_ne!(class, 0);
    assert!(store.classes().classes[class as usize].is_empty());
}

pub(crate) async fn counts_are_exact_per_class(store: Shared) {
    declare(&store).await;
    let names = ["a", "b", "c"];
    let documents = (0..90).map(|number| {
        insert(number, doc! { "source": [source(names[number as usize % 3], &["red"])], "size": (number % 7) as i32 })
    });
    apply(&store, documents.collect()).await;
    apply(
        &store,
        vec![
            remove(0),
            remove(1),
            change(2, vec![set("source", vec![source("a", &["red"])])]),
        ],
    )
    .await;
    for (names, total) in [
        (&["a"][..], 30),
        (&["b"], 29),
        (&["c"], 29),
        (&["a", "b", "c"], 88),
        (&[], 0),
    ] {
        let visible = seeing(&store, names);
        let query = ListQuery {
            visible,
            limit: 7,
            ..all(Filter::All)
        };
        let answer = store.list(&query).await.unwrap();
        assert_eq!(
            (answer.total, answer.documents.len()),
            (total, 7.min(total as usize))
        );
        let sizes = Filter::Field(path("size"), Test::Gte(0.into()));
        assert_eq!(
            store
                .list(&ListQuery {
                    filter: sizes,
                    ..query
                })
                .await
                .unwrap()
                .total,
            total
        );
    }
    assert_eq!(page(&store, &all(Filter::All)).await.1, 88);
}

pub(crate) async fn unknown_classes_are_invisible(store: Shared) {
    declare(&store).await;
    apply(
        &store,
        vec![insert(1, doc! { "source": [source("a", &["red"])] })],
    )
    .await;
    let visible = seeing(&store, &["a"]);
    apply(
        &store,
        vec![insert(2, doc! { "source": [source("a", &["green"])] })],
    )
    .await;
    let query = ListQuery {
        visible,
        ..all(Filter::All)
    };
    assert_eq!(page(&store, &query).await, (ids(&[1]), 1));
    let visible = seeing(&store, &["a"]);
    assert_eq!(
        page(&store, &ListQuery { visible, ..query }).await,
        (ids(&[1, 2]), 2)
    );
}

pub(crate) async fn classes_are_interned_once(store: Shared) {
    declare(&store).await;
    let mut tasks = Vec::new();
    for writer in 0..16_u32 {
        let store = Arc::clone(&store);
        tasks.push(tokio::spawn(async move {
            for round in 0..20_u32 {
                let name = format!("s{}", (writer + round * 7) % 40);
                let number = writer * 100 + round;
                apply(
                    &store,
                    vec![insert(number, doc! { "source": [source(&name, &["red"])] })],
                )
                .await;
                store.administrative_revision().await.unwrap();
                let class = stored(&store, number).await.class;
                assert_eq!(store.classes().classes[class as usize][0].0, name);
                assert!(
                    page(
                        &store,
                        &ListQuery {
                            limit: 1,
                            ..all(Filter::All)
                        }
                    )
                    .await
                    .1 > u64::from(round)
                );
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let table = store.classes();
    assert_eq!((table.classes.len(), table.numbers.len()), (41, 40));
    for (pairs, number) in &table.numbers {
        assert_eq!(table.classes[*number as usize], *pairs);
    }
}

pub(crate) async fn classes_of_documents_come_in_order(store: Shared) {
    declare(&store).await;
    let plain = Write::Insert {
        collection: "plain".to_owned(),
        body: with_id(3, doc! {}),
    };
    apply(
        &store,
        vec![
            insert(1, doc! { "source": [source("a", &["red"])] }),
            insert(2, doc! {}),
            plain,
        ],
    )
    .await;
    let other = DocKey {
        collection: "plain".to_owned(),
        id: id(3),
    };
    let classes = store
        .classes_of(&[thing(2), thing(9), other, thing(1)])
        .await
        .unwrap();
    let (one, two) = (stored(&store, 1).await.class, stored(&store, 2).await.class);
    assert_eq!(classes, [Some(two), None, Some(0), Some(one)]);
}

pub(crate) async fn pages_cover_everything_once(store: Shared) {
    declare(&store).await;
    let documents = (0..100).map(|number| {
        insert(
            number,
            doc! { "size": (number * 7 % 13) as i32, "status": if number % 2 == 0 { "New" } else { "Old" },
            "odd": (number % 5) as i32 },
        )
    });
    apply(&store, documents.collect()).await;
    let filters = [
        Filter::All,
        eq("status", "New"),
        eq("odd", 3),
        Filter::And(vec![eq("status", "New"), eq("odd", 2)]),
        Filter::Or(vec![eq("size", 1), eq("status", "Old")]),
    ];
    for filter in filters {
        for sort in [
            vec![],
            by("_id", Descending),
            by("size", Descending),
            by("odd", Ascending),
        ] {
            let whole = ListQuery {
                sort: sort.clone(),
                ..all(filter.clone())
            };
            let (everything, total) = page(&store, &whole).await;
            assert_eq!(everything.len() as u64, total);
            let mut parts = Vec::new();
            for offset in (0..total).step_by(7) {
                let part = ListQuery {
                    offset,
                    limit: 7,
                    ..whole.clone()
                };
                let (page, count) = page(&store, &part).await;
                assert_eq!(count, total);
                parts.extend(page);
            }
            assert_eq!(parts, everything, "{filter:?} {sort:?}");
        }
    }
}

pub(crate) async fn ties_are_broken_by_id_in_both_directions(store: Shared) {
    declare(&store).await;
    let documents = [(1, "b"), (2, "a"), (3, "b"), (4, "a")];
    let documents = documents
        .map(|(number, text)| insert(number, doc! { "status": text, "unindexed": text }))
        .to_vec();
    apply(&store, documents).await;
    for field in ["status", "unindexed"] {
        let query = |direction| ListQuery {
            sort: by(field, direction),
            ..all(Filter::All)
        };
        assert_eq!(page(&store, &query(Ascending)).await.0, ids(&[2, 4, 1, 3]));
        assert_eq!(page(&store, &query(Descending)).await.0, ids(&[1, 3, 2, 4]));
    }
    let query = |direction| ListQuery {
        sort: by("_id", direction),
        ..all(eq("status", "b"))
    };
    assert_eq!(page(&store, &query(Ascending)).await.0, ids(&[1, 3]));
    assert_eq!(page(&store, &query(Descending)).await.0, ids(&[3, 1]));
}

pub(crate) async fn missing_values_sort_lowest(store: Shared) {
    declare(&store).await;
    let values = [
        (1, Some(Bson::from("a"))),
        (2, None),
        (3, Some(Bson::Int64(5))),
        (4, Some(Bson::Null)),
        (5, Some(Bson::Array(Vec::new()))),
        (6, Some(Bson::Double(-2.5))),
        (7, Some(bson::DateTime::from_millis(0).into())),
        (8, Some(Bson::Boolean(false))),
        (9, Some(id(9).into())),
        (10, Some(doc! { "a": 1 }.into())),
    ];
    let documents = values.map(|(number, value)| {
        let mut body = doc! {};
        if let Some(value) = value {
            body.insert("size", value.clone());
            body.insert("unindexed", value);
        }
        insert(number, body)
    });
    apply(&store, documents.to_vec()).await;
    for field in ["size", "unindexed"] {
        let query = |direction| ListQuery {
            sort: by(field, direction),
            ..all(Filter::All)
        };
        assert_eq!(
            page(&store, &query(Ascending)).await.0,
            ids(&[2, 4, 5, 6, 3, 1, 10, 9, 8, 7]),
            "{field}"
        );
        assert_eq!(
            page(&store, &query(Descending)).await.0,
            ids(&[7, 8, 9, 10, 1, 3, 6, 2, 4, 5]),
            "{field}"
        );
    }
}

pub(crate) async fn lists_sort_by_their_lowest_value(store: Shared) {
    declare(&store).await;
    let lists = [
        (1, vec!["m", "z"]),
        (2, vec!["b", "y"]),
        (3, vec!["x", "a"]),
        (4, vec!["n"]),
    ];
    apply(
        &store,
        lists
            .map(|(number, list)| insert(number, doc! { "tags": list }))
            .to_vec(),
    )
    .await;
    let query = |direction| ListQuery {
        sort: by("tags", direction),
        ..all(Filter::All)
    };
    assert_eq!(page(&store, &query(Ascending)).await.0, ids(&[3, 2, 1, 4]));
    assert_eq!(page(&store, &query(Descending)).await.0, ids(&[4, 1, 2, 3]));
    apply(&store, vec![change(4, vec![push("tags", "0")])]).await;
    assert_eq!(page(&store, &query(Ascending)).await.0, ids(&[4, 3, 2, 1]));
    assert_eq!(page(&store, &all(eq("tags.0", "0"))).await.1, 0);
    assert_eq!(page(&store, &all(eq("tags.0", "n"))).await, (ids(&[4]), 1));
}

pub(crate) async fn long_values_sort_and_match_exactly(store: Shared) {
    declare(&store).await;
    let long = |end: &str| format!("{}{end}", "v".repeat(3000));
    let texts = [
        (1, long("c")),
        (2, long("a")),
        (3, long("b")),
        (4, "v".repeat(1000)),
        (5, long("b")),
        (6, "w".into()),
    ];
    apply(
        &store,
        texts
            .map(|(number, text)| insert(number, doc! { "value": text }))
            .to_vec(),
    )
    .await;
    let query = |direction| ListQuery {
        sort: by("value", direction),
        ..all(Filter::All)
    };
    assert_eq!(
        page(&store, &query(Ascending)).await.0,
        ids(&[4, 2, 3, 5, 1, 6])
    );
    assert_eq!(
        page(&store, &query(Descending)).await.0,
        ids(&[6, 1, 3, 5, 2, 4])
    );
    let second = ListQuery {
        offset: 2,
        limit: 2,
        ..query(Ascending)
    };
    assert_eq!(page(&store, &second).await.0, ids(&[3, 5]));
    let value = |test| all(Filter::Field(path("value"), test));
    assert_eq!(
        page(&store, &value(Test::Eq(long("b").into()))).await,
        (ids(&[3, 5]), 2)
    );
    assert_eq!(page(&store, &value(Test::Eq(long("d").into()))).await.1, 0);
    assert_eq!(
        page(&store, &value(Test::Gt(long("b").into()))).await.0,
        ids(&[1, 6])
    );
    assert_eq!(
        page(&store, &value(Test::Lte(long("a").into()))).await.0,
        ids(&[2, 4])
    );
    let ends = |pattern: &str| value(Test::Matches(regex::Regex::new(pattern).unwrap()));
    assert_eq!(page(&store, &ends("vvb$")).await.0, ids(&[3, 5]));
    assert_eq!(page(&store, &ends("[ab]$")).await.0, ids(&[2, 3, 5]));
    apply(
        &store,
        vec![change(3, vec![set("value", "short")]), remove(5)],
    )
    .await;
    assert_eq!(
        page(&store, &query(Ascending)).await.0,
        ids(&[3, 4, 2, 1, 6])
    );
}

pub(crate) async fn many_with_the_same_value_sort_by_id(store: Shared) {
    declare(&store).await;
    for start in (0..1500).step_by(500) {
        let documents = (start..start + 500).map(|number| {
            let status = if number % 10 == 0 { "few" } else { "many" };
            insert(
                number,
                doc! { "status": status, "size": (number % 2) as i32 },
            )
        });
        apply(&store, documents.collect()).await;
    }
    let few: Vec<u32> = (0..1500).filter(|number| number % 10 == 0).collect();
    let many: Vec<u32> = (0..1500).filter(|number| number % 10 != 0).collect();
    let descending: Vec<ObjectId> = ids(&[many.clone(), few.clone()].concat());
    let ascending: Vec<ObjectId> = ids(&[few, many].concat());
    for (direction, wanted) in [(Ascending, ascending), (Descending, descending)] {
        for offset in [0, 140, 149, 150, 700, 1340, 1350, 1499] {
            let query = ListQuery {
                sort: by("status", direction),
                offset,
                limit: 20,
                ..all(Filter::All)
            };
            let start = offset as usize;
            let end = (start + 20).min(1500);
            assert_eq!(
                page(&store, &query).await,
                (wanted[start..end].to_vec(), 1500),
                "{direction:?} {offset}"
            );
            let odd: Vec<ObjectId> = wanted
                .iter()
                .copied()
                .filter(|id| id.bytes()[11] % 2 == 1)
                .skip(start)
                .take(20)
                .collect();
            let query = ListQuery {
                filter: eq("size", 1),
                ..query
            };
            assert_eq!(
                page(&store, &query).await,
                (odd, 750),
                "{direction:?} {offset}"
            );
        }
    }
    let wanted: Vec<ObjectId> = (0..1500)
        .filter(|number| number % 10 != 0)
        .map(id)
        .collect();
    let query = ListQuery {
        sort: by("size", Descending),
        limit: 5000,
        ..all(eq("status", "many"))
    };
    let (found, total) = page(&store, &query).await;
    assert_eq!(total, 1350);
    let (odd, even): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|id| id.bytes()[11] % 2 == 1);
    assert_eq!(found, [odd, even].concat());
}

pub(crate) async fn several_sort_keys(store: Shared) {
    declare(&store).await;
    let documents = [
        (1, "a", 1),
        (2, "b", 2),
        (3, "a", 2),
        (4, "b", 1),
        (5, "a", 2),
    ];
    let documents =
        documents.map(|(number, text, size)| insert(number, doc! { "status": text, "size": size }));
    apply(&store, documents.to_vec()).await;
    let sort = [by("status", Ascending), by("size", Descending)].concat();
    let query = ListQuery {
        sort: sort.clone(),
        ..all(Filter::All)
    };
    assert_eq!(page(&store, &query).await.0, ids(&[3, 5, 1, 2, 4]));
    let query = ListQuery {
        sort: [sort, by("_id", Descending)].concat(),
        ..all(Filter::All)
    };
    assert_eq!(page(&store, &query).await.0, ids(&[5, 3, 1, 2, 4]));
    let query = ListQuery {
        offset: 1,
        limit: 2,
        ..query
    };
    assert_eq!(page(&store, &query).await, (ids(&[3, 1]), 5));
}

pub(crate) async fn offsets_beyond_the_end_are_empty(store: Shared) {
    declare(&store).await;
    apply(
        &store,
        (0..5)
            .map(|number| insert(number, doc! { "status": "New" }))
            .collect(),
    )
    .await;
    for filter in [
        Filter::All,
        eq("status", "New"),
        eq("unindexed", Bson::Null),
    ] {
        for (offset, limit) in [(5, 20), (u64::MAX, u32::MAX), (0, 0)] {
            for sort in [vec![], by("status", Descending), by("unindexed", Ascending)] {
                let query = ListQuery {
                    sort,
                    offset,
                    limit,
                    ..all(filter.clone())
                };
                assert_eq!(page(&store, &query).await, (vec![], 5));
            }
        }
    }
    assert_eq!(page(&store, &all(Filter::Nothing)).await, (vec![], 0));
}
