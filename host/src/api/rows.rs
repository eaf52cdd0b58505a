//! Documents as rows: `format=csv` and `format=ndjson`. Ours, not the original's.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value as Json;

use super::answer;
use super::failure::Failure;
use super::format::Rows;
use super::reading::Reader;
use super::render::{Content, JsonSink};
use crate::query::{Model, Parameters, Projection};
use crate::store::StoredDocument;

/// Type of an answer with a JSON object a line.
pub(super) const NDJSON: &str = "application/x-ndjson";

/// How rows are written.
pub(super) enum Table {
    /// Comma-separated values (RFC 4180) with a header.
    Csv(Vec<Column>),
    /// One JSON object a line, the same that a detail answer is.
    Ndjson,
}

/// A column of comma-separated values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    /// Stored path: the header.
    path: String,
}

impl Table {
    /// The columns are what `only` names, in its order; without it `_id`, then all declared fields that are neither list
    /// nor document. What `exclude` names is left out.
    pub(super) fn new(
        rows: Rows,
        model: &Model,
        parameters: &Parameters,
        projection: &Projection,
    ) -> Self {
        if rows == Rows::Ndjson {
            return Self::Ndjson;
        }
        let only = parameters
            .last("only")
            .filter(|only| !only.trim().is_empty());
        let mut paths: Vec<String> = Vec::new();
        let mut add = |path: &str| {
            if is_shown(projection, path) && !paths.iter().any(|other| other == path) {
                paths.push(path.to_owned());
            }
        };
        match only {
            Some(only) => {
                for name in only.split(',').map(str::trim) {
                    let root = name.split('.').next().unwrap_or_default();
                    let resolved = model.field(root).and_then(|_| model.resolve(name).ok());
                    if let Some(path) =
                        resolved.and_then(|resolved| resolved.paths.into_iter().next_back())
                    {
                        add(path.as_str());
                    }
                }
            }
            None => {
                add("_id");
                let scalar = model.fields.iter().filter(|field| field.kind.is_scalar());
                scalar.for_each(|field| add(&field.stored));
            }
        }
        Self::Csv(paths.into_iter().map(|path| Column { path }).collect())
    }

    /// Type of the answer.
    pub(super) fn content_type(&self) -> &'static str {
        match self {
            Self::Csv(_) => "text/csv; charset=utf-8; header=present",
            Self::Ndjson => NDJSON,
        }
    }

    /// What comes before all rows.
    pub(super) fn header(&self) -> Vec<u8> {
        let mut written = Vec::new();
        if let Self::Csv(columns) = self {
            line(
                &mut written,
                columns.iter().map(|column| safe(&column.path)),
            );
        }
        written
    }

    /// One document.
    pub(super) fn row(&self, written: &mut Vec<u8>, document: &impl Content) {
        let mut sink = JsonSink::with_capacity(document.size());
        document.write(&mut sink);
        let json = sink.into_bytes();
        match self {
            Self::Ndjson => {
                written.extend_from_slice(&json);
                written.push(b'\n');
            }
            Self::Csv(columns) => {
                // What we have written ourselves can be read.
                let document: Json = serde_json::from_slice(&json).unwrap_or_default();
                line(
                    written,
                    columns.iter().map(|column| cell(&document, &column.path)),
                );
            }
        }
    }

    /// All of these documents.
    pub(super) async fn answer(
        &self,
        reader: &Reader,
        documents: &[StoredDocument],
        projection: &Projection,
        warnings: &[String],
    ) -> Result<Response, Failure> {
        let clearance = reader.clearance(documents).await?;
        let mut written = self.header();
        for document in documents {
            self.row(&mut written, &reader.shown(document, clearance, projection));
        }
        let mut response = answer::response(StatusCode::OK, self.content_type(), written);
        answer::add_warnings(&mut response, warnings);
        Ok(response)
    }
}

/// Is anything shown of this path?
fn is_shown(projection: &Projection, path: &str) -> bool {
    let mut segments = path.split('.');
    let mut mask = segments.next().and_then(|root| projection.root(root));
    for segment in segments {
        mask = mask.and_then(|mask| mask.field(segment));
    }
    mask.is_some()
}

/// A line ends as RFC 4180 has it.
fn line(written: &mut Vec<u8>, cells: impl Iterator<Item = String>) {
    for (number, cell) in cells.enumerate() {
        if number > 0 {
            written.push(b',');
        }
        quote(written, &cell);
    }
    written.extend_from_slice(b"\r\n");
}

/// Quotes where RFC 4180 wants them, and around semicolons, which separate cells for spreadsheets of many countries.
fn quote(written: &mut Vec<u8>, cell: &str) {
    if !cell.contains(['"', ',', ';', '\r', '\n']) {
        written.extend_from_slice(cell.as_bytes());
        return;
    }
    written.push(b'"');
    written.extend_from_slice(cell.replace('"', "\"\"").as_bytes());
    written.push(b'"');
}

/// What a document has at a path: the elements of lists joined with semicolons.
fn cell(document: &Json, path: &str) -> String {
    let mut found = Vec::new();
    let segments: Vec<&str> = path.split('.').collect();
    collect(document, &segments, &mut found);
    let texts: Vec<String> = found.into_iter().map(text).collect();
    texts.join(";")
}

fn collect<'d>(value: &'d Json, path: &[&str], found: &mut Vec<&'d Json>) {
    match (value, path) {
        (Json::Array(elements), []) => found.extend(elements),
        (Json::Array(elements), path) => elements
            .iter()
            .for_each(|element| collect(element, path, found)),
        (value, []) => found.push(value),
        (Json::Object(members), [first, rest @ ..]) => {
            if let Some(value) = members.get(*first) {
                collect(value, rest, found);
            }
        }
        _ => {}
    }
}

/// A value in a cell; what is nested is compact JSON.
fn text(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => safe(text),
        Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => value.to_string(),
    }
}

/// Check XS-3: what a spreadsheet would take for a formula gets an apostrophe before it.
fn safe(text: &str) -> String {
    let apostrophe = if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        "'"
    } else {
        ""
    };
    // Readers of CSV stumble over NUL.
    format!("{apostrophe}{}", text.replace('\0', "\u{fffd}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::render::testing::written_by_python;
    use crate::dates::Zones;
    use crate::query::{Field, Kind, Limits, Strictness};

    fn model() -> Model {
        Model {
            fields: vec![
                Field::new("schema_version", Kind::Int),
                Field::new("id", Kind::Id).stored_as("_id"),
                Field::new("ind_type", Kind::Text).stored_as("type"),
                Field::new("created", Kind::Date),
                Field::list_of("bucket_list", Kind::Text),
                Field::list_with("source", vec![Field::new("name", Kind::Text)]),
                Field::new("unsupported_attrs", Kind::Map),
            ],
            top_level: true,
        }
    }

    fn table(query: &str) -> Table {
        let parameters = Parameters::parse(query.as_bytes()).unwrap();
        let request = crate::query::list(
            &model(),
            &parameters,
            Limits::default(),
            &Zones::default(),
            Strictness::Lenient,
        )
        .unwrap();
        Table::new(Rows::Csv, &model(), &parameters, &request.projection)
    }

    fn header(query: &str) -> String {
        String::from_utf8(table(query).header()).unwrap()
    }

    #[test]
    fn columns_are_what_only_names_or_all_plain_fields() {
        for (query, expected) in [
            ("", "_id,schema_version,type,created\r\n"),
            ("exclude=created,ind_type", "_id,schema_version\r\n"),
            (
                "only=source.name, ind_type ,id,type,nosuch,bucket_list",
                "source.name,type,_id,bucket_list\r\n",
            ),
            ("only=type,created&exclude=created", "type\r\n"),
            ("only=", "_id,schema_version,type,created\r\n"),
            ("only=nosuch", "\r\n"),
        ] {
            assert_eq!(header(query), expected, "{query}");
        }
    }

    #[test]
    fn xs3_cells() {
        let document = json!({"a": {"b": [{"c": 1}, {"c": ["x", "=y"]}, {"d": 2}]}, "n": -1.5, "t": true, "z": null, "m": {"k": "v,\"w\""}, "l": [{"k": 1}, [2], "s", null],
            "f": "=1+1", "p": "+1", "d": "-1", "at": "@x", "tab": "\tx", "cr": "\rx", "e": "", "q": "say \"hi\", you", "s": "a;b", "nul": "\0"});
        for (path, expected) in [
            ("a.b.c", "1;x;'=y"),
            ("a.b", "{\"c\":1};{\"c\":[\"x\",\"=y\"]};{\"d\":2}"),
            ("n", "-1.5"),
            ("t", "true"),
            ("z", ""),
            ("nosuch", ""),
            ("n.x", ""),
            ("m", "{\"k\":\"v,\\\"w\\\"\"}"),
            ("l", "{\"k\":1};[2];s;"),
            ("f", "'=1+1"),
            ("p", "'+1"),
            ("d", "'-1"),
            ("at", "'@x"),
            ("tab", "'\tx"),
            ("cr", "'\rx"),
            ("e", ""),
            ("q", "say \"hi\", you"),
            ("nul", "\u{fffd}"),
        ] {
            assert_eq!(cell(&document, path), expected, "{path}");
        }
    }

    #[test]
    fn rows_are_read_by_pythons_csv() {
        let names = ["q", "s", "cr", "m", "é\nf"];
        let columns = names.map(|name| Column {
            path: name.to_owned(),
        });
        let table = Table::Csv(columns.to_vec());
        let mut written = table.header();
        let document = json!({"q": "say \"hi\", you", "s": "a;b", "cr": "x\r\ny", "m": {"k": [1, "\""]}, "é\nf": "\u{1f600}"});
        table.row(&mut written, &document);
        assert_eq!(
            String::from_utf8(written.clone()).unwrap(),
            "q,s,cr,m,\"é\nf\"\r\n\"say \"\"hi\"\", you\",\"a;b\",\"x\r\ny\",\"{\"\"k\"\":[1,\"\"\\\"\"\"\"]}\",\u{1f600}\r\n"
        );
        let script = "import sys, csv, json, io\nprint(json.dumps(list(csv.reader(io.StringIO(sys.stdin.buffer.read().decode(), newline=''), strict=True))))";
        assert_eq!(
            written_by_python(script, &written),
            json!([
                names,
                [
                    "say \"hi\", you",
                    "a;b",
                    "x\r\ny",
                    "{\"k\":[1,\"\\\"\"]}",
                    "\u{1f600}"
                ]
            ])
        );
    }
}
