//! Who gets in and who sees what, over HTTP.

use anyhow::{Context, Result};
use critd_tests::{ADMIN_KEY, Server, User, admin, json};

/// AU-1: every failure looks the same, on every route.
#[tokio::test]
async fn au1_a8_all_failures_of_authentication_are_one_answer() -> Result<()> {
    let server = Server::start().await?;
    let revoked = server.add_user("revoked", &[], &[])?;
    server
        .cli(&["key", "revoke", "revoked", "default"])
        .or_else(|_| server.cli(&["key", "revoke", "revoked", "key"]))?;
    let inactive = server.add_user("inactive", &[], &[])?;
    server.cli(&["user", "deactivate", "inactive"])?;
    let outside = server.add_user("outside", &[], &[])?;
    server.cli(&["role", "revoke", "role-outside", "api_interface"])?;
    let other = server.add_user("other", &[], &[])?;
    let users = [
        User {
            name: String::new(),
            key: String::new(),
        },
        User {
            name: "admin".into(),
            key: String::new(),
        },
        User {
            name: "nobody".into(),
            key: ADMIN_KEY.into(),
        },
        User {
            name: "admin".into(),
            key: other.key,
        },
        User {
            name: "admin".into(),
            key: ADMIN_KEY.to_uppercase(),
        },
        User {
            name: "Admin".into(),
            key: ADMIN_KEY.into(),
        },
        revoked,
        inactive,
        outside,
    ];
    let event = server.event("guarded").await?;
    for user in &users {
        for path in ["/api/v1/events/", &format!("/api/v1/events/{event}/")] {
            let answer = server.get_as(user, path).await?;
            assert_eq!(
                (answer.status, answer.text.as_str()),
                (401, r#"{"error":"Authentication failed."}"#),
                "{user:?} {path}"
            );
            assert_eq!(
                answer.header("www-authenticate"),
                Some(r#"ApiKey realm="crits""#)
            );
        }
        assert_eq!(
            server
                .post_as(user, "/api/v1/events/", &[("title", "x")])
                .await?
                .status,
            401
        );
        assert_eq!(
            server
                .patch_as(
                    user,
                    &format!("/api/v1/events/{event}/"),
                    &json!({"action": "status_update"})
                )
                .await?
                .status,
            401
        );
    }
    for open in ["/api/v1/", "/api/v1"] {
        assert_eq!(
            server
                .send(server.client().get(format!("{}{open}", server.url())))
                .await?
                .status,
            200
        );
    }
    assert_eq!(
        server
            .send(
                server
                    .client()
                    .get(format!("{}/api/v1/nosuch/", server.url()))
            )
            .await?
            .status,
        404
    );
    Ok(())
}

/// A1 to A4, A6: credentials in every place; a header wins even if wrong; the last value of a repeated parameter counts.
#[tokio::test]
async fn a1_a6_credentials_in_every_place() -> Result<()> {
    let server = Server::start().await?;
    let http = server.client();
    let url = format!("{}/api/v1/events/", server.url());
    let good = format!("?username=admin&api_key={ADMIN_KEY}");
    let key = ("api_key", ADMIN_KEY);
    let fields = [
        ("title", "t"),
        ("event_type", "Phishing"),
        ("description", "d"),
        ("source", "Alpha"),
    ];
    let form: Vec<_> = fields
        .iter()
        .copied()
        .chain([("username", "admin"), key])
        .collect();
    let object: serde_json::Map<_, _> = form
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    let mut parts = reqwest::multipart::Form::new();
    for (name, value) in &form {
        parts = parts.text((*name).to_owned(), (*value).to_owned());
    }
    let xml = format!(
        "<object>{}</object>",
        form.iter()
            .map(|(name, value)| format!("<{name}>{value}</{name}>"))
            .collect::<String>()
    );
    let yaml: String = form
        .iter()
        .map(|(name, value)| format!("{name}: '{value}'\n"))
        .collect();
    let rows = [
        (
            http.get(&url)
                .header("Authorization", format!("apikey admin:{ADMIN_KEY}")),
            200,
        ),
        (
            http.get(format!("{url}{good}"))
                .header("Authorization", "ApiKey bad:bad"),
            401,
        ),
        (
            http.get(format!("{url}{good}"))
                .header("Authorization", "Basic YTpi"),
            200,
        ),
        (
            http.get(format!(
                "{url}?username=x&api_key=y&username=admin&api_key={ADMIN_KEY}"
            )),
            200,
        ),
        (http.get(format!("{url}{good}&api_key=wrong")), 401),
        (
            http.post(format!("{url}?username=admin"))
                .form(&fields.iter().copied().chain([key]).collect::<Vec<_>>()),
            200,
        ),
        (http.post(&url).form(&form), 200),
        (http.post(&url).multipart(parts), 200),
        (http.post(&url).json(&object), 200),
        (http.post(&url).body(serde_json::to_string(&object)?), 200), // no Content-Type is JSON (B4)
        (
            http.post(&url)
                .header(
                    "Content-Type",
                    "application/x-www-form-urlencoded; charset=utf-8",
                )
                .body("username=admin&api_key=bad"),
            401,
        ),
        (
            http.post(&url)
                .header("Content-Type", "application/xml")
                .body(xml),
            200,
        ),
        (
            http.post(&url)
                .header("Content-Type", "text/yaml")
                .body(yaml),
            200,
        ),
        (
            http.post(&url)
                .json(&json!({"username": "admin", "api_key": null})),
            401,
        ),
        (
            http.post(&url)
                .json(&json!({"username": "admin", "api_key": {"$ne": 1}})),
            401,
        ),
        (
            http.get(&url)
                .header("Content-Type", "application/x-www-form-urlencoded")
                .body(format!("username=admin&api_key={ADMIN_KEY}")),
            401,
        ),
    ];
    for (row, (request, status)) in rows.into_iter().enumerate() {
        let answer = server.send(request).await?;
        assert_eq!(answer.status, status, "row {row}: {}", answer.text);
        if let Some(code) = answer.json().get("return_code") {
            assert_eq!(code, 0, "row {row}: {}", answer.text);
        }
        assert!(
            !answer.text.contains(ADMIN_KEY) || answer.text.contains("\"next\""),
            "row {row} echoes the key"
        );
    }
    let stored = server.get("/api/v1/events/?limit=0").await?.json();
    for event in stored["objects"].as_array().context("objects")? {
        assert!(
            !event.to_string().contains(ADMIN_KEY),
            "stored the key: {event}"
        );
    }
    assert!(!server.log().contains(ADMIN_KEY), "the log has the key");
    Ok(())
}

/// AU-9, AU-10, K8: the store has no key in clear; the command line shows it once.
#[tokio::test]
async fn au9_k8_keys_are_kept_as_hashes() -> Result<()> {
    let server = Server::start().await?;
    let user = server.add_user("hashed", &[], &[])?;
    assert!(
        user.key.len() == 40
            && user
                .key
                .bytes()
                .all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase()),
        "{}",
        user.key
    );
    for listed in [
        server.cli(&["key", "list", "hashed"])?,
        server.cli(&["key", "list", "hashed", "--json"])?,
        server.cli(&["user", "list", "--json"])?,
    ] {
        assert!(!listed.contains(&user.key), "{listed}");
    }
    let mut files = vec![server.folder().join("data")];
    let mut looked_at = 0;
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(&path)?.filter_map(|entry| Some(entry.ok()?.path())));
            continue;
        }
        let bytes = std::fs::read(&path)?;
        looked_at += bytes.len();
        for key in [user.key.as_bytes(), ADMIN_KEY.as_bytes()] {
            assert!(
                !bytes.windows(key.len()).any(|window| window == key),
                "{} has a key in clear",
                path.display()
            );
        }
    }
    assert!(looked_at > 10_000);
    Ok(())
}

/// K10: revoking, deactivating and taking a role away act on the next request.
#[tokio::test]
async fn k10_changes_of_rights_act_on_the_next_request() -> Result<()> {
    let server = Server::start().await?;
    let user = server.add_user(
        "short",
        &["Event.read"],
        &[("Alpha", &["--read", "--tlp", "red,amber,green"])],
    )?;
    server.event("seen").await?;
    let path = "/api/v1/events/";
    let seen = server.get_as(&user, path).await?;
    assert_eq!(
        (seen.status, &seen.json()["meta"]["total_count"]),
        (200, &json!(1))
    );
    server.cli(&["role", "revoke", "role-short", "Event.read"])?;
    let refused = server.get_as(&user, path).await?;
    assert_eq!(
        (refused.status, refused.json()),
        (
            403,
            json!({"error": "You do not have access to this object."})
        )
    );
    server.cli(&["role", "grant", "role-short", "Event.read"])?;
    assert_eq!(server.get_as(&user, path).await?.status, 200);
    server.cli(&["role", "set", "role-short", "--active", "off"])?;
    assert_eq!(server.get_as(&user, path).await?.status, 401, "R4");
    server.cli(&["role", "set", "role-short", "--active", "on"])?;
    assert_eq!(server.get_as(&user, path).await?.status, 200);
    server.cli(&["user", "deactivate", "short"])?;
    assert_eq!(server.get_as(&user, path).await?.status, 401);
    server.cli(&["user", "activate", "short"])?;
    assert_eq!(server.get_as(&user, path).await?.status, 200);
    server.cli(&["set", "enable_api=false"])?;
    assert_eq!(server.get_as(&user, path).await?.status, 404, "K12");
    Ok(())
}

/// S1 on lists, counts, detail and PATCH; S8: invisible is nonexistent. The sources of a visible document are cleaned (C1).
#[tokio::test]
async fn s1_s8_sources_and_tlp_restrict_what_is_seen() -> Result<()> {
    let server = Server::start().await?;
    let alpha = server.add_user(
        "alpha",
        &[
            "Event.read",
            "Event.write",
            "Event.status_edit",
            "Domain.read",
        ],
        &[("Alpha", &["--read", "--write", "--tlp", "red"])],
    )?;
    let mut ids = std::collections::BTreeMap::new();
    for (name, source, tlp) in [
        ("a-red", "Alpha", "red"),
        ("a-amber", "Alpha", "amber"),
        ("a-white", "Alpha", "white"),
        ("b-red", "Beta", "red"),
        ("b-white", "Beta", "white"),
    ] {
        let form = [
            ("title", name),
            ("event_type", "Phishing"),
            ("description", "d"),
            ("source", source),
            ("tlp", tlp),
        ];
        ids.insert(
            name,
            server.post("/api/v1/events/", &form).await?.created_id()?,
        );
    }
    let page = server.get_as(&alpha, "/api/v1/events/").await?.json();
    let titles: Vec<&str> = page["objects"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|e| e["title"].as_str())
        .collect();
    assert_eq!(
        (titles, &page["meta"]["total_count"]),
        (vec!["a-red", "a-white"], &json!(2))
    );
    for (name, id) in &ids {
        let expected = if matches!(*name, "a-red" | "a-white") {
            200
        } else {
            404
        };
        let path = format!("/api/v1/events/{id}/");
        assert_eq!(
            server.get_as(&alpha, &path).await?.status,
            expected,
            "{name}"
        );
        assert_eq!(
            server
                .patch_as(
                    &alpha,
                    &path,
                    &json!({"action": "status_update", "value": "Analyzed"})
                )
                .await?
                .status,
            expected,
            "{name}"
        );
    }
    for trick in [
        "?c-source.name=Beta",
        "?or=1&c-source.name=Beta&c-title=b-red",
        "?c-source.name__nin=Alpha",
        "?c-source.name__exists=1&or=1",
        "?c-title__ne=x&or=1&c-source.name__ne=Alpha",
    ] {
        let page = server
            .get_as(&alpha, &format!("/api/v1/events/{trick}"))
            .await?
            .json();
        for object in page["objects"].as_array().context("objects")? {
            assert!(
                matches!(object["title"].as_str(), Some("a-red" | "a-white")),
                "{trick}: {object}"
            );
        }
    }
    // A document of both sources: the other's instances are only counted (C1).
    let domain = [
        ("domain", "shared.example.net"),
        ("source", "Alpha"),
        ("tlp", "red"),
    ];
    let id = server
        .post("/api/v1/domains/", &domain)
        .await?
        .created_id()?;
    server
        .post(
            "/api/v1/domains/",
            &[
                ("domain", "shared.example.net"),
                ("source", "Beta"),
                ("reference", "secret"),
            ],
        )
        .await?;
    let seen = server
        .get_as(&alpha, &format!("/api/v1/domains/{id}/"))
        .await?;
    assert_eq!(
        seen.json()["source"][1],
        json!({"name": "Other", "instances": [0]})
    );
    assert!(
        !seen.text.contains("Beta") && !seen.text.contains("secret"),
        "{}",
        seen.text
    );
    let full = server
        .get_as(&admin(), &format!("/api/v1/domains/{id}/"))
        .await?
        .json();
    assert_eq!(full["source"][1]["name"], "Beta");
    Ok(())
}

/// C3, C5: a relationship shows only partners that the reader may see.
#[tokio::test]
async fn c5_partners_of_relationships_must_be_visible() -> Result<()> {
    let server = Server::start().await?;
    let alpha = server.add_user(
        "alpha",
        &["IP.read"],
        &[("Alpha", &["--read", "--tlp", "red,amber,green"])],
    )?;
    let hidden = server
        .post(
            "/api/v1/ips/",
            &[
                ("ip", "192.0.2.1"),
                ("ip_type", "IPv4 Address"),
                ("source", "Beta"),
            ],
        )
        .await?
        .created_id()?;
    let seen = server
        .post(
            "/api/v1/ips/",
            &[
                ("ip", "192.0.2.2"),
                ("ip_type", "IPv4 Address"),
                ("source", "Alpha"),
            ],
        )
        .await?
        .created_id()?;
    let mut ids = Vec::new();
    for (ip, partner) in [("192.0.2.3", &hidden), ("192.0.2.3", &seen)] {
        let form = [
            ("ip", ip),
            ("ip_type", "IPv4 Address"),
            ("source", "Alpha"),
            ("related_id", partner.as_str()),
            ("related_type", "IP"),
            ("relationship", "Related To"),
        ];
        ids.push(server.post("/api/v1/ips/", &form).await?.created_id()?);
    }
    let path = format!("/api/v1/ips/{}/", ids[0]);
    let partners = |text: &serde_json::Value| text["relationships"].as_array().map(Vec::len);
    assert_eq!(partners(&server.get(&path).await?.json()), Some(2));
    let cleaned = server.get_as(&alpha, &path).await?.json();
    assert_eq!(
        (partners(&cleaned), &cleaned["relationships"][0]["value"]),
        (Some(1), &json!(seen))
    );
    Ok(())
}

/// G1 to G10: paging with exact counts and stable order; G7, G8: `next` works as it is.
#[tokio::test]
async fn g1_g10_pages_are_complete_and_disjoint() -> Result<()> {
    let server = Server::start().await?;
    for number in 0..25 {
        server
            .post(
                "/api/v1/ips/",
                &[
                    ("ip", &format!("192.0.2.{number}")),
                    ("ip_type", "IPv4 Address"),
                    ("source", "Alpha"),
                ],
            )
            .await?
            .created_id()?;
    }
    let first = server.get("/api/v1/ips/").await?.json();
    assert_eq!(
        (
            &first["meta"]["limit"],
            &first["meta"]["total_count"],
            first["objects"].as_array().map(Vec::len)
        ),
        (&json!(20), &json!(25), Some(20))
    );
    assert_eq!(first["meta"]["previous"], json!(null));
    let next = first["meta"]["next"].as_str().context("next")?;
    assert!(
        next.starts_with("/api/v1/ips/?") && next.contains(ADMIN_KEY),
        "{next}"
    );
    let second = server
        .send(server.client().get(format!("{}{next}", server.url())))
        .await?
        .json();
    assert_eq!(
        (
            second["objects"].as_array().map(Vec::len),
            &second["meta"]["next"]
        ),
        (Some(5), &json!(null))
    );
    let sorted = server
        .get("/api/v1/ips/?order_by=-ip&limit=3")
        .await?
        .json();
    let ips: Vec<&str> = sorted["objects"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|o| o["ip"].as_str())
        .collect();
    assert_eq!(ips, ["192.0.2.9", "192.0.2.8", "192.0.2.7"]);
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
            "offset=-5",
            "Invalid offset '-5' provided. Please provide a positive integer >= 0.",
        ),
        (
            "order_by=nosuch",
            "No matching 'nosuch' field for ordering on.",
        ),
    ];
    for (query, text) in rows {
        let answer = server.get(&format!("/api/v1/ips/?{query}")).await?;
        assert_eq!(
            (answer.status, answer.json()["error"].as_str()),
            (400, Some(text)),
            "{query}"
        );
    }
    Ok(())
}

/// U3, U12, U13: spellings of the path, methods.
#[tokio::test]
async fn u3_u12_u13_paths_and_methods() -> Result<()> {
    let server = Server::start().await?;
    let event = server.event("paths").await?;
    for path in ["/api/v1/events", "/api/v1//events/", "/api/v1/events//"] {
        assert_eq!(server.get(path).await?.status, 200, "{path}");
    }
    let shouted = event.to_uppercase();
    for path in [
        format!("/api/v1/events/{event}"),
        format!("/api/v1/events//{event}/"),
        format!("/api/v1/events/{shouted}/"),
    ] {
        assert_eq!(
            server.get(&path).await?.json()["_id"],
            json!(event),
            "{path}"
        );
    }
    for path in [
        "/api/v1/events/x/y/",
        "/api/v1/events/nonsense/",
        "/api/v1/events/ffffffffffffffffffffffff/",
        "/api/v2/events/",
        "/api/",
        "/nosuch",
    ] {
        let answer = server.get(path).await?;
        assert_eq!(
            (answer.status, answer.json()),
            (404, json!({"error": "Not found."})),
            "{path}"
        );
    }
    let credentials = format!("?username=admin&api_key={ADMIN_KEY}");
    let detail = format!("{}/api/v1/events/{event}/{credentials}", server.url());
    let overridden = server
        .client()
        .post(&detail)
        .header("X-HTTP-Method-Override", "patch")
        .json(&json!({"action": "status_update", "value": "Analyzed"}));
    assert_eq!(server.send(overridden).await?.json()["message"], "success!");
    let list = format!("{}/api/v1/events/{credentials}", server.url());
    for (request, allow) in [
        (server.client().put(&list), "GET, POST"),
        (server.client().delete(&detail), "GET, PATCH"),
        (server.client().patch(&list).json(&json!({})), "GET, POST"),
        (server.client().post(&detail).json(&json!({})), "GET, PATCH"),
    ] {
        let answer = server.send(request).await?;
        assert_eq!(
            (answer.status, answer.json()),
            (405, json!({"error": "Method not allowed."}))
        );
        assert_eq!(answer.header("allow"), Some(allow));
    }
    Ok(())
}
