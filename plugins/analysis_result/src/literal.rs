//! Maps in the notation of Python, as the original's workers send them: `{'type': 'x', 'score': 5, 'seen': [True, None]}`.
//!
//! Values only: maps, lists, tuples, sets, texts, bytes, numbers, `True`, `False`, `None`. No name, call or operator is
//! known, so nothing can be evaluated. What JSON lacks becomes what is nearest: tuples and sets are lists, bytes are
//! texts, names that are no texts are written as texts, integers of more than 63 bits are texts of their digits.
//!
//! Why not a crate: `py_literal` recurses without bound, which ends a plugin, and is not kept any more; the parsers of whole
//! Python programs are fifty times this size.

use std::iter::Peekable;
use std::str::CharIndices;

use critd_sdk::Json;
use critd_sdk::serde_json::{Map, Number};

use crate::bounded::{Budget, DEEPEST, Refused};

/// Reads a text that is a map as a whole.
///
/// # Errors
///
/// See [`Refused`].
pub(crate) fn map(text: &str, budget: &Budget) -> Result<Map<String, Json>, Refused> {
    let mut reader = Reader {
        text,
        rest: text.char_indices().peekable(),
        budget,
        depth: 0,
    };
    let value = reader.value()?;
    reader.blanks();
    match (reader.peek(), value) {
        (None, Json::Object(members)) => Ok(members),
        _ => Err(Refused::Malformed),
    }
}

struct Reader<'t> {
    text: &'t str,
    rest: Peekable<CharIndices<'t>>,
    budget: &'t Budget,
    depth: usize,
}

impl Reader<'_> {
    fn peek(&mut self) -> Option<char> {
        self.rest.peek().map(|(_, next)| *next)
    }

    fn next(&mut self) -> Result<char, Refused> {
        self.rest
            .next()
            .map(|(_, next)| next)
            .ok_or(Refused::Malformed)
    }

    fn place(&mut self) -> usize {
        self.rest
            .peek()
            .map_or(self.text.len(), |(place, _)| *place)
    }

    fn takes(&mut self, wanted: char) -> bool {
        self.rest.next_if(|(_, next)| *next == wanted).is_some()
    }

    fn blanks(&mut self) {
        while self
            .rest
            .next_if(|(_, next)| matches!(next, ' ' | '\t' | '\n' | '\r' | '\u{c}'))
            .is_some()
        {}
    }

    /// What a run of such characters is.
    fn run(&mut self, belongs: impl Fn(char) -> bool) -> &str {
        let start = self.place();
        while self.rest.next_if(|(_, next)| belongs(*next)).is_some() {}
        let end = self.place();
        &self.text[start..end]
    }

    fn value(&mut self) -> Result<Json, Refused> {
        self.budget.spend()?;
        self.blanks();
        match self.peek().ok_or(Refused::Malformed)? {
            '{' => self.within(Self::braces),
            '[' => self.within(|reader| Ok(reader.elements(']')?.0.into())),
            '(' => self.within(Self::parentheses),
            '\'' | '"' => self.texts().map(Json::String),
            '0'..='9' | '.' | '-' | '+' => self.number(),
            _ => self.word(),
        }
    }

    fn within(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Json, Refused>,
    ) -> Result<Json, Refused> {
        if self.depth == DEEPEST {
            return Err(Refused::Deep);
        }
        self.depth += 1;
        self.next()?;
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    /// Elements up to the end, and whether a comma came after the last one.
    fn elements(&mut self, end: char) -> Result<(Vec<Json>, bool), Refused> {
        let (mut elements, mut comma) = (Vec::new(), false);
        loop {
            self.blanks();
            if self.takes(end) {
                return Ok((elements, comma));
            }
            if !elements.is_empty() && !comma {
                return Err(Refused::Malformed);
            }
            elements.push(self.value()?);
            self.blanks();
            comma = self.takes(',');
        }
    }

    /// A tuple, or one value in parentheses.
    fn parentheses(&mut self) -> Result<Json, Refused> {
        let (mut elements, comma) = self.elements(')')?;
        match (elements.len(), comma) {
            (1, false) => elements.pop().ok_or(Refused::Malformed),
            _ => Ok(elements.into()),
        }
    }

    /// A map, or a set, which has a value at least.
    fn braces(&mut self) -> Result<Json, Refused> {
        let mut members = Map::new();
        loop {
            self.blanks();
            if self.takes('}') {
                return Ok(Json::Object(members));
            }
            let first = self.value()?;
            self.blanks();
            match (self.takes(':'), members.is_empty()) {
                (true, _) => {}
                (false, true) => return self.set(first),
                (false, false) => return Err(Refused::Malformed),
            }
            let name = name(first)?;
            let value = self.value()?;
            members.insert(name, value);
            self.blanks();
            if !self.takes(',') {
                return match self.takes('}') {
                    true => Ok(Json::Object(members)),
                    false => Err(Refused::Malformed),
                };
            }
        }
    }

    fn set(&mut self, first: Json) -> Result<Json, Refused> {
        let mut all = vec![first];
        if self.takes(',') {
            all.extend(self.elements('}')?.0);
            return Ok(all.into());
        }
        match self.takes('}') {
            true => Ok(all.into()),
            false => Err(Refused::Malformed),
        }
    }

    /// `True`, `False`, `None`, or a text with a prefix.
    fn word(&mut self) -> Result<Json, Refused> {
        let start = self.place();
        let rest = &self.text[start..];
        let quote = rest
            .bytes()
            .take(3)
            .position(|next| matches!(next, b'\'' | b'"'));
        if quote.is_some_and(|length| is_prefix(&rest[..length])) {
            return self.texts().map(Json::String);
        }
        match self.run(|next| next.is_ascii_alphanumeric() || next == '_') {
            "True" => Ok(true.into()),
            "False" => Ok(false.into()),
            "None" => Ok(Json::Null),
            _ => Err(Refused::Malformed),
        }
    }

    /// Texts that follow each other are one.
    fn texts(&mut self) -> Result<String, Refused> {
        let mut text = String::new();
        loop {
            let prefix = self
                .run(|next| next.is_ascii_alphabetic())
                .to_ascii_lowercase();
            if !prefix.is_empty() && !is_prefix(&prefix) {
                return Err(Refused::Malformed);
            }
            self.quoted(prefix.contains('r'), prefix.contains('b'), &mut text)?;
            self.blanks();
            if !matches!(self.peek(), Some('\'' | '"')) {
                return Ok(text);
            }
        }
    }

    fn quoted(&mut self, raw: bool, bytes: bool, to: &mut String) -> Result<(), Refused> {
        let quote = self.next()?;
        if !matches!(quote, '\'' | '"') {
            return Err(Refused::Malformed);
        }
        let long = if self.takes(quote) {
            if !self.takes(quote) {
                return Ok(());
            }
            true
        } else {
            false
        };
        loop {
            let next = self.next()?;
            match next {
                '\\' if raw => {
                    to.push('\\');
                    to.push(self.next()?);
                }
                '\\' => self.escape(bytes, to)?,
                _ if next == quote && !long => return Ok(()),
                _ if next == quote => {
                    let mut quotes = 1;
                    while quotes < 3 && self.takes(quote) {
                        quotes += 1;
                    }
                    if quotes == 3 {
                        return Ok(());
                    }
                    to.extend(std::iter::repeat_n(quote, quotes));
                }
                '\n' | '\r' if !long => return Err(Refused::Malformed),
                other => to.push(other),
            }
        }
    }

    fn escape(&mut self, bytes: bool, to: &mut String) -> Result<(), Refused> {
        let next = self.next()?;
        let character = match next {
            '\n' => return Ok(()),
            '\\' | '\'' | '"' => next,
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            '0'..='7' => {
                let mut code = next.to_digit(8).unwrap_or_default();
                for _ in 0..2 {
                    let Some(digit) = self.peek().and_then(|next| next.to_digit(8)) else {
                        break;
                    };
                    self.next()?;
                    code = code * 8 + digit;
                }
                letter(code)
            }
            'x' => letter(self.hex(2)?),
            'u' if !bytes => self.unit()?,
            'U' if !bytes => match self.hex(8)? {
                code @ 0..=0x10_ffff => letter(code),
                _ => return Err(Refused::Malformed),
            },
            // Names of characters are another table; there is no such escape in bytes.
            'N' if !bytes => return Err(Refused::Malformed),
            other => {
                to.push('\\');
                other
            }
        };
        to.push(character);
        Ok(())
    }

    fn hex(&mut self, digits: usize) -> Result<u32, Refused> {
        (0..digits).try_fold(0, |code, _| {
            let digit = self.next()?.to_digit(16).ok_or(Refused::Malformed)?;
            Ok(code << 4 | digit)
        })
    }

    /// `\u` and four digits; two that are halves of one character are that.
    fn unit(&mut self) -> Result<char, Refused> {
        let high = self.hex(4)?;
        if !(0xd800..0xdc00).contains(&high) {
            return Ok(letter(high));
        }
        let place = self.place();
        let low = self.text[place..]
            .strip_prefix("\\u")
            .and_then(|rest| rest.get(..4))
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .filter(|low| (0xdc00..0xe000).contains(low));
        let Some(low) = low else {
            return Ok(char::REPLACEMENT_CHARACTER);
        };
        for _ in 0..6 {
            self.next()?;
        }
        Ok(letter(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00)))
    }

    fn number(&mut self) -> Result<Json, Refused> {
        let negative = self.peek() == Some('-');
        if matches!(self.peek(), Some('-' | '+')) {
            self.next()?;
            self.blanks();
        }
        let start = self.place();
        let mut before = '0';
        while let Some((_, next)) = self.rest.next_if(|(_, next)| {
            next.is_ascii_alphanumeric()
                || matches!(next, '.' | '_')
                || matches!(next, '+' | '-') && matches!(before, 'e' | 'E')
        }) {
            before = next;
        }
        let end = self.place();
        let written = &self.text[start..end];
        number(written, negative).ok_or(Refused::Malformed)
    }
}

fn is_prefix(text: &str) -> bool {
    matches!(
        text.to_ascii_lowercase().as_str(),
        "u" | "b" | "r" | "br" | "rb"
    )
}

/// Halves of characters have no letter of their own.
fn letter(code: u32) -> char {
    char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The name of a member: what `str` makes of it.
fn name(value: Json) -> Result<String, Refused> {
    match value {
        Json::String(text) => Ok(text),
        Json::Number(number) => Ok(number.to_string()),
        Json::Bool(true) => Ok("True".into()),
        Json::Bool(false) => Ok("False".into()),
        Json::Null => Ok("None".into()),
        Json::Array(_) | Json::Object(_) => Err(Refused::Malformed),
    }
}

/// Longest text of a number: nothing that measures anything has more digits.
const LONGEST_NUMBER: usize = 1_000;

fn number(written: &str, negative: bool) -> Option<Json> {
    if written.len() > LONGEST_NUMBER || written.starts_with('_') || written.ends_with('_') {
        return None;
    }
    if written.contains("__") {
        return None;
    }
    let lower = written.replace('_', "").to_ascii_lowercase();
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = lower.strip_prefix(prefix) {
            let is_number = digits.chars().all(|digit| digit.is_digit(radix));
            return match i128::from_str_radix(digits, radix) {
                Ok(number) if is_number => Some(integer(if negative { -number } else { number })),
                _ => None,
            };
        }
    }
    let signed = [if negative { "-" } else { "" }, &lower].concat();
    if !lower.is_empty() && lower.bytes().all(|digit| digit.is_ascii_digit()) {
        // `007` is no number, `000` is.
        let significant = lower.trim_start_matches('0');
        if significant.len() < lower.len() && !significant.is_empty() {
            return None;
        }
        return Some(match signed.parse() {
            Ok(number) => integer(number),
            Err(_) => signed.into(),
        });
    }
    let is_float = lower.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        && lower
            .bytes()
            .all(|next| next.is_ascii_digit() || matches!(next, b'.' | b'e' | b'+' | b'-'));
    let number: f64 = if is_float {
        lower.parse().ok()?
    } else {
        return None;
    };
    let number = if negative { -number } else { number };
    // What is beyond all numbers stays as it was written.
    Some(Number::from_f64(number).map_or_else(|| signed.into(), Json::Number))
}

fn integer(number: i128) -> Json {
    i64::try_from(number).map_or_else(|_| number.to_string().into(), Json::from)
}

#[cfg(test)]
mod tests;
