//! Collections as they were declared, here and in the database.

use std::collections::HashMap;
use std::sync::Arc;

use bson::{Bson, Document, doc};
use mongodb::IndexModel;
use mongodb::options::IndexOptions;

use super::own;
use crate::store::path::FieldPath;
use crate::store::{
    CollectionSpec, Declaration, IndexSpec, KeySpec, KeyValue, Result, StoreError, apply,
};

/// Indexes that a collection of MongoDB can have, besides the one on `_id`.
const MOST_INDEXES: usize = 63;

/// A unique key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UniqueKey {
    pub(super) spec: KeySpec,
    /// No: existing documents violate it.
    pub(super) enforced: bool,
}

/// A declared collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Collection {
    pub(super) name: String,
    pub(super) classed: bool,
    pub(super) administrative: bool,
    pub(super) keys: Vec<UniqueKey>,
    pub(super) indexes: Vec<IndexSpec>,
    /// Paths of the sortable indexes.
    pub(super) sortable: Vec<FieldPath>,
    /// Grows when what `_critd` of a document says is to be worked out differently.
    pub(super) form: i32,
    /// Grows with every change of this.
    pub(super) version: i64,
}

/// All declared collections.
#[derive(Debug, Default)]
pub(super) struct Schema {
    pub(super) collections: HashMap<String, Arc<Collection>>,
}

impl Schema {
    pub(super) fn collection(&self, name: &str) -> Result<&Arc<Collection>> {
        self.collections
            .get(name)
            .ok_or_else(|| StoreError::UnknownCollection(name.to_owned()))
    }
}

impl Collection {
    /// What was never declared before.
    pub(super) fn blank(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            classed: false,
            administrative: false,
            keys: Vec::new(),
            indexes: Vec::new(),
            sortable: Vec::new(),
            form: 0,
            version: 0,
        }
    }

    /// The collection after a declaration. Nothing is ever dropped.
    pub(super) fn declared(&self, spec: &CollectionSpec) -> Self {
        let mut next = self.clone();
        let mut other_form = self.form == 0 || self.classed != spec.classed;
        next.classed = spec.classed;
        next.administrative = spec.administrative;
        for key in &spec.keys {
            if !next.keys.iter().any(|known| known.spec == *key) {
                next.keys.push(UniqueKey {
                    spec: key.clone(),
                    enforced: true,
                });
                other_form = true;
            }
        }
        for index in &spec.indexes {
            match next
                .indexes
                .iter_mut()
                .find(|known| known.path == index.path)
            {
                Some(known) => {
                    known.sortable |= index.sortable;
                    known.searchable |= index.searchable;
                }
                None => next.indexes.push(index.clone()),
            }
            if index.sortable && !next.sortable.contains(&index.path) {
                next.sortable.push(index.path.clone());
                other_form = true;
            }
        }
        if other_form {
            next.form += 1;
        }
        if next != *self {
            next.version += 1;
        }
        next
    }

    /// The declared key that a look-up means.
    pub(super) fn key(&self, key: &KeyValue) -> Result<&UniqueKey> {
        self.keys
            .iter()
            .find(|known| {
                known
                    .spec
                    .fields
                    .iter()
                    .eq(key.parts.iter().map(|(path, _)| path))
            })
            .ok_or_else(|| StoreError::UnknownKey(self.name.clone(), apply::describe(key)))
    }

    pub(super) fn is_sortable(&self, path: &FieldPath) -> bool {
        self.sortable.contains(path)
    }

    pub(super) fn declaration(&self) -> Declaration {
        Declaration {
            spec: CollectionSpec {
                name: self.name.clone(),
                classed: self.classed,
                administrative: self.administrative,
                keys: self.keys.iter().map(|key| key.spec.clone()).collect(),
                indexes: self.indexes.clone(),
            },
            violated: self
                .keys
                .iter()
                .filter(|key| !key.enforced)
                .map(|key| key.spec.clone())
                .collect(),
        }
    }

    pub(super) fn to_document(&self) -> Document {
        let keys: Vec<Document> = self
            .keys
            .iter()
            .map(|key| {
                let fields: Vec<&str> = key.spec.fields.iter().map(FieldPath::as_str).collect();
                doc! { "fields": fields, "enforced": key.enforced }
            })
            .collect();
        let indexes: Vec<Document> = self
            .indexes
            .iter()
            .map(|index| {
                doc! { "path": index.path.as_str(), "sortable": index.sortable, "searchable": index.searchable }
            })
            .collect();
        doc! {
            "_id": &self.name,
            "classed": self.classed,
            "administrative": self.administrative,
            "keys": keys,
            "indexes": indexes,
            "form": self.form,
            "version": self.version,
        }
    }

    pub(super) fn of_document(document: &Document) -> Option<Self> {
        let path = |value: &Bson| FieldPath::parse(value.as_str()?).ok();
        let mut collection = Self::blank(document.get_str("_id").ok()?);
        collection.classed = document.get_bool("classed").ok()?;
        collection.administrative = document.get_bool("administrative").ok()?;
        collection.form = document.get_i32("form").ok()?;
        collection.version = document.get_i64("version").ok()?;
        for key in document.get_array("keys").ok()? {
            let key = key.as_document()?;
            let fields = key.get_array("fields").ok()?;
            collection.keys.push(UniqueKey {
                spec: KeySpec {
                    fields: fields.iter().map(path).collect::<Option<_>>()?,
                },
                enforced: key.get_bool("enforced").ok()?,
            });
        }
        for index in document.get_array("indexes").ok()? {
            let index = index.as_document()?;
            let index = IndexSpec {
                path: path(index.get("path")?)?,
                sortable: index.get_bool("sortable").ok()?,
                searchable: index.get_bool("searchable").ok()?,
            };
            if index.sortable {
                collection.sortable.push(index.path.clone());
            }
            collection.indexes.push(index);
        }
        Some(collection)
    }

    /// The indexes that the collection ought to have, the most useful first.
    ///
    /// `_id` breaks ties, ascending, whichever way the first field goes (pitfall P17); the class comes last, so that
    /// what nobody may see is passed over in the index.
    pub(super) fn index_models(&self) -> Vec<IndexModel> {
        let model = |name: String, keys: Document| {
            IndexModel::builder()
                .keys(keys)
                .options(IndexOptions::builder().name(name).build())
                .build()
        };
        let mut models = vec![
            model("critd class".to_owned(), doc! { own::CLASS: 1, "_id": 1 }),
            model("critd form".to_owned(), doc! { own::FORM: 1 }),
        ];
        if !self.keys.is_empty() {
            models.push(model(
                "critd keys".to_owned(),
                doc! { own::KEYS: 1, "_id": 1 },
            ));
        }
        for index in &self.indexes {
            // MongoDB refuses documents that have digits for a name where such an index has a position.
            let positional = index
                .path
                .segments()
                .any(|segment| segment.bytes().all(|byte| byte.is_ascii_digit()));
            let path = index.path.as_str();
            if !positional && path != "_id" {
                models.push(model(
                    format!("critd {path}"),
                    doc! { path: 1, "_id": 1, own::CLASS: 1 },
                ));
            }
        }
        for (way, direction) in [("descending", -1), ("ascending", 1)] {
            for path in &self.sortable {
                models.push(model(
                    format!("critd {path} {way}"),
                    doc! { own::sort_path(path): direction, "_id": 1, own::CLASS: 1 },
                ));
            }
        }
        if models.len() > MOST_INDEXES {
            tracing::warn!(
                collection = %self.name,
                left_out = models.len() - MOST_INDEXES,
                "MongoDB allows no more indexes; some orders will be slow"
            );
            models.truncate(MOST_INDEXES);
        }
        models
    }
}
