//! Declared commands against their sandbox, through a client: what they try to read, write, reach, use up and outlive.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod harness;

use std::collections::BTreeMap;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::time::{Duration, Instant};

use harness::commands::{Stand, output, policy};
use harness::repository::Repository;
use harness::skipped::skipped;
use harness::stdio::Client;
use harness::{Home, fresh_secret, stop};
use opsgate_tools::sandbox::{How, Job, Limits, Sandbox};
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// Every process whose command line has this mark.
fn with_mark(mark: &str) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    processes.filter(|pid| std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(mark))).collect()
}

/// Waits until this holds; the tests' only clock, to fail rather than to hang.
fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::yield_now();
    }
}

/// A python program that tries each expression and says which of them went through.
fn attempts(list: &[&str]) -> String {
    let mut script = String::from(
        "import os, sys, socket, ctypes, subprocess, shutil\nwent = []\ndef attempt(name, what):\n    try:\n        got = what()\n        went.append(name)\n        print('WENT', name, repr(got)[:200])\n    except Exception as error:\n        print('held', name, error)\n",
    );
    for expression in list {
        script += &format!("attempt({expression:?}, lambda: {expression})\n");
    }
    script + "print('attempts', " + &list.len().to_string() + ")\nsys.exit(len(went))\n"
}

/// Runs the attempts; every one of them must have been held.
fn all_held(stand: &mut Stand, count: usize) {
    let result = stand.run();
    let said = output(&result);
    assert!(said.contains(&format!("attempts {count}")), "{said}");
    assert_eq!(said.lines().filter(|line| line.starts_with("held ")).count(), count, "{said}");
    assert_eq!((result["ended"].as_str(), result["exit_code"].as_i64()), (Some("exited"), Some(0)), "{said}");
}

#[test]
fn a_command_runs_with_a_cleared_environment_and_its_end_is_told() {
    let script = "import os, sys\nprint(sorted(os.environ))\nprint(os.environ['GREETING'], os.getcwd())\nprint('goes first', open('/proc/self/oom_score_adj').read())\nopen(os.environ['TMPDIR'] + '/x', 'w').write('y')\nprint(os.listdir(os.environ['HOME']))\nprint('on the other', file=sys.stderr)\nopen('out/made', 'w').write('z')\nsys.exit(7)\n";
    let mut stand = Stand::python(script, "env: {GREETING: hello}, writable: [out]");
    let result = stand.run();
    let said = output(&result);
    assert_eq!(result["exit_code"], 7, "{result}");
    assert!(said.contains(&format!("hello {}", stand.repository.arg())), "{said}");
    assert!(said.contains("['x']") && said.contains("on the other"), "{said}");
    assert!(said.contains("goes first 1000"), "{said}");
    for name in ["OPSGATE_HOME", "CARGO"] {
        assert!(!said.contains(name), "{said}");
    }
    assert_eq!(std::fs::read_to_string(stand.path("out/made")).unwrap(), "z");
}

#[test]
fn an_unknown_command_is_answered_with_the_declared_ones() {
    let mut stand = Stand::with(&[("a", "b")], "test: {argv: [/bin/true]}, lint: {argv: [/bin/true]}, add: {argv: [x, \"{dependency}\"]}");
    let reply = stand.client.call("workspace_run_tests", json!({ "command": "nope" }));
    let said = reply["result"]["content"][0]["text"].as_str().unwrap();
    assert!(said.contains("`lint`, `test`") && !said.contains("`add`"), "{said}");
    assert_eq!(stand.client.answer("workspace_run_tests", json!({ "command": "lint" }))["result"]["exit_code"], 0);
}

#[test]
fn a_program_that_is_not_there_is_told() {
    let mut stand = Stand::with(&[("a", "b")], "test: {argv: [no-such-program]}");
    let reply = stand.client.call("workspace_run_tests", json!({}));
    assert!(reply["result"]["content"][0]["text"].as_str().unwrap().contains("could not be started"), "{reply}");
}

#[test]
fn private_things_cannot_be_read() {
    let secret = fresh_secret();
    let mut stand = Stand::with(
        &[("script.py", ""), ("hidden/deep/file", "x"), (".env", "A=1"), ("sub/seen", "x")],
        "test: {argv: [/usr/bin/python3, script.py]}",
    );
    let users = stand.home.path().parent().unwrap().to_owned();
    std::fs::create_dir_all(users.join(".ssh")).unwrap();
    std::fs::write(users.join(".ssh/id"), &secret).unwrap();
    for path in [".env", "hidden/deep/file", ".git/config"] {
        std::fs::write(stand.path(path), &secret).unwrap();
    }
    std::fs::create_dir_all(stand.path("sub/.git")).unwrap();
    std::fs::write(stand.path("sub/.git/config"), &secret).unwrap();
    std::os::unix::fs::symlink(users.join(".ssh/id"), stand.path("link")).unwrap();
    std::os::unix::fs::symlink(".env", stand.path("env")).unwrap();
    let (home, gateway) = (stand.home.path(), stand.gateway());
    let list: Vec<String> = [
        users.join(".ssh/id").display().to_string(),
        home.join("policy.yaml").display().to_string(),
        home.join("audit/00000001.jsonl").display().to_string(),
        ".env".into(),
        "env".into(),
        "link".into(),
        "hidden/deep/file".into(),
        ".git/config".into(),
        ".git/HEAD".into(),
        "sub/.git/config".into(),
        "/etc/shadow".into(),
        "/root/.bashrc".into(),
        format!("/proc/{gateway}/environ"),
        format!("/proc/{gateway}/maps"),
        format!("/proc/{gateway}/root/etc/shadow"),
        format!("/proc/{gateway}/cwd/.env"),
        format!("/proc/{gateway}/fd/0"),
        format!("/proc/{gateway}/mem"),
    ]
    .iter()
    .map(|path| format!("open({path:?}, 'rb').read(10)"))
    .chain([
        "os.listdir('/root')".into(),
        format!("os.listdir({:?})", home.display().to_string()),
        format!("os.readlink('/proc/{gateway}/fd/0')"),
        format!("os.readlink('/proc/{gateway}/cwd')"),
    ])
    .collect();
    let list: Vec<&str> = list.iter().map(String::as_str).collect();
    std::fs::write(stand.path("script.py"), attempts(&list) + "assert open('sub/seen').read() == 'x'\n").unwrap();
    let count = list.len();
    all_held(&mut stand, count);
}

#[test]
fn nothing_is_written_outside_of_what_is_declared() {
    let list = [
        "open('x', 'w')",
        "open('script.py', 'a')",
        "os.truncate('script.py', 0)",
        "os.unlink('script.py')",
        "os.mkdir('folder')",
        "os.rename('out', 'elsewhere')",
        "open('.git/hooks/pre-commit', 'w')",
        "open('.git/config', 'a')",
        "open('../x', 'w')",
        "open('/tmp/x-of-a-test', 'w')",
        "open('/usr/local/bin/x-of-a-test', 'w')",
        "(os.symlink('../x', 'out/link'), open('out/link', 'w'))",
        "os.link('script.py', 'out/linked') or open('out/linked', 'a')",
        "os.rename('script.py', 'out/moved')",
        "os.mkfifo('fifo')",
        "os.mknod('out/null', 0o020666, 0x103)",
        "os.chmod('out', 0o6755)",
        "os.open('out/setuid', os.O_CREAT | os.O_WRONLY, 0o4755)",
        "os.setxattr('out', 'user.x', b'y')",
        "os.setxattr(os.open('script.py', os.O_RDONLY), 'user.x', b'y')",
        "os.removexattr(os.open('script.py', os.O_RDONLY), 'user.x')",
        "open('/proc/sys/kernel/core_pattern', 'w')",
        "os.chroot('/')",
        "ctypes.CDLL(None, use_errno=True).unshare(0x10000000) and (_ for _ in ()).throw(OSError())",
    ];
    // What may be done comes first, so that the attempts fail for the right reason.
    let may = "open('out/a', 'w').write('b')\nos.rename('out/a', 'out/c')\nos.mkdir('out/d')\nos.rename('out/c', 'out/d/c')\n";
    let may = format!("import os\n{may}open('single.txt', 'w').write('s')\nopen('/dev/null', 'w').write('x')\n");
    let mut stand = Stand::python(&(may + &attempts(&list)), "writable: [out, single.txt]");
    std::fs::create_dir(stand.path("out")).unwrap();
    all_held(&mut stand, list.len());
    assert_eq!(std::fs::read_to_string(stand.path("out/d/c")).unwrap(), "b");
    assert_eq!(std::fs::read_to_string(stand.path("single.txt")).unwrap(), "s");
    assert!(!stand.path(".git/hooks/pre-commit").exists());
    assert_eq!(std::fs::metadata(stand.path("out")).unwrap().permissions().mode() & 0o6000, 0);
}

#[test]
fn there_is_no_way_out_over_a_socket() {
    let (tcp, udp) = (TcpListener::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let _unix = UnixListener::bind(&socket).unwrap();
    let datagrams = UnixDatagram::bind(folder.path().join("d")).unwrap();
    let (tcp, udp, unix) = (tcp.local_addr().unwrap().port(), udp.local_addr().unwrap().port(), socket.display().to_string());
    let list = [
        format!("socket.create_connection(('127.0.0.1', {tcp}))"),
        format!("socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {udp}))"),
        format!("socket.socket(socket.AF_UNIX).connect({unix:?})"),
        "socket.socket(socket.AF_UNIX)".to_owned(),
        "socket.socket(socket.AF_INET6)".to_owned(),
        "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)".to_owned(),
        "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)".to_owned(),
        "socket.create_server(('127.0.0.1', 0))".to_owned(),
    ];
    let list: Vec<String> = list.into_iter().chain(sends(&folder.path().join("d"), &socket)).collect();
    let list: Vec<&str> = list.iter().map(String::as_str).collect();
    let mut stand = Stand::python(&(PAIRS.to_owned() + &attempts(&list)), "network: off");
    all_held(&mut stand, list.len());
    nothing_came(&datagrams);
}

/// What works in every command; before the attempts, which end the program.
const PAIRS: &str = "import socket\nfor kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET):\n    here, there = socket.socketpair(socket.AF_UNIX, kind)\n    here.send(b'x')\n    assert there.recv(8) == b'x'\n";

/// Attempts to reach a socket's path from an end of a pair.
fn sends(datagrams: &Path, stream: &Path) -> Vec<String> {
    let mut list = Vec::new();
    for kind in ["SOCK_DGRAM", "SOCK_RAW", "SOCK_DGRAM | socket.SOCK_CLOEXEC", "SOCK_SEQPACKET", "SOCK_STREAM"] {
        let pair = format!("socket.socketpair(socket.AF_UNIX, socket.{kind})[0]");
        // A stream's end says nothing of an address that it does not use, so it must also not be able to take another one.
        if kind != "SOCK_SEQPACKET" {
            list.push(format!("{pair}.sendto(b'x', {datagrams:?})"));
            list.push(format!("{pair}.sendmsg([b'x'], [], 0, {datagrams:?})"));
        }
        list.extend([datagrams, stream].map(|path| format!("{pair}.connect({path:?})")));
    }
    list
}

fn nothing_came(datagrams: &UnixDatagram) {
    datagrams.set_nonblocking(true).unwrap();
    assert_eq!(datagrams.recv(&mut [0; 8]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn with_a_network_there_is_tcp_and_still_no_unix_socket() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = tcp.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let _unix = UnixListener::bind(&socket).unwrap();
    let datagrams = UnixDatagram::bind(folder.path().join("d")).unwrap();
    let list = [
        format!("socket.socket(socket.AF_UNIX).connect({:?})", socket.display().to_string()),
        "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)".to_owned(),
        "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 15)".to_owned(),
    ];
    let list: Vec<String> = list.into_iter().chain(sends(&folder.path().join("d"), &socket)).collect();
    let list: Vec<&str> = list.iter().map(String::as_str).collect();
    let script = format!("import socket\nprint(socket.create_connection(('127.0.0.1', {port})))\n{}", attempts(&list));
    let mut stand = Stand::python(&(PAIRS.to_owned() + &script), "network: on");
    all_held(&mut stand, list.len());
    nothing_came(&datagrams);
}

#[test]
fn other_processes_are_out_of_reach() {
    let mut stand = Stand::with(&[("script.py", "")], "test: {argv: [/usr/bin/python3, script.py]}");
    let (gateway, test) = (stand.gateway(), std::process::id());
    let ptrace = |pid: u32| format!("ctypes.CDLL(None, use_errno=True).ptrace(16, {pid}, 0, 0) and (_ for _ in ()).throw(OSError())");
    let list = [
        format!("os.kill({gateway}, 0)"),
        format!("os.kill({gateway}, 9)"),
        "os.kill(os.getppid(), 9)".to_owned(),
        format!("os.kill({test}, 9)"),
        ptrace(gateway),
        "ctypes.CDLL(None, use_errno=True).prlimit(os.getppid(), 0, ctypes.byref((ctypes.c_ulong * 2)(1, 1)), None) and (_ for _ in ()).throw(OSError())".to_owned(),
        format!("os.sched_setaffinity({gateway}, {{0}})"),
        format!("os.setpriority(os.PRIO_PROCESS, {gateway}, 10)"),
        "os.setpriority(os.PRIO_USER, 0, 10)".to_owned(),
        "os.setpriority(os.PRIO_PGRP, 0, 10)".to_owned(),
    ];
    let list: Vec<&str> = list.iter().map(String::as_str).collect();
    std::fs::write(stand.path("script.py"), format!("import os\nos.nice(1)\n{}", attempts(&list))).unwrap();
    all_held(&mut stand, list.len());
    assert_eq!(stand.client.answer("policy_whoami", json!({}))["roles"], json!(["developer"]));
}

/// Calls of the kernel that go round files, with what x86_64 has for numbers.
#[test]
#[cfg(target_arch = "x86_64")]
fn the_kernels_side_doors_are_shut() {
    let calls = [
        ("clone in a new user namespace", "56, 0x10000011, 0, 0, 0, 0"),
        ("clone3", "435, 0, 0"),
        ("mount", "165, 0, 0, 0, 0, 0"),
        ("pivot_root", "155, 0, 0"),
        ("setns", "308, 0, 0"),
        ("io_uring_setup", "425, 1, 0"),
        ("ptrace", "101, 0, 0, 0, 0"),
        ("process_vm_readv", "310, 1, 0, 0, 0, 0, 0"),
        ("pidfd_getfd", "438, 0, 0, 0"),
        ("bpf", "321, 0, 0, 0"),
        ("perf_event_open", "298, 0, 0, -1, -1, 0"),
        ("userfaultfd", "323, 0"),
        ("add_key", "248, b'user', b'x', b'y', 1, -3"),
        ("keyctl", "250, 0, -3, 0"),
        ("name_to_handle_at", "303, -100, b'.', 0, 0, 0"),
        ("open_by_handle_at", "304, 0, 0, 0"),
        ("openat2", "437, -100, b'.', 0, 0"),
        ("shmget", "29, 0, 4096, 0o1600"),
        ("mq_open", "240, b'x', 0o102, 0o600, 0"),
        ("memfd_create", "319, b'x', 0"),
        ("memfd_secret", "447, 0"),
        ("ioprio_set of a user", "251, 3, 0, 0x4004"),
        ("ioprio_set of a group", "251, 2, 0, 0x4004"),
        ("setxattr", "188, b'.', b'user.x', b'y', 1, 0"),
        ("fsetxattr", "190, -1, b'user.x', b'y', 1, 0"),
        ("fremovexattr", "199, -1, b'user.x'"),
        ("statmount", "457, 0, 0, 0, 0"),
        ("setxattrat", "463, -100, b'.', 0, b'user.x', 0, 0"),
        ("removexattrat", "466, -100, b'.', 0, b'user.x'"),
        ("open_tree_attr", "467, -100, b'.', 0, 0, 0"),
        ("file_getattr", "468, -100, b'.', 0, 0, 0"),
        ("file_setattr", "469, -100, b'.', 0, 0, 0"),
        ("what is not there yet", "600, 0"),
        ("the other getpid, of x32", "0x40000000 + 39"),
        ("typing into a terminal", "16, 0, 0x5412, b'x'"),
    ];
    let list: Vec<String> = calls.iter().map(|(name, arguments)| format!("refused({name:?}, {arguments})")).collect();
    let list: Vec<&str> = list.iter().map(String::as_str).collect();
    // Whatever the arguments, it must be the filter that answers: EPERM, EACCES, ENOSYS or EOPNOTSUPP.
    let refused = "import ctypes\nkernel = ctypes.CDLL(None, use_errno=True)\ndef refused(name, *arguments):\n    if kernel.syscall(*arguments) == -1 and ctypes.get_errno() in (1, 13, 38, 95):\n        raise OSError(ctypes.get_errno(), name)\n    return ctypes.get_errno()\n";
    let mut stand = Stand::python(&(refused.to_owned() + &attempts(&list)), "network: off");
    all_held(&mut stand, list.len());
}

/// Children that leave the group, the session, the parent and the terminal, and say so before the leader goes on.
fn daemons(mark: &str) -> String {
    format!(
        "import os, subprocess, sys, time, signal\nr, w = os.pipe()\nfor n in range(3):\n    if os.fork() == 0:\n        os.setsid()\n        signal.signal(signal.SIGHUP, signal.SIG_IGN)\n        signal.signal(signal.SIGTERM, signal.SIG_IGN)\n        if os.fork() == 0:\n            os.setpgid(0, 0)\n            os.write(w, b'.')\n            os.execv('/usr/bin/python3', ['python3', '-c', 'import time; time.sleep(600)', {mark:?}])\n        os._exit(0)\nsubprocess.Popen(['/usr/bin/nohup', '/usr/bin/python3', '-c', 'import time; time.sleep(600)', {mark:?}], start_new_session=True)\ngot = b''\nwhile len(got) < 3:\n    got += os.read(r, 3)\nopen('out/started', 'w').write('x')\n"
    )
}

fn fresh_mark() -> String {
    format!("mark-{}", &fresh_secret()[4..])
}

#[test]
fn nothing_outlives_the_command() {
    let mark = fresh_mark();
    let mut stand = Stand::python(&daemons(&mark), "writable: [out]");
    assert_eq!(stand.run()["exit_code"], 0);
    assert!(stand.path("out/started").exists());
    assert_eq!(with_mark(&mark), Vec::<u32>::new());
}

#[test]
fn a_cancelled_call_leaves_nothing() {
    let mark = fresh_mark();
    let mut stand = Stand::python(&(daemons(&mark) + "time.sleep(600)\n"), "writable: [out]");
    let started = stand.path("out/started");
    let id = stand.client.ask("tools/call", json!({ "name": "workspace_run_tests", "arguments": {} }));
    until("the command started", || started.exists());
    until("its children run", || with_mark(&mark).len() >= 3);
    stand.client.send(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id } }).to_string());
    until("all are gone", || with_mark(&mark).is_empty());
    assert_eq!(stand.client.answer("policy_whoami", json!({}))["roles"], json!(["developer"]));
}

#[test]
fn killing_the_gateway_ends_the_command() {
    let mark = fresh_mark();
    let mut stand = Stand::python(&(daemons(&mark) + "time.sleep(600)\n"), "writable: [out]");
    let started = stand.path("out/started");
    stand.client.ask("tools/call", json!({ "name": "workspace_run_tests", "arguments": {} }));
    until("the command started", || started.exists());
    until("its children run", || with_mark(&mark).len() >= 3);
    stop(stand.gateway(), "-KILL");
    until("all are gone", || with_mark(&mark).is_empty());
    // The next gateway records that nobody knows how the call ended.
    let Stand { home, repository, client } = stand;
    drop(client);
    let mut next = Client::legacy(&home, &["--in-process", "--workspace", repository.arg()]);
    next.answer("policy_whoami", json!({}));
    next.close();
    let outcomes = home.entries_of("call.outcome");
    assert!(outcomes.iter().any(|outcome| outcome.to_string().contains("indeterminate")), "{outcomes:?}");
}

/// The parent of the process that leads the group of this one.
fn supervisor_of(pid: u32) -> u32 {
    let field = |pid: u32, at: usize| -> u32 {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit_once(") ").unwrap().1.split(' ').nth(at).unwrap().parse().unwrap()
    };
    field(field(pid, 2), 1)
}

#[test]
fn killing_the_supervisor_ends_the_command() {
    let mark = fresh_mark();
    let mut stand = Stand::python(&(daemons(&mark) + "time.sleep(600)\n"), "writable: [out]");
    let started = stand.path("out/started");
    let id = stand.client.ask("tools/call", json!({ "name": "workspace_run_tests", "arguments": {} }));
    until("the command started", || started.exists());
    until("its children run", || with_mark(&mark).len() >= 3);
    stop(supervisor_of(with_mark(&mark)[0]), "-KILL");
    until("all are gone", || with_mark(&mark).is_empty());
    let reply = stand.client.receive();
    assert_eq!((&reply["id"], &reply["result"]["isError"]), (&json!(id), &json!(true)), "{reply}");
    assert_eq!(stand.client.answer("policy_whoami", json!({}))["roles"], json!(["developer"]));
}

#[test]
fn a_run_that_is_given_up_leaves_nothing_even_where_its_supervisor_stands_still() {
    let mark = fresh_mark();
    let sandbox = Sandbox::through(Some(Path::new(env!("CARGO_BIN_EXE_opsgate")))).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let job = job(folder.path(), &daemons(&mark).replace("open('out/started', 'w').write('x')", "time.sleep(600)"), Limits::default());
    let cancel = CancellationToken::new();
    let run = runtime.spawn(async move { sandbox.run(job, &cancel, |_| {}).await.map(|ended| ended.how) });
    until("its children run", || with_mark(&mark).len() >= 4);
    let supervisor = supervisor_of(with_mark(&mark)[0]).to_string();
    let signal = |signal: &str| assert!(std::process::Command::new("kill").args([signal, &supervisor]).status().unwrap().success());
    signal("-STOP");
    run.abort();
    // Those that have ended are zombies, without a command line, until the supervisor goes on.
    until("all are gone", || with_mark(&mark).is_empty());
    signal("-KILL");
}

/// A job of python in this folder, of which it has nothing.
fn job(folder: &Path, script: &str, limits: Limits) -> Job {
    let argv = ["/usr/bin/python3", "-c", script].map(str::to_owned).to_vec();
    let folder = std::fs::File::open(folder).unwrap().into();
    Job { folder, argv, env: BTreeMap::new(), network: false, grants: Vec::new(), readable: Vec::new(), limits }
}

#[test]
fn a_command_that_fills_its_home_is_stopped() {
    const PIECES: &str = "import os, time\nhome, piece, kept = os.environ['HOME'], b'x' * (4 << 20), []\nfor n in range(16):\n";
    let table = [
        ("files", "    open(f'{home}/{n}', 'wb').write(piece)\n"),
        ("files in folders", "    os.makedirs(f'{home}/{n}/a/b')\n    open(f'{home}/{n}/a/b/c', 'wb').write(piece)\n"),
        ("files without a name", "    kept.append(open(f'{home}/x', 'wb', 0))\n    os.unlink(f'{home}/x')\n    kept[-1].write(piece)\n"),
    ];
    let sandbox = Sandbox::through(Some(Path::new(env!("CARGO_BIN_EXE_opsgate")))).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (what, body) in table {
        let run = |home_bytes: u64, end: &str| {
            let limits = Limits { home_bytes, time: Duration::from_secs(60), ..Limits::default() };
            let job = job(Path::new("/"), &format!("{PIECES}{body}{end}"), limits);
            runtime.block_on(sandbox.run(job, &CancellationToken::new(), |_| {})).unwrap().how
        };
        assert_eq!(run(32 << 20, "time.sleep(600)\n"), How::TooMuchDisk, "{what}");
        assert_eq!(run(128 << 20, ""), How::Exited(0), "{what}");
    }
}

#[test]
fn a_home_in_memory_is_counted_as_memory() {
    const MEMORY: &str = "/dev/shm";
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    if !mounts.lines().any(|line| line.split(' ').skip(1).take(2).eq([MEMORY, "tmpfs"])) {
        return skipped("no folder in memory");
    }
    let script = "import os, time\nfor n in range(15):\n    open(os.environ['HOME'] + f'/{n}', 'wb').write(b'x' * (4 << 20))\ntime.sleep(600)\n";
    let repository = Repository::with(&[("script.py", script)]);
    let home = Home::with_policy(&policy("test: {argv: [/usr/bin/python3, script.py], memory: 48MiB, timeout: 60s}"));
    let mut run = std::process::Command::new(env!("CARGO_BIN_EXE_opsgate"));
    run.args(["call", "workspace_run_tests", "--in-process", "--workspace", repository.arg()]);
    run.env("OPSGATE_HOME", home.path()).env("HOME", home.path()).env("TMPDIR", MEMORY);
    let answer = harness::text(&run.output().unwrap().stdout);
    assert!(answer.contains("\"too_much_memory\""), "{answer}");
}

#[test]
fn a_command_that_takes_too_long_is_stopped_and_its_output_kept() {
    let mark = fresh_mark();
    let mut stand = Stand::python(&(daemons(&mark) + "print('so far', flush=True)\ntime.sleep(600)\n"), "writable: [out], timeout: 2s");
    let result = stand.run();
    assert_eq!(result["ended"], "timed_out", "{result}");
    assert!(output(&result).contains("so far"));
    assert!(result.get("exit_code").is_none());
    assert_eq!(with_mark(&mark), Vec::<u32>::new());
}

/// Goes on when it is refused a process: that one is not what ends it.
const BOMB: &str = "import os, time\nmade = 0\nwhile made < 2000:\n    try:\n        if os.fork() == 0:\n            time.sleep(600)\n        made += 1\n    except OSError:\n        time.sleep(0.05)\ntime.sleep(600)\n";

#[test]
fn a_fork_bomb_is_stopped() {
    let mark = fresh_mark();
    let mut stand = Stand::with(&[("script.py", BOMB)], &format!("test: {{argv: [/usr/bin/python3, script.py, {mark}], timeout: 60s}}"));
    assert_eq!(stand.run()["ended"], "too_many_processes");
    assert_eq!(with_mark(&mark), Vec::<u32>::new());
}

#[test]
fn a_command_that_takes_too_much_memory_is_stopped() {
    // Each holds less than it may alone.
    let script = "import os, time\nfor n in range(6):\n    if os.fork() == 0:\n        held = bytearray(40 << 20)\n        for at in range(0, len(held), 4096):\n            held[at] = 1\n        time.sleep(600)\ntime.sleep(600)\n";
    let mut stand = Stand::python(script, "memory: 128MiB, timeout: 60s");
    assert_eq!(stand.run()["ended"], "too_much_memory");
    let mut stand = Stand::python("try:\n    held = bytearray(1 << 30)\nexcept MemoryError:\n    print('no memory')\n", "memory: 128MiB");
    assert!(output(&stand.run()).contains("no memory"));
}

#[test]
fn a_flood_of_output_is_bounded() {
    let script = "import sys\nprint('the first line')\nline = 'x' * 99 + '\\n'\nfor n in range(10_000):\n    sys.stdout.write(line * 100)\nprint('the last line')\n";
    let mut stand = Stand::python(script, "timeout: 60s");
    let result = stand.run();
    assert_eq!(result["ended"], "exited");
    assert!(output(&result).ends_with("the last line\n") && output(&result).len() < 400 << 10);
}

#[test]
fn output_is_said_as_it_comes_and_without_secrets() {
    let secret = fresh_secret();
    let script = format!(
        "import os, sys, time\nprint('the beginning')\nprint('ok 1 - token: {secret}')\nfor n in range(5):\n    print('\\x1b[32mtest green', n, '... ok\\x1b[0m')\nprint('data:', '  password: {secret}', sep='\\n', flush=True)\nos.open('out/fifo', os.O_RDONLY)\nprint('the end {secret}')\n"
    );
    let mut stand = Stand::python(&script, "writable: [out]");
    std::fs::create_dir(stand.path("out")).unwrap();
    let fifo = stand.path("out/fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let id = stand.client.ask("tools/call", json!({ "name": "workspace_run_tests", "arguments": {}, "_meta": { "progressToken": "t" } }));
    let mut said = String::new();
    // The command waits for this end of the fifo: what is said before was said while it ran.
    while !said.contains("green 2") {
        let message = stand.client.receive();
        assert_eq!(message["method"], "notifications/progress", "{message}");
        said += message["params"]["message"].as_str().unwrap();
        said += "\n";
    }
    drop(std::fs::OpenOptions::new().write(true).open(&fifo).unwrap());
    let reply = loop {
        let message = stand.client.receive();
        if message["id"] == id {
            break message;
        }
        said += message["params"]["message"].as_str().unwrap();
    };
    assert!(said.contains("[REDACTED:") && !said.contains("the beginning") && !said.contains("data:"), "{said}");
    let result = reply["result"]["structuredContent"]["result"].to_string();
    assert!(result.contains("the end [REDACTED:"), "{result}");
    assert!(!said.contains(&secret) && !reply.to_string().contains(&secret) && !said.contains('\u{1b}'));
    assert!(!stand.home.entries_so_far().iter().any(|entry| entry.to_string().contains(&secret)));
}

#[test]
fn what_was_open_in_the_gateway_is_not_open_in_the_command() {
    let script = "import os\nfor fd in range(3, 64):\n    try:\n        os.fstat(fd)\n        print('open', fd, os.readlink(f'/proc/self/fd/{fd}'))\n    except OSError:\n        pass\n";
    let repository = Repository::with(&[("script.py", script)]);
    let home = Home::with_policy(&policy("test: {argv: [/usr/bin/python3, script.py]}"));
    // A shell leaves a file open in what it starts.
    let mut shell = std::process::Command::new("/bin/sh");
    shell.arg("-c").arg(r#"exec 9</etc/hostname; exec "$@""#).arg("sh").arg(env!("CARGO_BIN_EXE_opsgate"));
    shell.args(["call", "workspace_run_tests", "--in-process", "--workspace", repository.arg()]).env("OPSGATE_HOME", home.path());
    let answer = harness::text(&shell.output().unwrap().stdout);
    assert!(answer.contains("\"exited\"") && !answer.contains("open 9"), "{answer}");
}

#[test]
fn what_the_tests_said_is_counted() {
    let xml = include_str!("../tools/src/workspace/commands/report/fixtures/pytest.xml");
    let files = [
        ("report.xml", xml),
        ("write.sh", "mkdir -p out && cat report.xml > out/report.xml"),
        ("say.sh", "cat said.txt"),
        ("said.txt", include_str!("../tools/src/workspace/commands/report/fixtures/cargo.txt")),
    ];
    let commands = "test: {argv: [/bin/sh, write.sh], writable: [out], report: out/report.xml}, stale: {argv: [/bin/true], report: out/report.xml}, say: {argv: [/bin/sh, say.sh]}";
    let mut stand = Stand::with(&files, commands);
    let result = stand.run();
    assert_eq!([&result["passed"], &result["failed"], &result["skipped"]], [2, 3, 2], "{result}");
    assert_eq!(result["failures"][0]["name"], "test_a test_fails");
    let result = stand.done("workspace_run_tests", json!({ "command": "stale" }));
    assert!(result.get("passed").is_none(), "a report of an earlier run was taken for this one's: {result}");
    let result = stand.done("workspace_run_tests", json!({ "command": "say" }));
    assert_eq!([&result["passed"], &result["failed"], &result["skipped"]], [3, 4, 1], "{result}");
}

#[test]
fn another_user_is_held_alike() {
    if is_not_root() {
        return skipped("only root can be another user; then every other test here is this one");
    }
    let list = ["open('.git/config').read()", "open('/etc/shadow').read()", "open('x', 'w')", "socket.socket()", "os.setuid(0)"];
    let closes = "import os\nos.chdir(os.environ['HOME'])\nos.makedirs('a/b')\nopen('a/b/file', 'w')\nos.chmod('a/b', 0)\nos.chmod('a', 0)\n";
    let repository = Repository::with(&[("script.py", &attempts(&list)), ("bomb.py", BOMB), ("closes.py", closes)]);
    let commands =
        ["test: {argv: [/usr/bin/python3, script.py]}", "bomb: {argv: [/usr/bin/python3, bomb.py]}", "closes: {argv: [/usr/bin/python3, closes.py]}"];
    let home = Home::with_policy(&policy(&commands.join(", ")));
    let private = tempfile::tempdir().unwrap();
    for path in [home.path().parent().unwrap(), repository.path(), private.path()] {
        assert!(std::process::Command::new("chown").args(["-R", "65534:65534"]).arg(path).status().unwrap().success());
    }
    // Where the build is, that user may not be able to go.
    let place = tempfile::tempdir().unwrap();
    std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let opsgate = place.path().join("opsgate");
    std::fs::copy(env!("CARGO_BIN_EXE_opsgate"), &opsgate).unwrap();
    let call = |command: &str| {
        let mut run = std::process::Command::new("setpriv");
        run.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&opsgate).args(["call", "workspace_run_tests", "--args"]);
        run.arg(json!({ "command": command }).to_string()).args(["--in-process", "--workspace", repository.arg()]);
        run.env("OPSGATE_HOME", home.path()).env("HOME", home.path()).env("TMPDIR", private.path());
        let output = run.output().unwrap();
        assert!(output.status.success(), "{}", harness::text(&output.stderr));
        harness::text(&output.stdout)
    };
    let answer = call("test");
    assert!(answer.contains("attempts 5") && answer.matches("held ").count() == 5, "{answer}");
    assert!(call("bomb").contains("too_many_processes"));
    assert!(call("closes").contains("\"exit_code\": 0"));
    let left: Vec<_> = std::fs::read_dir(private.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(left.is_empty(), "{left:?}");
}

fn is_not_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) != 0)
}
