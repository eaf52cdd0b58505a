//! What the tests of the formats have in common: hostile values, and readers that others have written.

use std::io::Write as _;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use serde_json::Value as Json;

/// Texts that formats trip over, and any others.
fn any_text() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec![
        "",
        " ",
        "~",
        "null",
        "yes",
        "No",
        "1",
        "1e3",
        "0x10",
        "1_0",
        "1:2",
        "2020-01-01",
        "-",
        "- a",
        "?",
        ": ",
        "a: b",
        "a #b",
        "#",
        "'",
        "\"",
        "&a",
        "*a",
        "!t",
        "|",
        ">",
        "%",
        "@",
        "`",
        "{",
        "[",
        "]",
        ",",
        "---",
        "...",
        "<<",
        "=",
        ".inf",
        "\u{85}",
        "\u{2028}",
        "\u{feff}",
        "\0",
        "\u{1b}",
        "\u{7f}",
        "\r\n",
        "\n a\n",
        "\t",
        "]]>",
        "<a>",
        "&amp;",
        "value",
        "object",
        "\\",
        "\u{1f600}",
        "\u{ffff}",
        "é",
        "a\u{301}",
        "True",
        "OFF",
        "y",
    ])
    .prop_map(str::to_owned);
    prop_oneof![
        odd.clone(),
        (odd.clone(), "[ -~]{0,6}", odd).prop_map(|(a, b, c)| format!("{a}{b}{c}")),
        any::<String>(),
        "[a-z_]{1,8}",
    ]
}

/// An object with values of all kinds, nested; of numbers, those that every reader reads exactly.
pub(super) fn any_object() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<i32>().prop_map(|number| Json::from(f64::from(number) / 64.0)),
        prop::sample::select(vec![1e16, -1e22, 1e-7, 1.5e-5, 0.0, -0.0]).prop_map(Json::from),
        any_text().prop_map(Json::from),
    ];
    let value = leaf.prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            members(inner),
        ]
    });
    members(value)
}

fn members(value: impl Strategy<Value = Json>) -> impl Strategy<Value = Json> {
    // `objects` without a type is a list to whoever reads XML.
    let name = any_text().prop_filter("of a list", |name| name != "objects");
    prop::collection::vec((name, value), 0..6)
        .prop_map(|members| Json::Object(members.into_iter().collect()))
}

/// What a Python script makes of its standard input, as JSON. Fails if there is no Python.
pub(in crate::api) fn written_by_python(script: &str, input: &[u8]) -> Json {
    let mut python = Command::new("python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("these tests need python3 on the path");
    let mut pipe = python.stdin.take().unwrap();
    let input = input.to_vec();
    let writing = std::thread::spawn(move || pipe.write_all(&input));
    let output = python.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    writing.join().unwrap().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}
