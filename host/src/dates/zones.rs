//! Which zone's wall-clock is stored and which is shown (rules D1, M10, M14): settings `stored_timezone`, `display_timezone`.
//!
//! Stored dates are wall-clock times of one zone, encoded as if they were UTC. All comparing, sorting and paging is done
//! with them as they are; they are converted where answers are written and where clients' texts are read, nowhere else.
//!
//! A time that occurs twice when summer time ends is the earlier of both, one that is left out when it begins is as much
//! later (`02:30` is `03:30`). What lies outside of the calendar (years 1 to 9999) stays as it is.

use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase};

/// The zones' data are part of the binary: their names mean the same on every machine.
static BUNDLED: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

const DAY: i64 = 86_400_000;
/// First and last millisecond of the years 1 to 9999.
const CALENDAR: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;

/// A date as it was written, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// Without a zone: a wall-clock time.
    Local(i64),
    /// With a zone: a moment, in UTC.
    Moment(i64),
}

/// The zones of stored and of shown dates. By default dates are stored in UTC and shown as stored: nothing is converted.
#[derive(Debug, Clone, Default)]
pub struct Zones {
    /// None: UTC.
    stored: Option<TimeZone>,
    /// None: that of the stored ones.
    shown: Option<TimeZone>,
}

impl Zones {
    /// The zones of these names. An empty name is UTC for what is stored, the same zone for what is shown; so is a name that
    /// nobody knows, and the log says so.
    #[must_use]
    pub fn named(stored: &str, shown: &str) -> Self {
        let zone = |setting: &str, name: &str, instead: &str| {
            if name.is_empty() {
                return None;
            }
            let zone = BUNDLED.get(name).ok();
            if zone.is_none() {
                tracing::error!(
                    "the setting `{setting}` names the unknown time zone `{name}`; {instead}"
                );
            }
            zone
        };
        let stored =
            zone("stored_timezone", stored, "UTC is stored").filter(|zone| *zone != TimeZone::UTC);
        let shown = zone("display_timezone", shown, "dates are shown as stored")
            .filter(|zone| zone != stored.as_ref().unwrap_or(&TimeZone::UTC));
        Self { stored, shown }
    }

    /// Rule M14: what is stored for a moment.
    #[must_use]
    pub fn stored(&self, moment: i64) -> i64 {
        self.stored
            .as_ref()
            .and_then(|zone| wall_clock(zone, moment))
            .unwrap_or(moment)
    }

    /// The least date that is stored for a moment or for any later one: when clocks are set back, a later change gets an
    /// earlier date.
    #[must_use]
    pub fn least_stored_from(&self, moment: i64) -> i64 {
        let stored = self.stored(moment);
        let set_back = self
            .stored
            .as_ref()
            .zip(Timestamp::from_millisecond(moment).ok())
            .and_then(|(zone, moment)| zone.following(moment).next())
            .map(|change| self.stored(change.timestamp().as_millisecond()));
        set_back.map_or(stored, |set_back| set_back.min(stored))
    }

    /// Rule D1: the wall-clock time that answers show for a stored date.
    #[must_use]
    pub fn shown(&self, stored: i64) -> i64 {
        match &self.shown {
            None => stored,
            Some(zone) => self
                .moment(stored)
                .and_then(|moment| wall_clock(zone, moment))
                .unwrap_or(stored),
        }
    }

    /// The stored form of a date that a client has written: without a zone it is meant as dates are shown.
    #[must_use]
    pub fn read(&self, written: Written) -> i64 {
        match (written, &self.shown) {
            (Written::Moment(moment), _) => self.stored(moment),
            (Written::Local(time), None) => time,
            (Written::Local(time), Some(zone)) => {
                moment(zone, time).map_or(time, |moment| self.stored(moment))
            }
        }
    }

    /// The same for conditions: all stored dates that are shown as what the client has written, at least one.
    #[must_use]
    pub fn read_all(&self, written: Written) -> Vec<i64> {
        let mut all = vec![self.read(written)];
        if let (Written::Local(time), Some(zone)) = (written, &self.shown) {
            // What can't be converted is shown as stored.
            let mut candidates = vec![time];
            for shown in offsets(zone, time) {
                let moment = time - shown;
                let stored = self.stored.as_ref();
                candidates.push(moment);
                candidates.extend(
                    stored
                        .into_iter()
                        .flat_map(|zone| offsets(zone, moment))
                        .map(|stored| moment + stored),
                );
            }
            for candidate in candidates {
                if self.shown(candidate) == time && !all.contains(&candidate) {
                    all.push(candidate);
                }
            }
        }
        all
    }

    /// The moment of a stored date.
    fn moment(&self, stored: i64) -> Option<i64> {
        match &self.stored {
            None => Some(stored),
            Some(zone) => moment(zone, stored),
        }
    }
}

/// The name of a zone as its list has it: `Europe/Berlin` of `europe/berlin`. None: nobody knows it.
#[must_use]
pub fn zone_name(text: &str) -> Option<String> {
    let zone = BUNDLED.get(text).ok()?;
    Some(zone.iana_name()?.to_owned())
}

/// What clocks of a zone show at a moment.
fn wall_clock(zone: &TimeZone, moment: i64) -> Option<i64> {
    let offset = zone.to_offset(Timestamp::from_millisecond(moment).ok()?);
    Some(moment + milliseconds(offset)).filter(|time| CALENDAR.contains(time))
}

/// The moment at which clocks of a zone show a time.
fn moment(zone: &TimeZone, time: i64) -> Option<i64> {
    let civil = Offset::UTC.to_datetime(Timestamp::from_millisecond(time).ok()?);
    let offset = match zone.to_ambiguous_timestamp(civil).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset,
        AmbiguousOffset::Gap { before, .. } | AmbiguousOffset::Fold { before, .. } => before,
    };
    Some(time - milliseconds(offset)).filter(|moment| CALENDAR.contains(moment))
}

/// What a zone is ahead of UTC about a time, before and after a change nearby.
fn offsets(zone: &TimeZone, time: i64) -> impl Iterator<Item = i64> {
    [-DAY, DAY].into_iter().filter_map(move |away| {
        let about = Timestamp::from_millisecond(time.checked_add(away)?).ok()?;
        Some(milliseconds(zone.to_offset(about)))
    })
}

fn milliseconds(offset: Offset) -> i64 {
    i64::from(offset.seconds()) * 1_000
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{lenient, text};
    use super::*;

    fn zones(stored: &str, shown: &str) -> Zones {
        Zones::named(stored, shown)
    }

    /// A time in the form of answers, or shorter.
    fn at(text: &str) -> i64 {
        match lenient(text) {
            Some(Written::Local(time) | Written::Moment(time)) => time,
            None => panic!("{text}"),
        }
    }

    #[test]
    fn zones_have_the_names_of_iana() {
        for (given, name) in [
            ("Europe/Berlin", Some("Europe/Berlin")),
            ("europe/berlin", Some("Europe/Berlin")),
            ("America/New_York", Some("America/New_York")),
            ("Asia/Kolkata", Some("Asia/Kolkata")),
            ("UTC", Some("UTC")),
            ("Europe/Atlantis", None),
            ("+02:00", None),
            ("CET-1CEST,M3.5.0,M10.5.0/3", None),
            ("../../etc/passwd", None),
            ("", None),
        ] {
            assert_eq!(zone_name(given).as_deref(), name, "{given}");
        }
    }

    #[test]
    fn m10_m14_now_is_the_wall_clock_of_the_stored_zone() {
        for (zone, moment, stored) in [
            ("UTC", "2026-01-15 15:00", "2026-01-15 15:00"),
            ("", "2026-07-15 15:00", "2026-07-15 15:00"),
            ("Europe/Atlantis", "2026-07-15 15:00", "2026-07-15 15:00"),
            ("America/New_York", "2026-01-15 15:00", "2026-01-15 10:00"),
            ("America/New_York", "2026-07-15 15:00", "2026-07-15 11:00"),
            // The hour of the autumn change occurs twice.
            ("America/New_York", "2026-11-01 05:30", "2026-11-01 01:30"),
            ("America/New_York", "2026-11-01 06:30", "2026-11-01 01:30"),
            ("Asia/Kolkata", "2026-07-15 20:00", "2026-07-16 01:30"),
            // Far beyond the table of changes the rules go on.
            ("America/New_York", "2126-07-15 15:00", "2126-07-15 11:00"),
        ] {
            let zones = zones(zone, "");
            assert_eq!(zones.stored(at(moment)), at(stored), "{zone} {moment}");
            // Rule M14: no conversion on read.
            assert_eq!(zones.shown(at(stored)), at(stored));
            assert_eq!(zones.read(Written::Local(at(stored))), at(stored));
            assert_eq!(zones.read_all(Written::Local(at(stored))), [at(stored)]);
            assert_eq!(zones.read(Written::Moment(at(moment))), at(stored));
        }
    }

    #[test]
    fn d1_dates_are_shown_in_another_zone_and_found_again() {
        for (stored_zone, shown_zone, stored, shown) in [
            ("UTC", "", "2026-07-15 15:00", "2026-07-15 15:00"),
            ("UTC", "UTC", "2026-07-15 15:00", "2026-07-15 15:00"),
            (
                "UTC",
                "Europe/Atlantis",
                "2026-07-15 15:00",
                "2026-07-15 15:00",
            ),
            (
                "UTC",
                "Europe/Berlin",
                "2026-07-15 15:00",
                "2026-07-15 17:00",
            ),
            (
                "UTC",
                "Europe/Berlin",
                "2026-12-31 23:30",
                "2027-01-01 00:30",
            ),
            (
                "UTC",
                "America/New_York",
                "2026-01-15 15:00",
                "2026-01-15 10:00",
            ),
            (
                "America/New_York",
                "UTC",
                "2026-01-15 10:00",
                "2026-01-15 15:00",
            ),
            (
                "America/New_York",
                "Europe/Berlin",
                "2026-07-15 11:00",
                "2026-07-15 17:00",
            ),
            (
                "Europe/Berlin",
                "Europe/Berlin",
                "2026-07-15 17:00",
                "2026-07-15 17:00",
            ),
            // Before zones had names each town had its own time.
            (
                "UTC",
                "Europe/Berlin",
                "1850-01-01 00:00",
                "1850-01-01 00:53:28",
            ),
            // What the calendar has no room for.
            (
                "UTC",
                "America/New_York",
                "0001-01-01 00:00",
                "0001-01-01 00:00",
            ),
            (
                "UTC",
                "Europe/Berlin",
                "9999-12-31 23:59:59.999",
                "9999-12-31 23:59:59.999",
            ),
        ] {
            let zones = zones(stored_zone, shown_zone);
            let about = format!("{stored_zone} {shown_zone} {stored}");
            let local = Written::Local(at(shown));
            assert_eq!(text(zones.shown(at(stored))), text(at(shown)), "{about}");
            assert!(zones.read_all(local).contains(&at(stored)), "{about}");
        }
        let zones = zones("America/New_York", "Europe/Berlin");
        let moment = Written::Moment(at("2026-07-15 15:00"));
        assert_eq!(zones.read(moment), at("2026-07-15 11:00"));
        assert_eq!(zones.read_all(moment), [at("2026-07-15 11:00")]);
        let local = Written::Local(at("2026-07-15 17:00"));
        assert_eq!(zones.read(local), at("2026-07-15 11:00"));
    }

    #[test]
    fn d1_hours_that_occur_twice_or_never() {
        let berlin = zones("UTC", "Europe/Berlin");
        let twice = Written::Local(at("2026-10-25 02:30"));
        let both = [at("2026-10-25 00:30"), at("2026-10-25 01:30")];
        assert_eq!(
            both.map(|stored| berlin.shown(stored)),
            [at("2026-10-25 02:30"); 2]
        );
        assert_eq!(berlin.read(twice), both[0]);
        assert_eq!(berlin.read_all(twice), both);
        let never = Written::Local(at("2026-03-29 02:30"));
        assert_eq!(berlin.read(never), at("2026-03-29 01:30"));
        assert_eq!(berlin.read_all(never), [at("2026-03-29 01:30")]);
        assert_eq!(berlin.shown(at("2026-03-29 01:30")), at("2026-03-29 03:30"));

        // The same of stored dates.
        let york = zones("America/New_York", "UTC");
        assert_eq!(york.shown(at("2026-11-01 01:30")), at("2026-11-01 05:30"));
        assert_eq!(york.shown(at("2026-03-08 02:30")), at("2026-03-08 07:30"));
        let shown = Written::Local(at("2026-03-08 07:30"));
        assert_eq!(york.read(shown), at("2026-03-08 03:30"));
        assert_eq!(
            york.read_all(shown),
            [at("2026-03-08 03:30"), at("2026-03-08 02:30")]
        );
    }

    #[test]
    fn changes_before_clocks_are_set_back_are_not_settled() {
        let york = zones("America/New_York", "");
        for (moment, least) in [
            ("2026-11-01 04:59", "2026-11-01 00:59"),
            ("2026-11-01 05:00", "2026-11-01 01:00"),
            ("2026-11-01 05:45", "2026-11-01 01:00"),
            ("2026-11-01 06:00", "2026-11-01 01:00"),
            ("2026-11-01 06:45", "2026-11-01 01:45"),
            ("2026-03-08 06:59", "2026-03-08 01:59"),
            ("2026-03-08 07:01", "2026-03-08 03:01"),
        ] {
            assert_eq!(york.least_stored_from(at(moment)), at(least), "{moment}");
        }
        let utc = Zones::default();
        assert_eq!(
            utc.least_stored_from(at("2026-11-01 05:45")),
            at("2026-11-01 05:45")
        );
    }

    proptest! {
        #[test]
        fn d1_what_is_shown_is_found(
            stored in prop_oneof![
                any::<i64>(),
                CALENDAR,
                // Around the changes of 2026.
                1_767_225_600_000_i64..1_798_761_600_000,
            ],
            stored_zone in 0_usize..6,
            shown_zone in 0_usize..6,
        ) {
            const NAMES: [&str; 6] = ["", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Monrovia"];
            let zones = zones(NAMES[stored_zone], NAMES[shown_zone]);
            let found = zones.read_all(Written::Local(zones.shown(stored)));
            prop_assert!(found.contains(&stored), "{found:?}");
            prop_assert!(found.len() < 8);
        }
    }
}
