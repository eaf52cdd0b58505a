//! Where credentials are read from (core-api 3.1).

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

use crate::query::Parameters;

/// Names of the parameters that carry credentials.
pub(super) const USERNAME: &str = "username";
/// See [`USERNAME`].
pub(super) const API_KEY: &str = "api_key";

/// What was found outside of the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Offered {
    /// Complete: the body is not looked at.
    Pair(Pair),
    /// What the query had; the body may have the rest (rules A2, A4).
    Incomplete {
        /// Not empty.
        username: Option<String>,
        /// Not empty.
        api_key: Option<String>,
    },
    /// A header that can't be right: nothing else counts (rule A1).
    Unusable,
}

/// User name and key as sent. Never logged: no `Display`, and `Debug` hides the key.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) username: String,
    pub(super) api_key: String,
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pair")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// Rules A1 to A3.
pub(super) fn outside_of_body(headers: &HeaderMap, parameters: &Parameters) -> Offered {
    if let Some(remainder) = headers
        .get(AUTHORIZATION)
        .and_then(|value| api_key_scheme(value.as_bytes()))
    {
        let remainder = String::from_utf8_lossy(remainder);
        return match remainder.split_once(':') {
            Some((username, api_key)) if !username.is_empty() && !api_key.is_empty() => {
                Offered::Pair(Pair {
                    username: username.to_owned(),
                    api_key: api_key.to_owned(),
                })
            }
            _ => Offered::Unusable,
        };
    }
    let given = |name| {
        parameters
            .last(name)
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
    };
    complete(given(USERNAME), given(API_KEY))
}

/// Rules A2, A4: what the query lacks is taken from the body.
pub(super) fn complete(username: Option<String>, api_key: Option<String>) -> Offered {
    match (username, api_key) {
        (Some(username), Some(api_key)) => Offered::Pair(Pair { username, api_key }),
        (username, api_key) => Offered::Incomplete { username, api_key },
    }
}

/// What follows the word `ApiKey`, in any case, and a blank.
fn api_key_scheme(value: &[u8]) -> Option<&[u8]> {
    let blank = value.iter().position(|byte| *byte == b' ')?;
    let (scheme, remainder) = value.split_at(blank);
    scheme
        .eq_ignore_ascii_case(b"ApiKey")
        .then(|| &remainder[1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(header: Option<&str>, query: &str) -> Offered {
        let mut headers = HeaderMap::new();
        if let Some(header) = header {
            headers.insert(AUTHORIZATION, header.parse().unwrap());
        }
        outside_of_body(&headers, &Parameters::parse(query.as_bytes()).unwrap())
    }

    fn pair(username: &str, api_key: &str) -> Offered {
        Offered::Pair(Pair {
            username: username.into(),
            api_key: api_key.into(),
        })
    }

    #[test]
    fn a1_a2_header_then_query_last_value_counts() {
        let some = |text: &str| Some(text.to_owned());
        let rows = [
            (
                Some("ApiKey ann:k1"),
                "username=x&api_key=y",
                pair("ann", "k1"),
            ),
            (Some("aPIkEY ann:k:1"), "", pair("ann", "k:1")),
            (
                Some("ApiKey ann"),
                "username=x&api_key=y",
                Offered::Unusable,
            ),
            (Some("ApiKey :k"), "username=x&api_key=y", Offered::Unusable),
            (Some("ApiKey"), "username=x&api_key=y", pair("x", "y")),
            (Some("Basic YTpi"), "username=x&api_key=y", pair("x", "y")),
            (None, "username=x&api_key=y&username=z", pair("z", "y")),
            (
                None,
                "username=x&username=&api_key=y",
                Offered::Incomplete {
                    username: None,
                    api_key: some("y"),
                },
            ),
            (
                None,
                "",
                Offered::Incomplete {
                    username: None,
                    api_key: None,
                },
            ),
        ];
        for (header, query, expected) in rows {
            assert_eq!(offered(header, query), expected, "{header:?} {query}");
        }
    }

    #[test]
    fn a7_keys_do_not_reach_debug_output() {
        assert!(!format!("{:?}", pair("ann", "secret-key")).contains("secret-key"));
    }
}
