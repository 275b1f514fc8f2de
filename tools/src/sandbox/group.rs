//! The command's process group, as the gateway knows it: for when the supervisor is not there to end it.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use super::processes::{self, Process};

/// How long what was killed may take to be gone.
const GONE: Duration = Duration::from_secs(20);

/// Its number is that of the command's first process, which began it.
// INVARIANT: the command does not outlive its supervisor (test: killing_the_supervisor_ends_the_command).
#[derive(Debug)]
pub(super) struct Group(Pid);

impl Group {
    pub(super) fn of(leader: i32) -> Option<Self> {
        if leader > 1 { Pid::from_raw(leader).map(Self) } else { None }
    }

    /// Kills all of it, and waits until it is gone.
    pub(super) async fn end(&self) {
        let until = Instant::now() + GONE;
        while self.kill() && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(5)).await; // of the end of another's child there is no event
        }
    }

    /// Whether there was something to kill. A signal to a group misses no process that is being made in it.
    fn kill(&self) -> bool {
        let number = self.0.as_raw_nonzero().get();
        let is_there = processes::all().any(|process| process.group == number && !process.is_zombie && is_of_a_sandbox(&process, number));
        is_there && rustix::process::kill_process_group(self.0, Signal::KILL).is_ok()
    }
}

impl Drop for Group {
    /// Where the run was given up. The supervisor does this as well, if it is there.
    fn drop(&mut self) {
        self.kill();
    }
}

/// A number that has become free may be another group's by now. As long as one process of the command is there it is not;
/// and those have what no process can get rid of: the session, and that filters hold it.
fn is_of_a_sandbox(process: &Process, leader: i32) -> bool {
    process.session == leader && fs::read_to_string(format!("/proc/{}/status", process.pid)).is_ok_and(|status| is_held(&status))
}

fn is_held(status: &str) -> bool {
    let is = |key: &str, value: &str| status.lines().any(|line| line.strip_prefix(key).is_some_and(|rest| rest.trim() == value));
    is("NoNewPrivs:", "1") && is("Seccomp:", "2")
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;

    use super::*;

    #[test]
    fn another_group_of_that_number_is_left_alone() {
        let mut other = std::process::Command::new("sleep").arg("600").process_group(0).spawn().unwrap();
        let group = Group::of(i32::try_from(other.id()).unwrap()).unwrap();
        assert!(!group.kill());
        drop(group);
        assert_eq!(other.try_wait().unwrap(), None);
        other.kill().unwrap();
        other.wait().unwrap();
        for number in [0, 1, -1] {
            assert!(Group::of(number).is_none(), "{number} would be another one's, or all");
        }
        assert!(is_held("NoNewPrivs:\t1\nSeccomp:\t2\n") && !is_held("NoNewPrivs:\t0\nSeccomp:\t2\n") && !is_held("Seccomp:\t0\n"));
    }
}
