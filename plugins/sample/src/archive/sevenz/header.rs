//! The header of a 7z archive: where blocks are, how they are coded, and which files are in them.
//!
//! Every number is a hostile one: lists are as long as the bytes allow, and only decoders that follow one another are
//! understood (`BCJ2`, which has four inputs, is not).

use crate::archive::{MOST_ENTRIES, Trouble, damaged, unsupported};

/// Identifier of the encryption.
pub(super) const AES: &[u8] = &[0x06, 0xf1, 0x07, 0x01];
/// Most decoders of a block.
const MOST_CODERS: u64 = 8;

/// What a header is.
pub(super) enum Read {
    Plain(Header),
    /// Where the header is packed.
    Packed(Streams),
}

/// What the archive holds.
#[derive(Debug, Default)]
pub(super) struct Header {
    pub(super) streams: Streams,
    pub(super) files: Vec<File>,
}

/// Blocks of packed bytes.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// Of the first block, from the end of the archive's first 32 bytes.
    pub(super) start: u64,
    /// Bytes of each block.
    pub(super) packed: Vec<u64>,
    /// How each is coded.
    pub(super) folders: Vec<Folder>,
}

/// How a block is coded.
#[derive(Debug, Default)]
pub(super) struct Folder {
    coders: Vec<Coder>,
    /// (input, output) of decoders that are joined.
    pairs: Vec<(u64, u64)>,
    sizes: Vec<u64>,
    crc: Option<u32>,
    /// Files in it, one after the other.
    pub(super) files: Vec<Stream>,
}

/// A decoder.
#[derive(Debug)]
pub(super) struct Coder {
    pub(super) id: Vec<u8>,
    pub(super) properties: Vec<u8>,
}

/// Bytes of a file in a block.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) size: u64,
    pub(super) crc: Option<u32>,
}

/// A file, a folder or a link.
#[derive(Debug, Default, Clone)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) has_stream: bool,
    is_empty_file: bool,
    pub(super) is_link: bool,
}

impl File {
    /// A file without bytes, no folder.
    pub(super) fn is_empty_file(&self) -> bool {
        !self.has_stream && self.is_empty_file
    }
}

impl Folder {
    pub(super) fn is_encrypted(&self) -> bool {
        self.coders.iter().any(|coder| coder.id == AES)
    }

    /// Bytes that come out in the end.
    pub(super) fn size(&self) -> u64 {
        let last = (0..self.coders.len() as u64)
            .find(|output| self.pairs.iter().all(|(_, joined)| joined != output));
        let last = last.and_then(|last| self.sizes.get(usize::try_from(last).ok()?));
        last.copied().unwrap_or_default()
    }

    /// The decoders in the order in which bytes pass them, each with the size of its output.
    pub(super) fn in_order(&self) -> Result<Vec<(&Coder, u64)>, Trouble> {
        let wrong = || damaged("a block can't be decoded");
        let mut at = (0..self.coders.len() as u64)
            .find(|input| self.pairs.iter().all(|(joined, _)| joined != input))
            .ok_or_else(wrong)?;
        let mut ordered = Vec::new();
        loop {
            let index = usize::try_from(at).map_err(|_| wrong())?;
            let coder = self.coders.get(index).ok_or_else(wrong)?;
            ordered.push((coder, *self.sizes.get(index).ok_or_else(wrong)?));
            if ordered.len() > self.coders.len() {
                return Err(wrong());
            }
            match self.pairs.iter().find(|(_, output)| *output == at) {
                Some((input, _)) => at = *input,
                None => break,
            }
        }
        if ordered.len() != self.coders.len() {
            return Err(wrong());
        }
        Ok(ordered)
    }
}

/// Reads a header.
pub(super) fn read(bytes: &[u8]) -> Result<Read, Trouble> {
    let mut bytes = Bytes(bytes);
    match bytes.number()? {
        0x17 => Ok(Read::Packed(bytes.streams()?)),
        0x01 => {
            let mut header = Header::default();
            loop {
                match bytes.number()? {
                    0x00 => return Ok(Read::Plain(header)),
                    0x02 => bytes.archive_properties()?,
                    0x04 => header.streams = bytes.streams()?,
                    0x05 => header.files = bytes.files()?,
                    _ => return Err(unreadable()),
                }
            }
        }
        _ => Err(unreadable()),
    }
}

fn unreadable() -> Trouble {
    damaged("its header can't be read")
}

/// What is left of the header.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, length: u64) -> Result<&'a [u8], Trouble> {
        let taken = usize::try_from(length)
            .ok()
            .and_then(|length| self.0.split_at_checked(length));
        let (taken, rest) = taken.ok_or_else(unreadable)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Trouble> {
        Ok(self.take(1)?[0])
    }

    fn u32(&mut self) -> Result<u32, Trouble> {
        let bytes = self.take(4)?.try_into().map_err(|_| unreadable())?;
        Ok(u32::from_le_bytes(bytes))
    }

    /// The first byte's ones tell how many bytes follow.
    fn number(&mut self) -> Result<u64, Trouble> {
        let first = self.byte()?;
        let more = first.leading_ones();
        let mut value = 0;
        for place in 0..more {
            value |= u64::from(self.byte()?) << (8 * place);
        }
        if more < 7 {
            value |= u64::from(first & ((1 << (7 - more)) - 1)) << (8 * more);
        }
        Ok(value)
    }

    /// A count of things, each of which takes at least so many bits of what is left.
    fn count(&mut self) -> Result<usize, Trouble> {
        let count = self.number()?;
        if count > MOST_ENTRIES as u64 {
            return Err(Trouble::TooLarge(format!(
                "it has more than {MOST_ENTRIES} entries"
            )));
        }
        usize::try_from(count).map_err(|_| unreadable())
    }

    fn bits(&mut self, count: usize) -> Result<Vec<bool>, Trouble> {
        let bytes = self.take(count.div_ceil(8) as u64)?;
        Ok((0..count)
            .map(|at| bytes[at / 8] >> (7 - at % 8) & 1 == 1)
            .collect())
    }

    fn bits_or_all(&mut self, count: usize) -> Result<Vec<bool>, Trouble> {
        match self.byte()? {
            0 => self.bits(count),
            _ => Ok(vec![true; count]),
        }
    }

    fn checksums(&mut self, count: usize) -> Result<Vec<Option<u32>>, Trouble> {
        let defined = self.bits_or_all(count)?;
        defined
            .into_iter()
            .map(|defined| defined.then(|| self.u32()).transpose())
            .collect()
    }

    fn archive_properties(&mut self) -> Result<(), Trouble> {
        while self.number()? != 0 {
            let length = self.number()?;
            self.take(length)?;
        }
        Ok(())
    }

    fn streams(&mut self) -> Result<Streams, Trouble> {
        let mut streams = Streams::default();
        let mut are_split = false;
        loop {
            match self.number()? {
                0x00 => break,
                0x06 => self.pack_info(&mut streams)?,
                0x07 => streams.folders = self.folders()?,
                0x08 => {
                    self.split(&mut streams.folders)?;
                    are_split = true;
                }
                _ => return Err(unreadable()),
            }
        }
        if !are_split {
            for folder in &mut streams.folders {
                let (size, crc) = (folder.size(), folder.crc);
                folder.files = vec![Stream { size, crc }];
            }
        }
        Ok(streams)
    }

    fn pack_info(&mut self, streams: &mut Streams) -> Result<(), Trouble> {
        streams.start = self.number()?;
        let count = self.count()?;
        loop {
            match self.number()? {
                0x00 => return Ok(()),
                0x09 => {
                    streams.packed = (0..count)
                        .map(|_| self.number())
                        .collect::<Result<_, _>>()?;
                }
                0x0a => {
                    self.checksums(count)?;
                }
                _ => return Err(unreadable()),
            }
        }
    }

    fn folders(&mut self) -> Result<Vec<Folder>, Trouble> {
        if self.number()? != 0x0b {
            return Err(unreadable());
        }
        let count = self.count()?;
        if self.byte()? != 0 {
            return Err(unsupported("what is described elsewhere"));
        }
        let mut folders = (0..count)
            .map(|_| self.folder())
            .collect::<Result<Vec<_>, _>>()?;
        if self.number()? != 0x0c {
            return Err(unreadable());
        }
        for folder in &mut folders {
            folder.sizes = (0..folder.coders.len())
                .map(|_| self.number())
                .collect::<Result<_, _>>()?;
        }
        loop {
            match self.number()? {
                0x00 => return Ok(folders),
                0x0a => {
                    let checksums = self.checksums(count)?;
                    for (folder, crc) in folders.iter_mut().zip(checksums) {
                        folder.crc = crc;
                    }
                }
                _ => return Err(unreadable()),
            }
        }
    }

    fn folder(&mut self) -> Result<Folder, Trouble> {
        let count = self.number()?;
        if count == 0 || count > MOST_CODERS {
            return Err(unreadable());
        }
        let mut folder = Folder::default();
        for _ in 0..count {
            let flags = self.byte()?;
            let id = self.take((flags & 15).into())?.to_vec();
            if flags & 0x10 != 0 {
                let (inputs, outputs) = (self.number()?, self.number()?);
                if (inputs, outputs) != (1, 1) {
                    return Err(unsupported("a block with several inputs"));
                }
            }
            let properties = if flags & 0x20 != 0 {
                let length = self.number()?;
                self.take(length)?.to_vec()
            } else {
                Vec::new()
            };
            if flags & 0x80 != 0 {
                return Err(unreadable());
            }
            folder.coders.push(Coder { id, properties });
        }
        for _ in 1..count {
            folder.pairs.push((self.number()?, self.number()?));
        }
        Ok(folder)
    }

    /// Which files are in each block, and how long they are.
    fn split(&mut self, folders: &mut [Folder]) -> Result<(), Trouble> {
        let mut kind = self.number()?;
        let mut counts = vec![1; folders.len()];
        if kind == 0x0d {
            for count in &mut counts {
                *count = self.count()?;
            }
            kind = self.number()?;
        }
        for (folder, count) in folders.iter_mut().zip(&counts) {
            let mut rest = folder.size();
            for number in 0..*count {
                let size = if number + 1 == *count {
                    rest
                } else if kind == 0x09 {
                    self.number()?
                } else {
                    return Err(unreadable());
                };
                rest = rest.checked_sub(size).ok_or_else(unreadable)?;
                let crc = folder.crc.filter(|_| *count == 1);
                folder.files.push(Stream { size, crc });
            }
        }
        if kind == 0x09 {
            kind = self.number()?;
        }
        loop {
            match kind {
                0x00 => return Ok(()),
                0x0a => {
                    let mut unknown: Vec<&mut Option<u32>> = folders
                        .iter_mut()
                        .flat_map(|folder| &mut folder.files)
                        .map(|stream| &mut stream.crc)
                        .filter(|crc| crc.is_none())
                        .collect();
                    let checksums = self.checksums(unknown.len())?;
                    for (place, crc) in unknown.iter_mut().zip(checksums) {
                        **place = crc;
                    }
                }
                _ => return Err(unreadable()),
            }
            kind = self.number()?;
        }
    }

    fn files(&mut self) -> Result<Vec<File>, Trouble> {
        let count = self.count()?;
        let mut files = vec![
            File {
                has_stream: true,
                ..File::default()
            };
            count
        ];
        loop {
            let kind = self.number()?;
            if kind == 0 {
                return Ok(files);
            }
            let length = self.number()?;
            let mut property = Self(self.take(length)?);
            match kind {
                0x0e => {
                    for (file, is_empty) in files.iter_mut().zip(property.bits(count)?) {
                        file.has_stream = !is_empty;
                    }
                }
                0x0f => {
                    let empty = files.iter().filter(|file| !file.has_stream).count();
                    let mut bits = property.bits(empty)?.into_iter();
                    for file in files.iter_mut().filter(|file| !file.has_stream) {
                        file.is_empty_file = bits.next().unwrap_or_default();
                    }
                }
                0x11 => {
                    if property.byte()? != 0 {
                        return Err(unsupported("what is described elsewhere"));
                    }
                    for file in &mut files {
                        file.name = property.name()?;
                    }
                }
                0x15 => {
                    let defined = property.bits_or_all(count)?;
                    if property.byte()? != 0 {
                        return Err(unsupported("what is described elsewhere"));
                    }
                    for (file, _) in files
                        .iter_mut()
                        .zip(defined)
                        .filter(|(_, defined)| *defined)
                    {
                        let attributes = property.u32()?;
                        let mode = attributes >> 16;
                        // A link of Unix, or one of Windows.
                        file.is_link = (attributes & 0x8000 != 0 && mode & 0o170_000 == 0o120_000)
                            || attributes & 0x400 != 0;
                    }
                }
                _ => {}
            }
        }
    }

    /// A name in UTF-16, ended by a zero.
    fn name(&mut self) -> Result<String, Trouble> {
        let mut units = Vec::new();
        loop {
            let pair = self.take(2)?;
            match u16::from_le_bytes([pair[0], pair[1]]) {
                0 => return Ok(String::from_utf16_lossy(&units)),
                unit => units.push(unit),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Bytes, Coder, Folder, read};

    #[test]
    fn up_3_numbers_of_all_lengths() {
        for (bytes, value) in [
            (&[0x05][..], 5),
            (&[0x7f], 0x7f),
            (&[0x80, 0x80], 0x80),
            (&[0xbf, 0xff], 0x3fff),
            (&[0xc1, 0x02, 0x03], 0x1_0302),
            (&[0xff, 1, 0, 0, 0, 0, 0, 0, 0x80], 1 << 63 | 1),
        ] {
            assert_eq!(Bytes(bytes).number().unwrap(), value, "{bytes:02x?}");
        }
        assert!(Bytes(&[0xff, 1]).number().is_err());
    }

    #[test]
    fn up_3_headers_that_lie_are_refused() {
        for header in [
            &[][..],
            &[0x01],
            &[0x09],
            &[
                0x01, 0x05, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            ],
            &[0x01, 0x04, 0x07, 0x0b, 0xc0, 0xff, 0xff, 0x00],
            &[0x17, 0x06, 0x00, 0x01, 0x09],
        ] {
            assert!(read(header).is_err(), "{header:02x?}");
        }
    }

    #[test]
    fn up_3_decoders_that_follow_one_another_in_a_ring_are_refused() {
        let coder = |id: u8| Coder {
            id: vec![id],
            properties: Vec::new(),
        };
        let folder = |pairs: &[(u64, u64)]| Folder {
            coders: vec![coder(1), coder(2)],
            pairs: pairs.to_vec(),
            sizes: vec![10, 20],
            ..Folder::default()
        };
        // The second decodes what is packed, the first what comes out of it.
        let joined = folder(&[(0, 1)]);
        let ids: Vec<u8> = joined
            .in_order()
            .unwrap()
            .iter()
            .map(|(coder, _)| coder.id[0])
            .collect();
        assert_eq!((ids, joined.size()), (vec![2, 1], 10));
        assert!(folder(&[(0, 0)]).in_order().is_err());
        assert!(folder(&[(0, 1), (1, 0)]).in_order().is_err());
        assert!(folder(&[(9, 9)]).in_order().is_err());
    }
}
