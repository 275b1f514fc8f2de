//! The gateway, running: under systemd, or by the plain script.

use std::process::Command;
use std::time::{Duration, Instant};

use super::layout::Layout;
use super::step::{SetupError, State, Step, run};

/// How long it may take until the socket answers.
const LISTENS: Duration = Duration::from_secs(20);

pub(super) struct Started {
    pub(super) layout: Layout,
    pub(super) systemd: bool,
}

impl Started {
    fn unit(&self) -> String {
        format!("{}.service", self.layout.name())
    }

    fn answers(&self) -> bool {
        std::os::unix::net::UnixStream::connect(self.layout.socket()).is_ok()
    }
}

impl Step for Started {
    fn id(&self) -> &'static str {
        "start"
    }

    fn what(&self) -> String {
        if self.systemd {
            format!("the service {}, enabled and running", self.unit())
        } else {
            format!("the gateway, started by {0} start (no systemd here: have your init run it)", self.layout.script().display())
        }
    }

    fn state(&self, changed: bool) -> Result<State, SetupError> {
        let runs = if self.systemd {
            let quiet = |verb: &str| Command::new("systemctl").args([verb, "--quiet", &self.unit()]).status().is_ok_and(|status| status.success());
            quiet("is-active") && quiet("is-enabled")
        } else {
            let script = self.layout.script();
            script.exists() && Command::new(script).arg("status").output().is_ok_and(|output| output.status.success())
        };
        Ok(State::done(runs && !changed && self.answers()))
    }

    fn apply(&self) -> Result<(), SetupError> {
        if self.systemd {
            run(Command::new("systemctl").arg("daemon-reload"))?;
            run(Command::new("systemctl").args(["enable", "--quiet", &self.unit()]))?;
            run(Command::new("systemctl").args(["restart", &self.unit()]))?;
        } else {
            run(Command::new(self.layout.script()).arg("restart"))?;
        }
        let late = Instant::now() + LISTENS;
        while !self.answers() {
            if Instant::now() > late {
                let look =
                    if self.systemd { format!("journalctl -u {}", self.unit()) } else { format!("{}/gateway.log", self.layout.home().display()) };
                return Err(SetupError::new(format!("the gateway does not listen at `{}`; {look} tells why", self.layout.socket().display())));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}
