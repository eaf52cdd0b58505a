//! What declarations say themselves of presence, empty texts and wording.

use super::*;

/// What the plugin checks itself is handed over as it was sent, or left out.
#[tokio::test]
async fn forge_relationship_1_checks_within_the_plugin() {
    let fixture = Fixture::new().await;
    let none = accepted(&fixture, "everything", json!({})).await;
    assert_eq!((none.get("own"), none.get("active")), (None, None));
    let sent = json!({"own": " Bad ", "active": true});
    let some = accepted(&fixture, "everything", sent).await;
    assert_eq!(
        (&some["own"], &some["active"]),
        (&json!("Bad"), &json!("true"))
    );
    // Its type is checked all the same.
    let refused = run(&fixture, "everything", json!({"own": ["a"]})).await;
    assert!(
        matches!(refused, Err(NotDone::Refused(refusal)) if refusal.message == "Argument 'own' must be a string.")
    );
}

/// ACT-13, action_update.2: an empty date that is something else than an absent one.
#[tokio::test]
async fn act_12_an_empty_date_may_mean_now() {
    let fixture = Fixture::new().await;
    let sent = json!({"end": " ", "span": {"begin": "", "end": ""}});
    let now = json!({"$date": NOW});
    assert_eq!(
        accepted(&fixture, "worded", sent).await,
        json!({"end": now, "span": {"end": now}})
    );
    assert_eq!(
        accepted(
            &fixture,
            "worded",
            json!({"end": null, "span": {"end": null}})
        )
        .await,
        json!({"span": {}})
    );
}

#[tokio::test]
async fn core_13_3_texts_name_other_arguments_and_blank_ones_are_missing() {
    let fixture = Fixture::new().await;
    for (sent, message, argument) in [
        (
            json!({"rated": "IMPACT", "rating": "MAX"}),
            "Invalid impact: MAX.",
            "rating",
        ),
        (
            json!({"rated": "impact", "rating": "{rated}"}),
            "Invalid impact: {rated}.",
            "rating",
        ),
        (json!({"rating": "MAX"}), "Invalid {rated}: MAX.", "rating"),
        (json!({"title": " "}), "No title to change", "title"),
    ] {
        let (said, error) = refused(run(&fixture, "worded", sent.clone()).await);
        assert_eq!(said, message, "{sent}");
        assert_eq!(
            error,
            json!({"code": "invalid_value", "argument": argument}),
            "{sent}"
        );
    }
}
