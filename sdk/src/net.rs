//! Names and addresses of the net as the types that hold them check and store them: domains, IP addresses and subnets,
//! hosts of URIs and of e-mail addresses. Everything but [`domain`] is pure.
//!
//! ```
//! use critd_sdk::net::{self, Host, IpType};
//!
//! assert_eq!(net::normalise_ip("2001:0DB8:0:0::0001", IpType::V6Address).as_deref(), Ok("2001:db8::1"));
//! assert_eq!(net::normalise_ip("10.0.0.300", IpType::V4Address), Err("Invalid IPv4 address"));
//! assert_eq!(net::uri_host("https://user@www.example.com:8443/a?b"), Ok(Some(Host::Name("www.example.com"))));
//! ```

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::registers;

/// Why a domain name is refused: create.md 5.7. The list of characters ends with the blank.
pub const BAD_DOMAIN: &str = r"Domain cannot contain space or characters /:@\ ";
/// The name is an address, a public suffix, or under none: create.md 5.7.
pub const NO_TLD: &str = "No valid TLD found";
/// Not one of the four IP types: create.md 5.13.
pub const BAD_IP_TYPE: &str = "Invalid IP type.";

/// What an IP document is: vocabulary.md section 6. The names are indicator types as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpType {
    /// `IPv4 Address`
    V4Address,
    /// `IPv4 Subnet`
    V4Subnet,
    /// `IPv6 Address`
    V6Address,
    /// `IPv6 Subnet`
    V6Subnet,
}

impl IpType {
    /// By its exact name. None: not an IP type.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [
            Self::V4Address,
            Self::V4Subnet,
            Self::V6Address,
            Self::V6Subnet,
        ]
        .into_iter()
        .find(|kind| kind.name() == name)
    }

    /// Its name in the vocabulary.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::V4Address => "IPv4 Address",
            Self::V4Subnet => "IPv4 Subnet",
            Self::V6Address => "IPv6 Address",
            Self::V6Subnet => "IPv6 Subnet",
        }
    }
}

/// What stands for a machine in a URI or an e-mail address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host<'a> {
    /// An address, normalised.
    Address(IpType, String),
    /// Anything else; [`domain`] says whether it is a name.
    Name(&'a str),
}

/// A domain name as it is stored, and the domain it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainName {
    /// The name in lower case, IDN labels as A-labels, without the last dot.
    pub host: String,
    /// Its registrable domain by the public suffix list; equal to `host` if that is one itself.
    pub root: String,
}

/// Checks and normalises an address or subnet (create.md 5.13). IPv4: leading zeros of an octet go, it is decimal.
/// IPv6: the form of RFC 5952. Subnets: address and prefix alike; bits of the host are kept.
///
/// # Errors
///
/// The text for the client: `Invalid CIDR address`, `Invalid IPv4 address`, `Invalid IPv4 CIDR address`,
/// `Invalid IPv6 address`, `Invalid IPv6 CIDR address`.
pub fn normalise_ip(text: &str, kind: IpType) -> Result<String, &'static str> {
    let text = text.trim();
    match kind {
        IpType::V4Address => Ok(v4(text).ok_or("Invalid IPv4 address")?.to_string()),
        IpType::V6Address => Ok(v6(text).ok_or("Invalid IPv6 address")?.to_string()),
        IpType::V4Subnet => {
            let (address, prefix) = split_prefix(text)?;
            Ok(subnet(
                &v4(address).ok_or("Invalid IPv4 CIDR address")?.to_string(),
                prefix,
            ))
        }
        IpType::V6Subnet => {
            let (address, prefix) = split_prefix(text)?;
            Ok(subnet(
                &v6(address).ok_or("Invalid IPv6 CIDR address")?.to_string(),
                prefix,
            ))
        }
    }
}

/// A single address of either family, normalised. None: something else, a subnet included.
#[must_use]
pub fn address(text: &str) -> Option<(IpType, String)> {
    match v4(text) {
        Some(address) => Some((IpType::V4Address, address.to_string())),
        None => v6(text).map(|address| (IpType::V6Address, address.to_string())),
    }
}

/// The host of a URI (create.md 5.11). None: no `://` before the first dot, so nothing is known of its parts.
///
/// # Errors
///
/// The text for the client: there is no host.
pub fn uri_host(value: &str) -> Result<Option<Host<'_>>, &'static str> {
    let before_dot = value.split('.').next().unwrap_or_default();
    let Some((_, rest)) = value
        .split_once("://")
        .filter(|_| before_dot.contains("://"))
    else {
        return Ok(None);
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let with_port = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    // Without brackets an IPv6 address is no valid authority, but what is meant is plain.
    if let Some((kind, text)) = address(with_port) {
        return Ok(Some(Host::Address(kind, text)));
    }
    let host = match with_port
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some((inner, _)) if v6(inner).is_some() => inner,
        _ => with_port.split(':').next().unwrap_or_default(),
    };
    match host {
        "" => Err("Failed to parse a domain or IP from the URL"),
        host => Ok(Some(
            address(host).map_or(Host::Name(host), |(kind, text)| Host::Address(kind, text)),
        )),
    }
}

/// The host of an e-mail address: what follows the last `@` (create.md 5.11).
///
/// # Errors
///
/// The text for the client: no `@`, nothing after it, brackets around something that is no address.
pub fn email_host(value: &str) -> Result<Host<'_>, &'static str> {
    let (_, host) = value
        .rsplit_once('@')
        .ok_or("Email address must contain an '@'")?;
    if host.trim().is_empty() {
        return Err("Email address must contain a domain (or IP)");
    }
    let Some(inner) = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    else {
        return Ok(Host::Name(host));
    };
    let bare = match inner.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("ipv6:") => &inner[5..],
        _ => inner,
    };
    let (kind, text) = address(bare).ok_or("Email address does not contain a valid IP")?;
    Ok(Host::Address(kind, text))
}

/// Checks a domain name and finds its registrable domain (create.md 5.7): blanks at the ends and one dot at the end go,
/// IDN labels become A-labels, all is lower case.
///
/// # Errors
///
/// The text for the client: [`BAD_DOMAIN`] or [`NO_TLD`].
pub fn domain(text: &str) -> Result<DomainName, &'static str> {
    domain_by(text, registers::host_name, registers::registrable_domain)
}

fn domain_by(
    text: &str,
    host_name: impl FnOnce(&str) -> Option<String>,
    registrable: impl FnOnce(&str) -> Option<String>,
) -> Result<DomainName, &'static str> {
    let text = text.trim();
    if text.contains(|letter: char| letter.is_whitespace() || r"/:@\".contains(letter)) {
        return Err(BAD_DOMAIN);
    }
    // The register of host names refuses addresses too, but they have a text of their own.
    if v4(text.strip_suffix('.').unwrap_or(text)).is_some() {
        return Err(NO_TLD);
    }
    let host = host_name(text).ok_or(BAD_DOMAIN)?;
    let root = registrable(&host).ok_or(NO_TLD)?;
    Ok(DomainName { host, root })
}

/// An IPv4 address; octets of up to three digits, decimal whatever they begin with.
fn v4(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0_u8; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts
            .next()
            .filter(|part| (1..=3).contains(&part.len()) && is_decimal(part))?;
        *octet = part.parse().ok()?;
    }
    parts.next().is_none().then(|| Ipv4Addr::from(octets))
}

/// An IPv6 address; the last 32 bits may be written as an IPv4 address.
fn v6(text: &str) -> Option<Ipv6Addr> {
    let Some((front, tail)) = text.rsplit_once(':').filter(|(_, tail)| tail.contains('.')) else {
        return text.parse().ok();
    };
    [front, ":", &v4(tail)?.to_string()].concat().parse().ok()
}

/// Address and prefix length of a subnet.
fn split_prefix(text: &str) -> Result<(&str, u8), &'static str> {
    let (address, digits) = text
        .split_once('/')
        .filter(|(_, digits)| is_decimal(digits))
        .ok_or("Invalid CIDR address")?;
    let longest = if address.contains(':') { 128 } else { 32 };
    let prefix: Option<u8> = digits.parse().ok();
    Ok((
        address,
        prefix
            .filter(|prefix| *prefix <= longest)
            .ok_or("Invalid CIDR address")?,
    ))
}

fn subnet(address: &str, prefix: u8) -> String {
    [address, "/", &prefix.to_string()].concat()
}

/// Digits and nothing else; `parse` alone takes a sign too.
fn is_decimal(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::IpType::{V4Address, V4Subnet, V6Address, V6Subnet};
    use super::{
        BAD_DOMAIN, DomainName, Host, IpType, NO_TLD, address, domain_by, email_host, normalise_ip,
        uri_host,
    };

    #[test]
    fn create_5_13_addresses_are_normalised() {
        for (kind, sent, stored) in [
            (V4Address, "192.0.2.1", "192.0.2.1"),
            (V4Address, " 010.001.000.255\n", "10.1.0.255"),
            (V6Address, "2001:DB8:0:0::5", "2001:db8::5"),
            (V6Address, "2001:0DB8:0:0::0001", "2001:db8::1"),
            (V6Address, "2001:DB8:0:0:1::1", "2001:db8::1:0:0:1"),
            (V6Address, "2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
            (V6Address, "::FFFF:192.000.2.1", "::ffff:192.0.2.1"),
            (V6Address, "::ffff:c000:201", "::ffff:192.0.2.1"),
            (V6Address, "64:ff9b::192.0.2.33", "64:ff9b::c000:221"),
            (V6Address, "::", "::"),
            (V4Subnet, "198.51.100.0/24", "198.51.100.0/24"),
            (V4Subnet, "10.0.0.1/8", "10.0.0.1/8"),
            (V4Subnet, "010.0.0.1/008", "10.0.0.1/8"),
            (V4Subnet, "0.0.0.0/00", "0.0.0.0/0"),
            (V6Subnet, "2001:DB8:0::/32", "2001:db8::/32"),
            (V6Subnet, "::1/128", "::1/128"),
        ] {
            assert_eq!(normalise_ip(sent, kind).as_deref(), Ok(stored), "{sent}");
        }
    }

    #[test]
    fn create_5_13_texts_of_bad_addresses() {
        for (kind, sent, text) in [
            (V4Address, "", "Invalid IPv4 address"),
            (V4Address, "192.0.2", "Invalid IPv4 address"),
            (V4Address, "192.0.2.256", "Invalid IPv4 address"),
            (V4Address, "192.0.2.1.1", "Invalid IPv4 address"),
            (V4Address, "192.0.2.0001", "Invalid IPv4 address"),
            (V4Address, "192.0.2.+1", "Invalid IPv4 address"),
            (V4Address, "192.0.2.1/24", "Invalid IPv4 address"),
            (V4Address, "::1", "Invalid IPv4 address"),
            (V6Address, "192.0.2.1", "Invalid IPv6 address"),
            (V6Address, "2001:db8", "Invalid IPv6 address"),
            (V6Address, "2001:db8::g", "Invalid IPv6 address"),
            (V6Address, "1::2::3", "Invalid IPv6 address"),
            (V6Address, "fe80::1%eth0", "Invalid IPv6 address"),
            (V6Address, "::1.2.3.400", "Invalid IPv6 address"),
            (V6Address, "[::1]", "Invalid IPv6 address"),
            (V4Subnet, "10.0.0.0", "Invalid CIDR address"),
            (V4Subnet, "10.0.0.0/", "Invalid CIDR address"),
            (V4Subnet, "10.0.0.0/x", "Invalid CIDR address"),
            (V4Subnet, "10.0.0.0/+8", "Invalid CIDR address"),
            (V4Subnet, "10.0.0.0/-1", "Invalid CIDR address"),
            (V4Subnet, "10.0.0.0/33", "Invalid CIDR address"),
            (V4Subnet, "10.0.0.0/8/8", "Invalid CIDR address"),
            (
                V4Subnet,
                "10.0.0.0/99999999999999999999",
                "Invalid CIDR address",
            ),
            (V4Subnet, "10.0.0/8", "Invalid IPv4 CIDR address"),
            (V4Subnet, "2001:db8::/64", "Invalid IPv4 CIDR address"),
            (V6Subnet, "2001:db8::/129", "Invalid CIDR address"),
            (V6Subnet, "10.0.0.0/64", "Invalid CIDR address"),
            (V6Subnet, "10.0.0.0/8", "Invalid IPv6 CIDR address"),
            (V6Subnet, "x:y/8", "Invalid IPv6 CIDR address"),
        ] {
            assert_eq!(normalise_ip(sent, kind), Err(text), "{sent}");
        }
    }

    #[test]
    fn vocabulary_6_ip_types_by_name() {
        for kind in [V4Address, V4Subnet, V6Address, V6Subnet] {
            assert_eq!(IpType::named(kind.name()), Some(kind));
        }
        assert_eq!(IpType::named("IPv5 Address"), None);
        assert_eq!(address("10.0.0.0/8"), None);
    }

    #[test]
    fn create_5_11_hosts_of_uris() {
        let v4 = |text: &str| Some(Host::Address(V4Address, text.into()));
        let v6 = |text: &str| Some(Host::Address(V6Address, text.into()));
        for (value, host) in [
            ("https://mega.nz", Some(Host::Name("mega.nz"))),
            ("HTTP://Host.tld/CaseTest", Some(Host::Name("Host.tld"))),
            (
                "http://u:p@w@www.example.com:8080?q=http://x",
                Some(Host::Name("www.example.com")),
            ),
            (
                "http://www.example.com#f",
                Some(Host::Name("www.example.com")),
            ),
            (
                "http://123.45.67.89:12345/a/b/0/0-AB1/0/",
                v4("123.45.67.89"),
            ),
            ("http://1.2.3.4/bad.php", v4("1.2.3.4")),
            ("http://[2001:DB8::1]:80/", v6("2001:db8::1")),
            ("http://2001:DB8::1/", v6("2001:db8::1")),
            ("http://localhost/", Some(Host::Name("localhost"))),
            ("http://[x]/", Some(Host::Name("[x]"))),
            ("www.example.com/?u=http://x", None),
            ("/path/only", None),
            ("", None),
        ] {
            assert_eq!(uri_host(value), Ok(host), "{value}");
        }
        for value in [
            "http://",
            "http:///a.b",
            "http://:80/",
            "http://user@/x",
            "http://?a.b",
        ] {
            assert_eq!(
                uri_host(value),
                Err("Failed to parse a domain or IP from the URL"),
                "{value}"
            );
        }
    }

    #[test]
    fn create_5_11_hosts_of_email_addresses() {
        assert_eq!(email_host("a@b@example.com"), Ok(Host::Name("example.com")));
        assert_eq!(
            email_host("a@[192.0.2.1]"),
            Ok(Host::Address(V4Address, "192.0.2.1".into()))
        );
        assert_eq!(
            email_host("a@[IPv6:2001:DB8::1]"),
            Ok(Host::Address(V6Address, "2001:db8::1".into()))
        );
        for (value, text) in [
            ("example.com", "Email address must contain an '@'"),
            ("a@", "Email address must contain a domain (or IP)"),
            ("a@  ", "Email address must contain a domain (or IP)"),
            ("a@[x]", "Email address does not contain a valid IP"),
            ("a@[]", "Email address does not contain a valid IP"),
            ("a@[äö12345]", "Email address does not contain a valid IP"),
        ] {
            assert_eq!(email_host(value), Err(text), "{value}");
        }
    }

    #[test]
    fn create_5_7_domains_and_their_texts() {
        let host_name = |text: &str| {
            let text = text.strip_suffix('.').unwrap_or(text).to_lowercase();
            (!text.contains(['#', '['])).then_some(text)
        };
        let registrable = |host: &str| {
            host.ends_with(".example.com")
                .then(|| "example.com".to_owned())
        };
        let check = |text: &str| domain_by(text, host_name, registrable);
        let stored = DomainName {
            host: "www.example.com".into(),
            root: "example.com".into(),
        };
        assert_eq!(check(" WWW.Example.com. "), Ok(stored));
        for text in [
            "a b.com",
            "203.0.113.9:8080",
            "user@host.tld",
            "a/b.com",
            r"a\b.com",
            "::1",
            "a\tb.com",
            "a.com#",
            "a[.]com",
        ] {
            assert_eq!(check(text), Err(BAD_DOMAIN), "{text}");
        }
        for text in ["203.0.113.9", "203.0.113.9.", "localhost", "co.uk"] {
            assert_eq!(check(text), Err(NO_TLD), "{text}");
        }
    }
}
