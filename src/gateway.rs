//! The gateway of one home: everything a call meets on its path, opened together and closed together.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit};
use opsgate_audit::{CanonicalJson, EventKind, Log, OpenError, Opened, Options, SigningKey};
use opsgate_tools::registry::{DuplicateTool, Registry};
use opsgate_tools::tool::{Class, Spec};
use secrecy::ExposeSecret;
use sha2::Sha256;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::home::{Home, HomeError, HomeLock, Settings};
use crate::identity::Caller;
use crate::limit::{Flood, Rates};
use crate::observe::{Metrics, log};
use crate::policy::{Catalogue, Policy, PolicyErrors};
use crate::scrub::Scrubber;

/// How long running calls may take to end when the gateway stops.
const DRAIN: Duration = Duration::from_secs(10);
/// How often budgets that are full again are forgotten.
const SWEEP: Duration = Duration::from_secs(60);

/// One gateway: one home, one lock, one log, one policy.
pub struct Gateway {
    policy: Arc<Policy>,
    pub(crate) registry: Registry,
    pub(crate) log: Log,
    pub(crate) scrubber: Scrubber,
    pub(crate) rates: Rates,
    pub(crate) flood: Flood,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) digest_key: Hmac<Sha256>,
    pub(crate) running: TaskTracker,
    pub(crate) stopping: CancellationToken,
    pub(crate) write_mode_off: bool,
    home: Home,
    _lock: HomeLock,
}

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The home.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The policy.
    #[error("{0}")]
    Policy(#[from] PolicyErrors),
    /// The log.
    #[error("the audit log does not open: {0}")]
    Audit(#[from] OpenError),
    /// The key that signs the log.
    #[error(transparent)]
    Key(#[from] opsgate_audit::KeyError),
    /// Two tools of one name.
    #[error(transparent)]
    Tools(#[from] DuplicateTool),
    /// Metrics that clash.
    #[error("the metrics do not fit together: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// The policy a gateway with these settings enforces: `OPSGATE_POLICY`, else `policy.yaml` in the home, else the shipped one.
///
/// # Errors
/// Where the file does not load.
pub fn load_policy(settings: &Settings, catalogue: &Catalogue) -> Result<Policy, PolicyErrors> {
    let in_home = settings.home.join("policy.yaml");
    let path: Option<PathBuf> = settings.policy.clone().or_else(|| in_home.exists().then_some(in_home));
    match path {
        Some(path) => Policy::load(&path, catalogue),
        None => Policy::parse(Policy::shipped(), "policy.yaml (shipped)", catalogue),
    }
}

impl Gateway {
    /// Opens the home's gateway: lock, policy, log, in this order.
    ///
    /// # Errors
    /// Each cause by its own kind; nothing is left half open.
    pub fn open(settings: &Settings) -> Result<Arc<Self>, StartError> {
        let home = Home::open(&settings.home)?;
        let lock = home.lock()?;
        let catalogue = crate::catalogue::catalogue()?;
        let policy = Arc::new(load_policy(settings, &catalogue)?);
        let registry = crate::catalogue::registry(&policy, settings.write_mode_off)?;
        let digest_key = home.digest_key()?;
        let mac = Hmac::<Sha256>::new_from_slice(digest_key.expose_secret().as_bytes())
            .map_err(|error| HomeError::Io { path: home.path().to_owned(), source: std::io::Error::other(error.to_string()) })?;
        let (log, opened) = Log::open(audit_options(&home)?)?;
        let gateway = Self {
            rates: Rates::new(policy.limits()),
            policy,
            registry,
            log,
            scrubber: Scrubber::new(vec![digest_key]),
            flood: Flood::default(),
            metrics: Arc::new(Metrics::new()?),
            digest_key: mac,
            running: TaskTracker::new(),
            stopping: CancellationToken::new(),
            write_mode_off: settings.write_mode_off,
            home,
            _lock: lock,
        };
        gateway.report(&opened);
        Ok(Arc::new(gateway))
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// Whether a caller sees a tool at all: some argument could make it permissible, and the environment does not forbid it.
    #[must_use]
    pub fn shows(&self, caller: &Caller, spec: &Spec) -> bool {
        (spec.class == Class::Read || !self.write_mode_off) && self.policy.could_permit(caller.id(), spec)
    }

    /// The home.
    #[must_use]
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Fires when the gateway stops.
    #[must_use]
    pub fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// Forgets full budgets now and then, until the gateway stops.
    pub async fn sweep(&self) {
        let mut every = tokio::time::interval(SWEEP);
        while self.stopping.run_until_cancelled(every.tick()).await.is_some() {
            self.rates.sweep();
        }
    }

    /// Stops: nothing new is admitted, running calls get ten seconds to end, the log gets its last checkpoint.
    pub async fn close(&self) {
        self.stopping.cancel();
        self.running.close();
        if tokio::time::timeout(DRAIN, self.running.wait()).await.is_err() {
            log::warn(log::Component::Gateway, "calls still run at the deadline; their intents are closed as indeterminate at the next start").emit();
        }
        if let Err(error) = self.log.close().await {
            log::error(log::Component::Audit, "the log's last checkpoint could not be written")
                .with("error", &self.scrubber.text(&error.to_string()).0)
                .emit();
        }
    }

    fn report(&self, opened: &Opened) {
        let loaded = serde_json::json!({ "hash": self.policy.hash(), "write_mode_off_by_environment": self.write_mode_off });
        if let Ok(data) = CanonicalJson::of(&loaded)
            && let Err(error) = self.log.event(EventKind::PolicyLoaded, None, data)
        {
            log::error(log::Component::Audit, "the policy's hash could not be recorded")
                .with("error", &self.scrubber.text(&error.to_string()).0)
                .emit();
        }
        for warning in self.policy.warnings() {
            log::warn(log::Component::Policy, "the policy has a warning").with("warning", &self.scrubber.text(&warning.to_string()).0).emit();
        }
        if let Some(why) = &self.log.head().sealed {
            log::error(log::Component::Audit, "the log is sealed: every call is refused until `opsgate unseal`")
                .with("why", &self.scrubber.text(why).0)
                .emit();
        }
        if opened.recovered {
            log::warn(log::Component::Audit, "the log was recovered: the run before did not close it")
                .count("dangling", opened.dangling)
                .count("entries", opened.entries)
                .emit();
        }
    }
}

/// How the home's log is opened: by the gateway, and by `opsgate unseal`.
///
/// # Errors
/// Where the signing key can be neither read nor made.
pub fn audit_options(home: &Home) -> Result<Options, StartError> {
    let key = SigningKey::load_or_create(&home.signing_key())?;
    let public = key.public();
    // The origin names the log by its key: stable across restarts, and no two homes share one.
    let name: String = public.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Ok(Options::new(home.audit(), home.sealed(), format!("opsgate/{name}"), key))
}
