//! What is not run on MongoDB.

/// Tests among those of what works on any store that are about the embedded store alone, with the reason.
pub(super) const EMBEDDED_ONLY: &[(&str, &str)] = &[
    (
        "access::tests::k8_au9_no_file_of_the_store_contains_a_key",
        "looks for keys in the files of the embedded store",
    ),
    (
        "au9_k8_keys_are_kept_as_hashes",
        "looks for keys in the files of the embedded store",
    ),
];
