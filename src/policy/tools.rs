//! The policy's own tools: what a client may ask about itself.

use std::sync::Arc;

use opsgate_audit::{Digest, Receipt, Written};
use opsgate_tools::change::Change;
use opsgate_tools::error::ToolError;
use opsgate_tools::registry::Registry;
use opsgate_tools::scope::{OutputFilter, Scopes};
use opsgate_tools::tool::{CallContext, Card, Class, ReadTool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ChangePart, Explanation, Facts, Policy, Trigger};

/// `policy_whoami`: what the policy knows of the caller.
pub struct Whoami {
    policy: Arc<Policy>,
}

impl Whoami {
    /// Over this policy.
    #[must_use]
    pub fn new(policy: Arc<Policy>) -> Self {
        Self { policy }
    }
}

/// No arguments.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WhoamiArgs {}

/// The caller as the policy sees it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WhoamiOutput {
    caller: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    roles: Vec<String>,
    policy: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace: Option<String>,
}

impl ReadTool for Whoami {
    const CARD: Card = Card {
        name: "policy_whoami",
        system: "policy",
        title: "Who you are to the policy",
        description: "Your caller id, roles, workspace and the hash of the policy in force.",
        risk: 0.1,
        open_world: false,
    };
    type Args = WhoamiArgs;
    type Target = (Arc<str>, Option<String>);
    type Output = WhoamiOutput;

    async fn resolve(&self, _: WhoamiArgs, cx: &CallContext) -> Result<(Self::Target, Scopes), ToolError> {
        let workspace = cx.workspace.as_ref().map(|w| w.root_path().to_owned());
        Ok(((cx.caller.clone(), workspace), Scopes::none("tells a caller about itself")))
    }

    async fn read(&self, (caller, workspace): Self::Target, _: &OutputFilter, _: Receipt<Written>) -> Result<WhoamiOutput, ToolError> {
        let profile = self.policy.caller(&caller);
        let (owner, roles) = profile.map_or((None, Vec::new()), |p| (p.owner.clone(), p.roles.clone()));
        Ok(WhoamiOutput { caller: caller.to_string(), owner, roles, policy: self.policy.hash().to_owned(), workspace })
    }
}

/// `policy_explain`: how a call of the caller's own would be decided.
pub struct Explain {
    policy: Arc<Policy>,
    tools: Registry,
    write_mode_off: bool,
    same_user: SameUser,
}

/// Whether the gateway runs as the user of the caller with this id.
type SameUser = Arc<dyn Fn(&str) -> bool + Send + Sync>;

impl Explain {
    /// Over this policy and these tools; what the environment and the machine say of every call comes beside.
    #[must_use]
    pub fn new(policy: Arc<Policy>, tools: Registry, write_mode_off: bool, same_user: SameUser) -> Self {
        Self { policy, tools, write_mode_off, same_user }
    }
}

/// The call to explain.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplainArgs {
    tool: String,
    /// The arguments of that call.
    #[serde(default)]
    arguments: Map<String, Value>,
}

/// The call, resolved as it would be.
pub struct ExplainTarget {
    caller: Arc<str>,
    tool: &'static str,
    system: &'static str,
    class: Class,
    scopes: Scopes,
    change: Vec<ChangePart>,
}

/// The decision with its reasons.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct ExplainOutput(#[schemars(with = "Map<String, Value>")] Explanation);

impl ReadTool for Explain {
    const CARD: Card = Card {
        name: "policy_explain",
        system: "policy",
        title: "How a call would be decided",
        description: "Decides a call of yours without running it: the decision, every rule that matched, what would be needed.",
        risk: 0.1,
        open_world: false,
    };
    type Args = ExplainArgs;
    type Target = ExplainTarget;
    type Output = ExplainOutput;

    async fn resolve(&self, args: ExplainArgs, cx: &CallContext) -> Result<(ExplainTarget, Scopes), ToolError> {
        let unknown = || ToolError::not_found(format!("there is no tool `{}` for you to explain", args.tool));
        let tool = self
            .tools
            .find(&args.tool)
            .filter(|tool| self.policy.could_permit(&cx.caller, (self.same_user)(&cx.caller), tool.spec()))
            .ok_or_else(unknown)?;
        let card = tool.spec().card;
        // Resolved only to learn the scopes: a digest that no receipt carries, so that what is resolved can never run.
        let change = ChangePart::given(&Change::said_in(&args.arguments));
        let scopes = match tool.prepare(args.arguments, Digest::new([0; 32]), cx).await {
            Ok(prepared) => prepared.scopes,
            Err(mut error) => *error.scopes.take().ok_or(error)?,
        };
        let target = ExplainTarget { caller: cx.caller.clone(), tool: card.name, system: card.system, class: tool.spec().class, scopes, change };
        Ok((target, Scopes::none("explains a decision to the caller it is about")))
    }

    async fn read(&self, target: ExplainTarget, _: &OutputFilter, _: Receipt<Written>) -> Result<ExplainOutput, ToolError> {
        let facts = Facts {
            caller: &target.caller,
            tool: target.tool,
            system: target.system,
            class: target.class,
            scopes: &target.scopes,
            trigger: Trigger::Client,
            write_mode_env_off: self.write_mode_off,
            same_user: (self.same_user)(&target.caller),
            change: &target.change,
            now: jiff::Timestamp::now(),
        };
        let mut explanation = self.policy.explain(&facts);
        if explanation.denial.is_some() {
            // What was resolved tells what is there (a link's target, a folder or a file); of a denied target that is not told.
            explanation.touches.clear();
        }
        Ok(ExplainOutput(explanation))
    }
}
