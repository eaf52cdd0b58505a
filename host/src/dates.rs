//! Dates as the API reads and writes them (core-api section 16), in milliseconds since 1970.

#[cfg(test)]
mod tests;
mod zones;

use std::sync::LazyLock;

use regex::{Captures, Regex};

pub use zones::{Written, Zones, zone_name};

const DAY: i64 = 86_400_000;

/// Rule D3, the strict reader of PATCH arguments: `%Y-%m-%d %H:%M:%S.%f`; also without fraction, with `T`, with a zone.
/// Digits below a millisecond are cut off (rule D4).
#[must_use]
pub fn strict(text: &str) -> Option<Written> {
    #[expect(clippy::expect_used, reason = "the expression is a literal")]
    static FORM: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"^(?<year>\d{4})-(?<month>\d{1,2})-(?<day>\d{1,2})[ Tt](?<hour>\d{1,2}):(?<minute>\d{1,2}):(?<second>\d{1,2})(?:\.(?<fraction>\d{1,6}))? ?(?<zone>[Zz]|[+-]\d{2}:?\d{2})?$",
        )
        .expect("a valid expression")
    });
    // Digits of other scripts are no digits here.
    let found = FORM.captures(text.trim()).filter(|_| text.is_ascii())?;
    let day = days(
        number(&found, "year")?,
        number(&found, "month")?,
        number(&found, "day")?,
    )?;
    moment(day, time_of_day(&found)?, zone(&found)?)
}

/// Rule D5, the lenient reader of queries and of loosely written dates: ISO 8601 in its common forms, `YYYY-MM`,
/// `YYYY`, `YYYY/MM/DD`, `MM/DD/YYYY`, `DD Mon YYYY`, `Mon DD, YYYY`, RFC 2822. What is missing is the first of
/// January and midnight.
#[must_use]
pub fn lenient(text: &str) -> Option<Written> {
    #[expect(clippy::expect_used, reason = "the expression is a literal")]
    static TIME: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?ix)(?:^|[\sT,])\s*(?:at\s+)?(?<hour>\d{1,2}):(?<minute>\d{2})(?::(?<second>\d{2})(?:[.,](?<fraction>\d{1,9}))?)?
              \s*(?<half>[ap]\.?m\.?)?
              \s*(?<zone>Z|UTC|GMT|UT|[ECMP][SD]T|(?:UTC|GMT)?[+-]\d{1,2}(?::?\d{2})?|\d{2}:\d{2})?
              \s*(?:\([^()]*\))?\s*(?<year>\d{4})?\s*$",
        )
        .expect("a valid expression")
    });
    // The compact form has no separators to find a time by.
    #[expect(clippy::expect_used, reason = "the expression is a literal")]
    static COMPACT: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^(?<year>\d{4})(?<month>\d{2})(?<day>\d{2})(?:[T ]?(?<hour>\d{2})(?<minute>\d{2})(?<second>\d{2})?(?<zone>Z|[+-]\d{2}:?\d{2})?)?$")
            .expect("a valid expression")
    });
    let text = text.trim();
    if text.len() > 100 || !text.is_ascii() {
        return None;
    }
    if let Some(found) = COMPACT.captures(text) {
        let day = days(
            number(&found, "year")?,
            number(&found, "month")?,
            number(&found, "day")?,
        )?;
        return moment(day, time_of_day(&found)?, zone(&found)?);
    }
    let Some(found) = TIME.captures(text) else {
        return moment(date(text)?, 0, None);
    };
    let before = &text[..found.get(0)?.start()];
    let day = match found.name("year") {
        // `date(1)` and C write the year last.
        Some(year) => date(&format!("{before} {}", year.as_str()))?,
        None => date(before)?,
    };
    let half = found
        .name("half")
        .map(|half| half.as_str().to_ascii_lowercase());
    let mut time = time_of_day(&found)?;
    let hour = number(&found, "hour")?;
    match half.as_deref() {
        Some(half) if !(1..=12).contains(&hour) && !half.is_empty() => return None,
        Some(half) if half.starts_with('p') && hour != 12 => time += DAY / 2,
        Some(half) if half.starts_with('a') && hour == 12 => time -= DAY / 2,
        _ => {}
    }
    moment(day, time, zone(&found)?)
}

/// The present time, in UTC.
#[must_use]
pub fn now() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        })
}

/// Microseconds that have passed since a moment that [`now`] gave, at most 999.
#[must_use]
pub fn micros_after(moment: i64) -> u16 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    let passed = i64::try_from(since.as_micros())
        .unwrap_or(i64::MAX)
        .saturating_sub(moment.saturating_mul(1000));
    u16::try_from(passed.clamp(0, 999)).unwrap_or_default()
}

/// Rule J4: how answers show a date: `YYYY-MM-DD HH:MM:SS.ffffff`.
#[must_use]
pub fn text(milliseconds: i64) -> String {
    let (year, month, day) = civil(milliseconds.div_euclid(DAY));
    let time = milliseconds.rem_euclid(DAY);
    let mut text = String::with_capacity(26);
    if !(0..10_000).contains(&year) {
        return format!(
            "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}.{:03}000",
            time / 3_600_000,
            time / 60_000 % 60,
            time / 1000 % 60,
            time % 1000
        );
    }
    // Answers are full of dates, and the machinery of `format!` is ten times slower than this.
    let mut digits = |number: i64, width: u32, after: &str| {
        for place in (0..width).rev() {
            let digit = number / 10_i64.pow(place) % 10;
            text.push(char::from(b'0' + u8::try_from(digit).unwrap_or_default()));
        }
        text.push_str(after);
    };
    digits(year, 4, "-");
    digits(month, 2, "-");
    digits(day, 2, " ");
    digits(time / 3_600_000, 2, ":");
    digits(time / 60_000 % 60, 2, ":");
    digits(time / 1000 % 60, 2, ".");
    digits(time % 1000, 3, "000");
    text
}

/// A date without time, in days since 1970.
fn date(text: &str) -> Option<i64> {
    #[expect(clippy::expect_used, reason = "the expressions are literals")]
    static FORMS: LazyLock<[Regex; 4]> = LazyLock::new(|| {
        [
            r"^(?<year>\d{4})(?:[-/.](?<month>\d{1,2})(?:[-/.](?<day>\d{1,2}))?)?$",
            r"^(?<first>\d{1,2})[-/.](?<second>\d{1,2})[-/.](?<year>\d{4})$",
            r"^(?:(?<day>\d{1,2})(?:st|nd|rd|th)?(?: of)?[-/ ]+)?(?<name>[a-z]{3,9})\.?[-/ ]+(?<year>\d{4})$",
            r"^(?<name>[a-z]{3,9})\.?[-/ ]+(?<day>\d{1,2})(?:st|nd|rd|th)?[-/ ]+(?<year>\d{4})$",
        ]
        .map(|form| Regex::new(form).expect("a valid expression"))
    });
    let mut text = text.to_ascii_lowercase().replace(',', " ");
    text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((weekday, rest)) = text.split_once(' ')
        && is_weekday(weekday.trim_end_matches('.'))
    {
        text = rest.to_owned();
    }
    let [iso, american, day_first, month_first] = &*FORMS;
    if let Some(found) = iso.captures(&text) {
        return days(
            number(&found, "year")?,
            number(&found, "month").unwrap_or(1),
            number(&found, "day").unwrap_or(1),
        );
    }
    if let Some(found) = american.captures(&text) {
        let (first, second) = (number(&found, "first")?, number(&found, "second")?);
        // Month first, unless that can't be.
        let (month, day) = if first > 12 {
            (second, first)
        } else {
            (first, second)
        };
        return days(number(&found, "year")?, month, day);
    }
    let found = day_first
        .captures(&text)
        .or_else(|| month_first.captures(&text))?;
    days(
        number(&found, "year")?,
        month(&found["name"])?,
        number(&found, "day").unwrap_or(1),
    )
}

fn is_weekday(word: &str) -> bool {
    const NAMES: [&str; 7] = [
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
    ];
    word.len() >= 3 && NAMES.iter().any(|name| name.starts_with(word))
}

fn month(word: &str) -> Option<i64> {
    const NAMES: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    if word == "sept" {
        return Some(9);
    }
    NAMES
        .iter()
        .position(|name| *name == word || name[..3] == *word)
        .map(|position| position as i64 + 1)
}

fn number(found: &Captures<'_>, name: &str) -> Option<i64> {
    found.name(name)?.as_str().parse().ok()
}

/// Milliseconds since midnight; what is missing is 0.
fn time_of_day(found: &Captures<'_>) -> Option<i64> {
    let part = |name| number(found, name).unwrap_or(0);
    let (hour, minute, second) = (part("hour"), part("minute"), part("second"));
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let fraction = found
        .name("fraction")
        .map_or("", |fraction| fraction.as_str());
    let milliseconds: i64 = format!("{fraction:0<3}")[..3].parse().ok()?;
    Some(((hour * 60 + minute) * 60 + second) * 1000 + milliseconds)
}

/// Milliseconds that the zone is ahead of UTC, if there is one.
fn zone(found: &Captures<'_>) -> Option<Option<i64>> {
    match found.name("zone") {
        None => Some(None),
        Some(zone) => ahead(zone.as_str()).map(Some),
    }
}

fn ahead(text: &str) -> Option<i64> {
    const HOUR: i64 = 3_600_000;
    let text = text.to_ascii_uppercase();
    let offset = match text.as_str() {
        "Z" | "UTC" | "GMT" | "UT" => return Some(0),
        "EDT" => return Some(-4 * HOUR),
        "EST" | "CDT" => return Some(-5 * HOUR),
        "CST" | "MDT" => return Some(-6 * HOUR),
        "MST" | "PDT" => return Some(-7 * HOUR),
        "PST" => return Some(-8 * HOUR),
        other => other.trim_start_matches("UTC").trim_start_matches("GMT"),
    };
    // A blank before a zone is a plus that was lost in a query string.
    let (sign, digits) = match offset.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, offset.trim_start_matches('+')),
    };
    let digits = digits.replace(':', "");
    let (hours, minutes) = match digits.len() {
        1 | 2 => (digits.parse::<i64>().ok()?, 0),
        3 | 4 => {
            let (hours, minutes) = digits.split_at(digits.len() - 2);
            (hours.parse().ok()?, minutes.parse().ok()?)
        }
        _ => return None,
    };
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * HOUR + minutes * 60_000))
}

/// Rule D7: years 1 to 9999.
fn moment(day: i64, time: i64, ahead: Option<i64>) -> Option<Written> {
    let milliseconds = day * DAY + time - ahead.unwrap_or_default();
    let (year, _, _) = civil(milliseconds.div_euclid(DAY));
    (1..=9999).contains(&year).then_some(match ahead {
        Some(_) => Written::Moment(milliseconds),
        None => Written::Local(milliseconds),
    })
}

/// Days since 1970 of a date of the Gregorian calendar. None: no such date, or a year outside 1 to 9999.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if !(1..=9999).contains(&year) || !(1..=length).contains(&day) {
        return None;
    }
    // Years that begin in March have the leap day at their end.
    let from_march = if month > 2 { month - 3 } else { month + 9 };
    let year = if month > 2 { year } else { year - 1 };
    Some(
        365 * year + year.div_euclid(4) - year.div_euclid(100)
            + year.div_euclid(400)
            + (153 * from_march + 2) / 5
            + day
            - 1
            - 719_468,
    )
}

/// The date of a day since 1970.
fn civil(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let of_era = day.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, of_year - (153 * from_march + 2) / 5 + 1)
}
