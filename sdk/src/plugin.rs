//! What the macros implement, and how the host's calls reach it.

use crate::bindings::critd::plugin::types::Outcome as WireOutcome;
use crate::bindings::exports::critd::plugin::plugin;
use crate::bindings::handler::exports::critd::plugin::handler;
use crate::bindings::service::exports::critd::plugin::service;
use crate::{Analysis, Answer, Fault, Outcome, RawArg, Tlo};

/// A plugin: implemented by [`crate::plugin!`].
pub trait Plugin {
    /// The declaration, JSON.
    fn declaration() -> String;

    /// A PATCH action on [`Tlo::current`].
    ///
    /// # Errors
    ///
    /// The action's fault.
    fn run(action: &str, args: Vec<RawArg>) -> Outcome;

    /// A POST.
    ///
    /// # Errors
    ///
    /// The create function's fault.
    fn create(type_name: &str, args: Vec<RawArg>) -> Outcome;

    /// Is [`Tlo::current`] something for a service?
    ///
    /// # Errors
    ///
    /// Why not.
    fn accepts(service: &str) -> Result<(), Fault>;

    /// The analysis of [`Tlo::current`] by a service.
    ///
    /// # Errors
    ///
    /// The service's fault.
    fn analyse(service: &str, options: Vec<RawArg>) -> Analysis;
}

/// Arguments of an action or a create, options of a service: implemented by `#[derive(Args)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a struct of arguments",
    note = "add #[derive(Args)] to it"
)]
pub trait Args: Sized {
    /// Writes the declarations, comma-separated.
    fn declare(out: &mut String);

    /// Decodes what the host validated.
    ///
    /// # Errors
    ///
    /// `internal`: an argument is not as declared, which the host rules out.
    fn from_args(args: Vec<RawArg>) -> Result<Self, Fault>;
}

/// A type: implemented by `#[derive(TloType)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a type of this plugin",
    note = "add #[derive(TloType)] to it"
)]
pub trait TloType: Sized {
    /// Type name.
    const NAME: &'static str;

    /// Writes the members of the declaration that the struct knows.
    fn declare_type(out: &mut String);

    /// Reads all declared fields of a document.
    ///
    /// # Errors
    ///
    /// `internal`: a stored value has another kind.
    fn read(tlo: &Tlo) -> Result<Self, Fault>;
}

/// How a type is created: implemented by `#[create(…)]`.
#[diagnostic::on_unimplemented(
    message = "nothing creates `{Self}`",
    note = "write a function with #[create({Self})]"
)]
pub trait Create: TloType {
    /// Writes the members of the declaration that the function knows.
    fn declare_create(out: &mut String);

    /// Decodes the arguments and calls the function.
    ///
    /// # Errors
    ///
    /// The function's fault.
    fn create(args: Vec<RawArg>) -> Outcome;
}

/// An action: implemented by `#[action(…)]` for a type that is named like the function.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an action",
    note = "add #[action(…)] to the function"
)]
pub trait Action {
    /// Its name.
    const NAME: &'static str;

    /// Writes the members of the declaration.
    fn declare(out: &mut String);

    /// Decodes the arguments and calls the function.
    ///
    /// # Errors
    ///
    /// The function's fault.
    fn run(args: Vec<RawArg>) -> Outcome;
}

/// An analysis service: implemented by `#[service(…)]` for a type that is named like the function.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a service",
    note = "add #[service(…)] to the function"
)]
pub trait Service {
    /// Its name.
    const NAME: &'static str;

    /// Writes the members of the declaration.
    fn declare(out: &mut String);

    /// Calls the function that the author named, if any.
    ///
    /// # Errors
    ///
    /// That function's fault.
    fn accepts() -> Result<(), Fault>;

    /// Decodes the options and calls the function.
    ///
    /// # Errors
    ///
    /// The function's fault.
    fn analyse(options: Vec<RawArg>) -> Analysis;
}

impl<P: Plugin> plugin::Guest for P {
    fn describe() -> String {
        P::declaration()
    }
}

impl<P: Plugin> handler::Guest for P {
    fn run(action: String, args: Vec<RawArg>) -> Result<WireOutcome, Fault> {
        log_panics();
        P::run(&action, args).map(Answer::into_wire)
    }

    fn create(type_name: String, args: Vec<RawArg>) -> Result<WireOutcome, Fault> {
        log_panics();
        P::create(&type_name, args).map(Answer::into_wire)
    }
}

impl<P: Plugin> service::Guest for P {
    fn accepts(service: String) -> Result<(), Fault> {
        log_panics();
        P::accepts(&service)
    }

    fn analyse(service: String, options: Vec<RawArg>) -> Result<String, Fault> {
        log_panics();
        P::analyse(&service, options)
    }
}

/// A panic ends the call with a trap that has no text; what happened and where goes to the log.
fn log_panics() {
    if cfg!(target_arch = "wasm32") {
        std::panic::set_hook(Box::new(|panic| crate::log::write(4, &panic.to_string())));
    }
}
