//! What may happen: `policy.yaml`, read strictly and compiled once, and the decision about each call.
//!
//! The path of a policy: text → `yaml` tree with places → `read` model, all errors at once → `compile` index →
//! `decide`. A [`Policy`] never changes and does no I/O after it was loaded.
//!
//! # Laws
//!
//! - A denial wins over any permission, wherever either stands; the order of the file means nothing.
//! - No rule, no permission. `defaults` is a rule too; a policy that says nothing refuses everything.
//! - A deny rule matches where *any* touched value of each kind it names is one it names. An allow rule covers a call
//!   only where *every* touched value of each kind it names is one it names, and there is one.
//! - Deny globs compare without regard to case and cover all that is beneath what they match; allow globs compare exactly.
//! - Of several `repositories` or `callers` globs the closest wins (a literal name, then the longer text before the first
//!   wildcard, then more fixed characters, then fewer `**`). Of `repositories` for each setting on its own, and a denial in *any*
//!   of them stands; of `callers` the closest counts whole, owner and roles together.

mod asked;
mod call;
mod cases;
mod catalogue;
mod compile;
mod decide;
mod decision;
mod deny_index;
mod diagnostics;
mod explain;
mod filter;
mod filter_nested;
mod glob;
mod glob_slips;
mod glob_table;
mod hits;
mod hours;
mod limits;
mod model;
mod normalise;
mod read;
mod replay;
mod required;
mod review;
mod risk;
mod roots;
mod sentences;
#[cfg(test)]
mod tests;
mod tool_index;
mod tools;
mod write;
mod yaml;
mod yaml_events;

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use opsgate_tools::mode::Mode;
use opsgate_tools::tool::{Class, Spec};
use opsgate_tools::workspace::{Author, Command};
use sha2::{Digest, Sha256};

pub use cases::{CaseFile, CaseReport, CaseResult, CasesError, UnhitGlob};
pub use catalogue::Catalogue;
pub use compile::Profile;
pub use decision::{ChangePart, Decision, Denial, DenialCode, Facts, Permit, Quorum, Requirement, Trigger};
pub use diagnostics::{Finding, PolicyErrors, Warning};
pub use explain::{Explanation, MatchedRule};
pub use limits::{CallerRate, Limits, OverThen, Rate};
pub use model::{
    AuditLevel, AuditReads, AuditSettings, Budget, Deployment, Effect, Language, OnExposure, Person, Pii, RiskSettings, ScrubSettings, Settings,
};

pub(crate) use diagnostics::did_you_mean;
pub(crate) use normalise::unseen;
pub use normalise::{PathProblem, RefProblem, normalise_path, normalise_ref};
pub use replay::{Archive, Hidden, LogState, OtherFilters, Redecided, Replay, ReplayReport, Tally, Under};
pub use required::Required;
pub use review::draw::draw;
pub use review::schema::schema;
pub use review::touches::touches;
pub use review::{Became, Cell, Change, Column, Diff, Direction, Entry, Key, Look, Matrix, May, Reason, Row, Says, Setting, Target};
pub use risk::{Circumstance, Risk};
pub use tools::{Explain, Whoami};

use compile::Core;
use diagnostics::{Pos, Source};
use read::{Reader, keys};

/// A policy, ready to decide. Immutable; share it by `Arc`.
pub struct Policy {
    core: Arc<Core>,
    warnings: Vec<Warning>,
}

impl Policy {
    /// The policy that opsgate ships: reading is allowed, writing is off.
    #[must_use]
    pub const fn shipped() -> &'static str {
        include_str!("../../policy.yaml")
    }

    /// Reads a policy file.
    ///
    /// # Errors
    /// [`PolicyErrors`]: the file cannot be read, is larger than 1 MiB, is not UTF-8, or is not a policy.
    pub fn load(path: &Path, catalogue: &Catalogue) -> Result<Self, PolicyErrors> {
        Self::of_bytes(&Self::read(path)?, &path.display().to_string(), catalogue)
    }

    /// The bytes of a policy file, not yet read as a policy.
    ///
    /// # Errors
    /// [`PolicyErrors`]: the file cannot be read, is no regular file, or is larger than 1 MiB.
    pub fn read(path: &Path) -> Result<Vec<u8>, PolicyErrors> {
        let name = path.display().to_string();
        let whole = |message: String, help: &str| {
            let source = Source { name: &name, text: "" };
            PolicyErrors::new(vec![Finding::new(source, Pos::default(), message, Some(help.to_owned()))])
        };
        let help = |error: &std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => "put it back (each policy that was in force is kept in the home's `policies`), or name another",
            _ => "name a policy file that can be read",
        };
        let unreadable = |error: std::io::Error| whole(format!("the policy cannot be read: {error}"), help(&error));
        // Opened without waiting, and bounded: a pipe, a device or a huge file named by mistake neither blocks nor fills the memory.
        let without_waiting = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
        let file = std::fs::OpenOptions::new().read(true).custom_flags(without_waiting).open(path).map_err(unreadable)?;
        if !file.metadata().map_err(unreadable)?.is_file() {
            return Err(whole("the policy is no regular file".to_owned(), "name a policy file that can be read"));
        }
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::Read::take(file, yaml::MAX_BYTES as u64 + 1), &mut bytes).map_err(unreadable)?;
        if bytes.len() > yaml::MAX_BYTES {
            return Err(whole(format!("the policy is larger than {} KiB", yaml::MAX_BYTES / 1024), "write fewer rules with wider globs"));
        }
        Ok(bytes)
    }

    /// Reads a policy from a file's bytes; `source_name` is the file its errors name.
    ///
    /// # Errors
    /// [`PolicyErrors`]: they are not UTF-8, or not a policy.
    pub fn of_bytes(bytes: &[u8], source_name: &str, catalogue: &Catalogue) -> Result<Self, PolicyErrors> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::parse(text, source_name, catalogue),
            Err(error) => {
                let text = String::from_utf8_lossy(bytes);
                // With the character that stands for the first wrong byte.
                let end = error.valid_up_to() + char::REPLACEMENT_CHARACTER.len_utf8();
                let before = || diagnostics::lines(text.get(..end).unwrap_or_default());
                let (line, column) = (before().count(), before().last().unwrap_or_default().chars().count());
                let at = Pos { line: u32::try_from(line).unwrap_or(u32::MAX), column: u32::try_from(column).unwrap_or(u32::MAX), length: 1 };
                let source = Source { name: source_name, text: &text };
                let finding = Finding::new(source, at, "the policy is not UTF-8 text", Some("save it as UTF-8".to_owned()));
                Err(PolicyErrors::new(vec![finding]))
            }
        }
    }

    /// What [`Policy::hash`] of a policy with these bytes is.
    #[must_use]
    pub fn hash_of(bytes: &[u8]) -> String {
        format!("sha256:{}", hex(&Sha256::digest(bytes)))
    }

    /// Reads a policy from its text; `source_name` is the file its errors name.
    ///
    /// # Errors
    /// [`PolicyErrors`] with everything that is wrong, each with its place.
    pub fn parse(text: &str, source_name: &str, catalogue: &Catalogue) -> Result<Self, PolicyErrors> {
        let source = Source { name: source_name, text };
        let root = yaml::read(source).map_err(|finding| PolicyErrors::new(vec![finding]))?;
        let mut reader = Reader::new(source, catalogue);
        let file = reader.file(&root);
        if !reader.errors.is_empty() {
            return Err(PolicyErrors::new(reader.errors));
        }
        let hash = Self::hash_of(text.as_bytes());
        let core = Core::new(file, hash, catalogue).map_err(|error| {
            PolicyErrors::new(vec![Finding::new(source, Pos::default(), error.to_string(), Some(glob_table::LOOKED_UP.to_owned()))])
        })?;
        Ok(Self { core: Arc::new(core), warnings: reader.warnings })
    }

    /// `sha256:` and the digest of the file's bytes.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.core.hash
    }

    /// What the policy knows of a caller; `None` is a caller whose every call is denied.
    #[must_use]
    pub fn caller(&self, id: &str) -> Option<Arc<Profile>> {
        self.core.profile(id).cloned()
    }

    /// Decides about one call. Pure and total; microseconds.
    pub fn decide(&self, facts: &Facts<'_>) -> Decision {
        self.core.decide(facts)
    }

    /// Decides, and says why: for people, not for the path of a call.
    #[must_use]
    pub fn explain(&self, facts: &Facts<'_>) -> Explanation {
        self.core.explain(facts)
    }

    /// Whether some arguments could make a call of this tool permissible for this caller: what `tools/list` shows.
    ///
    /// Knows nothing of `WRITE_MODE` in the environment; where that is off, no write tool is to be shown. `same_user` as in [`Facts`].
    #[must_use]
    pub fn could_permit(&self, caller: &str, same_user: bool, spec: &Spec) -> bool {
        self.core.could_permit(caller, same_user, spec)
    }

    /// Why nobody can have this name, where it does not begin with where a caller's name comes from; and what to write.
    #[must_use]
    pub fn no_issuer(caller: &str) -> Option<String> {
        let issuer = caller.split(':').next().unwrap_or_default();
        if issuer.len() < caller.len() && keys::ISSUERS.contains(&issuer) {
            return None;
        }
        let help = did_you_mean(issuer, keys::ISSUERS.iter().copied()).unwrap_or_default();
        Some(format!("the caller `{caller}` does not begin with where its name comes from, such as `key:`; {help}"))
    }

    /// How much anyone may ask.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.core.limits
    }

    /// The mode of a system; `None` is one that is not listed and so refused.
    #[must_use]
    pub fn mode(&self, system: &str) -> Option<Mode> {
        self.core.systems.get(system).map(|system| system.mode)
    }

    /// The systems that are listed, each with its mode.
    pub fn systems(&self) -> impl Iterator<Item = (&str, Mode)> {
        self.core.systems.iter().map(|(name, system)| (name.as_str(), system.mode))
    }

    /// Whether writes are possible at all, as far as the policy says.
    #[must_use]
    pub fn write_mode(&self) -> bool {
        self.core.write_mode
    }

    /// Whether webhooks, schedules and runbooks may run tools.
    #[must_use]
    pub fn automation(&self) -> bool {
        self.core.automation
    }

    /// What other rooms of the gateway read from the policy.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.core.settings
    }

    /// The people, by name.
    #[must_use]
    pub fn people(&self) -> &BTreeMap<String, Person> {
        &self.core.people
    }

    /// The groups and their members.
    #[must_use]
    pub fn groups(&self) -> &BTreeMap<String, Vec<String>> {
        &self.core.groups
    }

    /// The group that may override an approval, and the one that is asked where nobody else answers.
    #[must_use]
    pub fn approval_groups(&self) -> (Option<&str>, Option<&str>) {
        (self.core.approvals.override_group.as_deref(), self.core.approvals.fallback.as_deref())
    }

    /// The commands that a workspace may run, and who commits there.
    #[must_use]
    pub fn workspace(&self) -> (BTreeMap<String, Command>, Author) {
        let system = self.core.systems.get("workspace");
        system.map(|system| (system.commands.clone(), system.author.clone().unwrap_or_default())).unwrap_or_default()
    }

    /// Whether a connection may work on the repository in this folder, given as a canonical absolute path.
    ///
    /// Where `systems.workspace.roots` is written, one of its globs must match, `~` being the caller's home; else the
    /// caller must own the repository.
    #[must_use]
    pub fn workspace_root_allowed(&self, canonical: &str, home_dir: Option<&str>, owned_by_caller: bool) -> bool {
        let Some(system) = self.core.systems.get("workspace") else { return false };
        let Some(relative) = canonical.strip_prefix('/') else { return false };
        if !relative.is_empty() && normalise::path_spelling(relative).is_err() {
            return false;
        }
        system.root_globs.as_ref().map_or(owned_by_caller, |roots| roots.hold(canonical, home_dir))
    }

    /// What the policy says that has no effect, or more than it seems.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}

impl Core {
    fn could_permit(&self, caller: &str, same_user: bool, spec: &Spec) -> bool {
        let Some(profile) = self.profile(caller) else { return false };
        let Some((_, entry)) = self.tool(spec.card.name) else { return false };
        let Some(system) = self.systems.get(&entry.system) else { return false };
        if entry.class != spec.class || entry.system != spec.card.system || system.mode == Mode::Blocked {
            return false;
        }
        // A target in every environment: rules about environments are taken as if they could hold.
        let who = compile::Who { id: caller, profile, trigger: Trigger::Client, environments: u32::MAX };
        let refused = |index: &u32| {
            self.rule(*index).is_some_and(|rule| !rule.rule.shadow && rule.environments.is_none() && rule.is_about(&who, self.defaults.automation))
        };
        if self.common.unscoped.iter().chain(&entry.denies.unscoped).any(refused) {
            return false;
        }
        let allowing = |index: &u32| {
            let about = |rule: &compile::CompiledRule| {
                !rule.rule.shadow && (entry.class == Class::Read || rule.rule.when.tools.is_some()) && rule.is_about(&who, self.defaults.automation)
            };
            self.rule(*index).is_some_and(about)
        };
        match entry.class {
            Class::Read => self.defaults.read || entry.allows.iter().any(allowing),
            Class::Write => {
                let open = self.write_mode && system.mode.answers_writes() && !self.is_closed_to_same_user(system.mode, &entry.system, same_user);
                open && entry.allows.iter().any(allowing)
            }
        }
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").field("hash", &self.hash()).field("rules", &self.core.rules.len()).finish_non_exhaustive()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
        text
    })
}
