//! `opsgate policy`

use std::path::PathBuf;
use std::sync::Arc;

use opsgate_audit::Digest;
use opsgate_tools::progress::Progress;
use opsgate_tools::tool::CallContext;
use opsgate_tools::workspace::Workspace;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::{Failure, WorkspaceArg, exit, out};
use crate::catalogue;
use crate::gateway::load_policy;
use crate::home::Settings;
use crate::identity::Caller;
use crate::policy::{ChangePart, Facts, Policy, Trigger};
use crate::trust::Trust;

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Read a policy and report every error and warning
    #[command(after_help = "Example: opsgate policy check policy.yaml")]
    Check {
        /// The file [default: the policy the gateway would use]
        file: Option<PathBuf>,
        /// Print the report as JSON
        #[arg(long)]
        json: bool,
    },
    /// Say how a call would be decided, and by which rules
    #[command(after_help = "Example: opsgate policy explain workspace_read_file --caller key:ci --args '{\"path\": \".env\"}'")]
    Explain {
        /// The tool
        tool: String,
        /// The caller [default: you]
        #[arg(long)]
        caller: Option<String>,
        /// Its arguments, a JSON object
        #[arg(long, value_name = "JSON", default_value = "{}")]
        args: String,
        #[command(flatten)]
        workspace: WorkspaceArg,
        /// Print the explanation as JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(settings: &Settings, command: Command) -> Result<u8, Failure> {
    match command {
        Command::Check { file, json } => check(settings, file, json),
        Command::Explain { tool, caller, args, workspace, json } => {
            let args = serde_json::from_str(&args).map_err(|error| Failure::new(exit::USAGE, format!("--args is not a JSON object: {error}")))?;
            explain(settings, &tool, caller, args, workspace, json).await
        }
    }
}

fn check(settings: &Settings, file: Option<PathBuf>, as_json: bool) -> Result<u8, Failure> {
    let catalogue = catalogue::catalogue().map_err(|error| Failure::new(exit::BAD_CONFIGURATION, error))?;
    let loaded = match file {
        Some(file) => Policy::load(&file, &catalogue),
        None => load_policy(settings, &catalogue),
    };
    match loaded {
        Ok(policy) => {
            if as_json {
                out::json(&json!({ "ok": true, "hash": policy.hash(), "warnings": policy.warnings() }));
            } else {
                for warning in policy.warnings() {
                    out::say(format!("warning: {warning}"));
                }
                out::say(format!("the policy is sound: {}", policy.hash()));
            }
            Ok(exit::OK)
        }
        Err(errors) if as_json => {
            out::json(&json!({ "ok": false, "errors": errors }));
            Ok(exit::BAD_CONFIGURATION)
        }
        Err(errors) => Err(Failure::new(exit::BAD_CONFIGURATION, errors)),
    }
}

async fn explain(
    settings: &Settings,
    tool: &str,
    caller: Option<String>,
    args: Map<String, Value>,
    folder: WorkspaceArg,
    as_json: bool,
) -> Result<u8, Failure> {
    let bad = |error: &dyn std::fmt::Display| Failure::new(exit::BAD_CONFIGURATION, error);
    let catalogue = catalogue::catalogue().map_err(|e| bad(&e))?;
    let policy = Arc::new(load_policy(settings, &catalogue).map_err(|e| bad(&e))?);
    let registry = catalogue::registry(&policy, settings).map_err(|e| bad(&e))?;
    let tool = registry.find(tool).ok_or_else(|| Failure::new(exit::USAGE, format!("there is no tool `{tool}`; `opsgate tools` lists them")))?;
    let caller: Arc<str> = caller.map_or_else(|| Caller::of_this_process().id().clone(), Into::into);
    let workspace = match folder.workspace {
        Some(folder) => Some(Workspace::open(&folder).map_err(|e| bad(&e))?),
        None => Workspace::open(std::path::Path::new(".")).ok(),
    };
    let cx =
        CallContext { caller: caller.clone(), workspace: workspace.map(Arc::new), cancel: CancellationToken::new(), progress: Progress::default() };
    let card = tool.spec().card;
    let (scopes, change, failed) = match tool.prepare(args, Digest::new([0; 32]), &cx).await {
        Ok(prepared) => (prepared.scopes, ChangePart::given(&prepared.change), None),
        Err(error) => match error.scopes.clone() {
            Some(scopes) => (*scopes, Vec::new(), Some(error.client)),
            None => return Err(Failure::new(exit::FINDING, error)),
        },
    };
    let facts = Facts {
        caller: &caller,
        tool: card.name,
        system: card.system,
        class: tool.spec().class,
        scopes: &scopes,
        trigger: Trigger::Client,
        write_mode_env_off: settings.write_mode_off,
        same_user: catalogue::standing(settings).towards_id(&caller) == Trust::SameUser,
        change: &change,
        now: jiff::Timestamp::now(),
    };
    let explanation = policy.explain(&facts);
    if as_json {
        out::json(&explanation);
    } else {
        out::say(explanation.to_string());
        if let Some(failed) = failed {
            out::say(format!("note: the call itself would fail: {failed}"));
        }
    }
    Ok(exit::OK)
}
