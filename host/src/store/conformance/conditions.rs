//! Conditions: they hold alike with and without an index.

use super::super::Direction::Descending;
use super::*;

/// The same values in an indexed field, one without index, and below a list.
pub(crate) async fn conditions_agree_with_and_without_index(store: Shared) {
    declare(&store).await;
    let values = [
        Bson::from("text"),
        Bson::from("Text"),
        Bson::from(""),
        Bson::Int32(5),
        Bson::Int64(5),
        Bson::Double(5.0),
        Bson::Double(5.5),
        Bson::Double(f64::NAN),
        Bson::Int64(i64::MAX),
        Bson::Null,
        Bson::Boolean(true),
        bson::DateTime::from_millis(-5).into(),
        bson::DateTime::from_millis(5).into(),
        id(1).into(),
        Bson::Array(Vec::new()),
        Bson::Array(vec!["text".into(), 7.into()]),
        Bson::Array(vec![Bson::Array(vec![5.into()])]),
        doc! { "a": 1 }.into(),
    ];
    let mut documents = vec![insert(100, doc! {})];
    for (number, value) in values.iter().enumerate() {
        let body = doc! { "value": value.clone(), "unindexed": value.clone(), "list": [{ "number": value.clone() },
        { "other": 1 }], "bare": [{ "number": value.clone() }, { "other": 1 }] };
        documents.push(insert(number as u32, body));
    }
    apply(&store, documents).await;
    for value in &values {
        let tests = [
            Test::Eq(value.clone()),
            Test::Ne(value.clone()),
            Test::Gt(value.clone()),
            Test::Gte(value.clone()),
            Test::Lt(value.clone()),
            Test::Lte(value.clone()),
            Test::In(vec![value.clone(), "other".into(), "text".into()]),
            Test::Nin(vec![value.clone(), 5.into()]),
        ];
        for test in tests {
            for (indexed, bare) in [("value", "unindexed"), ("list.number", "bare.number")] {
                let with = page(&store, &all(Filter::Field(path(indexed), test.clone()))).await;
                let without = page(&store, &all(Filter::Field(path(bare), test.clone()))).await;
                assert_eq!(with, without, "{indexed} {test:?}");
            }
        }
    }
    let count = |field: &str, test| {
        let query = all(Filter::Field(path(field), test));
        let store = Arc::clone(&store);
        async move { page(&store, &query).await.1 }
    };
    assert_eq!(count("value", Test::Eq(5.into())).await, 3);
    assert_eq!(count("value", Test::Gt(5.into())).await, 3);
    assert_eq!(count("value", Test::Lt(6.into())).await, 4);
    assert_eq!(count("value", Test::Eq(Bson::Null)).await, 3);
    assert_eq!(count("value", Test::Exists(false)).await, 2);
    assert_eq!(count("value", Test::Eq("text".into())).await, 2);
    assert_eq!(count("value", Test::Ne("text".into())).await, 17);
}

pub(crate) async fn conditions_on_several_indexes(store: Shared) {
    declare(&store).await;
    for start in (0..3000).step_by(1000) {
        let documents = (start..start + 1000).map(|number| {
            insert(
                number,
                doc! { "status": if number % 2 == 0 { "New" } else { "Old" }, "size": number as i32,
                "value": format!("value {number}"), "odd": (number % 3) as i32 },
            )
        });
        apply(&store, documents.collect()).await;
    }
    let size = |test| Filter::Field(path("size"), test);
    let value = |pattern: &str| {
        Filter::Field(
            path("value"),
            Test::Matches(regex::Regex::new(pattern).unwrap()),
        )
    };
    type Holds = Box<dyn Fn(u32) -> bool>;
    let cases: Vec<(Filter, Holds)> = vec![
        (
            Filter::And(vec![eq("status", "New"), size(Test::Lt(100.into()))]),
            Box::new(|n| n % 2 == 0 && n < 100),
        ),
        (
            Filter::And(vec![
                size(Test::Gte(500.into())),
                size(Test::Lte(2600.into())),
                eq("odd", 1),
            ]),
            Box::new(|n| (500..=2600).contains(&n) && n % 3 == 1),
        ),
        (
            Filter::And(vec![eq("size", 7), eq("odd", 2)]),
            Box::new(|_| false),
        ),
        (
            Filter::Or(vec![eq("size", 7), eq("odd", 2)]),
            Box::new(|n| n == 7 || n % 3 == 2),
        ),
        (
            Filter::Or(vec![
                Filter::And(vec![eq("status", "Old"), eq("odd", 0)]),
                value("^value 12?$"),
                Filter::Nothing,
            ]),
            Box::new(|n| (n % 2 == 1 && n % 3 == 0) || n == 1 || n == 12),
        ),
        (
            Filter::And(vec![value("value 29"), eq("status", "New"), Filter::All]),
            Box::new(|n| n % 2 == 0 && n.to_string().starts_with("29")),
        ),
        (Filter::And(vec![]), Box::new(|_| true)),
        (Filter::Or(vec![]), Box::new(|_| false)),
        (
            Filter::Or(vec![Filter::All, eq("size", 1)]),
            Box::new(|_| true),
        ),
    ];
    for (filter, holds) in cases {
        let wanted: Vec<ObjectId> = (0..3000).filter(|number| holds(*number)).map(id).collect();
        let query = ListQuery {
            limit: 5000,
            ..all(filter.clone())
        };
        assert_eq!(
            page(&store, &query).await,
            (wanted.clone(), wanted.len() as u64),
            "{filter:?}"
        );
        assert_eq!(
            store.select("things", &filter, None, 5000).await.unwrap(),
            wanted,
            "{filter:?}"
        );
        let query = ListQuery {
            sort: by("size", Descending),
            ..query
        };
        let backwards: Vec<ObjectId> = wanted.into_iter().rev().collect();
        assert_eq!(page(&store, &query).await.0, backwards, "{filter:?}");
    }
}

pub(crate) async fn expressions_find_what_they_should(store: Shared) {
    declare(&store).await;
    let texts = [
        "http://evil.example.com/a",
        "HTTP://EVIL.EXAMPLE.COM/B",
        "\u{212A}ELVIN scale",
        "long \u{17F}trings",
        "quote\"d text",
        "nul\0 inside text",
        "Müller straße",
        "ev",
        "",
        "line one\nline two",
    ];
    let mut documents: Vec<Write> = texts
        .iter()
        .enumerate()
        .map(|(number, text)| {
            insert(
                number as u32,
                doc! { "value": *text, "unindexed": *text, "tags": [*text, "x"] },
            )
        })
        .collect();
    documents.push(insert(50, doc! { "value": 5, "unindexed": 5 }));
    documents.push(insert(
        51,
        doc! { "value": ["first part", "second"], "unindexed": ["first part", "second"] },
    ));
    apply(&store, documents).await;
    let patterns = [
        r"evil\.example",
        r"evil",
        r"(?i)EVIL\.example",
        r"ev",
        "kelvin",
        "strings",
        r#"e"d t"#,
        "inside",
        "müll",
        "MÜLL",
        "straße",
        "^$",
        ".*",
        "x.*y|evil",
        "(evil|part)",
        "(?:evil)+",
        "(?:evil)?",
        "e[v]i[lL]",
        "one$",
        "part.s",
        "t\nsecond",
        "ample.com/[ab]",
        "com/(a|b)$",
        "abc|abd",
        r"\bevil\b",
        "e{2}",
        "",
    ];
    for pattern in patterns {
        for insensitive in [true, false] {
            let expression = regex::RegexBuilder::new(pattern)
                .case_insensitive(insensitive)
                .build()
                .unwrap();
            let found = |field: &str| {
                all(Filter::Field(
                    path(field),
                    Test::Matches(expression.clone()),
                ))
            };
            let with = page(&store, &found("value")).await;
            let without = page(&store, &found("unindexed")).await;
            assert_eq!(with, without, "{pattern} {insensitive}");
        }
    }
    let count = |pattern: &str| {
        let expression = regex::RegexBuilder::new(pattern)
            .case_insensitive(true)
            .build()
            .unwrap();
        let query = all(Filter::Field(path("value"), Test::Matches(expression)));
        let store = Arc::clone(&store);
        async move { page(&store, &query).await.1 }
    };
    assert_eq!(count(r"evil\.example").await, 2);
    assert_eq!(count("kelvin").await, 1);
    assert_eq!(count("strings").await, 1);
    apply(
        &store,
        vec![
            change(0, vec![set("value", "good")]),
            remove(1),
            change(51, vec![push("value", "an evil")]),
        ],
    )
    .await;
    assert_eq!(count("evil").await, 1);
    assert_eq!(count("good").await, 1);
}

pub(crate) async fn selections_ascend_and_continue(store: Shared) {
    declare(&store).await;
    let documents = (0..50).map(|number| {
        let status = if number % 2 == 0 { "New" } else { "Old" };
        insert(
            number,
            doc! { "status": status, "unindexed": status, "size": number as i32 },
        )
    });
    apply(&store, documents.collect()).await;
    let filters = [
        (Filter::All, 1),
        (eq("status", "New"), 2),
        (eq("unindexed", "New"), 2),
        (
            Filter::And(vec![
                eq("status", "New"),
                Filter::Field(path("size"), Test::Gte(0.into())),
            ]),
            2,
        ),
    ];
    for (filter, step) in filters {
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let part = store.select("things", &filter, after, 7).await.unwrap();
            assert!(part.len() <= 7);
            let Some(last) = part.last() else { break };
            after = Some(*last);
            found.extend(part);
        }
        assert_eq!(found, (0..50).step_by(step).map(id).collect::<Vec<_>>());
    }
    assert_eq!(
        store
            .select("things", &Filter::Nothing, None, 7)
            .await
            .unwrap(),
        vec![]
    );
}
