//! What operators' machines ask: alive, ready, metrics. On a listener of its own.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::json;
use tokio::net::TcpListener;

use crate::gateway::Gateway;

/// Listens for operators. Returns the address it got.
///
/// # Errors
/// Where the address cannot be had.
pub async fn serve_admin(gateway: Arc<Gateway>, address: SocketAddr) -> std::io::Result<(SocketAddr, impl Future<Output = ()>)> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    let stopping = gateway.stopping().clone();
    let app =
        Router::new().route("/healthz", get(|| async { "ok\n" })).route("/readyz", get(ready)).route("/metrics", get(metrics)).with_state(gateway);
    let serve = async move {
        let _ = axum::serve(listener, app).with_graceful_shutdown(stopping.cancelled_owned()).await;
    };
    Ok((bound, serve))
}

async fn ready(State(gateway): State<Arc<Gateway>>) -> impl IntoResponse {
    let head = gateway.log.head();
    let ready = head.sealed.is_none() && !gateway.stopping().is_cancelled();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({ "ready": ready, "sealed": head.sealed.is_some(), "trust": gateway.standing().trust, "policy": gateway.policy().hash(), "audit_seq": head.seq });
    (status, axum::Json(body))
}

async fn metrics(State(gateway): State<Arc<Gateway>>) -> impl IntoResponse {
    match gateway.metrics.render(&gateway.log) {
        Ok(text) => (StatusCode::OK, [("content-type", "text/plain; version=0.0.4")], text),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, [("content-type", "text/plain")], "the metrics cannot be rendered\n".into()),
    }
}
