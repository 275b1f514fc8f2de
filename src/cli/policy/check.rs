//! `opsgate policy check`: is this a policy, and does it say what it seems to say?

use std::path::PathBuf;

use serde_json::json;

use super::{Failure, bad, exit, load, out};
use crate::catalogue;
use crate::home::Settings;
use crate::policy::{Warning, draw};

#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    /// The file [default: the policy the gateway would use]
    file: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(settings: &Settings, Args { file, json: as_json }: Args) -> Result<u8, Failure> {
    let catalogue = catalogue::catalogue().map_err(bad)?;
    match load(settings, file.as_deref(), &catalogue) {
        Ok(policy) => {
            if as_json {
                out::json(&json!({ "ok": true, "hash": policy.hash(), "warnings": policy.warnings() }));
            } else {
                let drawn = draw(policy.warnings().iter().map(Warning::finding), out::look(&std::io::stdout()));
                let count = policy.warnings().len();
                let warnings = match count {
                    0 => String::new(),
                    1 => ", with a warning".to_owned(),
                    _ => format!(", with {count} warnings"),
                };
                out::say(format!("{drawn}the policy is sound{warnings}: {}", policy.hash()));
            }
            Ok(exit::OK)
        }
        Err(errors) if as_json => {
            out::json(&json!({ "ok": false, "errors": errors.all() }));
            Ok(exit::BAD_CONFIGURATION)
        }
        Err(errors) => Err(errors.into()),
    }
}
