//! ZIP archives with the classic PKWARE encryption (rule F9), as their bytes come: entries are stored, their checksum and
//! sizes follow them. Above 4 GiB in the form of ZIP64.
//!
//! This encryption keeps scanners and careless hands away, nobody else: it is what published clients can read.

use flate2::Crc;
use time::OffsetDateTime;

/// Random bytes before the data of an entry.
pub(super) const SALT: usize = 11;
/// Bytes that an encrypted entry has more.
const HEADER: u64 = SALT as u64 + 1;
/// Sizes and offsets that 32 bits don't hold.
const LARGE: u64 = 0xffff_ffff;
/// Numbers of entries that 16 bits don't hold.
const MANY: u64 = 0xffff;

const ENCRYPTED: u16 = 1;
/// Checksum and sizes come after the data.
const FOLLOWED: u16 = 1 << 3;
/// Version 2.0: encryption. 4.5: ZIP64.
const NEEDED: u16 = 20;
const NEEDED_LARGE: u16 = 45;
/// Made on Unix, by version 4.5.
const MADE_BY: u16 = (3 << 8) | 45;
/// A regular file that its owner may read and write, but not run.
const MODE: u32 = 0o100_600 << 16;
/// Extra field with 64 bits.
const ZIP64: u16 = 1;

/// Remainders of CRC-32 for one byte.
const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut number = 0;
    while number < 256 {
        let mut remainder = number as u32;
        let mut bit = 0;
        while bit < 8 {
            remainder = (remainder >> 1) ^ (0xedb8_8320 * (remainder & 1));
            bit += 1;
        }
        table[number] = remainder;
        number += 1;
    }
    table
}

fn crc(crc: u32, byte: u8) -> u32 {
    // A byte is always within the table.
    let remainder = TABLE
        .get(usize::from(crc.to_le_bytes()[0] ^ byte))
        .copied()
        .unwrap_or_default();
    (crc >> 8) ^ remainder
}

/// State of the cipher.
#[derive(Debug, Clone, Copy)]
struct Keys(u32, u32, u32);

impl Keys {
    fn of(password: &[u8]) -> Self {
        let mut keys = Self(0x1234_5678, 0x2345_6789, 0x3456_7890);
        password.iter().for_each(|byte| keys.update(*byte));
        keys
    }

    fn update(&mut self, plain: u8) {
        self.0 = crc(self.0, plain);
        let low = u32::from(self.0.to_le_bytes()[0]);
        self.1 = self
            .1
            .wrapping_add(low)
            .wrapping_mul(134_775_813)
            .wrapping_add(1);
        self.2 = crc(self.2, self.1.to_be_bytes()[0]);
    }

    fn encrypt(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            let word = (self.2 | 2) & 0xffff;
            let [_, key, ..] = word.wrapping_mul(word ^ 1).to_le_bytes();
            let plain = *byte;
            *byte = plain ^ key;
            self.update(plain);
        }
    }
}

/// An archive being written.
#[derive(Debug)]
pub(super) struct Archive {
    /// As the password leaves them.
    keys: Keys,
    stamp: Stamp,
    /// Bytes so far.
    written: u64,
    entries: Vec<Entry>,
    /// Cipher and checksum of the last entry.
    cipher: Keys,
    sum: Crc,
    /// [`LARGE`], except in tests.
    large: u64,
}

/// Time and date as MS-DOS has them.
#[derive(Debug, Clone, Copy)]
struct Stamp {
    time: u16,
    date: u16,
}

#[derive(Debug)]
struct Entry {
    name: String,
    offset: u64,
    /// Bytes before encryption.
    size: u64,
    sum: u32,
    is_large: bool,
}

impl Stamp {
    fn of(now: OffsetDateTime) -> Self {
        let year = u16::try_from(now.year().clamp(1980, 2107) - 1980).unwrap_or_default();
        let time = (u16::from(now.hour()) << 11)
            | (u16::from(now.minute()) << 5)
            | (u16::from(now.second()) / 2);
        let date = (year << 9) | (u16::from(u8::from(now.month())) << 5) | u16::from(now.day());
        Self { time, date }
    }
}

impl Archive {
    pub(super) fn new(password: &[u8], now: OffsetDateTime) -> Self {
        let keys = Keys::of(password);
        Self {
            keys,
            stamp: Stamp::of(now),
            written: 0,
            entries: Vec::new(),
            cipher: keys,
            sum: Crc::new(),
            large: LARGE,
        }
    }

    /// An entry begins, whose data will have at most so many bytes. Its name is ASCII.
    pub(super) fn begin(&mut self, name: &str, most: u64, salt: [u8; SALT]) -> Vec<u8> {
        let is_large = most.saturating_add(HEADER) >= self.large;
        let mut bytes = Vec::with_capacity(128);
        put32(&mut bytes, 0x0403_4b50);
        put16(&mut bytes, needed(is_large));
        put16(&mut bytes, ENCRYPTED | FOLLOWED);
        put16(&mut bytes, 0);
        put16(&mut bytes, self.stamp.time);
        put16(&mut bytes, self.stamp.date);
        put32(&mut bytes, 0);
        let unknown = if is_large { u32::MAX } else { 0 };
        put32(&mut bytes, unknown);
        put32(&mut bytes, unknown);
        put16(&mut bytes, length(name));
        put16(&mut bytes, if is_large { 20 } else { 0 });
        bytes.extend_from_slice(name.as_bytes());
        if is_large {
            put16(&mut bytes, ZIP64);
            put16(&mut bytes, 16);
            put64(&mut bytes, 0);
            put64(&mut bytes, 0);
        }
        self.entries.push(Entry {
            name: name.to_owned(),
            offset: self.written,
            size: 0,
            sum: 0,
            is_large,
        });
        self.cipher = self.keys;
        self.sum = Crc::new();
        // As the checksum is not known yet, readers check the password by the time.
        let [_, check] = self.stamp.time.to_le_bytes();
        let mut header = salt.to_vec();
        header.push(check);
        self.cipher.encrypt(&mut header);
        bytes.extend(header);
        self.written += bytes.len() as u64;
        bytes
    }

    /// Encrypts data of the entry.
    pub(super) fn data(&mut self, bytes: &mut [u8]) {
        self.sum.update(bytes);
        self.cipher.encrypt(bytes);
        self.written += bytes.len() as u64;
        if let Some(entry) = self.entries.last_mut() {
            entry.size += bytes.len() as u64;
        }
    }

    /// The entry ends.
    pub(super) fn end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(24);
        let Some(entry) = self.entries.last_mut() else {
            return bytes;
        };
        entry.sum = self.sum.sum();
        put32(&mut bytes, 0x0807_4b50);
        put32(&mut bytes, entry.sum);
        for size in [entry.size + HEADER, entry.size] {
            if entry.is_large {
                put64(&mut bytes, size);
            } else {
                put32(&mut bytes, low(size));
            }
        }
        self.written += bytes.len() as u64;
        bytes
    }

    /// The archive ends.
    pub(super) fn finish(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.entries.len() * 100 + 98);
        for entry in &self.entries {
            self.directory(&mut bytes, entry);
        }
        let (count, size) = (self.entries.len() as u64, bytes.len() as u64);
        let is_large = count >= MANY || self.written.saturating_add(size) >= self.large;
        if is_large {
            let end = self.written + size;
            put32(&mut bytes, 0x0606_4b50);
            put64(&mut bytes, 44);
            put16(&mut bytes, MADE_BY);
            put16(&mut bytes, NEEDED_LARGE);
            put32(&mut bytes, 0);
            put32(&mut bytes, 0);
            put64(&mut bytes, count);
            put64(&mut bytes, count);
            put64(&mut bytes, size);
            put64(&mut bytes, self.written);
            put32(&mut bytes, 0x0706_4b50);
            put32(&mut bytes, 0);
            put64(&mut bytes, end);
            put32(&mut bytes, 1);
        }
        let (count, size, offset) = match is_large {
            true => (u16::MAX, u32::MAX, u32::MAX),
            false => (
                u16::try_from(count).unwrap_or(u16::MAX),
                low(size),
                low(self.written),
            ),
        };
        put32(&mut bytes, 0x0605_4b50);
        put16(&mut bytes, 0);
        put16(&mut bytes, 0);
        put16(&mut bytes, count);
        put16(&mut bytes, count);
        put32(&mut bytes, size);
        put32(&mut bytes, offset);
        put16(&mut bytes, 0);
        bytes
    }

    /// What the directory says of an entry.
    fn directory(&self, bytes: &mut Vec<u8>, entry: &Entry) {
        let is_far = entry.offset >= self.large;
        let mut extra = Vec::new();
        if entry.is_large {
            put64(&mut extra, entry.size);
            put64(&mut extra, entry.size + HEADER);
        }
        if is_far {
            put64(&mut extra, entry.offset);
        }
        let extra_length = u16::try_from(extra.len()).unwrap_or_default();
        put32(bytes, 0x0201_4b50);
        put16(bytes, MADE_BY);
        put16(bytes, needed(entry.is_large || is_far));
        put16(bytes, ENCRYPTED | FOLLOWED);
        put16(bytes, 0);
        put16(bytes, self.stamp.time);
        put16(bytes, self.stamp.date);
        put32(bytes, entry.sum);
        for size in [entry.size + HEADER, entry.size] {
            put32(bytes, if entry.is_large { u32::MAX } else { low(size) });
        }
        put16(bytes, length(&entry.name));
        put16(
            bytes,
            if extra.is_empty() {
                0
            } else {
                extra_length + 4
            },
        );
        put16(bytes, 0);
        put16(bytes, 0);
        put16(bytes, 0);
        put32(bytes, MODE);
        put32(bytes, if is_far { u32::MAX } else { low(entry.offset) });
        bytes.extend_from_slice(entry.name.as_bytes());
        if !extra.is_empty() {
            put16(bytes, ZIP64);
            put16(bytes, extra_length);
            bytes.extend(extra);
        }
    }
}

fn needed(is_large: bool) -> u16 {
    if is_large { NEEDED_LARGE } else { NEEDED }
}

/// Names are digests: far shorter than what fits.
fn length(name: &str) -> u16 {
    u16::try_from(name.len()).unwrap_or_default()
}

/// What was found to fit into 32 bits.
fn low(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn put16(bytes: &mut Vec<u8>, number: u16) {
    bytes.extend(number.to_le_bytes());
}

fn put32(bytes: &mut Vec<u8>, number: u32) {
    bytes.extend(number.to_le_bytes());
}

fn put64(bytes: &mut Vec<u8>, number: u64) {
    bytes.extend(number.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::{Value as Json, json};
    use time::macros::datetime;

    use super::*;
    use crate::api::render::testing::written_by_python;

    /// An archive of entries, each a name and its data in parts.
    fn archive(password: &[u8], large: u64, entries: &[(&str, &[&[u8]])]) -> Vec<u8> {
        let mut archive = Archive::new(password, datetime!(2026-11-25 13:14:15 UTC));
        archive.large = large;
        let mut bytes = Vec::new();
        for (name, parts) in entries {
            let size: usize = parts.iter().map(|part| part.len()).sum();
            bytes.extend(archive.begin(name, size as u64, *b"salt-salt-s"));
            for part in *parts {
                let mut part = part.to_vec();
                archive.data(&mut part);
                bytes.extend(part);
            }
            bytes.extend(archive.end());
        }
        bytes.extend(archive.finish());
        bytes
    }

    /// What Python's `zipfile` reads, with a password.
    fn read(bytes: &[u8], password: &str) -> Json {
        let script = format!(
            "
import sys, io, json, zipfile, base64
z = zipfile.ZipFile(io.BytesIO(sys.stdin.buffer.read()))
out = []
for i in z.infolist():
    try:
        data = base64.b64encode(z.read(i, pwd={password:?}.encode())).decode()
    except RuntimeError as e:
        data = str(e).split(' ')[0] + ' ' + str(e).split(' ')[1]
    out.append([i.filename, list(i.date_time), i.flag_bits, i.file_size, i.compress_size, oct(i.external_attr >> 16), i.extract_version, data])
print(json.dumps(out))
"
        );
        written_by_python(&script, bytes)
    }

    #[test]
    fn f9_python_reads_what_was_encrypted() {
        let large = vec![7; 100_000];
        let entries: [(&str, &[&[u8]]); 3] = [
            ("one", &[b"hello ", b"world"]),
            ("two(1)", &[]),
            ("three.png", &[&large, b"!"]),
        ];
        let bytes = archive(b"infected", LARGE, &entries);
        let stamp = json!([2026, 11, 25, 13, 14, 14]);
        let mut whole = large.clone();
        whole.push(b'!');
        let entry = |name: &str, data: &[u8]| {
            json!([
                name,
                stamp,
                9,
                data.len(),
                data.len() + 12,
                "0o100600",
                20,
                STANDARD.encode(data)
            ])
        };
        assert_eq!(
            read(&bytes, "infected"),
            json!([
                entry("one", b"hello world"),
                entry("two(1)", b""),
                entry("three.png", &whole)
            ])
        );
        assert_eq!(read(&bytes, "wrong")[0][7], "Bad password");
        assert!(!bytes.windows(5).any(|window| window == b"hello"));
        let other = archive("пароль ✓".as_bytes(), LARGE, &entries[..1]);
        assert_eq!(
            read(&other, "пароль ✓")[0][7],
            STANDARD.encode("hello world")
        );
    }

    #[test]
    fn f9_zip64_is_read_too() {
        // As if 10 bytes were more than 32 bits hold: some entries, then all, and the directory.
        for large in [0, 30] {
            let entries: [(&str, &[&[u8]]); 2] =
                [("a", &[b"x"]), ("b", &[b"hello ", b"to all the world"])];
            let bytes = archive(b"infected", large, &entries);
            let found = read(&bytes, "infected");
            assert_eq!(found[0][7], STANDARD.encode("x"));
            assert_eq!(found[1][7], STANDARD.encode("hello to all the world"));
            assert_eq!(
                (&found[0][6], &found[1][6]),
                (&json!(if large == 0 { 45 } else { 20 }), &json!(45))
            );
        }
    }

    #[test]
    fn f9_more_entries_than_16_bits_count() {
        let names: Vec<String> = (0..65_540).map(|number| number.to_string()).collect();
        let data: [&[u8]; 1] = [b"x"];
        let entries: Vec<(&str, &[&[u8]])> = names
            .iter()
            .map(|name| (name.as_str(), &data[..]))
            .collect();
        let bytes = archive(b"infected", LARGE, &entries);
        let script = "import sys, io, json, zipfile\nz = zipfile.ZipFile(io.BytesIO(sys.stdin.buffer.read()))\nprint(json.dumps([len(z.infolist()), z.infolist()[-1].filename, z.read('65539', pwd=b'infected').decode()]))";
        assert_eq!(
            written_by_python(script, &bytes),
            json!([65_540, "65539", "x"])
        );
    }

    #[test]
    fn checksums_are_those_of_everybody() {
        let sum = b"123456789".iter().fold(!0, |sum, byte| crc(sum, *byte));
        assert_eq!(!sum, 0xcbf4_3926);
    }
}
