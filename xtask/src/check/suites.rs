//! The tests, twice: all of them with the embedded store, then those of what works on any store once more on MongoDB.

mod embedded_only;
mod report;

use crate::mongod;
use crate::workspace::{self, Workspace, step, succeeds};
use anyhow::{Result, ensure};
use critd_mongod::ReplicaSet;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use embedded_only::EMBEDDED_ONLY;
use report::{Report, Test};

/// Seconds for each test that tries random values for a while.
const ENDLESS: (&str, &str) = ("CRITD_FUZZ_SECONDS", "10");
/// Where the tests find a replica set.
const DEPLOYMENT: &str = "CRITD_TEST_MONGODB";
/// The `mongod` for tests that start replica sets of their own.
const PROGRAM: &str = "CRITD_TEST_MONGOD";
/// The store of tests that work on any.
const STORE: &str = "CRITD_TEST_STORE";
/// The whole-server tests.
const SERVER_TESTS: &str = "critd-tests";
/// Modules of the host whose tests open a store and care not which.
const MODULES: [&str; 7] = [
    "access",
    "api",
    "plugins::arguments",
    "plugins::perform",
    "plugins::reload",
    "plugins::work",
    "registers",
];
/// Whole-server tests that choose their stores themselves.
const OWN_STORES: [&str; 2] = ["cluster", "failover"];
/// Linux's file system in memory.
const MEMORY: &str = "/dev/shm";
/// What a run leaves there at most, with a margin, in bytes.
const ROOM: u64 = 6 << 30;
/// Databases of tests: `critd_test_PROCESS_NUMBER`.
const DATABASES: &str = "critd_test_";

/// Runs both. `filter`: only these tests of each. `on_mongodb`: the second run too.
pub(super) fn run(workspace: &Workspace, filter: Option<&str>, on_mongodb: bool) -> Result<()> {
    if !succeeds(workspace.cargo().args(["nextest", "--version"])) {
        step("install cargo-nextest");
        workspace::run(
            workspace
                .cargo()
                .args(["install", "cargo-nextest", "--locked"]),
        )?;
    }
    let program = mongod::ensure(workspace)?;
    let start = || ReplicaSet::start(&program, &scratch(workspace), 1);
    step("start a replica set");
    let set = start()?;
    let around = Around {
        workspace,
        program: &program,
        url: set.url(),
    };
    step("tests");
    let embedded = around.nextest("default", filter.map(str::to_owned), |command| {
        // An operator's or author's own choice stands.
        if std::env::var_os(ENDLESS.0).is_none() {
            command.env(ENDLESS.0, ENDLESS.1);
        }
    })?;
    drop(set);
    if !on_mongodb {
        return embedded.done();
    }
    step("tests of what works on any store, on MongoDB");
    let chosen = match filter {
        Some(filter) => format!("({filter}) & ({})", common()),
        None => common(),
    };
    let set = start()?;
    let around = Around {
        url: set.url(),
        ..around
    };
    let mongodb = around.nextest("mongodb", Some(chosen), |command| {
        command.env(STORE, "mongodb");
    })?;
    if filter.is_none() {
        compare(&embedded.report, &mongodb.report)?;
    }
    embedded.and(mongodb).done()
}

/// Where the replica set of the tests keeps its data: in memory where a machine has plenty. Each server makes some seventy
/// files there, and on a disk waits for each; other tests then wait for it until they give up.
fn scratch(workspace: &Workspace) -> PathBuf {
    let memory = PathBuf::from(MEMORY);
    let free = rustix::fs::statvfs(&memory).map(|found| found.f_bavail * found.f_frsize);
    match free {
        Ok(free) if free >= ROOM => memory.join("critd-tests"),
        _ => workspace.target.join("mongodb"),
    }
}

struct Around<'a> {
    workspace: &'a Workspace,
    program: &'a Path,
    url: String,
}

impl Around<'_> {
    fn nextest(
        &self,
        profile: &str,
        filter: Option<String>,
        set_up: impl FnOnce(&mut Command),
    ) -> Result<Outcome> {
        // nextest keeps its reports here, wherever Cargo builds.
        let report = self
            .workspace
            .root
            .join("target/nextest")
            .join(profile)
            .join("junit.xml");
        if report.exists() {
            fs::remove_file(&report)?;
        }
        let mut cargo = self.workspace.linting_cargo();
        cargo.args(["nextest", "run", "--workspace", "--all-targets"]);
        cargo.args(["--profile", profile]);
        if let Some(filter) = filter {
            cargo.args(["--filterset", &filter]);
        }
        cargo.env(DEPLOYMENT, &self.url).env(PROGRAM, self.program);
        set_up(&mut cargo);
        let result = self.swept(|| workspace::run(&mut cargo));
        // A run that left no report failed for a reason that it gave.
        let report = match (Report::read(&report), &result) {
            (Ok(report), _) => report,
            (Err(_), Err(_)) => Report::default(),
            (Err(error), Ok(())) => return Err(error),
        };
        Ok(Outcome { result, report })
    }

    /// Drops the databases of tests that have ended while others run: MongoDB keeps files open for each.
    fn swept<T>(&self, run: impl FnOnce() -> T) -> T {
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(500));
                    self.sweep();
                }
            });
            let result = run();
            ended.store(true, Ordering::Relaxed);
            result
        })
    }

    fn sweep(&self) {
        for name in critd_mongod::databases(&self.url).unwrap_or_default() {
            let has_ended = process_of(&name)
                .is_some_and(|process| !PathBuf::from(format!("/proc/{process}")).exists());
            if has_ended {
                // The next round tries again.
                drop(critd_mongod::drop_database(&self.url, &name));
            }
        }
    }
}

/// The process that made a database, if it is a test's.
fn process_of(database: &str) -> Option<u32> {
    let (process, _) = database.strip_prefix(DATABASES)?.split_once('_')?;
    process.parse().ok()
}

/// How a run ended and what it reported.
struct Outcome {
    result: Result<()>,
    report: Report,
}

impl Outcome {
    fn and(self, other: Self) -> Self {
        Self {
            result: self.result.and(other.result),
            report: Report {
                passed: self.report.passed + other.report.passed,
                failed: self.report.failed + other.report.failed,
                tests: self.report.tests,
            },
        }
    }

    fn done(self) -> Result<()> {
        let Report { passed, failed, .. } = self.report;
        println!("{passed} passed, {failed} failed");
        self.result
    }
}

/// The tests that run on both stores, as a filter of nextest.
fn common() -> String {
    let modules = MODULES.join("|");
    let exceptions: Vec<String> = EMBEDDED_ONLY
        .iter()
        .map(|(name, _)| format!("test(={name})"))
        .collect();
    let except = match exceptions.is_empty() {
        true => String::new(),
        false => format!(" - ({})", exceptions.join(" + ")),
    };
    let own: Vec<String> = OWN_STORES
        .iter()
        .map(|name| format!(" - binary_id({SERVER_TESTS}::{name})"))
        .collect();
    let own = own.concat();
    format!(
        "((package({SERVER_TESTS}){own}) + (binary_id(critd) & test(/^({modules})::/))){except}"
    )
}

fn is_common(test: &Test) -> bool {
    let (binary, name) = test;
    let has_own_store = OWN_STORES
        .iter()
        .any(|name| *binary == format!("{SERVER_TESTS}::{name}"));
    binary.starts_with(SERVER_TESTS) && !has_own_store
        || binary == "critd"
            && MODULES.iter().any(|module| {
                name.strip_prefix(module)
                    .is_some_and(|rest| rest.starts_with("::"))
            })
}

/// Both runs have the same tests, but for those that are excepted with a reason; every exception is one.
fn compare(embedded: &Report, mongodb: &Report) -> Result<()> {
    let reasons: BTreeMap<&str, &str> = EMBEDDED_ONLY.iter().copied().collect();
    let common: BTreeSet<&Test> = embedded
        .tests
        .iter()
        .filter(|test| is_common(test))
        .collect();
    for name in reasons.keys() {
        ensure!(
            common.iter().any(|(_, test)| test == name),
            "embedded-only.in excepts {name}, which is no test that works on any store"
        );
    }
    let (excepted, expected): (Vec<&Test>, Vec<&Test>) = common
        .into_iter()
        .partition(|(_, name)| reasons.contains_key(name.as_str()));
    let expected: BTreeSet<&Test> = expected.into_iter().collect();
    let found: BTreeSet<&Test> = mongodb.tests.iter().collect();
    let differing: Vec<String> = expected
        .symmetric_difference(&found)
        .map(|(binary, name)| format!("{binary} {name}"))
        .collect();
    ensure!(
        differing.is_empty(),
        "these tests ran on one store only: {}",
        differing.join(", ")
    );
    println!(
        "{} tests ran on both stores under the same names; {} of the embedded store's have no counterpart:",
        found.len(),
        excepted.len()
    );
    for (_, name) in excepted {
        println!("  {name}: {}", reasons.get(name.as_str()).unwrap_or(&""));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_server_tests_and_those_of_some_modules_are_common() {
        let test = |binary: &str, name: &str| (binary.to_owned(), name.to_owned());
        assert!(is_common(&test("critd", "api::tests::one")));
        assert!(is_common(&test("critd-tests::access", "two")));
        assert!(!is_common(&test("critd-tests::cluster", "two")));
        assert!(!is_common(&test("critd", "apish::x")));
        assert!(!is_common(&test("critd", "store::api::x")));
        assert!(!is_common(&test("critd-sdk", "api::x")));
    }

    #[test]
    fn a_database_tells_whose_it_is() {
        assert_eq!(process_of("critd_test_12_3"), Some(12));
        assert_eq!(process_of("critd_test_12_3_4"), Some(12));
        assert_eq!(process_of("critd"), None);
        assert_eq!(process_of("critd_test_x_1"), None);
    }

    #[test]
    fn no_test_is_excepted_twice_or_without_a_reason() {
        let names: BTreeSet<&str> = EMBEDDED_ONLY.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), EMBEDDED_ONLY.len());
        assert!(EMBEDDED_ONLY.iter().all(|(_, reason)| reason.len() > 10));
    }
}
