//! Time zones: `stored_timezone`, the one of the database (M10, M14), and `display_timezone`, that of the clients (D1).

use anyhow::{Context, Result, ensure};
use critd_tests::{Answer, Json, Server, json};
use regex::Regex;
use time::macros::format_description;
use time::{Duration, OffsetDateTime, PrimitiveDateTime};

/// Five hours and a half ahead of UTC all year round.
const KOLKATA: Duration = Duration::minutes(330);
/// Ten hours behind.
const HONOLULU: Duration = Duration::hours(-10);

const FORMATS: [&str; 5] = ["json", "xml", "yaml", "csv", "ndjson"];

/// Every resource with dates that can be read, and a form that it takes.
const RESOURCES: [(&str, &str); 12] = [
    ("campaigns", "name=C"),
    ("actors", "name=A"),
    ("actoridentifiers", "identifier_type=Handle&identifier=x"),
    ("backdoors", "name=B&version=1"),
    ("domains", "domain=example.com"),
    (
        "events",
        "title=E&event_type=Phishing&description=2026-01-15+10:20:30&date=2018-05-04",
    ),
    ("exploits", "name=X"),
    ("indicators", "type=Mutex&value=x"),
    ("ips", "ip=192.0.2.1&ip_type=IPv4+Address"),
    (
        "raw_data",
        "upload_type=metadata&title=R&data_type=Text&data=x",
    ),
    ("signatures", "title=S&data_type=Yara&data=x"),
    ("targets", "email_address=t@example.org"),
];

async fn start(settings: &[&str]) -> Result<Server> {
    let server = Server::start().await?;
    set(&server, settings)?;
    Ok(server)
}

fn set(server: &Server, settings: &[&str]) -> Result<()> {
    for setting in settings {
        server.cli(&["set", setting])?;
    }
    Ok(())
}

/// One object of each resource, with tickets and campaigns where it takes them; their resources and ids.
async fn fill(server: &Server) -> Result<Vec<(&'static str, String)>> {
    let mut made = Vec::new();
    for (resource, form) in RESOURCES {
        let form = format!("{form}&source=Alpha&ticket=T-1&campaign=C&confidence=low");
        let form: Vec<(String, String)> = form_urlencoded::parse(form.as_bytes())
            .into_owned()
            .collect();
        let form: Vec<(&str, &str)> = form
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        let answer = server.post(&format!("/api/v1/{resource}/"), &form).await?;
        made.push((resource, answer.created_id()?));
    }
    Ok(made)
}

fn read(text: &str) -> Result<PrimitiveDateTime> {
    const FORM: &[time::format_description::BorrowedFormatItem<'_>] =
        format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:6]");
    PrimitiveDateTime::parse(text, FORM).with_context(|| text.to_owned())
}

fn written(date: PrimitiveDateTime) -> String {
    let (day, (hour, minute, second, micro)) = (date.date(), date.time().as_hms_micro());
    format!("{day} {hour:02}:{minute:02}:{second:02}.{micro:06}")
}

/// A text with all dates in the form of answers moved.
fn moved(text: &str, by: Duration) -> Result<String> {
    let form = Regex::new(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}")?;
    let mut moved = String::new();
    let mut end = 0;
    for date in form.find_iter(text) {
        moved.push_str(&text[end..date.start()]);
        moved.push_str(&written(read(date.as_str())? + by));
        end = date.end();
    }
    ensure!(end > 0, "no date in {text}");
    Ok(moved + &text[end..])
}

fn text<'j>(json: &'j Json, path: &str) -> Result<&'j str> {
    let value = json.pointer(path).and_then(Json::as_str);
    value.with_context(|| format!("{path} in {json}"))
}

/// Is a date in the form of answers the present time of clocks that are so much ahead of UTC?
fn is_now(date: &str, ahead: Duration) -> Result<bool> {
    let away = read(date)?.assume_utc() - ahead - OffsetDateTime::now_utc();
    Ok(away.abs() < Duration::seconds(60))
}

async fn ok(server: &Server, path: &str) -> Result<Answer> {
    let answer = server.get(path).await?;
    ensure!(
        answer.status == 200,
        "{path}: {} {}",
        answer.status,
        answer.text
    );
    Ok(answer)
}

/// Ids that a query finds.
async fn found(server: &Server, resource: &str, query: &[(&str, &str)]) -> Result<Vec<String>> {
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(query)
        .finish();
    let answer = ok(server, &format!("/api/v1/{resource}/?only=id&{query}"))
        .await?
        .json();
    let objects = answer["objects"].as_array().context("objects")?;
    objects
        .iter()
        .map(|object| Ok(text(object, "/_id")?.to_owned()))
        .collect()
}

#[tokio::test]
async fn d1_j4_dates_are_shown_in_the_zone_that_was_set_in_all_formats() -> Result<()> {
    let server = Server::start().await?;
    let mut paths = Vec::new();
    for (resource, id) in fill(&server).await? {
        for format in FORMATS {
            let only = [
                "",
                "&only=id,created,modified,tickets,source.instances.date",
            ];
            for only in only {
                // Lists without `limit` are streamed where they are rows.
                for path in [
                    "?",
                    &format!("{id}/?"),
                    &format!("set/{id}/?"),
                    "?limit=5&",
                    "?skip_total=1&",
                ] {
                    paths.push(format!("/api/v1/{resource}/{path}format={format}{only}"));
                }
            }
        }
    }
    let mut before = Vec::new();
    for path in &paths {
        before.push(ok(&server, path).await?.text);
    }
    // Rule K10: no restart is needed.
    set(&server, &["display_timezone=Asia/Kolkata"])?;
    for (path, before) in paths.iter().zip(&before) {
        assert_eq!(
            ok(&server, path).await?.text,
            moved(before, KOLKATA)?,
            "{path}"
        );
    }
    set(&server, &["display_timezone="])?;
    for (path, before) in paths.iter().zip(&before) {
        assert_eq!(&ok(&server, path).await?.text, before, "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn d1_what_a_client_has_seen_finds_the_same_document() -> Result<()> {
    let server = Server::start().await?;
    let made = fill(&server).await?;
    for settings in [
        ["stored_timezone=UTC", "display_timezone="],
        ["stored_timezone=UTC", "display_timezone=America/New_York"],
        [
            "stored_timezone=America/New_York",
            "display_timezone=Australia/Lord_Howe",
        ],
        ["stored_timezone=Asia/Kolkata", "display_timezone=UTC"],
    ] {
        set(&server, &settings)?;
        for (resource, id) in &made {
            let document = server.document(resource, id).await?;
            let mut fields = vec!["created", "modified"];
            if *resource == "actoridentifiers" {
                fields.pop();
            }
            for field in fields {
                let seen = text(&document, &format!("/{field}"))?;
                for (condition, finds) in [
                    ("", true),
                    ("__eq", true),
                    ("__gte", true),
                    ("__lte", true),
                    ("__in", true),
                    ("__gt", false),
                    ("__lt", false),
                    ("__ne", false),
                    ("__nin", false),
                ] {
                    let query = [(&*format!("c-{field}{condition}"), seen), ("c-_id", id)];
                    let expected = if finds { vec![id.clone()] } else { Vec::new() };
                    assert_eq!(
                        found(&server, resource, &query).await?,
                        expected,
                        "{settings:?} {resource} {query:?}"
                    );
                }
                // On the document itself, too.
                let query = form_urlencoded::byte_serialize(seen.as_bytes()).collect::<String>();
                ok(
                    &server,
                    &format!("/api/v1/{resource}/{id}/?c-{field}={query}"),
                )
                .await?;
            }
        }
    }
    // With a zone a date is what it says.
    set(
        &server,
        &["stored_timezone=UTC", "display_timezone=Asia/Kolkata"],
    )?;
    let (_, id) = made
        .iter()
        .find(|(resource, _)| *resource == "events")
        .context("an event")?;
    let created = text(&server.document("events", id).await?, "/created")?.to_owned();
    for (zone, ahead) in [
        ("+05:30", KOLKATA),
        ("Z", Duration::ZERO),
        ("-1000", HONOLULU),
    ] {
        let moment = format!("{}{zone}", written(read(&created)? - KOLKATA + ahead));
        assert_eq!(
            found(&server, "events", &[("c-created", &moment)]).await?,
            [id.as_str()],
            "{moment}"
        );
    }
    let utc = written(read(&created)? - KOLKATA);
    assert!(
        found(&server, "events", &[("c-created", &utc)])
            .await?
            .is_empty()
    );
    Ok(())
}

#[tokio::test]
async fn d1_m14_pages_and_cursors_go_on() -> Result<()> {
    for zones in [
        ["stored_timezone=UTC", "display_timezone=Asia/Kolkata"],
        ["stored_timezone=Pacific/Honolulu", "display_timezone="],
        [
            "stored_timezone=Asia/Kolkata",
            "display_timezone=Pacific/Honolulu",
        ],
    ] {
        let server = start(&zones).await?;
        let mut ids = Vec::new();
        for number in 0..5 {
            ids.push(server.event(&format!("event {number}")).await?);
        }
        let first = server.document("events", &ids[0]).await?;
        let first = text(&first, "/modified")?.to_owned();
        // A client that pages by what it has seen last.
        let (mut last, mut seen) = (first.clone(), Vec::<String>::new());
        while seen.len() < ids.len() {
            let since = form_urlencoded::byte_serialize(last.as_bytes()).collect::<String>();
            let path = format!("/api/v1/events/?c-modified__gte={since}&order_by=modified&limit=2");
            let page = ok(&server, &path).await?.json();
            let objects = page["objects"].as_array().context("objects")?;
            let before = seen.len();
            for object in objects {
                let id = text(object, "/_id")?.to_owned();
                last = text(object, "/modified")?.to_owned();
                if !seen.contains(&id) {
                    seen.push(id);
                }
            }
            ensure!(seen.len() > before, "{zones:?}: nothing new after {last}");
        }
        assert_eq!(seen, ids, "{zones:?}");
        // One that follows `next`, with and without a cursor.
        for kind in ["", "&skip_total=1", "&cursor="] {
            let since = form_urlencoded::byte_serialize(first.as_bytes()).collect::<String>();
            let mut next = Some(format!(
                "/api/v1/events/?c-modified__gte={since}&limit=2{kind}"
            ));
            let mut seen = Vec::new();
            let mut cursor = String::new();
            while let Some(path) = next {
                let page = ok(&server, &path).await?.json();
                for object in page["objects"].as_array().context("objects")? {
                    seen.push(text(object, "/_id")?.to_owned());
                }
                next = page["meta"]["next"].as_str().map(str::to_owned);
                cursor = page["meta"]["cursor"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned();
            }
            assert_eq!(seen, ids, "{zones:?} {kind}");
            if kind != "&cursor=" {
                continue;
            }
            // What changed within the last two minutes comes again, whatever clocks show: see `api/paging.rs`.
            let path = format!("/api/v1/events/?c-modified__gte={since}&limit=2&cursor={cursor}");
            let again = ok(&server, &path).await?.json();
            assert_eq!(text(&again, "/objects/0/_id")?, ids[0], "{zones:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn d1_arguments_and_answers_of_post_and_patch() -> Result<()> {
    let server = start(&["display_timezone=Asia/Kolkata"]).await?;
    let id = server.event("dates").await?;
    let path = format!("/api/v1/events/{id}/");
    let shown = "2026-01-15 10:20:30.123000";
    let stored = written(read(shown)? - KOLKATA);
    // Without a zone, and with one.
    for (number, date) in [
        ("1", shown.to_owned()),
        (
            "2",
            format!("{} +00:00", written(read(&stored)? + Duration::seconds(1))),
        ),
        ("3", "2026-01-15T00:20:32.123-04:30".to_owned()),
    ] {
        let ticket = json!({"ticket_number": number, "date": date});
        let body = json!({"action": "ticket_add", "ticket": ticket});
        let dry = server.patch(&format!("{path}?dry_run=1"), &body).await?;
        let done = server.patch(&path, &body).await?;
        let expected = written(read(shown)? + Duration::seconds(number.parse::<i64>()? - 1));
        for answer in [&dry, &done] {
            let answer = answer.json();
            assert_eq!(
                (&answer["return_code"], &answer["message"]),
                (&json!(0), &json!("success!")),
                "{answer}"
            );
        }
        let object = done.json();
        assert_eq!(text(&object, "/object/0/date")?, expected, "{date}");
        assert_eq!(
            text(&dry.json(), "/operations/0/push/1/date")?,
            expected,
            "{date}"
        );
    }
    let document = server.document("events", &id).await?;
    assert_eq!(text(&document, "/tickets/0/date")?, shown);
    // An entry is found by the date that was seen, changed, and removed.
    let update =
        json!({"action": "ticket_update", "ticket": {"ticket_number": "9", "date": shown}});
    assert_eq!(server.patch(&path, &update).await?.json()["return_code"], 0);
    let remove = json!({"action": "ticket_remove", "date": stored});
    assert_eq!(server.patch(&path, &remove).await?.json()["return_code"], 1);
    let remove = json!({"action": "ticket_remove", "date": shown});
    let answer = server.patch(&path, &remove).await?.json();
    assert_eq!(answer["return_code"], 0, "{answer}");
    assert_eq!(text(&answer, "/object/date")?, shown);

    // Days begin where the client is, and `now` is the present time there.
    let indicator = [("type", "Mutex"), ("value", "x"), ("source", "Alpha")];
    let indicator = server
        .post("/api/v1/indicators/", &indicator)
        .await?
        .created_id()?;
    let activity = [
        ("object_id", &*indicator),
        ("description", "seen"),
        ("start_date", "4 May 2018"),
    ];
    let answer = server
        .post("/api/v1/indicator_activity/", &activity)
        .await?;
    assert_eq!(answer.json()["return_code"], 0, "{}", answer.text);
    let document = server.document("indicators", &indicator).await?;
    assert_eq!(
        text(&document, "/activity/0/start_date")?,
        "2018-05-04 00:00:00.000000"
    );
    assert!(is_now(text(&document, "/activity/0/end_date")?, KOLKATA)?);
    set(&server, &["display_timezone="])?;
    let document = server.document("indicators", &indicator).await?;
    assert_eq!(
        text(&document, "/activity/0/start_date")?,
        "2018-05-03 18:30:00.000000"
    );
    let document = server.document("events", &id).await?;
    assert_eq!(
        text(&document, "/tickets/0/date")?,
        written(read(&stored)? + Duration::seconds(1))
    );
    Ok(())
}

#[tokio::test]
async fn d1_hours_that_occur_twice_or_never() -> Result<()> {
    let server = start(&["display_timezone=Europe/Berlin"]).await?;
    let id = server.event("summer time").await?;
    let path = format!("/api/v1/events/{id}/");
    // Sent, shown, stored.
    let rows = [
        (
            "2026-03-29 01:59:59.0",
            "2026-03-29 01:59:59.000000",
            "2026-03-29 00:59:59.000000",
        ),
        (
            "2026-03-29 02:30:00.0",
            "2026-03-29 03:30:00.000000",
            "2026-03-29 01:30:00.000000",
        ),
        (
            "2026-10-25 02:30:00.0",
            "2026-10-25 02:30:00.000000",
            "2026-10-25 00:30:00.000000",
        ),
        (
            "2026-10-25 02:31:00.0+01:00",
            "2026-10-25 02:31:00.000000",
            "2026-10-25 01:31:00.000000",
        ),
    ];
    for (number, (sent, ..)) in rows.iter().enumerate() {
        let ticket = json!({"ticket_number": number.to_string(), "date": sent});
        let body = json!({"action": "ticket_add", "ticket": ticket});
        assert_eq!(
            server.patch(&path, &body).await?.json()["return_code"],
            0,
            "{sent}"
        );
    }
    let shown = server.document("events", &id).await?;
    // Whichever of both hours it was, the document is found by what it shows.
    for (_, date, _) in rows {
        for condition in ["", "__gte", "__lte"] {
            let query = [(&*format!("c-tickets.date{condition}"), date)];
            assert_eq!(
                found(&server, "events", &query).await?,
                [id.as_str()],
                "{query:?}"
            );
        }
    }
    set(&server, &["display_timezone="])?;
    let stored = server.document("events", &id).await?;
    for (number, (sent, in_berlin, in_utc)) in rows.iter().enumerate() {
        let path = format!("/tickets/{number}/date");
        assert_eq!(
            (text(&shown, &path)?, text(&stored, &path)?),
            (*in_berlin, *in_utc),
            "{sent}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn m10_m11_m14_now_is_the_wall_clock_of_the_stored_zone() -> Result<()> {
    let server = start(&["stored_timezone=pacific/honolulu"]).await?;
    assert_eq!(
        server.cli(&["get", "stored_timezone"])?.trim(),
        "Pacific/Honolulu"
    );
    let id = server.event("one").await?;
    let body = json!({"action": "ticket_add", "ticket": {"ticket_number": "1"}});
    let path = format!("/api/v1/events/{id}/");
    assert_eq!(server.patch(&path, &body).await?.json()["return_code"], 0);
    let document = server.document("events", &id).await?;
    for path in [
        "/created",
        "/modified",
        "/tickets/0/date",
        "/source/0/instances/0/date",
    ] {
        assert!(
            is_now(text(&document, path)?, HONOLULU)?,
            "{path} {document}"
        );
    }
    // An id tells the moment.
    let seconds = i64::from_str_radix(&id[..8], 16)?;
    assert!(
        (OffsetDateTime::now_utc().unix_timestamp() - seconds).abs() < 60,
        "{id}"
    );
    // Dates of requests: with a zone they are converted, without one they are as stored.
    for (sent, stored) in [
        ("2026-01-15 10:20:30", "2026-01-15 10:20:30.000000"),
        ("2026-01-15 10:20:30Z", "2026-01-15 00:20:30.000000"),
    ] {
        let ticket = json!({"ticket_number": sent, "date": sent});
        let body = json!({"action": "ticket_add", "ticket": ticket});
        let answer = server.patch(&path, &body).await?.json();
        assert_eq!(text(&answer, "/object/0/date")?, stored, "{answer}");
        assert_eq!(
            found(&server, "events", &[("c-tickets.date", sent)]).await?,
            [id.as_str()],
            "{sent}"
        );
    }
    // Many in one request are no later for it, nor are those that come again.
    let url = format!("{}/api/v1/events/?bulk=1", server.url());
    for _ in 0..2 {
        let objects: Vec<Json> = ["a", "b", "c"]
            .map(|title| json!({"title": title, "event_type": "Phishing", "description": "d", "source": "Alpha"}))
            .into();
        let admin = critd_tests::admin();
        let request = server.client().post(&url).json(&objects);
        let request = request.header(
            "authorization",
            format!("ApiKey {}:{}", admin.name, admin.key),
        );
        let answer = server.send(request.header("idempotency-key", "k")).await?;
        assert_eq!(
            answer.text.matches("\"return_code\":0").count(),
            3,
            "{}",
            answer.text
        );
        assert_eq!(server.count("events").await?, 4);
    }
    let list = ok(&server, "/api/v1/events/?c-title__in=a,b,c")
        .await?
        .json();
    for number in 0..3 {
        assert!(
            is_now(
                text(&list, &format!("/objects/{number}/created"))?,
                HONOLULU
            )?,
            "{list}"
        );
    }
    // Shown to clients elsewhere.
    set(&server, &["display_timezone=Asia/Kolkata"])?;
    let document = server.document("events", &id).await?;
    assert!(is_now(text(&document, "/created")?, KOLKATA)?, "{document}");
    Ok(())
}

#[tokio::test]
async fn d1_m14_only_zones_that_exist_are_set() -> Result<()> {
    let server = start(&["display_timezone=Europe/Berlin"]).await?;
    for setting in ["display_timezone", "stored_timezone"] {
        for name in ["Europe/Berln", "+02:00", "Berlin"] {
            let refused = server.cli_output(&["set", &format!("{setting}={name}")])?;
            assert_eq!(refused.status.code(), Some(1), "{name}");
            assert_eq!(
                String::from_utf8(refused.stderr)?.trim(),
                format!(
                    "error: `{setting}` takes the name of a time zone such as Europe/Berlin, not `{name}`; nothing was changed"
                )
            );
        }
    }
    assert_eq!(
        server.cli(&["get", "display_timezone"])?.trim(),
        "Europe/Berlin"
    );
    assert_eq!(server.cli(&["get", "stored_timezone"])?.trim(), "UTC");
    Ok(())
}
