//! Paths, methods, bodies: what a client meets before any rule of a type.

use anyhow::{Context as _, Result};
use critd_tests::{Server, json};

use crate::{credentials, is_error, one_of_each, resources, url};

/// O03: a form as the body of a GET, besides the credentials in the query; with and without the slash before the query.
#[tokio::test]
async fn o03_a_form_on_a_get_is_not_read() -> Result<()> {
    let server = Server::start().await?;
    for (resource, id) in one_of_each(&server).await? {
        for slash in ["/", ""] {
            let request = server
                .client()
                .get(url(&server, &format!("/api/v1/{resource}/{id}{slash}")))
                .form(&[("username", "nobody"), ("api_key", "none")]);
            let answer = server.send(request).await?;
            assert_eq!(answer.status, 200, "{resource}{slash}: {}", answer.text);
            assert_eq!(answer.json()["_id"], id.as_str(), "{resource}{slash}");
        }
    }
    Ok(())
}

/// O04: what is there, told to everyone; what is not there, told in JSON with the status that says so.
#[tokio::test]
async fn o04_a_wrong_path_is_told_from_an_api_that_is_off() -> Result<()> {
    let server = Server::start().await?;
    let get = async |path: &str| {
        let request = server.client().get(format!("{}{path}", server.url()));
        server.send(request).await
    };
    for path in ["/api/v1", "/api/v1/", "/api//v1"] {
        let answer = get(path).await?;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, Some("application/json")),
            "{path}"
        );
        let listing = answer.json();
        let samples = &listing["samples"];
        assert_eq!(samples["list_endpoint"], "/api/v1/samples/", "{path}");
        assert_eq!(samples["schema"], "/api/v1/samples/schema/", "{path}");
    }
    // Nothing is listed that is not there.
    for resource in resources(&server).await? {
        let answer = server.get(&format!("/api/v1/{resource}/")).await?;
        assert!(
            [200, 405].contains(&answer.status),
            "{resource}: {}",
            answer.text
        );
    }
    for path in [
        "/api/v1/nosuch/",
        "/api/v1/nosuch",
        "/api/v1/Samples/",
        "/api/v2/ips/",
        "/api/v2/",
        "/api/",
        "/",
        "/ips/",
    ] {
        let with_credentials = format!("{path}?{}", credentials());
        for path in [path, &with_credentials] {
            let answer = get(path).await?;
            assert_eq!(answer.status, 404, "{path}: {}", answer.text);
            assert!(is_error(&answer), "{path}: {}", answer.text);
        }
    }
    server.cli(&["set", "enable_api=false"])?;
    let off = get("/api/v1/").await?;
    assert_eq!(off.status, 404, "{}", off.text);
    assert!(is_error(&off), "{}", off.text);
    Ok(())
}

/// O30: POST to the URL of a document, and plural names where the name of a type is wanted.
#[tokio::test]
async fn o30_post_to_a_document_and_plural_type_names() -> Result<()> {
    let server = Server::start().await?;
    let objects = one_of_each(&server).await?;
    for (resource, id) in &objects {
        let path = format!("/api/v1/{resource}/{id}/");
        let before = server.get(&path).await?.text;
        let answer = server.post(&path, &[("source", "Alpha")]).await?;
        assert_eq!(answer.status, 405, "{resource}: {}", answer.text);
        assert!(is_error(&answer), "{resource}: {}", answer.text);
        let allowed = answer.header("allow").context("Allow")?;
        let methods: Vec<&str> = allowed.split(", ").collect();
        assert!(
            methods == ["GET", "PATCH"]
                || methods == ["GET"] && ["actoridentifiers", "screenshots"].contains(resource),
            "{resource}: {allowed}"
        );
        assert_eq!(server.get(&path).await?.text, before, "{resource}");
    }
    let sample = objects
        .iter()
        .find(|(resource, _)| *resource == "samples")
        .map(|(_, id)| id.as_str())
        .context("a sample")?;
    // The names of resources are understood; a name of nothing, or of another type, is told by name.
    for (name, is_right) in [
        ("Samples", true),
        ("sample", true),
        ("Emails", false),
        ("Nothing", false),
    ] {
        let comment = [
            ("comment", "c"),
            ("object_id", sample),
            ("object_type", name),
        ];
        let domain = format!("{}.example.com", name.to_lowercase());
        let relation = [
            ("domain", domain.as_str()),
            ("source", "Alpha"),
            ("related_id", sample),
            ("related_type", name),
        ];
        for (resource, form, argument) in [
            ("comments", &comment[..], "object_type"),
            ("domains", &relation[..], "related_type"),
        ] {
            let answer = server.post(&format!("/api/v1/{resource}/"), form).await?;
            let text = format!("{resource} {name}: {}", answer.text);
            assert_eq!(answer.status, 200, "{text}");
            if is_right {
                answer.created_id()?;
                continue;
            }
            let body = answer.json();
            assert_eq!(body["return_code"], 1, "{text}");
            assert!(
                name != "Nothing" || body["error"]["argument"] == argument,
                "{text}"
            );
            let message = body["message"].as_str().unwrap_or_default();
            assert!(
                message.contains("not found") || message.contains("not find"),
                "{text}"
            );
        }
        let made = server
            .get(&format!("/api/v1/domains/?c-domain={domain}"))
            .await?
            .json();
        assert_eq!(made["meta"]["total_count"], u8::from(is_right), "{name}");
        let entries = &made["objects"][0]["relationships"];
        let is_related = entries
            .as_array()
            .into_iter()
            .flatten()
            .any(|entry| entry["value"] == sample && entry["type"] == "Sample");
        assert_eq!(is_related, is_right, "{name}: {made}");
    }
    Ok(())
}

/// O36: nothing is deleted by the API, and what may be done instead is told.
#[tokio::test]
async fn o36_nothing_can_be_deleted() -> Result<()> {
    let server = Server::start().await?;
    for (resource, id) in one_of_each(&server).await? {
        let of_documents = match resource {
            "actoridentifiers" => "GET",
            _ => "GET, PATCH",
        };
        let collection = format!("/api/v1/{resource}/");
        for (path, allowed) in [
            (collection.clone(), "GET, POST"),
            (format!("{collection}{id}/"), of_documents),
        ] {
            for method in [reqwest::Method::DELETE, reqwest::Method::PUT] {
                let request = server.client().request(method, url(&server, &path));
                let answer = server.send(request).await?;
                assert_eq!(answer.status, 405, "{path}: {}", answer.text);
                assert_eq!(answer.header("allow"), Some(allowed), "{path}");
                assert!(is_error(&answer), "{path}: {}", answer.text);
            }
            // The same asked for in another way.
            let request = server
                .client()
                .post(url(&server, &path))
                .header("X-HTTP-Method-Override", "DELETE");
            assert_eq!(server.send(request).await?.status, 405, "{path}");
        }
        assert_eq!(server.count(resource).await?, 1, "{resource}");
    }
    Ok(())
}

/// O46, O47: two slashes in the path of a PATCH, JSON text without a Content-Type; each alone and both together.
#[tokio::test]
async fn o46_o47_two_slashes_and_json_without_a_content_type() -> Result<()> {
    let server = Server::start().await?;
    for (resource, id) in one_of_each(&server).await? {
        if resource == "actoridentifiers" {
            continue;
        }
        for (round, path) in [
            format!("/api/v1/{resource}/{id}/"),
            format!("/api/v1/{resource}//{id}/"),
            format!("/api/v1//{resource}///{id}//"),
        ]
        .iter()
        .enumerate()
        {
            let value = ["Analyzed", "In Progress", "Deprecated"][round];
            let text = json!({"action": "status_update", "value": value}).to_string();
            let request = server.client().patch(url(&server, path)).body(text);
            let answer = server.send(request).await?;
            assert_eq!(answer.status, 200, "{path}: {}", answer.text);
            assert_eq!(answer.json()["message"], "success!", "{path}");
            let stored = server.document(resource, &id).await?;
            assert_eq!(stored["status"], value, "{path}");
        }
    }
    // A POST is read in the same way.
    let text = json!({"name": "Кампания", "description": "no Content-Type"}).to_string();
    let request = server
        .client()
        .post(url(&server, "/api/v1//campaigns/"))
        .body(text);
    let id = server.send(request).await?.created_id()?;
    assert_eq!(server.document("campaigns", &id).await?["name"], "Кампания");
    Ok(())
}

/// O58: tickets as the published example has them, with a number that is a number, on every type that has tickets.
#[tokio::test]
async fn o58_a_ticket_number_may_be_a_number() -> Result<()> {
    let server = Server::start().await?;
    for (resource, id) in one_of_each(&server).await? {
        if resource == "actoridentifiers" {
            continue;
        }
        let path = format!("/api/v1/{resource}/{id}/");
        for (numbers, date) in [
            (json!(12345), json!("2014-06-11 13:00:00.000000")),
            (json!([678, "A-1"]), json!(null)),
        ] {
            let body =
                json!({"action": "ticket_add", "ticket": {"ticket_number": numbers, "date": date}});
            let answer = server.patch(&path, &body).await?.json();
            assert_eq!(
                (&answer["return_code"], &answer["message"]),
                (&json!(0), &json!("success!")),
                "{resource}: {answer}"
            );
        }
        let stored = server.get(&path).await?.json();
        let tickets = stored["tickets"].as_array().context("tickets")?;
        let numbers: Vec<_> = tickets
            .iter()
            .map(|ticket| &ticket["ticket_number"])
            .collect();
        assert_eq!(numbers, ["12345", "678", "A-1"], "{resource}");
        assert_eq!(
            tickets[0]["date"], "2014-06-11 13:00:00.000000",
            "{resource}"
        );
    }
    Ok(())
}
