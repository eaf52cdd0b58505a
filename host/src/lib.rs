//! critd: a server for the CRITs authenticated API whose types and actions are WebAssembly plugins.
//!
//! `docs/ARCHITECTURE.md` is the map. In short: [`api`] speaks HTTP, [`access`] knows who may do what, [`query`] reads
//! query strings, [`plugins`] runs the handlers, [`store`] keeps documents and files, [`cli`] is the command line.

pub mod access;
pub mod api;
pub mod cli;
pub mod dates;
#[cfg(test)]
mod endless;
pub mod plugins;
pub mod query;
pub mod registers;
pub mod store;
pub mod vocabulary;
