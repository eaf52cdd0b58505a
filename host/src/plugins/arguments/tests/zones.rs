//! Which zone the dates of arguments are in.

use super::*;
use crate::dates;

#[tokio::test]
async fn d1_m14_dates_of_arguments_are_meant_as_they_are_shown() {
    let fixture = Fixture::new().await;
    let caller = caller("alice");
    let zones = Zones::named("America/New_York", "Europe/Berlin");
    let context = Context {
        caller: &caller,
        registry: &fixture.registry,
        services: &fixture.services,
        now: NOW,
        zones: &zones,
    };
    let on = fixture.registry.type_named("Domain").unwrap();
    let action = fixture.registry.action("Domain", "everything").unwrap();
    let stored = dates::lenient("2026-07-15 11:00").map(|written| Zones::default().read(written));
    for name in ["date", "when"] {
        for (sent, found) in [
            ("2026-07-15 17:00:00.000000", true),
            ("2026-07-15 15:00:00Z", true),
            ("2026-07-15T11:00:00-04:00", true),
            ("2026-07-15 11:00:00", false),
        ] {
            let params = params(&json!({name: sent}));
            let checked = for_action(context, on, action, &params).await.unwrap();
            let value = &checked
                .args
                .iter()
                .find(|arg| arg.name == name)
                .unwrap()
                .value;
            assert_eq!(
                *value == Value::Date(stored.unwrap()),
                found,
                "{name} {sent}"
            );
        }
    }
    // What a plugin says is as stored.
    let params = params(&json!({"when": {"$date": NOW}}));
    let checked = for_action(context, on, action, &params).await.unwrap();
    assert_eq!(checked.args[0].value, Value::Date(NOW));
}
