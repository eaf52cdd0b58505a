//! What a reader may see of a document (rules C1 to C7, S4, S22). Pure, except for the look-ups of the classes of
//! relationship partners. Stored bytes are looked at where they lie and never changed (rule C7): a list that is shown as
//! it is stored is borrowed, one that is not is written anew.
//!
//! The same answers what conditions are evaluated on (check AZ-8): a [`Clearance`] is the [`Lens`] of its reader.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use bson::oid::ObjectId;
use bson::raw::{RawArray, RawArrayBuf, RawBsonRef, RawDocumentBuf};
use bson::{RawDocument, rawdoc};
use parking_lot::{Mutex, RwLock};

use super::rights::Rights;
use crate::store::class::Mark;
use crate::store::filter::{Judge, Lens};
use crate::store::{ClassTable, DocKey, Store, StoreError, Visible};

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

/// A partner of a relationship: position of its type among the collections, and its id.
type Partner = (usize, ObjectId);

/// Most partners that a condition may ask about.
const MOST_PARTNERS: usize = 200_000;

/// Lists that a flag of the reader's roles can open, where the setting `enforce_field_read_flags` asks for it (rule S22):
/// stored name and flag.
pub(super) const FIELD_FLAGS: &[(&str, &str)] = &[
    ("actions", "actions_read"),
    ("activity", "activity_read"),
    ("aliases", "aliases_read"),
    ("bucket_list", "bucketlist_read"),
    ("campaign", "campaigns_read"),
    ("identifiers", "actor_identifiers_read"),
    ("intended_effects", "intended_effects_read"),
    ("locations", "locations_read"),
    ("motivations", "motivations_read"),
    ("objects", "objects_read"),
    ("relationships", "relationships_read"),
    ("releasability", "releasability_read"),
    ("screenshots", "screenshots_read"),
    ("sectors", "sectors_read"),
    ("sophistications", "sophistications_read"),
    ("source", "sources_read"),
    ("threat_types", "threat_types_read"),
    ("tickets", "tickets_read"),
    ("ttps", "ttps_read"),
];

/// What a reader may see of the documents of one type.
pub struct Clearance {
    rights: Arc<Rights>,
    instances: Instances,
    collections: Arc<Collections>,
    /// Lists shown as empty (rule S22).
    emptied: Vec<&'static str>,
    /// What the reader may see of classed collections.
    visible: Visible,
    /// Partners that were looked up: may the reader see them?
    partners: RwLock<HashMap<Partner, bool>>,
    /// Partners met since that were not; they count as hidden.
    unknown: Mutex<HashSet<Partner>>,
}

/// A condition met so many partners of relationships that looking them up would take too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a condition looks at more than {MOST_PARTNERS} relationships")]
pub struct TooManyPartners;

/// How a look-up of partners ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learned {
    /// There were none to look up: what was found is right.
    Nothing,
    /// There were: the condition has to be evaluated again.
    Partners,
}

/// The fields of one document that are not shown to everybody alike.
#[derive(Debug, Default)]
pub struct Cleared<'d> {
    source: Option<Cow<'d, RawArray>>,
    releasability: Option<Cow<'d, RawArray>>,
    objects: Option<Cow<'d, RawArray>>,
    relationships: Option<Cow<'d, RawArray>>,
    emptied: Option<(RawArrayBuf, &'d [&'static str])>,
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
        if let Some((empty, names)) = &self.emptied
            && names.contains(&stored)
        {
            return Sight::List(empty);
        }
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

impl fmt::Debug for Clearance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clearance").finish_non_exhaustive()
    }
}

impl Lens for Clearance {
    fn sees<'d>(&self, root: &str, list: &'d RawArray) -> Option<Cow<'d, RawArray>> {
        if self.emptied.contains(&root) {
            return None;
        }
        Some(match root {
            "source" => self.instances_of(self.own(list)),
            "releasability" => self.own(list),
            "objects" => self.objects(list),
            "relationships" => kept(list, |entry| self.shows_partner(entry)),
            _ => Cow::Borrowed(list),
        })
    }
}

impl Clearance {
    /// Of a reader. `visible`: what it may see of classed collections.
    pub(super) fn new(
        rights: Arc<Rights>,
        instances: Instances,
        emptied: Vec<&'static str>,
        collections: Arc<Collections>,
        visible: Visible,
    ) -> Self {
        Self {
            rights,
            instances,
            collections,
            emptied,
            visible,
            partners: RwLock::default(),
            unknown: Mutex::default(),
        }
    }

    /// Looks up the partners of relationships of a whole page at once (rule C5).
    ///
    /// # Errors
    ///
    /// Only the store's.
    pub async fn meet(
        &self,
        store: &dyn Store,
        documents: &[&RawDocument],
    ) -> Result<(), StoreError> {
        let mut wanted = HashSet::new();
        {
            let known = self.partners.read();
            for document in documents {
                for entry in array(document, "relationships").into_iter().flatten() {
                    let partner = entry.ok().and_then(|entry| self.partner(entry));
                    wanted.extend(partner.filter(|partner| !known.contains_key(partner)));
                }
            }
        }
        self.look_up(store, wanted).await
    }

    /// Forgets the partners that were looked up: for whoever reads on and on.
    pub fn forget(&self) {
        self.partners.write().clear();
    }

    /// Looks up the partners that a condition has met since; if there were any, it was evaluated as if they were hidden.
    ///
    /// # Errors
    ///
    /// The store's, or [`TooManyPartners`].
    pub async fn learn(
        &self,
        store: &dyn Store,
    ) -> Result<Result<Learned, TooManyPartners>, StoreError> {
        let wanted = std::mem::take(&mut *self.unknown.lock());
        if wanted.is_empty() {
            return Ok(Ok(Learned::Nothing));
        }
        if wanted.len() > MOST_PARTNERS {
            return Ok(Err(TooManyPartners));
        }
        self.look_up(store, wanted).await?;
        Ok(Ok(Learned::Partners))
    }

    async fn look_up(&self, store: &dyn Store, wanted: HashSet<Partner>) -> Result<(), StoreError> {
        if wanted.is_empty() {
            return Ok(());
        }
        let places: Vec<&(String, bool)> = self.collections.values().collect();
        let mut partners = Vec::with_capacity(wanted.len());
        let mut keys = Vec::with_capacity(wanted.len());
        for (place, id) in wanted {
            if let Some((collection, classed)) = places.get(place) {
                partners.push(((place, id), *classed));
                keys.push(DocKey {
                    collection: collection.clone(),
                    id,
                });
            }
        }
        let classes = store.classes_of(&keys).await?;
        // Rule C5: the partner exists and is visible under S1; collections without sources are visible to all (S7).
        let answers = partners
            .into_iter()
            .zip(classes)
            .map(|((partner, classed), class)| {
                let shown = class.is_some_and(|class| !classed || self.visible.allows(class));
                (partner, shown)
            });
        self.partners.write().extend(answers);
        Ok(())
    }

    /// What the reader may see of a document whose partners were met.
    #[must_use]
    pub fn of<'d>(&'d self, document: &'d RawDocument) -> Cleared<'d> {
        let mut cleared = Cleared::default();
        if !self.emptied.is_empty() {
            cleared.emptied = Some((RawArrayBuf::new(), &self.emptied));
        }
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

    /// Names of the reader's sources.
    pub fn sources_of_reader(&self) -> impl Iterator<Item = &str> {
        self.rights.sources.keys().map(String::as_str)
    }

    /// Does the reader see every list of this root field as it is stored, whatever the document, and may know that?
    /// `classes`: those there are by now. Only of those who may do everything: to others it would tell whether there is
    /// anything that they don't see.
    #[must_use]
    pub fn is_clear(&self, root: &str, classes: &ClassTable) -> bool {
        if self.emptied.contains(&root) || !self.rights.may_everything() {
            return false;
        }
        let every_class = || {
            (1..classes.classes.len())
                .all(|class| u32::try_from(class).is_ok_and(|class| self.visible.allows(class)))
        };
        let every_pair = || {
            let mut pairs = classes.classes.iter().flat_map(|pairs| pairs.iter());
            pairs.all(|(name, mark)| {
                self.rights.has_source(name)
                    && (self.instances == Instances::All || self.rights.reads(name, *mark))
            })
        };
        match root {
            "source" => every_pair(),
            "relationships" => every_class(),
            "releasability" | "objects" => false,
            _ => true,
        }
    }

    /// Are lists of this root field shown as empty (rule S22)?
    #[must_use]
    pub fn is_emptied(&self, root: &str) -> bool {
        self.emptied.contains(&root)
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
        let own = self.instances_of(own);
        if hidden == 0 {
            return own;
        }
        let mut shown = own.into_owned();
        let zeros: RawArrayBuf = std::iter::repeat_n(0_i32, hidden).collect();
        shown.push(rawdoc! { "name": "Other", "instances": zeros });
        shown.into()
    }

    /// Entries of the reader's sources with the instances that are shown.
    fn instances_of<'d>(&self, own: Cow<'d, RawArray>) -> Cow<'d, RawArray> {
        match self.instances {
            Instances::All => own,
            Instances::Readable => Cow::Owned(self.readable(&own)),
        }
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

    /// A partner not looked up yet counts as hidden, and is noted for [`Clearance::learn`].
    fn shows_partner(&self, entry: RawBsonRef<'_>) -> bool {
        self.partner(entry)
            .is_some_and(|partner| self.shows(partner))
    }

    fn shows(&self, partner: Partner) -> bool {
        if let Some(shown) = self.partners.read().get(&partner) {
            return *shown;
        }
        let mut unknown = self.unknown.lock();
        if unknown.len() <= MOST_PARTNERS {
            unknown.insert(partner);
        }
        false
    }

    /// May the reader see the object of this type and id? One that was not looked up yet counts as hidden, and is noted for
    /// [`Clearance::learn`].
    fn shows_object(&self, type_name: &str, id: ObjectId) -> bool {
        let place = self.collections.keys().position(|known| known == type_name);
        place.is_some_and(|place| self.shows((place, id)))
    }

    /// The partner of a relationship, if its type is known and its id is one.
    fn partner(&self, entry: RawBsonRef<'_>) -> Option<Partner> {
        let entry = entry.as_document()?;
        let id = match entry.get("value").ok()?? {
            RawBsonRef::ObjectId(id) => id,
            RawBsonRef::String(text) => ObjectId::parse_str(text).ok()?,
            _ => return None,
        };
        let type_name = entry.get_str("type").ok()?;
        let place = self
            .collections
            .keys()
            .position(|known| known == type_name)?;
        Some((place, id))
    }
}

/// Documents that are about another one, such as tasks of analysis services: they are seen by who sees that (rule SVC-18).
#[derive(Debug)]
pub struct OfVisible {
    clearance: Arc<Clearance>,
    /// Stored names of the type and the id of the other one, both texts.
    fields: [&'static str; 2],
}

impl OfVisible {
    /// For the reader of a clearance.
    #[must_use]
    pub fn new(clearance: Arc<Clearance>, fields: [&'static str; 2]) -> Self {
        Self { clearance, fields }
    }
}

impl Judge for OfVisible {
    fn holds(&self, document: &RawDocument) -> bool {
        let [of, id] = self.fields;
        match (document.get_str(of), document.get_str(id)) {
            (Ok(of), Ok(id)) => {
                ObjectId::parse_str(id).is_ok_and(|id| self.clearance.shows_object(of, id))
            }
            _ => false,
        }
    }

    fn roots(&self) -> &[&'static str] {
        &self.fields
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

#[cfg(test)]
impl Clearance {
    /// Of a reader with these rights who may see no partners.
    pub(crate) fn without_partners(rights: &Rights, collections: &Collections) -> Self {
        Self::new(
            Arc::new(rights.clone()),
            Instances::All,
            Vec::new(),
            Arc::new(collections.clone()),
            Visible::Classes(Arc::default()),
        )
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
