//! `limit` and `offset` (core-api 10.2).

use super::{Parameters, Unreadable};

/// The server's limits on pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Documents of a page unless asked otherwise (setting `api_limit_per_page`).
    pub default: u32,
    /// Most documents of a page (setting `api_max_limit`).
    pub most: u32,
}

impl Default for Limits {
    /// Rule G1.
    fn default() -> Self {
        Self {
            default: 20,
            most: 1_000,
        }
    }
}

/// A page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Most documents.
    pub limit: u32,
    /// Documents before it.
    pub offset: u64,
}

/// A whole number in a parameter; beyond what 63 bits hold: the nearest bound.
fn number(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(if text.starts_with('-') {
        i64::MIN
    } else {
        i64::MAX
    }))
}

/// Rules G1 to G4.
pub(super) fn read(parameters: &Parameters, limits: Limits) -> Result<Window, Unreadable> {
    let limit = match parameters.last("limit") {
        None => limits.default.min(limits.most),
        Some(text) => {
            let Some(number) = number(text) else {
                return Err(Unreadable::new(format!(
                    "Invalid limit '{text}' provided. Please provide a positive integer."
                )));
            };
            match u32::try_from(number) {
                Ok(0) => limits.most,
                Ok(limit) => limit.min(limits.most),
                Err(_) if number > 0 => limits.most,
                Err(_) => {
                    return Err(Unreadable::new(format!(
                        "Invalid limit '{text}' provided. Please provide a positive integer >= 0."
                    )));
                }
            }
        }
    };
    let offset = match parameters.last("offset") {
        None => 0,
        Some(text) => {
            let Some(number) = number(text) else {
                return Err(Unreadable::new(format!(
                    "Invalid offset '{text}' provided. Please provide an integer."
                )));
            };
            let Ok(offset) = u64::try_from(number) else {
                return Err(Unreadable::new(format!(
                    "Invalid offset '{text}' provided. Please provide a positive integer >= 0."
                )));
            };
            offset
        }
    };
    Ok(Window { limit, offset })
}

impl Window {
    /// The query string of the page before, if there is one (rules G6 to G8).
    #[must_use]
    pub fn previous(self, parameters: &Parameters) -> Option<String> {
        let offset = self.offset.checked_sub(u64::from(self.limit))?;
        Some(self.at(offset, parameters))
    }

    /// The query string of the page after, if there is one (rules G6 to G8).
    #[must_use]
    pub fn next(self, total: u64, parameters: &Parameters) -> Option<String> {
        let offset = self.offset.checked_add(u64::from(self.limit))?;
        (offset < total).then(|| self.at(offset, parameters))
    }

    /// The query string of the page after, of a list that was not counted: are there `more` documents?
    #[must_use]
    pub fn next_of_uncounted(self, more: bool, parameters: &Parameters) -> Option<String> {
        let offset = self.offset.checked_add(u64::from(self.limit))?;
        more.then(|| self.at(offset, parameters))
    }

    /// The query string of the page after a cursor.
    #[must_use]
    pub fn next_after(self, cursor: &str, parameters: &Parameters) -> String {
        self.with("cursor", cursor, parameters)
    }

    fn at(self, offset: u64, parameters: &Parameters) -> String {
        self.with("offset", &offset.to_string(), parameters)
    }

    fn with(self, name: &str, value: &str, parameters: &Parameters) -> String {
        let others = parameters
            .pairs()
            .iter()
            .filter(|(other, _)| !["limit", "offset", name].contains(&other.as_str()));
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(others)
            .append_pair("limit", &self.limit.to_string())
            .append_pair(name, value)
            .finish()
    }
}
