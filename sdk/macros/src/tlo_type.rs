//! `#[derive(TloType)]` and `#[derive(Fields)]`

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use serde_json::Value;
use syn::ext::IdentExt;
use syn::meta::ParseNestedMeta;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, DeriveInput, Field, Ident, LitStr, Token, parenthesized, token};

use crate::attributes::{self, Members};

const KINDS: [&str; 12] = [
    "text", "int", "num", "bool", "date", "id", "uuid", "binary", "list", "map", "any", "file",
];
const GROUPS: [&str; 7] = [
    "source",
    "campaign",
    "bucket_list",
    "ticket",
    "status",
    "sectors",
    "related",
];

/// One stored field.
struct Stored<'a> {
    field: &'a Field,
    name: String,
    stored: String,
    kind: Option<LitStr>,
    of: Option<LitStr>,
    more: String,
}

pub(crate) fn derive(input: &DeriveInput) -> syn::Result<TokenStream> {
    let fields = crate::args::named_fields(input)?;
    let fields = fields.iter().map(parse).collect::<syn::Result<Vec<_>>>()?;
    let Head {
        name,
        members: head,
        tasks,
    } = head(input, &fields)?;
    let ident = &input.ident;
    let create = tasks.then(|| made_by_host(ident));
    let declarations = fields.iter().map(Stored::declaration);
    let checks = fields.iter().map(Stored::check);
    let idents: Vec<_> = fields.iter().map(|stored| &stored.field.ident).collect();
    let stored: Vec<_> = fields.iter().map(|stored| &stored.stored).collect();
    let uses = uses(ident, &idents);
    // What is part of another type has no fields.
    let values = if fields.is_empty() {
        quote!(let _ = tlo;)
    } else {
        quote!(let mut values = tlo.get_many(&[#(#stored),*])?.into_iter();)
    };
    Ok(quote! {
        #[automatically_derived]
        impl ::critd_sdk::TloType for #ident {
            const NAME: &'static str = #name;

            fn declare_type(out: &mut ::std::string::String) {
                #(#checks)*
                out.push_str(#head);
                #(#declarations)*
                out.push(']');
            }

            fn read(tlo: &::critd_sdk::Tlo) -> ::core::result::Result<Self, ::critd_sdk::Fault> {
                #values
                ::core::result::Result::Ok(Self { #(#idents: ::critd_sdk::declare::take_field(&mut values, #stored)?),* })
            }
        }

        #create
        #uses
    })
}

/// What is posted to a type of tasks is answered by the host.
fn made_by_host(ident: &Ident) -> TokenStream {
    quote! {
        #[automatically_derived]
        impl ::critd_sdk::Create for #ident {
            fn declare_create(out: &mut ::std::string::String) {
                out.push_str(",\"args\":[]");
            }

            fn create(raw: ::std::vec::Vec<::critd_sdk::RawArg>) -> ::critd_sdk::Outcome {
                ::core::mem::drop(raw);
                ::core::result::Result::Err(::critd_sdk::internal("tasks are handed out by the host"))
            }
        }
    }
}

pub(crate) fn derive_fields(input: &DeriveInput) -> syn::Result<TokenStream> {
    let fields = crate::args::named_fields(input)?;
    let fields = fields.iter().map(parse).collect::<syn::Result<Vec<_>>>()?;
    let ident = &input.ident;
    let declarations = fields.iter().map(Stored::declaration);
    let checks = fields.iter().map(Stored::check);
    let idents: Vec<_> = fields.iter().map(|stored| &stored.field.ident).collect();
    let stored: Vec<_> = fields.iter().map(|stored| &stored.stored).collect();
    let uses = uses(ident, &idents);
    Ok(quote! {
        #[automatically_derived]
        impl ::critd_sdk::FromValue for #ident {
            fn from_json(json: ::critd_sdk::Json) -> ::core::option::Option<Self> {
                let ::critd_sdk::Json::Object(mut map) = json else { return ::core::option::Option::None };
                ::core::option::Option::Some(Self { #(#idents: ::critd_sdk::take_member(&mut map, #stored)?),* })
            }
        }

        #[automatically_derived]
        impl ::critd_sdk::declare::FieldType for #ident {
            const KINDS: &'static [&'static str] = &["map"];

            fn fields(out: &mut ::std::string::String) {
                #(#checks)*
                #(#declarations)*
            }
        }

        #uses
    })
}

/// A struct that only declares is never read: say that its fields have their use.
fn uses(ident: &Ident, fields: &[&Option<Ident>]) -> TokenStream {
    quote! {
        const _: fn(&#ident) = |declared| {
            let #ident { #(#fields),* } = declared;
            #(let _ = #fields;)*
        };
    }
}

fn parse(field: &Field) -> syn::Result<Stored<'_>> {
    const KNOWN: &str = "name, stored, kind, of, required, default, sortable, indexed, searchable, vocab, bucket, protected, refers";
    let mut name = field
        .ident
        .as_ref()
        .map(|ident| ident.unraw().to_string())
        .unwrap_or_default();
    let (mut stored, mut kind, mut of) = (None, None, None);
    let mut more = Members::default();
    more.add_text("summary", &attributes::summary(&field.attrs));
    for attribute in field
        .attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("field"))
    {
        attribute.parse_nested_meta(|meta| {
            let key = meta
                .path
                .get_ident()
                .map(|key| key.unraw().to_string())
                .unwrap_or_default();
            match key.as_str() {
                "name" => name = attributes::text(&meta)?.value(),
                "stored" => stored = Some(attributes::text(&meta)?.value()),
                "kind" => kind = Some(attributes::word(attributes::text(&meta)?, &KINDS)?),
                "of" => of = Some(attributes::word(attributes::text(&meta)?, &KINDS)?),
                "default" => more.add(&key, attributes::json(&meta)?),
                "required" | "sortable" | "indexed" | "searchable" | "protected" | "refers" => {
                    if attributes::flag(&meta)? {
                        more.add(&key, true);
                    }
                }
                "vocab" | "bucket" => more.add(&key, attributes::text(&meta)?.value()),
                _ => return Err(attributes::unknown(&meta, KNOWN)),
            }
            Ok(())
        })?;
    }
    if let Some(stored) = &stored {
        more.add("stored", stored.as_str());
    }
    let stored = stored.unwrap_or_else(|| name.clone());
    Ok(Stored {
        field,
        name,
        stored,
        kind,
        of,
        more: more.into_text(),
    })
}

impl Stored<'_> {
    fn declaration(&self) -> TokenStream {
        let Self {
            field, name, more, ..
        } = self;
        let rust_type = &field.ty;
        let kind = self.kind.as_ref().map(LitStr::value).unwrap_or_default();
        let of = self.of.as_ref().map(LitStr::value).unwrap_or_default();
        quote_spanned! {rust_type.span()=>
            ::critd_sdk::declare::field::<#rust_type>(out, &::critd_sdk::declare::FieldSpec {
                name: #name, kind: #kind, of: #of, more: #more,
            });
        }
    }

    fn check(&self) -> Option<TokenStream> {
        let (kind, rust_type) = (self.kind.as_ref()?, &self.field.ty);
        Some(
            quote_spanned!(kind.span()=> const _: () = ::critd_sdk::declare::check_field::<#rust_type>(#kind);),
        )
    }
}

/// What the attributes of a type say.
struct Head {
    name: String,
    /// Members of the declaration up to the opened list of fields.
    members: String,
    /// The host makes its documents.
    tasks: bool,
}

fn head(input: &DeriveInput, fields: &[Stored]) -> syn::Result<Head> {
    const KNOWN: &str = "name, resource, collection, part_of, schema_version, sources, author_source, top_level, keys, lookup, family, shared, methods, permission, refusal, read_permission, permission_check, empty_id, answer_keys, notifies, tasks, triage";
    let mut name = LitStr::new(&input.ident.to_string(), input.ident.span());
    let (mut resource, mut collection, mut sources, mut top_level) = (None, None, true, true);
    let (mut shared, mut part_of, mut more) = (None, None, Members::default());
    let mut tasks = false;
    more.add_text("summary", &attributes::summary(&input.attrs));
    for attribute in input
        .attrs
        .iter()
        .filter(|attribute: &&Attribute| attribute.path().is_ident("tlo"))
    {
        attribute.parse_nested_meta(|meta| {
            let key = meta
                .path
                .get_ident()
                .map(Ident::to_string)
                .unwrap_or_default();
            match key.as_str() {
                "name" => name = attributes::text(&meta)?,
                "resource" => resource = Some(attributes::text(&meta)?.value()),
                "collection" => collection = Some(attributes::text(&meta)?.value()),
                "schema_version" => more.add(
                    &key,
                    meta.value()?
                        .parse::<syn::LitInt>()?
                        .base10_parse::<u32>()?,
                ),
                "sources" => sources = attributes::flag(&meta)?,
                "top_level" => top_level = attributes::flag(&meta)?,
                "part_of" => part_of = Some(attributes::text(&meta)?.value()),
                "empty_id" | "author_source" => more.add(&key, attributes::flag(&meta)?),
                "tasks" => {
                    tasks = attributes::flag(&meta)?;
                    more.add(&key, tasks);
                }
                "triage" => more.add(
                    &key,
                    attributes::word(attributes::text(&meta)?, &["new", "unanalysed"])?.value(),
                ),
                "answer_keys" | "notifies" => more.add(&key, attributes::json(&meta)?),
                "keys" => more.add(&key, keys(&meta, fields)?),
                "lookup" | "family" => {
                    let name = attributes::text(&meta)?;
                    if !fields.iter().any(|field| field.stored == name.value()) {
                        return Err(syn::Error::new(
                            name.span(),
                            "no field is stored under this name",
                        ));
                    }
                    more.add(&key, name.value());
                }
                "shared" => {
                    let groups = attributes::texts(&meta)?
                        .into_iter()
                        .map(|group| attributes::word(group, &GROUPS));
                    shared = Some(
                        groups
                            .map(|group| Ok(group?.value()))
                            .collect::<syn::Result<Vec<_>>>()?,
                    );
                }
                "methods" => {
                    let methods = attributes::texts(&meta)?;
                    more.add_texts(
                        &key,
                        &methods
                            .into_iter()
                            .map(|method| attributes::word(method, &["GET", "POST", "PATCH"]))
                            .collect::<syn::Result<Vec<_>>>()?,
                    );
                }
                "permission" | "read_permission" | "refusal" => {
                    more.add(&key, attributes::text(&meta)?.value())
                }
                "permission_check" => more.add(
                    &key,
                    attributes::word(
                        attributes::text(&meta)?,
                        &["first", "after_arguments", "within"],
                    )?
                    .value(),
                ),
                _ => return Err(attributes::unknown(&meta, KNOWN)),
            }
            Ok(())
        })?;
    }
    attributes::check_name(&name.value(), name.span())?;
    let lacking = |what: &str| {
        syn::Error::new(
            input.ident.span(),
            format!("a type needs #[tlo({what} = \"…\")]"),
        )
    };
    let resource = resource.ok_or_else(|| lacking("resource"))?;
    if let Some(whole) = &part_of {
        (sources, top_level) = (false, false);
        more.add("part_of", whole.as_str());
        more.add_texts("methods", &[LitStr::new("POST", input.ident.span())]);
    } else {
        more.add(
            "collection",
            collection.ok_or_else(|| lacking("collection"))?,
        );
    }
    let shared = shared.unwrap_or_else(|| match (top_level, sources) {
        (true, true) => GROUPS.map(String::from).to_vec(),
        (true, false) => GROUPS[1..]
            .iter()
            .map(|group| (*group).to_owned())
            .collect(),
        (false, true) => vec![GROUPS[0].to_owned()],
        (false, false) => Vec::new(),
    });
    more.add("resource", resource);
    more.add("sources", sources);
    more.add("top_level", top_level);
    more.add("shared", shared);
    let members = format!(
        "\"name\":{}{},\"fields\":[",
        Value::from(name.value()),
        more.into_text()
    );
    Ok(Head {
        name: name.value(),
        members,
        tasks,
    })
}

/// `keys(domain)`, `keys((identifier_type, name), other)`: fields of the struct, answered by their stored names.
fn keys(meta: &ParseNestedMeta, fields: &[Stored]) -> syn::Result<Vec<Value>> {
    let stored = |ident: Ident| {
        let found = fields.iter().find(|field| {
            field
                .field
                .ident
                .as_ref()
                .is_some_and(|name| name.unraw() == ident.unraw())
        });
        found
            .map(|field| Value::from(field.stored.as_str()))
            .ok_or_else(|| syn::Error::new(ident.span(), "no field of this name"))
    };
    let inner;
    parenthesized!(inner in meta.input);
    let mut keys = Vec::new();
    while !inner.is_empty() {
        let mut key = Vec::new();
        if inner.peek(token::Paren) {
            let parts;
            parenthesized!(parts in inner);
            for part in
                Punctuated::<Ident, Token![,]>::parse_terminated_with(&parts, Ident::parse_any)?
            {
                key.push(stored(part)?);
            }
        } else {
            key.push(stored(inner.call(Ident::parse_any)?)?);
        }
        keys.push(Value::Array(key));
        if !inner.is_empty() {
            inner.parse::<Token![,]>()?;
        }
    }
    Ok(keys)
}
