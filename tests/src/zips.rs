//! ZIP archives for the tests, honest ones and others.

use std::io::Write as _;

use anyhow::Result;
use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};

/// One file of an archive, and where it lies about itself.
#[derive(Clone, Default)]
pub struct Entry<'a> {
    /// As stored, whatever its encoding.
    pub name: &'a [u8],
    /// Before it is packed.
    pub content: &'a [u8],
    /// Compressed, not just stored.
    pub is_deflated: bool,
    /// Encrypted in the classic way with this password.
    pub password: Option<&'a str>,
    /// The size it claims, if another.
    pub claimed: Option<u32>,
    /// The checksum it claims, if another.
    pub checksum: Option<u32>,
    /// The mode of Unix.
    pub mode: u32,
}

/// A plain file.
#[must_use]
pub fn file<'a>(name: &'a str, content: &'a [u8]) -> Entry<'a> {
    Entry {
        name: name.as_bytes(),
        content,
        is_deflated: true,
        ..Entry::default()
    }
}

/// An archive of these files.
///
/// # Errors
///
/// It is larger than the format can have it.
pub fn archive(entries: &[Entry<'_>]) -> Result<Vec<u8>> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        let start = u32::try_from(out.len())?;
        let packed = packed(entry)?;
        let fixed = fixed(entry, packed.len())?;
        out.extend(b"PK\x03\x04");
        out.extend(&fixed);
        out.extend(0_u16.to_le_bytes());
        out.extend(entry.name);
        out.extend(&packed);
        directory.extend(header(entry, &fixed, start));
    }
    end(&mut out, &directory, entries.len())?;
    Ok(out)
}

/// Many entries that all have the bytes of one.
///
/// # Errors
///
/// It is larger than the format can have it.
pub fn overlapping(name: &str, content: &[u8], count: usize) -> Result<Vec<u8>> {
    let entry = file(name, content);
    let packed = packed(&entry)?;
    let fixed = fixed(&entry, packed.len())?;
    let mut out = b"PK\x03\x04".to_vec();
    out.extend(&fixed);
    out.extend(0_u16.to_le_bytes());
    out.extend(entry.name);
    out.extend(&packed);
    let directory: Vec<u8> = (0..count).flat_map(|_| header(&entry, &fixed, 0)).collect();
    end(&mut out, &directory, count)?;
    Ok(out)
}

/// An archive whose directory has so many folders.
///
/// # Errors
///
/// It is larger than the format can have it.
pub fn folders(count: usize) -> Result<Vec<u8>> {
    let entry = file("f/", b"");
    let fixed = fixed(&entry, 0)?;
    let directory: Vec<u8> = (0..count).flat_map(|_| header(&entry, &fixed, 0)).collect();
    let mut out = Vec::new();
    end(&mut out, &directory, count)?;
    Ok(out)
}

fn packed(entry: &Entry<'_>) -> Result<Vec<u8>> {
    let plain = if entry.is_deflated {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(entry.content)?;
        encoder.finish()?
    } else {
        entry.content.to_vec()
    };
    Ok(match entry.password {
        Some(password) => encrypted(&plain, password, crc(entry)),
        None => plain,
    })
}

fn crc(entry: &Entry<'_>) -> u32 {
    let mut crc = Crc::new();
    crc.update(entry.content);
    entry.checksum.unwrap_or_else(|| crc.sum())
}

/// What the two headers of a file have in common, from the version needed to the length of the name.
fn fixed(entry: &Entry<'_>, packed: usize) -> Result<Vec<u8>> {
    let size = entry.claimed.unwrap_or(u32::try_from(entry.content.len())?);
    let mut out = 20_u16.to_le_bytes().to_vec();
    out.extend((u16::from(entry.password.is_some()) | 0x800).to_le_bytes());
    out.extend((u16::from(entry.is_deflated) * 8).to_le_bytes());
    out.extend([0; 4]);
    out.extend(crc(entry).to_le_bytes());
    out.extend(u32::try_from(packed)?.to_le_bytes());
    out.extend(size.to_le_bytes());
    out.extend(u16::try_from(entry.name.len())?.to_le_bytes());
    Ok(out)
}

fn header(entry: &Entry<'_>, fixed: &[u8], start: u32) -> Vec<u8> {
    // Made on Unix.
    let mut out = b"PK\x01\x02\x1e\x03".to_vec();
    out.extend(fixed);
    out.extend([0; 8]);
    out.extend((entry.mode << 16).to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend(entry.name);
    out
}

fn end(out: &mut Vec<u8>, directory: &[u8], count: usize) -> Result<()> {
    let start = u32::try_from(out.len())?;
    let count = u16::try_from(count.min(0xffff))?.to_le_bytes();
    out.extend(directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(count);
    out.extend(count);
    out.extend(u32::try_from(directory.len())?.to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend(0_u16.to_le_bytes());
    Ok(())
}

/// The classic encryption.
fn encrypted(plain: &[u8], password: &str, checksum: u32) -> Vec<u8> {
    fn crc_step(value: u32, byte: u8) -> u32 {
        (0..8).fold(value ^ u32::from(byte), |value, _| {
            value >> 1 ^ (0xedb8_8320 * (value & 1))
        })
    }
    let mut keys = [0x1234_5678_u32, 0x2345_6789, 0x3456_7890];
    let step = |keys: &mut [u32; 3], byte: u8| {
        keys[0] = crc_step(keys[0], byte);
        keys[1] = keys[1]
            .wrapping_add(keys[0] & 0xff)
            .wrapping_mul(134_775_813)
            .wrapping_add(1);
        keys[2] = crc_step(keys[2], (keys[1] >> 24) as u8);
    };
    for byte in password.bytes() {
        step(&mut keys, byte);
    }
    let mut header = [7; 12];
    header[11] = (checksum >> 24) as u8;
    let bytes = header.iter().chain(plain);
    bytes
        .map(|byte| {
            let mixed = keys[2] | 2;
            let enciphered = byte ^ (mixed.wrapping_mul(mixed ^ 1) >> 8) as u8;
            step(&mut keys, *byte);
            enciphered
        })
        .collect()
}
