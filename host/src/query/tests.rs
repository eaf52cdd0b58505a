//! Tests of the query language, named after the rules they show.

use bson::{Bson, DateTime, Document, RawDocumentBuf, doc, oid::ObjectId};

use super::*;
use crate::store::{Direction, SortKey};

mod endless;
mod projection;
mod zones;

/// A model with every kind; the names are those of real types.
fn model() -> Model {
    let relationships = vec![
        Field::new("object_id", Kind::Id).stored_as("value"),
        Field::new("rel_type", Kind::Text).stored_as("type"),
        Field::new("date", Kind::Date),
    ];
    let instances = vec![
        Field::new("method", Kind::Text),
        Field::new("date", Kind::Date),
    ];
    Model {
        fields: vec![
            Field::new("id", Kind::Id).stored_as("_id").required(),
            Field::new("schema_version", Kind::Int).required(),
            Field::new("title", Kind::Text).required(),
            Field::new("filename", Kind::Text),
            Field::new("ind_type", Kind::Text).stored_as("type"),
            Field::new("size", Kind::Int),
            Field::new("actor_count", Kind::Int),
            Field::new("score", Kind::Num),
            Field::new("watchlistEnabled", Kind::Bool),
            Field::new("created", Kind::Date),
            Field::new("event_id", Kind::Uuid),
            Field::list_of("bucket_list", Kind::Text),
            Field::list_of("sizes", Kind::Int),
            Field::list_with(
                "campaign",
                vec![
                    Field::new("name", Kind::Text),
                    Field::new("confidence", Kind::Text),
                ],
            ),
            Field::list_with(
                "obj",
                vec![
                    Field::new("object_type", Kind::Text).stored_as("type"),
                    Field::new("value", Kind::Text),
                ],
            )
            .stored_as("objects"),
            Field::list_with("relationships", relationships),
            Field::list_with(
                "source",
                vec![
                    Field::new("name", Kind::Text),
                    Field::list_with("instances", instances),
                ],
            )
            .required(),
            Field::new("unsupported_attrs", Kind::Map),
        ],
        top_level: true,
    }
}

const ID: &str = "5b2c3d4e5f60718293a4b5c6";

fn date(text: &str) -> DateTime {
    DateTime::parse_rfc3339_str(text).unwrap()
}

fn document() -> Document {
    doc! {
        "_id": ObjectId::parse_str(ID).unwrap(), "schema_version": 3, "title": "A title", "filename": "Foo.TXT", "type": "URI", "size": 100_i64, "score": 1.5,
        "watchlistEnabled": true, "created": date("2020-01-02T03:04:05.006Z"),
        "event_id": bson::Binary { subtype: bson::spec::BinarySubtype::UuidOld, bytes: uuid::Uuid::parse_str("12345678-1234-1234-1234-1234567890ab").unwrap().as_bytes().to_vec() },
        "bucket_list": ["foo", " b"], "sizes": [5, 50], "campaign": [{"name": "Bad Guys", "confidence": "low"}],
        "objects": [{"type": "Mutex", "value": "\"q\""}],
        "relationships": [{"value": ObjectId::parse_str(ID).unwrap(), "type": "Domain", "date": date("2021-05-06T07:08:09Z")}],
        "source": [{"name": "A", "instances": [{"method": "x"}]}, {"name": "B", "instances": [{"method": "m"}]}],
        "tld": "xn--e1afmkfd.xn--p1acf", "address": "2001:db8::1:0:0:1", "number": 7, "flag": true, "when": date("2019-01-01T00:00:00Z"), "word": "7",
        "unsupported_attrs": {"old": "o", "count": 9},
    }
}

fn read(query: &str) -> Result<ListRequest, Unreadable> {
    read_in(&Zones::default(), query)
}

fn read_in(zones: &Zones, query: &str) -> Result<ListRequest, Unreadable> {
    list(
        &model(),
        &Parameters::parse(query.as_bytes()).unwrap(),
        Limits::default(),
        zones,
        Strictness::Lenient,
    )
}

fn matches(query: &str) -> bool {
    let filter = read(query)
        .unwrap_or_else(|error| panic!("{query}: {error}"))
        .filter;
    filter
        .matches(&RawDocumentBuf::from_bytes(document().to_vec().unwrap()).unwrap())
        .unwrap()
}

fn warnings(query: &str) -> Vec<String> {
    read(query).unwrap().warnings
}

fn refusal(query: &str) -> String {
    read(query)
        .err()
        .unwrap_or_else(|| panic!("{query} was read"))
        .message
}

/// Does the document meet these queries?
fn check(rows: &[(&str, bool)]) {
    for (query, expected) in rows {
        assert_eq!(
            matches(query),
            *expected,
            "{query}: {:?}",
            read(query).unwrap().filter
        );
    }
}

#[test]
fn g16_g17_g18_plain_conditions_match_whole_values_anywhere_in_lists() {
    check(&[
        ("c-title=A title", true),
        ("c-title=a title", false),
        ("c-title=A", false),
        ("c-title=  A title  ", true),
        ("c-campaign.name=Bad Guys&c-filename=Foo.TXT", true),
        ("c-campaign.name=Bad Guys&c-filename=foo.txt", false),
        ("c-source.name=A&c-source.instances.method=m", true),
        ("c-bucket_list=foo", true),
        ("c-nosuch=x", false),
        ("c-nosuch.deep=x", false),
        ("", true),
    ]);
}

#[test]
fn g19_g20_operators() {
    check(&[
        ("c-size__gte=100", true),
        ("c-size__gt=100", false),
        ("c-size__lt=101", true),
        ("c-size__lte=99", false),
        ("c-size__eq=100", true),
        ("c-size__ne=100", false),
        ("c-size__gte=99.5", true),
        ("c-title__gt=A", true),
        ("c-title__lt=A", false),
        ("c-bucket_list__in=foo,bar", true),
        ("c-bucket_list__nin=bar,x", true),
        ("c-bucket_list__nin=bar,foo", false),
    ]);
    for query in [
        "c-size__foo=1",
        "c-size__IN=1",
        "c-size__regex=1",
        "c-size__in__x=1",
    ] {
        let key = query.split('=').next().unwrap();
        assert_eq!(
            warnings(query),
            [format!("{key}: unknown operator, condition ignored")]
        );
        assert!(matches(query));
    }
}

#[test]
fn g21_g22_quotes() {
    check(&[
        ("c-title=\"A title\"", true),
        ("c-title='A title\"", true),
        ("c-objects.value=\"\"q\"\"", true),
        ("c-title__eq=\"A title\"", false),
        ("c-title__in=\"A title\",x", true),
        ("c-size=\"100\"", true),
        ("c-size__gte=\"100\"", true),
        ("c-created=\"2020-01-02 03:04:05.006\"", true),
    ]);
    assert_eq!(value::unquoted("\""), "");
    assert_eq!(value::unquoted("'é'"), "é");
}

#[test]
fn g23_in_splits_at_every_comma_and_may_be_repeated() {
    check(&[
        ("c-bucket_list__in=a, b", true),
        ("c-bucket_list__in=a,b", false),
        ("c-bucket_list__in=x&c-bucket_list__in=foo", true),
        ("c-bucket_list__nin=x&c-bucket_list__nin=foo", false),
        ("c-size__in=1, 100", true),
        ("c-size__in=1,abc", false),
        ("c-size__in=abc", false),
        ("c-size__nin=abc", true),
    ]);
    assert_eq!(
        warnings("c-size__in=1,abc"),
        ["c-size__in: 'abc' is not a whole number, value ignored"]
    );
    assert_eq!(
        warnings("c-size__in=abc"),
        [
            "c-size__in: 'abc' is not a whole number, value ignored",
            "c-size__in: no usable value, matches nothing"
        ]
    );
    assert_eq!(
        warnings("c-size__nin=abc"),
        [
            "c-size__nin: 'abc' is not a whole number, value ignored",
            "c-size__nin: no usable value, condition ignored"
        ]
    );
    let many = format!("c-title__in={}", "a,".repeat(10_001));
    assert_eq!(
        refusal(&many),
        "Too many values in 'c-title__in': at most 10000 are read."
    );
}

#[test]
fn g24_exists() {
    check(&[
        ("c-title__exists=true", true),
        ("c-title__exists=1", true),
        ("c-title__exists=False", false),
        ("c-nosuch__exists=0", true),
        ("c-nosuch__exists=True", false),
        ("c-campaign.name__exists=false", false),
        ("c-title__exists=maybe", true),
        ("c-nosuch__exists=maybe", false),
        ("c-old__exists=true", true),
        ("c-old__exists=false", false),
    ]);
    assert_eq!(
        warnings("c-title__exists=maybe"),
        ["c-title__exists: neither true nor false, read as true"]
    );
}

#[test]
fn g25_g26_negations_and_empty_values() {
    check(&[
        ("c-nosuch__ne=x", true),
        ("c-nosuch__nin=x,y", true),
        ("c-bucket_list__ne=foo", false),
        ("c-title__ne=", true),
        ("c-title__gt=", true),
        ("c-title=", false),
        ("c-title__in=", false),
        ("c-old__ne=o", false),
        ("c-old__nin=o", false),
    ]);
    assert_eq!(
        warnings("c-title__ne="),
        ["c-title__ne: empty value, condition ignored"]
    );
}

#[test]
fn g27_g28_conditions_on_one_field_combine_repeats_do_not() {
    check(&[
        ("c-size__gte=1&c-size__lte=200", true),
        ("c-size__gte=1&c-size__lte=9", false),
        ("c-size__gte=1&c-size__lte=9&or=1", true),
        ("c-title=A title&c-title__ne=A title", false),
        ("c-title=A title&c-title=x", false),
        ("c-title=x&c-title=A title", true),
    ]);
    assert_eq!(
        warnings("c-title=x&c-title=y"),
        ["c-title: given more than once, the last value counts"]
    );
    assert!(warnings("c-title__in=x&c-title__in=y").is_empty());
}

#[test]
fn g29_g32_no_field_name_and_malformed_ids_match_nothing() {
    check(&[
        ("c-=x", false),
        ("c-__ne=x", false),
        ("c-_id=xyz", false),
        ("c-_id__in=xyz", false),
        ("c-_id__ne=xyz", true),
    ]);
    assert_eq!(warnings("c-=x"), ["c-: no field name, matches nothing"]);
    assert_eq!(
        warnings("c-_id=xyz"),
        ["c-_id: not an object id, matches nothing"]
    );
    let upper = ID.to_uppercase();
    for query in [
        format!("c-_id={ID}"),
        format!("c-id={upper}"),
        format!("c-_id__in=xyz,{upper}"),
        format!("c-_id__gte={ID}"),
    ] {
        assert!(matches(&query), "{query}");
    }
}

#[test]
fn s14_field_names_are_limited() {
    let rows = [
        (
            "c-$where=1".to_owned(),
            "Invalid field name in 'c-$where': the field name has a part that begins with `$` or contains NUL.",
        ),
        (
            "c-a.$b=1".to_owned(),
            "Invalid field name in 'c-a.$b': the field name has a part that begins with `$` or contains NUL.",
        ),
        (
            "c-a..b=1".to_owned(),
            "Invalid field name in 'c-a..b': the field name has an empty part.",
        ),
        (
            "c-a%00=1".to_owned(),
            "Invalid field name in 'c-a\0': the field name has a part that begins with `$` or contains NUL.",
        ),
        (
            format!("c-{}=1", vec!["a"; 21].join(".")),
            "Invalid field name in 'c-a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a': the field name has more than 20 parts.",
        ),
    ];
    for (query, text) in rows {
        assert_eq!(refusal(&query), text);
    }
    assert!(
        refusal(&format!("c-{}=1", "a".repeat(201)))
            .ends_with("…': the field name is longer than 200 bytes.")
    );
}

#[test]
fn g30_values_are_typed_by_the_declared_field() {
    check(&[
        ("c-size=100", true),
        ("c-sizes=50", true),
        ("c-sizes__gt=50", false),
        ("c-score=1.5", true),
        ("c-watchlistEnabled=true", true),
        ("c-watchlistEnabled=1", true),
        ("c-watchlistEnabled=no", false),
        ("c-created=2020-01-02T03:04:05.006Z", true),
        ("c-created__gte=2020-01-02", true),
        ("c-created__lt=2020-01-02 03:04:05", false),
        ("c-relationships.date__gt=2021", true),
        ("c-relationships.date__gt=2022", false),
        ("c-relationships.value=5B2C3D4E5F60718293A4B5C6", true),
        ("c-event_id=12345678-1234-1234-1234-1234567890AB", true),
        ("c-event_id=123456781234123412341234567890ab", true),
        ("c-event_id=x", false),
        // Undeclared: the text, or what it spells.
        ("c-number=7", true),
        ("c-word=7", true),
        ("c-number__gte=7", true),
        ("c-flag=true", true),
        ("c-when=2019-01-01", true),
        ("c-when__lt=2020", true),
        ("c-number__ne=7", false),
        ("c-number__gt=text", false),
        ("c-count=9", true),
    ]);
    assert_eq!(
        warnings("c-size=abc"),
        ["c-size: not a whole number, matches nothing"]
    );
    assert_eq!(
        warnings("c-created=soon"),
        ["c-created: not a date, matches nothing"]
    );
    assert!(!matches("c-size=abc") && !matches("c-created=soon"));
}

#[test]
fn g33_a_bad_number_with_an_operator_is_dropped_with_a_warning_a_bad_date_matches_nothing() {
    assert_eq!(
        warnings("c-size__gte=abc"),
        ["c-size__gte: not a whole number, condition ignored"]
    );
    assert_eq!(
        warnings("c-created__gte=abc"),
        ["c-created__gte: not a date, matches nothing"]
    );
    check(&[
        ("c-size__gte=abc", true),
        ("c-created__gte=abc", false),
        ("c-size__eq=abc", false),
    ]);
}

#[test]
fn o43_o44_a_blank_before_a_zone_is_a_plus() {
    check(&[
        ("c-created__gt=2020-01-02T00:00:00+00:00", true),
        ("c-created__gt=2020-01-02T00:00:00%2B00:00", true),
        ("c-created__gt=2020-01-02T03:04:05.123456+00:00", false),
        ("c-created__gt=2020-01-02T04:04:05+02:00", true),
        ("c-created__gt=1000-01-01T00:00:00+00:00", true),
    ]);
}

#[test]
fn o10_o50_addresses_and_host_names_in_any_spelling() {
    check(&[
        ("c-address=2001:DB8:0:0:1::1", true),
        ("c-address=2001:db8::1:0:0:1", true),
        ("c-address__in=x,2001:DB8:0:0:1::1", true),
        ("c-address__ne=2001:DB8:0:0:1::1", false),
        ("c-tld=пример.рус", true),
    ]);
}

#[test]
fn c10_5_both_names_at_every_depth_and_unsupported_attributes_in_both_places() {
    check(&[
        ("c-ind_type=URI", true),
        ("c-type=URI", true),
        ("c-obj.object_type=Mutex", true),
        ("c-objects.type=Mutex", true),
        ("c-objects.0.object_type=Mutex", true),
        ("c-relationships.rel_type=Domain", true),
        ("c-old=o", true),
        ("c-unsupported_attrs.old=o", true),
        ("c-unsupported_attrs.tld=xn--e1afmkfd.xn--p1acf", true),
        ("c-unsupported_attrs.title=A title", false),
        ("c-unsupported_attrs.tld__ne=xn--e1afmkfd.xn--p1acf", false),
    ]);
}

#[test]
fn g35_g36_g37_regex() {
    check(&[
        ("regex=1&c-campaign.name=bad&c-filename=foo", true),
        ("regex=1&c-filename=^foo\\.txt$", true),
        ("regex=1&c-filename=\"oo\"", true),
        ("regex=1&c-filename__eq=foo", false),
        ("regex=0&c-filename=foo", false),
        ("regex=no&c-filename=foo", false),
        ("regex=&c-filename=foo", false),
        ("regex=1&c-size=100", true),
        ("regex=1&c-size=10", false),
        ("regex=1&c-source.name=^A", false),
        ("regex=1&c-source.name=A", true),
        ("regex=1&c-number=7", false),
        ("regex=1&c-old=^O$", true),
        ("regex=1&c-_id=5b", false),
    ]);
}

#[test]
fn g38_expressions_that_cannot_be_used_match_nothing() {
    let rows = [
        (
            "c-title=[",
            "c-title: invalid regular expression, matches nothing",
        ),
        (
            "c-title=(?=A",
            "c-title: invalid regular expression, matches nothing",
        ),
        (
            "c-title=(.{1000}){1000}",
            "c-title: the regular expression is too large, matches nothing",
        ),
        (
            "c-title=(?=(.{1000}){1000})",
            "c-title: the regular expression is too large, matches nothing",
        ),
    ];
    for (condition, text) in rows {
        let query = format!("regex=1&{condition}");
        assert_eq!(warnings(&query), [text]);
        assert!(!matches(&query), "{query}");
    }
}

#[test]
fn g38_look_around_and_back_references_work_and_end() {
    check(&[
        ("regex=1&c-title=^(?=.*title)A", true),
        ("regex=1&c-title=^(?!A)", false),
        ("regex=1&c-title=(?<=A )T", true),
        ("regex=1&c-title=(t).*\\1", true),
        ("regex=1&c-title=(i)\\1", false),
        ("regex=1&c-bucket_list=(o)\\1", true),
        ("regex=1&c-title=\"(?=A)\"", true),
    ]);
    assert!(warnings("regex=1&c-title=(?=A)&c-filename=(o)\\1").is_empty());
    let request = read("regex=1&c-title=(a%2B)%2B\\1$&c-filename=(o)\\1&or=1").unwrap();
    assert!(request.searches.check().is_ok());
    let costly = doc! {"title": "a".repeat(5_000) + "b"};
    let costly = RawDocumentBuf::from_bytes(costly.to_vec().unwrap()).unwrap();
    assert!(!request.filter.matches(&costly).unwrap());
    assert_eq!(
        request.searches.check().unwrap_err().message,
        "c-title: the regular expression takes too long. One with look-around or back-references is searched for at most 2 s, \
         in texts of up to 16 KiB: narrow the query down, or do without them."
    );
}

#[test]
fn qy3_expressions_are_counted() {
    let query = |expressions: usize| {
        let conditions: Vec<String> = (0..expressions).map(|n| format!("c-a{n}=x")).collect();
        format!("regex=1&c-size__gte=1&{}", conditions.join("&"))
    };
    assert!(read(&query(50)).is_ok());
    assert_eq!(
        refusal(&query(51)),
        "Too many regular expressions: at most 50 are searched for."
    );
}

#[test]
fn g39_g40_g41_or() {
    check(&[
        ("or=1&c-title=x&c-filename=Foo.TXT", true),
        ("or=0&c-title=x&c-filename=Foo.TXT", false),
        ("or=&c-title=x&c-filename=Foo.TXT", true),
        ("or=1&c-title=x&c-filename=y", false),
        ("or=1", true),
        ("or=1&c-size__foo=1", true),
        ("or=1&c-title=x&c-_id=bad", false),
        ("or=1&c-title=x&c-size__foo=1", false),
    ]);
}

#[test]
fn g43_g44_q10_what_is_ignored_is_said_and_strict_refuses_it() {
    assert_eq!(
        warnings("C-title=x&callback=f&callback=g"),
        [
            "C-title: unknown parameter, ignored",
            "callback: unknown parameter, ignored"
        ]
    );
    assert!(warnings("username=u&api_key=k&format=json&limit=1&offset=0&order_by=title&only=title&exclude=size&regex=0&or=1&strict=0&file=0").is_empty());
    let refused = read("strict=1&c-size__foo=1&C-x=1").unwrap_err();
    assert_eq!(
        refused.message,
        "c-size__foo: unknown operator, condition ignored"
    );
    assert_eq!(refused.warnings.len(), 2);
    let strict = list(
        &model(),
        &Parameters::parse(b"x=1").unwrap(),
        Limits::default(),
        &Zones::default(),
        Strictness::Strict,
    );
    assert_eq!(strict.unwrap_err().message, "x: unknown parameter, ignored");
    assert!(read("strict=1&c-title=x").is_ok());
}

#[test]
fn q9_plain_parameters_named_like_fields_are_refused_on_lists_only() {
    assert_eq!(
        refusal("filename=x"),
        "The 'filename' field does not allow filtering. Use 'c-filename'."
    );
    assert_eq!(
        refusal("title__gt=x"),
        "The 'title' field does not allow filtering. Use 'c-title'."
    );
    assert!(read("type=x").is_ok(), "a stored name");
    let on_detail = detail(
        &model(),
        &Parameters::parse(b"filename=x").unwrap(),
        &Zones::default(),
        Strictness::Lenient,
    )
    .unwrap();
    assert_eq!(on_detail.warnings, ["filename: unknown parameter, ignored"]);
}

#[test]
fn g1_g2_g3_g4_pages() {
    let window = |query: &str| {
        read(query)
            .map(|request| (request.window.limit, request.window.offset))
            .map_err(|error| error.message)
    };
    assert_eq!(window(""), Ok((20, 0)));
    assert_eq!(window("limit=0"), Ok((1000, 0)));
    assert_eq!(window("limit=1001&offset=7"), Ok((1000, 7)));
    assert_eq!(
        window("limit=99999999999999999999&offset=99999999999999999999"),
        Ok((1000, i64::MAX as u64))
    );
    assert_eq!(window("limit=1&limit=5"), Ok((5, 0)));
    for text in ["x", "", "2.5", "1e3", "-", "٣"] {
        assert_eq!(
            window(&format!("limit={text}")),
            Err(format!(
                "Invalid limit '{text}' provided. Please provide a positive integer."
            ))
        );
        assert_eq!(
            window(&format!("offset={text}")),
            Err(format!(
                "Invalid offset '{text}' provided. Please provide an integer."
            ))
        );
    }
    assert_eq!(
        window("limit=-1"),
        Err("Invalid limit '-1' provided. Please provide a positive integer >= 0.".into())
    );
    assert_eq!(
        window("offset=-1"),
        Err("Invalid offset '-1' provided. Please provide a positive integer >= 0.".into())
    );
}

#[test]
fn g6_g7_g8_links_to_other_pages() {
    let links = |query: &str, total: u64| {
        let parameters = Parameters::parse(query.as_bytes()).unwrap();
        let window = list(
            &model(),
            &parameters,
            Limits::default(),
            &Zones::default(),
            Strictness::Lenient,
        )
        .unwrap()
        .window;
        (
            window.previous(&parameters),
            window.next(total, &parameters),
        )
    };
    assert_eq!(links("", 20), (None, None));
    assert_eq!(links("", 21), (None, Some("limit=20&offset=20".into())));
    assert_eq!(links("limit=2&offset=1", 3), (None, None));
    assert_eq!(
        links("limit=2&offset=2", 5),
        (
            Some("limit=2&offset=0".into()),
            Some("limit=2&offset=4".into())
        )
    );
    assert_eq!(
        links(
            "username=u&api_key=k%26&c-title=a b&limit=1&c-title=é&limit=0",
            2000
        )
        .1,
        Some("username=u&api_key=k%26&c-title=a+b&c-title=%C3%A9&limit=1000&offset=1000".into())
    );
    assert_eq!(links("limit=20&offset=9223372036854775807", 5).1, None);
}

#[test]
fn g11_g12_g13_g14_g15_orders() {
    let order = |query: &str| -> Vec<String> {
        let mark = |key: SortKey| {
            format!(
                "{}{}",
                if key.direction == Direction::Descending {
                    "-"
                } else {
                    ""
                },
                key.path
            )
        };
        read(query)
            .unwrap_or_else(|error| panic!("{query}: {error}"))
            .sort
            .into_iter()
            .map(mark)
            .collect()
    };
    let none: [&str; 0] = [];
    assert_eq!(order(""), none);
    assert_eq!(
        order("order_by=-created&order_by=title,%2Bsize"),
        ["-created", "title", "size"]
    );
    assert_eq!(order("order_by=+title"), ["title"]);
    assert_eq!(order("sort_by=title"), ["title"]);
    assert_eq!(order("order_by=size&sort_by=title"), ["size"]);
    assert_eq!(
        order("order_by=ind_type,type,id,_id"),
        ["type", "type", "_id", "_id"]
    );
    assert_eq!(order("order_by=actors"), ["actor_count"]);
    assert_eq!(
        order("sort=title,-obj.object_type,+nosuch,campaign__name"),
        ["title", "-objects.type", "nosuch", "campaign.name"]
    );
    assert_eq!(order("sort=title&order_by=size"), ["size"]);
    assert_eq!(order("order_by="), none);
    assert_eq!(
        warnings("order_by=favorite"),
        ["order_by: nothing can be ordered by 'favorite', ignored"]
    );
    let rows = [
        (
            "order_by=nosuch",
            "No matching 'nosuch' field for ordering on.",
        ),
        (
            "order_by=title;DROP TABLE x",
            "No matching 'title;DROP TABLE x' field for ordering on.",
        ),
        (
            "order_by=campaign",
            "The 'campaign' field does not allow ordering.",
        ),
        (
            "order_by=campaign__name",
            "The 'campaign__name' field does not allow ordering.",
        ),
        (
            "order_by=unsupported_attrs",
            "The 'unsupported_attrs' field does not allow ordering.",
        ),
        (
            "sort=$where",
            "Invalid sort field '$where': the field name has a part that begins with `$` or contains NUL.",
        ),
    ];
    for (query, text) in rows {
        assert_eq!(refusal(query), text);
    }
    assert_eq!(
        refusal(&format!("sort={}", vec!["a"; 33].join(","))),
        "Too many fields to order by: at most 32 are used."
    );
}

#[test]
fn l8_at_most_a_thousand_parameters() {
    assert!(Parameters::parse("a=1&".repeat(1_000).as_bytes()).is_ok());
    let refused = Parameters::parse("a=1&".repeat(1_001).as_bytes()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "Too many parameters: at most 1000 are read."
    );
}
