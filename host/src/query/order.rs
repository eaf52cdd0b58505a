//! `order_by`, `sort_by`, `sort` (core-api 10.3).

use super::model::{Field, Kind, Model, UNSUPPORTED, field_named};
use super::{Parameters, Unreadable};
use crate::store::{Direction, FieldPath, SortKey};

/// Most fields of an order.
const MOST: usize = 32;

/// Rules G10 to G15. `_id` as the last tie-breaker is the store's business.
pub(super) fn read(
    model: &Model,
    parameters: &Parameters,
    warnings: &mut Vec<String>,
) -> Result<Vec<SortKey>, Unreadable> {
    let name = if parameters.last("order_by").is_some() {
        "order_by"
    } else {
        "sort_by"
    };
    let declared: Vec<&str> = parameters
        .all(name)
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect();
    if !declared.is_empty() {
        refuse_too_many(declared.len())?;
        let mut keys = Vec::new();
        for part in declared {
            let (direction, field) = direction(part);
            if let Some(path) = orderable(model, field, warnings)? {
                keys.push(SortKey { path, direction });
            }
        }
        return Ok(keys);
    }
    let free: Vec<&str> = parameters
        .last("sort")
        .into_iter()
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect();
    refuse_too_many(free.len())?;
    free.into_iter()
        .map(|part| {
            let (direction, field) = direction(part);
            let resolved = model.resolve(&field.replace("__", ".")).map_err(|error| {
                Unreadable::new(format!("Invalid sort field '{field}': {error}."))
            })?;
            let path = resolved
                .paths
                .into_iter()
                .next()
                .unwrap_or_else(FieldPath::itself);
            Ok(SortKey { path, direction })
        })
        .collect()
}

fn refuse_too_many(fields: usize) -> Result<(), Unreadable> {
    if fields > MOST {
        return Err(Unreadable::new(format!(
            "Too many fields to order by: at most {MOST} are used."
        )));
    }
    Ok(())
}

/// A blank is what is left of a `+` that was not percent-encoded; it was trimmed away before.
fn direction(part: &str) -> (Direction, &str) {
    match part.strip_prefix('-') {
        Some(field) => (Direction::Descending, field.trim()),
        None => (
            Direction::Ascending,
            part.strip_prefix('+').unwrap_or(part).trim(),
        ),
    }
}

/// Rule G12: the stored path of a field that `order_by` accepts; none if it is ignored with a warning.
fn orderable(
    model: &Model,
    name: &str,
    warnings: &mut Vec<String>,
) -> Result<Option<FieldPath>, Unreadable> {
    let unknown = || Unreadable::new(format!("No matching '{name}' field for ordering on."));
    let mut segments = name.split('.').flat_map(|part| part.split("__"));
    let root = segments.next().unwrap_or_default();
    let Some(mut field) = model.field(root).or_else(|| counter(model, root)) else {
        if name == "favorite" {
            warnings.push("order_by: nothing can be ordered by 'favorite', ignored".into());
            return Ok(None);
        }
        return Err(unknown());
    };
    let mut path = field.stored.clone();
    for segment in segments {
        if field.kind == Kind::List {
            break;
        }
        field = field_named(&field.fields, segment).ok_or_else(unknown)?;
        path.push('.');
        path.push_str(&field.stored);
    }
    if !field.kind.is_scalar() || path == UNSUPPORTED {
        return Err(Unreadable::new(format!(
            "The '{name}' field does not allow ordering."
        )));
    }
    FieldPath::parse(&path).map(Some).map_err(|_| unknown())
}

/// The counter that an old name for it means: `actors` is `actor_count` ([better] line below the table of core-api 10.3).
fn counter<'a>(model: &'a Model, name: &str) -> Option<&'a Field> {
    let singular = name.strip_suffix('s')?;
    model
        .fields
        .iter()
        .find(|field| field.stored.strip_suffix("_count") == Some(singular))
}
