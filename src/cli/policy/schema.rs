//! `opsgate policy schema`: what a policy may look like, for editors.

use super::{Failure, bad, exit, out};
use crate::catalogue;
use crate::policy::schema;

#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    /// Print JSON, as it does anyway
    #[arg(long)]
    #[allow(dead_code, reason = "every command takes it")]
    json: bool,
}

pub(super) fn run(_: &Args) -> Result<u8, Failure> {
    out::json(&schema(&catalogue::catalogue().map_err(bad)?));
    Ok(exit::OK)
}
