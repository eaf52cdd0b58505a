//! Collections: what declaring them does.

use super::*;

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

pub(crate) async fn collections_are_listed(store: Shared) {
    assert_eq!(store.collections().await.unwrap(), Vec::<String>::new());
    declare(&store).await;
    assert_eq!(store.collections().await.unwrap(), ["plain", "things"]);
}

pub(crate) async fn declarations_are_answered_as_they_were_made(store: Shared) {
    assert_eq!(store.declarations().await.unwrap(), []);
    declare(&store).await;
    let intact = |spec: CollectionSpec| Declaration {
        spec,
        violated: Vec::new(),
    };
    assert_eq!(
        store.declarations().await.unwrap(),
        [intact(plain()), intact(things())]
    );
    for number in [1, 2] {
        let write = Write::Insert {
            collection: "plain".to_owned(),
            body: with_id(number, doc! { "name": "twice" }),
        };
        store.commit(writes(vec![write])).await.unwrap();
    }
    let name = KeySpec {
        fields: vec![path("name")],
    };
    let keyed = CollectionSpec {
        keys: vec![name.clone()],
        ..plain()
    };
    store.declare(std::slice::from_ref(&keyed)).await.unwrap();
    let violated = Declaration {
        spec: keyed,
        violated: vec![name],
    };
    assert_eq!(
        store.declarations().await.unwrap(),
        [violated, intact(things())]
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
