//! How the text and lists of an object take up what a second POST says. Pure.

/// A stored description with what was posted: blank: the new text; else appended on a line of its own, unless it is
/// blank or there already (create.md 5.13). None: nothing changes.
///
/// ```
/// # use critd_sdk::merge;
/// assert_eq!(merge::description("seen in May", "seen in June").as_deref(), Some("seen in May\nseen in June"));
/// assert_eq!(merge::description("seen in May", "May"), None);
/// ```
#[must_use]
pub fn description(stored: &str, posted: &str) -> Option<String> {
    let posted = posted.trim();
    if posted.is_empty() || stored.contains(posted) {
        None
    } else if stored.trim().is_empty() {
        Some(posted.to_owned())
    } else {
        Some([stored, "\n", posted].concat())
    }
}

/// Comma-separated names as they are stored: blanks at the ends go, empty ones and repetitions too.
///
/// ```
/// # use critd_sdk::merge;
/// assert_eq!(merge::distinct([" EB", "", "Bear", "EB"]), ["EB", "Bear"]);
/// ```
#[must_use]
pub fn distinct<I>(names: I) -> Vec<String>
where
    I: IntoIterator,
    I::Item: AsRef<str>,
{
    let mut distinct: Vec<String> = Vec::new();
    for name in names {
        let name = name.as_ref().trim();
        if !name.is_empty() && !distinct.iter().any(|known| known == name) {
            distinct.push(name.to_owned());
        }
    }
    distinct
}

#[cfg(test)]
mod tests {
    use super::{description, distinct};

    #[test]
    fn create_5_13_descriptions_are_appended_once() {
        for (stored, posted, now) in [
            ("", "new", Some("new")),
            (" ", " new ", Some("new")),
            ("old", "", None),
            ("old", " \n", None),
            ("old", "old", None),
            ("an old text", "old", None),
            ("old", "new", Some("old\nnew")),
        ] {
            assert_eq!(description(stored, posted).as_deref(), now, "{stored:?} + {posted:?}");
        }
    }

    #[test]
    fn create_2_4_names_are_trimmed_and_distinct() {
        assert_eq!(distinct(["a", " a ", "B", "", "b"]), ["a", "B", "b"]);
    }
}
