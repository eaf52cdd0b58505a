//! What the value of an indicator, or of an object of the same type, must look like, and which domain or address it is
//! about (create.md 5.11).

use crate::net::{self, DomainName, Host, IpType};

/// A value that fits its type.
#[derive(Debug, PartialEq, Eq)]
pub struct Checked {
    /// As it is stored.
    pub value: String,
    /// What it is about.
    pub about: About,
}

/// The machine or net that a value names.
#[derive(Debug, PartialEq, Eq)]
pub enum About {
    /// None, or not known.
    Nothing,
    /// A domain.
    Domain(DomainName),
    /// An address or subnet, normalised.
    Address(IpType, String),
}

/// What ends a domain name that is written in full, in all its scripts.
const DOTS: [char; 4] = ['.', '\u{3002}', '\u{ff0e}', '\u{ff61}'];

/// Checks and normalises a value. Types without a check take any text.
///
/// # Errors
///
/// The text for the client.
pub fn check(kind: &str, value: &str) -> Result<Checked, &'static str> {
    check_with(kind, value, net::domain)
}

/// `domain` checks a domain name.
fn check_with(
    kind: &str,
    value: &str,
    domain: impl Fn(&str) -> Result<DomainName, &'static str>,
) -> Result<Checked, &'static str> {
    let value = value.trim();
    if let Some(kind) = IpType::named(kind) {
        let address = net::normalise_ip(value, kind)?;
        return Ok(Checked {
            value: address.clone(),
            about: About::Address(kind, address),
        });
    }
    let about_host = |host| match host {
        Host::Address(kind, address) => Ok(About::Address(kind, address)),
        Host::Name(name) => domain(name).map(About::Domain),
    };
    let about = match kind {
        "Domain" => About::Domain(domain(value)?),
        "URI" => net::uri_host(value)?.map_or(Ok(About::Nothing), about_host)?,
        "Email Address" | "Email Address From" | "Email Reply-To" | "Email Address Sender" => {
            about_host(net::email_host(value)?)?;
            About::Nothing
        }
        _ => About::Nothing,
    };
    let value = match kind {
        // With and without the dot at its end it is one domain (field case O54).
        "Domain" => value.strip_suffix(DOTS).unwrap_or(value),
        _ => value,
    };
    Ok(Checked {
        value: value.to_owned(),
        about,
    })
}

/// A warning about a digest that can't be one; it is stored all the same.
#[must_use]
pub fn digest_doubt(kind: &str, value: &str) -> Option<String> {
    let digits = match kind {
        "MD5" => 32,
        "SHA1" => 40,
        "SHA256" => 64,
        _ => return None,
    };
    let fits = value.len() == digits && value.bytes().all(|byte| byte.is_ascii_hexdigit());
    (!fits).then(|| {
        format!("The value is stored, but the {kind} digest needs to be {digits} hex characters.")
    })
}

#[cfg(test)]
mod tests {
    use crate::net::{BAD_DOMAIN, DomainName, IpType, NO_TLD};

    use super::{About, Checked, digest_doubt};

    fn domain(text: &str) -> Result<DomainName, &'static str> {
        let host = text.to_lowercase();
        match text {
            _ if text.contains([' ', ':', '/', '@', '\\']) => Err(BAD_DOMAIN),
            _ if host.ends_with("mega.nz") => Ok(DomainName {
                host,
                root: "mega.nz".into(),
            }),
            _ => Err(NO_TLD),
        }
    }

    fn about(kind: &str, value: &str) -> Result<About, &'static str> {
        super::check_with(kind, value, domain).map(|checked| checked.about)
    }

    #[test]
    fn create_5_11_values_are_about_something() {
        let mega = |host: &str| {
            Ok(About::Domain(DomainName {
                host: host.into(),
                root: "mega.nz".into(),
            }))
        };
        let v4 = |text: &str| Ok(About::Address(IpType::V4Address, text.into()));
        assert_eq!(about("URI", "https://mega.nz"), mega("mega.nz"));
        assert_eq!(
            about("URI", "https://A.Mega.nz:8080/x?y"),
            mega("a.mega.nz")
        );
        assert_eq!(about("Domain", "WWW.MEGA.NZ"), mega("www.mega.nz"));
        assert_eq!(about("URI", "http://1.2.3.4/bad.php"), v4("1.2.3.4"));
        assert_eq!(
            about("URI", "http://123.45.67.89:12345/a/b/0/0-AB1/0/"),
            v4("123.45.67.89")
        );
        assert_eq!(about("URI", "/only/a/path.php"), Ok(About::Nothing));
        assert_eq!(about("Email Address", "a@mega.nz"), Ok(About::Nothing));
        assert_eq!(about("Email Reply-To", "a@[192.0.2.1]"), Ok(About::Nothing));
        assert_eq!(
            about("IPv4 Subnet", "10.0.0.0/8"),
            Ok(About::Address(IpType::V4Subnet, "10.0.0.0/8".into()))
        );
        assert_eq!(about("Mutex", "anything at all: @/\\"), Ok(About::Nothing));
    }

    #[test]
    fn create_5_11_texts_of_bad_values() {
        for (kind, value, text) in [
            (
                "URI",
                "http:///x",
                "Failed to parse a domain or IP from the URL",
            ),
            ("URI", "http://localhost/x", NO_TLD),
            ("Domain", "a b", BAD_DOMAIN),
            ("Domain", "1.2.3.4", NO_TLD),
            ("Email Address", "x", "Email address must contain an '@'"),
            (
                "Email Address From",
                "x@",
                "Email address must contain a domain (or IP)",
            ),
            (
                "Email Address Sender",
                "x@[y]",
                "Email address does not contain a valid IP",
            ),
            ("Email Reply-To", "x@y", NO_TLD),
            ("IPv4 Address", "x", "Invalid IPv4 address"),
            ("IPv6 Address", "x", "Invalid IPv6 address"),
            ("IPv4 Subnet", "1.2.3.4", "Invalid CIDR address"),
            ("IPv6 Subnet", "x:/4", "Invalid IPv6 CIDR address"),
        ] {
            assert_eq!(about(kind, value), Err(text), "{kind} {value}");
        }
    }

    #[test]
    fn o54_the_dot_at_the_end_of_a_domain_goes() {
        let stored = |kind: &str, value: &str| {
            super::check_with(kind, value, |_| {
                Ok(DomainName {
                    host: "mega.nz".into(),
                    root: "mega.nz".into(),
                })
            })
            .map(|checked| checked.value)
        };
        for (kind, value, expected) in [
            ("Domain", "Mega.nz.", "Mega.nz"),
            ("Domain", " mega.nz\u{3002} ", "mega.nz"),
            ("Domain", "mega.nz", "mega.nz"),
            ("URI", "http://mega.nz./x.", "http://mega.nz./x."),
            ("Mutex", "mega.nz.", "mega.nz."),
        ] {
            assert_eq!(stored(kind, value).as_deref(), Ok(expected), "{value}");
        }
    }

    #[test]
    fn o27_o28_values_keep_their_case_and_addresses_get_one_spelling() {
        let checked = super::check_with("URI", " https://A.mega.NZ/CaseTest ", domain)
            .map(|checked| checked.value);
        assert_eq!(checked.as_deref(), Ok("https://A.mega.NZ/CaseTest"));
        let address = "2001:db8::1".to_owned();
        let same = Checked {
            value: address.clone(),
            about: About::Address(IpType::V6Address, address),
        };
        assert_eq!(
            super::check_with("IPv6 Address", "2001:0DB8:0:0::0001", domain),
            Ok(same)
        );
    }

    #[test]
    fn create_5_11_odd_digests_are_warned_of() {
        let text = "The value is stored, but the MD5 digest needs to be 32 hex characters.";
        assert_eq!(digest_doubt("MD5", "abc").as_deref(), Some(text));
        assert_eq!(digest_doubt("MD5", &"aB".repeat(16)), None);
        assert!(digest_doubt("SHA256", &"z".repeat(64)).is_some());
        assert_eq!(digest_doubt("SSDEEP", "abc"), None);
    }
}
