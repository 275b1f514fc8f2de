//! The gateway of one home: everything a call meets on its path, opened together and closed together.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hmac::{Hmac, KeyInit};
use opsgate_audit::{CanonicalJson, EventKind, Files, Log, OpenError, Opened, Options, RealFiles, SigningKey};
use opsgate_tools::registry::{DuplicateTool, Registry};
use opsgate_tools::tool::{Class, Spec};
use secrecy::ExposeSecret;
use sha2::Sha256;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::home::{Home, HomeError, HomeLock, Settings};
use crate::identity::Caller;
use crate::limit::{Budgets, Flood, Rates};
use crate::observe::{Metrics, Stages, log};
use crate::policy::{Catalogue, Policy, PolicyErrors};
use crate::production::{self, Process};
use crate::scrub::Scrubber;
use crate::trust::{Exposed, Standing, Trust, guarded};

/// How long running calls may take to end when the gateway stops.
const DRAIN: Duration = Duration::from_secs(10);
/// How often budgets that are full again are forgotten.
const SWEEP: Duration = Duration::from_secs(10);

/// One gateway: one home, one lock, one log, one policy.
pub struct Gateway {
    in_force: ArcSwap<InForce>,
    pub(crate) log: Log,
    pub(crate) scrubber: Arc<Scrubber>,
    pub(crate) rates: Rates,
    pub(crate) budgets: Arc<Budgets>,
    pub(crate) flood: Flood,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) stages: Stages,
    pub(crate) digest_key: Hmac<Sha256>,
    pub(crate) running: TaskTracker,
    pub(crate) stopping: CancellationToken,
    drained: CancellationToken,
    pub(crate) write_mode_off: bool,
    policy_file: Option<PathBuf>,
    socket: PathBuf,
    standing: Standing,
    process: Process,
    home: Home,
    _lock: HomeLock,
}

/// A policy in force, and the tools as it lets them be. Swapped whole, so that no call sees two.
pub struct InForce {
    /// The policy.
    pub policy: Arc<Policy>,
    /// Its tools.
    pub registry: Registry,
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
    /// Somebody else could change the policy.
    #[error("the gateway does not start with a policy that its callers could write: {0}")]
    Exposed(#[from] Exposed),
    /// What the policy does not want in production.
    #[error(transparent)]
    Unsafe(#[from] production::Unsafe),
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
    match policy_path(settings) {
        Some(path) => Policy::load(&path, catalogue),
        None => Policy::parse(Policy::shipped(), "policy.yaml (shipped)", catalogue),
    }
}

/// The file of the policy that a gateway with these settings enforces; `None` is the shipped one.
#[must_use]
pub fn policy_path(settings: &Settings) -> Option<PathBuf> {
    let in_home = settings.home.join("policy.yaml");
    // A link that leads nowhere, or a file that cannot be looked at, is an error later and not the shipped policy.
    settings.policy.clone().or_else(|| in_home.symlink_metadata().is_ok().then_some(in_home))
}

impl Gateway {
    /// Opens the home's gateway: lock, policy, log, in this order.
    ///
    /// # Errors
    /// Each cause by its own kind; nothing is left half open.
    pub fn open(settings: &Settings) -> Result<Arc<Self>, StartError> {
        Self::open_with(settings, &crate::catalogue::catalogue()?, Arc::new(RealFiles), |policy| crate::catalogue::registry(policy, settings))
    }

    /// As [`Gateway::open`], with these tools and over this file layer: tests bring tools that write and disks that fail.
    pub(crate) fn open_with(
        settings: &Settings,
        catalogue: &Catalogue,
        files: Arc<dyn Files>,
        tools: impl FnOnce(&Arc<Policy>) -> Result<Registry, DuplicateTool>,
    ) -> Result<Arc<Self>, StartError> {
        let home = Home::open(&settings.home)?;
        let lock = home.lock()?;
        let policy_path = policy_path(settings);
        // INVARIANT: a policy that a caller could write is not loaded (test: tests/setup.rs,
        // each_change_of_an_installation_is_found_and_those_of_the_policy_are_refused).
        policy_path.as_deref().map_or(Ok(()), guarded)?;
        let policy = Arc::new(load_policy(settings, catalogue)?);
        let registry = tools(&policy)?;
        // INVARIANT: a policy for production is enforced by no process that is unsafe there (test: tests/policy_language.rs,
        // production_refuses_what_is_unsafe_of_the_process).
        let standing = crate::catalogue::standing(settings);
        let process = Process { same_user: standing.trust == Trust::SameUser, insecure_bind: settings.insecure_bind };
        production::fits(&policy, &process)?;
        let digest_key = home.digest_key()?;
        let mac = Hmac::<Sha256>::new_from_slice(digest_key.expose_secret().as_bytes())
            .map_err(|error| HomeError::Io { path: home.path().to_owned(), source: std::io::Error::other(error.to_string()) })?;
        let (log, opened) = Log::open(Options { files, ..audit_options(&home)? })?;
        let gateway = Self {
            rates: Rates::new(policy.limits()),
            budgets: Budgets::new(home.budgets()),
            in_force: ArcSwap::from_pointee(InForce { policy: policy.clone(), registry }),
            log,
            scrubber: Arc::new(Scrubber::new(home.own_secrets().into_iter().chain(settings.github.token().and_then(Result::ok)).collect())),
            flood: Flood::default(),
            metrics: Arc::new(Metrics::new()?),
            stages: Stages::default(),
            digest_key: mac,
            running: TaskTracker::new(),
            stopping: CancellationToken::new(),
            drained: CancellationToken::new(),
            write_mode_off: settings.write_mode_off,
            policy_file: settings.policy.as_deref().and_then(|path| std::path::absolute(path).ok()),
            socket: settings.socket.clone().unwrap_or_else(|| home.socket()),
            standing,
            process,
            home,
            _lock: lock,
        };
        gateway.report(&policy, &opened, settings);
        Ok(Arc::new(gateway))
    }

    /// The policy in force and its tools. A call asks once, and keeps what it got.
    #[must_use]
    pub fn in_force(&self) -> Arc<InForce> {
        self.in_force.load_full()
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        self.in_force.load().policy.clone()
    }

    /// What each stage of the path costs, where that is measured.
    #[must_use]
    pub fn stages(&self) -> &Stages {
        &self.stages
    }

    /// Whether a caller sees a tool at all: some argument could make it permissible, and the environment does not forbid it.
    #[must_use]
    pub fn shows(&self, in_force: &InForce, caller: &Caller, spec: &Spec, write_mode_off: bool) -> bool {
        (spec.class == Class::Read || !(self.write_mode_off || write_mode_off))
            && in_force.policy.could_permit(caller.id(), self.is_same_user(caller), spec)
    }

    /// Whether the gateway runs as this caller's own user, as far as the facts tell.
    #[must_use]
    pub fn is_same_user(&self, caller: &Caller) -> bool {
        self.trust_of(caller) == Trust::SameUser
    }

    /// The file that `OPSGATE_POLICY` named when this gateway started.
    #[must_use]
    pub fn policy_file(&self) -> Option<&PathBuf> {
        self.policy_file.as_ref()
    }

    /// The socket it listens on: the home's, unless `OPSGATE_SOCKET` named another.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// What of the process a policy for production asks about: [`production::fits`] takes it.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// How it stands to its callers at best, and why.
    #[must_use]
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// Whether this caller could change the gateway itself. Over HTTP the gateway's own standing counts.
    #[must_use]
    pub fn trust_of(&self, caller: &Caller) -> Trust {
        self.standing.towards(caller)
    }

    /// The home.
    #[must_use]
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Fires once the calls that ran when the gateway stopped have ended: what carries their replies ends then, not before.
    #[must_use]
    pub fn drained(&self) -> &CancellationToken {
        &self.drained
    }

    /// Fires when the gateway stops: nothing new is accepted or admitted.
    #[must_use]
    pub fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// Forgets full budgets now and then, until the gateway stops.
    pub async fn sweep(&self) {
        let mut every = tokio::time::interval(SWEEP);
        while self.stopping.run_until_cancelled(every.tick()).await.is_some() {
            self.rates.sweep();
            self.record_floods(false);
        }
    }

    /// Stops: nothing new is admitted, and running calls get ten seconds to end.
    pub async fn drain(&self) {
        self.stopping.cancel();
        self.running.close();
        if tokio::time::timeout(DRAIN, self.running.wait()).await.is_err() {
            log::warn(log::Component::Gateway, "calls still run at the deadline; their intents are closed as indeterminate at the next start").emit();
        }
        self.drained.cancel();
    }

    /// Drains, writes what was only counted, and gives the log its last checkpoint.
    pub async fn close(&self) {
        self.drain().await;
        self.record_floods(true);
        if let Err(error) = self.budgets.close() {
            log::error(log::Component::Gateway, "the budgets' exact numbers could not be written: after the next start they count as more")
                .with("error", &self.scrubber.text(&error.to_string()).0)
                .emit();
        }
        if let Err(error) = self.log.close().await {
            log::error(log::Component::Audit, "the log's last checkpoint could not be written")
                .with("error", &self.scrubber.text(&error.to_string()).0)
                .emit();
        }
    }

    fn report(&self, policy: &Policy, opened: &Opened, settings: &Settings) {
        let loaded = serde_json::json!({ "hash": policy.hash(), "write_mode_off_by_environment": self.write_mode_off });
        if let Ok(data) = CanonicalJson::of(&loaded)
            && let Err(error) = self.log.event(EventKind::PolicyLoaded, None, data)
        {
            log::error(log::Component::Audit, "the policy's hash could not be recorded")
                .with("error", &self.scrubber.text(&error.to_string()).0)
                .emit();
        }
        for warning in policy.warnings() {
            log::warn(log::Component::Policy, "the policy has a warning").with("warning", &self.scrubber.text(&warning.to_string()).0).emit();
        }
        for notice in crate::catalogue::notices(policy, settings) {
            log::warn(log::Component::Gateway, "the environment and the policy do not fit together")
                .with("notice", &self.scrubber.text(&notice).0)
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
