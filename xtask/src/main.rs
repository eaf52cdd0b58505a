//! The commands of this repository, run as `cargo xtask COMMAND`.

mod bench;
mod check;
mod client;
mod demo;
mod mongod;
mod plugins;
mod server;
mod wasm_target;
mod workspace;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;
use workspace::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The commands of this repository")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make sure that plugins can be compiled: the wasm32-unknown-unknown target or a substitute.
    WasmTarget,
    /// Build the server and every plugin (and the tests' guests) into target/plugins and target/guests.
    Plugins,
    /// Set up a demonstration server, load real data through its API and serve it.
    Run(demo::Options),
    /// Run every check and every test.
    Test(check::Options),
    /// Measure the numbers of docs/PERFORMANCE.md on this machine.
    Bench(bench::Options),
    /// Record the contract files that are new; files once recorded are frozen.
    WitRecord,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<()> {
    let workspace = Workspace::find()?;
    match arguments.command {
        Command::WasmTarget => {
            let found = wasm_target::ensure(&workspace)?;
            println!("{found}");
            Ok(())
        }
        Command::Plugins => plugins::build_all(&workspace).map(drop),
        Command::Run(options) => demo::run(&workspace, &options),
        Command::Test(options) => check::run(&workspace, &options),
        Command::Bench(options) => bench::run(&workspace, &options),
        Command::WitRecord => check::wit::record(&workspace),
    }
}
