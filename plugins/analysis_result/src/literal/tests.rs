use super::*;
use crate::bounded::MOST_VALUES;
use critd_sdk::json;

fn read(text: &str) -> Result<Json, Refused> {
    map(text, &Budget::new()).map(Json::Object)
}

#[test]
fn create_5_18_map_literals() {
    for (text, expected) in [
        ("{}", json!({})),
        (" { } ", json!({})),
        (
            "{'type': 'x', 'score': 5}",
            json!({"type": "x", "score": 5}),
        ),
        (
            r#"{"a": 'it"s', 'b': "it's",}"#,
            json!({"a": "it\"s", "b": "it's"}),
        ),
        (
            "{'t': True, 'f': False, 'n': None}",
            json!({"t": true, "f": false, "n": null}),
        ),
        (
            "{'a': {'b': [1, (2, 3), [], ()]}}",
            json!({"a": {"b": [1, [2, 3], [], []]}}),
        ),
        (
            "{'one': (1,), 'same': (1), 'set': {1, 2}, 'single': {'x'}}",
            json!({"one": [1], "same": 1, "set": [1, 2], "single": ["x"]}),
        ),
        (
            "{1: 'a', -2: 'b', True: 'c', None: 'd', 1.5: 'e'}",
            json!({"1": "a", "-2": "b", "True": "c", "None": "d", "1.5": "e"}),
        ),
        (
            "{'n': [-1, +2, - 3, 0x1F, 0b101, 0o17, 1_000, 000, 1.5, .5, 5., 1e3, -1.5E-3, 1_0.0_1]}",
            json!({"n": [-1, 2, -3, 31, 5, 15, 1000, 0, 1.5, 0.5, 5.0, 1000.0, -0.0015, 10.01]}),
        ),
        (
            "{'big': 123456789012345678901234567890, 'huge': 0xffffffffffffffff, 'inf': 1e999}",
            json!({"big": "123456789012345678901234567890", "huge": "18446744073709551615", "inf": "1e999"}),
        ),
        (
            r"{'e': '\n\t\\\'\x41\101\u00e9\U0001f600\ud83d\ude00\ud83d\q\a'}",
            json!({"e": "\n\t\\'AA\u{e9}\u{1f600}\u{1f600}\u{fffd}\\q\u{7}"}),
        ),
        (
            r"{u'u': r'\n', b'b': b'\xff\u0041', Rb'x': rB'\'', 'nul': '\0'}",
            json!({"u": "\\n", "b": "\u{ff}\\u0041", "x": "\\'", "nul": "\0"}),
        ),
        ("{'a': 'x' 'y'  \"z\"}", json!({"a": "xyz"})),
        ("{'''a''': '''x'y''z\n'''}", json!({"a": "x'y''z\n"})),
        ("{'a': '', \"b\": \"\"}", json!({"a": "", "b": ""})),
        (
            "{\n  'a': 1,\n  'b': [\n    2,\n  ],\n}",
            json!({"a": 1, "b": [2]}),
        ),
        ("{'a': 1, 'a': 2}", json!({"a": 2})),
        ("{'\u{e9}': '\u{1f600}'}", json!({"\u{e9}": "\u{1f600}"})),
    ] {
        assert_eq!(read(text), Ok(expected), "{text}");
    }
}

#[test]
fn create_5_18_nothing_else_is_a_map() {
    for text in [
        "",
        "x",
        "'x'",
        "[1]",
        "5",
        "None",
        "{",
        "}",
        "{'a'",
        "{'a':",
        "{'a':}",
        "{'a': 1",
        "{'a': 1}}",
        "{'a': 1} x",
        "{'a': 1 'b': 2}",
        "{,}",
        "{'a': 1,, }",
        "{'a'}",
        "{1, 2}",
        "{'a': 1, 'b'}",
        "{[1]: 2}",
        "{{}: 2}",
        "{'a': x}",
        "{'a': true}",
        "{'a': null}",
        "{'a': open('x')}",
        "{'a': __import__('os')}",
        "{'a': 1 + 1}",
        "{'a': 2j}",
        "{'a': 1if 1else 2}",
        "{'a': 'x\n'}",
        "{'a': 'x}",
        "{'a': '''x''}",
        "{'a': '\\x4'}",
        "{'a': '\\N{BULLET}'}",
        "{'a': '\\U00110000'}",
        "{'a': f'x'}",
        "{'a': 007}",
        "{'a': 0x}",
        "{'a': 1__0}",
        "{'a': 1_}",
        "{'a': 1.2.3}",
        "{'a': --1}",
        "{'a': e5}",
        "{'a': -}",
        "{'a': .}",
        "{'a': [1 2]}",
        "{'a': [,]}",
        "{'a': (,)}",
        "{'a': [1}",
        "{'a': b'\\x'}",
        "{**{}}",
        "{'a': *[]}",
        "{'a': lambda: 0}",
        "{'a': 0x+1}",
        "{'a': 'x' b}",
    ] {
        assert_eq!(read(text), Err(Refused::Malformed), "{text}");
    }
}

#[test]
fn create_5_18_literals_within_bounds() {
    let nested = |levels: usize| format!("{{'a': {}{}}}", "[".repeat(levels), "]".repeat(levels));
    assert!(read(&nested(DEEPEST - 1)).is_ok());
    for levels in [DEEPEST, 1_000_000] {
        assert_eq!(read(&nested(levels)), Err(Refused::Deep), "{levels}");
    }
    for open in ["{'a':", "(", "{1,["] {
        let text = format!("{{'a': {}", open.repeat(100_000));
        assert_eq!(read(&text), Err(Refused::Deep), "{open}");
    }
    let many = format!("{{'a': [{}]}}", "0,".repeat(MOST_VALUES as usize));
    assert_eq!(read(&many), Err(Refused::Spent));
    let digits = format!("{{'a': {}}}", "9".repeat(LONGEST_NUMBER + 1));
    assert_eq!(read(&digits), Err(Refused::Malformed));
    // Nothing looks for the end of a text from each of its places.
    let words = format!("{{'a': [{}", "u ".repeat(1_000_000));
    assert_eq!(read(&words), Err(Refused::Malformed));
    let quotes = format!("{{'a': {}", "'' ".repeat(1_000_000));
    assert_eq!(read(&quotes), Err(Refused::Malformed));
}
