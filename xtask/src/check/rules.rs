//! Rules of the specification that no test names: a test carries the ids of the rules it shows in its name.

use anyhow::{Context as _, Result};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The ids, one or more a line; those below a line `expected soon: REASON` are of parts that are being built: they are told
/// aloud, so that nobody forgets them.
const LIST: &str = "xtask/rules.txt";
const SOON: &str = "expected soon:";

/// Every rule without a test.
pub(crate) fn faults(root: &Path, files: &[PathBuf]) -> Result<Vec<String>> {
    let path = root.join(LIST);
    let list = fs::read_to_string(&path).with_context(|| format!("cannot read {LIST}"))?;
    let mut names = BTreeSet::new();
    for file in files {
        let is_rust = file.extension().is_some_and(|extension| extension == "rs");
        if let (true, Ok(text)) = (is_rust, fs::read_to_string(root.join(file))) {
            names_of(&text, &mut names);
        }
    }
    let (faults, expected) = compare(&list, &names);
    for (reason, ids) in expected {
        eprintln!(
            "rules whose tests are expected soon: {} ({reason})",
            ids.join(" ")
        );
    }
    Ok(faults)
}

/// The functions of a file that has tests, and what macros of tests name.
fn names_of(text: &str, names: &mut BTreeSet<String>) {
    if !text.contains("#[test]") && !text.contains("::test") {
        return;
    }
    for line in text.lines() {
        let line = line.trim_start();
        let function = ["fn ", "async fn ", "pub(crate) async fn "]
            .iter()
            .find_map(|start| line.strip_prefix(start));
        let name = match function {
            Some(rest) => rest.split(['(', '<']).next().unwrap_or_default(),
            // A row of a macro that makes tests: a name and a number.
            None => line
                .strip_suffix(|last: char| last.is_ascii_digit())
                .and_then(|rest| rest.strip_suffix(' '))
                .unwrap_or_default(),
        };
        if !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            names.insert(format!("_{name}_"));
        }
    }
}

/// Faults, and the rules without a test that are expected to have one soon, by the reason.
fn compare<'a>(
    list: &'a str,
    names: &BTreeSet<String>,
) -> (Vec<String>, Vec<(&'a str, Vec<&'a str>)>) {
    let mut faults = Vec::new();
    let mut expected: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in list.lines().filter(|line| !line.starts_with('#')) {
        if let Some(reason) = line.strip_prefix(SOON) {
            expected.push((reason.trim(), Vec::new()));
            continue;
        }
        for id in line.split_whitespace() {
            let token = format!("_{}_", id.to_lowercase().replace(['-', '.'], "_"));
            let is_named = names.iter().any(|name| name.contains(&token));
            match (expected.last_mut(), is_named) {
                (None, true) => {}
                (None, false) => faults.push(format!("rule {id}: no test has it in its name")),
                (Some(_), true) => {
                    faults.push(format!(
                        "rule {id}: has a test, and is still expected in {LIST}"
                    ));
                }
                (Some((_, ids)), false) => ids.push(id),
            }
        }
    }
    (faults, expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_without_a_test_is_a_fault() {
        let mut names = BTreeSet::new();
        names_of(
            "#[tokio::test]\nasync fn g1_d_2_pages() {}\n    fn s22_x<T>() {}\n    g5_row_1 1\n",
            &mut names,
        );
        names_of("fn g7_is_no_test() {}", &mut names);
        let (faults, expected) = compare(
            "# list\nG1 D-2 S22\nG5 G7 S2 D2\nexpected soon: later\nG8 G9\nexpected soon: in the end\nG5 G10\n",
            &names,
        );
        let mut all = ["G7", "S2", "D2"]
            .map(|id| format!("rule {id}: no test has it in its name"))
            .to_vec();
        all.push("rule G5: has a test, and is still expected in xtask/rules.txt".to_owned());
        assert_eq!(faults, all);
        assert_eq!(
            expected,
            [("later", vec!["G8", "G9"]), ("in the end", vec!["G10"])]
        );
    }
}
