//! `workspace_service_status`: systemd units and Docker containers of this machine, where they are there.

use std::path::PathBuf;
use std::time::Duration;

use opsgate_audit::{Receipt, Written};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::docker;
use super::page::{self, Budget, Page, Paging};
use super::path::quoted;
use super::systemd;
use crate::error::{ToolError, ToolErrorKind};
use crate::scope::{OutputFilter, ScopeKind, Scopes};
use crate::tool::{CallContext, Card, ReadTool};

/// A source that does not answer in this time is not available.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where this machine's services are asked for.
#[derive(Debug, Clone)]
pub struct ServiceSources {
    /// The D-Bus address systemd is reached at; `None` is the system bus.
    pub bus: Option<String>,
    /// Docker's Unix socket.
    pub docker: PathBuf,
}

impl Default for ServiceSources {
    fn default() -> Self {
        Self { bus: None, docker: PathBuf::from("/var/run/docker.sock") }
    }
}

pub(super) struct ServiceStatus(pub(super) ServiceSources);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = crate::lean::lean)]
pub(super) struct Args {
    /// unit or container; default: all
    name: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

pub(super) struct Target {
    name: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
    cancel: CancellationToken,
}

#[derive(Serialize, JsonSchema)]
#[schemars(transform = crate::lean::lean)]
pub(super) struct Output {
    systemd: Availability,
    docker: Availability,
    services: Vec<Service>,
    #[serde(flatten)]
    page: Page,
}

#[derive(Serialize, JsonSchema)]
struct Availability {
    available: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'static str>,
}

// One unit or container.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Service {
    pub(super) name: String,
    /// systemd or docker
    pub(super) source: &'static str,
    pub(super) state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) uptime_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) memory_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cpu_seconds: Option<u64>,
}

impl ReadTool for ServiceStatus {
    const CARD: Card = super::card(
        "workspace_service_status",
        "Service status",
        "State, uptime, memory and CPU of this machine's systemd units and containers.",
        0.1,
    );
    type Args = Args;
    type Target = Target;
    type Output = Output;

    async fn resolve(&self, args: Args, cx: &CallContext) -> Result<(Target, Scopes), ToolError> {
        let name = args.name.as_deref().map(service_name).transpose()?;
        let scopes = cx.workspace()?.scope()?.and(ScopeKind::Service, name.as_deref().unwrap_or("*"));
        Ok((Target { name, limit: args.limit, cursor: args.cursor, cancel: cx.cancel.clone() }, scopes))
    }

    async fn read(&self, target: Target, filter: &OutputFilter, _receipt: Receipt<Written>) -> Result<Output, ToolError> {
        let name = target.name.as_deref();
        let both = async {
            tokio::join!(
                tokio::time::timeout(PATIENCE, systemd::services(self.0.bus.as_deref(), name)),
                tokio::time::timeout(PATIENCE, docker::services(&self.0.docker, name)),
            )
        };
        let (units, containers) = tokio::select! {
            biased;
            () = target.cancel.cancelled() => return Err(ToolError::new(ToolErrorKind::Cancelled, "the call was cancelled")),
            answers = both => answers,
        };
        let (systemd, mut services) = split(units.unwrap_or(Err(Unreachable("it does not answer"))), "systemd");
        let (docker, containers) = split(containers.unwrap_or(Err(Unreachable("it does not answer"))), "docker");
        services.extend(containers);
        if let (Some(name), true) = (name, services.is_empty() && (systemd.available || docker.available)) {
            return Err(ToolError::not_found(format!("no unit and no container {} is here", quoted(name))));
        }
        page_of(services, (systemd, docker), &target, filter)
    }
}

/// Why a source has no answer, in words for the client.
#[derive(Debug)]
pub(super) struct Unreachable(pub(super) &'static str);

/// Names of units and containers; nothing that a path, a query or a bus name could be made of.
fn service_name(name: &str) -> Result<String, ToolError> {
    let fits = !name.is_empty() && name.len() <= 255 && name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if fits && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | ':')) && !name.contains("..") {
        return Ok(name.to_owned());
    }
    Err(ToolError::invalid(format!("{} is no name of a unit or a container", quoted(name))))
}

fn split(answer: Result<Vec<Service>, Unreachable>, source: &'static str) -> (Availability, Vec<Service>) {
    match answer {
        Ok(services) => (Availability { available: true, why: None }, services),
        Err(Unreachable(why)) => {
            tracing::debug!(source, why, "a source of services is not available");
            (Availability { available: false, why: Some(why) }, Vec::new())
        }
    }
}

fn page_of(
    mut services: Vec<Service>,
    (systemd, docker): (Availability, Availability),
    target: &Target,
    filter: &OutputFilter,
) -> Result<Output, ToolError> {
    services.sort_by(|a, b| (a.source, &a.name).cmp(&(b.source, &b.name)));
    let mut paging = Paging::open(&[&"service_status", &target.name.as_deref()], target.cursor.as_deref())?;
    let (mut budget, limit) = (Budget::new(filter.output_bytes()), page::limit(target.limit, 100, 500));
    let (mut shown, mut next) = (Vec::new(), None);
    for service in services {
        let item = (service.source, service.name.clone());
        if paging.skips(&item)? {
            continue;
        }
        if shown.len() == limit || !budget.take(service.name.len() + service.detail.as_ref().map_or(0, String::len) + 120) {
            next = Some(paging.cursor());
            break;
        }
        paging.pass(&item);
        shown.push(service);
    }
    paging.reached()?;
    Ok(Output { systemd, docker, services: shown, page: Page::new(next, filter) })
}
