//! Dates as the API reads and writes them (core-api section 16). All times are UTC, in milliseconds since 1970.

/// Rule D3, the strict reader of PATCH arguments: `%Y-%m-%d %H:%M:%S.%f`; also without fraction, with `T`, with a zone.
#[must_use]
pub fn strict(text: &str) -> Option<i64> {
    let _ = text;
    todo!()
}

/// Rule D5, the lenient reader of queries and of loosely written dates.
#[must_use]
pub fn lenient(text: &str) -> Option<i64> {
    let _ = text;
    todo!()
}

/// Rule J4: how answers show a date.
#[must_use]
pub fn text(milliseconds: i64) -> String {
    let _ = milliseconds;
    todo!()
}
