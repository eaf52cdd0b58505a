use std::time::{Duration, Instant};

use super::*;
use crate::plugins::Plugins;
use crate::plugins::testing::{Guest, Site, declaration};

fn version(version: &str) -> Vec<u8> {
    Guest::of(declaration("one", version)).file()
}

/// The status of plugin `one`, once it is as wanted.
async fn until(plugins: &Plugins, wanted: impl Fn(&PluginStatus) -> bool) -> PluginStatus {
    let begin = Instant::now();
    loop {
        let status = plugins.status();
        if let Some(found) = status
            .plugins
            .iter()
            .find(|plugin| plugin.name == "one" && wanted(plugin))
        {
            return found.clone();
        }
        assert!(
            begin.elapsed() < Duration::from_secs(20),
            "never came: {status:#?}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn serves(version: &'static str) -> impl Fn(&PluginStatus) -> bool {
    move |plugin| plugin.version.as_deref() == Some(version) && plugin.rejected.is_none()
}

fn reason(plugin: &PluginStatus) -> &str {
    plugin
        .rejected
        .as_ref()
        .map_or("", |problem| problem.reason.as_str())
}

#[tokio::test]
async fn whatever_comes_into_the_directory_the_last_good_version_serves() {
    let site = Site::new("[plugins.one]\n").await;
    let good = version("1.0.0");
    site.put("one", &good);
    let plugins = site.start().await;
    let first = plugins.current();
    assert_eq!(
        until(&plugins, serves("1.0.0")).await.origin,
        Some(Origin::Directory)
    );

    for (bytes, told) in [
        (&good[..good.len() / 2], "the file is incomplete"),
        (&b"this is no plugin"[..], "it is no WebAssembly file"),
        (
            &b"\0asm\x0d\0\x01\0"[..],
            "the file is incomplete (8 bytes)",
        ),
        (&b""[..], "the file is empty"),
    ] {
        site.put("one", bytes);
        let plugin = until(&plugins, |plugin| reason(plugin).starts_with(told)).await;
        assert_eq!(
            (plugin.state, plugin.version.as_deref()),
            (State::Serving, Some("1.0.0"))
        );
        assert!(plugins.current().action("Event", "one_act").is_some());
    }
    std::fs::remove_file(site.file("one")).unwrap();
    let plugin = until(&plugins, |plugin| {
        reason(plugin).starts_with("the file is gone: ")
    })
    .await;
    assert_eq!(plugin.state, State::Serving);

    // Good again, by renaming over.
    let beside = site.file(".part");
    std::fs::write(&beside, version("1.1.0")).unwrap();
    std::fs::rename(&beside, site.file("one")).unwrap();
    let plugin = until(&plugins, serves("1.1.0")).await;
    assert_eq!(plugin.previous.as_deref(), Some("1.0.0"));
    // Whoever began with the first set still has it.
    assert_eq!(
        first.plugin("one").unwrap().declaration.version.to_string(),
        "1.0.0"
    );
    assert!(plugins.current().generation() > first.generation());
    assert_eq!(
        read_status(&site.options().state).unwrap(),
        *plugins.status()
    );
}

#[tokio::test]
async fn a_breaking_version_and_a_failing_example_do_not_serve() {
    let site = Site::new("[plugins.one]\n").await;
    site.put("one", &version("1.0.0"));
    let plugins = site.start().await;
    let mut breaking = declaration("one", "1.1.0");
    breaking["actions"][0]["name"] = "another".into();
    site.put("one", &Guest::of(breaking).file());
    until(&plugins, |plugin| {
        reason(plugin)
            == "version 1.1.0 breaks what 1.0.0 promised: the action `one_act` is gone. Such a change needs version 2.0.0 or higher"
    })
    .await;
    let mut failing = declaration("one", "1.2.0");
    failing["actions"][0]["examples"] =
        serde_json::json!([{"name": "not so", "args": {}, "expect": {"message": "other"}}]);
    site.put("one", &Guest::of(failing).file());
    let plugin = until(&plugins, |plugin| {
        reason(plugin).starts_with("the example `not so` of action `one_act` failed")
    })
    .await;
    assert_eq!(plugin.version.as_deref(), Some("1.0.0"));
}

#[tokio::test]
async fn the_last_good_version_survives_a_restart_and_rollback_returns_to_it() {
    let site = Site::new("[plugins.one]\n").await;
    site.put("one", &version("1.0.0"));
    let plugins = site.start().await;
    assert_eq!(
        rollback(&site.options().state, "one").unwrap_err(),
        "the plugin `one` has no version before 1.0.0"
    );
    assert_eq!(
        rollback(&site.options().state, "two").unwrap_err(),
        "no plugin `two` has served here"
    );
    site.put("one", &version("1.1.0"));
    until(&plugins, serves("1.1.0")).await;
    assert_eq!(rollback(&site.options().state, "one"), Ok("1.0.0".into()));
    let plugin = until(&plugins, serves("1.0.0")).await;
    assert_eq!(plugin.origin, Some(Origin::Rollback));
    drop(plugins);

    // The wish holds until the file changes, across a restart too.
    let plugins = site.start().await;
    assert_eq!(
        until(&plugins, serves("1.0.0")).await.origin,
        Some(Origin::Rollback)
    );
    site.put("one", &version("1.2.0"));
    assert_eq!(
        until(&plugins, serves("1.2.0")).await.origin,
        Some(Origin::Directory)
    );
    drop(plugins);

    site.put("one", b"\0asm cut");
    let plugins = site.start().await;
    let plugin = until(&plugins, |plugin| plugin.rejected.is_some()).await;
    assert_eq!(
        (plugin.version.as_deref(), plugin.origin),
        (Some("1.2.0"), Some(Origin::LastGood))
    );
    assert!(plugins.current().action("Event", "one_act").is_some());
    drop(plugins);

    // A bad file that nothing served for: the others serve.
    let empty = Site::new("[plugins.one]\n[plugins.two]\n").await;
    empty.put("two", &Guest::of(declaration("two", "1.0.0")).file());
    let plugins = empty.start().await;
    let plugin = until(&plugins, |plugin| plugin.state == State::Rejected).await;
    assert!(reason(&plugin).starts_with("the file is gone: "));
    assert!(plugins.current().plugin("two").is_some());
}

#[tokio::test]
async fn the_manifest_is_read_anew() {
    let site = Site::new("[plugins.one]\n").await;
    site.put("one", &version("1.0.0"));
    site.put("stray", &Guest::of(declaration("stray", "1.0.0")).file());
    let plugins = site.start().await;
    until(&plugins, serves("1.0.0")).await;
    assert_eq!(plugins.status().unlisted, ["stray.wasm"]);
    assert!(plugins.current().plugin("stray").is_none());

    site.manifest("[plugins.one]\nlimits = { time_ms = 7 }\n");
    until(&plugins, |plugin| {
        plugin.limits.is_some_and(|limits| limits.time_ms == 7)
    })
    .await;

    site.manifest("[plugins.one]\nenabld = false\n");
    let begin = Instant::now();
    while plugins.status().manifest_error.is_none() {
        assert!(begin.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let told = plugins.status().manifest_error.clone().unwrap().reason;
    assert!(
        told.contains("line 2: `plugins.one.enabld`: unknown field `enabld`"),
        "{told}"
    );
    assert!(plugins.current().plugin("one").is_some());

    site.manifest("unlisted = \"allow\"\n[plugins.one]\nenabled = false\n");
    until(&plugins, |plugin| plugin.state == State::Disabled).await;
    assert!(plugins.current().plugin("one").is_none());
    let begin = Instant::now();
    while plugins.current().plugin("stray").is_none() {
        assert!(
            begin.elapsed() < Duration::from_secs(20),
            "{:#?}",
            plugins.status()
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(plugins.status().manifest_error, None);
}

#[tokio::test]
async fn of_two_that_claim_the_same_the_one_that_serves_stays() {
    let site = Site::new("[plugins.one]\n[plugins.two]\n").await;
    site.put("two", &Guest::of(declaration("two", "1.0.0")).file());
    let plugins = site.start().await;
    let mut claims = declaration("one", "1.0.0");
    claims["actions"][0]["name"] = "two_act".into();
    site.put("one", &Guest::of(claims).file());
    until(&plugins, |plugin| {
        reason(plugin) == "the action `two_act` on `*` is provided by the plugin `two` already"
    })
    .await;
    assert!(plugins.current().plugin("two").is_some());
}

#[tokio::test]
async fn a_broken_manifest_prevents_the_start() {
    let site = Site::new("[plugins.one\n").await;
    let error = Plugins::start(site.services.clone(), site.options())
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("plugin-manifest.toml, line 1: "), "{error}");
}
