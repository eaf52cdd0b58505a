use serde_json::json;

use super::compatibility::{broken_promises, may_break, next_breaking};
use super::*;

fn sound() -> Json {
    json!({
        "format": 1, "contract": "1.0", "name": "domain", "version": "1.0.0", "summary": "Domains.", "from_the_future": true,
        "types": [{
            "name": "Domain", "resource": "domains", "collection": "domains", "sources": true,
            "keys": [["domain"]], "lookup": "domain", "shared": ["source"],
            "fields": [
                {"name": "domain", "kind": "text", "required": true},
                {"name": "record_type", "stored": "type", "kind": "text"},
                {"name": "parts", "kind": "list", "of": "map", "fields": [{"name": "at", "kind": "date"}]}],
            "args": [
                {"name": "domain", "type": "string", "required": true},
                {"name": "ip_type", "type": "string", "vocab": "IPTypes", "synonyms": ["kind"]}],
            "touches": ["create:IP", "self.domain"]}],
        "actions": [{
            "name": "ticket_add", "on": ["*", "-Campaign"], "permission": "tickets_add",
            "args": [{"name": "ticket", "type": "map", "keys": [{"name": "date", "type": "date", "default": "now"}]}],
            "touches": ["self.tickets"]}],
        "needs": {"create:IP": "Because."}, "limits": {"time_ms": 500}
    })
}

fn changed(pointer: &str, value: Json) -> Json {
    let mut declaration = sound();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match declaration.pointer_mut(parent).unwrap() {
        Json::Object(map) => drop(map.insert(key.into(), value)),
        Json::Array(list) if key == "-" => list.push(value),
        other => panic!("{other}"),
    }
    declaration
}

fn read(declaration: &Json) -> Result<Declaration, String> {
    Declaration::read(&declaration.to_string())
}

#[test]
fn a_sound_declaration_is_read() {
    let declaration = read(&sound()).unwrap();
    assert_eq!(declaration.capabilities(), BTreeSet::from(["create:IP"]));
}

#[test]
fn each_mistake_has_its_sentence() {
    let arg = |name: &str| json!({"name": name, "type": "string"});
    for (pointer, value, sentence) in [
        ("/format", json!(2), "`format` is 2; this server reads 1"),
        (
            "/contract",
            json!("2.0"),
            "it was built for contract 2.0; this server offers 1.0, 1.1",
        ),
        (
            "/contract",
            json!("1.2"),
            "it was built for contract 1.2; this server offers 1.0, 1.1",
        ),
        (
            "/name",
            json!("Domain!"),
            "`Domain!` is no plugin name: lower-case letters, digits, `_` and `-`, at most 64, a letter first",
        ),
        (
            "/limits",
            json!({"time": 1}),
            "`limits`: there is no limit `time`; known are time_ms, memory_mib, host_calls, documents, uploads, bytes, log_lines",
        ),
        (
            "/needs",
            json!({"network": "x"}),
            "`needs`: `network` is none of self.FIELD, other:TYPE, create:TYPE, registry:SET",
        ),
        (
            "/types/-",
            sound()["types"][0].clone(),
            "the type `Domain` is declared twice; the resource `domains` is declared twice; the collection `domains` is declared twice",
        ),
        (
            "/types/0/collection",
            json!("users"),
            "type `Domain`: the collection `users` can't be a type's",
        ),
        (
            "/types/0/keys",
            json!([["fqdn"]]),
            "type `Domain`: a key names the field `fqdn`, which is not declared",
        ),
        (
            "/types/0/lookup",
            json!("fqdn"),
            "type `Domain`: `lookup` names the field `fqdn`, which is not declared",
        ),
        (
            "/types/0/permission",
            json!("{ip_type}.write"),
            "type `Domain`: `{ip_type}.write` is no permission: `{NAME}.flag` names a required argument of kind `type`",
        ),
        (
            "/types/0/author_source",
            json!(true),
            "type `Domain`: `author_source` is for types with sources that `shared` does not have",
        ),
        (
            "/types/0/answer_keys",
            json!({"success": {"message": "Hi."}}),
            "type `Domain`: `answer_keys`: `message` is answered by the host",
        ),
        (
            "/types/-",
            json!({"name": "Part", "resource": "parts", "part_of": "Whole", "top_level": false, "methods": ["GET", "POST"],
                "collection": "parts", "fields": [], "args": []}),
            "type `Part`: `part_of` names `Whole`, which is no type of this plugin; type `Part`: is part of another type, so it has no \
             collection, fields, keys, sources or shared arguments; type `Part`: is part of another type, so its only method is POST",
        ),
        (
            "/types/0/shared",
            json!(["color"]),
            "type `Domain`: `shared`: there is no group `color`",
        ),
        (
            "/types/0/fields/-",
            json!({"name": "type", "kind": "text"}),
            "type `Domain`: the stored field `type` is declared twice",
        ),
        (
            "/types/0/fields/-",
            json!({"name": "a.b", "kind": "text"}),
            "type `Domain`, field `a.b`: `a.b` is no field name; type `Domain`, field `a.b`: `a.b` is no field name",
        ),
        (
            "/types/0/args/-",
            arg("id_"),
            "type `Domain`, argument `id_`: `id_` is supplied by the host (id_, type_ and user always are) and can't be declared",
        ),
        (
            "/types/0/args/-",
            arg("kind"),
            "type `Domain`: the argument `kind` is declared twice",
        ),
        (
            "/types/0/args/1/vocab",
            json!("IpTypes"),
            "type `Domain`, argument `ip_type`: there is no vocabulary `IpTypes`",
        ),
        (
            "/types/0/args/0/default",
            json!("x"),
            "type `Domain`, argument `domain`: is required and has a default",
        ),
        (
            "/types/0/args/0/keys",
            json!([arg("x")]),
            "type `Domain`, argument `domain`: has keys, but is no map or list of maps",
        ),
        (
            "/actions/0/on",
            json!([]),
            "action `ticket_add`: `on` is empty",
        ),
        (
            "/actions/0/permission",
            json!("may add tickets"),
            "action `ticket_add`: `may add tickets` is no permission: `flag` of the document's type, or `Type.flag`",
        ),
        (
            "/actions/0/permission",
            json!({"by": "mode", "map": {"a": "b"}}),
            "action `ticket_add`: the permission depends on the argument `mode`, which is not declared",
        ),
        (
            "/actions/0/touches",
            json!(["tickets"]),
            "action `ticket_add`: `touches`: `tickets` is none of self.FIELD, other:TYPE, create:TYPE, registry:SET",
        ),
    ] {
        assert_eq!(
            read(&changed(pointer, value)).unwrap_err(),
            format!("the declaration is wrong: {sentence}"),
            "{pointer}"
        );
    }
}

#[test]
fn unknown_keys_and_kinds_are_errors_inside() {
    let error = read(&changed("/types/0/colour", json!("red"))).unwrap_err();
    assert!(
        error.starts_with("the declaration can't be read: unknown field `colour`, expected one of"),
        "{error}"
    );
    let error = read(&changed("/types/0/args/0/type", json!("number"))).unwrap_err();
    assert!(
        error.starts_with(
            "the declaration can't be read: unknown variant `number`, expected one of"
        ),
        "{error}"
    );
    assert_eq!(
        Declaration::read("{").unwrap_err(),
        "the declaration can't be read: EOF while parsing an object at line 1 column 1"
    );
}

#[test]
fn breaking_changes_are_named() {
    let old = read(&sound()).unwrap();
    for (pointer, value, expected) in [
        (
            "/types/0/args",
            json!([{"name": "domain", "type": "string", "required": true}]),
            "the argument `ip_type` of type `Domain` is gone",
        ),
        (
            "/types/0/args/1/required",
            json!(true),
            "the argument `ip_type` of type `Domain` is now required",
        ),
        (
            "/types/0/args/1/type",
            json!("text"),
            "the argument `ip_type` of type `Domain` has another type",
        ),
        (
            "/types/0/args/-",
            json!({"name": "port", "type": "int", "required": true}),
            "the argument `port` of type `Domain` is new and required",
        ),
        (
            "/types/0/resource",
            json!("hosts"),
            "the resource of type `Domain` is no longer `domains`",
        ),
        (
            "/types/0/fields/1/stored",
            json!("rr"),
            "the field `record_type` of type `Domain` is stored elsewhere",
        ),
        (
            "/types/0/fields/1/kind",
            json!("int"),
            "the field `record_type` of type `Domain` is of another kind",
        ),
        (
            "/actions/0/name",
            json!("ticket_new"),
            "the action `ticket_add` is gone",
        ),
        (
            "/actions/0/on",
            json!(["*", "-Campaign", "-Event"]),
            "the action `ticket_add` is no longer for `Event`",
        ),
        (
            "/actions/0/on",
            json!(["Event"]),
            "the action `ticket_add` is no longer for `*`",
        ),
        (
            "/actions/0/args/0/keys",
            json!([]),
            "the argument `date` of argument `ticket` of action `ticket_add` is gone",
        ),
    ] {
        let new = read(&changed(pointer, value)).unwrap();
        assert_eq!(broken_promises(&old, &new), [expected], "{pointer}");
    }
    let more = changed("/types/0/args/-", json!({"name": "port", "type": "int"}));
    assert!(broken_promises(&old, &read(&more).unwrap()).is_empty());
}

#[test]
fn only_a_major_version_may_break() {
    let version = |text: &str| semver::Version::parse(text).unwrap();
    for (old, new, may) in [
        ("1.2.3", "1.3.0", false),
        ("1.2.3", "2.0.0", true),
        ("0.1.0", "0.1.1", false),
        ("0.1.0", "0.2.0", true),
    ] {
        assert_eq!(may_break(&version(old), &version(new)), may, "{old} {new}");
    }
    assert_eq!(next_breaking(&version("1.2.3")), version("2.0.0"));
    assert_eq!(next_breaking(&version("0.2.3")), version("0.3.0"));
}
