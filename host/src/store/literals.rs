//! Literal texts that anything an expression matches must contain.

use regex_syntax::hir::{Class, Hir, HirKind};

/// The texts, folded to lower case, each of at least three printable ASCII characters; none if there are no such.
pub(crate) fn required(expression: &regex::Regex) -> Vec<String> {
    let Ok(tree) = regex_syntax::Parser::new().parse(expression.as_str()) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    collect(&tree, &mut found);
    found.retain(|text| text.len() >= 3);
    found.sort();
    found.dedup();
    found
}

/// Exactly one text, after folding, is what this matches.
fn exact(tree: &Hir) -> Option<String> {
    match tree.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(String::new()),
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).ok()?;
            text.bytes()
                .all(|byte| matches!(byte, b' '..=b'~'))
                .then(|| text.to_ascii_lowercase())
        }
        HirKind::Class(Class::Unicode(class)) => {
            let mut letter = None;
            for range in class.iter() {
                if u32::from(range.end()) - u32::from(range.start()) > 1 {
                    return None;
                }
                for character in range.start()..=range.end() {
                    let folded = match character {
                        '\u{212A}' => 'k',
                        '\u{17F}' => 's',
                        ' '..='~' => character.to_ascii_lowercase(),
                        _ => return None,
                    };
                    if *letter.get_or_insert(folded) != folded {
                        return None;
                    }
                }
            }
            letter.map(String::from)
        }
        HirKind::Capture(capture) => exact(&capture.sub),
        HirKind::Concat(parts) => parts.iter().map(exact).collect(),
        HirKind::Class(Class::Bytes(_)) | HirKind::Repetition(_) | HirKind::Alternation(_) => None,
    }
}

fn collect(tree: &Hir, found: &mut Vec<String>) {
    if let Some(text) = exact(tree) {
        found.push(text);
        return;
    }
    match tree.kind() {
        HirKind::Literal(literal) => {
            let runs = literal.0.split(|byte| !matches!(byte, b' '..=b'~'));
            found.extend(runs.map(|run| String::from_utf8_lossy(run).to_ascii_lowercase()));
        }
        HirKind::Capture(capture) => collect(&capture.sub, found),
        HirKind::Repetition(repetition) if repetition.min >= 1 => collect(&repetition.sub, found),
        HirKind::Concat(parts) => {
            let mut run = String::new();
            for part in parts {
                match exact(part) {
                    Some(text) => run.push_str(&text),
                    None => {
                        found.push(std::mem::take(&mut run));
                        collect(part, found);
                    }
                }
            }
            found.push(run);
        }
        _ => {}
    }
}

/// A condition for the trigram table: all trigrams of all texts, at most sixteen.
pub(crate) fn query(texts: &[String]) -> String {
    let mut grams = Vec::new();
    for text in texts {
        for start in 0..text.len().saturating_sub(2) {
            let gram = &text[start..start + 3];
            if !grams.contains(&gram) {
                grams.push(gram);
            }
        }
    }
    grams.truncate(16);
    grams
        .iter()
        .map(|gram| format!("\"{}\"", gram.replace('"', "\"\"")))
        .collect::<Vec<_>>()
        .join(" AND ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p11_only_what_every_match_contains_is_required() {
        let cases: &[(&str, &[&str])] = &[
            (r"evil[0-9]+\.corp", &[".corp", "evil"]),
            ("(?i)EVIL", &["evil"]),
            ("evil|good", &[]),
            ("(evil|good)corp", &["corp"]),
            ("(evil)?corp", &["corp"]),
            ("(?:evil)+", &["evil"]),
            ("(?:evil)*", &[]),
            ("ab", &[]),
            ("a.b.c", &[]),
            (r"^\bevil\b$", &["evil"]),
            ("m\u{fc}ller", &["ller"]),
            ("(?i)kiss", &["kiss"]),
            ("abc\ndef", &["abc", "def"]),
            ("[eE]vil", &["evil"]),
            ("[ef]vil", &["vil"]),
            ("ev(i)l", &["evil"]),
            ("", &[]),
        ];
        for (pattern, wanted) in cases {
            assert_eq!(
                required(&regex::Regex::new(pattern).unwrap()),
                *wanted,
                "{pattern}"
            );
        }
    }

    #[test]
    fn trigrams_are_quoted() {
        assert_eq!(
            query(&["ab\"c".to_owned(), "ab\"".to_owned()]),
            r#""ab""" AND "b""c""#
        );
    }
}
