//! Documents that actions take away, entries that they add to registers (contract 1.1).

use super::*;
use crate::store::Filter;

/// A scrap, committed.
async fn scrap(fixture: &Fixture, name: &str, seed: u8) -> ObjectId {
    let mut work = fixture.creating("alice", "Scrap", NOW, seed);
    let (scrap, _) = work.make("Scrap", &[]).await.unwrap();
    work.set(scrap, "name", &Value::Text(name.into())).unwrap();
    let id = id_of(&work, scrap);
    fixture.commit(work).await.unwrap();
    id
}

async fn tidying(fixture: &Fixture, user: &str, domain: ObjectId, seed: u8) -> Work {
    fixture
        .acting(user, "tidy", "Domain", domain, NOW, seed)
        .await
}

#[tokio::test]
async fn contract_1_1_an_action_removes_a_document_of_its_plugins_types() {
    let fixture = Fixture::new().await;
    let domain = fixture.domain("example.com").await;
    let (gone, kept) = (
        scrap(&fixture, "gone", 1).await,
        scrap(&fixture, "kept", 2).await,
    );
    let mut work = tidying(&fixture, "alice", domain, 3).await;
    let document = work.by_id("Scrap", &gone.to_hex()).await.unwrap();
    work.remove(document).unwrap();
    // From now on this call does not find it either.
    assert!(matches!(
        fault(work.by_id("Scrap", &gone.to_hex()).await),
        Fault::Missing(_)
    ));
    let condition = json!({"name": {"in": ["gone", "kept"]}}).to_string();
    let found = work.select("Scrap", &condition, "", 10).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(
        work.operations(),
        [json!({"remove": [{"$oid": gone.to_hex()}], "of": "Scrap"})]
    );
    fixture.commit(work).await.unwrap();
    let left = fixture
        .store()
        .select("scraps", &Filter::All, None, 10)
        .await
        .unwrap();
    assert_eq!(left, [kept]);
    let audited = fixture.all("audit_log").await;
    let entry = audited
        .iter()
        .find(|entry| entry.get_str("method").unwrap() == "delete()")
        .unwrap();
    assert_eq!(
        (
            entry.get_str("value").unwrap(),
            entry.get_object_id("target_id").unwrap()
        ),
        ("gone", gone)
    );
}

/// Whoever wanted to change it meanwhile meets a conflict, and then finds it gone.
#[tokio::test]
async fn con_1_of_two_who_remove_one_document_one_meets_a_conflict() {
    let fixture = Fixture::new().await;
    let domain = fixture.domain("example.com").await;
    let id = scrap(&fixture, "gone", 1).await;
    let mut both = Vec::new();
    for seed in [3, 4] {
        let mut work = tidying(&fixture, "alice", domain, seed).await;
        let document = work.by_id("Scrap", &id.to_hex()).await.unwrap();
        work.remove(document).unwrap();
        both.push(work);
    }
    let (second, first) = (both.pop().unwrap(), both.pop().unwrap());
    fixture.commit(first).await.unwrap();
    assert!(matches!(
        fixture.commit(second).await,
        Err(CommitError::Conflict(_))
    ));
}

#[tokio::test]
async fn contract_1_1_what_can_not_be_removed() {
    let fixture = Fixture::new().await;
    let domain = fixture.domain("example.com").await;
    let id = scrap(&fixture, "kept", 1).await;
    let mut work = tidying(&fixture, "alice", domain, 2).await;
    let current = work.current().unwrap();
    assert_eq!(
        fault(work.remove(current)),
        Fault::Refused("forbidden".into(), "A `Domain` can't be removed.".into())
    );
    // Without the declaration; in a create.
    let mut work = fixture
        .acting("alice", "look", "Domain", domain, NOW, 3)
        .await;
    let document = work.by_id("Scrap", &id.to_hex()).await.unwrap();
    assert!(matches!(fault(work.remove(document)), Fault::Internal(_)));
    let mut work = fixture.creating("alice", "Scrap", NOW, 4);
    let document = work.by_id("Scrap", &id.to_hex()).await.unwrap();
    assert!(matches!(fault(work.remove(document)), Fault::Internal(_)));
    // Of another plugin.
    let mut work = fixture
        .acting("alice", "ticket_add", "Domain", domain, NOW, 5)
        .await;
    let document = work.by_id("Scrap", &id.to_hex()).await.unwrap();
    assert_eq!(
        fault(work.remove(document)),
        Fault::Refused("forbidden".into(), "A `Scrap` can't be removed.".into())
    );
}

/// update_dependency.3: with the action, or not at all.
#[tokio::test]
async fn update_dependency_3_entries_are_registered_with_the_action() {
    const REGISTER: &str = "signature-dependency";
    let fixture = Fixture::new().await;
    let domain = fixture.domain("example.com").await;
    let known = async |name: &str| {
        fixture
            .services
            .registers
            .has(REGISTER, name)
            .await
            .unwrap()
    };
    let mut work = tidying(&fixture, "alice", domain, 1).await;
    assert!(work.register(REGISTER, "pe").await.unwrap());
    assert!(!work.register(REGISTER, "pe").await.unwrap());
    assert!(!known("pe").await);
    assert_eq!(work.operations(), [json!({"register": [REGISTER, "pe"]})]);
    let mut other = tidying(&fixture, "alice", fixture.domain("example.org").await, 2).await;
    assert!(other.register(REGISTER, "pe").await.is_ok());
    fixture.commit(work).await.unwrap();
    assert!(known("pe").await);
    assert!(matches!(
        fixture.commit(other).await,
        Err(CommitError::Conflict(_))
    ));
    let entry = fixture.all("signature_dependency").await.remove(0);
    assert_eq!(
        (
            entry.get_str("name").unwrap(),
            entry.get_str("active").unwrap()
        ),
        ("pe", "on")
    );
    let mut work = tidying(&fixture, "alice", domain, 3).await;
    assert!(!work.register(REGISTER, "pe").await.unwrap());
    for name in ["", " pe", "a\u{7}", &"x".repeat(201)] {
        assert!(
            matches!(fault(work.register(REGISTER, name).await), Fault::Invalid(argument, _) if argument == "name")
        );
    }
    for register in ["source", "sector", "nonsense", "raw-data-type"] {
        assert!(matches!(
            fault(work.register(register, "x").await),
            Fault::Internal(_)
        ));
    }
    let mut work = tidying(&fixture, "carol", domain, 4).await;
    assert!(
        matches!(fault(work.register(REGISTER, "elf").await), Fault::Refused(code, _) if code == "forbidden")
    );
}
