//! What a reader may not see, no condition, order, count or error tells (core-api 6, 7; check AZ-8).

use super::*;

/// Titles that a query of alice lists; the count must agree.
async fn listed(server: &Server, query: &str) -> Vec<String> {
    listed_by(server, ("alice", KEY), query).await
}

async fn listed_by(server: &Server, (user, key): (&str, &str), query: &str) -> Vec<String> {
    let answer = server
        .get_as(user, key, &format!("/api/v1/events/?{query}"))
        .await;
    let found = titles(&answer);
    assert_eq!(
        answer.json()["meta"]["total_count"].as_u64(),
        Some(found.len() as u64),
        "{query}"
    );
    found
}

async fn check(server: &Server, rows: &[(String, &[&str])]) {
    for (query, expected) in rows {
        assert_eq!(listed(server, query).await, *expected, "{query}");
    }
}

fn related(partner: ObjectId, reason: &str) -> Document {
    doc! {"value": partner, "type": "Event", "relationship": "Related To", "rel_reason": reason}
}

#[tokio::test]
async fn az8_c3_c5_conditions_on_relationships_see_visible_partners_only() {
    let server = Server::start().await;
    let open = server
        .insert("events", &["A"], doc! {"title": "open"})
        .await;
    let hidden = server
        .insert("events", &["B"], doc! {"title": "hidden"})
        .await;
    let one = doc! {"title": "one", "relationships": [related(open, "told")]};
    let one = server.insert("events", &["A"], one).await;
    let relations = [
        related(hidden, "secret"),
        related(open, "known"),
        related(ObjectId::new(), "gone"),
    ];
    let two = doc! {"title": "two", "relationships": relations.to_vec()};
    let two = server.insert("events", &["A"], two).await;
    let rows: Vec<(String, &[&str])> = vec![
        (format!("c-relationships.value={open}"), &["one", "two"]),
        (format!("c-relationships.object_id={open}"), &["one", "two"]),
        (format!("c-relationships.value={hidden}"), &[]),
        (
            format!("c-relationships.value__in={hidden},{open}"),
            &["one", "two"],
        ),
        (
            format!("c-relationships.value__ne={hidden}"),
            &["open", "one", "two"],
        ),
        ("c-relationships.rel_reason=secret".into(), &[]),
        ("c-relationships.rel_reason=gone".into(), &[]),
        (
            "c-relationships.rel_reason__ne=secret".into(),
            &["open", "one", "two"],
        ),
        (
            "c-relationships.rel_reason__ne=told".into(),
            &["open", "two"],
        ),
        ("c-relationships.rel_reason__gt=known".into(), &["one"]),
        (
            "c-relationships.rel_reason__exists=1".into(),
            &["one", "two"],
        ),
        ("c-relationships__exists=0".into(), &["open"]),
        ("c-relationships.0.rel_reason=known".into(), &["two"]),
        ("c-relationships.1__exists=1".into(), &[]),
        ("regex=1&c-relationships.rel_reason=^(sec|gon)".into(), &[]),
        (
            "regex=1&c-relationships.rel_reason=^(?=.*ow)".into(),
            &["two"],
        ),
        ("regex=1&c-relationships.rel_reason=^(?=sec)".into(), &[]),
        (
            "or=1&c-relationships.rel_reason=secret&c-title=one".into(),
            &["one"],
        ),
        (
            "or=1&c-relationships.rel_reason=known&c-title=one".into(),
            &["one", "two"],
        ),
        (
            "limit=1&c-relationships.rel_type=Event&sort=-title&c-title=two".into(),
            &["two"],
        ),
    ];
    check(&server, &rows).await;
    for (id, condition, status) in [
        (two, "rel_reason=secret", 404),
        (two, "rel_reason=known", 200),
        (two, "rel_reason__ne=secret", 200),
        (one, "rel_reason=told", 200),
    ] {
        let path = format!("/api/v1/events/{id}/?c-relationships.{condition}");
        assert_eq!(server.get(&path).await.status, status, "{condition}");
    }
    // A relationship to what is gone is no secret, but is not seen either.
    let admin = ("admin", ADMIN_KEY);
    for (query, expected) in [
        (format!("c-relationships.value={hidden}"), &["two"][..]),
        ("c-relationships.rel_reason=secret".into(), &["two"]),
    ] {
        assert_eq!(listed_by(&server, admin, &query).await, expected, "{query}");
    }
    let sorted = server
        .get("/api/v1/events/?sort=-relationships.rel_reason,title")
        .await;
    assert_eq!(titles(&sorted), ["one", "open", "two"]);
    let warning = "sort: 'relationships.rel_reason' has parts that are not visible, ignored";
    assert_eq!(sorted.json()["meta"]["warnings"], json!([warning]));
    let strict = server
        .get("/api/v1/events/?sort=relationships.rel_reason&strict=1")
        .await;
    assert_eq!(
        (strict.status, &strict.json()["error"]),
        (400, &json!(warning))
    );
}

#[tokio::test]
async fn az8_c1_c2_c6_conditions_on_sources_see_the_readers_own_only() {
    let server = Server::start().await;
    let fields = doc! {
        "title": "shared", "releasability": [{"name": "B"}, {"name": "A", "instances": [{"note": "mine"}]}],
        "objects": [{"type": "Mutex", "value": "m", "source": [{"name": "B", "instances": [{"reference": "theirs"}]}]}],
    };
    server.insert("events", &["B", "A"], fields).await;
    server.insert("events", &["A"], doc! {"title": "own"}).await;
    let both: &[&str] = &["shared", "own"];
    let rows: Vec<(String, &[&str])> = vec![
        ("c-source.0.name=A".into(), both),
        ("c-source.1.name__exists=1".into(), &[]),
        ("c-source.name=Other".into(), &[]),
        ("c-source.instances.tlp=red".into(), both),
        ("c-releasability.name=B".into(), &[]),
        ("c-releasability.name__ne=B".into(), both),
        ("c-releasability.0.name=A".into(), &["shared"]),
        ("c-releasability.instances.note=mine".into(), &["shared"]),
        ("c-releasability__exists=0".into(), &["own"]),
        ("c-obj.source.name=B".into(), &[]),
        ("c-objects.source.instances.reference=theirs".into(), &[]),
        ("c-objects.source__exists=1".into(), &[]),
        ("c-objects.0.source.0.name=B".into(), &[]),
        ("c-objects.type=Mutex".into(), &["shared"]),
        ("c-objects.0.value=m".into(), &["shared"]),
        (
            "regex=1&c-objects.source.instances.reference=the".into(),
            &[],
        ),
    ];
    check(&server, &rows).await;
    let admin = ("admin", ADMIN_KEY);
    assert_eq!(
        listed_by(&server, admin, "c-objects.source.name=B").await,
        ["shared"]
    );
    assert_eq!(
        listed_by(&server, admin, "c-source.0.name=B").await,
        ["shared"]
    );
}

#[tokio::test]
async fn s4_az8_instances_that_are_not_shown_are_not_found() {
    let server = Server::start().await;
    let instance = |tlp: &str, method: &str| doc! {"tlp": tlp, "method": method};
    let source =
        doc! {"name": "A", "instances": [instance("red", "open"), instance("green", "secret")]};
    server
        .insert("events", &[], doc! {"title": "one", "source": [source]})
        .await;
    let only_red = SourceRights {
        read: true,
        red: true,
        ..SourceRights::default()
    };
    roles::set_source(server.store.as_ref(), "reader", "A", only_red)
        .await
        .unwrap();
    let secret = "c-source.instances.method=secret";
    assert_eq!(listed(&server, secret).await, ["one"]);
    server.set("hide_unreadable_instances", "true").await;
    let shown = server.get("/api/v1/events/").await.json();
    assert_eq!(
        shown["objects"][0]["source"][0]["instances"],
        json!([{"tlp": "red", "method": "open"}])
    );
    let rows: Vec<(String, &[&str])> = vec![
        (secret.into(), &[]),
        ("c-source.instances.method__ne=secret".into(), &["one"]),
        ("c-source.instances.tlp=green".into(), &[]),
        ("c-source.instances.method=open".into(), &["one"]),
        ("c-source.name=A".into(), &["one"]),
    ];
    check(&server, &rows).await;
    let sorted = server
        .get("/api/v1/events/?sort=source.instances.method")
        .await
        .json();
    assert_eq!(
        sorted["meta"]["warnings"],
        json!(["sort: 'source.instances.method' has parts that are not visible, ignored"])
    );
}

#[tokio::test]
async fn s22_lists_without_their_flag_are_empty_where_the_operator_wants_it() {
    let server = Server::start().await;
    let fields = doc! {"title": "one", "tickets": [{"ticket_number": "T-1"}], "bucket_list": ["b"], "campaign": [{"name": "c"}]};
    let id = server.insert("events", &["A"], fields).await;
    let granted = [String::from("Event.bucketlist_read")];
    roles::grant(server.store.as_ref(), "reader", &granted)
        .await
        .unwrap();
    let ticket = "c-tickets.ticket_number=T-1";
    assert_eq!(listed(&server, ticket).await, ["one"]);
    server.set("enforce_field_read_flags", "true").await;
    let path = format!("/api/v1/events/{id}/");
    let shown = server.get(&path).await.json();
    assert_eq!(
        (
            &shown["tickets"],
            &shown["campaign"],
            &shown["source"],
            &shown["bucket_list"]
        ),
        (&json!([]), &json!([]), &json!([]), &json!(["b"]))
    );
    let rows: Vec<(String, &[&str])> = vec![
        (ticket.into(), &[]),
        ("c-tickets__exists=1".into(), &[]),
        ("c-campaign.name__ne=c".into(), &["one"]),
        ("c-source.name=A".into(), &[]),
        ("c-bucket_list=b".into(), &["one"]),
        ("regex=1&c-tickets.ticket_number=T".into(), &[]),
    ];
    check(&server, &rows).await;
    let sorted = server
        .get("/api/v1/events/?sort=tickets.ticket_number")
        .await
        .json();
    assert_eq!(
        sorted["meta"]["warnings"],
        json!(["sort: 'tickets.ticket_number' has parts that are not visible, ignored"])
    );
    let admin = server.get_as("admin", ADMIN_KEY, &path).await.json();
    assert_eq!(admin["tickets"], json!([{"ticket_number": "T-1"}]));
}

#[tokio::test]
async fn g38_az8_a_search_that_takes_too_long_is_refused_unless_its_text_is_hidden() {
    let server = Server::start().await;
    let long = "a".repeat(Stepwise::LONGEST_TEXT + 1);
    server
        .insert("events", &["B"], doc! {"title": long.clone()})
        .await;
    server.insert("events", &["A"], doc! {"title": "bb"}).await;
    let query = "regex=1&c-title=(b)\\1";
    assert_eq!(listed(&server, query).await, ["bb"]);
    let partner = server.insert("events", &["B"], doc! {"title": "x"}).await;
    let hidden = doc! {"title": "c", "relationships": [related(partner, &long)]};
    server.insert("events", &["A"], hidden).await;
    let on_hidden = "regex=1&c-relationships.rel_reason=(b)\\1";
    assert_eq!(listed(&server, on_hidden).await, [""; 0]);
    let export = server
        .get(&format!("/api/v1/events/?{query}&format=ndjson"))
        .await;
    assert_eq!(
        (export.status, export.text.lines().count()),
        (200, 1),
        "{}",
        export.text
    );
    let id = server.insert("events", &["A"], doc! {"title": long}).await;
    let text = "c-title: the regular expression takes too long. One with look-around or back-references is searched for at most 2 s, \
                in texts of up to 16 KiB: narrow the query down, or do without them.";
    for path in [
        format!("/api/v1/events/?{query}"),
        format!("/api/v1/events/{id}/?{query}"),
        format!("/api/v1/events/?{query}&format=ndjson"),
    ] {
        let answer = server.get(&path).await;
        assert_eq!(
            (answer.status, answer.json()),
            (400, json!({"error": text})),
            "{path}"
        );
    }
}
