//! What declarations of types ask of the host beyond fields and keys.

use super::*;

/// create.md 5.6, documents.md 3.7: the author need not be allowed to write with it.
#[tokio::test]
async fn create_5_6_a_document_may_belong_to_its_author() {
    let fixture = Fixture::new().await;
    let mut work = fixture.creating("carol", "Note", NOW, 1);
    let (note, _) = work.make("Note", &[]).await.unwrap();
    let id = id_of(&work, note);
    fixture.commit(work).await.unwrap();
    assert_eq!(
        list(&fixture.stored("notes", id).await, "source"),
        [
            &bson::doc! {"name": "Example", "instances": [{"analyst": "carol", "date": date(NOW), "method": "", "reference": "", "tlp": "red"}]}
        ]
    );
}

#[tokio::test]
async fn a_field_that_refers_may_name_others_and_no_other_field() {
    let fixture = Fixture::new().await;
    let mut work = fixture.creating("alice", "Note", NOW, 1);
    let (note, _) = work.make("Note", &[]).await.unwrap();
    let bob = Value::Json(json!({"analyst": "bob"}).to_string());
    work.set(note, "parent", &bob).unwrap();
    assert_eq!(
        fault(work.push(note, "entries", &bob)),
        Fault::Refused(
            "forbidden".into(),
            "An entry can't be written in the name of bob.".into()
        )
    );
}

/// create.md 5.3: a relationship that nobody in particular has made.
#[tokio::test]
async fn create_5_3_a_relationship_may_have_no_analyst() {
    let fixture = Fixture::new().await;
    let (left, right) = (
        fixture.domain("example.com").await,
        fixture.domain("www.example.com").await,
    );
    let mut work = fixture
        .acting("alice", "forge_relationship", "Domain", left, NOW, 5)
        .await;
    let (here, there) = (
        work.current().unwrap(),
        work.by_id("Domain", &right.to_hex()).await.unwrap(),
    );
    let anonymous = [arg("anonymous", Value::Flag(true))];
    work.relate(here, "Related To", there, &anonymous)
        .await
        .unwrap();
    fixture.commit(work).await.unwrap();
    for id in [left, right] {
        let stored = fixture.stored("domains", id).await;
        let entry = list(&stored, "relationships")[0];
        assert!(!entry.contains_key("analyst"), "{entry}");
    }
}

/// The host's last word where a plugin checks the permission itself: also in a nested create.
#[tokio::test]
async fn create_1_5_what_the_plugin_lets_pass_is_refused_in_the_end() {
    let fixture = Fixture::new().await;
    let denied = Fault::Refused(
        "forbidden".into(),
        "User does not have permission to create Object.".into(),
    );
    let mut work = fixture.creating("carol", "Domain", NOW, 1);
    work.nest_create("Log", Vec::new()).await.unwrap();
    assert_eq!(
        work.denied().map(|refusal| refusal.clone().into()),
        Some(denied.clone())
    );
    let (log, _) = work.make("Log", &[]).await.unwrap();
    assert_eq!(fault(work.end_create(Ok(answer(log)))), denied);
    assert!(
        work.denied().is_none(),
        "the outer create is another matter"
    );
    // What the plugin says first stands.
    work.nest_create("Log", Vec::new()).await.unwrap();
    let own = Fault::Invalid("title".into(), "Must provide a title.".into());
    assert_eq!(fault(work.end_create(Err(own.clone()))), own);
    assert!(fixture.all("logs").await.is_empty());
    let mut work = fixture.creating("alice", "Domain", NOW, 2);
    work.nest_create("Log", Vec::new()).await.unwrap();
    let (log, _) = work.make("Log", &[]).await.unwrap();
    work.end_create(Ok(answer(log))).unwrap();
}

/// A part of a type has no documents: it can't be found, made or related to.
#[tokio::test]
async fn create_5_12_a_part_of_a_type_is_no_type() {
    let fixture = Fixture::new().await;
    let registry = &fixture.registry;
    assert!(registry.type_as_written("NotePart").is_none());
    assert!(registry.type_as_written("note_parts").is_none());
    let part = registry.resource("note_parts").unwrap();
    assert_eq!(registry.whole(part).declaration.name, "Note");
    let mut work = fixture.creating("alice", "NotePart", NOW, 1);
    assert!(work.make("NotePart", &[]).await.is_err());
    let specs = registry.collection_specs();
    assert!(specs.iter().all(|spec| !spec.name.is_empty()));
}
