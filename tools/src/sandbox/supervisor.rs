//! The process between gateway and command. It lives as long as the command and a moment longer: to see that nothing is
//! left of it, whoever went first.
//!
//! Its standard input is the order and then a lifeline, at whose other end is the gateway. Its standard output is the
//! command's. On standard error it says how the command ended.

use std::io::{self, BufRead, Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitOptions};

use super::enter::{INSIDE, SUPERVISE};
use super::held::HomeHeld;
use super::home;
use super::job::{Limits, Order, Said, Told};
use super::processes;

/// How often it looks whether many threads have come.
const GLANCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
/// How often it counts processes and memory anyway.
const COUNT: Duration = Duration::from_millis(150);
/// So many new threads on the machine are worth counting at once.
const MANY: u64 = 100;
/// How long what was killed may take to be gone. A process that waits for a disk is killed only after that.
const GONE: Duration = Duration::from_secs(20);

/// Runs the order on standard input; the exit code.
pub(super) fn supervise() -> i32 {
    let mut line = String::new();
    if io::stdin().lock().read_line(&mut line).is_err() || !line.ends_with('\n') {
        return 1; // the gateway is gone
    }
    let told = match serde_json::from_str::<Order>(&line) {
        Ok(order) => {
            let told = run(&order, &line);
            let _ = home::remove(&order.home); // the gateway tries too
            told
        }
        Err(error) => not_started("reading the order", &error),
    };
    i32::from(say(&Said::Ended(told)).is_err())
}

fn say(what: &Said) -> io::Result<()> {
    let mut line = serde_json::to_vec(what)?;
    line.push(b'\n');
    io::stderr().write_all(&line)
}

fn not_started(step: &str, why: &dyn std::fmt::Display) -> Told {
    Told::NotStarted { step: step.to_owned(), why: why.to_string() }
}

fn run(order: &Order, line: &str) -> Told {
    // Whatever the command leaves behind becomes a child of this process.
    if let Err(error) = rustix::process::set_child_subreaper(Some(rustix::process::getpid())) {
        return not_started("becoming the reaper", &error);
    }
    let mut child = match start(&order.home) {
        Ok(child) => child,
        Err(error) => return not_started("starting opsgate once more", &error),
    };
    // Root's processes are bounded by this one alone: it must get its turn among thousands. Others may not ask for it.
    let _ = rustix::process::setpriority_process(None, -10); // after the start: the command does not have it too
    let Some(leader) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else { return not_started("starting", &"it has no id") };
    // Before it has its order: from then on the gateway can end it too.
    let told = match say(&Said::Began(leader.as_raw_nonzero().get())).map_err(|error| not_started("telling the gateway", &error)) {
        Ok(()) => match entered(&mut child, line) {
            Ok(()) => watch(leader, &order.home, &order.limits),
            Err(told) => told,
        },
        Err(told) => told,
    };
    end(leader);
    told
}

fn start(home: &Path) -> io::Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    command.args([SUPERVISE, INSIDE, &std::process::id().to_string()]).env_clear().env("TMPDIR", home);
    command.stdin(Stdio::piped()).stdout(Stdio::inherit()).stderr(Stdio::piped()).spawn()
}

/// Hands the order on and waits until the child is another program: what it says before is why it is not.
fn entered(child: &mut Child, line: &str) -> Result<(), Told> {
    if let Some(mut input) = child.stdin.take()
        && let Err(error) = input.write_all(line.as_bytes())
    {
        return Err(not_started("handing over the order", &error));
    }
    let mut said = String::new();
    if let Some(mut failures) = child.stderr.take() {
        let _ = failures.read_to_string(&mut said); // cut off: then what came is told
    }
    match said.trim().split_once('\t') {
        Some((step, why)) => Err(not_started(step, &why)),
        None if said.is_empty() => Ok(()),
        None => Err(not_started("entering", &said)),
    }
}

// INVARIANT: the command does not outlive the gateway (tests: killing_the_gateway_ends_the_command,
// a_cancelled_call_leaves_nothing).
fn watch(leader: Pid, home: &Path, limits: &Limits) -> Told {
    let Ok(handle) = rustix::process::pidfd_open(leader, PidfdFlags::empty()) else { return not_started("watching", &"the command has no handle") };
    let home = match HomeHeld::watched(home, leader.as_raw_nonzero().get()) {
        Ok(home) => home,
        Err(error) => return not_started("counting the private folder", &error),
    };
    let started = Instant::now();
    let (mut counted, mut threads) = (started, processes::threads_of_machine());
    loop {
        match ready(&handle) {
            Ready::Ended => return how(leader),
            Ready::GatewayGone => return Told::Cancelled,
            Ready::Nothing => {}
        }
        if started.elapsed() >= limits.time {
            return Told::TimedOut;
        }
        if counted.elapsed() >= COUNT || processes::threads_of_machine() > threads.saturating_add(MANY) {
            if let Some(told) = beyond(leader, &home, limits) {
                return told;
            }
            // From here on: others on the machine may have started them.
            (counted, threads) = (Instant::now(), processes::threads_of_machine());
        }
    }
}

enum Ready {
    Nothing,
    Ended,
    GatewayGone,
}

fn ready(handle: &OwnedFd) -> Ready {
    let input = io::stdin();
    let mut watched = [PollFd::new(handle, PollFlags::IN), PollFd::new(&input, PollFlags::IN)];
    let _ = poll(&mut watched, Some(&GLANCE)); // interrupted: nothing is ready
    let [command, gateway] = watched;
    if !command.revents().is_empty() {
        Ready::Ended
    } else if !gateway.revents().is_empty() {
        Ready::GatewayGone // nothing is ever said there, so it is the end
    } else {
        Ready::Nothing
    }
}

/// How the leader ended, without reaping it: as long as it is there its group's number is nobody else's.
fn how(leader: Pid) -> Told {
    match rustix::process::waitid(WaitId::Pid(leader), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
        Ok(Some(status)) => match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Told::Exited(code),
            (None, Some(signal)) => Told::Signalled(signal),
            (None, None) => Told::Exited(0),
        },
        _ => not_started("watching", &"the command is nowhere"),
    }
}

/// Which limit its processes are beyond together, if one. Reaps on the way what was left to this process and has ended.
fn beyond(leader: Pid, home: &HomeHeld, limits: &Limits) -> Option<Told> {
    let (leader, own) = (leader.as_raw_nonzero().get(), rustix::process::getpid().as_raw_nonzero().get());
    let (mut count, mut threads, mut own_memory, mut shared) = (0u64, 0u64, 0u64, 0u64);
    for process in processes::all().filter(|process| process.group == leader) {
        if process.is_zombie {
            if process.parent == own && process.pid != leader {
                let _ = rustix::process::waitpid(Pid::from_raw(process.pid), WaitOptions::NOHANG);
            }
            continue;
        }
        count += 1;
        threads += process.threads;
        if count > limits.processes || threads > limits.threads {
            return Some(Told::TooManyProcesses);
        }
        let held = processes::held(process.pid);
        own_memory = own_memory.saturating_add(held.own);
        shared = shared.max(held.shared); // most likely the same for all
    }
    if own_memory.saturating_add(shared).saturating_add(home.memory()) > limits.memory {
        return Some(Told::TooMuchMemory);
    }
    (home.disk() > limits.home_bytes).then_some(Told::TooMuchDisk)
}

/// Kills the whole group at once, then waits until no descendant is left.
// INVARIANT: nothing of a command is left when its run is told as ended (test: nothing_outlives_the_command).
fn end(leader: Pid) {
    let _ = rustix::process::kill_process_group(leader, Signal::KILL); // no such group: it did not get that far
    let _ = rustix::process::kill_process(leader, Signal::KILL);
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let until = Instant::now() + GONE;
    while Instant::now() < until {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some(_)) => {}
            Ok(None) => {
                let left = processes::all().filter(|process| process.parent == own && !process.is_zombie);
                for process in left.filter_map(|process| Pid::from_raw(process.pid)) {
                    let _ = rustix::process::kill_process(process, Signal::KILL);
                }
                std::thread::sleep(Duration::from_millis(2)); // between being killed and being gone there is no event for all of them
            }
            Err(Errno::INTR) => {}
            Err(_) => return, // no child is left
        }
    }
}
