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

/// Names of types, as stored and as resources. `screenshots` is not among them: every object has a list of that name.
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
const RESOURCES: [&str; 16] = [
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
    "signatures",
    "targets",
];

/// A file (or the beginning of its path) that may name types as data that people see.
struct Allowed {
    path: &'static str,
    /// Only these; empty: any.
    names: &'static [&'static str],
    #[expect(dead_code, reason = "for whoever reads or extends the list")]
    why: &'static str,
}

const ALLOWED: [Allowed; 7] = [
    Allowed {
        path: "host/src/vocabulary",
        names: &[],
        why: "closed value sets: 'Domain' is a value of an indicator's type",
    },
    Allowed {
        path: "host/src/access/catalogue",
        names: &[],
        why: "the flags that roles of a taken-over database hold, also those of types that no plugin serves",
    },
    Allowed {
        path: "host/src/registers/seeds",
        names: &["Domain", "Email"],
        why: "kinds of identifiers that a new store knows",
    },
    Allowed {
        path: "host/src/access/roles.rs",
        names: &["Domain"],
        why: "a hint shows how a flag is written",
    },
    Allowed {
        path: "host/src/registers/settings.rs",
        names: &["samples"],
        why: "the default of a setting, which an operator may change",
    },
    Allowed {
        path: "host/src/plugins/arguments/shared.rs",
        names: &["Domain"],
        why: "the documentation's example of a type",
    },
    Allowed {
        path: "host/src/plugins/examples.rs",
        names: &["Email"],
        why: "'Email Address' is a kind of identifiers that examples may use",
    },
];

/// Every place in the host that names what it must not.
pub(crate) fn faults(root: &Path, files: &[PathBuf]) -> Result<Vec<String>> {
    let mut sources = Vec::new();
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
        sources.push((file, tokens));
    }
    let test_folders: Vec<PathBuf> = sources
        .iter()
        .flat_map(|(file, tokens)| {
            test_modules(tokens.clone())
                .into_iter()
                .map(|name| folder_of(file).join(name))
        })
        .collect();
    let mut faults = Vec::new();
    for (file, tokens) in sources {
        if test_folders
            .iter()
            .any(|folder| file.with_extension("").starts_with(folder))
        {
            continue;
        }
        let rules = Rules {
            engine: !file.starts_with(ENGINE_FOLDER),
            allowed: ALLOWED
                .iter()
                .filter(|allowed| file.display().to_string().starts_with(allowed.path))
                .collect(),
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

/// The folder in which a file's modules lie.
fn folder_of(file: &Path) -> PathBuf {
    let is_root = file
        .file_stem()
        .is_some_and(|stem| ["mod", "lib", "main"].iter().any(|root| stem == *root));
    if is_root {
        file.parent().map(Path::to_owned).unwrap_or_default()
    } else {
        file.with_extension("")
    }
}

/// The modules in files of their own that are there for tests alone: `#[cfg(test)] mod name;`.
fn test_modules(tokens: TokenStream) -> Vec<String> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut modules = Vec::new();
    let mut is_test = false;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket => {
                is_test |= is_test_attribute(&group.stream())
            }
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => is_test = false,
            TokenTree::Punct(punct) if punct.as_char() == ';' => is_test = false,
            TokenTree::Ident(word) if is_test && word == "mod" => {
                if let [TokenTree::Ident(name), TokenTree::Punct(_)] =
                    &tokens[at + 1..(at + 3).min(tokens.len())]
                {
                    modules.push(name.to_string());
                }
            }
            TokenTree::Group(_)
            | TokenTree::Punct(_)
            | TokenTree::Ident(_)
            | TokenTree::Literal(_) => {}
        }
    }
    modules
}

/// Which rules a file must keep.
struct Rules<'a> {
    engine: bool,
    /// The file's exceptions to the rule that no type is named.
    allowed: Vec<&'a Allowed>,
}

impl Rules<'_> {
    fn forbid(&self, name: &str) -> bool {
        !self
            .allowed
            .iter()
            .any(|allowed| allowed.names.is_empty() || allowed.names.contains(&name))
    }
}

fn walk(tokens: TokenStream, rules: &Rules<'_>, faults: &mut Vec<(usize, String)>) {
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
            TokenTree::Literal(literal) if !skips_item => {
                if let Some(name) =
                    types_named(&literal.to_string()).find(|name| rules.forbid(name))
                {
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

/// The types that a string literal names: as a whole word of it, or as the resource alone.
fn types_named(literal: &str) -> impl Iterator<Item = &str> {
    let content = literal
        .split_once('"')
        .and_then(|(_, rest)| rest.rsplit_once('"'))
        .map_or("", |(content, _)| content);
    let resource = Some(content.trim_matches('/')).filter(|name| RESOURCES.contains(name));
    let words = content.split(|character: char| {
        !character.is_alphanumeric() && character != '_' && character != '-'
    });
    resource
        .into_iter()
        .chain(words.filter(|word| TYPES.contains(word)))
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
                    allowed: Vec::new(),
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
    fn test_modules_in_files_of_their_own_are_found() {
        let source = "mod a; #[cfg(test)] mod b; #[cfg(test)] pub(crate) mod c; #[cfg(test)] mod d { } mod e;";
        assert_eq!(
            source.parse().map(test_modules).unwrap_or_default(),
            ["b", "c"]
        );
        assert_eq!(
            folder_of(Path::new("host/src/store/mod.rs")),
            Path::new("host/src/store")
        );
        assert_eq!(
            folder_of(Path::new("host/src/query.rs")),
            Path::new("host/src/query")
        );
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
