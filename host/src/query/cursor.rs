//! `cursor`: where somebody is who reads all that changed, in the order of the changes, and goes on later.
//!
//! A cursor says all it means and is opaque to clients: base64 of a version, a digest of the conditions it belongs to, a
//! point in time, a place in the order of (`modified`, `_id`), and a digest over all of it against damage. It grants
//! nothing: whoever shows one sees what its user may see.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bson::oid::ObjectId;
use sha2::{Digest, Sha256};

use super::{Model, Parameters, Unreadable, is_on, spells_off};
use crate::store::Place;

/// The field whose order a cursor follows.
pub const CHANGED: &str = "modified";

/// How a page of a list is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paging {
    /// With the exact count: the rule.
    Counted,
    /// Without it (`skip_total=1`).
    Uncounted,
    /// From a cursor on (`cursor=…`).
    Changes,
}

/// Where somebody is in a pull of changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// What was read last.
    pub place: Place,
    /// Changes after this (ms since 1970) may have been missed by the pages of this pull; none: no page came so near to
    /// the present.
    pub unsettled: Option<i64>,
}

const VERSION: u8 = 1;
const DIGEST: usize = 16;
const CHECK: usize = 4;
/// Longest key of a place in a cursor, in bytes; dates have nine.
const LONGEST_KEY: usize = 64;

/// What a cursor belongs to: conditions, and of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conditions([u8; DIGEST]);

impl Conditions {
    /// Of a request for this resource.
    #[must_use]
    pub fn of(resource: &str, parameters: &Parameters) -> Self {
        let mut parts: Vec<&(String, String)> = parameters
            .pairs()
            .iter()
            .filter(|(name, _)| name.starts_with("c-"))
            .collect();
        parts.sort();
        let any = parameters
            .last("or")
            .is_some_and(|value| !spells_off(value));
        let regex = is_on(parameters.last("regex"));
        let mut digest = Sha256::new();
        let mut add = |text: &str| {
            digest.update((text.len() as u64).to_be_bytes());
            digest.update(text.as_bytes());
        };
        add(resource);
        for (name, value) in parts {
            add(name);
            add(value);
        }
        add(if any { "or" } else { "and" });
        add(if regex { "regex" } else { "plain" });
        let mut first = [0; DIGEST];
        first.copy_from_slice(&digest.finalize()[..DIGEST]);
        Self(first)
    }
}

impl Cursor {
    /// Before everything.
    #[must_use]
    pub fn start() -> Self {
        Self {
            place: Place::start(),
            unsettled: None,
        }
    }

    /// Reads what [`Cursor::text`] wrote; the empty text is the beginning.
    ///
    /// # Errors
    ///
    /// It is none, or one of other conditions.
    pub fn read(text: &str, conditions: Conditions) -> Result<Self, Unreadable> {
        if text.is_empty() {
            return Ok(Self::start());
        }
        let anew = "Begin anew with an empty one ('cursor=').";
        let (of, cursor) =
            parse(text).ok_or_else(|| Unreadable::new(format!("Invalid cursor. {anew}")))?;
        if of != conditions {
            return Err(Unreadable::new(format!(
                "The cursor belongs to another resource or to other conditions. {anew}"
            )));
        }
        Ok(cursor)
    }

    /// The text that clients show again.
    #[must_use]
    pub fn text(&self, conditions: Conditions) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&conditions.0);
        bytes.extend_from_slice(&self.unsettled.unwrap_or(i64::MIN).to_be_bytes());
        bytes.extend_from_slice(&self.place.id().bytes());
        let key = self.place.key();
        bytes.extend_from_slice(&key[..key.len().min(LONGEST_KEY)]);
        let check = Sha256::digest(&bytes);
        bytes.extend_from_slice(&check[..CHECK]);
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

fn parse(text: &str) -> Option<(Conditions, Cursor)> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (bytes, check) = bytes.split_at_checked(bytes.len().checked_sub(CHECK)?)?;
    if Sha256::digest(bytes)[..CHECK] != *check {
        return None;
    }
    let (version, bytes) = bytes.split_first()?;
    let (digest, bytes) = bytes.split_first_chunk::<DIGEST>()?;
    let (time, bytes) = bytes.split_first_chunk::<8>()?;
    let (id, key) = bytes.split_first_chunk::<12>()?;
    if *version != VERSION || key.len() > LONGEST_KEY {
        return None;
    }
    let time = i64::from_be_bytes(*time);
    let cursor = Cursor {
        place: Place::new(key.to_vec(), ObjectId::from_bytes(*id)),
        unsettled: (time != i64::MIN).then_some(time),
    };
    Some((Conditions(*digest), cursor))
}

/// How the page is asked for.
pub(super) fn paging(model: &Model, parameters: &Parameters) -> Result<Paging, Unreadable> {
    if parameters.last("cursor").is_none() {
        return Ok(if is_on(parameters.last("skip_total")) {
            Paging::Uncounted
        } else {
            Paging::Counted
        });
    }
    for name in ["order_by", "sort_by", "sort"] {
        if parameters.last(name).is_some_and(|value| !value.is_empty()) {
            return Err(Unreadable::new(format!(
                "A cursor follows the order of changes: leave '{name}' out."
            )));
        }
    }
    if parameters
        .last("offset")
        .is_some_and(|value| value.trim() != "0")
    {
        return Err(Unreadable::new(
            "A cursor says where to go on: leave 'offset' out.",
        ));
    }
    if model.stored_field(CHANGED).is_none() {
        return Err(Unreadable::new(
            "The objects of this resource have no date of change, so a cursor can't follow them.",
        ));
    }
    Ok(Paging::Changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(query: &str) -> Conditions {
        Conditions::of("events", &Parameters::parse(query.as_bytes()).unwrap())
    }

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let of = conditions("c-title=x");
        for unsettled in [None, Some(0), Some(-5), Some(1_768_472_431_456)] {
            for place in [Place::start(), Place::after_date(1_768_472_431_456)] {
                let cursor = Cursor { place, unsettled };
                let text = cursor.text(of);
                assert!(
                    text.len() < 100
                        && text
                            .bytes()
                            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
                );
                assert_eq!(Cursor::read(&text, of), Ok(cursor));
            }
        }
        assert_eq!(Cursor::read("", of), Ok(Cursor::start()));
    }

    #[test]
    fn a_cursor_belongs_to_its_conditions() {
        let same = [
            (
                "c-a=1&c-b=2&limit=5&only=id",
                "c-b=2&c-a=1&cursor=x&username=u",
            ),
            ("or=1&c-a=1", "c-a=1&or="),
            ("regex=0", ""),
        ];
        for (one, other) in same {
            assert_eq!(conditions(one), conditions(other), "{one} {other}");
        }
        let different = ["c-a=1", "c-a=2", "c-a=1&or=1", "c-a=1&regex=1", "", "c-a1="];
        for (number, one) in different.iter().enumerate() {
            for other in &different[number + 1..] {
                assert_ne!(conditions(one), conditions(other), "{one} {other}");
            }
        }
        let text = Cursor::start().text(conditions("c-a=1"));
        assert_eq!(
            Cursor::read(&text, conditions("c-a=2"))
                .unwrap_err()
                .message,
            "The cursor belongs to another resource or to other conditions. Begin anew with an empty one ('cursor=')."
        );
        let elsewhere = Conditions::of("ips", &Parameters::parse(b"c-a=1").unwrap());
        assert!(Cursor::read(&text, elsewhere).is_err());
    }

    #[test]
    fn a_damaged_cursor_is_refused() {
        let of = conditions("");
        let text = Cursor::start().text(of);
        for bad in [
            "x",
            "!",
            &text[1..],
            &format!("{text}A"),
            "AAAA",
            &text.to_lowercase(),
        ] {
            assert_eq!(
                Cursor::read(bad, of).unwrap_err().message,
                "Invalid cursor. Begin anew with an empty one ('cursor=').",
                "{bad}"
            );
        }
    }
}
