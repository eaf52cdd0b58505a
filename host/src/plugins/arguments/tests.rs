//! One test per case of core-api 13.3 and per rule on arguments.

use serde_json::{Value as Json, json};

use super::*;
use crate::plugins::work::fixture::{Fixture, NOW, caller};

mod own;
mod zones;

fn params(json: &Json) -> Params {
    json.as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.clone(), Param::Json(value.clone())))
        .collect()
}

fn form(pairs: &[(&str, &str)]) -> Params {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Param::Text((*value).to_owned())))
        .collect()
}

async fn run_as(
    fixture: &Fixture,
    user: &str,
    action: &str,
    params: &Params,
) -> Result<Checked, NotDone> {
    let caller = caller(user);
    let context = Context {
        caller: &caller,
        registry: &fixture.registry,
        services: &fixture.services,
        now: NOW,
        zones: &Zones::default(),
    };
    let (on, action) = (
        fixture.registry.type_named("Domain").unwrap(),
        fixture.registry.action("Domain", action).unwrap(),
    );
    for_action(context, on, action, params).await
}

async fn run(fixture: &Fixture, action: &str, sent: Json) -> Result<Checked, NotDone> {
    run_as(fixture, "alice", action, &params(&sent)).await
}

async fn create_as(
    fixture: &Fixture,
    user: &str,
    type_name: &str,
    params: &Params,
) -> Result<Checked, NotDone> {
    let caller = caller(user);
    let context = Context {
        caller: &caller,
        registry: &fixture.registry,
        services: &fixture.services,
        now: NOW,
        zones: &Zones::default(),
    };
    for_create(
        context,
        fixture.registry.type_named(type_name).unwrap(),
        params,
    )
    .await
}

fn refused(result: Result<Checked, NotDone>) -> (String, Json) {
    match result.unwrap_err() {
        NotDone::Refused(refusal) => (refusal.message, Json::Object(refusal.error)),
        other => panic!("{other:?}"),
    }
}

fn shown(checked: &Checked) -> Json {
    let shown = checked.args.iter().map(|arg| {
        let value = match &arg.value {
            Value::File(number) => json!({ "file": number }),
            other => other.to_json().unwrap(),
        };
        (arg.name.clone(), value)
    });
    Json::Object(shown.collect())
}

async fn accepted(fixture: &Fixture, action: &str, sent: Json) -> Json {
    shown(&run(fixture, action, sent).await.unwrap())
}

#[tokio::test]
async fn core_13_3_texts_and_codes() {
    let fixture = Fixture::new().await;
    for (action, sent, message, error) in [
        (
            "ticket_add",
            json!({}),
            "Missing required argument 'ticket' for action 'ticket_add'.",
            json!({"code": "missing_argument", "argument": "ticket"}),
        ),
        (
            "ticket_add",
            json!({"ticket": null}),
            "Missing required argument 'ticket' for action 'ticket_add'.",
            json!({"code": "missing_argument", "argument": "ticket"}),
        ),
        (
            "ticket_update",
            json!({"ticket": {"ticket_number": 5}}),
            "Missing key 'date' in argument 'ticket'.",
            json!({"code": "missing_key", "argument": "ticket", "key": "date"}),
        ),
        (
            "ticket_update",
            json!({"ticket": {"ticket_number": "5", "date": ""}}),
            "Missing key 'date' in argument 'ticket'.",
            json!({"code": "missing_key", "argument": "ticket", "key": "date"}),
        ),
        (
            "ticket_add",
            json!({"ticket": "ticket_number"}),
            "Argument 'ticket' must be an object.",
            json!({"code": "invalid_type", "argument": "ticket", "expected": "object"}),
        ),
        (
            "ticket_add",
            json!({"ticket": [1]}),
            "Argument 'ticket' must be an object.",
            json!({"code": "invalid_type", "argument": "ticket", "expected": "object"}),
        ),
        (
            "ticket_add",
            json!({"ticket": {"ticket_number": "1", "date": "2026-01-15"}}),
            "Argument 'date' must match %Y-%m-%d %H:%M:%S.%f.",
            json!({"code": "invalid_date", "argument": "ticket", "key": "date"}),
        ),
        (
            "everything",
            json!({"description": ["x"]}),
            "Argument 'description' must be a string.",
            json!({"code": "invalid_type", "argument": "description", "expected": "string"}),
        ),
        (
            "everything",
            json!({"text": {"a": 1}}),
            "Argument 'text' must be a string.",
            json!({"code": "invalid_type", "argument": "text", "expected": "string"}),
        ),
        (
            "everything",
            json!({"date": "x"}),
            "Argument 'date' must match %Y-%m-%d %H:%M:%S.%f.",
            json!({"code": "invalid_date", "argument": "date"}),
        ),
        (
            "everything",
            json!({"date": [1]}),
            "Argument 'date' must match %Y-%m-%d %H:%M:%S.%f.",
            json!({"code": "invalid_date", "argument": "date"}),
        ),
        (
            "everything",
            json!({"when": "never"}),
            "Argument 'when' is not a date: never.",
            json!({"code": "invalid_date", "argument": "when"}),
        ),
        (
            "everything",
            json!({"value": "Bad"}),
            "Invalid status: Bad.",
            json!({"code": "invalid_value", "argument": "value"}),
        ),
        (
            "everything",
            json!({"level": "sure"}),
            "Invalid level: sure.",
            json!({"code": "invalid_value", "argument": "level"}),
        ),
        (
            "everything",
            json!({"title": " "}),
            "Argument 'title' must not be empty.",
            json!({"code": "invalid_value", "argument": "title"}),
        ),
        (
            "everything",
            json!({"title": "12345678901"}),
            "Argument 'title' is longer than 10 bytes.",
            json!({"code": "invalid_value", "argument": "title"}),
        ),
        (
            "everything",
            json!({"aliases": {"a": 1}}),
            "Argument 'aliases' must be a list of strings.",
            json!({"code": "invalid_type", "argument": "aliases", "expected": "list of strings"}),
        ),
        (
            "everything",
            json!({"aliases": [["x"]]}),
            "Argument 'aliases' must be a list of strings.",
            json!({"code": "invalid_type", "argument": "aliases", "expected": "list of strings"}),
        ),
        (
            "everything",
            json!({"flag": []}),
            "Argument 'flag' must be a boolean.",
            json!({"code": "invalid_type", "argument": "flag", "expected": "boolean"}),
        ),
        (
            "everything",
            json!({"wait": "soon"}),
            "Argument 'wait' must be an integer.",
            json!({"code": "invalid_type", "argument": "wait", "expected": "integer"}),
        ),
        (
            "everything",
            json!({"wait": 1.5}),
            "Argument 'wait' must be an integer.",
            json!({"code": "invalid_type", "argument": "wait", "expected": "integer"}),
        ),
        (
            "everything",
            json!({"score": "NaN"}),
            "Argument 'score' must be a number.",
            json!({"code": "invalid_type", "argument": "score", "expected": "number"}),
        ),
        (
            "everything",
            json!({"id": "5"}),
            "Argument 'id' must be an object id.",
            json!({"code": "invalid_type", "argument": "id", "expected": "object id"}),
        ),
        (
            "everything",
            json!({"kind": "Spaceship"}),
            "Unknown object type: Spaceship.",
            json!({"code": "not_found", "argument": "kind"}),
        ),
        (
            "everything",
            json!({"parts": [{"n": 1}, {}]}),
            "Missing key 'n' in argument 'parts'.",
            json!({"code": "missing_key", "argument": "parts", "key": "n"}),
        ),
        (
            "forge_relationship",
            json!({"right_type": "Domain", "right_id": "x"}),
            "Failed to get right TLO",
            json!({"code": "not_found", "argument": "right_id"}),
        ),
        (
            "source_add_update",
            json!({"action_type": "erase"}),
            "Invalid action_type: erase.",
            json!({"code": "invalid_value", "argument": "action_type"}),
        ),
        (
            "source_add_update",
            json!({"action_type": "add", "source": "Nobody"}),
            "Source not found.",
            json!({"code": "invalid_value", "argument": "source"}),
        ),
    ] {
        assert_eq!(
            refused(run(&fixture, action, sent.clone()).await),
            (message.to_owned(), error),
            "{sent}"
        );
    }
}

#[tokio::test]
async fn act_4_the_permission_comes_before_the_arguments() {
    let fixture = Fixture::new().await;
    let refusal = |message: &str, flag: &str| {
        (
            message.to_owned(),
            json!({"code": "forbidden", "permission": flag}),
        )
    };
    let by = |sent: Json| params(&sent);
    let no = refused(run_as(&fixture, "carol", "ticket_add", &by(json!({}))).await);
    assert_eq!(
        no,
        refusal(
            "User does not have permission to add tickets.",
            "Domain.tickets_add"
        )
    );
    let no = refused(
        run_as(
            &fixture,
            "carol",
            "source_add_update",
            &by(json!({"action_type": "Update"})),
        )
        .await,
    );
    assert_eq!(
        no,
        refusal(
            "User does not have permission to edit sources.",
            "Domain.sources_edit"
        )
    );
    let no = refused(run_as(&fixture, "carol", "everything", &by(json!({"date": "x"}))).await);
    assert_eq!(
        no,
        refusal(
            "User does not have permission to use action 'everything'.",
            "Domain.write"
        )
    );
    // The argument that the flag depends on is looked at first.
    let no = refused(run_as(&fixture, "carol", "source_add_update", &by(json!({}))).await);
    assert_eq!(
        no.0,
        "Missing required argument 'action_type' for action 'source_add_update'."
    );
}

#[tokio::test]
async fn act_9_and_p12a_injected_names_vanish_and_unknown_ones_are_told() {
    let fixture = Fixture::new().await;
    let sent = json!({"action": "everything", "id_": 1, "type_": 2, "user": 3, "username": "a", "api_key": "b", "format": "json", "tlo": 1, "text": "x"});
    let checked = run(&fixture, "everything", sent).await.unwrap();
    assert_eq!(checked.ignored, ["tlo"]);
    assert_eq!(shown(&checked), json!({"text": "x", "level": "low"}));
}

#[tokio::test]
async fn act_11_natural_types_are_accepted() {
    let fixture = Fixture::new().await;
    let sent = json!({"text": 5, "title": true, "flag": "No", "wait": "7", "score": "1.5", "id": "ABCDEFABCDEFABCDEFABCDEF", "kind": "domains",
        "date": "2026-01-15 10:20:30.123456", "when": 2020, "aliases": "x, y ,,z,x", "value": " in progress ", "parts": {"n": 3}, "config": "{\"a\": [1]}"});
    let expected = json!({"text": "5", "title": "true", "flag": false, "wait": 7, "score": 1.5, "id": {"$oid": "abcdefabcdefabcdefabcdef"},
        "kind": "Domain", "date": {"$date": 1_768_472_430_123_i64}, "when": {"$date": 1_577_836_800_000_i64}, "aliases": ["x", "y", "z"],
        "value": "In Progress", "config": {"a": [1]}, "parts": [{"n": 3}], "level": "low"});
    assert_eq!(accepted(&fixture, "everything", sent).await, expected);
    assert_eq!(
        accepted(
            &fixture,
            "everything",
            json!({"alias": [1, " a ", null, "1"]})
        )
        .await["aliases"],
        json!(["1", "a"])
    );
}

/// create.md 5.18: what the plugin reads itself comes as it was sent.
#[tokio::test]
async fn create_5_18_an_argument_of_any_kind_comes_as_it_was_sent() {
    let fixture = Fixture::new().await;
    for sent in [
        json!(" x, y "),
        json!([1, null]),
        json!([]),
        json!({"a": [1]}),
        json!(1.5),
        json!(7),
        json!(true),
    ] {
        let thing = json!({ "thing": sent });
        assert_eq!(accepted(&fixture, "everything", thing).await["thing"], sent);
    }
    for absent in [json!(null), json!("")] {
        let thing = json!({ "thing": absent });
        let checked = accepted(&fixture, "everything", thing).await;
        assert_eq!(checked, json!({"level": "low"}));
    }
    for long in [json!("0123456789"), json!(["012345"]), json!({"a": "012"})] {
        let thing = json!({ "thing": long });
        let (message, _) = refused(run(&fixture, "everything", thing).await);
        assert_eq!(message, "Argument 'thing' is longer than 9 bytes.");
    }
}

#[tokio::test]
async fn act_12_an_empty_text_is_a_value_of_an_action() {
    let fixture = Fixture::new().await;
    let sent = json!({"text": "", "aliases": "", "wait": "", "date": "", "when": "None", "flag": "", "id": ""});
    assert_eq!(
        accepted(&fixture, "everything", sent).await,
        json!({"text": "", "aliases": [], "level": "low"})
    );
}

#[tokio::test]
async fn act_14_entities_are_decoded_once() {
    let fixture = Fixture::new().await;
    let sent = json!({"description": "a &lt;b&gt; &amp;amp;", "text": "&lt;", "title": "&eacute;"});
    assert_eq!(
        accepted(&fixture, "everything", sent).await,
        json!({"text": "&lt;", "title": "\u{e9}", "description": "a <b> &amp;", "level": "low"})
    );
}

#[tokio::test]
async fn ticket_add_takes_numbers_texts_and_lists() {
    let fixture = Fixture::new().await;
    for (number, expected) in [
        (json!(12345), json!(["12345"])),
        (json!("1, 2"), json!(["1", "2"])),
        (json!(["7", 8]), json!(["7", "8"])),
        (json!(" "), json!([])),
    ] {
        let checked = accepted(
            &fixture,
            "ticket_add",
            json!({"ticket": {"ticket_number": number, "analyst": "mallory"}}),
        )
        .await;
        assert_eq!(
            checked,
            json!({"ticket": {"ticket_number": expected, "date": {"$date": NOW}}})
        );
    }
}

#[tokio::test]
async fn old_names_are_replaced_with_a_warning() {
    let fixture = Fixture::new().await;
    let checked = run(
        &fixture,
        "everything",
        json!({"kinds": "Address - ipv4-addr,md5"}),
    )
    .await
    .unwrap();
    assert_eq!(shown(&checked)["kinds"], json!(["IPv4 Address", "MD5"]));
    assert_eq!(
        checked.warnings,
        ["'Address - ipv4-addr' is an old name; 'IPv4 Address' is used."]
    );
}

#[tokio::test]
async fn create_4_g3_an_empty_text_is_absent_in_a_post() {
    let fixture = Fixture::new().await;
    let (message, error) = refused(
        create_as(
            &fixture,
            "alice",
            "Domain",
            &form(&[("domain", " "), ("source", "OSINT")]),
        )
        .await,
    );
    assert_eq!(
        (message.as_str(), error),
        (
            "Need a Domain Name.",
            json!({"code": "missing_argument", "argument": "domain"})
        )
    );
    let (message, _) = refused(
        create_as(
            &fixture,
            "alice",
            "Domain",
            &form(&[("domain", "a.example"), ("source", "")]),
        )
        .await,
    );
    assert_eq!(message, "Missing source information.");
    let sent = form(&[
        ("domain", "a.example"),
        ("source", "OSINT"),
        ("campaign", ""),
        ("bucket_list", " , "),
        ("ip_type", ""),
        ("add_ip", ""),
    ]);
    let checked = create_as(&fixture, "alice", "Domain", &sent).await.unwrap();
    assert_eq!(
        shown(&checked),
        json!({"domain": "a.example", "add_ip": false, "source": "OSINT"})
    );
}

#[tokio::test]
async fn p3_unknown_parameters_of_a_post_are_told() {
    let fixture = Fixture::new().await;
    let sent = form(&[
        ("domain", "a.example"),
        ("source", "OSINT"),
        ("colour", "red"),
        ("username", "alice"),
        ("type_", "x"),
    ]);
    let checked = create_as(&fixture, "alice", "Domain", &sent).await.unwrap();
    assert_eq!(
        checked.warnings,
        ["Unknown parameter 'colour' was ignored."]
    );
}

#[tokio::test]
async fn create_4_g5_and_g6_lists_and_synonyms() {
    let fixture = Fixture::new().await;
    let sent = form(&[
        ("bucket_list", "a,b"),
        ("bucket_list", "c"),
        ("method", "first"),
        ("method", "last"),
        ("domain", "a.example"),
        ("source_name", "OSINT"),
        ("source_tlp", "GREEN"),
        ("camp_conf", "High"),
        ("campaign", "Bear"),
        ("add_ip", "True"),
        ("ticket", "1"),
        ("ticket", "2,1"),
        ("related_md5", "x"),
        ("related_type", "samples"),
        ("relationship_type", "related_to"),
        ("reference", ""),
        ("source_reference", "r"),
    ]);
    let checked = create_as(&fixture, "alice", "Domain", &sent).await.unwrap();
    let expected = json!({"domain": "a.example", "add_ip": true, "source": "OSINT", "method": "last", "reference": "r", "tlp": "green", "campaign": ["Bear"],
        "confidence": "high", "bucket_list": ["a", "b", "c"], "ticket": ["1", "2"], "related_md5": "x", "related_type": "Sample", "relationship": "Related To"});
    assert_eq!(shown(&checked), expected);
    assert_eq!(
        checked
            .args
            .iter()
            .map(|arg| arg.name.as_str())
            .collect::<Vec<_>>()[..3],
        ["domain", "add_ip", "source"]
    );
}

#[tokio::test]
async fn create_2_texts_of_the_shared_arguments() {
    let fixture = Fixture::new().await;
    for (name, value, message, code) in [
        (
            "tlp",
            "purple",
            "'purple' is not a valid TLP.",
            "invalid_value",
        ),
        (
            "confidence",
            "sure",
            "Invalid campaign confidence: sure.",
            "invalid_value",
        ),
        ("status", "Bad", "Invalid status: Bad.", "invalid_value"),
        ("sectors", "Moon", "Invalid sector: Moon.", "invalid_value"),
        (
            "relationship",
            "Foo",
            "Could not find relationship type",
            "invalid_value",
        ),
        (
            "related_type",
            "Foo",
            "Related object not found.",
            "not_found",
        ),
        (
            "related_type",
            "Domain",
            "Must specify both related_type and related_id or related_md5.",
            "invalid_value",
        ),
        (
            "related_id",
            "x",
            "Must specify both related_type and related_id or related_md5.",
            "invalid_value",
        ),
        ("ip_type", "IPv9", "Invalid IP type.", "invalid_value"),
        (
            "source",
            "Partner",
            "User does not have permission to add object using source Partner.",
            "forbidden",
        ),
        (
            "source",
            "Nobody",
            "User does not have permission to add object using source Nobody.",
            "forbidden",
        ),
    ] {
        let mut sent = vec![("domain", "a.example"), ("source", "OSINT")];
        sent.push((name, value));
        let (text, error) = refused(create_as(&fixture, "alice", "Domain", &form(&sent)).await);
        assert_eq!(
            (text.as_str(), error["code"].as_str().unwrap()),
            (message, code),
            "{name}={value}"
        );
    }
}

#[tokio::test]
async fn create_1_5_when_the_permission_is_checked() {
    let fixture = Fixture::new().await;
    let no = json!({"code": "forbidden", "permission": "Domain.write"});
    let sent = form(&[("domain", "a.example"), ("source", "OSINT")]);
    assert_eq!(
        refused(create_as(&fixture, "carol", "Domain", &sent).await),
        (
            "User does not have permission to create Object.".to_owned(),
            no
        )
    );
    assert_eq!(
        refused(create_as(&fixture, "carol", "Domain", &form(&[])).await).0,
        "Need a Domain Name."
    );
    assert_eq!(
        refused(create_as(&fixture, "carol", "Event", &form(&[])).await).1["permission"],
        json!("Event.write")
    );
    assert_eq!(
        refused(create_as(&fixture, "carol", "ActorIdentifier", &form(&[])).await).1["permission"],
        json!("Actor.actor_identifiers_add")
    );
}

#[tokio::test]
async fn create_3_4_dates_are_read_leniently() {
    let fixture = Fixture::new().await;
    let sent = |date: &str| form(&[("title", "T"), ("source", "OSINT"), ("date", date)]);
    let checked = create_as(&fixture, "alice", "Event", &sent("Jan 2, 2020"))
        .await
        .unwrap();
    assert_eq!(
        shown(&checked)["date"],
        json!({"$date": 1_577_923_200_000_i64})
    );
    assert_eq!(
        shown(
            &create_as(&fixture, "alice", "Event", &sent(""))
                .await
                .unwrap()
        )["date"],
        json!({"$date": NOW})
    );
    let (message, error) = refused(create_as(&fixture, "alice", "Event", &sent("soon")).await);
    assert_eq!(
        (message.as_str(), error),
        (
            "Invalid date: soon.",
            json!({"code": "invalid_date", "argument": "date"})
        )
    );
}

#[tokio::test]
async fn database_managed_sets_are_looked_up() {
    let fixture = Fixture::new().await;
    let identifier = |kind: &str| form(&[("identifier_type", kind), ("source", "OSINT")]);
    assert_eq!(
        refused(
            create_as(
                &fixture,
                "alice",
                "ActorIdentifier",
                &identifier("Shoe Size")
            )
            .await
        )
        .0,
        "Unknown Identifier Type"
    );
    create_as(
        &fixture,
        "alice",
        "ActorIdentifier",
        &identifier(" Email Address "),
    )
    .await
    .unwrap();

    let campaigns = [("Example Bear", "on"), ("Old Bear", "off")].map(|(name, active)| {
        crate::store::Write::Insert {
            collection: "campaigns".into(),
            body: bson::doc! {"_id": bson::oid::ObjectId::new(), "name": name, "active": active},
        }
    });
    fixture
        .store()
        .commit(crate::store::WriteSet {
            writes: campaigns.to_vec(),
            ..Default::default()
        })
        .await
        .unwrap();
    let event =
        |campaign: &str| form(&[("title", "T"), ("source", "OSINT"), ("campaign", campaign)]);
    let checked = create_as(&fixture, "alice", "Event", &event("example bear"))
        .await
        .unwrap();
    assert_eq!(shown(&checked)["campaign"], json!("Example Bear"));
    for unknown in ["Old Bear", "Fox", "Example.Bear"] {
        let (message, _) = refused(create_as(&fixture, "alice", "Event", &event(unknown)).await);
        assert_eq!(message, format!("{unknown} is not a valid campaign."));
    }
}

#[tokio::test]
async fn create_1_1_a_text_is_accepted_as_a_file() {
    let fixture = Fixture::new().await;
    let checked = create_as(
        &fixture,
        "alice",
        "Sample",
        &form(&[("filedata", "MZ"), ("source", "OSINT")]),
    )
    .await
    .unwrap();
    assert_eq!(shown(&checked)["filedata"], json!({"file": 1}));
    assert_eq!(
        (checked.files[0].1.name.as_str(), checked.files[0].1.size),
        ("unknown", 2)
    );
    let staged = Arc::clone(&checked.files[0].1);
    let sent = vec![
        ("filedata".to_owned(), Param::File(Arc::clone(&staged))),
        ("source".to_owned(), Param::File(staged)),
    ];
    let (message, error) = refused(create_as(&fixture, "alice", "Sample", &sent).await);
    assert_eq!(message, "Argument 'source' can't be a file.");
    assert_eq!(
        error,
        json!({"code": "invalid_type", "argument": "source", "expected": "string"})
    );
    let number = params(&json!({"filedata": 5, "source": "OSINT"}));
    assert_eq!(
        refused(create_as(&fixture, "alice", "Sample", &number).await).0,
        "Expected filehandle, got string."
    );
}

/// create.md 5.6, R5: the flag of the type that an argument names.
#[tokio::test]
async fn r5_a_permission_may_depend_on_an_argument() {
    let fixture = Fixture::new().await;
    assert_eq!(
        refused(
            create_as(
                &fixture,
                "carol",
                "Note",
                &form(&[("object_type", "domains")])
            )
            .await
        ),
        (
            "No notes on Domain.".to_owned(),
            json!({"code": "forbidden", "permission": "Domain.notes_add"})
        )
    );
    let sent = form(&[("object_type", "Domain")]);
    assert!(create_as(&fixture, "alice", "Note", &sent).await.is_ok());
    // Only top-level objects.
    for other in [
        "ActorIdentifier",
        "Note",
        "NotePart",
        "note_parts",
        "Nonsense",
    ] {
        let sent = form(&[("object_type", other)]);
        let (text, _) = refused(create_as(&fixture, "alice", "Note", &sent).await);
        assert_eq!(text, "No such type.", "{other}");
    }
}

#[tokio::test]
async fn create_1_5_a_plugin_may_check_the_permission_itself() {
    let fixture = Fixture::new().await;
    let checked = create_as(&fixture, "carol", "Log", &form(&[]))
        .await
        .unwrap();
    let denied = checked.denied.unwrap();
    assert_eq!(denied.error["permission"], json!("Log.write"));
    let checked = create_as(&fixture, "alice", "Log", &form(&[]))
        .await
        .unwrap();
    assert!(checked.denied.is_none());
}
