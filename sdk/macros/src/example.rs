//! `#[example(…)]` below an action, a create or a service.

use serde_json::{Map, Value};
use syn::parse::ParseStream;
use syn::{Attribute, Ident, LitStr, Token};

/// What the example is one of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    /// An action or a create.
    Handler,
    /// A service.
    Service,
}

impl Of {
    /// What is given.
    const fn given(self) -> &'static [&'static str] {
        match self {
            Self::Handler => &["before", "others", "may", "sources", "args", "files"],
            Self::Service => &["on", "before", "others", "may", "sources", "args", "files"],
        }
    }

    /// What is expected, beside `object`, which is a part of `extra`.
    const fn expected(self) -> &'static [&'static str] {
        match self {
            Self::Handler => &["message", "extra", "operations", "fault"],
            Self::Service => &["message", "results", "log", "fault"],
        }
    }
}

fn parse(input: ParseStream, of: Of) -> syn::Result<Value> {
    let name: LitStr = input.parse()?;
    let (mut example, mut expect) = (Map::new(), Map::new());
    example.insert("name".into(), name.value().into());
    while !input.is_empty() {
        input.parse::<Token![,]>()?;
        if input.is_empty() {
            break;
        }
        let key: Ident = input.parse()?;
        input.parse::<Token![=]>()?;
        let value = crate::json::parse(input)?;
        let word = key.to_string();
        if of.given().contains(&word.as_str()) {
            example.insert(word, value);
        } else if of.expected().contains(&word.as_str()) {
            expect.insert(word, value);
        } else if of == Of::Handler && word == "object" {
            expect.insert("extra".into(), serde_json::json!({ "object": value }));
        } else {
            let known = [of.given(), of.expected()].concat().join(", ");
            return Err(syn::Error::new(
                key.span(),
                format!("unknown key; known are {known}"),
            ));
        }
    }
    if of == Of::Service {
        example.entry("args").or_insert_with(|| Map::new().into());
    }
    let refuse = |text: &str| Err(syn::Error::new(name.span(), text));
    if !example.get("args").is_some_and(Value::is_object) {
        return refuse("an example needs `args = {…}`");
    }
    if expect.is_empty() {
        return refuse(
            "an example needs what is expected: message, object, operations or fault; of a service message, results, log or fault",
        );
    }
    // What a service found before it failed is kept.
    let excluded: &[&str] = match of {
        Of::Handler => of.expected(),
        Of::Service => &["message", "fault"],
    };
    let ends = excluded.iter().filter(|word| expect.contains_key(**word));
    if expect.contains_key("fault") && ends.count() > 1 {
        return refuse("an example ends with a fault or with an answer");
    }
    example.insert("expect".into(), Value::Object(expect));
    Ok(Value::Object(example))
}

/// Takes the examples out of a function's attributes.
pub(crate) fn take(attributes: &mut Vec<Attribute>, of: Of) -> syn::Result<Vec<Value>> {
    let is_example = |attribute: &Attribute| {
        attribute
            .path()
            .segments
            .last()
            .is_some_and(|last| last.ident == "example")
    };
    let examples = attributes.iter().filter(|attribute| is_example(attribute));
    let examples = examples
        .map(|attribute| attribute.parse_args_with(|input: ParseStream| parse(input, of)))
        .collect();
    attributes.retain(|attribute| !is_example(attribute));
    examples
}
