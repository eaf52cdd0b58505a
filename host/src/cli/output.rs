//! Tables, JSON and messages.

use std::io::{Read, Write};

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Failure;

/// Where a command reads and writes.
pub(crate) struct Terminal<'a> {
    /// Data.
    pub(crate) out: &'a mut dyn Write,
    /// Everything else.
    pub(crate) err: &'a mut dyn Write,
    /// What is typed or piped in.
    pub(crate) input: &'a mut dyn Read,
    /// Print data as JSON.
    pub(crate) json: bool,
    /// Somebody looks at standard error: bars may move there.
    pub(crate) live: bool,
}

impl<'a> Terminal<'a> {
    pub(crate) fn new(
        out: &'a mut dyn Write,
        err: &'a mut dyn Write,
        input: &'a mut dyn Read,
    ) -> Self {
        Self {
            out,
            err,
            input,
            json: false,
            live: false,
        }
    }

    /// A message. That it can't be written is nothing that anybody could be told.
    pub(crate) fn say(&mut self, message: &str) {
        let _ = writeln!(self.err, "{message}");
    }

    /// A line of data.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), Failure> {
        writeln!(self.out, "{text}").map_err(closed)
    }

    /// Data as JSON.
    pub(crate) fn json(&mut self, value: &Value) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|error| Failure::refused(error.to_string()))?;
        self.line(&text)
    }

    /// Rows below a heading, in columns; the last column is not filled up.
    pub(crate) fn table<const N: usize>(
        &mut self,
        heading: [&str; N],
        rows: &[[String; N]],
    ) -> Result<(), Failure> {
        let mut widths = heading.map(|cell| cell.chars().count());
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let mut print = |cells: [&str; N]| {
            let padded: Vec<String> = cells
                .iter()
                .zip(widths)
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            writeln!(self.out, "{}", padded.join("  ").trim_end()).map_err(closed)
        };
        print(heading)?;
        for row in rows {
            print(row.each_ref().map(String::as_str))?;
        }
        Ok(())
    }
}

fn closed(error: std::io::Error) -> Failure {
    Failure::refused(format!("standard output: {error}"))
}

/// A time as `2027-01-31T00:00:00Z`, without fractions of a second.
pub(crate) fn time_text(milliseconds: i64) -> String {
    OffsetDateTime::from_unix_timestamp(milliseconds.div_euclid(1_000))
        .ok()
        .and_then(|moment| moment.format(&Rfc3339).ok())
        .unwrap_or_default()
}

/// A number with a comma after each three digits.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things: `1 file`, `1,000 files`.
pub(crate) fn plural(number: u64, one: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {one}{ending}", grouped(number))
}

/// `yes` or `no`.
pub(crate) fn yes(flag: bool) -> String {
    if flag { "yes" } else { "no" }.to_owned()
}
