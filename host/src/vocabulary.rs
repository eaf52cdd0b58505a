//! Closed value sets of the specification (`vocabulary.md`), old names, and inverses of relationships.

mod sets;

/// The sixteen categories of `/api/v1/vocab/` in the order it lists them (rule U10), and `TLP` as the last.
const CATEGORIES: &[&str] = &[
    "ThreatTypes",
    "Motivations",
    "Sophistications",
    "IntendedEffects",
    "Confidence",
    "EventTypes",
    "IndicatorTypes",
    "IndicatorThreatTypes",
    "IndicatorAttackTypes",
    "IndicatorCI",
    "IPTypes",
    "KillChain",
    "ObjectTypes",
    "RelationshipTypes",
    "Sectors",
    "Status",
    "TLP",
];

/// Names that older servers and their clients used for what has another name now (decision in the specification's
/// README). Lower case; looked at only when nothing of the set itself fits.
const OLD_NAMES: &[(&[&str], &str, &str)] = &[
    (TYPES, "address - asn", "AS Number"),
    (TYPES, "address - cidr", "IPv4 Subnet"),
    (TYPES, "address - e-mail", "Email Address"),
    (TYPES, "address - email", "Email Address"),
    (TYPES, "address - ipv4-addr", "IPv4 Address"),
    (TYPES, "address - ipv4-net", "IPv4 Subnet"),
    (TYPES, "address - ipv6-addr", "IPv6 Address"),
    (TYPES, "address - ipv6-net", "IPv6 Subnet"),
    (TYPES, "address - mac", "MAC Address"),
    (TYPES, "uri - domain name", "Domain"),
    (TYPES, "uri - url", "URI"),
    (TYPES, "domain name", "Domain"),
    (TYPES, "url", "URI"),
    (TYPES, "hash - md5", "MD5"),
    (TYPES, "hash - sha1", "SHA1"),
    (TYPES, "hash - sha256", "SHA256"),
    (TYPES, "hash - ssdeep", "SSDEEP"),
    (TYPES, "md5 hash", "MD5"),
    (TYPES, "sha-1", "SHA1"),
    (TYPES, "sha-256", "SHA256"),
    (TYPES, "hash - imphash", "IMPHASH"),
    (TYPES, "e-mail address", "Email Address"),
    (TYPES, "email header - from", "Email Address From"),
    (TYPES, "email header - sender", "Email Address Sender"),
    (TYPES, "email header - subject", "Email Subject"),
    (TYPES, "email header - reply-to", "Email Reply-To"),
    (TYPES, "email header - x-mailer", "Email X-Mailer"),
    (TYPES, "email header - message-id", "Email Message ID"),
    (
        TYPES,
        "email header - x-originating-ip",
        "Email X-Originating IP",
    ),
    (
        TYPES,
        "http request header fields - user-agent",
        "User Agent",
    ),
    (TYPES, "user-agent", "User Agent"),
    (TYPES, "win file", "File Name"),
    (TYPES, "file - full path", "File Path"),
    (TYPES, "file - name", "File Name"),
    (TYPES, "file - path", "File Path"),
    (TYPES, "win mutex", "Mutex"),
    (TYPES, "win registry key", "Registry Key"),
    (TYPES, "windows registry key", "Registry Key"),
    (TYPES, "win service", "Service Name"),
    (TYPES, "win process", "Process Name"),
    (TYPES, "pipe name", "Pipe"),
    (IP, "address - ipv4-addr", "IPv4 Address"),
    (IP, "address - ipv4-net", "IPv4 Subnet"),
    (IP, "address - cidr", "IPv4 Subnet"),
    (IP, "address - ipv6-addr", "IPv6 Address"),
    (IP, "address - ipv6-net", "IPv6 Subnet"),
    (IP, "ipv4", "IPv4 Address"),
    (IP, "ipv6", "IPv6 Address"),
];
const TYPES: &[&str] = &["IndicatorTypes", "ObjectTypes"];
const IP: &[&str] = &["IPTypes"];

/// The sixteen categories of `/api/v1/vocab/`, in the order it lists them, and `TLP` as the last.
#[must_use]
pub fn categories() -> &'static [&'static str] {
    CATEGORIES
}

/// The values of a category in the order of code points (TLP: from least to most restrictive). Besides the
/// [`categories`] there is `RelationshipConfidence`. None: unknown category.
#[must_use]
pub fn values(category: &str) -> Option<&'static [&'static str]> {
    Some(match category {
        "ThreatTypes" => sets::THREAT_TYPES,
        "Motivations" => sets::MOTIVATIONS,
        "Sophistications" => sets::SOPHISTICATIONS,
        "IntendedEffects" => sets::INTENDED_EFFECTS,
        "Confidence" => sets::CONFIDENCE,
        "EventTypes" => sets::EVENT_TYPES,
        "IndicatorTypes" => sets::INDICATOR_TYPES,
        "IndicatorThreatTypes" => sets::INDICATOR_THREAT_TYPES,
        "IndicatorAttackTypes" => sets::INDICATOR_ATTACK_TYPES,
        "IndicatorCI" => sets::RATINGS,
        "IPTypes" => sets::IP_TYPES,
        "KillChain" => sets::KILL_CHAIN,
        "ObjectTypes" => sets::OBJECT_TYPES,
        "RelationshipTypes" => sets::RELATIONSHIP_TYPES,
        "RelationshipConfidence" => sets::RELATIONSHIP_CONFIDENCE,
        "Sectors" => sets::SECTORS,
        "Status" => sets::STATUS,
        "TLP" => sets::TLP,
        _ => return None,
    })
}

/// A value that was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recognised {
    /// Its current spelling.
    pub value: &'static str,
    /// It was given under a name of older servers: worth a warning.
    pub by_old_name: bool,
}

/// Looks for a value: trimmed and exact, then in any case, then among the old names. None: not in it, or an unknown
/// category. The category may be given in the singular: `IndicatorType`.
#[must_use]
pub fn recognise(category: &str, text: &str) -> Option<Recognised> {
    let category = CATEGORIES
        .iter()
        .copied()
        .chain(["RelationshipConfidence"])
        .find(|name| *name == category || name.strip_suffix('s') == Some(category))?;
    let values = values(category)?;
    let text = text.trim();
    let current = |value| Recognised {
        value,
        by_old_name: false,
    };
    if let Some(value) = values.iter().find(|value| **value == text) {
        return Some(current(value));
    }
    if let Some(value) = values.iter().find(|value| value.eq_ignore_ascii_case(text)) {
        return Some(current(value));
    }
    let old = |value| Recognised {
        value,
        by_old_name: true,
    };
    if category == "RelationshipTypes" && text.contains('_') {
        let spaced = text.replace('_', " ");
        return values
            .iter()
            .find(|value| value.eq_ignore_ascii_case(&spaced))
            .map(|value| old(value));
    }
    OLD_NAMES
        .iter()
        .find(|(categories, name, _)| {
            categories.contains(&category) && name.eq_ignore_ascii_case(text)
        })
        .map(|(_, _, value)| old(value))
}

/// The current spelling of a value: trimmed, any case, old names. None: not in it, or an unknown category.
#[must_use]
pub fn canonical(category: &str, text: &str) -> Option<&'static str> {
    recognise(category, text).map(|recognised| recognised.value)
}

/// A relationship read from the other side. None: not a relationship.
#[must_use]
pub fn inverse(relationship: &str) -> Option<&'static str> {
    let name = canonical("RelationshipTypes", relationship)?;
    let position = sets::RELATIONSHIP_TYPES
        .iter()
        .position(|value| *value == name)?;
    sets::INVERSES.get(position).copied()
}

/// Rank of a rating in a merge that only raises: `Confidence` 1 to 3, `IndicatorCI` 0 to 4, `TLP` by restriction.
/// What is not in the set ranks lowest.
#[must_use]
pub fn rank(category: &str, value: &str) -> u32 {
    let order: &[&str] = match category {
        "Confidence" => &["", "low", "medium", "high"],
        "IndicatorCI" => &["unknown", "benign", "low", "medium", "high"],
        "TLP" => sets::TLP,
        _ => &[],
    };
    order
        .iter()
        .position(|candidate| candidate.eq_ignore_ascii_case(value))
        .map_or(0, |position| position as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vocabulary_0_the_sets_have_the_counts_of_the_index() {
        let counts = [
            ("IndicatorTypes", 112),
            ("IndicatorThreatTypes", 22),
            ("IndicatorAttackTypes", 13),
            ("IndicatorCI", 5),
            ("Confidence", 3),
            ("IPTypes", 4),
            ("EventTypes", 17),
            ("ObjectTypes", 120),
            ("RelationshipTypes", 34),
            ("Status", 4),
            ("Sectors", 16),
            ("TLP", 4),
            ("KillChain", 7),
            ("ThreatTypes", 16),
            ("Motivations", 13),
            ("Sophistications", 5),
            ("IntendedEffects", 22),
        ];
        for (category, count) in counts {
            assert_eq!(values(category).unwrap().len(), count, "{category}");
        }
        assert_eq!(categories().len(), counts.len());
        assert_eq!(values("Nope"), None);
    }

    #[test]
    fn u10_values_come_in_the_order_of_code_points() {
        for category in categories().iter().filter(|category| **category != "TLP") {
            assert!(values(category).unwrap().is_sorted(), "{category}");
        }
    }

    #[test]
    fn vocabulary_matching_is_trimmed_then_exact_then_in_any_case() {
        assert_eq!(canonical("Status", " In Progress "), Some("In Progress"));
        assert_eq!(canonical("Status", "in progress"), Some("In Progress"));
        assert_eq!(canonical("Status", "Bad"), None);
        assert_eq!(
            canonical("IntendedEffects", "degredation of service"),
            Some("Degredation of Service")
        );
    }

    #[test]
    fn old_names_are_recognised_and_told_apart() {
        for (old, new) in [
            ("Address - ipv4-addr", "IPv4 Address"),
            ("URI - URL", "URI"),
            ("uri - url", "URI"),
            ("Hash - MD5", "MD5"),
            ("URI - Domain Name", "Domain"),
        ] {
            assert_eq!(
                recognise("IndicatorTypes", old),
                Some(Recognised {
                    value: new,
                    by_old_name: true
                })
            );
        }
        assert_eq!(
            canonical("RelationshipTypes", "Downloaded_From"),
            Some("Downloaded From")
        );
        assert_eq!(
            canonical("RelationshipTypes", "Sub-domain_Of"),
            Some("Sub-domain Of")
        );
        assert_eq!(canonical("IndicatorType", "uri - url"), Some("URI"));
        assert_eq!(
            recognise("Status", "New"),
            Some(Recognised {
                value: "New",
                by_old_name: false
            })
        );
        for (categories, _, value) in OLD_NAMES {
            for category in *categories {
                assert!(
                    values(category).unwrap().contains(value),
                    "{value} in {category}"
                );
            }
        }
    }

    #[test]
    fn vocabulary_9_every_inverse_leads_back() {
        for name in values("RelationshipTypes").unwrap() {
            assert_eq!(inverse(inverse(name).unwrap()), Some(*name), "{name}");
        }
        assert_eq!(inverse("Supra-domain Of"), Some("Sub-domain Of"));
        assert_eq!(inverse("Resolved To"), Some("Resolved To"));
        assert_eq!(inverse("Received From"), Some("Sent To"));
        assert_eq!(inverse("Foo"), None);
    }

    #[test]
    fn vocabulary_4_and_5_ratings_are_ranked() {
        assert!(rank("Confidence", "high") > rank("Confidence", "medium"));
        assert!(rank("Confidence", "low") > rank("Confidence", "something old"));
        assert!(rank("IndicatorCI", "benign") > rank("IndicatorCI", "unknown"));
    }
}
