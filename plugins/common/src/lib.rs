//! The actions that all types share (actions.md section 2): tickets, actions, status, description, sources,
//! releasability, relationships.

mod actions;
mod description;
mod objects;
mod relationships;
mod releasability;
mod sources;
mod status;
mod tickets;

use actions::{action_add, action_remove, action_update};
use critd_sdk::{element, plugin, prelude::*};
use description::description_update;
use objects::add_object;
use relationships::forge_relationship;
use releasability::add_releasability;
use sources::{source_add_update, source_remove};
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
    ],
    needs = {
        "create:Indicator" = "An object may become an indicator too.",
        "create:PCAP" = "A file among the objects that is a capture of network traffic becomes a PCAP too.",
        "other:*" = "A relationship is written on both objects.",
    },
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
