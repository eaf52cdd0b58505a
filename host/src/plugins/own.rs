//! Resources that are the host's own: listed, searched and shown like those of plugins, by rules of the same form.

use std::sync::Arc;

use super::declaration::{FieldDeclaration, FieldKind, TypeDeclaration};
use super::registry::TypeEntry;
use super::work::{AUDIT, DATE, NOTIFICATIONS, USERS};

/// What belongs to no plugin. Their resources and names can't be claimed by one.
pub(super) fn types() -> Vec<Arc<TypeEntry>> {
    let entry = |declaration| {
        Arc::new(TypeEntry {
            declaration: Arc::new(declaration),
            plugin: String::new(),
        })
    };
    vec![entry(audit_entry()), entry(notification())]
}

/// `GET /api/v1/audit/`: who changed what, and when (rules ACT-8, ACT-16; documents.md 6.3). Whoever may read it may read
/// all of it: an entry names fields, never their content.
fn audit_entry() -> TypeDeclaration {
    let mut target_type = field("target_type", FieldKind::Text, "Type of the object.");
    target_type.stored = Some("type".to_owned());
    let mut target_id = field("target_id", FieldKind::Id, "The object.");
    target_id.indexed = true;
    read_only(
        "AuditEntry",
        "audit",
        AUDIT,
        "A change of an object: who made it, and when.",
        vec![
            field("user", FieldKind::Text, "Who made it."),
            target_type,
            target_id,
            field(
                "value",
                FieldKind::Text,
                "The changed fields, separated by commas, or `new document`; of what was removed, what it was.",
            ),
            field(
                "method",
                FieldKind::Text,
                "Kind of change: `save()` or `delete()`.",
            ),
            field("date", FieldKind::Date, "When it was made."),
        ],
        "control_panel_audit_log_read",
    )
}

/// `GET /api/v1/notifications/`: what the caller has been told of changes (rule ACT-16), and nobody else's.
fn notification() -> TypeDeclaration {
    let mut created = field("created", FieldKind::Date, "When it was made.");
    created.stored = Some(DATE.to_owned());
    let text = |name, summary| field(name, FieldKind::Text, summary);
    let fields = vec![
        text("notification", "Who did what."),
        text("notification_type", "`alert`."),
        text("header", "The object, for people."),
        text("link_url", "Where it can be read."),
        text("analyst", "Who made the change."),
        text("obj_type", "Type of the object."),
        field("obj_id", FieldKind::Id, "The object."),
        text("status", "`new`."),
        created,
        FieldDeclaration {
            of: Some("text".to_owned()),
            ..field(USERS, FieldKind::List, "Whom it is for.")
        },
    ];
    let summary = "A change that its reader is told of.";
    TypeDeclaration {
        personal: Some(USERS),
        ..read_only(
            "Notification",
            "notifications",
            NOTIFICATIONS,
            summary,
            fields,
            "",
        )
    }
}

fn read_only(
    name: &str,
    resource: &str,
    collection: &str,
    summary: &str,
    fields: Vec<FieldDeclaration>,
    permission: &str,
) -> TypeDeclaration {
    TypeDeclaration {
        name: name.to_owned(),
        resource: resource.to_owned(),
        collection: collection.to_owned(),
        part_of: None,
        schema_version: 1,
        sources: false,
        author_source: false,
        top_level: false,
        tasks: false,
        triage: Default::default(),
        summary: summary.to_owned(),
        keys: Vec::new(),
        lookup: None,
        family: None,
        fields,
        shared: Vec::new(),
        args: Vec::new(),
        touches: Vec::new(),
        methods: vec!["GET".to_owned()],
        permission: String::new(),
        refusal: None,
        read_permission: permission.to_owned(),
        permission_check: Default::default(),
        empty_id: false,
        answer_keys: Default::default(),
        notifies: None,
        personal: None,
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
