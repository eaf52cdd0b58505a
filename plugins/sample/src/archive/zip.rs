//! ZIP archives: stored, deflated and LZMA files, classic and AES encryption, ZIP64.
//!
//! Our own, because `zip` brings JavaScript's random numbers to WebAssembly, which plugins don't have, for what it writes.
//! Here only what is read is done, and the directory, which may be as long as the archive, is never in memory.

use std::io::Read;

use critd_sdk::prelude::*;
use flate2::Crc;
use flate2::read::DeflateDecoder;
use lzma_rust2::LzmaReader;

use super::cipher::{Classic, WinZip};
use super::{MOST_MEMBERS, MOST_MEMORY_KIB, Members, Trouble, damaged, part, unsupported};

/// The directory ends within so many bytes from the end.
const LONGEST_END: u64 = 22 + 0xffff;
/// Longest name that is looked at, in bytes; only its last part is kept.
const LONGEST_NAME: usize = 1 << 10;

/// A file of the archive.
#[derive(Debug)]
struct Entry {
    name: String,
    flags: u16,
    method: u16,
    /// Time of day in the form of DOS.
    time: u16,
    crc: u32,
    packed: u64,
    size: u64,
    /// Where its own header is.
    start: u64,
    aes: Option<AesEntry>,
}

#[derive(Debug)]
struct AesEntry {
    /// 1: the checksum holds too.
    version: u16,
    strength: u8,
    method: u16,
}

/// Where the directory is.
#[derive(Debug)]
struct Directory {
    start: u64,
    length: u64,
    /// What comes before the archive: a program that unpacks it.
    before: u64,
}

pub(super) fn unpack(
    archive: Upload,
    password: &str,
    members: &mut Members,
) -> Result<(), Trouble> {
    let directory = directory(archive)?;
    let files = files(archive, &directory, members)?;
    let mut places = Vec::with_capacity(files.len());
    for file in &files {
        places.push((file.start, data_start(archive, file)?));
    }
    no_overlaps(&files, &places, directory.start)?;
    for (file, (_, data)) in files.iter().zip(&places) {
        unpack_file(archive, file, *data, password, members)?;
    }
    Ok(())
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes
        .get(at..at + 2)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..at + 4)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes
        .get(at..at + 8)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u64::from_le_bytes)
}

fn directory(archive: Upload) -> Result<Directory, Trouble> {
    let size = archive.size()?;
    let tail_start = size.saturating_sub(LONGEST_END);
    let mut tail = Vec::new();
    part(archive, tail_start, LONGEST_END)?.read_to_end(&mut tail)?;
    let at = (0..tail.len().saturating_sub(21)).rev().find(|at| {
        let end = &tail[*at..];
        end.starts_with(b"PK\x05\x06") && 22 + usize::from(u16_at(end, 20)) <= end.len()
    });
    let at = at.ok_or_else(|| damaged("its directory is missing"))?;
    let end = &tail[at..];
    let (mut ends_at, mut length, mut offset) = (
        tail_start + at as u64,
        u64::from(u32_at(end, 12)),
        u64::from(u32_at(end, 16)),
    );
    let locator = at.checked_sub(20).map(|at| &tail[at..at + 20]);
    let locator = locator.filter(|locator| locator.starts_with(b"PK\x06\x07"));
    if locator.is_none() && (length == 0xffff_ffff || offset == 0xffff_ffff) {
        return Err(damaged("its directory is missing"));
    }
    let is_large = length == 0xffff_ffff || offset == 0xffff_ffff || u16_at(end, 10) == 0xffff;
    if is_large && let Some(locator) = locator {
        let at = u64_at(locator, 8);
        let mut record = Vec::new();
        part(archive, at, 56)?.read_to_end(&mut record)?;
        if !record.starts_with(b"PK\x06\x06") {
            return Err(damaged("its directory is missing"));
        }
        (ends_at, length, offset) = (at, u64_at(&record, 40), u64_at(&record, 48));
    }
    let start = ends_at.checked_sub(length);
    let before = start.and_then(|start| start.checked_sub(offset));
    match (start, before) {
        (Some(start), Some(before)) => Ok(Directory {
            start,
            length,
            before,
        }),
        _ => Err(damaged("its directory is not where it should be")),
    }
}

/// The files of the directory; folders and links are left out.
fn files(
    archive: Upload,
    directory: &Directory,
    members: &mut Members,
) -> Result<Vec<Entry>, Trouble> {
    let mut reader = part(archive, directory.start, directory.length)?;
    let mut files = Vec::new();
    while reader.limit() > 0 {
        let mut header = [0; 46];
        reader.read_exact(&mut header)?;
        if !header.starts_with(b"PK\x01\x02") {
            return Err(damaged("its directory can't be read"));
        }
        members.count()?;
        let mut name = vec![0; usize::from(u16_at(&header, 28))];
        reader.read_exact(&mut name)?;
        let mut extra = vec![0; usize::from(u16_at(&header, 30))];
        reader.read_exact(&mut extra)?;
        let mut comment = vec![0; usize::from(u16_at(&header, 32))];
        reader.read_exact(&mut comment)?;
        if let Some(entry) = entry(&header, &name, &extra, directory)? {
            files.push(entry);
        }
        if files.len() > MOST_MEMBERS {
            return Err(Trouble::TooLarge(format!(
                "it has more than {MOST_MEMBERS} files"
            )));
        }
    }
    Ok(files)
}

fn entry(
    header: &[u8; 46],
    name: &[u8],
    extra: &[u8],
    directory: &Directory,
) -> Result<Option<Entry>, Trouble> {
    let is_unix = matches!(header[5], 3 | 19);
    let mode = u32_at(header, 38) >> 16;
    let is_link = is_unix && mode & 0o170_000 == 0o120_000;
    if is_link || matches!(name.last(), None | Some(b'/' | b'\\')) {
        return Ok(None);
    }
    let mut entry = Entry {
        name: text(name, u16_at(header, 8) & 0x800 != 0),
        flags: u16_at(header, 8),
        method: u16_at(header, 10),
        time: u16_at(header, 12),
        crc: u32_at(header, 16),
        packed: u32_at(header, 20).into(),
        size: u32_at(header, 24).into(),
        start: u32_at(header, 42).into(),
        aes: None,
    };
    let mut rest = extra;
    while rest.len() >= 4 {
        let (kind, length) = (u16_at(rest, 0), usize::from(u16_at(rest, 2)));
        let Some(field) = rest.get(4..4 + length) else {
            break;
        };
        match kind {
            1 => large(&mut entry, field),
            0x9901 if length >= 7 => {
                entry.aes = Some(AesEntry {
                    version: u16_at(field, 0),
                    strength: field[4],
                    method: u16_at(field, 5),
                });
            }
            _ => {}
        }
        rest = &rest[4 + length..];
    }
    let start = entry.start.checked_add(directory.before);
    entry.start = start.ok_or_else(|| damaged("a file is not where it should be"))?;
    Ok(Some(entry))
}

/// ZIP64: what does not fit into 32 bits, in this order.
fn large(entry: &mut Entry, field: &[u8]) {
    let mut numbers = field.chunks_exact(8).map(|number| u64_at(number, 0));
    for place in [&mut entry.size, &mut entry.packed, &mut entry.start] {
        if *place == 0xffff_ffff
            && let Some(number) = numbers.next()
        {
            *place = number;
        }
    }
}

/// The upper half of the character set of the first PCs, in which names are that don't say otherwise.
const PC: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

fn text(name: &[u8], is_utf8: bool) -> String {
    let name = &name[name.len().saturating_sub(LONGEST_NAME)..];
    match std::str::from_utf8(name) {
        Ok(name) => name.to_owned(),
        Err(_) if is_utf8 => String::from_utf8_lossy(name).into_owned(),
        Err(_) => name
            .iter()
            .map(|byte| match byte.checked_sub(0x80) {
                None => char::from(*byte),
                Some(upper) => PC.chars().nth(upper.into()).unwrap_or('\u{fffd}'),
            })
            .collect(),
    }
}

/// Where the bytes of a file begin, after its own header.
fn data_start(archive: Upload, file: &Entry) -> Result<u64, Trouble> {
    let mut header = [0; 30];
    part(archive, file.start, 30)?.read_exact(&mut header)?;
    if !header.starts_with(b"PK\x03\x04") {
        return Err(damaged("a file is not where it should be"));
    }
    let names = u64::from(u16_at(&header, 26)) + u64::from(u16_at(&header, 28));
    Ok(file.start + 30 + names)
}

/// Files that share their bytes make a small archive large: no honest one has them.
fn no_overlaps(files: &[Entry], places: &[(u64, u64)], end: u64) -> Result<(), Trouble> {
    let mut taken: Vec<(u64, u64)> = Vec::with_capacity(files.len());
    for (file, (start, data)) in files.iter().zip(places) {
        let last = data.checked_add(file.packed).filter(|last| *last <= end);
        taken.push((
            *start,
            last.ok_or_else(|| damaged("a file ends after the archive"))?,
        ));
    }
    taken.sort_unstable();
    if taken.windows(2).any(|pair| pair[1].0 < pair[0].1) {
        return Err(Trouble::TooLarge("its files overlap".into()));
    }
    Ok(())
}

fn unpack_file(
    archive: Upload,
    file: &Entry,
    data: u64,
    password: &str,
    members: &mut Members,
) -> Result<(), Trouble> {
    let mut packed = part(archive, data, file.packed)?;
    if file.flags & 1 == 0 {
        return decode(&mut packed, file, file.method, true, members);
    }
    let strange = file.flags & 0x40 != 0 && file.aes.is_none();
    match &file.aes {
        _ if strange => Err(unsupported("strong encryption of PKWARE")),
        Some(aes) => {
            let mut plain = WinZip::new(packed, password, aes.strength, file.packed)?;
            decode(&mut plain, file, aes.method, aes.version == 1, members)?;
            plain.check()
        }
        None => {
            let check = [(file.crc >> 24) as u8, (file.time >> 8) as u8];
            let mut plain = Classic::new(packed, password, check)?;
            // One byte of check: one wrong password of 256 (with both forms of the check, of 128) is only found out here.
            decode(&mut plain, file, file.method, true, members).map_err(Trouble::of_encrypted)
        }
    }
}

fn decode(
    plain: &mut dyn Read,
    file: &Entry,
    method: u16,
    is_checked: bool,
    members: &mut Members,
) -> Result<(), Trouble> {
    match method {
        0 => whole(plain, file, is_checked, members),
        8 => whole(&mut DeflateDecoder::new(plain), file, is_checked, members),
        14 => {
            let mut header = [0; 9];
            plain.read_exact(&mut header)?;
            let [_, _, 5, 0, properties, dictionary @ ..] = header else {
                return Err(damaged("a file can't be decoded"));
            };
            let size = if file.flags & 2 == 0 {
                file.size
            } else {
                u64::MAX
            };
            let dictionary = u32::from_le_bytes(dictionary);
            let needed = lzma_rust2::lzma_get_memory_usage_by_props(dictionary, properties)?;
            if needed > MOST_MEMORY_KIB {
                return Err(unsupported("what needs so much memory"));
            }
            let mut decoder =
                LzmaReader::new_with_props(plain, size, properties, dictionary, None)?;
            whole(&mut decoder, file, is_checked, members)
        }
        other => Err(unsupported(&format!("compression method {other}"))),
    }
}

/// Takes a file that must be as long as it says, and have the checksum that it says.
fn whole(
    from: &mut dyn Read,
    file: &Entry,
    is_checked: bool,
    members: &mut Members,
) -> Result<(), Trouble> {
    let mut checked = Checked {
        from: from.take(file.size.saturating_add(1)),
        sum: Crc::new(),
        length: 0,
    };
    members.take(&file.name, &mut checked)?;
    if checked.length != file.size {
        return Err(damaged("a file has another size than it says"));
    }
    if is_checked && checked.sum.sum() != file.crc {
        return Err(damaged("a file has a wrong checksum"));
    }
    Ok(())
}

struct Checked<'a> {
    from: std::io::Take<&'a mut dyn Read>,
    sum: Crc,
    length: u64,
}

impl Read for Checked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.from.read(buffer)?;
        self.sum.update(&buffer[..count]);
        self.length += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::{PC, text};

    #[test]
    fn o26_names_of_old_archives_are_read() {
        assert_eq!(PC.chars().count(), 128);
        assert_eq!(text(b"\x81bung.exe", false), "\u{fc}bung.exe");
        assert_eq!(text("\u{fc}bung".as_bytes(), false), "\u{fc}bung");
        assert_eq!(text(b"\xff", true), "\u{fffd}");
    }
}
