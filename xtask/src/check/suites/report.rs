//! What nextest reports of a run, in the form of JUnit.

use anyhow::{Context as _, Result};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A test: its binary and its name.
pub(super) type Test = (String, String);

/// A run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) tests: BTreeSet<Test>,
}

impl Report {
    /// # Errors
    /// The file is not there, or is no report.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path)
            .with_context(|| format!("nextest left no {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} is no report of tests", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let mut reader = Reader::from_str(text);
        let mut report = Self::default();
        let mut has_totals = false;
        loop {
            match reader.read_event()? {
                Event::Start(element) | Event::Empty(element) => match element.name().as_ref() {
                    "testsuites" => {
                        has_totals = true;
                        let number =
                            |name| -> Result<u64> { Ok(attribute(&element, name)?.parse()?) };
                        report.failed = number("failures")? + number("errors")?;
                        report.passed = number("tests")?
                            .checked_sub(report.failed)
                            .context("more tests failed than ran")?;
                    }
                    "testcase" => {
                        let test = (
                            attribute(&element, "classname")?,
                            attribute(&element, "name")?,
                        );
                        report.tests.insert(test);
                    }
                    _ => {}
                },
                Event::Eof => break,
                _ => {}
            }
        }
        has_totals
            .then_some(report)
            .context("there are no totals in it")
    }
}

fn attribute(element: &BytesStart<'_>, name: &str) -> Result<String> {
    let attribute = element
        .try_get_attribute(name)?
        .with_context(|| format!("an element has no {name}"))?;
    Ok(attribute.value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_and_tests_are_those_of_the_report() {
        let text = r#"<?xml version="1.0"?>
            <testsuites name="nextest-run" tests="12" failures="2" errors="1" uuid="x"><testsuite name="critd" tests="3">
            <testcase name="api::tests::one" classname="critd" timestamp="t" time="0.1"><system-out>x</system-out></testcase>
            <testcase name="two" classname="critd-tests::access" time="0.1"/></testsuite></testsuites>"#;
        let tests = [("critd", "api::tests::one"), ("critd-tests::access", "two")];
        let expected = Report {
            passed: 9,
            failed: 3,
            tests: tests
                .map(|(binary, name)| (binary.to_owned(), name.to_owned()))
                .into(),
        };
        assert_eq!(Report::parse(text).ok(), Some(expected));
        let refusal = |text: &str| Report::parse(text).map_err(|error| error.to_string());
        assert_eq!(
            refusal("<other/>"),
            Err("there are no totals in it".to_owned())
        );
        assert_eq!(
            refusal("<testsuites/>"),
            Err("an element has no failures".to_owned())
        );
    }
}
