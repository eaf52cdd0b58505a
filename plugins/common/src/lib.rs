//! The actions that all types share (actions.md section 2): tickets, status, description.

mod description;
mod status;
mod tickets;

use critd_sdk::plugin;
use description::description_update;
use status::status_update;
use tickets::{ticket_add, ticket_remove, ticket_update};

plugin! {
    name = "common",
    summary = "What can be done to objects of every type.",
    actions = [status_update, description_update, ticket_add, ticket_update, ticket_remove],
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_examples_hold() {
        critd_sdk::bench::check::<super::Plugin>();
    }
}
