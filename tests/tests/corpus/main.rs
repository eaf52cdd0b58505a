//! What the original answered, request by request, and what this server answers: each difference is one that a rule of the
//! specification asks for, and the table of these has nothing that is no difference any more.

mod difference;
mod exchange;
mod explained;
mod reading;

use std::fmt::Write as _;

use anyhow::{Result, ensure};
use critd_tests::Server;

use exchange::{Exchange, Ids};
use explained::Table;

/// The state on which the recording began.
async fn base() -> Result<Server> {
    let mut server = Server::prepare()?;
    server.cli(&["source", "add", "Gamma", "SrcA", "SrcB", "SrcZ"])?;
    for (kind, name) in [
        ("identifier-type", "Email Handle"),
        ("identifier-type", "Alias"),
        ("raw-data-type", "Text"),
        ("raw-data-type", "JSON"),
        ("signature-type", "Bro"),
        ("signature-type", "Snort"),
        ("signature-type", "Yara"),
    ] {
        server.cli(&["register", "add", kind, name])?;
    }
    let allow = |role: &str, source: &str, rights: &[&str]| {
        let mut command = vec!["role", "source", role, source];
        command.extend(rights);
        server.cli(&command)
    };
    allow("Read Only", "Alpha", &["--read", "--tlp", "amber,green"])?;
    server.cli(&["role", "add", "TlpRole"])?;
    server.cli(&["role", "grant", "TlpRole", "api_interface", "Event.read"])?;
    allow("TlpRole", "SrcA", &["--read", "--tlp", "red"])?;
    allow("TlpRole", "SrcB", &["--write", "--tlp", "red,amber,green"])?;
    for (name, role, digit) in [
        ("reader", Some("Read Only"), "b"),
        ("norole", None, "c"),
        ("tlpuser", Some("TlpRole"), "d"),
    ] {
        let mut command = vec!["user", "add", name];
        command.extend(role.iter().flat_map(|role| ["--role", role]));
        server.cli(&command)?;
        server.cli(&["key", "add", name, "--value", &digit.repeat(40)])?;
    }
    server.cli(&[
        "key",
        "add",
        "admin",
        "--name",
        "recorded",
        "--value",
        &"a".repeat(40),
    ])?;
    server.cli(&["set", "company_name=Alpha"])?;
    server.run().await?;
    Ok(server)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_difference_from_the_original_is_one_that_a_rule_asks_for() -> Result<()> {
    let table = Table::read(include_str!("explained.toml"))?;
    let server = base().await?;
    let mut ids = Ids::default();
    let mut unexplained = String::new();
    let mut count = 0;
    let seed = Exchange::all(include_str!("seed_requests.jsonl"))?;
    let recorded = Exchange::all(include_str!("recorded.jsonl"))?;
    for exchange in seed.iter().chain(&recorded) {
        let answer = exchange.replay(&server, &ids).await?;
        ids.capture(exchange, &answer);
        for difference in difference::differences(exchange, &answer, &ids) {
            if !table.explains(exchange, &difference) {
                count += 1;
                writeln!(
                    unexplained,
                    "{} {} {}\n    {}: {} → {}",
                    exchange.n,
                    exchange.method,
                    exchange.path,
                    difference.at,
                    difference.recorded,
                    difference.answered
                )?;
            }
        }
    }
    let mut unused = String::new();
    for entry in table.unused() {
        writeln!(unused, "{}: {}", entry.rule, entry.why)?;
    }
    ensure!(
        unexplained.is_empty() && unused.is_empty(),
        "{count} differences are not explained:\n{unexplained}\nentries that explain nothing:\n{unused}"
    );
    Ok(())
}
