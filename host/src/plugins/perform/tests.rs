use serde_json::json;

use super::*;
use crate::plugins::testing::{DONE, Guest, MAKES, Site, TOOLS, anybody, declaration, note_type};
use crate::plugins::{Param, Plugins};

/// A server with the type `Note` and a plugin for each (name, body of `run`), and one note.
struct Noted {
    site: Site,
    plugins: Plugins,
    caller: Arc<Caller>,
    note: ObjectId,
}

impl Noted {
    async fn with(guests: &[(&str, &'static str)]) -> Self {
        let mut manifest = "[plugins.note]\n".to_owned();
        for (name, _) in guests {
            manifest.push_str(&format!(
                "[plugins.{name}]\nlimits = {{ time_ms = 300, memory_mib = 32 }}\n"
            ));
        }
        let site = Site::new(&manifest).await;
        let mut notes = declaration("note", "1.0.0");
        notes["types"] = note_type();
        site.put(
            "note",
            &Guest {
                declaration: notes,
                more: MAKES.0,
                create: MAKES.1,
                ..Guest::default()
            }
            .file(),
        );
        for (name, run) in guests {
            site.put(
                name,
                &Guest {
                    declaration: declaration(name, "1.0.0"),
                    more: TOOLS,
                    run,
                    ..Guest::default()
                }
                .file(),
            );
        }
        let plugins = site.start().await;
        assert_eq!(
            plugins.current().plugins().count(),
            guests.len() + 1,
            "{:#?}",
            plugins.status()
        );
        let caller = anybody();
        let created = create(&plugins, &caller, "first").await.unwrap();
        assert!(created.fresh);
        let (type_name, note) = created.document.unwrap();
        assert_eq!(type_name, "Note");
        Self {
            site,
            plugins,
            caller,
            note,
        }
    }

    async fn perform(&self, action: Option<&str>) -> Result<Performed, NotDone> {
        self.perform_on(self.note, action, Mode::default()).await
    }

    async fn perform_on(
        &self,
        id: ObjectId,
        action: Option<&str>,
        mode: Mode,
    ) -> Result<Performed, NotDone> {
        let registry = self.plugins.current();
        let on = registry.type_named("Note").unwrap().clone();
        self.plugins
            .perform(
                &registry,
                &self.caller,
                &on,
                id,
                action,
                Params::new(),
                mode,
            )
            .await
    }

    async fn description(&self) -> Option<String> {
        let stored = self
            .site
            .services
            .store
            .get("notes", self.note)
            .await
            .unwrap()
            .unwrap();
        stored.body.get_str("description").ok().map(str::to_owned)
    }
}

async fn create(plugins: &Plugins, caller: &Arc<Caller>, title: &str) -> Result<Created, NotDone> {
    let registry = plugins.current();
    let of = registry.type_named("Note").unwrap().clone();
    let params = vec![
        ("title".to_owned(), Param::Text(title.into())),
        ("source".to_owned(), Param::Text("Example".into())),
    ];
    plugins
        .create(&registry, caller, &of, params, Mode::default())
        .await
}

fn refused(result: Result<Performed, NotDone>) -> (String, Json) {
    match result {
        Err(NotDone::Refused(refusal)) => (refusal.message, Json::Object(refusal.error)),
        other => panic!("{other:?}"),
    }
}

fn internal(result: Result<Performed, NotDone>) -> String {
    match result {
        Err(NotDone::Internal(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn act_8_what_a_handler_writes_is_stored_and_a_post_finds_it_again() {
    let noted = Noted::with(&[("writes", "(call $describe_done) (i32.store8 (i32.const 64) (i32.const 0)) (i32.store8 (i32.const 68) (i32.const 0)) (i32.store (i32.const 76) (i32.const 512)) (i32.store (i32.const 80) (i32.const 4)) (i32.store (i32.const 84) (i32.const 0)) (i32.store (i32.const 88) (i32.const 0)) (i32.const 64)")]).await;
    let dry = noted
        .perform_on(
            noted.note,
            Some("writes_act"),
            Mode {
                dry_run: true,
                once: None,
            },
        )
        .await
        .unwrap();
    assert_eq!(
        Json::Object(dry.extra),
        json!({"operations": [{"set": ["description", "done"]}]})
    );
    assert_eq!(noted.description().await, None);
    let performed = noted.perform(Some("writes_act")).await.unwrap();
    assert_eq!(performed.detail, "done");
    assert_eq!(noted.description().await.as_deref(), Some("done"));
    let again = create(&noted.plugins, &noted.caller, "first")
        .await
        .unwrap();
    assert!(!again.fresh);
    assert_eq!(again.document, Some(("Note".into(), noted.note)));
}

#[tokio::test]
async fn act_1_to_3_come_in_this_order() {
    let noted = Noted::with(&[]).await;
    let nowhere = noted
        .perform_on(ObjectId::new(), Some("no_such"), Mode::default())
        .await;
    assert!(matches!(nowhere, Err(NotDone::NoDocument)), "{nowhere:?}");
    let nowhere = noted
        .perform_on(ObjectId::new(), Some("note_act"), Mode::default())
        .await;
    assert!(matches!(nowhere, Err(NotDone::NoDocument)), "{nowhere:?}");
    assert_eq!(
        refused(noted.perform(Some("no_such")).await),
        (
            "'no_such' is not a valid action.".into(),
            json!({"code": "unknown_action"})
        )
    );
    assert_eq!(
        refused(noted.perform(None).await),
        (
            "'None' is not a valid action.".into(),
            json!({"code": "unknown_action"})
        )
    );
}

#[tokio::test]
async fn pl_5_hostile_handlers_are_ended_and_write_nothing() {
    const FLOOD: &str = "(loop (call $say) (br 0)) (unreachable)";
    let noted = Noted::with(&[
        ("endless", "(loop (br 0)) (unreachable)"),
        ("eater", "(loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)"),
        ("deep", "(call $deeper (i32.const 0))"),
        ("panics", "(call $say) (unreachable)"),
        ("flood", FLOOD),
        ("half", "(call $describe_done) (unreachable)"),
        ("asks", "(loop (call $current (i32.const 200)) (br 0)) (unreachable)"),
        ("huge", "(drop (memory.grow (i32.const 320))) (i32.store8 (i32.const 64) (i32.const 0)) (i32.store8 (i32.const 68) (i32.const 0)) (i32.store (i32.const 76) (i32.const 1048576)) (i32.store (i32.const 80) (i32.const 17825792)) (i32.store (i32.const 84) (i32.const 0)) (i32.store (i32.const 88) (i32.const 0)) (i32.const 64)"),
        ("outside", "(i32.store8 (i32.const 64) (i32.const 0)) (i32.store8 (i32.const 68) (i32.const 0)) (i32.store (i32.const 76) (i32.const -16)) (i32.store (i32.const 80) (i32.const 4)) (i32.store (i32.const 84) (i32.const 0)) (i32.store (i32.const 88) (i32.const 0)) (i32.const 64)"),
        ("unknown", "(i32.store8 (i32.const 64) (i32.const 0)) (i32.store8 (i32.const 68) (i32.const 1)) (i32.store (i32.const 72) (i32.const 77)) (i32.store (i32.const 76) (i32.const 512)) (i32.store (i32.const 80) (i32.const 4)) (i32.store (i32.const 84) (i32.const 0)) (i32.store (i32.const 88) (i32.const 0)) (i32.const 64)"),
        ("strange", "(i32.store8 (i32.const 64) (i32.const 9)) (i32.const 64)"),
    ])
    .await;
    for (action, told) in [
        ("endless_act", "the plugin `endless` ran longer than 300 ms"),
        (
            "eater_act",
            "the plugin `eater` wanted more than 32 MiB of memory",
        ),
        (
            "deep_act",
            "the plugin `deep` failed: recursion without end",
        ),
        (
            "panics_act",
            "the plugin `panics` failed: done (wasm trap: wasm `unreachable` instruction executed)",
        ),
        (
            "flood_act",
            "the plugin `flood` used up its budget of log lines",
        ),
        (
            "half_act",
            "the plugin `half` failed: wasm trap: wasm `unreachable` instruction executed",
        ),
        (
            "asks_act",
            "the plugin `asks` used up its budget of host calls",
        ),
        (
            "huge_act",
            "the plugin `huge` used up its budget of bytes of output",
        ),
        ("outside_act", "the plugin `outside` failed: "),
        ("unknown_act", "the plugin `unknown` failed: "),
        ("strange_act", "the plugin `strange` failed: "),
    ] {
        let reason = internal(noted.perform(Some(action)).await);
        assert!(reason.starts_with(told), "{action}: {reason}");
        assert!(
            reason.ends_with(&format!("in `{action}` on Note {}", noted.note)),
            "{action}: {reason}"
        );
        assert_eq!(noted.description().await, None, "{action}");
    }
    assert_eq!(
        noted.perform(Some("note_act")).await.unwrap().detail,
        "done"
    );
}

#[tokio::test]
async fn con_many_changes_of_one_document_all_take_effect() {
    let noted = Noted::with(&[("writes", "(call $describe_done) (i32.store8 (i32.const 64) (i32.const 0)) (i32.store8 (i32.const 68) (i32.const 0)) (i32.store (i32.const 76) (i32.const 512)) (i32.store (i32.const 80) (i32.const 4)) (i32.store (i32.const 84) (i32.const 0)) (i32.store (i32.const 88) (i32.const 0)) (i32.const 64)")]).await;
    let all = futures_util::future::join_all((0..40).map(|turn| {
        let noted = &noted;
        async move {
            match turn % 2 {
                0 => noted.perform(Some("writes_act")).await.map(|_| ()),
                _ => create(&noted.plugins, &noted.caller, "first")
                    .await
                    .map(|_| ()),
            }
        }
    }))
    .await;
    for done in all {
        done.unwrap();
    }
}

#[test]
fn pl_10_extra_can_not_say_what_the_host_says() {
    let settled = |extra: &str| Settled {
        outcome: Outcome {
            extra: extra.into(),
            ..Outcome::default()
        },
        concerned: None,
        warnings: Vec::new(),
        operations: None,
        changed: Vec::new(),
        made: Vec::new(),
        is_repeated: false,
    };
    let wrong = |extra: &str| match extra_of(&settled(extra), "p") {
        Err(NotDone::Internal(reason)) => reason,
        other => panic!("{other:?}"),
    };
    for key in OWN_KEYS {
        assert_eq!(
            wrong(&format!("{{\"{key}\": 0}}")),
            format!(
                "the plugin `p` gave a wrong answer: `extra` has the key `{key}`, which is the host's"
            )
        );
    }
    assert_eq!(
        wrong("[]"),
        "the plugin `p` gave a wrong answer: `extra` is no JSON object"
    );
    assert_eq!(
        wrong("{"),
        "the plugin `p` gave a wrong answer: `extra` is no JSON: EOF while parsing an object at line 1 column 1"
    );
    assert_eq!(
        wrong(r#"{"warnings": 1}"#),
        "the plugin `p` gave a wrong answer: `warnings` is no list of texts"
    );
    let (extra, warnings) = extra_of(&settled(r#"{"object": 1, "warnings": ["w"]}"#), "p").unwrap();
    assert_eq!(
        (Json::Object(extra), warnings),
        (json!({"object": 1}), vec!["w".to_owned()])
    );
    assert!(!DONE.is_empty());
}

#[test]
fn codes_of_refusals_are_words() {
    let plugin = Loaded {
        declaration: Arc::new(
            crate::plugins::declaration::Declaration::read(&declaration("p", "1.0.0").to_string())
                .unwrap(),
        ),
        text: "".into(),
        sha256: String::new(),
        limits: crate::plugins::Limits::default(),
        service_limits: crate::plugins::Limits::OF_SERVICES,
        code: None,
    };
    let of = crate::plugins::Registry::of_declarations([{
        let mut notes = declaration("note", "1.0.0");
        notes["types"] = note_type();
        crate::plugins::declaration::Declaration::read(&notes.to_string()).unwrap()
    }])
    .unwrap();
    let job = Job::Create {
        of: of.type_named("Note").unwrap().clone(),
        denied: None,
    };
    match super::refused(
        Fault::Refused("Not A Word".into(), "text".into()),
        &plugin,
        &job,
    ) {
        NotDone::Internal(reason) => {
            assert_eq!(
                reason,
                "the plugin `p` refused with the code \"Not A Word\", which is no word of a-z and _, in the POST of Note"
            );
        }
        other => panic!("{other:?}"),
    }
    match super::refused(Fault::Missing(" ".into()), &plugin, &job) {
        NotDone::Refused(refusal) => assert_eq!(refusal.message, "The request was refused."),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_change_is_not_stored_long_after_the_time_it_carries() {
    assert!(!is_overdue(5, 5 + LONGEST_CHANGE) && !is_overdue(5, 0));
    assert!(is_overdue(5, 6 + LONGEST_CHANGE));
}
