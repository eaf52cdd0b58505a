//! Pages without a count, and pulls of changes by cursor.

use super::*;
use crate::dates;

/// Stores an event that was changed so many milliseconds ago.
async fn changed(server: &Server, title: &str, ago: i64) -> ObjectId {
    let modified = bson::DateTime::from_millis(dates::now() - ago);
    server
        .insert(
            "events",
            &["A"],
            doc! {"title": title, "modified": modified, "event_type": "Phishing"},
        )
        .await
}

async fn change(server: &Server, id: ObjectId, ago: i64) {
    let modified = bson::DateTime::from_millis(dates::now() - ago);
    let set = crate::store::Op::Set(
        crate::store::FieldPath::literal("modified"),
        modified.into(),
    );
    let document = crate::store::DocKey {
        collection: "events".into(),
        id,
    };
    let changes = WriteSet {
        writes: vec![Write::Change {
            document,
            operations: vec![set],
        }],
        ..WriteSet::default()
    };
    server.store.commit(changes).await.unwrap();
}

/// All titles from a cursor to the end, and the cursor there.
async fn pull(server: &Server, cursor: &str, conditions: &str) -> (Vec<String>, String) {
    let mut path = format!("/api/v1/events/?limit=3&{conditions}&cursor={cursor}");
    let mut found = Vec::new();
    loop {
        let answer = server.get(&path).await;
        found.extend(titles(&answer));
        let meta = answer.json()["meta"].clone();
        assert_eq!(
            (&meta["total_count"], &meta["offset"], &meta["previous"]),
            (&json!(null), &json!(0), &json!(null))
        );
        let Some(next) = meta["next"].as_str() else {
            assert_eq!(meta["at_end"], true, "{meta}");
            return (found, meta["cursor"].as_str().unwrap().to_owned());
        };
        assert_eq!(meta["at_end"], false, "{meta}");
        assert!(
            next.contains("c-event_type=Phishing")
                && next.contains(meta["cursor"].as_str().unwrap()),
            "{next}"
        );
        // The link carries the credentials of the request.
        let credentials = format!("username=alice&api_key={KEY}&");
        path = next.replacen(&credentials, "", 1);
    }
}

const MINUTE: i64 = 60_000;
const SAME: &str = "c-event_type=Phishing";

#[tokio::test]
async fn skip_total_pages_know_only_whether_there_is_more() {
    let server = Server::start().await;
    for number in 0..5 {
        server
            .insert(
                "events",
                &["A"],
                doc! {"title": format!("e{number}"), "size": number},
            )
            .await;
        server
            .insert("events", &["B"], doc! {"title": "hidden", "size": number})
            .await;
    }
    for query in [
        "",
        "sort=title&",
        "order_by=-size&",
        "c-size__gte=0&",
        "regex=1&c-title=^e&",
    ] {
        let mut path = format!("/api/v1/events/?{query}skip_total=1&limit=2");
        let mut pages = Vec::new();
        loop {
            let answer = server.get(&path).await;
            assert_eq!(answer.json()["meta"]["total_count"], json!(null), "{path}");
            pages.push(titles(&answer).len());
            let Some(next) = answer.json()["meta"]["next"].as_str().map(str::to_owned) else {
                break;
            };
            path = next.replacen(&format!("username=alice&api_key={KEY}&"), "", 1);
        }
        assert_eq!(pages, [2, 2, 1], "{query}");
    }
    let whole = server
        .get("/api/v1/events/?skip_total=1&limit=5")
        .await
        .json();
    assert_eq!(whole["meta"]["next"], json!(null), "no empty page follows");
    let last = server
        .get("/api/v1/events/?skip_total=true&limit=2&offset=4")
        .await
        .json();
    assert!(
        last["meta"]["previous"]
            .as_str()
            .unwrap()
            .contains("offset=2")
    );
    for off in ["skip_total=0", "skip_total=", ""] {
        let counted = server.get(&format!("/api/v1/events/?{off}")).await.json();
        assert_eq!(counted["meta"]["total_count"], 5, "{off}");
    }
}

#[tokio::test]
async fn qy8_a_pull_delivers_everything_once_and_goes_on_with_what_changes() {
    let server = Server::start().await;
    for number in 0..7 {
        changed(&server, &format!("old{number}"), (100 - number) * MINUTE).await;
    }
    server
        .insert(
            "events",
            &["A"],
            doc! {"title": "undated", "event_type": "Phishing"},
        )
        .await;
    server
        .insert("events", &["A"], doc! {"title": "other", "event_type": "x"})
        .await;
    let hidden = doc! {"title": "hidden", "event_type": "Phishing", "modified": bson::DateTime::from_millis(5)};
    server.insert("events", &["B"], hidden).await;
    let (all, cursor) = pull(&server, "", SAME).await;
    assert_eq!(
        all,
        [
            "undated", "old0", "old1", "old2", "old3", "old4", "old5", "old6"
        ]
    );
    let (nothing, same) = pull(&server, &cursor, SAME).await;
    assert_eq!((nothing.len(), &same), (0, &cursor));
    changed(&server, "new", 10 * MINUTE).await;
    let (new, cursor) = pull(&server, &cursor, SAME).await;
    assert_eq!(new, ["new"]);
    let (nothing, _) = pull(&server, &cursor, SAME).await;
    assert!(nothing.is_empty());
}

/// A document may be seen later than others that carry a later time: its request began earlier and took longer.
#[tokio::test]
async fn a_document_that_is_committed_late_is_not_lost() {
    let server = Server::start().await;
    let first = changed(&server, "first", 90 * MINUTE).await;
    for number in 0..4 {
        changed(&server, &format!("recent{number}"), 1_000 - number).await;
    }
    // The first page of a pull ends within the time in which others may still turn up.
    let answer = server
        .get(&format!("/api/v1/events/?limit=3&{SAME}&cursor="))
        .await;
    assert_eq!(titles(&answer), ["first", "recent0", "recent1"]);
    let cursor = answer.json()["meta"]["cursor"].as_str().unwrap().to_owned();
    // Committed now, with the time at which its request began; and something changes during the pull.
    changed(&server, "late", MINUTE / 2).await;
    change(&server, first, 500).await;
    let (rest, cursor) = pull(&server, &cursor, SAME).await;
    assert_eq!(rest, ["recent2", "recent3", "first"]);
    let (again, cursor) = pull(&server, &cursor, SAME).await;
    assert_eq!(
        again,
        ["late", "recent0", "recent1", "recent2", "recent3", "first"],
        "delivered again rather than lost"
    );
    // As late as can be.
    changed(&server, "latest", MINUTE).await;
    let (again, _) = pull(&server, &cursor, SAME).await;
    assert_eq!(again[..2], ["latest", "late"]);
}

#[tokio::test]
async fn a_cursor_is_refused_with_what_does_not_go_with_it() {
    let server = Server::start().await;
    changed(&server, "one", 0).await;
    let (_, cursor) = pull(&server, "", SAME).await;
    let rows = [
        (
            "cursor=&order_by=title".to_owned(),
            "A cursor follows the order of changes: leave 'order_by' out.",
        ),
        (
            "cursor=&sort=title".into(),
            "A cursor follows the order of changes: leave 'sort' out.",
        ),
        (
            "cursor=&offset=5".into(),
            "A cursor says where to go on: leave 'offset' out.",
        ),
        (
            "cursor=&format=csv".into(),
            "A cursor needs a format that says where to go on: json, xml or yaml.",
        ),
        (
            "cursor=x".into(),
            "Invalid cursor. Begin anew with an empty one ('cursor=').",
        ),
        (
            format!("cursor={cursor}"),
            "The cursor belongs to another resource or to other conditions. Begin anew with an empty one ('cursor=').",
        ),
        (
            format!("cursor={cursor}&{SAME}&or=1"),
            "The cursor belongs to another resource or to other conditions. Begin anew with an empty one ('cursor=').",
        ),
    ];
    for (query, text) in rows {
        let answer = server.get(&format!("/api/v1/events/?{query}")).await;
        assert_eq!(
            (answer.status, answer.json()),
            (400, json!({"error": text})),
            "{query}"
        );
    }
    let identifiers = server
        .get_as("admin", ADMIN_KEY, "/api/v1/actoridentifiers/?cursor=")
        .await;
    assert_eq!(
        (identifiers.status, identifiers.json()),
        (
            400,
            json!({"error": "The objects of this resource have no date of change, so a cursor can't follow them."})
        )
    );
    let fine = server
        .get(&format!(
            "/api/v1/events/?cursor={cursor}&{SAME}&offset=0&only=id&limit=1"
        ))
        .await;
    assert_eq!(fine.status, 200, "{}", fine.text);
}
