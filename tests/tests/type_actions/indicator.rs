//! actions.md section 4, its examples of 7.3, and `set_indicator_type` of section 10.

use anyhow::Result;
use critd_tests::{Json, Server, json};

use crate::{Subject, about, about_key, not_found, not_of_type};

pub(crate) const TEN: &str = "2026-01-15 10:00:00.000000";

pub(crate) async fn indicator(server: &Server) -> Result<Subject<'_>> {
    let form = [
        ("type", "Mutex"),
        ("value", "Global\\Bear"),
        ("source", "Alpha"),
    ];
    Subject::post(server, "indicators", "Indicator", &form).await
}

pub(crate) fn add(activity: Json) -> Json {
    json!({"action": "activity_add", "activity": activity})
}

pub(crate) fn update(activity: Json) -> Json {
    json!({"action": "activity_update", "activity": activity})
}

pub(crate) fn remove(date: &str) -> Json {
    json!({"action": "activity_remove", "date": date})
}

#[tokio::test]
async fn actions_7_3_examples_of_indicators() -> Result<()> {
    let server = Server::start().await?;
    let indicator = indicator(&server).await?;
    let posted = add(
        json!({"start_date": "2026-01-14 00:00:00.0", "end_date": "2026-01-15 00:00:00.0", "description": "beacon", "date": "2026-01-15 10:00:00.0"}),
    );
    let mut entry = json!({"analyst": "admin", "start_date": "2026-01-14 00:00:00.000000", "end_date": "2026-01-15 00:00:00.000000", "description": "beacon", "date": TEN});
    assert_eq!(indicator.done(posted, "Activity added.").await?, entry);
    assert_eq!(indicator.read().await?["activity"], json!([entry]));
    let text = "Argument 'start_date' must match %Y-%m-%d %H:%M:%S.%f.";
    let bad = add(json!({"start_date": "x", "description": "b"}));
    indicator
        .refuses(vec![(
            bad,
            text,
            about_key("invalid_date", "activity", "start_date"),
        )])
        .await?;
    let changed = update(json!({"date": "2026-01-15 10:00:00.0", "description": "two beacons"}));
    entry["description"] = json!("two beacons");
    assert_eq!(indicator.done(changed, "Activity updated.").await?, entry);
    let elsewhen = update(json!({"date": "2026-01-15 10:00:01.0", "description": "two beacons"}));
    indicator
        .refuses(vec![(elsewhen, "Activity not found.", not_found())])
        .await?;
    assert_eq!(
        indicator.done(remove(TEN), "Activity removed.").await?,
        entry
    );
    indicator
        .refuses(vec![(remove(TEN), "Activity not found.", not_found())])
        .await?;

    let ci = json!({"action": "ci_update", "ci_type": "impact", "value": "high"});
    let rating = json!({"impact": {"rating": "high", "analyst": "admin"}});
    assert_eq!(indicator.done(ci, "Impact set.").await?, rating);
    let attack = json!({"action": "modify_attack_types", "attack_types": "Phishing, Malware"});
    assert_eq!(
        indicator.done(attack, "Attack types set.").await?,
        json!({"attack_types": ["Phishing", "Malware"]})
    );
    let threat = json!({"action": "modify_threat_types", "threat_types": ["Bad Actor", "Unknown"]});
    assert_eq!(
        indicator.done(threat, "Threat types set.").await?,
        json!({"threat_types": ["Bad Actor"]})
    );
    let one = json!({"action": "set_indicator_attack_type", "attack_type": "Targeted"});
    assert_eq!(
        indicator.done(one, "Attack types set.").await?,
        json!({"attack_types": ["Targeted"]})
    );
    indicator
        .refuses(vec![
            (
                json!({"action": "ci_update", "ci_type": "foo", "value": "high"}),
                "Invalid CI type",
                about("invalid_value", "ci_type"),
            ),
            (
                json!({"action": "ci_update", "ci_type": "impact", "value": "MAX"}),
                "Invalid impact: MAX.",
                about("invalid_value", "value"),
            ),
            (
                json!({"action": "modify_attack_types", "attack_types": ["Nope"]}),
                "Not a valid Attack Type: Nope",
                about("invalid_value", "attack_types"),
            ),
            (
                json!({"action": "set_indicator_threat_type", "threat_type": "Nope"}),
                "Not a valid Threat Type: Nope",
                about("invalid_value", "threat_type"),
            ),
        ])
        .await
}

/// Ratings may be lowered; an equal one remains that of whoever gave it.
#[tokio::test]
async fn ci_update_1_ci_update_3_ratings_also_fall_and_equal_ones_stay() -> Result<()> {
    let server = Server::start().await?;
    let indicator = indicator(&server).await?;
    let bob = server.add_user(
        "bob",
        &[
            "Indicator.read",
            "Indicator.confidence_edit",
            "Indicator.impact_edit",
        ],
        &[("Alpha", &["--read", "--tlp", "red,amber,green"])],
    )?;
    let ci = |ci_type: &str, value: &str| json!({"action": "ci_update", "ci_type": ci_type, "value": value});
    for value in ["high", "benign", "unknown", "medium"] {
        let object = indicator
            .done(ci("confidence", value), "Confidence set.")
            .await?;
        assert_eq!(
            object,
            json!({"confidence": {"rating": value, "analyst": "admin"}})
        );
    }
    let same = indicator
        .patch_as(&bob, &ci("Confidence", " Medium "))
        .await?;
    assert_eq!(
        same["object"],
        json!({"confidence": {"rating": "medium", "analyst": "admin"}})
    );
    indicator
        .idle(ci("confidence", "medium"), "Confidence set.")
        .await?;
    let lower = indicator.patch_as(&bob, &ci("confidence", "low")).await?;
    assert_eq!(
        lower["object"],
        json!({"confidence": {"rating": "low", "analyst": "bob"}})
    );
    let document = indicator.read().await?;
    assert_eq!(
        (&document["confidence"], &document["impact"]["rating"]),
        (
            &json!({"rating": "low", "analyst": "bob"}),
            &json!("unknown")
        )
    );
    Ok(())
}

/// P11a: the indicator's own value is no argument. The flag depends on `ci_type`, which is looked at first (ACT-4).
#[tokio::test]
async fn act_4_ci_update_2_ci_update_4_the_type_decides_flag_and_texts() -> Result<()> {
    let server = Server::start().await?;
    let indicator = indicator(&server).await?;
    let ci = |ci_type: Json, value: Json| json!({"action": "ci_update", "ci_type": ci_type, "value": value});
    let missing = "Missing required argument 'value' for action 'ci_update'.";
    indicator
        .refuses(vec![
            (
                json!({"action": "ci_update", "ci_type": "impact"}),
                missing,
                about("missing_argument", "value"),
            ),
            (
                json!({"action": "ci_update", "value": "high"}),
                "Missing required argument 'ci_type' for action 'ci_update'.",
                about("missing_argument", "ci_type"),
            ),
            (
                ci(json!("confidence"), json!("sure")),
                "Invalid confidence: sure.",
                about("invalid_value", "value"),
            ),
            (
                ci(json!("IMPACT"), json!("{ci_type}")),
                "Invalid impact: {ci_type}.",
                about("invalid_value", "value"),
            ),
            (
                ci(json!("impact"), json!("")),
                "Invalid impact: .",
                about("invalid_value", "value"),
            ),
            (
                ci(json!("impact"), json!(["high"])),
                "Argument 'value' must be a string.",
                not_of_type("value", "string"),
            ),
            (
                ci(json!(["impact"]), json!("high")),
                "Argument 'ci_type' must be a string.",
                not_of_type("ci_type", "string"),
            ),
        ])
        .await?;
    let user = server.add_user(
        "weak",
        &["Indicator.read", "Indicator.impact_edit"],
        &[("Alpha", &["--read", "--tlp", "red,amber,green"])],
    )?;
    for (body, message, error) in [
        (
            ci(json!("foo"), json!("high")),
            "Invalid CI type",
            about("invalid_value", "ci_type"),
        ),
        (
            ci(json!("confidence"), json!("MAX")),
            "User does not have permission to edit confidence.",
            json!({"code": "forbidden", "permission": "Indicator.confidence_edit"}),
        ),
        (
            ci(json!("impact"), json!("MAX")),
            "Invalid impact: MAX.",
            about("invalid_value", "value"),
        ),
    ] {
        let answer = indicator.patch_as(&user, &body).await?;
        assert_eq!(
            (answer["message"].as_str(), &answer["error"]),
            (Some(message), &error),
            "{body}"
        );
    }
    Ok(())
}

/// The whole list is replaced; a set, in which `Unknown` stands alone or not at all.
#[tokio::test]
async fn modify_types_1_modify_types_2_lists_are_sets() -> Result<()> {
    let server = Server::start().await?;
    let indicator = indicator(&server).await?;
    let attack = |kinds: Json| json!({"action": "modify_attack_types", "attack_types": kinds});
    for (given, expected) in [
        (
            json!(["Phishing", " Malware ", "Phishing"]),
            json!(["Phishing", "Malware"]),
        ),
        (json!([]), json!(["Unknown"])),
        (json!("unknown,phishing"), json!(["Phishing"])),
        (json!(""), json!(["Unknown"])),
    ] {
        let object = indicator
            .done(attack(given.clone()), "Attack types set.")
            .await?;
        assert_eq!(object, json!({"attack_types": expected}), "{given}");
        assert_eq!(indicator.read().await?["attack_types"], expected, "{given}");
    }
    indicator
        .idle(attack(json!(["Unknown"])), "Attack types set.")
        .await?;
    indicator
        .idle(
            json!({"action": "modify_threat_types", "threat_types": "Unknown"}),
            "Threat types set.",
        )
        .await?;
    indicator
        .refuses(vec![
            (
                attack(json!(["Phishing", "Nope", "Never"])),
                "Not a valid Attack Type: Nope",
                about("invalid_value", "attack_types"),
            ),
            (
                json!({"action": "modify_threat_types", "threat_types": "Phishing"}),
                "Not a valid Threat Type: Phishing",
                about("invalid_value", "threat_types"),
            ),
            (
                json!({"action": "modify_threat_types"}),
                "Missing required argument 'threat_types' for action 'modify_threat_types'.",
                about("missing_argument", "threat_types"),
            ),
            (
                attack(json!({"a": 1})),
                "Argument 'attack_types' must be a list of strings.",
                not_of_type("attack_types", "list of strings"),
            ),
        ])
        .await
}

/// One instead of all; the plural name is accepted, and repeating it is no duplicate.
#[tokio::test]
async fn set_type_1_set_type_2_one_instead_of_all() -> Result<()> {
    let server = Server::start().await?;
    let indicator = indicator(&server).await?;
    indicator
        .done(
            json!({"action": "modify_threat_types", "threat_types": "Bad Actor, Malicious URL"}),
            "Threat types set.",
        )
        .await?;
    let set = json!({"action": "set_indicator_threat_type", "threat_type": " malicious url"});
    let object = indicator.done(set.clone(), "Threat types set.").await?;
    assert_eq!(object, json!({"threat_types": ["Malicious URL"]}));
    indicator.idle(set, "Threat types set.").await?;
    indicator
        .done(
            json!({"action": "set_indicator_threat_type", "threat_types": "Bad Actor"}),
            "Threat types set.",
        )
        .await?;
    indicator
        .done(
            json!({"action": "set_indicator_attack_type", "attack_types": "Phishing"}),
            "Attack types set.",
        )
        .await?;
    let document = indicator.read().await?;
    assert_eq!(
        (&document["threat_types"], &document["attack_types"]),
        (&json!(["Bad Actor"]), &json!(["Phishing"]))
    );
    indicator
        .refuses(vec![
            (
                json!({"action": "set_indicator_attack_type", "attack_type": "Phishing, Malware"}),
                "Not a valid Attack Type: Phishing, Malware",
                about("invalid_value", "attack_type"),
            ),
            (
                json!({"action": "set_indicator_attack_type"}),
                "Missing required argument 'attack_type' for action 'set_indicator_attack_type'.",
                about("missing_argument", "attack_type"),
            ),
            (
                json!({"action": "set_indicator_threat_type", "threat_type": ["Bad Actor"]}),
                "Argument 'threat_type' must be a string.",
                not_of_type("threat_type", "string"),
            ),
        ])
        .await
}

#[tokio::test]
async fn p13_5_modify_types_3_each_action_of_indicators_has_its_flag() -> Result<()> {
    let server = Server::start().await?;
    let indicator = indicator(&server).await?;
    let attack = "User does not have permission to edit attack type.";
    let threat = "User does not have permission to edit threat type.";
    indicator
        .guards(vec![
            (
                add(json!({"description": "d", "date": TEN})),
                "User does not have permission to add activity.",
                "Indicator.activity_add",
            ),
            (
                update(json!({"date": TEN, "description": "e"})),
                "User does not have permission to edit activity.",
                "Indicator.activity_edit",
            ),
            (
                remove(TEN),
                "User does not have permission to delete activity.",
                "Indicator.activity_delete",
            ),
            (
                json!({"action": "ci_update", "ci_type": "confidence", "value": "low"}),
                "User does not have permission to edit confidence.",
                "Indicator.confidence_edit",
            ),
            (
                json!({"action": "ci_update", "ci_type": "impact", "value": "low"}),
                "User does not have permission to edit impact.",
                "Indicator.impact_edit",
            ),
            (
                json!({"action": "modify_attack_types", "attack_types": "Phishing"}),
                attack,
                "Indicator.attack_type_edit",
            ),
            (
                json!({"action": "set_indicator_attack_type", "attack_type": "Phishing"}),
                attack,
                "Indicator.attack_type_edit",
            ),
            (
                json!({"action": "modify_threat_types", "threat_types": "Bad Actor"}),
                threat,
                "Indicator.threat_type_edit",
            ),
            (
                json!({"action": "set_indicator_threat_type", "threat_type": "Bad Actor"}),
                threat,
                "Indicator.threat_type_edit",
            ),
            (
                json!({"action": "set_indicator_type", "type": "Company name"}),
                "User does not have permission to edit type.",
                "Indicator.type_edit",
            ),
        ])
        .await
}

/// The value must be one of the new type, and no other indicator may have both, seen or not.
#[tokio::test]
async fn set_indicator_type_checks_the_value_and_the_key() -> Result<()> {
    let server = Server::start().await?;
    let form = [
        ("type", "Company name"),
        ("value", "010.1.2.3"),
        ("source", "Alpha"),
    ];
    let address = Subject::post(&server, "indicators", "Indicator", &form).await?;
    let form = [("type", "Mutex"), ("value", "BEAR"), ("source", "Beta")];
    let hidden = Subject::post(&server, "indicators", "Indicator", &form).await?;
    let form = [
        ("type", "Company name"),
        ("value", "Bear"),
        ("source", "Alpha"),
    ];
    let word = Subject::post(&server, "indicators", "Indicator", &form).await?;
    let set = |kind: &str| json!({"action": "set_indicator_type", "type": kind});
    let object = address.done(set("ipv4 address"), "Type set.").await?;
    assert_eq!(object, json!({"type": "IPv4 Address", "value": "10.1.2.3"}));
    let document = address.read().await?;
    assert_eq!(
        (&document["type"], &document["value"], &document["lower"]),
        (
            &json!("IPv4 Address"),
            &json!("10.1.2.3"),
            &json!("10.1.2.3")
        )
    );
    address.idle(set("IPv4 Address"), "Type set.").await?;
    word.refuses(vec![
        (
            set("Shoe Size"),
            "Not a valid Indicator Type: Shoe Size",
            about("invalid_value", "type"),
        ),
        (
            set("IPv4 Address"),
            "Invalid IPv4 address",
            about("invalid_value", "type"),
        ),
        (
            set("Email Address"),
            "Email address must contain an '@'",
            about("invalid_value", "type"),
        ),
        (
            set("Mutex"),
            "An indicator of type 'Mutex' with this value already exists.",
            json!({"code": "conflict"}),
        ),
        (
            json!({"action": "set_indicator_type"}),
            "Missing required argument 'type' for action 'set_indicator_type'.",
            about("missing_argument", "type"),
        ),
    ])
    .await?;
    let bob = server.add_user(
        "bob",
        &["Indicator.read", "Indicator.type_edit"],
        &[("Alpha", &["--read", "--tlp", "red,amber,green"])],
    )?;
    let refused = word.patch_as(&bob, &set("Mutex")).await?;
    assert_eq!(refused["error"], json!({"code": "conflict"}), "{refused}");
    assert!(!refused.to_string().contains(hidden.id()), "{refused}");
    // A digest that can't be one is stored all the same, with a warning, as by a POST.
    let odd = word.patch(&set("MD5")).await?;
    assert_eq!(
        (&odd["return_code"], &odd["warnings"]),
        (
            &json!(0),
            &json!(["The value is stored, but the MD5 digest needs to be 32 hex characters."])
        )
    );
    Ok(())
}
