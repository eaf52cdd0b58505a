//! `#[create(Type, …)]`

use proc_macro2::TokenStream;
use quote::quote;
use syn::meta::ParseNestedMeta;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{ItemFn, Path, Token};

use crate::attributes::{self, Members};

struct Head {
    of: Path,
    more: Members,
}

impl Parse for Head {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        let of = input.parse().map_err(|error| {
            syn::Error::new(
                error.span(),
                "expected the type that is created: #[create(Domain)]",
            )
        })?;
        let mut more = Members::default();
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
        let rest: TokenStream = input.parse()?;
        let parser = syn::meta::parser(|meta: ParseNestedMeta| {
            if !meta.path.is_ident("touches") {
                return Err(attributes::unknown(&meta, "touches"));
            }
            let touches = attributes::texts(&meta)?;
            attributes::check_touches(&touches)?;
            more.add_texts("touches", &touches);
            Ok(())
        });
        syn::parse::Parser::parse2(parser, rest)?;
        Ok(Self { of, more })
    }
}

pub(crate) fn expand(attributes: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let Head { of, mut more } = syn::parse2(attributes)?;
    let mut function: ItemFn = syn::parse2(item)?;
    let examples = crate::example::take(&mut function.attrs, crate::example::Of::Handler)?;
    if !examples.is_empty() {
        more.add("examples", examples);
    }
    let signature = crate::function::signature(&function)?;
    if signature.tlo.is_some() {
        return Err(syn::Error::new(
            function.sig.inputs.span(),
            "there is no document yet: Tlo::make gives one",
        ));
    }
    crate::function::refuse_task(&function, &signature)?;
    let tail = format!("]{}", more.into_text());
    let shared = signature
        .shared
        .then(|| quote!(let shared = ::critd_sdk::Shared::of(&raw);));
    let (declare, decode) = crate::action::arguments(signature.args.as_ref());
    let (call, ident) = (&signature.call, &function.sig.ident);
    Ok(quote! {
        #function

        #[automatically_derived]
        impl ::critd_sdk::Create for #of {
            fn declare_create(out: &mut ::std::string::String) {
                out.push_str(",\"args\":[");
                #declare
                out.push_str(#tail);
            }

            fn create(raw: ::std::vec::Vec<::critd_sdk::RawArg>) -> ::critd_sdk::Outcome {
                #shared
                #decode
                #ident(#(#call),*)
            }
        }
    })
}
