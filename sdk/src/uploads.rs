//! Bytes of files. They are never passed whole: read what is needed, in pieces.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;

use crate::sys::uploads;
use crate::{Fault, ObjectId, Tlo, internal};

/// The bytes of a file in this call: sent by the client, stored before, or made by the plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upload(u32);

const PIECE: u32 = 1 << 20;

/// Vocabulary.md 16: how captures of network traffic begin.
const CAPTURES: [[u8; 4]; 5] = [
    [0xa1, 0xb2, 0xc3, 0xd4],
    [0xd4, 0xc3, 0xb2, 0xa1],
    [0x4d, 0x3c, 0xb2, 0xa1],
    [0xa1, 0xb2, 0x3c, 0x4d],
    [0x0a, 0x0d, 0x0d, 0x0a],
];

impl Upload {
    #[doc(hidden)]
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }

    pub(crate) const fn number(self) -> u32 {
        self.0
    }

    /// A new file of this call with these bytes: an attachment, a member of an archive, a thumbnail.
    ///
    /// # Errors
    ///
    /// `refused(limit)`: more than the operator allows in all.
    pub fn make(name: &str, bytes: &[u8]) -> Result<Self, Fault> {
        let made = uploads::make(name)?;
        for piece in bytes.chunks(PIECE as usize) {
            uploads::append(made, piece)?;
        }
        Ok(Self(made))
    }

    /// The stored file of a field. None: no file, or its bytes are gone.
    ///
    /// # Errors
    ///
    /// `refused` without the right to download.
    pub fn open(tlo: &Tlo, path: &str) -> Result<Option<Self>, Fault> {
        Ok(uploads::open(tlo.number(), path)?.map(Self))
    }

    /// The name given by the client or the maker, without folders; "" if none.
    ///
    /// # Errors
    ///
    /// Only if the host does not know the file.
    pub fn name(self) -> Result<String, Fault> {
        uploads::name(self.0)
    }

    /// The name as documents keep it: `unknown` for what has none, such as a file that came as a text (create.md 1.1).
    ///
    /// # Errors
    ///
    /// Only if the host does not know the file.
    pub fn file_name(self) -> Result<String, Fault> {
        Ok(named(self.name()?))
    }

    /// Begins a file of this call that is written piece by piece.
    ///
    /// # Errors
    ///
    /// Only if the host has no place for it.
    pub fn writer(name: &str) -> Result<UploadWriter, Fault> {
        Ok(UploadWriter {
            upload: uploads::make(name)?,
            held: Vec::new(),
            written: 0,
            fault: None,
        })
    }

    /// Number of bytes.
    ///
    /// # Errors
    ///
    /// Only if the host does not know the file.
    pub fn size(self) -> Result<u64, Fault> {
        uploads::size(self.0)
    }

    /// `md5 sha1 sha256 sha512` (lower-case hex), `ssdeep`, `impfuzzy`. None: the algorithm does not apply.
    ///
    /// # Errors
    ///
    /// `internal`: unknown algorithm.
    pub fn digest(self, algorithm: &str) -> Result<Option<String>, Fault> {
        uploads::digest(self.0, algorithm)
    }

    /// (description, MIME type) found from the content.
    ///
    /// # Errors
    ///
    /// Only if the host does not know the file.
    pub fn kind(self) -> Result<(String, String), Fault> {
        uploads::kind(self.0)
    }

    /// Does it begin as a capture of network traffic does?
    ///
    /// # Errors
    ///
    /// Only if the host does not know the file.
    pub fn is_capture(self) -> Result<bool, Fault> {
        Ok(begins_as_capture(&self.read(0, 4)?))
    }

    /// At most `len` bytes (1 MiB) from `offset`; fewer only at the end, none after it.
    ///
    /// # Errors
    ///
    /// Only if the host does not know the file.
    pub fn read(self, offset: u64, len: u32) -> Result<Vec<u8>, Fault> {
        uploads::read(self.0, offset, len)
    }

    /// All bytes; none if there are more than `limit`, which is the caller's share of the plugin's memory.
    ///
    /// # Errors
    ///
    /// Only if the host does not know the file.
    pub fn read_all(self, limit: u64) -> Result<Option<Vec<u8>>, Fault> {
        let size = self.size()?;
        if size > limit {
            return Ok(None);
        }
        // A list that grows is copied: for a moment there would be two of them.
        let mut all = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
        while (all.len() as u64) < size {
            let piece = self.read(all.len() as u64, PIECE)?;
            if piece.is_empty() {
                return Err(internal("a file is shorter than its size"));
            }
            all.extend_from_slice(&piece);
        }
        Ok(Some(all))
    }

    /// Reads and seeks in the file, for parsers that want that.
    ///
    /// # Errors
    ///
    /// Only if the host does not know the file.
    pub fn reader(self) -> Result<UploadReader, Fault> {
        Ok(UploadReader {
            upload: self,
            size: self.size()?,
            position: 0,
            piece: Vec::new(),
            piece_start: 0,
        })
    }

    /// The bytes of a range in pieces of at most 1 MiB, as far as the file has them: for what goes through files that are
    /// larger than a plugin's memory.
    #[must_use]
    pub const fn pieces(self, range: Range<u64>) -> Pieces {
        Pieces {
            upload: self,
            range,
        }
    }

    /// Stores the bytes in the bucket declared for this field of the document and sets the field. Answers the file's id.
    ///
    /// # Errors
    ///
    /// `internal`: the field is not declared as a file.
    pub fn keep(self, tlo: &mut Tlo, path: &str) -> Result<ObjectId, Fault> {
        let id = uploads::keep(self.0, tlo.number(), path)?;
        ObjectId::parse(&id).ok_or_else(|| internal("the host answered no file id"))
    }
}

/// See [`Upload::pieces`].
#[derive(Debug)]
pub struct Pieces {
    upload: Upload,
    range: Range<u64>,
}

impl Iterator for Pieces {
    type Item = Result<Vec<u8>, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        let left = self.range.end.checked_sub(self.range.start)?;
        let wanted = u32::try_from(left).map_or(PIECE, |left| left.min(PIECE));
        if wanted == 0 {
            return None;
        }
        let piece = match self.upload.read(self.range.start, wanted) {
            Ok(piece) => piece,
            Err(fault) => {
                self.range.end = self.range.start;
                return Some(Err(fault));
            }
        };
        self.range.start += piece.len() as u64;
        (!piece.is_empty()).then_some(Ok(piece))
    }
}

/// See [`Upload::reader`].
#[derive(Debug)]
pub struct UploadReader {
    upload: Upload,
    size: u64,
    position: u64,
    piece: Vec<u8>,
    piece_start: u64,
}

/// Bytes that are fetched or handed over at once, so that parsers that read or write byte by byte don't use up the budget
/// of host calls.
const READ_AHEAD: u32 = 64 << 10;

impl Read for UploadReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let held = |reader: &Self| {
            let inside = reader.position.checked_sub(reader.piece_start)?;
            reader
                .piece
                .get(usize::try_from(inside).ok()?..)
                .map(<[u8]>::len)
                .filter(|len| *len > 0)
        };
        if held(self).is_none() {
            let fetched = self.upload.read(self.position, READ_AHEAD);
            self.piece = fetched.map_err(|_| io::Error::from(io::ErrorKind::NotFound))?;
            self.piece_start = self.position;
        }
        let Some(held) = held(self) else { return Ok(0) };
        let from = &self.piece[self.piece.len() - held..];
        let count = held.min(buffer.len());
        buffer[..count].copy_from_slice(&from[..count]);
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for UploadReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.size.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

/// See [`Upload::writer`].
#[derive(Debug)]
pub struct UploadWriter {
    upload: u32,
    held: Vec<u8>,
    written: u64,
    fault: Option<Fault>,
}

impl UploadWriter {
    /// Bytes written so far.
    #[must_use]
    pub const fn written(&self) -> u64 {
        self.written
    }

    /// The finished file.
    ///
    /// # Errors
    ///
    /// `refused(limit)`: more than the operator allows in all. A write that failed comes up here again, as the fault that it
    /// was.
    pub fn finish(mut self) -> Result<Upload, Fault> {
        if self.fault.is_none() {
            self.hand_over();
        }
        match self.fault {
            Some(fault) => Err(fault),
            None => Ok(Upload(self.upload)),
        }
    }

    fn hand_over(&mut self) {
        if !self.held.is_empty()
            && let Err(fault) = uploads::append(self.upload, &self.held)
        {
            self.fault = Some(fault);
        }
        self.held.clear();
    }
}

impl Write for UploadWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = (READ_AHEAD as usize).saturating_sub(self.held.len());
        let count = bytes.len().min(room);
        self.held.extend_from_slice(&bytes[..count]);
        self.written += count as u64;
        if self.held.len() >= READ_AHEAD as usize {
            self.hand_over();
        }
        match &self.fault {
            Some(_) => Err(io::Error::other("the host took no more")),
            None => Ok(count),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn begins_as_capture(head: &[u8]) -> bool {
    CAPTURES.iter().any(|capture| head.starts_with(capture))
}

fn named(name: String) -> String {
    match name.trim() {
        "" | "." | ".." => "unknown".to_owned(),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::{begins_as_capture, named};

    #[test]
    fn create_5_16_captures_in_both_byte_orders() {
        for head in [
            b"\xa1\xb2\xc3\xd4",
            b"\xd4\xc3\xb2\xa1",
            b"\x4d\x3c\xb2\xa1",
            b"\xa1\xb2\x3c\x4d",
            b"\x0a\x0d\x0d\x0a",
        ] {
            assert!(begins_as_capture(head), "{head:?}");
        }
        for head in [&b""[..], b"\xa1\xb2\xc3", b"MZ\x90\x00", b"\n\r\r\r"] {
            assert!(!begins_as_capture(head), "{head:?}");
        }
    }

    #[test]
    fn create_1_1_what_has_no_name_is_unknown() {
        for (name, shown) in [
            ("", "unknown"),
            (" ", "unknown"),
            ("..", "unknown"),
            ("a..b", "a..b"),
            ("\u{fc}bung.exe", "\u{fc}bung.exe"),
        ] {
            assert_eq!(named(name.to_owned()), shown);
        }
    }
}
