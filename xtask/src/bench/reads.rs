//! Lists and look-ups of all kinds.

use super::load::{Latencies, repeated};
use super::report::{self, Goal, Report};
use super::{Bench, POSTED, copied_value, indicator_value};
use crate::client::Client;
use crate::server::Server;
use crate::workspace::step;
use anyhow::{Result, ensure};

/// Questions without a goal of their own; the stores are compared by them.
const COMPARED: &[(&str, &str)] = &[
    (
        "equality that every document meets, restricted user, p50",
        "c-status=New&limit=20",
    ),
    (
        "equality that every hundredth document meets, p50",
        "c-bucket_list=rare&limit=20",
    ),
    (
        "one of three values, p50",
        "c-bucket_list__in=rare,none,nothing&limit=20",
    ),
    ("all but one value, p50", "c-bucket_list__ne=rare&limit=20"),
    (
        "either of two indexed fields, p50",
        "or=1&c-bucket_list=rare&c-campaign.name=None&limit=20",
    ),
    (
        "indexed and unindexed condition, p50",
        "c-bucket_list=rare&c-description=nothing&limit=20",
    ),
    ("order by value, p50", "order_by=value&limit=20"),
    ("latest first, p50", "order_by=-modified&limit=20"),
    (
        "latest first of every hundredth, p50",
        "c-bucket_list=rare&order_by=-modified&limit=20",
    ),
    (
        "a month by `modified`, p50",
        "c-modified__gte=2023-05-01&c-modified__lt=2023-06-01&limit=20",
    ),
    (
        "since a date by `modified`, latest first, p50",
        "c-modified__gte=2025-01-01&order_by=-modified&limit=20",
    ),
];

/// Measures everything that is read.
pub(super) fn measure(
    bench: &Bench<'_>,
    server: &Server,
    documents: usize,
    report: &mut Report,
) -> Result<()> {
    step("lists and look-ups");
    let (reader, client) = (bench.reader(server), bench.client(server));
    let (seen, all) = (reader.count("indicators")?, client.count("indicators")?);
    ensure!(
        seen > 0 && seen <= all / 2 + 1 && all == documents as u64,
        "the reader sees {seen} of {all} indicators; less than half of {documents} is expected"
    );
    restricted(&reader, report)?;
    exact(&client, documents, report)?;
    patterns(&client, report)?;
    for (name, query) in COMPARED {
        let asking = if name.contains("restricted") {
            &reader
        } else {
            &client
        };
        compared(report, name, asked(asking, query, 50));
    }
    for (name, offset, sort) in [
        ("deep offset, half of the collection, p50", 2, ""),
        (
            "deep offset, half of the collection, latest first, p50",
            2,
            "&order_by=-modified",
        ),
    ] {
        let query = format!("limit=20&offset={}{sort}", documents / offset);
        compared(report, name, asked(&client, &query, 30));
    }
    Ok(())
}

/// A store that gives such a query up has that as its answer.
fn compared(report: &mut Report, name: &str, run: Result<Latencies>) {
    match run {
        Ok(run) => report.time(name, run.percentile(50.0)),
        Err(error) => report.note(name, format!("failed: {error:#}")),
    }
}

fn asked(client: &Client, query: &str, calls: usize) -> Result<Latencies> {
    let path = format!("/indicators/?{query}");
    repeated(calls, |_| client.get_text(&path).map(drop))
}

fn restricted(reader: &Client, report: &mut Report) -> Result<()> {
    let list = asked(reader, "limit=20", 500)?;
    report.below(
        "list of 20 with exact count, restricted user, p50",
        report::milliseconds(list.percentile(50.0)),
        Goal::milliseconds(2.0),
        "377 ms at 10 k",
    );
    report.note("… p99", report::shown_milliseconds(list.percentile(99.0)));
    Ok(())
}

fn exact(client: &Client, documents: usize, report: &mut Report) -> Result<()> {
    let exact = repeated(2_000, |number| {
        // Spread over all; templates have other values.
        let number = number * 7_919 % documents;
        let value = if number < POSTED || documents <= POSTED {
            indicator_value(number)
        } else {
            copied_value(number)
        };
        let page = client.get(&format!("/indicators/?c-value={value}"))?;
        let found = &page["meta"]["total_count"];
        ensure!(
            found == 1 || (found == 0 && number < POSTED + super::TEMPLATES),
            "{value} was found {found} times"
        );
        Ok(())
    })?;
    report.below(
        "exact look-up on an indexed field, p99",
        report::milliseconds(exact.percentile(99.0)),
        Goal::milliseconds(1.0),
        "",
    );
    Ok(())
}

fn patterns(client: &Client, report: &mut Report) -> Result<()> {
    for (name, pattern, goal) in [
        (
            "substring of a value, three characters or more, p50",
            "x-9999",
            50.0,
        ),
        ("substring of three characters, p50", "x-9", 50.0),
        (
            "regex over a value with a literal, p50",
            "%5E%5Ba-c%5D%5B0-9%5D%2Bx-77%5B0-9%5D%2B.bench-5",
            50.0,
        ),
        (
            "regex over a value without a literal, p50",
            "%5E%5Ba-c%5D%5B0-9%5D%7B4%7D",
            300.0,
        ),
    ] {
        let query = format!("c-value={pattern}&regex=1&limit=20");
        let run = asked(client, &query, 50)?;
        report.below(
            name,
            report::milliseconds(run.percentile(50.0)),
            Goal::milliseconds(goal),
            "",
        );
    }
    Ok(())
}
