//! `#[service(…)]`

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use serde_json::Value;
use syn::ext::IdentExt;
use syn::parse::Parser;
use syn::spanned::Spanned;
use syn::{Ident, ItemFn, LitStr, Path};

use crate::attributes::{self, Members};
use crate::example::Of;

const KNOWN: &str = "name, version, on, requires, accepts, touches, limits, template";

pub(crate) fn expand(attributes: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let mut function: ItemFn = syn::parse2(item)?;
    let examples = crate::example::take(&mut function.attrs, Of::Service)?;
    let ident = function.sig.ident.clone();
    let mut name = LitStr::new(&ident.unraw().to_string(), ident.span());
    // Cargo sets it for the crate that is being compiled.
    let mut version = LitStr::new(
        &std::env::var("CARGO_PKG_VERSION").unwrap_or_default(),
        ident.span(),
    );
    let (mut on, mut accepts) = (None, None::<Path>);
    let mut more = Members::default();
    more.add_text("summary", &attributes::summary(&function.attrs));
    let parser = syn::meta::parser(|meta| {
        let key = meta
            .path
            .get_ident()
            .map(Ident::to_string)
            .unwrap_or_default();
        match key.as_str() {
            "name" => name = attributes::text(&meta)?,
            "version" => version = attributes::text(&meta)?,
            "on" => on = Some(crate::action::types(&meta)?),
            "template" => more.add(&key, attributes::text(&meta)?.value()),
            "requires" => more.add_texts(&key, &attributes::texts(&meta)?),
            "accepts" => accepts = Some(meta.value()?.parse()?),
            "touches" => {
                let touches = attributes::texts(&meta)?;
                attributes::check_touches(&touches)?;
                more.add_texts(&key, &touches);
            }
            "limits" => more.add(&key, crate::plugin::limits(meta.value()?)?),
            _ => return Err(attributes::unknown(&meta, KNOWN)),
        }
        Ok(())
    });
    parser.parse2(attributes)?;
    attributes::check_name(&name.value(), name.span())?;
    if !is_version(&version.value()) {
        return Err(syn::Error::new(
            version.span(),
            "the version of a service is two or three numbers, which a and b may follow: 1.0, 1.0.2b1",
        ));
    }
    let on = on.ok_or_else(|| {
        syn::Error::new(
            ident.span(),
            "a service needs `on = \"*\"` or `on(\"Type\", …)`",
        )
    })?;
    more.add_texts("on", &on);
    if !examples.is_empty() {
        more.add("examples", examples);
    }

    let signature = crate::function::signature(&function)?;
    if signature.shared {
        return Err(syn::Error::new(
            function.sig.inputs.span(),
            "shared arguments belong to creates",
        ));
    }
    // Begins with the name, without a comma.
    let head = format!(
        "\"name\":{},\"version\":{}{},\"options\":[",
        Value::from(name.value()),
        Value::from(version.value()),
        more.into_text()
    );
    let tlo = crate::action::document(signature.tlo);
    let (declare, decode) = crate::action::arguments(signature.args.as_ref());
    let accepts = match accepts {
        Some(function) => {
            quote_spanned!(function.span()=> #function(&::critd_sdk::Tlo::current()?))
        }
        None => quote!(::core::result::Result::Ok(())),
    };
    let call = &signature.call;
    let vis = &function.vis;
    let handler = format_ident!(
        "{}",
        ident,
        span = ident.span().resolved_at(proc_macro2::Span::mixed_site())
    );
    Ok(quote! {
        #function

        #[doc(hidden)]
        #[expect(non_camel_case_types, reason = "named like the function, for `plugin!`")]
        #vis enum #ident {}

        #[automatically_derived]
        impl ::critd_sdk::Service for #handler {
            const NAME: &'static str = #name;

            fn declare(out: &mut ::std::string::String) {
                out.push_str(#head);
                #declare
                out.push(']');
            }

            fn accepts() -> ::core::result::Result<(), ::critd_sdk::Fault> {
                #accepts
            }

            fn analyse(raw: ::std::vec::Vec<::critd_sdk::RawArg>) -> ::critd_sdk::Analysis {
                #decode
                #tlo
                #handler(#(#call),*)
            }
        }
    })
}

/// Rule SVC-1: N.N or N.N.N, which `a` or `b` and further letters and digits may follow.
fn is_version(version: &str) -> bool {
    let (numbers, suffix) = match version.find(|letter: char| letter.is_ascii_alphabetic()) {
        Some(place) => version.split_at(place),
        None => (version, ""),
    };
    let parts: Vec<&str> = numbers.split('.').collect();
    matches!(parts.len(), 2 | 3)
        && parts
            .iter()
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
        && (suffix.is_empty() || suffix.starts_with(['a', 'b']))
        && suffix.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    #[test]
    fn svc_1_versions_are_two_or_three_numbers() {
        for (version, good) in [
            ("1.0", true),
            ("1.0.2", true),
            ("1.0b1", true),
            ("1.0.2a", true),
            ("1", false),
            ("1.0.0.0", false),
            ("1.0-2", false),
            ("1.0c", false),
            ("1..2", false),
            ("", false),
        ] {
            assert_eq!(super::is_version(version), good, "{version}");
        }
    }
}
