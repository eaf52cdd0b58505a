//! A stored document as answers show it: rules J2 to J8 and J10, M1 to M6.
//!
//! Stored bytes are walked where they lie and written to a [`Sink`], one for each format; no tree is built between.

mod order;
mod sink;
#[cfg(test)]
pub(in crate::api) mod testing;
mod value;
mod xml;
mod yaml;

use std::collections::HashSet;

use bson::raw::{RawArray, RawBsonRef};
use bson::{Bson, RawDocument};
use serde_json::Value as Json;

pub(super) use self::sink::{Content, JsonSink, Sink};
use self::value::{Plain, plain};
pub(super) use self::xml::XmlSink;
pub(super) use self::yaml::YamlSink;
use crate::access::{Cleared, Sight};
use crate::dates::{self, Zones};
use crate::plugins::value::json_to_bson;
use crate::query::{Field, Kind, Mask, Model, Projection};

const UNSUPPORTED: &str = "unsupported_attrs";
/// An artefact of the original that may be stored below `unsupported_attrs` (rule M6).
const ARTEFACT: &str = "get_tlp_display";
/// How deep an answer is nested at most: readers of JSON in wide use refuse more than 128 levels.
const DEEPEST: usize = 100;
/// Names of one object beyond which a set tells whether one came before.
const FEW: usize = 32;

/// Writes a document as its reader may see it. `inlined`: a root field and the text that it shows instead of its value.
pub(super) fn document(
    sink: &mut impl Sink,
    model: &Model,
    stored: &RawDocument,
    cleared: &Cleared<'_>,
    projection: &Projection,
    inlined: Option<(&str, &str)>,
    zones: &Zones,
) {
    let walk = Walk {
        sink,
        stored,
        zones,
        names: Vec::new(),
        depth: 0,
        is_damaged: false,
    };
    walk.root(model, cleared, projection, inlined);
}

/// JSON of the contract (`{"$date": …}`, `{"$oid": …}`, `{"$binary": …}`) in the form of the API.
pub(super) fn answered(value: Json, zones: &Zones) -> Json {
    match value {
        Json::Array(elements) => elements
            .into_iter()
            .map(|element| answered(element, zones))
            .collect(),
        Json::Object(members) => {
            let wrapped = members.len() == 1 && members.keys().all(|name| name.starts_with('$'));
            let unwrapped = wrapped
                .then(|| {
                    json_to_bson(&Json::Object(members.clone()))
                        .ok()
                        .and_then(|value| unwrapped(value, zones))
                })
                .flatten();
            unwrapped.unwrap_or_else(|| {
                Json::Object(
                    members
                        .into_iter()
                        .map(|(name, value)| (name, answered(value, zones)))
                        .collect(),
                )
            })
        }
        plain => plain,
    }
}

/// Of a value that JSON has no form for: the form of the API.
fn unwrapped(value: Bson, zones: &Zones) -> Option<Json> {
    match value {
        Bson::ObjectId(id) => Some(id.to_hex().into()),
        Bson::DateTime(date) => Some(dates::text(zones.shown(date.timestamp_millis())).into()),
        Bson::Binary(binary) => Some(value::bytes(binary.subtype, &binary.bytes).into()),
        _ => None,
    }
}

/// What is known of a value.
#[derive(Clone, Copy)]
struct Known<'m> {
    field: Option<&'m Field>,
    /// Attributes nobody declared stay as they are, nulls included (rule J8); else unset values are absent (rule J5).
    keeps_nulls: bool,
}

impl<'m> Known<'m> {
    const NOTHING: Self = Self {
        field: None,
        keeps_nulls: false,
    };
    const UNDECLARED: Self = Self {
        field: None,
        keeps_nulls: true,
    };

    fn of(field: Option<&'m Field>) -> Self {
        Self {
            field,
            keeps_nulls: false,
        }
    }

    fn kind(self) -> Kind {
        self.field.map_or(Kind::Any, |field| field.kind)
    }

    /// Of an element, if this is a list.
    fn element(self) -> Kind {
        self.field.map_or(Kind::Any, |field| field.element)
    }

    /// Of a field, if this is a document or a list of them.
    fn below(self, stored: &str) -> Self {
        let fields = self.field.map_or(&[][..], |field| &field.fields);
        Self {
            field: fields.iter().find(|field| field.stored == stored),
            ..self
        }
    }
}

/// One document being written.
struct Walk<'d, S> {
    sink: &'d mut S,
    /// All of it, to say in the log which one is damaged.
    stored: &'d RawDocument,
    zones: &'d Zones,
    /// Names met so far in the objects that are open.
    names: Vec<&'d str>,
    depth: usize,
    is_damaged: bool,
}

impl<'d, S: Sink> Walk<'d, S> {
    /// Unknown names are moved below `unsupported_attrs` (rules J8, M4 to M6), absent lists (rules J5, M2, M3) and a
    /// missing `tlp` (decision of the specification) are added. Nothing else is invented.
    fn root(
        mut self,
        model: &Model,
        cleared: &'d Cleared<'d>,
        projection: &Projection,
        inlined: Option<(&str, &str)>,
    ) {
        let mut unknown: Vec<(&'d str, RawBsonRef<'d>)> = Vec::new();
        let mut unsupported = None;
        let mut shown = vec![false; model.fields.len()];
        let mut has_tlp = false;
        self.sink.begin_object();
        self.each(self.stored, |walk, name, value| {
            if name == UNSUPPORTED {
                unsupported = value.as_document();
                return;
            }
            let Some(position) = model.position(name) else {
                if !name.starts_with('_') {
                    unknown.push((name, value));
                }
                return;
            };
            let value = match cleared.field(name) {
                Sight::AsStored => value,
                Sight::List(list) => RawBsonRef::Array(list),
                Sight::Hidden => return,
            };
            if matches!(value, RawBsonRef::Null) {
                return;
            }
            shown[position] = true;
            has_tlp |= name == "tlp";
            match (projection.root(name), inlined) {
                (Some(_), Some((field, text))) if field == name => {
                    walk.sink.key(name);
                    walk.sink.text(text);
                }
                (Some(mask), _) => {
                    walk.member(name, value, Known::of(model.fields.get(position)), mask);
                }
                (None, _) => shown[position] = !projection.shows_empty(name),
            }
        });
        for (field, shown) in model.fields.iter().zip(shown) {
            let is_wanted = || {
                projection.root(&field.stored).is_some() || projection.shows_empty(&field.stored)
            };
            if !shown && field.kind == Kind::List && is_wanted() {
                self.sink.key(&field.stored);
                self.sink.begin_list();
                self.sink.end_list();
            }
        }
        if model.top_level && !has_tlp && projection.root("tlp").is_some() {
            self.sink.key("tlp");
            self.sink.text("red");
        }
        let is_wanted = model.top_level || !unknown.is_empty() || unsupported.is_some();
        if let (true, Some(mask)) = (is_wanted, projection.root(UNSUPPORTED)) {
            self.unsupported(model, unsupported, &unknown, mask);
        }
        self.sink.end_object();
    }

    /// Of two values of one name the one at the root is newer than the one kept below `unsupported_attrs`.
    fn unsupported(
        &mut self,
        model: &Model,
        kept: Option<&'d RawDocument>,
        unknown: &[(&'d str, RawBsonRef<'d>)],
        mask: Mask<'_>,
    ) {
        let is_shown =
            |name: &str| name != ARTEFACT && !unknown.iter().any(|(other, _)| *other == name);
        let is_empty = unknown.is_empty()
            && !kept.is_some_and(|kept| {
                kept.iter_elements()
                    .flatten()
                    .any(|element| element.key().as_str() != ARTEFACT)
            });
        if is_empty && !model.top_level {
            return;
        }
        self.sink.key(UNSUPPORTED);
        self.sink.begin_object();
        if let Some(kept) = kept {
            self.each(kept, |walk, name, value| {
                if let (true, Some(mask)) = (is_shown(name), mask.field(name)) {
                    walk.member(name, value, Known::UNDECLARED, mask);
                }
            });
        }
        for (name, value) in unknown {
            if let Some(mask) = mask.field(name) {
                self.member(name, *value, Known::UNDECLARED, mask);
            }
        }
        self.sink.end_object();
    }

    /// Visits what can be read of an object, each name once: the first of two counts, as in conditions (rule J10).
    fn each(
        &mut self,
        object: &'d RawDocument,
        mut visit: impl FnMut(&mut Self, &'d str, RawBsonRef<'d>),
    ) {
        let base = self.names.len();
        let mut many: Option<HashSet<&'d str>> = None;
        for element in object.iter_elements() {
            let Ok(element) = element else {
                self.damaged(None);
                break;
            };
            let name = element.key().as_str();
            let Ok(value) = element.value() else {
                self.damaged(Some(name));
                continue;
            };
            let is_new = match &mut many {
                Some(names) => names.insert(name),
                None => {
                    let is_new = !self.names[base..].contains(&name);
                    self.names.push(name);
                    if self.names.len() - base > FEW {
                        many = Some(self.names.drain(base..).collect());
                    }
                    is_new
                }
            };
            if is_new {
                visit(self, name, value);
            }
        }
        self.names.truncate(base);
    }

    /// A value with its name, if there is anything to show of it.
    fn member(&mut self, name: &str, value: RawBsonRef<'d>, known: Known<'_>, mask: Mask<'_>) {
        match value {
            RawBsonRef::Document(object) => {
                self.sink.key(name);
                self.object(object, known, mask);
            }
            RawBsonRef::Array(list) => {
                self.sink.key(name);
                self.list(list, known, mask);
            }
            other => match plain(other, known.kind(), self.zones) {
                Some(value) => {
                    self.sink.key(name);
                    self.plain(&value);
                }
                None if known.keeps_nulls => {
                    self.sink.key(name);
                    self.sink.null();
                }
                None => {}
            },
        }
    }

    fn object(&mut self, object: &'d RawDocument, known: Known<'_>, mask: Mask<'_>) {
        self.sink.begin_object();
        if self.descend() {
            self.each(object, |walk, name, value| {
                if let Some(mask) = mask.field(name) {
                    walk.member(name, value, known.below(name), mask);
                }
            });
            self.depth -= 1;
        }
        self.sink.end_object();
    }

    fn list(&mut self, list: &'d RawArray, known: Known<'_>, mask: Mask<'_>) {
        self.sink.begin_list();
        if self.descend() {
            for element in list {
                match element {
                    Ok(RawBsonRef::Document(object)) => self.object(object, known, mask),
                    Ok(RawBsonRef::Array(list)) => {
                        let inner = match known.keeps_nulls {
                            true => Known::UNDECLARED,
                            false => Known::NOTHING,
                        };
                        self.list(list, inner, mask);
                    }
                    Ok(other) => match plain(other, known.element(), self.zones) {
                        Some(value) => self.plain(&value),
                        None => self.sink.null(),
                    },
                    Err(_) => {
                        self.damaged(None);
                        break;
                    }
                }
            }
            self.depth -= 1;
        }
        self.sink.end_list();
    }

    fn plain(&mut self, value: &Plain<'_>) {
        match value {
            Plain::Text(text) => self.sink.text(text),
            Plain::Whole(number) => self.sink.whole(*number),
            Plain::Number(number) => self.sink.number(*number),
            Plain::Flag(flag) => self.sink.flag(*flag),
        }
    }

    /// One level down, unless that is too deep.
    fn descend(&mut self) -> bool {
        if self.depth >= DEEPEST {
            self.damaged(None);
            return false;
        }
        self.depth += 1;
        true
    }

    /// Rule J10: what can't be read is left out and logged, once for each document.
    fn damaged(&mut self, field: Option<&str>) {
        if !self.is_damaged {
            self.is_damaged = true;
            let id = self.stored.get_object_id("_id").ok();
            tracing::error!(
                ?id,
                ?field,
                "a stored document is damaged; it is shown as far as it can be read"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use bson::oid::ObjectId;
    use bson::spec::BinarySubtype;
    use bson::{Binary, DateTime, Document, RawArrayBuf, RawDocumentBuf, cstr, doc};
    use serde_json::json;

    use super::*;
    use crate::access::{Clearance, Collections, Rights, SourceRights};

    fn model(top_level: bool) -> Model {
        let instances = vec![
            Field::new("date", Kind::Date),
            Field::new("method", Kind::Text),
        ];
        Model {
            fields: vec![
                Field::new("id", Kind::Id).stored_as("_id"),
                Field::new("schema_version", Kind::Int),
                Field::new("tlp", Kind::Text),
                Field::new("name", Kind::Text),
                Field::new("size", Kind::Int),
                Field::new("active", Kind::Bool),
                Field::new("event_id", Kind::Uuid),
                Field::new("link_id", Kind::Uuid),
                Field::new("created", Kind::Date),
                Field::list_of("bucket_list", Kind::Text),
                Field::list_of("counts", Kind::Int),
                Field::list_with(
                    "source",
                    vec![
                        Field::new("name", Kind::Text),
                        Field::list_with("instances", instances),
                    ],
                ),
                Field::new("unsupported_attrs", Kind::Map),
            ],
            top_level,
        }
    }

    fn shown(top_level: bool, stored: Document) -> Json {
        shown_raw(top_level, &RawDocumentBuf::try_from(&stored).unwrap())
    }

    /// As a reader sees it who sees all sources.
    fn shown_raw(top_level: bool, stored: &RawDocument) -> Json {
        shown_in(&Zones::default(), top_level, stored)
    }

    fn shown_in(zones: &Zones, top_level: bool, stored: &RawDocument) -> Json {
        let rights = Rights {
            flags: BTreeSet::new(),
            sources: ["A", "Other"]
                .map(|name| (name.to_owned(), SourceRights::ALL))
                .into(),
        };
        let collections = Collections::new();
        let clearance = Clearance::without_partners(&rights, &collections);
        let mut sink = JsonSink::default();
        document(
            &mut sink,
            &model(top_level),
            stored,
            &clearance.of(stored),
            &Projection::default(),
            None,
            zones,
        );
        serde_json::from_slice(&sink.into_bytes()).unwrap()
    }

    const ID: &str = "5b2c3d4e5f60718293a4b5c6";

    #[test]
    fn j2_j3_j4_j5_j6_values() {
        let uuid = uuid::Uuid::parse_str("12345678-1234-1234-1234-1234567890ab").unwrap();
        let binary = |subtype, bytes: &[u8]| {
            Bson::Binary(Binary {
                subtype,
                bytes: bytes.to_vec(),
            })
        };
        let stored = doc! {
            "_id": ObjectId::parse_str(ID).unwrap(), "schema_version": 3.0, "tlp": "amber", "name": "é\u{202e}", "size": "42", "active": 1,
            "event_id": binary(BinarySubtype::UuidOld, uuid.as_bytes()), "link_id": "123456781234123412341234567890AB",
            "created": DateTime::from_millis(1_577_934_245_006), "bucket_list": ["a"], "counts": [1.0, 2_i64],
            "source": [{"name": "A", "instances": [{"date": DateTime::from_millis(0), "method": Bson::Null, "reference": ""}]}, {"name": "Other", "instances": [0]}],
            "unsupported_attrs": {},
        };
        assert_eq!(
            shown(true, stored),
            json!({
                "_id": ID, "schema_version": 3, "tlp": "amber", "name": "é\u{202e}", "size": 42, "active": true,
                "event_id": "12345678-1234-1234-1234-1234567890ab", "link_id": "12345678-1234-1234-1234-1234567890ab",
                "created": "2020-01-02 03:04:05.006000", "bucket_list": ["a"], "counts": [1, 2],
                "source": [{"name": "A", "instances": [{"date": "1970-01-01 00:00:00.000000", "reference": ""}]}, {"name": "Other", "instances": [0]}],
                "unsupported_attrs": {},
            })
        );
    }

    #[test]
    fn d1_all_dates_are_shown_in_the_zone_that_was_set() {
        let date = DateTime::from_millis(1_577_934_245_006);
        let stamp = bson::Timestamp {
            time: 1_577_934_245,
            increment: 7,
        };
        let stored = doc! {
            "created": date, "name": "2020-01-02 03:04:05.006000", "bucket_list": [date],
            "source": [{"name": "A", "instances": [{"date": date, "method": "m"}]}], "odd": {"date": date, "stamp": stamp},
        };
        let raw = RawDocumentBuf::try_from(&stored).unwrap();
        let zones = Zones::named("America/New_York", "Europe/Berlin");
        assert_eq!(
            shown_in(&zones, false, &raw),
            json!({
                "created": "2020-01-02 09:04:05.006000", "name": "2020-01-02 03:04:05.006000", "bucket_list": ["2020-01-02 09:04:05.006000"],
                "counts": [], "source": [{"name": "A", "instances": [{"date": "2020-01-02 09:04:05.006000", "method": "m"}]}],
                "unsupported_attrs": {"odd": {"date": "2020-01-02 09:04:05.006000", "stamp": "2020-01-02 09:04:05.000000"}},
            })
        );
        assert_eq!(
            answered(
                json!({"date": {"$date": 0}, "list": [{"a": {"$date": 0}}, "1970-01-01 00:00:00.000000"]}),
                &Zones::named("", "Asia/Kolkata")
            ),
            json!({"date": "1970-01-01 05:30:00.000000", "list": [{"a": "1970-01-01 05:30:00.000000"}, "1970-01-01 00:00:00.000000"]})
        );
    }

    #[test]
    fn j5_j10_m2_m3_unset_is_absent_lists_are_there_and_only_tlp_is_made_up() {
        assert_eq!(
            shown(
                true,
                doc! {"_id": ObjectId::parse_str(ID).unwrap(), "name": Bson::Null, "bucket_list": Bson::Null}
            ),
            json!({"_id": ID, "bucket_list": [], "counts": [], "source": [], "tlp": "red", "unsupported_attrs": {}})
        );
        assert_eq!(
            shown(
                true,
                doc! {"size": "large", "created": "yesterday", "source": "odd"}
            )["size"],
            "large"
        );
    }

    #[test]
    fn j8_m4_m5_m6_unknown_keys_go_below_unsupported_attrs() {
        let stored = doc! {"weird": {"a": Bson::Null, "b": [1.5]}, "_cls": "X", "tlp": "red", "unsupported_attrs": {"old": 1, "get_tlp_display": Bson::Null}};
        assert_eq!(
            shown(true, stored)["unsupported_attrs"],
            json!({"old": 1, "weird": {"a": null, "b": [1.5]}})
        );
        let identifier = shown(
            false,
            doc! {"name": "x", "unsupported_attrs": {"tlp": "amber"}},
        );
        assert_eq!(
            (&identifier["unsupported_attrs"], identifier.get("tlp")),
            (&json!({"tlp": "amber"}), None)
        );
        assert_eq!(
            shown(false, doc! {"name": "x"}).get("unsupported_attrs"),
            None
        );
    }

    #[test]
    fn j6_other_kinds() {
        let stored = doc! {"unsupported_attrs": {
            "bytes": Binary { subtype: BinarySubtype::Generic, bytes: vec![1, 2, 255] }, "nan": f64::NAN, "big": i64::MAX, "symbol": Bson::Symbol("s".into()),
            "short": Binary { subtype: BinarySubtype::Uuid, bytes: vec![1] }, "min": Bson::MinKey,
        }};
        assert_eq!(
            shown(true, stored)["unsupported_attrs"],
            json!({"bytes": "AQL/", "nan": null, "big": i64::MAX, "symbol": "s", "short": "AQ==", "min": null})
        );
    }

    #[test]
    fn j9_j11_text_is_utf8_and_schema_versions_are_whole() {
        let stored =
            RawDocumentBuf::try_from(&doc! {"schema_version": 2.0, "name": "\u{e9}\u{1f600}"});
        let stored = stored.unwrap();
        let rights = Rights::default();
        let clearance = Clearance::without_partners(&rights, &Collections::new());
        let mut sink = JsonSink::default();
        let (cleared, projection) = (clearance.of(&stored), Projection::default());
        document(
            &mut sink,
            &model(false),
            &stored,
            &cleared,
            &projection,
            None,
            &Zones::default(),
        );
        let text = String::from_utf8(sink.into_bytes()).unwrap();
        let begin = "{\"schema_version\":2,\"name\":\"\u{e9}\u{1f600}\",";
        assert!(text.starts_with(begin), "{text}");
    }

    #[test]
    fn j10_a_damaged_document_is_shown_as_far_as_possible() {
        // {"a": 1, "b": <text that is no UTF-8>, "c": 2}
        let mut bytes = vec![
            0, 0, 0, 0, 0x10, b'a', 0, 1, 0, 0, 0, 0x02, b'b', 0, 2, 0, 0, 0, 0xff, 0, 0x10, b'c',
            0, 2, 0, 0, 0, 0,
        ];
        bytes[0] = u8::try_from(bytes.len()).unwrap();
        let raw = RawDocument::from_bytes(&bytes).unwrap();
        assert_eq!(
            shown_raw(false, raw)["unsupported_attrs"],
            json!({"a": 1, "c": 2})
        );
    }

    #[test]
    fn j10_of_a_name_stored_twice_the_first_counts() {
        let mut inner = RawDocumentBuf::new();
        for number in 0..100 {
            inner.append(cstr!("x"), number);
            let name = bson::raw::CString::try_from(format!("n{}", number % 50)).unwrap();
            inner.append(&name, number);
        }
        let mut stored = RawDocumentBuf::new();
        stored.append(cstr!("name"), "first");
        stored.append(cstr!("source"), RawArrayBuf::new());
        stored.append(cstr!("name"), "second");
        stored.append(cstr!("source"), "second");
        stored.append(cstr!("odd"), inner);
        let text = shown_raw(false, &stored);
        assert_eq!(
            (&text["name"], &text["source"]),
            (&json!("first"), &json!([]))
        );
        let odd = text["unsupported_attrs"]["odd"].as_object().unwrap();
        assert_eq!(
            (odd.len(), &odd["x"], &odd["n49"]),
            (51, &json!(0), &json!(49))
        );
    }

    #[test]
    fn too_deep_nesting_ends_without_harm() {
        let mut deep = doc! {"end": 1};
        for _ in 0..400 {
            deep = doc! {"a": deep};
        }
        let shown = shown(false, doc! {"deep": deep});
        assert!(shown["unsupported_attrs"]["deep"]["a"]["a"].is_object());
        assert!(!shown.to_string().contains("end"));
    }
}
