//! Nested creates, fields of all kinds, look-ups, files.

use super::*;

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
    work.begin_create(fixture.registry.type_named("Domain").unwrap(), None);
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

/// Documents.md 3.9: what no field is for is kept by the server, unless the type declares it; and then by its own plugin.
#[tokio::test]
async fn a_type_may_write_unsupported_attributes_that_it_declares() {
    let fixture = Fixture::new().await;
    let json = |text: &str| Value::Json(text.into());
    let mut work = fixture.creating("alice", "Sample", NOW, 5);
    let (sample, _) = work.make("Sample", &[]).await.unwrap();
    work.merge_shared(sample, &[text("source", "OSINT")])
        .await
        .unwrap();
    work.set(sample, "unsupported_attrs", &json(r#"{"x_kind": "odd"}"#))
        .unwrap();
    work.set(sample, "unsupported_attrs.other", &Value::Int(1))
        .unwrap();
    let id = super::super::fixture::id_of(&work, sample);
    fixture.commit(work).await.unwrap();
    assert_eq!(
        fixture
            .stored("samples", id)
            .await
            .get_document("unsupported_attrs")
            .unwrap(),
        &bson::doc! {"x_kind": "odd", "other": 1}
    );
    let mut work = fixture
        .acting("alice", "ticket_add", "Sample", id, NOW, 6)
        .await;
    let sample = work.current().unwrap();
    assert_eq!(
        fault(work.set(sample, "unsupported_attrs", &json("{}"))),
        Fault::Refused(
            "forbidden".into(),
            "`unsupported_attrs` is kept by the type's own plugin.".into()
        )
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
    let mut before = first.new_id();
    for _ in 0..1000 {
        let next = first.new_id();
        assert!(before < next);
        before = next;
    }
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
    work.begin_create(fixture.registry.type_named("Sample").unwrap(), None);
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

/// Documents.md 4.1: files among the objects of a document are found by their MD5.
#[tokio::test]
async fn add_object_8_a_file_of_a_list_is_kept_under_its_md5() {
    const MD5: &str = "25d55ad283aa400af464c76d713c07ad";
    let fixture = Fixture::new().await;
    let domain = fixture.domain("example.com").await;
    let mut work = fixture
        .acting("alice", "add_object", "Domain", domain, NOW, 5)
        .await;
    let here = work.current().unwrap();
    let made = work.upload_make("f.bin").unwrap();
    work.upload_append(made, b"12345678").await.unwrap();
    work.push(
        here,
        "objects",
        &Value::Json(json!({"type": "File Upload", "value": ""}).to_string()),
    )
    .unwrap();
    let id = work
        .upload_keep(made, here, "objects.0.value")
        .await
        .unwrap();
    assert_eq!(
        work.get(here, "objects.0.value").unwrap(),
        Some(Value::Text(MD5.into()))
    );
    let opened = work
        .upload_open(here, "objects.0.value")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(work.upload_read(opened, 0, 100).await.unwrap(), b"12345678");
    assert!(work.freed_files().unwrap().is_empty());
    fixture.commit(work).await.unwrap();
    let file = fixture
        .store()
        .file("objects", ObjectId::parse_str(&id).unwrap())
        .await
        .unwrap();
    assert_eq!(file.map(|file| hex::encode(file.md5)).as_deref(), Some(MD5));

    let mut work = fixture
        .acting("alice", "add_object", "Domain", domain, NOW, 6)
        .await;
    let here = work.current().unwrap();
    work.pull(here, "objects", "{\"type\": \"File Upload\"}", 1)
        .unwrap();
    let freed = work.freed_files().unwrap();
    let freed: Vec<_> = freed
        .iter()
        .map(|file| (file.bucket.as_str(), hex::encode(file.md5)))
        .collect();
    assert_eq!(freed, [("objects", MD5.to_owned())]);
}
