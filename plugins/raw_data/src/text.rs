//! Text out of what was sent, whatever its encoding (field case O25).

use critd_sdk::{Fault, Upload, digest, refused};

/// Longest text in bytes of UTF-8: what a single value of the contract may have.
const LONGEST: usize = 4 << 20;

/// A text, and what it was made of.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) text: String,
    /// MD5 of the bytes as they were sent.
    pub(crate) md5: String,
    /// What `text` has to be encoded in to give these bytes again; none: UTF-8.
    pub(crate) encoding: Option<&'static str>,
}

fn too_long() -> Fault {
    refused("limit", "Raw data can't be longer than 4 MiB.")
}

impl Text {
    /// Bytes that are no UTF-8 are read as ISO 8859-1, where every byte is a letter: so nothing is lost, and text of most
    /// of Europe can be read.
    pub(crate) fn of(bytes: Vec<u8>) -> Result<Self, Fault> {
        let md5 = digest::md5(&bytes);
        let (text, encoding) = match String::from_utf8(bytes) {
            Ok(text) => (text, None),
            Err(error) => {
                let letters = error.as_bytes().iter().copied().map(char::from);
                (letters.collect(), Some("iso-8859-1"))
            }
        };
        if text.len() > LONGEST {
            return Err(too_long());
        }
        Ok(Self {
            text,
            md5,
            encoding,
        })
    }

    /// Of a file.
    pub(crate) fn of_file(file: Upload) -> Result<Self, Fault> {
        Self::of(file.read_all(LONGEST as u64)?.ok_or_else(too_long)?)
    }
}

#[cfg(test)]
mod tests {
    use critd_sdk::Fault;

    use super::{LONGEST, Text};

    #[test]
    fn o25_every_byte_survives() {
        for (bytes, text, encoding) in [
            (&b"plain"[..], "plain", None),
            ("grün 发票".as_bytes(), "grün 发票", None),
            (b"gr\xfcn", "grün", Some("iso-8859-1")),
            (b"nul \0 nul", "nul \0 nul", None),
            (
                b"\xff\xfe\0\x80",
                "\u{ff}\u{fe}\0\u{80}",
                Some("iso-8859-1"),
            ),
        ] {
            let read = Text::of(bytes.to_vec()).unwrap_or_else(|fault| panic!("{fault:?}"));
            assert_eq!((read.text.as_str(), read.encoding), (text, encoding));
            assert_eq!(read.md5, critd_sdk::digest::md5(bytes));
            if encoding.is_some() {
                let again: Vec<u8> = read.text.chars().map(|letter| letter as u8).collect();
                assert_eq!(again, bytes);
            }
        }
    }

    #[test]
    fn texts_have_a_limit_after_decoding() {
        for (bytes, fits) in [
            (vec![b'a'; LONGEST], true),
            (vec![b'a'; LONGEST + 1], false),
            // Two bytes each when stored.
            (vec![0xff; LONGEST / 2], true),
            (vec![0xff; LONGEST / 2 + 1], false),
        ] {
            let read = Text::of(bytes);
            assert_eq!(read.is_ok(), fits);
            assert!(fits || matches!(read, Err(Fault::Refused((code, _))) if code == "limit"));
        }
    }
}
