//! `POST …?bulk=1`: many objects in one request.

use anyhow::{Context, Result};
use critd_tests::{Answer, Json, Server, User, admin, json};

/// Answers of a bulk request, a line each.
async fn bulk_as(server: &Server, user: &User, path: &str, body: String) -> Result<Vec<Json>> {
    let answer = send(server, Some(user), path, "application/x-ndjson", body).await?;
    anyhow::ensure!(
        answer.status == 200 && answer.header("content-type") == Some("application/x-ndjson"),
        "{} {}",
        answer.status,
        answer.text
    );
    answer
        .text
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| line.to_owned()))
        .collect()
}

async fn bulk(server: &Server, path: &str, objects: &[Json]) -> Result<Vec<Json>> {
    let lines: Vec<String> = objects.iter().map(Json::to_string).collect();
    bulk_as(server, &admin(), path, lines.join("\n")).await
}

async fn send(
    server: &Server,
    user: Option<&User>,
    path: &str,
    content_type: &str,
    body: String,
) -> Result<Answer> {
    let mut request = server
        .client()
        .post(format!("{}{path}", server.url()))
        .header("content-type", content_type)
        .body(body);
    if let Some(User { name, key }) = user {
        request = request.header("authorization", format!("ApiKey {name}:{key}"));
    }
    server.send(request).await
}

fn codes(answers: &[Json]) -> Vec<i64> {
    answers
        .iter()
        .map(|answer| answer["return_code"].as_i64().unwrap_or(-1))
        .collect()
}

/// With all times alike.
fn timeless(value: &Json) -> Result<Json> {
    let time = regex::Regex::new(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}")?;
    Ok(serde_json::from_str(
        &time.replace_all(&value.to_string(), "a time"),
    )?)
}

/// All indicators and domains, sorted, with all times alike and names for ids.
async fn comparable(server: &Server) -> Result<Vec<String>> {
    let mut objects = Vec::new();
    for resource in ["indicators", "domains"] {
        let list = server
            .get(&format!("/api/v1/{resource}/?limit=1000"))
            .await?;
        objects.extend(
            list.json()["objects"]
                .as_array()
                .cloned()
                .context("objects")?,
        );
    }
    let mut text = timeless(&json!(objects))?.to_string();
    for object in &objects {
        let name = ["value", "domain"].map(|field| object[field].as_str());
        let name = name.into_iter().flatten().next().context("a name")?;
        text = text.replace(object["_id"].as_str().context("_id")?, name);
    }
    let objects: Vec<Json> = serde_json::from_str(&text)?;
    let mut objects: Vec<String> = objects.iter().map(Json::to_string).collect();
    objects.sort();
    Ok(objects)
}

/// What a client's feed is like: new ones, repeats in another letter case, refused ones, objects that share others.
fn feed() -> Vec<Json> {
    let mut feed = Vec::new();
    // Several commits: what one of them stores the next one has to know.
    for number in 0..110 {
        // Instances of a source that are alike in everything are one, and times depend on how fast a server is.
        let reference = format!("report {number}");
        feed.push(json!({"type": "URI", "value": format!("http://h{}.example.com/{number}", number % 7), "source": "Alpha", "add_domain": true,
            "bucket_list": format!("a,b{}", number % 3), "campaign": "Bear", "confidence": "low", "reference": reference}));
        feed.push(json!({"type": "MD5", "value": format!("{:032X}", number % 20), "source": "Alpha", "description": format!("seen {number}"), "ticket": "T-1", "reference": reference}));
        feed.push(json!({"type": "MD5", "value": format!("{:032x}", number % 50), "source": "Beta", "tlp": "red", "indicator_confidence": "high", "reference": reference}));
    }
    feed.insert(
        3,
        json!({"type": "Shoe Size", "value": "43", "source": "Alpha"}),
    );
    feed.insert(90, json!({"type": "MD5", "source": "Alpha"}));
    feed.insert(
        100,
        json!({"type": "MD5", "value": "x", "source": "Nobody"}),
    );
    feed
}

#[tokio::test]
async fn many_posts_leave_what_one_after_the_other_would() -> Result<()> {
    let (one, many) = (Server::start().await?, Server::start().await?);
    let feed = feed();
    let mut expected = Vec::new();
    for object in &feed {
        expected.push(one.post_json("/api/v1/indicators/", object).await?.json());
    }
    let answers = bulk(&many, "/api/v1/indicators/?bulk=1", &feed).await?;
    assert_eq!(answers.len(), feed.len());
    let said = |answer: &Json| {
        [
            "return_code",
            "type",
            "message",
            "created",
            "error",
            "warnings",
        ]
        .map(|name| answer[name].clone())
    };
    for ((object, answer), expected) in feed.iter().zip(&answers).zip(&expected) {
        assert_eq!(said(answer), said(expected), "{object}");
        assert_eq!(
            answer["id"].is_string(),
            expected["id"].is_string(),
            "{object}"
        );
    }
    let (one, many) = (comparable(&one).await?, comparable(&many).await?);
    assert_eq!(many.len(), one.len());
    for (many, one) in many.iter().zip(&one) {
        assert_eq!(many, one);
    }
    Ok(())
}

/// A refusal is that of its place in the order, also where the object that it is about is in the commit before.
#[tokio::test]
async fn refusals_are_those_of_the_order() -> Result<()> {
    let server = Server::start().await?;
    let objects: Vec<Json> = (0..320)
        .map(|number| json!({"name": format!("Wave {}", number % 160)}))
        .collect();
    let answers = bulk(&server, "/api/v1/campaigns/?bulk=1", &objects).await?;
    let expected: Vec<i64> = (0..320).map(|number| i64::from(number >= 160)).collect();
    assert_eq!(codes(&answers), expected);
    for (first, again) in answers.iter().zip(&answers[160..]) {
        assert_eq!(again["id"], first["id"], "{again}");
    }
    assert_eq!(server.count("campaigns").await?, 160);
    Ok(())
}

#[tokio::test]
async fn a_line_that_is_no_object_is_told_of_in_its_place() -> Result<()> {
    let server = Server::start().await?;
    let lines = [
        r#"{"type": "MD5", "value": "a", "source": "Alpha"}"#,
        "[1]",
        "",
        r#"{"type": "MD5", "value": "b""#,
        r#"{"type": "MD5", "value": "c", "source": "Alpha"}"#,
    ];
    let answers = bulk_as(
        &server,
        &admin(),
        "/api/v1/indicators/?bulk=1",
        lines.join("\r\n"),
    )
    .await?;
    assert_eq!(codes(&answers), [0, 1, 1, 0]);
    assert_eq!(
        answers[1],
        json!({"return_code": 1, "type": "Indicator", "message": "This is no JSON object.", "created": false, "error": {"code": "invalid_body"}})
    );
    assert_eq!(answers[2]["message"], "This is not valid JSON.");
    assert_eq!(server.count("indicators").await?, 2);

    let array = json!([{"type": "MD5", "value": "d", "source": "Alpha"}, {"type": "MD5", "value": "e", "source": "Alpha"}]);
    let answer = send(
        &server,
        Some(&admin()),
        "/api/v1/indicators/?bulk=1",
        "application/json",
        array.to_string(),
    )
    .await?;
    assert_eq!((answer.status, answer.text.lines().count()), (200, 2));
    assert_eq!(server.count("indicators").await?, 4);
    Ok(())
}

#[tokio::test]
async fn atomic_stores_all_or_nothing() -> Result<()> {
    let server = Server::start().await?;
    let good = |number: u32| json!({"type": "URI", "value": format!("http://a{number}.example.com/"), "source": "Alpha", "add_domain": true});
    let path = "/api/v1/indicators/?bulk=1&atomic=1";
    let mut objects: Vec<Json> = (0..150).map(good).collect();
    objects[120] = json!({"type": "URI", "value": "http://no host/", "source": "Alpha"});
    let answers = bulk(&server, path, &objects).await?;
    assert!(codes(&answers).iter().all(|code| *code == 1));
    assert_eq!(
        answers[120]["error"]["argument"], "value",
        "{}",
        answers[120]
    );
    assert_eq!(
        answers[0],
        json!({"return_code": 1, "type": "Indicator", "message": "Not stored, because another object was refused.", "created": false, "error": {"code": "not_stored"}})
    );
    assert_eq!(server.count("indicators").await?, 0);
    assert_eq!(server.count("domains").await?, 0);

    objects[120] = good(120);
    let answers = bulk(&server, path, &objects).await?;
    assert!(codes(&answers).iter().all(|code| *code == 0), "{answers:?}");
    assert_eq!(server.count("indicators").await?, 150);
    assert_eq!(server.count("domains").await?, 151);

    let broken = format!("{}\n{{", good(1000));
    let answers = bulk_as(&server, &admin(), path, broken).await?;
    assert_eq!(codes(&answers), [1, 1]);
    assert_eq!(server.count("indicators").await?, 150);

    let lines: Vec<String> = (2000..3001)
        .map(|number| good(number).to_string())
        .collect();
    let answer = send(
        &server,
        Some(&admin()),
        path,
        "application/jsonl",
        lines.join("\n"),
    )
    .await?;
    assert_eq!(
        (answer.status, answer.json()),
        (
            400,
            json!({"error": "With atomic=1 a request may have 1000 objects."})
        )
    );
    Ok(())
}

#[tokio::test]
async fn dry_runs_store_nothing_and_tell_what_they_would_store() -> Result<()> {
    let server = Server::start().await?;
    let object = json!({"type": "MD5", "value": "a", "source": "Alpha", "bucket_list": "x"});
    let answers = bulk(
        &server,
        "/api/v1/indicators/?bulk=1&dry_run=1",
        &[object.clone(), json!({}), object.clone()],
    )
    .await?;
    assert_eq!(codes(&answers), [0, 1, 0]);
    assert!(
        answers[0]["operations"].as_array().is_some_and(
            |list| list.contains(&json!({"push": ["bucket_list", "x"], "of": "Indicator"}))
        ),
        "{}",
        answers[0]
    );
    assert_eq!(
        (&answers[0]["created"], &answers[2]["created"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(server.count("indicators").await?, 0);

    let single = server
        .post_json("/api/v1/indicators/?dry_run=1", &object)
        .await?
        .json();
    assert_eq!(
        timeless(&single["operations"])?,
        timeless(&answers[0]["operations"])?
    );
    assert_eq!(server.count("indicators").await?, 0);
    Ok(())
}

#[tokio::test]
async fn who_asks_comes_before_what_is_sent() -> Result<()> {
    let server = Server::start().await?;
    let reader = server.add_user("reader", &["Indicator.read"], &[("Alpha", &["--read"])])?;
    let object = json!({"type": "MD5", "value": "a", "source": "Alpha", "username": "admin", "api_key": admin().key}).to_string();
    let path = "/api/v1/indicators/?bulk=1";
    let answer = send(&server, None, path, "application/json", object.clone()).await?;
    assert_eq!(answer.status, 401);
    let answers = bulk_as(&server, &reader, path, format!("{object}\n{object}")).await?;
    assert_eq!(codes(&answers), [1, 1]);
    assert_eq!(
        answers[0]["message"],
        "User does not have permission to create Object."
    );
    assert_eq!(server.count("indicators").await?, 0);
    let answer = send(&server, Some(&admin()), path, "text/csv", "a,b".to_owned()).await?;
    assert_eq!(answer.status, 415);
    let answer = send(
        &server,
        Some(&admin()),
        path,
        "application/json",
        " ".to_owned(),
    )
    .await?;
    assert_eq!(
        (answer.status, answer.json()),
        (400, json!({"error": "There are no objects in the body."}))
    );
    assert!(!server.log().contains(&admin().key));
    Ok(())
}

/// One handler call that is ended by the server takes nothing of the others with it.
#[tokio::test]
async fn a_plugin_that_breaks_on_one_object_leaves_the_others() -> Result<()> {
    let mut server = Server::prepare()?;
    server.add_guest("hostile", "limits = { time_ms = 300 }")?;
    server.run().await?;
    let named = |name: &str| json!({"name": name, "source": "Alpha"});
    let objects = ["a", "panic", "b", "loop", "c"].map(named);
    let answers = bulk(&server, "/api/v1/oddities/?bulk=1", &objects).await?;
    assert_eq!(codes(&answers), [0, 1, 0, 1, 0], "{answers:?}");
    assert_eq!(
        answers[1]["message"],
        "Sorry, this request could not be processed. Please try again later."
    );
    let id = answers[1]["error"]["error_id"]
        .as_str()
        .context("error_id")?;
    assert!(server.log().contains(id), "the log says what {id} was");
    assert_eq!(server.count("oddities").await?, 3);

    let answers = bulk(
        &server,
        "/api/v1/oddities/?bulk=1&atomic=1",
        &["d", "panic"].map(named),
    )
    .await?;
    assert_eq!(codes(&answers), [1, 1]);
    assert_eq!(server.count("oddities").await?, 3);
    Ok(())
}

/// Many clients with the same objects at once: each object is there once, with what every one of them added.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g8_clients_that_send_the_same_meet_in_one_object() -> Result<()> {
    let server = Server::start().await?;
    let objects = |client: usize| -> Vec<Json> {
        (0..120)
            .map(|number| json!({"type": "MD5", "value": format!("{number:032x}"), "source": "Alpha", "reference": format!("client {client}"), "bucket_list": format!("c{client}")}))
            .collect()
    };
    let clients = (0..4).map(|client| {
        let objects = objects(client);
        let server = &server;
        async move { bulk(server, "/api/v1/indicators/?bulk=1", &objects).await }
    });
    for answers in futures_util::future::join_all(clients).await {
        assert!(codes(&answers?).iter().all(|code| *code == 0));
    }
    let list = server.get("/api/v1/indicators/?limit=1000").await?.json();
    let found = list["objects"].as_array().context("objects")?;
    assert_eq!(found.len(), 120);
    for object in found {
        assert_eq!(
            object["bucket_list"].as_array().map(Vec::len),
            Some(4),
            "{object}"
        );
        assert_eq!(
            object["source"][0]["instances"].as_array().map(Vec::len),
            Some(4)
        );
    }
    Ok(())
}

/// Every object has a time not before that of the one before it, and a later one if both are about one object of the store:
/// also where many share a commit, and in no case is it in the future.
#[tokio::test]
async fn times_go_on_with_the_objects() -> Result<()> {
    let server = Server::start().await?;
    // Of an object that is sent again and again each time is another source instance (documents.md 2.2).
    let objects: Vec<Json> = (0..900)
        .map(|number| match number % 3 {
            0 => json!({"type": "MD5", "value": "f".repeat(32), "source": "Alpha"}),
            _ => json!({"type": "MD5", "value": format!("{number:032}"), "source": "Alpha"}),
        })
        .collect();
    let answers = bulk(&server, "/api/v1/indicators/?bulk=1", &objects).await?;
    let after = server
        .post_json(
            "/api/v1/indicators/",
            &json!({"type": "MD5", "value": "e".repeat(32), "source": "Alpha"}),
        )
        .await?
        .json();
    assert!(codes(&answers).iter().all(|code| *code == 0));
    let list = server.get("/api/v1/indicators/?limit=1000").await?.json();
    let found = list["objects"].as_array().context("objects")?;
    assert_eq!(found.len(), 602);
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    let last = found
        .iter()
        .find(|object| object["_id"] == after["id"])
        .context("the one after")?;
    // In the order of ids, which is the order of the objects.
    let created: Vec<_> = found
        .iter()
        .map(|object| text(&object["created"]))
        .collect();
    assert!(created.is_sorted(), "{created:?}");
    assert!(created.iter().all(|time| *time <= text(&last["created"])));
    let repeated = found
        .iter()
        .find(|object| object["value"] == "f".repeat(32))
        .context("the repeated one")?;
    let instances = repeated["source"][0]["instances"]
        .as_array()
        .context("instances")?;
    let dates: Vec<_> = instances.iter().map(|one| text(&one["date"])).collect();
    assert_eq!(dates.len(), 300);
    assert!(dates.is_sorted_by(|a, b| a < b), "{dates:?}");
    assert_eq!(
        repeated["modified"],
        repeated["source"][0]["instances"][299]["date"]
    );
    Ok(())
}
