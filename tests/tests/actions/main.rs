//! PATCH over HTTP, and what the server says of its actions.

mod audit;
mod dispatch;
mod dry_run;
mod expected;
mod listing;
