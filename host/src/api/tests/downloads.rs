//! Downloads (core-api section 9).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};

use super::*;
use crate::api::render::testing::written_by_python;
use crate::store::{FileId, StagedFile};

impl Server {
    async fn keep(&self, bucket: &str, bytes: &[u8]) -> FileId {
        let mut writer = StagedFile::create(self.store.staging_folder(), "x.exe").unwrap();
        for part in bytes.chunks(100_000) {
            writer.write(part).unwrap();
        }
        let staged = writer.finish().unwrap();
        self.store.keep_file(bucket, &staged).await.unwrap()
    }

    /// A sample of source A with these bytes.
    async fn sample(&self, bytes: &[u8]) -> ObjectId {
        let file = self.keep("sample", bytes).await;
        self.insert(
            "sample",
            &["A"],
            doc! {"filename": "x.exe", "md5": md5_of(bytes), "filedata": file},
        )
        .await
    }

    async fn grant(&self, flag: &str) {
        roles::grant(self.store.as_ref(), "reader", &[flag.to_owned()])
            .await
            .unwrap();
    }
}

fn md5_of(bytes: &[u8]) -> String {
    hex::encode(Md5::digest(bytes))
}

/// Names and bytes (as base64) of an archive, as Python's standard library reads it.
fn entries(archive: &[u8], password: &str) -> Json {
    let script = format!(
        "
import sys, io, json, zipfile, base64
z = zipfile.ZipFile(io.BytesIO(sys.stdin.buffer.read()))
z.setpassword({password:?}.encode())
print(json.dumps([[n, base64.b64encode(z.read(n)).decode()] for n in z.namelist()]))
"
    );
    written_by_python(&script, archive)
}

fn entry(name: &str, bytes: &[u8]) -> Json {
    json!([name, STANDARD.encode(bytes)])
}

const STREAM: &str = "application/octet-stream; charset=utf-8";

/// A server whose user alice may download samples.
async fn with_download() -> Server {
    let server = Server::start().await;
    server.grant("Sample.download").await;
    server
}

fn is_no_files(answer: &Answer) {
    assert_eq!(
        (
            answer.status,
            answer.text.as_str(),
            answer.header("content-type"),
            answer.header("content-disposition")
        ),
        (200, "No files found!", Some(STREAM), None)
    );
}

#[tokio::test]
async fn f1_f8_f9_f14_one_document_is_an_archive_too() {
    let server = with_download().await;
    let bytes = b"MZ\0\xff malware".repeat(1_000);
    let id = server.sample(&bytes).await;
    for path in [
        format!("/api/v1/samples/{id}/?file=1"),
        "/api/v1/samples/?file=1".into(),
        format!("/api/v1/samples/set/{id};/?file=1"),
    ] {
        let answer = server.get(&path).await;
        assert_eq!(
            (
                answer.status,
                answer.header("content-type"),
                answer.header("content-disposition")
            ),
            (
                200,
                Some(STREAM),
                Some("attachment; filename=\"results.zip\"")
            )
        );
        assert!(answer.bytes.starts_with(b"PK\x03\x04"));
        assert_eq!(
            entries(&answer.bytes, "infected"),
            json!([entry(&md5_of(&bytes), &bytes)])
        );
    }
    let head = server
        .call("HEAD", &format!("/api/v1/samples/{id}/?file=1"), &[], "")
        .await;
    assert_eq!((head.status, head.bytes.len()), (200, 0));
}

#[tokio::test]
async fn f2_f3_transforms() {
    let server = with_download().await;
    // More than one part of reading, and no multiple of three.
    let bytes: Vec<u8> = (0..700_001_u64).map(|n| ((n * n) >> 7) as u8).collect();
    let id = server.sample(&bytes).await;
    let name = md5_of(&bytes);
    let base64 = STANDARD.encode(&bytes).into_bytes();
    let inverted: Vec<u8> = bytes.iter().map(|byte| byte ^ 0xff).collect();
    for (format, expected) in [
        ("", &bytes),
        ("&file_format=raw", &bytes),
        ("&file_format=nosuch", &bytes),
        ("&file_format=Base64", &bytes),
        ("&file_format=base64", &base64),
        ("&file_format=raw&file_format=invert", &inverted),
    ] {
        let answer = server
            .get(&format!("/api/v1/samples/{id}/?file=1{format}"))
            .await;
        assert!(
            entries(&answer.bytes, "infected") == json!([entry(&name, expected)]),
            "{format}"
        );
    }
    let answer = server
        .get(&format!("/api/v1/samples/{id}/?file=1&file_format=zlib"))
        .await;
    let script = "
import sys, io, json, zipfile, zlib, hashlib
z = zipfile.ZipFile(io.BytesIO(sys.stdin.buffer.read()))
data = z.read(z.namelist()[0], pwd=b'infected')
print(json.dumps([z.namelist(), hashlib.md5(zlib.decompress(data)).hexdigest(), data[:2].hex()]))
";
    assert_eq!(
        written_by_python(script, &answer.bytes),
        json!([[name], name, "789c"])
    );
}

#[tokio::test]
async fn f4_f6_f7_the_page_is_what_is_packed() {
    let server = with_download().await;
    let mut names = Vec::new();
    for number in 0..25_u32 {
        let bytes = format!("file {number}").into_bytes();
        server.sample(&bytes).await;
        names.push(md5_of(&bytes));
    }
    // Without a file, with one that is gone, with an empty one.
    server
        .insert(
            "sample",
            &["A"],
            doc! {"filename": "none", "md5": md5_of(b"none")},
        )
        .await;
    server
        .insert(
            "sample",
            &["A"],
            doc! {"filename": "gone", "md5": md5_of(b"gone"), "filedata": ObjectId::new()},
        )
        .await;
    server.sample(b"").await;
    let packed = |answer: &Answer| -> Vec<String> {
        let found = entries(&answer.bytes, "infected");
        let names = found.as_array().unwrap().iter();
        names
            .map(|entry| entry[0].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        packed(&server.get("/api/v1/samples/?file=1").await),
        names[..20]
    );
    assert_eq!(
        packed(&server.get("/api/v1/samples/?file=1&limit=0").await),
        names
    );
    assert_eq!(
        packed(
            &server
                .get("/api/v1/samples/?file=1&limit=2&offset=24")
                .await
        ),
        names[24..]
    );
    assert_eq!(
        packed(
            &server
                .get(&format!(
                    "/api/v1/samples/?file=1&c-md5={}&only=size",
                    names[3]
                ))
                .await
        ),
        names[3..4]
    );
    is_no_files(&server.get("/api/v1/samples/?file=1&offset=25").await);
    is_no_files(
        &server
            .get("/api/v1/samples/?file=1&c-filename=nosuch")
            .await,
    );
}

#[tokio::test]
async fn f4_names_that_collide_get_a_number() {
    let server = with_download().await;
    let md5 = md5_of(b"one");
    for bytes in [b"one".as_slice(), b"two", b"three"] {
        let file = server.keep("sample", bytes).await;
        server
            .insert(
                "sample",
                &["A"],
                doc! {"filename": "x", "md5": &md5, "filedata": file},
            )
            .await;
    }
    let file = server.keep("sample", b"four").await;
    server
        .insert(
            "sample",
            &["A"],
            doc! {"filename": "x", "md5": "../../evil", "filedata": file.to_hex()},
        )
        .await;
    let answer = server.get("/api/v1/samples/?file=1").await;
    assert_eq!(
        entries(&answer.bytes, "infected"),
        json!([
            entry(&md5, b"one"),
            entry(&format!("{md5}(1)"), b"two"),
            entry(&format!("{md5}(2)"), b"three"),
            entry(&md5_of(b"four"), b"four")
        ])
    );
}

#[tokio::test]
async fn f5_screenshots_are_pictures_in_lists_too() {
    let server = Server::start().await;
    let (thumb, picture) = (
        server.keep("screenshots", b"\x89PNG thumb").await,
        server.keep("screenshots", b"\x89PNG picture").await,
    );
    // The digest is that of the bytes that were uploaded.
    let md5 = md5_of(b"JPEG");
    let fields = doc! {"md5": &md5, "thumb": thumb, "screenshot": picture};
    let id = server.insert("screenshots", &["A"], fields.clone()).await;
    server.insert("screenshots", &["A"], fields).await;
    let name = format!("{md5}.png");
    for query in ["file=1", "file=1&file_format=invert"] {
        let detail = server
            .get_as(
                "admin",
                ADMIN_KEY,
                &format!("/api/v1/screenshots/{id}/?{query}"),
            )
            .await;
        assert_eq!(
            entries(&detail.bytes, "infected"),
            json!([entry(&name, b"\x89PNG picture")])
        );
        let list = server
            .get_as("admin", ADMIN_KEY, &format!("/api/v1/screenshots/?{query}"))
            .await;
        assert_eq!(
            entries(&list.bytes, "infected"),
            json!([
                entry(&name, b"\x89PNG picture"),
                entry(&format!("{md5}(1).png"), b"\x89PNG picture")
            ])
        );
    }
}

#[tokio::test]
async fn m26_a_document_without_a_reference_is_helped_by_its_digest() {
    let server = with_download().await;
    server.keep("sample", b"left alone").await;
    let md5 = md5_of(b"left alone");
    for filedata in [bson::Bson::Null, ObjectId::new().into()] {
        server
            .insert(
                "sample",
                &["A"],
                doc! {"filename": "x", "md5": &md5, "filedata": filedata},
            )
            .await;
    }
    let answer = server.get("/api/v1/samples/?file=1").await;
    assert_eq!(
        entries(&answer.bytes, "infected"),
        json!([
            entry(&md5, b"left alone"),
            entry(&format!("{md5}(1)"), b"left alone")
        ])
    );
}

#[tokio::test]
async fn f9_the_password_is_a_setting_and_an_empty_one_means_infected() {
    let server = with_download().await;
    server.sample(b"x").await;
    for (set, password) in [("geheim ✓", "geheim ✓"), ("", "infected")] {
        server.set("zip7_password", set).await;
        let answer = server.get("/api/v1/samples/?file=1").await;
        assert_eq!(
            entries(&answer.bytes, password),
            json!([entry(&md5_of(b"x"), b"x")])
        );
    }
}

#[tokio::test]
async fn f10_f13_too_much_is_said_in_the_body() {
    let server = with_download().await;
    server.sample(b"12345").await;
    server.sample(b"678901").await;
    server.set("max_download_bytes", "10").await;
    let answer = server.get("/api/v1/samples/?file=1&x=1").await;
    assert_eq!(
        (
            answer.status,
            answer.header("content-type"),
            answer.header("content-disposition"),
            answer.header("x-crits-warning")
        ),
        (
            200,
            Some(STREAM),
            None,
            Some("x: unknown parameter, ignored")
        )
    );
    assert_eq!(
        answer.text,
        "Error while creating archive: the files have 11 bytes, at most 10 are sent at once (setting max_download_bytes). Ask for fewer documents with `limit`."
    );
    let one = server.get("/api/v1/samples/?file=1&limit=1").await;
    assert_eq!(
        entries(&one.bytes, "infected"),
        json!([entry(&md5_of(b"12345"), b"12345")])
    );
}

#[tokio::test]
async fn f11_s16_files_need_the_flag_unless_the_setting_says_no() {
    let server = Server::start().await;
    let id = server.sample(b"x").await;
    let paths = [
        "/api/v1/samples/?file=1".to_owned(),
        format!("/api/v1/samples/{id}/?file=1"),
        format!("/api/v1/samples/set/{id}/?file=1"),
        "/api/v1/samples/ffffffffffffffffffffffff/?file=1".into(),
        "/api/v1/samples/?format=file".into(),
    ];
    for path in &paths {
        let refused = server.get(path).await;
        assert_eq!(
            (
                refused.status,
                refused.text.as_str(),
                refused.header("content-type")
            ),
            (
                403,
                r#"{"error":"You do not have access to this object."}"#,
                Some("application/json")
            ),
            "{path}"
        );
    }
    server.set("api_require_download_flag", "false").await;
    for path in &paths[..3] {
        assert!(server.get(path).await.bytes.starts_with(b"PK"), "{path}");
    }
    // Reading is still needed.
    assert_eq!(server.get("/api/v1/screenshots/?file=1").await.status, 403);
}

#[tokio::test]
async fn f11_az11_files_of_documents_that_are_not_visible_are_not_packed() {
    let server = with_download().await;
    let file = server.keep("sample", b"secret").await;
    let fields = doc! {"filename": "x", "md5": md5_of(b"secret"), "filedata": file};
    let hidden = server.insert("sample", &["B"], fields).await;
    is_no_files(&server.get("/api/v1/samples/?file=1").await);
    is_no_files(
        &server
            .get(&format!("/api/v1/samples/set/{hidden}/?file=1"))
            .await,
    );
    for path in [hidden.to_hex(), file.to_hex()] {
        let answer = server.get(&format!("/api/v1/samples/{path}/?file=1")).await;
        assert_eq!(
            (answer.status, answer.json()),
            (404, json!({"error": "Not found."}))
        );
    }
}

#[tokio::test]
async fn f12_q4_q5_when_files_are_meant() {
    let server = with_download().await;
    server.sample(b"x").await;
    for (query, is_archive) in [
        ("file=1", true),
        ("file=yes", true),
        ("format=file", true),
        ("format=file&file=0", true),
        ("file=1&format=nosuch", true),
        ("file=0", false),
        ("file=false", false),
        ("file=no", false),
        ("file=off", false),
        ("file=", false),
        ("file=1&format=json", false),
        ("file=1&format=xml", false),
        ("file=1&format=yaml", false),
    ] {
        let answer = server.get(&format!("/api/v1/samples/?{query}")).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.bytes.starts_with(b"PK"), is_archive, "{query}");
    }
}

#[tokio::test]
async fn j7_fields_with_files_show_the_id_of_the_file() {
    let server = Server::start().await;
    server.set("inline_filedata", "false").await;
    let id = server.sample(b"x").await;
    let file = server.keep("sample", b"x").await;
    let shown = server.get(&format!("/api/v1/samples/{id}/")).await.json();
    assert_eq!(shown["filedata"], file.to_hex());
    let none = server
        .insert(
            "sample",
            &["A"],
            doc! {"filename": "x", "md5": md5_of(b"y")},
        )
        .await;
    let shown = server.get(&format!("/api/v1/samples/{none}/")).await.json();
    assert_eq!(shown.get("filedata"), None);
    server.set("inline_filedata", "true").await;
    server.set("inline_filedata_of", "pcaps").await;
    let shown = server.get(&format!("/api/v1/samples/{id}/")).await.json();
    assert_eq!(shown["filedata"], file.to_hex());
}

#[tokio::test]
async fn j7_samples_show_their_bytes_to_those_who_may_download_them() {
    let server = Server::start().await;
    let bytes = b"MZ\0\xff".repeat(600_000);
    let large = server.sample(&bytes).await;
    let small = server.sample(b"small").await;
    let gone = server
        .insert(
            "sample",
            &["A"],
            doc! {"filename": "x", "md5": md5_of(b"y"), "filedata": ObjectId::new()},
        )
        .await;
    let list = "/api/v1/samples/";
    let shown = |answer: &Answer| -> Vec<Json> {
        let page = answer.json();
        let objects = page["objects"].as_array().unwrap().iter();
        objects.map(|object| object["filedata"].clone()).collect()
    };
    let refused = server.get(list).await;
    assert_eq!(shown(&refused), ["", "", ""]);
    assert_eq!(
        refused.json()["meta"]["warnings"],
        json!(["filedata: left empty without the permission Sample.download"])
    );
    server.grant("Sample.download").await;
    let all = server.get(list).await;
    let (one, two) = (STANDARD.encode(&bytes), STANDARD.encode("small"));
    assert!(shown(&all) == [one.as_str(), &two, ""]);
    assert_eq!(
        all.json()["meta"]["warnings"],
        json!(["filedata: left empty where the file is gone"])
    );
    let detail = server
        .get(&format!("{list}{small}/?format=yaml&only=filedata"))
        .await;
    assert!(
        detail.text.contains(&format!("filedata: {two}\n")),
        "{}",
        detail.text
    );
    let detail = server.get(&format!("{list}{gone}/")).await;
    assert_eq!(
        (&detail.json()["filedata"], detail.header("x-crits-warning")),
        (
            &json!(""),
            Some("filedata: left empty where the file is gone")
        )
    );
    server.set("inline_file_limit", "100").await;
    let limited = server.get(&format!("{list}set/{large};{small}/")).await;
    assert_eq!(shown(&limited), ["", &two]);
    assert_eq!(
        limited.header("x-crits-warning"),
        Some(
            "filedata: left empty where the files of the page have more than 100 bytes together, use file=1"
        )
    );
    for query in ["only=md5", "exclude=filedata"] {
        let answer = server.get(&format!("{list}?{query}")).await.json();
        assert_eq!(answer["objects"][0].get("filedata"), None, "{query}");
        assert_eq!(answer["meta"].get("warnings"), None, "{query}");
    }
    // Rows are ours: they show what the store has.
    let rows = server
        .get(&format!("{list}{small}/?format=csv&only=filedata"))
        .await;
    let file = server.keep("sample", b"small").await;
    assert_eq!(rows.text, format!("filedata\r\n{file}\r\n"));
}

#[tokio::test]
async fn f13_a_file_that_goes_while_it_is_sent_breaks_the_transfer_off() {
    use futures_util::StreamExt as _;
    let server = with_download().await;
    let bytes = vec![1; 2_000_000];
    server.sample(&bytes).await;
    let path = with_credentials("/api/v1/samples/?file=1", "alice", KEY);
    let mut request = Request::get(path).body(Body::empty()).unwrap();
    request
        .extensions_mut()
        .insert(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 4711))));
    let response = server.router.clone().oneshot(request).await.unwrap();
    let mut parts = response.into_body().into_data_stream();
    // A part is read when it is wanted, and no more than that.
    let first = parts.next().await.unwrap().unwrap();
    assert!(first.len() < 300_000, "{}", first.len());
    let swept = server
        .store
        .sweep_files("sample", &std::collections::HashSet::new(), i64::MAX)
        .await;
    assert_eq!(swept.unwrap(), 1);
    assert!(parts.next().await.unwrap().is_err());
    assert!(parts.next().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn f1_over_a_real_connection() {
    let server = with_download().await;
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| ((n * 31) >> 5) as u8).collect();
    server.sample(&bytes).await;
    server.sample(b"small").await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = server
        .router
        .clone()
        .into_make_service_with_connect_info::<SocketAddr>();
    let serving = tokio::spawn(axum::serve(listener, service).into_future());
    let url = with_credentials(
        &format!("http://{address}/api/v1/samples/?file=1"),
        "alice",
        KEY,
    );
    let script = "
import sys, io, json, zipfile, hashlib, urllib.request
url = sys.stdin.read()
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
with opener.open(url, timeout=120) as answer:
    kind, archive = answer.headers['content-type'], answer.read()
z = zipfile.ZipFile(io.BytesIO(archive))
print(json.dumps([kind, [[n, hashlib.md5(z.read(n, pwd=b'infected')).hexdigest()] for n in z.namelist()]]))
";
    let read = tokio::task::spawn_blocking(move || written_by_python(script, url.as_bytes())).await;
    let (one, two) = (md5_of(&bytes), md5_of(b"small"));
    assert_eq!(read.unwrap(), json!([STREAM, [[one, one], [two, two]]]));
    serving.abort();
}
