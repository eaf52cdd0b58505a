//! What all attributes have in common: doc comments, texts, flags, and the members of JSON that come from them.

use proc_macro2::Span;
use serde_json::Value;
use syn::meta::ParseNestedMeta;
use syn::punctuated::Punctuated;
use syn::{
    Attribute, Expr, ExprLit, Lit, LitBool, LitStr, Meta, Token, bracketed, parenthesized, token,
};

/// The description for users: the doc comment up to its first heading, lines of a paragraph joined.
pub(crate) fn summary(attributes: &[Attribute]) -> String {
    let mut summary = String::new();
    let mut gap = "";
    for attribute in attributes {
        let Meta::NameValue(pair) = &attribute.meta else {
            continue;
        };
        let Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) = &pair.value
        else {
            continue;
        };
        if !pair.path.is_ident("doc") {
            continue;
        }
        for line in text.value().split('\n') {
            let line = line.trim();
            if line.starts_with('#') {
                return summary;
            }
            if line.is_empty() {
                gap = "\n\n";
                continue;
            }
            if !summary.is_empty() {
                summary.push_str(gap);
            }
            summary.push_str(line);
            gap = " ";
        }
    }
    summary
}

/// Members of a JSON object as text, each with a comma before it.
#[derive(Default)]
pub(crate) struct Members(String);

impl Members {
    pub(crate) fn add(&mut self, name: &str, value: impl Into<Value>) {
        self.0.push(',');
        self.0.push_str(&Value::from(name).to_string());
        self.0.push(':');
        self.0.push_str(&value.into().to_string());
    }

    /// Adds a text that is not empty.
    pub(crate) fn add_text(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.add(name, text);
        }
    }

    pub(crate) fn add_texts(&mut self, name: &str, texts: &[LitStr]) {
        self.add(name, texts.iter().map(LitStr::value).collect::<Vec<_>>());
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

/// `key = "text"`
pub(crate) fn text(meta: &ParseNestedMeta) -> syn::Result<LitStr> {
    meta.value()?.parse()
}

/// `key`, `key = true` or `key = false`
pub(crate) fn flag(meta: &ParseNestedMeta) -> syn::Result<bool> {
    if meta.input.peek(Token![=]) {
        Ok(meta.value()?.parse::<LitBool>()?.value)
    } else {
        Ok(true)
    }
}

/// `key = JSON`
pub(crate) fn json(meta: &ParseNestedMeta) -> syn::Result<Value> {
    crate::json::parse(meta.value()?)
}

/// `key = "a"`, `key("a", "b")` or `key = ["a", "b"]`
pub(crate) fn texts(meta: &ParseNestedMeta) -> syn::Result<Vec<LitStr>> {
    let inner;
    if meta.input.peek(token::Paren) {
        parenthesized!(inner in meta.input);
    } else {
        let value = meta.value()?;
        if !value.peek(token::Bracket) {
            return Ok(vec![value.parse()?]);
        }
        bracketed!(inner in value);
    }
    Ok(Punctuated::<LitStr, Token![,]>::parse_terminated(&inner)?
        .into_iter()
        .collect())
}

/// One of a few words.
pub(crate) fn word(text: LitStr, words: &[&str]) -> syn::Result<LitStr> {
    if words.contains(&text.value().as_str()) {
        Ok(text)
    } else {
        Err(syn::Error::new(
            text.span(),
            format!("expected one of: {}", words.join(", ")),
        ))
    }
}

/// A name as the contract wants it: a letter, then letters, digits, underscores.
pub(crate) fn check_name(name: &str, span: Span) -> syn::Result<()> {
    let letter = name
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic());
    if letter
        && name.len() <= 64
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    {
        Ok(())
    } else {
        Err(syn::Error::new(
            span,
            "names are a letter followed by letters, digits, underscores, at most 64",
        ))
    }
}

/// `self.FIELD`, `other:TYPE`, `other:*`, `create:TYPE`, `registry:SET`
pub(crate) fn check_touches(touches: &[LitStr]) -> syn::Result<()> {
    for touch in touches {
        let text = touch.value();
        let valid = match text.split_once([':', '.']) {
            Some(("self", path)) => text.starts_with("self.") && !path.is_empty(),
            Some(("other" | "create" | "registry", what)) => text.contains(':') && !what.is_empty(),
            _ => false,
        };
        if !valid {
            return Err(syn::Error::new(
                touch.span(),
                "expected self.FIELD, other:TYPE, other:*, create:TYPE or registry:SET",
            ));
        }
    }
    Ok(())
}

/// The error for a key that no attribute knows.
pub(crate) fn unknown(meta: &ParseNestedMeta, known: &str) -> syn::Error {
    meta.error(format!("unknown key; known are {known}"))
}
