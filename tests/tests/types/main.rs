//! POST of every type, and what is particular about it: a module a type.

mod backdoor;
mod comment;
mod every;
mod exploit;
mod indicator_activity;
mod raw_data;
mod refusals;
mod services;
mod services_bounds;
mod services_rights;
mod signature;
mod target;
mod tasks;
