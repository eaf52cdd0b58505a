//! What Received fields tell of the way of a message: by which machine it came in, and for whom (create.md 5.8.3).

use crate::header;

/// One Received field.
#[derive(Debug, Default, PartialEq, Eq)]
struct Hop {
    from: String,
    by: String,
    recipient: Option<String>,
    /// Ms since 1970.
    date: Option<i64>,
}

/// What all of them say together.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Way {
    /// How the machine named itself that handed the message over.
    pub(crate) helo: String,
    /// For whom it was handed over.
    pub(crate) recipient: Option<String>,
    /// Public address of the first machine.
    pub(crate) origin: Option<String>,
}

/// Reads the fields in the order in which they stand, the last hop first. `domain`: that of the installation's own mail,
/// "" if it is not known.
pub(crate) fn way(fields: &[String], domain: &str) -> Way {
    let hops: Vec<Hop> = fields.iter().map(|field| Hop::of(field)).collect();
    let public: Vec<&Hop> = hops
        .iter()
        .filter(|hop| public_address(&hop.from).is_some())
        .collect();
    let domain = domain.trim().to_ascii_lowercase();
    let entering = public.iter().filter(|hop| {
        let mentions = |text: &str| text.to_ascii_lowercase().contains(&domain);
        !domain.is_empty()
            && !hop.from.contains(" localhost ")
            && !mentions(&hop.from)
            && mentions(&hop.by)
    });
    let earliest = |hop: &&&Hop| hop.date.unwrap_or(i64::MAX);
    let chosen = entering.min_by_key(earliest).or(public.last());
    let first = public
        .iter()
        .filter(|hop| hop.date.is_some())
        .min_by_key(earliest)
        .or(public.last());
    let helo = chosen.map(|hop| hop.from.clone()).unwrap_or_default();
    Way {
        origin: first
            .and_then(|hop| public_address(&hop.from))
            .or_else(|| public_address(&helo)),
        recipient: chosen.and_then(|hop| hop.recipient.clone()),
        helo,
    }
}

impl Hop {
    fn of(field: &str) -> Self {
        // Bytes of a text in ASCII lower case lie where they did.
        let lower = [" ", &field.to_ascii_lowercase()].concat();
        let field = [" ", field].concat();
        let clauses = [" from ", " by ", " with ", " id ", " for ", " via ", ";"];
        let clause = |name: &str| {
            let start = lower.find(name)? + name.len();
            let end = clauses
                .iter()
                .filter(|other| **other != name)
                .filter_map(|other| lower[start..].find(other))
                .min()
                .map_or(lower.len(), |length| start + length);
            Some(field[start..end].trim().to_owned())
        };
        Self {
            from: clause(" from ").unwrap_or_default(),
            by: clause(" by ").unwrap_or_default(),
            recipient: clause(" for ")
                .map(|text| {
                    let word = text.split_whitespace().next().unwrap_or_default();
                    word.trim_matches(['<', '>']).to_owned()
                })
                .filter(|address| address.contains('@')),
            date: header::received_date(&field).and_then(|date| header::date(&date)),
        }
    }
}

/// The first address in a text that is not one of a private network or of the machine itself.
pub(crate) fn public_address(text: &str) -> Option<String> {
    header::dotted_quads(text).find(|address| {
        let octets: Vec<u8> = address
            .split('.')
            .filter_map(|octet| octet.parse().ok())
            .collect();
        !matches!(
            octets.as_slice(),
            [127 | 10, ..] | [192, 168, ..] | [172, 16..=31, ..]
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAST: &str = "from relay.example.com (10.0.0.5) by box.example.com with SMTP id 3; Tue, 14 Jan 2020 10:20:33 +0000";
    const ENTERING: &str = "from mail.example.org (mail.example.org [203.0.113.5]) by mx.example.com with ESMTP id 2 for <victim@example.com>; Tue, 14 Jan 2020 10:20:32 +0000";
    const FIRST: &str =
        "from pc (unknown [198.51.100.9]) by mail.example.org; Tue, 14 Jan 2020 10:20:30 +0000";

    fn fields(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn create_5_8_3_the_hop_into_the_installation_counts() {
        let way = way(&fields(&[LAST, ENTERING, FIRST]), "example.com");
        assert_eq!(
            way.helo,
            "mail.example.org (mail.example.org [203.0.113.5])"
        );
        assert_eq!(way.recipient.as_deref(), Some("victim@example.com"));
        assert_eq!(way.origin.as_deref(), Some("198.51.100.9"));
    }

    #[test]
    fn create_5_8_3_else_the_last_with_a_public_address() {
        let all = fields(&[LAST, ENTERING, FIRST]);
        assert_eq!(way(&all, "").helo, "pc (unknown [198.51.100.9])");
        assert_eq!(
            way(&all, "elsewhere.example").helo,
            "pc (unknown [198.51.100.9])"
        );
        assert_eq!(way(&fields(&[LAST]), "example.com"), Way::default());
        assert_eq!(way(&[], "example.com"), Way::default());
    }

    #[test]
    fn create_5_8_3_public_addresses() {
        for (text, address) in [
            ("a [203.0.113.5]", Some("203.0.113.5")),
            (
                "127.0.0.1 10.1.2.3 192.168.0.1 172.16.0.1 172.31.9.9 8.8.8.8",
                Some("8.8.8.8"),
            ),
            ("172.32.0.1", Some("172.32.0.1")),
            ("1.2.3 1.2.3.4.5 256.1.1.1 x", None),
        ] {
            assert_eq!(public_address(text).as_deref(), address, "{text}");
        }
    }
}
