//! The administrative collections (documents section 6).

use super::records::named;
use crate::store::CollectionSpec;

/// `users`, key `username`.
pub(crate) const USERS: &str = "users";
/// `roles`, key `name`.
pub(crate) const ROLES: &str = "roles";
/// The source register, key `name`.
pub(crate) const SOURCES: &str = "source_access";
/// The original's settings: read, never written.
pub(crate) const CONFIG: &str = "config";
/// Our settings, key `name`.
pub(crate) const SETTINGS: &str = "settings";
/// Operator's public suffix list, key `name`.
pub(crate) const SUFFIX_LISTS: &str = "public_suffix_lists";

/// Analysis services, key `name`.
pub(crate) const SERVICES: &str = "services";

/// What has to be declared to the store before anything else.
#[must_use]
pub fn specifications() -> Vec<CollectionSpec> {
    let mut all = vec![named(USERS, "username")];
    all.extend(
        [
            ROLES,
            SOURCES,
            SETTINGS,
            SUFFIX_LISTS,
            "raw_data_types",
            "signature_types",
            "signature_dependency",
            "actor_threat_identifiers",
            "idb_actions",
            "locations",
            SERVICES,
        ]
        .map(|collection| named(collection, "name")),
    );
    all.push(CollectionSpec {
        name: CONFIG.to_owned(),
        classed: false,
        administrative: true,
        keys: Vec::new(),
        indexes: Vec::new(),
    });
    all
}
