//! The binary: see [`critd::cli`].

/// A request makes and drops thousands of small values, on several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    critd::cli::main()
}
