//! `explain`: how a list is found.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::output::{Terminal, grouped, plural, yes};
use super::place::Place;
use super::{Failure, plugin};
use crate::api::explain::{Asked, Explanation, Unexplained, explain};
use crate::plugins::{self, Registry};
use crate::store::Store;
use crate::store::explain::{CountFrom, Explained, Rows};

const EXAMPLE: &str = "such as '/api/v1/indicators/?c-value=example.com&limit=20'";

/// `explain URL [--user NAME]`
pub(super) async fn run(
    place: &Place,
    store: &Arc<dyn Store>,
    url: &str,
    user: Option<&str>,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    let registry = plugins::declared(&plugin::state_folder(place.state()?))
        .map_err(|reason| Failure::with_hint(reason, "`critd serve` loads the plugins"))?;
    with_types(store, registry, url, user, terminal).await
}

/// The same with the types of a registry.
pub(super) async fn with_types(
    store: &Arc<dyn Store>,
    registry: Registry,
    url: &str,
    user: Option<&str>,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    let asked = Asked::parse(url).map_err(failure)?;
    let Some(user) = user.or(asked.user.as_deref()) else {
        return Err(Failure::Usage(
            "who asks? Give `--user NAME`, or `username=NAME` in the URL".to_owned(),
        ));
    };
    let explanation = explain(Arc::clone(store), Arc::new(registry), user, &asked)
        .await
        .map_err(failure)?;
    if terminal.json {
        return terminal.json(&as_json(&asked, user, &explanation));
    }
    print(&asked, user, &explanation, terminal)
}

fn failure(error: Unexplained) -> Failure {
    let message = error.to_string();
    match error {
        Unexplained::NoList => {
            Failure::with_hint(message, format!("lists are explained, {EXAMPLE}"))
        }
        Unexplained::NoUser(_) => Failure::with_hint(message, "`critd user list` shows the users"),
        Unexplained::Answered { .. } | Unexplained::Store(_) => Failure::refused(message),
    }
}

fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

fn as_json(asked: &Asked, user: &str, explanation: &Explanation) -> serde_json::Value {
    let of = &explanation.explained;
    let considered = of.considered.iter().map(|way| {
        let (rows, exact) = match way.rows {
            Rows::Exactly(rows) => (Some(rows), true),
            Rows::AtLeast(rows) => (Some(rows), false),
            Rows::Unknown => (None, false),
        };
        json!({"way": way.way, "rows": rows, "rows_exact": exact, "taken": way.chosen})
    });
    let steps = of
        .steps
        .iter()
        .map(|step| json!({"kind": step.kind.name(), "what": step.what, "left": step.found}));
    json!({
        "request": asked.shown(),
        "user": user,
        "store": of.engine,
        "collection": explanation.query.collection,
        "documents": of.all,
        "visible": of.visible,
        "way": of.way,
        "steps": steps.collect::<Vec<_>>(),
        "considered": considered.collect::<Vec<_>>(),
        "order": of.order,
        "index_rows": of.index_rows,
        "documents_examined": of.documents,
        "found": of.total,
        "returned": of.returned,
        "count_from_classes": of.count == CountFrom::Classes,
        "milliseconds": {
            "plan": milliseconds(of.planning),
            "count": milliseconds(of.counting),
            "page": milliseconds(of.paging),
        },
    })
}

fn print(
    asked: &Asked,
    user: &str,
    explanation: &Explanation,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    let of = &explanation.explained;
    let visible = match (of.visible, of.all) {
        (Some(visible), Some(all)) => {
            format!(
                ", {} of {} visible",
                grouped(visible),
                plural(all, "document")
            )
        }
        _ => String::new(),
    };
    let lines = [
        ("request", format!("GET {}", asked.shown())),
        ("user", user.to_owned()),
        (
            "store",
            format!(
                "{}, collection `{}`{visible}",
                of.engine, explanation.query.collection
            ),
        ),
        ("way", of.way.clone()),
        ("order", or_dash(&of.order)),
        (
            "examined",
            format!(
                "{}, {}",
                plural(of.index_rows, "index row"),
                plural(of.documents, "document")
            ),
        ),
        (
            "found",
            format!(
                "{}, {} of them on this page",
                plural(of.total, "document"),
                grouped(of.returned)
            ),
        ),
        ("count", count(of).to_owned()),
        (
            "time",
            format!(
                "plan {:.3} ms, find and count {:.3} ms, page {:.3} ms",
                milliseconds(of.planning),
                milliseconds(of.counting),
                milliseconds(of.paging)
            ),
        ),
    ];
    for (name, text) in lines {
        terminal.line(&format!("{name:<9} {text}"))?;
    }
    if !of.steps.is_empty() {
        terminal.line("")?;
        let rows: Vec<[String; 2]> = of
            .steps
            .iter()
            .map(|step| [step.what.clone(), grouped(step.found)])
            .collect();
        terminal.table(["STEP", "DOCUMENTS LEFT"], &rows)?;
    }
    if !of.considered.is_empty() {
        terminal.line("")?;
        let rows: Vec<[String; 3]> = of
            .considered
            .iter()
            .map(|way| [way.way.clone(), rows(way.rows), yes(way.chosen)])
            .collect();
        terminal.table(["CONSIDERED", "ROWS", "TAKEN"], &rows)?;
    }
    Ok(())
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "-" } else { text }.to_owned()
}

fn count(of: &Explained) -> &'static str {
    match of.count {
        CountFrom::Classes => "from class sums, nothing was looked at for it",
        CountFrom::Found => "all that was found",
    }
}

fn rows(rows: Rows) -> String {
    match rows {
        Rows::Exactly(rows) => grouped(rows),
        Rows::AtLeast(rows) => format!("{} or more", grouped(rows)),
        Rows::Unknown => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests;
