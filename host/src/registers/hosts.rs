//! Host names and the public suffix list (create 5.7).

use std::collections::HashSet;
use std::net::IpAddr;

use psl::Psl as _;

/// The host name that a text stands for: trimmed, without one dot at the end, lower-case A-labels. None: an address, or a
/// label that is not 1 to 63 letters, digits, hyphens (not at the ends) or underscores, or more than 253 characters.
#[must_use]
pub fn host_name(text: &str) -> Option<String> {
    let text = text.trim();
    let text = text
        .strip_suffix(['.', '\u{3002}', '\u{ff0e}', '\u{ff61}'])
        .unwrap_or(text);
    // What is ASCII already is taken as it is: A-labels that today's tables would refuse do occur.
    let name = if text.is_ascii() {
        text.to_ascii_lowercase()
    } else {
        idna::domain_to_ascii(text).ok()?
    };
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_'
            })
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // A last label of digits makes it an IPv4 address, or a mistaken one: no top-level domain is a number.
    let is_address = name.parse::<IpAddr>().is_ok()
        || name
            .rsplit('.')
            .next()
            .is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    (name.len() <= 253 && !is_address && name.split('.').all(is_label)).then_some(name)
}

/// A public suffix list.
#[derive(Debug, Default)]
pub enum SuffixList {
    /// The one that is compiled in.
    #[default]
    BuiltIn,
    /// The one that the operator loaded.
    Loaded(SuffixRules),
}

/// The rules of a list file, as lower-case A-labels.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct SuffixRules {
    plain: HashSet<String>,
    /// `*.ck` is here as `ck`.
    wildcards: HashSet<String>,
    exceptions: HashSet<String>,
}

impl SuffixRules {
    /// Reads a file in the format of publicsuffix.org: a rule a line up to the first blank, `//` begins a comment.
    /// ICANN and private rules count alike.
    ///
    /// # Errors
    ///
    /// A sentence with the number of the first line that is no rule; or there is no rule at all.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut rules = Self::default();
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let Some(rule) = line
                .split_whitespace()
                .next()
                .filter(|rule| !rule.starts_with("//"))
            else {
                continue;
            };
            let (set, name) = match (rule.strip_prefix('!'), rule.strip_prefix("*.")) {
                (Some(name), _) if name.contains('.') => (&mut rules.exceptions, name),
                (None, Some(name)) => (&mut rules.wildcards, name),
                _ => (&mut rules.plain, rule),
            };
            let Some(name) = host_name(name) else {
                return Err(format!(
                    "line {}: `{}` is not a rule",
                    index + 1,
                    rule.chars().take(60).collect::<String>()
                ));
            };
            set.insert(name);
        }
        if rules.is_empty() {
            return Err("there is no rule in it".to_owned());
        }
        Ok(rules)
    }

    /// Number of rules.
    #[must_use]
    pub fn len(&self) -> usize {
        self.plain.len() + self.wildcards.len() + self.exceptions.len()
    }

    /// Are there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The registrable domain within a host name: an exception prevails, else the longest rule.
    fn registrable<'a>(&self, host: &'a str) -> Option<&'a str> {
        let mut longest = None;
        // From the whole name to its last label; `shorter` is the name without its first label.
        let mut at = 0;
        loop {
            let name = &host[at..];
            let shorter = name.split_once('.').map(|(_, rest)| rest);
            if self.exceptions.contains(name) {
                // The exception itself is registrable, its public suffix is one label shorter.
                return Some(name);
            }
            let is_suffix = self.plain.contains(name)
                || shorter.is_some_and(|rest| self.wildcards.contains(rest));
            if is_suffix && longest.is_none() {
                longest = Some(at);
            }
            match shorter {
                Some(rest) => at = host.len() - rest.len(),
                None => break,
            }
        }
        // One label more than the suffix; none if the host is a bare suffix.
        let suffix_at = longest?;
        let before = host[..suffix_at].strip_suffix('.')?;
        Some(&host[before.rfind('.').map_or(0, |dot| dot + 1)..])
    }
}

impl SuffixList {
    /// The registrable domain of a host, as lower-case A-labels. None: not a host name, unknown suffix, a bare suffix.
    #[must_use]
    pub fn registrable_domain(&self, host: &str) -> Option<String> {
        let host = host_name(host)?;
        match self {
            SuffixList::BuiltIn => {
                let domain = psl::List.domain(host.as_bytes())?;
                if !domain.suffix().is_known() {
                    return None;
                }
                std::str::from_utf8(domain.as_bytes())
                    .ok()
                    .map(str::to_owned)
            }
            SuffixList::Loaded(rules) => rules.registrable(&host).map(str::to_owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names() {
        for (text, name) in [
            ("Example.COM", Some("example.com")),
            ("  example.com. ", Some("example.com")),
            ("example.com..", None),
            (".example.com", None),
            ("localhost", Some("localhost")),
            ("_dmarc.example.com", Some("_dmarc.example.com")),
            ("a-b.example.com", Some("a-b.example.com")),
            ("-a.example.com", None),
            ("a-.example.com", None),
            ("пример.рус", Some("xn--e1afmkfd.xn--p1acf")),
            ("ПРИМЕР.рус。", Some("xn--e1afmkfd.xn--p1acf")),
            ("XN--E1AFMKFD.xn--p1acf", Some("xn--e1afmkfd.xn--p1acf")),
            ("bücher.example", Some("xn--bcher-kva.example")),
            ("ex ample.com", None),
            ("example.com/path", None),
            ("http://example.com", None),
            ("user@example.com", None),
            ("example.com:80", None),
            ("a\\b.com", None),
            ("a#b.com", None),
            ("a?b.com", None),
            ("a%20b.com", None),
            ("\"example.com\"", None),
            ("[example.com]", None),
            ("example.com\0", None),
            ("192.0.2.1", None),
            ("192.0.2.1.", None),
            ("192.0.2.999", None),
            ("2001:db8::1", None),
            ("::ffff:192.0.2.1", None),
            ("", None),
            (".", None),
        ] {
            assert_eq!(host_name(text).as_deref(), name, "{text:?}");
        }
    }

    #[test]
    fn host_names_have_limits() {
        let label = "a".repeat(63);
        assert!(host_name(&format!("{label}.com")).is_some());
        assert!(host_name(&format!("{label}a.com")).is_none());
        // 3 × 64 + 61 = 253
        let longest = format!("{label}.{label}.{label}.{}", "b".repeat(61));
        assert_eq!(longest.len(), 253);
        assert!(host_name(&longest).is_some());
        assert!(host_name(&format!("{longest}.")).is_some());
        assert!(host_name(&format!("{longest}b")).is_none());
    }

    const FILE: &str = "// A comment\n===\n";

    fn loaded() -> SuffixList {
        let text = "\u{feff}// ===BEGIN ICANN DOMAINS===\ncom\nuk\nco.uk\n*.ck\n!www.ck\nрус  trailing words\n// ===BEGIN PRIVATE DOMAINS===\n\nblogspot.com\na.deep.wild\n*.wild\n";
        SuffixList::Loaded(SuffixRules::parse(text).expect("rules"))
    }

    const BOTH: &[(&str, Option<&str>)] = &[
        ("example.com", Some("example.com")),
        ("a.b.example.com", Some("example.com")),
        ("A.B.Example.COM.", Some("example.com")),
        ("com", None),
        ("name.uk", Some("name.uk")),
        ("a.name.uk", Some("name.uk")),
        ("co.uk", None),
        ("example.co.uk", Some("example.co.uk")),
        ("x.example.co.uk", Some("example.co.uk")),
        ("xn--e1afmkfd.xn--p1acf", Some("xn--e1afmkfd.xn--p1acf")),
        ("www.пример.рус", Some("xn--e1afmkfd.xn--p1acf")),
        ("ck", None),
        ("example.ck", None),
        ("b.example.ck", Some("b.example.ck")),
        ("a.b.example.ck", Some("b.example.ck")),
        ("www.ck", Some("www.ck")),
        ("x.www.ck", Some("www.ck")),
        ("blogspot.com", None),
        ("me.blogspot.com", Some("me.blogspot.com")),
        ("www.me.blogspot.com", Some("me.blogspot.com")),
        ("example.no-such-tld", None),
        ("no-such-tld", None),
        ("localhost", None),
        ("192.0.2.1", None),
        ("2001:db8::1", None),
        ("exa mple.com", None),
        ("", None),
    ];

    #[test]
    fn create_5_7_registrable_domains_of_the_built_in_list() {
        for (host, domain) in BOTH {
            assert_eq!(
                SuffixList::BuiltIn.registrable_domain(host).as_deref(),
                *domain,
                "{host}"
            );
        }
    }

    #[test]
    fn create_5_7_registrable_domains_of_a_loaded_list() {
        for (host, domain) in BOTH {
            assert_eq!(
                loaded().registrable_domain(host).as_deref(),
                *domain,
                "{host}"
            );
        }
        // A longer rule beside a wildcard does not switch the wildcard off.
        for (host, domain) in [
            ("x.deep.wild", Some("x.deep.wild")),
            ("x.a.deep.wild", Some("x.a.deep.wild")),
            ("deep.wild", None),
            ("a.deep.wild", None),
        ] {
            assert_eq!(
                loaded().registrable_domain(host).as_deref(),
                domain,
                "{host}"
            );
        }
    }

    #[test]
    fn a_file_that_is_no_list_is_refused_with_its_line() {
        assert_eq!(
            SuffixRules::parse(FILE),
            Err("line 2: `===` is not a rule".to_owned())
        );
        assert_eq!(
            SuffixRules::parse("<!DOCTYPE html>\n"),
            Err("line 1: `<!DOCTYPE` is not a rule".to_owned())
        );
        assert_eq!(
            SuffixRules::parse("// nothing\n\n"),
            Err("there is no rule in it".to_owned())
        );
        assert_eq!(
            SuffixRules::parse("com\n!uk\n"),
            Err("line 2: `!uk` is not a rule".to_owned())
        );
    }
}
