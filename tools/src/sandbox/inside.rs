//! The process that becomes the command: it gives up everything that was not granted, and then is another program.

use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr,
    RulesetStatus, Scope,
};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::process::{Resource, Rlimit, Signal};
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::available::NEEDED;
use super::job::{Access, Grant, Limits, Order};
use super::{calls, system};

const OPEN_FILES: u64 = 4096;

/// Which step failed, and why: the supervisor tells it on.
struct Failed(&'static str, String);

fn because<E: fmt::Display>(step: &'static str) -> impl FnOnce(E) -> Failed {
    move |error| Failed(step, error.to_string())
}

/// Reads the order from standard input, says on standard error what fails, and does not come back where nothing does.
pub(super) fn become_the_command(supervisor: Option<i32>) -> i32 {
    // Kept under another number: standard error becomes the command's own.
    let tell = rustix::io::fcntl_dupfd_cloexec(io::stderr(), 3);
    let Failed(step, why) = match narrow(supervisor) {
        Ok(never) => match never {},
        Err(failed) => failed,
    };
    if let Ok(tell) = tell {
        let _ = writeln!(std::fs::File::from(tell), "{step}\t{why}"); // the supervisor is gone, and kills us for it
    }
    1
}

// INVARIANT: nothing of the command runs before the last of these (tests: tests/sandbox.rs, one for each).
fn narrow(supervisor: Option<i32>) -> Result<std::convert::Infallible, Failed> {
    close_the_inherited().map_err(because("closing what was inherited"))?;
    let mut order = Vec::new();
    io::stdin().lock().read_to_end(&mut order).map_err(because("reading the order"))?;
    let order: Order = serde_json::from_slice(&order).map_err(because("reading the order"))?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(because("ending with the supervisor"))?;
    if supervisor.is_none() || rustix::process::getppid().map(|parent| parent.as_raw_nonzero().get()) != supervisor {
        return Err(Failed("ending with the supervisor", "it has ended already".to_owned()));
    }
    // Where memory is short, it is the command that goes, not the gateway.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000"); // a `/proc` that is read-only
    rustix::process::setsid().map_err(because("beginning a session"))?;
    give_up_capabilities().map_err(because("giving up capabilities"))?;
    rustix::thread::set_no_new_privs(true).map_err(because("giving up new privileges"))?;
    let files = files(&order)?;
    let filters = calls::filters(order.network).map_err(because("making the filter of system calls"))?;
    limit(&order.limits).map_err(because("setting limits"))?;
    let status = files.restrict_self().map_err(because("entering the Landlock domain"))?;
    if status.ruleset != RulesetStatus::FullyEnforced {
        return Err(Failed("entering the Landlock domain", "it does not hold in full".to_owned()));
    }
    for filter in &filters {
        seccompiler::apply_filter(filter).map_err(because("filtering system calls"))?;
    }
    let (program, arguments) = order.argv.split_first().ok_or_else(|| Failed("starting the program", "it has no name".to_owned()))?;
    let both = io::stdout().as_fd().try_clone_to_owned().map_err(because("joining standard error to standard output"))?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(&order.env).stdin(Stdio::null()).stdout(Stdio::inherit()).stderr(Stdio::from(both));
    Err(Failed(PROGRAM, command.exec().to_string()))
}

/// The step that fails for the reason of the one who declared the command.
pub(super) const PROGRAM: &str = "starting the program";

/// Whoever started the gateway may have left files open in it. What came through an exec is not closed by the next one
/// either; what this process opened itself is.
fn close_the_inherited() -> io::Result<()> {
    let open: Vec<RawFd> = std::fs::read_dir("/proc/self/fd")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for fd in open.into_iter().filter(|fd| *fd > 2 && !closes_on_exec(*fd)) {
        nix::unistd::close(fd)?;
    }
    Ok(())
}

fn closes_on_exec(fd: RawFd) -> bool {
    let Ok(info) = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")) else { return true }; // it listed them, and is closed
    let flags = info.lines().find_map(|line| u32::from_str_radix(line.strip_prefix("flags:")?.trim(), 8).ok());
    flags.is_some_and(|flags| flags & OFlags::CLOEXEC.bits() != 0)
}

/// Root without these is a user like others, apart from the files that are its own.
fn give_up_capabilities() -> io::Result<()> {
    for bit in 0..64 {
        let capability = CapabilitySet::from_bits_retain(1 << bit);
        match rustix::thread::capability_is_in_bounding_set(capability) {
            // Without the right to, the set stays: it gives nothing that is not permitted, and `no_new_privs` keeps it so.
            Ok(true) => drop(rustix::thread::remove_capability_from_bounding_set(capability)),
            Ok(false) => {}
            Err(_) => break,
        }
    }
    let _ = rustix::thread::clear_ambient_capability_set(); // a kernel without one
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    Ok(())
}

fn limit(limits: &Limits) -> io::Result<()> {
    // Of all threads of one process together: so many can run at once.
    let at_once = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let seconds = limits.time.as_secs().saturating_add(1).saturating_mul(at_once);
    let threads = super::processes::threads_of_user(rustix::process::getuid().as_raw()).saturating_add(limits.threads);
    let table = [
        (Resource::Core, 0),
        (Resource::Nofile, OPEN_FILES),
        (Resource::Fsize, limits.file_bytes),
        (Resource::Cpu, seconds),
        // A process that is alone may reserve more than it holds; what they hold together the supervisor counts.
        (Resource::Data, limits.memory.saturating_mul(2)),
        // Of the user, not of the command: so what the user has already comes on top. Root is not held by it.
        (Resource::Nproc, threads),
    ];
    for (resource, most) in table {
        let now = rustix::process::getrlimit(resource);
        let most = now.maximum.map_or(most, |maximum| maximum.min(most));
        rustix::process::setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    Ok(())
}

fn files(order: &Order) -> Result<RulesetCreated, Failed> {
    let rules = |error: landlock::RulesetError| Failed("making the rules of files", error.to_string());
    let mut wanted = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(NEEDED))
        .and_then(|rules| rules.scope(Scope::from_all(NEEDED)))
        .map_err(rules)?;
    if !order.network {
        wanted = wanted.handle_access(AccessNet::from_all(NEEDED)).map_err(rules)?;
    }
    let mut made = wanted.create().map_err(rules)?;
    for (path, access) in system::paths() {
        made = allow_outside(made, Path::new(path), access)?;
    }
    for path in &order.readable {
        made = allow_outside(made, path, access(Access::Read))?;
    }
    made = allow_outside(made, &order.home, access(Access::Write))?;
    for grant in &order.grants {
        made = allow(made, granted(CWD, grant)?, access(grant.access))?;
    }
    Ok(made)
}

fn access(access: Access) -> BitFlags<AccessFs> {
    let read = AccessFs::from_read(NEEDED);
    match access {
        Access::List => AccessFs::ReadDir.into(),
        Access::Read => read,
        // No devices, and no sockets: those reach beyond files.
        Access::Write => read | (AccessFs::from_write(ABI::V4) & !(AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::MakeSock)),
    }
}

/// Who runs the gateway says these; a link in them is meant, and one that this machine does not have is not missed.
fn allow_outside(made: RulesetCreated, path: &Path, access: BitFlags<AccessFs>) -> Result<RulesetCreated, Failed> {
    match rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
        Ok(fd) => allow(made, fd, access),
        Err(_) => Ok(made),
    }
}

/// What was judged, or an error: the folder may have been changed since.
// INVARIANT: a grant opens the very inode that was judged, with no link on the way (test: a_swapped_file_is_not_granted).
fn granted(folder: impl AsFd, grant: &Grant) -> Result<OwnedFd, Failed> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let fd = rustix::fs::openat2(folder, &grant.path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty(), resolve)
        .map_err(|error| Failed(MOVED, error.to_string()))?;
    let stat = rustix::fs::fstat(&fd).map_err(|error| Failed(MOVED, error.to_string()))?;
    if (stat.st_dev, stat.st_ino) == (grant.device, grant.inode) { Ok(fd) } else { Err(Failed(MOVED, "it is another one now".to_owned())) }
}

/// The step that fails where the workspace was changed between judging it and entering.
pub(super) const MOVED: &str = "opening what was judged";

fn allow(made: RulesetCreated, fd: OwnedFd, access: BitFlags<AccessFs>) -> Result<RulesetCreated, Failed> {
    let stat = rustix::fs::fstat(&fd).map_err(because("making the rules of files"))?;
    let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    let access = if is_folder { access } else { access & AccessFs::from_file(NEEDED) };
    if access.is_empty() {
        return Ok(made);
    }
    made.add_rule(PathBeneath::new(fd, access)).map_err(because("making the rules of files"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    #[test]
    fn a_swapped_file_is_not_granted() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("sub")).unwrap();
        std::fs::write(at("sub/file"), "judged").unwrap();
        std::fs::write(at("private"), "not judged").unwrap();
        let root = std::fs::File::open(folder.path()).unwrap();
        let meta = std::fs::metadata(at("sub/file")).unwrap();
        let grant = |path: &str| Grant { path: path.to_owned(), device: meta.dev(), inode: meta.ino(), access: Access::Read };
        assert!(granted(&root, &grant("sub/file")).is_ok());
        for path in ["private", "nothing", "../x", "/etc/passwd"] {
            assert!(granted(&root, &grant(path)).is_err_and(|failed| failed.0 == MOVED), "{path}");
        }
        std::fs::rename(at("sub"), at("moved")).unwrap();
        symlink("moved", at("sub")).unwrap();
        assert!(granted(&root, &grant("sub/file")).is_err(), "through a link, to the very file");
        std::fs::remove_file(at("sub")).unwrap();
        std::fs::create_dir(at("sub")).unwrap();
        std::fs::rename(at("private"), at("sub/file")).unwrap();
        assert!(granted(&root, &grant("sub/file")).is_err(), "another file of that name");
    }

    #[test]
    fn what_may_be_written_is_no_device_and_no_socket() {
        for right in [AccessFs::MakeChar, AccessFs::MakeBlock, AccessFs::MakeSock, AccessFs::IoctlDev] {
            assert!(!access(Access::Write).contains(right), "{right:?}");
        }
        assert!(!access(Access::Read).intersects(AccessFs::from_write(NEEDED)));
        assert_eq!(access(Access::List), BitFlags::from(AccessFs::ReadDir));
    }
}
