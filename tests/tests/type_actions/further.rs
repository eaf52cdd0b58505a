//! Actions of the other types (actions.md section 10, "next in line").

use anyhow::Result;
use critd_tests::{Json, Server, json};

use crate::{Subject, about, not_of_type};

const READ: &[&str] = &["--read", "--tlp", "red,amber,green"];
const MD5: &str = "0123456789abcdef0123456789abcdef";

async fn sample(server: &Server) -> Result<Subject<'_>> {
    let form = [
        ("upload_type", "metadata"),
        ("md5", MD5),
        ("filename", "a.exe"),
        ("source", "Alpha"),
    ];
    Subject::post(server, "samples", "Sample", &form).await
}

async fn backdoor<'a>(
    server: &'a Server,
    name: &str,
    version: &str,
    source: &str,
) -> Result<Subject<'a>> {
    let form = [("name", name), ("version", version), ("source", source)];
    Subject::post(server, "backdoors", "Backdoor", &form).await
}

#[tokio::test]
async fn update_sample_filename_sets_the_name() -> Result<()> {
    let server = Server::start().await?;
    let sample = sample(&server).await?;
    let set = |name: Json| json!({"action": "update_sample_filename", "filename": name});
    for (given, stored) in [
        (json!(" invoice.exe "), "invoice.exe"),
        (json!(7), "7"),
        (json!("a\u{7}b, c"), "ab, c"),
    ] {
        let object = sample.done(set(given), "Filename set.").await?;
        assert_eq!(object, json!({ "filename": stored }));
        assert_eq!(sample.read().await?["filename"], stored);
    }
    sample.idle(set(json!("ab, c")), "Filename set.").await?;
    sample
        .refuses(vec![
            (
                set(json!("")),
                "Argument 'filename' must not be empty.",
                about("invalid_value", "filename"),
            ),
            (
                set(json!({})),
                "Argument 'filename' must be a string.",
                not_of_type("filename", "string"),
            ),
            (
                json!({"action": "update_sample_filename"}),
                "Missing required argument 'filename' for action 'update_sample_filename'.",
                about("missing_argument", "filename"),
            ),
        ])
        .await
}

/// Adding, removing and replacing; the flag depends on which (ACT-4), and replacing is both.
#[tokio::test]
async fn modify_sample_filenames_adds_removes_and_replaces() -> Result<()> {
    let server = Server::start().await?;
    let sample = sample(&server).await?;
    let body = |names: Json, mode: Option<&str>| {
        let mut body = json!({"action": "modify_sample_filenames", "filenames": names});
        if let Some(mode) = mode {
            body["mode"] = json!(mode);
        }
        body
    };
    let before: Vec<Json> = sample.read().await?["filenames"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    assert!(before.is_empty(), "{before:?}");
    for (given, mode, expected) in [
        (
            json!("b.exe, c.exe,,b.exe"),
            None,
            json!(["b.exe", "c.exe"]),
        ),
        (
            json!(["c.exe", "d, e.exe"]),
            Some("add"),
            json!(["b.exe", "c.exe", "d, e.exe"]),
        ),
        (json!("b.exe"), Some("remove"), json!(["c.exe", "d, e.exe"])),
        (json!(["z.exe"]), Some("replace"), json!(["z.exe"])),
    ] {
        let object = sample
            .done(body(given.clone(), mode), "Filenames updated.")
            .await?;
        assert_eq!(object, json!({"filenames": expected}), "{given}");
        assert_eq!(sample.read().await?["filenames"], expected, "{given}");
    }
    sample
        .idle(body(json!("z.exe"), None), "Filenames updated.")
        .await?;
    sample
        .idle(body(json!("b.exe"), Some("remove")), "Filenames updated.")
        .await?;
    let text = "User does not have permission to modify filenames.";
    let adder = server.add_user(
        "adder",
        &["Sample.read", "Sample.filenames_add"],
        &[("Alpha", READ)],
    )?;
    let remover = server.add_user(
        "remover",
        &["Sample.read", "Sample.filenames_remove"],
        &[("Alpha", READ)],
    )?;
    let both = [
        "Sample.read",
        "Sample.filenames_add",
        "Sample.filenames_remove",
    ];
    let both = server.add_user("both", &both, &[("Alpha", READ)])?;
    for (user, mode, allowed) in [
        (&adder, None, true),
        (&adder, Some("remove"), false),
        (&adder, Some("replace"), false),
        (&remover, Some("add"), false),
        (&remover, Some("replace"), false),
        (&remover, Some("remove"), true),
        (&both, Some("replace"), true),
    ] {
        let answer = sample.patch_as(user, &body(json!("y.exe"), mode)).await?;
        match allowed {
            true => assert_eq!(answer["return_code"], 0, "{answer}"),
            false => assert_eq!(
                (answer["message"].as_str(), &answer["error"]["code"]),
                (Some(text), &json!("forbidden")),
                "{answer}"
            ),
        }
    }
    sample
        .refuses(vec![(
            body(json!("x"), Some("drop")),
            "Invalid mode: drop.",
            about("invalid_value", "mode"),
        )])
        .await
}

#[tokio::test]
async fn update_event_title_and_type() -> Result<()> {
    let server = Server::start().await?;
    let form = [
        ("title", "t"),
        ("event_type", "Phishing"),
        ("description", "d"),
        ("source", "Alpha"),
    ];
    let event = Subject::post(&server, "events", "Event", &form).await?;
    let title = json!({"action": "update_event_title", "title": " Invoice &amp; wave "});
    assert_eq!(
        event.done(title.clone(), "Title set.").await?,
        json!({"title": "Invoice &amp; wave"})
    );
    event.idle(title, "Title set.").await?;
    let kind = json!({"action": "update_event_type", "event_type": "unknown"});
    assert_eq!(
        event.done(kind.clone(), "Event type set.").await?,
        json!({"event_type": "Unknown"})
    );
    event.idle(kind, "Event type set.").await?;
    event
        .done(
            json!({"action": "update_event_type", "type": "Phishing"}),
            "Event type set.",
        )
        .await?;
    let document = event.read().await?;
    assert_eq!(
        (&document["title"], &document["event_type"]),
        (&json!("Invoice &amp; wave"), &json!("Phishing"))
    );
    event
        .refuses(vec![
            (
                json!({"action": "update_event_title", "title": " "}),
                "No title to change",
                about("invalid_value", "title"),
            ),
            (
                json!({"action": "update_event_title"}),
                "No title to change",
                about("missing_argument", "title"),
            ),
            (
                json!({"action": "update_event_type", "event_type": ""}),
                "No event type to change",
                about("invalid_value", "event_type"),
            ),
            (
                json!({"action": "update_event_type"}),
                "No event type to change",
                about("missing_argument", "event_type"),
            ),
            (
                json!({"action": "update_event_type", "event_type": "Party"}),
                "Not a valid Event Type.",
                about("invalid_value", "event_type"),
            ),
        ])
        .await?;
    event
        .guards(vec![
            (
                json!({"action": "update_event_title", "title": "x"}),
                "User does not have permission to edit title.",
                "Event.title_edit",
            ),
            (
                json!({"action": "update_event_type", "event_type": "Unknown"}),
                "User does not have permission to edit type.",
                "Event.type_edit",
            ),
        ])
        .await
}

/// Name and version are unique, also among backdoors that the caller does not see.
#[tokio::test]
async fn set_backdoor_name_and_version_are_unique_together() -> Result<()> {
    let server = Server::start().await?;
    let version = backdoor(&server, "ExampleRAT", "2.1", "Alpha").await?;
    backdoor(&server, "Other", "2.1", "Beta").await?;
    let name = |name: &str| json!({"action": "set_backdoor_name", "name": name});
    let set = |version: Json| json!({"action": "set_backdoor_version", "version": version});
    let bob = server.add_user(
        "bob",
        &[
            "Backdoor.read",
            "Backdoor.name_edit",
            "Backdoor.version_edit",
        ],
        &[("Alpha", READ)],
    )?;
    let taken = "A Backdoor named 'Other' with version '2.1' already exists.";
    let refused = version.patch_as(&bob, &name("Other")).await?;
    assert_eq!(
        (refused["message"].as_str(), &refused["error"]),
        (Some(taken), &json!({"code": "conflict"}))
    );
    let object = version.done(set(json!(3)), "Version set.").await?;
    assert_eq!(object, json!({"version": "3"}));
    version.idle(set(json!(" 3 ")), "Version set.").await?;
    let object = version.done(name(" Other"), "Name set.").await?;
    assert_eq!(object, json!({"name": "Other"}));
    version.idle(name("Other"), "Name set.").await?;
    version
        .refuses(vec![
            (set(json!("2.1")), taken, json!({"code": "conflict"})),
            (
                set(json!("")),
                "A Backdoor named 'Other' with version '' already exists.",
                json!({"code": "conflict"}),
            ),
            (
                name(" "),
                "Argument 'name' must not be empty.",
                about("invalid_value", "name"),
            ),
            (
                json!({"action": "set_backdoor_version"}),
                "Missing required argument 'version' for action 'set_backdoor_version'.",
                about("missing_argument", "version"),
            ),
        ])
        .await?;
    // Without a version it is a family.
    version.done(name("Third"), "Name set.").await?;
    version.done(set(json!("")), "Version set.").await?;
    let document = version.read().await?;
    assert_eq!(
        (&document["name"], &document["version"]),
        (&json!("Third"), &json!(""))
    );
    version
        .guards(vec![
            (
                name("Fourth"),
                "User does not have permission to edit name.",
                "Backdoor.name_edit",
            ),
            (
                set(json!("9")),
                "User does not have permission to edit version.",
                "Backdoor.version_edit",
            ),
            (
                json!({"action": "update_backdoor_aliases", "aliases": "x"}),
                "User does not have permission to edit alias.",
                "Backdoor.aliases_edit",
            ),
        ])
        .await
}

/// Aliases are added unless `mode` says otherwise.
#[tokio::test]
async fn update_backdoor_and_campaign_aliases_add_by_default() -> Result<()> {
    let server = Server::start().await?;
    let rat = backdoor(&server, "ExampleRAT", "", "Alpha").await?;
    let campaign = Subject::post(&server, "campaigns", "Campaign", &[("name", "Bear")]).await?;
    for (subject, action) in [
        (&rat, "update_backdoor_aliases"),
        (&campaign, "update_campaign_aliases"),
    ] {
        for (given, mode, expected) in [
            (json!("a, b,,a"), None, json!(["a", "b"])),
            (json!(["c", "b"]), Some("add"), json!(["a", "b", "c"])),
            (json!("b"), Some("remove"), json!(["a", "c"])),
            (json!(["z"]), Some("replace"), json!(["z"])),
            (json!([]), Some("replace"), json!([])),
        ] {
            let mut body = json!({"action": action, "aliases": given});
            if let Some(mode) = mode {
                body["mode"] = json!(mode);
            }
            let object = subject.done(body, "Aliases updated.").await?;
            assert_eq!(object, json!({"aliases": expected}), "{action} {given}");
            assert_eq!(
                subject.read().await?["aliases"],
                expected,
                "{action} {given}"
            );
        }
        subject
            .idle(json!({"action": action, "aliases": ""}), "Aliases updated.")
            .await?;
        subject
            .refuses(vec![(
                json!({"action": action, "aliases": {"a": "b"}}),
                "Argument 'aliases' must be a list of strings.",
                not_of_type("aliases", "list of strings"),
            )])
            .await?;
    }
    campaign
        .guards(vec![(
            json!({"action": "update_campaign_aliases", "aliases": "x"}),
            "User does not have permission to edit alias.",
            "Campaign.aliases_edit",
        )])
        .await
}

#[tokio::test]
async fn set_exploit_name_and_update_exploit_cve() -> Result<()> {
    let server = Server::start().await?;
    let form = [("name", "ExampleBlue"), ("source", "Alpha")];
    let exploit = Subject::post(&server, "exploits", "Exploit", &form).await?;
    let form = [("name", "Hidden"), ("source", "Beta")];
    Subject::post(&server, "exploits", "Exploit", &form).await?;
    let name = |name: &str| json!({"action": "set_exploit_name", "name": name});
    let cve = |cve: &str| json!({"action": "update_exploit_cve", "cve": cve});
    let bob = server.add_user(
        "bob",
        &["Exploit.read", "Exploit.write"],
        &[("Alpha", READ)],
    )?;
    let refused = exploit.patch_as(&bob, &name("Hidden")).await?;
    assert_eq!(
        (refused["message"].as_str(), &refused["error"]),
        (
            Some("An Exploit named 'Hidden' already exists."),
            &json!({"code": "conflict"})
        )
    );
    assert_eq!(
        exploit.done(name(" Red "), "Name set.").await?,
        json!({"name": "Red"})
    );
    exploit.idle(name("Red"), "Name set.").await?;
    let object = exploit.done(cve(" CVE-2017-0000 "), "CVE set.").await?;
    assert_eq!(object, json!({"cve": "CVE-2017-0000"}));
    exploit.idle(cve("CVE-2017-0000"), "CVE set.").await?;
    assert_eq!(exploit.done(cve(""), "CVE set.").await?, json!({"cve": ""}));
    exploit
        .refuses(vec![
            (
                name(""),
                "Argument 'name' must not be empty.",
                about("invalid_value", "name"),
            ),
            (
                json!({"action": "update_exploit_cve"}),
                "Missing required argument 'cve' for action 'update_exploit_cve'.",
                about("missing_argument", "cve"),
            ),
        ])
        .await?;
    exploit
        .guards(vec![
            (
                name("x"),
                "User does not have permission to edit name.",
                "Exploit.write",
            ),
            (
                cve("x"),
                "User does not have permission to edit CVE.",
                "Exploit.write",
            ),
        ])
        .await
}

#[tokio::test]
async fn update_raw_data_type_is_one_that_the_server_knows() -> Result<()> {
    let server = Server::start().await?;
    let form = [
        ("upload_type", "metadata"),
        ("title", "log"),
        ("data_type", "Text"),
        ("data", "{}"),
        ("source", "Alpha"),
    ];
    let data = Subject::post(&server, "raw_data", "RawData", &form).await?;
    let set = |data_type: &str| json!({"action": "update_raw_data_type", "data_type": data_type});
    assert_eq!(
        data.done(set(" JSON"), "Data type set.").await?,
        json!({"data_type": "JSON"})
    );
    data.idle(set("JSON"), "Data type set.").await?;
    data.refuses(vec![
        (
            set("Zoo"),
            "Invalid data type passed in",
            about("invalid_value", "data_type"),
        ),
        (
            json!({"action": "update_raw_data_type"}),
            "Missing required argument 'data_type' for action 'update_raw_data_type'.",
            about("missing_argument", "data_type"),
        ),
    ])
    .await?;
    data.guards(vec![(
        set("Text"),
        "User does not have permission to edit data type.",
        "RawData.data_type_edit",
    )])
    .await
}

#[tokio::test]
async fn p13_5_the_name_of_a_sample_has_its_flag() -> Result<()> {
    let server = Server::start().await?;
    let sample = sample(&server).await?;
    sample
        .guards(vec![(
            json!({"action": "update_sample_filename", "filename": "x"}),
            "User does not have permission to edit filename.",
            "Sample.filename_edit",
        )])
        .await
}
