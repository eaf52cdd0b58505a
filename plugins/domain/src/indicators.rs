//! `add_indicators`: an indicator from a domain or an address, with what is known of that.

use critd_sdk::element;
use critd_sdk::merge;
use critd_sdk::prelude::*;

/// Adds the indicator `(kind, value)` for a domain or address, or brings it up to date: it takes over sources, campaigns,
/// buckets and tickets of `origin`, and is related to it and to its events. `source`: source and TLP of the instance that
/// says where the indicator comes from.
///
/// # Errors
///
/// The faults of creating the indicator.
pub(crate) fn add(
    origin: &mut Tlo,
    origin_type: &str,
    kind: &str,
    value: &str,
    source: &Params,
) -> Result<Tlo, Fault> {
    let method = method(origin_type, origin.id()?.as_str());
    let params = source
        .clone()
        .only(&["source", "tlp"])
        .with("value", value)
        .with("type", kind)
        .with("method", method);
    let mut indicator = Tlo::create("Indicator", params)?
        .tlo
        .ok_or_else(|| internal("no indicator was answered"))?;
    indicator.inherit_sources(origin)?;
    merge::inherit_campaigns(origin, &mut indicator)?;
    let tickets: Vec<Json> = origin.list("tickets")?;
    indicator.merge_shared(params! { "bucket_list" => origin.list::<String>("bucket_list")?, "ticket" => ticket_numbers(&tickets) })?;
    origin.relate("Related To", &indicator, Params::new())?;
    relate_events(origin, &indicator)?;
    Ok(indicator)
}

fn method(origin_type: &str, id: &str) -> String {
    format!("Indicator created/updated from {origin_type} with ID {id}")
}

fn ticket_numbers(tickets: &[Json]) -> Vec<String> {
    merge::distinct(
        tickets
            .iter()
            .filter_map(|ticket| ticket["ticket_number"].as_str()),
    )
}

/// Every event that `origin` is related to becomes related to the indicator; those that the user may not see stay as
/// they are.
fn relate_events(origin: &Tlo, indicator: &Tlo) -> Result<(), Fault> {
    let is_event = json!({ "type": "Event" });
    let mut start = 0;
    while let Some(position) = origin.find_from("relationships", &is_event, start)? {
        start = position + 1;
        let Some(id) =
            origin.get::<ObjectId>(&[&element("relationships", position), ".value"].concat())?
        else {
            continue;
        };
        match Tlo::by_id("Event", id) {
            Ok(mut event) => {
                event.relate("Related To", indicator, Params::new())?;
            }
            Err(Fault::Missing(_)) => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use critd_sdk::json;

    #[test]
    fn create_5_7_the_indicators_source_says_where_it_comes_from() {
        let text = "Indicator created/updated from Domain with ID 5b2c3d4e5f60718293a4b5e0";
        assert_eq!(super::method("Domain", "5b2c3d4e5f60718293a4b5e0"), text);
    }

    #[test]
    fn create_5_7_tickets_are_taken_over_by_number() {
        let tickets = [
            json!({"ticket_number": "INC-1", "analyst": "jdoe"}),
            json!({"ticket_number": "INC-1"}),
            json!({}),
        ];
        assert_eq!(super::ticket_numbers(&tickets), ["INC-1"]);
    }
}
