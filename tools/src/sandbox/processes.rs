//! What the supervisor sees of the command in `/proc`: how many processes, how many threads, how much memory.

use std::fs;

/// One process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) parent: i32,
    pub(super) group: i32,
    pub(super) session: i32,
    pub(super) threads: u64,
    pub(super) is_zombie: bool,
}

/// Every process that this one can see.
pub(super) fn all() -> impl Iterator<Item = Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter_map(|pid| parsed(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?))
}

/// `pid (name) state ppid pgrp session tty tpgid flags minflt cminflt majflt cmajflt utime stime cutime cstime priority nice threads …`;
/// the name may have spaces and brackets.
fn parsed(pid: i32, stat: &str) -> Option<Process> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let session = fields.next()?.parse().ok()?;
    let threads = fields.nth(13)?.parse().ok()?;
    Some(Process { pid, parent, group, session, threads, is_zombie: matches!(state, "Z" | "X") })
}

/// What a process holds, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// For itself alone.
    pub(super) own: u64,
    /// Of memory that several may share.
    pub(super) shared: u64,
}

/// What a process holds, without what it has mapped of files.
pub(super) fn held(pid: i32) -> Held {
    held_in(&fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default())
}

fn held_in(status: &str) -> Held {
    let bytes = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_suffix(" kB"))?;
        Some(line.trim().parse::<u64>().ok()?.saturating_mul(1024))
    };
    Held { own: bytes("RssAnon:").unwrap_or(0), shared: bytes("RssShmem:").unwrap_or(0) }
}

/// How many threads the whole machine has: one short file, to know when it is worth looking closer.
pub(super) fn threads_of_machine() -> u64 {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').nth(3).and_then(|field| field.split_once('/')?.1.parse().ok()).unwrap_or(0)
}

/// How many threads a user has, as the kernel counts them for a limit. The folder in `/proc` of a process that cannot be
/// attached to, as the gateway, is root's; its status tells whose it is.
pub(super) fn threads_of_user(uid: u32) -> u64 {
    let is_users = |pid: i32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().next()?.parse().ok()) == Some(uid)
    };
    all().filter(|process| is_users(process.pid)).map(|process| process.threads).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_stat_is_read_whatever_the_program_is_called() {
        let line = "7 (a) S 1) Z 3 5 6 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 9 0 1 2 3";
        assert_eq!(parsed(7, line), Some(Process { pid: 7, parent: 3, group: 5, session: 6, threads: 9, is_zombie: true }));
        assert_eq!(parsed(7, "7 (a"), None);
        assert_eq!(parsed(7, "7 (a) S 1"), None);
    }

    #[test]
    fn this_process_is_seen_with_its_memory() {
        let own = all().find(|process| process.pid == i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(own.threads >= 1 && !own.is_zombie && own.parent > 0);
        assert!(held(own.pid).own > 0);
        assert_eq!(held_in("VmRSS:\t 9 kB\nRssAnon:\t       2 kB\nRssShmem:\t1 kB\n"), Held { own: 2048, shared: 1024 });
        assert_eq!(held_in("RssAnon: much\n"), Held::default());
        assert!(threads_of_machine() >= own.threads);
        assert!(threads_of_user(rustix::process::getuid().as_raw()) >= own.threads);
    }
}
