//! A server of one tool and nothing else: what rmcp alone costs. It gives the answer that the gateway gave.

use std::sync::Arc;

use rmcp::ServiceExt;
use rmcp::handler::server::ServerHandler;
use rmcp::model::{CallToolRequestParams, CallToolResponse, CallToolResult, ErrorData, ServerCapabilities, ServerConfig};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::Value;

#[derive(Clone)]
struct Bare(Arc<Value>);

impl ServerHandler for Bare {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn call_tool(&self, _: CallToolRequestParams, _: RequestContext<RoleServer>) -> Result<CallToolResponse, ErrorData> {
        Ok(CallToolResult::structured((*self.0).clone()).into())
    }
}

/// Answers with what this file holds.
fn bare(answer: &str) -> Bare {
    Bare(Arc::new(serde_json::from_str(&std::fs::read_to_string(answer).unwrap()).unwrap()))
}

pub(crate) fn http(address: &str, answer: &str) {
    let handler = bare(answer);
    runtime().block_on(async move {
        let config = StreamableHttpServerConfig::default().with_legacy_session_mode(false).with_json_response(true);
        let service = StreamableHttpService::new(move || Ok(handler.clone()), Arc::new(NeverSessionManager::default()), config);
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        axum::serve(listener, axum::Router::new().route_service("/mcp", service)).await.unwrap();
    });
}

pub(crate) fn stdio(answer: &str) {
    let handler = bare(answer);
    runtime().block_on(async move {
        let service = handler.serve(rmcp::transport::io::stdio_pipes()).await.unwrap();
        service.waiting().await.unwrap();
    });
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}
