//! Storages and streams of an OLE2 file, and the properties of Outlook in them.

use std::io::{Cursor, Read};

use cfb::CompoundFile;
use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_16LE};

use crate::limits;

/// An OLE2 file in memory.
pub(crate) type File = CompoundFile<Cursor<Vec<u8>>>;

/// Properties that name the code page of texts: of the message, of its transport form.
const CODE_PAGES: [u32; 2] = [0x3ffd_0003, 0x3fde_0003];
/// Bytes before the properties of a message, of one within it, of recipients and attachments.
const PREFACES: [usize; 3] = [32, 24, 8];

/// Does a file begin like OLE2?
pub(crate) fn is_ole2(head: &[u8]) -> bool {
    head.starts_with(&[0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1])
}

/// Opens a file. None: it is no OLE2 file.
pub(crate) fn open(bytes: Vec<u8>) -> Option<File> {
    CompoundFile::open(Cursor::new(bytes)).ok()
}

/// The bytes of a stream; those that are there if it is damaged.
pub(crate) fn stream(file: &mut File, path: &str) -> Option<Vec<u8>> {
    if !file.is_stream(path) {
        return None;
    }
    let mut stream = file.open_stream(path).ok()?;
    let most = limits::MESSAGE_BYTES;
    let mut bytes = Vec::with_capacity(usize::try_from(stream.len().min(most)).ok()?);
    // An error leaves what was read before it.
    let _ = Read::by_ref(&mut stream).take(most).read_to_end(&mut bytes);
    Some(bytes)
}

/// A storage that holds a message, a recipient or an attachment.
pub(crate) struct Storage<'a> {
    file: &'a mut File,
    /// "" for the root.
    path: String,
    code_page: Option<&'static Encoding>,
}

impl<'a> Storage<'a> {
    /// The message itself.
    pub(crate) fn root(file: &'a mut File) -> Self {
        let mut root = Self {
            file,
            path: String::new(),
            code_page: None,
        };
        root.code_page = root.own_code_page();
        root
    }

    /// A storage within this one.
    pub(crate) fn at(&mut self, path: String) -> Storage<'_> {
        Storage {
            file: self.file,
            path,
            code_page: self.code_page,
        }
    }

    /// Paths of the storages below this one whose names begin so, in order.
    pub(crate) fn children(&self, prefix: &str) -> Vec<String> {
        let path = if self.path.is_empty() {
            "/"
        } else {
            self.path.as_str()
        };
        let Ok(entries) = self.file.read_storage(path) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .filter(|entry| entry.is_storage() && entry.name().starts_with(prefix))
            .map(|entry| entry.name().to_owned())
            .take(limits::STORAGES)
            .collect();
        names.sort_unstable();
        names
            .iter()
            .map(|name| [&self.path, "/", name].concat())
            .collect()
    }

    fn property(&self, id: &str, kind: &str) -> String {
        [&self.path, "/__substg1.0_", id, kind].concat()
    }

    /// A property as text. None: it is not there, or empty.
    pub(crate) fn text(&mut self, id: &str) -> Option<String> {
        let text = if let Some(bytes) = stream(self.file, &self.property(id, "001F")) {
            UTF_16LE.decode_without_bom_handling(&bytes).0.into_owned()
        } else {
            let bytes = stream(self.file, &self.property(id, "001E"))
                .or_else(|| stream(self.file, &self.property(id, "0102")))?;
            narrow_text(&bytes, self.code_page)
        };
        let text = text.replace('\0', "");
        (!text.is_empty()).then_some(text)
    }

    /// Path of a property of bytes, if it is there.
    pub(crate) fn binary_path(&self, id: &str) -> Option<String> {
        let path = self.property(id, "0102");
        self.file.is_stream(&path).then_some(path)
    }

    /// What is embedded in an attachment: a message, or an object of another program.
    pub(crate) fn embedded(&mut self) -> Option<Storage<'_>> {
        let path = self.property("3701", "000D");
        if !self.file.is_storage(&path) {
            return None;
        }
        let mut inner = self.at(path);
        inner.code_page = inner.own_code_page().or(inner.code_page);
        Some(inner)
    }

    /// Does it hold a message?
    pub(crate) fn is_message(&self) -> bool {
        self.file
            .is_stream([&self.path, "/__properties_version1.0"].concat())
    }

    /// The code page that a message says its texts are in.
    fn own_code_page(&mut self) -> Option<&'static Encoding> {
        let path = [&self.path, "/__properties_version1.0"].concat();
        let properties = stream(self.file, &path)?;
        PREFACES.iter().find_map(|preface| {
            let mut entries = properties.get(*preface..)?.chunks_exact(16);
            entries.find_map(|entry| {
                let tag = u32::from_le_bytes(entry.get(..4)?.try_into().ok()?);
                let page = u16::from_le_bytes(entry.get(8..10)?.try_into().ok()?);
                CODE_PAGES
                    .contains(&tag)
                    .then(|| codepage::to_encoding(page))
                    .flatten()
            })
        })
    }
}

/// A text of single bytes: UTF-8 if it is, else in the code page that the message names, else in what it looks like.
fn narrow_text(bytes: &[u8], code_page: Option<&'static Encoding>) -> String {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.to_owned();
    }
    let encoding = code_page.unwrap_or_else(|| {
        let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
        detector.feed(bytes, true);
        detector.guess(None, Utf8Detection::Allow)
    });
    encoding.decode(bytes).0.into_owned()
}
