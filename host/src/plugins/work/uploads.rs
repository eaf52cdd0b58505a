//! Bytes of files in a request: sent by the client, made by plugins, stored before. Never whole in memory.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use super::fuzzy::Fuzzy;
use super::imports;
use super::{DocNumber, UploadNumber, Work, internal};
use crate::plugins::declaration::FieldKind;
use crate::plugins::value::{Abort, Failure, Fault};
use crate::store::{FieldPath, FileId, FileInfo, Op, StagedFile, Store};

/// MIME type of Windows programs.
const PROGRAM: &str = "application/x-dosexec";

/// Most bytes of one `read` or `append`.
const PIECE: usize = 1 << 20;

/// One upload of a request.
pub(super) struct Upload {
    name: String,
    content: Content,
    /// Digests worked out so far.
    digests: Vec<(String, Option<String>)>,
}

/// How a field refers to a file: those of kind `file` by its id, texts by its MD5 (`objects`, documents.md 4.1).
enum Reference {
    Id,
    Md5,
}

enum Content {
    Staged(Arc<StagedFile>),
    Making(Box<Making>),
    Kept {
        bucket: String,
        id: FileId,
        info: FileInfo,
    },
}

/// A file that a plugin is writing. Removed when dropped unfinished.
struct Making {
    file: tempfile::NamedTempFile,
    size: u64,
    sha256: Sha256,
    md5: Md5,
    sha1: Sha1,
}

impl Making {
    fn new(folder: &Path) -> std::io::Result<Self> {
        let file = tempfile::NamedTempFile::new_in(folder)?;
        Ok(Self {
            file,
            size: 0,
            sha256: Sha256::new(),
            md5: Md5::new(),
            sha1: Sha1::new(),
        })
    }

    fn append(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.file.write_all(bytes)?;
        self.size += bytes.len() as u64;
        self.sha256.update(bytes);
        self.md5.update(bytes);
        self.sha1.update(bytes);
        Ok(())
    }

    fn finish(self, name: &str) -> std::io::Result<StagedFile> {
        let (mut file, path) = self.file.keep().map_err(|error| error.error)?;
        file.flush()?;
        Ok(StagedFile {
            path,
            name: name.to_owned(),
            size: self.size,
            sha256: self.sha256.finalize().into(),
            md5: self.md5.finalize().into(),
            sha1: self.sha1.finalize().into(),
        })
    }
}

/// Puts bytes into the staging folder of a store.
///
/// # Errors
///
/// A sentence for the log.
pub(crate) async fn stage(
    store: &dyn Store,
    name: &str,
    bytes: Vec<u8>,
) -> Result<StagedFile, String> {
    let folder = store.staging_folder().to_owned();
    let name = name.to_owned();
    blocking(move || {
        let mut making = Making::new(&folder)?;
        making.append(&bytes)?;
        making.finish(&name)
    })
    .await
}

/// File work off the threads that serve requests.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, String> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(|error| format!("a temporary file: {error}")),
        Err(error) => Err(format!("a temporary file: {error}")),
    }
}

fn failed(reason: String) -> Failure {
    Abort::Store(reason).into()
}

pub(super) fn digest_of(hex: &str) -> Option<[u8; 16]> {
    let mut digest = [0; 16];
    hex::decode_to_slice(hex, &mut digest).ok()?;
    Some(digest)
}

fn read_piece(path: &Path, offset: u64, length: usize) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::with_capacity(length.min(PIECE));
    file.take(length as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The name without folders of either kind of system, as far as it can be a name at all (B13).
pub(super) fn base_name(name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    name.chars()
        .filter(|character| !character.is_control())
        .take(255)
        .collect()
}

/// A digest over pieces.
enum Summing {
    Md5(Md5),
    Sha1(Sha1),
    Sha256(Sha256),
    Sha512(Sha512),
    Fuzzy(Box<Fuzzy>),
}

impl Summing {
    fn new(algorithm: &str) -> Option<Self> {
        Some(match algorithm {
            "md5" => Self::Md5(Md5::new()),
            "sha1" => Self::Sha1(Sha1::new()),
            "sha256" => Self::Sha256(Sha256::new()),
            "sha512" => Self::Sha512(Sha512::new()),
            "ssdeep" => Self::Fuzzy(Box::new(Fuzzy::new())),
            _ => return None,
        })
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Md5(digest) => digest.update(bytes),
            Self::Sha1(digest) => digest.update(bytes),
            Self::Sha256(digest) => digest.update(bytes),
            Self::Sha512(digest) => digest.update(bytes),
            Self::Fuzzy(digest) => digest.update(bytes),
        }
    }

    /// None: the algorithm does not apply (a file too large for a fuzzy hash).
    fn finish(self) -> Option<String> {
        match self {
            Self::Md5(digest) => Some(hex::encode(digest.finalize())),
            Self::Sha1(digest) => Some(hex::encode(digest.finalize())),
            Self::Sha256(digest) => Some(hex::encode(digest.finalize())),
            Self::Sha512(digest) => Some(hex::encode(digest.finalize())),
            Self::Fuzzy(digest) => digest.finish(),
        }
    }
}

impl Work {
    pub(super) fn add_staged(&mut self, file: Arc<StagedFile>) -> usize {
        self.uploads.push(Upload {
            name: base_name(&file.name),
            content: Content::Staged(file),
            digests: Vec::new(),
        });
        self.uploads.len() - 1
    }

    /// The upload behind a number of the innermost frame.
    pub(super) fn upload_index(&self, upload: UploadNumber) -> Result<usize, Failure> {
        let number = usize::try_from(upload)
            .ok()
            .and_then(|number| number.checked_sub(1));
        let index = number.and_then(|number| self.frame()?.uploads.get(number).copied());
        index.ok_or_else(|| internal(format!("no upload number {upload} in this call")))
    }

    /// The number of an upload in the innermost frame.
    fn number_of_upload(&mut self, index: usize) -> Result<UploadNumber, Failure> {
        if self.uploads.len() - self.earlier_uploads > self.budgets.uploads as usize {
            return Err(self.budget("uploads"));
        }
        let frame = self
            .frames
            .last_mut()
            .ok_or_else(|| internal("no call is under way"))?;
        frame.uploads.push(index);
        Ok(frame.uploads.len() as u32)
    }

    /// The file behind an upload.
    ///
    /// # Errors
    ///
    /// Fault `internal`: an unknown number. The store's.
    pub(super) async fn staged(
        &mut self,
        upload: UploadNumber,
    ) -> Result<Arc<StagedFile>, Failure> {
        let index = self.upload_index(upload)?;
        match self.closed(index)? {
            Content::Staged(file) => Ok(Arc::clone(file)),
            Content::Kept { .. } => self.staged_copy(index).await.map(Arc::new),
            Content::Making(_) => Err(internal("the file is still being made")),
        }
    }

    /// `uploads.name`.
    pub fn upload_name(&self, upload: UploadNumber) -> Result<String, Failure> {
        Ok(self.uploads[self.upload_index(upload)?].name.clone())
    }

    /// Ends the making of a file; what it is afterwards.
    fn closed(&mut self, index: usize) -> Result<&Content, Failure> {
        let upload = &mut self.uploads[index];
        if let Content::Making(_) = upload.content {
            let nothing = FileInfo {
                name: String::new(),
                size: 0,
                sha256: [0; 32],
                md5: [0; 16],
                kept_at: 0,
            };
            let unused = Content::Kept {
                bucket: String::new(),
                id: FileId::from_bytes([0; 12]),
                info: nothing,
            };
            if let Content::Making(making) = std::mem::replace(&mut upload.content, unused) {
                let staged = making
                    .finish(&upload.name)
                    .map_err(|error| failed(format!("a temporary file: {error}")))?;
                upload.content = Content::Staged(Arc::new(staged));
            }
        }
        Ok(&self.uploads[index].content)
    }

    /// `uploads.size`.
    pub fn upload_size(&mut self, upload: UploadNumber) -> Result<u64, Failure> {
        let index = self.upload_index(upload)?;
        Ok(match self.closed(index)? {
            Content::Staged(file) => file.size,
            Content::Kept { info, .. } => info.size,
            Content::Making(making) => making.size,
        })
    }

    /// `uploads.digest`.
    pub async fn upload_digest(
        &mut self,
        upload: UploadNumber,
        algorithm: &str,
    ) -> Result<Option<String>, Failure> {
        let index = self.upload_index(upload)?;
        let known = match (self.closed(index)?, algorithm) {
            (Content::Staged(file), "md5") => Some(hex::encode(file.md5)),
            (Content::Staged(file), "sha1") => Some(hex::encode(file.sha1)),
            (Content::Staged(file), "sha256") => Some(hex::encode(file.sha256)),
            (Content::Kept { info, .. }, "md5") => Some(hex::encode(info.md5)),
            (Content::Kept { info, .. }, "sha256") => Some(hex::encode(info.sha256)),
            _ => None,
        };
        if known.is_some() {
            return Ok(known);
        }
        if let Some((_, digest)) = self.uploads[index]
            .digests
            .iter()
            .find(|(name, _)| name == algorithm)
        {
            return Ok(digest.clone());
        }
        let digest = match Summing::new(algorithm) {
            Some(summing) => self.sum(index, summing).await?,
            None if algorithm == "impfuzzy" => self.sum_of_imports(index).await?,
            None => return Err(internal(format!("no digest `{algorithm}`"))),
        };
        self.uploads[index]
            .digests
            .push((algorithm.to_owned(), digest.clone()));
        Ok(digest)
    }

    async fn sum(&mut self, index: usize, mut summing: Summing) -> Result<Option<String>, Failure> {
        if let Content::Staged(file) = self.closed(index)? {
            let file = Arc::clone(file);
            let sum = blocking(move || {
                let mut source = File::open(&file.path)?;
                let mut buffer = vec![0; 64 << 10];
                loop {
                    match source.read(&mut buffer)? {
                        0 => return Ok(summing.finish()),
                        length => summing.update(&buffer[..length]),
                    }
                }
            });
            return sum.await.map_err(failed);
        }
        let mut offset = 0;
        loop {
            let piece = self.piece(index, offset, PIECE as u32).await?;
            if piece.is_empty() {
                return Ok(summing.finish());
            }
            offset += piece.len() as u64;
            summing.update(&piece);
        }
    }

    /// `impfuzzy`: the fuzzy digest of what a Windows program imports. None for other files.
    async fn sum_of_imports(&mut self, index: usize) -> Result<Option<String>, Failure> {
        let mut file = self.piece(index, 0, 64 << 10).await?;
        if super::kinds::kind_of(&file).1 != PROGRAM {
            return Ok(None);
        }
        loop {
            let piece = self.piece(index, file.len() as u64, PIECE as u32).await?;
            if piece.is_empty() || file.len() as u64 >= imports::MOST {
                break;
            }
            file.extend_from_slice(&piece);
        }
        let digest = blocking(move || {
            Ok(imports::list(&file).and_then(|list| {
                let mut digest = Fuzzy::new();
                digest.update(list.as_bytes());
                digest.finish()
            }))
        });
        digest.await.map_err(failed)
    }

    async fn piece(&mut self, index: usize, offset: u64, len: u32) -> Result<Vec<u8>, Failure> {
        let length = (len as usize).min(PIECE);
        let store = Arc::clone(&self.request.services.store);
        match self.closed(index)? {
            Content::Staged(file) if offset < file.size && length > 0 => {
                let file = Arc::clone(file);
                blocking(move || read_piece(&file.path, offset, length))
                    .await
                    .map_err(failed)
            }
            Content::Kept { bucket, id, info } if offset < info.size && length > 0 => {
                let read = store.read_file(bucket, *id, offset, length as u32).await;
                read.map_err(|error| super::store_failed(&error))
            }
            _ => Ok(Vec::new()),
        }
    }

    /// `uploads.kind`: (description, MIME type).
    pub async fn upload_kind(&mut self, upload: UploadNumber) -> Result<(String, String), Failure> {
        let index = self.upload_index(upload)?;
        let head = self.piece(index, 0, 64 << 10).await?;
        Ok(super::kinds::kind_of(&head))
    }

    /// `uploads.read`.
    pub async fn upload_read(
        &mut self,
        upload: UploadNumber,
        offset: u64,
        len: u32,
    ) -> Result<Vec<u8>, Failure> {
        let index = self.upload_index(upload)?;
        self.piece(index, offset, len).await
    }

    /// `uploads.make`.
    pub fn upload_make(&mut self, name: &str) -> Result<UploadNumber, Failure> {
        let folder = self.request.services.store.staging_folder();
        let making =
            Making::new(folder).map_err(|error| failed(format!("a temporary file: {error}")))?;
        self.uploads.push(Upload {
            name: base_name(name),
            content: Content::Making(Box::new(making)),
            digests: Vec::new(),
        });
        self.number_of_upload(self.uploads.len() - 1)
    }

    /// `uploads.append`.
    pub async fn upload_append(
        &mut self,
        upload: UploadNumber,
        bytes: &[u8],
    ) -> Result<(), Failure> {
        let index = self.upload_index(upload)?;
        if bytes.len() > PIECE {
            return Err(internal("more than 1 MiB at once"));
        }
        let Content::Making(making) = &mut self.uploads[index].content else {
            return Err(internal(format!(
                "upload number {upload} is closed, or was not made by this plugin"
            )));
        };
        if self.made_bytes + bytes.len() as u64 > self.budgets.made_bytes {
            let message = format!(
                "The files within are larger than the {} bytes allowed.",
                self.budgets.made_bytes
            );
            return Err(Fault::Refused("limit".into(), message).into());
        }
        // At most 1 MiB into the page cache: not worth another thread.
        making
            .append(bytes)
            .map_err(|error| failed(format!("a temporary file: {error}")))?;
        self.made_bytes += bytes.len() as u64;
        Ok(())
    }

    /// `uploads.keep`: the file's id.
    pub async fn upload_keep(
        &mut self,
        upload: UploadNumber,
        document: DocNumber,
        path: &str,
    ) -> Result<String, Failure> {
        let index = self.upload_index(upload)?;
        let (document, path) = (self.document(document)?, self.path(path)?);
        let (bucket, reference) = self.bucket(document, &path)?;
        self.may_change(document, &path)?;
        let store = Arc::clone(&self.request.services.store);
        let id = match self.closed(index)? {
            Content::Kept {
                bucket: held, id, ..
            } if *held == bucket => *id,
            Content::Kept { .. } => {
                let staged = self.staged_copy(index).await?;
                store
                    .keep_file(&bucket, &staged)
                    .await
                    .map_err(|error| super::store_failed(&error))?
            }
            Content::Staged(file) => {
                let file = Arc::clone(file);
                store
                    .keep_file(&bucket, &file)
                    .await
                    .map_err(|error| super::store_failed(&error))?
            }
            Content::Making(_) => return Err(internal("the file is still being made")),
        };
        let value = match reference {
            Reference::Id => bson::Bson::from(id),
            Reference::Md5 => self.upload_digest(upload, "md5").await?.into(),
        };
        self.apply(document, Op::Set(path, value), None)?;
        Ok(id.to_hex())
    }

    /// A kept file, once more in the staging folder.
    async fn staged_copy(&mut self, index: usize) -> Result<StagedFile, Failure> {
        let folder: PathBuf = self.request.services.store.staging_folder().to_owned();
        let mut making =
            Making::new(&folder).map_err(|error| failed(format!("a temporary file: {error}")))?;
        loop {
            let piece = self.piece(index, making.size, PIECE as u32).await?;
            if piece.is_empty() {
                break;
            }
            making
                .append(&piece)
                .map_err(|error| failed(format!("a temporary file: {error}")))?;
        }
        making
            .finish(&self.uploads[index].name)
            .map_err(|error| failed(format!("a temporary file: {error}")))
    }

    /// `uploads.open`.
    pub async fn upload_open(
        &mut self,
        document: DocNumber,
        path: &str,
    ) -> Result<Option<UploadNumber>, Failure> {
        let (index, path) = (self.document(document)?, self.path(path)?);
        let (bucket, _) = self.bucket(index, &path)?;
        let of = Arc::clone(&self.documents[index].of);
        let own = self
            .frame()
            .is_some_and(|frame| frame.plugin == of.plugin || frame.is_service);
        if !own
            && !self
                .request
                .caller
                .rights
                .may(&format!("{}.download", of.declaration.name))
        {
            return Err(Fault::Refused(
                "forbidden".into(),
                "User does not have permission to download the file.".into(),
            )
            .into());
        }
        let stored = self.read(index, &path)?;
        let store = Arc::clone(&self.request.services.store);
        let found = match stored {
            Some(bson::Bson::ObjectId(id)) => {
                let info = store.file(&bucket, id).await;
                info.map(|info| info.map(|info| (id, info)))
            }
            Some(bson::Bson::String(md5)) => match digest_of(&md5) {
                Some(md5) => store.file_by_md5(&bucket, &md5).await,
                None => Ok(None),
            },
            _ => Ok(None),
        };
        let Some((id, info)) = found.map_err(|error| super::store_failed(&error))? else {
            return Ok(None);
        };
        self.uploads.push(Upload {
            name: base_name(&info.name),
            content: Content::Kept { bucket, id, info },
            digests: Vec::new(),
        });
        self.number_of_upload(self.uploads.len() - 1).map(Some)
    }

    /// The bucket that the type declares for the files of a field, and how the field refers to them.
    fn bucket(&self, index: usize, path: &FieldPath) -> Result<(String, Reference), Failure> {
        let of = &self.documents[index].of.declaration;
        let field = super::fields::declared(of, path);
        let reference = field.and_then(|field| match field.kind {
            FieldKind::File => Some((field.bucket.clone()?, Reference::Id)),
            FieldKind::Text => Some((field.bucket.clone()?, Reference::Md5)),
            _ => None,
        });
        match reference {
            Some(reference) => Ok(reference),
            None => Err(internal(format!(
                "`{}` declares no file in `{path}`",
                of.name
            ))),
        }
    }
}
