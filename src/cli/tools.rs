//! `opsgate tools`

use std::sync::Arc;

use comfy_table::{Table, presets};
use serde_json::json;

use super::{Failure, exit, out};
use crate::catalogue;
use crate::gateway::load_policy;
use crate::home::Settings;
use crate::identity::Caller;

/// Lists tools.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The caller to list for [default: you]
    #[arg(long = "as", value_name = "CALLER")]
    caller: Option<String>,
    /// Print the list with schemas as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(settings: &Settings, args: &Args) -> Result<u8, Failure> {
    let bad = |error: &dyn std::fmt::Display| Failure::new(exit::BAD_CONFIGURATION, error);
    let catalogue = catalogue::catalogue().map_err(|e| bad(&e))?;
    let policy = Arc::new(load_policy(settings, &catalogue).map_err(|e| bad(&e))?);
    let registry = catalogue::registry(&policy, settings).map_err(|e| bad(&e))?;
    let caller = args.caller.clone().unwrap_or_else(|| Caller::of_this_process().id().to_string());
    let specs: Vec<_> = catalogue::specs(&registry).into_iter().filter(|spec| policy.could_permit(&caller, true, spec)).collect();
    if args.json {
        let tools: Vec<_> = specs
            .iter()
            .map(|spec| {
                let card = spec.card;
                json!({ "name": card.name, "system": card.system, "class": spec.class, "description": card.description,
                        "input_schema": *spec.input_schema, "output_schema": *spec.output_schema })
            })
            .collect();
        out::json(&json!({ "caller": caller, "policy": policy.hash(), "tools": tools }));
        return Ok(exit::OK);
    }
    if specs.is_empty() {
        out::say(format!("the policy gives `{caller}` no tool; `opsgate policy explain TOOL --caller {caller}` says why"));
        return Ok(exit::OK);
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["tool", "class", "what it is for"]);
    for spec in &specs {
        let class = serde_json::to_value(spec.class).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
        table.add_row([spec.card.name, &class, spec.card.title]);
    }
    out::say(table.trim_fmt());
    Ok(exit::OK)
}
