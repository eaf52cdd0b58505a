//! What a second POST does to what is known of an indicator (create.md 5.11).

use critd_sdk::{Date, merge};

const UNKNOWN: &str = "Unknown";
/// The rating of what nobody has rated.
pub(crate) const UNRATED: &str = "unknown";
/// From the least to the most: vocabulary.md section 4.
const RATINGS: [&str; 5] = [UNRATED, "benign", "low", "medium", "high"];

/// Threat or attack types with those posted added: each once, `Unknown` only if there is no other.
pub(crate) fn distinct_kinds(stored: &[String], posted: &[String]) -> Vec<String> {
    let mut kinds = merge::distinct(stored.iter().chain(posted));
    kinds.retain(|kind| kind != UNKNOWN);
    if kinds.is_empty() {
        kinds.push(UNKNOWN.to_owned());
    }
    kinds
}

/// The posted rating if it is higher than the stored one. One that is stored but unknown to us ranks lowest.
pub(crate) fn raised<'a>(stored: Option<&str>, posted: Option<&'a str>) -> Option<&'a str> {
    let rank = |rating: &str| {
        RATINGS
            .iter()
            .position(|known| *known == rating)
            .unwrap_or_default()
    };
    posted.filter(|posted| rank(posted) > stored.map_or(0, rank))
}

/// The description of an indicator that was posted again: what is new, then when and in which spelling it was seen.
pub(crate) fn seen_again(stored: &str, posted: Option<&str>, now: Date, value: &str) -> String {
    let mut text = posted
        .and_then(|posted| merge::description(stored, posted))
        .unwrap_or_else(|| stored.to_owned());
    text.push_str(&format!("\nSeen on {now} as: {value}"));
    text
}

#[cfg(test)]
mod tests {
    use critd_sdk::Date;

    use super::{distinct_kinds, raised, seen_again};

    fn texts(all: &[&str]) -> Vec<String> {
        all.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn create_5_11_kinds_are_a_set_and_unknown_gives_way() {
        for (stored, posted, now) in [
            (&[][..], &[][..], &["Unknown"][..]),
            (&[], &["Unknown"], &["Unknown"]),
            (&[], &["Unknown", "Phishing"], &["Phishing"]),
            (&["Unknown"], &[], &["Unknown"]),
            (
                &["Unknown"],
                &["Phishing", "Malware"],
                &["Phishing", "Malware"],
            ),
            (&["Phishing"], &["Unknown"], &["Phishing"]),
            (
                &["Phishing"],
                &["Malware", "Phishing"],
                &["Phishing", "Malware"],
            ),
            (&["Phishing", "Phishing"], &[], &["Phishing"]),
        ] {
            assert_eq!(
                distinct_kinds(&texts(stored), &texts(posted)),
                now,
                "{stored:?} + {posted:?}"
            );
        }
    }

    #[test]
    fn create_5_11_ratings_only_rise() {
        for (stored, posted, now) in [
            (None, None, None),
            (None, Some("unknown"), None),
            (None, Some("benign"), Some("benign")),
            (Some("unknown"), Some("low"), Some("low")),
            (Some("low"), Some("low"), None),
            (Some("high"), Some("medium"), None),
            (Some("medium"), Some("high"), Some("high")),
            (Some("odd"), Some("benign"), Some("benign")),
            (Some("low"), None, None),
        ] {
            assert_eq!(raised(stored, posted), now, "{stored:?} + {posted:?}");
        }
    }

    #[test]
    fn create_5_11_what_was_seen_again_is_noted() {
        let now = Date::from_millis(1_768_472_430_123);
        let note = "\nSeen on 2026-01-15 10:20:30.123000 as: X.example";
        for (stored, posted, text) in [
            ("", None, ""),
            ("", Some("new"), "new"),
            ("old", None, "old"),
            ("old", Some("old"), "old"),
            ("old", Some("new"), "old\nnew"),
        ] {
            assert_eq!(
                seen_again(stored, posted, now, "X.example"),
                format!("{text}{note}")
            );
        }
    }
}
