//! Users and tags that a comment names (create.md 5.6).

use std::collections::BTreeSet;

use critd_sdk::registers;

/// So many names are looked up; whoever names more people reaches nobody in particular.
const MOST_NAMES: usize = 500;

/// The users of the server that a comment names.
pub(crate) fn users(comment: &str) -> Vec<String> {
    words(comment, '@')
        .into_iter()
        .take(MOST_NAMES)
        .filter(|name| registers::has("user", name))
        .map(String::from)
        .collect()
}

/// The tags that a comment names.
pub(crate) fn tags(comment: &str) -> Vec<String> {
    words(comment, '#').into_iter().map(String::from).collect()
}

/// The words that follow a mark (`@`, `#`): letters, digits, `+` and `_`. Each once, in order.
fn words(text: &str, mark: char) -> Vec<&str> {
    let (mut words, mut seen) = (Vec::new(), BTreeSet::new());
    for after in text.split(mark).skip(1) {
        let end = after
            .find(|letter: char| !(letter.is_alphanumeric() || matches!(letter, '+' | '_')))
            .unwrap_or(after.len());
        let word = &after[..end];
        if !word.is_empty() && seen.insert(word) {
            words.push(word);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn create_5_6_words_after_a_mark() {
        for (text, mark, expected) in [
            ("", '@', &[][..]),
            ("no mark", '@', &[]),
            ("@ @. @", '@', &[]),
            (
                "Same packer as last week, @asmith #packer",
                '@',
                &["asmith"],
            ),
            (
                "Same packer as last week, @asmith #packer",
                '#',
                &["packer"],
            ),
            ("@a, (@b) @a!", '@', &["a", "b"]),
            ("@@bob @c+d_1-e", '@', &["bob", "c+d_1"]),
            ("mail bob@example.com", '@', &["example"]),
            ("#größe#2#Tag", '#', &["größe", "2", "Tag"]),
        ] {
            assert_eq!(words(text, mark), expected, "{text}");
        }
    }
}
