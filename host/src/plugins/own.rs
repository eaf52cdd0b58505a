//! Resources that are the host's own: listed, searched and shown like those of plugins, by rules of the same form.

use std::sync::Arc;

use super::declaration::{FieldDeclaration, FieldKind, TypeDeclaration};
use super::registry::TypeEntry;
use super::work::AUDIT;

/// What belongs to no plugin. Their resources and names can't be claimed by one.
pub(super) fn types() -> Vec<Arc<TypeEntry>> {
    vec![Arc::new(TypeEntry {
        declaration: Arc::new(audit_entry()),
        plugin: String::new(),
    })]
}

/// `GET /api/v1/audit/`: who changed what, and when (rules ACT-8, ACT-16; documents.md 6.3). Whoever may read it may read
/// all of it: an entry names fields, never their content.
fn audit_entry() -> TypeDeclaration {
    let mut target_type = field("target_type", FieldKind::Text, "Type of the object.");
    target_type.stored = Some("type".to_owned());
    let mut target_id = field("target_id", FieldKind::Id, "The object.");
    target_id.indexed = true;
    TypeDeclaration {
        name: "AuditEntry".to_owned(),
        resource: "audit".to_owned(),
        collection: AUDIT.to_owned(),
        part_of: None,
        schema_version: 1,
        sources: false,
        author_source: false,
        top_level: false,
        tasks: false,
        triage: Default::default(),
        summary: "A change of an object: who made it, and when.".to_owned(),
        keys: Vec::new(),
        lookup: None,
        family: None,
        fields: vec![
            field("user", FieldKind::Text, "Who made it."),
            target_type,
            target_id,
            field(
                "value",
                FieldKind::Text,
                "The changed fields, separated by commas, or `new document`.",
            ),
            field("method", FieldKind::Text, "Kind of change: `save()`."),
            field("date", FieldKind::Date, "When it was made."),
        ],
        shared: Vec::new(),
        args: Vec::new(),
        touches: Vec::new(),
        methods: vec!["GET".to_owned()],
        permission: String::new(),
        refusal: None,
        read_permission: "control_panel_audit_log_read".to_owned(),
        permission_check: Default::default(),
        empty_id: false,
        answer_keys: Default::default(),
        examples: Vec::new(),
    }
}

fn field(name: &str, kind: FieldKind, summary: &str) -> FieldDeclaration {
    FieldDeclaration {
        name: name.to_owned(),
        stored: None,
        kind,
        of: None,
        fields: Vec::new(),
        required: false,
        default: None,
        sortable: false,
        indexed: false,
        searchable: false,
        vocab: None,
        bucket: None,
        protected: false,
        refers: false,
        summary: summary.to_owned(),
    }
}
