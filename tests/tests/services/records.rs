//! Records of services: SVC-1 to SVC-4, SVC-16, SVC-17, and what operators do with them.

use anyhow::Result;
use critd_tests::{Json, Server, User, json};

use crate::world::{add_yara, ended, prepared, results, run_on, server, started};

fn shown(server: &Server, name: &str) -> Result<Json> {
    let text = server.cli(&["--json", "service", "show", name])?;
    Ok(serde_json::from_str(&text)?)
}

fn refused(server: &Server, arguments: &[&str]) -> Result<String> {
    let output = server.cli_output(arguments)?;
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}

async fn services(server: &Server, user: &User, query: &str) -> Result<Vec<Json>> {
    let answer = server
        .get_as(user, &format!("/api/v1/services/?{query}"))
        .await?;
    assert_eq!(answer.status, 200, "{}", answer.text);
    Ok(answer.json()["objects"]
        .as_array()
        .cloned()
        .unwrap_or_default())
}

#[tokio::test]
async fn svc_1_records_come_with_the_plugin_are_off_and_go_off_with_it() -> Result<()> {
    let mut server = prepared()?;
    server.run().await?;
    let record = shown(&server, "probe")?;
    assert_eq!(
        (
            &record["kind"],
            &record["status"],
            &record["enabled"],
            &record["run_on_triage"]
        ),
        (
            &json!("internal"),
            &json!("available"),
            &json!(false),
            &json!(false)
        )
    );
    server.cli(&["service", "enable", "probe"])?;
    server.cli(&["service", "triage", "probe", "on"])?;
    server.stop().await?;
    let manifest = server.folder().join("plugin-manifest.toml");
    let text = std::fs::read_to_string(&manifest)?;
    std::fs::write(
        &manifest,
        text.replace("[plugins.analyst]", "[plugins.analyst]\nenabled = false"),
    )?;
    server.run().await?;
    let record = shown(&server, "probe")?;
    assert_eq!(
        (
            &record["status"],
            &record["enabled"],
            &record["run_on_triage"]
        ),
        (&json!("unavailable"), &json!(false), &json!(false))
    );
    assert!(refused(&server, &["service", "enable", "probe"])?.contains("no plugin provides it"));
    server.stop().await?;
    std::fs::write(&manifest, text)?;
    server.run().await?;
    let record = shown(&server, "probe")?;
    assert_eq!(
        (&record["status"], &record["enabled"]),
        (&json!("available"), &json!(false))
    );
    Ok(())
}

#[tokio::test]
async fn svc_2_all_and_an_absent_list_mean_all_types() -> Result<()> {
    let server = server().await?;
    add_yara(&server, &[])?;
    server.cli(&[
        "service", "add", "none", "--type", "-Event", "--type", "all",
    ])?;
    server.cli(&["service", "enable", "none"])?;
    let event = server.event("e").await?;
    started(&run_on(&server, &event, "yara", &json!({})).await?)?;
    crate::world::refused(
        &run_on(&server, &event, "none", &json!({})).await?,
        "Service not supported for type 'Event'",
        "unsupported_for_type",
    );
    Ok(())
}

#[tokio::test]
async fn svc_3_required_fields_are_asked_for_before_there_is_a_task() -> Result<()> {
    let server = server().await?;
    let form = [
        ("md5", "0123456789abcdef0123456789abcdef"),
        ("source", "Alpha"),
        ("upload_type", "metadata"),
        ("filename", "a"),
    ];
    let sample = server.post("/api/v1/samples/", &form).await?.created_id()?;
    let path = format!("/api/v1/samples/{sample}/");
    let body = json!({"action": "run_service", "name": "reads_file"});
    crate::world::refused(
        &server.patch(&path, &body).await?,
        "Service reads_file requires field 'filedata'.",
        "invalid_value",
    );
    assert_eq!(server.count("analysis_results").await?, 0);
    Ok(())
}

#[tokio::test]
async fn svc_4_a_run_overlays_what_is_stored_and_secrets_stay_with_the_server() -> Result<()> {
    const KEY: &str = "f00dfeedf00dfeed";
    let server = server().await?;
    let event = server.event("e").await?;
    let run = async |config: Json| -> Result<Json> {
        let options = json!({"custom_config": config, "wait": 20});
        let answer = run_on(&server, &event, "probe", &options).await?;
        ended(&server, &started(&answer)?).await
    };
    let task = run(json!({"task": "options"})).await?;
    assert_eq!(results(&task), [("options".into(), "none".into())]);
    assert_eq!(task["results"][0]["count"], 3);
    server.cli(&[
        "service",
        "configure",
        "probe",
        "count=7",
        &format!("api_key={KEY}"),
    ])?;
    let task = run(json!({"task": "options"})).await?;
    assert_eq!(results(&task), [("options".into(), KEY.into())]);
    assert_eq!(task["results"][0]["count"], 7);
    let task = run(json!({"task": "options", "count": "9"})).await?;
    assert_eq!(task["results"][0]["count"], 9);
    assert_eq!(
        task["config"],
        json!({"task": "options", "count": 9, "name": "found.example.com"})
    );
    assert!(!task["config"].to_string().contains(KEY));
    // Nobody is shown the secret.
    let record = shown(&server, "probe")?;
    assert_eq!(record["config"], json!({"count": 7, "api_key": "********"}));
    assert!(!server.cli(&["service", "show", "probe"])?.contains(KEY));
    let all = server.get("/api/v1/services/").await?;
    assert!(
        !all.text.contains(KEY) && all.text.contains("********"),
        "{}",
        all.text
    );
    for (config, message) in [
        (
            json!({"api_key": "mine"}),
            "Service probe has no run-time option 'api_key'.",
        ),
        (
            json!({"colour": "red"}),
            "Service probe has no run-time option 'colour'.",
        ),
        (
            json!({"count": "many"}),
            "Argument 'count' must be an integer.",
        ),
    ] {
        let answer = run_on(&server, &event, "probe", &json!({"custom_config": config})).await?;
        crate::world::refused(&answer, message, "invalid_value");
    }
    for (value, sentence) in [
        (
            "colour=red",
            "the service `probe` has no option `colour`; it has count, api_key",
        ),
        (
            "task=find",
            "the service `probe` has no option `task`; it has count, api_key",
        ),
        ("count=many", "Argument 'count' must be an integer."),
    ] {
        let said = refused(&server, &["service", "configure", "probe", value])?;
        assert!(said.contains(sentence), "{said}");
    }
    Ok(())
}

#[tokio::test]
async fn svc_16_svc_17_services_are_listed_for_those_who_may_run_or_read() -> Result<()> {
    let server = server().await?;
    add_yara(
        &server,
        &[
            "--summary",
            "Rules",
            "--type",
            "Sample",
            "--requires",
            "filedata",
        ],
    )?;
    server.cli(&["service", "configure", "probe", "count=7"])?;
    let nobody = server.add_user("nobody", &["Event.read"], &[])?;
    let runner = server.add_user("runner", &["Event.services_execute"], &[])?;
    for path in ["/api/v1/services/", "/api/v1/services/yara/"] {
        assert_eq!(server.get_as(&nobody, path).await?.status, 403, "{path}");
        assert_eq!(server.get_as(&runner, path).await?.status, 200, "{path}");
    }
    let names = |all: &[Json]| -> Vec<String> {
        all.iter()
            .map(|one| one["name"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    let found = services(&server, &runner, "order_by=-name&limit=2").await?;
    assert_eq!(names(&found), ["yara", "reads_file"]);
    let found = services(&server, &runner, "c-kind=external").await?;
    assert_eq!(names(&found), ["yara"]);
    let yara = &found[0];
    let id = yara["_id"].as_str().unwrap_or_default();
    assert_eq!(
        yara,
        &json!({
            "_id": id, "name": "yara", "version": "1.2", "description": "Rules", "kind": "external",
            "supported_types": ["Sample"], "required_fields": ["filedata"], "enabled": true, "run_on_triage": false,
            "status": "available", "runtime_options": [], "resource_uri": format!("/api/v1/services/{id}/"),
        })
    );
    for name in [id, "yara"] {
        let one = server
            .get_as(&runner, &format!("/api/v1/services/{name}/"))
            .await?;
        assert_eq!(&one.json(), yara, "{name}");
    }
    assert_eq!(server.get("/api/v1/services/nothing/").await?.status, 404);
    // Options are an administrator's; what is not shown can't be found.
    assert!(
        services(&server, &runner, "c-config.count=7")
            .await?
            .is_empty()
    );
    let probe = services(&server, &critd_tests::admin(), "c-config.count=7").await?;
    assert_eq!(
        (names(&probe), &probe[0]["config"]),
        (vec!["probe".into()], &json!({"count": 7}))
    );
    let options: Vec<&Json> = probe[0]["runtime_options"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|option| &option["name"])
        .collect();
    assert_eq!(options, ["task", "count", "name"]);
    let only = services(&server, &runner, "only=name&c-name=yara").await?;
    assert_eq!(only, [json!({"_id": id, "name": "yara"})]);
    Ok(())
}

#[tokio::test]
async fn external_services_are_an_operators() -> Result<()> {
    let server = server().await?;
    let options = server.folder().join("options.json");
    std::fs::write(
        &options,
        r#"[{"name": "depth", "type": "int", "required": true, "scope": "stored"}, {"name": "token", "type": "string", "secret": true, "scope": "stored"}]"#,
    )?;
    let path = options.display().to_string();
    server.cli(&[
        "service",
        "add",
        "deep",
        "--version",
        "0.9b1",
        "--options",
        &path,
        "--max-attempts",
        "5",
    ])?;
    assert_eq!(shown(&server, "deep")?["status"], "misconfigured");
    assert!(
        refused(&server, &["service", "enable", "deep"])?
            .contains("Missing required option 'depth'.")
    );
    server.cli(&["service", "configure", "deep", "depth=3"])?;
    assert_eq!(shown(&server, "deep")?["status"], "available");
    server.cli(&["service", "enable", "deep"])?;
    // What it needs is taken away: it is off.
    server.cli(&["service", "configure", "deep", "--unset", "depth"])?;
    let record = shown(&server, "deep")?;
    assert_eq!(
        (&record["status"], &record["enabled"]),
        (&json!("misconfigured"), &json!(false))
    );
    for (arguments, sentence) in [
        (
            &["service", "add", "probe"][..],
            "`probe` is no external service",
        ),
        (
            &["service", "remove", "probe"],
            "`probe` is no external service",
        ),
        (
            &["service", "remove", "nothing"],
            "there is no service `nothing`",
        ),
        (
            &["service", "add", "x", "--version", "one"],
            "`one` is no version of a service",
        ),
        (&["service", "add", "a b"], "the name is no word"),
    ] {
        let said = refused(&server, arguments)?;
        assert!(said.contains(sentence), "{arguments:?}: {said}");
    }
    server.cli(&["service", "remove", "deep"])?;
    assert!(!server.cli(&["service", "list"])?.contains("deep"));
    Ok(())
}
