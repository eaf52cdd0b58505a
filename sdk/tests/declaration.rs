//! What the macros make of structs and functions: the declaration, the decoding, the dispatch.

use critd_sdk::bench::{self, Verdict};
use critd_sdk::prelude::*;
use critd_sdk::{Plugin as _, RawArg};

/// A thing that
/// is kept.
///
/// It has two paragraphs.
///
/// # Rules
///
/// Not for users.
#[derive(Debug, TloType)]
#[tlo(
    name = "Thing",
    resource = "things",
    collection = "things",
    schema_version = 4,
    keys((kind, r#type), label),
    lookup = "label",
    shared("source", "related"),
    methods("GET", "POST"),
    permission = "Actor.write",
    read_permission = "Actor.read",
    permission_check = "first"
)]
struct AThing {
    /// Its label.
    #[field(required, sortable, indexed, searchable)]
    label: String,
    #[field(stored = "k", vocab = "IPTypes", protected)]
    kind: String,
    #[field(name = "type", default = "A")]
    r#type: String,
    #[field(kind = "uuid")]
    link_id: Option<String>,
    #[field(kind = "file", bucket = "things")]
    filedata: Option<ObjectId>,
    size: Option<i64>,
    on: bool,
    seen: Option<Date>,
    parts: Vec<Part>,
    raw: Json,
}

#[derive(Debug, Fields)]
struct Part {
    #[field(default = 0)]
    number: i64,
}

#[derive(Debug, Args)]
struct ThingArgs {
    /// The label.
    #[arg(missing = "Need a label.", max_length = 10, synonyms("name", "title"))]
    label: String,
    #[arg(name = "type", enum("A", "B"), default = "A")]
    kind: String,
    count: Option<i64>,
    #[arg(default = -1.5)]
    weight: f64,
    flag: bool,
    #[arg(required)]
    must: bool,
    #[arg(type = "ldate", default = "now")]
    when: Date,
    #[arg(
        required = false,
        vocab = "Sectors",
        invalid = "Not a sector: {value}."
    )]
    sectors_of: Vec<String>,
    #[arg(required = false)]
    parts: Vec<PartArgs>,
    mode: Option<Mode>,
    anything: Option<Value>,
    #[arg(required = false, of = "id", type = "list")]
    others: Vec<ObjectId>,
    #[arg(
        type = "text",
        trim = false,
        unescape,
        example = " x ",
        scope = "stored",
        secret
    )]
    note: Option<String>,
}

#[derive(Debug, Args)]
struct PartArgs {
    /// Which one.
    number: i64,
}

#[derive(Debug, Choice, PartialEq, Eq)]
enum Mode {
    ReplaceAll,
    #[choice("+")]
    Add,
}

#[create(AThing, touches("create:IP", "registry:things"))]
#[example("a thing", args = {"label": "x", "must": true, "source": "Example"}, message = "x A 0 -1.5 false true 0 None")]
fn create_thing(args: ThingArgs, shared: Shared, _call: &Call) -> Outcome {
    shared.require_source(SourceText::Object)?;
    let (thing, _) = Tlo::make::<AThing>([("label", &args.label)])?;
    let ThingArgs {
        label,
        kind,
        count,
        weight,
        flag,
        must,
        parts,
        mode,
        ..
    } = args;
    let count = count.unwrap_or_default();
    Ok(Answer::new(format!(
        "{label} {kind} {count} {weight} {flag} {must} {} {mode:?}",
        parts.len()
    ))
    .document(&thing))
}

/// Does nothing.
#[action(on("*", "-Event"), permission(by = "which", "a" = "a_edit", "b" = "b_edit"), answers = "nothing")]
#[example("holds", before = {"n": [1, 2.5, -3, true, null]}, args = {"which": "a"}, message = "a")]
#[example("does not hold", args = {"which": "a"}, message = "b")]
#[example("unexpected operations", args = {"which": "a"}, operations = [{"set": ["x", 1]}])]
#[example("another fault", args = {"which": "c"}, fault = {"missing": "No c."})]
#[example("left to the host", may = [], args = {"which": "a"}, fault = {"refused": "forbidden"})]
fn nothing(args: NothingArgs, _tlo: &Tlo) -> Outcome {
    Ok(args.which.into())
}

#[derive(Args)]
struct NothingArgs {
    #[arg(enum("a", "b"))]
    which: String,
}

#[action(
    name = "bare",
    on = "Event",
    permission = "write",
    touches = "self.status"
)]
fn without_parameters() -> Outcome {
    Ok("done".into())
}

plugin! {
    name = "test-things",
    version = "1.2.3",
    summary = "Things \"quoted\".",
    types = [AThing],
    actions = [nothing, without_parameters],
    needs = { "create:IP" = "because" },
    limits = { time_ms = 500, memory_mib = 16 },
    license = "Apache-2.0",
}

fn declaration() -> Json {
    critd_sdk::serde_json::from_str(&Plugin::declaration()).unwrap_or_default()
}

#[test]
fn the_declaration_keeps_its_schema() {
    assert_eq!(bench::violations::<Plugin>(), Vec::<String>::new());
}

#[test]
fn a_type_is_declared_from_its_struct_and_its_create() {
    let mut declared = declaration()["types"][0].clone();
    declared["examples"] = Json::Null;
    assert_eq!(
        declared,
        json!({
            "name": "Thing", "resource": "things", "collection": "things", "schema_version": 4, "sources": true, "top_level": true,
            "summary": "A thing that is kept.\n\nIt has two paragraphs.",
            "keys": [["k", "type"], ["label"]], "lookup": "label", "shared": ["source", "related"],
            "methods": ["GET", "POST"], "permission": "Actor.write", "read_permission": "Actor.read", "permission_check": "first",
            "fields": [
                {"name": "label", "kind": "text", "summary": "Its label.", "required": true, "sortable": true, "indexed": true, "searchable": true},
                {"name": "kind", "stored": "k", "kind": "text", "vocab": "IPTypes", "protected": true},
                {"name": "type", "kind": "text", "default": "A"},
                {"name": "link_id", "kind": "uuid"},
                {"name": "filedata", "kind": "file", "bucket": "things"},
                {"name": "size", "kind": "int"},
                {"name": "on", "kind": "bool"},
                {"name": "seen", "kind": "date"},
                {"name": "parts", "kind": "list", "of": "map", "fields": [{"name": "number", "kind": "int", "default": 0}]},
                {"name": "raw", "kind": "any"},
            ],
            "args": [
                {"name": "label", "type": "string", "required": true, "summary": "The label.", "missing": "Need a label.", "max_length": 10, "synonyms": ["name", "title"]},
                {"name": "type", "type": "string", "enum": ["A", "B"], "default": "A"},
                {"name": "count", "type": "int"},
                {"name": "weight", "type": "num", "default": -1.5},
                {"name": "flag", "type": "bool", "default": false},
                {"name": "must", "type": "bool", "required": true},
                {"name": "when", "type": "ldate", "default": "now"},
                {"name": "sectors_of", "type": "list", "of": "string", "vocab": "Sectors", "invalid": "Not a sector: {value}."},
                {"name": "parts", "type": "list", "of": "map", "keys": [{"name": "number", "type": "int", "required": true, "summary": "Which one."}]},
                {"name": "mode", "type": "string", "enum": ["replace_all", "+"]},
                {"name": "anything", "type": "any"},
                {"name": "others", "type": "list", "of": "id"},
                {"name": "note", "type": "text", "trim": false, "unescape": true, "example": " x ", "scope": "stored", "secret": true},
            ],
            "touches": ["create:IP", "registry:things"], "examples": null,
        })
    );
}

#[test]
fn an_action_is_declared_from_its_attribute_and_its_function() {
    let mut declared = declaration()["actions"].clone();
    declared[0]["examples"] = Json::Null;
    assert_eq!(
        declared,
        json!([
            {"name": "nothing", "on": ["*", "-Event"], "permission": {"by": "which", "map": {"a": "a_edit", "b": "b_edit"}},
             "summary": "Does nothing.", "answers": "nothing", "examples": null,
             "args": [{"name": "which", "type": "string", "required": true, "enum": ["a", "b"]}]},
            {"name": "bare", "on": ["Event"], "permission": "write", "touches": ["self.status"], "args": []},
        ])
    );
}

#[test]
fn the_head_has_what_the_plugin_says() {
    let mut declared = declaration();
    declared["types"] = Json::Null;
    declared["actions"] = Json::Null;
    assert_eq!(
        declared,
        json!({
            "format": 1, "contract": "1.1", "name": "test-things", "version": "1.2.3", "summary": "Things \"quoted\".",
            "needs": {"create:IP": "because"}, "limits": {"time_ms": 500, "memory_mib": 16}, "license": "Apache-2.0",
            "types": null, "actions": null,
        })
    );
}

#[test]
fn the_bench_tells_right_from_wrong() {
    let verdicts = bench::run_examples::<Plugin>();
    let kinds = verdicts.iter().map(|(_, verdict)| match verdict {
        Verdict::Holds => "holds".to_owned(),
        Verdict::LeftToHost(reason) => reason.clone(),
        Verdict::Fails(reason) => reason.clone(),
    });
    let kinds: Vec<_> = kinds.collect();
    assert_eq!(
        kinds,
        [
            "holds",
            "holds",
            "expected the message \"b\", got \"a\"",
            "expected the operations [{\"set\":[\"x\",1]}], got []",
            "expected {\"missing\":\"No c.\"}, got Fault::Invalid((\"which\", \"Not valid: c\"))",
            "a permission",
        ]
    );
}

#[test]
fn arguments_are_decoded_by_name_whatever_their_order() {
    let arg = |name: &str, value: Value| RawArg {
        name: name.into(),
        value,
    };
    let args = ThingArgs::from_args(vec![
        arg("must", true.into()),
        arg("weight", 2.0.into()),
        arg("when", Value::Date(7)),
        arg("parts", Value::Json(r#"[{"number": 3}]"#.into())),
        arg("mode", "+".into()),
        arg("type", "B".into()),
        arg(
            "others",
            Value::Json(r#"[{"$oid": "5b2c3d4e5f60718293a40001"}]"#.into()),
        ),
        arg("label", "x".into()),
        arg("anything", Value::Json("[1".into())),
        arg("unheard", "of".into()),
    ]);
    let Ok(args) = args else { panic!("{args:?}") };
    assert_eq!(
        (args.label.as_str(), args.kind.as_str(), args.when),
        ("x", "B", Date::from_millis(7))
    );
    assert_eq!(
        (args.parts[0].number, args.mode, args.count),
        (3, Some(Mode::Add), None)
    );
    assert!(args.sectors_of.is_empty() && !args.flag && args.weight > 1.9);
    assert!(matches!(args.anything, Some(Value::Json(text)) if text == "[1"));
    assert_eq!(
        (args.others[0].as_str(), args.note),
        ("5b2c3d4e5f60718293a40001", None)
    );
}

#[test]
fn an_argument_that_is_not_as_declared_is_a_bug() {
    let fault = NothingArgs::from_args(vec![]).map(|args| args.which);
    assert!(
        matches!(fault.as_deref(), Ok("")),
        "a text that is absent is empty"
    );
    let fault = NothingArgs::from_args(vec![RawArg {
        name: "which".into(),
        value: true.into(),
    }])
    .map(|args| args.which);
    assert!(
        matches!(fault, Err(Fault::Internal(text)) if text == "the argument which is not as declared")
    );
}

#[test]
fn unknown_actions_and_types_are_bugs() {
    assert!(matches!(
        Plugin::run("unheard_of", vec![]),
        Err(Fault::Internal(_))
    ));
    assert!(matches!(
        Plugin::create("AThing", vec![]),
        Err(Fault::Internal(_))
    ));
}
