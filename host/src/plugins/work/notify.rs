//! Telling users of changes (rule ACT-16): those who have subscribed to an object or to one of its sources, and those whom
//! a comment names. One record for each of them, in the commit of the change; nobody is told of what it may not see.

use std::collections::BTreeSet;

use bson::{Bson, Document, doc};

use super::documents::draft_failed;
use super::{Failure, Open, Work};
use crate::access::Change;
use crate::plugins::declaration::TypeDeclaration;
use crate::plugins::registry::TypeEntry;
use crate::store::class::Pairs;
use crate::store::{CollectionSpec, FieldPath, IndexSpec, Write};

/// Collection of what users are to be told.
pub(crate) const NOTIFICATIONS: &str = "notifications";
/// Field with the name of whom it is for.
pub(crate) const USERS: &str = "users";
/// So long (ms) they are kept (documents.md section 7).
pub(crate) const KEPT: i64 = 30 * 24 * 60 * 60 * 1000;
/// Field with the time of the change.
pub(crate) const DATE: &str = "date";

/// What the store must know of them.
pub(super) fn collection() -> CollectionSpec {
    let index = |path: &'static str| IndexSpec {
        path: FieldPath::literal(path),
        sortable: false,
        searchable: false,
    };
    CollectionSpec {
        name: NOTIFICATIONS.to_owned(),
        classed: false,
        administrative: false,
        keys: Vec::new(),
        indexes: ["obj_id", USERS, DATE].map(index).to_vec(),
    }
}

impl Work {
    /// What is written because a document was written. `changed`: as the audit log has it.
    pub(super) fn notifications(
        &mut self,
        index: usize,
        changed: &str,
    ) -> Result<Vec<Write>, Failure> {
        let (subject, mentioned, what) = match &self.documents[index].of.declaration.notifies {
            Some(notifies) => {
                let document = &self.documents[index];
                let text = |field: &str| value(document, field);
                let (Some(Bson::String(type_name)), Some(Bson::ObjectId(id))) =
                    (text(&notifies.of_type)?, text(&notifies.id)?)
                else {
                    return Ok(Vec::new());
                };
                // Whoever wrote the document has looked at what it is about.
                let of = self.request.registry.type_named(&type_name);
                let Some(subject) = of.and_then(|of| self.known(of, id)) else {
                    return Ok(Vec::new());
                };
                let mentioned = match text(&notifies.mentioned)? {
                    Some(Bson::Array(names)) if document.revision.is_none() => texts(names),
                    _ => Vec::new(),
                };
                let of = document.of.declaration.name.to_lowercase();
                let verb = match document.revision {
                    None => "added",
                    Some(_) => "changed",
                };
                (subject, mentioned, format!("{verb} a {of}"))
            }
            None if !self.request.services.access.has_subscribers() => return Ok(Vec::new()),
            None if self.documents[index].of.declaration.top_level => {
                let what = match self.documents[index].revision {
                    None => "added it".to_owned(),
                    Some(_) => format!("changed {}", changed.replace(',', ", ")),
                };
                (index, Vec::new(), what)
            }
            None => return Ok(Vec::new()),
        };
        let told = self.told(subject, mentioned)?;
        Ok(told
            .into_iter()
            .map(|name| self.notification(subject, &what, &name))
            .collect())
    }

    fn told(&self, subject: usize, mentioned: Vec<String>) -> Result<BTreeSet<String>, Failure> {
        let (access, by) = (&self.request.services.access, &self.request.caller.user);
        let document = &self.documents[subject];
        let of = &document.of.declaration;
        let pairs = sources(document, of)?;
        let change = Change {
            type_name: &of.name,
            id: document.id,
            pairs: pairs.as_ref(),
            by,
        };
        let mut told = access.subscribers(&change);
        told.extend(access.who_may_see(mentioned, &change));
        Ok(told)
    }

    fn notification(&mut self, subject: usize, what: &str, name: &str) -> Write {
        let id = self.new_id();
        let TypeEntry {
            declaration: of, ..
        } = self.documents[subject].of.as_ref();
        let (user, object) = (&self.request.caller.user, self.documents[subject].id);
        let body: Document = doc! {
            "_id": id, "schema_version": 1, "notification": format!("{user} {what}."), "notification_type": "alert",
            "header": format!("{} {object}", of.name), "link_url": format!("/api/v1/{}/{object}/", of.resource),
            "analyst": user, "obj_type": &of.name, "obj_id": object, "status": "new",
            DATE: bson::DateTime::from_millis(self.now), USERS: [name],
        };
        Write::Insert {
            collection: NOTIFICATIONS.to_owned(),
            body,
        }
    }
}

fn value(document: &Open, field: &str) -> Result<Option<Bson>, Failure> {
    let path = FieldPath::parse(field).map_err(|error| super::internal(error.to_string()))?;
    document.draft.get(&path).map_err(draft_failed)
}

fn texts(values: Vec<Bson>) -> Vec<String> {
    let text = |value| match value {
        Bson::String(text) => Some(text),
        _ => None,
    };
    values.into_iter().filter_map(text).collect()
}

fn sources(document: &Open, of: &TypeDeclaration) -> Result<Option<Pairs>, Failure> {
    if !of.sources {
        return Ok(None);
    }
    document.draft.pairs().map(Some).map_err(draft_failed)
}
