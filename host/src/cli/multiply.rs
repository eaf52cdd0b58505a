//! `multiply`: fills a collection for measurements, with copies of documents that the server itself has made.
//!
//! A copy differs from its template in its id, in its dates, and wherever a text of the template holds one of the marks:
//! [`NUMBER`] becomes the number of the copy, [`SCATTERED`] seven digits that follow no order.

use std::sync::Arc;

use bson::oid::ObjectId;
use bson::{Bson, Document};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::Failure;
use super::output::{Terminal, plural};
use crate::store::{CommitError, Store, Write, WriteSet};

/// Becomes the number of the copy.
const NUMBER: &str = "n0000000";
/// Becomes seven digits.
const SCATTERED: &str = "m0000000";

/// Documents in one commit.
const STEP: u64 = 250;
/// Commits that wait at once: the writer always has one to go on with.
const WAITING: usize = 4;

/// `multiply COLLECTION --like ID,… --from N --to N`: adds a copy for each number from `from` to below `to`, of each
/// template in turn.
pub(super) async fn run(
    store: &Arc<dyn Store>,
    collection: &str,
    like: &[ObjectId],
    numbers: std::ops::Range<u64>,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    let templates = store.get_many(collection, like).await?;
    if templates.is_empty() || templates.len() < like.len() {
        return Err(Failure::refused(format!(
            "`{collection}` has {} of the {} documents named",
            templates.len(),
            like.len()
        )));
    }
    let templates: Vec<Document> = templates
        .iter()
        .map(|template| Document::try_from(template.body.as_ref()))
        .collect::<Result<_, _>>()
        .map_err(|error| Failure::refused(error.to_string()))?;
    let starts = numbers.clone().step_by(STEP as usize);
    let groups = starts.map(|start| {
        let copies = start..(start + STEP).min(numbers.end);
        let writes = copies.filter_map(|number| {
            let template = usize::try_from(number).ok()? % templates.len();
            Some(Write::Insert {
                collection: collection.to_owned(),
                body: copy(templates.get(template)?, number),
            })
        });
        WriteSet {
            writes: writes.collect(),
            ..WriteSet::default()
        }
    });
    stream::iter(groups.map(|changes| store.commit(changes)))
        .buffer_unordered(WAITING)
        .try_collect::<()>()
        .await
        .map_err(refused)?;
    terminal.say(&format!(
        "Added {} to `{collection}`",
        plural(numbers.end.saturating_sub(numbers.start), "document")
    ));
    Ok(())
}

fn refused(error: CommitError) -> Failure {
    Failure::refused(format!("nothing more was added: {error}"))
}

fn scattered(number: u64) -> u64 {
    // Prime to ten million, so that no two of ten million numbers become the same.
    number.wrapping_mul(7_368_787) % 10_000_000
}

fn copy(template: &Document, number: u64) -> Document {
    let marks = [
        (NUMBER, number.to_string()),
        (SCATTERED, format!("{:07}", scattered(number))),
    ];
    let mut copy = template.clone();
    for (name, value) in copy.iter_mut() {
        match value {
            Bson::ObjectId(id) if name == "_id" => *id = id_of(number),
            Bson::DateTime(date) => {
                // Three minutes from one to the next: a million of them take six years.
                let back = i64::try_from(scattered(number) * 18_000).unwrap_or_default();
                *date = bson::DateTime::from_millis(date.timestamp_millis() - back);
            }
            value => change(value, &marks),
        }
    }
    copy
}

/// Ids ascend with the numbers, as they do when documents are made one after the other.
fn id_of(number: u64) -> ObjectId {
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&0x6500_0000_u32.to_be_bytes());
    bytes[4..].copy_from_slice(&number.to_be_bytes());
    ObjectId::from_bytes(bytes)
}

fn change(value: &mut Bson, marks: &[(&str, String)]) {
    match value {
        Bson::String(text) => {
            for (mark, becomes) in marks {
                if text.contains(mark) {
                    *text = text.replace(mark, becomes);
                }
            }
        }
        Bson::Document(document) => document
            .iter_mut()
            .for_each(|(_, value)| change(value, marks)),
        Bson::Array(values) => values.iter_mut().for_each(|value| change(value, marks)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[test]
    fn copies_differ_where_they_are_marked() {
        let template = doc! {
            "_id": id_of(7), "value": "am0000000x-n0000000.example.com", "type": "Domain",
            "created": bson::DateTime::from_millis(20_000_000_000),
            "source": [{ "name": "A", "instances": [{ "reference": "n0000000" }] }],
        };
        let copied = copy(&template, 12);
        assert_eq!(
            copied,
            doc! {
                "_id": id_of(12), "value": "a8425444x-12.example.com", "type": "Domain",
                "created": bson::DateTime::from_millis(20_000_000_000 - 8_425_444 * 18_000),
                "source": [{ "name": "A", "instances": [{ "reference": "12" }] }],
            }
        );
        assert!(id_of(12) > id_of(7));
    }
}
