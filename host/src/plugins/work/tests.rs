//! The rules of a transaction, against a real store.

mod declared;
mod nesting;
mod relations;
mod removal;

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
async fn m10_m11_m14_what_is_written_has_the_time_of_the_stored_zone() {
    const HOUR: i64 = 3_600_000;
    let fixture = Fixture::new().await;
    let request = fixture.request("alice", NOW, 9, Vec::new());
    let request = Request {
        zones: Zones::named("Asia/Dubai", "Asia/Kolkata"),
        ..Arc::into_inner(request).unwrap()
    };
    let mut work = Work::new(Arc::new(request), Budgets::default());
    work.begin_create(fixture.registry.type_named("Domain").unwrap(), None);
    assert_eq!(work.now(), NOW + 4 * HOUR);
    // An id tells the moment.
    let seconds = work.new_id().timestamp().timestamp_millis() / 1000;
    assert_eq!(seconds, NOW / 1000);
    let name = [text("domain", "a.example.com")];
    let (domain, _) = work.make("Domain", &name).await.unwrap();
    let seen = Value::Text("1970-01-01 05:30:00".into());
    work.set(domain, "seen", &seen).unwrap();
    let args = [text("source", "OSINT"), text("ticket", "7")];
    work.merge_shared(domain, &args).await.unwrap();
    let shown = crate::dates::text(NOW + 5 * HOUR + HOUR / 2);
    let wanted = json!({"date": shown}).to_string();
    let found = work.find(domain, "tickets", &wanted, 0).unwrap();
    assert_eq!(found, Some(0));
    let details = [text("date", "1970-01-01 05:30:00")];
    work.add_source(domain, "Feed", &details).await.unwrap();
    let id = id_of(&work, domain);
    fixture.commit(work).await.unwrap();
    let stored = fixture.stored("domains", id).await;
    let now = Some(date(NOW + 4 * HOUR));
    assert_eq!(stored.get("created"), now.as_ref());
    assert_eq!(stored.get("modified"), now.as_ref());
    assert_eq!(list(&stored, "tickets")[0].get("date"), now.as_ref());
    // Kolkata's half past five is midnight in Greenwich and four in Dubai.
    assert_eq!(stored.get("seen"), Some(&date(4 * HOUR)));
    let instances = list(list(&stored, "source")[1], "instances");
    assert_eq!(instances[0].get("date"), Some(&date(4 * HOUR)));
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
async fn s1_s19_what_may_not_be_seen_does_not_exist() {
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
async fn searches_in_one_list_do_not_conflict_unless_their_answers_change() {
    let fixture = Fixture::new().await;
    let id = fixture.domain("a.example.com").await;
    let mut works = Vec::new();
    for (seed, number) in [(21, "1"), (22, "2"), (23, "2")] {
        let mut work = fixture
            .acting("alice", "ticket_add", "Domain", id, NOW, seed)
            .await;
        let domain = work.current().unwrap();
        let wanted = json!({ "ticket_number": number }).to_string();
        assert_eq!(work.find(domain, "tickets", &wanted, 0).unwrap(), None);
        let entry =
            json!({ "ticket_number": number, "date": { "$date": NOW }, "analyst": "alice" });
        work.push(domain, "tickets", &Value::Json(entry.to_string()))
            .unwrap();
        works.push(work);
    }
    let third = works.pop().unwrap();
    for work in works {
        fixture.commit(work).await.unwrap();
    }
    assert!(matches!(
        fixture.commit(third).await,
        Err(CommitError::Conflict(_))
    ));
    assert_eq!(
        list(&fixture.stored("domains", id).await, "tickets").len(),
        2
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

/// A call whose time is up because the store was slow several times is the store's fault, not the plugin's.
#[test]
fn slow_answers_add_up() {
    let waits = Waits::default();
    for number in 1..=2 {
        waits.begin();
        std::thread::sleep(Waits::SLOW);
        assert!(waits.total() >= Waits::SLOW * number);
        waits.end();
        assert!(waits.total() >= Waits::SLOW * number);
    }
    let before = waits.total();
    std::thread::sleep(Waits::SLOW);
    assert_eq!(waits.total(), before, "nothing is waited for");
}
