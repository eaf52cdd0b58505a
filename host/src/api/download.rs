//! `file=1`: the files of documents in one archive (core-api section 9).
//!
//! ```text
//! zip        archives with the classic encryption, as bytes come
//! transform  what is done to each file's bytes before
//! ```
//!
//! An archive is written while it is sent: a part of a file is read when the client has taken the one before, so that the
//! memory it takes does not depend on the sizes of files.
//!
//! The file of a document is that of its field `filedata`, else of `screenshot`, else of the first field of kind `file` that
//! its type declares.

mod transform;
mod zip;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_DISPOSITION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use bson::RawDocument;
use bson::oid::ObjectId;
use bson::raw::RawBsonRef;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use time::OffsetDateTime;

use self::transform::{FileFormat, Transform};
use self::zip::{Archive, SALT};
use super::answer;
use super::failure::{Failure, NO_ACCESS};
use super::pipeline::Call;
use super::reading::{self, Reader};
use crate::plugins::declaration::{FieldDeclaration, FieldKind, TypeDeclaration};
use crate::store::{FileId, FileInfo, Store, StoreError, StoredDocument};

/// Type of all answers with files, also of those that say why there are none (rules F8, F10).
const CONTENT_TYPE: &str = "application/octet-stream; charset=utf-8";
/// Clients take it for an empty result (rule F10).
const NO_FILES: &str = "No files found!";
/// Field with the file of most types.
const DATA: &str = "filedata";
/// Field with a picture that the server made: it comes as it is (rule F5).
const PICTURE: &str = "screenshot";
/// Bytes of a file that are read at a time.
const PART: u32 = 1 << 18;
/// Files that are looked for at a time.
const LOOKS: usize = 16;
/// Password where the setting is empty (rule F9).
const PASSWORD: &str = "infected";

/// Rule F11.
pub(super) fn admit(call: &Call<'_>, of: &TypeDeclaration) -> Result<(), Failure> {
    let is_asked = call.settings.is_on("api_require_download_flag") && !of.is_open();
    if is_asked && !call.may(&of.name, "download") {
        return Err(Failure::Forbidden(NO_ACCESS));
    }
    Ok(())
}

/// A file on its way into an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    /// Name in the archive.
    name: String,
    bucket: String,
    id: FileId,
    /// Bytes.
    size: u64,
    format: FileFormat,
}

/// The files of documents that the caller may see.
pub(super) async fn answer(
    call: &Call<'_>,
    reader: &Reader,
    documents: &[StoredDocument],
    warnings: &[String],
) -> Result<Response, Failure> {
    let format = FileFormat::named(call.parameters.last("file_format"));
    let files = match file_field(&reader.of) {
        Some(field) => files(reader, field, documents, format).await?,
        None => Vec::new(),
    };
    let most = call
        .settings
        .number("max_download_bytes")
        .unwrap_or(u64::MAX);
    let total = files
        .iter()
        .fold(0_u64, |total, file| total.saturating_add(file.size));
    let mut response = if files.is_empty() {
        answer::response(StatusCode::OK, CONTENT_TYPE, NO_FILES)
    } else if total > most {
        let trouble = format!(
            "Error while creating archive: the files have {total} bytes, at most {most} are sent at once (setting max_download_bytes). Ask for fewer documents with `limit`."
        );
        answer::response(StatusCode::OK, CONTENT_TYPE, trouble)
    } else {
        let password = call.settings.text("zip7_password").unwrap_or_default();
        archive(&call.state.store, files, password)
    };
    answer::add_warnings(&mut response, warnings);
    Ok(response)
}

/// The field whose file is the document's.
pub(super) fn file_field(of: &TypeDeclaration) -> Option<&FieldDeclaration> {
    let files = || {
        of.fields
            .iter()
            .filter(|field| field.kind == FieldKind::File)
    };
    [DATA, PICTURE]
        .into_iter()
        .find_map(|name| files().find(|field| field.stored_name() == name))
        .or_else(|| files().next())
}

/// What is there of the files of documents (rules F4 to F6).
async fn files(
    reader: &Reader,
    field: &FieldDeclaration,
    documents: &[StoredDocument],
    format: FileFormat,
) -> Result<Vec<Wanted>, Failure> {
    let bucket = field.bucket.as_deref().unwrap_or(&reader.of.collection);
    let is_picture = field.stored_name() == PICTURE;
    // All of it owned: futures that borrow from a closure's argument are not `Send` enough.
    let mut looks = Vec::with_capacity(documents.len());
    for document in documents {
        let (store, bucket) = (Arc::clone(&reader.store), bucket.to_owned());
        let known = Known::of(reading::raw(document), field.stored_name());
        looks.push(look(store, bucket, known));
    }
    let found: Vec<Option<(FileId, FileInfo)>> =
        stream::iter(looks).buffered(LOOKS).try_collect().await?;
    let mut names = Names::default();
    let mut files = Vec::new();
    for (document, found) in documents.iter().zip(found) {
        let Some((id, info)) = found.filter(|(_, info)| info.size > 0) else {
            continue;
        };
        let md5 = hex::encode(digest(reading::raw(document)).unwrap_or(info.md5));
        let suffix = if is_picture { ".png" } else { "" };
        files.push(Wanted {
            name: names.take(&md5, suffix),
            bucket: bucket.to_owned(),
            id,
            size: info.size,
            format: if is_picture { FileFormat::Raw } else { format },
        });
    }
    Ok(files)
}

/// What a document says of its file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) id: Option<FileId>,
    md5: Option<[u8; 16]>,
}

impl Known {
    pub(super) fn of(document: &RawDocument, field: &str) -> Self {
        let id = match document.get(field) {
            Ok(Some(RawBsonRef::ObjectId(id))) => Some(id),
            Ok(Some(RawBsonRef::String(text))) => ObjectId::parse_str(text).ok(),
            _ => None,
        };
        Self {
            id,
            md5: digest(document),
        }
    }
}

/// The file that a document refers to; if there is none, the one of the bucket that has the document's digest (rule M26).
async fn look(
    store: Arc<dyn Store>,
    bucket: String,
    known: Known,
) -> Result<Option<(FileId, FileInfo)>, StoreError> {
    if let Some(id) = known.id
        && let Some(info) = store.file(&bucket, id).await?
    {
        return Ok(Some((id, info)));
    }
    match known.md5 {
        Some(md5) => store.file_by_md5(&bucket, &md5).await,
        None => Ok(None),
    }
}

/// `md5` of a document, if it is one.
fn digest(document: &RawDocument) -> Option<[u8; 16]> {
    let text = document.get_str("md5").ok()?;
    hex::decode(text).ok()?.try_into().ok()
}

/// Names that are taken in an archive.
#[derive(Debug, Default)]
struct Names(HashMap<String, u64>);

impl Names {
    /// Rule F4: later ones of a name get a number.
    fn take(&mut self, name: &str, suffix: &str) -> String {
        match self.0.entry(name.to_owned()) {
            Entry::Vacant(entry) => {
                entry.insert(0);
                format!("{name}{suffix}")
            }
            Entry::Occupied(mut entry) => {
                *entry.get_mut() += 1;
                format!("{name}({}){suffix}", entry.get())
            }
        }
    }
}

/// Rules F8, F9.
fn archive(store: &Arc<dyn Store>, files: Vec<Wanted>, password: &str) -> Response {
    let password = if password.is_empty() {
        PASSWORD
    } else {
        password
    };
    let sending = Sending {
        store: Arc::clone(store),
        archive: Archive::new(password.as_bytes(), OffsetDateTime::now_utc()),
        files: files.into_iter(),
        current: None,
    };
    let parts = stream::try_unfold(Some(sending), |sending| async move {
        let Some(sending) = sending else {
            return Ok(None);
        };
        let part = sending.part().await;
        if let Err(error) = &part {
            tracing::error!(%error, "a download was broken off");
        }
        part.map(Some)
    });
    let mut response = answer::response(StatusCode::OK, CONTENT_TYPE, Body::from_stream(parts));
    response.headers_mut().insert(
        CONTENT_DISPOSITION,
        HeaderValue::from_static("attachment; filename=\"results.zip\""),
    );
    response
}

/// An archive being sent.
struct Sending {
    store: Arc<dyn Store>,
    archive: Archive,
    files: std::vec::IntoIter<Wanted>,
    current: Option<Current>,
}

/// A file being sent.
struct Current {
    file: Wanted,
    /// Bytes read so far.
    read: u64,
    transform: Transform,
}

impl Sending {
    /// The next bytes, and what sends those after them; none: these were the last.
    async fn part(mut self) -> std::io::Result<(Bytes, Option<Self>)> {
        let (mut written, current) = match self.current.take() {
            Some(current) => (Vec::new(), current),
            None => match self.files.next() {
                Some(file) => (self.begin(&file)?, Current::new(file)),
                None => return Ok((self.archive.finish().into(), None)),
            },
        };
        let Current {
            file,
            read,
            mut transform,
        } = current;
        let part = self
            .store
            .read_file(&file.bucket, file.id, read, PART)
            .await
            .map_err(std::io::Error::other)?;
        let read = read + part.len() as u64;
        let is_complete = read >= file.size;
        if part.is_empty() && !is_complete {
            return Err(std::io::Error::other(format!(
                "file {} of `{}` is shorter than it was",
                file.id, file.bucket
            )));
        }
        // To encrypt a part takes about a millisecond, to compress it ten.
        let mut archive = self.archive;
        let work = move || -> std::io::Result<_> {
            let mut bytes = transform.part(part)?;
            let transform = if is_complete {
                bytes.extend(transform.end()?);
                None
            } else {
                Some(transform)
            };
            archive.data(&mut bytes);
            written.extend(bytes);
            if transform.is_none() {
                written.extend(archive.end());
            }
            Ok((written, archive, transform))
        };
        let (written, archive, transform) = tokio::task::spawn_blocking(work)
            .await
            .map_err(std::io::Error::other)??;
        let sending = Self {
            archive,
            current: transform.map(|transform| Current {
                file,
                read,
                transform,
            }),
            ..self
        };
        Ok((written.into(), Some(sending)))
    }

    fn begin(&mut self, file: &Wanted) -> std::io::Result<Vec<u8>> {
        let mut salt = [0; SALT];
        getrandom::fill(&mut salt).map_err(std::io::Error::other)?;
        let most = file.format.most(file.size);
        Ok(self.archive.begin(&file.name, most, salt))
    }
}

impl Current {
    fn new(file: Wanted) -> Self {
        Self {
            transform: file.format.begin(),
            file,
            read: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(fields: serde_json::Value) -> TypeDeclaration {
        serde_json::from_value(
            json!({"name": "T", "resource": "ts", "collection": "t", "fields": fields, "args": []}),
        )
        .unwrap()
    }

    #[test]
    fn the_file_of_a_document_is_that_of_one_declared_field() {
        for (fields, expected) in [
            (json!([]), None),
            (json!([{"name": "filedata", "kind": "text"}]), None),
            (
                json!([{"name": "thumb", "kind": "file"}, {"name": "screenshot", "kind": "file"}]),
                Some("screenshot"),
            ),
            (
                json!([{"name": "screenshot", "kind": "file"}, {"name": "data", "stored": "filedata", "kind": "file"}]),
                Some("filedata"),
            ),
            (
                json!([{"name": "one", "kind": "file"}, {"name": "two", "kind": "file"}]),
                Some("one"),
            ),
        ] {
            let of = of(fields);
            assert_eq!(file_field(&of).map(FieldDeclaration::stored_name), expected);
        }
    }

    #[test]
    fn f4_names_that_collide_get_a_number() {
        let mut names = Names::default();
        let taken: Vec<String> = ["a", "b", "a", "a"]
            .iter()
            .map(|name| names.take(name, ""))
            .collect();
        assert_eq!(taken, ["a", "b", "a(1)", "a(2)"]);
        assert_eq!(names.take("b", ".png"), "b(1).png");
    }

    #[test]
    fn f4_a_name_is_a_digest_whatever_the_document_says() {
        for (md5, expected) in [
            (
                "0123456789ABCDEF0123456789abcdef",
                Some("0123456789abcdef0123456789abcdef"),
            ),
            ("../../etc/passwd", None),
            ("0123", None),
            ("", None),
        ] {
            let document = bson::rawdoc! { "md5": md5 };
            assert_eq!(
                digest(&document).map(hex::encode).as_deref(),
                expected,
                "{md5}"
            );
        }
    }
}
