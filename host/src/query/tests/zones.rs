//! Which zone the dates of conditions are in.

use super::*;
use crate::store::{FieldPath, Test};

#[test]
fn d1_m14_dates_in_conditions_are_meant_as_they_are_shown() {
    let (shown, stored) = (
        Zones::named("", "Europe/Berlin"),
        Zones::named("Europe/Berlin", ""),
    );
    // Stored: 2019-01-01 00:00.
    for (zones, query, expected) in [
        (&shown, "c-when=2019-01-01 01:00:00.000000", true),
        (&shown, "c-when=\"2019-01-01 01:00\"", true),
        (&shown, "c-when=2019-01-01", false),
        (&shown, "c-when=2019-01-01T00:00:00Z", true),
        (&shown, "c-when=2019-01-01T01:00:00%2B01:00", true),
        (&shown, "c-when__gte=2019-01-01 01:00", true),
        (&shown, "c-when__gt=2019-01-01 00:59:59.999", true),
        (&shown, "c-when__gt=2019-01-01 01:00", false),
        (&shown, "c-when__lt=2019-01-01 01:00", false),
        (&shown, "c-when__ne=2019-01-01 01:00", false),
        (&shown, "c-when__in=2018,2019-01-01 01:00", true),
        (&shown, "c-when__nin=2018,2019-01-01 01:00", false),
        (&shown, "c-relationships.date=2021-05-06 09:08:09", true),
        (&stored, "c-when=2019-01-01 00:00", true),
        (&stored, "c-when=2019-01-01T00:00:00+01:00", true),
        (&stored, "c-when=2019-01-01T00:00:00Z", false),
    ] {
        let filter = read_in(zones, query).unwrap().filter;
        let raw = RawDocumentBuf::from_bytes(document().to_vec().unwrap()).unwrap();
        assert_eq!(
            filter.matches(&raw).unwrap(),
            expected,
            "{query}: {filter:?}"
        );
    }
    // What is shown alike is found alike.
    let twice = read_in(&shown, "c-created=2026-10-25 02:30")
        .unwrap()
        .filter;
    let both = ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"].map(|text| Bson::from(date(text)));
    let path = FieldPath::literal("created");
    assert_eq!(twice, Filter::Field(path, Test::In(both.to_vec())));
}
