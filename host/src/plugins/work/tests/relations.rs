//! Relationships, related objects, inherited sources.

use super::*;

#[tokio::test]
async fn l1_a_relationship_is_written_on_both_sides() {
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
    assert_eq!(
        work.relate(here, "supra-domain of", there, &[])
            .await
            .unwrap(),
        Relation::Added
    );
    assert_eq!(
        work.relate(here, "Supra-domain Of", there, &[])
            .await
            .unwrap(),
        Relation::Present
    );
    fixture.commit(work).await.unwrap();
    let (left_stored, right_stored) = (
        fixture.stored("domains", left).await,
        fixture.stored("domains", right).await,
    );
    assert_eq!(
        list(&left_stored, "relationships"),
        [
            &bson::doc! {"relationship": "Supra-domain Of", "value": right, "type": "Domain", "relationship_date": date(NOW),
            "date": date(NOW), "analyst": "alice", "rel_reason": "", "rel_confidence": "unknown"}
        ]
    );
    let mirrored = list(&right_stored, "relationships")[0];
    assert_eq!(
        (
            mirrored.get_str("relationship").unwrap(),
            mirrored.get_object_id("value").unwrap()
        ),
        ("Sub-domain Of", left)
    );
    // ACT-17: an action changes both; both are audited.
    assert_eq!(left_stored.get("modified"), Some(&date(NOW)));
    assert_eq!(right_stored.get("modified"), Some(&date(NOW)));
    let audited = fixture.all("audit_log").await;
    assert_eq!(
        audited
            .iter()
            .filter(|entry| entry.get("value") == Some(&"relationships".into()))
            .count(),
        2
    );
    let mut again = fixture
        .acting("alice", "forge_relationship", "Domain", left, NOW, 6)
        .await;
    let (here, there) = (
        again.current().unwrap(),
        again.by_id("Domain", &right.to_hex()).await.unwrap(),
    );
    assert_eq!(
        again
            .relate(here, "Supra-domain Of", there, &[])
            .await
            .unwrap(),
        Relation::Present
    );
    // A date makes it another relationship.
    let dated = [
        arg("relationship_date", Value::Date(5)),
        text("rel_confidence", "High"),
        text("rel_reason", "why"),
    ];
    assert_eq!(
        again
            .relate(here, "Supra-domain Of", there, &dated)
            .await
            .unwrap(),
        Relation::Added
    );
}

/// Half of a relationship, as an interrupted write leaves it (documents.md L3).
async fn half(fixture: &Fixture, on: ObjectId, partner: ObjectId) {
    let entry = bson::doc! {"relationship": "Contains", "value": partner, "type": "Domain", "relationship_date": date(1), "date": date(2),
    "analyst": "jdoe", "rel_reason": "old", "rel_confidence": "high"};
    let change = crate::store::Write::Change {
        document: crate::store::DocKey {
            collection: "domains".into(),
            id: on,
        },
        operations: vec![Op::Push(FieldPath::literal("relationships"), entry.into())],
    };
    let set = crate::store::WriteSet {
        writes: vec![change],
        ..Default::default()
    };
    fixture.store().commit(set).await.unwrap();
}

#[tokio::test]
async fn forge_relationship_5_a_lacking_half_is_rebuilt_from_the_other() {
    let fixture = Fixture::new().await;
    let (left, right) = (
        fixture.domain("example.com").await,
        fixture.domain("www.example.com").await,
    );
    half(&fixture, left, right).await;
    let mut work = fixture
        .acting("alice", "forge_relationship", "Domain", left, NOW, 5)
        .await;
    let (here, there) = (
        work.current().unwrap(),
        work.by_id("Domain", &right.to_hex()).await.unwrap(),
    );
    let details = [text("rel_confidence", "low")];
    assert_eq!(
        work.relate(here, "Contains", there, &details)
            .await
            .unwrap(),
        Relation::Repaired
    );
    fixture.commit(work).await.unwrap();
    assert_eq!(
        list(&fixture.stored("domains", right).await, "relationships"),
        [
            &bson::doc! {"relationship": "Contained Within", "value": left, "type": "Domain", "relationship_date": date(1), "date": date(2),
            "analyst": "jdoe", "rel_reason": "old", "rel_confidence": "high"}
        ]
    );
}

#[tokio::test]
async fn forge_relationship_texts() {
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
    assert_eq!(
        fault(work.relate(here, "Related To", here, &[]).await),
        Fault::Refused(
            "conflict".into(),
            "Cannot forge relationship to oneself".into()
        )
    );
    assert_eq!(
        fault(work.relate(here, "Foo", there, &[]).await),
        Fault::Invalid(
            "relationship".into(),
            "Could not find relationship type".into()
        )
    );
    assert_eq!(
        fault(
            work.relate(here, "Related To", there, &[text("rel_confidence", "sure")])
                .await
        ),
        Fault::Invalid(
            "rel_confidence".into(),
            "Invalid relationship confidence: sure.".into()
        )
    );
    work.relate(here, "Downloaded_From", there, &[])
        .await
        .unwrap();
    assert_eq!(
        work.warnings(),
        ["'Downloaded_From' is an old name; 'Downloaded From' is used."]
    );
}

#[tokio::test]
async fn forge_relationship_6_the_family_is_related_too() {
    let fixture = Fixture::new().await;
    let mut work = fixture.creating("alice", "Backdoor", NOW, 5);
    let mut ids = Vec::new();
    for version in ["", "2.1"] {
        let (backdoor, _) = work
            .make("Backdoor", &[text("name", "Rat"), text("version", version)])
            .await
            .unwrap();
        work.merge_shared(backdoor, &[text("source", "OSINT")])
            .await
            .unwrap();
        ids.push(id_of(&work, backdoor));
    }
    fixture.commit(work).await.unwrap();
    let domain = fixture.domain("example.com").await;
    let mut work = fixture
        .acting("alice", "forge_relationship", "Domain", domain, NOW, 6)
        .await;
    let (here, there) = (
        work.current().unwrap(),
        work.by_id("Backdoor", &ids[1].to_hex()).await.unwrap(),
    );
    work.relate(here, "Connected To", there, &[]).await.unwrap();
    fixture.commit(work).await.unwrap();
    let stored = fixture.stored("domains", domain).await;
    let partners: Vec<_> = list(&stored, "relationships")
        .iter()
        .map(|entry| {
            (
                entry.get_str("relationship").unwrap(),
                entry.get_object_id("value").unwrap(),
            )
        })
        .collect();
    assert_eq!(
        partners,
        [("Connected To", ids[1]), ("Connected To", ids[0])]
    );
    let family = fixture.stored("backdoors", ids[0]).await;
    assert_eq!(
        list(&family, "relationships")[0]
            .get_str("relationship")
            .unwrap(),
        "Connected From"
    );
}

#[tokio::test]
async fn create_2_6_related_objects() {
    let fixture = Fixture::new().await;
    let other = fixture.domain("example.com").await;
    let mut work = fixture.creating("alice", "IP", NOW, 5);
    let (ip, _) = work.make("IP", &[text("ip", "192.0.2.1")]).await.unwrap();
    let args = [
        text("source", "OSINT"),
        text("related_md5", "Example.COM"),
        text("related_type", "Domain"),
        text("relationship", "Resolved To"),
    ];
    work.merge_shared(ip, &args).await.unwrap();
    let id = id_of(&work, ip);
    fixture.commit(work).await.unwrap();
    assert_eq!(
        list(&fixture.stored("ips", id).await, "relationships")[0]
            .get_object_id("value")
            .unwrap(),
        other
    );
    // Documents.md L6: a POST changes what it makes; the partner is audited, and keeps its `modified`.
    let partner = fixture.stored("domains", other).await;
    assert_eq!(list(&partner, "relationships").len(), 1);
    assert_eq!(partner.get("modified"), Some(&date(NOW - 60_000)));
    let mut work = fixture.creating("bob", "IP", NOW, 6);
    let (ip, _) = work.make("IP", &[text("ip", "192.0.2.2")]).await.unwrap();
    for args in [
        vec![
            text("related_id", &other.to_hex()),
            text("related_type", "Domain"),
        ],
        vec![text("related_id", "x"), text("related_type", "Domain")],
        vec![
            text("related_md5", "unknown.example"),
            text("related_type", "domains"),
        ],
    ] {
        assert_eq!(
            fault(work.merge_shared(ip, &args).await),
            Fault::Missing("Related object not found.".into())
        );
    }
    let half = work
        .merge_shared(ip, &[text("related_id", &other.to_hex())])
        .await;
    let message = "Must specify both related_type and related_id or related_md5.";
    assert_eq!(
        fault(half),
        Fault::Invalid("related_type".into(), message.into())
    );
}

#[tokio::test]
async fn inherited_sources_are_those_the_caller_may_write() {
    let fixture = Fixture::new().await;
    fixture.domain("a.example.com").await;
    let mut work = fixture.creating("bob", "Domain", NOW, 3);
    let (domain, _) = work
        .make("Domain", &[text("domain", "a.example.com")])
        .await
        .unwrap();
    work.add_source(domain, "Partner", &[text("method", "m")])
        .await
        .unwrap();
    let (other, _) = work
        .make("Domain", &[text("domain", "b.example.com")])
        .await
        .unwrap();
    assert_eq!(work.inherit_sources(domain, other).await.unwrap(), 1);
    assert_eq!(work.inherit_sources(domain, other).await.unwrap(), 0);
    let id = id_of(&work, other);
    fixture.commit(work).await.unwrap();
    let stored = fixture.stored("domains", id).await;
    assert_eq!(
        list(&stored, "source")
            .iter()
            .map(|source| source.get_str("name").unwrap())
            .collect::<Vec<_>>(),
        ["Partner"]
    );
}

#[tokio::test]
async fn new_5_what_is_related_need_not_exist_any_more() {
    let fixture = Fixture::new().await;
    let (left, gone) = (fixture.domain("example.com").await, ObjectId::new());
    half(&fixture, left, gone).await;
    let mut work = fixture
        .acting("alice", "forge_relationship", "Domain", left, NOW, 5)
        .await;
    let here = work.current().unwrap();
    let right = |id: ObjectId| ("Domain".to_owned(), id.to_hex());
    for (name, (of, id), expected) in [
        ("Created", right(gone), false),
        ("Contains", right(left), false),
        ("contains", right(gone), true),
        ("Contains", right(gone), false),
    ] {
        let removed = work.unrelate(here, name, (&of, &id), &[]).await.unwrap();
        assert_eq!(removed, expected, "{name} {id}");
    }
    fixture.commit(work).await.unwrap();
    assert!(list(&fixture.stored("domains", left).await, "relationships").is_empty());
}

#[tokio::test]
async fn new_6_a_lacking_half_is_made() {
    let fixture = Fixture::new().await;
    let (left, right) = (
        fixture.domain("example.com").await,
        fixture.domain("www.example.com").await,
    );
    half(&fixture, left, right).await;
    let mut work = fixture
        .acting("alice", "forge_relationship", "Domain", left, NOW, 5)
        .await;
    let here = work.current().unwrap();
    let changes = [text("relationship", "Created"), text("rel_reason", "")];
    let id = right.to_hex();
    let changed = work
        .change_relation(here, "Contains", ("Domain", &id), &[], &changes)
        .await;
    assert!(changed.unwrap());
    fixture.commit(work).await.unwrap();
    for (on, name, partner) in [(left, "Created", right), (right, "Created By", left)] {
        let stored = fixture.stored("domains", on).await;
        let expected = bson::doc! {"relationship": name, "value": partner, "type": "Domain", "relationship_date": date(1), "date": date(2),
        "analyst": "jdoe", "rel_reason": "", "rel_confidence": "high"};
        assert_eq!(list(&stored, "relationships"), [&expected]);
        assert_eq!(stored.get("modified"), Some(&date(NOW)));
    }
}

/// Two requests that take the same relationship away: one finds it.
#[tokio::test]
async fn con_4_new_5_a_relationship_is_taken_away_once() {
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
    work.relate(here, "Contains", there, &[]).await.unwrap();
    fixture.commit(work).await.unwrap();
    let mut both = Vec::new();
    for (on, name, partner) in [(left, "Contains", right), (right, "Contained Within", left)] {
        let mut work = fixture
            .acting("alice", "forge_relationship", "Domain", on, NOW, 6)
            .await;
        let (here, id) = (work.current().unwrap(), partner.to_hex());
        assert!(
            work.unrelate(here, name, ("Domain", &id), &[])
                .await
                .unwrap()
        );
        both.push(work);
    }
    let late = both.pop().unwrap();
    fixture.commit(both.pop().unwrap()).await.unwrap();
    assert!(matches!(
        fixture.commit(late).await,
        Err(CommitError::Conflict(_))
    ));
}
