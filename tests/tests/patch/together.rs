//! Requests at once, and what an action leaves behind: `modified`, audit entries.

use anyhow::{Context as _, Result};
use critd_tests::{Answer, Json, json};
use futures_util::future::join_all;

use crate::{World, done, list, refused};

/// PATCHes of documents at once, as alice.
async fn at_once(world: &World, requests: &[(&str, &str, Json)]) -> Result<Vec<Json>> {
    let sent = requests.iter().map(|(resource, id, body)| async move {
        let path = format!("/api/v1/{resource}/{id}/");
        world.server.patch_as(&world.alice, &path, body).await
    });
    let answers: Vec<Answer> = join_all(sent).await.into_iter().collect::<Result<_>>()?;
    for answer in &answers {
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    Ok(answers.iter().map(Answer::json).collect())
}

/// How many answers say success.
fn successes(answers: &[Json]) -> usize {
    answers
        .iter()
        .filter(|answer| answer["return_code"] == 0)
        .count()
}

fn forge(right_type: &str, right_id: &str, rel_type: &str) -> Json {
    json!({"action": "forge_relationship", "right_type": right_type, "right_id": right_id, "rel_type": rel_type})
}

/// `modified` of a document.
async fn modified(world: &World, resource: &str, id: &str) -> Result<Json> {
    Ok(world.document(resource, id).await?["modified"].clone())
}

/// ACT-16, ACT-17: a relationship changes both objects; one that is there already changes none (ACT-18).
#[tokio::test]
async fn act_17_both_objects_of_a_relationship_are_changed() -> Result<()> {
    let world = World::start().await?;
    let (event, domain) = (world.event("E").await?, world.domain("example.com").await?);
    let before = (
        modified(&world, "events", &event).await?,
        modified(&world, "domains", &domain).await?,
    );
    let body = forge("Domain", &domain, "Contains");
    let object = done(
        &world.say("events", &event, body.clone()).await?,
        "Relationship forged.",
    );
    let after = (
        modified(&world, "events", &event).await?,
        modified(&world, "domains", &domain).await?,
    );
    assert_ne!(before.0, after.0);
    assert_ne!(before.1, after.1);
    assert_eq!((&after.0, &after.1), (&object["date"], &object["date"]));
    world.say("events", &event, body).await?;
    let again = (
        modified(&world, "events", &event).await?,
        modified(&world, "domains", &domain).await?,
    );
    assert_eq!(again, after);
    Ok(())
}

/// ACT-18: what is there already is no change, `modified` included.
#[tokio::test]
async fn act_18_nothing_to_do_changes_nothing() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    for body in [
        json!({"action": "add_releasability", "name": "Partner"}),
        json!({"action": "source_add_update", "action_type": "add", "source": "Alpha", "tlp": "green", "date": "2026-01-15 10:00:00.0"}),
        json!({"action": "source_add_update", "action_type": "update", "source": "Alpha", "tlp": "red", "date": "2026-01-15 10:00:00.0"}),
    ] {
        let answer = world.say("events", &event, body.clone()).await?;
        assert_eq!(answer["return_code"], 0, "{answer}");
        let before = world.document("events", &event).await?;
        let answer = world.say("events", &event, body.clone()).await?;
        assert_eq!(answer["return_code"], 0, "{answer}");
        assert_eq!(world.document("events", &event).await?, before, "{body}");
    }
    Ok(())
}

/// The end of actions.md 9.1: A to B and B to A at once are one relationship.
#[tokio::test]
async fn con_3_con_4_opposite_relationships_at_once() -> Result<()> {
    let world = World::start().await?;
    for round in 0..10 {
        let event = world.event(&format!("E{round}")).await?;
        let domain = world.domain(&format!("r{round}-example.com")).await?;
        let requests = [
            (
                "events",
                event.as_str(),
                forge("Domain", &domain, "Related To"),
            ),
            (
                "domains",
                domain.as_str(),
                forge("Event", &event, "Related To"),
            ),
        ];
        let answers = at_once(&world, &requests).await?;
        assert_eq!(successes(&answers), 1, "{answers:?}");
        let late = answers
            .iter()
            .find(|answer| answer["return_code"] == 1)
            .context("a refusal")?;
        refused(late, "Relationship already exists", "already_exists");
        for (resource, id) in [("events", &event), ("domains", &domain)] {
            let document = world.document(resource, id).await?;
            assert_eq!(list(&document, "relationships").len(), 1, "{document}");
        }
    }
    Ok(())
}

/// CON-1, CON-4: identical additions at once are one; different ones are all there.
#[tokio::test]
async fn con_1_con_4_additions_at_once() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    let same = json!({"action": "add_releasability", "name": "Partner"});
    let requests: Vec<_> = (0..20)
        .map(|_| ("events", event.as_str(), same.clone()))
        .collect();
    let answers = at_once(&world, &requests).await?;
    assert_eq!(successes(&answers), 20);
    let added = |answer: &&Json| answer["detail"] == "Releasability added.";
    assert_eq!(answers.iter().filter(added).count(), 1);
    assert_eq!(
        list(&world.document("events", &event).await?, "releasability").len(),
        1
    );

    let mut domains = Vec::new();
    for number in 0..30 {
        domains.push(world.domain(&format!("d{number}-example.com")).await?);
    }
    let requests: Vec<_> = domains
        .iter()
        .map(|domain| {
            (
                "events",
                event.as_str(),
                forge("Domain", domain, "Contains"),
            )
        })
        .collect();
    assert_eq!(successes(&at_once(&world, &requests).await?), 30);
    assert_eq!(
        list(&world.document("events", &event).await?, "relationships").len(),
        30
    );
    for domain in &domains {
        let document = world.document("domains", domain).await?;
        assert_eq!(list(&document, "relationships").len(), 1);
    }
    Ok(())
}

/// CON-10: instances of one date at once get different dates; equal ones are one.
#[tokio::test]
async fn con_10_instances_of_a_source_at_once() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    let add = |method: &str| json!({"action": "source_add_update", "action_type": "add", "source": "Alpha", "tlp": "green", "method": method, "date": "2026-01-15 10:00:00.0"});
    let requests: Vec<_> = (0..20)
        .map(|number| ("events", event.as_str(), add(&format!("m{number}"))))
        .collect();
    assert_eq!(successes(&at_once(&world, &requests).await?), 20);
    let requests: Vec<_> = (0..10)
        .map(|_| ("events", event.as_str(), add("same")))
        .collect();
    assert_eq!(successes(&at_once(&world, &requests).await?), 10);
    let document = world.document("events", &event).await?;
    let entry = list(&document, "source")
        .iter()
        .find(|entry| entry["name"] == "Alpha")
        .context("the source")?;
    let mut dates: Vec<&str> = list(entry, "instances")
        .iter()
        .filter_map(|instance| instance["date"].as_str())
        .collect();
    assert_eq!(dates.len(), 21);
    dates.sort_unstable();
    dates.dedup();
    assert_eq!(dates.len(), 21, "{dates:?}");
    Ok(())
}

/// The end of actions.md 9.1: of the last two sources, removed at once, one stays.
#[tokio::test]
async fn con_2_the_last_two_sources_removed_at_once() -> Result<()> {
    let world = World::start().await?;
    for round in 0..10 {
        let event = world.event(&format!("E{round}")).await?;
        let body = json!({"action": "source_add_update", "action_type": "add", "source": "Alpha", "tlp": "green"});
        done(
            &world.say("events", &event, body).await?,
            "Source addition successful!",
        );
        let remove =
            |name: &str| json!({"action": "source_remove", "name": name, "remove_all": true});
        let requests = [
            ("events", event.as_str(), remove("OSINT")),
            ("events", event.as_str(), remove("Alpha")),
        ];
        let answers = at_once(&world, &requests).await?;
        assert_eq!(successes(&answers), 1, "{answers:?}");
        let late = answers
            .iter()
            .find(|answer| answer["return_code"] == 1)
            .context("a refusal")?;
        assert_eq!(late["error"]["code"], "conflict");
        assert_eq!(
            list(&world.document("events", &event).await?, "source").len(),
            1
        );
    }
    Ok(())
}

/// CON-10: actions of one type that are added at once have different dates.
#[tokio::test]
async fn con_10_act_21_actions_of_one_type_at_once() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    let add = |action_type: &str| json!({"action": "action_add", "tlo_action": {"action_type": action_type}});
    let requests: Vec<_> = (0..40)
        .map(|number| {
            (
                "events",
                event.as_str(),
                add(if number % 4 == 0 { "Block" } else { "Watch" }),
            )
        })
        .collect();
    let answers = at_once(&world, &requests).await?;
    assert_eq!(successes(&answers), 40);
    let document = world.document("events", &event).await?;
    let actions = list(&document, "actions");
    for (action_type, count) in [("Block", 10), ("Watch", 30)] {
        let of_type = actions
            .iter()
            .filter(|action| action["action_type"] == action_type);
        let mut dates: Vec<&str> = of_type
            .filter_map(|action| action["date"].as_str())
            .collect();
        assert_eq!(dates.len(), count);
        dates.sort_unstable();
        dates.dedup();
        assert_eq!(dates.len(), count);
    }
    // Each was answered the date that is stored.
    for answer in &answers {
        assert!(actions.contains(&answer["object"]), "{answer}");
    }
    Ok(())
}

/// CON-4: equal objects and relationships that are added at once are one each.
#[tokio::test]
async fn con_4_equal_objects_at_once() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    let add = json!({"action": "add_object", "object_type": "Domain", "value": "www.example.com", "source": "OSINT", "add_indicator": true});
    let requests: Vec<_> = (0..10)
        .map(|_| ("events", event.as_str(), add.clone()))
        .collect();
    let answers = at_once(&world, &requests).await?;
    assert_eq!(successes(&answers), 1, "{answers:?}");
    for late in answers.iter().filter(|answer| answer["return_code"] == 1) {
        let text = "Object already exists! [Type: \"Domain\"][Value: \"www.example.com\"]";
        refused(late, text, "already_exists");
    }
    let document = world.document("events", &event).await?;
    assert_eq!(
        (
            list(&document, "objects").len(),
            list(&document, "relationships").len()
        ),
        (1, 1)
    );
    assert_eq!(world.server.count("indicators").await?, 1);
    Ok(())
}

/// CON-1: actions of all families on one object at once: nothing is lost.
#[tokio::test]
async fn con_1_all_families_at_once() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    let mut requests = Vec::new();
    for number in 0..8 {
        for body in [
            json!({"action": "ticket_add", "ticket": {"ticket_number": format!("T{number}")}}),
            json!({"action": "action_add", "tlo_action": {"action_type": format!("A{number}")}}),
            json!({"action": "add_object", "object_type": "Mutex", "value": format!("m{number}"), "source": "OSINT"}),
            json!({"action": "modify_bucket_list", "buckets": format!("b{number}")}),
            json!({"action": "campaign_add", "name": format!("C{number}")}),
            json!({"action": "location_add", "location": format!("L{number}"), "location_type": "Destined For"}),
            json!({"action": "source_add_update", "action_type": "add", "source": "Alpha", "tlp": "green", "method": format!("m{number}")}),
        ] {
            requests.push(("events", event.as_str(), body));
        }
    }
    let answers = at_once(&world, &requests).await?;
    assert_eq!(successes(&answers), requests.len());
    let document = world.document("events", &event).await?;
    for name in [
        "tickets",
        "actions",
        "objects",
        "bucket_list",
        "campaign",
        "locations",
    ] {
        assert_eq!(list(&document, name).len(), 8, "{name}");
    }
    let instances: usize = list(&document, "source")
        .iter()
        .map(|entry| list(entry, "instances").len())
        .sum();
    assert_eq!(instances, 9);
    Ok(())
}

/// The end of actions.md 9.1: fifty tickets at once, of different numbers and of one.
#[tokio::test]
async fn con_1_con_4_fifty_tickets_at_once() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    let add = |number: String| json!({"action": "ticket_add", "ticket": {"ticket_number": number}});
    for (name, count) in [("different", 50), ("one", 51)] {
        let requests: Vec<_> = (0..50)
            .map(|number| {
                let number = if name == "one" {
                    "T".to_owned()
                } else {
                    number.to_string()
                };
                ("events", event.as_str(), add(number))
            })
            .collect();
        assert_eq!(successes(&at_once(&world, &requests).await?), 50);
        assert_eq!(
            list(&world.document("events", &event).await?, "tickets").len(),
            count,
            "{name}"
        );
    }
    Ok(())
}

/// ACT-22, ACT-23: of several entries with one handle the first is meant; what is changed moves to the end.
#[tokio::test]
async fn act_22_act_23_entries_with_one_handle() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    // Those of one call share their date.
    let date = "2026-01-15 10:20:30.123000";
    let body = json!({"action": "ticket_add", "ticket": {"ticket_number": "1,2,3", "date": date}});
    done(&world.say("events", &event, body).await?, "Ticket added.");
    let body = json!({"action": "ticket_update", "ticket": {"ticket_number": "4", "date": date}});
    done(&world.say("events", &event, body).await?, "Ticket updated.");
    let numbers = async || -> Result<Vec<String>> {
        let document = world.document("events", &event).await?;
        let tickets = list(&document, "tickets").iter();
        Ok(tickets
            .filter_map(|ticket| Some(ticket["ticket_number"].as_str()?.to_owned()))
            .collect())
    };
    assert_eq!(numbers().await?, ["2", "3", "4"]);
    let body = json!({"action": "ticket_remove", "date": date});
    let removed = done(&world.say("events", &event, body).await?, "Ticket removed.");
    assert_eq!(removed["ticket_number"], "2");
    assert_eq!(numbers().await?, ["3", "4"]);
    Ok(())
}
