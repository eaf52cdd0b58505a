//! `#[derive(Args)]`

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Field, Fields, LitStr};

use crate::attributes::{self, Members};

const TYPES: [&str; 13] = [
    "string", "text", "bool", "int", "num", "id", "type", "date", "ldate", "list", "map", "file",
    "any",
];
const KNOWN: &str = "name, type, of, required, default, empty, enum, vocab, max_length, trim, nonempty, unescape, secret, synonyms, missing, invalid, check, example, scope";

/// One argument.
struct Arg<'a> {
    field: &'a Field,
    name: String,
    kind: Option<LitStr>,
    of: Option<LitStr>,
    required: Option<bool>,
    has_default: bool,
    is_checked_within: bool,
    more: String,
}

pub(crate) fn derive(input: &DeriveInput) -> syn::Result<TokenStream> {
    let fields = named_fields(input)?;
    let args = fields.iter().map(parse).collect::<syn::Result<Vec<_>>>()?;
    for (place, arg) in args.iter().enumerate() {
        if args[..place].iter().any(|earlier| earlier.name == arg.name) {
            return Err(syn::Error::new(
                arg.field.span(),
                format!("there is an argument `{}` already", arg.name),
            ));
        }
    }
    let ident = &input.ident;
    let idents: Vec<_> = args.iter().map(|arg| &arg.field.ident).collect();
    let names: Vec<_> = args.iter().map(|arg| &arg.name).collect();
    let declarations = args.iter().map(Arg::declaration);
    let checks = args.iter().map(Arg::checks);
    Ok(quote! {
        #[automatically_derived]
        impl ::critd_sdk::Args for #ident {
            fn declare(out: &mut ::std::string::String) {
                #(#checks)*
                #(#declarations)*
            }

            fn from_args(mut args: ::std::vec::Vec<::critd_sdk::RawArg>) -> ::core::result::Result<Self, ::critd_sdk::Fault> {
                ::core::result::Result::Ok(Self { #(#idents: ::critd_sdk::declare::take_arg(&mut args, #names)?),* })
            }
        }

        #[automatically_derived]
        impl ::critd_sdk::FromValue for #ident {
            fn from_json(json: ::critd_sdk::Json) -> ::core::option::Option<Self> {
                let ::critd_sdk::Json::Object(mut map) = json else { return ::core::option::Option::None };
                ::core::option::Option::Some(Self { #(#idents: ::critd_sdk::take_member(&mut map, #names)?),* })
            }
        }

        #[automatically_derived]
        impl ::critd_sdk::declare::ArgType for #ident {
            const TYPES: &'static [&'static str] = &["map"];

            fn keys(out: &mut ::std::string::String) {
                <Self as ::critd_sdk::Args>::declare(out);
            }
        }
    })
}

/// The fields of a struct with named fields and without type parameters.
pub(crate) fn named_fields(
    input: &DeriveInput,
) -> syn::Result<&syn::punctuated::Punctuated<Field, syn::Token![,]>> {
    if !input.generics.params.is_empty() {
        return Err(syn::Error::new(
            input.generics.span(),
            "the host knows one declaration for it: no parameters here",
        ));
    }
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => Ok(&fields.named),
            _ => Err(syn::Error::new(
                input.ident.span(),
                "expected a struct with named fields",
            )),
        },
        _ => Err(syn::Error::new(input.ident.span(), "expected a struct")),
    }
}

fn parse(field: &Field) -> syn::Result<Arg<'_>> {
    let ident = field.ident.as_ref();
    let mut name = ident
        .map(|ident| ident.unraw().to_string())
        .unwrap_or_default();
    let (mut kind, mut of, mut required, mut has_default) = (None, None, None, false);
    let mut is_checked_within = false;
    let mut more = Members::default();
    more.add_text("summary", &attributes::summary(&field.attrs));
    for attribute in field
        .attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("arg"))
    {
        attribute.parse_nested_meta(|meta| {
            let key = meta
                .path
                .get_ident()
                .map(|key| key.unraw().to_string())
                .unwrap_or_default();
            match key.as_str() {
                "name" => name = attributes::text(&meta)?.value(),
                "type" => kind = Some(attributes::word(attributes::text(&meta)?, &TYPES)?),
                "of" => {
                    of = Some(attributes::word(
                        attributes::text(&meta)?,
                        &["string", "text", "int", "id", "map"],
                    )?)
                }
                "required" => required = Some(attributes::flag(&meta)?),
                "default" => {
                    has_default = true;
                    more.add("default", attributes::json(&meta)?);
                }
                "empty" => more.add(
                    "empty",
                    attributes::word(attributes::text(&meta)?, &["now"])?.value(),
                ),
                "enum" => more.add_texts("enum", &attributes::texts(&meta)?),
                "synonyms" => {
                    let synonyms = attributes::texts(&meta)?;
                    synonyms.iter().try_for_each(|synonym| {
                        attributes::check_name(&synonym.value(), synonym.span())
                    })?;
                    more.add_texts("synonyms", &synonyms);
                }
                "vocab" | "missing" | "invalid" => more.add(&key, attributes::text(&meta)?.value()),
                "check" => {
                    is_checked_within = true;
                    more.add(
                        &key,
                        attributes::word(attributes::text(&meta)?, &["within"])?.value(),
                    );
                }
                "scope" => more.add(
                    &key,
                    attributes::word(attributes::text(&meta)?, &["stored", "runtime"])?.value(),
                ),
                "max_length" => more.add(
                    &key,
                    meta.value()?
                        .parse::<syn::LitInt>()?
                        .base10_parse::<u32>()?,
                ),
                "trim" | "nonempty" | "unescape" | "secret" => {
                    more.add(&key, attributes::flag(&meta)?)
                }
                "example" => more.add(&key, attributes::json(&meta)?),
                _ => return Err(attributes::unknown(&meta, KNOWN)),
            }
            Ok(())
        })?;
    }
    attributes::check_name(&name, field.span())?;
    if matches!(name.as_str(), "id_" | "type_" | "user") {
        return Err(syn::Error::new(
            field.span(),
            "`id_`, `type_` and `user` come from the host: use `tlo` and `call`",
        ));
    }
    if required == Some(true) && has_default {
        return Err(syn::Error::new(
            field.span(),
            "required and a default contradict each other",
        ));
    }
    Ok(Arg {
        field,
        name,
        kind,
        of,
        required,
        has_default,
        is_checked_within,
        more: more.into_text(),
    })
}

impl Arg<'_> {
    fn declaration(&self) -> TokenStream {
        let Self {
            field,
            name,
            has_default,
            more,
            ..
        } = self;
        let rust_type = &field.ty;
        let kind = self.kind.as_ref().map(LitStr::value).unwrap_or_default();
        let of = self.of.as_ref().map(LitStr::value).unwrap_or_default();
        let required = match self.required {
            Some(flag) => quote!(::core::option::Option::Some(#flag)),
            None => quote!(::core::option::Option::None),
        };
        quote_spanned! {rust_type.span()=>
            ::critd_sdk::declare::arg::<#rust_type>(out, &::critd_sdk::declare::ArgSpec {
                name: #name, kind: #kind, of: #of, required: #required, has_default: #has_default, more: #more,
            });
        }
    }

    /// Compile-time checks that need the Rust type.
    fn checks(&self) -> TokenStream {
        let rust_type = &self.field.ty;
        let kind = self.kind.as_ref().map(|kind| {
            quote_spanned!(kind.span()=> const _: () = ::critd_sdk::declare::check_arg::<#rust_type>(#kind);)
        });
        let may_be_absent = self.required == Some(false) || self.is_checked_within;
        let absent = (may_be_absent && !self.has_default).then(|| {
            quote_spanned!(rust_type.span()=> const _: () = ::critd_sdk::declare::check_absent::<#rust_type>();)
        });
        quote!(#kind #absent)
    }
}
