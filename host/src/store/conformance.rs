//! What every store must do: a suite that takes any [`super::Store`].
//!
//! Each function is one sentence of the contract. [`suite`] makes a test of each, given how to open an empty store.

mod conditions;
mod declaring;
mod files;
mod lists;
mod model;
mod operations;
mod uncounted;
mod writes;

use std::sync::Arc;

use bson::oid::ObjectId;
use bson::raw::cstr;
use bson::{Bson, Document, RawDocumentBuf, doc};

use super::{
    ClassSet, CollectionSpec, CommitError, Declaration, DocKey, DocRead, Draft, FieldPath, Filter,
    IndexSpec, KeyRead, KeySpec, KeyValue, ListQuery, Op, SearchRead, SortKey, Store, StoreError,
    StoredDocument, Test, Visible, Write, WriteSet,
};

pub(crate) use conditions::*;
pub(crate) use declaring::*;
pub(crate) use files::*;
pub(crate) use lists::*;
pub(crate) use model::*;
pub(crate) use operations::*;
pub(crate) use uncounted::*;
pub(crate) use writes::*;

/// Makes a `#[tokio::test]` of every function of the suite. `$open` is an async function that answers an empty store
/// and something that keeps it alive.
macro_rules! suite {
    ($open:path: $($name:ident),* $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $name() {
            let (_keep, store) = $open().await;
            crate::store::conformance::$name(store).await;
        }
    )*};
    ($open:path) => {
        crate::store::conformance::suite! { $open:
            appends_to_one_list_both_take_effect,
            changes_of_different_fields_both_take_effect,
            a_read_that_no_longer_holds_is_a_conflict,
            a_read_of_another_field_still_holds,
            a_search_guards_its_answer_and_not_the_list,
            a_read_of_a_document_that_goes_is_a_conflict,
            a_read_of_absence_guards_against_its_coming,
            a_key_read_guards_against_a_new_holder,
            a_key_read_sees_its_holder_lose_the_key,
            two_inserts_with_one_key_give_one_document,
            a_key_is_free_again_after_removal_and_change,
            documents_without_a_field_of_the_key_have_no_key,
            keys_may_be_swapped_within_one_write_set,
            a_selection_guards_against_phantoms,
            a_selection_with_limit_guards_its_part_only,
            a_write_set_without_writes_asks_whether_its_reads_hold,
            all_of_a_write_set_or_nothing,
            nothing_is_left_of_what_conflicts_in_a_group,
            an_insert_of_an_existing_document_is_a_conflict,
            copies_keep_their_bytes,
            a_document_is_made_and_removed_in_one_write_set,
            push_unique_says_what_it_met,
            pull_says_how_many_it_removed,
            increments_add_up,
            impossible_operations_are_refused,
            too_large_a_document_is_refused,
            revisions_grow_and_never_come_back,
            operations_without_effect_leave_the_revision,
            sixty_four_writers_on_one_document_lose_nothing,
            read_modify_write_loses_nothing,
            a_list_of_ten_thousand_grows,
            undeclared_collections_are_named,
            collections_are_listed,
            declarations_are_answered_as_they_were_made,
            administrative_commits_move_the_revision,
            duplicates_are_reported_and_not_enforced,
            new_indexes_are_filled,
            get_many_keeps_the_order,
            a_class_follows_the_source,
            counts_are_exact_per_class,
            unknown_classes_are_invisible,
            classes_are_interned_once,
            classes_of_documents_come_in_order,
            pages_cover_everything_once,
            ties_are_broken_by_id_in_both_directions,
            missing_values_sort_lowest,
            lists_sort_by_their_lowest_value,
            long_values_sort_and_match_exactly,
            many_with_the_same_value_sort_by_id,
            several_sort_keys,
            offsets_beyond_the_end_are_empty,
            pages_without_a_count_are_those_of_the_list,
            an_order_continues_after_a_place,
            conditions_agree_with_and_without_index,
            conditions_on_several_indexes,
            expressions_find_what_they_should,
            selections_ascend_and_continue,
            equal_bytes_are_one_file,
            files_are_read_in_parts,
            files_are_swept,
            a_file_in_two_buckets_survives_in_one,
            files_keep_the_ids_they_come_with,
            files_are_listed_by_id,
            files_are_found_by_md5,
            staged_files_go_with_their_value,
            any_history_gives_what_the_model_gives,
            a_closed_store_refuses,
        }
    };
}
pub(crate) use suite;

pub(crate) type Shared = Arc<dyn Store>;

pub(crate) fn path(text: &str) -> FieldPath {
    FieldPath::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

pub(crate) fn index(text: &str) -> IndexSpec {
    IndexSpec {
        path: path(text),
        sortable: false,
        searchable: false,
    }
}

pub(crate) fn sortable(text: &str) -> IndexSpec {
    IndexSpec {
        path: path(text),
        sortable: true,
        searchable: false,
    }
}

pub(crate) fn searchable(text: &str) -> IndexSpec {
    IndexSpec {
        path: path(text),
        sortable: true,
        searchable: true,
    }
}

pub(crate) fn key(fields: &[&str]) -> KeySpec {
    KeySpec {
        fields: fields.iter().map(|field| path(field)).collect(),
    }
}

/// A collection with sources and all sorts of indexes.
pub(crate) fn things() -> CollectionSpec {
    CollectionSpec {
        name: "things".to_owned(),
        classed: true,
        administrative: false,
        keys: vec![key(&["name"]), key(&["kind", "number"])],
        indexes: vec![
            searchable("value"),
            sortable("size"),
            sortable("status"),
            sortable("tags"),
            index("tags.0"),
            index("list.name"),
            index("list.number"),
            index("relationships.value"),
        ],
    }
}

/// A collection without sources, keys and indexes.
pub(crate) fn plain() -> CollectionSpec {
    CollectionSpec {
        name: "plain".to_owned(),
        classed: false,
        administrative: false,
        keys: Vec::new(),
        indexes: Vec::new(),
    }
}

pub(crate) async fn declare(store: &Shared) {
    let reports = store.declare(&[things(), plain()]).await.unwrap();
    assert!(reports.is_empty(), "{reports:?}");
}

/// Ids in ascending order, whatever the clock does.
pub(crate) fn id(number: u32) -> ObjectId {
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&0x6000_0000_u32.to_be_bytes());
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    ObjectId::from_bytes(bytes)
}

pub(crate) fn thing(number: u32) -> DocKey {
    DocKey {
        collection: "things".to_owned(),
        id: id(number),
    }
}

pub(crate) fn with_id(number: u32, mut body: Document) -> Document {
    let mut document = doc! { "_id": id(number) };
    document.extend(std::mem::take(&mut body));
    document
}

pub(crate) fn insert(number: u32, body: Document) -> Write {
    Write::Insert {
        collection: "things".to_owned(),
        body: with_id(number, body),
    }
}

pub(crate) fn change(number: u32, operations: Vec<Op>) -> Write {
    Write::Change {
        document: thing(number),
        operations,
    }
}

pub(crate) fn remove(number: u32) -> Write {
    Write::Remove {
        document: thing(number),
    }
}

pub(crate) fn set(field: &str, value: impl Into<Bson>) -> Op {
    Op::Set(path(field), value.into())
}

pub(crate) fn push(field: &str, value: impl Into<Bson>) -> Op {
    Op::Push(path(field), value.into())
}

pub(crate) fn writes(writes: Vec<Write>) -> WriteSet {
    WriteSet {
        writes,
        ..WriteSet::default()
    }
}

pub(crate) async fn apply(store: &Shared, changes: Vec<Write>) {
    store.commit(writes(changes)).await.unwrap();
}

pub(crate) async fn stored(store: &Shared, number: u32) -> StoredDocument {
    store
        .get("things", id(number))
        .await
        .unwrap()
        .unwrap_or_else(|| panic!("no document {number}"))
}

pub(crate) async fn body(store: &Shared, number: u32) -> Document {
    let stored = stored(store, number).await;
    Document::try_from(stored.body.as_ref()).unwrap()
}

/// What a handler notes when it reads paths of a document.
pub(crate) async fn read(store: &Shared, number: u32, paths: &[&str]) -> DocRead {
    let document = store.get("things", id(number)).await.unwrap();
    let values = paths
        .iter()
        .map(|text| {
            let value = document.as_ref().and_then(|document| {
                Draft::stored(Arc::clone(&document.body))
                    .get(&path(text))
                    .unwrap()
            });
            (path(text), value)
        })
        .collect();
    DocRead {
        document: thing(number),
        revision: document.map(|document| document.revision),
        values,
        searches: Vec::new(),
    }
}

pub(crate) fn name_key(name: &str) -> KeyValue {
    KeyValue {
        collection: "things".to_owned(),
        parts: vec![(path("name"), name.into())],
    }
}

pub(crate) async fn look_up(store: &Shared, name: &str) -> KeyRead {
    let holder = store
        .by_key(&name_key(name))
        .await
        .unwrap()
        .map(|document| document.id);
    KeyRead {
        key: name_key(name),
        holder,
    }
}

pub(crate) fn eq(field: &str, value: impl Into<Bson>) -> Filter {
    Filter::Field(path(field), Test::Eq(value.into()))
}

pub(crate) fn all(filter: Filter) -> ListQuery {
    ListQuery {
        collection: "things".to_owned(),
        visible: Visible::All,
        filter,
        sort: Vec::new(),
        offset: 0,
        limit: 1000,
    }
}

pub(crate) fn by(field: &str, direction: super::Direction) -> Vec<SortKey> {
    vec![SortKey {
        path: path(field),
        direction,
    }]
}

/// Ids of a page, and its count.
pub(crate) async fn page(store: &Shared, query: &ListQuery) -> (Vec<ObjectId>, u64) {
    let page = store.list(query).await.unwrap();
    (
        page.documents.iter().map(|document| document.id).collect(),
        page.total,
    )
}

pub(crate) fn ids(numbers: &[u32]) -> Vec<ObjectId> {
    numbers.iter().map(|number| id(*number)).collect()
}

pub(crate) fn source(name: &str, tlps: &[&str]) -> Document {
    let instances: Vec<Document> = tlps.iter().map(|tlp| doc! { "tlp": *tlp }).collect();
    doc! { "name": name, "instances": instances }
}

/// The classes that have one of these names among their pairs.
pub(crate) fn seeing(store: &Shared, names: &[&str]) -> Visible {
    let mut set = ClassSet::default();
    for (class, pairs) in store.classes().classes.iter().enumerate() {
        if pairs.iter().any(|(name, _)| names.contains(&name.as_str())) {
            set.insert(class as u32);
        }
    }
    Visible::Classes(Arc::new(set))
}

pub(crate) fn is_conflict(result: &Result<(), CommitError>) -> bool {
    matches!(result, Err(CommitError::Conflict(_)))
}
