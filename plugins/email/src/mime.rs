//! The parts of a message. What a part says of itself is read by `mail-parser`; where parts begin and end is found here, as that
//! crate's own walk has no limits: a mail of ten thousand parts, or of a thousand within each other, must end in an answer.
//!
//! Nothing is copied but messages within a message that are encoded; leaves are ranges of what was uploaded.

use std::ops::Range;
use std::rc::Rc;

use critd_sdk::Fault;
use mail_parser::ContentType;

use crate::header::{self, Block};
use crate::{decode, limits};

/// How the bytes of a leaf are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// As they are.
    Plain,
    /// `base64`
    Base64,
    /// `quoted-printable`
    QuotedPrintable,
}

/// A part without parts of its own.
#[derive(Debug, Clone)]
pub(crate) struct Leaf {
    bytes: Rc<Vec<u8>>,
    range: Range<usize>,
    encoding: Encoding,
    charset: Option<String>,
    /// File name, if it has one.
    pub(crate) name: Option<String>,
    /// Of type `text/…`, or of none.
    pub(crate) is_text: bool,
    /// Something that is kept as a file: it has a name, the disposition `attachment`, or is no text.
    pub(crate) is_attachment: bool,
}

impl Leaf {
    /// Its bytes as the sender had them.
    pub(crate) fn content(&self) -> Vec<u8> {
        decode::transfer(self.encoding, &self.bytes[self.range.clone()])
    }

    /// Its text, and its length in bytes had nothing been cut off.
    pub(crate) fn text(&self) -> (String, usize) {
        let written = &self.bytes[self.range.clone()];
        // What does not fit into a document need not be decoded. Encoded text is longer than what it says.
        let most = limits::TEXT_BYTES.saturating_mul(4);
        let content = decode::transfer(self.encoding, &written[..written.len().min(most)]);
        let length = content.len().max(written.len() / 3);
        let kept = &content[..content.len().min(limits::TEXT_BYTES + 4)];
        let text = decode::text(kept, self.charset.as_deref());
        let length = if content.len() <= limits::TEXT_BYTES {
            text.len()
        } else {
            length
        };
        (text, length)
    }
}

/// The leaves of a message in document order.
#[derive(Debug, Default)]
pub(crate) struct Leaves {
    pub(crate) leaves: Vec<Leaf>,
    /// Sentences about what was not taken apart.
    pub(crate) notes: Vec<&'static str>,
    parts: usize,
    encoded_bytes: usize,
}

const TOO_DEEP: &str =
    "Parts that lie deeper than 32 levels within each other are kept as they are.";
const ENCODED: &str = "Messages that are encoded within encoded messages are kept as they are from the fourth level on.";

/// Where an entity lies.
#[derive(Clone, Copy)]
struct Place {
    depth: usize,
    encoded: usize,
    /// In a digest a part without a type is a message.
    in_digest: bool,
}

/// Takes a message apart.
///
/// # Errors
///
/// `refused(limit)`: too many parts.
pub(crate) fn leaves(message: Vec<u8>) -> Result<Leaves, Fault> {
    let mut found = Leaves::default();
    let range = 0..message.len();
    let top = Place {
        depth: 0,
        encoded: 0,
        in_digest: false,
    };
    found.entity(&Rc::new(message), range, top)?;
    Ok(found)
}

impl Leaves {
    /// A part with its header, or a message.
    fn entity(
        &mut self,
        bytes: &Rc<Vec<u8>>,
        range: Range<usize>,
        place: Place,
    ) -> Result<(), Fault> {
        self.parts += 1;
        if self.parts > limits::PARTS {
            let most = limits::PARTS;
            return Err(limits::too_large(format!(
                "The e-mail has more than {most} parts."
            )));
        }
        let block = header::block(&bytes[range.clone()], limits::PART_FIELDS);
        let said = Said::of(&block, place.in_digest);
        let body = range.start + block.body..range.end;
        let leaf = Leaf {
            bytes: Rc::clone(bytes),
            range: body.clone(),
            encoding: said.encoding,
            charset: said.charset.clone(),
            is_text: said.kind == Kind::Text,
            is_attachment: said.is_attachment || said.name.is_some() || said.kind != Kind::Text,
            name: said.name.clone(),
        };
        let inner = Place {
            depth: place.depth + 1,
            in_digest: said.is_digest,
            ..place
        };
        match said.kind {
            Kind::Text | Kind::Other => self.leaves.push(leaf),
            Kind::Multipart | Kind::Message if place.depth >= limits::DEPTH => {
                self.note(TOO_DEEP);
                self.leaves.push(leaf);
            }
            Kind::Multipart => {
                let boundary = said.boundary.unwrap_or_default();
                let parts = parts(&bytes[body.clone()], boundary.as_bytes());
                if parts.is_empty() {
                    // Nothing begins where its parts should: what is there is text.
                    self.leaves.push(Leaf {
                        is_text: true,
                        is_attachment: said.is_attachment || said.name.is_some(),
                        ..leaf
                    });
                }
                for part in parts {
                    let part = body.start + part.start..body.start + part.end;
                    self.entity(bytes, part, inner)?;
                }
            }
            Kind::Message => return self.message(leaf, inner),
        }
        Ok(())
    }

    /// A message within the message.
    fn message(&mut self, leaf: Leaf, place: Place) -> Result<(), Fault> {
        let place = Place {
            in_digest: false,
            ..place
        };
        let has_fields = |bytes: &[u8]| !header::block(bytes, 1).fields.is_empty();
        if leaf.encoding == Encoding::Plain {
            if !has_fields(&leaf.bytes[leaf.range.clone()]) {
                self.leaves.push(leaf);
                return Ok(());
            }
            return self.entity(&leaf.bytes, leaf.range.clone(), place);
        }
        let room = limits::ENCODED_BYTES.saturating_sub(self.encoded_bytes);
        if place.encoded >= limits::ENCODED_DEPTH || leaf.range.len() > room {
            self.note(ENCODED);
            self.leaves.push(leaf);
            return Ok(());
        }
        let content = leaf.content();
        self.encoded_bytes += content.len();
        if !has_fields(&content) {
            self.leaves.push(leaf);
            return Ok(());
        }
        let range = 0..content.len();
        let place = Place {
            encoded: place.encoded + 1,
            ..place
        };
        self.entity(&Rc::new(content), range, place)
    }

    fn note(&mut self, note: &'static str) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Multipart,
    Message,
    Other,
}

/// What the header of a part says of it.
struct Said {
    kind: Kind,
    is_digest: bool,
    boundary: Option<String>,
    charset: Option<String>,
    encoding: Encoding,
    name: Option<String>,
    is_attachment: bool,
}

impl Said {
    fn of(block: &Block<'_>, in_digest: bool) -> Self {
        let of = block.last("content-type").and_then(header::content_type);
        let disposition = block
            .last("content-disposition")
            .and_then(header::content_type);
        let attribute = |of: &Option<ContentType<'_>>, name: &str| {
            of.as_ref()
                .and_then(|of| of.attribute(name))
                .map(str::to_owned)
        };
        let encoding = block
            .last("content-transfer-encoding")
            .map(header::raw)
            .unwrap_or_default();
        let is_type = |name: &str| {
            of.as_ref()
                .is_some_and(|of| of.c_type.eq_ignore_ascii_case(name))
        };
        let subtype = of.as_ref().and_then(|of| of.c_subtype.as_deref());
        let is_subtype =
            |name: &str| subtype.is_some_and(|subtype| subtype.eq_ignore_ascii_case(name));
        let kind = match subtype {
            None if in_digest && of.is_none() => Kind::Message,
            // Without a type, or with half of one, it is text (RFC 2045, 5.2).
            None => Kind::Text,
            Some(_) if is_type("text") => Kind::Text,
            Some(_) if is_type("multipart") => Kind::Multipart,
            Some(_)
                if is_type("message")
                    && (is_subtype("rfc822") || is_subtype("global") || is_subtype("news")) =>
            {
                Kind::Message
            }
            Some(_) => Kind::Other,
        };
        let name = attribute(&disposition, "filename").or_else(|| attribute(&of, "name"));
        Self {
            kind,
            is_digest: kind == Kind::Multipart && is_subtype("digest"),
            boundary: attribute(&of, "boundary"),
            charset: attribute(&of, "charset"),
            encoding: match encoding
                .split([' ', ';', '('])
                .next()
                .unwrap_or_default()
                .to_ascii_lowercase()
                .as_str()
            {
                "base64" => Encoding::Base64,
                "quoted-printable" => Encoding::QuotedPrintable,
                _ => Encoding::Plain,
            },
            name: name.and_then(|name| file_name(&name)),
            is_attachment: disposition
                .is_some_and(|of| of.c_type.eq_ignore_ascii_case("attachment")),
        }
    }
}

/// A file name without folders and control characters. None: nothing is left.
pub(crate) fn file_name(name: &str) -> Option<String> {
    let name = if name.contains("=?") {
        header::decoded(name.as_bytes())
    } else {
        header::raw(name.as_bytes())
    };
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default().trim();
    let name: String = name.chars().take(255).collect();
    (!name.is_empty()).then_some(name)
}

/// The parts between the delimiters of a multipart body. A delimiter begins a line and has nothing but blanks after it; if
/// there is none, one anywhere in a line will do.
fn parts(body: &[u8], boundary: &[u8]) -> Vec<Range<usize>> {
    if boundary.is_empty() {
        return Vec::new();
    }
    let delimiter = [b"--", boundary].concat();
    let found = between(body, &delimiter, true);
    if found.is_empty() {
        between(body, &delimiter, false)
    } else {
        found
    }
}

fn between(body: &[u8], delimiter: &[u8], whole_lines: bool) -> Vec<Range<usize>> {
    let (mut parts, mut open) = (Vec::new(), None);
    for place in memchr::memmem::find_iter(body, delimiter) {
        let begins_line = place == 0 || body[place - 1] == b'\n';
        let after = place + delimiter.len();
        let closes = body[after..].starts_with(b"--");
        let ends = closes || body.get(after).is_none_or(u8::is_ascii_whitespace);
        if whole_lines && !(begins_line && ends) {
            continue;
        }
        if let Some(start) = open.take() {
            parts.push(start..without_line_break(body, start, place));
        }
        if parts.len() > limits::PARTS {
            break;
        }
        if closes {
            // Usually the last one. But malware hides what it brings behind it, and programs for mail show it.
            continue;
        }
        let line = &body[after..];
        let blank = line
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r'))
            .count();
        let end = after + blank;
        open = Some(if body.get(end) == Some(&b'\n') {
            end + 1
        } else {
            end
        });
    }
    // The last one was never closed.
    if let Some(start) = open.filter(|start| *start < body.len()) {
        parts.push(start..body.len());
    }
    parts
}

/// The line break before a delimiter belongs to the delimiter.
fn without_line_break(body: &[u8], start: usize, end: usize) -> usize {
    let mut end = end.max(start);
    if end > start && body[end - 1] == b'\n' {
        end -= 1;
        if end > start && body[end - 1] == b'\r' {
            end -= 1;
        }
    }
    end
}
