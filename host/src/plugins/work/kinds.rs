//! What a file is, found from its first bytes: a description and a MIME type in the words that analysts know from
//! `file`.

/// Descriptions of what is recognised; what is not here is described by its MIME type.
const DESCRIPTIONS: &[(&str, &str)] = &[
    ("application/zip", "Zip archive data"),
    ("application/pdf", "PDF document"),
    ("application/gzip", "gzip compressed data"),
    ("application/x-bzip2", "bzip2 compressed data"),
    ("application/x-xz", "XZ compressed data"),
    ("application/x-7z-compressed", "7-zip archive data"),
    ("application/vnd.rar", "RAR archive data"),
    ("application/x-tar", "POSIX tar archive"),
    ("application/rtf", "Rich Text Format data"),
    ("application/java", "compiled Java class data"),
    (
        "application/vnd.ms-cab-compressed",
        "Microsoft Cabinet archive data",
    ),
    (
        "application/x-ole-storage",
        "Composite Document File V2 Document",
    ),
    (
        "application/msword",
        "Composite Document File V2 Document, Word",
    ),
    (
        "application/vnd.ms-excel",
        "Composite Document File V2 Document, Excel",
    ),
    (
        "application/vnd.ms-powerpoint",
        "Composite Document File V2 Document, PowerPoint",
    ),
    (
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "Microsoft Word 2007+",
    ),
    (
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "Microsoft Excel 2007+",
    ),
    (
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "Microsoft PowerPoint 2007+",
    ),
    ("application/x-sqlite3", "SQLite 3.x database"),
    ("application/wasm", "WebAssembly binary module"),
    ("image/png", "PNG image data"),
    ("image/jpeg", "JPEG image data"),
    ("image/gif", "GIF image data"),
    ("image/bmp", "PC bitmap"),
    ("image/tiff", "TIFF image data"),
    ("text/html", "HTML document"),
    ("text/xml", "XML document"),
    ("text/x-shellscript", "shell script"),
];

/// What a capture was taken from, by its number in the capture's header.
const LINKS: &str = include_str!("links.txt");
/// Bytes of a program's first header.
const DOS_HEADER: usize = 0x40;

/// Description and MIME type of a file that begins so.
pub(super) fn kind_of(head: &[u8]) -> (String, String) {
    let known = |description: &str, mime: &str| (description.to_owned(), mime.to_owned());
    if head.is_empty() {
        return known("empty", "application/x-empty");
    }
    if let Some(description) = portable_executable(head) {
        return known(description, "application/x-dosexec");
    }
    if let Some(description) = capture(head) {
        return known(&description, "application/vnd.tcpdump.pcap");
    }
    if head.starts_with(b"\x7fELF") {
        let bits = if head.get(4) == Some(&2) {
            "ELF 64-bit"
        } else {
            "ELF 32-bit"
        };
        return known(bits, "application/x-executable");
    }
    if head.starts_with(b"-----BEGIN CERTIFICATE-----") {
        return known("PEM certificate", "text/plain");
    }
    if let Some(found) = infer::get(head).filter(|_| !head.starts_with(b"MZ")) {
        let mime = found.mime_type();
        let description = DESCRIPTIONS
            .iter()
            .find(|(name, _)| *name == mime)
            .map_or(mime, |(_, description)| description);
        return known(description, mime);
    }
    match text_of(head) {
        Some(description) => known(&[description, line_ends(head)].concat(), "text/plain"),
        None => known("data", "application/octet-stream"),
    }
}

fn portable_executable(head: &[u8]) -> Option<&'static str> {
    // Two letters make no program.
    if !head.starts_with(b"MZ") || head.len() < DOS_HEADER {
        return None;
    }
    let word = |at: usize| Some(u16::from_le_bytes(head.get(at..at + 2)?.try_into().ok()?));
    let header = head
        .get(0x3c..0x40)
        .and_then(|bytes| bytes.try_into().ok())
        .map(u32::from_le_bytes);
    let header = header
        .and_then(|header| usize::try_from(header).ok())
        .unwrap_or(usize::MAX);
    if header.checked_add(4).and_then(|end| head.get(header..end)) != Some(b"PE\0\0".as_slice()) {
        return Some("MS-DOS executable");
    }
    let is_library = word(header + 22).is_some_and(|flags| flags & 0x2000 != 0);
    let is_console = word(header + 24 + 68) == Some(3);
    Some(
        match (
            word(header + 24).unwrap_or_default(),
            is_library,
            is_console,
        ) {
            (0x20b, true, _) => "PE32+ executable (DLL) for MS Windows",
            (0x20b, false, true) => "PE32+ executable (console) for MS Windows",
            (0x20b, false, false) => "PE32+ executable (GUI) for MS Windows",
            (_, true, _) => "PE32 executable (DLL) for MS Windows",
            (_, false, true) => "PE32 executable (console) for MS Windows",
            (_, false, false) => "PE32 executable (GUI) for MS Windows",
        },
    )
}

fn capture(head: &[u8]) -> Option<String> {
    let (unit, is_big) = match head.get(..4)? {
        [0xa1, 0xb2, 0xc3, 0xd4] => ("microsecond", true),
        [0xa1, 0xb2, 0x3c, 0x4d] => ("nanosecond", true),
        [0xd4, 0xc3, 0xb2, 0xa1] => ("microsecond", false),
        [0x4d, 0x3c, 0xb2, 0xa1] => ("nanosecond", false),
        [0x0a, 0x0d, 0x0d, 0x0a] => return Some("pcapng capture file".to_owned()),
        _ => return None,
    };
    let order = if is_big {
        "big-endian"
    } else {
        "little-endian"
    };
    let mut description = format!("pcap capture file, {unit} ts ({order})");
    let number = |at: usize, length: usize| {
        let bytes = head.get(at..at + length)?;
        let digit = |number: u32, byte: &u8| number << 8 | u32::from(*byte);
        Some(match is_big {
            true => bytes.iter().fold(0, digit),
            false => bytes.iter().rev().fold(0, digit),
        })
    };
    if let (Some(major), Some(minor), Some(length), Some(link)) =
        (number(4, 2), number(6, 2), number(16, 4), number(20, 4))
    {
        let link = (link & 0x03ff_ffff).to_string();
        let name = LINKS
            .lines()
            .filter_map(|line| line.split_once(' '))
            .find(|(number, _)| *number == link);
        let link = match name {
            Some((_, name)) => name.to_owned(),
            None => ["linktype#", &link].concat(),
        };
        description.push_str(&format!(
            " - version {major}.{minor} ({link}, capture length {length})"
        ));
    }
    Some(description)
}

/// How the lines of a text end, if not all of them with a line feed.
fn line_ends(text: &[u8]) -> &'static str {
    let (mut pairs, mut feeds, mut returns) = (false, false, false);
    for (at, byte) in text.iter().enumerate() {
        let follows_return = at > 0 && text[at - 1] == b'\r';
        match byte {
            b'\n' if follows_return => pairs = true,
            b'\n' => feeds = true,
            b'\r' if text.get(at + 1) != Some(&b'\n') => returns = true,
            _ => {}
        }
    }
    match (pairs, returns, feeds) {
        (false, false, false) => ", with no line terminators",
        (false, false, true) => "",
        (true, false, false) => ", with CRLF line terminators",
        (false, true, false) => ", with CR line terminators",
        (true, false, true) => ", with CRLF, LF line terminators",
        (true, true, false) => ", with CRLF, CR line terminators",
        (false, true, true) => ", with CR, LF line terminators",
        (true, true, true) => ", with CRLF, CR, LF line terminators",
    }
}

fn text_of(head: &[u8]) -> Option<&'static str> {
    if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
        return Some("Unicode text, UTF-16");
    }
    let control =
        |byte: &u8| *byte < 0x20 && !matches!(*byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b | 0x08);
    if head.iter().any(control) || head.contains(&0x7f) {
        return None;
    }
    if head.is_ascii() {
        return Some("ASCII text");
    }
    match std::str::from_utf8(head) {
        Ok(_) => Some("Unicode text, UTF-8 text"),
        // The last character may be cut where the head ends.
        Err(error) if error.error_len().is_none() => Some("Unicode text, UTF-8 text"),
        Err(_) => Some("ISO-8859 text"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn create_3_5_files_are_known_by_their_content() {
        let mut program = vec![0; 0x200];
        program[..2].copy_from_slice(b"MZ");
        program[0x3c] = 0x80;
        program[0x80..0x84].copy_from_slice(b"PE\0\0");
        program[0x80 + 24..0x80 + 26].copy_from_slice(&0x20b_u16.to_le_bytes());
        program[0x80 + 24 + 68] = 3;
        let cases: [(&[u8], &str, &str); 17] = [
            (b"", "empty", "application/x-empty"),
            (
                &program,
                "PE32+ executable (console) for MS Windows",
                "application/x-dosexec",
            ),
            (
                &program[..0x41],
                "MS-DOS executable",
                "application/x-dosexec",
            ),
            (b"MZ\x90\0 not really", "data", "application/octet-stream"),
            (b"MZ", "ASCII text, with no line terminators", "text/plain"),
            (b"%PDF-1.7\n", "PDF document", "application/pdf"),
            (b"hello\n", "ASCII text", "text/plain"),
            (
                "h\u{e9}llo".as_bytes(),
                "Unicode text, UTF-8 text, with no line terminators",
                "text/plain",
            ),
            (
                b"a\r\nb\r\n",
                "ASCII text, with CRLF line terminators",
                "text/plain",
            ),
            (
                b"a\rb",
                "ASCII text, with CR line terminators",
                "text/plain",
            ),
            (
                b"a\r\nb\nc\r",
                "ASCII text, with CRLF, CR, LF line terminators",
                "text/plain",
            ),
            (b"\x00\x01\x02", "data", "application/octet-stream"),
            (
                b"\xd4\xc3\xb2\xa1\x02\x00\x04\x00",
                "pcap capture file, microsecond ts (little-endian)",
                "application/vnd.tcpdump.pcap",
            ),
            (
                b"\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\xff\xff\0\0\x01\0\0\0",
                "pcap capture file, microsecond ts (little-endian) - version 2.4 (Ethernet, capture length 65535)",
                "application/vnd.tcpdump.pcap",
            ),
            (
                b"\xa1\xb2\x3c\x4d\0\x02\0\x04\0\0\0\0\0\0\0\0\0\x04\0\0\0\0\0\xe4",
                "pcap capture file, nanosecond ts (big-endian) - version 2.4 (linktype#228, capture length 262144)",
                "application/vnd.tcpdump.pcap",
            ),
            (
                b"\x0a\x0d\x0d\x0a\x1c\0\0\0",
                "pcapng capture file",
                "application/vnd.tcpdump.pcap",
            ),
            (b"\x89PNG\r\n\x1a\n", "PNG image data", "image/png"),
        ];
        for (head, description, mime) in cases {
            assert_eq!(
                kind_of(head),
                (description.to_owned(), mime.to_owned()),
                "{head:?}"
            );
        }
    }
}
