//! The table of differences that the specification asks for.

use std::cell::Cell;

use anyhow::{Context, Result};
use regex::Regex;
use serde::Deserialize;

use crate::difference::Difference;
use crate::exchange::Exchange;

/// Why some answers are not the original's. All expressions have to match as a whole.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Explanation {
    /// The rule or decision that asks for it.
    pub(crate) rule: String,
    /// In a few words.
    pub(crate) why: String,
    #[serde(default)]
    method: Expression,
    /// Path and query as recorded, without the credentials.
    #[serde(default)]
    path: Expression,
    /// The original's status.
    #[serde(default)]
    status: Expression,
    /// Where.
    at: Expression,
    /// What the original said there.
    #[serde(default)]
    recorded: Expression,
    /// What we say.
    #[serde(default)]
    answered: Expression,
    #[serde(skip)]
    used: Cell<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Expression(Regex);

impl Default for Expression {
    fn default() -> Self {
        Self::any()
    }
}

impl Expression {
    fn any() -> Self {
        Self(Regex::new("").unwrap_or_else(|error| panic!("{error}")))
    }

    fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl TryFrom<String> for Expression {
    type Error = regex::Error;

    fn try_from(text: String) -> Result<Self, regex::Error> {
        Regex::new(&format!("^(?s:{text})$")).map(Self)
    }
}

/// The table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    explained: Vec<Explanation>,
}

impl Table {
    pub(crate) fn read(text: &str) -> Result<Self> {
        toml::from_str(text).context("the table of explained differences")
    }

    /// Is there an entry for the difference? All that match count as used.
    pub(crate) fn explains(&self, exchange: &Exchange, difference: &Difference) -> bool {
        let path = without_credentials(&exchange.path);
        let status = exchange.response.status.to_string();
        let mut explained = false;
        for entry in &self.explained {
            if entry.at.matches(&difference.at)
                && entry.method.matches(&exchange.method)
                && entry.path.matches(&path)
                && entry.status.matches(&status)
                && entry.recorded.matches(&difference.recorded)
                && entry.answered.matches(&difference.answered)
            {
                entry.used.set(entry.used.get() + 1);
                explained = true;
            }
        }
        explained
    }

    /// Entries that explained nothing.
    pub(crate) fn unused(&self) -> impl Iterator<Item = &Explanation> {
        self.explained.iter().filter(|entry| entry.used.get() == 0)
    }
}

fn without_credentials(path: &str) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let kept: Vec<&str> = query
        .split('&')
        .filter(|parameter| {
            !parameter.is_empty()
                && !parameter.starts_with("username=")
                && !parameter.starts_with("api_key=")
        })
        .collect();
    if kept.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{}", kept.join("&"))
    }
}
