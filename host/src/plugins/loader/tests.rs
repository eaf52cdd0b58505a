use super::*;
use crate::plugins::testing::{Guest, declaration};

fn runtime() -> Runtime {
    Runtime::on_demand().unwrap()
}

async fn reason(file: &[u8]) -> String {
    examine(&runtime(), file).await.unwrap_err().reason
}

#[tokio::test]
async fn a_sound_file_is_loaded_without_a_manifest_or_a_store() {
    let file = Guest::of(declaration("sound", "1.2.3")).file();
    let examined = examine(&runtime(), &file).await.unwrap();
    assert_eq!(
        (
            examined.declaration.name.as_str(),
            examined.declaration.version.to_string().as_str()
        ),
        ("sound", "1.2.3")
    );
    assert_eq!(examined.sha256, hex::encode(Sha256::digest(&file)));
    let loaded = admit(&examined, "sound", &Entry::default(), &Manifest::default()).unwrap();
    assert_eq!(loaded.limits, crate::plugins::Limits::default());
}

#[tokio::test]
async fn a_file_cut_anywhere_is_rejected_before_any_code_runs() {
    let file = Guest::of(declaration("cut", "1.0.0")).file();
    // Empty, within the header, a valid empty component of 8 bytes, within sections, at each of the last bytes.
    let mut lengths: Vec<usize> = vec![0, 1, 3, 4, 7, 8, 9, 16, 100];
    lengths.extend((200..file.len()).step_by(97));
    lengths.extend(file.len() - 60..file.len());
    for length in lengths {
        let rejected = examine(&runtime(), &file[..length]).await.unwrap_err();
        assert!(rejected.perhaps_unfinished, "{length}: {rejected}");
        let wanted = if length == 0 {
            "the file is empty".into()
        } else {
            format!("the file is incomplete ({length} bytes)")
        };
        assert!(rejected.reason.starts_with(&wanted), "{length}: {rejected}");
    }
}

#[tokio::test]
async fn damaged_files_are_rejected() {
    let file = Guest::of(declaration("damaged", "1.0.0")).file();
    for place in (0..file.len()).step_by(53) {
        let mut damaged = file.clone();
        damaged[place] ^= 0x40;
        assert!(examine(&runtime(), &damaged).await.is_err(), "{place}");
    }
    assert_eq!(
        reason(b"this is no plugin").await,
        "it is no WebAssembly file"
    );
    let core = Guest::of(declaration("core", "1.0.0")).module();
    assert!(
        reason(&core).await.starts_with("the file is incomplete"),
        "a core module has no declaration"
    );
}

#[tokio::test]
async fn what_is_frozen_must_be_what_describe_says() {
    let file = Guest::of(declaration("forged", "1.0.0")).file();
    let mut forged = file.clone();
    let place = file
        .windows(7)
        .rposition(|window| window == b"A test.")
        .unwrap();
    forged[place] = b'B';
    assert_eq!(
        reason(&forged).await,
        "`describe` does not answer what was frozen into the file when it was built"
    );
}

#[tokio::test]
async fn the_manifest_decides() {
    let mut needy = declaration("needy", "1.2.0");
    needy["actions"][0]["touches"] = serde_json::json!(["create:IP", "other:Domain"]);
    needy["needs"] = serde_json::json!({"create:IP": "It makes addresses."});
    needy["limits"] = serde_json::json!({"time_ms": 100});
    let examined = examine(&runtime(), &Guest::of(needy).file()).await.unwrap();
    let entry = |text: &str| {
        Manifest::parse(&format!("[plugins.needy]\n{text}"), Path::new("m"))
            .unwrap()
            .plugins["needy"]
            .clone()
    };
    let admitted = |name: &str, text: &str| {
        admit(&examined, name, &entry(text), &Manifest::default())
            .map_err(|rejected| rejected.reason)
    };
    assert_eq!(
        admitted("other", "").unwrap_err(),
        "the file holds the plugin `needy`, not `other`"
    );
    assert_eq!(
        admitted("needy", "version = \"^2\"").unwrap_err(),
        "it is version 1.2.0, but the manifest wants ^2"
    );
    assert_eq!(
        admitted("needy", "").unwrap_err(),
        "it needs `create:IP` (It makes addresses), `other:Domain`, which `grants` of [plugins.needy] in the manifest does not give"
    );
    let loaded = admitted("needy", "version = \"^1\"\ngrants = [\"create:IP\", \"other:*\"]\nlimits = { time_ms = 5000, memory_mib = 8 }").unwrap();
    assert_eq!((loaded.limits.time_ms, loaded.limits.memory_mib), (100, 8));
}

#[tokio::test]
async fn a_breaking_change_needs_a_major_version() {
    let loaded = async |version: &str, action: &str| {
        let mut said = declaration("grown", version);
        said["actions"][0]["name"] = action.into();
        let examined = examine(&runtime(), &Guest::of(said).file()).await.unwrap();
        admit(&examined, "grown", &Entry::default(), &Manifest::default()).unwrap()
    };
    let old = loaded("1.1.0", "before").await;
    assert_eq!(
        check_replacement(&old, &loaded("1.2.0", "before").await),
        Ok(())
    );
    assert_eq!(
        check_replacement(&old, &loaded("2.0.0", "after").await),
        Ok(())
    );
    assert_eq!(
        check_replacement(&old, &loaded("1.0.0", "after").await),
        Ok(()),
        "a return to an earlier version"
    );
    assert_eq!(
        check_replacement(&old, &loaded("1.2.0", "after").await)
            .unwrap_err()
            .reason,
        "version 1.2.0 breaks what 1.1.0 promised: the action `before` is gone. Such a change needs version 2.0.0 or higher"
    );
}

#[test]
fn check_reports_and_runs_examples() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shown.wasm");
    let mut shown = declaration("shown", "1.0.0");
    shown["actions"][0]["examples"] = serde_json::json!([{"name": "does", "args": {}, "expect": {"message": "done", "operations": []}}]);
    std::fs::write(&path, Guest::of(shown.clone()).file()).unwrap();
    let report = check(&path).unwrap();
    assert_eq!(
        (
            report.name.as_str(),
            report.examples,
            report.actions.as_slice()
        ),
        ("shown", 1, &["shown_act".to_owned()][..])
    );
    shown["actions"][0]["examples"][0]["expect"]["message"] = "undone".into();
    std::fs::write(&path, Guest::of(shown).file()).unwrap();
    assert_eq!(
        check(&path).unwrap_err(),
        "the example `does` of action `shown_act` failed: expected the message \"undone\", got \"done\""
    );
}

#[test]
fn build_refuses_what_declares_nothing_it_exports() {
    let mut empty = declaration("empty", "1.0.0");
    empty["actions"] = serde_json::json!([]);
    assert_eq!(
        crate::plugins::build::freeze(&Guest::of(empty).module()),
        Err("it declares no type, no action and no service".into())
    );
    let garbled = Guest {
        describes: Some("{".into()),
        ..Guest::of(declaration("garbled", "1.0.0"))
    };
    assert_eq!(
        crate::plugins::build::freeze(&garbled.module()),
        Err("the declaration can't be read: EOF while parsing an object at line 1 column 1".into())
    );
    let endless = Guest {
        declaration: declaration("x", "1.0.0"),
        more: "(start $spin) (func $spin (loop (br 0)))",
        ..Guest::default()
    };
    assert_eq!(
        crate::plugins::build::freeze(&endless.module()),
        Err("`describe` failed: the plugin `plugin` ran longer than 2000 ms".into())
    );
}
