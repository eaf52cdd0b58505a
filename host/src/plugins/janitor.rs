//! Takes away files that no document came to refer to: those of requests that were refused after a file was kept, or broken
//! off by the end of the process (check UP-13).
//!
//! Only files kept lately are looked at: whatever an older database holds without a document stays where it is
//! (documents.md M27), and a file is young for a day, so that no request under way loses one. A document refers to its file
//! whether or not the plugin of its type is loaded: the store knows where documents of all types that ever served have what
//! they are found by, and a file's id is among that.

use std::collections::{BTreeMap, HashSet};

use bson::Bson;
use bson::oid::ObjectId;

use super::Registry;
use super::declaration::{FieldDeclaration, FieldKind};
use crate::store::{FieldPath, FileInfo, Filter, Result, Store, Test};

/// So long (ms) a file may wait for its document.
pub(super) const YOUNG: i64 = 24 * 60 * 60 * 1000;
/// Older files (ms) are not looked at any more.
const OLD: i64 = 30 * YOUNG;
/// Files looked at in one go.
const PAGE: u32 = 500;

/// How a field refers to files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reference {
    /// By id, or as in documents of old by the document's MD5 (documents.md M26).
    Id,
    /// By MD5 (documents.md 4.1).
    Md5,
}

/// Where documents refer to the files of a bucket: collection, field, and how.
type Places = BTreeMap<String, Vec<(String, FieldPath, Reference)>>;

/// Takes away files without a document, of buckets that the types of the registry declare. How many there were.
///
/// # Errors
///
/// The store's.
pub(super) async fn sweep(store: &dyn Store, registry: &Registry, now: i64) -> Result<u64> {
    let mut gone = 0;
    let elsewhere = indexes(store).await?;
    for (bucket, places) in places(registry) {
        let (mut referred, mut after, mut orphans) = (HashSet::new(), None, 0);
        loop {
            let page = store.files(&bucket, after, PAGE).await?;
            for (id, info) in &page {
                let is_looked_at = info.kept_at < now - YOUNG && info.kept_at >= now - OLD;
                if is_looked_at
                    && !is_referred(store, &places, *id, info).await?
                    && !is_indexed(store, &elsewhere, *id, info).await?
                {
                    orphans += 1;
                } else {
                    referred.insert(*id);
                }
            }
            match page.last() {
                Some((last, _)) if page.len() == PAGE as usize => after = Some(*last),
                _ => break,
            }
        }
        if orphans > 0 {
            gone += store.sweep_files(&bucket, &referred, now - YOUNG).await?;
        }
    }
    Ok(gone)
}

/// Takes away a file that a document has just ceased to refer to, unless others do. A young one is left to [`sweep`]: a
/// request under way may be about to refer to it.
///
/// # Errors
///
/// The store's.
pub(super) async fn release(
    store: &dyn Store,
    registry: &Registry,
    bucket: &str,
    md5: &[u8; 16],
    now: i64,
) -> Result<()> {
    let places = places(registry);
    let (Some(places), Some((id, info))) =
        (places.get(bucket), store.file_by_md5(bucket, md5).await?)
    else {
        return Ok(());
    };
    if info.kept_at >= now - YOUNG
        || is_referred(store, places, id, &info).await?
        || is_indexed(store, &indexes(store).await?, id, &info).await?
    {
        return Ok(());
    }
    let (mut others, mut after) = (HashSet::new(), None);
    loop {
        let page = store.files(bucket, after, PAGE).await?;
        others.extend(
            page.iter()
                .map(|(other, _)| *other)
                .filter(|other| *other != id),
        );
        match page.last() {
            Some((last, _)) if page.len() == PAGE as usize => after = Some(*last),
            _ => break,
        }
    }
    store
        .sweep_files(bucket, &others, now - YOUNG)
        .await
        .map(|_| ())
}

fn places(registry: &Registry) -> Places {
    fn add(places: &mut Places, collection: &str, prefix: &str, fields: &[FieldDeclaration]) {
        for field in fields {
            let path = format!("{prefix}{}", field.stored_name());
            let reference = match field.kind {
                FieldKind::File => Some(Reference::Id),
                FieldKind::Text => Some(Reference::Md5),
                _ => None,
            };
            if let (Some(reference), Some(bucket), Ok(place)) =
                (reference, &field.bucket, FieldPath::parse(&path))
            {
                let known = places.entry(bucket.clone()).or_default();
                known.push((collection.to_owned(), place, reference));
            }
            add(places, collection, &format!("{path}."), &field.fields);
        }
    }
    let mut places = Places::new();
    for of in registry.types() {
        let of = &of.declaration;
        add(&mut places, &of.collection, "", &of.fields);
        if of.top_level && of.part_of.is_none() {
            add(
                &mut places,
                &of.collection,
                "",
                super::work::common_fields(),
            );
        }
    }
    places
}

/// By what the documents of all collections are found, those of types that are not loaded included: (collection, path).
async fn indexes(store: &dyn Store) -> Result<Vec<(String, FieldPath)>> {
    let declared = store.declarations().await?;
    let indexes = declared.into_iter().flat_map(|declared| {
        let paths = declared.spec.indexes.into_iter().map(|index| index.path);
        paths.map(move |path| (declared.spec.name.clone(), path))
    });
    Ok(indexes.collect())
}

/// Does a document refer to a file?
async fn is_referred(
    store: &dyn Store,
    places: &[(String, FieldPath, Reference)],
    id: ObjectId,
    info: &FileInfo,
) -> Result<bool> {
    for (collection, path, reference) in places {
        let conditions = match reference {
            Reference::Id => vec![
                is_id(path.clone(), id),
                is_md5(FieldPath::literal("md5"), info),
            ],
            Reference::Md5 => vec![is_md5(path.clone(), info)],
        };
        for condition in conditions {
            if is_met(store, collection, &condition).await? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The same, of whatever documents are found by.
async fn is_indexed(
    store: &dyn Store,
    indexes: &[(String, FieldPath)],
    id: ObjectId,
    info: &FileInfo,
) -> Result<bool> {
    let either = vec![Bson::ObjectId(id), hex::encode(info.md5).into()];
    for (collection, path) in indexes {
        let condition = Filter::Field(path.clone(), Test::In(either.clone()));
        if is_met(store, collection, &condition).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_id(path: FieldPath, id: ObjectId) -> Filter {
    Filter::Field(path, Test::Eq(Bson::ObjectId(id)))
}

fn is_md5(path: FieldPath, info: &FileInfo) -> Filter {
    Filter::Field(path, Test::Eq(hex::encode(info.md5).into()))
}

async fn is_met(store: &dyn Store, collection: &str, condition: &Filter) -> Result<bool> {
    Ok(!store
        .select(collection, condition, None, 1)
        .await?
        .is_empty())
}

#[cfg(test)]
mod tests {
    use bson::doc;
    use serde_json::json;

    use super::*;
    use crate::plugins::declaration::Declaration;
    use crate::store::{DocKey, Op, Write, WriteSet};

    /// A bucket that another plugin's type shares, while that plugin is not loaded.
    #[tokio::test]
    async fn up_13_files_of_types_that_are_not_loaded_stay() {
        let of = |name: &str, resource: &str| {
            let declaration = json!({"format": 1, "contract": "1.0", "name": resource, "version": "1.0.0", "summary": "",
                "types": [{"name": name, "resource": resource, "collection": resource, "keys": [], "args": [],
                    "fields": [{"name": "data", "kind": "file", "bucket": "shared"}]}]});
            Declaration::read(&declaration.to_string()).unwrap()
        };
        let both = [of("One", "ones"), of("Other", "others")];
        let both = Registry::of_declarations(both).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let store = crate::store::testing::open(folder.path()).await;
        store.declare(&both.collection_specs()).await.unwrap();
        let staged = crate::plugins::work::stage(store.as_ref(), "f", "bytes".into()).await;
        let id = store.keep_file("shared", &staged.unwrap()).await.unwrap();
        let set = WriteSet {
            writes: vec![Write::Insert {
                collection: "others".into(),
                body: doc! { "_id": ObjectId::new(), "data": id },
            }],
            ..WriteSet::default()
        };
        store.commit(set).await.unwrap();
        let one = Registry::of_declarations([of("One", "ones")]).unwrap();
        let later = bson::DateTime::now().timestamp_millis() + YOUNG + 60_000;
        assert_eq!(sweep(store.as_ref(), &one, later).await.unwrap(), 0);
        assert!(store.file("shared", id).await.unwrap().is_some());
        store.close().await.unwrap();
    }

    #[tokio::test]
    async fn up_13_files_without_a_document_go_after_a_day() {
        let declaration = json!({"format": 1, "contract": "1.0", "name": "ours", "version": "1.0.0", "summary": "",
            "types": [{"name": "Sample", "resource": "samples", "collection": "sample", "keys": [["md5"]], "args": [],
                "fields": [{"name": "md5", "kind": "text"}, {"name": "filedata", "kind": "file", "bucket": "sample"}]}]});
        let declaration = Declaration::read(&declaration.to_string()).unwrap();
        let registry = Registry::of_declarations([declaration]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let store = crate::store::testing::open(folder.path()).await;
        store.declare(&registry.collection_specs()).await.unwrap();
        let mut ids = Vec::new();
        for bytes in ["by id", "by MD5", "nobody's"] {
            let staged = crate::plugins::work::stage(store.as_ref(), "f", bytes.into()).await;
            let staged = staged.unwrap();
            let id = store.keep_file("sample", &staged).await.unwrap();
            ids.push((id, hex::encode(staged.md5)));
        }
        // Those of lists of objects are found by their MD5 (documents.md 4.1).
        let mut uploads = Vec::new();
        for bytes in ["an object's", "no object's"] {
            let staged = crate::plugins::work::stage(store.as_ref(), "f", bytes.into()).await;
            let staged = staged.unwrap();
            let id = store.keep_file("objects", &staged).await.unwrap();
            uploads.push((id, hex::encode(staged.md5)));
        }
        let object = doc! { "type": "File Upload", "value": &uploads[0].1 };
        let holder = DocKey {
            collection: "sample".into(),
            id: ObjectId::new(),
        };
        let writes = [
            doc! { "_id": ObjectId::new(), "md5": "other", "filedata": ids[0].0 },
            doc! { "_id": holder.id, "md5": &ids[1].1, "objects": [object] },
        ];
        let writes = writes.map(|body| Write::Insert {
            collection: "sample".into(),
            body,
        });
        let set = WriteSet {
            writes: writes.into(),
            ..WriteSet::default()
        };
        store.commit(set).await.unwrap();

        let now = bson::DateTime::now().timestamp_millis();
        for (later, gone) in [
            (0, 0),
            (OLD + 1, 0),
            (YOUNG + 60_000, 2),
            (YOUNG + 60_000, 0),
        ] {
            let swept = sweep(store.as_ref(), &registry, now + later).await.unwrap();
            assert_eq!(swept, gone, "after {later} ms");
        }
        for ((id, _), is_there) in ids.iter().zip([true, true, false]) {
            let file = store.file("sample", *id).await.unwrap();
            assert_eq!(file.is_some(), is_there);
        }
        // What an object had goes with the object: at once, if the file is not young.
        let (kept, md5) = &uploads[0];
        let digest: [u8; 16] = hex::decode(md5).unwrap().try_into().unwrap();
        let release = async |later| {
            let now = now + later;
            release(store.as_ref(), &registry, "objects", &digest, now)
                .await
                .unwrap();
            store.file("objects", *kept).await.unwrap().is_some()
        };
        assert!(release(YOUNG + 60_000).await, "an object has it");
        let set = WriteSet {
            writes: vec![Write::Change {
                document: holder,
                operations: vec![Op::Unset(FieldPath::literal("objects"))],
            }],
            ..WriteSet::default()
        };
        store.commit(set).await.unwrap();
        assert!(release(0).await, "it is young");
        assert!(!release(YOUNG + 60_000).await, "nobody has it");
        store.close().await.unwrap();
    }
}
