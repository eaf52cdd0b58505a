//! The server's settings (core-api section 17): names, kinds, defaults.

use std::net::{IpAddr, Ipv6Addr};

use bson::Bson;

use super::hosts::host_name;
use crate::dates;

/// What values a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Switch,
    /// A whole number within bounds.
    Number {
        /// Least.
        least: i64,
        /// Greatest.
        greatest: i64,
    },
    /// One of these.
    Choice(&'static [&'static str]),
    /// Scheme, host and perhaps port of an HTTPS server, or nothing.
    HttpsServer,
    /// The name of a time zone.
    TimeZone,
    /// The name of a time zone, or nothing.
    TimeZoneIfAny,
    /// Any text.
    Text,
    /// A text that is never shown again.
    Secret,
}

/// A setting that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Name.
    pub name: &'static str,
    /// Values it takes.
    pub kind: Kind,
    /// Value if nothing was set, as text.
    pub default: &'static str,
    /// What it does, for the operator.
    pub description: &'static str,
    /// Plugins may read it.
    pub for_plugins: bool,
    /// What has this name in `config` of a database that was taken over gives the default (documents 6.4).
    pub from_config: Option<&'static str>,
}

const fn setting(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    description: &'static str,
) -> Setting {
    Setting {
        name,
        kind,
        default,
        description,
        for_plugins: false,
        from_config: None,
    }
}

impl Setting {
    const fn for_plugins(self) -> Self {
        Self {
            for_plugins: true,
            ..self
        }
    }

    const fn taken_over(self) -> Self {
        let name = self.name;
        self.taken_over_from(name)
    }

    const fn taken_over_from(self, name: &'static str) -> Self {
        Self {
            from_config: Some(name),
            ..self
        }
    }

    /// Checks a value as written and gives its form in the store.
    ///
    /// # Errors
    ///
    /// A sentence that names the setting and, unless it is a secret, the value.
    pub fn parse(&self, text: &str) -> Result<Bson, String> {
        let wrong = |wanted: &str| Err(format!("`{}` takes {wanted}, not `{text}`", self.name));
        match self.kind {
            Kind::Switch => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "1" => Ok(Bson::Boolean(true)),
                "false" | "no" | "off" | "0" => Ok(Bson::Boolean(false)),
                _ => wrong("true or false"),
            },
            Kind::Number { least, greatest } => match text.parse::<i64>() {
                Ok(number) if (least..=greatest).contains(&number) => Ok(Bson::Int64(number)),
                _ => wrong(&format!("a whole number from {least} to {greatest}")),
            },
            Kind::Choice(values) => match values.iter().find(|value| **value == text) {
                Some(value) => Ok(Bson::from(*value)),
                None => wrong(&format!("one of {}", values.join(", "))),
            },
            Kind::HttpsServer => match text.is_empty() || is_https_server(text) {
                true => Ok(Bson::from(text)),
                false => wrong("an address such as https://crits.example:8443, without a path"),
            },
            Kind::TimeZoneIfAny if text.is_empty() => Ok(Bson::from(text)),
            Kind::TimeZone | Kind::TimeZoneIfAny => match dates::zone_name(text) {
                Some(name) => Ok(Bson::from(name)),
                None => wrong("the name of a time zone such as Europe/Berlin"),
            },
            Kind::Text | Kind::Secret => {
                if text.chars().any(char::is_control) {
                    return Err(format!(
                        "`{}` takes a text without control characters",
                        self.name
                    ));
                }
                Ok(Bson::from(text))
            }
        }
    }
}

fn is_https_server(text: &str) -> bool {
    let Some(server) = text.strip_prefix("https://") else {
        return false;
    };
    let (host, port) = match server.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (server, None),
    };
    let is_host = match host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => host.parse::<IpAddr>().is_ok() || host_name(host).is_some_and(|name| name == host),
    };
    is_host && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// A stored value as text.
pub(crate) fn text(value: &Bson) -> Option<String> {
    match value {
        Bson::String(text) => Some(text.clone()),
        Bson::Boolean(flag) => Some(flag.to_string()),
        Bson::Int32(number) => Some(number.to_string()),
        Bson::Int64(number) => Some(number.to_string()),
        Bson::Double(number) => Some(number.to_string()),
        _ => None,
    }
}

/// All settings, in alphabetic order.
pub const SETTINGS: &[Setting] = &[
    setting(
        "api_limit_per_page",
        Kind::Number {
            least: 1,
            greatest: 100_000,
        },
        "20",
        "documents on a page of a list when the request does not say",
    ),
    setting(
        "api_max_limit",
        Kind::Number {
            least: 1,
            greatest: 100_000,
        },
        "1000",
        "most documents on a page of a list",
    ),
    setting(
        "api_require_download_flag",
        Kind::Switch,
        "true",
        "files need the flag `Type.download`",
    ),
    setting(
        "company_name",
        Kind::Text,
        "My Company",
        "organization of users for whom none is given",
    )
    .taken_over(),
    setting(
        "debug",
        Kind::Switch,
        "false",
        "answers to failed requests say what failed inside the server",
    ),
    setting(
        "display_timezone",
        Kind::TimeZoneIfAny,
        "",
        "time zone of dates in answers, and of dates without a zone in requests, as Europe/Berlin; dates are shown as stored if there is none",
    ),
    setting(
        "enable_api",
        Kind::Switch,
        "false",
        "answer below /api/; takes effect at once",
    )
    .taken_over(),
    setting(
        "enforce_field_read_flags",
        Kind::Switch,
        "false",
        "lists of an object are empty for readers without their flag, as `TYPE.tickets_read` for `tickets`",
    ),
    setting(
        "hide_unreadable_instances",
        Kind::Switch,
        "false",
        "of a visible object, leave out source instances with a TLP that the reader may not see",
    )
    .for_plugins(),
    setting(
        "html_messages",
        Kind::Switch,
        "false",
        "messages of successful POSTs contain HTML links, as of old",
    )
    .for_plugins(),
    setting(
        "https_url",
        Kind::HttpsServer,
        "",
        "clients that come by plain HTTP are sent on to this server, as https://crits.example; the TLS proxy must set X-Forwarded-Proto",
    ),
    setting(
        "inline_file_limit",
        Kind::Number {
            least: 0,
            greatest: 1 << 40,
        },
        "16777216",
        "most bytes of files inside the documents of one page",
    ),
    setting(
        "inline_filedata",
        Kind::Switch,
        "true",
        "documents show the bytes of their file as base64 to those who may download it",
    ),
    setting(
        "inline_filedata_of",
        Kind::Text,
        "samples",
        "resources whose documents do so, separated by commas; others show the file's id",
    ),
    setting(
        "legacy_projection",
        Kind::Switch,
        "false",
        "with `only`, lists that were not asked for are there and empty, as of old",
    ),
    setting(
        "mail_domain",
        Kind::Text,
        "",
        "domain of the installation's own mail: the hop into it tells the HELO of Outlook messages",
    )
    .for_plugins(),
    setting(
        "max_body_bytes",
        Kind::Number {
            least: 1_024,
            greatest: 1 << 40,
        },
        "536870912",
        "longest request body",
    ),
    setting(
        "max_download_bytes",
        Kind::Number {
            least: 0,
            greatest: 1 << 40,
        },
        "1073741824",
        "most bytes of files in one archive",
    ),
    setting(
        "patch_lock_timeout",
        Kind::Number {
            least: 1,
            greatest: 30,
        },
        "10",
        "seconds after which a change that keeps meeting others is answered 503",
    ),
    setting(
        "post_created_status",
        Kind::Choice(&["200", "201"]),
        "200",
        "HTTP status of a POST that made an object",
    ),
    setting(
        "services_at_once",
        Kind::Number {
            least: 1,
            greatest: 32,
        },
        "4",
        "analysis services of plugins that a server runs at once",
    ),
    setting(
        "services_require_lease",
        Kind::Switch,
        "false",
        "reports on a task that a worker has claimed need the worker's `lease_token`",
    )
    .for_plugins(),
    setting(
        "session_timeout",
        Kind::Number {
            least: 1,
            greatest: 8_760,
        },
        "12",
        "hours until a session ends",
    ),
    setting(
        "stored_timezone",
        Kind::TimeZone,
        "UTC",
        "time zone of stored dates; that of the database must be kept, as nothing converts what is stored",
    )
    .taken_over_from("timezone"),
    setting(
        "strict_action_types",
        Kind::Switch,
        "false",
        "`action_add` takes registered action types only",
    )
    .for_plugins(),
    setting(
        "strict_queries",
        Kind::Switch,
        "false",
        "a list query with a warning is refused",
    ),
    setting(
        "triage_max_depth",
        Kind::Number {
            least: 0,
            greatest: 16,
        },
        "2",
        "new objects are analysed that lie so many creates by analysis services behind a client's request",
    ),
    setting(
        "zip7_password",
        Kind::Secret,
        "infected",
        "password of ZIP archives with files; an empty one means `infected`",
    )
    .taken_over(),
];

/// A setting by its name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_defaults_are_valid() {
        assert!(SETTINGS.is_sorted_by(|one, other| one.name < other.name));
        for setting in SETTINGS {
            let value = setting.parse(setting.default).expect(setting.name);
            assert_eq!(
                text(&value).as_deref(),
                Some(setting.default),
                "{}",
                setting.name
            );
        }
    }

    #[test]
    fn l2_spellings_of_true() {
        let switch = named("enable_api").expect("setting");
        for word in ["True", "true", "yes", "1", "on"] {
            assert_eq!(switch.parse(word), Ok(Bson::Boolean(true)), "{word}");
        }
        assert_eq!(
            switch.parse("maybe").unwrap_err(),
            "`enable_api` takes true or false, not `maybe`"
        );
    }

    #[test]
    fn a_bad_value_is_named_with_what_would_do() {
        let say = |name: &str, value: &str| named(name).expect("setting").parse(value).unwrap_err();
        assert_eq!(
            say("api_max_limit", "0"),
            "`api_max_limit` takes a whole number from 1 to 100000, not `0`"
        );
        assert_eq!(
            say("api_max_limit", "1e3"),
            "`api_max_limit` takes a whole number from 1 to 100000, not `1e3`"
        );
        assert_eq!(
            say("post_created_status", "202"),
            "`post_created_status` takes one of 200, 201, not `202`"
        );
        for address in [
            "http://crits.example",
            "https://",
            "https://crits.example/",
            "https://me:geheim@crits.example",
        ] {
            assert_eq!(
                say("https_url", address),
                format!(
                    "`https_url` takes an address such as https://crits.example:8443, without a path, not `{address}`"
                )
            );
        }
        assert!(
            named("https_url")
                .expect("setting")
                .parse("https://[::1]:8443")
                .is_ok()
        );
        for (name, zone) in [
            ("display_timezone", "Europe/Berln"),
            ("stored_timezone", "+02:00"),
            ("stored_timezone", ""),
        ] {
            assert_eq!(
                say(name, zone),
                format!(
                    "`{name}` takes the name of a time zone such as Europe/Berlin, not `{zone}`"
                )
            );
        }
        assert_eq!(
            say("zip7_password", "geheim\n"),
            "`zip7_password` takes a text without control characters"
        );
    }

    #[test]
    fn d1_zones_are_kept_under_their_own_name() {
        let setting = named("display_timezone").expect("setting");
        assert_eq!(setting.parse("europe/berlin"), Ok("Europe/Berlin".into()));
        assert_eq!(setting.parse(""), Ok("".into()));
    }

    #[test]
    fn l1_to_l7_defaults() {
        let default = |name: &str| named(name).expect("setting").default;
        assert_eq!(default("enable_api"), "false");
        assert_eq!(default("debug"), "false");
        assert_eq!(default("max_body_bytes"), (512 * 1024 * 1024).to_string());
        assert_eq!(default("api_limit_per_page"), "20");
        assert_eq!(default("api_max_limit"), "1000");
        assert_eq!(default("zip7_password"), "infected");
        assert_eq!(default("company_name"), "My Company");
        assert_eq!(default("session_timeout"), "12");
    }
}
