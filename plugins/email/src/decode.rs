//! Transfer encodings and character sets. Nothing fails: what can't be decoded is passed over, kept as it is, or replaced
//! by U+FFFD.

use mail_parser::decoders::charsets::map::charset_decoder;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;

use crate::mime::Encoding;

/// Bytes without their transfer encoding.
pub(crate) fn transfer(encoding: Encoding, bytes: &[u8]) -> Vec<u8> {
    match encoding {
        Encoding::Plain => bytes.to_vec(),
        Encoding::Base64 => base64(bytes),
        Encoding::QuotedPrintable => {
            quoted_printable_decode(bytes).unwrap_or_else(|| quoted_printable(bytes))
        }
    }
}

/// Bytes outside of the alphabet are passed over, missing padding does not matter: decoders of strict ones lose the rest.
fn base64(bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(bytes.len() / 4 * 3 + 3);
    let (mut held, mut bits) = (0_u32, 0_u32);
    for byte in bytes {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            // The end of what was encoded at once.
            b'=' => {
                (held, bits) = (0, 0);
                continue;
            }
            _ => continue,
        };
        held = held << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            decoded.push((held >> bits & 0xff) as u8);
            held &= (1 << bits) - 1;
        }
    }
    decoded
}

/// Escapes that are none are kept as they are written.
fn quoted_printable(bytes: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut position = 0;
    while let Some(byte) = bytes.get(position) {
        position += 1;
        if *byte != b'=' {
            decoded.push(*byte);
            continue;
        }
        let rest = &bytes[position..];
        let blank = rest
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r'))
            .count();
        match (digit(rest.first()), digit(rest.get(1)), rest.get(blank)) {
            (Some(high), Some(low), _) => {
                decoded.push((high << 4 | low) as u8);
                position += 2;
            }
            (_, _, Some(b'\n')) => position += blank + 1,
            (_, _, None) => position += blank,
            _ => decoded.push(b'='),
        }
    }
    decoded
}

/// A text by the character set that it is said to have.
pub(crate) fn text(bytes: &[u8], charset: Option<&str>) -> String {
    let decoder = charset.and_then(|charset| charset_decoder(charset.trim().as_bytes()));
    let text = match decoder {
        Some(decoder) => decoder(bytes),
        None => String::from_utf8_lossy(bytes).into_owned(),
    };
    text.strip_prefix('\u{feff}')
        .map_or_else(|| text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_whatever_stands_in_between() {
        for (written, content) in [
            ("YWJj", "abc"),
            ("YWJjZA==", "abcd"),
            ("YWJjZA", "abcd"),
            ("YW!J\r\nj ZA=", "abcd"),
            ("YQ==YWJj", "aabc"),
            ("=", ""),
            ("", ""),
        ] {
            assert_eq!(base64(written.as_bytes()), content.as_bytes(), "{written}");
        }
    }

    #[test]
    fn quoted_printable_keeps_what_it_does_not_understand() {
        for (written, content) in [
            ("a=3Db", "a=b"),
            ("a=\r\nb=\nc", "abc"),
            ("a==41", "a=A"),
            ("a=zz=", "a=zz"),
            ("a= \r\nb", "ab"),
        ] {
            let read = transfer(Encoding::QuotedPrintable, written.as_bytes());
            assert_eq!(String::from_utf8_lossy(&read), content, "{written}");
        }
    }

    #[test]
    fn create_5_8_1_character_sets_are_honoured() {
        for (bytes, charset, content) in [
            (&b"gr\xfcn"[..], Some("ISO-8859-1"), "grün"),
            (b"\xcf\xf0\xe8", Some("windows-1251"), "При"),
            (b"\x93\xfa\x96\x7b", Some("shift_jis"), "日本"),
            (b"\xc8\xd5", Some("gb2312"), "日"),
            ("grün".as_bytes(), Some("utf-8"), "grün"),
            (b"\xef\xbb\xbfx", None, "x"),
            (b"gr\xfcn", None, "gr\u{fffd}n"),
            (b"x", Some("no such set"), "x"),
            (b"x", Some(""), "x"),
        ] {
            assert_eq!(text(bytes, charset), content, "{charset:?}");
        }
    }
}
