//! JSON in attributes: `{"tickets": [1, true, null]}` as Rust tokens.

use serde_json::{Map, Number, Value};
use syn::parse::ParseStream;
use syn::punctuated::Punctuated;
use syn::{Lit, LitStr, Token, braced, bracketed, token};

/// Reads one JSON value.
pub(crate) fn parse(input: ParseStream) -> syn::Result<Value> {
    if input.peek(token::Brace) {
        let inner;
        braced!(inner in input);
        let mut map = Map::new();
        while !inner.is_empty() {
            let key: LitStr = inner.parse()?;
            inner.parse::<Token![:]>()?;
            if map.insert(key.value(), parse(&inner)?).is_some() {
                return Err(syn::Error::new(key.span(), "the same key twice"));
            }
            if !inner.is_empty() {
                inner.parse::<Token![,]>()?;
            }
        }
        return Ok(Value::Object(map));
    }
    if input.peek(token::Bracket) {
        let inner;
        bracketed!(inner in input);
        let items = Punctuated::<_, Token![,]>::parse_terminated_with(&inner, parse)?;
        return Ok(Value::Array(items.into_iter().collect()));
    }
    if input.peek(syn::Ident) {
        let word: syn::Ident = input.parse()?;
        return if word == "null" {
            Ok(Value::Null)
        } else {
            Err(syn::Error::new(word.span(), "expected JSON"))
        };
    }
    let minus = input.parse::<Option<Token![-]>>()?.is_some();
    let literal: Lit = input
        .parse()
        .map_err(|error| syn::Error::new(error.span(), "expected JSON"))?;
    scalar(&literal, minus).ok_or_else(|| syn::Error::new(literal.span(), "expected JSON"))
}

fn scalar(literal: &Lit, minus: bool) -> Option<Value> {
    Some(match literal {
        Lit::Str(text) if !minus => text.value().into(),
        Lit::Bool(flag) if !minus => flag.value.into(),
        Lit::Int(number) => {
            let number: i64 = number.base10_parse().ok()?;
            Value::from(if minus { -number } else { number })
        }
        Lit::Float(number) => {
            let number: f64 = number.base10_parse().ok()?;
            Value::Number(Number::from_f64(if minus { -number } else { number })?)
        }
        _ => return None,
    })
}
