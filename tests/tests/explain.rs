//! `critd explain` beside a server that runs, with its types.

use anyhow::{Result, ensure};
use critd_tests::{Json, Server, admin, is_embedded, json};

#[tokio::test]
async fn a_list_of_a_running_server_is_explained_as_it_is_answered() -> Result<()> {
    let server = Server::start().await?;
    for number in 0..5 {
        let value = format!("host-{number}.example.com");
        let form = [
            ("type", "Domain"),
            ("value", value.as_str()),
            ("source", "Alpha"),
            ("tlp", "white"),
        ];
        server
            .post("/api/v1/indicators/", &form)
            .await?
            .created_id()?;
    }
    let query = "/api/v1/indicators/?c-value=host-3.example.com&limit=2";
    let answer = server.get_as(&admin(), query).await?.json();
    ensure!(answer["meta"]["total_count"] == 1, "{answer}");
    let url = format!(
        "{}{query}&username=admin&api_key={}",
        server.url(),
        admin().key
    );
    let printed = server.cli(&["explain", &url])?;
    ensure!(!printed.contains(&admin().key), "{printed}");
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(
        lines.first().copied(),
        Some("request   GET /api/v1/indicators/?c-value=host-3.example.com&limit=2")
    );
    ensure!(
        printed.contains("found     1 document, 1 of them on this page\n"),
        "{printed}"
    );
    let printed = server.cli(&["--json", "explain", query, "--user", "admin"])?;
    let explained: Json = serde_json::from_str(&printed)?;
    assert_eq!(explained["collection"], "indicators");
    if is_embedded() {
        assert_eq!(explained["way"], "index `value`: equal to one value");
        assert_eq!(
            (
                &explained["documents"],
                &explained["index_rows"],
                &explained["documents_examined"]
            ),
            (&json!(5), &json!(1), &json!(0))
        );
    }
    let refused = server.cli_output(&["explain", query, "--user", "nobody"])?;
    assert_eq!(
        (
            refused.status.code(),
            String::from_utf8_lossy(&refused.stderr).as_ref()
        ),
        (
            Some(1),
            "error: there is no active user `nobody` who may use the API\nhint: `critd user list` shows the users\n"
        )
    );
    Ok(())
}
