//! The actions that all types share (actions.md sections 2 and 10): tickets, actions, status, description, sources,
//! releasability, relationships, objects, buckets, sectors, campaigns, locations.

mod actions;
mod buckets;
mod campaigns;
mod description;
mod locations;
mod objects;
mod relationships;
mod releasability;
mod sources;
mod status;
mod tickets;

use actions::{action_add, action_remove, action_update};
use buckets::{modify_bucket_list, modify_sector_list};
use campaigns::{campaign_add, campaign_edit, campaign_remove};
use critd_sdk::{element, plugin, prelude::*};
use description::description_update;
use locations::{location_add, location_edit, location_remove};
use objects::{add_object, delete_object};
use relationships::{delete_relationship, forge_relationship, update_relationship};
use releasability::{
    add_releasability, add_releasability_instance, remove_releasability,
    remove_releasability_instance,
};
use sources::{modify_tlp, source_add_update, source_remove};
use status::status_update;
use tickets::{ticket_add, ticket_remove, ticket_update};

plugin! {
    name = "common",
    summary = "What can be done to objects of every type.",
    actions = [
        status_update,
        description_update,
        ticket_add,
        ticket_update,
        ticket_remove,
        source_add_update,
        source_remove,
        action_add,
        action_update,
        action_remove,
        add_releasability,
        forge_relationship,
        add_object,
        modify_bucket_list,
        campaign_add,
        campaign_edit,
        campaign_remove,
        delete_relationship,
        update_relationship,
        delete_object,
        modify_sector_list,
        location_add,
        location_edit,
        location_remove,
        modify_tlp,
        remove_releasability,
        add_releasability_instance,
        remove_releasability_instance,
    ],
    needs = {
        "create:Indicator" = "An object may become an indicator too.",
        "create:PCAP" = "A file among the objects that is a capture of network traffic becomes a PCAP too.",
        "other:*" = "A relationship is written on both objects; what is related to an object may be attributed to its campaign.",
    },
}

/// Changes the first entry of a list that meets a condition, in the caller's name. It moves to the end of the list (ACT-22,
/// ACT-23), unless nothing changes (ACT-18). None: there is none.
fn replaced<const N: usize>(
    tlo: &mut Tlo,
    call: &Call,
    list: &str,
    handle: &Json,
    changes: [(&str, Option<Json>); N],
) -> Result<Option<Json>, Fault> {
    let Some(Json::Object(before)) = tlo.first::<Json>(list, handle)? else {
        return Ok(None);
    };
    let mut after = before.clone();
    let given = changes
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    for (name, value) in given.chain([("analyst", call.user().into())]) {
        after.insert(name.to_owned(), value);
    }
    if after != before {
        tlo.pull(list, handle)?;
        tlo.push(list, Json::Object(after.clone()))?;
    }
    Ok(Some(after.into()))
}

/// So many elements of a list are answered at most.
const MOST: u32 = 1_000;

/// The elements of a list; if there are very many, the last ones and a warning.
fn last_elements(tlo: &Tlo, call: &Call, list: &str) -> Result<Vec<Json>, Fault> {
    /// The host's own limit.
    const AT_ONCE: usize = 256;
    let len = tlo.len(list)?;
    if len <= MOST {
        return tlo.list(list);
    }
    call.warn(&format!("Of {len} entries the last {MOST} are answered."));
    let places: Vec<String> = (len - MOST..len)
        .map(|position| element(list, position))
        .collect();
    let mut elements = Vec::with_capacity(places.len());
    for places in places.chunks(AT_ONCE) {
        let places: Vec<&str> = places.iter().map(String::as_str).collect();
        let values = tlo.get_many(&places)?.into_iter().flatten();
        elements.extend(values.filter_map(<Json as critd_sdk::FromValue>::from_value));
    }
    Ok(elements)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_examples_hold() {
        critd_sdk::bench::check::<super::Plugin>();
    }
}
