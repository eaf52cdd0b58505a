//! The binary: see [`critd::cli`].

fn main() -> std::process::ExitCode {
    critd::cli::main()
}
