//! `#[derive(Choice)]`

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Fields, LitStr};

pub(crate) fn derive(input: &DeriveInput) -> syn::Result<TokenStream> {
    let Data::Enum(data) = &input.data else {
        return Err(syn::Error::new(input.ident.span(), "expected an enum"));
    };
    let (mut variants, mut texts) = (Vec::new(), Vec::new());
    for variant in &data.variants {
        if !matches!(variant.fields, Fields::Unit) {
            return Err(syn::Error::new(
                variant.ident.span(),
                "a choice has no fields",
            ));
        }
        let mut text = snake_case(&variant.ident.to_string());
        for attribute in variant
            .attrs
            .iter()
            .filter(|attribute| attribute.path().is_ident("choice"))
        {
            text = attribute.parse_args::<LitStr>()?.value();
        }
        variants.push(&variant.ident);
        texts.push(text);
    }
    let ident = &input.ident;
    let more = format!(",\"enum\":{}", serde_json::Value::from(texts.clone()));
    Ok(quote! {
        #[automatically_derived]
        impl #ident {
            /// The text of this choice.
            #[must_use]
            pub const fn as_str(&self) -> &'static str {
                match self { #(Self::#variants => #texts),* }
            }
        }

        #[automatically_derived]
        impl ::critd_sdk::FromValue for #ident {
            fn from_value(value: ::critd_sdk::Value) -> ::core::option::Option<Self> {
                Self::from_json(<::critd_sdk::Json as ::critd_sdk::FromValue>::from_value(value)?)
            }

            fn from_json(json: ::critd_sdk::Json) -> ::core::option::Option<Self> {
                match json.as_str()? {
                    #(#texts => ::core::option::Option::Some(Self::#variants),)*
                    _ => ::core::option::Option::None,
                }
            }
        }

        #[automatically_derived]
        impl ::critd_sdk::declare::ArgType for #ident {
            const TYPES: &'static [&'static str] = &["string"];
            const MORE: &'static str = #more;
        }
    })
}

fn snake_case(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}
