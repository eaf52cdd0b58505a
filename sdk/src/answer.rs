//! What a handler answers: an [`Answer`] or a [`Fault`].

use serde_json::{Map, Value as Json};

use crate::bindings::critd::plugin::types::Outcome as WireOutcome;
use crate::{Fault, Tlo};

/// Result of every action and create function.
pub type Outcome = Result<Answer, Fault>;

/// What a successful call says.
#[derive(Debug, Default)]
pub struct Answer {
    document: Option<u32>,
    message: String,
    extra: Map<String, Json>,
}

impl Answer {
    /// POST: `message`. PATCH: `detail`.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            document: None,
            message: message.into(),
            extra: Map::new(),
        }
    }

    /// POST: the document whose id and URL are answered.
    #[must_use]
    pub fn document(mut self, tlo: &Tlo) -> Self {
        self.document = Some(tlo.number());
        self
    }

    /// PATCH: what `object` of the answer holds (rule: the action's `object`). Dates are shown as in documents.
    #[must_use]
    pub fn object(self, object: impl Into<Json>) -> Self {
        self.extra("object", object)
    }

    /// A further key of the answer: `ids`, … The host refuses the keys that it fills itself.
    #[must_use]
    pub fn extra(mut self, key: &str, value: impl Into<Json>) -> Self {
        self.extra.insert(key.to_owned(), value.into());
        self
    }

    pub(crate) fn into_wire(self) -> WireOutcome {
        let extra = if self.extra.is_empty() {
            String::new()
        } else {
            Json::Object(self.extra).to_string()
        };
        WireOutcome {
            document: self.document,
            message: self.message,
            extra,
        }
    }
}

impl From<&str> for Answer {
    fn from(message: &str) -> Self {
        Self::new(message)
    }
}

impl From<String> for Answer {
    fn from(message: String) -> Self {
        Self::new(message)
    }
}

/// An argument has a value that is not possible: error code `invalid_value`. The argument may be a path: `ticket.date`.
#[must_use]
pub fn invalid(argument: &str, message: impl Into<String>) -> Fault {
    Fault::Invalid((argument.to_owned(), message.into()))
}

/// Something named by the arguments does not exist or may not be seen: error code `not_found`.
#[must_use]
pub fn missing(message: impl Into<String>) -> Fault {
    Fault::Missing(message.into())
}

/// A rule forbids it. Codes: `forbidden`, `already_exists`, `conflict`, `unavailable`, `limit`, `unsupported_for_type`.
#[must_use]
pub fn refused(code: &str, message: impl Into<String>) -> Fault {
    Fault::Refused((code.to_owned(), message.into()))
}

/// A bug or an unusable environment: logged in full, the client reads `Internal error.`
#[must_use]
pub fn internal(message: impl Into<String>) -> Fault {
    Fault::Internal(message.into())
}

/// Ends the handler: a rule forbids what was asked for. With one text the code is `forbidden`; another code comes first.
///
/// ```
/// # use critd_sdk::prelude::*;
/// fn check(number: &str, taken: bool) -> Result<(), Fault> {
///     if number.is_empty() {
///         refuse!("Tickets need a number.");
///     }
///     if taken {
///         refuse!(already_exists: "Ticket {number} already exists.");
///     }
///     Ok(())
/// }
/// # assert!(matches!(check("7", true), Err(Fault::Refused((code, text)))
/// #     if code == "already_exists" && text == "Ticket 7 already exists."));
/// ```
#[macro_export]
macro_rules! refuse {
    ($code:ident : $($text:tt)+) => {
        return ::core::result::Result::Err($crate::refused(::core::stringify!($code), ::std::format!($($text)+)))
    };
    ($($text:tt)+) => {
        return ::core::result::Result::Err($crate::refused("forbidden", ::std::format!($($text)+)))
    };
}
