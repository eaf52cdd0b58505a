//! Just enough of MongoDB's wire protocol to send a command: one `OP_MSG` with one document each way.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

const OP_MSG: i32 = 2013;
const HEADER: usize = 16;
const TIMEOUT: Duration = Duration::from_secs(10);
/// An answer that is longer is none.
const LONGEST: usize = 48 << 20;

/// A value of a command.
pub(crate) enum Value {
    Int(i32),
    Text(String),
    Document(Vec<(&'static str, Value)>),
    List(Vec<Value>),
}

/// What a command answered: the fields that are a text, a number, a flag, or a document or list of such.
pub(crate) struct Answer {
    fields: Vec<(String, Field)>,
}

#[derive(Debug, PartialEq)]
enum Field {
    Flag(bool),
    Number(f64),
    Text(String),
    /// A document, or a list, whose names are positions.
    Fields(Vec<(String, Field)>),
    Other,
}

pub(crate) struct Connection(TcpStream);

impl Connection {
    pub(crate) fn open(port: u16) -> Result<Self> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        Ok(Self(stream))
    }

    /// Runs a command. An answer that says no is an error.
    pub(crate) fn run(
        &mut self,
        database: &str,
        mut command: Vec<(&'static str, Value)>,
    ) -> Result<Answer> {
        command.push(("$db", Value::Text(database.to_owned())));
        self.0.write_all(&message(&command)?)?;
        let mut header = [0; HEADER];
        self.0.read_exact(&mut header)?;
        let length = number(&header, 0).context("a header")?;
        ensure!(
            (HEADER..LONGEST).contains(&length),
            "an answer of {length} bytes"
        );
        let mut body = vec![0; length - HEADER];
        self.0.read_exact(&mut body)?;
        // Four bytes of flags, one that says: a document follows.
        let answer = body
            .get(5..)
            .and_then(Answer::read)
            .context("the answer can't be read")?;
        if answer.get("ok") == Some(&Field::Number(1.0)) {
            return Ok(answer);
        }
        match answer.get("errmsg") {
            Some(Field::Text(reason)) => bail!("{reason}"),
            _ => bail!("the answer gives no reason"),
        }
    }
}

fn message(command: &[(&'static str, Value)]) -> Result<Vec<u8>> {
    let mut bytes = vec![0; 4];
    for word in [1, 0, OP_MSG, 0] {
        bytes.extend(i32::to_le_bytes(word));
    }
    bytes.push(0);
    write_document(
        &mut bytes,
        &mut command
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value)),
    )?;
    set_length(&mut bytes, 0)?;
    Ok(bytes)
}

fn write_document(
    bytes: &mut Vec<u8>,
    fields: &mut dyn Iterator<Item = (String, &Value)>,
) -> Result<()> {
    let start = bytes.len();
    bytes.extend([0; 4]);
    for (name, value) in fields {
        let kind = match value {
            Value::Text(_) => 2,
            Value::Document(_) => 3,
            Value::List(_) => 4,
            Value::Int(_) => 16,
        };
        bytes.push(kind);
        bytes.extend(name.as_bytes());
        bytes.push(0);
        match value {
            Value::Int(number) => bytes.extend(number.to_le_bytes()),
            Value::Text(text) => {
                bytes.extend(i32::try_from(text.len() + 1)?.to_le_bytes());
                bytes.extend(text.as_bytes());
                bytes.push(0);
            }
            Value::Document(fields) => write_document(
                bytes,
                &mut fields
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), value)),
            )?,
            Value::List(values) => write_document(
                bytes,
                &mut values
                    .iter()
                    .enumerate()
                    .map(|(position, value)| (position.to_string(), value)),
            )?,
        }
    }
    bytes.push(0);
    set_length(bytes, start)
}

fn set_length(bytes: &mut [u8], start: usize) -> Result<()> {
    let length = i32::try_from(bytes.len() - start)?;
    bytes[start..start + 4].copy_from_slice(&length.to_le_bytes());
    Ok(())
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let four = bytes.get(at..)?.first_chunk::<4>()?;
    usize::try_from(i32::from_le_bytes(*four)).ok()
}

impl Answer {
    fn read(bytes: &[u8]) -> Option<Self> {
        let end = number(bytes, 0)?;
        let mut rest = bytes.get(4..end)?;
        let mut fields = Vec::new();
        while let Some((&kind, after)) = rest.split_first().filter(|(kind, _)| **kind != 0) {
            let name_end = after.iter().position(|byte| *byte == 0)?;
            let name = String::from_utf8_lossy(&after[..name_end]).into_owned();
            let value = &after[name_end + 1..];
            let size = match kind {
                1 | 9 | 17 | 18 => 8,
                2 => 4 + number(value, 0)?,
                3 | 4 => number(value, 0)?,
                5 => 5 + number(value, 0)?,
                7 => 12,
                8 => 1,
                10 => 0,
                16 => 4,
                _ => return None,
            };
            let (value, following) = value.split_at_checked(size)?;
            fields.push((name, Field::read(kind, value)?));
            rest = following;
        }
        Some(Self { fields })
    }

    fn get(&self, name: &str) -> Option<&Field> {
        let (_, field) = self.fields.iter().find(|(field, _)| field == name)?;
        Some(field)
    }

    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.get(name) == Some(&Field::Flag(true))
    }

    /// A text of each document of a list.
    pub(crate) fn texts(&self, list: &str, name: &str) -> Vec<String> {
        let Some(Field::Fields(elements)) = self.get(list) else {
            return Vec::new();
        };
        let text = |(_, element): &(String, Field)| {
            let Field::Fields(fields) = element else {
                return None;
            };
            fields.iter().find_map(|(field, value)| match value {
                Field::Text(text) if field == name => Some(text.clone()),
                _ => None,
            })
        };
        elements.iter().filter_map(text).collect()
    }
}

impl Field {
    fn read(kind: u8, value: &[u8]) -> Option<Self> {
        Some(match kind {
            1 => Self::Number(f64::from_le_bytes(*value.first_chunk()?)),
            2 => Self::Text(
                String::from_utf8_lossy(value.get(4..value.len().checked_sub(1)?)?).into_owned(),
            ),
            3 | 4 => Self::Fields(Answer::read(value)?.fields),
            8 => Self::Flag(*value.first()? != 0),
            16 => Self::Number(f64::from(i32::from_le_bytes(*value.first_chunk()?))),
            _ => Self::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_written_and_read_back() -> Result<()> {
        let command = [
            ("hello", Value::Int(1)),
            ("text", Value::Text("über".to_owned())),
            ("list", Value::List(vec![Value::Int(7)])),
            (
                "document",
                Value::Document(vec![("a", Value::Text(String::new()))]),
            ),
            ("last", Value::Int(-2)),
        ];
        let bytes = message(&command)?;
        assert_eq!(number(&bytes, 0), Some(bytes.len()));
        let answer = Answer::read(&bytes[HEADER + 5..]).context("readable")?;
        assert_eq!(answer.get("hello"), Some(&Field::Number(1.0)));
        assert_eq!(answer.get("text"), Some(&Field::Text("über".to_owned())));
        let list = vec![("0".to_owned(), Field::Number(7.0))];
        assert_eq!(answer.get("list"), Some(&Field::Fields(list)));
        let document = vec![("a".to_owned(), Field::Text(String::new()))];
        assert_eq!(answer.get("document"), Some(&Field::Fields(document)));
        assert_eq!(answer.get("last"), Some(&Field::Number(-2.0)));
        assert_eq!(answer.get("none"), None);
        assert!(!answer.is_true("hello"));
        Ok(())
    }

    #[test]
    fn an_answer_that_is_cut_off_is_none() -> Result<()> {
        let bytes = message(&[("ping", Value::Int(1)), ("x", Value::Text("y".to_owned()))])?;
        let body = &bytes[HEADER + 5..];
        for end in 0..body.len() {
            assert!(Answer::read(&body[..end]).is_none(), "{end}");
        }
        Ok(())
    }
}
