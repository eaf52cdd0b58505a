//! `GET /api/v1/RESOURCE/schema/` (rule U15).

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value as Json, json};

use super::answer;
use super::failure::Failure;
use super::format::Format;
use super::pipeline::Call;
use crate::plugins::TypeEntry;
use crate::plugins::declaration::TypeDeclaration;
use crate::query::{Field, Kind, Model};

/// For every authenticated user.
pub(super) fn get(call: &Call<'_>, entry: &TypeEntry) -> Result<Response, Failure> {
    let types = call.state.models.of(&call.registry);
    let of = &call.registry.whole(entry).declaration;
    Ok(answer::rendered(
        StatusCode::OK,
        Format::of(&call.parameters),
        &of_type(&entry.declaration, of, &types.model(of)),
    ))
}

/// The schema of a resource, with the fields of the type that it is about, under the keys of the original; `stored_name`
/// is added.
pub(super) fn of_type(resource: &TypeDeclaration, of: &TypeDeclaration, model: &Model) -> Json {
    let methods = |possible: &[&str]| -> Vec<String> {
        possible
            .iter()
            .filter(|method| resource.methods.iter().any(|declared| declared == *method))
            .map(|method| method.to_lowercase())
            .collect()
    };
    let mut fields = Map::new();
    let mut ordering = Vec::new();
    for field in &model.fields {
        let declared = of
            .fields
            .iter()
            .find(|declared| declared.stored_name() == field.stored);
        let is_key = field.stored == "_id";
        let mut described = json!({
            "type": type_name(field.kind),
            "nullable": !field.required,
            "blank": false,
            "readonly": is_key,
            "unique": is_key,
            "primary_key": is_key,
            "default": declared
                .and_then(|declared| declared.default.clone())
                .unwrap_or_else(|| default_of(field)),
            "help_text": declared.map_or("", |declared| declared.summary.as_str()),
            "verbose_name": field.name.replace('_', " "),
            "stored_name": field.stored,
        });
        if field.kind == Kind::List {
            let kind = match field.element {
                Kind::Map => "embeddeddocument",
                element => type_name(element),
            };
            described["content"] = json!({ "type": kind, "help_text": "" });
        }
        fields.insert(field.name.clone(), described);
        if field.kind.is_scalar() {
            ordering.push(field.name.clone());
        }
    }
    json!({
        "allowed_detail_http_methods": methods(&["GET", "PATCH"]),
        "allowed_list_http_methods": methods(&["GET", "POST"]),
        "default_format": "application/json",
        "default_limit": 20,
        "fields": fields,
        "ordering": ordering,
    })
}

/// What a field has if nobody says anything (documents, section 2).
fn default_of(field: &Field) -> Json {
    match (field.stored.as_str(), field.kind) {
        ("status", _) => "New".into(),
        ("tlp", _) => "red".into(),
        (_, Kind::List) => json!([]),
        _ if field.required => "No default provided.".into(),
        _ => Json::Null,
    }
}

fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Uuid | Kind::Binary | Kind::File | Kind::Any => "string",
        Kind::Int => "integer",
        Kind::Num => "float",
        Kind::Bool => "boolean",
        Kind::Date => "datetime",
        Kind::Id => "objectid",
        Kind::List => "list",
        Kind::Map => "dict",
    }
}
