//! `opsgate tools`

use std::sync::Arc;

use comfy_table::{Table, presets};
use opsgate_tools::tool::Class;
use rmcp::ServiceExt;
use rmcp::model::Tool;
use serde_json::json;

use super::{Failure, exit, out};
use crate::catalogue;
use crate::gateway::load_policy;
use crate::home::Settings;
use crate::identity::Caller;
use crate::server::{Hello, join_or_start};
use crate::trust::Trust;

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

pub(super) async fn run(settings: Settings, args: &Args) -> Result<u8, Failure> {
    // The machine's gateway has a policy that its callers need not be able to read: it is asked.
    if args.caller.is_none() && settings.service().is_some() {
        return of_service(&settings, args.json).await;
    }
    let settings = &super::with_its_policy(settings);
    let bad = |error: &dyn std::fmt::Display| Failure::new(exit::BAD_CONFIGURATION, error);
    let catalogue = catalogue::catalogue().map_err(|e| bad(&e))?;
    let policy = Arc::new(load_policy(settings, &catalogue)?);
    let standing = catalogue::standing(settings);
    let registry = catalogue::registry(&policy, settings, &standing).map_err(|e| bad(&e))?;
    let caller = args.caller.clone().unwrap_or_else(|| Caller::of_this_process().id().to_string());
    let same_user = standing.towards_id(&caller) == Trust::SameUser;
    let specs: Vec<_> = catalogue::specs(&registry).into_iter().filter(|spec| policy.could_permit(&caller, same_user, spec)).collect();
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
    let rows = specs.iter().map(|spec| (spec.card.name.to_owned(), spec.class == Class::Read, spec.card.title.to_owned())).collect();
    show(rows, &caller);
    Ok(exit::OK)
}

/// The tools that the machine's gateway lists for this user.
async fn of_service(settings: &Settings, as_json: bool) -> Result<u8, Failure> {
    let hello = Hello::new(settings, None, false).map_err(|error| Failure::new(exit::BAD_CONFIGURATION, error))?;
    let (stream, reply) = join_or_start(settings, &hello).await?;
    if let Some(error) = reply.error {
        return Err(Failure::new(exit::BAD_CONFIGURATION, error));
    }
    let lost = |error: &dyn std::fmt::Display| Failure::new(exit::FINDING, format!("the gateway was lost: {error}"));
    let client = ().serve(stream).await.map_err(|error| lost(&error))?;
    let tools = client.list_all_tools().await;
    let _ = client.cancel().await;
    let tools = tools.map_err(|error| lost(&error))?;
    let caller = Caller::of_this_process().id().clone();
    let is_read = |tool: &Tool| tool.annotations.as_ref().and_then(|hints| hints.read_only_hint) == Some(true);
    if as_json {
        let tools: Vec<_> = tools
            .iter()
            .map(|tool| {
                json!({ "name": tool.name, "class": if is_read(tool) { "read" } else { "write" }, "description": tool.description,
                        "input_schema": *tool.input_schema, "output_schema": tool.output_schema })
            })
            .collect();
        out::json(&json!({ "caller": caller, "policy": reply.about.map(|about| about.policy), "tools": tools }));
        return Ok(exit::OK);
    }
    let title = |tool: &Tool| tool.annotations.as_ref().and_then(|hints| hints.title.clone()).unwrap_or_default();
    show(tools.iter().map(|tool| (tool.name.to_string(), is_read(tool), title(tool))).collect(), &caller);
    Ok(exit::OK)
}

/// Name, whether it reads, title.
fn show(rows: Vec<(String, bool, String)>, caller: &str) {
    if rows.is_empty() {
        out::say(format!("the policy gives `{caller}` no tool; `opsgate policy explain TOOL --caller {caller}` says why"));
        return;
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["tool", "class", "what it is for"]);
    for (name, reads, title) in &rows {
        table.add_row([name.as_str(), if *reads { "read" } else { "write" }, title]);
    }
    out::say(table.trim_fmt());
}
