//! What the readers of programs have in common: findings, sections, what was cut off; and texts in hostile tables.

use critd_sdk::{Json, json};

/// Most sections that are told of.
pub(crate) const MOST_SECTIONS: usize = 128;
/// Longest name that is read.
const LONGEST_NAME: usize = 512;

/// A result of the service.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Finding {
    pub(crate) subtype: &'static str,
    pub(crate) text: String,
    pub(crate) details: Json,
}

/// A section, whose entropy is still to be worked out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Section {
    pub(crate) finding: Finding,
    /// Where its bytes begin in the file, and how many there should be.
    pub(crate) place: u64,
    pub(crate) size: u64,
}

/// What a program's tables say.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Program {
    pub(crate) findings: Vec<Finding>,
    pub(crate) sections: Vec<Section>,
    /// Sentences about what was left out or can't be read.
    pub(crate) gaps: Vec<String>,
}

impl Program {
    pub(crate) fn find(&mut self, subtype: &'static str, text: impl Into<String>, details: Json) {
        self.findings.push(Finding {
            subtype,
            text: text.into(),
            details,
        });
    }

    pub(crate) fn gap(&mut self, sentence: impl Into<String>) {
        self.gaps.push(sentence.into());
    }

    /// One of the sections, of so many that the program says it has.
    pub(crate) fn section(
        &mut self,
        subtype: &'static str,
        name: String,
        details: Json,
    ) -> &mut Section {
        self.sections.push(Section {
            finding: Finding {
                subtype,
                text: name,
                details,
            },
            place: 0,
            size: 0,
        });
        let last = self.sections.len() - 1;
        &mut self.sections[last]
    }
}

/// The text at the beginning of some bytes, up to its zero; what is no UTF-8 is replaced. None: no zero within reach.
pub(crate) fn text(bytes: &[u8]) -> Option<String> {
    let end = bytes
        .iter()
        .take(LONGEST_NAME)
        .position(|byte| *byte == 0)?;
    Some(shown(&bytes[..end]))
}

/// The text of a field of fixed length, which zeros fill.
pub(crate) fn padded(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0);
    shown(&field[..end.unwrap_or(field.len())])
}

/// Control characters would let a file write lines of its own into whatever shows the text.
fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .map(|letter| {
            if letter.is_control() {
                '\u{fffd}'
            } else {
                letter
            }
        })
        .collect()
}

/// An address as people write it.
pub(crate) fn hex(number: impl Into<u64>) -> Json {
    json!(format!("{:#x}", number.into()))
}

#[cfg(test)]
mod tests {
    use super::{padded, text};

    #[test]
    fn names_end_and_hold_no_control_characters() {
        assert_eq!(text(b"abc\0d").as_deref(), Some("abc"));
        assert_eq!(text(b"a\nb\xff\0").as_deref(), Some("a\u{fffd}b\u{fffd}"));
        assert_eq!(text(b"abc"), None);
        assert_eq!(text(&[b'a'; 600]), None);
        assert_eq!(padded(b".text\0\0\0"), ".text");
        assert_eq!(padded(b".textbss"), ".textbss");
    }
}
