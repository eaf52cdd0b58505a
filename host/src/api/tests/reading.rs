//! Lists, details, sets (core-api sections 6, 8.1, 10, 11).

use super::*;

#[tokio::test]
async fn j1_g5_g10_a_list() {
    let server = Server::start().await;
    let mut ids = Vec::new();
    for number in 0..25 {
        ids.push(server.insert("events", &["A"], doc! {"title": format!("e{number:02}"), "schema_version": 3, "size": 25 - number}).await.to_hex());
    }
    let answer = server.get("/api/v1/events/").await;
    let page = answer.json();
    assert_eq!(
        page["meta"],
        json!({"limit": 20, "next": format!("/api/v1/events/?username=alice&api_key={KEY}&limit=20&offset=20"), "offset": 0, "previous": null, "total_count": 25})
    );
    let first: Vec<&str> = page["objects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|object| object["_id"].as_str().unwrap())
        .collect();
    assert_eq!(first, ids[..20]);
    let next = server
        .call("!GET", page["meta"]["next"].as_str().unwrap(), &[], "")
        .await
        .json();
    assert_eq!(
        (
            next["objects"].as_array().unwrap().len(),
            &next["meta"]["next"]
        ),
        (5, &json!(null))
    );
    assert_eq!(
        next["meta"]["previous"],
        format!("/api/v1/events/?username=alice&api_key={KEY}&limit=20&offset=0")
    );
    assert_eq!(
        titles(&server.get("/api/v1/events/?order_by=size&limit=2").await),
        ["e24", "e23"]
    );
    assert_eq!(
        titles(
            &server
                .get("/api/v1/events/?sort=-title&limit=1&offset=1")
                .await
        ),
        ["e23"]
    );
    let past = server.get("/api/v1/events/?offset=100").await.json();
    assert_eq!(
        (
            past["meta"]["total_count"].as_u64(),
            past["objects"].as_array().unwrap().len()
        ),
        (Some(25), 0)
    );
    assert_eq!(
        server.get("/api/v1/events/?limit=0").await.json()["meta"]["limit"],
        1000
    );
    let count = server.get("/api/v1/events/?limit=1&only=id").await.json();
    assert_eq!(
        count["objects"][0]
            .as_object()
            .unwrap()
            .keys()
            .collect::<Vec<_>>(),
        ["_id", "title", "schema_version", "source"]
    );
}

#[tokio::test]
async fn g3_g12_q9_s14_refusals_name_what_is_wrong() {
    let server = Server::start().await;
    let rows = [
        (
            "limit=x",
            "Invalid limit 'x' provided. Please provide a positive integer.",
        ),
        (
            "limit=-1",
            "Invalid limit '-1' provided. Please provide a positive integer >= 0.",
        ),
        (
            "offset=",
            "Invalid offset '' provided. Please provide an integer.",
        ),
        (
            "order_by=nosuch",
            "No matching 'nosuch' field for ordering on.",
        ),
        (
            "order_by=tickets",
            "The 'tickets' field does not allow ordering.",
        ),
        (
            "title=x",
            "The 'title' field does not allow filtering. Use 'c-title'.",
        ),
        (
            "c-$where=1",
            "Invalid field name in 'c-$where': the field name has a part that begins with `$` or contains NUL.",
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
    let strict = server
        .get("/api/v1/events/?strict=1&c-size__gte=abc&x=1")
        .await;
    assert_eq!(
        (strict.status, strict.json()),
        (
            400,
            json!({"error": "c-size__gte: not a whole number, condition ignored", "warnings": ["c-size__gte: not a whole number, condition ignored", "x: unknown parameter, ignored"]})
        )
    );
    server.set("strict_queries", "true").await;
    assert_eq!(server.get("/api/v1/events/?x=1").await.status, 400);
}

#[tokio::test]
async fn g43_warnings_in_meta_and_in_headers() {
    let server = Server::start().await;
    let id = server.insert("events", &["A"], doc! {"title": "one"}).await;
    let list = server.get("/api/v1/events/?c-size__foo=1").await.json();
    assert_eq!(
        list["meta"]["warnings"],
        json!(["c-size__foo: unknown operator, condition ignored"])
    );
    assert!(
        server.get("/api/v1/events/").await.json()["meta"]
            .get("warnings")
            .is_none()
    );
    let detail = server
        .get(&format!("/api/v1/events/{id}/?c-size__foo=1&limit=x"))
        .await;
    assert_eq!(
        (detail.status, detail.header("x-crits-warning")),
        (
            200,
            Some("c-size__foo: unknown operator, condition ignored")
        )
    );
}

#[tokio::test]
async fn s1_s8_az6_nothing_outside_of_the_visible_is_found_counted_or_told() {
    let server = Server::start().await;
    server
        .insert("events", &["A"], doc! {"title": "mine"})
        .await;
    let hidden = server
        .insert("events", &["B"], doc! {"title": "theirs"})
        .await;
    let shared = server
        .insert("events", &["A", "B"], doc! {"title": "shared"})
        .await;
    let all = server.get("/api/v1/events/").await;
    assert_eq!(
        (titles(&all), all.json()["meta"]["total_count"].as_u64()),
        (vec!["mine".to_owned(), "shared".to_owned()], Some(2))
    );
    let rows: [(&str, &[&str]); 9] = [
        ("c-source.name=B", &[]),
        ("or=1&c-source.name=B&c-title=theirs", &[]),
        ("or=1&c-source.name=B&c-title=mine", &["mine"]),
        ("c-source.name__nin=A", &[]),
        ("c-source.name__ne=B", &["mine", "shared"]),
        ("c-source.name__exists=1", &["mine", "shared"]),
        ("c-source.name__gt=A", &[]),
        ("c-source.1.name=B", &[]),
        ("c-title=theirs", &[]),
    ];
    for (query, expected) in rows {
        let answer = server.get(&format!("/api/v1/events/?{query}")).await;
        assert_eq!(
            (
                titles(&answer),
                answer.json()["meta"]["total_count"].as_u64()
            ),
            (
                expected.iter().map(|title| (*title).to_owned()).collect(),
                Some(expected.len() as u64)
            ),
            "{query}"
        );
    }
    for path in [
        format!("/api/v1/events/{hidden}/"),
        format!("/api/v1/events/{hidden}/?or=1&c-source.name=A"),
        format!("/api/v1/events/{shared}/?c-source.name=B"),
        "/api/v1/events/ffffffffffffffffffffffff/".into(),
        "/api/v1/events/x/".into(),
    ] {
        let answer = server.get(&path).await;
        assert_eq!(
            (answer.status, answer.text.as_str()),
            (404, r#"{"error":"Not found."}"#),
            "{path}"
        );
    }
    let cleaned = server
        .get(&format!("/api/v1/events/{shared}/"))
        .await
        .json();
    assert_eq!(
        cleaned["source"][1],
        json!({"name": "Other", "instances": [0]})
    );
    let admin = server
        .get_as("admin", ADMIN_KEY, "/api/v1/events/?c-source.name=B")
        .await;
    assert_eq!(titles(&admin), ["theirs", "shared"]);
}

#[tokio::test]
async fn s15_s21_without_permission_403_on_list_set_and_detail_whether_or_not_there_is_one() {
    let server = Server::start().await;
    for path in [
        "/api/v1/actoridentifiers/",
        "/api/v1/actoridentifiers/ffffffffffffffffffffffff/",
        "/api/v1/actoridentifiers/x/",
        "/api/v1/actoridentifiers/set/x/",
    ] {
        let answer = server.get(path).await;
        assert_eq!(
            (answer.status, answer.text.as_str()),
            (403, r#"{"error":"You do not have access to this object."}"#),
            "{path}"
        );
        assert_ne!(server.get_as("admin", ADMIN_KEY, path).await.status, 403);
    }
}

#[tokio::test]
async fn s7_j9_o05_types_without_sources_are_seen_by_all_readers() {
    let server = Server::start().await;
    server
        .insert(
            "campaigns",
            &[],
            doc! {"name": "Кампания №1 / 測試 & \"x\""},
        )
        .await;
    let query: String = form_urlencoded::Serializer::new(String::new())
        .append_pair("c-name", "Кампания №1 / 測試 & \"x\"")
        .finish();
    let list = server.get(&format!("/api/v1/campaigns/?{query}")).await;
    assert_eq!(list.status, 200, "{}", list.text);
    assert_eq!(
        (
            list.json()["objects"][0]["name"].as_str(),
            list.json()["objects"][0].get("source")
        ),
        (Some("Кампания №1 / 測試 & \"x\""), None)
    );
}

#[tokio::test]
async fn d1_d2_conditions_and_projection_on_one_document() {
    let server = Server::start().await;
    let id = server
        .insert(
            "events",
            &["A"],
            doc! {"title": "one", "size": 5, "weird": 1},
        )
        .await;
    let path = format!("/api/v1/events/{id}/");
    for (query, status) in [
        ("c-title=one", 200),
        ("c-title=two", 404),
        ("or=1&c-title=two&c-size=5", 200),
        ("regex=1&c-title=^O", 200),
        ("c-_id=ffffffffffffffffffffffff", 404),
        ("c-_id=bad", 404),
        ("limit=x&offset=-1&order_by=nosuch", 200),
        ("c-weird=1", 200),
    ] {
        assert_eq!(
            server.get(&format!("{path}?{query}")).await.status,
            status,
            "{query}"
        );
    }
    let only = server.get(&format!("{path}?only=size")).await.json();
    assert_eq!(
        only.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["_id", "title", "size", "source"]
    );
    let whole = server.get(&path).await.json();
    assert_eq!(
        (
            &whole["unsupported_attrs"],
            &whole["tickets"],
            &whole["tlp"]
        ),
        (&json!({"weird": 1}), &json!([]), &json!("red"))
    );
}

#[tokio::test]
async fn g47_legacy_projection_shows_empty_lists() {
    let server = Server::start().await;
    let fields =
        doc! {"title": "one", "size": 5, "tickets": [{"ticket_number": "1"}], "status": "New"};
    let id = server.insert("events", &["A"], fields).await;
    let path = format!("/api/v1/events/{id}/?only=size&exclude=sectors");
    let exact = server.get(&path).await.json();
    assert!(exact.get("tickets").is_none() && exact.get("status").is_none());
    server.set("legacy_projection", "true").await;
    for path in [path.as_str(), "/api/v1/events/?only=size&exclude=sectors"] {
        let answer = server.get(path).await.json();
        let shown = answer["objects"].get(0).unwrap_or(&answer);
        assert_eq!(
            (&shown["tickets"], &shown["bucket_list"], &shown["size"]),
            (&json!([]), &json!([]), &json!(5)),
            "{path}"
        );
        assert!(
            shown.get("status").is_none()
                && shown.get("sectors").is_none()
                && shown.get("modified").is_none()
        );
    }
    let whole = server.get(&format!("/api/v1/events/{id}/")).await.json();
    assert_eq!(whole["tickets"], json!([{"ticket_number": "1"}]));
}

#[tokio::test]
async fn q2_q3_q8_json_is_the_default() {
    let server = Server::start().await;
    for query in [
        "format=JSON",
        "format=nosuch",
        "format=xml&format=json",
        "callback=f",
    ] {
        let answer = server
            .call(
                "GET",
                &format!("/api/v1/events/?{query}"),
                &[("accept", "application/xml")],
                "",
            )
            .await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, Some("application/json")),
            "{query}"
        );
    }
}

#[tokio::test]
async fn f10_f11_f12_a_type_without_files_has_none() {
    let server = Server::start().await;
    let refused = server.get("/api/v1/events/?file=1").await;
    assert_eq!(
        (refused.status, refused.text.as_str()),
        (403, r#"{"error":"You do not have access to this object."}"#)
    );
    let none = server
        .get_as("admin", ADMIN_KEY, "/api/v1/events/?file=1")
        .await;
    assert_eq!(
        (none.status, none.text.as_str(), none.header("content-type")),
        (
            200,
            "No files found!",
            Some("application/octet-stream; charset=utf-8")
        )
    );
    for query in ["file=0", "file=", "file=1&format=json"] {
        assert_eq!(
            server
                .get(&format!("/api/v1/events/?{query}"))
                .await
                .header("content-type"),
            Some("application/json"),
            "{query}"
        );
    }
}

#[tokio::test]
async fn u16_sets() {
    let server = Server::start().await;
    let one = server.insert("events", &["A"], doc! {"title": "one"}).await;
    let two = server.insert("events", &["A"], doc! {"title": "two"}).await;
    let hidden = server
        .insert("events", &["B"], doc! {"title": "hidden"})
        .await;
    let answer = server
        .get(&format!("/api/v1/events/set/{two};{hidden};{one};bad;/"))
        .await;
    assert_eq!(
        (titles(&answer), &answer.json()["not_found"]),
        (
            vec!["two".to_owned(), "one".to_owned()],
            &json!([hidden.to_hex(), "bad"])
        )
    );
    assert!(
        server
            .get(&format!("/api/v1/events/set/{one}/"))
            .await
            .json()
            .get("not_found")
            .is_none()
    );
    let many = server
        .get(&format!("/api/v1/events/set/{}/", "x;".repeat(1001)))
        .await;
    assert_eq!(
        (many.status, many.text.as_str()),
        (400, r#"{"error":"Too many ids: at most 1000 are read."}"#)
    );
}

#[tokio::test]
async fn u10_vocabularies() {
    let server = Server::start().await;
    let list = server.get("/api/v1/vocab/?limit=3").await.json();
    assert_eq!(
        (
            list["meta"]["total_count"].as_u64(),
            &list["objects"][0]["category"],
            &list["objects"][0]["resource_uri"]
        ),
        (
            Some(17),
            &json!("ThreatTypes"),
            &json!("/api/v1/vocab/ThreatTypes/")
        )
    );
    let values = |entry: &Json| {
        entry["values"]
            .as_array()
            .unwrap()
            .iter()
            .map(|value| value.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let status = server.get("/api/v1/vocab/Status/").await.json();
    assert_eq!(
        values(&status),
        ["Analyzed", "Deprecated", "In Progress", "New"]
    );
    let unknown = server.get("/api/v1/vocab/No%22such/").await;
    assert_eq!(
        (unknown.status, unknown.json()),
        (
            400,
            json!({"error": "Vocabulary category \"No\"such\" does not exist"})
        )
    );
    assert_eq!(
        server.call("!GET", "/api/v1/vocab/", &[], "").await.status,
        401
    );
}
