//! The audit log, and who may read it.

use anyhow::Result;
use critd_tests::{Json, Server, json};

/// Rules ACT-8, ACT-16, ACT-18: one entry for each action that changed something, in the commit of the change.
#[tokio::test]
async fn act_16_each_change_is_in_the_audit_log_once() -> Result<()> {
    let server = Server::start().await?;
    let event = server.event("audited").await?;
    let path = format!("/api/v1/events/{event}/");
    let of_event = format!("/api/v1/audit/?c-target_id={event}");
    let patch = json!({"action": "ticket_add", "ticket": {"ticket_number": "7"}});
    server.patch(&path, &patch).await?;
    let list = server.get(&of_event).await?.json();
    let seen: Vec<_> = list["objects"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|entry| {
            json!([
                entry["user"],
                entry["type"],
                entry["target_id"],
                entry["value"],
                entry["method"]
            ])
        })
        .collect();
    assert_eq!(
        seen,
        [
            json!(["admin", "Event", event, "new document", "save()"]),
            json!(["admin", "Event", event, "tickets", "save()"])
        ]
    );
    assert_eq!(
        list["objects"][1]["date"],
        server.get(&path).await?.json()["modified"]
    );

    // What changes nothing, is refused or only tried is not in it.
    server.patch(&path, &patch).await?;
    server
        .patch(&path, &json!({"action": "status_update", "value": "Bad"}))
        .await?;
    server
        .patch(
            &format!("{path}?dry_run=1"),
            &json!({"action": "status_update", "value": "Analyzed"}),
        )
        .await?;
    assert_eq!(
        server.get(&of_event).await?.json()["meta"]["total_count"],
        2
    );

    // It is a list like any other.
    let latest = server
        .get("/api/v1/audit/?order_by=-id&limit=1&only=value,type")
        .await?
        .json();
    assert_eq!(
        (
            &latest["objects"][0]["value"],
            &latest["objects"][0]["user"]
        ),
        (&json!("tickets"), &Json::Null)
    );
    let id = list["objects"][0]["_id"].as_str().unwrap_or_default();
    assert_eq!(
        server.get(&format!("/api/v1/audit/{id}/")).await?.json(),
        list["objects"][0]
    );
    let rows = server
        .get(&format!("{of_event}&format=csv&only=user,value"))
        .await?;
    assert!(rows.text.contains("admin,tickets"), "{}", rows.text);
    assert_eq!(
        server.get("/api/v1/audit/schema/").await?.json()["allowed_detail_http_methods"],
        json!(["get"])
    );
    for (answer, status) in [
        (server.post("/api/v1/audit/", &[("user", "x")]).await?, 405),
        (
            server
                .patch(&format!("/api/v1/audit/{id}/"), &patch)
                .await?,
            405,
        ),
        (server.get(&format!("{of_event}&file=1")).await?, 200),
    ] {
        assert_eq!(answer.status, status, "{}", answer.text);
    }
    Ok(())
}

/// Only with the permission; it names no type.
#[tokio::test]
async fn the_audit_log_is_for_those_with_the_permission() -> Result<()> {
    let server = Server::start().await?;
    let event = server.event("audited").await?;
    let reader = server.add_user("reader", &["Event.read", "Event.write"], &[])?;
    for path in [
        "/api/v1/audit/",
        "/api/v1/audit/?c-user=admin",
        "/api/v1/audit/?limit=x",
        "/api/v1/audit/000000000000000000000000/",
    ] {
        assert_eq!(server.get_as(&reader, path).await?.status, 403, "{path}");
    }
    let auditor = server.add_user("auditor", &["control_panel_audit_log_read"], &[])?;
    let list = server
        .get_as(&auditor, &format!("/api/v1/audit/?c-target_id={event}"))
        .await?;
    assert_eq!(list.json()["meta"]["total_count"], 1, "{}", list.text);
    assert_eq!(
        server.get_as(&auditor, "/api/v1/events/").await?.status,
        403
    );
    Ok(())
}
