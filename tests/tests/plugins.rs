//! Plugins on a running server: replacement under load, hostile plugins, what operators see.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use critd_tests::{ADMIN_KEY, Json, Server, built, json};

/// While 4 clients send requests, the file of a plugin is replaced 100 times: renamed over, truncated, deleted, garbage.
/// No request fails, the last good version serves, every rejection is explained in the log and by `critd plugin list`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hot_reload_100_replacements_under_load() -> Result<()> {
    let server = Server::start().await?;
    let event = server.event("reload").await?;
    let stop = Arc::new(AtomicBool::new(false));
    let served = Arc::new(AtomicU64::new(0));
    let mut clients = Vec::new();
    for client in 0..4 {
        let (http, url, event, stop, served) = (
            server.client().clone(),
            server.url(),
            event.clone(),
            stop.clone(),
            served.clone(),
        );
        clients.push(tokio::spawn(async move {
            let mut failures = Vec::new();
            for turn in 0u64.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let query = format!("username=admin&api_key={ADMIN_KEY}");
                let request = match turn % 3 {
                    0 => http.patch(format!("{url}/api/v1/events/{event}/?{query}")).json(&json!({"action": "status_update", "value": (["New", "Analyzed"][turn as usize / 3 % 2])})),
                    1 => {
                        let host = format!("h{turn}.c{client}.org");
                        http.post(format!("{url}/api/v1/domains/?{query}")).form(&[("domain", host.as_str()), ("source", "Alpha")])
                    }
                    _ => http.get(format!("{url}/api/v1/events/{event}/?{query}")),
                };
                match request.send().await {
                    Ok(response) => {
                        let status = response.status().as_u16();
                        let body: Json = response.json().await.unwrap_or(Json::Null);
                        if status != 200 || body.get("return_code").is_some_and(|code| code != 0) {
                            failures.push(format!("{status} {body}"));
                        }
                    }
                    Err(error) => failures.push(error.to_string()),
                }
                served.fetch_add(1, Ordering::Relaxed);
            }
            failures
        }));
    }

    let good = std::fs::read(built("plugins")?.join("domain.wasm"))?;
    let common = std::fs::read(built("plugins")?.join("common.wasm"))?;
    let folder = server.folder().join("plugins");
    for turn in 0..100 {
        let (name, bytes) = if turn % 2 == 0 {
            ("domain.wasm", &good)
        } else {
            ("common.wasm", &common)
        };
        let path = folder.join(name);
        match turn % 5 {
            0 => std::fs::write(&path, &bytes[..bytes.len() * (turn + 1) / 101])?,
            1 => {
                let beside = folder.join(format!(".{name}.part"));
                std::fs::write(&beside, bytes)?;
                std::fs::rename(&beside, &path)?;
            }
            2 => std::fs::remove_file(&path)?,
            3 => std::fs::write(&path, b"this is no plugin")?,
            _ => std::fs::write(&path, [&b"\0asm\x0d\0\x01\0"[..], &[0xff; 64]].concat())?,
        }
        tokio::time::sleep(Duration::from_millis(if turn % 10 == 0 { 400 } else { 60 })).await;
    }
    // The bad files are the last word for a moment: each has its reason in the list and in the log.
    std::fs::write(folder.join("domain.wasm"), &good[..1000])?;
    std::fs::write(folder.join("common.wasm"), b"this is no plugin")?;
    let explained = |plugins: &Json| {
        rejection(plugins, "domain")
            .is_some_and(|reason| reason.starts_with("the file is incomplete (1000 bytes)"))
            && rejection(plugins, "common") == Some("it is no WebAssembly file")
    };
    until(&server, explained).await?;
    let log = server.log();
    assert!(
        log.contains("domain.wasm") && log.contains("incomplete"),
        "{log}"
    );

    // Good files again: no rejection remains.
    std::fs::write(folder.join("domain.wasm"), &good)?;
    std::fs::write(folder.join("common.wasm"), &common)?;
    until(&server, |plugins| {
        rejection(plugins, "domain").is_none() && rejection(plugins, "common").is_none()
    })
    .await?;

    stop.store(true, Ordering::Relaxed);
    for client in clients {
        let failures = client.await?;
        assert!(
            failures.is_empty(),
            "{} failed, the first: {}",
            failures.len(),
            failures[0]
        );
    }
    let served = served.load(Ordering::Relaxed);
    assert!(served > 200, "the clients were busy: {served}");
    Ok(())
}

fn rejection<'a>(plugins: &'a Json, name: &str) -> Option<&'a str> {
    plugins
        .as_array()?
        .iter()
        .find(|plugin| plugin["name"] == name)?["rejected"]["reason"]
        .as_str()
}

/// `critd plugin list --json` until it is as wanted, at most 15 seconds.
async fn until(server: &Server, wanted: impl Fn(&Json) -> bool) -> Result<Json> {
    let begin = Instant::now();
    loop {
        let listed: Json = serde_json::from_str(&server.cli(&["plugin", "list", "--json"])?)?;
        if wanted(&listed) {
            return Ok(listed);
        }
        ensure!(
            begin.elapsed() < Duration::from_secs(15),
            "never came: {listed:#}\n{}",
            server.log()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The last good version survives a restart although the file is bad then.
#[tokio::test]
async fn hot_reload_the_last_good_version_survives_a_restart() -> Result<()> {
    let mut server = Server::start().await?;
    std::fs::write(server.folder().join("plugins/event.wasm"), b"cut")?;
    until(&server, |plugins| rejection(plugins, "event").is_some()).await?;
    server.stop().await?;
    server.run().await?;
    server.event("still served").await?;
    assert!(rejection(&until(&server, |_| true).await?, "event").is_some());
    Ok(())
}

/// An endless loop, a memory eater, a recursion, a panic, a log flood: each call is answered as specified, nothing is
/// written, other requests are undisturbed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pl_hostile_plugins_disturb_nobody() -> Result<()> {
    let mut server = Server::prepare()?;
    server.add_guest(
        "hostile",
        "limits = { time_ms = 500, memory_mib = 16, host_calls = 500 }",
    )?;
    server.run().await?;
    let event = server.event("attacked").await?;
    let path = format!("/api/v1/events/{event}/");
    let before = server.get(&path).await?.text;

    let stop = Arc::new(AtomicBool::new(false));
    let bystander = {
        let (http, url, stop) = (
            server.client().clone(),
            format!("{}{path}?username=admin&api_key={ADMIN_KEY}", server.url()),
            stop.clone(),
        );
        tokio::spawn(async move {
            let mut worst = Duration::ZERO;
            while !stop.load(Ordering::Relaxed) {
                let begin = Instant::now();
                let status = http
                    .get(&url)
                    .send()
                    .await
                    .map(|response| response.status().as_u16());
                worst = worst.max(begin.elapsed());
                if !matches!(status, Ok(200)) {
                    return Err(format!("{status:?}"));
                }
            }
            Ok(worst)
        })
    };
    for action in [
        "hostile_loop",
        "hostile_memory",
        "hostile_recursion",
        "hostile_panic",
        "hostile_log_flood",
        "hostile_trap_after_writes",
        "hostile_host_calls",
    ] {
        let answer = server.patch(&path, &json!({"action": action})).await?;
        assert_eq!(answer.status, 500, "{action}: {}", answer.text);
        let body = answer.json();
        assert_eq!(
            body["error_message"],
            "Sorry, this request could not be processed. Please try again later.",
            "{action}"
        );
        let error_id = body["error_id"].as_str().context("error_id")?;
        assert!(
            server.log().contains(error_id),
            "{action}: the log has the details under {error_id}"
        );
        assert_eq!(
            server.get(&path).await?.text,
            before,
            "{action} wrote something"
        );
    }
    let log = server.log();
    for told in [
        "ran longer than 500 ms",
        "wanted more than 16 MiB of memory",
        "panicked",
        "budget of log lines",
        "budget of host calls",
    ] {
        assert!(log.contains(told), "the log does not say `{told}`:\n{log}");
    }
    stop.store(true, Ordering::Relaxed);
    let worst = bystander.await?.map_err(anyhow::Error::msg)?;
    eprintln!("slowest request beside the hostile ones: {worst:?}");
    // The server is as before.
    server
        .patch(
            &path,
            &json!({"action": "status_update", "value": "Analyzed"}),
        )
        .await?;
    assert_eq!(server.get(&path).await?.json()["status"], "Analyzed");
    Ok(())
}

/// A plugin without an entry in the manifest is not loaded; an entry loads it while the server runs; `enabled = false`
/// takes it away again.
#[tokio::test]
async fn operators_add_and_remove_a_plugin_on_a_running_server() -> Result<()> {
    let server = Server::start().await?;
    let event = server.event("operated").await?;
    let path = format!("/api/v1/events/{event}/");
    let unknown = server
        .patch(&path, &json!({"action": "hostile_panic"}))
        .await?;
    assert_eq!(
        unknown.json()["message"],
        "'hostile_panic' is not a valid action."
    );
    server.add_guest("hostile", "")?;
    until(&server, |plugins| {
        plugins.as_array().is_some_and(|all| {
            all.iter()
                .any(|p| p["name"] == "hostile" && p["state"] == "serving")
        })
    })
    .await?;
    assert_eq!(
        server
            .patch(&path, &json!({"action": "hostile_panic"}))
            .await?
            .status,
        500
    );
    let manifest = server.folder().join("plugin-manifest.toml");
    let text = std::fs::read_to_string(&manifest)?.replace(
        "[plugins.hostile]\n",
        "[plugins.hostile]\nenabled = false\n",
    );
    std::fs::write(&manifest, text)?;
    until(&server, |plugins| {
        !plugins.as_array().is_some_and(|all| {
            all.iter()
                .any(|p| p["name"] == "hostile" && p["state"] == "serving")
        })
    })
    .await?;
    assert_eq!(
        server
            .patch(&path, &json!({"action": "hostile_panic"}))
            .await?
            .json()["message"],
        "'hostile_panic' is not a valid action."
    );
    Ok(())
}
