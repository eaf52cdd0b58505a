//! The rules of a transaction, against a real store.

use bson::{Bson, Document};
use serde_json::json;

use super::fixture::{Fixture, NOW, answer, arg, fault, id_of, text};
use super::*;
use crate::store::CommitError;

fn date(milliseconds: i64) -> Bson {
    Bson::DateTime(bson::DateTime::from_millis(milliseconds))
}

fn ticket(number: &str, user: &str) -> Value {
    Value::Json(
        json!({"ticket_number": number, "date": {"$date": NOW}, "analyst": user}).to_string(),
    )
}

fn list<'a>(document: &'a Document, name: &str) -> Vec<&'a Document> {
    document
        .get_array(name)
        .unwrap()
        .iter()
        .filter_map(Bson::as_document)
        .collect()
}

fn keys(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn create_2_7_a_new_document_has_every_field() {
    let fixture = Fixture::new().await;
    let mut work = fixture.creating("alice", "Domain", NOW, 1);
    let (domain, origin) = work
        .make("Domain", &[text("domain", "www.example.com")])
        .await
        .unwrap();
    assert_eq!(origin, Origin::Fresh);
    work.set(domain, "analyst", &Value::Text("alice".into()))
        .unwrap();
    let args = [
        text("source", "OSINT"),
        text("tlp", " Green "),
        text("method", "feed"),
        text("bucket_list", "a, b,,a"),
        text("ticket", "1,2"),
    ];
    work.merge_shared(domain, &args).await.unwrap();
    let concerned = work.concerned(&answer(domain)).unwrap().unwrap();
    assert!(concerned.fresh && concerned.type_name == "Domain");
    fixture.commit(work).await.unwrap();
    let stored = fixture.stored("domains", concerned.id).await;
    let names: Vec<&str> = stored.keys().map(String::as_str).collect();
    let expected = "_id schema_version domain created modified status tlp watchlistEnabled source analyst campaign bucket_list sectors \
        tickets actions locations releasability screenshots objects relationships type unsupported_attrs";
    assert_eq!(
        names,
        expected.split_whitespace().collect::<Vec<_>>(),
        "what lists look at comes first"
    );
    assert_eq!(
        (
            stored.get_i32("schema_version").unwrap(),
            stored.get_str("type").unwrap()
        ),
        (3, "A")
    );
    assert_eq!(
        (
            stored.get_str("status").unwrap(),
            stored.get_str("tlp").unwrap()
        ),
        ("New", "green")
    );
    assert_eq!(
        (stored.get("created"), stored.get("modified")),
        (Some(&date(NOW)), Some(&date(NOW)))
    );
    assert_eq!(
        stored.get_array("bucket_list").unwrap(),
        &[Bson::from("a"), Bson::from("b")]
    );
    let source = list(&stored, "source")[0];
    assert_eq!(
        source,
        &bson::doc! {"name": "OSINT", "instances": [{"analyst": "alice", "date": date(NOW), "method": "feed", "reference": "", "tlp": "green"}]}
    );
    assert_eq!(
        list(&stored, "tickets")[1],
        &bson::doc! {"ticket_number": "2", "analyst": "alice", "date": date(NOW)}
    );
}

#[tokio::test]
async fn act_16_a_change_is_audited_and_moves_modified_once() {
    let fixture = Fixture::new().await;
    let id = fixture.domain("a.example.com").await;
    let mut work = fixture
        .acting("alice", "ticket_add", "Domain", id, NOW, 9)
        .await;
    let domain = work.current().unwrap();
    assert!(
        work.push_unique(
            domain,
            "tickets",
            &ticket("7", "alice"),
            &keys(&["ticket_number"])
        )
        .unwrap()
    );
    let operations = work.operations();
    assert_eq!(
        operations,
        [
            json!({"push": ["tickets", {"ticket_number": "7", "date": {"$date": NOW}, "analyst": "alice"}]})
        ]
    );
    fixture.commit(work).await.unwrap();
    assert_eq!(
        fixture.stored("domains", id).await.get("modified"),
        Some(&date(NOW))
    );
    let audit = fixture.all("audit_log").await;
    let last = audit
        .iter()
        .find(|entry| entry.get("value") == Some(&"tickets".into()))
        .unwrap();
    assert_eq!(
        (last.get_str("user").unwrap(), last.get_str("type").unwrap()),
        ("alice", "Domain")
    );
    assert_eq!(
        (
            last.get_object_id("target_id").unwrap(),
            last.get_str("method").unwrap()
        ),
        (id, "save()")
    );
    assert!(
        audit
            .iter()
            .any(|entry| entry.get("value") == Some(&"new document".into()))
    );
}

#[tokio::test]
async fn act_18_a_no_op_changes_nothing() {
    let fixture = Fixture::new().await;
    let id = fixture.domain("a.example.com").await;
    let mut work = fixture
        .acting("alice", "ticket_add", "Domain", id, NOW, 9)
        .await;
    let domain = work.current().unwrap();
    work.push_unique(
        domain,
        "tickets",
        &ticket("7", "alice"),
        &keys(&["ticket_number"]),
    )
    .unwrap();
    fixture.commit(work).await.unwrap();
    let before = (
        fixture.stored("domains", id).await,
        fixture.all("audit_log").await.len(),
    );
    let mut work = fixture
        .acting("alice", "ticket_add", "Domain", id, NOW + 5000, 10)
        .await;
    let domain = work.current().unwrap();
    assert!(
        !work
            .push_unique(
                domain,
                "tickets",
                &ticket("7", "alice"),
                &keys(&["ticket_number"])
            )
            .unwrap()
    );
    assert!(work.operations().is_empty());
    let set = work.into_write_set().await.unwrap();
    assert!(set.writes.is_empty());
    fixture.store().commit(set).await.unwrap();
    assert_eq!(
        (
            fixture.stored("domains", id).await,
            fixture.all("audit_log").await.len()
        ),
        before
    );
}

#[tokio::test]
async fn con_1_two_requests_that_append_both_take_effect() {
    let fixture = Fixture::new().await;
    let id = fixture.domain("a.example.com").await;
    let mut first = fixture
        .acting("alice", "ticket_add", "Domain", id, NOW, 11)
        .await;
    let mut second = fixture
        .acting("alice", "ticket_add", "Domain", id, NOW, 12)
        .await;
    for (work, number) in [(&mut first, "1"), (&mut second, "2")] {
        let domain = work.current().unwrap();
        assert!(
            work.push_unique(
                domain,
                "tickets",
                &ticket(number, "alice"),
                &keys(&["ticket_number"])
            )
            .unwrap()
        );
    }
    fixture.commit(first).await.unwrap();
    fixture.commit(second).await.unwrap();
    assert_eq!(
        list(&fixture.stored("domains", id).await, "tickets").len(),
        2
    );
}

#[tokio::test]
async fn con_4_the_same_addition_by_two_requests_meets() {
    let fixture = Fixture::new().await;
    let id = fixture.domain("a.example.com").await;
    let mut first = fixture
        .acting("alice", "ticket_add", "Domain", id, NOW, 11)
        .await;
    let mut second = fixture
        .acting("alice", "ticket_add", "Domain", id, NOW, 12)
        .await;
    for work in [&mut first, &mut second] {
        let domain = work.current().unwrap();
        work.push_unique(
            domain,
            "tickets",
            &ticket("1", "alice"),
            &keys(&["ticket_number"]),
        )
        .unwrap();
    }
    fixture.commit(first).await.unwrap();
    assert!(matches!(
        fixture.commit(second).await,
        Err(CommitError::Conflict(_))
    ));
}

#[tokio::test]
async fn con_2_what_was_read_must_still_hold() {
    let fixture = Fixture::new().await;
    let id = fixture.domain("a.example.com").await;
    let mut reader = fixture
        .acting("alice", "ticket_add", "Domain", id, NOW, 11)
        .await;
    let domain = reader.current().unwrap();
    assert_eq!(reader.len(domain, "tickets").unwrap(), 0);
    reader
        .push(domain, "tickets", &ticket("1", "alice"))
        .unwrap();
    let mut writer = fixture
        .acting("alice", "ticket_add", "Domain", id, NOW, 12)
        .await;
    let domain = writer.current().unwrap();
    writer
        .push(domain, "tickets", &ticket("2", "alice"))
        .unwrap();
    fixture.commit(writer).await.unwrap();
    assert!(matches!(
        fixture.commit(reader).await,
        Err(CommitError::Conflict(_))
    ));
}

#[tokio::test]
async fn s1_what_may_not_be_seen_does_not_exist() {
    let fixture = Fixture::new().await;
    let id = fixture.domain("a.example.com").await;
    let mut work = fixture.creating("bob", "Domain", NOW, 3);
    let missing = Fault::Missing("Object not found.".into());
    assert_eq!(fault(work.by_id("Domain", &id.to_hex()).await), missing);
    assert_eq!(fault(work.by_id("Domain", "nonsense").await), missing);
    assert_eq!(fault(work.by_id("Spaceship", &id.to_hex()).await), missing);
    let key = [text("domain", "a.example.com")];
    assert_eq!(work.by_key("Domain", &key).await.unwrap(), None);
    assert!(work.taken("Domain", &key).await.unwrap());
    assert!(
        work.select("Domain", r#"{"domain": "a.example.com"}"#, "", 10)
            .await
            .unwrap()
            .is_empty()
    );
    let action = fixture.registry.action("Domain", "ticket_add").unwrap();
    let of = fixture.registry.type_named("Domain").unwrap();
    let mut work = Work::new(
        fixture.request("bob", NOW, 4, Vec::new()),
        Budgets::default(),
    );
    assert!(!work.begin_action(action, of, id).await.unwrap());
}

#[tokio::test]
async fn a_hidden_document_must_get_a_source() {
    let fixture = Fixture::new().await;
    let id = fixture.domain("a.example.com").await;
    let key = [text("domain", "a.example.com")];
    let mut work = fixture.creating("bob", "Domain", NOW, 3);
    assert_eq!(work.make("Domain", &key).await.unwrap().1, Origin::Hidden);
    assert!(matches!(
        fault(work.into_write_set().await),
        Fault::Internal(_)
    ));
    // Only asking for it does no harm, and a create that was taken back is as if it had never been.
    let mut work = fixture.creating("bob", "Domain", NOW, 3);
    assert!(work.taken("Domain", &key).await.unwrap());
    work.nest_create(
        "Domain",
        vec![text("domain", "a.example.com"), text("source", "Partner")],
    )
    .await
    .unwrap();
    assert_eq!(work.make("Domain", &key).await.unwrap().1, Origin::Hidden);
    fault(work.end_create(Err(Fault::Missing("gone".into()))));
    fixture.commit(work).await.unwrap();
    let mut work = fixture.creating("bob", "Domain", NOW, 3);
    let (domain, _) = work.make("Domain", &key).await.unwrap();
    assert!(work.add_source(domain, "Partner", &[]).await.unwrap());
    fixture.commit(work).await.unwrap();
    let stored = fixture.stored("domains", id).await;
    assert_eq!(list(&stored, "source").len(), 2);
    assert_eq!(
        stored.get_str("tlp").unwrap(),
        "amber",
        "the first source's"
    );
}

#[tokio::test]
async fn create_2_2_the_merge_rule_of_sources() {
    let fixture = Fixture::new().await;
    let id = fixture.domain("a.example.com").await;
    let mut work = fixture.creating("alice", "Domain", NOW, 3);
    let (domain, origin) = work
        .make("Domain", &[text("domain", "a.example.com")])
        .await
        .unwrap();
    assert_eq!(origin, Origin::Visible);
    let when = |at| arg("date", Value::Date(at));
    assert!(
        work.add_source(
            domain,
            "OSINT",
            &[when(NOW), text("method", "m"), text("tlp", "RED")]
        )
        .await
        .unwrap()
    );
    // Equal in analyst, date, method and reference, whatever the TLP.
    assert!(
        !work
            .add_source(
                domain,
                "OSINT",
                &[when(NOW), text("method", "m"), text("tlp", "white")]
            )
            .await
            .unwrap()
    );
    // ACT-21: another instance of the same moment moves on by a millisecond.
    assert!(
        work.add_source(domain, "OSINT", &[when(NOW), text("method", "n")])
            .await
            .unwrap()
    );
    assert!(work.add_source(domain, "Feed", &[when(NOW)]).await.unwrap());
    fixture.commit(work).await.unwrap();
    let stored = fixture.stored("domains", id).await;
    assert_eq!(stored.get_str("tlp").unwrap(), "amber");
    let instances = list(list(&stored, "source")[0], "instances");
    let dates: Vec<_> = instances
        .iter()
        .map(|instance| instance.get("date").unwrap().clone())
        .collect();
    assert_eq!(dates, [date(NOW - 60_000), date(NOW), date(NOW + 1)]);
    assert_eq!(instances[1].get_str("tlp").unwrap(), "red");
    assert_eq!(
        list(list(&stored, "source")[1], "instances")[0].get("date"),
        Some(&date(NOW))
    );
}

#[tokio::test]
async fn s6_and_tlp_texts_of_sources() {
    let fixture = Fixture::new().await;
    let mut work = fixture.creating("alice", "Domain", NOW, 3);
    let (domain, _) = work
        .make("Domain", &[text("domain", "a.example.com")])
        .await
        .unwrap();
    for (source, details, expected) in [
        (
            "Partner",
            vec![],
            Fault::Refused(
                "forbidden".into(),
                "User does not have permission to add object using source Partner.".into(),
            ),
        ),
        (
            "Nobody",
            vec![],
            Fault::Refused(
                "forbidden".into(),
                "User does not have permission to add object using source Nobody.".into(),
            ),
        ),
        (
            " ",
            vec![],
            Fault::Invalid("source".into(), "Missing source information.".into()),
        ),
        (
            "OSINT",
            vec![text("tlp", "purple")],
            Fault::Invalid("tlp".into(), "'purple' is not a valid TLP.".into()),
        ),
        (
            "OSINT",
            vec![text("date", "x")],
            Fault::Invalid("date".into(), "Invalid date: x.".into()),
        ),
    ] {
        assert_eq!(
            fault(work.add_source(domain, source, &details).await),
            expected
        );
    }
    assert_eq!(
        fault(work.into_write_set().await),
        Fault::Invalid("source".into(), "Missing source information.".into())
    );
}

#[tokio::test]
async fn two_requests_that_add_sources_to_one_document_do_not_conflict() {
    let fixture = Fixture::new().await;
    let id = fixture.domain("a.example.com").await;
    let mut works = Vec::new();
    for (seed, method) in [(21, "m"), (22, "n")] {
        let mut work = fixture.creating("alice", "Domain", NOW + i64::from(seed), seed);
        let (domain, _) = work
            .make("Domain", &[text("domain", "a.example.com")])
            .await
            .unwrap();
        work.merge_shared(domain, &[text("source", "OSINT"), text("method", method)])
            .await
            .unwrap();
        works.push(work);
    }
    for work in works {
        fixture.commit(work).await.unwrap();
    }
    assert_eq!(
        list(
            list(&fixture.stored("domains", id).await, "source")[0],
            "instances"
        )
        .len(),
        3
    );
}

#[tokio::test]
async fn create_2_3_campaigns_are_only_raised() {
    let fixture = Fixture::new().await;
    let id = fixture.domain("a.example.com").await;
    for (seed, confidence, expected) in [
        (1, "medium", "medium"),
        (2, "low", "medium"),
        (3, " HIGH ", "high"),
    ] {
        let mut work = fixture.creating("alice", "Domain", NOW, seed);
        let (domain, _) = work
            .make("Domain", &[text("domain", "a.example.com")])
            .await
            .unwrap();
        let campaigns = arg("campaign", Value::Json(json!(["Bear, Inc"]).to_string()));
        work.merge_shared(domain, &[campaigns, text("confidence", confidence)])
            .await
            .unwrap();
        fixture.commit(work).await.unwrap();
        let stored = fixture.stored("domains", id).await;
        assert_eq!(list(&stored, "campaign").len(), 1);
        assert_eq!(
            list(&stored, "campaign")[0].get_str("confidence").unwrap(),
            expected
        );
    }
    let mut work = fixture.creating("alice", "Domain", NOW, 4);
    let (domain, _) = work
        .make("Domain", &[text("domain", "a.example.com")])
        .await
        .unwrap();
    let refused = work
        .merge_shared(
            domain,
            &[text("campaign", "Bear"), text("confidence", "sure")],
        )
        .await;
    assert_eq!(
        fault(refused),
        Fault::Invalid(
            "confidence".into(),
            "Invalid campaign confidence: sure.".into()
        )
    );
}

#[tokio::test]
async fn create_5_11_status_new_does_not_undo_a_status() {
    let fixture = Fixture::new().await;
    let id = fixture.domain("a.example.com").await;
    for (seed, status, expected) in [(1, "analyzed", "Analyzed"), (2, "New", "Analyzed")] {
        let mut work = fixture.creating("alice", "Domain", NOW, seed);
        let (domain, _) = work
            .make("Domain", &[text("domain", "a.example.com")])
            .await
            .unwrap();
        work.merge_shared(domain, &[text("status", status)])
            .await
            .unwrap();
        fixture.commit(work).await.unwrap();
        assert_eq!(
            fixture
                .stored("domains", id)
                .await
                .get_str("status")
                .unwrap(),
            expected
        );
    }
    let mut work = fixture.creating("alice", "Domain", NOW, 4);
    let (domain, _) = work
        .make("Domain", &[text("domain", "a.example.com")])
        .await
        .unwrap();
    let refused = work.merge_shared(domain, &[text("status", "Bad")]).await;
    assert_eq!(
        fault(refused),
        Fault::Invalid("status".into(), "Invalid status: Bad.".into())
    );
}

#[tokio::test]
async fn documents_5_3_buckets_are_counted_by_type_under_concurrency() {
    let fixture = Fixture::new().await;
    let bucket = |fixture: &Fixture, name: &'static str, seed: u8| {
        let mut work = fixture.creating("alice", "Domain", NOW, seed);
        async move {
            let (domain, _) = work.make("Domain", &[text("domain", name)]).await.unwrap();
            work.merge_shared(
                domain,
                &[text("source", "OSINT"), text("bucket_list", "phish")],
            )
            .await
            .unwrap();
            work.into_write_set().await.unwrap()
        }
    };
    let (first, second) = (
        bucket(&fixture, "a.example.com", 1).await,
        bucket(&fixture, "b.example.com", 2).await,
    );
    fixture.store().commit(first).await.unwrap();
    assert!(
        matches!(
            fixture.store().commit(second).await,
            Err(CommitError::Conflict(_))
        ),
        "both made the counter"
    );
    // Run again, it is incremented; and from now on nobody waits for anybody.
    let again = bucket(&fixture, "b.example.com", 2).await;
    let third = bucket(&fixture, "c.example.com", 3).await;
    fixture.store().commit(again).await.unwrap();
    fixture.store().commit(third).await.unwrap();
    let counters = fixture.all("bucket_lists").await;
    assert_eq!(counters.len(), 1);
    assert_eq!(
        (
            counters[0].get_str("name").unwrap(),
            counters[0].get_i32("schema_version").unwrap()
        ),
        ("phish", 2)
    );
    assert_eq!(counters[0].get("Domain").and_then(Bson::as_i32), Some(3));
    assert_eq!(counters[0].get("IP"), Some(&Bson::Int32(0)));
}

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
    // Documents.md L6: only the one that the request is about has changed; both are audited.
    assert_eq!(left_stored.get("modified"), Some(&date(NOW)));
    assert_eq!(right_stored.get("modified"), Some(&date(NOW - 60_000)));
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

#[tokio::test]
async fn forge_relationship_5_a_lacking_half_is_rebuilt_from_the_other() {
    let fixture = Fixture::new().await;
    let (left, right) = (
        fixture.domain("example.com").await,
        fixture.domain("www.example.com").await,
    );
    let half = bson::doc! {"relationship": "Contains", "value": right, "type": "Domain", "relationship_date": date(1), "date": date(2),
    "analyst": "jdoe", "rel_reason": "old", "rel_confidence": "high"};
    let change = crate::store::Write::Change {
        document: crate::store::DocKey {
            collection: "domains".into(),
            id: left,
        },
        operations: vec![Op::Push(FieldPath::literal("relationships"), half.into())],
    };
    fixture
        .store()
        .commit(crate::store::WriteSet {
            writes: vec![change],
            ..Default::default()
        })
        .await
        .unwrap();
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
async fn a_nested_create_that_fails_takes_back_only_its_own() {
    let fixture = Fixture::new().await;
    let mut work = fixture.creating("alice", "Domain", NOW, 3);
    let (domain, _) = work
        .make("Domain", &[text("domain", "a.example.com")])
        .await
        .unwrap();
    work.merge_shared(
        domain,
        &[text("source", "OSINT"), text("bucket_list", "outer")],
    )
    .await
    .unwrap();
    let nested = work
        .nest_create("IP", vec![text("ip", "192.0.2.1"), text("source", "OSINT")])
        .await
        .unwrap();
    assert_eq!(nested.of.declaration.name, "IP");
    let (ip, _) = work.make("IP", &[text("ip", "192.0.2.1")]).await.unwrap();
    work.merge_shared(ip, &nested.args).await.unwrap();
    let no = Fault::Invalid("ip".into(), "No.".into());
    assert_eq!(fault(work.end_create(Err(no.clone()))), no);
    // Again, and this time it succeeds.
    let nested = work
        .nest_create("IP", vec![text("ip", "192.0.2.1"), text("source", "OSINT")])
        .await
        .unwrap();
    let (ip, origin) = work.make("IP", &[text("ip", "192.0.2.1")]).await.unwrap();
    assert_eq!(origin, Origin::Fresh, "nothing is left of the first");
    work.merge_shared(ip, &nested.args).await.unwrap();
    let outcome = work.end_create(Ok(answer(ip))).unwrap();
    let ip = outcome.document.unwrap();
    assert_eq!(work.type_of(ip).unwrap(), "IP");
    work.relate(domain, "Resolved To", ip, &[]).await.unwrap();
    fixture.commit(work).await.unwrap();
    assert_eq!(
        (
            fixture.all("ips").await.len(),
            fixture.all("domains").await.len()
        ),
        (1, 1)
    );
}

#[tokio::test]
async fn a_nested_create_that_fails_restores_outer_documents() {
    let fixture = Fixture::new().await;
    let id = fixture.domain("a.example.com").await;
    let mut work = fixture.creating("alice", "Domain", NOW, 3);
    let (domain, _) = work
        .make("Domain", &[text("domain", "a.example.com")])
        .await
        .unwrap();
    work.merge_shared(domain, &[text("bucket_list", "outer")])
        .await
        .unwrap();
    work.nest_create(
        "Domain",
        vec![text("domain", "a.example.com"), text("source", "OSINT")],
    )
    .await
    .unwrap();
    let (inner, _) = work
        .make("Domain", &[text("domain", "a.example.com")])
        .await
        .unwrap();
    work.merge_shared(inner, &[text("bucket_list", "inner")])
        .await
        .unwrap();
    fault(work.end_create(Err(Fault::Missing("gone".into()))));
    fixture.commit(work).await.unwrap();
    assert_eq!(
        fixture
            .stored("domains", id)
            .await
            .get_array("bucket_list")
            .unwrap(),
        &[Bson::from("outer")]
    );
}

#[tokio::test]
async fn nested_creates_are_declared_permitted_and_bounded() {
    let fixture = Fixture::new().await;
    let mut work = fixture.creating("alice", "Domain", NOW, 3);
    assert_eq!(
        fault(work.nest_create("Event", Vec::new()).await.map(|_| ())),
        Fault::Internal("`domain` creates a `Event` without declaring `create:Event`".into())
    );
    assert_eq!(
        fault(
            work.nest_create("IP", vec![text("ip", "192.0.2.1")])
                .await
                .map(|_| ())
        ),
        Fault::Invalid("source".into(), "Missing source information.".into())
    );
    let mut work = fixture.creating("carol", "Domain", NOW, 3);
    assert_eq!(
        fault(
            work.nest_create("IP", vec![text("ip", "192.0.2.1"), text("source", "OSINT")])
                .await
                .map(|_| ())
        ),
        Fault::Refused(
            "forbidden".into(),
            "User does not have permission to create Object.".into()
        )
    );
    let budgets = Budgets {
        depth: 1,
        ..Budgets::default()
    };
    let mut work = Work::new(fixture.request("alice", NOW, 4, Vec::new()), budgets);
    work.begin_create(fixture.registry.type_named("Domain").unwrap());
    let args = || vec![text("domain", "b.example.com"), text("source", "OSINT")];
    work.nest_create("Domain", args()).await.unwrap();
    let deeper = work
        .nest_create("Domain", args())
        .await
        .map(|_| ())
        .unwrap_err();
    assert_eq!(
        deeper.to_string(),
        "the plugin `domain` used up its budget of creates within one another"
    );
}

#[tokio::test]
async fn fields_are_protected_and_converted() {
    let fixture = Fixture::new().await;
    let id = fixture.domain("a.example.com").await;
    let mut work = fixture
        .acting("alice", "ticket_add", "Domain", id, NOW, 5)
        .await;
    let domain = work.current().unwrap();
    let write = |work: &mut Work, path: &str, value: Value| fault(work.set(domain, path, &value));
    let kept = |field: &str| {
        Fault::Refused(
            "forbidden".into(),
            format!("`{field}` is kept by the server."),
        )
    };
    for field in [
        "_id",
        "created",
        "modified",
        "schema_version",
        "relationships",
        "unsupported_attrs",
    ] {
        assert_eq!(write(&mut work, field, Value::Int(1)), kept(field));
    }
    assert_eq!(
        write(&mut work, "secret", Value::Int(1)),
        Fault::Refused(
            "forbidden".into(),
            "`secret` is kept by the type's own plugin.".into()
        )
    );
    assert_eq!(
        write(&mut work, "size", Value::Int(1)),
        Fault::Internal(
            "`common` writes `size` of a `Domain` without declaring it in `touches`".into()
        )
    );
    assert_eq!(
        write(&mut work, "nope", Value::Int(1)),
        Fault::Internal("`Domain` declares no field `nope`".into())
    );
    assert_eq!(
        fault(work.push(domain, "tickets", &ticket("1", "mallory"))),
        Fault::Refused(
            "forbidden".into(),
            "An entry can't be written in the name of mallory.".into()
        )
    );
    let mut work = fixture.creating("alice", "Domain", NOW, 6);
    let (domain, _) = work
        .make("Domain", &[text("domain", "b.example.com")])
        .await
        .unwrap();
    work.merge_shared(domain, &[text("source", "OSINT")])
        .await
        .unwrap();
    let values = [
        text("size", " 42 "),
        text("seen", "2020-01-02"),
        text("uuid", "7c1d2f0e-5a44-4a5e-9f6b-2d3c4b5a6978"),
        arg("secret", Value::Int(5)),
    ];
    work.set_many(domain, &values).unwrap();
    assert_eq!(
        fault(work.set(domain, "size", &Value::Text("x".into()))),
        Fault::Invalid("size".into(), "`size` must be an integer.".into())
    );
    assert_eq!(work.get(domain, "size").unwrap(), Some(Value::Int(42)));
    assert_eq!(
        work.get(domain, "seen").unwrap(),
        Some(Value::Date(1_577_923_200_000))
    );
    assert_eq!(
        work.get(domain, "uuid").unwrap(),
        Some(Value::Text("7c1d2f0e-5a44-4a5e-9f6b-2d3c4b5a6978".into()))
    );
    assert_eq!(
        work.get(domain, "secret").unwrap(),
        Some(Value::Text("5".into()))
    );
    assert_eq!(work.get(domain, "nothing.here").unwrap(), None);
    work.set(domain, "size", &Value::Null).unwrap();
    assert_eq!(work.get(domain, "size").unwrap(), None);
}

#[tokio::test]
async fn lists_can_be_searched_and_thinned() {
    let fixture = Fixture::new().await;
    let id = fixture.domain("a.example.com").await;
    let mut work = fixture
        .acting("alice", "ticket_add", "Domain", id, NOW, 5)
        .await;
    let domain = work.current().unwrap();
    for number in ["1", "2", "3"] {
        work.push(domain, "tickets", &ticket(number, "alice"))
            .unwrap();
    }
    assert_eq!(
        work.find(domain, "tickets", r#"{"ticket_number": "2"}"#, 0)
            .unwrap(),
        Some(1)
    );
    assert_eq!(
        work.find(domain, "tickets", r#"{"ticket_number": 3}"#, 0)
            .unwrap(),
        Some(2),
        "of the declared kind"
    );
    assert_eq!(
        work.find(domain, "tickets", r#"{"ticket_number": "2"}"#, 2)
            .unwrap(),
        None
    );
    let at_now = json!({"date": {"$date": NOW}}).to_string();
    assert_eq!(work.pull(domain, "tickets", &at_now, 1).unwrap(), 1);
    assert_eq!(
        work.pull(
            domain,
            "tickets",
            r#"{"ticket_number": {"in": ["3", "4"]}}"#,
            0
        )
        .unwrap(),
        1
    );
    assert_eq!(
        work.pull(domain, "tickets", r#"{"ticket_number": "9"}"#, 0)
            .unwrap(),
        0
    );
    assert_eq!(work.len(domain, "tickets").unwrap(), 1);
    assert!(matches!(
        fault(work.len(domain, "domain")),
        Fault::Internal(_)
    ));
    assert!(matches!(
        fault(work.get(domain, "a..b")),
        Fault::Internal(_)
    ));
    assert!(
        matches!(fault(work.get(77, "domain")), Fault::Internal(reason) if reason == "no document number 77 in this call")
    );
    fixture.commit(work).await.unwrap();
    let stored = fixture.stored("domains", id).await;
    assert_eq!(
        list(&stored, "tickets")[0]
            .get_str("ticket_number")
            .unwrap(),
        "2"
    );
}

#[tokio::test]
async fn s6_holds_for_sources_that_a_plugin_writes_itself() {
    let fixture = Fixture::new().await;
    let id = fixture.domain("a.example.com").await;
    let entry = |source: &str| {
        Value::Json(json!({"name": source, "instances": [{"analyst": "alice", "date": {"$date": NOW}, "method": "", "reference": "", "tlp": "red"}]}).to_string())
    };
    let mut work = fixture
        .acting("alice", "source_add_update", "Domain", id, NOW, 5)
        .await;
    let domain = work.current().unwrap();
    work.push(domain, "source", &entry("Partner")).unwrap();
    let message = "User does not have permission to add object using source Partner.";
    assert_eq!(
        fault(work.into_write_set().await),
        Fault::Refused("forbidden".into(), message.into())
    );
    let mut work = fixture
        .acting("alice", "source_add_update", "Domain", id, NOW, 5)
        .await;
    let domain = work.current().unwrap();
    work.push(domain, "source", &entry("Feed")).unwrap();
    fixture.commit(work).await.unwrap();
}

#[tokio::test]
async fn set_back_to_what_it_was_is_no_change() {
    let fixture = Fixture::new().await;
    let id = fixture.domain("a.example.com").await;
    let mut work = fixture.creating("alice", "Domain", NOW, 5);
    let (domain, _) = work
        .make("Domain", &[text("domain", "a.example.com")])
        .await
        .unwrap();
    work.set(domain, "record_type", &Value::Text("x".into()))
        .unwrap_err();
    work.set(domain, "type", &Value::Text("MX".into())).unwrap();
    work.set(domain, "type", &Value::Text("A".into())).unwrap();
    assert!(work.into_write_set().await.unwrap().writes.is_empty());
    assert_eq!(
        fixture.stored("domains", id).await.get("modified"),
        Some(&date(NOW - 60_000))
    );
}

#[tokio::test]
async fn select_answers_visible_documents_and_own_writes() {
    let fixture = Fixture::new().await;
    let id = fixture.domain("a.example.com").await;
    let mut work = fixture.creating("alice", "Domain", NOW, 5);
    let (fresh, _) = work
        .make("Domain", &[text("domain", "b.example.com")])
        .await
        .unwrap();
    let condition = r#"{"domain": {"in": ["a.example.com", "b.example.com"]}}"#;
    let found = work.select("Domain", condition, "", 10).await.unwrap();
    assert_eq!(
        found
            .iter()
            .map(|number| work.id(*number).unwrap())
            .collect::<Vec<_>>(),
        [id.to_hex(), work.id(fresh).unwrap()]
    );
    assert_eq!(
        work.select("Domain", condition, &id.to_hex(), 10)
            .await
            .unwrap(),
        [fresh]
    );
    assert_eq!(
        work.select("Domain", condition, "", 1).await.unwrap().len(),
        1
    );
    assert!(matches!(
        fault(work.select("Domain", r#"{"secret": "x"}"#, "", 1).await),
        Fault::Internal(_)
    ));
}

#[tokio::test]
async fn m7_identifiers_keep_the_first_tlp_among_the_unsupported() {
    let fixture = Fixture::new().await;
    let mut work = fixture.creating("alice", "ActorIdentifier", NOW, 5);
    let (identifier, _) = work
        .make(
            "ActorIdentifier",
            &[text("identifier_type", "Handle"), text("name", "x")],
        )
        .await
        .unwrap();
    work.merge_shared(
        identifier,
        &[text("source", "OSINT"), text("campaign", "ignored")],
    )
    .await
    .unwrap();
    let id = id_of(&work, identifier);
    fixture.commit(work).await.unwrap();
    let stored = fixture.stored("actor_identifiers", id).await;
    assert_eq!(
        stored.get_document("unsupported_attrs").unwrap(),
        &bson::doc! {"tlp": "amber"}
    );
    for absent in ["tlp", "status", "campaign", "modified", "relationships"] {
        assert!(!stored.contains_key(absent), "{absent}");
    }
    assert_eq!(stored.get("created"), Some(&date(NOW)));
}

#[tokio::test]
async fn documents_3_5_a_campaign_stub_is_adopted() {
    let fixture = Fixture::new().await;
    let id = ObjectId::new();
    let stub = crate::store::Write::Insert {
        collection: "campaigns".into(),
        body: bson::doc! {"_id": id, "name": "Bear", "ip_count": 2.0},
    };
    fixture
        .store()
        .commit(crate::store::WriteSet {
            writes: vec![stub],
            ..Default::default()
        })
        .await
        .unwrap();
    let mut work = fixture.creating("alice", "Campaign", NOW, 5);
    let (campaign, origin) = work
        .make("Campaign", &[text("name", "Bear")])
        .await
        .unwrap();
    assert_eq!(origin, Origin::Visible);
    work.set(campaign, "active", &Value::Text("on".into()))
        .unwrap();
    fixture.commit(work).await.unwrap();
    let stored = fixture.stored("campaigns", id).await;
    assert_eq!(
        (
            stored.get_i32("schema_version").unwrap(),
            stored.get_f64("ip_count").unwrap()
        ),
        (3, 2.0)
    );
    assert!(stored.contains_key("tickets") && stored.contains_key("created"));
}

#[tokio::test]
async fn a_new_document_without_a_required_field_is_the_plugins_mistake() {
    let fixture = Fixture::new().await;
    let mut work = fixture.creating("alice", "Event", NOW, 5);
    let (event, _) = work.make("Event", &[]).await.unwrap();
    work.add_source(event, "OSINT", &[]).await.unwrap();
    assert_eq!(
        fault(work.into_write_set().await),
        Fault::Internal("a new `Event` lacks the required field `title`".into())
    );
}

#[tokio::test]
async fn a_run_again_gives_the_same_ids_and_random_bytes() {
    let fixture = Fixture::new().await;
    let mut first = fixture.creating("alice", "Event", NOW, 5);
    let mut second = fixture.creating("alice", "Event", NOW, 5);
    assert_eq!(
        (first.new_id(), first.random(40)),
        (second.new_id(), second.random(40))
    );
    assert_ne!(
        first.new_id(),
        fixture.creating("alice", "Event", NOW, 6).new_id()
    );
    assert_eq!(first.random(5000).len(), 1024);
    assert!(first.new_id() < first.new_id());
    assert!(
        first.may("write")
            && first.may("Actor.name_edit")
            && first.may_write("OSINT")
            && !first.may_write("Partner")
    );
}

#[tokio::test]
async fn warnings_are_bounded() {
    let fixture = Fixture::new().await;
    let mut work = fixture.creating("alice", "Event", NOW, 5);
    for number in 0..200 {
        work.warn(&format!("{number} {}", "\u{e9}".repeat(400)));
        work.warn("again");
    }
    assert_eq!(work.warnings().len(), 100);
    assert!(work.warnings().iter().all(|warning| warning.len() <= 500));
}

#[tokio::test]
async fn files_are_read_made_kept_and_opened() {
    let fixture = Fixture::new().await;
    let staged = stage(fixture.store(), "C:\\temp\\evil.txt", b"hello\n".to_vec())
        .await
        .unwrap();
    let mut work = Work::new(
        fixture.request("alice", NOW, 5, vec![("filedata".into(), Arc::new(staged))]),
        Budgets {
            made_bytes: 10,
            ..Budgets::default()
        },
    );
    work.begin_create(fixture.registry.type_named("Sample").unwrap());
    assert_eq!(
        (work.upload_name(1).unwrap(), work.upload_size(1).unwrap()),
        ("evil.txt".into(), 6)
    );
    for (algorithm, digest) in [
        ("md5", "b1946ac92492d2347c6235b4d2611184"),
        ("sha1", "f572d396fae9206628714fb2ce00f72e94f2258f"),
        (
            "sha256",
            "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
        ),
    ] {
        assert_eq!(
            work.upload_digest(1, algorithm).await.unwrap().as_deref(),
            Some(digest)
        );
    }
    assert_eq!(
        work.upload_digest(1, "sha512")
            .await
            .unwrap()
            .unwrap()
            .len(),
        128
    );
    assert_eq!(
        work.upload_digest(1, "ssdeep").await.unwrap().as_deref(),
        Some("3:iKv:B")
    );
    assert_eq!(work.upload_digest(1, "impfuzzy").await.unwrap(), None);
    assert!(matches!(
        fault(work.upload_digest(1, "crc32").await),
        Fault::Internal(_)
    ));
    assert_eq!(
        work.upload_kind(1).await.unwrap(),
        ("ASCII text".into(), "text/plain".into())
    );
    assert_eq!(work.upload_read(1, 1, 3).await.unwrap(), b"ell");
    assert_eq!(work.upload_read(1, 6, 3).await.unwrap(), b"");

    let made = work.upload_make("a/b.bin").unwrap();
    work.upload_append(made, b"12345").await.unwrap();
    work.upload_append(made, b"678").await.unwrap();
    let limit = Fault::Refused(
        "limit".into(),
        "The files within are larger than the 10 bytes allowed.".into(),
    );
    assert_eq!(fault(work.upload_append(made, b"9ab").await), limit);
    assert_eq!(
        (
            work.upload_name(made).unwrap(),
            work.upload_size(made).unwrap()
        ),
        ("b.bin".into(), 8)
    );
    assert!(
        matches!(
            fault(work.upload_append(made, b"9").await),
            Fault::Internal(_)
        ),
        "closed"
    );
    assert_eq!(
        work.upload_digest(made, "md5").await.unwrap().as_deref(),
        Some("25d55ad283aa400af464c76d713c07ad")
    );

    let (sample, _) = work.make("Sample", &[]).await.unwrap();
    work.add_source(sample, "OSINT", &[]).await.unwrap();
    assert!(matches!(
        fault(work.upload_keep(made, sample, "status").await),
        Fault::Internal(_)
    ));
    let kept = work.upload_keep(made, sample, "filedata").await.unwrap();
    assert_eq!(work.get(sample, "filedata").unwrap(), Some(Value::Id(kept)));
    let opened = work.upload_open(sample, "filedata").await.unwrap().unwrap();
    assert_eq!(work.upload_read(opened, 0, 100).await.unwrap(), b"12345678");
    assert_eq!(
        work.upload_digest(opened, "sha1").await.unwrap().as_deref(),
        Some("7c222fb2927d828af22f592134e8932480637c0d")
    );
    assert!(work.upload_name(99).is_err());
    fixture.commit(work).await.unwrap();
}
