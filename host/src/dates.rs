//! Dates as the API reads and writes them (core-api section 16). All times are UTC, in milliseconds since 1970.
