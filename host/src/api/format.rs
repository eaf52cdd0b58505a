//! Which format an answer has (core-api 8.4).

use crate::query::{Parameters, is_on};

/// A format of whole answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Format {
    /// JSON, the default: unknown formats mean it, too (rules Q2, Q3).
    #[default]
    Json,
    /// XML.
    Xml,
    /// YAML.
    Yaml,
}

/// A format with one row or line for each document. Ours, not the original's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    /// Comma-separated values.
    Csv,
    /// One JSON object a line.
    Ndjson,
}

/// What a GET of documents wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// An answer in one of the formats of the original.
    Whole(Format),
    /// Rows.
    Rows(Rows),
    /// The files (section 9).
    Files,
}

impl Wanted {
    /// Rules Q1 to Q5, F12.
    pub(super) fn of(parameters: &Parameters) -> Self {
        match parameters.last("format") {
            Some("json") => Self::Whole(Format::Json),
            Some("xml") => Self::Whole(Format::Xml),
            Some("yaml") => Self::Whole(Format::Yaml),
            Some("file") => Self::Files,
            _ if is_on(parameters.last("file")) => Self::Files,
            Some("csv") => Self::Rows(Rows::Csv),
            Some("ndjson") => Self::Rows(Rows::Ndjson),
            _ => Self::Whole(Format::Json),
        }
    }
}

impl Format {
    /// Of answers that are neither documents nor files.
    pub(super) fn of(parameters: &Parameters) -> Self {
        Self::named(parameters.last("format"))
    }

    /// Of whatever is answered to a query string, be it readable or not: errors have the format of the answer that was
    /// asked for; where that is no format of whole answers, JSON (rules Q6, E5).
    pub(super) fn of_query(query: Option<&str>) -> Self {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        let last = pairs.filter(|(name, _)| name == "format").last();
        Self::named(last.as_ref().map(|(_, value)| value.as_ref()))
    }

    fn named(name: Option<&str>) -> Self {
        match name {
            Some("xml") => Self::Xml,
            Some("yaml") => Self::Yaml,
            _ => Self::Json,
        }
    }

    /// Rules J1, 8.2, Y1.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Xml => "application/xml; charset=utf-8",
            Self::Yaml => "text/yaml; charset=utf-8",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q1_q2_q4_q5_f12_what_is_wanted() {
        for (query, expected) in [
            ("", Wanted::Whole(Format::Json)),
            ("format=xml", Wanted::Whole(Format::Xml)),
            ("format=yaml", Wanted::Whole(Format::Yaml)),
            ("format=XML", Wanted::Whole(Format::Json)),
            ("format=nosuch", Wanted::Whole(Format::Json)),
            ("format=xml&format=yaml", Wanted::Whole(Format::Yaml)),
            ("format=xml&format=", Wanted::Whole(Format::Json)),
            ("file=1", Wanted::Files),
            ("file=yes&format=nosuch", Wanted::Files),
            ("file=1&format=csv", Wanted::Files),
            ("file=1&format=json", Wanted::Whole(Format::Json)),
            ("format=yaml&file=1", Wanted::Whole(Format::Yaml)),
            ("file=0", Wanted::Whole(Format::Json)),
            ("file=", Wanted::Whole(Format::Json)),
            ("file=No", Wanted::Whole(Format::Json)),
            ("file=false", Wanted::Whole(Format::Json)),
            ("file=off", Wanted::Whole(Format::Json)),
            ("file=1&file=0", Wanted::Whole(Format::Json)),
            ("format=file", Wanted::Files),
            ("format=file&file=0", Wanted::Files),
            ("format=csv", Wanted::Rows(Rows::Csv)),
            ("format=ndjson", Wanted::Rows(Rows::Ndjson)),
            ("format=CSV", Wanted::Whole(Format::Json)),
        ] {
            let parameters = Parameters::parse(query.as_bytes()).unwrap();
            assert_eq!(Wanted::of(&parameters), expected, "{query}");
        }
    }

    #[test]
    fn q6_e5_errors_have_the_format_of_the_answer_or_are_json() {
        for (query, expected) in [
            (None, Format::Json),
            (Some("format=xml"), Format::Xml),
            (Some("a=1&form%61t=yaml&%"), Format::Yaml),
            (Some("format=xml&format=json"), Format::Json),
            (Some("format=csv"), Format::Json),
            (Some("file=1"), Format::Json),
            (Some("file=1&format=xml"), Format::Xml),
            (Some("format=file"), Format::Json),
        ] {
            assert_eq!(Format::of_query(query), expected, "{query:?}");
        }
    }
}
