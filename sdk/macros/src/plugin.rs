//! `plugin! { … }`

use proc_macro2::TokenStream;
use quote::quote;
use serde_json::{Map, Value};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Ident, LitStr, Path, Token, bracketed};

use crate::attributes::Members;

const LIMITS: [&str; 6] = [
    "time_ms",
    "memory_mib",
    "host_calls",
    "documents",
    "bytes",
    "log_lines",
];

#[derive(Default)]
struct Head {
    name: Option<LitStr>,
    version: Option<LitStr>,
    summary: Option<LitStr>,
    types: Vec<Path>,
    actions: Vec<Path>,
    services: Vec<Path>,
    more: Members,
}

impl Parse for Head {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        let mut head = Self::default();
        while !input.is_empty() {
            let key: Ident = input.parse()?;
            input.parse::<Token![=]>()?;
            match key.to_string().as_str() {
                "name" => head.name = Some(input.parse()?),
                "version" => head.version = Some(input.parse()?),
                "summary" => head.summary = Some(input.parse()?),
                "types" => head.types = paths(input)?,
                "actions" => head.actions = paths(input)?,
                "services" => head.services = paths(input)?,
                "needs" => head.more.add("needs", reasons(input)?),
                "limits" => head.more.add("limits", limits(input)?),
                known @ ("license" | "homepage") => {
                    head.more.add(known, input.parse::<LitStr>()?.value())
                }
                _ => {
                    let known = "name, version, summary, types, actions, services, needs, limits, license, homepage";
                    return Err(syn::Error::new(
                        key.span(),
                        format!("unknown key; known are {known}"),
                    ));
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(head)
    }
}

fn paths(input: ParseStream) -> syn::Result<Vec<Path>> {
    let inner;
    bracketed!(inner in input);
    Ok(Punctuated::<Path, Token![,]>::parse_terminated(&inner)?
        .into_iter()
        .collect())
}

/// `{ "create:IP" = "why" }`
fn reasons(input: ParseStream) -> syn::Result<Value> {
    let inner;
    syn::braced!(inner in input);
    let mut reasons = Map::new();
    while !inner.is_empty() {
        let capability: LitStr = inner.parse()?;
        inner.parse::<Token![=]>()?;
        reasons.insert(capability.value(), inner.parse::<LitStr>()?.value().into());
        if !inner.is_empty() {
            inner.parse::<Token![,]>()?;
        }
    }
    Ok(Value::Object(reasons))
}

/// `{ time_ms = 500 }`
pub(crate) fn limits(input: ParseStream) -> syn::Result<Value> {
    let inner;
    syn::braced!(inner in input);
    let mut limits = Map::new();
    while !inner.is_empty() {
        let limit: Ident = inner.parse()?;
        if !LIMITS.contains(&limit.to_string().as_str()) {
            return Err(syn::Error::new(
                limit.span(),
                format!("expected one of: {}", LIMITS.join(", ")),
            ));
        }
        inner.parse::<Token![=]>()?;
        limits.insert(
            limit.to_string(),
            inner.parse::<syn::LitInt>()?.base10_parse::<u32>()?.into(),
        );
        if !inner.is_empty() {
            inner.parse::<Token![,]>()?;
        }
    }
    Ok(Value::Object(limits))
}

fn is_name(name: &str) -> bool {
    name.bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_lowercase())
        && name.len() <= 64
        && name.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-')
        })
}

fn is_version(version: &str) -> bool {
    let parts: Vec<&str> = version.split('.').collect();
    parts.len() == 3
        && parts
            .iter()
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

pub(crate) fn expand(input: TokenStream) -> syn::Result<TokenStream> {
    let Head {
        name,
        version,
        summary,
        types,
        actions,
        services,
        more,
    } = syn::parse2(input)?;
    let lacking = |what: &str| {
        syn::Error::new(
            proc_macro2::Span::call_site(),
            format!("a plugin needs `{what} = \"…\"`"),
        )
    };
    let name = name.ok_or_else(|| lacking("name"))?;
    if !is_name(&name.value()) {
        return Err(syn::Error::new(
            name.span(),
            "names of plugins are a lower-case letter followed by lower-case letters, digits, _ or -",
        ));
    }
    let summary = summary.ok_or_else(|| lacking("summary"))?.value();
    // Cargo sets it for the crate that is being compiled.
    let (version, span) = match version {
        Some(version) => (version.value(), version.span()),
        None => (
            std::env::var("CARGO_PKG_VERSION").unwrap_or_default(),
            name.span(),
        ),
    };
    if !is_version(&version) {
        return Err(syn::Error::new(span, "the version is three numbers: 1.0.0"));
    }
    let name = Value::from(name.value());
    let (version, summary) = (Value::from(version), Value::from(summary));
    let head = format!(
        "{{\"format\":1,\"contract\":\"1.1\",\"name\":{name},\"version\":{version},\"summary\":{summary}{}",
        more.into_text()
    );
    // One of the contract's worlds. A plugin of nothing has a handler.
    let handles = !types.is_empty() || !actions.is_empty() || services.is_empty();
    let parts = [
        Some(quote!(::critd_sdk::bindings)),
        handles.then(|| quote!(::critd_sdk::bindings::handler)),
        (!services.is_empty()).then(|| quote!(::critd_sdk::bindings::service)),
    ];
    let exports = parts.iter().flatten().map(|part| {
        quote! {
            // Elsewhere several plugins may be linked into one program, for tests.
            #[cfg(target_arch = "wasm32")]
            #part::export!(Plugin with_types_in #part);
        }
    });
    Ok(quote! {
        /// This plugin.
        #[derive(Debug)]
        pub enum Plugin {}

        #[automatically_derived]
        impl ::critd_sdk::Plugin for Plugin {
            fn declaration() -> ::std::string::String {
                ::critd_sdk::declare::plugin(
                    #head,
                    &[#(::critd_sdk::declare::tlo_type::<#types>),*],
                    &[#(::critd_sdk::declare::action::<#actions>),*],
                    &[#(::critd_sdk::declare::service::<#services>),*],
                )
            }

            fn run(action: &str, args: ::std::vec::Vec<::critd_sdk::RawArg>) -> ::critd_sdk::Outcome {
                match action {
                    #(<#actions as ::critd_sdk::Action>::NAME => <#actions as ::critd_sdk::Action>::run(args),)*
                    _ => {
                        ::core::mem::drop(args);
                        ::core::result::Result::Err(::critd_sdk::internal("this plugin has no such action"))
                    }
                }
            }

            fn create(type_name: &str, args: ::std::vec::Vec<::critd_sdk::RawArg>) -> ::critd_sdk::Outcome {
                match type_name {
                    #(<#types as ::critd_sdk::TloType>::NAME => <#types as ::critd_sdk::Create>::create(args),)*
                    _ => {
                        ::core::mem::drop(args);
                        ::core::result::Result::Err(::critd_sdk::internal("this plugin has no such type"))
                    }
                }
            }

            fn accepts(service: &str) -> ::core::result::Result<(), ::critd_sdk::Fault> {
                match service {
                    #(<#services as ::critd_sdk::Service>::NAME => <#services as ::critd_sdk::Service>::accepts(),)*
                    _ => ::core::result::Result::Err(::critd_sdk::internal("this plugin has no such service")),
                }
            }

            fn analyse(service: &str, options: ::std::vec::Vec<::critd_sdk::RawArg>) -> ::critd_sdk::Analysis {
                match service {
                    #(<#services as ::critd_sdk::Service>::NAME => <#services as ::critd_sdk::Service>::analyse(options),)*
                    _ => {
                        ::core::mem::drop(options);
                        ::core::result::Result::Err(::critd_sdk::internal("this plugin has no such service"))
                    }
                }
            }
        }

        #(#exports)*
    })
}
