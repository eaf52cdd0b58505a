//! Documents that are versions of one another: they have one `link_id`, and their `version` counts up (create.md 5.15).
//!
//! The type declares both: `link_id` as an indexed UUID, `version` as an indexed number.

use serde::Deserialize;

use crate::{Call, Date, Fault, Json, ObjectId, Params, Tlo, invalid, json, refused};

/// Most relationships that one POST copies: each opens its partner, and a request has a budget of these.
const MOST_COPIED: u32 = 500;

/// A `link_id` as clients write it: a UUID, with or without hyphens and braces, in any letter case. As it is stored.
///
/// # Errors
///
/// `Invalid link_id.`
///
/// ```
/// # use critd_sdk::versions;
/// let link = versions::link_id("6F1B0C1E00004000800000000000BEEF");
/// assert!(link.is_ok_and(|link| link == "6f1b0c1e-0000-4000-8000-00000000beef"));
/// assert!(versions::link_id("6f1b0c1e").is_err());
/// ```
pub fn link_id(text: &str) -> Result<String, Fault> {
    let text = text.trim();
    let text = text.strip_prefix("urn:uuid:").unwrap_or(text);
    let text = text
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'))
        .unwrap_or(text);
    let hyphens: Vec<usize> = text.match_indices('-').map(|(place, _)| place).collect();
    let digits: String = text.chars().filter(|letter| *letter != '-').collect();
    let well_formed = matches!(hyphens.as_slice(), [] | [8, 13, 18, 23])
        && digits.len() == 32
        && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !well_formed {
        return Err(invalid("link_id", "Invalid link_id."));
    }
    let digits = digits.to_ascii_lowercase();
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &digits[part]);
    Ok(parts.join("-"))
}

/// Gives a document its place among its versions. Without a link a new document is the first of a chain of its own, and a
/// known one stays where it is. With one it becomes the latest of that chain, unless it is in it already; a link that
/// nobody has begins a chain. `copy_relationships`: it gets the relationships of the latest of the others, as far as the
/// user may see whom they lead to.
///
/// Versions that the user may not see are not counted.
///
/// # Errors
///
/// `refused(limit)`: more relationships than one request may copy.
pub fn join(
    call: &Call,
    tlo: &mut Tlo,
    link: Option<&str>,
    copy_relationships: bool,
) -> Result<(), Fault> {
    let current = tlo.text("link_id")?;
    let Some(link) = link else {
        if current.is_empty() {
            tlo.set("link_id", call.random_uuid())?;
            tlo.set("version", 1_i64)?;
        }
        return Ok(());
    };
    let latest = latest(&tlo.type_of()?, link)?;
    if current != link {
        let before = latest.as_ref().map(version).transpose()?;
        tlo.set("link_id", link)?;
        tlo.set("version", before.unwrap_or_default().saturating_add(1))?;
    }
    match latest {
        Some(latest) if copy_relationships && latest != *tlo => copy(&latest, tlo),
        _ => Ok(()),
    }
}

fn version(tlo: &Tlo) -> Result<i64, Fault> {
    Ok(tlo.get("version")?.unwrap_or_default())
}

/// The visible document with the highest version. Opens few of a long chain.
fn latest(type_name: &str, link: &str) -> Result<Option<Tlo>, Fault> {
    let at_least = |version: i64| -> Result<Option<Tlo>, Fault> {
        let condition = json!({ "link_id": link, "version": { "gte": version } });
        Ok(Tlo::select(type_name, &condition, 1)?.pop())
    };
    let Some(mut latest) = at_least(0)? else {
        return Ok(None);
    };
    let (mut highest, mut step) = (version(&latest)?, 1_i64);
    while step > 0 {
        let Some(later) = at_least(highest.saturating_add(step))? else {
            step /= 2;
            continue;
        };
        let version = version(&later)?;
        // Nothing is higher than the highest number there is.
        step = if version > highest {
            (highest, latest) = (version, later);
            step.saturating_mul(2)
        } else {
            0
        };
    }
    Ok(Some(latest))
}

/// An entry of `relationships` (documents.md 2.9).
#[derive(Deserialize)]
struct Entry {
    relationship: String,
    value: ObjectId,
    #[serde(rename = "type")]
    type_name: String,
    relationship_date: Option<Date>,
    rel_confidence: Option<String>,
    rel_reason: Option<String>,
}

impl Entry {
    fn details(&self) -> Params {
        // Old documents hold other words.
        let confidence = self
            .rel_confidence
            .as_deref()
            .filter(|word| ["unknown", "low", "medium", "high"].contains(word));
        Params::new()
            .with("relationship_date", self.relationship_date)
            .with("rel_confidence", confidence)
            .with("rel_reason", self.rel_reason.as_deref())
    }
}

fn copy(from: &Tlo, to: &mut Tlo) -> Result<(), Fault> {
    if from.len("relationships")? > MOST_COPIED {
        return Err(refused(
            "limit",
            format!("More than {MOST_COPIED} relationships can't be copied at once."),
        ));
    }
    for entry in from.list::<Json>("relationships")? {
        let Ok(entry) = serde_json::from_value::<Entry>(entry) else {
            continue;
        };
        let partner = match Tlo::by_id(&entry.type_name, entry.value.as_str()) {
            Ok(partner) => partner,
            Err(Fault::Missing(_)) => continue,
            Err(fault) => return Err(fault),
        };
        if partner == *to {
            continue;
        }
        match to.relate(&entry.relationship, &partner, entry.details()) {
            // A name that is no longer one.
            Ok(_) | Err(Fault::Invalid(_)) => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::link_id;

    #[test]
    fn create_5_15_a_link_is_a_uuid_in_any_spelling() {
        let canonical = "6f1b0c1e-0000-4000-8000-00000000beef";
        for spelling in [
            canonical,
            " 6F1B0C1E-0000-4000-8000-00000000BEEF ",
            "6f1b0c1e00004000800000000000beef",
            "{6f1b0c1e-0000-4000-8000-00000000beef}",
            "urn:uuid:6f1b0c1e-0000-4000-8000-00000000beef",
        ] {
            assert_eq!(
                link_id(spelling).ok().as_deref(),
                Some(canonical),
                "{spelling}"
            );
        }
        for wrong in [
            "",
            "x",
            "6f1b0c1e-0000-4000-8000-00000000bee",
            "6f1b0c1e-0000-4000-8000-00000000beefa",
            "6f1b0c1e-00004000-8000-0000-0000beef",
            "6f1b0c1e-0000-4000-8000-00000000beeg",
            "ééééééééééééééééé",
        ] {
            assert!(link_id(wrong).is_err(), "{wrong}");
        }
    }
}
