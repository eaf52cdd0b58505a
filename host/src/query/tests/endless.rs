//! Whatever is sent, the readers of queries, cursors, expressions and dates answer.

use proptest::prelude::*;

use super::*;
use crate::dates::{self, Written};
use crate::endless::{any_of_parts, for_a_while};
use crate::store::Stepwise;

const NAMES: &[&str] = &[
    "c-",
    "c-",
    "c-",
    "title",
    "size",
    "created",
    "event_id",
    "_id",
    "id",
    "source",
    "name",
    "instances",
    "campaign",
    "obj",
    "objects",
    "relationships",
    "value",
    "unsupported_attrs",
    "nosuch",
    ".",
    ".",
    ".",
    "0",
    "12",
    "__",
    "__",
    "__",
    "eq",
    "ne",
    "gt",
    "gte",
    "lt",
    "lte",
    "in",
    "nin",
    "exists",
    "regex",
    "or",
    "only",
    "exclude",
    "order_by",
    "sort",
    "sort_by",
    "limit",
    "offset",
    "strict",
    "cursor",
    "skip_total",
    "$",
    "\0",
    " ",
];
const VALUES: &[&str] = &[
    "a",
    "title",
    "size",
    "-",
    "+",
    ",",
    ",",
    "\"",
    "'",
    "1",
    "0",
    "9999999999999999999",
    "2.5",
    "1e308",
    "NaN",
    "true",
    "False",
    "2020",
    "-01",
    "-02",
    "T03:04:05",
    "Z",
    "+00:00",
    " ",
    "5b2c3d4e5f60718293a4b5c6",
    "12345678-1234-1234-1234-1234567890ab",
    ":",
    "::",
    "é",
    "xn--",
    "(",
    ")",
    "[",
    "]",
    "*",
    "+",
    "?",
    "{",
    "}",
    "|",
    "\\",
    "^",
    "$",
    ".",
    "_id",
    "campaign.name",
    "id",
];

#[test]
fn qy13_any_query_is_read_or_refused() {
    let pair = (any_of_parts(NAMES, 6), any_of_parts(VALUES, 6));
    let raw = RawDocumentBuf::from_bytes(document().to_vec().unwrap()).unwrap();
    for_a_while(prop::collection::vec(pair, 0..6), |pairs| {
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&pairs)
            .finish();
        let parameters = Parameters::parse(query.as_bytes()).unwrap();
        let of = |strictness| {
            list(
                &model(),
                &parameters,
                Limits::default(),
                &Zones::default(),
                strictness,
            )
        };
        let is_strict = is_on(parameters.last("strict"));
        match (of(Strictness::Lenient), of(Strictness::Strict)) {
            (Ok(lenient), strict) => {
                prop_assert_eq!(strict.is_ok(), lenient.warnings.is_empty(), "{}", query);
                prop_assert!(lenient.filter.matches(&raw).is_ok());
                prop_assert!(lenient.window.limit <= 1000);
                for text in &lenient.warnings {
                    prop_assert!(text.len() < 1000, "{}", text);
                }
            }
            (Err(refused), strict) => {
                prop_assert!(strict.is_err());
                prop_assert!(is_strict || refused.warnings.is_empty());
                prop_assert!(!refused.message.is_empty() && refused.message.len() < 2000);
            }
        }
        if let Ok(one) = detail(
            &model(),
            &parameters,
            &Zones::default(),
            Strictness::Lenient,
        ) {
            prop_assert!(one.filter.matches(&raw).is_ok());
        }
        Ok(())
    });
}

#[test]
fn qy13_any_bytes_are_parameters() {
    for_a_while(prop::collection::vec(any::<u8>(), 0..200), |bytes| {
        let parameters = Parameters::parse(&bytes).unwrap();
        let _ = list(
            &model(),
            &parameters,
            Limits::default(),
            &Zones::default(),
            Strictness::Lenient,
        );
        Ok(())
    });
}

const EXPRESSIONS: &[&str] = &[
    "a", "b", "é", ".", "*", "+", "?", "*?", "++", "{2}", "{1,3}", "{0,}", "|", "(", ")", "(?:",
    "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i)", "(?P<n>", "(?P=n)", "\\k<n>", "\\1", "\\2", "\\b",
    "\\d", "\\w", "\\Z", "\\G", "\\K", "[", "]", "[^", "a-z", "^", "$", "\\", "(?(1)", "\\g<1>",
    "(?R)", "\\R", "\\X",
];

#[test]
fn qy13_g38_any_expression_is_searched_or_refused() {
    let texts = any_of_parts(&["a", "b", "ab", "é", "\n", "1", "_"], 12);
    for_a_while((any_of_parts(EXPRESSIONS, 8), texts), |(source, text)| {
        if let Ok(expression) = Stepwise::new(&source) {
            let _ = expression.finds_in(&text);
        }
        let query = form_urlencoded::Serializer::new(String::from("regex=1&"))
            .append_pair("c-title", &source)
            .finish();
        prop_assert!(read(&query).is_ok());
        Ok(())
    });
}

#[test]
fn qy13_any_cursor_is_read_or_refused() {
    let of = Conditions::of("events", &Parameters::default());
    let real = Cursor::start().text(of);
    let damaged = (0..real.len(), any::<char>()).prop_map(move |(at, with)| {
        real.char_indices()
            .map(|(index, letter)| if index == at { with } else { letter })
            .collect::<String>()
    });
    let any = prop_oneof![damaged, "[A-Za-z0-9_-]{0,120}", "\\PC{0,60}"];
    for_a_while(any, |text| {
        if let Ok(cursor) = Cursor::read(&text, of) {
            prop_assert_eq!(Cursor::read(&cursor.text(of), of), Ok(cursor));
        }
        Ok(())
    });
}

const DATES: &[&str] = &[
    "2020", "1", "01", "31", "12", "0", "99", "-", "-", "/", ".", ":", ":", " ", " ", "T", "Z",
    "+", "am", "PM", "Jan", "february", "Sept", "Mon,", "Wed", "4th", "of", "GMT", "UTC", "EST",
    "+0000", "-05:00", "(EST)", ",", "at", "10:20:30", "10:20", ".123456", "20200304", "T050607",
    "\u{660}",
];

#[test]
fn qy12_qy13_d4_d5_any_date_is_read_within_bounds_or_not_at_all() {
    for_a_while(any_of_parts(DATES, 9), |text| {
        for found in [dates::lenient(&text), dates::strict(&text)]
            .into_iter()
            .flatten()
        {
            let (Written::Local(time) | Written::Moment(time)) = found;
            let shown = dates::text(time);
            let again = Some(Written::Local(time));
            prop_assert_eq!(dates::strict(&shown), again, "{} {}", text, shown);
            prop_assert_eq!(shown.len(), 26, "{}", shown);
        }
        // What the strict reader takes the lenient one understands alike.
        if let Some(strict) = dates::strict(&text) {
            prop_assert_eq!(dates::lenient(&text), Some(strict), "{}", text);
        }
        Ok(())
    });
}
