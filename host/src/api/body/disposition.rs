//! `Content-Disposition` of a part: its name and file name in any Unicode (rule B13).

/// What a part is called.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Disposition {
    /// Name of the parameter.
    pub(super) name: Option<String>,
    /// Base name of the file; present: the part is a file.
    pub(super) file_name: Option<String>,
}

/// Reads the header's value. What can't be read is as if it were not there; bytes that are no UTF-8 become U+FFFD.
pub(super) fn read(value: &[u8]) -> Disposition {
    let mut disposition = Disposition::default();
    let mut extended = Disposition::default();
    let mut rest = value;
    while let Some(start) = rest.iter().position(|byte| *byte == b';') {
        let (name, value, after) = parameter(&rest[start + 1..]);
        match name.as_str() {
            "name" => disposition.name = Some(text(&value)),
            "filename" => disposition.file_name = Some(text(&value)),
            "name*" => extended.name = encoded(&value),
            "filename*" => extended.file_name = encoded(&value),
            _ => {}
        }
        rest = after;
    }
    Disposition {
        name: extended.name.or(disposition.name),
        file_name: extended
            .file_name
            .or(disposition.file_name)
            .map(|name| base_name(&name)),
    }
}

/// The parameter at the beginning, and what follows it (beginning with `;`, or nothing).
fn parameter(bytes: &[u8]) -> (String, Vec<u8>, &[u8]) {
    let end = bytes
        .iter()
        .position(|byte| matches!(byte, b'=' | b';'))
        .unwrap_or(bytes.len());
    let name = String::from_utf8_lossy(&bytes[..end])
        .trim()
        .to_ascii_lowercase();
    let Some(after) = bytes[end..].strip_prefix(b"=") else {
        return (name, Vec::new(), &bytes[end..]);
    };
    let after = after.trim_ascii_start();
    let Some(quoted) = after.strip_prefix(b"\"") else {
        let end = after
            .iter()
            .position(|byte| *byte == b';')
            .unwrap_or(after.len());
        return (name, after[..end].trim_ascii_end().to_vec(), &after[end..]);
    };
    let mut value = Vec::new();
    let mut position = 0;
    while let Some(byte) = quoted.get(position) {
        match (byte, quoted.get(position + 1)) {
            (b'"', _) => break,
            // Only these two are escapes: old browsers send whole Windows paths.
            (b'\\', Some(escaped @ (b'"' | b'\\'))) => {
                value.push(*escaped);
                position += 1;
            }
            _ => value.push(*byte),
        }
        position += 1;
    }
    let rest = quoted.get(position..).unwrap_or_default();
    let next = rest
        .iter()
        .position(|byte| *byte == b';')
        .unwrap_or(rest.len());
    (name, value, &rest[next..])
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

/// RFC 5987: `UTF-8''%e2%82%ac.exe`.
fn encoded(value: &[u8]) -> Option<String> {
    let mut parts = value.splitn(3, |byte| *byte == b'\'');
    let charset = parts.next()?;
    let _language = parts.next()?;
    let bytes: Vec<u8> = percent_encoding::percent_decode(parts.next()?).collect();
    if charset.eq_ignore_ascii_case(b"iso-8859-1") {
        return Some(bytes.into_iter().map(char::from).collect());
    }
    Some(text(&bytes))
}

/// Folders go, in either spelling, and control characters.
fn base_name(name: &str) -> String {
    let base = name.rsplit(['/', '\\']).next().unwrap_or_default();
    base.chars()
        .filter(|character| !character.is_control())
        .collect()
}
