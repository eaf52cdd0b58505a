//! Who sees tasks, and who works on them: SVC-18, SVC-19, SVC-22.

use anyhow::Result;
use critd_tests::{Server, User, admin, json};

use crate::world::{
    add_yara, found_as, list_as, patch_event, refused, run_on, server, server_with_yara, started,
};

const ALL: &[&str] = &["--read", "--write", "--tlp", "red,amber,green"];

/// An event of a source and TLP, and a task on it.
async fn task_on(server: &Server, source: &str, tlp: &str) -> Result<(String, String)> {
    let form = [
        ("title", source),
        ("event_type", "Phishing"),
        ("description", "d"),
        ("source", source),
        ("tlp", tlp),
    ];
    let event = server.post("/api/v1/events/", &form).await?.created_id()?;
    let id = started(&run_on(server, &event, "yara", &json!({})).await?)?;
    Ok((event, id))
}

fn reader(server: &Server, name: &str, source: &str, tlp: &str) -> Result<User> {
    let rights: &[&str] = &["--read", "--tlp", tlp];
    server.add_user(
        name,
        &["Event.services_read", "Event.services_execute"],
        &[(source, rights)],
    )
}

/// The lists of several readers, each with what nobody else may see: pages, counts, conditions and orders.
#[tokio::test]
async fn svc_18_tasks_of_hidden_objects_are_in_no_list_count_order_or_condition() -> Result<()> {
    let server = server_with_yara(&[]).await?;
    let mut alpha = Vec::new();
    let mut beta = Vec::new();
    let mut green = Vec::new();
    for _ in 0..3 {
        alpha.push(task_on(&server, "Alpha", "amber").await?.1);
        beta.push(task_on(&server, "Beta", "amber").await?.1);
        green.push(task_on(&server, "Alpha", "green").await?.1);
    }
    let a = reader(&server, "a", "Alpha", "red,amber,green")?;
    let low = reader(&server, "low", "Alpha", "green")?;
    let b = reader(&server, "b", "Beta", "red,amber,green")?;
    let of_a: Vec<String> = alpha
        .iter()
        .zip(&green)
        .flat_map(|(one, other)| [one.clone(), other.clone()])
        .collect();
    for (user, own) in [(&a, &of_a), (&low, &green), (&b, &beta)] {
        for query in [
            "",
            "c-status=created",
            "c-service_name=yara",
            "c-distributed=true",
            "c-start_date__gte=2000-01-01",
            "c-analyst=admin&c-object_type=Event",
            "or=1&c-status=created&c-service_name=none",
            "c-status__ne=completed",
            "regex=1&c-service_name=^y",
        ] {
            assert_eq!(
                &found_as(&server, user, query).await?,
                own,
                "{} {query}",
                user.name
            );
            let total = list_as(&server, user, query).await?["meta"]["total_count"].clone();
            assert_eq!(total, json!(own.len()), "{} {query}", user.name);
        }
        // Page by page, forwards and backwards.
        let mut paged = Vec::new();
        for offset in 0..own.len() {
            paged.extend(found_as(&server, user, &format!("limit=1&offset={offset}")).await?);
        }
        assert_eq!(&paged, own, "{}", user.name);
        let beyond = found_as(&server, user, &format!("limit=5&offset={}", own.len())).await?;
        assert!(beyond.is_empty());
        let mut turned = found_as(&server, user, "order_by=-start_date").await?;
        turned.reverse();
        assert_eq!(&turned, own, "{}", user.name);
        let uncounted = found_as(&server, user, "skip_total=1").await?;
        assert_eq!(&uncounted, own, "{}", user.name);
        let rows = server
            .get_as(
                user,
                "/api/v1/analysis_results/?format=csv&only=analysis_id",
            )
            .await?;
        assert_eq!(rows.text.lines().count(), own.len() + 1, "{}", rows.text);
    }
    // What somebody else's task is about can't be asked for.
    for query in [
        format!("c-analysis_id={}", beta[0]),
        "c-object_id__exists=true".to_owned(),
    ] {
        let found = found_as(&server, &a, &query).await?;
        assert!(!found.contains(&beta[0]), "{query}");
    }
    assert_eq!(found_as(&server, &admin(), "").await?.len(), 9);
    Ok(())
}

#[tokio::test]
async fn svc_18_the_objects_type_must_grant_services_read() -> Result<()> {
    let server = server_with_yara(&[]).await?;
    let (event, id) = task_on(&server, "Alpha", "amber").await?;
    let domain = server
        .post(
            "/api/v1/domains/",
            &[("domain", "a.example.com"), ("source", "Alpha")],
        )
        .await?
        .created_id()?;
    let body = json!({"action": "run_service", "name": "yara"});
    let on_domain = started(
        &server
            .patch(&format!("/api/v1/domains/{domain}/"), &body)
            .await?,
    )?;
    let of_domains = server.add_user(
        "domains",
        &[
            "Domain.services_read",
            "Event.read",
            "Event.services_execute",
        ],
        &[("Alpha", ALL)],
    )?;
    assert_eq!(found_as(&server, &of_domains, "").await?, [on_domain]);
    assert_eq!(
        server
            .get_as(&of_domains, &format!("/api/v1/analysis_results/{id}/"))
            .await?
            .status,
        404
    );
    let nobody = server.add_user(
        "nobody",
        &["Event.read", "Event.services_execute"],
        &[("Alpha", ALL)],
    )?;
    for path in [
        "/api/v1/analysis_results/".to_owned(),
        format!("/api/v1/analysis_results/{id}/"),
        format!("/api/v1/analysis_results/set/{id}/"),
    ] {
        let answer = server.get_as(&nobody, &path).await?;
        assert_eq!(
            (answer.status, &answer.json()["error"]),
            (403, &json!("You do not have access to this object.")),
            "{path} {event}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn svc_18_lists_leave_results_and_log_out_unless_they_are_asked_for() -> Result<()> {
    let server = server().await?;
    let event = server.event("e").await?;
    let answer = run_on(&server, &event, "probe", &json!({"wait": 20})).await?;
    let id = started(&answer)?;
    let has = async |path: String| -> Result<(bool, bool)> {
        let answer = server.get(&path).await?;
        let body = answer.json();
        let task = body["objects"].get(0).cloned().unwrap_or(body);
        Ok((!task["log"].is_null(), !task["results"].is_null()))
    };
    for (query, expected) in [
        ("", (false, false)),
        ("full=1", (true, true)),
        ("full=0", (false, false)),
        ("only=log,status", (true, false)),
        ("exclude=config", (false, false)),
    ] {
        let found = has(format!("/api/v1/analysis_results/?{query}")).await?;
        assert_eq!(found, expected, "{query}");
    }
    assert_eq!(
        has(format!("/api/v1/analysis_results/{id}/")).await?,
        (true, true)
    );
    Ok(())
}

#[tokio::test]
async fn svc_19_a_task_is_found_by_id_and_by_uuid_where_its_object_is_visible() -> Result<()> {
    let server = server_with_yara(&[]).await?;
    let (event, id) = task_on(&server, "Alpha", "amber").await?;
    let by_uuid = server
        .get(&format!("/api/v1/analysis_results/{}/", id.to_uppercase()))
        .await?;
    let body = by_uuid.json();
    assert_eq!(
        (by_uuid.status, &body["analysis_id"], &body["object_id"]),
        (200, &json!(id), &json!(event))
    );
    let hex = body["_id"].as_str().unwrap_or_default().to_owned();
    assert_eq!(
        server
            .get(&format!("/api/v1/analysis_results/{hex}/"))
            .await?
            .json(),
        body
    );
    let stranger = reader(&server, "stranger", "Beta", "red,amber,green")?;
    for name in [
        id.as_str(),
        &hex,
        "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed",
        "0123456789abcdef01234567",
        "x",
    ] {
        let path = format!("/api/v1/analysis_results/{name}/");
        assert_eq!(server.get_as(&stranger, &path).await?.status, 404, "{name}");
        for action in ["claim_task", "cancel_task", "nonsense"] {
            let body = json!({"action": action, "worker": "w"});
            let answer = server.patch_as(&stranger, &path, &body).await?;
            assert_eq!(answer.status, 404, "{name} {action}: {}", answer.text);
        }
    }
    let set = server
        .get_as(&stranger, &format!("/api/v1/analysis_results/set/{hex}/"))
        .await?;
    assert_eq!(set.json()["objects"], json!([]));
    Ok(())
}

/// Who comes to see an object comes to see its tasks.
#[tokio::test]
async fn svc_18_tasks_are_as_visible_as_their_object_is_now() -> Result<()> {
    let server = server_with_yara(&[]).await?;
    let post = async |source: &str| -> Result<String> {
        let form = [("domain", "example.com"), ("source", source)];
        server.post("/api/v1/domains/", &form).await?.created_id()
    };
    let domain = post("Alpha").await?;
    let body = json!({"action": "run_service", "name": "yara"});
    let path = format!("/api/v1/domains/{domain}/");
    let id = started(&server.patch(&path, &body).await?)?;
    let rights: &[&str] = &["--read", "--tlp", "red,amber,green"];
    let reader = server.add_user("reader", &["Domain.services_read"], &[("Beta", rights)])?;
    assert!(found_as(&server, &reader, "").await?.is_empty());
    post("Beta").await?;
    assert_eq!(found_as(&server, &reader, "").await?, [id]);
    Ok(())
}

#[tokio::test]
async fn svc_22_who_may_claim_and_who_may_cancel() -> Result<()> {
    let server = server_with_yara(&[]).await?;
    let (event, id) = task_on(&server, "Alpha", "amber").await?;
    let path = format!("/api/v1/analysis_results/{id}/");
    let claim = json!({"action": "claim_task", "worker": "w"});
    let reader = server.add_user("reader", &["Event.services_read"], &[("Alpha", ALL)])?;
    refused(
        &server.patch_as(&reader, &path, &claim).await?,
        "User does not have permission to run services.",
        "forbidden",
    );
    let form = [("service_name", "yara"), ("worker", "w")];
    let next = "/api/v1/analysis_results/";
    refused(
        &server.post_as(&reader, next, &form).await?,
        "User does not have permission to run services.",
        "forbidden",
    );
    // Who does not see the object is not handed its task.
    let beta = self::reader(&server, "beta", "Beta", "red,amber,green")?;
    assert_eq!(
        server.post_as(&beta, next, &form).await?.json()["message"],
        "No pending task."
    );
    let worker = server.add_user("worker", &["Event.services_execute"], &[("Alpha", ALL)])?;
    let claimed = server.post_as(&worker, next, &form).await?;
    assert_eq!(claimed.json()["analysis_id"], json!(id), "{}", claimed.text);
    let cancel = json!({"action": "cancel_task"});
    refused(
        &server.patch_as(&worker, &path, &cancel).await?,
        "User does not have permission to cancel the task.",
        "forbidden",
    );
    let chief = server.add_user("chief", &["control_panel_services_edit"], &[("Alpha", ALL)])?;
    assert_eq!(
        server.patch_as(&chief, &path, &cancel).await?.json()["return_code"],
        0
    );
    // One's own.
    let body = json!({"action": "run_service", "name": "yara"});
    let own = started(&patch_event(&server, &worker, &event, &body).await?)?;
    let path = format!("/api/v1/analysis_results/{own}/");
    assert_eq!(
        server.patch_as(&worker, &path, &cancel).await?.json()["return_code"],
        0
    );
    Ok(())
}

/// A type without sources is seen by all, and so are the tasks on it (S7).
#[tokio::test]
async fn svc_18_s7_tasks_on_types_without_sources() -> Result<()> {
    let server = server_with_yara(&[]).await?;
    add_yara(&server, &[])?;
    let target = server
        .post("/api/v1/targets/", &[("email_address", "a@example.com")])
        .await?
        .created_id()?;
    let body = json!({"action": "run_service", "name": "yara"});
    let id = started(
        &server
            .patch(&format!("/api/v1/targets/{target}/"), &body)
            .await?,
    )?;
    let reader = server.add_user("reader", &["Target.services_read"], &[])?;
    assert_eq!(found_as(&server, &reader, "").await?, [id]);
    Ok(())
}
