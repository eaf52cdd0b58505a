//! actions.md section 3, and its examples of 7.3.

use anyhow::Result;
use critd_tests::{Json, Server, json};

use crate::{Subject, about, not_found, not_of_type};

pub(crate) const NOT_ATTRIBUTED: &str =
    "Invalid data submitted or identifier is already attributed.";
const NOBODY: &str = "0123456789abcdef01234567";

pub(crate) async fn actor(server: &Server) -> Result<Subject<'_>> {
    let form = [("name", "Bear"), ("source", "Alpha")];
    Subject::post(server, "actors", "Actor", &form).await
}

pub(crate) async fn identifier(
    server: &Server,
    kind: &str,
    value: &str,
    source: &str,
) -> Result<String> {
    let form = [
        ("identifier_type", kind),
        ("identifier", value),
        ("source", source),
    ];
    server
        .post("/api/v1/actoridentifiers/", &form)
        .await?
        .created_id()
}

fn tags(tag_type: &str, tags: Json) -> Json {
    json!({"action": "update_actor_tags", "tag_type": tag_type, "tags": tags})
}

#[tokio::test]
async fn actions_7_3_examples_of_actors() -> Result<()> {
    let server = Server::start().await?;
    let actor = actor(&server).await?;
    let known = identifier(&server, "Handle", "h1", "Alpha").await?;
    let object = actor
        .done(
            tags("ActorMotivation", json!(["Ego", "Political"])),
            "Tags updated.",
        )
        .await?;
    assert_eq!(object, json!({"motivations": ["Ego", "Political"]}));
    actor
        .refuses(vec![(
            tags("ActorMotivation", json!(["Fun"])),
            "Invalid value for ActorMotivation: Fun.",
            about("invalid_value", "tags"),
        )])
        .await?;

    let attribute = json!({"action": "attribute_actor_identifier", "identifier_type": "Handle", "identifier": "h1", "confidence": "medium"});
    let entry = actor
        .done(attribute.clone(), "Identifier attributed.")
        .await?;
    assert_eq!(
        entry,
        json!({"identifier_id": known, "confidence": "medium", "analyst": "admin", "date": entry["date"]})
    );
    assert_eq!(entry["date"].as_str().map(str::len), Some(26));
    actor
        .refuses(vec![(
            attribute,
            NOT_ATTRIBUTED,
            json!({"code": "already_exists"}),
        )])
        .await?;
    let mut changed = entry.clone();
    changed["confidence"] = json!("high");
    let set =
        json!({"action": "set_identifier_confidence", "identifier": known, "confidence": "high"});
    assert_eq!(actor.done(set, "Confidence set.").await?, changed);
    assert_eq!(actor.read().await?["identifiers"], json!([changed]));
    actor
        .refuses(vec![(
            json!({"action": "set_identifier_confidence", "identifier": NOBODY, "confidence": "high"}),
            "Identifier not found.",
            not_found(),
        )])
        .await?;
    let remove = json!({"action": "remove_attribution", "identifier": known});
    assert_eq!(
        actor.done(remove.clone(), "Attribution removed.").await?,
        changed
    );
    actor
        .refuses(vec![(remove, "Identifier not found.", not_found())])
        .await?;

    let name = actor
        .done(
            json!({"action": "set_actor_name", "name": " New "}),
            "Name set.",
        )
        .await?;
    assert_eq!(name, json!({"name": "New"}));
    actor
        .refuses(vec![(
            json!({"action": "set_actor_name", "name": ""}),
            "Argument 'name' must not be empty.",
            about("invalid_value", "name"),
        )])
        .await?;
    let aliases = json!({"action": "update_actor_aliases", "aliases": "x, y ,,z"});
    assert_eq!(
        actor.done(aliases, "Aliases updated.").await?,
        json!({"aliases": ["x", "y", "z"]})
    );
    actor
        .refuses(vec![(
            json!({"action": "update_actor_aliases", "aliases": {"x": "y"}}),
            "Argument 'aliases' must be a list of strings.",
            not_of_type("aliases", "list of strings"),
        )])
        .await
}

/// The whole list is replaced, also by a longer one; `mode` for the other two wishes. Each type has a list of its own.
#[tokio::test]
async fn update_actor_tags_1_replaces_adds_and_removes() -> Result<()> {
    let server = Server::start().await?;
    let actor = actor(&server).await?;
    let rows = [
        (
            "ActorMotivation",
            json!("Military"),
            None,
            json!(["Military"]),
        ),
        (
            "ActorMotivation",
            json!(["Ego", "Political"]),
            None,
            json!(["Ego", "Political"]),
        ),
        (
            "ActorMotivation",
            json!("Religious, Ego"),
            Some("add"),
            json!(["Ego", "Political", "Religious"]),
        ),
        (
            "ActorMotivation",
            json!(["Ego", "Military"]),
            Some("remove"),
            json!(["Political", "Religious"]),
        ),
        (
            "ActorThreatType",
            json!("Disgruntled Customer / User"),
            None,
            json!(["Disgruntled Customer / User"]),
        ),
        (
            "ActorSophistication",
            json!(["Expert"]),
            Some("add"),
            json!(["Expert"]),
        ),
        (
            "ActorIntendedEffect",
            json!(["Fraud", "Harassment"]),
            Some("replace"),
            json!(["Fraud", "Harassment"]),
        ),
        ("ActorIntendedEffect", json!([]), None, json!([])),
    ];
    for (tag_type, given, mode, expected) in rows {
        let mut body = tags(tag_type, given);
        if let Some(mode) = mode {
            body["mode"] = json!(mode);
        }
        let object = actor.done(body.clone(), "Tags updated.").await?;
        let list = match tag_type {
            "ActorThreatType" => "threat_types",
            "ActorMotivation" => "motivations",
            "ActorSophistication" => "sophistications",
            _ => "intended_effects",
        };
        assert_eq!(object, json!({ list: expected }), "{body}");
        assert_eq!(actor.read().await?[list], expected, "{body}");
    }
    let document = actor.read().await?;
    assert_eq!(
        [
            &document["motivations"],
            &document["threat_types"],
            &document["sophistications"]
        ],
        [
            &json!(["Political", "Religious"]),
            &json!(["Disgruntled Customer / User"]),
            &json!(["Expert"])
        ]
    );
    // ACT-11: blanks and repetitions go, and so do differences in letter case.
    let object = actor
        .done(
            tags("ActorMotivation", json!("ego, ,Ego , MILITARY")),
            "Tags updated.",
        )
        .await?;
    assert_eq!(object, json!({"motivations": ["Ego", "Military"]}));
    // 9.2: a second time.
    actor
        .idle(
            tags("ActorMotivation", json!(["Ego", "Military"])),
            "Tags updated.",
        )
        .await?;
    Ok(())
}

#[tokio::test]
async fn update_actor_tags_2_values_are_checked() -> Result<()> {
    let server = Server::start().await?;
    let actor = actor(&server).await?;
    let missing =
        |name: &str| format!("Missing required argument '{name}' for action 'update_actor_tags'.");
    let (no_type, no_tags) = (missing("tag_type").leak(), missing("tags").leak());
    let mut bad_mode = tags("ActorMotivation", json!(["Ego"]));
    bad_mode["mode"] = json!("toggle");
    actor
        .refuses(vec![
            (
                tags("ActorMood", json!(["Ego"])),
                "Invalid tag type: ActorMood.",
                about("invalid_value", "tag_type"),
            ),
            (
                json!({"action": "update_actor_tags", "tags": ["Ego"]}),
                no_type,
                about("missing_argument", "tag_type"),
            ),
            (
                json!({"action": "update_actor_tags", "tag_type": "ActorMotivation"}),
                no_tags,
                about("missing_argument", "tags"),
            ),
            (
                tags("ActorMotivation", json!(null)),
                no_tags,
                about("missing_argument", "tags"),
            ),
            // A value of another type's vocabulary.
            (
                tags("ActorThreatType", json!("Ego")),
                "Invalid value for ActorThreatType: Ego.",
                about("invalid_value", "tags"),
            ),
            (
                tags("ActorMotivation", json!(["Ego", "Fun", "Joy"])),
                "Invalid value for ActorMotivation: Fun.",
                about("invalid_value", "tags"),
            ),
            (
                tags("ActorMotivation", json!([["Ego"]])),
                "Argument 'tags' must be a list of strings.",
                not_of_type("tags", "list of strings"),
            ),
            (
                bad_mode,
                "Invalid mode: toggle.",
                about("invalid_value", "mode"),
            ),
        ])
        .await
}

/// The flag depends on the type of tags, which is therefore looked at first, and all else after it.
#[tokio::test]
async fn act_4_update_actor_tags_3_the_tag_type_decides_the_flag() -> Result<()> {
    let server = Server::start().await?;
    let actor = actor(&server).await?;
    let user = server.add_user(
        "weak",
        &["Actor.read", "Actor.motivations_edit"],
        &[("Alpha", &["--read", "--tlp", "red,amber,green"])],
    )?;
    let text = "User does not have permission to modify tag.";
    for (body, message, error) in [
        (
            tags("ActorMood", json!(["Fun"])),
            "Invalid tag type: ActorMood.",
            about("invalid_value", "tag_type"),
        ),
        (
            tags("ActorThreatType", json!(["Fun"])),
            text,
            json!({"code": "forbidden", "permission": "Actor.threat_types_edit"}),
        ),
        (
            tags("actorsophistication", json!({})),
            text,
            json!({"code": "forbidden", "permission": "Actor.sophistications_edit"}),
        ),
        (
            tags("ActorIntendedEffect", json!(["Fraud"])),
            text,
            json!({"code": "forbidden", "permission": "Actor.intended_effects_edit"}),
        ),
        (
            tags("ActorMotivation", json!(["Fun"])),
            "Invalid value for ActorMotivation: Fun.",
            about("invalid_value", "tags"),
        ),
    ] {
        let answer = actor.patch_as(&user, &body).await?;
        assert_eq!(
            (answer["message"].as_str(), &answer["error"]),
            (Some(message), &error),
            "{body}"
        );
    }
    let answer = actor
        .patch_as(&user, &tags("ActorMotivation", json!(["Ego"])))
        .await?;
    assert_eq!(answer["return_code"], 0, "{answer}");
    Ok(())
}

/// Names are unique, also among actors that the caller can't see; nobody learns more of those than that.
#[tokio::test]
async fn set_actor_name_1_2_names_are_unique() -> Result<()> {
    let server = Server::start().await?;
    let actor = actor(&server).await?;
    let form = [("name", "Panda"), ("source", "Beta")];
    let hidden = server.post("/api/v1/actors/", &form).await?.created_id()?;
    let bob = server.add_user(
        "bob",
        &["Actor.read", "Actor.name_edit"],
        &[("Alpha", &["--read", "--tlp", "red,amber,green"])],
    )?;
    let rename = |name: &str| json!({"action": "set_actor_name", "name": name});
    assert_eq!(
        server
            .get_as(&bob, &format!("/api/v1/actors/{hidden}/"))
            .await?
            .status,
        404
    );
    let refused = actor.patch_as(&bob, &rename(" Panda")).await?;
    assert_eq!(
        refused,
        json!({"return_code": 1, "type": "Actor", "id": actor.id(), "message": "An Actor named 'Panda' already exists.", "error": {"code": "conflict"}})
    );
    // Exactly that name: letter case counts.
    assert_eq!(
        actor.patch_as(&bob, &rename("panda")).await?["return_code"],
        0
    );
    actor.idle(rename("panda"), "Name set.").await?;
    actor
        .refuses(vec![
            (
                rename(" \t"),
                "Argument 'name' must not be empty.",
                about("invalid_value", "name"),
            ),
            (
                json!({"action": "set_actor_name"}),
                "Missing required argument 'name' for action 'set_actor_name'.",
                about("missing_argument", "name"),
            ),
        ])
        .await?;
    // ACT-11: numbers are texts. A POST finds the actor under its new name.
    assert_eq!(
        actor
            .done(
                json!({"action": "set_actor_name", "name": 1337}),
                "Name set."
            )
            .await?,
        json!({"name": "1337"})
    );
    let posted = server
        .post("/api/v1/actors/", &[("name", "1337"), ("source", "Alpha")])
        .await?;
    assert_eq!(posted.created_id()?, actor.id());
    Ok(())
}

/// Of two actors that are given one name at once, one gets it.
#[tokio::test]
async fn set_actor_name_2_of_two_at_once_one_is_told() -> Result<()> {
    let server = Server::start().await?;
    let first = actor(&server).await?;
    let form = [("name", "Panda"), ("source", "Alpha")];
    let second = Subject::post(&server, "actors", "Actor", &form).await?;
    for round in 0..10 {
        let body = json!({"action": "set_actor_name", "name": format!("Fox {round}")});
        let (one, two) = tokio::join!(first.patch(&body), second.patch(&body));
        let codes = [one?["return_code"].clone(), two?["return_code"].clone()];
        assert!(
            codes == [json!(0), json!(1)] || codes == [json!(1), json!(0)],
            "{codes:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn update_actor_aliases_replaces_adds_and_removes() -> Result<()> {
    let server = Server::start().await?;
    let actor = actor(&server).await?;
    let body = |aliases: Json, mode: Option<&str>| {
        let mut body = json!({"action": "update_actor_aliases", "aliases": aliases});
        if let Some(mode) = mode {
            body["mode"] = json!(mode);
        }
        body
    };
    for (given, mode, expected) in [
        (json!("x, y ,,z"), None, json!(["x", "y", "z"])),
        (json!("q"), None, json!(["q"])),
        (json!(["w"]), None, json!(["w"])),
        (json!(["q", " w ", 7]), Some("add"), json!(["w", "q", "7"])),
        (json!("q"), Some("REMOVE"), json!(["w", "7"])),
        (json!(""), None, json!([])),
    ] {
        let object = actor
            .done(body(given.clone(), mode), "Aliases updated.")
            .await?;
        assert_eq!(object, json!({"aliases": expected}), "{given}");
    }
    for mode in [None, Some("add"), Some("remove")] {
        let given = if mode == Some("remove") {
            json!(["absent"])
        } else {
            json!([])
        };
        actor.idle(body(given, mode), "Aliases updated.").await?;
    }
    actor
        .refuses(vec![
            (
                json!({"action": "update_actor_aliases"}),
                "Missing required argument 'aliases' for action 'update_actor_aliases'.",
                about("missing_argument", "aliases"),
            ),
            (
                body(json!(["a"]), Some("")),
                "Invalid mode: .",
                about("invalid_value", "mode"),
            ),
        ])
        .await
}

#[tokio::test]
async fn p13_5_attribute_actor_identifier_5_set_actor_name_3_each_action_of_actors_has_its_flag()
-> Result<()> {
    let server = Server::start().await?;
    let actor = actor(&server).await?;
    let known = identifier(&server, "Handle", "h1", "Alpha").await?;
    actor
        .guards(vec![
            (
                tags("ActorMotivation", json!(["Ego"])),
                "User does not have permission to modify tag.",
                "Actor.motivations_edit",
            ),
            (
                json!({"action": "attribute_actor_identifier", "identifier_type": "Handle", "identifier": "h1"}),
                "User does not have permission to attribute actor identifier.",
                "Actor.actor_identifiers_add",
            ),
            (
                json!({"action": "set_identifier_confidence", "identifier": known, "confidence": "high"}),
                "User does not have permission to edit identifiers.",
                "Actor.actor_identifiers_edit",
            ),
            (
                json!({"action": "remove_attribution", "identifier": known}),
                "User does not have permission to remove attributed identifier.",
                "Actor.actor_identifiers_delete",
            ),
            (
                json!({"action": "set_actor_name", "name": "Fox"}),
                "User does not have permission to edit name.",
                "Actor.name_edit",
            ),
            (
                json!({"action": "update_actor_aliases", "aliases": "x"}),
                "User does not have permission to edit alias.",
                "Actor.aliases_edit",
            ),
        ])
        .await
}

/// ACT-3: they are actions of actors alone.
#[tokio::test]
async fn act_3_other_types_have_none_of_them() -> Result<()> {
    let server = Server::start().await?;
    let form = [
        ("title", "t"),
        ("event_type", "Phishing"),
        ("description", "d"),
        ("source", "Alpha"),
    ];
    let event = Subject::post(&server, "events", "Event", &form).await?;
    let rows = [
        (
            "update_actor_tags",
            "'update_actor_tags' is not a valid action.",
        ),
        ("set_actor_name", "'set_actor_name' is not a valid action."),
        ("activity_add", "'activity_add' is not a valid action."),
        ("update_title", "'update_title' is not a valid action."),
    ];
    let rows = rows.map(|(action, message)| {
        (
            json!({"action": action}),
            message,
            json!({"code": "unsupported_for_type"}),
        )
    });
    event.refuses(rows.into()).await
}
