//! PATCH over HTTP, and what the server says of its actions.

mod audit;
mod concurrency;
mod dispatch;
mod dry_run;
mod expected;
mod foundation;
mod listing;
mod notifications;
