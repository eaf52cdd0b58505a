//! What may lie around a message: the dialogue of an SMTP or IMAP connection, lost folds, a mailbox's separator
//! (create.md 5.8.1 step 1, 5.8.2).

/// Replies of an SMTP server that are taken out around a message.
const REPLIES: [&str; 24] = [
    "200", "211", "214", "220", "221", "250", "251", "354", "421", "450", "451", "452", "500",
    "501", "502", "503", "504", "521", "530", "550", "551", "552", "553", "554",
];
/// What a client says.
const VERBS: [&str; 14] = [
    "HELO", "EHLO", "LHLO", "MAIL", "RCPT", "DATA", "RSET", "NOOP", "QUIT", "AUTH", "STARTTLS",
    "VRFY", "HELP", "XCLIENT",
];
/// The dialogue before a message is no longer than this.
const DIALOGUE_BYTES: usize = 256 << 10;

/// What the dialogue says of the message.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Envelope {
    /// Of the last `MAIL FROM`.
    pub(crate) mail_from: Option<String>,
    /// Of the last `RCPT TO`.
    pub(crate) rcpt_to: Option<String>,
}

/// Takes a message out of what lies around it.
pub(crate) fn strip(bytes: Vec<u8>) -> (Vec<u8>, Envelope) {
    match smtp(&bytes) {
        Some((start, envelope)) => (unstuffed(bytes, start), envelope),
        None => {
            let (start, end) = imap(&bytes).unwrap_or_else(|| (mailbox(&bytes), bytes.len()));
            (within(bytes, start, end), Envelope::default())
        }
    }
}

fn within(mut bytes: Vec<u8>, start: usize, end: usize) -> Vec<u8> {
    bytes.truncate(end);
    bytes.drain(..start.min(end));
    bytes
}

/// The line at a place, with its end.
fn line_at(bytes: &[u8], start: usize) -> &[u8] {
    let rest = &bytes[start.min(bytes.len())..];
    &rest[..memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1)]
}

fn is_reply(line: &[u8]) -> bool {
    line.get(..3)
        .and_then(|code| std::str::from_utf8(code).ok())
        .is_some_and(|code| REPLIES.contains(&code))
        && matches!(line.get(3), None | Some(b' ' | b'-' | b'\r' | b'\n'))
}

fn is_dialogue(line: &[u8]) -> bool {
    let word = line.trim_ascii();
    let word = &word[..word
        .iter()
        .position(u8::is_ascii_whitespace)
        .unwrap_or(word.len())];
    is_reply(line)
        || VERBS
            .iter()
            .any(|verb| word.eq_ignore_ascii_case(verb.as_bytes()))
}

/// The value of a line such as `MAIL FROM:<a@example.com>`.
fn value_of<'a>(line: &'a [u8], command: &str) -> Option<&'a [u8]> {
    let line = line.trim_ascii();
    let head = line.get(..command.len())?;
    let rest = line[command.len()..].trim_ascii().strip_prefix(b":")?;
    head.eq_ignore_ascii_case(command.as_bytes())
        .then(|| rest.trim_ascii())
}

/// A recorded SMTP dialogue: where the message begins. It begins with a reply or a command, and a line that says nothing
/// but `DATA` follows one with `MAIL FROM`; a mail that only tells of such things begins with its own header.
fn smtp(bytes: &[u8]) -> Option<(usize, Envelope)> {
    let mut envelope = Envelope::default();
    let (mut position, mut begun) = (0, false);
    while position < bytes.len().min(DIALOGUE_BYTES) {
        let line = line_at(bytes, position);
        position += line.len();
        let text = || Some(String::from_utf8_lossy(line.trim_ascii()).into_owned());
        if line.trim_ascii().is_empty() {
            continue;
        }
        if !begun && !is_dialogue(line) {
            return None;
        }
        begun = true;
        if let Some(value) = value_of(line, "MAIL FROM") {
            envelope.mail_from = Some(String::from_utf8_lossy(value).into_owned());
        } else if let Some(value) = value_of(line, "RCPT TO") {
            envelope.rcpt_to = Some(String::from_utf8_lossy(value).into_owned());
        } else if text().is_some_and(|text| text.eq_ignore_ascii_case("DATA"))
            && envelope.mail_from.is_some()
        {
            while is_reply(line_at(bytes, position)) {
                position += line_at(bytes, position).len();
            }
            return Some((position, envelope));
        }
    }
    None
}

/// The message from `start` to the line with nothing but a dot; dots that were doubled for the transport are single.
fn unstuffed(mut bytes: Vec<u8>, start: usize) -> Vec<u8> {
    let (mut read, mut write) = (start, 0);
    while read < bytes.len() {
        let length = line_at(&bytes, read).len();
        let line = &bytes[read..read + length];
        if line.trim_ascii_end() == b"." {
            break;
        }
        let from = read + usize::from(line.starts_with(b".."));
        bytes.copy_within(from..read + length, write);
        write += read + length - from;
        read += length;
    }
    bytes.truncate(write);
    bytes
}

/// The answer to an IMAP `FETCH`: where the message begins and ends.
fn imap(bytes: &[u8]) -> Option<(usize, usize)> {
    let line = line_at(bytes, 0);
    let text = std::str::from_utf8(line).ok()?.trim_end();
    let (number, rest) = text.strip_prefix("* ")?.split_once(' ')?;
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    rest.get(..6)
        .filter(|word| word.eq_ignore_ascii_case("FETCH "))?;
    let start = line.len();
    // The literal says how long it is.
    let said = rest
        .strip_suffix('}')
        .and_then(|rest| rest.rsplit_once('{'))
        .and_then(|(_, length)| length.parse::<usize>().ok())
        .and_then(|length| start.checked_add(length))
        .filter(|end| *end <= bytes.len());
    if let Some(end) = said {
        return Some((start, end));
    }
    let done = ["OK UID FETCH completed", "OK FETCH completed", "OK Success"];
    let ok = done
        .iter()
        .filter_map(|text| memchr::memmem::rfind(bytes, text.as_bytes()))
        .max()?;
    let end = memchr::memrchr(b')', bytes.get(start..ok)?)?;
    Some((start, start + end))
}

/// Where the header begins: after empty lines and the line with which a mailbox separates its messages.
fn mailbox(bytes: &[u8]) -> usize {
    let mut start = 0;
    loop {
        let line = line_at(bytes, start);
        let skip = !line.is_empty()
            && (line.trim_ascii().is_empty()
                || line.starts_with(b"From ")
                || line.starts_with(b">From "));
        if !skip {
            return start;
        }
        start += line.len();
    }
}

/// Repairs folds that were lost, up to the first empty line: a line that begins no field belongs to the one before.
pub(crate) fn folded(bytes: Vec<u8>) -> Vec<u8> {
    let (mut repaired, mut position) = (Vec::new(), 0);
    while position < bytes.len() {
        let line = line_at(&bytes, position);
        if line.trim_ascii().is_empty() {
            break;
        }
        if !begins_field(line) && !matches!(line.first(), Some(b' ' | b'\t')) && position > 0 {
            repaired.push(b' ');
        }
        repaired.extend_from_slice(line);
        position += line.len();
    }
    if repaired.len() == position {
        return bytes;
    }
    repaired.extend_from_slice(&bytes[position..]);
    repaired
}

/// `Token: `, or a colon at the end of the line.
fn begins_field(line: &[u8]) -> bool {
    let Some(colon) = memchr::memchr(b':', line) else {
        return false;
    };
    colon > 0
        && line[..colon].iter().all(u8::is_ascii_graphic)
        && line.get(colon + 1).is_none_or(u8::is_ascii_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(text: &str) -> (String, Envelope) {
        let (bytes, envelope) = strip(text.as_bytes().to_vec());
        (String::from_utf8(bytes).unwrap(), envelope)
    }

    #[test]
    fn create_5_8_1_an_smtp_dialogue_is_taken_off() {
        let text = "220 mx.example.com ESMTP\r\nEHLO a.example\r\n250-mx.example.com\r\n250 HELP\r\nMAIL FROM:<x@example.org>\r\n250 ok\r\n\
            RCPT TO: <a@example.com>\r\n250 ok\r\nrcpt to:<b@example.com>\r\n250 ok\r\nDATA\r\n354 go on\r\nSubject: s\r\n\r\n250 kept in the text\r\n..dot\r\n.\r\n\
            250 queued\r\nQUIT\r\n";
        let (message, envelope) = stripped(text);
        assert_eq!(
            message,
            "Subject: s\r\n\r\n250 kept in the text\r\n.dot\r\n"
        );
        assert_eq!(envelope.mail_from.as_deref(), Some("<x@example.org>"));
        assert_eq!(envelope.rcpt_to.as_deref(), Some("<b@example.com>"));
    }

    #[test]
    fn create_5_8_1_a_mail_about_smtp_is_left_alone() {
        for text in [
            "Subject: s\r\n\r\nMAIL FROM:<x@example.org>\r\nDATA\r\nx\r\n.\r\n250 ok\r\n",
            "Subject: DATA\r\n\r\nno dialogue\r\n.\r\n",
            "250 files\r\nSubject: s\r\n\r\nDATA\r\n.\r\n",
        ] {
            assert_eq!(stripped(text), (text.to_owned(), Envelope::default()));
        }
    }

    #[test]
    fn create_5_8_1_an_imap_answer_is_taken_off() {
        let message = "Subject: s\r\n\r\nbody (1)\r\n";
        let counted = format!(
            "* 12 FETCH (UID 7 BODY[] {{{}}}\r\n{message})\r\na OK UID FETCH completed\r\n",
            message.len()
        );
        let open = format!("* 12 FETCH (BODY[])\r\n{message})\r\na OK Success\r\n");
        let wrong =
            format!("* 12 FETCH (BODY[] {{99999}}\r\n{message})\r\na OK UID FETCH completed.\r\n");
        for text in [counted, open, wrong] {
            assert_eq!(stripped(&text).0, message, "{text}");
        }
        let text = "* 12 FETCH it yourself\r\nSubject: s\r\n\r\n";
        assert_eq!(stripped(text).0, text);
    }

    #[test]
    fn a_mailbox_separator_is_taken_off() {
        assert_eq!(
            stripped("\r\nFrom x Mon Jan 1\nSubject: s\n\nFrom y\n").0,
            "Subject: s\n\nFrom y\n"
        );
        assert_eq!(stripped("").0, "");
    }

    #[test]
    fn create_5_8_2_lost_folds_are_repaired_up_to_the_empty_line() {
        let fold = |text: &str| String::from_utf8(folded(text.as_bytes().to_vec())).unwrap();
        assert_eq!(
            fold(
                "Received: from a\nby b; now\nX-Empty:\nSubject: s\n\nno header: here\nhttp://x\n"
            ),
            "Received: from a\n by b; now\nX-Empty:\nSubject: s\n\nno header: here\nhttp://x\n"
        );
        assert_eq!(fold("A: 1\nhttp://x/\n"), "A: 1\n http://x/\n");
        let whole = "A: 1\n\tb\n\nbody";
        assert_eq!(fold(whole), whole);
    }
}
