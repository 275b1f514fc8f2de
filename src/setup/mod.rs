//! `opsgate setup`: the gateway under a user of its own, so that it is a boundary and not a guard rail.
//!
//! A plan is a list of steps; each knows whether it is done already, so a second run changes nothing. What is
//! installed bears the name of the gateway's user.

mod account;
mod approver;
mod check;
mod clients;
mod files;
mod layout;
mod policy;
mod recorded;
mod script;
mod service;
mod step;
mod unit;
mod workspace;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::Serialize;

pub use check::{Fact, check};
pub use clients::clients;
pub use layout::Layout;
pub use recorded::{Recorded, agent_of};
pub use step::{SetupError, Step};

use files::{File, Folder, Keep, Owner};
use step::State;

use crate::trust::Accounts;

/// What is to be installed.
#[derive(Debug, Clone)]
pub struct Install {
    /// Where things lie.
    pub layout: Layout,
    /// The user whose agent calls the gateway.
    pub agent: Option<String>,
    /// Who approves: a key is made for this name.
    pub approver: Option<String>,
    /// Repositories that the gateway shall read.
    pub workspaces: Vec<PathBuf>,
    /// Whether it shall write there too.
    pub writable: bool,
    /// Where it listens for HTTP, if it does.
    pub listen: Option<SocketAddr>,
    /// Whether systemd runs it.
    pub systemd: bool,
}

/// What a step did, or would do.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The step.
    pub id: &'static str,
    /// What it sees to.
    pub what: String,
    /// `done`, `already` or `planned`.
    pub state: &'static str,
}

/// What came of a run.
#[derive(Debug)]
pub struct Installed {
    /// Each step.
    pub steps: Vec<Outcome>,
    /// The approver's key, where one was made just now.
    pub key: Option<SecretString>,
    /// What is left for a person to do.
    pub notes: Vec<String>,
}

impl Install {
    /// Carries the plan out, or only says what it would do.
    ///
    /// # Errors
    /// The first step that does not work, with the mend. What was done before stays; a second run goes on from there.
    pub fn run(&self, dry: bool, mut tell: impl FnMut(&Outcome)) -> Result<Installed, SetupError> {
        let recorded = self.recorded()?;
        let mut installed = Installed { steps: Vec::new(), key: None, notes: self.notes(&recorded)? };
        let mut changed = false;
        let mut take = |step: &dyn Step| -> Result<(), SetupError> {
            let state = match step.state(changed)? {
                State::Done => "already",
                State::Missing if dry => "planned",
                State::Missing => {
                    step.apply()?;
                    changed |= step.restarts();
                    "done"
                }
            };
            let outcome = Outcome { id: step.id(), what: step.what(), state };
            tell(&outcome);
            installed.steps.push(outcome);
            Ok(())
        };
        let here = self.layout.is_this_machine();
        for step in self.plan(&recorded) {
            take(step.as_ref())?;
        }
        if let Some(name) = self.approver.as_ref().filter(|_| here) {
            let approver = approver::Approver::new(&self.layout, name);
            take(&approver)?;
            installed.key = approver.key();
        }
        if here {
            take(&service::Started { layout: self.layout.clone(), systemd: self.systemd })?;
        }
        Ok(installed)
    }

    /// All steps that put something in its place, in their order.
    fn plan(&self, recorded: &Recorded) -> Vec<Box<dyn Step>> {
        let at = &self.layout;
        let folder = |path: PathBuf, mode, owner| Box::new(Folder { layout: at.clone(), path, mode, owner }) as Box<dyn Step>;
        let file = |id, path: PathBuf, mode, owner, content: Vec<u8>, keep| {
            Box::new(File { id, layout: at.clone(), path, mode, owner, content, keep }) as Box<dyn Step>
        };
        let policy = policy::text(self.agent_uid(), self.approver.as_deref());
        let mut steps: Vec<Box<dyn Step>> = vec![
            Box::new(account::Account { layout: at.clone() }),
            Box::new(files::Program { layout: at.clone() }),
            folder(at.state(), 0o750, Owner::RootAndServiceGroup),
            folder(at.home(), 0o700, Owner::Service),
            folder(at.etc(), 0o755, Owner::Root),
            file("policy", at.policy(), 0o640, Owner::RootAndServiceGroup, policy.into_bytes(), Keep::Content),
            file("environment", at.environment(), 0o600, Owner::Root, policy::ENVIRONMENT.into(), Keep::Content),
        ];
        let agent = self.uid_of(recorded.agent.as_deref());
        // Where the agent's user is not known, `notes` has refused already.
        for (folder, agent) in self.workspaces.iter().filter_map(|folder| Some((folder, agent?))) {
            steps.push(Box::new(workspace::Granted { layout: at.clone(), folder: folder.clone(), writable: self.writable, agent }));
        }
        steps.push(if self.systemd {
            file("unit", at.unit(), 0o644, Owner::Root, unit::text(at, recorded).into_bytes(), Keep::Nothing)
        } else {
            file("script", at.script(), 0o755, Owner::Root, script::text(at, recorded).into_bytes(), Keep::Nothing)
        });
        steps
    }

    /// What the unit or script remembers of the run before, and what this run adds.
    fn recorded(&self) -> Result<Recorded, SetupError> {
        let file = if self.systemd { self.layout.unit() } else { self.layout.script() };
        let before = Recorded::of_file(&self.layout.on_disk(&file)).unwrap_or_default();
        let agent = self.agent.clone().or(before.agent);
        let mut recorded = Recorded { agent, listen: self.listen.or(before.listen), ..before };
        if let Some(agent) = self.uid_of(recorded.agent.as_deref()) {
            for folder in &self.workspaces {
                let folder = workspace::reach(&self.layout, folder, agent)?.real;
                let (is, is_not) =
                    if self.writable { (&mut recorded.writable, &mut recorded.readable) } else { (&mut recorded.readable, &mut recorded.writable) };
                is_not.retain(|there| *there != folder);
                if !is.contains(&folder) {
                    is.push(folder);
                }
            }
        }
        Ok(recorded)
    }

    fn uid_of(&self, agent: Option<&str>) -> Option<u32> {
        agent.and_then(|name| Accounts::read(self.layout.root()).user(name).map(|user| user.uid))
    }

    fn agent_uid(&self) -> Option<u32> {
        self.uid_of(self.agent.as_deref())
    }

    /// What a policy that was there already, and is not overwritten, lacks; and what cannot be done.
    fn notes(&self, recorded: &Recorded) -> Result<Vec<String>, SetupError> {
        let accounts = Accounts::read(self.layout.root());
        if !self.workspaces.is_empty() && self.uid_of(recorded.agent.as_deref()).is_none() {
            return Err(SetupError::new("whose repositories are these? Name the agent's user with --agent".to_owned()));
        }
        if let Some(agent) = &self.agent {
            let user =
                accounts.user(agent).ok_or_else(|| SetupError::new(format!("there is no user `{agent}`; name the agent's user with --agent")))?;
            if user.uid == 0 || user.name == self.layout.name() {
                return Err(SetupError::new(format!(
                    "the agent's user cannot be `{agent}`: the gateway would be no boundary; name another with --agent"
                )));
            }
        }
        let there = self.layout.on_disk(&self.layout.policy());
        if !there.exists() {
            return match (&recorded.agent, self.agent_uid()) {
                (Some(_), Some(_)) => Ok(Vec::new()),
                _ => Err(SetupError::new("who calls the gateway? Name the agent's user with --agent".to_owned())),
            };
        }
        Ok(policy::lacks(&there, self.agent_uid(), self.approver.as_deref()))
    }
}

/// Whether systemd runs this machine.
#[must_use]
pub fn systemd_runs() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

#[cfg(test)]
mod tests;
