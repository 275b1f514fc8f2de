//! Bringing a policy into force: the one way from a file to a policy that decides, at the start and at each reload.
//!
//! `Loader` reads and judges; `reload.rs` records and swaps; `watch.rs` sees that the file changed. What a policy must be
//! beyond a well-formed one is asked in `Loader::judge`, so that a start and a reload ask the same.

mod reload;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use opsgate_tools::registry::{DuplicateTool, Registry};

use crate::home::{Home, HomeError, Settings, write_private};
use crate::observe::log;
use crate::policy::{Catalogue, Policy, PolicyErrors};
use crate::production::{self, Process, Unsafe};
use crate::scrub::Scrubber;
use crate::trust::{Exposed, Standing, Trust, guarded};

#[cfg(test)]
pub(crate) use reload::Reload;
pub(crate) use reload::{Because, Refused, record};
use watch::Look;
#[cfg(test)]
pub(crate) use watch::Watch;

/// How often a file that changes while it is read is read again before that is given up.
const READINGS: usize = 5;

/// A policy in force, and the tools as it lets them be. Swapped whole, so that no call sees two.
pub struct InForce {
    /// The policy.
    pub policy: Arc<Policy>,
    /// Its tools.
    pub registry: Registry,
    file: Option<PathBuf>,
}

impl InForce {
    /// The name of its file, without the folder.
    pub(crate) fn file_name(&self) -> String {
        name_of(self.file.as_deref())
    }
}

/// Why a policy does not come into force.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is no file any more, it is none, or it cannot be read.
    #[error("{0}")]
    Unreadable(PolicyErrors),
    /// It is no policy.
    #[error("{0}")]
    Policy(#[from] PolicyErrors),
    /// Somebody else could change it.
    #[error("a policy that the gateway's callers could write is not loaded: {0}")]
    Exposed(#[from] Exposed),
    /// Callers would trust a boundary that the file no longer gives.
    #[error("the gateway started as a boundary, and under this file it would be none: {0}; mend that, or start the gateway anew")]
    LessTrust(String),
    /// It changed each time while it was read.
    #[error("the policy file changes while it is read")]
    Unsettled,
    /// Its text cannot be kept beside the log that names it.
    #[error("the policy's text cannot be kept for later replays: {0}")]
    Archive(HomeError),
    /// What it does not want in production.
    #[error(transparent)]
    Unsafe(#[from] Unsafe),
    /// Two tools of one name.
    #[error(transparent)]
    Tools(#[from] DuplicateTool),
}

impl LoadError {
    /// Its word in the log.
    fn reason(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "unreadable",
            Self::Policy(_) => "not_a_policy",
            Self::Exposed(_) => "exposed",
            Self::LessTrust(_) => "less_trust",
            Self::Unsettled => "unsettled",
            Self::Archive(_) => "not_archived",
            Self::Unsafe(_) => "unsafe_in_production",
            Self::Tools(_) => "tools",
        }
    }

    /// What tells refusals of the same bytes and reason apart: a file that is gone, and then a folder. No word for a client.
    fn kind(&self) -> String {
        match self {
            Self::Unreadable(errors) => errors.all().first().map(|finding| finding.message.clone()).unwrap_or_default(),
            Self::Policy(_) | Self::Unsettled | Self::Unsafe(_) | Self::Tools(_) => String::new(),
            Self::Exposed(_) | Self::LessTrust(_) | Self::Archive(_) => self.to_string(),
        }
    }

    /// Whether it may pass without the file being touched: a folder above it is mended, a disk has room again.
    fn may_pass(&self) -> bool {
        match self {
            Self::Unreadable(_) | Self::Exposed(_) | Self::LessTrust(_) | Self::Unsettled | Self::Archive(_) => true,
            Self::Policy(_) | Self::Unsafe(_) | Self::Tools(_) => false,
        }
    }
}

/// The policy a gateway with these settings enforces: `OPSGATE_POLICY`, else `policy.yaml` in the home, else the shipped one.
///
/// # Errors
/// Where the file does not load.
pub fn load_policy(settings: &Settings, catalogue: &Catalogue) -> Result<Policy, PolicyErrors> {
    match policy_path(settings) {
        Some(path) => Policy::load(&path, catalogue),
        None => Policy::parse(Policy::shipped(), SHIPPED, catalogue),
    }
}

const SHIPPED: &str = "policy.yaml (shipped)";

/// The file of the policy that a gateway with these settings enforces; `None` is the shipped one.
#[must_use]
pub fn policy_path(settings: &Settings) -> Option<PathBuf> {
    let in_home = settings.home.join("policy.yaml");
    // A link that leads nowhere, a file that cannot be looked at, or one that is gone is an error later and not the shipped policy.
    // INVARIANT: a home that had a policy of its own does not go back to the shipped one by itself (test: tests/home.rs,
    // a_home_that_lost_its_policy_does_not_start).
    let own = |path: &Path| path.symlink_metadata().is_ok() || had_its_own(&settings.home).symlink_metadata().is_ok();
    settings.policy.clone().or_else(|| own(&in_home).then_some(in_home))
}

/// The mark of a home whose own `policy.yaml` was in force.
fn had_its_own(home: &Path) -> PathBuf {
    home.join("policies/of-this-home")
}

fn name_of(file: Option<&Path>) -> String {
    file.map_or_else(|| SHIPPED.to_owned(), |file| file.file_name().unwrap_or_default().to_string_lossy().into_owned())
}

/// The bytes of a policy that nobody else could have written; not yet judged.
pub(crate) struct Text {
    file: Option<PathBuf>,
    bytes: Vec<u8>,
    hash: String,
}

/// Makes the tools that a policy lets be, for a gateway that stands so to its callers.
pub(crate) type Tools = Box<dyn Fn(&Arc<Policy>, &Standing) -> Result<Registry, DuplicateTool> + Send + Sync>;

/// All that a policy is read and judged by.
pub(crate) struct Loader {
    settings: Settings,
    catalogue: Catalogue,
    tools: Tools,
}

impl Loader {
    pub(crate) fn new(settings: &Settings, catalogue: &Catalogue, tools: Tools) -> Self {
        Self { settings: settings.clone(), catalogue: catalogue.clone(), tools }
    }

    /// Where the next policy is: once a file was in force, never again the shipped one.
    // INVARIANT: a file that is removed does not bring the shipped policy back (test: tests/reload/rejected.rs, what_is_no_policy_changes_nothing).
    fn file(&self, in_force: Option<&InForce>) -> Option<PathBuf> {
        policy_path(&self.settings).or_else(|| in_force?.file.clone())
    }

    /// Reads the file, or the shipped policy, whole: what a link leads to may be exchanged, and a file be written, while it is read.
    pub(crate) fn read(&self, in_force: Option<&InForce>) -> Result<Text, LoadError> {
        let Some(file) = self.file(in_force) else {
            let bytes = Policy::shipped().as_bytes().to_vec();
            return Ok(Text { file: None, hash: Policy::hash_of(&bytes), bytes });
        };
        for _ in 0..READINGS {
            let before = Look::at(&file);
            // INVARIANT: a policy that a caller could write is not loaded (test: tests/setup.rs,
            // each_change_of_an_installation_is_found_and_those_of_the_policy_are_refused).
            guarded(&file)?;
            let bytes = Policy::read(&file).map_err(LoadError::Unreadable)?;
            if Look::at(&file) == before {
                return Ok(Text { file: Some(file), hash: Policy::hash_of(&bytes), bytes });
            }
        }
        Err(LoadError::Unsettled)
    }

    /// Judges a text as this gateway's policy and makes its tools, and keeps the text in the home under its hash.
    ///
    /// All that a policy must be for this gateway is asked here and nowhere else.
    pub(crate) fn judge(&self, text: &Text, home: &Home, standing: &Standing) -> Result<InForce, LoadError> {
        let name = text.file.as_deref().map_or_else(|| SHIPPED.to_owned(), |file| file.display().to_string());
        let policy = Arc::new(Policy::of_bytes(&text.bytes, &name, &self.catalogue)?);
        let now = Standing::of_this_process(text.file.as_deref(), &self.settings.home);
        if (standing.trust, now.trust) == (Trust::Separate, Trust::SameUser) {
            return Err(LoadError::LessTrust(now.why));
        }
        // INVARIANT: a policy for production is enforced by no process that is unsafe there (test: tests/policy_language.rs,
        // production_refuses_what_is_unsafe_of_the_process).
        production::fits(&policy, &Process { same_user: standing.trust == Trust::SameUser, insecure_bind: self.settings.insecure_bind })?;
        let registry = (self.tools)(&policy, standing)?;
        home.archive_policy(policy.hash(), &text.bytes).map_err(LoadError::Archive)?;
        let own = text.file.is_some() && self.settings.policy.is_none();
        if own && had_its_own(home.path()).symlink_metadata().is_err() {
            write_private(&had_its_own(home.path()), b"this home has a policy of its own; remove this file to go back to the shipped one\n")
                .map_err(LoadError::Archive)?;
        }
        Ok(InForce { policy, registry, file: text.file.clone() })
    }

    /// Tells what an operator should know of a policy that is in force, on the log's lines.
    pub(crate) fn say_warnings(&self, policy: &Policy, scrubber: &Scrubber) {
        for warning in policy.warnings() {
            log::warn(log::Component::Policy, "the policy has a warning").with("warning", &scrubber.text(&warning.to_string()).0).emit();
        }
        for notice in crate::catalogue::notices(policy, &self.settings) {
            log::warn(log::Component::Gateway, "the environment and the policy do not fit together").with("notice", &scrubber.text(&notice).0).emit();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_boundary_is_not_given_up_by_a_reload() {
        let dir = tempfile::Builder::new().prefix("og").permissions(std::fs::Permissions::from_mode(0o700)).tempdir().unwrap();
        let home = Home::open(dir.path()).unwrap();
        let settings = Settings { home: home.path().to_owned(), ..Settings::default() };
        let told = Arc::new(std::sync::Mutex::new(Vec::new()));
        let tells = told.clone();
        let tools = move |_: &Arc<Policy>, standing: &Standing| {
            tells.lock().unwrap().push(standing.why.clone());
            Ok(Registry::default())
        };
        let loader = Loader::new(&settings, &crate::catalogue::catalogue().unwrap(), Box::new(tools));
        std::fs::write(home.path().join("policy.yaml"), "version: 1\n").unwrap();
        let text = loader.read(None).unwrap();
        // Under cargo nothing is a boundary: the program is somebody's own.
        let mut standing = Standing::of_this_process(None, home.path());
        standing.why = "how it stood at its start".to_owned();
        loader.judge(&text, &home, &standing).unwrap();
        assert_eq!(*told.lock().unwrap(), ["how it stood at its start"], "the tools are told another standing than decisions are made by");
        standing.trust = Trust::Separate;
        assert!(matches!(loader.judge(&text, &home, &standing), Err(LoadError::LessTrust(_))));
    }
}
