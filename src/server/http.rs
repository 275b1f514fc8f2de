//! Streamable HTTP at `/mcp`. The door identifies, counts and binds before rmcp reads a byte of MCP.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use opsgate_tools::workspace::Workspace;
use rmcp::transport::streamable_http_server::session::SessionManager;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::body::{Bodies, Unread};
use super::handler::{Connection, Door, RATE_LIMITED};
use super::line::{Fault, MOST_LINE_BYTES};
use super::sessions::Sessions;
use crate::error::{Code, Refusal};
use crate::gateway::Gateway;
use crate::identity::{Caller, KeyStore};

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

/// What the HTTP door needs.
pub struct HttpDoor {
    /// The gateway behind it.
    pub gateway: Arc<Gateway>,
    /// The keys it opens for.
    pub keys: KeyStore,
    /// The repository HTTP callers work on, where `serve --workspace` named one.
    pub workspace: Option<Arc<Workspace>>,
}

struct Entrance {
    door: HttpDoor,
    sessions: Sessions,
    bodies: Bodies,
    manager: Arc<LocalSessionManager>,
}

/// Listens at `/mcp`. Returns the address it got.
///
/// # Errors
/// Where the address cannot be had.
pub async fn serve_http(door: HttpDoor, address: SocketAddr) -> std::io::Result<(SocketAddr, impl Future<Output = ()>)> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    let stopping = door.gateway.stopping().clone();
    let manager = Arc::new(LocalSessionManager::default());
    let config = StreamableHttpServerConfig::default()
        .with_json_response(true)
        .with_max_request_body_bytes(MOST_LINE_BYTES)
        .with_cancellation_token(door.gateway.drained().child_token())
        .enforce_origin_validation();
    let config = if address.ip().is_loopback() { config } else { config.disable_allowed_hosts() };
    let gateway = door.gateway.clone();
    let service = StreamableHttpService::new(move || Ok(Door::for_http(gateway.clone())), manager.clone(), config);
    let entrance = Arc::new(Entrance { door, sessions: Sessions::default(), bodies: Bodies::default(), manager });
    let app = Router::new().route_service("/mcp", service).layer(axum::middleware::from_fn_with_state(entrance, enter));
    // Without this an SSE body waits 40 ms a message for Nagle.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let serve = async move {
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        let _ = axum::serve(listener, app).with_graceful_shutdown(stopping.cancelled_owned()).await;
    };
    Ok((bound, serve))
}

async fn enter(State(entrance): State<Arc<Entrance>>, ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request, next: Next) -> Response {
    let caller = match entrance.identify(request.headers(), peer.ip()).await {
        Ok(caller) => caller,
        Err(refused) => return refused,
    };
    let session = request.headers().get(&SESSION).and_then(|v| v.to_str().ok()).map(str::to_owned);
    if let Some(session) = &session
        && !entrance.sessions.belongs(session, caller.id())
    {
        let refusal = Refusal::new(Code::Unauthenticated, "there is no such session of this caller");
        entrance.door.gateway.refuse_at_door(caller, "", refusal).await;
        return rpc_error(StatusCode::NOT_FOUND, Value::Null, -32001, "there is no such session; initialize a new one");
    }
    let closes = request.method() == Method::DELETE;
    let (mut parts, body) = request.into_parts();
    let (held, counted) = match entrance.door.gateway.rates.count(caller.id()) {
        Ok(counted) => match entrance.bodies.read(caller.id(), body).await {
            Ok(held) => (held, Some(counted)),
            Err(why) => return entrance.unread(why),
        },
        Err(refusal) => {
            let bytes = entrance.bodies.read_for_id(body).await;
            // Giving up what runs must work most of all when too much was asked for.
            if !is_cancellation(&bytes) {
                return entrance.over_rate(&caller, refusal, &bytes).await;
            }
            match entrance.bodies.read(caller.id(), Body::from(bytes)).await {
                Ok(held) => (held, None),
                Err(why) => return entrance.unread(why),
            }
        }
    };
    let bytes = &held.bytes;
    if !bytes.is_empty() && !says_json(&parts.headers) {
        return rpc_error(StatusCode::UNSUPPORTED_MEDIA_TYPE, Value::Null, -32600, "send `Content-Type: application/json`");
    }
    let connection = Connection { counted: Some(Arc::new(Mutex::new(counted))), ..Connection::new(caller.clone(), entrance.door.workspace.clone()) };
    parts.extensions.insert(connection);
    let response = next.run(Request::from_parts(parts, Body::from(bytes.clone()))).await;
    let opened = response.headers().get(&SESSION).and_then(|v| v.to_str().ok()).map(str::to_owned);
    entrance.keep_sessions(&caller, session, closes, opened).await;
    entrance.readable(response, bytes)
}

fn says_json(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|v| v.as_bytes().to_ascii_lowercase().starts_with(b"application/json"))
}

/// Whether this is `notifications/cancelled`. A long message is none.
fn is_cancellation(body: &Bytes) -> bool {
    small(body).is_some_and(|message| message.get("method").is_some_and(|method| method == "notifications/cancelled"))
}

/// The message, if it is short enough to be read while a flood is refused.
fn small(body: &Bytes) -> Option<Value> {
    (body.len() <= 16 * 1024).then(|| serde_json::from_slice(body).ok()).flatten()
}

impl Entrance {
    /// The caller of this request. Absent, unknown, wrong and revoked keys get the same answer. Only failures are throttled by
    /// address: a key cannot be guessed, and guessing must not lock out those who share the address.
    async fn identify(&self, headers: &HeaderMap, address: IpAddr) -> Result<Caller, Response> {
        let gateway = &self.door.gateway;
        let presented = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
        let key = presented.and_then(|v| v.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, key)| key.trim());
        if let Some(caller) = key.and_then(|key| self.door.keys.identify(key, address)) {
            return Ok(caller);
        }
        let refusal = Refusal::new(Code::Unauthenticated, "a valid API key is required");
        gateway.refuse_at_door(Caller::nobody(address), "", refusal).await;
        if let Err(refusal) = gateway.rates.may_try(address) {
            gateway.metrics.unauthenticated("throttled");
            return Err(too_many(&refusal, Value::Null));
        }
        gateway.rates.failed(address);
        gateway.metrics.unauthenticated(if presented.is_some() { "invalid" } else { "absent" });
        let message = format!("a valid API key is required; {}", Code::Unauthenticated.hint());
        let mut response = rpc_error(StatusCode::UNAUTHORIZED, Value::Null, -32001, &message);
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"opsgate\""));
        Err(response)
    }

    fn unread(&self, why: Unread) -> Response {
        let slow = "the message did not come whole in time";
        match why {
            Unread::TooLong => {
                self.door.gateway.metrics.malformed("http", Fault::TooLong.name());
                (StatusCode::PAYLOAD_TOO_LARGE, axum::Json(Fault::TooLong.error(Value::Null))).into_response()
            }
            Unread::TooSlow | Unread::Broken => rpc_error(StatusCode::REQUEST_TIMEOUT, Value::Null, -32600, slow),
            Unread::NoRoom => {
                let refusal = Refusal::new(Code::Busy, "too many long messages of this caller at once");
                too_many(&refusal.retry_after(Duration::from_secs(1)), Value::Null)
            }
        }
    }

    /// A refusal for rate at the door takes the same way to the log as any other.
    async fn over_rate(&self, caller: &Caller, refusal: Refusal, body: &Bytes) -> Response {
        let message = small(body).unwrap_or_default();
        let id = message.get("id").cloned().unwrap_or_default();
        let tool = message.pointer("/params/name").and_then(Value::as_str).unwrap_or_default();
        self.door.gateway.refuse_at_door(caller.clone(), tool, refusal.clone()).await;
        too_many(&refusal, id)
    }

    async fn keep_sessions(&self, caller: &Caller, asked: Option<String>, closes: bool, opened: Option<String>) {
        match (asked, opened) {
            (Some(session), _) if closes => self.sessions.forget(&session),
            (None, Some(session)) => {
                for old in self.sessions.bind(&session, caller.id()) {
                    let _ = self.manager.close_session(&old.into()).await; // it may have ended by itself
                }
            }
            _ => {}
        }
    }

    /// rmcp answers what is not MCP in plain text; a JSON-RPC peer gets a JSON-RPC error.
    fn readable(&self, response: Response, body: &Bytes) -> Response {
        let status = response.status();
        let is_json = response.headers().get(header::CONTENT_TYPE).is_some_and(|v| v.as_bytes().starts_with(b"application/json"));
        if !status.is_client_error() || is_json {
            return response;
        }
        if status == StatusCode::UNSUPPORTED_MEDIA_TYPE && !body.is_empty() {
            let (fault, id) = Fault::of(body);
            self.door.gateway.metrics.malformed("http", fault.name());
            return (StatusCode::BAD_REQUEST, axum::Json(fault.error(id))).into_response();
        }
        let message = match status {
            StatusCode::NOT_ACCEPTABLE => "send `Accept: application/json, text/event-stream`",
            StatusCode::FORBIDDEN => "this Host or Origin is not allowed",
            StatusCode::NOT_FOUND => "there is no such session; initialize a new one",
            StatusCode::METHOD_NOT_ALLOWED => "this method is not allowed here",
            StatusCode::PAYLOAD_TOO_LARGE => "the message is too long",
            _ => "the request is not one of Streamable HTTP; see the protocol's transport page",
        };
        let mut readable = rpc_error(status, Value::Null, -32600, message);
        if let Some(allow) = response.headers().get(header::ALLOW) {
            readable.headers_mut().insert(header::ALLOW, allow.clone());
        }
        readable
    }
}

fn rpc_error(status: StatusCode, id: Value, code: i32, message: &str) -> Response {
    (status, axum::Json(json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } }))).into_response()
}

fn too_many(refusal: &Refusal, id: Value) -> Response {
    let wait = refusal.retry_after_s().unwrap_or(1);
    let data = json!({ "code": refusal.code, "retry_after_s": wait });
    let body = json!({ "jsonrpc": "2.0", "id": id, "error": { "code": RATE_LIMITED, "message": refusal.message, "data": data } });
    (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, HeaderValue::from(wait))], axum::Json(body)).into_response()
}
