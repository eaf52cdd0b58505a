//! What a reader may see of a document (rules C1 to C7). Pure, except for the one query that finds the classes of all
//! relationship partners of a page. Stored bytes are looked at where they lie and never changed (rule C7): a list that is
//! shown as it is stored is borrowed, one that is not is written anew.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use bson::oid::ObjectId;
use bson::raw::{RawArray, RawArrayBuf, RawBsonRef, RawDocumentBuf};
use bson::{RawDocument, rawdoc};

use super::Caller;
use super::rights::Rights;
use crate::store::class::Mark;
use crate::store::{DocKey, Store, StoreError, Visible};

/// Whether instances are shown that the reader could not see alone (rule S4, setting `hide_unreadable_instances`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instances {
    /// All instances of the reader's sources: the rule.
    All,
    /// Only those that would make the document visible by themselves.
    Readable,
}

/// Type name → (collection, has sources): where the partners of relationships are.
pub type Collections = BTreeMap<String, (String, bool)>;

/// What a reader may see of the documents of one page.
#[derive(Debug)]
pub struct Clearance<'a> {
    rights: &'a Rights,
    instances: Instances,
    collections: &'a Collections,
    /// Partners of relationships that the reader may see.
    partners: HashSet<(&'a str, ObjectId)>,
}

/// The fields of one document that are not shown to everybody alike.
#[derive(Debug, Default)]
pub struct Cleared<'d> {
    source: Option<Cow<'d, RawArray>>,
    releasability: Option<Cow<'d, RawArray>>,
    objects: Option<Cow<'d, RawArray>>,
    relationships: Option<Cow<'d, RawArray>>,
}

/// How a root field is shown.
#[derive(Debug, Clone, Copy)]
pub enum Sight<'d> {
    /// Nothing in it depends on the reader.
    AsStored,
    /// This is what the reader may see of it.
    List(&'d RawArray),
    /// Not at all: it is no list, so nothing in it can be shown to be the reader's.
    Hidden,
}

impl Cleared<'_> {
    /// How the root field of this stored name is shown.
    #[must_use]
    pub fn field(&self, stored: &str) -> Sight<'_> {
        let list = match stored {
            "source" => &self.source,
            "releasability" => &self.releasability,
            "objects" => &self.objects,
            "relationships" => &self.relationships,
            _ => return Sight::AsStored,
        };
        list.as_deref().map_or(Sight::Hidden, Sight::List)
    }
}

impl<'a> Clearance<'a> {
    /// For a page of documents. `visible`: what the caller may see of classed collections.
    pub(super) async fn of_page(
        store: &dyn Store,
        caller: &'a Caller,
        documents: &[&RawDocument],
        collections: &'a Collections,
        visible: &Visible,
        instances: Instances,
    ) -> Result<Self, StoreError> {
        let mut wanted: HashMap<(&'a str, ObjectId), bool> = HashMap::new();
        for document in documents {
            for entry in array(document, "relationships").into_iter().flatten() {
                if let Some((collection, id, classed)) =
                    entry.ok().and_then(|entry| partner(entry, collections))
                {
                    wanted.insert((collection, id), classed);
                }
            }
        }
        let keys: Vec<DocKey> = wanted
            .keys()
            .map(|&(collection, id)| DocKey {
                collection: collection.to_owned(),
                id,
            })
            .collect();
        let classes = match keys.is_empty() {
            true => Vec::new(),
            false => store.classes_of(&keys).await?,
        };
        // Rule C5: the partner exists and is visible under S1; collections without sources are visible to all (S7).
        let partners = wanted
            .into_iter()
            .zip(classes)
            .filter(|((_, classed), class)| {
                class.is_some_and(|class| !classed || visible.allows(class))
            })
            .map(|((key, _), _)| key)
            .collect();
        Ok(Self {
            rights: &caller.rights,
            instances,
            collections,
            partners,
        })
    }

    /// What the reader may see of a document of the page.
    #[must_use]
    pub fn of<'d>(&self, document: &'d RawDocument) -> Cleared<'d> {
        let mut cleared = Cleared::default();
        for element in document.iter_elements().map_while(Result::ok) {
            let Ok(RawBsonRef::Array(list)) = element.value() else {
                continue;
            };
            // Of a name stored twice the first is the one that counts, as in conditions.
            match element.key().as_str() {
                "source" if cleared.source.is_none() => {
                    cleared.source = Some(self.sources(list));
                }
                "releasability" if cleared.releasability.is_none() => {
                    cleared.releasability = Some(self.own(list));
                }
                "objects" if cleared.objects.is_none() => {
                    cleared.objects = Some(self.objects(list));
                }
                "relationships" if cleared.relationships.is_none() => {
                    let shown = kept(list, |entry| self.shows_partner(entry));
                    cleared.relationships = Some(shown);
                }
                _ => {}
            }
        }
        cleared
    }

    /// Entries of the reader's sources (rules C2, C6).
    fn own<'d>(&self, entries: &'d RawArray) -> Cow<'d, RawArray> {
        kept(entries, |entry| {
            name_of(entry).is_some_and(|name| self.rights.has_source(name))
        })
    }

    /// Rule C1.
    fn sources<'d>(&self, entries: &'d RawArray) -> Cow<'d, RawArray> {
        let own = self.own(entries);
        let hidden = entries.into_iter().count() - own.into_iter().count();
        let own = match self.instances {
            Instances::All => own,
            Instances::Readable => Cow::Owned(self.readable(&own)),
        };
        if hidden == 0 {
            return own;
        }
        let mut shown = own.into_owned();
        let zeros: RawArrayBuf = std::iter::repeat_n(0_i32, hidden).collect();
        shown.push(rawdoc! { "name": "Other", "instances": zeros });
        shown.into()
    }

    /// Rule S4, where the operator asked for it.
    fn readable(&self, entries: &RawArray) -> RawArrayBuf {
        let mut shown = RawArrayBuf::new();
        for entry in entries.into_iter().flatten() {
            let Some(name) = name_of(entry) else { continue };
            rewritten(&mut shown, entry, "instances", |value| match value {
                RawBsonRef::Array(list) => Some(kept(list, |instance| {
                    self.rights.reads(name, mark_of(instance))
                })),
                _ => None,
            });
        }
        shown
    }

    /// Rule C6.
    fn objects<'d>(&self, objects: &'d RawArray) -> Cow<'d, RawArray> {
        let is_open = |object: RawBsonRef<'_>| match object {
            RawBsonRef::Array(_) => false,
            RawBsonRef::Document(object) => match object.get("source") {
                Ok(None) => true,
                Ok(Some(RawBsonRef::Array(entries))) => {
                    matches!(self.own(entries), Cow::Borrowed(_))
                }
                _ => false,
            },
            _ => true,
        };
        if objects.into_iter().all(|object| object.is_ok_and(is_open)) {
            return Cow::Borrowed(objects);
        }
        let mut shown = RawArrayBuf::new();
        for object in objects.into_iter().flatten() {
            match object {
                RawBsonRef::Array(_) => {}
                RawBsonRef::Document(_) => {
                    rewritten(&mut shown, object, "source", |value| match value {
                        RawBsonRef::Array(entries) => Some(self.own(entries)),
                        _ => None,
                    });
                }
                other => shown.push(other),
            }
        }
        shown.into()
    }

    fn shows_partner(&self, entry: RawBsonRef<'_>) -> bool {
        partner(entry, self.collections)
            .is_some_and(|(collection, id, _)| self.partners.contains(&(collection, id)))
    }
}

fn array<'d>(document: &'d RawDocument, name: &str) -> Option<&'d RawArray> {
    document.get_array(name).ok()
}

/// The entries of a list that are to be kept; the list itself if those are all.
fn kept<'d>(list: &'d RawArray, keep: impl Fn(RawBsonRef<'d>) -> bool) -> Cow<'d, RawArray> {
    if list.into_iter().all(|entry| entry.is_ok_and(&keep)) {
        return Cow::Borrowed(list);
    }
    let entries = list.into_iter().map_while(Result::ok);
    Cow::Owned(entries.filter(|entry| keep(*entry)).collect())
}

/// Adds a document with one field as `change` has it, or without that field. Whatever can't be read is left out.
fn rewritten<'d>(
    list: &mut RawArrayBuf,
    document: RawBsonRef<'d>,
    name: &str,
    change: impl Fn(RawBsonRef<'d>) -> Option<Cow<'d, RawArray>>,
) {
    let RawBsonRef::Document(document) = document else {
        return;
    };
    let mut written = RawDocumentBuf::new();
    for element in document.iter_elements().map_while(Result::ok) {
        let Ok(value) = element.value() else { continue };
        if element.key().as_str() != name {
            written.append(element.key(), value);
        } else if let Some(changed) = change(value) {
            written.append(element.key(), &*changed);
        }
    }
    list.push(written);
}

fn name_of(entry: RawBsonRef<'_>) -> Option<&str> {
    entry.as_document()?.get_str("name").ok()
}

/// TLP of a stored instance, as classes have it.
fn mark_of(instance: RawBsonRef<'_>) -> Mark {
    let Some(instance) = instance.as_document() else {
        return Mark::Other;
    };
    match instance.get("tlp") {
        Ok(None | Some(RawBsonRef::Null)) => Mark::Unmarked,
        Ok(Some(RawBsonRef::String(tlp))) => match tlp {
            "white" => Mark::White,
            "green" => Mark::Green,
            "amber" => Mark::Amber,
            "red" => Mark::Red,
            _ => Mark::Other,
        },
        _ => Mark::Other,
    }
}

/// The partner of a relationship, if its type is known and its id is one: collection, id, whether it has sources.
fn partner<'c>(
    entry: RawBsonRef<'_>,
    collections: &'c Collections,
) -> Option<(&'c str, ObjectId, bool)> {
    let entry = entry.as_document()?;
    let id = match entry.get("value").ok()?? {
        RawBsonRef::ObjectId(id) => id,
        RawBsonRef::String(text) => ObjectId::parse_str(text).ok()?,
        _ => return None,
    };
    let (collection, classed) = collections.get(entry.get_str("type").ok()?)?;
    Some((collection, id, *classed))
}

#[cfg(test)]
impl<'a> Clearance<'a> {
    /// Of a reader with these rights who may see no partners.
    pub(crate) fn without_partners(rights: &'a Rights, collections: &'a Collections) -> Self {
        Self {
            rights,
            instances: Instances::All,
            collections,
            partners: HashSet::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use bson::{Bson, Document, doc};

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

    /// What is left of a document whose reader sees no partners.
    fn cleared(document: Document, instances: Instances) -> Document {
        let rights = rights();
        let collections = Collections::new();
        let clearance = Clearance {
            instances,
            ..Clearance::without_partners(&rights, &collections)
        };
        let raw = RawDocumentBuf::try_from(&document).expect("raw");
        let cleared = clearance.of(&raw);
        let mut shown = document;
        for name in ["source", "releasability", "objects", "relationships"] {
            match cleared.field(name) {
                Sight::List(list) => {
                    let list: Vec<Bson> = list.try_into().expect("list");
                    shown.insert(name, list);
                }
                Sight::Hidden => {
                    shown.remove(name);
                }
                Sight::AsStored => panic!("{name} depends on the reader"),
            }
        }
        shown
    }

    fn sources(stored: Bson, instances: Instances) -> Document {
        cleared(doc! {"_id": 1, "source": stored}, instances)
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
        let stored = doc! {"releasability": [{"name": "A"}, {"name": "Z", "instances": [{"note": "secret"}]}]};
        assert_eq!(
            cleared(stored, Instances::All),
            doc! {"releasability": [{"name": "A"}]}
        );
        assert_eq!(
            cleared(doc! {"releasability": {"name": "Z"}}, Instances::All),
            doc! {}
        );
    }

    #[test]
    fn c6_sources_of_objects_are_cleaned_without_a_mark() {
        let stored = doc! {"objects": [{"type": "x", "source": [{"name": "Z"}, {"name": "A"}]}, {"type": "y", "source": "Z"}, {"type": "z"}, 5]};
        assert_eq!(
            cleared(stored, Instances::All),
            doc! {"objects": [{"type": "x", "source": [{"name": "A"}]}, {"type": "y"}, {"type": "z"}, 5]}
        );
        // Whatever is no list of objects may hold a foreign source at any depth.
        let odd = doc! {"objects": [[{"source": [{"name": "Z"}]}], {"type": "z"}]};
        assert_eq!(
            cleared(odd, Instances::All),
            doc! {"objects": [{"type": "z"}]}
        );
        let odd = doc! {"objects": {"source": [{"name": "Z"}]}};
        assert_eq!(cleared(odd, Instances::All), doc! {});
    }

    #[test]
    fn c5_relationships_to_what_nobody_may_see_are_hidden() {
        let stored = doc! {"relationships": [{"type": "Domain", "value": ObjectId::new()}, 5]};
        assert_eq!(cleared(stored, Instances::All), doc! {"relationships": []});
        assert_eq!(
            cleared(doc! {"relationships": {"value": 1}}, Instances::All),
            doc! {}
        );
    }

    #[test]
    fn c7_what_is_shown_as_it_is_stored_is_not_copied() {
        let rights = rights();
        let collections = Collections::new();
        let clearance = Clearance::without_partners(&rights, &collections);
        let stored = doc! {"source": [entry("A", &["red"])], "objects": [{"type": "x", "source": [entry("B", &[])]}]};
        let raw = RawDocumentBuf::try_from(&stored).expect("raw");
        let cleared = clearance.of(&raw);
        assert!(matches!(cleared.source, Some(Cow::Borrowed(_))));
        assert!(matches!(cleared.objects, Some(Cow::Borrowed(_))));
    }
}
