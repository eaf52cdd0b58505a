//! Query strings as clients write them who do not encode them.

use anyhow::{Context as _, Result};
use critd_tests::Server;

use crate::{credentials, one_of_each, post, raw};

/// O43, O44: a zone whose plus sign came as it is, and so as a blank; fractions; the beginning of all times.
#[tokio::test]
async fn o43_o44_zones_with_a_bare_plus_and_the_year_1000() -> Result<()> {
    let server = Server::start().await?;
    for (resource, _) in one_of_each(&server).await? {
        if resource == "actoridentifiers" {
            continue;
        }
        for (date, count) in [
            ("2020-01-01T00:00:00+00:00", 1),
            ("2020-01-01T00:00:00%2B00:00", 1),
            ("2020-01-01T00:00:00%2000:00", 1),
            ("2020-01-01T00:00:00.123456+00:00", 1),
            ("2020-01-01T00:00:00.123456%2B00:00", 1),
            ("2020-01-01+00:00:00+02:00", 1),
            ("2020-01-01T00:00:00-05:00", 1),
            ("1000-01-01T00:00:00+00:00", 1),
            ("0001-01-01T00:00:00+00:00", 1),
            ("2999-01-01T00:00:00+00:00", 0),
            ("2999-01-01T00:00:00.123456+00:00", 0),
        ] {
            let path = format!(
                "/api/v1/{resource}/?c-modified__gt={date}&limit=100&{}",
                credentials()
            );
            // Exactly so, whatever a library would make of it.
            let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            let (status, text) = raw(&server, request.as_bytes()).await?;
            assert_eq!(status, 200, "{date}: {text}");
            let count = format!("\"total_count\":{count}");
            let is_found = text.replace(' ', "").contains(&count);
            assert!(is_found, "{resource} {date}: {text}");
            assert!(!text.contains("warnings"), "{resource} {date}: {text}");
        }
    }
    // A zone shifts: what is now there is after that time there, not here.
    let event = server.get("/api/v1/events/").await?.json();
    let modified = event["objects"][0]["modified"].as_str().context("a date")?;
    let modified = modified.replace(' ', "T");
    for (zone, count) in [("+00:00", 0), ("+01:00", 1), ("-01:00", 0), ("Z", 0)] {
        let path = format!("/api/v1/events/?c-modified__gt={modified}{zone}");
        let list = server.get(&path).await?.json();
        assert_eq!(list["meta"]["total_count"], count, "{path}");
    }
    Ok(())
}

/// O48: a title put into the URL as it is. What an HTTP library encodes is found; what is no URL at all is refused.
#[tokio::test]
async fn o48_titles_in_urls_encoded_or_not() -> Result<()> {
    const TITLE: &str = "A & B #1 100% é";
    let server = Server::start().await?;
    let form = |title| {
        [
            ("title", title),
            ("event_type", "Phishing"),
            ("description", "d"),
            ("source", "Alpha"),
        ]
    };
    let event = post(&server, "events", &form(TITLE), None).await?;
    let id = event.created_id()?;
    for title in ["A", "100% é", "x"] {
        post(&server, "events", &form(title), None)
            .await?
            .created_id()?;
    }
    // Encoded, in every way that clients have.
    for title in [
        "A%20%26%20B%20%231%20100%25%20%C3%A9",
        "A+%26+B+%231+100%25+%c3%a9",
        "A%20%26%20B%20%231%20100%%20é",
        "%22A%20%26%20B%20%231%20100%25%20%C3%A9%22",
    ] {
        let path = format!("/api/v1/events/?c-title={title}&regex=0");
        let list = server.get(&path).await?.json();
        assert_eq!(list["meta"]["total_count"], 1, "{title}");
        assert_eq!(list["objects"][0]["_id"], id.as_str(), "{title}");
    }
    // As it is: blanks and a number sign that no request line can have, bytes that are no UTF-8.
    for (what, title) in [
        ("as it is", TITLE.as_bytes().to_vec()),
        ("without blanks", "A&B#1é".as_bytes().to_vec()),
        ("a bare percent sign", b"100%".to_vec()),
        ("Latin-1", b"100%25%20\xe9".to_vec()),
        ("encoded Latin-1", b"100%25%20%E9".to_vec()),
    ] {
        let mut request = format!("GET /api/v1/events/?{}&c-title=", credentials()).into_bytes();
        request.extend(title);
        request.extend(b"&regex=0 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let (status, text) = raw(&server, &request).await?;
        assert!([200, 400].contains(&status), "{what}: {text}");
    }
    // The title ends at the ampersand: what follows is a parameter of its own, and no harm.
    let list = server.get("/api/v1/events/?c-title=A & B&regex=0").await?;
    assert_eq!(list.json()["meta"]["total_count"], 1, "{}", list.text);
    Ok(())
}

/// O59: long values, stored and asked for; beyond what a request line may have, an answer that says so.
#[tokio::test]
async fn o59_long_urls_are_stored_and_found() -> Result<()> {
    let server = Server::start().await?;
    for size in [2_000, 8_000, 16_000, 32_000] {
        let start = "http://long.example.com/?q=";
        let value = format!("{start}{}", "x".repeat(size - start.len()));
        let other = format!("{value}y");
        let mut made = Vec::new();
        for value in [&value, &other] {
            let form = [("type", "URI"), ("value", value), ("source", "Alpha")];
            let answer = post(&server, "indicators", &form, None).await?;
            made.push(answer.created_id()?);
        }
        for query in [
            format!("c-value={value}"),
            format!("c-lower={value}"),
            format!("c-value__in={value},z"),
            format!("c-type=URI&c-value__eq={value}"),
        ] {
            let path = format!("/api/v1/indicators/?{query}");
            let list = server.get(&path).await?;
            assert_eq!(list.status, 200, "{size}: {}", list.text);
            let list = list.json();
            assert_eq!(list["meta"]["total_count"], 1, "{size}");
            assert_eq!(list["objects"][0]["_id"], made[0].as_str(), "{size}");
            assert_eq!(list["objects"][0]["value"], value.as_str(), "{size}");
        }
        // The same again is the same indicator.
        let form = [
            ("type", "URI"),
            ("value", value.as_str()),
            ("source", "Alpha"),
        ];
        let again = post(&server, "indicators", &form, None).await?;
        assert_eq!(again.created_id()?, made[0], "{size}");
    }
    // More than 64 KiB are not read: an answer that says so, and nothing else happens.
    for size in [70_000, 200_000] {
        let path = format!("/api/v1/indicators/?c-value={}", "x".repeat(size));
        let request = format!(
            "GET {path}&{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            credentials()
        );
        let (status, text) = raw(&server, request.as_bytes()).await?;
        assert_eq!(status, 414, "{size}: {text}");
    }
    // The server is as it was.
    assert_eq!(server.get("/api/v1/indicators/").await?.status, 200);
    Ok(())
}
