//! `#[example(…)]` below an action or a create.

use serde_json::{Map, Value};
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Ident, LitStr, Token};

struct Example(Value);

impl Parse for Example {
    fn parse(input: ParseStream) -> syn::Result<Self> {
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
            match key.to_string().as_str() {
                known @ ("before" | "others" | "may" | "sources" | "args" | "files") => {
                    example.insert(known.into(), value);
                }
                known @ ("message" | "extra" | "operations" | "fault") => {
                    expect.insert(known.into(), value);
                }
                "object" => {
                    expect.insert("extra".into(), serde_json::json!({ "object": value }));
                }
                _ => {
                    let known = "before, others, may, sources, args, files, message, object, extra, operations, fault";
                    return Err(syn::Error::new(
                        key.span(),
                        format!("unknown key; known are {known}"),
                    ));
                }
            }
        }
        if !example.get("args").is_some_and(Value::is_object) {
            return Err(syn::Error::new(
                name.span(),
                "an example needs `args = {…}`",
            ));
        }
        if expect.is_empty() {
            return Err(syn::Error::new(
                name.span(),
                "an example needs what is expected: message, object, operations or fault",
            ));
        }
        if expect.contains_key("fault") && expect.len() > 1 {
            return Err(syn::Error::new(
                name.span(),
                "an example ends with a fault or with an answer",
            ));
        }
        example.insert("expect".into(), Value::Object(expect));
        Ok(Self(Value::Object(example)))
    }
}

/// Takes the examples out of a function's attributes.
pub(crate) fn take(attributes: &mut Vec<Attribute>) -> syn::Result<Vec<Value>> {
    let is_example = |attribute: &Attribute| {
        attribute
            .path()
            .segments
            .last()
            .is_some_and(|last| last.ident == "example")
    };
    let examples = attributes.iter().filter(|attribute| is_example(attribute));
    let examples = examples
        .map(|attribute| Ok(attribute.parse_args::<Example>()?.0))
        .collect();
    attributes.retain(|attribute| !is_example(attribute));
    examples
}
