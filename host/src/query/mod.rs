//! Query strings read: `c-…` conditions become a [`Filter`], further an order, a page, a projection and warnings.
//!
//! Pure: no I/O, no HTTP types, never sees a user. What a field is called and which kind it has comes in as a
//! [`Model`]; what a caller may see is the business of `access`.
//!
//! ```text
//! parameters   the query string as name-value pairs
//! model        the fields of a type: model name, stored name, kind
//! condition    `c-…`, `or`, `regex`                        → filter     (core-api 10.4 to 10.8)
//! value        a text as the values it may stand for       (core-api 10.6)
//! order        `order_by`, `sort_by`, `sort`               → sort keys  (core-api 10.3)
//! page         `limit`, `offset`, links to other pages     (core-api 10.2)
//! cursor       `cursor`, `skip_total`
//! projection   `only`, `exclude`                           (core-api 10.10)
//! ```

mod condition;
mod cursor;
mod model;
mod order;
mod page;
mod parameters;
mod projection;
mod value;

pub use condition::Searches;
pub use cursor::{CHANGED, Conditions, Cursor, Paging};
pub use model::{Field, Kind, Model};
pub use page::{Limits, Window};
pub use parameters::{Parameters, TooMany};
pub use projection::{Mask, Projection};

use crate::dates::Zones;
use crate::store::{Filter, SortKey};

/// A list as asked for.
#[derive(Debug, Clone)]
pub struct ListRequest {
    /// Condition.
    pub filter: Filter,
    /// What must be asked before the outcome of the condition is believed.
    pub searches: Searches,
    /// Order.
    pub sort: Vec<SortKey>,
    /// Page.
    pub window: Window,
    /// How the page is asked for.
    pub paging: Paging,
    /// Which fields are shown.
    pub projection: Projection,
    /// What was ignored or can't match (rule G43).
    pub warnings: Vec<String>,
}

/// One document as asked for: conditions it must meet besides having the id (rule D-2).
#[derive(Debug, Clone)]
pub struct DetailRequest {
    /// Condition.
    pub filter: Filter,
    /// What must be asked before the outcome of the condition is believed.
    pub searches: Searches,
    /// Which fields are shown.
    pub projection: Projection,
    /// What was ignored or can't match (rule G43).
    pub warnings: Vec<String>,
}

/// A request that can't be carried out: 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Unreadable {
    /// Text for the client.
    pub message: String,
    /// All warnings, if they are the reason (rule G44).
    pub warnings: Vec<String>,
}

impl Unreadable {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            warnings: Vec::new(),
        }
    }
}

/// What happens to warnings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strictness {
    /// They are reported.
    #[default]
    Lenient,
    /// The first one refuses the request (setting `strict_queries`).
    Strict,
}

/// Parameters that mean something, whatever the type (core-api 10.1).
const KNOWN: &[&str] = &[
    "username",
    "api_key",
    "format",
    "file",
    "file_format",
    "limit",
    "offset",
    "order_by",
    "sort_by",
    "sort",
    "or",
    "regex",
    "only",
    "exclude",
    "strict",
    "skip_total",
    "cursor",
    "full",
];

/// Is this a parameter of reading (core-api 10.1), not an argument of an action?
#[must_use]
pub fn is_reading_parameter(name: &str) -> bool {
    KNOWN.contains(&name) || name.starts_with("c-")
}

/// A switch: off when absent, empty, `0`, `false`, `no` or `off` in any case (rules F12, G37).
#[must_use]
pub fn is_on(value: Option<&str>) -> bool {
    value.is_some_and(|text| !text.is_empty() && !spells_off(text))
}

fn spells_off(text: &str) -> bool {
    ["0", "false", "no", "off"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word))
}

/// Reads the query of a list. `zones`: what dates mean.
///
/// # Errors
///
/// See the rules of core-api 10 that say 400.
pub fn list(
    model: &Model,
    parameters: &Parameters,
    limits: Limits,
    zones: &Zones,
    strictness: Strictness,
) -> Result<ListRequest, Unreadable> {
    let mut warnings = Vec::new();
    for (name, _) in parameters.pairs() {
        let field = name.split("__").next().unwrap_or_default();
        if !is_reading_parameter(name) && model.has_model_name(field) {
            return Err(Unreadable::new(format!(
                "The '{field}' field does not allow filtering. Use 'c-{field}'."
            )));
        }
    }
    let window = page::read(parameters, limits)?;
    let paging = cursor::paging(model, parameters)?;
    let sort = order::read(model, parameters, &mut warnings)?;
    let (filter, searches) = condition::read(model, parameters, zones, &mut warnings)?;
    let projection = Projection::read(model, parameters, &mut warnings);
    warn_of_unknown(parameters, &mut warnings);
    refuse_if_strict(parameters, strictness, &warnings)?;
    Ok(ListRequest {
        filter,
        searches,
        sort,
        window,
        paging,
        projection,
        warnings,
    })
}

/// Reads only which page is wanted, of something that is no collection of the store.
///
/// # Errors
///
/// Rules G3, G4.
pub fn window(parameters: &Parameters, limits: Limits) -> Result<Window, Unreadable> {
    page::read(parameters, limits)
}

/// Reads the query of one document. `zones`: what dates mean. Paging and order are ignored (rule D-2).
///
/// # Errors
///
/// See the rules of core-api 10 that say 400.
pub fn detail(
    model: &Model,
    parameters: &Parameters,
    zones: &Zones,
    strictness: Strictness,
) -> Result<DetailRequest, Unreadable> {
    let mut warnings = Vec::new();
    let (filter, searches) = condition::read(model, parameters, zones, &mut warnings)?;
    let projection = Projection::read(model, parameters, &mut warnings);
    warn_of_unknown(parameters, &mut warnings);
    refuse_if_strict(parameters, strictness, &warnings)?;
    Ok(DetailRequest {
        filter,
        searches,
        projection,
        warnings,
    })
}

/// Rule G43 for parameters that mean nothing here (rules P3, Q8, Q10).
fn warn_of_unknown(parameters: &Parameters, warnings: &mut Vec<String>) {
    for (name, _) in parameters.pairs() {
        let warning = format!("{name}: unknown parameter, ignored");
        if !is_reading_parameter(name) && !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
}

/// Rule G44, for warnings that come up after the query was read.
///
/// # Errors
///
/// There is a warning, and warnings refuse the request.
pub fn refuse_if_strict(
    parameters: &Parameters,
    strictness: Strictness,
    warnings: &[String],
) -> Result<(), Unreadable> {
    let strict = strictness == Strictness::Strict || is_on(parameters.last("strict"));
    match warnings.first() {
        Some(first) if strict => Err(Unreadable {
            message: first.clone(),
            warnings: warnings.to_vec(),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
