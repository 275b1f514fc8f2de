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
            Some(_) => Ok(State::Done),
        }
    }

    fn apply(&self) -> Result<(), SetupError> {
        let mut command = Command::new("useradd");
        if !self.layout.is_this_machine() {
            command.arg("--prefix").arg(self.layout.root());
        }
        command.args(["--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", "--home-dir"]);
        run(command.arg(self.layout.home()).arg(self.layout.name())).map(|_| ())
    }
}

/// The gateway's user, once it is there.
pub(super) fn user(layout: &Layout) -> Result<User, SetupError> {
    let accounts = Accounts::read(layout.root());
    accounts.user(layout.name()).cloned().ok_or_else(|| SetupError::new(format!("there is no user `{}` yet", layout.name())))
}
