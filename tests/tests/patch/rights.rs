//! What the actions of this plugin have in common: permissions and their texts, the types they are for, and that a refusal
//! changes nothing.

use anyhow::Result;
use critd_tests::objects::one_of_each;
use critd_tests::{Json, json};

use crate::{World, refused};

const NOBODY: &str = "0123456789abcdef01234567";

/// Of each action: a request, the flag that it needs, the text without it.
fn actions() -> Vec<(Json, &'static str, &'static str)> {
    vec![
        (
            json!({"action": "source_add_update", "action_type": "add", "source": "OSINT"}),
            "sources_add",
            "User does not have permission to add sources to object.",
        ),
        (
            json!({"action": "source_add_update", "action_type": "update", "source": "Nobody"}),
            "sources_edit",
            "User does not have permission to edit sources.",
        ),
        (
            json!({"action": "source_remove", "name": "Nobody"}),
            "sources_delete",
            "User does not have permission to delete sources.",
        ),
        (
            json!({"action": "action_add"}),
            "actions_add",
            "User does not have permission to add actions.",
        ),
        (
            json!({"action": "action_update"}),
            "actions_edit",
            "User does not have permission to edit actions.",
        ),
        (
            json!({"action": "action_remove"}),
            "actions_delete",
            "User does not have permission to delete actions.",
        ),
        (
            json!({"action": "add_releasability", "name": "Nobody"}),
            "releasability_add",
            "User does not have permission to add releasability.",
        ),
        (
            json!({"action": "add_object", "object_type": "Mutex", "value": "x", "source": "OSINT"}),
            "objects_add",
            "User does not have permission to add object",
        ),
        (
            json!({"action": "delete_object"}),
            "objects_delete",
            "User does not have permission to delete objects.",
        ),
        (
            json!({"action": "modify_bucket_list"}),
            "bucketlist_edit",
            "User does not have permission to modify bucket list.",
        ),
        (
            json!({"action": "modify_sector_list"}),
            "sectors_edit",
            "User does not have permission to modify sector list.",
        ),
        (
            json!({"action": "campaign_add"}),
            "campaigns_add",
            "User does not have permission to add campaigns.",
        ),
        (
            json!({"action": "campaign_edit"}),
            "campaigns_edit",
            "User does not have permission to edit campaigns.",
        ),
        (
            json!({"action": "campaign_remove"}),
            "campaigns_delete",
            "User does not have permission to delete campaigns.",
        ),
        (
            json!({"action": "delete_relationship"}),
            "relationships_delete",
            "User does not have permission to delete relationships.",
        ),
        (
            json!({"action": "update_relationship"}),
            "relationships_edit",
            "User does not have permission to edit relationships.",
        ),
        (
            json!({"action": "location_add"}),
            "locations_add",
            "User does not have permission to add locations.",
        ),
        (
            json!({"action": "location_edit"}),
            "locations_edit",
            "User does not have permission to edit locations.",
        ),
        (
            json!({"action": "location_remove"}),
            "locations_delete",
            "User does not have permission to delete locations.",
        ),
        (
            json!({"action": "modify_tlp", "tlp": "red"}),
            "sources_edit",
            "User does not have permission to edit sources.",
        ),
        (
            json!({"action": "remove_releasability"}),
            "releasability_delete",
            "User does not have permission to delete releasability.",
        ),
        (
            json!({"action": "add_releasability_instance"}),
            "releasability_add",
            "User does not have permission to add releasability.",
        ),
        (
            json!({"action": "remove_releasability_instance"}),
            "releasability_delete",
            "User does not have permission to delete releasability.",
        ),
        (
            json!({"action": "forge_relationship", "right_type": "Domain", "right_id": NOBODY, "rel_type": "Foo"}),
            "relationships_add",
            "User does not have permission to forge relationships",
        ),
    ]
}

/// Core-api 13.5, ACT-4, AZ-5: the flag of the document's type comes before the arguments; nothing changes.
#[tokio::test]
async fn act_4_p13_5_each_action_needs_its_flag() -> Result<()> {
    let world = World::start().await?;
    let event = world.event("E").await?;
    let others: Vec<String> = actions()
        .iter()
        .flat_map(|(_, flag, _)| [format!("Domain.{flag}"), flag.to_string()])
        .collect();
    let mut flags = vec!["Event.read", "Event.write"];
    flags.extend(
        others
            .iter()
            .map(String::as_str)
            .filter(|flag| flag.contains('.')),
    );
    let weak = world
        .server
        .add_user("weak", &flags, &[("OSINT", crate::ALL)])?;
    let before = world.document("events", &event).await?;
    for (body, flag, message) in actions() {
        let answer = world.say_as(&weak, "events", &event, &body).await?;
        refused(&answer, message, "forbidden");
        let error = json!({"code": "forbidden", "permission": format!("Event.{flag}")});
        assert_eq!(answer["error"], error, "{body}");
    }
    assert_eq!(world.document("events", &event).await?, before);
    Ok(())
}

/// ACT-3: objects without sources have no actions on sources.
#[tokio::test]
async fn act_3_types_without_sources() -> Result<()> {
    let world = World::start().await?;
    let campaign = world.make("campaigns", &[("name", "Bear")]).await?;
    let target = world
        .make("targets", &[("email_address", "t@example.org")])
        .await?;
    for (resource, id) in [("campaigns", &campaign), ("targets", &target)] {
        let before = world.document(resource, id).await?;
        for body in [
            json!({"action": "source_add_update", "action_type": "add", "source": "OSINT"}),
            json!({"action": "source_remove", "name": "OSINT", "remove_all": true}),
            json!({"action": "modify_tlp", "tlp": "red"}),
        ] {
            let name = body["action"].as_str().unwrap_or_default().to_owned();
            let answer = world.say(resource, id, body).await?;
            let text = format!("'{name}' is not a valid action.");
            refused(&answer, &text, "unsupported_for_type");
        }
        assert_eq!(&world.document(resource, id).await?, &before);
    }
    // A campaign is no part of campaigns.
    for action in ["campaign_add", "campaign_edit", "campaign_remove"] {
        let body = json!({"action": action, "name": "Bear"});
        let answer = world.say("campaigns", &campaign, body).await?;
        let text = format!("'{action}' is not a valid action.");
        refused(&answer, &text, "unsupported_for_type");
    }
    Ok(())
}

/// ACT-1: of what the caller does not see, every action says no more than of what is not there.
#[tokio::test]
async fn act_1_s8_hidden_objects_are_not_found() -> Result<()> {
    let world = World::start().await?;
    let form = [("domain", "secret.example.org"), ("source", "Beta")];
    let hidden = world
        .server
        .post("/api/v1/domains/", &form)
        .await?
        .created_id()?;
    for (body, ..) in actions() {
        let mut texts = Vec::new();
        for id in [hidden.as_str(), NOBODY] {
            let path = format!("/api/v1/domains/{id}/");
            let answer = world.server.patch_as(&world.alice, &path, &body).await?;
            assert_eq!(answer.status, 404, "{body}");
            texts.push(answer.text);
        }
        assert_eq!(texts[0], texts[1]);
    }
    Ok(())
}

/// Every type takes the actions that are for all.
#[tokio::test]
async fn act_2_all_types_take_the_common_actions() -> Result<()> {
    let world = World::start().await?;
    let partner = world.domain("partner.example.com").await?;
    for (resource, id) in one_of_each(&world.server).await? {
        if resource == "actoridentifiers" {
            continue;
        }
        let mut bodies = vec![
            json!({"action": "add_releasability", "name": "Partner"}),
            json!({"action": "forge_relationship", "right_type": "Domain", "right_id": partner, "rel_type": "Related To"}),
        ];
        bodies.extend([
            json!({"action": "action_add", "tlo_action": {"action_type": "Watch"}}),
            json!({"action": "add_object", "object_type": "Mutex", "value": "x", "source": "OSINT"}),
            json!({"action": "delete_object", "object_type": "Mutex", "value": "x"}),
            json!({"action": "modify_bucket_list", "buckets": "a"}),
            json!({"action": "modify_sector_list", "sectors": "Energy"}),
            json!({"action": "location_add", "location": "Iceland", "location_type": "Destined For"}),
            json!({"action": "update_relationship", "right_type": "Domain", "right_id": partner, "rel_type": "Related To", "new_reason": "r"}),
            json!({"action": "delete_relationship", "right_type": "Domain", "right_id": partner, "rel_type": "Related To"}),
        ]);
        if resource != "campaigns" {
            bodies.push(json!({"action": "campaign_add", "name": "Bear"}));
        }
        if !["campaigns", "targets"].contains(&resource) {
            bodies.push(
                json!({"action": "source_add_update", "action_type": "add", "source": "OSINT"}),
            );
        }
        for body in bodies {
            let answer = world.say(resource, &id, body.clone()).await?;
            assert_eq!(answer["return_code"], 0, "{resource} {body}: {answer}");
        }
    }
    Ok(())
}
