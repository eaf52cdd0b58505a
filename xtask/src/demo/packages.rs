//! Real data from public packages, by name through their ordinary clients; none of it is kept in this repository.

use crate::workspace::Workspace;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::fs;
use std::path::Path;

const NAMES_PACKAGE: &str = "eth-phishing-detect";
const NAMES_VERSION: &str = "1.2.0";
/// So many names the list of that version has.
const NAMES_COUNT: usize = 13_752;
const REPORTS_PACKAGE: &str = "stix2-validator";
const REPORTS_VERSION: &str = "3.3.2";
const REPORTS: [&str; 2] = ["poisonivy", "apt1"];

/// A small set of our own, for machines that reach no registry.
const OWN_NAMES: &str = include_str!("own-names.txt");
const OWN_REPORT: &str = include_str!("own-report.json");

/// What is loaded, and where it is from.
pub(crate) struct Data {
    /// Names that become domains.
    pub(crate) names: Vec<String>,
    pub(crate) names_from: String,
    /// STIX bundles, each with a short name.
    pub(crate) reports: Vec<(String, Value)>,
    pub(crate) reports_from: String,
}

/// Fetches the data, or says why it uses our own small set instead.
pub(crate) fn data(workspace: &Workspace) -> Result<Data> {
    let (names, names_from) = match names(workspace) {
        Ok(names) => (names, format!("npm {NAMES_PACKAGE} {NAMES_VERSION}")),
        Err(reason) => {
            eprintln!("npm's {NAMES_PACKAGE} {NAMES_VERSION} cannot be had: {reason:#}");
            eprintln!("A small set of our own names is used instead.");
            (own_names(), "our own small set".to_owned())
        }
    };
    let (reports, reports_from) = match reports(workspace) {
        Ok(reports) => (reports, format!("PyPI {REPORTS_PACKAGE} {REPORTS_VERSION}")),
        Err(reason) => {
            eprintln!("PyPI's {REPORTS_PACKAGE} {REPORTS_VERSION} cannot be had: {reason:#}");
            eprintln!("A small report of our own is used instead.");
            (
                vec![("own".to_owned(), own_report()?)],
                "our own small report".to_owned(),
            )
        }
    };
    Ok(Data {
        names,
        names_from,
        reports,
        reports_from,
    })
}

fn own_names() -> Vec<String> {
    OWN_NAMES
        .lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

fn own_report() -> Result<Value> {
    serde_json::from_str(OWN_REPORT).context("our own report is no JSON")
}

fn names(workspace: &Workspace) -> Result<Vec<String>> {
    let folder = critd_packages::npm(&workspace.cache(), NAMES_PACKAGE, NAMES_VERSION)?;
    let path = folder.join("src/config.json");
    let list = read_json(&path)?;
    let names: Vec<String> = list["blacklist"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect();
    ensure!(
        names.len() == NAMES_COUNT,
        "{} holds {} names, {NAMES_COUNT} are expected",
        path.display(),
        names.len()
    );
    Ok(names)
}

fn reports(workspace: &Workspace) -> Result<Vec<(String, Value)>> {
    let folder = critd_packages::pypi(&workspace.cache(), REPORTS_PACKAGE, REPORTS_VERSION)?;
    // The package has each report twice, for STIX 2.0 and 2.1, with the same content.
    let examples = folder.join("stix2validator/schemas-2.1/examples/threat-reports");
    REPORTS
        .iter()
        .map(|name| {
            Ok((
                (*name).to_owned(),
                read_json(&examples.join(format!("{name}.json")))?,
            ))
        })
        .collect()
}

fn read_json(path: &Path) -> Result<Value> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_set_is_complete() {
        assert_eq!(own_names().len(), 20);
        assert!(own_report().is_ok_and(|report| {
            report["objects"]
                .as_array()
                .is_some_and(|all| all.len() > 8)
        }));
    }
}
