//! What the macros make of services: the declaration, the dispatch, the examples.

use critd_sdk::bench::{self, Verdict};
use critd_sdk::prelude::*;
use critd_sdk::{Plugin as _, RawArg};

/// Counts the lines
/// of a file.
///
/// # Rules
///
/// Not for users.
#[service(
    on("Event", "RawData"),
    requires("filedata", "title"),
    version = "1.2b1",
    accepts = has_a_title,
    touches("create:Domain"),
    template = "lines",
    limits = { time_ms = 1000 }
)]
#[example("two lines", before = {"title": "t"}, files = {"filedata": "a\nb"}, args = {"least": 1},
    results = [{"subtype": "line", "result": "a", "number": 1}, {"subtype": "line", "number": 2}], log = [{"info": "t"}], message = "2 lines.")]
#[example("bytes", before = {"title": "t"}, files = {"filedata": {"name": "x", "base64": "AAo="}}, results = [{}], message = "1 lines.")]
#[example("refused before it runs", files = {"filedata": ""}, results = [], log = [], fault = {"refused": "conflict"})]
#[example("results stay", before = {"title": "t"}, files = {"filedata": "a"}, args = {"least": 9}, results = [{"result": "a"}], fault = {"invalid": "least"})]
#[example("on another type", on = "RawData", before = {"title": "t"}, files = {"filedata": ""}, log = [{"info": "t"}])]
#[example("another result", before = {"title": "t"}, files = {"filedata": "a"}, results = [{"result": "b"}])]
#[example("one result more", before = {"title": "t"}, files = {"filedata": "a"}, results = [])]
#[example("another line", before = {"title": "t"}, files = {"filedata": "a"}, log = [{"warning": "t"}])]
#[example("no fault", before = {"title": "t"}, files = {"filedata": "a"}, fault = {"invalid": "least"})]
#[example("no file", before = {"title": "t"}, message = "0 lines.")]
fn count_lines(task: &Task, event: &Tlo, call: &Call, options: Options) -> Analysis {
    task.info(event.text("title")?)?;
    assert!(!task.cancelled() && call.action().is_empty() && options.key == "x");
    let file = Upload::open(event, "filedata")?.ok_or_else(|| missing("No file."))?;
    let mut text = Vec::new();
    for piece in file.pieces(0..file.size()?) {
        text.extend(piece?);
    }
    let mut count = 0;
    for line in String::from_utf8_lossy(&text).lines() {
        count += 1;
        task.result("line", line, json!({ "number": count, "more": null }))?;
    }
    match options.least {
        Some(least) if count < least => Err(invalid("least", "Too few.")),
        _ => Ok(format!("{count} lines.")),
    }
}

fn has_a_title(event: &Tlo) -> Result<(), Fault> {
    if event.text("title")?.is_empty() {
        refuse!(conflict: "Without a title.");
    }
    Ok(())
}

#[derive(Debug, Args)]
struct Options {
    /// Fewer are a failure.
    least: Option<i64>,
    /// Where to ask.
    #[arg(default = "x", scope = "stored", secret)]
    key: String,
}

/// Does nothing.
#[service(name = "idle", on = "*")]
fn nothing() -> Analysis {
    Ok(String::new())
}

plugin! { name = "lines", summary = "Lines.", services = [count_lines, nothing] }

fn declared() -> Json {
    let declaration: Json = serde_json::from_str(&Plugin::declaration()).unwrap_or_default();
    assert_eq!(declaration["types"], json!([]));
    declaration["services"].clone()
}

#[test]
fn svc_4_a_service_is_declared_from_its_attribute_and_its_function() {
    assert_eq!(bench::violations::<Plugin>(), Vec::<String>::new());
    let mut services = declared();
    let first = services[0].as_object_mut().unwrap();
    let examples = first.remove("examples").unwrap();
    assert_eq!(
        examples[0],
        json!({"name": "two lines", "before": {"title": "t"}, "files": {"filedata": "a\nb"}, "args": {"least": 1},
            "expect": {"results": [{"subtype": "line", "result": "a", "number": 1}, {"subtype": "line", "number": 2}],
                "log": [{"info": "t"}], "message": "2 lines."}})
    );
    assert_eq!(examples[1]["args"], json!({}));
    assert_eq!(
        services[0],
        json!({"name": "count_lines", "version": "1.2b1", "summary": "Counts the lines of a file.",
        "requires": ["filedata", "title"], "touches": ["create:Domain"], "template": "lines", "limits": {"time_ms": 1000},
        "on": ["Event", "RawData"], "options": [
            {"name": "least", "type": "int", "summary": "Fewer are a failure."},
            {"name": "key", "type": "string", "summary": "Where to ask.", "default": "x", "scope": "stored", "secret": true},
        ]})
    );
    assert_eq!(
        services[1],
        json!({"name": "idle", "version": env!("CARGO_PKG_VERSION"), "summary": "Does nothing.", "on": ["*"], "options": []})
    );
}

#[test]
fn the_bench_tells_right_from_wrong() {
    let verdicts = bench::run_examples::<Plugin>();
    let verdict = |name: &str| {
        let found = verdicts
            .iter()
            .find(|(known, _)| known.ends_with(&format!(": {name}")));
        found.map(|(_, verdict)| verdict).unwrap()
    };
    for name in [
        "two lines",
        "bytes",
        "refused before it runs",
        "results stay",
        "on another type",
    ] {
        assert_eq!(*verdict(name), Verdict::Holds, "{name}");
    }
    for (name, reason) in [
        (
            "another result",
            r#"expected the results [{"result":"b"}], got [{"subtype":"line","result":"a","number":1}]"#,
        ),
        (
            "one result more",
            r#"expected the results [], got [{"subtype":"line","result":"a","number":1}]"#,
        ),
        (
            "another line",
            r#"expected the log [{"warning":"t"}], got [{"info":"t"}]"#,
        ),
        ("no fault", r#"ends without a fault: "1 lines.""#),
    ] {
        assert_eq!(*verdict(name), Verdict::Fails(reason.into()), "{name}");
    }
    assert_eq!(
        *verdict("no file"),
        Verdict::LeftToHost("a stored file".into())
    );
}

#[test]
fn unknown_services_are_bugs() {
    assert!(matches!(
        Plugin::accepts("unheard_of"),
        Err(Fault::Internal(_))
    ));
    assert!(matches!(
        Plugin::analyse("nothing", Vec::<RawArg>::new()),
        Err(Fault::Internal(_))
    ));
    assert!(matches!(Plugin::analyse("idle", vec![]), Ok(text) if text.is_empty()));
    assert!(matches!(Plugin::accepts("idle"), Ok(())));
}
