//! What the parts of the host must not name: the WebAssembly engine outside `plugins/`, and any type of top-level object.
//!
//! Types and actions are plugins' business. A host file that names one knows something that should be in a declaration.
//! Read from tokens, so comments do not count, nor do attributes (doc comments are attributes) and test modules.

use anyhow::{Context as _, Result};
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::fs;
use std::path::{Path, PathBuf};

const HOST: &str = "host/src";
const ENGINE: &str = "wasmtime";
const ENGINE_FOLDER: &str = "host/src/plugins";

/// Names of types, as stored and as resources. Compared with whole string literals and with the words in them.
const TYPES: [&str; 17] = [
    "Actor",
    "ActorIdentifier",
    "Backdoor",
    "Campaign",
    "Certificate",
    "Domain",
    "Email",
    "Event",
    "Exploit",
    "Indicator",
    "IP",
    "PCAP",
    "RawData",
    "Sample",
    "Screenshot",
    "Signature",
    "Target",
];
const RESOURCES: [&str; 17] = [
    "actors",
    "actoridentifiers",
    "backdoors",
    "campaigns",
    "certificates",
    "domains",
    "emails",
    "events",
    "exploits",
    "indicators",
    "ips",
    "pcaps",
    "raw_data",
    "samples",
    "screenshots",
    "signatures",
    "targets",
];

/// Files that hold such names as data that users see, with the reason.
const ALLOWED: [(&str, &str); 1] = [(
    "host/src/vocabulary",
    "closed value sets: 'Domain' is a value of an indicator's type, 'Event' of nothing in the code",
)];

/// Every place in the host that names what it must not.
pub(crate) fn faults(root: &Path, files: &[PathBuf]) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for file in files {
        let is_rust = file.extension().is_some_and(|extension| extension == "rs");
        if !file.starts_with(HOST) || !is_rust {
            continue;
        }
        let text = fs::read_to_string(root.join(file))?;
        let tokens: TokenStream = text
            .parse()
            .map_err(|error| anyhow::anyhow!("{error}"))
            .with_context(|| format!("{} is no Rust", file.display()))?;
        let rules = Rules {
            engine: !file.starts_with(ENGINE_FOLDER),
            types: !ALLOWED
                .iter()
                .any(|(allowed, _)| file.display().to_string().starts_with(allowed)),
        };
        let mut found = Vec::new();
        walk(tokens, &rules, &mut found);
        faults.extend(
            found
                .into_iter()
                .map(|(line, fault)| format!("{}:{line}: {fault}", file.display())),
        );
    }
    Ok(faults)
}

/// Which rules a file must keep.
struct Rules {
    engine: bool,
    types: bool,
}

fn walk(tokens: TokenStream, rules: &Rules, faults: &mut Vec<(usize, String)>) {
    let mut tokens = tokens.into_iter().peekable();
    let mut skips_item = false;
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                // `#![…]` belongs to the whole file and is an attribute as well.
                if matches!(tokens.peek(), Some(TokenTree::Punct(next)) if next.as_char() == '!') {
                    tokens.next();
                }
                if let Some(TokenTree::Group(group)) = tokens.peek()
                    && group.delimiter() == Delimiter::Bracket
                {
                    skips_item |= is_test_attribute(&group.stream());
                    tokens.next();
                }
            }
            TokenTree::Punct(punct) => skips_item &= punct.as_char() != ';',
            TokenTree::Group(group) if skips_item => {
                skips_item = group.delimiter() != Delimiter::Brace
            }
            TokenTree::Group(group) => walk(group.stream(), rules, faults),
            TokenTree::Ident(ident) if rules.engine && ident == ENGINE => {
                let fault = format!("{ENGINE} is named outside {ENGINE_FOLDER}");
                faults.push((ident.span().start().line, fault));
            }
            TokenTree::Literal(literal) if rules.types && !skips_item => {
                if let Some(name) = type_named(&literal.to_string()) {
                    let fault = format!(
                        "the host names the type '{name}'; that belongs into a plugin's declaration"
                    );
                    faults.push((literal.span().start().line, fault));
                }
            }
            TokenTree::Ident(_) | TokenTree::Literal(_) => {}
        }
    }
}

/// `#[cfg(test)]`, `#[test]`, `#[tokio::test]`.
fn is_test_attribute(attribute: &TokenStream) -> bool {
    let text: String = attribute.to_string().split_whitespace().collect();
    text == "cfg(test)"
        || text == "test"
        || text == "tokio::test"
        || text.starts_with("tokio::test(")
}

/// The type that a string literal names: as a whole word of it, or as the resource alone.
fn type_named(literal: &str) -> Option<&str> {
    let (_, rest) = literal.split_once('"')?;
    let (content, _) = rest.rsplit_once('"')?;
    if let Some(resource) = RESOURCES
        .iter()
        .find(|resource| content.trim_matches('/') == **resource)
    {
        return Some(resource);
    }
    content
        .split(|character: char| {
            !character.is_alphanumeric() && character != '_' && character != '-'
        })
        .find(|word| TYPES.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(source: &str) -> Vec<(usize, String)> {
        let mut faults = Vec::new();
        if let Ok(tokens) = source.parse() {
            walk(
                tokens,
                &Rules {
                    engine: true,
                    types: true,
                },
                &mut faults,
            );
        }
        faults
    }

    #[test]
    fn the_engine_is_found_with_its_line() {
        let expected = vec![(2, "wasmtime is named outside host/src/plugins".to_owned())];
        assert_eq!(found("\nuse wasmtime::Engine;"), expected);
    }

    #[test]
    fn a_type_in_a_literal_is_found() {
        let fault = |name| {
            format!("the host names the type '{name}'; that belongs into a plugin's declaration")
        };
        assert_eq!(
            found("fn f() { if t == \"Indicator\" {} }"),
            [(1, fault("Indicator"))]
        );
        assert_eq!(
            found("const P: &str = \"/domains/\";"),
            [(1, fault("domains"))]
        );
        assert_eq!(
            found("const F: &str = \"Sample.download\";"),
            [(1, fault("Sample"))]
        );
    }

    #[test]
    fn comments_attributes_tests_and_parts_of_words_do_not_count() {
        let source = r#"
            //! An Indicator, by wasmtime.
            /// A "Domain".
            #[doc = "Domain"]
            fn f() { g("Domains", "campaign", "Targeted") }
            #[cfg(test)]
            mod tests { const D: &str = "Domain"; }
            #[cfg(test)]
            use crate::x;
        "#;
        assert_eq!(found(source), []);
    }

    #[test]
    fn what_follows_a_test_module_counts_again() {
        assert_eq!(
            found("#[cfg(test)] mod tests { } const D: &str = \"Domain\";").len(),
            1
        );
        assert_eq!(
            found("#[cfg(test)] use x; const D: &str = \"Domain\";").len(),
            1
        );
    }
}
