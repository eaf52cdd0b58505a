//! How an object takes up what a second POST says, or what another object knows.

use serde::Deserialize;

use crate::{Choice, Fault, Json, Params, Tlo, params};

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

/// What an action does with the values that it is sent for a list (actions.md 3.1, 3.6, section 10).
#[derive(Choice, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They become the list.
    Replace,
    /// Those that are not in the list are appended.
    Add,
    /// They are taken out of the list.
    Remove,
}

impl Mode {
    /// The list as it is afterwards. `given`: without repetitions, as the host hands lists over.
    ///
    /// ```
    /// # use critd_sdk::merge::Mode;
    /// let before = ["a".to_owned(), "b".to_owned()];
    /// assert_eq!(Mode::Add.apply(&before, vec!["b".into(), "c".into()]), ["a", "b", "c"]);
    /// ```
    #[must_use]
    pub fn apply(self, before: &[String], given: Vec<String>) -> Vec<String> {
        match self {
            Self::Replace => given,
            Self::Add => {
                let new = given.into_iter().filter(|value| !before.contains(value));
                before.iter().cloned().chain(new).collect()
            }
            Self::Remove => before
                .iter()
                .filter(|value| !given.contains(value))
                .cloned()
                .collect(),
        }
    }
}

/// Attributes `target` to the campaigns of `origin`, each with its confidence, by the rules of create.md 2.3.
///
/// # Errors
///
/// Only if the host does not know one of the documents.
pub fn inherit_campaigns(origin: &Tlo, target: &mut Tlo) -> Result<(), Fault> {
    for campaign in campaign_arguments(origin.list("campaign")?) {
        target.merge_shared(campaign)?;
    }
    Ok(())
}

/// The names of the campaigns that a document is attributed to.
///
/// # Errors
///
/// Only if the host does not know the document.
pub fn campaign_names(tlo: &Tlo) -> Result<Vec<String>, Fault> {
    let campaigns: Vec<Json> = tlo.list("campaign")?;
    Ok(distinct(
        campaigns
            .iter()
            .filter_map(|campaign| campaign["name"].as_str()),
    ))
}

/// The arguments that attribute something to these campaigns. Old databases hold other words for the confidence, which
/// count as the lowest, and entries that are no campaigns.
fn campaign_arguments(campaigns: Vec<Json>) -> impl Iterator<Item = Params> {
    #[derive(Deserialize)]
    struct Campaign {
        name: String,
        #[serde(default)]
        confidence: String,
    }
    let campaigns = campaigns
        .into_iter()
        .filter_map(|campaign| serde_json::from_value::<Campaign>(campaign).ok());
    campaigns
        .filter(|campaign| !campaign.name.trim().is_empty())
        .map(|Campaign { name, confidence }| {
            let confidence = if ["low", "medium", "high"].contains(&confidence.as_str()) {
                confidence
            } else {
                "low".to_owned()
            };
            // A list, so that a name with a comma stays one.
            params! { "campaign" => vec![name], "confidence" => confidence }
        })
}

#[cfg(test)]
mod tests {
    use super::{Mode, campaign_arguments, description, distinct};
    use crate::{Value, json};

    #[test]
    fn create_2_3_campaigns_are_taken_over_with_their_confidence() {
        let stored = vec![
            json!({"name": "Bear, Inc", "confidence": "high", "analyst": "jdoe"}),
            json!({"name": "Fox", "confidence": "Sure"}),
            json!({"name": "Owl"}),
            json!({"name": " ", "confidence": "high"}),
            json!("stray"),
        ];
        let taken: Vec<_> = campaign_arguments(stored)
            .map(
                |params| match (params.get("campaign"), params.text("confidence")) {
                    (Some(Value::Json(names)), Some(confidence)) => format!("{names} {confidence}"),
                    _ => String::new(),
                },
            )
            .collect();
        assert_eq!(
            taken,
            [r#"["Bear, Inc"] high"#, r#"["Fox"] low"#, r#"["Owl"] low"#]
        );
    }

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
            assert_eq!(
                description(stored, posted).as_deref(),
                now,
                "{stored:?} + {posted:?}"
            );
        }
    }

    #[test]
    fn update_actor_aliases_has_three_modes() {
        let list = |text: &str| distinct(text.split_whitespace());
        for (mode, before, given, after) in [
            (Mode::Replace, "a b", "c", "c"),
            (Mode::Replace, "a b", "", ""),
            (Mode::Add, "a b", "b c", "a b c"),
            (Mode::Remove, "a b c", "c a x", "b"),
        ] {
            assert_eq!(mode.apply(&list(before), list(given)), list(after));
        }
    }

    #[test]
    fn create_2_4_names_are_trimmed_and_distinct() {
        assert_eq!(distinct(["a", " a ", "B", "", "b"]), ["a", "B", "b"]);
    }
}
