//! rmcp's handler, by hand: the registry and the call path are ours, the protocol is rmcp's.

use std::sync::{Arc, Mutex, PoisonError};

use opsgate_tools::tool::{Class, Spec};
use opsgate_tools::workspace::Workspace;
use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, CompleteRequestParams, CompleteResult, ContentBlock, CustomRequest,
    CustomResult, ErrorCode, ErrorData, GetPromptRequestParams, GetPromptResponse, Implementation, ListPromptsResult, ListResourceTemplatesResult,
    ListResourcesResult, ListToolsResult, MetaObject, PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities,
    ServerConfig, SubscriptionFilter, Tool, ToolAnnotations,
};
use rmcp::service::{NotificationContext, RequestContext, RoleServer, SubscriptionContext};
use serde_json::json;

use super::announce::Announcer;
use crate::call::{Body, RawCall, Reply};
use crate::error::{Code, Refusal};
use crate::gateway::Gateway;
use crate::identity::Caller;
use crate::limit::Counted;
use crate::policy::Trigger;

/// JSON-RPC code of a refusal for rate; `data` carries the wait.
pub(super) const RATE_LIMITED: i32 = -32005;
/// How much of an unknown method's name is repeated.
const LONGEST_METHOD: usize = 64;
/// What a client is told about the server as a whole.
const INSTRUCTIONS: &str = "DevOps tools behind a policy. Reads run and are recorded; what the policy refuses says which rule decided. \
     Secrets are replaced by [REDACTED:kind]; never write such a mark back. policy_whoami tells what you may do.";

/// Who is at the other end of a connection and which repository it works on.
#[derive(Clone)]
pub struct Connection {
    /// Identified when the connection, or on HTTP the request, arrived.
    pub caller: Caller,
    /// Its repository.
    pub workspace: Option<Arc<Workspace>>,
    /// `WRITE_MODE=off` in the client's own environment.
    pub write_mode_off: bool,
    /// The rate that HTTP's door counted for this request.
    pub(super) counted: Option<Arc<Mutex<Option<Counted>>>>,
}

impl Connection {
    /// A connection of this caller on this repository.
    #[must_use]
    pub fn new(caller: Caller, workspace: Option<Arc<Workspace>>) -> Self {
        Self { caller, workspace, write_mode_off: false, counted: None }
    }
}

/// The MCP face of the gateway, for one connection; on HTTP the connection comes with each request.
pub struct Door {
    gateway: Arc<Gateway>,
    connection: Option<Connection>,
    announcer: Announcer,
}

impl Door {
    /// For a stream whose peer is known.
    #[must_use]
    pub fn for_peer(gateway: Arc<Gateway>, connection: Connection) -> Self {
        Self { gateway, connection: Some(connection), announcer: Announcer::default() }
    }

    /// For HTTP, where each request carries its own connection in its extensions.
    #[must_use]
    pub fn for_http(gateway: Arc<Gateway>) -> Self {
        Self { gateway, connection: None, announcer: Announcer::default() }
    }

    /// The connection of this request. A request without one did not come through identification: it is refused.
    fn connection(&self, context: &RequestContext<RoleServer>) -> Result<Connection, ErrorData> {
        self.connection
            .clone()
            .or_else(|| context.extensions.get::<axum::http::request::Parts>().and_then(|parts| parts.extensions.get::<Connection>()).cloned())
            .ok_or_else(|| ErrorData::new(ErrorCode::INVALID_REQUEST, "unauthenticated", None))
    }
}

impl ServerHandler for Door {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().enable_tool_list_changed().build())
            .with_server_info(Implementation::new("opsgate", env!("CARGO_PKG_VERSION")).with_title("opsgate"))
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(&self, request: Option<PaginatedRequestParams>, context: RequestContext<RoleServer>) -> Result<ListToolsResult, ErrorData> {
        if request.and_then(|r| r.cursor).is_some() {
            return Err(ErrorData::invalid_params("this list has one page; ask without a cursor", None));
        }
        let Connection { caller, counted, write_mode_off, .. } = self.connection(&context)?;
        if taken(counted.as_ref()).is_none()
            && let Err(refusal) = self.gateway.rates.count(caller.id())
        {
            let limited = rate_limited(refusal.message.clone(), refusal.retry_after_s());
            self.gateway.refuse_at_door(caller, "", refusal).await;
            return Err(limited);
        }
        let in_force = self.gateway.in_force();
        let shown = in_force.registry.iter().filter(|tool| self.gateway.shows(&in_force, &caller, tool.spec(), write_mode_off));
        let tools = shown.map(|tool| listed(tool.spec())).collect();
        Ok(ListToolsResult::with_all_items(tools).with_cache_scope(CacheScope::Private).with_ttl_ms(0))
    }

    async fn call_tool(&self, request: CallToolRequestParams, context: RequestContext<RoleServer>) -> Result<CallToolResponse, ErrorData> {
        let Connection { caller, workspace, counted, write_mode_off } = self.connection(&context)?;
        let trace = context.meta.get_traceparent().and_then(trace_id);
        let (progress, forwarder) = super::progress::of(&context);
        let raw = RawCall {
            caller,
            counted: taken(counted.as_ref()),
            tool: request.name.into_owned(),
            args: request.arguments.unwrap_or_default(),
            workspace,
            write_mode_off,
            trigger: Trigger::Client,
            trace,
            progress,
            cancel: context.ct.clone(),
        };
        let reply = self.gateway.handle(raw).await;
        forwarder.stop().await;
        answer(reply).map(Into::into)
    }

    /// What rmcp does not know, or knows and cannot read. Its name is not repeated as it came: it may hold anything.
    async fn on_custom_request(&self, request: CustomRequest, context: RequestContext<RoleServer>) -> Result<CustomResult, ErrorData> {
        let Connection { caller, counted, .. } = self.connection(&context)?;
        if taken(counted.as_ref()).is_none()
            && let Err(refusal) = self.gateway.rates.count(caller.id())
        {
            let limited = rate_limited(refusal.message.clone(), refusal.retry_after_s());
            self.gateway.refuse_at_door(caller, "", refusal).await;
            return Err(limited);
        }
        if request.method == "tools/call" {
            let message = "the params of `tools/call` are not those of the protocol: `name` is a string, `arguments` an object";
            let tool = request.params.as_ref().and_then(|p| p.get("name")).and_then(serde_json::Value::as_str).unwrap_or_default();
            self.gateway.refuse_at_door(caller, tool, Refusal::new(Code::InvalidArguments, message)).await;
            return Err(ErrorData::invalid_params(message, None));
        }
        self.gateway.metrics.malformed("mcp", "unknown_method");
        let name: String = request.method.chars().take(LONGEST_METHOD).collect();
        let name = self.gateway.scrubber.untrusted_text(&name).0;
        Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, format!("`{name}` is not a method of this server"), None))
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        self.announcer.start(&self.gateway, context.peer);
    }

    fn accepted_subscription_filter(&self, _: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(SubscriptionFilter::builder().tools_list_changed().build())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let Connection { caller, counted, .. } = self.connection(context.request_context())?;
        if taken(counted.as_ref()).is_none()
            && let Err(refusal) = self.gateway.rates.count(caller.id())
        {
            let limited = rate_limited(refusal.message.clone(), refusal.retry_after_s());
            self.gateway.refuse_at_door(caller, "", refusal).await;
            return Err(limited);
        }
        super::announce::listen(&self.gateway, caller.id(), &context).await
    }

    // What is not declared is refused; rmcp would answer an empty success.

    async fn list_prompts(&self, _: Option<PaginatedRequestParams>, _: RequestContext<RoleServer>) -> Result<ListPromptsResult, ErrorData> {
        Err(undeclared("prompts/list"))
    }

    async fn get_prompt(&self, _: GetPromptRequestParams, _: RequestContext<RoleServer>) -> Result<GetPromptResponse, ErrorData> {
        Err(undeclared("prompts/get"))
    }

    async fn list_resources(&self, _: Option<PaginatedRequestParams>, _: RequestContext<RoleServer>) -> Result<ListResourcesResult, ErrorData> {
        Err(undeclared("resources/list"))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Err(undeclared("resources/templates/list"))
    }

    async fn read_resource(&self, _: ReadResourceRequestParams, _: RequestContext<RoleServer>) -> Result<ReadResourceResponse, ErrorData> {
        Err(undeclared("resources/read"))
    }

    async fn complete(&self, _: CompleteRequestParams, _: RequestContext<RoleServer>) -> Result<CompleteResult, ErrorData> {
        Err(undeclared("completion/complete"))
    }
}

/// A tool as `tools/list` shows it.
fn listed(spec: &Spec) -> Tool {
    let card = spec.card;
    let read = spec.class == Class::Read;
    Tool::new(card.name, card.description, spec.input_schema.clone())
        .with_raw_output_schema(spec.output_schema.clone())
        .with_annotations(ToolAnnotations::from_raw(Some(card.title.into()), Some(read), Some(!read), Some(read), Some(card.open_world)))
}

fn answer(reply: Reply) -> Result<CallToolResult, ErrorData> {
    let meta = meta_of(&reply);
    let mut result = match reply.into_body() {
        Body::Answer { structured, text } => {
            let mut result = CallToolResult::success(vec![ContentBlock::text(text.into_inner())]);
            result.structured_content = Some(structured.into_inner());
            result
        }
        Body::Refusal { code: Code::RateLimited, message, retry_after_s, .. } => return Err(rate_limited(message.into_inner(), retry_after_s)),
        Body::Refusal { code, message, hint, .. } => {
            CallToolResult::error(vec![ContentBlock::text(format!("{code}: {}\nhint: {}", message.as_ref(), hint.as_ref()))])
        }
    };
    result.meta = Some(meta);
    Ok(result)
}

/// The receipt, and for a refusal what a program can read of it. Structured content stays free for the tool's own schema.
fn meta_of(reply: &Reply) -> MetaObject {
    let mut meta = MetaObject::new();
    let mut add = |key: &str, value: serde_json::Value| {
        meta.0.insert(format!("opsgate/{key}"), value);
    };
    add("request_id", reply.request_id().to_string().into());
    if let Some(receipt) = reply.receipt() {
        add("receipt", json!({ "origin": receipt.origin, "seq": receipt.seq, "entry_hash": receipt.entry_hash }));
    }
    if let Body::Refusal { code, message, hint, rule, retry_after_s } = reply.body() {
        add("refusal", json!({ "code": code, "message": message, "hint": hint, "rule": rule, "retry_after_s": retry_after_s }));
    }
    meta
}

fn rate_limited(message: impl Into<String>, retry_after_s: Option<u64>) -> ErrorData {
    ErrorData::new(ErrorCode(RATE_LIMITED), message.into(), Some(json!({ "code": Code::RateLimited, "retry_after_s": retry_after_s })))
}

fn undeclared(method: &str) -> ErrorData {
    ErrorData::new(ErrorCode::METHOD_NOT_FOUND, format!("`{method}` is not offered; this server has tools only"), None)
}

fn taken(counted: Option<&Arc<Mutex<Option<Counted>>>>) -> Option<Counted> {
    counted?.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// The trace id of a W3C `traceparent`: `00-<32 hex>-<16 hex>-<2 hex>`.
fn trace_id(traceparent: &str) -> Option<[u8; 16]> {
    let mut parts = traceparent.split('-');
    let (_version, id) = (parts.next()?, parts.next()?);
    let id = (id.len() == 32).then(|| u128::from_str_radix(id, 16).ok()).flatten()?;
    (id != 0).then(|| id.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_traceparent_names_a_trace() {
        let id = "0af7651916cd43dd8448eb211c80319c";
        assert_eq!(trace_id(&format!("00-{id}-b7ad6b7169203331-01")).unwrap().first(), Some(&0x0a));
        for bad in ["", "00", "00-zz-1-1", &format!("00-{}-b7-01", "0".repeat(32)), &format!("00-{}-b7-01", &id[1..])] {
            assert!(trace_id(bad).is_none(), "{bad}");
        }
    }
}
