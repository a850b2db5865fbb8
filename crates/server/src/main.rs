//! Entry point: everything is in the library, where tests reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    nexus_mint::cli::main()
}
