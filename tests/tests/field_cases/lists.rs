//! Orders, pages and conditions on lists.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use critd_tests::{Json, Server, json};

use crate::{ids, one_of_each};

/// Ids of indicators `v0` … in the order in which they were made.
async fn indicators(server: &Server, count: usize) -> Result<Vec<String>> {
    let many: Vec<Json> = (0..count)
        .map(|number| json!({"type": "Mutex", "value": format!("v{number}"), "source": "Alpha"}))
        .collect();
    let answer = server
        .post_json("/api/v1/indicators/?bulk=1", &Json::Array(many))
        .await?;
    answer
        .text
        .lines()
        .map(|line| {
            let line: Json = serde_json::from_str(line)?;
            let id = line["id"].as_str().map(str::to_owned);
            id.with_context(|| line.to_string())
        })
        .collect()
}

/// O13: the newest first, and windows of time, with both ends.
#[tokio::test]
async fn o13_newest_first_and_windows_of_time() -> Result<()> {
    let server = Server::start().await?;
    let mut made = Vec::new();
    for number in 0..8 {
        let value = format!("v{number}");
        let form = [
            ("type", "Mutex"),
            ("value", value.as_str()),
            ("source", "Alpha"),
        ];
        let answer = server.post("/api/v1/indicators/", &form).await?;
        made.push(answer.created_id()?);
    }
    // The first is changed last.
    let action = json!({"action": "status_update", "value": "Analyzed"});
    server
        .patch(&format!("/api/v1/indicators/{}/", made[0]), &action)
        .await?;
    let all = server.get("/api/v1/indicators/?limit=0").await?.json();
    let all = all["objects"].as_array().context("objects")?.clone();
    // By a date, the newest first; those of one millisecond in the order of their ids.
    let newest = |field: &str| {
        let mut objects: Vec<(&str, &str)> = all
            .iter()
            .filter_map(|object| Some((object[field].as_str()?, object["_id"].as_str()?)))
            .collect();
        objects.sort_by(|(a, first), (b, second)| b.cmp(a).then(first.cmp(second)));
        objects
    };
    let ids_of = |objects: &[(&str, &str)]| -> Vec<String> {
        objects.iter().map(|(_, id)| (*id).to_owned()).collect()
    };
    let by_change = newest("modified");
    assert_eq!(by_change[0].1, made[0], "{by_change:?}");
    for (query, field, count) in [
        ("order_by=-modified&limit=5", "modified", 5),
        ("sort=-created", "created", 8),
        ("order_by=-created", "created", 8),
        ("sort_by=-created", "created", 8),
        ("sort=-modified&limit=3", "modified", 3),
    ] {
        let found = ids(&server, &format!("/api/v1/indicators/?{query}")).await?;
        assert_eq!(found, ids_of(&newest(field)[..count]), "{query}");
    }
    for field in ["modified", "created"] {
        let objects = newest(field);
        let (to, from) = (objects[2].0, objects[5].0);
        let query = format!("c-{field}__gte={from}&c-{field}__lt={to}");
        let path = format!("/api/v1/indicators/?{}", query.replace(' ', "%20"));
        let inside: BTreeSet<String> = ids(&server, &path).await?.into_iter().collect();
        let expected: BTreeSet<String> = objects
            .iter()
            .filter(|(date, _)| *date >= from && *date < to)
            .map(|(_, id)| (*id).to_owned())
            .collect();
        assert_eq!(inside, expected, "{field}");
        assert!(!inside.is_empty() && inside.len() < made.len(), "{field}");
    }
    // Everything that lists objects can do so.
    let server = Server::start().await?;
    for (resource, id) in one_of_each(&server).await? {
        // Actor identifiers do not say when they were changed.
        let fields = match resource {
            "actoridentifiers" => &["created"][..],
            _ => &["created", "modified"],
        };
        for field in fields {
            for query in [
                format!("order_by=-{field}"),
                format!("sort=-{field}"),
                format!("c-{field}__gte=2020-01-01&c-{field}__lt=2999-01-01"),
            ] {
                let path = format!("/api/v1/{resource}/?{query}");
                assert_eq!(ids(&server, &path).await?.first(), Some(&id), "{path}");
            }
            let path = format!("/api/v1/{resource}/?c-{field}__gte=2999-01-01");
            assert!(ids(&server, &path).await?.is_empty(), "{path}");
        }
    }
    Ok(())
}

/// O14: a thousand is the most, which is told, and the rest is on the next page.
#[tokio::test]
async fn o14_no_limit_is_a_thousand_and_the_next_page_has_the_rest() -> Result<()> {
    let server = Server::start().await?;
    let made = indicators(&server, 1005).await?;
    for limit in ["0", "1001", "99999"] {
        let mut path = format!("/api/v1/indicators/?limit={limit}&only=id");
        let mut pages = Vec::new();
        let mut seen = Vec::new();
        loop {
            // What a client has of the server is its host, and `next` with the credentials in it.
            let url = format!("{}{path}", server.url());
            let answer = match pages.is_empty() {
                true => server.get(&path).await?,
                false => server.send(server.client().get(url)).await?,
            };
            let body = answer.json();
            assert_eq!(
                (&body["meta"]["limit"], &body["meta"]["total_count"]),
                (&json!(1000), &json!(1005)),
                "{limit}: {}",
                body["meta"]
            );
            let objects = body["objects"].as_array().context("objects")?;
            pages.push(objects.len());
            seen.extend(
                objects
                    .iter()
                    .filter_map(|object| object["_id"].as_str().map(str::to_owned)),
            );
            match body["meta"]["next"].as_str() {
                Some(next) => path = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(pages, [1000, 5], "{limit}");
        assert_eq!(seen, made, "{limit}");
    }
    Ok(())
}

/// O38: ids in conditions: right, in upper case, malformed, several.
#[tokio::test]
async fn o38_conditions_on_ids() -> Result<()> {
    let server = Server::start().await?;
    let other = "0123456789abcdef01234567";
    for (resource, id) in one_of_each(&server).await? {
        for name in ["_id", "id"] {
            let upper = id.to_uppercase();
            for (operator, value, count) in [
                ("", id.as_str(), 1),
                ("", upper.as_str(), 1),
                ("", other, 0),
                ("", "xyz", 0),
                ("", "", 0),
                ("__in", &format!("{id},{other}"), 1),
                ("__in", &format!("{other},{upper}"), 1),
                ("__in", other, 0),
                ("__in", &format!("xyz,{id}"), 1),
                ("__nin", &id, 0),
            ] {
                let path = format!("/api/v1/{resource}/?c-{name}{operator}={value}");
                let answer = server.get(&path).await?;
                let body = answer.json();
                assert_eq!(
                    (answer.status, &body["meta"]["total_count"]),
                    (200, &json!(count)),
                    "{path}: {}",
                    answer.text
                );
                let is_warned = body["meta"]["warnings"].is_array();
                assert_eq!(
                    is_warned,
                    value.contains("xyz") || value.is_empty(),
                    "{path}"
                );
            }
        }
    }
    Ok(())
}

/// O39: dates are compared as dates, and what a document does not have can be asked for.
#[tokio::test]
async fn o39_dates_and_what_is_not_there() -> Result<()> {
    let server = Server::start().await?;
    let with_campaign = [
        ("type", "Mutex"),
        ("value", "with"),
        ("source", "Alpha"),
        ("campaign", "Bear"),
    ];
    let with = server.post("/api/v1/indicators/", &with_campaign).await?;
    let with = with.created_id()?;
    let without = server
        .post("/api/v1/indicators/", &with_campaign[..3])
        .await?;
    assert_eq!(without.created_id()?, with);
    let other = [("type", "Mutex"), ("value", "without"), ("source", "Alpha")];
    let other = server.post("/api/v1/indicators/", &other).await?;
    let other = other.created_id()?;
    let both = BTreeSet::from([with.clone(), other.clone()]);
    for (query, expected) in [
        ("c-created__gte=2020-01-02", both.clone()),
        ("c-created__gte=2020-01-02 03:04:05", both.clone()),
        ("c-created__lt=2020-01-02 03:04:05", BTreeSet::new()),
        ("c-created__lt=2020-01-02", BTreeSet::new()),
        // As texts both would be the other way round.
        ("c-created__gte=2 Jan 2020", both.clone()),
        ("c-created__lt=9 Jan 2020", BTreeSet::new()),
        ("c-modified__gt=01/02/2020", both.clone()),
        (
            "c-campaign.name__exists=false",
            BTreeSet::from([other.clone()]),
        ),
        ("c-campaign.name__exists=0", BTreeSet::from([other.clone()])),
        (
            "c-campaign.name__exists=False",
            BTreeSet::from([other.clone()]),
        ),
        (
            "c-campaign.name__exists=true",
            BTreeSet::from([with.clone()]),
        ),
        (
            "c-campaign.date__gte=2020-01-02",
            BTreeSet::from([with.clone()]),
        ),
        ("c-nothing__exists=false", both.clone()),
        ("c-nothing__exists=true", BTreeSet::new()),
        (
            "c-created__gte=2020-01-02&c-campaign.name__exists=false",
            BTreeSet::from([other.clone()]),
        ),
    ] {
        let path = format!("/api/v1/indicators/?{}", query.replace(' ', "%20"));
        let found: BTreeSet<String> = ids(&server, &path).await?.into_iter().collect();
        assert_eq!(found, expected, "{query}");
    }
    Ok(())
}
