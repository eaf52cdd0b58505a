//! PATCH actions as clients send them.

use anyhow::Result;
use critd_tests::{Server, json};

use crate::one_of_each;

/// O31: the resource of relationships is gone; whoever still posts to it is told what there is instead.
#[tokio::test]
async fn o31_posts_to_the_resource_of_relationships() -> Result<()> {
    let server = Server::start().await?;
    let objects = one_of_each(&server).await?;
    let id = |resource: &str| {
        let found = objects.iter().find(|(name, _)| *name == resource);
        found.map(|(_, id)| id.clone()).unwrap_or_default()
    };
    let (left, right) = (id("samples"), id("domains"));
    let form = [
        ("left_type", "Sample"),
        ("left_id", left.as_str()),
        ("right_type", "Domain"),
        ("right_id", right.as_str()),
        ("rel_type", "Downloaded_From"),
        ("rel_confidence", "high"),
        ("rel_date", "2020-01-02 03:04:05"),
    ];
    let answer = server.post("/api/v1/relationships/", &form).await?;
    assert_eq!(answer.status, 404, "{}", answer.text);
    assert!(
        answer.json()["error"]
            .as_str()
            .is_some_and(|text| text.contains("forge_relationship")),
        "{}",
        answer.text
    );
    // And that works, with the same arguments.
    let body = json!({"action": "forge_relationship", "right_type": "Domain", "right_id": right, "rel_type": "Downloaded_From", "rel_confidence": "high", "rel_date": "2020-01-02 03:04:05"});
    let path = format!("/api/v1/samples/{left}/");
    assert_eq!(server.patch(&path, &body).await?.json()["return_code"], 0);
    Ok(())
}

/// O32: names of relationships with underscores, both sides written.
#[tokio::test]
async fn o32_names_of_relationships_with_underscores() -> Result<()> {
    let server = Server::start().await?;
    let objects = one_of_each(&server).await?;
    let id = |resource: &str| {
        let found = objects.iter().find(|(name, _)| *name == resource);
        found.map(|(_, id)| id.clone()).unwrap_or_default()
    };
    let (left, right) = (id("samples"), id("domains"));
    let path = format!("/api/v1/samples/{left}/");
    for (sent, stored, inverse) in [
        ("Related_To", "Related To", "Related To"),
        ("Downloaded_From", "Downloaded From", "Downloaded To"),
    ] {
        let body = json!({"action": "forge_relationship", "right_type": "Domain", "right_id": right, "rel_type": sent});
        let answer = server.patch(&path, &body).await?.json();
        assert_eq!(answer["return_code"], 0, "{answer}");
        assert_eq!(answer["object"]["relationship"], stored);
        let warning = format!("'{sent}' is an old name; '{stored}' is used.");
        assert_eq!(answer["warnings"], json!([warning]));
        for (resource, id, name, partner) in [
            ("samples", &left, stored, &right),
            ("domains", &right, inverse, &left),
        ] {
            let document = server.document(resource, id).await?;
            let there = document["relationships"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|entry| entry["relationship"] == name && entry["value"] == partner.as_str());
            assert!(there, "{document}");
        }
    }
    let body = json!({"action": "forge_relationship", "right_type": "Domain", "right_id": right, "rel_type": "No_Such_Thing"});
    let before = server.document("samples", &left).await?;
    assert_eq!(server.patch(&path, &body).await?.json()["return_code"], 1);
    assert_eq!(server.document("samples", &left).await?, before);
    Ok(())
}

/// O35: actions by PATCH, with the spellings of dates and of on and off that clients send.
#[tokio::test]
async fn o35_spellings_of_actions() -> Result<()> {
    let server = Server::start().await?;
    let event = server.event("E").await?;
    let path = format!("/api/v1/events/{event}/");
    for active in [json!("on"), json!("True"), json!(true)] {
        let action = json!({"action_type": "Blocked Outbound At Firewall", "active": active, "begin_date": "", "performed_date": null, "reason": "r"});
        let body = json!({"action": "action_add", "tlo_action": action});
        let answer = server.patch(&path, &body).await?.json();
        assert_eq!(
            (&answer["return_code"], &answer["object"]["active"]),
            (&json!(0), &json!("on")),
            "{answer}"
        );
        for date in ["begin_date", "end_date", "performed_date"] {
            assert_eq!(answer["object"][date], answer["object"]["date"], "{date}");
        }
    }
    let action = json!({"action_type": "Blocked Outbound At Firewall", "active": "perhaps"});
    let body = json!({"action": "action_add", "tlo_action": action});
    let answer = server.patch(&path, &body).await?.json();
    assert_eq!(answer["message"], "Invalid active flag: perhaps.");
    let stored = server.document("events", &event).await?;
    assert_eq!(stored["actions"].as_array().map(Vec::len), Some(3));
    Ok(())
}

/// O53: `add_object` without a TLP has the default.
#[tokio::test]
async fn o53_objects_without_a_tlp() -> Result<()> {
    let server = Server::start().await?;
    let event = server.event("E").await?;
    let body = json!({"action": "add_object", "object_type": "Domain", "value": "www.example.com", "source": "Alpha"});
    let answer = server
        .patch(&format!("/api/v1/events/{event}/"), &body)
        .await?
        .json();
    assert_eq!(answer["return_code"], 0, "{answer}");
    let stored = server.document("events", &event).await?;
    assert_eq!(
        stored["objects"][0]["source"][0]["instances"][0]["tlp"],
        "amber"
    );
    Ok(())
}
