//! `opsgate unseal`

use serde_json::json;

use super::{Failure, exit, out};
use crate::gateway::audit_options;
use crate::home::Settings;

/// Reopens a sealed log.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Print what was found as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(settings: &Settings, args: &Args) -> Result<u8, Failure> {
    let home = super::own_home(settings, "unseal")?;
    let _only = home.lock()?;
    let unsealed =
        opsgate_audit::unseal(audit_options(&home)?).map_err(|error| Failure::new(exit::FINDING, format!("the log stays sealed: {error}")))?;
    match (args.json, &unsealed.why) {
        (true, reason) => out::json(&json!({ "was_sealed": reason.is_some(), "reason": reason, "entries": unsealed.opened.entries })),
        (false, None) => out::say("the log was not sealed"),
        (false, Some(reason)) => {
            out::say(format!("the log holds {} entries, all in order, and is open again; it had sealed because: {reason}", unsealed.opened.entries))
        }
    }
    Ok(exit::OK)
}
