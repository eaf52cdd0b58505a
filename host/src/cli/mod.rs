//! The command line: an interface that operators script.
//!
//! Data goes to standard output, everything else to standard error. Exit codes: 0 done, 1 refused or failed, 2 usage.
//! All commands but `migrate` may run while a server serves the same store.
//!
//! ```text
//! grammar    what can be written
//! output     tables, JSON, messages
//! multiply   multiply: many documents for measurements
//! migrate    migrate, digest: whole stores, of either kind
//! explain    explain
//! records    init, source, user, role, key, register, set, get
//! services   service
//! plugin     plugin list|show|check|rollback|build
//! place      which store, and opening it
//! options    what `serve` takes from flags, environment and critd.toml
//! serve      the server
//! ```

mod explain;
mod grammar;
mod migrate;
mod multiply;
mod options;
mod output;
mod place;
mod plugin;
mod records;
mod serve;
mod services;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::{IsTerminal as _, Read};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;

use crate::access::AdminError;
use crate::store::{Store, StoreError};
use grammar::{Arguments, Command};
use output::Terminal;
use place::Place;

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command can't be meant: exit code 2.
    Usage(String),
    /// Refused or failed: exit code 1.
    Refused {
        /// What is wrong.
        message: String,
        /// What to do next.
        hint: Option<String>,
    },
}

impl Failure {
    fn refused(message: impl Into<String>) -> Self {
        Self::Refused {
            message: message.into(),
            hint: None,
        }
    }

    fn with_hint(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Refused {
            message: message.into(),
            hint: Some(hint.into()),
        }
    }
}

impl From<AdminError> for Failure {
    fn from(error: AdminError) -> Self {
        match error {
            AdminError::Refused { message, hint } => Self::Refused { message, hint },
            AdminError::Failed(message) => Self::refused(message),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::refused(error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::refused(error.to_string())
    }
}

/// The program: reads the arguments of the process, carries the command out, answers the exit code.
#[must_use]
pub fn main() -> ExitCode {
    let mut out = std::io::stdout();
    let mut err = std::io::stderr();
    let mut input = std::io::stdin();
    let mut terminal = Terminal::new(&mut out, &mut err, &mut input);
    terminal.live = std::io::stderr().is_terminal();
    ExitCode::from(run(std::env::args_os(), &mut terminal))
}

/// Carries a command line out; the first argument is the name of the program.
pub(crate) fn run(
    arguments: impl IntoIterator<Item = OsString>,
    terminal: &mut Terminal<'_>,
) -> u8 {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() => {
            terminal.say(error.to_string().trim_end());
            return 2;
        }
        // `--help` and `--version` are data.
        Err(error) => {
            let _ = write!(terminal.out, "{error}");
            return 0;
        }
    };
    match perform(arguments, terminal) {
        Ok(()) => 0,
        Err(Failure::Usage(message)) => {
            terminal.say(&format!("error: {message}"));
            2
        }
        Err(Failure::Refused { message, hint }) => {
            terminal.say(&format!("error: {message}"));
            if let Some(hint) = hint {
                terminal.say(&format!("hint: {hint}"));
            }
            1
        }
    }
}

fn perform(arguments: Arguments, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
    terminal.json = arguments.json;
    let place = Place {
        data: arguments.data,
        store: arguments.store,
    };
    if let Command::Serve(given) = arguments.command {
        let options = options::Options::gather(given, place)?;
        return serve::run(&options);
    }
    if let Command::Plugin(command) = arguments.command {
        return plugin::run(&place, command, terminal);
    }
    // One thread is enough for a command; the store has threads of its own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match &arguments.command {
            Command::Migrate { from, to } => return migrate::run(from, to, terminal).await,
            Command::Digest => return migrate::digest(&place, terminal).await,
            _ => {}
        }
        if let Command::Init = arguments.command {
            return records::init(&place, terminal).await;
        }
        let opened = place.open().await?;
        let store = &opened.store;
        let done = command_on(&place, store, arguments.command, terminal).await;
        // What was changed is safe already; closing tidies the files up.
        store.close().await?;
        done
    })
}

async fn command_on(
    place: &Place,
    store: &Arc<dyn Store>,
    command: Command,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    match command {
        Command::Source(command) => records::source(store, command, terminal).await,
        Command::User(command) => records::user(store, command, terminal).await,
        Command::Role(command) => records::role(store, command, terminal).await,
        Command::Key(command) => records::key(store, command, terminal).await,
        Command::Register(command) => records::register(store, command, terminal).await,
        Command::Service(command) => services::run(store, command, terminal).await,
        Command::Set { values } => records::set(store, &values, terminal).await,
        Command::Get { name } => records::get(store, name.as_deref(), terminal).await,
        Command::Multiply {
            collection,
            like,
            from,
            to,
        } => multiply::run(store, &collection, &like, from..to, terminal).await,
        Command::Explain { url, user } => {
            explain::run(place, store, &url, user.as_deref(), terminal).await
        }
        // Carried out above: they need no store or open it in a way of their own.
        Command::Init
        | Command::Migrate { .. }
        | Command::Digest
        | Command::Plugin(_)
        | Command::Serve(_) => Ok(()),
    }
}

/// A password from standard input: everything up to the end, without one line end.
fn read_password(input: &mut dyn Read) -> Result<String, Failure> {
    const MOST: u64 = 4_096;
    let mut text = String::new();
    input
        .take(MOST + 1)
        .read_to_string(&mut text)
        .map_err(|error| Failure::refused(format!("the password can't be read: {error}")))?;
    let password = text.strip_suffix('\n').map_or(text.as_str(), |line| {
        line.strip_suffix('\r').unwrap_or(line)
    });
    if password.is_empty() {
        return Err(Failure::refused(
            "there is no password on standard input; nothing was changed",
        ));
    }
    if text.len() as u64 > MOST {
        return Err(Failure::refused(
            "the password is longer than 4,096 bytes; nothing was changed",
        ));
    }
    Ok(password.to_owned())
}
