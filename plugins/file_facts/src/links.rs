//! Links in the texts of a file: URLs, e-mail addresses and IP addresses, in ASCII and in UTF-16 (little endian).
//!
//! The file comes in pieces. Texts are gathered over their borders, up to a length; `linkify` finds the links in them.

use std::collections::HashSet;
use std::net::Ipv4Addr;

use linkify::{LinkFinder, LinkKind};

/// Longest text that is looked at as one. Of a longer one the end is kept for the next if it may be half a link.
const LONGEST_TEXT: usize = 8 << 10;
/// Longest link that is kept whole.
const LONGEST_LINK: usize = 2 << 10;
/// Shorter texts hold no link.
const SHORTEST: usize = 6;

/// What a URL begins with; bytes that happen to look like another scheme are many.
const SCHEMES: [&str; 16] = [
    "http", "https", "ftp", "ftps", "sftp", "tftp", "ssh", "telnet", "ldap", "ldaps", "ws", "wss",
    "tcp", "udp", "irc", "smb",
];

/// What a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Url,
    Email,
    Ip,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Url, Self::Email, Self::Ip];

    /// As a subtype of results.
    pub(crate) const fn subtype(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::Email => "email_address",
            Self::Ip => "ip_address",
        }
    }
}

/// How a text is written in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Ascii,
    Wide,
}

impl Encoding {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ascii => "ascii",
            Self::Wide => "utf-16",
        }
    }

    /// Bytes of a letter.
    const fn width(self) -> u64 {
        match self {
            Self::Ascii => 1,
            Self::Wide => 2,
        }
    }
}

/// A link, where it was found first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) kind: Kind,
    pub(crate) text: String,
    pub(crate) place: u64,
    pub(crate) encoding: Encoding,
    /// Its end was cut off.
    pub(crate) shortened: bool,
}

/// Links found so far.
#[derive(Debug)]
pub(crate) struct Links {
    pub(crate) found: Vec<Link>,
    /// Of each kind in the order of [`Kind::ALL`]: how many finds there were beyond those that are kept.
    pub(crate) left_out: [usize; 3],
    kept: [usize; 3],
    most: usize,
    known: [HashSet<String>; 3],
}

/// Goes through a file and gathers its links.
#[derive(Debug)]
pub(crate) struct Search {
    links: Links,
    ascii: Run,
    /// Texts whose letters begin at even and at odd places.
    wide: [Run; 2],
    place: u64,
    before: u8,
}

/// A text that is being gathered.
#[derive(Debug)]
struct Run {
    encoding: Encoding,
    text: String,
    /// Where it begins.
    place: u64,
}

impl Search {
    /// A search that keeps at most so many links of each kind.
    pub(crate) fn new(most: usize) -> Self {
        let run = |encoding| Run {
            encoding,
            text: String::new(),
            place: 0,
        };
        Self {
            links: Links {
                found: Vec::new(),
                left_out: [0; 3],
                kept: [0; 3],
                most,
                known: Default::default(),
            },
            ascii: run(Encoding::Ascii),
            wide: [run(Encoding::Wide), run(Encoding::Wide)],
            place: 0,
            before: 0,
        }
    }

    /// The next bytes of the file.
    pub(crate) fn feed(&mut self, piece: &[u8]) {
        for &byte in piece {
            self.ascii.take(byte, self.place, &mut self.links);
            // With the byte before it may be a letter of two bytes, of those that began there.
            let wide = &mut self.wide[usize::from(self.place.is_multiple_of(2))];
            let letter = if byte == 0 { self.before } else { 0 };
            wide.take(letter, self.place.wrapping_sub(1), &mut self.links);
            self.before = byte;
            self.place += 1;
        }
    }

    /// All links of the file.
    pub(crate) fn finish(mut self) -> Links {
        for run in [&mut self.ascii].into_iter().chain(&mut self.wide) {
            run.end(&mut self.links);
        }
        self.links
    }
}

impl Run {
    /// The next letter, which begins at this place; what is not printable ends the text.
    fn take(&mut self, letter: u8, place: u64, links: &mut Links) {
        if !matches!(letter, b' '..=b'~' | b'\t') {
            if !self.text.is_empty() {
                self.end(links);
            }
            return;
        }
        if self.text.is_empty() {
            self.place = place;
        }
        self.text.push(letter.into());
        if self.text.len() >= LONGEST_TEXT {
            self.cut(links);
        }
    }

    fn end(&mut self, links: &mut Links) {
        links.look(&self.text, self);
        self.text.clear();
    }

    /// Looks at what there is, but keeps the last word if it is no longer than a link.
    fn cut(&mut self, links: &mut Links) {
        let parts =
            |letter: char| matches!(letter, ' ' | '\t' | '"' | '\'' | '<' | '>' | '|' | ';');
        let end = match self.text.rfind(parts) {
            Some(last) if self.text.len() - last <= LONGEST_LINK => last + 1,
            _ => self.text.len(),
        };
        links.look(&self.text[..end], self);
        self.place += end as u64 * self.encoding.width();
        self.text.drain(..end);
    }
}

impl Links {
    fn look(&mut self, text: &str, run: &Run) {
        if text.len() < SHORTEST {
            return;
        }
        if text.contains("://") || text.contains('@') {
            for link in LinkFinder::new().links(text) {
                let kind = match link.kind() {
                    LinkKind::Email if is_email(link.as_str()) => Kind::Email,
                    LinkKind::Url if is_url(link.as_str()) => Kind::Url,
                    _ => continue,
                };
                self.keep(kind, link.as_str(), link.start(), run);
            }
        }
        for (start, address) in addresses(text) {
            self.keep(Kind::Ip, address, start, run);
        }
    }

    fn keep(&mut self, kind: Kind, link: &str, start: usize, run: &Run) {
        // Texts are ASCII: it can be cut anywhere.
        let text = &link[..link.len().min(LONGEST_LINK)];
        let number = kind as usize;
        if self.known[number].contains(text) {
            return;
        }
        if self.kept[number] >= self.most {
            self.left_out[number] += 1;
            return;
        }
        self.kept[number] += 1;
        self.known[number].insert(text.to_owned());
        self.found.push(Link {
            kind,
            text: text.to_owned(),
            place: run.place + start as u64 * run.encoding.width(),
            encoding: run.encoding,
            shortened: text.len() < link.len(),
        });
    }
}

fn is_url(link: &str) -> bool {
    let scheme = link.split(':').next().unwrap_or_default();
    SCHEMES
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known))
}

/// In bytes that are no text, much looks like an address: the last label must be one of letters, as all of today are, and the
/// one before it longer than a letter.
fn is_email(link: &str) -> bool {
    let Some((name, domain)) = link.rsplit_once('@') else {
        return false;
    };
    let mut labels = domain.rsplit('.');
    let (last, host) = (labels.next(), labels.next());
    let last = last.unwrap_or_default();
    last.len() >= 2
        && host.is_some_and(|label| label.len() >= 2)
        && last.bytes().all(|letter| letter.is_ascii_alphabetic())
        && name.starts_with(|letter: char| letter.is_ascii_alphanumeric())
}

/// IPv4 addresses of hosts, with their places. Versions look like them: what ends with a zero or is called a version is left out.
fn addresses(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_part =
        |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
    let mut start = 0;
    text.split(move |letter| !is_part(letter))
        .map(move |word| {
            let place = start;
            start += word.len() + 1;
            (place, word)
        })
        .filter_map(|(place, word)| {
            let word = word.trim_end_matches('.');
            let address: Ipv4Addr = word.parse().ok()?;
            let parts = address.octets();
            let is_host = parts[0] != 0 && parts[3] != 0 && !address.is_broadcast();
            let before = text[..place].trim_end_matches([' ', ':', '=', '"', '\'']);
            let is_version = before.to_ascii_lowercase().ends_with("version");
            (is_host && !is_version).then_some((place, word))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(pieces: &[&[u8]], most: usize) -> Links {
        let mut search = Search::new(most);
        for piece in pieces {
            search.feed(piece);
        }
        search.finish()
    }

    fn told(links: &Links) -> Vec<(&str, u64, &str)> {
        let found = links.found.iter();
        found
            .map(|link| (link.text.as_str(), link.place, link.encoding.name()))
            .collect()
    }

    fn wide(text: &str) -> Vec<u8> {
        text.bytes().flat_map(|byte| [byte, 0]).collect()
    }

    #[test]
    fn links_are_found_in_ascii_and_utf_16_at_any_place() {
        let ascii =
            b"\0\x01 see http://a.example/x?y=1, or mail bob@mail.example.\0\xff10.1.2.3:80\0";
        assert_eq!(
            told(&search(&[ascii], 9)),
            [
                ("http://a.example/x?y=1", 7, "ascii"),
                ("bob@mail.example", 39, "ascii"),
                ("10.1.2.3", 58, "ascii"),
            ]
        );
        for shift in 0..3 {
            let mut file = vec![0xff; shift];
            file.extend(wide("https://w.example/"));
            file.push(0xff);
            let expected = [("https://w.example/", shift as u64, "utf-16")];
            assert_eq!(told(&search(&[&file], 9)), expected, "{shift}");
        }
    }

    #[test]
    fn links_are_found_across_pieces_and_told_once() {
        let file = [
            b"\0ftp://f.example/a\0".as_slice(),
            &wide("ftp://f.example/a"),
        ]
        .concat();
        for border in 0..file.len() {
            let (first, second) = file.split_at(border);
            let expected = [("ftp://f.example/a", 1, "ascii")];
            assert_eq!(told(&search(&[first, second], 9)), expected, "{border}");
        }
    }

    #[test]
    fn links_in_long_texts_are_not_cut_in_two() {
        for before in (LONGEST_TEXT - 40)..(LONGEST_TEXT + 40) {
            let mut file = vec![b'a'; before];
            file.extend(b" http://long.example/path b");
            let expected = [("http://long.example/path", before as u64 + 1, "ascii")];
            assert_eq!(told(&search(&[&file], 9)), expected, "{before}");
        }
    }

    #[test]
    fn what_only_looks_like_a_link_is_left_out() {
        let file = b"a://b.c q@w.e g@E.UJ version 1.0.0.0 Version=\"1.1.0.14\" 1.2.3 0.1.2.3 255.255.255.255 1.2.3.4.5 v1.2.3.4 01.2.3.4 @@YAX@Z";
        assert_eq!(told(&search(&[file], 9)), []);
    }

    #[test]
    fn what_is_too_much_is_counted() {
        let many: String = (1..=50)
            .map(|number| format!("http://h{number}.example/ 10.0.0.{number} "))
            .collect();
        let links = search(&[many.as_bytes()], 10);
        assert_eq!((links.found.len(), links.left_out), (20, [40, 0, 40]));
        let long = format!("http://h.example/{}", "a".repeat(5_000));
        let links = search(&[long.as_bytes()], 10);
        assert_eq!(links.found[0].text.len(), LONGEST_LINK);
        assert!(links.found[0].shortened);
    }

    #[test]
    fn hostile_texts_end() {
        for unit in [
            "http://",
            "@",
            "a@",
            "://",
            "1.",
            "http://a.b/(",
            "[",
            "a.b@c.d",
        ] {
            let text = unit.repeat(200_000 / unit.len());
            let links = search(&[text.as_bytes(), &wide(&text)], 10);
            assert!(links.found.len() <= 30, "{unit}");
        }
    }
}
