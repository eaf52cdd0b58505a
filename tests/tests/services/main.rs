//! Analysis services: actions.md section 8 and 2.14, create.md 3.1.

mod facts;
mod leases;
mod records;
mod rights;
mod running;
mod started;
mod survival;
mod triage;
mod worker;
mod world;
