//! Files.

use std::collections::HashSet;

use super::super::StagedFile;
use super::*;

fn staged(store: &Shared, name: &str, bytes: &[u8]) -> StagedFile {
    let mut writer = StagedFile::create(store.staging_folder(), name).unwrap();
    for part in bytes.chunks(1000) {
        writer.write(part).unwrap();
    }
    assert_eq!(writer.size(), bytes.len() as u64);
    writer.finish().unwrap()
}

pub(crate) async fn equal_bytes_are_one_file(store: Shared) {
    declare(&store).await;
    let first = staged(&store, "first", b"hello");
    assert_eq!(hex(&first.md5), "5d41402abc4b2a76b9719d911017c592");
    assert_eq!(hex(&first.sha1), "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d");
    assert_eq!(
        hex(&first.sha256),
        "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    );
    let one = store.keep_file("sample", &first).await.unwrap();
    let two = store
        .keep_file("sample", &staged(&store, "second", b"hello"))
        .await
        .unwrap();
    let other = store
        .keep_file("sample", &staged(&store, "third", b"hallo"))
        .await
        .unwrap();
    assert_eq!(one, two);
    assert_ne!(one, other);
    let info = store.file("sample", one).await.unwrap().unwrap();
    assert_eq!(
        (info.name.as_str(), info.size, info.md5),
        ("first", 5, first.md5)
    );
    assert_eq!(store.file("pcaps", one).await.unwrap(), None);
    assert!(store.read_file("pcaps", one, 0, 10).await.is_err());
    let mut tasks = Vec::new();
    for _ in 0..8 {
        let store = Arc::clone(&store);
        tasks.push(tokio::spawn(async move {
            let file = staged(&store, "x", b"at the same time");
            store.keep_file("sample", &file).await.unwrap()
        }));
    }
    let mut ids = HashSet::new();
    for task in tasks {
        ids.insert(task.await.unwrap());
    }
    assert_eq!(ids.len(), 1);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) async fn files_are_read_in_parts(store: Shared) {
    declare(&store).await;
    let bytes: Vec<u8> = (0..1_000_000_u32)
        .map(|number| (number % 251) as u8)
        .collect();
    let id = store
        .keep_file("sample", &staged(&store, "", &bytes))
        .await
        .unwrap();
    let mut read = Vec::new();
    loop {
        let part = store
            .read_file("sample", id, read.len() as u64, 300_000)
            .await
            .unwrap();
        if part.is_empty() {
            break;
        }
        read.extend(part);
    }
    assert!(read == bytes);
    assert_eq!(
        store
            .read_file("sample", id, 999_999, 10)
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        store
            .read_file("sample", id, u64::MAX, 10)
            .await
            .unwrap()
            .len(),
        0
    );
    let empty = store
        .keep_file("sample", &staged(&store, "e", b""))
        .await
        .unwrap();
    assert_eq!(store.file("sample", empty).await.unwrap().unwrap().size, 0);
    assert_eq!(
        store.read_file("sample", empty, 0, 10).await.unwrap().len(),
        0
    );
}

pub(crate) async fn files_are_swept(store: Shared) {
    declare(&store).await;
    let kept = store
        .keep_file("sample", &staged(&store, "a", b"aaa"))
        .await
        .unwrap();
    let orphan = store
        .keep_file("sample", &staged(&store, "b", b"bbb"))
        .await
        .unwrap();
    let referred = HashSet::from([kept]);
    let kept_at = store.file("sample", orphan).await.unwrap().unwrap().kept_at;
    assert_eq!(
        store
            .sweep_files("sample", &referred, kept_at)
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        store
            .sweep_files("other", &referred, i64::MAX)
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        store
            .sweep_files("sample", &referred, i64::MAX)
            .await
            .unwrap(),
        1
    );
    assert_eq!(store.file("sample", orphan).await.unwrap(), None);
    assert_eq!(
        store.read_file("sample", kept, 0, 10).await.unwrap(),
        b"aaa"
    );
    let again = store
        .keep_file("sample", &staged(&store, "b", b"bbb"))
        .await
        .unwrap();
    assert_eq!(
        store.read_file("sample", again, 0, 10).await.unwrap(),
        b"bbb"
    );
}

pub(crate) async fn a_file_in_two_buckets_survives_in_one(store: Shared) {
    declare(&store).await;
    let one = store
        .keep_file("sample", &staged(&store, "a", b"aaa"))
        .await
        .unwrap();
    let two = store
        .keep_file("objects", &staged(&store, "a", b"aaa"))
        .await
        .unwrap();
    assert_eq!(
        store
            .sweep_files("sample", &HashSet::new(), i64::MAX)
            .await
            .unwrap(),
        1
    );
    assert_eq!(store.file("sample", one).await.unwrap(), None);
    assert_eq!(
        store.read_file("objects", two, 0, 10).await.unwrap(),
        b"aaa"
    );
}

pub(crate) async fn files_keep_the_ids_they_come_with(store: Shared) {
    declare(&store).await;
    let keep = |number, bytes: &'static [u8]| {
        let store = Arc::clone(&store);
        async move {
            let file = staged(&store, "a", bytes);
            store.keep_file_as("sample", id(number), &file).await
        }
    };
    keep(7, b"aaa").await.unwrap();
    keep(5, b"aaa").await.unwrap();
    keep(7, b"aaa").await.unwrap();
    assert_eq!(
        keep(7, b"bbb").await.unwrap_err().to_string(),
        format!(
            "the store failed: file {} of `sample` has other bytes",
            id(7)
        )
    );
    for number in [5, 7] {
        let info = store.file("sample", id(number)).await.unwrap().unwrap();
        assert_eq!((info.name.as_str(), info.size), ("a", 3));
        let bytes = store.read_file("sample", id(number), 1, 10).await;
        assert_eq!(bytes.unwrap(), b"aa");
    }
    // What comes without an id gets the lowest.
    let again = store
        .keep_file("sample", &staged(&store, "b", b"aaa"))
        .await;
    assert_eq!(again.unwrap(), id(5));
    let referred = HashSet::from([id(7)]);
    let swept = store.sweep_files("sample", &referred, i64::MAX).await;
    assert_eq!(swept.unwrap(), 1);
    assert_eq!(store.file("sample", id(5)).await.unwrap(), None);
    let left = store.read_file("sample", id(7), 0, 10).await;
    assert_eq!(left.unwrap(), b"aaa");
}

pub(crate) async fn files_are_listed_by_id(store: Shared) {
    declare(&store).await;
    assert_eq!(store.buckets().await.unwrap(), Vec::<String>::new());
    for number in [4, 2, 9, 1] {
        let bytes = [number as u8; 3];
        let file = staged(&store, &format!("f{number}"), &bytes[..number as usize % 3]);
        store
            .keep_file_as("sample", id(number), &file)
            .await
            .unwrap();
    }
    let other = staged(&store, "o", b"o");
    store.keep_file("objects", &other).await.unwrap();
    assert_eq!(store.buckets().await.unwrap(), ["objects", "sample"]);
    let listed = |after, limit| {
        let store = Arc::clone(&store);
        async move {
            let files = store.files("sample", after, limit).await.unwrap();
            files
                .into_iter()
                .map(|(id, info)| (id, info.name, info.size))
                .collect::<Vec<_>>()
        }
    };
    let file = |number: u32| (id(number), format!("f{number}"), u64::from(number % 3));
    assert_eq!(listed(None, 3).await, [1, 2, 4].map(file));
    assert_eq!(listed(Some(id(4)), 3).await, [9].map(file));
    assert_eq!(listed(Some(id(9)), 3).await, []);
    let info = store.files("objects", None, 10).await.unwrap().remove(0).1;
    assert_eq!((info.sha256, info.md5), (other.sha256, other.md5));
}

pub(crate) async fn files_are_found_by_md5(store: Shared) {
    declare(&store).await;
    let file = staged(&store, "a", b"aaa");
    let found = |bucket: &'static str, md5: [u8; 16]| {
        let store = Arc::clone(&store);
        async move {
            let found = store.file_by_md5(bucket, &md5).await.unwrap();
            found.map(|(id, info)| (id, info.name, info.size))
        }
    };
    assert_eq!(found("sample", file.md5).await, None);
    for number in [9, 4] {
        store
            .keep_file_as("sample", id(number), &file)
            .await
            .unwrap();
    }
    let other = staged(&store, "b", b"bbb");
    let kept = store.keep_file("sample", &other).await.unwrap();
    assert_eq!(
        found("sample", file.md5).await,
        Some((id(4), "a".to_owned(), 3))
    );
    assert_eq!(
        found("sample", other.md5).await,
        Some((kept, "b".to_owned(), 3))
    );
    assert_eq!(found("sample", [0; 16]).await, None);
    assert_eq!(found("objects", file.md5).await, None);
    let referred = HashSet::from([id(9), kept]);
    let swept = store.sweep_files("sample", &referred, i64::MAX).await;
    assert_eq!(swept.unwrap(), 1);
    assert_eq!(
        found("sample", file.md5).await,
        Some((id(9), "a".to_owned(), 3))
    );
}

pub(crate) async fn staged_files_go_with_their_value(store: Shared) {
    let left = || std::fs::read_dir(store.staging_folder()).unwrap().count();
    let before = left();
    let file = staged(&store, "../../etc/passwd", b"x");
    let begun = StagedFile::create(store.staging_folder(), "y").unwrap();
    assert_eq!(left(), before + 2);
    assert!(file.path.starts_with(store.staging_folder()));
    drop((file, begun));
    assert_eq!(left(), before);
}

pub(crate) async fn a_closed_store_refuses(store: Shared) {
    declare(&store).await;
    let mut tasks = Vec::new();
    for number in 0..20 {
        let store = Arc::clone(&store);
        tasks.push(tokio::spawn(async move {
            store.commit(writes(vec![insert(number, doc! {})])).await
        }));
    }
    store.close().await.unwrap();
    for task in tasks {
        let _ = task.await.unwrap();
    }
    assert!(store.get("things", id(1)).await.is_err());
    assert!(
        store
            .commit(writes(vec![insert(1, doc! {})]))
            .await
            .is_err()
    );
    assert!(store.list(&all(Filter::All)).await.is_err());
    store.close().await.unwrap();
}
