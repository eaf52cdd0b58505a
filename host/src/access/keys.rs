//! API keys (rules K2 to K8): made, kept as a hash, checked.

use std::net::IpAddr;

use bson::{Bson, DateTime, Document};
use ipnet::IpNet;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

const PREFIX: &str = "sha256:";

/// A new key: 40 lower-case hex digits from 160 random bits (rule K3).
///
/// # Errors
///
/// The operating system has no random numbers.
pub fn generate() -> Result<String, getrandom::Error> {
    let mut bits = [0_u8; 20];
    getrandom::fill(&mut bits)?;
    Ok(hex::encode(bits))
}

/// Has the text the form of a key: 40 lower-case hex digits (rule A5)?
#[must_use]
pub fn is_well_formed(key: &str) -> bool {
    key.len() == 40
        && key
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

fn digest(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

/// What the store keeps of a key (rule K8).
#[must_use]
pub fn stored_form(key: &str) -> String {
    format!("{PREFIX}{}", hex::encode(digest(key)))
}

/// A key as the store knows it. The value can't be told from it.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// `name`: names are not unique in a taken-over database (rule K5).
    pub name: String,
    /// `date`: when it was made, ms since 1970.
    pub date: Option<i64>,
    /// `default`: no effect on authentication (rule K7).
    pub default: bool,
    /// From then on it is worthless, ms since 1970.
    pub expires: Option<i64>,
    /// GET and HEAD only.
    pub read_only: bool,
    /// If not empty, requests must come from one of these networks.
    pub networks: Vec<IpNet>,
    hash: [u8; 32],
}

impl Key {
    /// Reads an element of `api_keys`. A value in clear is taken as the original wrote it (documents 6.1 A3). None: the
    /// element can't be used (no value; a restriction that can't be read must not be lost).
    #[must_use]
    pub fn read(element: &Document) -> Option<Self> {
        let value = element
            .get_str("api_key")
            .ok()
            .filter(|value| !value.is_empty())?;
        let hash = match value.strip_prefix(PREFIX) {
            Some(hex) => hex::decode(hex).ok()?.try_into().ok()?,
            None => digest(value),
        };
        let networks = match element.get("networks") {
            None | Some(Bson::Null) => Vec::new(),
            Some(Bson::Array(list)) => list
                .iter()
                .map(|item| parse_network(item.as_str()?).ok())
                .collect::<Option<_>>()?,
            Some(_) => return None,
        };
        let expires = match element.get("expires") {
            None | Some(Bson::Null) => None,
            Some(Bson::DateTime(date)) => Some(date.timestamp_millis()),
            Some(_) => return None,
        };
        Some(Self {
            name: element.get_str("name").unwrap_or_default().to_owned(),
            date: element
                .get_datetime("date")
                .ok()
                .map(|date| date.timestamp_millis()),
            default: element.get_bool("default").unwrap_or(false),
            expires,
            read_only: !matches!(
                element.get("read_only"),
                None | Some(Bson::Null | Bson::Boolean(false))
            ),
            networks,
            hash,
        })
    }

    /// A key that nobody has: compared when there is no such user, so that this takes as long.
    #[must_use]
    pub(crate) fn decoy() -> Self {
        Self {
            name: String::new(),
            date: None,
            default: false,
            expires: None,
            read_only: false,
            networks: Vec::new(),
            hash: [0; 32],
        }
    }

    fn is_usable(&self, now: i64, peer: Option<IpAddr>) -> bool {
        let in_time = self.expires.is_none_or(|end| now < end);
        let from_here = self.networks.is_empty()
            || peer.is_some_and(|peer| {
                self.networks
                    .iter()
                    .any(|net| net.contains(&peer.to_canonical()))
            });
        in_time && from_here
    }
}

/// Restrictions of a new key.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scope {
    /// Ms since 1970.
    pub expires: Option<i64>,
    /// GET and HEAD only.
    pub read_only: bool,
    /// Networks that requests must come from; empty: any.
    pub networks: Vec<IpNet>,
}

/// The element of `api_keys` for a new key. Keys without restrictions have exactly the shape of the original.
#[must_use]
pub(crate) fn element(name: &str, value: &str, now: i64, default: bool, scope: &Scope) -> Document {
    let mut element = bson::doc! {
        "name": name, "api_key": stored_form(value), "date": DateTime::from_millis(now), "default": default,
    };
    if let Some(end) = scope.expires {
        element.insert("expires", DateTime::from_millis(end));
    }
    if scope.read_only {
        element.insert("read_only", true);
    }
    if !scope.networks.is_empty() {
        element.insert(
            "networks",
            scope
                .networks
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>(),
        );
    }
    element
}

/// A network in CIDR notation, or a single address.
///
/// # Errors
///
/// A sentence that quotes the text.
pub fn parse_network(text: &str) -> Result<IpNet, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address.to_canonical()));
    }
    text.parse::<IpNet>()
        .map(|net| net.trunc())
        .map_err(|_| format!("`{text}` is not a network such as 10.0.0.0/8 or 2001:db8::/32"))
}

/// Which of the keys is this one, if any that may be used now and from there? Compares with every key in constant time.
#[must_use]
pub(crate) fn matching<'a>(
    keys: &'a [Key],
    value: &str,
    now: i64,
    peer: Option<IpAddr>,
) -> Option<&'a Key> {
    let hash = digest(value);
    let mut found = None;
    for key in keys {
        let equal: Choice = key.hash.ct_eq(&hash);
        let usable = Choice::from(u8::from(key.is_usable(now, peer)));
        if bool::from(equal & usable) {
            found = Some(key);
        }
    }
    found.filter(|_| !value.is_empty())
}

/// Is this value one of the keys, usable or not?
#[must_use]
pub(crate) fn is_known(keys: &[Key], value: &str) -> bool {
    let hash = digest(value);
    keys.iter().any(|key| bool::from(key.hash.ct_eq(&hash)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(scope: &Scope) -> Key {
        Key::read(&element(
            "k",
            "0123456789abcdef0123456789abcdef01234567",
            0,
            true,
            scope,
        ))
        .expect("readable")
    }

    fn accepted(key: &Key, value: &str, now: i64, peer: Option<&str>) -> bool {
        let peer = peer.map(|peer| peer.parse().expect("address"));
        matching(std::slice::from_ref(key), value, now, peer).is_some()
    }

    const VALUE: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn k3_keys_are_40_lower_case_hex_digits() {
        let (one, other) = (generate().expect("random"), generate().expect("random"));
        assert!(is_well_formed(&one), "{one}");
        assert_ne!(one, other);
        assert!(!is_well_formed(&one.to_uppercase()) || one.bytes().all(|b| b.is_ascii_digit()));
        assert!(!is_well_formed(&one[1..]));
    }

    #[test]
    fn k8_only_a_hash_is_kept() {
        let stored = element("k", VALUE, 0, true, &Scope::default());
        assert!(!format!("{stored:?}").contains(VALUE));
        assert_eq!(
            stored.keys().collect::<Vec<_>>(),
            ["name", "api_key", "date", "default"]
        );
        // The hash itself does not open anything.
        assert!(!accepted(
            &key(&Scope::default()),
            stored.get_str("api_key").expect("text"),
            0,
            None
        ));
    }

    #[test]
    fn a5_the_key_is_compared_exactly() {
        let key = key(&Scope::default());
        assert!(accepted(&key, VALUE, 0, None));
        for wrong in [
            "",
            "0",
            &VALUE.to_uppercase(),
            &format!("{VALUE} "),
            &VALUE[..39],
        ] {
            assert!(!accepted(&key, wrong, 0, None), "{wrong}");
        }
    }

    #[test]
    fn k8_clear_keys_of_a_taken_over_database_work() {
        let clear = Key::read(&bson::doc! {"name": "old", "api_key": VALUE}).expect("readable");
        assert!(accepted(&clear, VALUE, 0, None));
        assert_eq!(Key::read(&bson::doc! {"name": "old", "api_key": ""}), None);
        assert_eq!(
            Key::read(&bson::doc! {"name": "old", "api_key": "sha256:12"}),
            None
        );
    }

    #[test]
    fn expiry_is_the_first_moment_it_is_refused() {
        let key = key(&Scope {
            expires: Some(1_000),
            ..Scope::default()
        });
        assert!(accepted(&key, VALUE, 999, None));
        assert!(!accepted(&key, VALUE, 1_000, None));
    }

    #[test]
    fn networks_refuse_others_and_unknown_peers() {
        let networks = ["10.1.2.3/8", "2001:db8::/32", "192.0.2.7"]
            .map(|text| parse_network(text).expect("network"))
            .to_vec();
        let key = key(&Scope {
            networks,
            ..Scope::default()
        });
        for (peer, good) in [
            (Some("10.255.0.1"), true),
            (Some("::ffff:10.0.0.9"), true),
            (Some("2001:db8::1"), true),
            (Some("192.0.2.7"), true),
            (Some("192.0.2.8"), false),
            (Some("2001:db9::1"), false),
            (None, false),
        ] {
            assert_eq!(accepted(&key, VALUE, 0, peer), good, "{peer:?}");
        }
        assert_eq!(
            parse_network("10.0.0.0/33").unwrap_err(),
            "`10.0.0.0/33` is not a network such as 10.0.0.0/8 or 2001:db8::/32"
        );
    }

    #[test]
    fn a_restriction_that_cannot_be_read_closes_the_key() {
        for (field, value) in [
            ("networks", Bson::from("10.0.0.0/8")),
            ("networks", Bson::from(vec!["x"])),
            ("expires", Bson::from("soon")),
        ] {
            assert_eq!(
                Key::read(&bson::doc! {"name": "k", "api_key": VALUE, field: value}),
                None,
                "{field}"
            );
        }
        assert!(
            Key::read(&bson::doc! {"name": "k", "api_key": VALUE, "read_only": 1})
                .expect("readable")
                .read_only
        );
    }
}
