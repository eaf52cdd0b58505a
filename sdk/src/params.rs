//! Named values: keys, details, arguments for a nested create, and the arguments that all types share.

use crate::{Call, Date, Fault, RawArg, Value, invalid, refused};

/// Named values in order. A value that is absent (`None`, `null`) is left out.
///
/// ```
/// # use critd_sdk::prelude::*;
/// let method: Option<String> = None;
/// let params = Params::from([("ip", "10.0.0.1")]).with("add_indicator", true).with("method", method);
/// assert_eq!(params.text("ip"), Some("10.0.0.1"));
/// assert_eq!(params.names().collect::<Vec<_>>(), ["ip", "add_indicator"]);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Params(Vec<RawArg>);

impl Params {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) const fn from_wire(args: Vec<RawArg>) -> Self {
        Self(args)
    }

    pub(crate) fn as_wire(&self) -> &[RawArg] {
        &self.0
    }

    /// With this value, in place of one of the same name.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.set(name, value);
        self
    }

    /// Sets a value, in place of one of the same name; an absent one takes it away.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        let value = value.into();
        let place = self.0.iter().position(|arg| arg.name == name);
        match (place, matches!(value, Value::Null)) {
            (Some(place), true) => {
                self.0.remove(place);
            }
            (Some(place), false) => self.0[place].value = value,
            (None, true) => {}
            (None, false) => self.0.push(RawArg {
                name: name.to_owned(),
                value,
            }),
        }
    }

    /// With all values of `other`, which win over those of the same name.
    #[must_use]
    pub fn with_all(mut self, other: &Self) -> Self {
        for arg in &other.0 {
            self.set(&arg.name, arg.value.clone());
        }
        self
    }

    /// Only these.
    #[must_use]
    pub fn only(mut self, names: &[&str]) -> Self {
        self.0.retain(|arg| names.contains(&arg.name.as_str()));
        self
    }

    /// All but these.
    #[must_use]
    pub fn without(mut self, names: &[&str]) -> Self {
        self.0.retain(|arg| !names.contains(&arg.name.as_str()));
        self
    }

    /// The value of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0
            .iter()
            .find(|arg| arg.name == name)
            .map(|arg| &arg.value)
    }

    /// The text of this name; none also if it is not a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Value::Text(text) | Value::Id(text) => Some(text),
            _ => None,
        }
    }

    /// The date of this name; none also if it is not a date.
    #[must_use]
    pub fn date(&self, name: &str) -> Option<Date> {
        match self.get(name)? {
            Value::Date(millis) => Some(Date::from_millis(*millis)),
            _ => None,
        }
    }

    /// The names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|arg| arg.name.as_str())
    }

    /// Without any value?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<V: Into<Value>, const N: usize> From<[(&str, V); N]> for Params {
    fn from(pairs: [(&str, V); N]) -> Self {
        let mut params = Self::new();
        for (name, value) in pairs {
            params.set(name, value);
        }
        params
    }
}

impl From<&Self> for Params {
    fn from(params: &Self) -> Self {
        params.clone()
    }
}

/// [`Params`] of values of different kinds: `params! { "ip" => ip, "add_indicator" => true }`.
#[macro_export]
macro_rules! params {
    ($($name:expr => $value:expr),* $(,)?) => {
        $crate::Params::new()$(.with($name, $value))*
    };
}

/// The two texts of create.md 2.2 for a source that the user may not write with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceText {
    /// `User does not have permission to add objects using source NAME.`
    Objects,
    /// `User does not have permission to add object using source NAME.`
    Object,
}

/// Names of the arguments that all types share (create.md 2).
const SHARED: [&str; 14] = [
    "source",
    "method",
    "reference",
    "tlp",
    "campaign",
    "confidence",
    "bucket_list",
    "ticket",
    "status",
    "sectors",
    "related_id",
    "related_md5",
    "related_type",
    "relationship",
];

/// The shared arguments of a create as the host validated them, for [`crate::Tlo::merge_shared`] and nested creates.
///
/// A create function that has a parameter `shared: &Shared` or `shared: Shared` gets them.
#[derive(Debug, Clone, Default)]
pub struct Shared(Params);

impl Shared {
    #[doc(hidden)]
    #[must_use]
    pub fn of(args: &[RawArg]) -> Self {
        Self(Params::from_wire(
            args.iter()
                .filter(|arg| SHARED.contains(&arg.name.as_str()))
                .cloned()
                .collect(),
        ))
    }

    /// All of them.
    #[must_use]
    pub const fn params(&self) -> &Params {
        &self.0
    }

    /// With this value in place of the one that was sent; an absent one takes it away.
    #[must_use]
    pub fn with(self, name: &str, value: impl Into<Value>) -> Self {
        Self(self.0.with(name, value))
    }

    /// The text of this name.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.text(name)
    }

    /// Name of the source, if one was sent that is not blank.
    #[must_use]
    pub fn source(&self) -> Option<&str> {
        self.text("source").filter(|name| !name.is_empty())
    }

    /// The source, which must have been sent and be one that the user may write with.
    ///
    /// # Errors
    ///
    /// The texts of create.md 2.2: `Missing source information.`, or that of `form`.
    pub fn require_source(&self, form: SourceText) -> Result<&str, Fault> {
        let name = self
            .source()
            .ok_or_else(|| invalid("source", "Missing source information."))?;
        if Call.may_write(name) {
            Ok(name)
        } else {
            Err(source_refusal(form, name))
        }
    }
}

/// The refusal for a source that the user may not write with.
#[must_use]
pub fn source_refusal(form: SourceText, source: &str) -> Fault {
    let what = match form {
        SourceText::Objects => "objects",
        SourceText::Object => "object",
    };
    refused(
        "forbidden",
        [
            "User does not have permission to add ",
            what,
            " using source ",
            source,
            ".",
        ]
        .concat(),
    )
}

impl From<()> for Params {
    fn from((): ()) -> Self {
        Self::new()
    }
}

impl From<Shared> for Params {
    fn from(shared: Shared) -> Self {
        shared.0
    }
}

impl From<&Shared> for Params {
    fn from(shared: &Shared) -> Self {
        shared.0.clone()
    }
}

impl AsRef<Params> for Shared {
    fn as_ref(&self) -> &Params {
        &self.0
    }
}

impl AsRef<Self> for Params {
    fn as_ref(&self) -> &Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::{Params, Shared, SourceText, source_refusal};
    use crate::{Fault, Value};

    #[test]
    fn values_are_replaced_in_place_and_absent_ones_taken_away() {
        let params = params! { "a" => "1", "b" => 2_i64, "c" => true }
            .with("a", "9")
            .with("b", None::<i64>);
        assert_eq!(params.names().collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(params.text("a"), Some("9"));
    }

    #[test]
    fn shared_arguments_are_picked_out() {
        let params = params! { "domain" => "x.example", "source" => "OSINT", "tlp" => "amber" };
        let shared = Shared::of(params.as_wire());
        assert_eq!(
            shared.params().names().collect::<Vec<_>>(),
            ["source", "tlp"]
        );
        assert_eq!(shared.source(), Some("OSINT"));
        assert!(
            matches!(shared.with("tlp", "red").params().get("tlp"), Some(Value::Text(tlp)) if tlp == "red")
        );
    }

    #[test]
    fn create_2_2_a_missing_source_is_said_so() {
        let shared = Shared::of(Params::from([("source", "")]).as_wire());
        let fault = shared.require_source(SourceText::Object);
        assert!(
            matches!(fault, Err(Fault::Invalid((_, text))) if text == "Missing source information.")
        );
    }

    #[test]
    fn create_2_2_the_two_texts_of_a_refused_source() {
        for (form, text) in [
            (
                SourceText::Objects,
                "User does not have permission to add objects using source OSINT.",
            ),
            (
                SourceText::Object,
                "User does not have permission to add object using source OSINT.",
            ),
        ] {
            assert!(
                matches!(source_refusal(form, "OSINT"), Fault::Refused((code, said)) if code == "forbidden" && said == text)
            );
        }
    }
}
