//! What is done to the bytes of a file before they go into an archive (rules F2, F3), as they come.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;

/// Bytes that make a group of base64.
const GROUP: usize = 3;

/// `file_format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileFormat {
    Raw,
    Base64,
    Zlib,
    Invert,
}

impl FileFormat {
    /// Rule F2: anything unknown means raw.
    pub(super) fn named(name: Option<&str>) -> Self {
        match name {
            Some("base64") => Self::Base64,
            Some("zlib") => Self::Zlib,
            Some("invert") => Self::Invert,
            _ => Self::Raw,
        }
    }

    /// As many bytes, or fewer, come out of so many.
    pub(super) fn most(self, size: u64) -> u64 {
        match self {
            Self::Raw | Self::Invert => size,
            Self::Base64 => size.div_ceil(3).saturating_mul(4),
            // Stored blocks of 5 bytes more; their length is the compressor's to choose.
            Self::Zlib => size.saturating_add(size / 128).saturating_add(1_024),
        }
    }

    pub(super) fn begin(self) -> Transform {
        match self {
            Self::Raw => Transform::Raw,
            Self::Invert => Transform::Invert,
            Self::Base64 => Transform::Base64(Vec::new()),
            Self::Zlib => Transform::Zlib(ZlibEncoder::new(Vec::new(), Compression::default())),
        }
    }
}

/// The bytes of one file being transformed.
pub(super) enum Transform {
    Raw,
    Invert,
    /// Bytes that make no group yet.
    Base64(Vec<u8>),
    Zlib(ZlibEncoder<Vec<u8>>),
}

impl Transform {
    /// What comes out for these bytes.
    pub(super) fn part(&mut self, mut bytes: Vec<u8>) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Raw => Ok(bytes),
            Self::Invert => {
                bytes.iter_mut().for_each(|byte| *byte ^= 0xff);
                Ok(bytes)
            }
            Self::Base64(left) => {
                left.append(&mut bytes);
                let rest = left.split_off(left.len() - left.len() % GROUP);
                let whole = std::mem::replace(left, rest);
                Ok(STANDARD.encode(whole).into_bytes())
            }
            Self::Zlib(encoder) => {
                encoder.write_all(&bytes)?;
                Ok(std::mem::take(encoder.get_mut()))
            }
        }
    }

    /// What comes out at the end.
    pub(super) fn end(self) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Raw | Self::Invert => Ok(Vec::new()),
            Self::Base64(left) => Ok(STANDARD.encode(left).into_bytes()),
            Self::Zlib(encoder) => encoder.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn transformed(format: FileFormat, parts: &[&[u8]]) -> Vec<u8> {
        let mut transform = format.begin();
        let mut out = Vec::new();
        for part in parts {
            out.extend(transform.part(part.to_vec()).unwrap());
        }
        out.extend(transform.end().unwrap());
        out
    }

    #[test]
    fn f2_names() {
        for (name, expected) in [
            (None, FileFormat::Raw),
            (Some("raw"), FileFormat::Raw),
            (Some(""), FileFormat::Raw),
            (Some("Base64"), FileFormat::Raw),
            (Some("base64"), FileFormat::Base64),
            (Some("zlib"), FileFormat::Zlib),
            (Some("invert"), FileFormat::Invert),
        ] {
            assert_eq!(FileFormat::named(name), expected, "{name:?}");
        }
    }

    #[test]
    fn f3_transforms_do_not_depend_on_the_parts() {
        let parts: [&[u8]; 5] = [b"a", b"", b"bcdefg", b"\0\xff", b"h"];
        assert_eq!(transformed(FileFormat::Raw, &parts), b"abcdefg\0\xffh");
        assert_eq!(
            transformed(FileFormat::Invert, &[b"\0", b"\xff\x0f"]),
            b"\xff\0\xf0"
        );
        assert_eq!(transformed(FileFormat::Base64, &parts), b"YWJjZGVmZwD/aA==");
        assert_eq!(transformed(FileFormat::Base64, &[b"ab", b"c"]), b"YWJj");
        let compressed = transformed(FileFormat::Zlib, &parts);
        // RFC 1950: deflate with a window of 32 KiB, default level.
        assert_eq!(compressed[..2], [0x78, 0x9c]);
        let mut read = Vec::new();
        flate2::read::ZlibDecoder::new(compressed.as_slice())
            .read_to_end(&mut read)
            .unwrap();
        assert_eq!(read, b"abcdefg\0\xffh");
    }

    #[test]
    fn sizes_are_never_above_what_was_said() {
        let mut random = vec![0; 300_000];
        getrandom::fill(&mut random).unwrap();
        for size in [0, 1, 2, 3, 4, 1_000, 65_536, 300_000] {
            for format in [
                FileFormat::Raw,
                FileFormat::Base64,
                FileFormat::Zlib,
                FileFormat::Invert,
            ] {
                let parts: Vec<&[u8]> = random[..size].chunks(999).collect();
                let out = transformed(format, &parts).len() as u64;
                assert!(out <= format.most(size as u64), "{format:?} {size} {out}");
            }
        }
    }
}
