//! Times and object ids, which JSON lacks: they cross the contract as `{"$date": …}` and `{"$oid": …}`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A point in time: milliseconds since 1970-01-01T00:00:00Z (rule D4: finer digits are cut).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "DateWire", from = "DateWire")]
pub struct Date(i64);

#[derive(Serialize, Deserialize)]
struct DateWire {
    #[serde(rename = "$date")]
    millis: i64,
}

impl From<Date> for DateWire {
    fn from(date: Date) -> Self {
        Self { millis: date.0 }
    }
}

impl From<DateWire> for Date {
    fn from(wire: DateWire) -> Self {
        Self(wire.millis)
    }
}

const MILLIS_A_DAY: i64 = 86_400_000;

impl Date {
    /// From milliseconds since 1970.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// This many milliseconds later.
    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Year, month, day of the proleptic Gregorian calendar.
    const fn civil(self) -> (i64, i64, i64) {
        // Days since 0000-03-01 in eras of 400 years, so that leap days end a year.
        let days = self.0.div_euclid(MILLIS_A_DAY) + 719_468;
        let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 {
            shifted + 3
        } else {
            shifted - 9
        };
        let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
        (year, month, day)
    }
}

/// `2026-01-15 10:20:30.123000`, as answers show dates (rule J4).
impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        let in_day = self.0.rem_euclid(MILLIS_A_DAY);
        let (hour, minute, second) = (
            in_day / 3_600_000,
            in_day / 60_000 % 60,
            in_day / 1_000 % 60,
        );
        write!(
            f,
            "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{:03}000",
            in_day % 1_000
        )
    }
}

/// The id of a document: 24 lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "IdWire", try_from = "IdWire")]
pub struct ObjectId(String);

#[derive(Serialize, Deserialize)]
struct IdWire {
    #[serde(rename = "$oid")]
    hex: String,
}

impl From<ObjectId> for IdWire {
    fn from(id: ObjectId) -> Self {
        Self { hex: id.0 }
    }
}

impl TryFrom<IdWire> for ObjectId {
    type Error = &'static str;

    fn try_from(wire: IdWire) -> Result<Self, Self::Error> {
        Self::parse(&wire.hex).ok_or("not an object id")
    }
}

impl ObjectId {
    /// Reads 24 hex digits of any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let valid = text.len() == 24 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        valid.then(|| Self(text.to_ascii_lowercase()))
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for ObjectId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Date, ObjectId};

    #[test]
    fn j4_dates_are_shown_with_six_digits() {
        for (millis, text) in [
            (0, "1970-01-01 00:00:00.000000"),
            (1_768_472_430_123, "2026-01-15 10:20:30.123000"),
            (1_709_164_800_000, "2024-02-29 00:00:00.000000"),
            (-1, "1969-12-31 23:59:59.999000"),
            (-62_135_596_800_000, "0001-01-01 00:00:00.000000"),
        ] {
            assert_eq!(Date::from_millis(millis).to_string(), text);
        }
    }

    #[test]
    fn ids_are_24_hex_digits_of_any_case() {
        let id = ObjectId::parse("5B2C3D4E5F60718293A40001").map(|id| id.as_str().to_owned());
        assert_eq!(id.as_deref(), Some("5b2c3d4e5f60718293a40001"));
        assert_eq!(ObjectId::parse("5b2c"), None);
        assert_eq!(ObjectId::parse("zzzz3d4e5f60718293a40001"), None);
    }

    #[test]
    fn json_has_the_wrapped_forms() {
        let id = ObjectId::parse("5b2c3d4e5f60718293a40001");
        let text = serde_json::json!({"date": Date::from_millis(5), "id": id}).to_string();
        assert_eq!(
            text,
            r#"{"date":{"$date":5},"id":{"$oid":"5b2c3d4e5f60718293a40001"}}"#
        );
    }
}
