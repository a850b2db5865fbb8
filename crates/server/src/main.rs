//! Entry point: everything is in the library, where tests reach it.

use std::process::ExitCode;

/// A request is a few hundred small pieces of memory: see docs/decisions/0035-shared-connections.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    nexus_mint::cli::main()
}
