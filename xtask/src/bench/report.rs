//! The table of `docs/PERFORMANCE.md`.

use crate::workspace::output;
use anyhow::Result;
use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::time::Duration;
use time::OffsetDateTime;

/// A number to reach, with its unit.
pub(super) struct Goal {
    number: f64,
    unit: &'static str,
}

impl Goal {
    pub(super) fn rate(number: f64) -> Self {
        Self { number, unit: "/s" }
    }
    pub(super) fn seconds(number: f64) -> Self {
        Self { number, unit: " s" }
    }
    pub(super) fn milliseconds(number: f64) -> Self {
        Self {
            number,
            unit: " ms",
        }
    }
    pub(super) fn microseconds(number: f64) -> Self {
        Self {
            number,
            unit: " µs",
        }
    }
    pub(super) fn megabytes(number: f64) -> Self {
        Self {
            number,
            unit: " MB",
        }
    }
    fn shown(&self, number: f64) -> String {
        format!("{}{}", rounded(number), self.unit)
    }
}

/// Rows as they are measured.
pub(super) struct Report {
    facts: Vec<(&'static str, String)>,
    rows: Vec<Row>,
    /// What is measured now goes into the column of MongoDB.
    is_on_mongodb: bool,
}

#[derive(Default)]
struct Row {
    name: String,
    measured: String,
    goal: String,
    ratio: String,
    on_mongodb: String,
    faster: String,
    original: String,
    /// What was measured, and whether less of it is better.
    number: Option<(f64, Better)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Better {
    Less,
    More,
}

impl Report {
    pub(super) fn new(documents: usize) -> Result<Self> {
        let now = OffsetDateTime::now_utc();
        let facts = vec![
            ("date", now.date().to_string()),
            ("commit", commit()),
            ("machine", machine()),
            (
                "compiler",
                output(Command::new("rustc").arg("--version"))?
                    .trim()
                    .to_owned(),
            ),
            (
                "scale",
                format!(
                    "{documents} indicators, half of them of a source that the reader does not have"
                ),
            ),
        ];
        Ok(Self {
            facts,
            rows: Vec::new(),
            is_on_mongodb: false,
        })
    }

    /// What is measured from now on is measured on MongoDB.
    pub(super) fn turn_to_mongodb(&mut self) {
        self.is_on_mongodb = true;
    }

    fn add(&mut self, row: Row) {
        if !self.is_on_mongodb {
            self.rows.push(row);
            return;
        }
        match self.rows.iter_mut().find(|known| known.name == row.name) {
            // Rows of one name, such as latencies, come in the same order each time.
            Some(_) => {
                let free = self
                    .rows
                    .iter_mut()
                    .find(|known| known.name == row.name && known.on_mongodb.is_empty());
                if let Some(known) = free {
                    known.faster = faster(known.number, row.number);
                    known.on_mongodb = row.measured;
                }
            }
            None => self.rows.push(Row {
                on_mongodb: row.measured,
                measured: String::new(),
                ..row
            }),
        }
    }

    /// A number that should not exceed its goal.
    pub(super) fn below(&mut self, name: &str, number: f64, goal: Goal, original: &str) {
        self.row(name, number, goal, '≤', original);
    }

    /// A number that should reach its goal.
    pub(super) fn above(&mut self, name: &str, number: f64, goal: Goal, original: &str) {
        self.row(name, number, goal, '≥', original);
    }

    /// A number that could not be told, and why.
    pub(super) fn untold(&mut self, name: &str, why: &str, goal: Goal) {
        eprintln!("{name}: {why}");
        self.add(Row {
            name: name.to_owned(),
            measured: why.to_owned(),
            goal: format!("≤ {}", goal.shown(goal.number)),
            ..Row::default()
        });
    }

    /// A time without a goal, to be compared between the stores.
    pub(super) fn time(&mut self, name: &str, time: Duration) {
        let measured = shown_milliseconds(time);
        eprintln!("{name}: {measured}");
        self.add(Row {
            name: name.to_owned(),
            measured,
            number: Some((milliseconds(time), Better::Less)),
            ..Row::default()
        });
    }

    fn row(&mut self, name: &str, number: f64, goal: Goal, sign: char, original: &str) {
        let met = if sign == '≤' {
            number <= goal.number
        } else {
            number >= goal.number
        };
        let ratio = format!(
            "{:.2} ×, {}",
            number / goal.number,
            if met { "met" } else { "missed" }
        );
        let row = Row {
            name: name.to_owned(),
            measured: goal.shown(number),
            goal: format!("{sign} {}", goal.shown(goal.number)),
            ratio,
            original: original.to_owned(),
            number: Some((
                number,
                if sign == '≤' {
                    Better::Less
                } else {
                    Better::More
                },
            )),
            ..Row::default()
        };
        eprintln!(
            "{}: {} (goal {}; {})",
            row.name, row.measured, row.goal, row.ratio
        );
        self.add(row);
    }

    /// A row without a goal.
    pub(super) fn note(&mut self, name: &str, text: String) {
        eprintln!("{name}: {text}");
        self.add(Row {
            name: name.to_owned(),
            measured: text,
            ..Row::default()
        });
    }

    /// The table alone.
    pub(super) fn table(&self) -> String {
        let mut text = String::from(
            "| what | measured | goal | ratio | on MongoDB | faster than there | the original |\n| --- | --- | --- | --- | --- | --- | --- |\n",
        );
        for row in &self.rows {
            // Writing to a String does not fail.
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} |",
                row.name,
                row.measured,
                row.goal,
                row.ratio,
                row.on_mongodb,
                row.faster,
                row.original
            );
        }
        text
    }

    /// The whole file.
    pub(super) fn text(&self) -> String {
        let mut text = String::from(HEAD);
        for (name, fact) in &self.facts {
            // Writing to a String does not fail.
            let _ = writeln!(text, "| {name} | {fact} |");
        }
        text.push('\n');
        text.push_str(&self.table());
        text.push_str(TAIL);
        text
    }
}

const HEAD: &str = "# Performance

Written by `cargo xtask bench`; run it again rather than edit this file. Server, store and load generator share one machine, so every
number holds the cost of its client too. A ratio is the number measured over the goal.

| run | |
| --- | --- |
";

const TAIL: &str = "
Goals are for 1 M documents and 20 plugins where they name none. The original's numbers are those measured for the design, on the
same kind of machine. Writes are durable: the server answers after the commit has reached the disk, many requests sharing one commit.
On MongoDB: the same server and load on a replica set of one `mongod` 6.0 on the same machine, majority and journal; it shares the
processors too.
";

/// By how much the embedded store is faster.
fn faster(embedded: Option<(f64, Better)>, on_mongodb: Option<(f64, Better)>) -> String {
    let (Some((embedded, better)), Some((on_mongodb, _))) = (embedded, on_mongodb) else {
        return String::new();
    };
    let ratio = match better {
        Better::Less => on_mongodb / embedded,
        Better::More => embedded / on_mongodb,
    };
    if ratio.is_finite() {
        format!("{} ×", rounded(ratio))
    } else {
        String::new()
    }
}

fn rounded(number: f64) -> String {
    if number >= 100.0 {
        format!("{number:.0}")
    } else if number >= 10.0 {
        format!("{number:.1}")
    } else {
        format!("{number:.2}")
    }
}

pub(super) fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

pub(super) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

pub(super) fn microseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

pub(super) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

pub(super) fn shown_milliseconds(duration: Duration) -> String {
    format!("{} ms", rounded(milliseconds(duration)))
}

pub(super) fn shown_seconds(duration: Duration) -> String {
    format!("{} s", rounded(seconds(duration)))
}

fn commit() -> String {
    let head = output(Command::new("git").args(["rev-parse", "--short", "HEAD"]));
    head.map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

/// Processor, cores and memory.
fn machine() -> String {
    let field = |path: &str, name: &str| -> Option<String> {
        let text = fs::read_to_string(path).ok()?;
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let processor =
        field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".to_owned());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = field("/proc/meminfo", "MemTotal").unwrap_or_else(|| "unknown".to_owned());
    format!("{processor}, {cores} cores, memory {memory}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_whether_its_goal_is_met() {
        let mut report = Report {
            facts: vec![("date", "today".into())],
            rows: Vec::new(),
            is_on_mongodb: false,
        };
        report.above("writes", 1_500.0, Goal::rate(3_000.0), "70/s");
        report.below("list", 1.234, Goal::milliseconds(2.0), "");
        report.note("… p99", "3 ms".into());
        report.below("no-op", 40.0, Goal::microseconds(50.0), "");
        report.turn_to_mongodb();
        report.above("writes", 300.0, Goal::rate(3_000.0), "70/s");
        report.below("list", 2.468, Goal::milliseconds(2.0), "");
        report.note("… p99", "9 ms".into());
        report.untold("no-op", "less than can be told", Goal::microseconds(50.0));
        report.note("elections", "1".into());
        let expected = "| what | measured | goal | ratio | on MongoDB | faster than there | the original |\n\
                        | --- | --- | --- | --- | --- | --- | --- |\n\
                        | writes | 1500/s | ≥ 3000/s | 0.50 ×, missed | 300/s | 5.00 × | 70/s |\n\
                        | list | 1.23 ms | ≤ 2.00 ms | 0.62 ×, met | 2.47 ms | 2.00 × |  |\n\
                        | … p99 | 3 ms |  |  | 9 ms |  |  |\n\
                        | no-op | 40.0 µs | ≤ 50.0 µs | 0.80 ×, met | less than can be told |  |  |\n\
                        | elections |  |  |  | 1 |  |  |\n";
        assert_eq!(report.table(), expected);
    }
}
