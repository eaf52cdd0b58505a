//! The function below `#[action]`, `#[create]` or `#[service]`: what its parameters are.

use proc_macro2::TokenStream;
use quote::quote;
use syn::spanned::Spanned;
use syn::{FnArg, ItemFn, Type};

/// What a handler does with the document.
#[derive(Clone, Copy)]
pub(crate) enum Access {
    /// `&Tlo`
    Read,
    /// `&mut Tlo`
    Write,
}

/// How a handler is called.
pub(crate) struct Signature {
    /// Its arguments in order.
    pub(crate) call: Vec<TokenStream>,
    /// Type of the struct of arguments.
    pub(crate) args: Option<Type>,
    /// It wants the document.
    pub(crate) tlo: Option<Access>,
    /// It wants the shared arguments.
    pub(crate) shared: bool,
    /// It wants the task.
    pub(crate) task: bool,
}

/// Sorts the parameters by their types.
pub(crate) fn signature(function: &ItemFn) -> syn::Result<Signature> {
    let head = &function.sig;
    if let Some(word) = &head.asyncness {
        return Err(syn::Error::new(
            word.span(),
            "handlers are not async: host functions answer when they are done",
        ));
    }
    if !head.generics.params.is_empty() {
        return Err(syn::Error::new(
            head.generics.span(),
            "handlers have no type parameters",
        ));
    }
    let mut found = Signature {
        call: Vec::new(),
        args: None,
        tlo: None,
        shared: false,
        task: false,
    };
    for input in &head.inputs {
        let FnArg::Typed(input) = input else {
            return Err(syn::Error::new(input.span(), "handlers are free functions"));
        };
        let argument = match &*input.ty {
            Type::Reference(reference) => match last_name(&reference.elem).as_str() {
                "Tlo" if reference.mutability.is_some() => {
                    found.tlo = Some(Access::Write);
                    quote!(&mut tlo)
                }
                "Tlo" => {
                    found.tlo = Some(Access::Read);
                    quote!(&tlo)
                }
                "Call" => quote!(&::critd_sdk::Call),
                "Task" => {
                    found.task = true;
                    quote!(&::critd_sdk::Task)
                }
                "Shared" => {
                    found.shared = true;
                    quote!(&shared)
                }
                _ => {
                    return Err(syn::Error::new(
                        input.ty.span(),
                        "expected &mut Tlo, &Tlo, &Call, &Shared, &Task, or a struct of arguments by value",
                    ));
                }
            },
            by_value if last_name(by_value) == "Shared" => {
                found.shared = true;
                quote!(shared)
            }
            by_value if matches!(last_name(by_value).as_str(), "Tlo" | "Call" | "Task") => {
                return Err(syn::Error::new(by_value.span(), "take it by reference"));
            }
            by_value => {
                if found.args.replace(by_value.clone()).is_some() {
                    return Err(syn::Error::new(
                        by_value.span(),
                        "there is one struct of arguments",
                    ));
                }
                quote!(args)
            }
        };
        found.call.push(argument);
    }
    Ok(found)
}

/// Only services work on a task.
pub(crate) fn refuse_task(function: &ItemFn, signature: &Signature) -> syn::Result<()> {
    if signature.task {
        return Err(syn::Error::new(
            function.sig.inputs.span(),
            "only services have a task",
        ));
    }
    Ok(())
}

fn last_name(rust_type: &Type) -> String {
    match rust_type {
        Type::Path(path) => path
            .path
            .segments
            .last()
            .map(|last| last.ident.to_string())
            .unwrap_or_default(),
        _ => String::new(),
    }
}
