//! `opsgate`: arguments in, exit code out.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    opsgate_tools::sandbox::enter(); // goes no further in a process that was started to become a command
    opsgate::cli::run()
}
