//! `only` and `exclude` (core-api 10.10).

use super::*;

/// The document of these tests as a query shows it.
fn projected(query: &str) -> Document {
    fn below(value: Bson, mask: Mask<'_>) -> Bson {
        match value {
            Bson::Document(inner) => Bson::Document(
                inner
                    .into_iter()
                    .filter_map(|(name, value)| {
                        let mask = mask.field(&name)?;
                        Some((name, below(value, mask)))
                    })
                    .collect(),
            ),
            Bson::Array(list) => list
                .into_iter()
                .map(|element| below(element, mask))
                .collect(),
            plain => plain,
        }
    }
    let request = read(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    let shown = |(name, value): (String, Bson)| {
        let mask = request.projection.root(&name)?;
        Some((name, below(value, mask)))
    };
    document().into_iter().filter_map(shown).collect()
}

fn shown(query: &str) -> Vec<String> {
    projected(query).keys().cloned().collect()
}

#[test]
fn g45_g46_g47_g48_g50_only_and_exclude_keep_required_fields() {
    assert_eq!(
        shown("only=filename, size"),
        [
            "_id",
            "schema_version",
            "title",
            "filename",
            "size",
            "source"
        ]
    );
    assert_eq!(
        shown("only=id"),
        ["_id", "schema_version", "title", "source"]
    );
    assert_eq!(
        shown("only=filename,size&exclude=size,title"),
        ["_id", "schema_version", "title", "filename", "source"]
    );
    assert_eq!(shown("only="), shown(""));
    assert!(!shown("exclude=size,source,title").contains(&"size".to_owned()));
    assert!(shown("exclude=size,source,title").contains(&"source".to_owned()));
}

#[test]
fn g49_both_spellings_dotted_paths_and_unknown_names() {
    assert_eq!(shown("only=ind_type"), shown("only=type"));
    assert_eq!(
        shown("only=obj"),
        ["_id", "schema_version", "title", "objects", "source"]
    );
    assert_eq!(
        warnings("only=nosuch"),
        ["only: unknown field 'nosuch', ignored"]
    );
    assert_eq!(
        shown("only=nosuch"),
        ["_id", "schema_version", "title", "source"]
    );
    assert!(!shown("exclude=id").contains(&"_id".to_owned()));
    assert!(shown("exclude=_id,schema_version").contains(&"_id".to_owned()));
    assert_eq!(
        warnings("exclude=_id"),
        ["exclude: '_id' is always shown, ignored"]
    );
    assert_eq!(
        projected("only=campaign.name").get("campaign"),
        Some(&Bson::from(vec![doc! {"name": "Bad Guys"}]))
    );
    assert_eq!(
        projected("exclude=campaign.name").get("campaign"),
        Some(&Bson::from(vec![doc! {"confidence": "low"}]))
    );
    assert_eq!(
        projected("only=campaign&exclude=campaign.name").get("campaign"),
        Some(&Bson::from(vec![doc! {"confidence": "low"}]))
    );
}
