//! The gateway of one home: everything a call meets on its path, opened together and closed together.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hmac::{Hmac, KeyInit};
use opsgate_audit::{AppendError, Files, Log, OpenError, Opened, Options, RealFiles, SigningKey};
use opsgate_tools::registry::DuplicateTool;
use opsgate_tools::tool::{Class, Spec};
use secrecy::ExposeSecret;
use sha2::Sha256;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::home::{Home, HomeError, HomeLock, Settings};
use crate::identity::Caller;
use crate::in_force::{Because, LoadError, Loader, Refused, Tools, record};
pub use crate::in_force::{InForce, load_policy};
use crate::limit::{Budgets, Flood, Listeners, Rates};
use crate::observe::{Metrics, Stages, log};
use crate::policy::{Catalogue, Policy};
use crate::scrub::Scrubber;
use crate::trust::{Standing, Trust};

/// How long running calls may take to end when the gateway stops.
const DRAIN: Duration = Duration::from_secs(10);
/// How often budgets that are full again are forgotten.
const SWEEP: Duration = Duration::from_secs(10);

/// One gateway: one home, one lock, one log, one policy.
pub struct Gateway {
    in_force: ArcSwap<InForce>,
    swaps: watch::Sender<()>,
    pub(crate) listeners: Listeners,
    pub(crate) refused: tokio::sync::Mutex<Refused>,
    pub(crate) loader: Loader,
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
    #[error(transparent)]
    Policy(#[from] LoadError),
    /// The log does not take that it is in force.
    #[error("the policy could not be recorded: {0}")]
    Unrecorded(#[from] AppendError),
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

impl Gateway {
    /// Opens the home's gateway: lock, policy, log, in this order.
    ///
    /// # Errors
    /// Each cause by its own kind; nothing is left half open.
    pub fn open(settings: &Settings) -> Result<Arc<Self>, StartError> {
        let own = settings.clone();
        let tools = move |policy: &Arc<Policy>, standing: &Standing| crate::catalogue::registry(policy, &own, standing);
        Self::open_with(settings, &crate::catalogue::catalogue()?, Arc::new(RealFiles), Box::new(tools))
    }

    /// As [`Gateway::open`], with these tools and over this file layer: tests bring tools that write and disks that fail.
    pub(crate) fn open_with(settings: &Settings, catalogue: &Catalogue, files: Arc<dyn Files>, tools: Tools) -> Result<Arc<Self>, StartError> {
        let home = Home::open(&settings.home)?;
        let lock = home.lock()?;
        let loader = Loader::new(settings, catalogue, tools);
        let standing = crate::catalogue::standing(settings);
        let in_force = loader.judge(&loader.read(None)?, &home, &standing)?;
        let digest_key = home.digest_key()?;
        let mac = Hmac::<Sha256>::new_from_slice(digest_key.expose_secret().as_bytes())
            .map_err(|error| HomeError::Io { path: home.path().to_owned(), source: std::io::Error::other(error.to_string()) })?;
        let (log, opened) = Log::open(Options { files, ..audit_options(&home)? })?;
        let _ = record(&log, &in_force, None, Because::Start, settings.write_mode_off)?; // no record of a call gets before it
        let gateway = Self {
            rates: Rates::new(in_force.policy.limits()),
            budgets: Budgets::new(home.budgets()),
            in_force: ArcSwap::from_pointee(in_force),
            swaps: watch::Sender::new(()),
            listeners: Listeners::default(),
            refused: tokio::sync::Mutex::default(),
            loader,
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
            home,
            _lock: lock,
        };
        gateway.report(&opened);
        Ok(Arc::new(gateway))
    }

    /// The policy in force and its tools. A call asks once, and keeps what it got.
    #[must_use]
    pub fn in_force(&self) -> Arc<InForce> {
        self.in_force.load_full()
    }

    /// Swaps policy and tools, and tells all who wait for [`Gateway::swaps`]. What was recorded before is recorded.
    pub(crate) fn put_in_force(&self, next: InForce) {
        self.in_force.store(Arc::new(next));
        self.swaps.send_replace(());
    }

    /// Tells each time that the policy and its tools were swapped.
    #[must_use]
    pub fn swaps(&self) -> watch::Receiver<()> {
        self.swaps.subscribe()
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

    fn report(&self, opened: &Opened) {
        self.metrics.policy_load("loaded");
        self.loader.say_warnings(&self.policy(), &self.scrubber);
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
