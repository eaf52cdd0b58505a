//! The flags that roles are made of (core-api 5.1). The types and flags of plugins come on top: a role may hold any
//! block, these are the ones that every installation has.

/// Name of the role that may do everything and can't be edited (rule R6).
pub const UBER_ADMIN: &str = "UberAdmin";

/// The three flags that let a user in.
pub const INTERFACES: [&str; 3] = ["api_interface", "script_interface", "web_interface"];

const GENERAL: [&str; 42] = [
    "api_interface",
    "script_interface",
    "web_interface",
    "add_new_actor_identifier_type",
    "add_new_indicator_action",
    "add_new_raw_data_type",
    "add_new_signature_dependency",
    "add_new_signature_type",
    "add_new_source",
    "add_new_user_role",
    "add_new_tlds",
    "control_panel_read",
    "control_panel_system_read",
    "control_panel_general_read",
    "control_panel_general_edit",
    "control_panel_crits_read",
    "control_panel_crits_edit",
    "control_panel_ldap_read",
    "control_panel_ldap_edit",
    "control_panel_security_read",
    "control_panel_security_edit",
    "control_panel_downloading_read",
    "control_panel_downloading_edit",
    "control_panel_system_services_read",
    "control_panel_system_services_edit",
    "control_panel_logging_read",
    "control_panel_logging_edit",
    "control_panel_items_read",
    "control_panel_users_read",
    "control_panel_users_add",
    "control_panel_users_edit",
    "control_panel_users_active",
    "control_panel_roles_read",
    "control_panel_roles_edit",
    "control_panel_services_read",
    "control_panel_services_edit",
    "control_panel_audit_log_read",
    "recent_activity_read",
    "stix_import_add",
    "dns_timeline_read",
    "emails_timeline_read",
    "indicators_timeline_read",
];

const TYPES: [&str; 16] = [
    "Actor",
    "ActorIdentifier",
    "Backdoor",
    "Campaign",
    "Certificate",
    "Domain",
    "Email",
    "Event",
    "Exploit",
    "Indicator",
    "IP",
    "PCAP",
    "RawData",
    "Sample",
    "Signature",
    "Target",
];

const SINGLES: [&str; 14] = [
    "read",
    "write",
    "delete",
    "download",
    "description_read",
    "description_edit",
    "status_read",
    "status_edit",
    "bucketlist_read",
    "bucketlist_edit",
    "sectors_read",
    "sectors_edit",
    "services_read",
    "services_execute",
];
const QUARTETS: [&str; 8] = [
    "actions",
    "campaigns",
    "comments",
    "locations",
    "objects",
    "relationships",
    "sources",
    "tickets",
];
const TRIPLES: [&str; 2] = ["releasability", "screenshots"];

fn extra(type_name: &str) -> &'static [&'static str] {
    match type_name {
        "Actor" => &[
            "name_edit",
            "aliases_read",
            "aliases_edit",
            "intended_effects_read",
            "intended_effects_edit",
            "motivations_read",
            "motivations_edit",
            "sophistications_read",
            "sophistications_edit",
            "threat_types_read",
            "threat_types_edit",
            "actor_identifiers_read",
            "actor_identifiers_edit",
            "actor_identifiers_add",
            "actor_identifiers_delete",
        ],
        "ActorIdentifier" => &[
            "actor_identifiers_read",
            "actor_identifiers_add",
            "actor_identifiers_delete",
        ],
        "Backdoor" => &["aliases_read", "aliases_edit", "name_edit", "version_edit"],
        "Campaign" => &[
            "aliases_read",
            "aliases_edit",
            "ttps_read",
            "ttps_add",
            "ttps_delete",
        ],
        "Email" => &[
            "add_attachment",
            "header_field_edit",
            "header_field_to_indicator",
            "raw_body_edit",
            "raw_header_edit",
        ],
        "Event" => &["add_sample", "title_edit", "type_edit"],
        "Indicator" => &[
            "type_edit",
            "threat_type_edit",
            "attack_type_edit",
            "confidence_edit",
            "impact_edit",
            "activity_read",
            "activity_add",
            "activity_edit",
            "activity_delete",
        ],
        "RawData" => &[
            "upload_new_version",
            "tool_edit",
            "tool_description_edit",
            "data_type_edit",
            "line_comment_add",
            "highlight_add",
            "highlight_line_date_edit",
            "highlight_comment_edit",
        ],
        "Sample" => &[
            "upload_related_sample",
            "upload_related_pcap",
            "text_view",
            "yaml_view",
            "unrar_sample",
            "unzip_sample",
            "filename_edit",
            "filenames_add",
            "filenames_remove",
        ],
        "Signature" => &[
            "upload_new_version",
            "data_type_read",
            "data_type_edit",
            "data_type_min_version_read",
            "data_type_min_version_edit",
            "data_type_max_version_read",
            "data_type_max_version_edit",
            "data_read",
            "data_edit",
            "dependencies_read",
            "dependencies_edit",
        ],
        "Target" => &["edit_details"],
        _ => &[],
    }
}

/// The general flags, in the order of the specification.
#[must_use]
pub fn general_flags() -> &'static [&'static str] {
    &GENERAL
}

/// The types that every role has a block for.
#[must_use]
pub fn types() -> &'static [&'static str] {
    &TYPES
}

/// The flags of a type's block; none for a type that is not in [`types`].
#[must_use]
pub fn type_flags(type_name: &str) -> Vec<String> {
    if !TYPES.contains(&type_name) {
        return Vec::new();
    }
    let mut flags = Vec::new();
    if type_name != "ActorIdentifier" {
        flags.extend(SINGLES.iter().map(|flag| (*flag).to_owned()));
        for group in QUARTETS {
            flags.extend(["read", "add", "edit", "delete"].map(|verb| format!("{group}_{verb}")));
        }
        for group in TRIPLES {
            flags.extend(["read", "add", "delete"].map(|verb| format!("{group}_{verb}")));
        }
    }
    flags.extend(extra(type_name).iter().map(|flag| (*flag).to_owned()));
    flags
}

/// What the catalogue knows of a flag as written (rule R5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// One of the catalogue.
    Yes,
    /// `Type.flag` that is not in the catalogue: perhaps of a plugin.
    PerhapsOfPlugin,
    /// Neither a general flag nor of the form `Type.flag`.
    No,
}

/// Looks a flag up.
#[must_use]
pub fn known(flag: &str) -> Known {
    let word = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    match flag.split_once('.') {
        None if GENERAL.contains(&flag) => Known::Yes,
        None => Known::No,
        Some((type_name, name)) if type_flags(type_name).iter().any(|known| known == name) => {
            Known::Yes
        }
        Some((type_name, name)) if word(type_name) && word(name) => Known::PerhapsOfPlugin,
        Some(_) => Known::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r5_catalogue_is_complete() {
        let count = |type_name: &str| type_flags(type_name).len();
        // 14 single flags, 8 quartets, 2 triples.
        assert_eq!(count("Domain"), 14 + 32 + 6);
        for plain in ["Certificate", "Exploit", "IP", "PCAP"] {
            assert_eq!(count(plain), count("Domain"), "{plain}");
        }
        assert_eq!(count("ActorIdentifier"), 3);
        assert_eq!(count("Actor"), 52 + 15);
        assert_eq!(count("Signature"), 52 + 11);
        assert_eq!(count("Screenshot"), 0);
        assert_eq!(known("Actor.actor_identifiers_add"), Known::Yes);
        assert_eq!(known("Event.tickets_add"), Known::Yes);
        assert_eq!(known("control_panel_users_active"), Known::Yes);
        assert_eq!(known("Botnet.read"), Known::PerhapsOfPlugin);
        assert_eq!(known("Domain.sinkhole_add"), Known::PerhapsOfPlugin);
        assert_eq!(known("tickets_add"), Known::No);
        assert_eq!(known("Domain."), Known::No);
        assert_eq!(known("Domain.a.b"), Known::No);
    }

    #[test]
    fn general_flags_are_distinct() {
        let distinct: std::collections::BTreeSet<_> = GENERAL.iter().collect();
        assert_eq!(distinct.len(), GENERAL.len());
    }
}
