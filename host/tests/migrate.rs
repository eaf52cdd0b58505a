//! `critd migrate` with the real binary between an embedded store and a real MongoDB, broken off and taken up again.
//!
//! The stores hold what no plugin would make, so they are filled through the library. `cargo xtask test` starts the
//! replica set.
#![expect(clippy::expect_used, reason = "what is not as expected ends a test")]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use bson::oid::ObjectId;
use bson::raw::cstr;
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, DateTime, Document, RawDocumentBuf, doc};
use critd::store::sqlite::{Options, SqliteStore};
use critd::store::{
    CollectionSpec, FieldPath, IndexSpec, KeySpec, StagedFile, Store, Write, WriteSet,
};

const DOMAINS: u32 = 2_000;
const NOTES: u32 = 1_000;
const FILES: u32 = 100;

/// The replica set that `cargo xtask test` started.
fn deployment() -> String {
    std::env::var("CRITD_TEST_MONGODB").unwrap_or_else(|_| {
        panic!("this test needs a replica set: run it with `cargo xtask test`, which starts one and sets CRITD_TEST_MONGODB")
    })
}

/// A database of a test's own; dropped in the end.
struct Database {
    url: String,
    name: String,
}

impl Database {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("critd_test_{}_migrate{number}", std::process::id());
        let deployment = deployment();
        let (hosts, options) = deployment.split_once("/?").unwrap_or((&deployment, ""));
        let url = format!("{}/{name}?{options}", hosts.trim_end_matches('/'));
        Self { url, name }
    }

    /// On a thread and runtime of its own: tests have one already.
    fn with<T: Send>(&self, work: impl AsyncFnOnce(mongodb::Database) -> T + Send) -> T {
        let run = || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("runtime");
            runtime.block_on(async {
                let client = mongodb::Client::with_uri_str(&self.url).await;
                work(client.expect("client").database(&self.name)).await
            })
        };
        std::thread::scope(|scope| scope.spawn(run).join().expect("the thread ends"))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Err(error) = self.with(async |database| database.drop().await) {
            eprintln!("the database {} could not be dropped: {error}", self.name);
        }
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_critd"));
    command
        .args(arguments)
        .stdin(Stdio::null())
        .env_remove("CRITD_DATA")
        .env_remove("CRITD_STORE");
    command
}

fn critd(arguments: &[&str]) -> Output {
    command(arguments).output().expect("critd runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a command printed that was done.
fn done(arguments: &[&str]) -> (String, String) {
    let output = critd(arguments);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {out}{err}");
    (out, err)
}

/// A command that is refused with these words.
fn refused(arguments: &[&str], code: i32, words: &str) {
    let output = critd(arguments);
    assert_eq!(text(&output.stderr), words, "{arguments:?}");
    assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    assert_eq!(text(&output.stdout), "", "{arguments:?}");
}

/// Temporary folders of a test.
struct Folders(tempfile::TempDir);

impl Folders {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        // As the messages show it.
        let root = self.0.path().canonicalize().expect("path");
        root.join(name)
    }

    fn named(&self, name: &str) -> String {
        self.path(name).to_str().expect("path").to_owned()
    }
}

fn path(text: &str) -> FieldPath {
    FieldPath::parse(text).expect("path")
}

fn id(number: u32) -> ObjectId {
    let mut bytes = [0x50; 12];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    ObjectId::from_bytes(bytes)
}

fn collection(name: &str, keys: &[&str]) -> CollectionSpec {
    let key = |field: &&str| KeySpec {
        fields: vec![path(field)],
    };
    CollectionSpec {
        name: name.to_owned(),
        classed: false,
        administrative: false,
        keys: keys.iter().map(key).collect(),
        indexes: Vec::new(),
    }
}

fn specifications() -> Vec<CollectionSpec> {
    let index = |field, sortable, searchable| IndexSpec {
        path: path(field),
        sortable,
        searchable,
    };
    let domains = CollectionSpec {
        classed: true,
        indexes: vec![
            index("domain", true, true),
            index("modified", true, false),
            index("bucket_list", false, false),
        ],
        ..collection("domains", &["domain"])
    };
    vec![
        domains,
        collection("audit_log", &[]),
        collection("notes", &[]),
    ]
}

fn domain(number: u32) -> Document {
    let sources = ["Alpha", "Beta", "Gamma"];
    let source = sources[number as usize % sources.len()];
    doc! {
        "_id": id(number),
        "schema_version": 3,
        "domain": format!("host{number}.example.com"),
        "modified": DateTime::from_millis(1_700_000_000_000 + i64::from(number)),
        "tlp": "amber",
        "bucket_list": ["one", format!("b{}", number % 7)],
        "source": [{ "name": source, "instances": [
            { "analyst": "me", "date": DateTime::from_millis(-1), "method": "", "reference": "", "tlp": "red" },
        ] }],
        "unsupported_attrs": {},
        "objects": [],
    }
}

/// Values of all kinds, at all depths.
fn note(number: u32) -> Document {
    let binary = |subtype, length: u32| Binary {
        subtype,
        bytes: (0..length).map(|byte| (byte * 7) as u8).collect(),
    };
    let mut note =
        doc! { "z": "comes before a", "a": number, "_cls": "Odd.Note", "schema_version": 1 };
    match number % 8 {
        0 => note.insert("link_id", binary(BinarySubtype::UuidOld, 16)),
        1 => note.insert("link_id", binary(BinarySubtype::Uuid, 16)),
        2 => note.insert("bytes", binary(BinarySubtype::Generic, number)),
        3 => note.insert(
            "numbers",
            vec![
                Bson::Double(f64::NAN),
                Bson::Double(-0.0),
                Bson::Int64(i64::MIN),
                Bson::Int32(-1),
                Bson::Null,
            ],
        ),
        4 => note.insert(
            "deep",
            (0..70).fold(Bson::from("end"), |inner, step| match step % 2 {
                0 => doc! { "in": inner }.into(),
                _ => vec![inner].into(),
            }),
        ),
        5 => note.insert("text", "\u{1f600} \u{e4}\0".repeat(40)),
        6 => note.insert(
            "dates",
            vec![DateTime::MIN, DateTime::from_millis(0), DateTime::MAX],
        ),
        _ => note.insert("empty", doc! { "list": [], "document": {}, "": "nameless" }),
    };
    if number == 17 {
        note.insert("large", "x".repeat(3 << 20));
    }
    note.insert("_id", id(number));
    note
}

/// What no map of names to values could hold, `_id` at the end.
fn odd() -> RawDocumentBuf {
    let mut raw = RawDocumentBuf::new();
    raw.append(cstr!("twice"), 1);
    raw.append(cstr!("twice"), 2);
    raw.append(cstr!("_id"), id(NOTES));
    raw
}

async fn commit(store: &SqliteStore, writes: Vec<Write>) {
    let changes = WriteSet {
        writes,
        ..WriteSet::default()
    };
    store.commit(changes).await.expect("committed");
}

fn file(number: u32) -> (&'static str, String, Vec<u8>) {
    let bucket = if number.is_multiple_of(3) {
        "objects"
    } else {
        "sample"
    };
    // Every tenth has the bytes of another one; sizes from none to several chunks.
    let seed = number - u32::from(number % 10 == 9);
    let size = match seed % 20 {
        0 => 0,
        7 => 700_000,
        _ => seed as usize * 31,
    };
    let bytes = (0..size).map(|place| (place as u32 ^ seed) as u8).collect();
    (bucket, format!("f\u{fc}r {number}.bin"), bytes)
}

/// A store with users, keys, settings, and documents and files of all kinds.
async fn fill(folder: &Path) {
    let data = folder.to_str().expect("path");
    for arguments in [
        &["init"][..],
        &["source", "add", "Alpha", "Beta", "Gamma"],
        &["user", "add", "admin", "--role", "UberAdmin"],
        &["key", "add", "admin"],
        &["set", "enable_api=true"],
    ] {
        done(&[&["--data", data], arguments].concat());
    }
    let store = SqliteStore::open(folder, Options::default()).expect("opened");
    store.declare(&specifications()).await.expect("declared");
    let insert = |collection: &str, body| Write::Insert {
        collection: collection.to_owned(),
        body,
    };
    let mut writes: Vec<Write> = (0..DOMAINS)
        .map(|number| insert("domains", domain(number)))
        .collect();
    writes.extend((0..NOTES).map(|number| insert("notes", note(number))));
    writes.extend((0..5).map(|number| {
        let entry = doc! { "_id": id(number), "what": "created", "type": "Domain", "target_id": id(number) };
        insert("audit_log", entry)
    }));
    writes.push(Write::Copy {
        collection: "notes".to_owned(),
        body: Arc::new(odd()),
    });
    commit(&store, writes).await;
    // A key that documents violate from the beginning.
    let violated = collection("notes", &["z"]);
    let reports = store.declare(&[violated]).await.expect("declared");
    assert_eq!(reports.len(), 1, "{reports:?}");
    for number in 0..FILES {
        let (bucket, name, bytes) = file(number);
        let mut writer = StagedFile::create(store.staging_folder(), &name).expect("staged");
        writer.write(&bytes).expect("written");
        let staged = writer.finish().expect("finished");
        store
            .keep_file_as(bucket, id(number), &staged)
            .await
            .expect("kept");
    }
    store.close().await.expect("closed");
}

fn digest_of(place: &[&str]) -> String {
    done(&[place, &["digest"]].concat()).0
}

/// Starts a migration and kills it some moments after its n-th line.
fn broken_off(from: &str, to: &str, lines: usize, moments: Duration) {
    let mut process = command(&["migrate", "--from", from, "--to", to])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("critd runs");
    let mut said = BufReader::new(process.stderr.take().expect("piped")).lines();
    let mut read: Vec<String> = Vec::new();
    for number in 0..lines {
        match said.next() {
            Some(Ok(line)) => read.push(line),
            other => panic!("no line {number}: {other:?} after {read:#?}"),
        }
    }
    std::thread::sleep(moments);
    process.kill().expect("killed");
    let status = process.wait().expect("ended");
    assert_eq!(
        status.code(),
        None,
        "it was done before it was killed: {status}"
    );
}

/// Up to so many milliseconds, other ones each time.
fn moments(most: u32) -> Duration {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let chance = now.map_or(0, |now| now.subsec_micros());
    Duration::from_millis(u64::from(chance % most))
}

/// Copies, broken off twice, and says what the last run printed.
fn copied_in_three_runs(from: &str, to: &str, unfinished: &[&str]) -> (String, String) {
    broken_off(from, to, 1, moments(40));
    let output = critd(&[unfinished, &["digest"]].concat());
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.starts_with("error: this store is an unfinished copy of "),
        "{said}"
    );
    assert!(
        said.ends_with("\nhint: run the same `critd migrate --from … --to …` again: it goes on where it was broken off\n"),
        "{said}"
    );
    broken_off(from, to, 4, moments(60));
    done(&["migrate", "--from", from, "--to", to])
}

#[tokio::test]
async fn a_store_goes_to_mongodb_and_back_though_killed_in_the_middle() {
    let (folders, database) = (Folders::new(), Database::new());
    let (first, last) = (folders.named("first"), folders.named("last"));
    fill(&folders.path("first")).await;
    let digest = digest_of(&["--data", &first]);
    let parts: Vec<&str> = digest.lines().collect();
    assert!(parts[0].ends_with(" bytes"), "{digest}");
    assert!(parts[1].starts_with("100 files in 2 buckets, "), "{digest}");
    assert_eq!(parts[2].len(), "digest ".len() + 64, "{digest}");

    let (out, err) = copied_in_three_runs(&first, &database.url, &["--store", &database.url]);
    assert_eq!(out, digest);
    let lines: Vec<&str> = err.lines().collect();
    assert!(
        lines[0].starts_with("Going on with an unfinished copy: ")
            && lines[0].ends_with(" documents are there"),
        "{err}"
    );
    for line in [
        "`domains`: 2,000 documents",
        "`notes`: 1,001 documents",
        "`objects`: 34 files",
        "`sample`: 66 files",
        "Reading both stores through to compare them",
    ] {
        // What had been copied before is not copied again.
        let may_be_there = ["`domains`", "`notes`"]
            .iter()
            .any(|name| line.starts_with(name));
        assert!(
            lines.contains(&line) || may_be_there,
            "{line} is not in {err}"
        );
    }
    let remark = lines[lines.len() - 2];
    assert_eq!(
        remark,
        format!(
            "warning: `notes` has 1 values of (z) in more than one document, the first in {}: the key is not enforced",
            id(0)
        )
    );
    assert_eq!(
        lines[lines.len() - 1],
        format!(
            "Copied {first} to {}; both have the same digest",
            database.url
        )
    );
    assert_eq!(digest_of(&["--store", &database.url]), digest);

    let (out, _) = copied_in_three_runs(&database.url, &last, &["--data", &last]);
    assert_eq!(out, digest);
    assert_eq!(digest_of(&["--data", &last]), digest);
    // What was worked out anew works.
    let (users, _) = done(&["--data", &last, "user", "list"]);
    assert!(users.contains("admin"), "{users}");
    let store = SqliteStore::open(&folders.path("last"), Options::default()).expect("opened");
    let known = store.declarations().await.expect("declared");
    let before = SqliteStore::open(&folders.path("first"), Options::default()).expect("opened");
    let wanted = before.declarations().await.expect("declared");
    let known: Vec<_> = known
        .into_iter()
        .filter(|known| known.spec.name != "critd_migration")
        .collect();
    assert_eq!(known, wanted);
    assert_eq!(
        store.classes().classes.len(),
        before.classes().classes.len()
    );
    assert_eq!(
        store
            .file("sample", id(1))
            .await
            .expect("read")
            .expect("there")
            .name,
        "f\u{fc}r 1.bin"
    );
}

#[tokio::test]
async fn an_unfinished_copy_is_not_served_and_takes_no_other_source() {
    let (folders, database) = (Folders::new(), Database::new());
    let (first, other, target) = (
        folders.named("first"),
        folders.named("other"),
        folders.named("target"),
    );
    fill(&folders.path("first")).await;
    done(&["--data", &other, "init"]);
    // Far enough for `audit_log`, which is changed below, to be among what was copied.
    broken_off(&first, &target, 3, Duration::ZERO);
    let again = "hint: run the same `critd migrate --from … --to …` again: it goes on where it was broken off\n";
    for arguments in [
        &["serve", "--listen", "127.0.0.1:0"][..],
        &["user", "list"],
        &["init"],
    ] {
        let output = critd(&[&["--data", &target], arguments].concat());
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.starts_with(&format!(
                "error: this store is an unfinished copy of {first}: "
            )),
            "{said}"
        );
        assert!(said.ends_with(again), "{said}");
    }
    refused(
        &["migrate", "--from", &other, "--to", &target],
        1,
        &format!(
            "error: the target is an unfinished copy of another store: {first}\n\
             hint: complete that copy, or remove it; `--from` must name its source as it was named then\n"
        ),
    );
    refused(
        &["migrate", "--from", &target, "--to", &database.url],
        1,
        &format!(
            "error: the source is itself an unfinished copy of {first}\n\
             hint: complete that copy first, or copy the original\n"
        ),
    );
    // Changed after the copy was begun: found out by the digests.
    done(&[
        "--data",
        &first,
        "user",
        "set",
        "admin",
        "--organization",
        "Beta",
    ]);
    let store = SqliteStore::open(&folders.path("first"), Options::default()).expect("opened");
    let set = critd::store::Op::Set(path("what"), "changed".into());
    let document = critd::store::DocKey {
        collection: "audit_log".to_owned(),
        id: id(1),
    };
    let change = Write::Change {
        document,
        operations: vec![set],
    };
    commit(&store, vec![change]).await;
    store.close().await.expect("closed");
    let output = critd(&["migrate", "--from", &first, "--to", &target]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.ends_with(
            "error: the copy differs from its source, first in the collection `audit_log`: both have 5 documents, but not the same\n\
             hint: was the source changed since the copy was begun? Remove the target and start again with all servers stopped\n"
        ),
        "{said}"
    );
}

#[tokio::test]
async fn what_can_not_be_meant_is_refused_and_nothing_is_changed() {
    let (folders, database) = (Folders::new(), Database::new());
    let (first, other, none) = (
        folders.named("first"),
        folders.named("other"),
        folders.named("none"),
    );
    done(&["--data", &first, "init"]);
    done(&["--data", &other, "init"]);
    let before = digest_of(&["--data", &other]);
    let mixed = "hint: `--to` takes a folder or database that has nothing yet: two stores are never mixed\n";
    let output = critd(&["migrate", "--from", &first, "--to", &other]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.starts_with("error: the target is not empty: ") && said.ends_with(mixed),
        "{said}"
    );
    assert!(said.contains(" documents in `"), "{said}");
    assert_eq!(digest_of(&["--data", &other]), before);
    refused(
        &["migrate", "--from", &none, "--to", &database.url],
        1,
        &format!("error: there is no store in {none}\n"),
    );
    refused(
        &[
            "migrate",
            "--from",
            &first,
            "--to",
            &format!("{first}/critd.db"),
        ],
        2,
        "error: `--from` and `--to` are the same store\n",
    );
    refused(
        &["migrate", "--from", "http://h/", "--to", &none],
        2,
        "error: `--from` takes the folder of an embedded store, or a URL that begins with mongodb://\n",
    );
    let serving = SqliteStore::open(&folders.path("first"), Options::default()).expect("opened");
    serving.lock_exclusively().expect("locked");
    refused(
        &["migrate", "--from", &first, "--to", &none],
        1,
        &format!(
            "error: another critd serves {first} already\n\
             hint: stop it first: neither store is served or migrated otherwise while one is copied into the other\n"
        ),
    );
    serving.close().await.expect("closed");
}

#[test]
fn databases_of_other_programs_are_refused() {
    let (folders, database) = (Folders::new(), Database::new());
    let first = folders.named("first");
    done(&["--data", &first, "init"]);
    refused(
        &["--store", &database.url, "digest"],
        1,
        &format!(
            "error: there is no store in {0}\nhint: `critd --store '{0}' init` makes one\n",
            database.url
        ),
    );
    let foreign = doc! { "_id": "a text", "x": 1 };
    database.with(async |database| {
        let domains = database.collection::<Document>("domains");
        domains.insert_one(&foreign).await.expect("inserted");
    });
    refused(
        &["migrate", "--from", &first, "--to", &database.url],
        1,
        "error: the target is not empty: the database has a collection `domains` that critd did not make\n\
         hint: `--to` takes a folder or database that has nothing yet: two stores are never mixed\n",
    );
    let there = database.with(async |database| {
        let domains = database.collection::<Document>("domains");
        domains.find_one(doc! {}).await.expect("read")
    });
    assert_eq!(there, Some(foreign));
}
