//! `opsgate`: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    opsgate::cli::run()
}
