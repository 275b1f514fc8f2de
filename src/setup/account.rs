//! The gateway's user: a system user that nobody logs in as.

use std::process::Command;

use super::layout::Layout;
use super::step::{SetupError, State, Step, run};
use crate::trust::{Accounts, User};

pub(super) struct Account {
    pub(super) layout: Layout,
}

impl Step for Account {
    fn id(&self) -> &'static str {
        "user"
    }

    fn what(&self) -> String {
        format!("the system user `{}`, with a group of its own and no login", self.layout.name())
    }

    fn state(&self, _: bool) -> Result<State, SetupError> {
        let name = self.layout.name();
        match Accounts::read(self.layout.root()).user(name) {
            None => Ok(State::Missing),
            Some(user) if user.uid == 0 => Err(SetupError::new(format!("the user `{name}` is root; name another with --user"))),
            Some(user) if user.logs_in() => {
                Err(SetupError::new(format!("the user `{name}` is a person's: it can log in with {}; name another with --user", user.shell)))
            }
            Some(user) => self.unused(user.uid).map(|()| State::Done),
        }
    }

    fn apply(&self) -> Result<(), SetupError> {
        let mut command = Command::new("useradd");
        if !self.layout.is_this_machine() {
            command.arg("--prefix").arg(self.layout.root());
        }
        command.args(["--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", "--home-dir"]);
        run(command.arg(self.layout.home()).arg(self.layout.name()))?;
        self.unused(user(&self.layout)?.uid)
    }
}

impl Account {
    /// A number that is free in the accounts' files may still be that of processes which a removed user left: they would be the
    /// gateway's user from its first moment. Before there is a home, nothing of that number is the gateway's own.
    // INVARIANT: no home is made for a number that runs something (test: tests/setup.rs, a_number_that_runs_something_is_refused).
    fn unused(&self, uid: u32) -> Result<(), SetupError> {
        if !self.layout.is_this_machine() || self.layout.home().exists() {
            return Ok(());
        }
        let pids = running_as(uid);
        if pids.is_empty() {
            return Ok(());
        }
        let name = self.layout.name();
        Err(SetupError::new(format!(
            "the user `{name}` (uid {uid}) already runs processes, which would be the gateway's user: {}; look what they are, end them and run setup again",
            pids.join(", ")
        )))
    }
}

/// The processes with this number in any of their four uids.
fn running_as(uid: u32) -> Vec<String> {
    let numbers = std::fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let runs = |pid: &String| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let uids = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap_or_default();
        // One that has ended and that nobody asked after does nothing any more.
        let ended = status.lines().any(|line| line.starts_with("State:\tZ"));
        !ended && uids.split_whitespace().any(|word| word.parse() == Ok(uid))
    };
    numbers.filter(|name| name.bytes().all(|b| b.is_ascii_digit())).filter(runs).collect()
}

/// The gateway's user, once it is there.
pub(super) fn user(layout: &Layout) -> Result<User, SetupError> {
    let accounts = Accounts::read(layout.root());
    accounts.user(layout.name()).cloned().ok_or_else(|| SetupError::new(format!("there is no user `{}` yet", layout.name())))
}
