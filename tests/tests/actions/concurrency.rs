//! Actions at once: actions.md 9.1, what needs no particular action.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::Result;
use critd_tests::{Json, Server, json};
use futures_util::future::{join_all, try_join_all};

/// While one document is held up by an action that takes as long as it may, others are changed.
#[tokio::test]
async fn con_5_documents_do_not_wait_for_one_another() -> Result<()> {
    let mut server = Server::prepare()?;
    server.add_guest("hostile", "")?;
    server.run().await?;
    let (held, free) = (server.event("held up").await?, server.event("free").await?);
    let path = |id: &str| format!("/api/v1/events/{id}/");
    let (held, free) = (path(&held), path(&free));
    let endless = json!({"action": "hostile_loop"});
    let mut endless = std::pin::pin!(server.patch(&held, &endless));
    for number in 0..5 {
        let body = json!({"action": "ticket_add", "ticket": {"ticket_number": number}});
        let other = std::pin::pin!(server.patch(&free, &body));
        match futures_util::future::select(other, endless).await {
            futures_util::future::Either::Left((answer, unfinished)) => {
                assert_eq!(answer?.json()["return_code"], 0);
                endless = unfinished;
            }
            futures_util::future::Either::Right((answer, _)) => {
                panic!("the endless action came first: {}", answer?.text)
            }
        }
    }
    assert_eq!(endless.await?.status, 500);
    Ok(())
}

/// A PATCH and a POST of the same object at once: nothing of either is lost.
#[tokio::test]
async fn con_6_posts_and_patches_of_one_object() -> Result<()> {
    let server = Server::start().await?;
    let form = |method: String| {
        [
            ("domain", "example.com".to_owned()),
            ("source", "Alpha".to_owned()),
            ("method", method),
        ]
    };
    let post = async |method: String| {
        let form = form(method);
        let form: Vec<_> = form
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        server.post("/api/v1/domains/", &form).await
    };
    let domain = post("first".to_owned()).await?.created_id()?;
    let path = format!("/api/v1/domains/{domain}/");
    let posts = join_all((0..20).map(|number| post(format!("m{number}"))));
    let patches = join_all((0..20).map(|number| {
        let body = json!({"action": "ticket_add", "ticket": {"ticket_number": number}});
        let (server, path) = (&server, &path);
        async move { server.patch(path, &body).await }
    }));
    let (posts, patches) = tokio::join!(posts, patches);
    for answer in posts.into_iter().chain(patches) {
        assert_eq!(answer?.json()["return_code"], 0);
    }
    let stored = server.get(&path).await?.json();
    let length = |list: &Json| list.as_array().map(Vec::len);
    assert_eq!(
        (
            length(&stored["source"][0]["instances"]),
            length(&stored["tickets"])
        ),
        (Some(21), Some(20)),
        "{stored}"
    );
    Ok(())
}

/// Readers see an action done or not begun, and whoever asks after the answer sees it.
#[tokio::test]
async fn con_7_an_action_is_seen_whole() -> Result<()> {
    let server = Server::start().await?;
    let event = server.event("whole").await?;
    let path = format!("/api/v1/events/{event}/");
    for number in 0..30 {
        let entry = json!({"action_type": format!("a{number}"), "active": "on"});
        let added = server
            .patch(&path, &json!({"action": "action_add", "tlo_action": entry}))
            .await?;
        assert_eq!(added.json()["return_code"], 0, "{}", added.text);
    }
    let done = AtomicBool::new(false);
    let reader = async || -> Result<usize> {
        let mut read = 0;
        while !done.load(Ordering::Relaxed) {
            let event = server.get(&path).await?.json();
            let mut actions = event["actions"].as_array().into_iter().flatten();
            let is_off = event["status"] == "Deprecated";
            assert!(
                actions.all(|action| (action["active"] == "off") == is_off),
                "{event}"
            );
            read += 1;
        }
        Ok(read)
    };
    let writer = async {
        // The status and the thirty actions change together.
        for status in ["Analyzed", "In Progress", "Deprecated"] {
            server
                .patch(&path, &json!({"action": "status_update", "value": status}))
                .await?;
            assert_eq!(server.get(&path).await?.json()["status"], status);
        }
        done.store(true, Ordering::Relaxed);
        anyhow::Ok(())
    };
    let readers = try_join_all((0..4).map(|_| reader()));
    let (read, written) = tokio::join!(readers, writer);
    written?;
    assert!(read?.into_iter().all(|read| read > 0));
    Ok(())
}

/// An action that others are always ahead of is answered 503 in the end, and leaves nothing.
#[tokio::test]
async fn con_8_who_does_not_get_a_turn_is_told_so() -> Result<()> {
    let mut server = Server::prepare()?;
    server.add_guest("hostile", "")?;
    server.cli(&["set", "patch_lock_timeout=1"])?;
    server.run().await?;
    let event = server.event("wanted by all").await?;
    let path = format!("/api/v1/events/{event}/");
    let done = AtomicBool::new(false);
    let writer = async |name: u32| -> Result<usize> {
        let mut number = 0;
        while !done.load(Ordering::Relaxed) {
            let ticket = format!("{name}-{number}");
            let body = json!({"action": "ticket_add", "ticket": {"ticket_number": ticket}});
            assert_eq!(server.patch(&path, &body).await?.json()["return_code"], 0);
            number += 1;
        }
        Ok(number)
    };
    let writers = try_join_all((0..2).map(writer));
    let slow = async {
        let answer = server
            .patch(&path, &json!({"action": "hostile_slow_read"}))
            .await;
        done.store(true, Ordering::Relaxed);
        answer
    };
    let (written, answer) = tokio::join!(writers, slow);
    let (written, answer) = (written?.into_iter().sum::<usize>(), answer?);
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (503, Some("1")),
        "{}",
        answer.text
    );
    assert!(answer.json()["error"].is_string(), "{}", answer.text);
    let tickets = server.get(&path).await?.json()["tickets"].clone();
    let numbers: Vec<_> = tickets
        .as_array()
        .into_iter()
        .flatten()
        .map(|ticket| &ticket["ticket_number"])
        .collect();
    assert_eq!(numbers.len(), written);
    assert!(!numbers.contains(&&json!("late")));
    // Left alone it succeeds.
    let alone = server
        .patch(&path, &json!({"action": "hostile_slow_read"}))
        .await?;
    assert_eq!(alone.json()["return_code"], 0, "{}", alone.text);
    Ok(())
}

/// 64 clients change one document at once, 10,000 times in all with `CRITD_TEST_THOROUGH`: it ends as after some order of
/// their changes, and each was carried out once.
#[tokio::test]
async fn con_1_thousands_of_changes_by_64_clients() -> Result<()> {
    const CLIENTS: usize = 64;
    let each = match std::env::var_os("CRITD_TEST_THOROUGH") {
        Some(_) => 10_000_usize.div_ceil(CLIENTS),
        None => 24,
    };
    let server = Server::start().await?;
    let event = server.event("busy").await?;
    let path = format!("/api/v1/events/{event}/");
    let done = AtomicU64::new(0);
    let patch = async |body: Json| -> Result<Json> {
        let answer = server.patch(&path, &body).await?;
        done.fetch_add(1, Ordering::Relaxed);
        assert_eq!(answer.status, 200, "{body}: {}", answer.text);
        let answer = answer.json();
        assert_eq!(answer["return_code"], 0, "{body}: {answer}");
        Ok(answer["object"].clone())
    };
    // Each adds tickets, renames some and removes most of them again; now and then it rewrites the description.
    let client = async |client: usize| -> Result<Vec<String>> {
        let mut left = Vec::new();
        for step in 0..each {
            let number = format!("{client}-{step}");
            let last = left.pop();
            match (step % 4, last) {
                (0, last) => {
                    let text = json!({"action": "description_update", "description": number});
                    patch(text).await?;
                    left.extend(last);
                }
                (3, Some((_, date))) if step % 8 == 3 => {
                    let ticket = json!({"ticket_number": number, "date": date});
                    let entry = patch(json!({"action": "ticket_update", "ticket": ticket})).await?;
                    left.push((number, entry["date"].clone()));
                }
                (3, Some((number, date))) => {
                    let which =
                        json!({"action": "ticket_remove", "date": date, "ticket_number": number});
                    patch(which).await?;
                    if let Some((number, date)) = left.pop() {
                        patch(json!({"action": "ticket_remove", "date": date, "ticket_number": number})).await?;
                    }
                }
                (_, last) => {
                    left.extend(last);
                    let ticket =
                        json!({"action": "ticket_add", "ticket": {"ticket_number": number}});
                    let entry = patch(ticket).await?;
                    left.push((number, entry[0]["date"].clone()));
                }
            }
        }
        Ok(left.into_iter().map(|(number, _)| number).collect())
    };
    let left = try_join_all((0..CLIENTS).map(client)).await?;
    let mut left: Vec<String> = left.into_iter().flatten().collect();
    let stored = server.get(&path).await?.json();
    let tickets = stored["tickets"].as_array().cloned().unwrap_or_default();
    let mut numbers: Vec<String> = tickets
        .iter()
        .filter_map(|ticket| Some(ticket["ticket_number"].as_str()?.to_owned()))
        .collect();
    numbers.sort();
    left.sort();
    assert_eq!(numbers, left);
    let mut dates: Vec<_> = tickets
        .iter()
        .map(|ticket| ticket["date"].to_string())
        .collect();
    dates.sort();
    dates.dedup();
    assert_eq!(dates.len(), tickets.len(), "ACT-21");
    // The last description is the last of some client.
    let last = (0..each)
        .rev()
        .find(|step| step % 4 == 0)
        .unwrap_or_default();
    let description = stored["description"].as_str().unwrap_or_default();
    assert!(description.ends_with(&format!("-{last}")), "{description}");
    let audited = server
        .get(&format!("/api/v1/audit/?c-target_id={event}&limit=1"))
        .await?
        .json();
    let changes = audited["meta"]["total_count"].as_u64().unwrap_or_default();
    let done = done.into_inner();
    assert!(done >= (CLIENTS * each) as u64, "{done}");
    assert_eq!(changes, done + 1, "each of them, and the event itself");
    Ok(())
}
