//! A document as its reader may see it (rules C1 to C7). Pure, except for the one query that finds the classes of all
//! relationship partners of a page.

use std::collections::{BTreeMap, HashMap};

use bson::oid::ObjectId;
use bson::{Bson, Document, RawDocument, doc};

use super::Caller;
use super::rights::Rights;
use crate::store::class::Mark;
use crate::store::{ClassId, DocKey, Store, StoreError, Visible};

/// Whether instances are shown that the reader could not see alone (rule S4, setting `hide_unreadable_instances`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instances {
    /// All instances of the reader's sources: the rule.
    All,
    /// Only those that would make the document visible by themselves.
    Readable,
}

/// The document as values; what can't be decoded is left out and logged (rule J10).
pub(crate) fn decode(raw: &RawDocument) -> Document {
    if let Ok(document) = Document::try_from(raw) {
        return document;
    }
    let mut document = Document::new();
    for element in raw.iter_elements() {
        let Ok(element) = element else {
            tracing::error!(id = ?document.get("_id"), "a stored document is damaged; it is shown as far as it can be read");
            break;
        };
        let key = element.key().as_str().to_owned();
        match element
            .value()
            .ok()
            .and_then(|value| Bson::try_from(value).ok())
        {
            Some(value) => {
                document.insert(key, value);
            }
            None => {
                tracing::error!(id = ?document.get("_id"), field = %key, "a field of a stored document can't be read; it is left out")
            }
        }
    }
    document
}

fn name_of(entry: &Bson) -> Option<&str> {
    entry.as_document()?.get_str("name").ok()
}

/// TLP of a stored instance, as classes have it.
fn mark_of(instance: &Bson) -> Mark {
    let Some(instance) = instance.as_document() else {
        return Mark::Other;
    };
    match instance.get("tlp") {
        None | Some(Bson::Null) => Mark::Unmarked,
        Some(Bson::String(tlp)) => match tlp.as_str() {
            "white" => Mark::White,
            "green" => Mark::Green,
            "amber" => Mark::Amber,
            "red" => Mark::Red,
            _ => Mark::Other,
        },
        Some(_) => Mark::Other,
    }
}

/// Rule C1.
fn clean_sources(document: &mut Document, rights: &Rights, instances: Instances) {
    let Some(value) = document.get_mut("source") else {
        return;
    };
    let Bson::Array(entries) = value else {
        // Not a list of sources: nothing of it can be shown to be the reader's.
        document.remove("source");
        return;
    };
    let before = entries.len();
    entries.retain(|entry| name_of(entry).is_some_and(|name| rights.has_source(name)));
    let hidden = before - entries.len();
    if instances == Instances::Readable {
        for entry in entries.iter_mut().filter_map(Bson::as_document_mut) {
            let name = entry.get_str("name").unwrap_or_default().to_owned();
            if let Ok(list) = entry.get_array_mut("instances") {
                list.retain(|instance| rights.reads(&name, mark_of(instance)));
            }
        }
    }
    if hidden > 0 {
        entries.push(Bson::Document(
            doc! { "name": "Other", "instances": vec![0_i32; hidden] },
        ));
    }
}

/// Rule C2.
fn clean_releasability(document: &mut Document, rights: &Rights) {
    match document.get_mut("releasability") {
        Some(Bson::Array(entries)) => {
            entries.retain(|entry| name_of(entry).is_some_and(|name| rights.has_source(name)))
        }
        Some(_) => {
            document.remove("releasability");
        }
        None => {}
    }
}

/// Rule C6.
fn clean_objects(document: &mut Document, rights: &Rights) {
    let Ok(objects) = document.get_array_mut("objects") else {
        return;
    };
    for object in objects.iter_mut().filter_map(Bson::as_document_mut) {
        match object.get_mut("source") {
            Some(Bson::Array(entries)) => {
                entries.retain(|entry| name_of(entry).is_some_and(|name| rights.has_source(name)))
            }
            Some(_) => {
                object.remove("source");
            }
            None => {}
        }
    }
}

/// The partner of a relationship, if its type is known and its id is one.
fn partner<'a>(
    entry: &'a Bson,
    collections: &BTreeMap<String, (String, bool)>,
) -> Option<(DocKey, bool, &'a str)> {
    let entry = entry.as_document()?;
    let id = match entry.get("value")? {
        Bson::ObjectId(id) => *id,
        Bson::String(text) => ObjectId::parse_str(text).ok()?,
        _ => return None,
    };
    let type_name = entry.get_str("type").ok()?;
    let (collection, classed) = collections.get(type_name)?;
    Some((
        DocKey {
            collection: collection.clone(),
            id,
        },
        *classed,
        type_name,
    ))
}

/// Rules C1 to C7 on a page. `visible`: what the caller may see of classed collections.
pub(crate) async fn clean(
    store: &dyn Store,
    caller: &Caller,
    documents: &[&RawDocument],
    collections: &BTreeMap<String, (String, bool)>,
    visible: &Visible,
    instances: Instances,
) -> Result<Vec<Document>, StoreError> {
    let rights = &caller.rights;
    let mut page: Vec<Document> = documents.iter().map(|raw| decode(raw)).collect();
    for document in &mut page {
        clean_sources(document, rights, instances);
        clean_releasability(document, rights);
        clean_objects(document, rights);
        if !matches!(document.get("relationships"), None | Some(Bson::Array(_))) {
            document.remove("relationships");
        }
    }
    let mut partners: HashMap<DocKey, Option<ClassId>> = HashMap::new();
    for entry in page
        .iter()
        .filter_map(|document| document.get_array("relationships").ok())
        .flatten()
    {
        if let Some((key, _, _)) = partner(entry, collections) {
            partners.insert(key, None);
        }
    }
    if !partners.is_empty() {
        let keys: Vec<DocKey> = partners.keys().cloned().collect();
        for (key, class) in keys.iter().zip(store.classes_of(&keys).await?) {
            partners.insert(key.clone(), class);
        }
    }
    // Rule C5: kept if the partner exists and is visible under S1; collections without sources are visible to all (S7).
    for document in &mut page {
        if let Ok(entries) = document.get_array_mut("relationships") {
            entries.retain(|entry| {
                partner(entry, collections).is_some_and(|(key, classed, _)| {
                    let class = partners.get(&key).copied().flatten();
                    class.is_some_and(|class| !classed || visible.allows(class))
                })
            });
        }
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::super::rights::SourceRights;
    use super::*;

    fn rights() -> Rights {
        let a = SourceRights {
            read: true,
            red: true,
            ..SourceRights::default()
        };
        Rights {
            flags: BTreeSet::new(),
            sources: BTreeMap::from([
                ("A".to_owned(), a),
                ("B".to_owned(), SourceRights::default()),
            ]),
        }
    }

    fn sources(stored: Bson, instances: Instances) -> Document {
        let mut document = doc! {"_id": 1, "source": stored};
        clean_sources(&mut document, &rights(), instances);
        document
    }

    fn entry(name: &str, tlps: &[&str]) -> Bson {
        let instances: Vec<Bson> = tlps
            .iter()
            .map(|tlp| Bson::Document(doc! {"tlp": *tlp, "extra": 1}))
            .collect();
        Bson::Document(doc! {"name": name, "instances": instances, "kept": true})
    }

    #[test]
    fn c1_foreign_sources_become_one_entry_that_counts_them() {
        let cleaned = sources(
            vec![
                entry("A", &["red"]),
                entry("Z", &["white"]),
                entry("Y", &["red"]),
                entry("B", &["red"]),
            ]
            .into(),
            Instances::All,
        );
        let other = Bson::Document(doc! {"name": "Other", "instances": [0, 0]});
        assert_eq!(
            cleaned,
            doc! {"_id": 1, "source": [entry("A", &["red"]), entry("B", &["red"]), other]}
        );
        let own = sources(vec![entry("A", &["red"])].into(), Instances::All);
        assert_eq!(own, doc! {"_id": 1, "source": [entry("A", &["red"])]});
    }

    #[test]
    fn c1_odd_source_values_show_nothing() {
        assert_eq!(sources(Bson::from("Z"), Instances::All), doc! {"_id": 1});
        assert_eq!(sources(Bson::Null, Instances::All), doc! {"_id": 1});
        let cleaned = sources(
            vec![Bson::from("Z"), Bson::Document(doc! {"instances": []})].into(),
            Instances::All,
        );
        assert_eq!(
            cleaned,
            doc! {"_id": 1, "source": [{"name": "Other", "instances": [0, 0]}]}
        );
    }

    #[test]
    fn s4_unreadable_instances_are_hidden_only_when_asked() {
        let stored = Bson::from(vec![
            entry("A", &["red", "amber", "white"]),
            entry("B", &["red", "white"]),
        ]);
        assert_eq!(
            sources(stored.clone(), Instances::All),
            doc! {"_id": 1, "source": stored.clone()}
        );
        assert_eq!(
            sources(stored, Instances::Readable),
            doc! {"_id": 1, "source": [entry("A", &["red", "white"]), entry("B", &["white"])]}
        );
    }

    #[test]
    fn c2_releasability_of_foreign_sources_goes_without_a_trace() {
        let mut document = doc! {"releasability": [{"name": "A"}, {"name": "Z", "instances": [{"note": "secret"}]}]};
        clean_releasability(&mut document, &rights());
        assert_eq!(document, doc! {"releasability": [{"name": "A"}]});
    }

    #[test]
    fn c6_sources_of_objects_are_cleaned_without_a_mark() {
        let mut document = doc! {"objects": [{"type": "x", "source": [{"name": "Z"}, {"name": "A"}]}, {"type": "y"}, 5]};
        clean_objects(&mut document, &rights());
        assert_eq!(
            document,
            doc! {"objects": [{"type": "x", "source": [{"name": "A"}]}, {"type": "y"}, 5]}
        );
    }

    #[test]
    fn j10_a_damaged_document_is_shown_as_far_as_possible() {
        // {"a": 1, "b": <text that is no UTF-8>, "c": 2}
        let mut bytes = vec![
            0, 0, 0, 0, 0x10, b'a', 0, 1, 0, 0, 0, 0x02, b'b', 0, 2, 0, 0, 0, 0xff, 0, 0x10, b'c',
            0, 2, 0, 0, 0, 0,
        ];
        let length = u8::try_from(bytes.len()).expect("short");
        bytes[0] = length;
        let raw = RawDocument::from_bytes(&bytes).expect("frame");
        assert_eq!(decode(raw), doc! {"a": 1, "c": 2});
    }
}
