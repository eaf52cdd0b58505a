//! Who is told of changes: subscriptions of users to objects and to sources (documents.md 6.1, rule ACT-16).

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bson::oid::ObjectId;
use bson::{Bson, Document};

use super::Caller;
use crate::store::class::Pairs;

/// Field of a user.
pub(super) const FIELD: &str = "subscriptions";
/// The list of sources among the lists of types.
pub(super) const SOURCE: &str = "Source";

/// What a user has subscribed to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subscription {
    /// Whatever has this source.
    Source(String),
    /// An object: its type and id.
    Object(String, ObjectId),
}

impl Subscription {
    /// All subscriptions of a stored user.
    pub(super) fn all(user: &Document) -> Vec<Self> {
        let lists = user.get_document(FIELD).into_iter().flatten();
        let each = lists.flat_map(|(list, entries)| {
            let entries = entries.as_array().into_iter().flatten();
            entries.filter_map(move |entry| Self::read(list, entry.as_document()?))
        });
        each.collect()
    }

    fn read(list: &str, entry: &Document) -> Option<Self> {
        Some(match list {
            SOURCE => Self::Source(entry.get_str("name").ok()?.to_owned()),
            type_name => Self::Object(type_name.to_owned(), entry.get_object_id("id").ok()?),
        })
    }

    /// The list that it is in, and what tells its entry from the others.
    pub(super) fn place(&self) -> (&str, &'static str, Bson) {
        match self {
            Self::Source(name) => (SOURCE, "name", name.as_str().into()),
            Self::Object(type_name, id) => (type_name, "id", (*id).into()),
        }
    }
}

/// The subscriptions of all active users.
#[derive(Default)]
pub(super) struct Subscriptions {
    by_subject: HashMap<Subscription, Vec<Arc<Caller>>>,
}

impl std::hash::Hash for Subscription {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        match self {
            Self::Source(name) => name.hash(state),
            Self::Object(type_name, id) => (type_name, id.bytes()).hash(state),
        }
    }
}

impl Subscriptions {
    pub(super) fn add(&mut self, user: &Arc<Caller>, to: Vec<Subscription>) {
        for subject in to {
            self.by_subject
                .entry(subject)
                .or_default()
                .push(Arc::clone(user));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_subject.is_empty()
    }

    /// The names of those who are to be told of a change of an object by somebody else, and may see it (rule S1).
    pub(super) fn of(&self, change: &Change<'_>) -> BTreeSet<String> {
        if self.is_empty() {
            return BTreeSet::new();
        }
        let object = Subscription::Object(change.type_name.to_owned(), change.id);
        let sources = change.pairs.iter().flat_map(|pairs| pairs.iter());
        let sources = sources.map(|(name, _)| Subscription::Source(name.clone()));
        let subscribers = sources
            .chain([object])
            .filter_map(|subject| self.by_subject.get(&subject));
        subscribers
            .flatten()
            .filter(|user| change.is_told(user))
            .map(|user| user.user.clone())
            .collect()
    }
}

/// A change of an object that somebody may be told of.
pub struct Change<'a> {
    /// Its type.
    pub type_name: &'a str,
    /// The object.
    pub id: ObjectId,
    /// Its sources; none: the type has none.
    pub pairs: Option<&'a Pairs>,
    /// Who made the change.
    pub by: &'a str,
}

impl Change<'_> {
    /// Rules S1, S15; nobody is told of what it did itself.
    pub(super) fn is_told(&self, user: &Caller) -> bool {
        user.user != self.by
            && user.rights.may(&format!("{}.read", self.type_name))
            && self.pairs.is_none_or(|pairs| user.rights.sees(pairs))
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;
    use crate::access::{Rights, SourceRights};
    use crate::store::class::Mark;

    #[test]
    fn act_16_subscribers_who_may_see_the_object() {
        let id = ObjectId::new();
        let user = |name: &str, flags: &[&str], sources: &[&str]| {
            Arc::new(Caller {
                user: name.to_owned(),
                organization: String::new(),
                rights: Arc::new(Rights {
                    flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
                    sources: sources
                        .iter()
                        .map(|source| ((*source).to_owned(), SourceRights::ALL))
                        .collect(),
                }),
                read_only: false,
            })
        };
        let stored = doc! { FIELD: {
            "Event": [{ "id": id, "date": bson::DateTime::now() }, { "id": "no id" }, 7],
            "Source": [{ "name": "A" }], "Odd": 3,
        } };
        let all = Subscription::all(&stored);
        assert_eq!(
            all,
            [
                Subscription::Object("Event".to_owned(), id),
                Subscription::Source("A".to_owned())
            ]
        );
        let mut subscriptions = Subscriptions::default();
        for (name, flags, sources) in [
            ("sees", &["Event.read"][..], &["A"][..]),
            ("acts", &["Event.read"], &["A"]),
            ("reads_nothing", &[], &["A"]),
            ("other_source", &["Event.read"], &["B"]),
        ] {
            subscriptions.add(&user(name, flags, sources), all.clone());
        }
        let pairs = vec![("A".to_owned(), Mark::Red)];
        let told = |type_name: &str, id: ObjectId, pairs: Option<&Pairs>| {
            subscriptions.of(&Change {
                type_name,
                id,
                pairs,
                by: "acts",
            })
        };
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(told("Event", id, Some(&pairs)), names(&["sees"]));
        assert_eq!(
            told("Event", ObjectId::new(), Some(&pairs)),
            names(&["sees"]),
            "by the source"
        );
        let others = vec![("B".to_owned(), Mark::Red)];
        assert_eq!(told("Event", id, Some(&others)), names(&["other_source"]));
        assert_eq!(told("Event", ObjectId::new(), Some(&others)), names(&[]));
        assert_eq!(told("Campaign", id, None), names(&[]));
    }
}
