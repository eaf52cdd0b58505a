//! actions.md section 5, and its examples of 7.3.

use anyhow::Result;
use critd_tests::{Json, Server, json};

use crate::{Subject, about, not_of_type};

async fn signature(server: &Server) -> Result<Subject<'_>> {
    let form = [
        ("title", "Sig"),
        ("data_type", "Yara"),
        ("data", "rule x { condition: false }"),
        ("source", "Alpha"),
    ];
    Subject::post(server, "signatures", "Signature", &form).await
}

fn dependency(dep: Json) -> Json {
    json!({"action": "update_dependency", "dep": dep})
}

fn registered(server: &Server) -> Result<Vec<String>> {
    let listed = server.cli(&["register", "list", "signature-dependency"])?;
    Ok(listed.lines().map(str::to_owned).collect())
}

#[tokio::test]
async fn actions_7_3_examples_of_signatures() -> Result<()> {
    let server = Server::start().await?;
    let signature = signature(&server).await?;
    let before = signature.read().await?;
    let object = signature
        .done(
            dependency(json!("pe, math,pe")),
            "Data type dependency set.",
        )
        .await?;
    assert_eq!(object, json!({"data_type_dependency": ["pe", "math"]}));
    let mut more = dependency(json!("elf"));
    more["append"] = json!(true);
    let object = signature.done(more, "Data type dependency set.").await?;
    assert_eq!(
        object,
        json!({"data_type_dependency": ["pe", "math", "elf"]})
    );
    let object = signature
        .done(
            json!({"action": "update_min_version", "data_type_min_version": 3}),
            "Data type min version set.",
        )
        .await?;
    assert_eq!(object, json!({"data_type_min_version": "3"}));
    let set = json!({"action": "update_max_version", "data_type_max_version": "4.0"});
    signature.done(set, "Data type max version set.").await?;
    let object = signature
        .done(
            json!({"action": "update_max_version", "data_type_max_version": ""}),
            "Data type max version set.",
        )
        .await?;
    assert_eq!(object, json!({"data_type_max_version": ""}));
    let object = signature
        .done(
            json!({"action": "update_signature_data", "data": "rule y { condition: true }"}),
            "Signature value updated.",
        )
        .await?;
    assert_eq!(object, json!({"md5": "562b1b626bf78da63a029cbe140051ca"}));
    let object = signature
        .done(
            json!({"action": "update_signature_type", "data_type": "Snort"}),
            "Data type set.",
        )
        .await?;
    assert_eq!(object, json!({"data_type": "Snort"}));
    let object = signature
        .done(
            json!({"action": "update_title", "title": "T &lt;b&gt;"}),
            "Signature title updated.",
        )
        .await?;
    assert_eq!(object, json!({"title": "T <b>"}));
    signature
        .refuses(vec![
            (
                json!({"action": "update_dependency"}),
                "Missing required argument 'dep' for action 'update_dependency'.",
                about("missing_argument", "dep"),
            ),
            (
                json!({"action": "update_min_version", "data_type_min_version": {}}),
                "Argument 'data_type_min_version' must be a string.",
                not_of_type("data_type_min_version", "string"),
            ),
            (
                json!({"action": "update_max_version", "data_type_max_version": {}}),
                "Argument 'data_type_max_version' must be a string.",
                not_of_type("data_type_max_version", "string"),
            ),
            (
                json!({"action": "update_signature_data", "data": ""}),
                "Argument 'data' must not be empty.",
                about("invalid_value", "data"),
            ),
            (
                json!({"action": "update_signature_type", "data_type": "Zoo"}),
                "Invalid data type passed in",
                about("invalid_value", "data_type"),
            ),
            (
                json!({"action": "update_title", "title": " "}),
                "Argument 'title' must not be empty.",
                about("invalid_value", "title"),
            ),
        ])
        .await?;
    // None of them makes a new version.
    let after = signature.read().await?;
    assert_eq!(
        (&after["version"], &after["link_id"]),
        (&before["version"], &before["link_id"])
    );
    Ok(())
}

#[tokio::test]
async fn update_dependency_1_update_dependency_2_lists_are_sets() -> Result<()> {
    let server = Server::start().await?;
    let signature = signature(&server).await?;
    let body = |dep: Json, append: Json| json!({"action": "update_dependency", "dep": dep, "append": append});
    for (given, append, expected) in [
        (
            json!(["pe", " math ", "pe", ""]),
            json!(null),
            json!(["pe", "math"]),
        ),
        (
            json!("elf, pe"),
            json!("true"),
            json!(["pe", "math", "elf"]),
        ),
        // [orig] took every text for true.
        (json!("größe"), json!("false"), json!(["größe"])),
        (json!([7]), json!(1), json!(["größe", "7"])),
        (json!(""), json!(false), json!([])),
    ] {
        let object = signature
            .done(body(given.clone(), append), "Data type dependency set.")
            .await?;
        assert_eq!(object, json!({"data_type_dependency": expected}), "{given}");
        assert_eq!(signature.read().await?["data_type_dependency"], expected);
    }
    let synonym = json!({"action": "update_dependency", "data_type_dependency": "pe"});
    let object = signature.done(synonym, "Data type dependency set.").await?;
    assert_eq!(object, json!({"data_type_dependency": ["pe"]}));
    // 9.2: also with `append`.
    for append in [json!(false), json!(true)] {
        signature
            .idle(body(json!("pe"), append), "Data type dependency set.")
            .await?;
    }
    signature
        .refuses(vec![
            (
                dependency(json!({"pe": true})),
                "Argument 'dep' must be a list of strings.",
                not_of_type("dep", "list of strings"),
            ),
            (
                body(json!("pe"), json!([])),
                "Argument 'append' must be a boolean.",
                not_of_type("append", "boolean"),
            ),
        ])
        .await
}

/// New names are registered on success, for those alone who may add to the register; others store them all the same.
#[tokio::test]
async fn update_dependency_3_new_names_are_registered() -> Result<()> {
    let server = Server::start().await?;
    let signature = signature(&server).await?;
    assert!(registered(&server)?.is_empty());
    let read: &[&str] = &["--read", "--tlp", "red,amber,green"];
    let bob = server.add_user(
        "bob",
        &["Signature.read", "Signature.dependencies_edit"],
        &[("Alpha", read)],
    )?;
    let carol = server.add_user(
        "carol",
        &[
            "Signature.read",
            "Signature.dependencies_edit",
            "add_new_signature_dependency",
        ],
        &[("Alpha", read)],
    )?;
    let stored = signature.patch_as(&bob, &dependency(json!("pe"))).await?;
    assert_eq!(
        stored["object"],
        json!({"data_type_dependency": ["pe"]}),
        "{stored}"
    );
    assert!(registered(&server)?.is_empty());
    // What fails registers nothing (ACT-19).
    let mut bad = dependency(json!("pe, math"));
    bad["append"] = json!({});
    let refused = signature.patch_as(&carol, &bad).await?;
    assert_eq!(refused["return_code"], 1, "{refused}");
    let long = "x".repeat(201);
    let refused = signature
        .patch_as(&carol, &dependency(json!(["elf", long])))
        .await?;
    assert_eq!(refused["error"], about("invalid_value", "dep"), "{refused}");
    assert!(registered(&server)?.is_empty());
    for dep in ["pe, math", "math, elf"] {
        let answer = signature.patch_as(&carol, &dependency(json!(dep))).await?;
        assert_eq!(answer["return_code"], 0, "{answer}");
    }
    assert_eq!(registered(&server)?, ["elf", "math", "pe"]);
    // One that the signature has, but nobody had registered.
    signature
        .patch_as(&bob, &dependency(json!("dotnet")))
        .await?;
    signature
        .patch_as(&carol, &dependency(json!("dotnet")))
        .await?;
    assert_eq!(registered(&server)?, ["dotnet", "elf", "math", "pe"]);
    Ok(())
}

/// CON-4: one name, registered by many at once, is there once, and none of them fails.
#[tokio::test]
async fn con_4_one_name_registered_at_once_is_there_once() -> Result<()> {
    let server = Server::start().await?;
    let mut signatures = Vec::new();
    for number in 0..6 {
        let data = format!("rule x{number} {{ condition: false }}");
        let form = [
            ("title", "Sig"),
            ("data_type", "Yara"),
            ("data", &data),
            ("source", "Alpha"),
        ];
        signatures.push(Subject::post(&server, "signatures", "Signature", &form).await?);
    }
    let body = dependency(json!("pe"));
    let answers =
        futures_util::future::join_all(signatures.iter().map(|one| one.patch(&body))).await;
    for answer in answers {
        let answer = answer?;
        assert_eq!(answer["return_code"], 0, "{answer}");
    }
    assert_eq!(registered(&server)?, ["pe"]);
    Ok(())
}

/// Any text, blanks and all: no syntax, no order.
#[tokio::test]
async fn update_version_1_any_text() -> Result<()> {
    let server = Server::start().await?;
    let signature = signature(&server).await?;
    for (action, argument, detail) in [
        (
            "update_min_version",
            "data_type_min_version",
            "Data type min version set.",
        ),
        (
            "update_max_version",
            "data_type_max_version",
            "Data type max version set.",
        ),
    ] {
        for (given, stored) in [
            (json!(" 9 beta"), " 9 beta"),
            (json!(4.5), "4.5"),
            (json!("0.1"), "0.1"),
        ] {
            let body = json!({"action": action, argument: given});
            let object = signature.done(body.clone(), detail).await?;
            assert_eq!(object, json!({ argument: stored }));
            assert_eq!(signature.read().await?[argument], stored);
            signature.idle(body, detail).await?;
        }
        let missing =
            format!("Missing required argument '{argument}' for action '{action}'.").leak();
        let row = (
            json!({"action": action}),
            &*missing,
            about("missing_argument", argument),
        );
        signature.refuses(vec![row]).await?;
    }
    Ok(())
}

/// Kept as sent, entities and blanks too; the digest is that of the new text.
#[tokio::test]
async fn update_signature_data_1_act_14_the_digest_follows() -> Result<()> {
    let server = Server::start().await?;
    let signature = signature(&server).await?;
    let data = "rule a { condition: \"é\" } // &lt;\n";
    let body = json!({"action": "update_signature_data", "data": data});
    let object = signature
        .done(body.clone(), "Signature value updated.")
        .await?;
    let document = signature.read().await?;
    assert_eq!(
        (&document["data"], &document["md5"], &object["md5"]),
        (
            &json!(data),
            &json!("0c6b0e2ce7aa8aec574b4261c6547e7b"),
            &json!("0c6b0e2ce7aa8aec574b4261c6547e7b")
        )
    );
    signature.idle(body, "Signature value updated.").await?;
    // A POST finds the signature by its new text.
    let form = [
        ("title", "t"),
        ("data_type", "Yara"),
        ("data", data),
        ("source", "Alpha"),
    ];
    let posted = server.post("/api/v1/signatures/", &form).await?;
    assert_eq!(posted.created_id()?, signature.id());
    let missing = "Missing required argument 'data' for action 'update_signature_data'.";
    signature
        .refuses(vec![
            (
                json!({"action": "update_signature_data"}),
                missing,
                about("missing_argument", "data"),
            ),
            (
                json!({"action": "update_signature_data", "data": ["x"]}),
                "Argument 'data' must be a string.",
                not_of_type("data", "string"),
            ),
        ])
        .await
}

#[tokio::test]
async fn update_signature_type_1_one_that_the_server_knows() -> Result<()> {
    let server = Server::start().await?;
    let signature = signature(&server).await?;
    let set = |data_type: Json| json!({"action": "update_signature_type", "data_type": data_type});
    server.cli(&["register", "add", "signature-type", "Sigma"])?;
    signature
        .done(set(json!("Sigma")), "Data type set.")
        .await?;
    signature
        .idle(set(json!("Sigma")), "Data type set.")
        .await?;
    signature
        .refuses(vec![
            (
                set(json!("sigma")),
                "Invalid data type passed in",
                about("invalid_value", "data_type"),
            ),
            (
                set(json!("")),
                "Invalid data type passed in",
                about("invalid_value", "data_type"),
            ),
            (
                json!({"action": "update_signature_type"}),
                "Missing required argument 'data_type' for action 'update_signature_type'.",
                about("missing_argument", "data_type"),
            ),
        ])
        .await
}

#[tokio::test]
async fn update_title_1_2_entities_are_decoded_once() -> Result<()> {
    let server = Server::start().await?;
    let signature = signature(&server).await?;
    let set = |title: Json| json!({"action": "update_title", "title": title});
    for (given, stored) in [
        (json!(" a &amp;amp; b "), "a &amp; b"),
        (json!("&quot;q&quot;"), "\"q\""),
        (json!(7), "7"),
    ] {
        let object = signature
            .done(set(given), "Signature title updated.")
            .await?;
        assert_eq!(object, json!({ "title": stored }));
        assert_eq!(signature.read().await?["title"], stored);
    }
    signature
        .idle(set(json!("7")), "Signature title updated.")
        .await?;
    signature
        .refuses(vec![
            // Blank only after decoding.
            (
                set(json!("&#32;")),
                "Argument 'title' must not be empty.",
                about("invalid_value", "title"),
            ),
            (
                set(json!(null)),
                "Missing required argument 'title' for action 'update_title'.",
                about("missing_argument", "title"),
            ),
        ])
        .await
}

/// The audit entry names the caller, and nothing is noted of what changes nothing.
#[tokio::test]
async fn update_title_2_act_16_the_caller_is_audited() -> Result<()> {
    let server = Server::start().await?;
    let signature = signature(&server).await?;
    let bob = server.add_user(
        "bob",
        &["Signature.read", "Signature.write"],
        &[("Alpha", &["--read", "--tlp", "red,amber,green"])],
    )?;
    let body = json!({"action": "update_title", "title": "admin"});
    for _ in 0..2 {
        assert_eq!(signature.patch_as(&bob, &body).await?["return_code"], 0);
    }
    let of_signature = format!("/api/v1/audit/?c-target_id={}", signature.id());
    let audited = server.get(&of_signature).await?.json();
    let entries = audited["objects"].as_array().into_iter().flatten();
    let entries: Vec<Json> = entries
        .map(|entry| json!([entry["user"], entry["value"], entry["method"]]))
        .collect();
    assert_eq!(
        entries,
        [
            json!(["admin", "new document", "save()"]),
            json!(["bob", "title", "save()"])
        ]
    );
    Ok(())
}

#[tokio::test]
async fn p13_5_each_action_of_signatures_has_its_flag() -> Result<()> {
    let server = Server::start().await?;
    let signature = signature(&server).await?;
    signature
        .guards(vec![
            (
                dependency(json!("pe")),
                "User does not have permission to edit data dependencies.",
                "Signature.dependencies_edit",
            ),
            (
                json!({"action": "update_min_version", "data_type_min_version": "1"}),
                "User does not have permission to edit min version.",
                "Signature.data_type_min_version_edit",
            ),
            (
                json!({"action": "update_max_version", "data_type_max_version": "1"}),
                "User does not have permission to edit max version.",
                "Signature.data_type_max_version_edit",
            ),
            (
                json!({"action": "update_signature_data", "data": "x"}),
                "User does not have permission to edit data.",
                "Signature.data_edit",
            ),
            (
                json!({"action": "update_signature_type", "data_type": "Snort"}),
                "User does not have permission to edit data type.",
                "Signature.data_type_edit",
            ),
            (
                json!({"action": "update_title", "title": "t"}),
                "User does not have permission to edit title.",
                "Signature.write",
            ),
        ])
        .await
}
