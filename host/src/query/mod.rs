//! `c-…` parameters, sort and paging → [`crate::store::ListQuery`]. Pure: no I/O, no HTTP types, no users.
