//! `#[action(…)]`

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use serde_json::{Map, Value};
use syn::ext::IdentExt;
use syn::meta::ParseNestedMeta;
use syn::parse::{ParseStream, Parser};
use syn::spanned::Spanned;
use syn::{Ident, ItemFn, LitStr, Token, parenthesized, token};

use crate::attributes::{self, Members};
use crate::function::Access;

const KNOWN: &str = "name, on, permission, refusal, touches, answers";

pub(crate) fn expand(attributes: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let mut function: ItemFn = syn::parse2(item)?;
    let examples = crate::example::take(&mut function.attrs, crate::example::Of::Handler)?;
    let ident = function.sig.ident.clone();
    let mut name = LitStr::new(&ident.unraw().to_string(), ident.span());
    let (mut on, mut permission, mut refusals) = (None, None, None);
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
            "on" => on = Some(types(&meta)?),
            "permission" => permission = Some(flags(&meta)?),
            "refusal" if meta.input.peek(token::Paren) => {
                let inner;
                parenthesized!(inner in meta.input);
                refusals = Some(pairs(&inner)?);
            }
            "refusal" | "answers" => more.add(&key, attributes::text(&meta)?.value()),
            "touches" => {
                let touches = attributes::texts(&meta)?;
                attributes::check_touches(&touches)?;
                more.add_texts(&key, &touches);
            }
            _ => return Err(attributes::unknown(&meta, KNOWN)),
        }
        Ok(())
    });
    parser.parse2(attributes)?;
    attributes::check_name(&name.value(), name.span())?;
    let on = on.ok_or_else(|| {
        syn::Error::new(
            ident.span(),
            "an action needs `on = \"*\"` or `on(\"Type\", …)`",
        )
    })?;
    let permission = permission
        .ok_or_else(|| syn::Error::new(ident.span(), "an action needs `permission = \"flag\"`"))?;
    more.add_texts("on", &on);
    more.add("permission", with_refusals(permission, refusals, &ident)?);
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
    crate::function::refuse_task(&function, &signature)?;
    // `"name":…` and the rest, without the comma of the first member.
    let head = format!(
        "\"name\":{}{},\"args\":[",
        Value::from(name.value()),
        more.into_text()
    );
    let tlo = document(signature.tlo);
    let (declare, decode) = arguments(signature.args.as_ref());
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
        impl ::critd_sdk::Action for #handler {
            const NAME: &'static str = #name;

            fn declare(out: &mut ::std::string::String) {
                out.push_str(#head);
                #declare
                out.push(']');
            }

            fn run(raw: ::std::vec::Vec<::critd_sdk::RawArg>) -> ::critd_sdk::Outcome {
                #decode
                #tlo
                #handler(#(#call),*)
            }
        }
    })
}

/// How the handler gets the document of the call.
pub(crate) fn document(access: Option<Access>) -> TokenStream {
    match access {
        Some(Access::Write) => quote!(let mut tlo = ::critd_sdk::Tlo::current()?;),
        Some(Access::Read) => quote!(let tlo = ::critd_sdk::Tlo::current()?;),
        None => TokenStream::new(),
    }
}

/// How the arguments are declared and decoded.
pub(crate) fn arguments(args: Option<&syn::Type>) -> (TokenStream, TokenStream) {
    match args {
        Some(args) => (
            quote_spanned!(args.span()=> <#args as ::critd_sdk::Args>::declare(out);),
            quote_spanned!(args.span()=> let args = <#args as ::critd_sdk::Args>::from_args(raw)?;),
        ),
        None => (TokenStream::new(), quote!(::core::mem::drop(raw);)),
    }
}

/// `on = "*"`, `on("*", "-Campaign")`
pub(crate) fn types(meta: &ParseNestedMeta) -> syn::Result<Vec<LitStr>> {
    let types = attributes::texts(meta)?;
    for pattern in &types {
        let text = pattern.value();
        let name = text.strip_prefix('-').unwrap_or(&text);
        let is_type = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphabetic());
        if text != "*" && !is_type {
            return Err(syn::Error::new(
                pattern.span(),
                "expected `*`, a type, or `-` and a type",
            ));
        }
    }
    if types.is_empty() {
        Err(meta.error("on which types?"))
    } else {
        Ok(types)
    }
}

/// `permission = "flag"` or `permission(by = "argument", "Value" = "flag", …)`
fn flags(meta: &ParseNestedMeta) -> syn::Result<Value> {
    if !meta.input.peek(token::Paren) {
        return Ok(attributes::text(meta)?.value().into());
    }
    let inner;
    parenthesized!(inner in meta.input);
    let by: Ident = inner.parse()?;
    if by != "by" {
        return Err(syn::Error::new(by.span(), "expected `by = \"argument\"`"));
    }
    inner.parse::<Token![=]>()?;
    let argument: LitStr = inner.parse()?;
    if !inner.is_empty() {
        inner.parse::<Token![,]>()?;
    }
    Ok(serde_json::json!({ "by": argument.value(), "map": pairs(&inner)? }))
}

/// `"Value" = "text", …`
fn pairs(input: ParseStream<'_>) -> syn::Result<Map<String, Value>> {
    let mut map = Map::new();
    while !input.is_empty() {
        let value: LitStr = input.parse()?;
        input.parse::<Token![=]>()?;
        map.insert(value.value(), input.parse::<LitStr>()?.value().into());
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
    }
    Ok(map)
}

/// Texts by value belong to a permission by value.
fn with_refusals(
    mut permission: Value,
    refusals: Option<Map<String, Value>>,
    action: &Ident,
) -> syn::Result<Value> {
    match (permission.as_object_mut(), refusals) {
        (_, None) => {}
        (Some(by), Some(refusals)) => {
            by.insert("refusals".into(), refusals.into());
        }
        (None, Some(_)) => {
            return Err(syn::Error::new(
                action.span(),
                "`refusal(\"VALUE\" = \"text\", …)` goes with `permission(by = …)`",
            ));
        }
    }
    Ok(permission)
}
