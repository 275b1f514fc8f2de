//! systemd over D-Bus: `org.freedesktop.systemd1`, three calls, nothing that changes anything.

use std::collections::HashMap;

use jiff::Timestamp;
use zbus::{Connection, OwnedObjectPath, OwnedVariant};

use super::service_status::{Service, Unreachable};

const NAME: &str = "org.freedesktop.systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const SERVICE: &str = "org.freedesktop.systemd1.Service";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// One row of `ListUnitsByNames`: name, description, load, active and sub state, followed unit, object path, and the
/// queued job's id, type and path.
type Row = (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);

/// The unit of this name with its figures, or the state of all service units.
pub(super) async fn services(bus: Option<&str>, name: Option<&str>) -> Result<Vec<Service>, Unreachable> {
    let systemd = Systemd { connection: connect(bus).await? };
    let rows = match name {
        Some(name) => systemd.by_name(&unit_name(name)).await,
        None => systemd.all().await,
    };
    let rows = rows.map_err(|error| refused(&error))?;
    let mut services = Vec::with_capacity(rows.len());
    for (unit, description, load, active, sub, _, object, ..) in rows {
        if load == "not-found" {
            continue;
        }
        let mut service = Service {
            name: unit,
            source: "systemd",
            state: format!("{active} ({sub})"),
            detail: Some(description).filter(|text| !text.is_empty()),
            uptime_seconds: None,
            memory_bytes: None,
            cpu_seconds: None,
        };
        if name.is_some() {
            systemd.figures(&object, &active, &mut service).await.map_err(|error| refused(&error))?;
        }
        services.push(service);
    }
    Ok(services)
}

async fn connect(bus: Option<&str>) -> Result<Connection, Unreachable> {
    let connected = match bus {
        None => Connection::system().await,
        Some(address) => zbus::connection::Builder::address(address).build().await,
    };
    connected.map_err(|error| {
        tracing::debug!(%error, "systemd is not reached");
        Unreachable("no system bus is reached on this machine")
    })
}

fn refused(error: &zbus::Error) -> Unreachable {
    tracing::debug!(%error, "systemd refused");
    Unreachable("systemd does not answer on the bus")
}

/// A name with no type is a service's.
fn unit_name(name: &str) -> String {
    const TYPES: [&str; 11] = ["service", "socket", "device", "mount", "automount", "swap", "target", "path", "timer", "slice", "scope"];
    let typed = name.rsplit_once('.').is_some_and(|(_, suffix)| TYPES.contains(&suffix));
    if typed { name.to_owned() } else { format!("{name}.service") }
}

struct Systemd {
    connection: Connection,
}

impl Systemd {
    async fn by_name(&self, unit: &str) -> zbus::Result<Vec<Row>> {
        let path = "/org/freedesktop/systemd1";
        let reply = self.connection.call_method(Some(NAME), path, Some(MANAGER), "ListUnitsByNames", &(vec![unit],)).await?;
        reply.body().deserialize()
    }

    async fn all(&self) -> zbus::Result<Vec<Row>> {
        let (path, states): (_, Vec<&str>) = ("/org/freedesktop/systemd1", Vec::new());
        let reply = self.connection.call_method(Some(NAME), path, Some(MANAGER), "ListUnitsByPatterns", &(states, vec!["*.service"])).await?;
        reply.body().deserialize()
    }

    async fn figures(&self, unit: &OwnedObjectPath, active: &str, service: &mut Service) -> zbus::Result<()> {
        let since = number(&self.properties(unit, UNIT).await?, "ActiveEnterTimestamp").filter(|micros| *micros > 0 && active == "active");
        let now = u64::try_from(Timestamp::now().as_microsecond()).unwrap_or(0);
        service.uptime_seconds = since.map(|micros| now.saturating_sub(micros) / 1_000_000);
        if service.name.ends_with(".service") {
            let figures = self.properties(unit, SERVICE).await?;
            // All ones is systemd's word for "not accounted".
            service.memory_bytes = number(&figures, "MemoryCurrent").filter(|bytes| *bytes != u64::MAX);
            service.cpu_seconds = number(&figures, "CPUUsageNSec").filter(|nanos| *nanos != u64::MAX).map(|nanos| nanos / 1_000_000_000);
        }
        Ok(())
    }

    async fn properties(&self, unit: &OwnedObjectPath, interface: &str) -> zbus::Result<HashMap<String, OwnedVariant>> {
        let reply = self.connection.call_method(Some(NAME), unit, Some(PROPERTIES), "GetAll", &(interface,)).await?;
        reply.body().deserialize()
    }
}

fn number(properties: &HashMap<String, OwnedVariant>, name: &str) -> Option<u64> {
    properties.get(name).and_then(|value| u64::try_from(value).ok())
}
