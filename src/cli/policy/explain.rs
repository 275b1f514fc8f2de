//! `opsgate policy explain`: one call, decided and not run.

use std::sync::Arc;

use opsgate_audit::Digest;
use opsgate_tools::change::Change;
use opsgate_tools::progress::Progress;
use opsgate_tools::tool::CallContext;
use opsgate_tools::workspace::Workspace;
use tokio_util::sync::CancellationToken;

use super::{Failure, WorkspaceArg, bad, exit, out};
use crate::catalogue;
use crate::gateway::load_policy;
use crate::home::Settings;
use crate::identity::Caller;
use crate::policy::{ChangePart, Facts, Policy, Trigger, did_you_mean};
use crate::trust::Trust;

#[derive(clap::Args)]
pub(in crate::cli) struct Args {
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
}

pub(super) async fn run(settings: &Settings, Args { tool, caller, args, workspace: folder, json: as_json }: Args) -> Result<u8, Failure> {
    let args = serde_json::from_str(&args).map_err(|error| Failure::new(exit::USAGE, format!("--args is not a JSON object: {error}")))?;
    let catalogue = catalogue::catalogue().map_err(bad)?;
    let policy = Arc::new(load_policy(settings, &catalogue)?);
    let standing = catalogue::standing(settings);
    let registry = catalogue::registry(&policy, settings, &standing).map_err(bad)?;
    let tool = registry.find(&tool).ok_or_else(|| {
        let names: Vec<&str> = registry.iter().map(|tool| tool.spec().card.name).collect();
        let near = did_you_mean(&tool, names);
        let help = near.unwrap_or_else(|| "`opsgate tools` lists them".to_owned());
        Failure::new(exit::USAGE, format!("there is no tool `{tool}`; {help}"))
    })?;
    if let Some(problem) = caller.as_deref().and_then(Policy::no_issuer) {
        return Err(Failure::new(exit::USAGE, problem));
    }
    let caller: Arc<str> = caller.map_or_else(|| Caller::of_this_process().id().clone(), Into::into);
    let workspace = match folder.workspace {
        Some(folder) => Some(Workspace::open(&folder).map_err(bad)?),
        None => Workspace::open(std::path::Path::new(".")).ok(),
    };
    let cx =
        CallContext { caller: caller.clone(), workspace: workspace.map(Arc::new), cancel: CancellationToken::new(), progress: Progress::default() };
    let card = tool.spec().card;
    let change = ChangePart::given(&Change::said_in(&args));
    let (scopes, failed) = match tool.prepare(args, Digest::new([0; 32]), &cx).await {
        Ok(prepared) => (prepared.scopes, None),
        Err(error) => match error.scopes.clone() {
            Some(scopes) => (*scopes, Some(error.client)),
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
        same_user: standing.towards_id(&caller) == Trust::SameUser,
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
