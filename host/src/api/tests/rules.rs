//! Rules of core-api 1, 6, 7, 10, 11, 16 that have no other test.

use super::*;

async fn status(server: &Server, path: &str) -> u16 {
    server.get(path).await.status
}

/// An event with instances of these sources and TLPs (none: without `tlp`; no TLP at all: no instance).
async fn with_instances(
    server: &Server,
    title: &str,
    sources: &[(&str, &[Option<&str>])],
) -> ObjectId {
    let entries: Vec<Document> = sources
        .iter()
        .map(|(name, tlps)| {
            let instances: Vec<Document> = tlps
                .iter()
                .map(|tlp| tlp.map_or_else(|| doc! {"method": ""}, |tlp| doc! {"tlp": tlp}))
                .collect();
            doc! {"name": *name, "instances": instances}
        })
        .collect();
    let fields = doc! {"title": title, "source": entries};
    server.insert("events", &[], fields).await
}

/// The table of core-api 6.2, and S2, S3: the same answer on list, count, detail and set.
#[tokio::test]
async fn s2_s3_s5_one_visibility_on_every_path() {
    let server = Server::start().await;
    let a = SourceRights {
        read: true,
        red: true,
        ..SourceRights::default()
    };
    let b = SourceRights {
        read: false,
        red: true,
        amber: true,
        green: true,
        ..SourceRights::default()
    };
    for (name, rights) in [("A", a), ("B", b)] {
        roles::set_source(server.store.as_ref(), "reader", name, rights)
            .await
            .unwrap();
    }
    let (red, amber, green, white) = (
        [Some("red")],
        [Some("amber")],
        [Some("green")],
        [Some("white")],
    );
    type Row<'a> = (&'a str, Vec<(&'a str, &'a [Option<&'a str>])>, bool);
    let rows: Vec<Row<'_>> = vec![
        ("A red", vec![("A", &red)], true),
        ("A amber", vec![("A", &amber)], false),
        ("A green", vec![("A", &green)], false),
        ("A white", vec![("A", &white)], true),
        ("A without tlp", vec![("A", &[None])], true),
        ("A odd", vec![("A", &[Some("purple")])], false),
        ("B red", vec![("B", &red)], false),
        ("B white", vec![("B", &white)], true),
        ("B without tlp", vec![("B", &[None])], false),
        ("Z white", vec![("Z", &white)], false),
        (
            "A amber + Z white",
            vec![("A", &amber), ("Z", &white)],
            true,
        ),
        (
            "A amber + A red",
            vec![("A", &[Some("amber"), Some("red")])],
            true,
        ),
        ("A amber + Z red", vec![("A", &amber), ("Z", &red)], false),
        ("A without instances", vec![("A", &[])], false),
        ("no entries", vec![], false),
    ];
    let mut visible = Vec::new();
    let mut ids = Vec::new();
    for (title, sources, is_visible) in &rows {
        let id = with_instances(&server, title, sources).await;
        let wanted = if *is_visible { 200 } else { 404 };
        let path = format!("/api/v1/events/{id}/");
        assert_eq!(status(&server, &path).await, wanted, "{title}");
        ids.push(id.to_hex());
        if *is_visible {
            visible.push((*title).to_owned());
        }
    }
    server
        .insert("events", &[], doc! {"title": "no source"})
        .await;
    let list = server.get("/api/v1/events/").await;
    assert_eq!(
        (titles(&list), list.json()["meta"]["total_count"].as_u64()),
        (visible.clone(), Some(visible.len() as u64))
    );
    let set = server
        .get(&format!("/api/v1/events/set/{}/", ids.join(";")))
        .await;
    assert_eq!(
        (
            titles(&set),
            set.json()["not_found"].as_array().unwrap().len()
        ),
        (visible.clone(), rows.len() - visible.len())
    );
}

/// The holes of core-api 6.3 in conditions on the source.
#[tokio::test]
async fn s10_s11_s12_s13_conditions_on_the_source_only_narrow() {
    let server = Server::start().await;
    let only_red = SourceRights {
        read: true,
        red: true,
        ..SourceRights::default()
    };
    roles::set_source(server.store.as_ref(), "reader", "A", only_red)
        .await
        .unwrap();
    with_instances(&server, "red", &[("A", &[Some("red")])]).await;
    let amber = with_instances(&server, "amber", &[("A", &[Some("amber")])]).await;
    let foreign = with_instances(&server, "foreign", &[("B", &[Some("white")])]).await;
    let rows: [(&str, &[&str]); 8] = [
        ("c-source.name=A", &["red"]),
        ("c-source.name__eq=A", &["red"]),
        ("or=1&c-source.name=A&c-title=foreign", &["red"]),
        ("c-source.name__nin=A", &[]),
        ("c-source.name__nin=B,Z", &["red"]),
        ("c-source.name=Z", &[]),
        ("c-source.name__in=Z", &[]),
        ("c-source.name__ne=Z", &["red"]),
    ];
    for (query, expected) in rows {
        let answer = server.get(&format!("/api/v1/events/?{query}")).await;
        assert_eq!(titles(&answer), expected, "{query}");
    }
    for id in [amber, foreign] {
        let path = format!("/api/v1/events/{id}/?or=1&c-source.name=A");
        assert_eq!(status(&server, &path).await, 404);
    }
}

#[tokio::test]
async fn s16_f11_downloads_need_their_flag_on_every_path() {
    let server = Server::start().await;
    let id = server.insert("events", &["A"], doc! {"title": "x"}).await;
    let paths = [
        "/api/v1/events/?file=1".to_owned(),
        format!("/api/v1/events/{id}/?file=1"),
    ];
    for path in &paths {
        assert_eq!(status(&server, path).await, 403, "{path}");
    }
    let granted = [String::from("Event.download")];
    roles::grant(server.store.as_ref(), "reader", &granted)
        .await
        .unwrap();
    for path in &paths {
        assert_eq!(server.get(path).await.text, "No files found!", "{path}");
    }
}

#[tokio::test]
async fn c4_c1_sources_of_every_type_are_cleaned() {
    let server = Server::start().await;
    let granted = [String::from("Actor.actor_identifiers_read")];
    roles::grant(server.store.as_ref(), "reader", &granted)
        .await
        .unwrap();
    let id = server
        .insert("actor_identifiers", &["A", "B"], doc! {"name": "x"})
        .await;
    let path = format!("/api/v1/actoridentifiers/{id}/");
    let shown = server.get(&path).await.json();
    assert_eq!(
        (&shown["source"][0]["name"], &shown["source"][1]),
        (&json!("A"), &json!({"name": "Other", "instances": [0]}))
    );
}

/// What lists say of relationships is looked up for the whole page at once, whatever the page has.
#[tokio::test]
async fn c5_s20_partners_of_a_page_are_filtered_by_all_of_s1() {
    let server = Server::start().await;
    let only_red = SourceRights {
        read: true,
        red: true,
        ..SourceRights::default()
    };
    roles::set_source(server.store.as_ref(), "reader", "A", only_red)
        .await
        .unwrap();
    let seen = with_instances(&server, "seen", &[("A", &[Some("red")])]).await;
    let amber = with_instances(&server, "amber", &[("A", &[Some("amber")])]).await;
    let campaign = server.insert("campaigns", &[], doc! {"name": "c"}).await;
    for number in 0..3 {
        let relation = |id: ObjectId, of: &str| doc! {"value": id, "type": of};
        let relationships = vec![
            relation(amber, "Event"),
            relation(seen, "Event"),
            relation(campaign, "Campaign"),
            relation(ObjectId::new(), "Event"),
        ];
        let fields = doc! {"title": format!("e{number}"), "relationships": relationships};
        server.insert("events", &["A"], fields).await;
    }
    let list = server
        .get("/api/v1/events/?regex=1&c-title=^e")
        .await
        .json();
    for object in list["objects"].as_array().unwrap() {
        let partners: Vec<&str> = object["relationships"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["value"].as_str().unwrap())
            .collect();
        assert_eq!(partners, [seen.to_hex(), campaign.to_hex()]);
    }
}

#[tokio::test]
async fn g9_beyond_the_end_is_empty_with_the_count() {
    let server = Server::start().await;
    server.insert("events", &["A"], doc! {"title": "x"}).await;
    for query in [
        "offset=1",
        "offset=999",
        "offset=9223372036854775807",
        "c-title=x&offset=5",
    ] {
        let answer = server.get(&format!("/api/v1/events/?{query}")).await;
        assert_eq!(
            (
                titles(&answer).len(),
                &answer.json()["meta"]["total_count"],
                &answer.json()["meta"]["next"]
            ),
            (0, &json!(1), &json!(null)),
            "{query}"
        );
    }
}

#[tokio::test]
async fn g31_g32_o38_ids_by_either_name() {
    let server = Server::start().await;
    let one = server.insert("events", &["A"], doc! {"title": "one"}).await;
    let two = server.insert("events", &["A"], doc! {"title": "two"}).await;
    let rows = [
        (format!("c-_id={one}"), vec!["one"]),
        (format!("c-id={}", one.to_hex().to_uppercase()), vec!["one"]),
        (
            format!("c-id__in={two},{one},ffffffffffffffffffffffff"),
            vec!["one", "two"],
        ),
        (format!("c-_id__ne={one}"), vec!["two"]),
        (format!("c-_id__gt={one}"), vec!["two"]),
        ("c-_id=xyz".into(), vec![]),
        ("c-id__in=xyz".into(), vec![]),
    ];
    for (query, expected) in rows {
        let answer = server.get(&format!("/api/v1/events/?{query}")).await;
        assert_eq!(titles(&answer), expected, "{query}");
    }
}

#[tokio::test]
async fn g34_texts_compare_by_code_point_and_only_with_texts() {
    let server = Server::start().await;
    for title in ["B", "a", "é", "10", "9", "😀"] {
        let fields = doc! {"title": title, "odd": title};
        server.insert("events", &["A"], fields).await;
    }
    server
        .insert("events", &["A"], doc! {"title": "n", "odd": 50})
        .await;
    let rows: [(&str, &[&str]); 7] = [
        ("c-title__gt=a", &["é", "😀", "n"]),
        ("c-title__lt=9", &["10"]),
        ("c-title__lte=B", &["B", "10", "9"]),
        ("c-odd__gt=é", &["😀"]),
        // A number is never greater than a text; what spells one is compared with both kinds.
        ("c-odd__gte=a", &["a", "é", "😀"]),
        ("c-odd__gt=9", &["B", "a", "é", "😀", "n"]),
        ("c-odd__lt=51", &["10", "n"]),
    ];
    for (query, expected) in rows {
        let answer = server.get(&format!("/api/v1/events/?{query}")).await;
        assert_eq!(titles(&answer), expected, "{query}");
    }
}

#[tokio::test]
async fn g42_d_2_the_id_is_required_whatever_the_conditions_say() {
    let server = Server::start().await;
    let one = server.insert("events", &["A"], doc! {"title": "one"}).await;
    server.insert("events", &["A"], doc! {"title": "two"}).await;
    let rows = [
        ("or=1&c-title=two", 404),
        ("or=1&c-title=two&c-title__ne=x", 200),
        ("or=1", 200),
        ("c-title=one&c-title__ne=two", 200),
        ("limit=0&offset=x&order_by=$x&sort=$y", 200),
        ("strict=1&c-title__foo=1", 400),
        ("c-$x=1", 400),
    ];
    for (query, wanted) in rows {
        let path = format!("/api/v1/events/{one}/?{query}");
        assert_eq!(status(&server, &path).await, wanted, "{query}");
    }
}

#[tokio::test]
async fn g50_g51_projection_on_lists_and_details_but_not_on_downloads() {
    let server = Server::start().await;
    let id = server
        .insert(
            "events",
            &["A"],
            doc! {"title": "x", "size": 1, "weird": {"a": 1, "b": 2}},
        )
        .await;
    let keys =
        |shown: &Json| -> Vec<String> { shown.as_object().unwrap().keys().cloned().collect() };
    let list = server.get("/api/v1/events/?only=id,size").await.json();
    let detail = server
        .get(&format!("/api/v1/events/{id}/?only=id,size"))
        .await
        .json();
    assert_eq!(keys(&detail), ["_id", "title", "size", "source"]);
    assert_eq!(keys(&list["objects"][0]), keys(&detail));
    let part = server
        .get(&format!(
            "/api/v1/events/{id}/?only=unsupported_attrs.weird.a"
        ))
        .await
        .json();
    assert_eq!(part["unsupported_attrs"], json!({"weird": {"a": 1}}));
    let file = server
        .get_as(
            "admin",
            ADMIN_KEY,
            "/api/v1/events/?file=1&only=id&exclude=title",
        )
        .await;
    assert_eq!(file.text, "No files found!");
}

#[tokio::test]
async fn d_1_d_3_d_4_unknown_malformed_and_invisible_are_one_answer() {
    let server = Server::start().await;
    let hidden = server.insert("events", &["B"], doc! {"title": "x"}).await;
    let same = server
        .insert("events", &["A"], doc! {"title": "same"})
        .await;
    server
        .insert("events", &["A"], doc! {"title": "same"})
        .await;
    let text = r#"{"error":"Not found."}"#;
    for id in [
        hidden.to_hex(),
        ObjectId::new().to_hex(),
        "xyz".into(),
        "00".repeat(13),
        "%20".into(),
        "a/b".into(),
    ] {
        let answer = server.get(&format!("/api/v1/events/{id}/")).await;
        assert_eq!((answer.status, answer.text.as_str()), (404, text), "{id}");
    }
    // Never 300, however many others look alike.
    let path = format!("/api/v1/events/{same}/?c-title=same");
    assert_eq!(server.get(&path).await.json()["_id"], same.to_hex());
}

#[tokio::test]
async fn d7_o44_all_years_are_read_and_shown() {
    let server = Server::start().await;
    for (title, text) in [
        ("first", "0001-01-01T00:00:00Z"),
        ("old", "1850-06-01T12:00:00Z"),
        ("last", "9999-12-31T23:59:59Z"),
    ] {
        let created = bson::DateTime::parse_rfc3339_str(text).unwrap();
        let fields = doc! {"title": title, "created": created};
        server.insert("events", &["A"], fields).await;
    }
    let list = server.get("/api/v1/events/?sort=created").await.json();
    let shown: Vec<&str> = list["objects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|object| object["created"].as_str().unwrap())
        .collect();
    assert_eq!(
        shown,
        [
            "0001-01-01 00:00:00.000000",
            "1850-06-01 12:00:00.000000",
            "9999-12-31 23:59:59.000000"
        ]
    );
    let rows: [(&str, &[&str]); 4] = [
        ("c-created__lt=1900", &["first", "old"]),
        ("c-created__gt=1000-01-01T00:00:00+00:00", &["old", "last"]),
        ("c-created=9999-12-31 23:59:59", &["last"]),
        ("c-created__gte=0001", &["first", "old", "last"]),
    ];
    for (query, expected) in rows {
        let query = query.replace(' ', "%20");
        let answer = server.get(&format!("/api/v1/events/?{query}")).await;
        assert_eq!(titles(&answer), expected, "{query}");
    }
}

/// Core-api 1.3 and 2, row by row: every method on every kind of URL.
#[tokio::test]
async fn u12_every_method_on_every_url() {
    let server = Server::start().await;
    let id = server.insert("events", &["A"], doc! {"title": "x"}).await;
    let campaign = server.insert("campaigns", &[], doc! {"name": "c"}).await;
    // GET, HEAD, POST, PATCH, PUT, DELETE; what OPTIONS and `Allow` name.
    let rows = [
        ("/api/v1/".to_owned(), [200, 200, 405, 405, 405, 405], "GET"),
        (
            "/api/v1/events/".into(),
            [200, 200, 200, 405, 405, 405],
            "GET, POST",
        ),
        (
            format!("/api/v1/events/{id}/"),
            [200, 200, 405, 200, 405, 405],
            "GET, PATCH",
        ),
        (
            "/api/v1/events/schema/".into(),
            [200, 200, 405, 405, 405, 405],
            "GET",
        ),
        (
            format!("/api/v1/events/set/{id}/"),
            [200, 200, 405, 405, 405, 405],
            "GET",
        ),
        (
            "/api/v1/vocab/".into(),
            [200, 200, 405, 405, 405, 405],
            "GET",
        ),
        (
            "/api/v1/vocab/Status/".into(),
            [200, 200, 405, 405, 405, 405],
            "GET",
        ),
        (
            "/api/v1/campaigns/".into(),
            [200, 200, 200, 405, 405, 405],
            "GET, POST",
        ),
        (
            format!("/api/v1/campaigns/{campaign}/"),
            [200, 200, 405, 200, 405, 405],
            "GET, PATCH",
        ),
        (
            "/api/v1/actoridentifiers/".into(),
            [403, 403, 200, 405, 405, 405],
            "GET, POST",
        ),
        (
            format!("/api/v1/actoridentifiers/{id}/"),
            [403, 403, 405, 405, 405, 405],
            "GET",
        ),
        (
            "/api/v1/events/nonsense/".into(),
            [404, 404, 405, 404, 405, 405],
            "GET, PATCH",
        ),
        (
            "/api/v1/nonsense/".into(),
            [404, 404, 404, 404, 404, 404],
            "",
        ),
        ("/api/".into(), [404, 404, 404, 404, 404, 404], ""),
    ];
    for (path, statuses, allow) in &rows {
        // Both spellings alike, without a redirect (rule U3).
        for path in [path.as_str(), path.trim_end_matches('/')] {
            for (method, status) in ["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE"]
                .into_iter()
                .zip(statuses)
            {
                let answer = server.call(method, path, &[], "").await;
                assert_eq!(answer.status, *status, "{method} {path}: {}", answer.text);
                assert_eq!(
                    answer.header("allow"),
                    (answer.status == 405).then_some(*allow)
                );
                assert_eq!(answer.text.is_empty(), method == "HEAD", "{method} {path}");
                // No redirect repeats credentials.
                let location = answer.header("location");
                assert!(
                    !location.is_some_and(|to| to.contains(KEY)),
                    "{method} {path}"
                );
            }
            let options = server.call("!OPTIONS", path, &[], "").await;
            let expected = if allow.is_empty() {
                (404, None)
            } else {
                (200, Some(*allow))
            };
            assert_eq!(
                (options.status, options.header("allow")),
                expected,
                "{path}"
            );
        }
    }
}

#[tokio::test]
async fn u13_the_override_counts_on_post_only_and_before_the_method_check() {
    let server = Server::start().await;
    let id = server.insert("events", &["A"], doc! {"title": "x"}).await;
    let detail = format!("/api/v1/events/{id}/");
    let rows = [
        ("POST", detail.as_str(), "PATCH", 200),
        ("POST", detail.as_str(), "patch", 200),
        ("POST", detail.as_str(), "GET", 200),
        ("POST", detail.as_str(), "DELETE", 405),
        ("POST", "/api/v1/events/", "PATCH", 405),
        ("POST", "/api/v1/events/", "OPTIONS", 200),
        ("GET", detail.as_str(), "PATCH", 200),
        ("PATCH", detail.as_str(), "PUT", 200),
        ("PUT", detail.as_str(), "GET", 405),
    ];
    for (method, path, wanted, status) in rows {
        let answer = server
            .call(method, path, &[("x-http-method-override", wanted)], "")
            .await;
        assert_eq!(answer.status, status, "{method} as {wanted} {path}");
    }
}

#[tokio::test]
async fn u1_u2_u5_versions_letter_case_and_reserved_words() {
    let server = Server::start().await;
    let id = server.insert("events", &["A"], doc! {"title": "x"}).await;
    let upper = id.to_hex().to_uppercase();
    for (path, wanted) in [
        ("/api/v1/events/", 200),
        ("/api/v2/events/", 404),
        ("/api/v01/events/", 404),
        ("/api/V1/events/", 404),
        ("/API/v1/events/", 404),
        ("/api/v1/EVENTS/", 404),
        ("/api/events/", 404),
        ("/api/v1/events/schema/", 200),
        ("/api/v1/events/Schema/", 404),
        ("/api/v1/events/schema/x/", 404),
        ("/api/v1/events/set/", 200),
    ] {
        assert_eq!(status(&server, path).await, wanted, "{path}");
    }
    for path in [
        format!("/api/v1/events/{upper}/"),
        format!("/api/v1/events/set/{upper}/"),
        format!("/api/v1/events/?c-_id={upper}"),
    ] {
        let answer = server.get(&path).await;
        assert!(
            answer.status == 200 && answer.text.contains(&id.to_hex()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn q10_the_prefix_is_lower_case() {
    let server = Server::start().await;
    server.insert("events", &["A"], doc! {"title": "x"}).await;
    let answer = server.get("/api/v1/events/?C-title=y").await;
    assert_eq!(titles(&answer), ["x"]);
    assert_eq!(
        answer.json()["meta"]["warnings"],
        json!(["C-title: unknown parameter, ignored"])
    );
}
