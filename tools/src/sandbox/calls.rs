//! Which system calls a command may not make, as seccomp filters.
//!
//! Files, TCP and signals are Landlock's. What is here has no file to be guarded by: sockets, namespaces, other
//! processes' memory, the kernel's own interfaces, and leaving the process group that is killed at the end.

use std::collections::BTreeMap;

use seccompiler::{BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch, sock_filter};

/// No command needs these.
const REFUSED: &[i64] = &[
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_syslog,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    libc::SYS_fanotify_init,
    libc::SYS_lookup_dcookie,
    // Message queues and shared memory of the machine outlive a process, and Landlock does not know them.
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    libc::SYS_msgget,
    libc::SYS_semget,
    libc::SYS_shmget,
];

/// Only where they have a number of their own.
#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: &[i64] = &[libc::SYS_kexec_file_load, libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_uselib, libc::SYS_ustat, libc::SYS__sysctl];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: &[i64] = &[];

/// Access lists and other marks of a file: Landlock guards none of them, and by a descriptor they need no right to write.
/// They answer as a file system does that has none, which is what programs are prepared for.
const MARKS: &[i64] =
    &[libc::SYS_setxattr, libc::SYS_lsetxattr, libc::SYS_fsetxattr, libc::SYS_removexattr, libc::SYS_lremovexattr, libc::SYS_fremovexattr];

/// Programs take the older call, or a file.
const AS_IF_OLDER: &[i64] = &[
    // What they ask for is behind a pointer, where no filter sees it.
    libc::SYS_clone3,
    libc::SYS_openat2,
    // Memory that no process needs to have mapped, so that it would not be counted.
    libc::SYS_memfd_create,
    MEMFD_SECRET,
];

/// New namespaces: what is not granted could be had again in one.
const NAMESPACES: &[i32] = &[
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    0x80, // CLONE_NEWTIME, which libc has as no CLONE flag of every target
];

/// Typing into a terminal that somebody else sits at.
const TYPING: &[u64] = &[0x5412 /* TIOCSTI */, 0x541C /* TIOCLINUX */];

/// Leaving the process group. They answer as if it had been done: programs ask for it for their own tidiness.
// INVARIANT: every process of a command is in its process group, so that one signal ends them all (test:
// nothing_outlives_the_command).
const LEAVING: &[i64] = &[libc::SYS_setsid, libc::SYS_setpgid];

/// On another process of the same user these need no more than its number. Zero is the caller itself.
const ON_OTHERS: &[(i64, u8)] = &[
    (libc::SYS_prlimit64, 0),
    (libc::SYS_sched_setscheduler, 0),
    (libc::SYS_sched_setparam, 0),
    (libc::SYS_sched_setattr, 0),
    (libc::SYS_sched_setaffinity, 0),
    (libc::SYS_setpriority, 1),
    (libc::SYS_ioprio_set, 1),
];
/// Where the first argument says what the second one numbers, and what a process is called there. A group or a user would
/// be others too.
const OF_A_PROCESS: &[(i64, u64)] = &[(libc::SYS_setpriority, 0 /* PRIO_PROCESS */), (libc::SYS_ioprio_set, 1 /* IOPRIO_WHO_PROCESS */)];

/// A program that runs as its owner, whoever starts it, would carry the gateway's user out of the sandbox.
const AS_OWNER: &[u64] = &[0o4000, 0o2000];
/// Where a call takes a file's mode.
const MODES: &[(i64, u8)] = &[(libc::SYS_fchmod, 1), (libc::SYS_fchmodat, 2), (FCHMODAT2, 2), (libc::SYS_mknodat, 2)];
#[cfg(target_arch = "x86_64")]
const MODES_HERE: &[(i64, u8)] = &[(libc::SYS_chmod, 1), (libc::SYS_creat, 1), (libc::SYS_mknod, 1)];
#[cfg(not(target_arch = "x86_64"))]
const MODES_HERE: &[(i64, u8)] = &[];
/// Where a call takes flags, and a mode after them that counts where these flags make a file.
#[cfg(target_arch = "x86_64")]
const OPENS: &[(i64, u8)] = &[(libc::SYS_open, 1), (libc::SYS_openat, 2)];
#[cfg(not(target_arch = "x86_64"))]
const OPENS: &[(i64, u8)] = &[(libc::SYS_openat, 2)];
const MAKES: &[u64] = &[libc::O_CREAT as u64, 0o20_000_000 /* what O_TMPFILE has beside O_DIRECTORY */];
/// One number on every architecture, as all new calls have.
const FCHMODAT2: i64 = 452;
const MEMFD_SECRET: i64 = 447;

const AF_INET: u64 = libc::AF_INET as u64;
const AF_INET6: u64 = libc::AF_INET6 as u64;
const AF_NETLINK: u64 = libc::AF_NETLINK as u64;
/// Where a socket's type says its kind; beside it are flags.
const SOCKET_KINDS: u64 = 0xf;
/// Kinds that a pair of is connected for good. A datagram's end can send elsewhere, and so can a raw one's, which is one.
const CONNECTED: &[u64] = &[libc::SOCK_STREAM as u64, libc::SOCK_SEQPACKET as u64];

/// The filters, to be installed in this order.
pub(super) fn filters(network: bool) -> Result<Vec<BpfProgram>, seccompiler::BackendError> {
    let mut refused: BTreeMap<i64, Vec<SeccompRule>> = REFUSED.iter().chain(REFUSED_HERE).map(|call| (*call, Vec::new())).collect();
    let namespaces = NAMESPACES.iter().map(|flag| all([has_bit(0, u64::from(flag.unsigned_abs()))])).collect::<Result<_, _>>()?;
    refused.insert(libc::SYS_clone, namespaces);
    refused.insert(libc::SYS_ioctl, TYPING.iter().map(|request| all([is(1, *request)])).collect::<Result<_, _>>()?);

    for (call, process) in ON_OTHERS {
        refused.insert(*call, vec![all([is_not(*process, 0)])?]);
    }
    for (call, process) in OF_A_PROCESS {
        refused.entry(*call).or_default().push(all([is_not(0, *process)])?);
    }
    for (call, mode) in MODES.iter().chain(MODES_HERE) {
        refused.insert(*call, AS_OWNER.iter().map(|bit| all([has_bit(*mode, *bit)])).collect::<Result<_, _>>()?);
    }
    for (call, flags) in OPENS {
        let pairs = AS_OWNER.iter().flat_map(|bit| MAKES.iter().map(move |make| (*bit, *make)));
        refused.insert(*call, pairs.map(|(bit, make)| all([has_bit(*flags, make), has_bit(*flags + 1, bit)])).collect::<Result<_, _>>()?);
    }

    let sockets = if network {
        // Of netlink, only what a resolver asks for routes with.
        vec![all([is_not(0, AF_INET), is_not(0, AF_INET6), is_not(0, AF_NETLINK)])?, all([is(0, AF_NETLINK), is_not(2, 0)])?]
    } else {
        Vec::new()
    };
    // INVARIANT: no command has a Unix socket that is not connected to its own other end, since it could send to any path
    // (tests: there_is_no_way_out_over_a_socket, with_a_network_there_is_tcp_and_still_no_unix_socket).
    let mut pairs = vec![all([is_not(0, u64::from(libc::AF_UNIX.unsigned_abs()))])?];
    for kind in (0..=SOCKET_KINDS).filter(|kind| !CONNECTED.contains(kind)) {
        pairs.push(all([SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(SOCKET_KINDS), kind)])?);
    }

    Ok(vec![
        other_numbers(),
        filter(refused, libc::EPERM)?,
        filter(BTreeMap::from([(libc::SYS_socket, sockets), (libc::SYS_socketpair, pairs)]), libc::EACCES)?,
        whole(AS_IF_OLDER, libc::ENOSYS)?,
        whole(MARKS, libc::EOPNOTSUPP)?,
        whole(LEAVING, 0)?,
    ])
}

/// A filter for calls whatever their arguments are.
fn whole(calls: &[i64], errno: i32) -> Result<BpfProgram, seccompiler::BackendError> {
    filter(calls.iter().map(|call| (*call, Vec::new())).collect(), errno)
}

fn filter(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: i32) -> Result<BpfProgram, seccompiler::BackendError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(errno.unsigned_abs()), arch)?.try_into()
}

fn all<const N: usize>(conditions: [Result<SeccompCondition, seccompiler::BackendError>; N]) -> Result<SeccompRule, seccompiler::BackendError> {
    SeccompRule::new(conditions.into_iter().collect::<Result<_, _>>()?)
}

fn is(argument: u8, value: u64) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
}

fn is_not(argument: u8, value: u64) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, value)
}

fn has_bit(argument: u8, bit: u64) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(bit), bit)
}

/// From here on a call is refused unless it is in the list: what later kernels add is closed until somebody has read what
/// it does. New calls have one number on every architecture. The second set of numbers that x86_64 has (x32) is above too;
/// the other filters do not know it.
const FIRST_UNREAD: u32 = 457;
/// `mseal`, `getxattrat`, `listxattrat`.
const READ_SINCE: &[u32] = &[462, 464, 465];

// INVARIANT: a call that nobody has judged is not there (test: only_calls_that_were_judged_are_there).
fn other_numbers() -> BpfProgram {
    const LOAD_NUMBER: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS, at offset 0
    const AT_LEAST: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
    const EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    let step = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    let allow = step(RETURN, 0, 0, u32::from(SeccompAction::Allow));
    let mut program = vec![step(LOAD_NUMBER, 0, 0, 0), step(AT_LEAST, 1, 0, FIRST_UNREAD), allow.clone()];
    for number in READ_SINCE {
        program.extend([step(EQUAL, 0, 1, *number), allow.clone()]);
    }
    program.push(step(RETURN, 0, 0, u32::from(SeccompAction::Errno(libc::ENOSYS.unsigned_abs()))));
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_compile_with_and_without_a_network() {
        for network in [false, true] {
            let filters = filters(network).unwrap();
            assert_eq!(filters.len(), 6);
            assert!(filters.iter().all(|filter| filter.len() <= 4096));
        }
    }

    #[test]
    fn only_calls_that_were_judged_are_there() {
        // What the program returns for a number: its only jumps are forward, by the number.
        let answer = |number: u32| {
            let (program, mut at) = (other_numbers(), 1);
            loop {
                let step = &program[at];
                at += 1 + usize::from(match step.code {
                    0x35 => {
                        if number >= step.k {
                            step.jt
                        } else {
                            step.jf
                        }
                    }
                    0x15 => {
                        if number == step.k {
                            step.jt
                        } else {
                            step.jf
                        }
                    }
                    _ => return step.k,
                });
            }
        };
        let (allow, refuse) = (u32::from(SeccompAction::Allow), u32::from(SeccompAction::Errno(libc::ENOSYS.unsigned_abs())));
        for number in [0, 1, 456, 462, 464, 465] {
            assert_eq!(answer(number), allow, "{number}");
        }
        // setxattrat, removexattrat, open_tree_attr, file_setattr, what is to come, and x32's
        for number in [457, 461, 463, 466, 467, 468, 469, 470, 600, 0x4000_0000 + 39, u32::MAX] {
            assert_eq!(answer(number), refuse, "{number}");
        }
    }
}
