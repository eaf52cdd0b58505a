//! Which texts are addresses of people (create.md 5.20).

/// Longest address.
const LONGEST: usize = 320;

/// A dot-atom or a quoted text, `@`, a domain of two labels or more whose last one is no number. Letters beyond ASCII are
/// letters (RFC 6531).
pub(crate) fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    text.len() <= LONGEST && (is_dot_atom(local) || is_quoted(local)) && is_domain(domain)
}

fn is_dot_atom(local: &str) -> bool {
    local.split('.').all(|atom| {
        !atom.is_empty()
            && atom
                .chars()
                .all(|letter| letter.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(letter))
    })
}

/// Anything between quotes but control characters; quotes and backslashes behind a backslash.
fn is_quoted(local: &str) -> bool {
    let Some(inner) = local
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .filter(|_| local.len() >= 2)
    else {
        return false;
    };
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        let escaped = letter == '\\';
        let letter = if escaped {
            letters.next()
        } else {
            Some(letter)
        };
        match letter {
            Some('"') if !escaped => return false,
            Some(letter) if !letter.is_control() => {}
            Some(_) | None => return false,
        }
    }
    true
}

fn is_domain(domain: &str) -> bool {
    let labels: Vec<&str> = domain.split('.').collect();
    let is_label = |label: &&str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .chars()
                .all(|letter| letter.is_alphanumeric() || letter == '-')
    };
    let is_top = |label: &&str| {
        label.chars().nth(1).is_some()
            && (label.chars().all(char::is_alphabetic) || label.to_lowercase().starts_with("xn--"))
    };
    labels.len() >= 2 && labels.iter().all(is_label) && labels.last().is_some_and(is_top)
}

#[cfg(test)]
mod tests {
    use super::is_address;

    #[test]
    fn create_5_20_grammar_of_addresses() {
        for right in [
            "victim@example.org",
            "first.last+tag@sub.example.photography",
            "o'neil_{x}@example.co.uk",
            "\"a b@c\"@example.org",
            "\"a\\\"b\"@example.org",
            "user@xn--e1afmkfd.xn--p1acf",
            "jürgen@bücher.example",
            "a@b.technology",
        ] {
            assert!(is_address(right), "{right}");
        }
        let long = format!("{}@example.org", "a".repeat(320));
        for wrong in [
            "",
            "victim",
            "@example.org",
            "victim@",
            "victim@example",
            "victim@example.",
            "victim@.org",
            "victim@exa mple.org",
            "vic tim@example.org",
            ".victim@example.org",
            "vic..tim@example.org",
            "victim@-example.org",
            "victim@192.0.2.1",
            "victim@[192.0.2.1]",
            "victim@example.o",
            "\"a\"b\"@example.org",
            "\"a\\\"@example.org",
            "\"@example.org",
            "Vic Tim <victim@example.org>",
            "a@example.org,b@example.org",
            &long,
        ] {
            assert!(!is_address(wrong), "{wrong}");
        }
    }
}
