//! The derive and attribute macros of `critd-sdk`. They turn ordinary structs and functions into the declaration
//! that the host reads (`describe`), and into the code that decodes arguments and finds the function to call.

mod action;
mod args;
mod attributes;
mod choice;
mod create;
mod example;
mod function;
mod json;
mod plugin;
mod service;
mod tlo_type;

use proc_macro::TokenStream;

/// Arguments of an action or of a create, or the keys of a nested map.
///
/// The doc comment of a field is its description for users. `Option<T>`, or a default, means not required; `bool`
/// defaults to `false`. Attributes of a field, `#[arg(…)]`:
///
/// | key | meaning |
/// | --- | --- |
/// | `name = "type"` | name, if not the field's |
/// | `type = "text"` | `string text bool int num id type date ldate list map file`, if not that of the Rust type |
/// | `of = "text"` | type of a list's elements |
/// | `required`, `required = false` | if not what the Rust type says |
/// | `default = …` | value when absent: a literal, `["a"]`; `"now"` for dates |
/// | `enum("add", "update")` | closed set (an enum with `#[derive(Choice)]` says it by its type) |
/// | `vocab = "Status"` | vocabulary |
/// | `max_length = 500` | longest text in bytes |
/// | `trim`, `nonempty`, `unescape`, `secret` | flags; `trim = false` |
/// | `synonyms("source_name")` | other names |
/// | `missing = "…"`, `invalid = "…"` | texts; `{value}` is what was sent |
/// | `example = …` | an example value |
/// | `scope = "stored"` | of service options: `stored` or `runtime` |
#[proc_macro_derive(Args, attributes(arg))]
pub fn derive_args(input: TokenStream) -> TokenStream {
    expand(input, args::derive)
}

/// A closed set of texts as an enum: `enum Mode { Add, ReplaceAll }` is `add`, `replace_all`; `#[choice("on")]` says another text.
#[proc_macro_derive(Choice, attributes(choice))]
pub fn derive_choice(input: TokenStream) -> TokenStream {
    expand(input, choice::derive)
}

/// The fields of an embedded document of a type; attributes as for `TloType`.
#[proc_macro_derive(Fields, attributes(field))]
pub fn derive_fields(input: TokenStream) -> TokenStream {
    expand(input, tlo_type::derive_fields)
}

/// A type of top-level objects. The doc comment is its description; the struct has the fields that not every type has.
///
/// `#[tlo(…)]`: `resource`, `collection` (required), `name`, `schema_version`, `sources = false`, `top_level = false`,
/// `keys(domain)` or `keys((identifier_type, name))`, `lookup = "domain"`, `shared("source", …)` (default: all),
/// `methods("GET", "POST")`, `permission` (`"{object_type}.comments_add"`: the type is the value of an argument), `refusal`
/// (text when it lacks), `read_permission`, `permission_check = "first"` (before the arguments) or `"within"` (the
/// function calls `call.require("write")` at its place; the host refuses in the end what it let pass), `empty_id`,
/// `answer_keys = {"success": {…}, "failure": {…}, "forbidden": {…}}`, `family = "version"`, `author_source` (the host
/// gives each document the author's organisation as its source).
///
/// `part_of = "Indicator"` instead of `collection`: a resource whose POST adds to documents of another type of the
/// plugin. It has arguments and no fields: `struct IndicatorActivity {}`.
///
/// `#[field(…)]`: `name`, `stored = "type"`, `kind = "uuid"`, `of`, `required`, `default = …`, `sortable`, `indexed`,
/// `searchable`, `vocab`, `bucket`, `protected`, `refers` (an `analyst` in it is whoever made what it tells of).
#[proc_macro_derive(TloType, attributes(tlo, field))]
pub fn derive_tlo_type(input: TokenStream) -> TokenStream {
    expand(input, tlo_type::derive)
}

/// A PATCH action. The doc comment (up to the first heading) is its description.
///
/// `on = "*"` or `on("Actor", …)` and `permission = "flag"` or `permission(by = "tag_type", "Value" = "flag", …)` are
/// required; `name`, `refusal`, `touches("self.tickets", …)`, `answers`. Examples follow as `#[example(…)]`.
///
/// The function's parameters may be, in any order: `&mut Tlo` or `&Tlo`, `&Call`, and a struct with `#[derive(Args)]`.
#[proc_macro_attribute]
pub fn action(attributes: TokenStream, item: TokenStream) -> TokenStream {
    action::expand(attributes.into(), item.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// The function that creates documents of a type: `#[create(Domain, touches("create:IP"))]`. Examples follow as `#[example(…)]`.
///
/// The function's parameters may be, in any order: `&Call`, `&Shared` or `Shared`, and a struct with `#[derive(Args)]`.
#[proc_macro_attribute]
pub fn create(attributes: TokenStream, item: TokenStream) -> TokenStream {
    create::expand(attributes.into(), item.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// An analysis service. The doc comment (up to the first heading) is its description.
///
/// `on = "*"` or `on("Sample", …)` is required; `name`, `version` (default: the crate's), `requires("filedata", …)` (stored
/// fields that a document must have), `accepts = function` (`fn(&Tlo) -> Result<(), Fault>`: is the document something for it?),
/// `touches("create:Domain", …)`, `limits = { time_ms = 60000 }` (less than the operator allows), `template` (how the original's
/// web pages show its results). Options that are `secret` have the scope `stored`. Examples follow as `#[example(…)]`.
///
/// The function's parameters may be, in any order: `&Tlo` or `&mut Tlo`, `&Task`, `&Call`, and a struct of options with
/// `#[derive(Args)]`; it answers `Analysis`. Documents are read-only; creates and relationships take effect at once.
#[proc_macro_attribute]
pub fn service(attributes: TokenStream, item: TokenStream) -> TokenStream {
    service::expand(attributes.into(), item.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// An executable example of an action, a create or a service, below its attribute: run at build, in tests and when the plugin
/// is loaded.
///
/// `#[example("what it shows", before = {…}, args = {…}, message = "…", object = …, extra = {…}, operations = […], fault = {…})]`;
/// also `others`, `may`, `sources`, `files`. The values are JSON. Of a service: `on = "Sample"` (type of the document), `args`
/// are its options, `message` the last line, `results = [{…}]`, `log = [{"warning": "…"}]`.
#[proc_macro_attribute]
pub fn example(_: TokenStream, item: TokenStream) -> TokenStream {
    let item = proc_macro2::TokenStream::from(item);
    let error = syn::Error::new(
        proc_macro2::Span::call_site(),
        "#[example] goes below #[action], #[create] or #[service]",
    )
    .into_compile_error();
    quote::quote!(#error #item).into()
}

/// The plugin itself, once in a crate: `plugin! { name = "domain", summary = "…", types = [Domain], actions = [set_domain] }`.
///
/// Also `services = [file_facts]`, `version` (default: the crate's), `needs = { "create:IP" = "why" }`, `limits = { time_ms = 500 }`, `license`,
/// `homepage`. Makes a struct `Plugin` that implements `critd_sdk::Plugin`, and in WebAssembly the exports.
#[proc_macro]
pub fn plugin(input: TokenStream) -> TokenStream {
    plugin::expand(input.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

fn expand(
    input: TokenStream,
    derive: fn(&syn::DeriveInput) -> syn::Result<proc_macro2::TokenStream>,
) -> TokenStream {
    syn::parse(input)
        .and_then(|input| derive(&input))
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
