//! Paths, methods, credentials, errors, headers (core-api sections 1 to 3 and 15).

use super::*;

#[tokio::test]
async fn u1_u2_u3_u4_u6_paths() {
    let server = Server::start().await;
    let id = server.insert("events", &["A"], doc! {"title": "one"}).await;
    for path in [
        "/api/v1/events",
        "/api/v1/events/",
        "/api/v1//events/",
        "//api/v1/events//",
        "/api/v1/%65vents/",
    ] {
        assert_eq!(titles(&server.get(path).await), ["one"], "{path}");
    }
    for path in [
        format!("/api/v1/events/{id}"),
        format!("/api/v1/events//{id}/"),
        format!("/api/v1/events/{}/", id.to_hex().to_uppercase()),
    ] {
        assert_eq!(server.get(&path).await.json()["_id"], id.to_hex(), "{path}");
    }
    for path in [
        "/",
        "/api",
        "/api/",
        "/api/v2/events/",
        "/api/v1/Events/",
        "/api/v1/nosuch/",
        "/api/v1/events/x/",
        "/api/v1/events/x/y/",
        "/nosuch",
        "/api/v1/%ff/",
    ] {
        let answer = server.get(path).await;
        assert_eq!(
            (answer.status, answer.text.as_str()),
            (404, r#"{"error":"Not found."}"#),
            "{path}"
        );
    }
}

#[tokio::test]
async fn u7_below_a_prefix() {
    let server = Server::start().await;
    for number in 0..3 {
        server
            .insert("events", &["A"], doc! {"title": format!("e{number}")})
            .await;
    }
    let services = Services {
        access: Arc::new(Access::new(Arc::clone(&server.store))),
        registers: Arc::clone(&server.registers),
        store: Arc::clone(&server.store),
    };
    let handlers: Arc<dyn Handlers> = server.recorder.clone();
    let server = Server {
        router: router(State::with_handlers(handlers, &services).below("crits/")),
        ..server
    };
    let page = server.get("/crits/api/v1/events/?limit=1").await.json();
    assert!(
        page["meta"]["next"]
            .as_str()
            .unwrap()
            .starts_with("/crits/api/v1/events/?"),
        "{page}"
    );
    assert_eq!(
        server.get("/crits/api/v1/").await.json()["events"]["list_endpoint"],
        "/crits/api/v1/events/"
    );
    assert_eq!(server.get("/api/v1/events/").await.status, 404);
}

#[tokio::test]
async fn u12_u13_methods() {
    let server = Server::start().await;
    let id = server.insert("events", &["A"], doc! {"title": "one"}).await;
    let (list, detail) = ("/api/v1/events/", format!("/api/v1/events/{id}/"));
    let identifier = format!("/api/v1/actoridentifiers/{id}/");
    let rows = [
        ("PUT", list, "GET, POST"),
        ("DELETE", list, "GET, POST"),
        ("PATCH", list, "GET, POST"),
        ("POST", detail.as_str(), "GET, PATCH"),
        ("DELETE", &detail, "GET, PATCH"),
        ("PATCH", &identifier, "GET"),
        ("POST", "/api/v1/", "GET"),
        ("POST", "/health/live", "GET"),
        ("BREW", list, "GET, POST"),
    ];
    for (method, path, allow) in rows {
        // Before authentication, with and without credentials.
        for who in ["!", ""] {
            let answer = server.call(&format!("{who}{method}"), path, &[], "").await;
            assert_eq!(
                (answer.status, answer.text.as_str(), answer.header("allow")),
                (405, r#"{"error":"Method not allowed."}"#, Some(allow)),
                "{method} {path}"
            );
        }
        let answer = server.call("!OPTIONS", path, &[], "").await;
        assert_eq!(
            (answer.status, answer.text.as_str(), answer.header("allow")),
            (200, allow, Some(allow)),
            "{path}"
        );
    }
    let overridden = server
        .call(
            "POST",
            &detail,
            &[("X-HTTP-Method-Override", "patch")],
            r#"{"action":"x"}"#,
        )
        .await;
    assert_eq!(overridden.json()["message"], "success!");
    assert_eq!(
        server
            .call("GET", &detail, &[("X-HTTP-Method-Override", "DELETE")], "")
            .await
            .status,
        200
    );
    let head = server.call("HEAD", list, &[], "").await;
    assert_eq!(
        (head.status, head.text.as_str(), head.header("content-type")),
        (200, "", Some("application/json"))
    );
}

#[tokio::test]
async fn u14_listing_answers_without_credentials() {
    let server = Server::start().await;
    for path in ["/api/v1", "/api/v1/"] {
        let answer = server
            .call("!GET", path, &[("accept", "text/html,application/xml")], "")
            .await;
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.json()["events"],
            json!({"list_endpoint": "/api/v1/events/", "schema": "/api/v1/events/schema/"})
        );
        assert_eq!(
            answer
                .json()
                .as_object()
                .unwrap()
                .keys()
                .collect::<Vec<_>>(),
            [
                "actions",
                "actoridentifiers",
                "audit",
                "campaigns",
                "events",
                "notifications",
                "samples",
                "screenshots",
                "vocab"
            ]
        );
    }
    let full = server
        .call("!GET", "/api/v1/?fullschema=true", &[], "")
        .await
        .json();
    assert_eq!(
        full["events"]["schema"]["fields"]["obj"]["stored_name"],
        "objects"
    );
    let urls = server
        .call("!GET", "/api/v1/?fullschema=false", &[], "")
        .await
        .json();
    assert_eq!(urls["events"]["schema"], "/api/v1/events/schema/");
}

#[tokio::test]
async fn u15_schema_needs_no_permission_but_credentials() {
    let server = Server::start().await;
    let schema = server.get("/api/v1/actoridentifiers/schema/").await.json();
    assert_eq!(
        (
            &schema["allowed_detail_http_methods"],
            &schema["allowed_list_http_methods"]
        ),
        (&json!(["get"]), &json!(["get", "post"]))
    );
    assert_eq!(
        (
            &schema["fields"]["name"]["type"],
            &schema["fields"]["source"]["type"],
            &schema["fields"]["id"]["stored_name"]
        ),
        (&json!("string"), &json!("list"), &json!("_id"))
    );
    assert_eq!(
        server
            .call("!GET", "/api/v1/events/schema/", &[], "")
            .await
            .status,
        401
    );
}

#[tokio::test]
async fn k12_while_the_api_is_off_its_paths_do_not_exist() {
    let server = Server::start().await;
    server.set("enable_api", "false").await;
    for (method, path) in [
        ("GET", "/api/v1/"),
        ("GET", "/api/v1/events/"),
        ("OPTIONS", "/api/v1/events/"),
        ("POST", "/api/v1/events/"),
        ("PUT", "/api/v1/"),
    ] {
        let answer = server.call(method, path, &[], "").await;
        assert_eq!(
            (answer.status, answer.text.as_str()),
            (404, r#"{"error":"Not found."}"#),
            "{method} {path}"
        );
    }
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(server.call("!GET", path, &[], "").await.status, 200);
    }
}

#[tokio::test]
async fn op8_health_says_nothing_about_what_is_stored() {
    let server = Server::start().await;
    let live = server.call("!GET", "/health/live", &[], "").await;
    let ready = server.call("!GET", "/health/ready/", &[], "").await;
    assert_eq!(
        (live.text.as_str(), ready.text.as_str()),
        (r#"{"status":"live"}"#, r#"{"status":"ready"}"#)
    );
}

#[tokio::test]
async fn a8_au1_au2_all_failures_of_authentication_are_one_answer() {
    let server = Server::start().await;
    let id = server.insert("events", &["A"], doc! {"title": "one"}).await;
    let attempts = [
        ("", ""),
        ("alice", ""),
        ("", KEY),
        ("nobody", KEY),
        ("admin", KEY),
        ("Alice", KEY),
        ("alice", "null"),
        ("alice", "[]"),
    ];
    for (user, key) in attempts {
        for (method, path) in [
            ("GET", "/api/v1/events/".to_owned()),
            ("GET", format!("/api/v1/events/{id}/")),
            ("GET", "/api/v1/events/nonsense/".into()),
            ("POST", "/api/v1/events/".into()),
            ("PATCH", format!("/api/v1/events/{id}/")),
        ] {
            let answer = server
                .call(
                    &format!("!{method}"),
                    &with_credentials(&path, user, key),
                    &[],
                    "{",
                )
                .await;
            assert_eq!(
                (answer.status, answer.text.as_str()),
                (401, r#"{"error":"Authentication failed."}"#),
                "{user} {key} {method} {path}"
            );
            assert_eq!(
                answer.header("www-authenticate"),
                Some(r#"ApiKey realm="crits""#)
            );
        }
    }
    // A body that cannot be read tells nothing to those who are not known.
    for content_type in ["application/json", "text/plain", "multipart/form-data"] {
        assert_eq!(
            server
                .call(
                    "!POST",
                    "/api/v1/events/",
                    &[("content-type", content_type)],
                    "{"
                )
                .await
                .status,
            401
        );
    }
    assert_eq!(server.calls(), 0);
}

#[tokio::test]
async fn a1_a6_credentials_in_every_place_are_taken_out() {
    let server = Server::start().await;
    let json_body = json!({"username": "alice", "api_key": KEY, "title": "t"}).to_string();
    let header = format!("ApiKey alice:{KEY}");
    let form = format!("username=alice&api_key={KEY}&title=t");
    let key_only = format!("api_key={KEY}&title=t");
    let xml = format!(
        "<object><username>alice</username><api_key>{KEY}</api_key><title>t</title></object>"
    );
    let yaml = format!("username: alice\napi_key: '{KEY}'\ntitle: t\n");
    let urlencoded = ("content-type", "application/x-www-form-urlencoded");
    let rows: [(&str, Vec<Header<'_>>, &str, u16); 10] = [
        (
            "",
            vec![("authorization", &header)],
            r#"{"title":"t"}"#,
            200,
        ),
        (
            "?username=alice&api_key=wrong",
            vec![("authorization", &header)],
            r#"{"title":"t"}"#,
            200,
        ),
        (
            &format!("?username=alice&api_key={KEY}"),
            vec![("authorization", "ApiKey bad:bad")],
            &json_body,
            401,
        ),
        ("?username=alice", vec![urlencoded], &key_only, 200),
        ("", vec![urlencoded], &form, 200),
        (
            "",
            vec![("content-type", "application/json")],
            &json_body,
            200,
        ),
        ("", vec![], &json_body, 200),
        ("", vec![("content-type", "application/xml")], &xml, 200),
        ("", vec![("content-type", "text/yaml")], &yaml, 200),
        ("?username=alice&api_key=wrong", vec![], &json_body, 401),
    ];
    for (query, headers, body, status) in rows {
        let answer = server
            .call("!POST", &format!("/api/v1/events/{query}"), &headers, body)
            .await;
        assert_eq!(
            answer.status, status,
            "{query} {headers:?}: {}",
            answer.text
        );
        assert!(!answer.text.contains(KEY));
        if status == 200 {
            let seen = server.last();
            assert_eq!(
                (
                    seen.user.as_str(),
                    seen.params.len(),
                    seen.params[0].0.as_str()
                ),
                ("alice", 1, "title"),
                "{query} {headers:?}"
            );
        }
    }
    let id = server.insert("events", &["A"], doc! {"title": "one"}).await;
    let patched = server
        .call(
            "!PATCH",
            &format!("/api/v1/events/{id}/"),
            &[urlencoded],
            &format!("{form}&action=a"),
        )
        .await;
    assert_eq!(patched.json()["message"], "success!");
}

#[tokio::test]
async fn o02_o03_the_body_of_a_get_is_not_read() {
    let server = Server::start().await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let body = format!("username=alice&api_key={KEY}");
    assert_eq!(
        server
            .call("!GET", "/api/v1/events/", &form, &body)
            .await
            .status,
        401
    );
    assert_eq!(
        server
            .call("GET", "/api/v1/events/", &form, "username=x&api_key=y")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn keys_that_may_only_read_do_not_write() {
    let server = Server::start().await;
    let id = server.insert("events", &["A"], doc! {"title": "one"}).await;
    assert_eq!(
        server.get_as("ro", KEY, "/api/v1/events/").await.status,
        200
    );
    for (method, path) in [
        ("!POST", "/api/v1/events/".to_owned()),
        ("!PATCH", format!("/api/v1/events/{id}/")),
    ] {
        let answer = server
            .call(method, &with_credentials(&path, "ro", KEY), &[], "{}")
            .await;
        assert_eq!(
            (answer.status, answer.text.as_str()),
            (403, r#"{"error":"This API key may only read."}"#)
        );
    }
    assert_eq!(server.calls(), 0);
}

#[tokio::test]
async fn e2_a_panic_is_a_500_with_an_id_and_no_details() {
    let server = Server::start().await;
    let answer = server
        .call("POST", "/api/v1/events/", &[], r#"{"panic": 1}"#)
        .await;
    let body = answer.json();
    assert_eq!(
        (answer.status, &body["error_message"]),
        (
            500,
            &json!("Sorry, this request could not be processed. Please try again later.")
        )
    );
    assert_eq!(
        (
            body["error_id"].as_str().unwrap().len(),
            body.as_object().unwrap().len()
        ),
        (16, 2),
        "{body}"
    );
}

#[tokio::test]
async fn l1_l8_limits() {
    let server = Server::start().await;
    server.set("max_body_bytes", "1024").await;
    let announced = server
        .call(
            "POST",
            "/api/v1/events/",
            &[("content-length", "1025")],
            "{}",
        )
        .await;
    assert_eq!(
        (announced.status, announced.text.as_str()),
        (413, r#"{"error":"Request body too large."}"#)
    );
    assert_eq!(
        server
            .call("POST", "/api/v1/events/", &[], &" ".repeat(1025))
            .await
            .status,
        413
    );
    let many = server
        .get(&format!("/api/v1/events/?{}", "c-a=1&".repeat(1000)))
        .await;
    assert_eq!(
        (many.status, many.text.as_str()),
        (
            400,
            r#"{"error":"Too many parameters: at most 1000 are read."}"#
        )
    );
}

#[tokio::test]
async fn cs3_headers_of_every_answer() {
    let server = Server::start().await;
    let id = server.insert("events", &["A"], doc! {"title": "one"}).await;
    for path in [
        "/api/v1/",
        "/api/v1/events/",
        &format!("/api/v1/events/{id}/"),
        "/api/v1/nosuch/",
        "/health/live",
    ] {
        let answer = server.get(path).await;
        let rows = [
            ("vary", "Accept"),
            ("cache-control", "no-store"),
            ("x-frame-options", "SAMEORIGIN"),
            ("x-content-type-options", "nosniff"),
            (
                "content-security-policy",
                "default-src 'none'; frame-ancestors 'none'; sandbox",
            ),
            ("referrer-policy", "no-referrer"),
            ("content-type", "application/json"),
        ];
        for (name, value) in rows {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        assert_eq!(answer.header("x-request-id").map(str::len), Some(16));
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}
