//! 7z archives: stored, LZMA and LZMA2 files, the usual filters, AES.
//!
//! The decoders are those of `lzma-rust2`. The container is our own: `sevenz-rust2` brings JavaScript's bindings to
//! WebAssembly, which plugins don't have. The header is read in `sevenz/header.rs`.

mod header;

use std::io::{self, Read};

use aes::Aes256;
use aes::cipher::{BlockCipherDecrypt as _, KeyInit as _};
use critd_sdk::prelude::*;
use flate2::Crc;
use lzma_rust2::filter::bcj::BcjReader;
use lzma_rust2::filter::delta::DeltaReader;
use lzma_rust2::{Lzma2Reader, LzmaReader};
use sha2::{Digest as _, Sha256};

use self::header::{Coder, Folder, Header, Streams};
use super::{MOST_BYTES, MOST_MEMORY_KIB, Members, Trouble, damaged, part, unsupported};

/// Largest header that is read.
const LARGEST_HEADER: u64 = 16 << 20;
/// Headers may be packed headers, so often.
const MOST_PACKED_HEADERS: usize = 4;
/// Rounds of the key are two to this power at most; the original packer takes 19.
const MOST_ROUNDS: u8 = 20;

pub(super) fn unpack(
    archive: Upload,
    password: &str,
    members: &mut Members,
) -> Result<(), Trouble> {
    let mut keys = Keys {
        password,
        known: None,
    };
    let header = read_header(archive, &mut keys)?;
    let mut files = header.files.iter();
    let mut packed_at = 32 + header.streams.start;
    for (number, folder) in header.streams.folders.iter().enumerate() {
        let packed = *header
            .streams
            .packed
            .get(number)
            .ok_or_else(|| damaged("a block is missing"))?;
        let source = part(archive, packed_at, packed)?;
        packed_at = packed_at
            .checked_add(packed)
            .ok_or_else(|| damaged("a block is not where it should be"))?;
        let mut block = decoder(source, folder, &mut keys)?;
        for stream in &folder.files {
            let file = files
                .find(|file| {
                    // Files without bytes have no stream.
                    file.has_stream
                })
                .ok_or_else(|| damaged("a file has no name"))?;
            members.count()?;
            let mut content = Checked {
                from: (&mut block).take(stream.size),
                sum: Crc::new(),
                length: 0,
            };
            let outcome = if file.is_link {
                io::copy(&mut content, &mut io::sink())
                    .map(|_| ())
                    .map_err(Trouble::from)
            } else {
                members.take(&file.name, &mut content)
            };
            let outcome = outcome.and_then(|()| content.check(stream.size, stream.crc));
            outcome.map_err(|trouble| blamed(trouble, folder))?;
        }
    }
    let empty = header.files.iter().filter(|file| file.is_empty_file());
    members.empty += empty.count();
    Ok(())
}

/// Finds the header, unpacks it if it is packed.
fn read_header(archive: Upload, keys: &mut Keys<'_>) -> Result<Header, Trouble> {
    let mut start = [0; 32];
    part(archive, 0, 32)?.read_exact(&mut start)?;
    let number = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&start[at..at + 8]);
        u64::from_le_bytes(bytes)
    };
    let (offset, size) = (number(12), number(20));
    if size == 0 {
        return Ok(Header::default());
    }
    let at = offset
        .checked_add(32)
        .filter(|_| size <= LARGEST_HEADER)
        .ok_or_else(|| damaged("its header is not where it should be"))?;
    let mut bytes = vec![0; usize::try_from(size).unwrap_or_default()];
    part(archive, at, size)?.read_exact(&mut bytes)?;
    let mut sum = Crc::new();
    sum.update(&bytes);
    if sum.sum().to_le_bytes() != start[28..32] {
        return Err(damaged("its header has a wrong checksum"));
    }
    let mut is_encrypted = false;
    for _ in 0..MOST_PACKED_HEADERS {
        // Without a checksum a wrong password shows as a header that can't be read.
        let read = header::read(&bytes).map_err(|trouble| match is_encrypted {
            true => trouble.of_encrypted(),
            false => trouble,
        });
        let streams = match read? {
            header::Read::Plain(header) => return Ok(header),
            header::Read::Packed(streams) => streams,
        };
        is_encrypted = streams.folders.iter().any(Folder::is_encrypted);
        bytes = unpack_header(archive, &streams, keys)?;
    }
    Err(damaged("its header is packed too often"))
}

fn unpack_header(
    archive: Upload,
    streams: &Streams,
    keys: &mut Keys<'_>,
) -> Result<Vec<u8>, Trouble> {
    let (Some(folder), Some(packed)) = (streams.folders.first(), streams.packed.first()) else {
        return Err(damaged("its header is missing"));
    };
    let size = folder.size();
    if size > LARGEST_HEADER {
        return Err(Trouble::TooLarge("its header is too large".into()));
    }
    let start = streams.start.checked_add(32);
    let start = start.ok_or_else(|| damaged("its header is not where it should be"))?;
    let source = part(archive, start, *packed)?;
    let mut block = decoder(source, folder, keys)?;
    let mut bytes = Vec::new();
    let mut content = Checked {
        from: (&mut block).take(size),
        sum: Crc::new(),
        length: 0,
    };
    let read = content.read_to_end(&mut bytes).map_err(Trouble::from);
    let crc = folder.files.first().and_then(|stream| stream.crc);
    read.and_then(|_| content.check(size, crc))
        .map_err(|trouble| blamed(trouble, folder))?;
    Ok(bytes)
}

fn blamed(trouble: Trouble, folder: &Folder) -> Trouble {
    if folder.is_encrypted() {
        trouble.of_encrypted()
    } else {
        trouble
    }
}

/// What a file must be: as long as it says, with the checksum that it says.
struct Checked<R> {
    from: R,
    sum: Crc,
    length: u64,
}

impl<R> Checked<R> {
    fn check(&self, size: u64, crc: Option<u32>) -> Result<(), Trouble> {
        if self.length != size {
            return Err(damaged("a file is shorter than it says"));
        }
        if crc.is_some_and(|crc| crc != self.sum.sum()) {
            return Err(damaged("a file has a wrong checksum"));
        }
        Ok(())
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        self.sum.update(&buffer[..count]);
        self.length += count as u64;
        Ok(count)
    }
}

/// The decoders of a block, one after the other.
fn decoder(
    source: impl Read + 'static,
    folder: &Folder,
    keys: &mut Keys<'_>,
) -> Result<Box<dyn Read>, Trouble> {
    let mut reader: Box<dyn Read> = Box::new(source);
    for (coder, size) in folder.in_order()? {
        if size > 2 * MOST_BYTES {
            return Err(Trouble::TooLarge(format!(
                "its files are larger than {MOST_BYTES} bytes together"
            )));
        }
        reader = coded(reader, coder, size, keys).map_err(|trouble| blamed(trouble, folder))?;
    }
    Ok(reader)
}

fn coded(
    reader: Box<dyn Read>,
    coder: &Coder,
    size: u64,
    keys: &mut Keys<'_>,
) -> Result<Box<dyn Read>, Trouble> {
    let fits = |needed: u32| {
        if needed > MOST_MEMORY_KIB {
            return Err(unsupported("what needs so much memory"));
        }
        Ok(())
    };
    let properties = coder.properties.as_slice();
    Ok(match (coder.id.as_slice(), properties) {
        ([0x00], _) => reader,
        ([0x03, 0x01, 0x01], [byte, dictionary @ ..]) => {
            let dictionary = dictionary
                .try_into()
                .map_err(|_| damaged("a block can't be decoded"))?;
            let dictionary = u32::from_le_bytes(dictionary);
            fits(lzma_rust2::lzma_get_memory_usage_by_props(
                dictionary, *byte,
            )?)?;
            Box::new(LzmaReader::new_with_props(
                reader, size, *byte, dictionary, None,
            )?)
        }
        ([0x21], [bits]) => {
            let dictionary = lzma2_dictionary(*bits)?;
            fits(lzma_rust2::lzma2_get_memory_usage(dictionary))?;
            Box::new(Lzma2Reader::new(reader, dictionary, None))
        }
        ([0x03], [distance]) => Box::new(DeltaReader::new(reader, usize::from(*distance) + 1)),
        ([0x04] | [0x03, 0x03, 0x01, 0x03], _) => Box::new(BcjReader::new_x86(reader, 0)),
        ([0x05] | [0x03, 0x03, 0x02, 0x05], _) => Box::new(BcjReader::new_ppc(reader, 0)),
        ([0x06] | [0x03, 0x03, 0x04, 0x01], _) => Box::new(BcjReader::new_ia64(reader, 0)),
        ([0x07] | [0x03, 0x03, 0x05, 0x01], _) => Box::new(BcjReader::new_arm(reader, 0)),
        ([0x08] | [0x03, 0x03, 0x07, 0x01], _) => Box::new(BcjReader::new_arm_thumb(reader, 0)),
        ([0x09] | [0x03, 0x03, 0x08, 0x05], _) => Box::new(BcjReader::new_sparc(reader, 0)),
        ([0x0a], _) => Box::new(BcjReader::new_arm64(reader, 0)),
        (header::AES, properties) => Box::new(Deciphered::new(reader, properties, size, keys)?),
        (id, _) => {
            let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
            return Err(unsupported(&["compression method ", &id].concat()));
        }
    })
}

fn lzma2_dictionary(bits: u8) -> Result<u32, Trouble> {
    match bits {
        0..=39 => Ok((2 | u32::from(bits & 1)) << (bits / 2 + 11)),
        40 => Ok(u32::MAX),
        _ => Err(damaged("a block can't be decoded")),
    }
}

/// The password, and the last key made of it: blocks of one archive often share it.
struct Keys<'a> {
    password: &'a str,
    known: Option<(u8, Vec<u8>, [u8; 32])>,
}

impl Keys<'_> {
    fn key(&mut self, rounds: u8, salt: &[u8]) -> Result<[u8; 32], Trouble> {
        if let Some((known_rounds, known_salt, key)) = &self.known
            && (*known_rounds, known_salt.as_slice()) == (rounds, salt)
        {
            return Ok(*key);
        }
        let password: Vec<u8> = self
            .password
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let key = if rounds == 0x3f {
            let mut key = [0; 32];
            for (place, byte) in key.iter_mut().zip(salt.iter().chain(&password)) {
                *place = *byte;
            }
            key
        } else if rounds <= MOST_ROUNDS {
            let mut digest = Sha256::new();
            for round in 0..1_u64 << rounds {
                digest.update(salt);
                digest.update(&password);
                digest.update(round.to_le_bytes());
            }
            digest.finalize().into()
        } else {
            return Err(unsupported("encryption with so many rounds"));
        };
        self.known = Some((rounds, salt.to_vec(), key));
        Ok(key)
    }
}

/// AES in chained blocks.
struct Deciphered {
    inner: Box<dyn Read>,
    cipher: Aes256,
    chain: [u8; 16],
    block: [u8; 16],
    used: usize,
    left: u64,
}

impl Deciphered {
    fn new(
        inner: Box<dyn Read>,
        properties: &[u8],
        size: u64,
        keys: &mut Keys<'_>,
    ) -> Result<Self, Trouble> {
        let wrong = || damaged("a block can't be deciphered");
        let (first, second) = match properties {
            [first, second, ..] => (*first, *second),
            [first] => (*first, 0),
            [] => return Err(wrong()),
        };
        let salt = usize::from(first >> 7 & 1) + usize::from(second >> 4);
        let vector = usize::from(first >> 6 & 1) + usize::from(second & 15);
        let rest = properties.get(2..).unwrap_or_default();
        let (salt, rest) = rest.split_at_checked(salt).ok_or_else(wrong)?;
        let vector = rest.get(..vector).ok_or_else(wrong)?;
        let mut chain = [0; 16];
        for (place, byte) in chain.iter_mut().zip(vector) {
            *place = *byte;
        }
        let key = keys.key(first & 0x3f, salt)?;
        Ok(Self {
            inner,
            cipher: Aes256::new(&key.into()),
            chain,
            block: [0; 16],
            used: 16,
            left: size,
        })
    }
}

impl Read for Deciphered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut count = 0;
        while count < buffer.len() && self.left > 0 {
            if self.used == 16 {
                self.inner.read_exact(&mut self.block)?;
                let next = self.block;
                let mut block = aes::Block::from(self.block);
                self.cipher.decrypt_block(&mut block);
                for (place, (plain, chained)) in
                    self.block.iter_mut().zip(block.iter().zip(&self.chain))
                {
                    *place = plain ^ chained;
                }
                self.chain = next;
                self.used = 0;
            }
            let most = usize::try_from(self.left).unwrap_or(usize::MAX);
            let take = (16 - self.used).min(buffer.len() - count).min(most);
            buffer[count..count + take].copy_from_slice(&self.block[self.used..self.used + take]);
            self.used += take;
            self.left -= take as u64;
            count += take;
        }
        Ok(count)
    }
}
