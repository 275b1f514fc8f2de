//! Docker over its Unix socket: `GET /containers/json` and, for one container, its figures.

use std::path::Path;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::service_status::{Service, Unreachable};

/// A longer answer is not read.
const LONGEST: usize = 4 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Container {
    id: String,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    image: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    status: String,
}

impl Container {
    fn name(&self) -> &str {
        self.names.first().map_or(self.id.as_str(), |name| name.trim_start_matches('/'))
    }

    fn is(&self, name: &str) -> bool {
        self.names.iter().any(|own| own.trim_start_matches('/') == name) || (name.len() >= 12 && self.id.starts_with(name))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspection {
    state: State,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    #[serde(default)]
    running: bool,
    #[serde(default)]
    started_at: String,
}

#[derive(Deserialize)]
struct Stats {
    #[serde(default)]
    memory_stats: Memory,
    #[serde(default)]
    cpu_stats: Cpu,
}

#[derive(Default, Deserialize)]
struct Memory {
    usage: Option<u64>,
}

#[derive(Default, Deserialize)]
struct Cpu {
    #[serde(default)]
    cpu_usage: CpuUsage,
}

#[derive(Default, Deserialize)]
struct CpuUsage {
    /// Nanoseconds.
    total_usage: Option<u64>,
}

/// The container of this name with its figures, or the state of all containers.
pub(super) async fn services(socket: &Path, name: Option<&str>) -> Result<Vec<Service>, Unreachable> {
    let containers: Vec<Container> = ask(socket, "/containers/json?all=1").await?;
    let mut services = Vec::new();
    for container in containers.iter().filter(|container| name.is_none_or(|name| container.is(name))) {
        let mut service = Service {
            name: container.name().to_owned(),
            source: "docker",
            state: container.state.clone(),
            detail: Some(format!("{}; {}", container.image, container.status)),
            uptime_seconds: None,
            memory_bytes: None,
            cpu_seconds: None,
        };
        if name.is_some() {
            figures(socket, &container.id, &mut service).await?;
        }
        services.push(service);
    }
    Ok(services)
}

async fn figures(socket: &Path, id: &str, service: &mut Service) -> Result<(), Unreachable> {
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Unreachable("Docker's answer is not understood"));
    }
    let inspection: Inspection = ask(socket, &format!("/containers/{id}/json")).await?;
    if !inspection.state.running {
        return Ok(());
    }
    let stats: Stats = ask(socket, &format!("/containers/{id}/stats?stream=false&one-shot=true")).await?;
    let started = inspection.state.started_at.parse::<Timestamp>().ok();
    service.uptime_seconds = started.and_then(|started| u64::try_from(Timestamp::now().as_second() - started.as_second()).ok());
    service.memory_bytes = stats.memory_stats.usage;
    service.cpu_seconds = stats.cpu_stats.cpu_usage.total_usage.map(|nanos| nanos / 1_000_000_000);
    Ok(())
}

async fn ask<T: DeserializeOwned>(socket: &Path, path: &str) -> Result<T, Unreachable> {
    let stream = UnixStream::connect(socket).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Unreachable("no Docker socket is on this machine"),
        std::io::ErrorKind::PermissionDenied => Unreachable("opsgate's user may not use the Docker socket"),
        _ => Unreachable("nothing answers on the Docker socket"),
    })?;
    exchange(stream, path).await.map_err(|error| {
        tracing::debug!(%error, path, "docker did not answer as expected");
        Unreachable("Docker's answer is not understood")
    })
}

async fn exchange<T: DeserializeOwned>(stream: UnixStream, path: &str) -> Result<T, Box<dyn std::error::Error + Send + Sync>> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = hyper::Request::get(path).header(hyper::header::HOST, "docker").body(Empty::<Bytes>::new())?;
    let answer = async {
        let response = sender.send_request(request).await?;
        if !response.status().is_success() {
            return Err(format!("status {}", response.status()).into());
        }
        let body = Limited::new(response.into_body(), LONGEST).collect().await?.to_bytes();
        Ok(serde_json::from_slice(&body)?)
    };
    // The connection is driven beside the request and ends with it: no task outlives the call.
    let mut connection = std::pin::pin!(connection);
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        ended = &mut connection => {
            ended?;
            answer.await
        }
    }
}
