//! Headers: fields of a block, their values decoded by `mail-parser`, and where each goes in a document (create.md 5.8.1).

use critd_sdk::{Json, merge};
use mail_parser::parsers::MessageStream;
use mail_parser::{ContentType, DateTime, HeaderValue};

use crate::limits;
use crate::mail::{Mail, PROTECTED};

/// One field as it stands in the block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    /// Printable ASCII without a colon.
    pub(crate) name: &'a str,
    /// What follows the colon, folds included.
    pub(crate) value: &'a [u8],
}

/// A header block.
#[derive(Debug, Default)]
pub(crate) struct Block<'a> {
    pub(crate) fields: Vec<Field<'a>>,
    /// Where the body begins.
    pub(crate) body: usize,
    /// There are more fields than were wanted.
    pub(crate) more: bool,
}

/// Reads the fields up to the first empty line. Lines that are neither a field nor belong to one are passed over.
pub(crate) fn block(bytes: &[u8], most: usize) -> Block<'_> {
    let mut block = Block::default();
    // (name, start of its value): the field whose lines are being read.
    let mut open: Option<(&str, usize)> = None;
    let mut position = 0;
    while position < bytes.len() {
        let rest = &bytes[position..];
        let length = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        let line = rest[..length].trim_ascii_end();
        let starts_blank = matches!(rest.first(), Some(b' ' | b'\t'));
        let first = open.is_none() && block.fields.is_empty();
        if line.is_empty() && (!starts_blank || first) {
            close(&mut block, &mut open, bytes, position, most);
            block.body = position + length;
            return block;
        }
        if !starts_blank {
            close(&mut block, &mut open, bytes, position, most);
            open = field_name(line).map(|(name, after)| (name, position + after));
        }
        position += length;
    }
    close(&mut block, &mut open, bytes, position, most);
    block.body = bytes.len();
    block
}

fn close<'a>(
    block: &mut Block<'a>,
    open: &mut Option<(&'a str, usize)>,
    bytes: &'a [u8],
    end: usize,
    most: usize,
) {
    let Some((name, start)) = open.take() else {
        return;
    };
    if block.fields.len() < most {
        let value = &bytes[start.min(end)..end];
        block.fields.push(Field { name, value });
    } else {
        block.more = true;
    }
}

/// The name at the start of a line and where its value begins.
fn field_name(line: &[u8]) -> Option<(&str, usize)> {
    let colon = memchr::memchr(b':', line)?;
    let name = line[..colon].trim_ascii_end();
    let is_name = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    Some((
        std::str::from_utf8(name).ok().filter(|_| is_name)?,
        colon + 1,
    ))
}

impl<'a> Block<'a> {
    /// The value of a field; of several the last (create.md 5.8.1).
    pub(crate) fn last(&self, name: &str) -> Option<&'a [u8]> {
        self.all(name).last()
    }

    /// The values of all fields of a name.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.fields
            .iter()
            .filter(move |field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value)
    }
}

/// A value on one line, without control characters; encoded words stay as they are.
pub(crate) fn raw(value: &[u8]) -> String {
    plain(&String::from_utf8_lossy(value))
}

/// On one line, without control characters and blanks at the ends.
fn plain(text: &str) -> String {
    let letters = text.chars().filter_map(|letter| match letter {
        '\t' => Some(' '),
        letter if letter.is_control() => None,
        letter => Some(letter),
    });
    letters.collect::<String>().trim().to_owned()
}

/// A value with its encoded words decoded.
pub(crate) fn decoded(value: &[u8]) -> String {
    if memchr::memmem::find(value, b"=?").is_none() {
        return raw(value);
    }
    match MessageStream::new(&line(value)).parse_unstructured() {
        HeaderValue::Text(text) => plain(&text),
        _ => raw(value),
    }
}

/// The parsers end at a line that is not continued.
fn line(value: &[u8]) -> Vec<u8> {
    [value.trim_ascii(), b"\n"].concat()
}

/// The addresses of an address list, without display names, each once, in order.
pub(crate) fn addresses(value: &[u8]) -> Vec<String> {
    let line = line(value);
    match MessageStream::new(&line).parse_address() {
        HeaderValue::Address(list) => merge::distinct(
            list.iter()
                .filter_map(|mailbox| mailbox.address())
                .map(plain)
                .filter(|address| address.contains('@')),
        ),
        _ => Vec::new(),
    }
}

/// A Content-Type or Content-Disposition.
pub(crate) fn content_type(value: &[u8]) -> Option<ContentType<'static>> {
    let value = unfolded(&value[..value.len().min(limits::PARAMETER_BYTES)]);
    match MessageStream::new(&line(&value))
        .parse_content_type()
        .into_owned()
    {
        HeaderValue::ContentType(parsed) => Some(parsed),
        _ => None,
    }
}

/// Without folds after a `=`, where the parser wants the value. Others it needs: they stand for semicolons that are missing.
fn unfolded(value: &[u8]) -> Vec<u8> {
    let mut unfolded: Vec<u8> = Vec::with_capacity(value.len());
    let mut after_equals = false;
    for byte in value {
        match byte {
            b'\r' | b'\n' if after_equals || unfolded.last() == Some(&b'=') => after_equals = true,
            b' ' | b'\t' if after_equals => {}
            _ => {
                after_equals = false;
                unfolded.push(*byte);
            }
        }
    }
    unfolded
}

/// A date as mails write it, in ms since 1970.
pub(crate) fn date(text: &str) -> Option<i64> {
    let parsed = DateTime::parse_rfc822(&[text.trim(), "\n"].concat())?;
    // The 31st of February is no day.
    let day = DateTime::from_timestamp(parsed.to_timestamp_local());
    let exists = parsed.is_valid() && (day.month, day.day) == (parsed.month, parsed.day);
    exists.then(|| parsed.to_timestamp().saturating_mul(1_000))
}

/// The first dotted quad in a text.
pub(crate) fn dotted_quad(text: &str) -> Option<String> {
    dotted_quads(text).next()
}

/// All dotted quads in a text.
pub(crate) fn dotted_quads(text: &str) -> impl Iterator<Item = String> {
    text.split(|letter: char| !letter.is_ascii_digit() && letter != '.')
        .map(|word| word.trim_matches('.'))
        .filter(|word| word.len() <= 15 && word.split('.').count() == 4)
        .filter_map(|word| word.parse::<std::net::Ipv4Addr>().ok())
        .map(|address| address.to_string())
}

/// The name of a field as a key of the document: lower case, `_` for `-`, nothing but letters, digits and single `_`.
pub(crate) fn key(name: &str) -> String {
    let mut key = String::new();
    for letter in name.chars() {
        let letter = if matches!(letter, '-' | ' ') {
            '_'
        } else {
            letter
        };
        let is_word = letter == '_' || letter.is_alphanumeric();
        if is_word && !(letter == '_' && key.ends_with('_')) && key.len() < 100 {
            key.extend(letter.to_lowercase());
        }
    }
    key
}

/// What the fields of a message say (create.md 5.8.1, steps 2 and 3).
pub(crate) fn read(block: &Block<'_>) -> Mail {
    let mut mail = Mail::default();
    for field in &block.fields {
        let text = raw(field.value);
        mail.raw_headers.push_str(field.name);
        mail.raw_headers.push_str(": ");
        mail.raw_headers.push_str(&text);
        mail.raw_headers.push('\n');
        let key = key(field.name);
        match key.as_str() {
            "from" => mail.set("from", decoded(field.value)),
            "subject" | "reply_to" | "sender" => mail.set(&key, decoded(field.value)),
            "to" => mail.to = addresses(field.value),
            "cc" => mail.cc = addresses(field.value),
            "x_originating_ip" => {
                mail.set(&key, originating_ip(&text));
            }
            "date" => mail.date = text,
            "message_id" | "x_mailer" | "originating_ip" | "helo" | "boundary" => {
                mail.set(&key, text);
            }
            "received" => {
                let date = received_date(&text);
                mail.fallback_dates
                    .extend(date.filter(|_| mail.fallback_dates.len() < limits::DATES));
                mail.unsupported.insert(key, Json::String(text));
            }
            "" => {}
            other if PROTECTED.contains(&other) => {}
            _ => {
                mail.unsupported.insert(key, Json::String(text));
            }
        }
    }
    let boundary = block
        .last("content-type")
        .and_then(content_type)
        .and_then(|of| of.attribute("boundary").map(plain));
    if let Some(boundary) = boundary.filter(|boundary| !boundary.is_empty()) {
        mail.set("boundary", boundary);
    }
    mail
}

/// The address in an X-Originating-IP.
pub(crate) fn originating_ip(text: &str) -> String {
    let v6 = || {
        let inner = text.trim_matches(['[', ']', ' ']);
        inner
            .parse::<std::net::Ipv6Addr>()
            .ok()
            .map(|address| address.to_string())
    };
    dotted_quad(text).or_else(v6).unwrap_or_default()
}

/// The date of a Received field: what follows its last semicolon.
pub(crate) fn received_date(text: &str) -> Option<String> {
    let (_, date) = text.rsplit_once(';')?;
    Some(date.trim().to_owned()).filter(|date| !date.is_empty())
}

/// Is the header larger than a header may be?
pub(crate) fn excess(block: &Block<'_>) -> Option<String> {
    if block.more {
        let most = limits::HEADER_FIELDS;
        return Some(format!(
            "The header of the e-mail has more than {most} fields."
        ));
    }
    (block.body > limits::HEADER_BYTES).then(|| {
        let most = limits::HEADER_BYTES;
        format!("The header of the e-mail has more than {most} bytes.")
    })
}
