//! The gateway under a user of its own, with real users of this machine: what the agent's user can do, and cannot.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod harness;

use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;

use harness::repository::Repository;
use harness::skipped::skipped;
use harness::{fresh_secret, text};
use opsgate::trust::Acl;
use serde_json::Value;

/// The accounts' files take one writer at a time.
static ACCOUNTS: Mutex<()> = Mutex::new(());

/// Two users made for a test, and what is installed under the first one's name. All of it goes when dropped.
struct Machine {
    gateway: String,
    agent: String,
    agent_ids: (u32, u32),
    folder: tempfile::TempDir,
}

/// The machine, or a loud word that the test cannot be held here.
fn machine() -> Option<Machine> {
    if !rustix::process::geteuid().is_root() {
        skipped("only root makes users and installs");
        return None;
    }
    let folder = tempfile::Builder::new().prefix("ogsetup").tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let mut random = [0u8; 4];
    getrandom::fill(&mut random).unwrap();
    let suffix: String = random.iter().map(|b| format!("{b:02x}")).collect();
    let (gateway, agent) = (format!("opsgate-test-{suffix}"), format!("opsgate-agent-{suffix}"));
    let home = folder.path().join("agent");
    // From here on, whatever fails is cleaned away.
    let mut machine = Machine { gateway, agent, agent_ids: (0, 0), folder };
    let made = {
        let _one = ACCOUNTS.lock().unwrap();
        Command::new("useradd").args(["--create-home", "--user-group", "--home-dir"]).arg(&home).arg(&machine.agent).output().unwrap()
    };
    assert!(made.status.success(), "{}", text(&made.stderr));
    let left = left_running();
    if left.iter().any(|uid| (100..1000).contains(uid)) {
        eprintln!("processes of removed users run here, whose numbers useradd could give: the gateway's user gets another one");
        machine.make_gateway_user();
    }
    let accounts = opsgate::trust::Accounts::read(Path::new("/"));
    let agent = accounts.user(&machine.agent).unwrap();
    machine.agent_ids = (agent.uid, agent.gid);
    std::fs::set_permissions(&home, PermissionsExt::from_mode(0o700)).unwrap();
    Some(machine)
}

/// The numbers of processes whose user is not listed.
fn left_running() -> Vec<u32> {
    let accounts = opsgate::trust::Accounts::read(Path::new("/"));
    let status = |entry: std::fs::DirEntry| std::fs::read_to_string(entry.path().join("status")).ok();
    let uid = |status: String| status.lines().find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().next()?.parse().ok());
    let uids = std::fs::read_dir("/proc").unwrap().flatten().filter_map(status).filter_map(uid);
    uids.filter(|uid| accounts.uid(*uid).is_none()).collect()
}

/// Whether files here take access lists; some file systems of containers do not.
fn takes_access_lists() -> bool {
    let file = tempfile::NamedTempFile::new_in("/tmp").unwrap();
    let list = Acl::of_mode(0o600).granting(4_000_009, 4);
    let takes = rustix::fs::setxattr(file.path(), "system.posix_acl_access", &list.bytes(), rustix::fs::XattrFlags::empty()).is_ok();
    if !takes {
        skipped("the file system of /tmp has no access lists");
    }
    takes
}

impl Machine {
    fn installed(args: &[&str]) -> Option<(Self, String)> {
        let machine = machine()?;
        let output = machine.setup(&[&["--agent", &machine.agent, "--no-systemd"], args].concat());
        assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
        Some((machine, text(&output.stdout)))
    }

    /// The gateway's user with a number that runs nothing, before setup would make it.
    fn make_gateway_user(&self) -> u32 {
        let _one = ACCOUNTS.lock().unwrap();
        let (left, accounts) = (left_running(), opsgate::trust::Accounts::read(Path::new("/")));
        let uid = (100..1000).rev().find(|uid| accounts.uid(*uid).is_none() && !left.contains(uid)).unwrap();
        let mut useradd = Command::new("useradd");
        useradd.args(["--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", "--uid", &uid.to_string()]);
        let output = useradd.arg(&self.gateway).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        uid
    }

    fn setup(&self, args: &[&str]) -> Output {
        let _one = ACCOUNTS.lock().unwrap();
        self.setup_alone(args)
    }

    /// While the caller holds the accounts.
    fn setup_alone(&self, args: &[&str]) -> Output {
        self.setup_by("root", args)
    }

    /// As `sudo` of this user runs it.
    fn setup_by(&self, user: &str, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_opsgate"));
        command.args(["setup", "--user", &self.gateway]).args(args).env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", "/root");
        command.env("SUDO_USER", user);
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// The facts of `setup --check` that do not hold.
    fn wrong(&self) -> Vec<String> {
        let output = self.setup(&["--check", "--no-systemd", "--json"]);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
        let wrong: Vec<_> = report["facts"].as_array().unwrap().iter().filter(|fact| fact["ok"] == false).map(ToString::to_string).collect();
        assert_eq!(output.status.code(), Some(i32::from(!wrong.is_empty())));
        wrong
    }

    fn service(&self, verb: &str) -> Output {
        Command::new(format!("/usr/local/sbin/{}-service", self.gateway)).arg(verb).stdin(Stdio::null()).output().unwrap()
    }

    fn home(&self) -> PathBuf {
        self.state().join("home")
    }

    /// The folder above the home, which is root's.
    fn state(&self) -> PathBuf {
        Path::new("/var/lib").join(&self.gateway)
    }

    /// The folder of the socket.
    fn run(&self) -> PathBuf {
        Path::new("/run").join(&self.gateway)
    }

    /// What a test may name the gateway's user too.
    fn second_name(&self) -> String {
        format!("{}-2", self.gateway)
    }

    fn etc(&self, name: &str) -> PathBuf {
        Path::new("/etc").join(&self.gateway).join(name)
    }

    fn program(&self) -> PathBuf {
        Path::new("/usr/local/bin").join(&self.gateway)
    }

    fn agent_home(&self) -> PathBuf {
        self.folder.path().join("agent")
    }

    fn pid(&self) -> String {
        std::fs::read_to_string(self.home().join("gateway.lock")).unwrap()
    }

    /// A command as the agent's user, with a clean environment.
    fn as_agent(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", self.agent_home()).current_dir("/");
        command.uid(self.agent_ids.0).gid(self.agent_ids.1).stdin(Stdio::null());
        command
    }

    /// `opsgate` as the agent's user, told where the service is.
    fn opsgate(&self, args: &[&str]) -> Output {
        let socket = format!("/run/{}/gateway.sock", self.gateway);
        self.as_agent(self.program()).args(args).env("OPSGATE_SOCKET", socket).output().unwrap()
    }

    fn agent_can(&self, script: &str) -> bool {
        self.as_agent("sh").args(["-c", script]).stderr(Stdio::null()).stdout(Stdio::null()).status().unwrap().success()
    }

    fn doctor(&self, command: &mut Command) -> (Value, String) {
        let output = command.args(["doctor", "--json"]).output().unwrap();
        let said = text(&output.stdout);
        (serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}{}", text(&output.stderr))), said)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let quiet = |command: &mut Command| {
            let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        };
        let script = format!("/usr/local/sbin/{}-service", self.gateway);
        quiet(Command::new(&script).arg("stop"));
        let _one = ACCOUNTS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for user in [&self.second_name(), &self.gateway, &self.agent] {
            quiet(Command::new("userdel").args(["--force", user]));
            quiet(Command::new("groupdel").arg(user));
        }
        for path in [self.state(), self.etc(""), self.run()] {
            let _ = std::fs::remove_dir_all(path);
        }
        let _ = std::fs::remove_file(script);
        let _ = std::fs::remove_file(self.program());
    }
}

fn findings(report: &Value, way: &str) -> Vec<String> {
    let ways = report["ways"].as_array().unwrap();
    let found = ways.iter().find(|found| found["id"] == way).unwrap_or_else(|| panic!("no way `{way}`"));
    found["findings"].as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_agents_user_calls_the_gateway_and_cannot_touch_it() {
    let Some((machine, said)) = Machine::installed(&["--approver", "ben", "--json"]) else { return };
    let report: Value = serde_json::from_str(&said).unwrap();
    let key = report["approver_key"].as_str().unwrap();
    assert!(key.starts_with("opsgate_"));
    assert_eq!(machine.wrong(), [""; 0]);

    // A second run has nothing to do and shows no key.
    let again = machine.setup(&["--agent", &machine.agent, "--no-systemd", "--approver", "ben", "--json"]);
    let again: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert!(again["steps"].as_array().unwrap().iter().all(|step| step["state"] == "already"), "{again}");
    assert_eq!(again["approver_key"], Value::Null);

    // Somebody else who administers it does not become the agent.
    let script = format!("/usr/local/sbin/{}-service", machine.gateway);
    let before = std::fs::read_to_string(&script).unwrap();
    assert!(machine.setup_by("nobody", &["--no-systemd", "--json"]).status.success());
    assert_eq!(std::fs::read_to_string(&script).unwrap(), before);

    let who = machine.opsgate(&["call", "policy_whoami"]);
    assert!(who.status.success(), "{}", text(&who.stderr));
    assert!(text(&who.stdout).contains(&format!("local:uid={}", machine.agent_ids.0)), "{}", text(&who.stdout));

    // Root is no caller of this policy, and neither is anybody else.
    let mut root = Command::new(machine.program());
    root.args(["call", "policy_whoami"]).env("OPSGATE_SOCKET", format!("/run/{}/gateway.sock", machine.gateway));
    assert_eq!(root.output().unwrap().status.code(), Some(1));

    // What it reads and how: of each, root can, so that a refusal is one.
    let secrets = [
        machine.home().join("keys"),
        machine.home().join("signing.key"),
        machine.home().join("digest.key"),
        machine.home().join("gateway.log"),
        machine.etc("policy.yaml"),
        machine.etc(&format!("{}.env", machine.gateway)),
    ];
    for file in secrets {
        assert!(std::fs::read(&file).is_ok(), "{}", file.display());
        assert!(!machine.agent_can(&format!("cat {}", file.display())), "reads {}", file.display());
        assert!(!machine.agent_can(&format!(": >>{}", file.display())), "writes {}", file.display());
        assert!(!machine.agent_can(&format!("rm -f {0} && ! test -e {0}", file.display())), "removes {}", file.display());
        assert!(file.exists());
    }
    for folder in [machine.home(), machine.home().join("audit"), machine.etc(""), machine.run()] {
        assert!(folder.is_dir());
        assert!(!machine.agent_can(&format!("touch {}/planted", folder.display())), "writes in {}", folder.display());
        assert!(!machine.agent_can(&format!("mv {0} {0}.old", folder.display())), "moves {}", folder.display());
    }
    assert!(!machine.agent_can(&format!("ls {}", machine.home().display())));
    for file in [machine.program(), format!("/usr/local/sbin/{}-service", machine.gateway).into()] {
        assert!(!machine.agent_can(&format!(": >>{}", file.display())), "writes {}", file.display());
    }
    let pid = machine.pid();
    for attempt in [format!("kill -0 {pid}"), format!("cat /proc/{pid}/environ"), format!("head -c 1 /proc/{pid}/mem"), format!("ls /proc/{pid}/fd")]
    {
        assert!(!machine.agent_can(&attempt), "{attempt}");
    }
    if machine.agent_can("command -v strace") {
        let output = machine.as_agent("strace").args(["-p", &pid, "-o", "/dev/null"]).output().unwrap();
        assert!(!output.status.success() && text(&output.stderr).contains("not permitted"), "{}", text(&output.stderr));
    } else {
        eprintln!("no strace to attach with; /proc/PID/mem was tried");
    }
    // Not even the gateway's own user attaches to it, or reads what it holds.
    for attempt in [format!("cat /proc/{pid}/environ"), format!("head -c 1 /proc/{pid}/mem")] {
        let script = format!("setpriv --reuid {0} --regid {0} --clear-groups sh -c '{attempt}'", machine.gateway);
        assert!(!Command::new("sh").args(["-c", &script]).output().unwrap().status.success(), "{attempt}");
    }
}

#[test]
fn read_tools_work_on_the_agents_repository_and_on_what_comes_later() {
    let repository = Repository::with(&[("a.txt", "hello\n"), ("sub/b.txt", "world\n")]);
    let Some(machine) = machine().filter(|_| takes_access_lists()) else { return };
    mode(repository.path(), 0o700);
    let owned = Command::new("chown").args(["-R", &machine.agent]).arg(repository.path()).status().unwrap();
    assert!(owned.success());
    let call = |tool: &str, args: &str| machine.opsgate(&["call", tool, "--args", args, "--workspace", repository.arg()]);
    let base = ["--agent", &machine.agent, "--no-systemd"];
    assert!(machine.setup(&base).status.success());
    let refused = call("workspace_read_file", r#"{"path": "a.txt"}"#);
    assert!(!refused.status.success(), "the gateway reads a folder that was not given to it");
    let granted = machine.setup(&[&base[..], &["--workspace", repository.arg()]].concat());
    assert!(granted.status.success(), "{}", text(&granted.stderr));
    for (tool, args, expected) in [
        ("workspace_read_file", r#"{"path": "sub/b.txt"}"#, "world"),
        ("workspace_list_directory", "{}", "a.txt"),
        ("workspace_search_code", r#"{"pattern": "wor"}"#, "sub/b.txt"),
        ("workspace_git_log", "{}", "first"),
        ("workspace_git_status", "{}", "branch"),
        ("workspace_git_blame", r#"{"path": "a.txt"}"#, "hello"),
    ] {
        let output = call(tool, args);
        assert!(output.status.success() && text(&output.stdout).contains(expected), "{tool}: {}{}", text(&output.stdout), text(&output.stderr));
    }
    let script = format!(
        "umask 077 && cd {} && echo later >new.txt && git add new.txt && git -c user.name=a -c user.email=a@example.invalid commit -qm second",
        repository.arg()
    );
    if !machine.agent_can("command -v git") {
        skipped("no git to commit with as the agent's user");
        return;
    }
    assert!(machine.agent_can(&script));
    let log = call("workspace_git_log", "{}");
    assert!(text(&log.stdout).contains("second"), "{}{}", text(&log.stdout), text(&log.stderr));
    assert!(text(&call("workspace_read_file", r#"{"path": "new.txt"}"#).stdout).contains("later"));
}

/// Writes, commits and sandboxed commands of a gateway that is another user than the repository's owner.
#[test]
fn the_gateway_writes_where_it_may_and_the_owner_keeps_what_it_wrote() {
    let Some(machine) = machine().filter(|_| takes_access_lists()) else { return };
    // Landlock does not guard modes: a command can open what is its user's own to all, and still lets nobody in.
    let look = format!(
        "id -u\ncat {0}/keys {0}/digest.key {1}\nchmod 0755 {2}\nchmod 0755 {0}; chmod 0644 {0}/digest.key {0}/signing.key\nchmod 0777 {3}\nrm -f {3}/gateway.sock\nmv {3}/gateway.sock {3}/moved\ntouch {3}/planted\necho looked\n",
        machine.home().display(),
        machine.etc("policy.yaml").display(),
        machine.state().display(),
        machine.run().display()
    );
    let repository = Repository::with(&[("a.txt", "hello\n"), ("look.sh", &look)]);
    mode(repository.path(), 0o700);
    assert!(Command::new("chown").args(["-R", &machine.agent]).arg(repository.path()).status().unwrap().success());
    let args = ["--agent", &machine.agent, "--no-systemd", "--workspace", repository.arg(), "--writable"];
    let output = machine.setup(&args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let policy = format!(
        "version: 1\nwrite_mode: on\ndefaults: {{read: allow}}\ncallers: {{\"local:uid={}\": {{roles: [developer]}}}}\n\
         systems: {{policy: {{mode: read_only}}, workspace: {{mode: approval_required_write, commands: {{test: {{argv: [/bin/sh, look.sh]}}}}}}}}\n\
         repositories: {{\"{}\": {{write: true}}}}\n\
         rules: [{{id: writes, allow: {{tools: [workspace_write_file, workspace_commit, workspace_run_tests]}}, approvals: 0}}]\n",
        machine.agent_ids.0,
        repository.arg()
    );
    std::fs::write(machine.etc("policy.yaml"), policy).unwrap();
    assert!(machine.service("restart").status.success());
    assert!(machine.service("reload").status.success() && machine.service("status").status.success(), "a reload ended it");
    let call = |tool: &str, args: &str| {
        let output = machine.opsgate(&["call", tool, "--args", args, "--workspace", repository.arg()]);
        assert!(output.status.success(), "{tool}: {}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    };
    call("workspace_write_file", r#"{"path": "a.txt", "content": "changed\n"}"#);
    call("workspace_write_file", r#"{"path": "new/b.txt", "content": "new\n"}"#);
    call("workspace_commit", r#"{"paths": ["a.txt", "new/b.txt"], "message": "Change and add"}"#);
    for change in [
        "echo more >>a.txt",
        "echo more >>new/b.txt",
        "echo other >new/c.txt",
        "git status --porcelain",
        "git log -1 --stat",
        "git add -A",
        "rm -r new",
    ] {
        let done = machine.agent_can("command -v git") || !change.starts_with("git");
        assert!(!done || machine.agent_can(&format!("cd {} && {change}", repository.arg())), "the owner cannot `{change}`");
    }
    if let Err(missing) = opsgate_tools::sandbox::available() {
        skipped(&missing.to_string());
        return;
    }
    let gateway = opsgate::trust::Accounts::read(Path::new("/")).user(&machine.gateway).unwrap().uid;
    let said = call("workspace_run_tests", "{}");
    assert!(said.contains(&gateway.to_string()) && said.contains("looked") && said.contains("ermission denied"), "{said}");
    assert!(!said.contains("sha256") && !said.contains("write_mode"), "{said}");
    for key in ["digest.key", "signing.key"] {
        assert!(!machine.agent_can(&format!("cat {}", machine.home().join(key).display())), "a command opened {key} to the agent");
    }
    let socket = machine.run().join("gateway.sock");
    for attempt in [format!("mv {0} {0}.old", socket.display()), format!("rm -f {0} && ! test -e {0}", socket.display())] {
        assert!(!machine.agent_can(&attempt), "a command opened the socket's folder to the agent: {attempt}");
    }
    let lies: Vec<_> = std::fs::read_dir(machine.run()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(lies, ["gateway.sock"], "a command put something where the gateway listens, or took it away");
    let opened = machine.wrong();
    assert!(opened.iter().all(|fact| fact.contains("\"home") && fact.contains("run `chmod")), "{opened:?}");
}

#[test]
fn a_stopped_service_is_told_and_no_other_is_started() {
    let Some((machine, said)) = Machine::installed(&[]) else { return };
    let socket = machine.run().join("gateway.sock");
    assert!(said.contains(&format!("a client without OPSGATE_SOCKET={} does not call this gateway", socket.display())), "{said}");
    let named = |client: &&str| said.contains(&format!("  {client} (")) && said.matches(&*socket.to_string_lossy()).count() >= 4;
    assert!(["Claude Code", "VS Code", "Cursor"].iter().all(named), "{said}");
    assert!(machine.service("stop").status.success());
    let output = machine.opsgate(&["call", "policy_whoami"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("does not answer"), "{}", text(&output.stderr));
    assert!(!machine.agent_home().join(".local").exists(), "a gateway was started beside the service");
    assert!(machine.wrong().iter().any(|fact| fact.contains("\"socket\"")));
    assert!(machine.service("start").status.success());
    assert_eq!(machine.wrong(), [""; 0]);
}

/// Credentials come from root's file and from nowhere else, and not by way of a command line.
#[test]
fn the_environment_file_reaches_the_gateway_and_the_callers_environment_does_not() {
    let Some((machine, _)) = Machine::installed(&[]) else { return };
    let file = machine.etc(&format!("{}.env", machine.gateway));
    let before = std::fs::read_to_string(&file).unwrap();
    let secret = fresh_secret();
    let restart = |line: &str| {
        std::fs::write(&file, format!("{before}{line}")).unwrap();
        machine.service("stop");
        let mut start = Command::new(format!("/usr/local/sbin/{}-service", machine.gateway));
        start.arg("start").env("PLANTED_BY_CALLER", "x").env("OPSGATE_POLICY", "/nowhere").stdin(Stdio::null()).output().unwrap()
    };
    let started = restart(&format!("GITHUB_TOKEN={secret} with $(id) and 'quotes'"));
    assert!(started.status.success(), "{}", text(&started.stderr));
    let environment = text(&std::fs::read(format!("/proc/{}/environ", machine.pid())).unwrap());
    assert!(environment.contains(&format!("GITHUB_TOKEN={secret} with $(id) and 'quotes'\0")), "the line is taken as it stands");
    assert!(!environment.contains("PLANTED_BY_CALLER") && !environment.contains("/nowhere"));
    let others = ["OPSGATE_POLICY=/x", "OPSGATE_HOME=/x", "OPSGATE_SOCKET=/x", "LD_PRELOAD=/x", "PATH=/x", "IFS=x"];
    for line in ["no assignment", "A-B=c", "=x", "1A=x", "OPSGATE_POLCY=/x"].into_iter().chain(others) {
        let refused = restart(line);
        assert_eq!(refused.status.code(), Some(64), "{line}: {}", text(&refused.stderr));
        assert!(!text(&refused.stderr).contains("no assignment"), "a line of the file was repeated");
    }
    assert!(restart("# nothing").status.success());
}

/// A process of the agent's that listens like a gateway, writes down what it is told, and says that it listens.
const FAKE: &str = r#"
import os, socket, sys
listening = socket.socket(socket.AF_UNIX)
listening.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o666)
listening.listen()
print("listens", flush=True)
while True:
    told = listening.accept()[0].makefile("rb").readline()
    open(sys.argv[2], "ab").write(told)
"#;

/// What another user puts where the gateway listens hears nothing from anybody, whether the folder is still open or closed again.
#[test]
fn a_planted_gateway_is_told_nothing() {
    use std::io::BufRead;
    let Some((machine, _)) = Machine::installed(&[]) else { return };
    assert!(machine.service("stop").status.success());
    let (run, socket, heard) = (machine.run(), machine.run().join("gateway.sock"), machine.agent_home().join("heard"));
    mode(&run, 0o777);
    let mut fake = machine.as_agent("python3");
    let mut fake = fake.args(["-c", FAKE]).args([&socket, &heard]).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    std::io::BufReader::new(fake.stdout.take().unwrap()).read_line(&mut said).unwrap();
    let mut answers = Vec::new();
    let gateway = opsgate::trust::Accounts::read(Path::new("/")).user(&machine.gateway).unwrap().uid;
    // Open, closed again, and as the folder was before it was root's. Last with the planted socket made to look like the gateway's.
    for (owner, bits, looks) in [(0, 0o777, false), (0, 0o775, false), (gateway, 0o755, false), (0, 0o775, true)] {
        chown(&run, Some(owner), None).unwrap();
        mode(&run, bits);
        if looks {
            chown(&socket, Some(gateway), None).unwrap();
        }
        let output = machine.opsgate(&["call", "policy_whoami"]);
        answers.push((output.status.code(), text(&output.stderr)));
    }
    let (report, _) = machine.doctor(machine.as_agent(machine.program()).env("OPSGATE_SOCKET", &socket));
    fake.kill().unwrap();
    fake.wait().unwrap();
    assert_eq!(said.trim(), "listens");
    let agent = format!("`{}` (uid {})", machine.agent, machine.agent_ids.0);
    let words = ["writable for everybody".to_owned(), format!("a socket of {agent}"), format!("a socket of {agent}"), format!("answered by {agent}")];
    for ((code, said), words) in answers.iter().zip(&words) {
        assert_eq!(*code, Some(64), "{said}");
        assert!(said.contains(words), "{said}");
    }
    assert!(report["gateway"]["problems"].to_string().contains("answered by"), "{report}");
    assert_eq!(text(&std::fs::read(&heard).unwrap_or_default()), "", "it was told something");
    std::fs::remove_file(&socket).unwrap();
    assert!(machine.service("start").status.success());
    assert!(machine.opsgate(&["call", "policy_whoami"]).status.success());
    assert_eq!(machine.wrong(), [""; 0]);
}

#[test]
fn one_user_does_not_shut_the_others_out() {
    use std::io::BufRead;
    let Some((machine, _)) = Machine::installed(&[]) else { return };
    let socket = format!("/run/{}/gateway.sock", machine.gateway);
    let connect = || std::os::unix::net::UnixStream::connect(&socket).unwrap();
    let _held: Vec<_> = (0..128).map(|_| connect()).collect();
    let mut said = String::new();
    std::io::BufReader::new(connect()).read_line(&mut said).unwrap();
    assert!(said.contains("too many connections"), "{said}");
    assert!(machine.opsgate(&["call", "policy_whoami"]).status.success());
}

type Mutation = fn(&Machine);

/// What the gateway answers to this user, whose environment names this policy.
fn greeting(machine: &Machine, uid: u32, policy: &Path) -> String {
    const SAY: &str = r#"
import json, socket, sys
joined = socket.socket(socket.AF_UNIX)
joined.connect(sys.argv[1])
hello = {"opsgate": 1, "workspace": None, "explicit": False, "write_mode_off": False, "policy": sys.argv[2]}
joined.sendall(json.dumps(hello).encode() + b"\n")
sys.stdout.write(joined.makefile().readline())
"#;
    let mut say = machine.as_agent("python3");
    let output = say.args(["-c", SAY]).args([&machine.run().join("gateway.sock"), policy]).uid(uid).gid(uid).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// Whom the policy does not know is not told what lies where, and has no tool.
#[test]
fn a_stranger_learns_nothing() {
    let repository = Repository::with(&[("a.txt", "x\n")]);
    let Some((machine, _)) = Machine::installed(&[]) else { return };
    let socket = format!("/run/{}/gateway.sock", machine.gateway);
    let ask = |args: &[&str]| {
        let mut command = Command::new(machine.program());
        command.args(args).env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", "/nonexistent").env("OPSGATE_SOCKET", &socket);
        command.uid(4_000_009).gid(4_000_009).current_dir("/").stdin(Stdio::null()).output().unwrap()
    };
    let there = ask(&["call", "policy_whoami", "--workspace", repository.arg()]);
    let nowhere = ask(&["call", "policy_whoami", "--workspace", "/nowhere"]);
    assert_eq!(there.status.code(), Some(64));
    assert!(text(&there.stderr).contains("does not know `local:uid=4000009`"), "{}", text(&there.stderr));
    assert_eq!(text(&there.stderr), text(&nowhere.stderr));
    let refused = ask(&["call", "policy_whoami"]);
    assert!(text(&refused.stderr).contains("tool_unavailable"), "{}", text(&refused.stderr));
    // Which policy it is, whether or not one guesses it: the answer is the same. Who is known hears that it is another one.
    for guess in [machine.etc("policy.yaml"), "/etc/hostname".into()] {
        let said = greeting(&machine, 4_000_009, &guess);
        assert_eq!(said, "{}\n", "{}", guess.display());
    }
    let said = greeting(&machine, machine.agent_ids.0, Path::new("/etc/hostname"));
    assert!(said.contains("another policy") && !said.contains("/etc/"), "{said}");
    assert!(greeting(&machine, machine.agent_ids.0, &machine.etc("policy.yaml")).contains("\"about\""));
    let (report, _) = machine.doctor(
        Command::new(machine.program())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", "/nonexistent")
            .env("OPSGATE_SOCKET", &socket)
            .uid(4_000_009)
            .gid(4_000_009),
    );
    assert!(report["gateway"]["problems"].to_string().contains("does not know this user"), "{report}");
    assert!(text(&ask(&["tools"]).stdout).contains("no tool"));
    // The agent has tools, and is told where the keys are.
    assert!(text(&machine.opsgate(&["tools"]).stdout).contains("workspace_read_file"));
    let keys = machine.opsgate(&["keys", "list"]);
    assert_eq!(keys.status.code(), Some(64));
    assert!(text(&keys.stderr).contains(&format!("sudo -u {} OPSGATE_HOME=/var/lib/{0}/home ", machine.gateway)), "{}", text(&keys.stderr));
    assert_eq!(machine.opsgate(&["policy", "check"]).status.code(), Some(64), "another policy was checked");
}

/// What is done to an installation; the fact that shows it; whether the gateway refuses to start with it.
const MUTATIONS: &[(&str, Mutation, &str, bool)] = &[
    ("policy for everybody", |m| mode(&m.etc("policy.yaml"), 0o666), "policy", true),
    ("policy of the agent's", |m| chown(m.etc("policy.yaml"), Some(m.agent_ids.0), None).unwrap(), "policy", true),
    (
        "policy for the agent's group",
        |m| {
            chown(m.etc("policy.yaml"), None, Some(m.agent_ids.1)).unwrap();
            mode(&m.etc("policy.yaml"), 0o664);
        },
        "policy",
        true,
    ),
    (
        "policy for the agent by its access list",
        |m| {
            let list = Acl::of_mode(0o640).granting(m.agent_ids.0, 6);
            rustix::fs::setxattr(m.etc("policy.yaml"), "system.posix_acl_access", &list.bytes(), rustix::fs::XattrFlags::empty()).unwrap();
        },
        "policy",
        true,
    ),
    ("policy's folder for everybody", |m| mode(&m.etc(""), 0o777), "policy", true),
    ("policy's folder of the agent's", |m| chown(m.etc(""), Some(m.agent_ids.0), None).unwrap(), "policy", true),
    (
        "policy a link to the agent's file",
        |m| {
            let theirs = m.agent_home().join("policy.yaml");
            std::fs::rename(m.etc("policy.yaml"), &theirs).unwrap();
            symlink(theirs, m.etc("policy.yaml")).unwrap();
        },
        "policy",
        true,
    ),
    ("policy unsound", |m| std::fs::write(m.etc("policy.yaml"), "version: 1\nrulez: []\n").unwrap(), "policy", true),
    ("policy without the agent", |m| std::fs::write(m.etc("policy.yaml"), "version: 1\n").unwrap(), "policy", false),
    ("folder above the home for all to go through", |m| mode(&m.state(), 0o755), "home-folder-above", false),
    ("folder above the home of the agent's", |m| chown(m.state(), Some(m.agent_ids.0), None).unwrap(), "home-folder-above", true),
    ("home for all to read", |m| mode(&m.home(), 0o755), "home", true),
    ("home of the agent's", |m| chown(m.home(), Some(m.agent_ids.0), None).unwrap(), "home", true),
    ("signing key for all to read", |m| mode(&m.home().join("signing.key"), 0o644), "home-files", false),
    ("credentials for all to read", |m| mode(&m.etc(&format!("{}.env", m.gateway)), 0o644), "environment", false),
    ("credentials of the agent's", |m| chown(m.etc(&format!("{}.env", m.gateway)), Some(m.agent_ids.0), None).unwrap(), "environment", false),
    ("environment names another policy", |m| add(&m.etc(&format!("{}.env", m.gateway)), "OPSGATE_POLICY=/x\n"), "environment", true),
    ("environment loads a library", |m| add(&m.etc(&format!("{}.env", m.gateway)), " LD_PRELOAD=/x\n"), "environment", true),
    ("policy changed under the running gateway", |m| add(&m.etc("policy.yaml"), "\n# changed\n"), "policy-enforced", false),
    ("audit log for all to go through", |m| mode(&m.home().join("audit"), 0o755), "audit", false),
    ("a file of the audit log for all to read", |m| mode(&m.home().join("audit/checkpoints"), 0o644), "audit", false),
    ("the log's mark for all to read", |m| mode(&m.home().join("head"), 0o644), "home-files", false),
    (
        "audit log given to the agent as it grows by its access list",
        |m| {
            let list = Acl::of_mode(0o700).granting(m.agent_ids.0, 5);
            rustix::fs::setxattr(m.home().join("audit"), "system.posix_acl_default", &list.bytes(), rustix::fs::XattrFlags::empty()).unwrap();
        },
        "audit",
        false,
    ),
    ("gateway's user in the agent's group", |m| account("gpasswd", &["-a", &m.gateway, &m.agent]), "user", false),
    (
        "gateway in the agent's group as it runs",
        |m| {
            account("gpasswd", &["-a", &m.gateway, &m.agent]);
            let script = format!("/usr/local/sbin/{}-service", m.gateway);
            let text = std::fs::read_to_string(&script).unwrap();
            std::fs::write(&script, text.replace("--clear-groups", "--init-groups")).unwrap();
            assert!(m.service("restart").status.success());
            std::fs::write(&script, text).unwrap();
            account("gpasswd", &["-d", &m.gateway, &m.agent]);
        },
        "process",
        false,
    ),
    ("gateway's user with a password", |m| account("usermod", &["--password", "$6$x$y", &m.gateway]), "user", false),
    (
        "a second name for the gateway's user",
        |m| {
            let uid = opsgate::trust::Accounts::read(Path::new("/")).user(&m.gateway).unwrap().uid.to_string();
            account("useradd", &["--non-unique", "--uid", &uid, "--no-create-home", "--no-user-group", "--gid", &m.gateway, &m.second_name()]);
        },
        "user",
        false,
    ),
    (
        "program with a capability",
        |m| {
            // cap_dac_override+ep
            let capability = [1u8, 0, 0, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            rustix::fs::setxattr(m.program(), "security.capability", &capability, rustix::fs::XattrFlags::empty()).unwrap();
        },
        "program",
        false,
    ),
    ("program for everybody", |m| mode(&m.program(), 0o777), "program", false),
    ("program of the agent's", |m| chown(m.program(), Some(m.agent_ids.0), None).unwrap(), "program", false),
    (
        "script changed",
        |m| {
            let script = format!("/usr/local/sbin/{}-service", m.gateway);
            let text = std::fs::read_to_string(&script).unwrap();
            std::fs::write(&script, text + "# changed\n").unwrap();
        },
        "script",
        false,
    ),
    ("socket's folder for everybody", |m| mode(&m.run(), 0o777), "socket-folder", false),
    ("socket's folder of the agent's group", |m| chown(m.run(), None, Some(m.agent_ids.1)).unwrap(), "socket-folder", false),
    (
        "socket's folder of the gateway's own, whose commands could open it",
        |m| {
            let accounts = opsgate::trust::Accounts::read(Path::new("/"));
            chown(m.run(), Some(accounts.user(&m.gateway).unwrap().uid), None).unwrap();
            mode(&m.run(), 0o755);
        },
        "socket-folder",
        false,
    ),
];

fn add(path: &Path, line: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    std::fs::write(path, text + line).unwrap();
}

/// A program that changes the accounts' files.
fn account(program: &str, args: &[&str]) {
    let _one = ACCOUNTS.lock().unwrap();
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program}: {}", text(&output.stderr));
}

/// As setup made it: one name, no password, no other group.
fn restore_account(machine: &Machine) {
    let _one = ACCOUNTS.lock().unwrap();
    for (program, args) in [
        ("gpasswd", &["-d", &machine.gateway, &machine.agent][..]),
        ("usermod", &["--password", "!", &machine.gateway]),
        ("userdel", &["--force", &machine.second_name()]),
    ] {
        let _ = Command::new(program).args(args).output().unwrap(); // most of the time there is nothing to undo
    }
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// As they lie: owner, mode, access list and content of what the mutations touch.
fn restore(machine: &Machine, kept: &[(PathBuf, std::fs::Metadata, Option<Vec<u8>>)]) {
    use std::os::unix::fs::MetadataExt;
    restore_account(machine);
    for (path, meta, content) in kept {
        if let Some(content) = content {
            if path.is_symlink() {
                std::fs::remove_file(path).unwrap();
            }
            std::fs::write(path, content).unwrap();
        }
        for attribute in ["system.posix_acl_access", "system.posix_acl_default", "security.capability"] {
            let _ = rustix::fs::removexattr(path, attribute);
        }
        chown(path, Some(meta.uid()), Some(meta.gid())).unwrap();
        mode(path, meta.mode() & 0o7777);
    }
    let started = machine.service("restart");
    assert!(started.status.success(), "{}", text(&started.stderr));
}

#[test]
fn each_change_of_an_installation_is_found_and_those_of_the_policy_are_refused() {
    let Some((machine, _)) = Machine::installed(&[]) else { return };
    let files =
        [machine.etc("policy.yaml"), machine.etc(&format!("{}.env", machine.gateway)), format!("/usr/local/sbin/{}-service", machine.gateway).into()];
    let in_home = ["", "signing.key", "head", "audit", "audit/checkpoints"].map(|name| machine.home().join(name));
    let others = [machine.state(), machine.etc(""), machine.program(), machine.run()].into_iter().chain(in_home);
    let kept: Vec<_> = files
        .iter()
        .map(|path| (path.clone(), path.metadata().unwrap(), Some(std::fs::read(path).unwrap())))
        .chain(others.map(|path| (path.clone(), path.metadata().unwrap(), None)))
        .collect();
    assert_eq!(machine.wrong(), [""; 0]);
    let lists = takes_access_lists();
    for (what, mutate, fact, refused) in MUTATIONS.iter().filter(|(what, ..)| lists || !what.contains("access list")) {
        mutate(&machine);
        let wrong = machine.wrong();
        assert!(wrong.iter().any(|found| found.contains(&format!("\"id\":\"{fact}\""))), "{what}: {wrong:?}");
        if *refused {
            machine.service("stop");
            let started = machine.service("start");
            assert_eq!(started.status.code(), Some(64), "{what}: {}{}", text(&started.stdout), text(&started.stderr));
        }
        restore(&machine, &kept);
        assert_eq!(machine.wrong(), [""; 0], "after {what}");
    }
}

/// What a removed user left running would be the gateway's user from its first moment.
#[test]
fn a_number_that_runs_something_is_refused() {
    let Some(machine) = machine() else { return };
    let listed = || opsgate::trust::Accounts::read(Path::new("/")).user(&machine.gateway).map(|user| user.uid);
    let uid = listed().unwrap_or_else(|| machine.make_gateway_user());
    let mut orphan = Command::new("sleep").arg("600").uid(uid).stdin(Stdio::null()).spawn().unwrap();
    let args = ["--agent", &machine.agent, "--no-systemd"];
    let refused = machine.setup(&args);
    let home = machine.state().exists();
    // The number that useradd gives is looked at too; mostly it is the one that was free before.
    let one = ACCOUNTS.lock().unwrap();
    Command::new("userdel").args(["--force", &machine.gateway]).output().unwrap();
    let again = machine.setup_alone(&args);
    let given = listed();
    orphan.kill().unwrap();
    let pid = orphan.id().to_string();
    // Ended, and not yet asked after: from here on it counts no more.
    while !std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap().contains("State:\tZ") {
        std::thread::yield_now();
    }
    drop(one);
    assert_eq!(refused.status.code(), Some(64));
    assert!(text(&refused.stderr).contains(&pid) && !home, "{}", text(&refused.stderr));
    if given == Some(uid) {
        assert!(text(&again.stderr).contains(&pid), "{}", text(&again.stderr));
    } else if again.status.success() {
        orphan.wait().unwrap(); // useradd gave another number, which ran nothing
        return;
    } else {
        account("userdel", &["--force", &machine.gateway]);
        account(
            "useradd",
            &["--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", "--uid", &uid.to_string(), &machine.gateway],
        );
    }
    let output = machine.setup(&args);
    orphan.wait().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(machine.wrong(), [""; 0]);
}

/// What was given is looked at again, and a run without `--writable` takes writing back.
#[test]
fn a_grant_is_checked_and_writing_is_taken_back() {
    let repository = Repository::with(&[("a.txt", "hello\n")]);
    let Some(machine) = machine().filter(|_| takes_access_lists()) else { return };
    mode(repository.path(), 0o700);
    assert!(Command::new("chown").args(["-R", &machine.agent]).arg(repository.path()).status().unwrap().success());
    let args = ["--agent", &machine.agent, "--no-systemd", "--workspace", repository.arg()];
    let writable = [&args[..], &["--writable"]].concat();
    let gateway_writes = || {
        let script = format!("setpriv --reuid {0} --regid {0} --clear-groups sh -c ': >>{1}/a.txt'", machine.gateway, repository.arg());
        Command::new("sh").args(["-c", &script]).output().unwrap().status.success()
    };
    let list = |of: &str| {
        let mut bytes = vec![0u8; 1024];
        let length = rustix::fs::getxattr(repository.path(), of, &mut bytes).unwrap();
        bytes.truncate(length);
        bytes
    };
    let write_list = |bytes: &[u8]| {
        rustix::fs::setxattr(repository.path(), "system.posix_acl_access", bytes, rustix::fs::XattrFlags::empty()).unwrap();
    };
    for (args, writes) in [(&args[..], false), (&writable, true), (&args, false)] {
        let output = machine.setup(args);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let said = text(&output.stdout);
        assert_eq!(said.contains("may read and write") && said.contains("without --writable"), writes, "{said}");
        assert!(said.contains("done     the gateway's user may read"), "{said}");
        assert_eq!(gateway_writes(), writes);
        assert_eq!(machine.wrong(), [""; 0]);
        let as_given = list("system.posix_acl_access");
        let uid = opsgate::trust::Accounts::read(Path::new("/")).user(&machine.gateway).unwrap().uid;
        write_list(&Acl::of_mode(0o700).bytes());
        assert!(machine.wrong().concat().contains("cannot read"), "a grant that is gone");
        write_list(&Acl::parse(&as_given).unwrap().giving(uid, if writes { 5 } else { 7 }).bytes());
        let wrong = machine.wrong().concat();
        // What comes later is still given to be written.
        assert!(writes || wrong.contains("can write to"), "{wrong}");
        write_list(&as_given);
        assert_eq!(machine.wrong(), [""; 0]);
    }
}

#[test]
fn doctor_tells_the_boundary_and_the_ways_round_it_without_their_values() {
    let Some((machine, _)) = Machine::installed(&[]) else { return };
    let home = machine.agent_home();
    let socket = format!("/run/{}/gateway.sock", machine.gateway);
    let (clean, _) = machine.doctor(machine.as_agent(machine.program()).env("OPSGATE_SOCKET", &socket));
    assert_eq!(clean["gateway"]["trust"], "separate", "{clean}");
    assert_eq!(clean["gateway"]["form"], "service");
    for way in ["gateway-files", "gateway-process", "github-cli", "aws", "kubectl"] {
        assert_eq!(findings(&clean, way), [""; 0], "{way}");
    }
    let secrets: Vec<_> = (0..4).map(|_| fresh_secret()).collect();
    let planted = [(".config/gh/hosts.yml", &secrets[0]), (".aws/credentials", &secrets[1]), (".kube/config", &secrets[2])];
    for (file, secret) in planted {
        let file = home.join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, secret).unwrap();
        assert!(Command::new("chown").args(["-R", &machine.agent]).arg(file.parent().unwrap()).status().unwrap().success());
    }
    let (found, said) = machine.doctor(machine.as_agent(machine.program()).env("OPSGATE_SOCKET", &socket).env("GH_TOKEN", &secrets[3]));
    assert_eq!(findings(&found, "github-cli"), ["GH_TOKEN is set", "~/.config/gh/hosts.yml can be read"]);
    assert_eq!(findings(&found, "aws"), ["~/.aws/credentials can be read"]);
    assert_eq!(findings(&found, "kubectl"), ["~/.kube/config can be read"]);
    let words = machine.as_agent(machine.program()).arg("doctor").env("OPSGATE_SOCKET", &socket).env("GH_TOKEN", &secrets[3]).output().unwrap();
    assert_eq!(words.status.code(), Some(1));
    let words = text(&words.stdout);
    assert!(words.contains("gh/hosts.yml") && words.contains("separate") && !words.contains('\u{1b}'), "{words}");
    for secret in &secrets {
        assert!(!said.contains(secret) && !words.contains(secret));
    }

    // Nothing is run: not the program that would log that it was asked.
    let (programs, asked) = (machine.folder.path().join("programs"), home.join("asked"));
    std::fs::create_dir(&programs).unwrap();
    std::fs::write(programs.join("sudo"), format!("#!/bin/sh\n: >{}\n", asked.display())).unwrap();
    for path in [&programs, &programs.join("sudo")] {
        mode(path, 0o755);
    }
    assert!(machine.agent_can(&format!("{0}/sudo && rm {1}", programs.display(), asked.display())));
    let (report, _) = machine.doctor(machine.as_agent(machine.program()).env("OPSGATE_SOCKET", &socket).env("PATH", &programs));
    assert!(!asked.exists(), "doctor ran sudo");
    let sudo = report["ways"].as_array().unwrap().iter().find(|way| way["id"] == "sudo").unwrap();
    assert_eq!(sudo["findings"], serde_json::json!([]));
    let readable = machine.agent_can("cat /etc/sudoers");
    assert!(readable || sudo["unknown"].as_str().unwrap().contains("can be read"), "{sudo}");

    // The agent's own gateway, in a home that it names: a guard rail, and told as one.
    let own = home.join("own");
    let (report, _) = machine.doctor(machine.as_agent(machine.program()).env("OPSGATE_HOME", &own));
    assert_eq!((&report["gateway"]["trust"], &report["gateway"]["form"]), (&"same-user".into(), &"per-user".into()));
    assert!(!findings(&report, "gateway-files").is_empty());
    assert!(!own.exists(), "looking made a home");
}

/// A gateway of the agent's own: its user's other processes cannot attach to it, and a policy that others write is refused.
#[test]
fn a_gateway_of_ones_own_is_closed_to_debuggers_too() {
    let Some(machine) = machine() else { return };
    let own = machine.agent_home().join("own");
    // Where the agent can run it.
    let program = machine.folder.path().join("opsgate");
    std::fs::copy(env!("CARGO_BIN_EXE_opsgate"), &program).unwrap();
    mode(&program, 0o755);
    let mut serve = machine.as_agent(&program);
    let mut child =
        serve.args(["serve", "--socket-only", "--announce"]).env("OPSGATE_HOME", &own).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut said = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut said).unwrap();
    let pid = child.id();
    let attempts = [format!("cat /proc/{pid}/environ"), format!("head -c 1 /proc/{pid}/mem"), format!("ls /proc/{pid}/fd")];
    let got: Vec<_> = attempts.iter().filter(|attempt| machine.agent_can(attempt)).collect();
    let answered = machine.as_agent(&program).args(["call", "policy_whoami"]).env("OPSGATE_HOME", &own).output().unwrap();
    harness::stop(pid, "-TERM");
    child.wait().unwrap();
    assert!(said.contains("\"exit\":0"), "{said}");
    assert!(got.is_empty(), "{got:?}");
    assert!(answered.status.success(), "{}", text(&answered.stderr));

    let policy = machine.folder.path().join("policy.yaml");
    std::fs::write(&policy, "version: 1\n").unwrap();
    let start = |owner: u32, bits: u32| {
        chown(&policy, Some(owner), Some(0)).unwrap();
        mode(&policy, bits);
        machine
            .as_agent(&program)
            .args(["call", "policy_whoami", "--in-process"])
            .env("OPSGATE_HOME", &own)
            .env("OPSGATE_POLICY", &policy)
            .output()
            .unwrap()
    };
    for (owner, bits, expected) in [(0, 0o644, 1), (machine.agent_ids.0, 0o644, 1), (0, 0o646, 64), (12345, 0o644, 64)] {
        let output = start(owner, bits);
        assert_eq!(output.status.code(), Some(expected), "{owner} {bits:o}: {}", text(&output.stderr));
        assert_eq!(text(&output.stderr).contains("run `ch"), expected == 64, "{}", text(&output.stderr));
    }
}

/// Root's policy and program do not make a boundary of a gateway that a person runs, or of one whose home its commands could open.
#[test]
fn a_persons_gateway_is_no_boundary() {
    let Some(machine) = machine() else { return };
    let (program, policy) = (machine.folder.path().join("opsgate"), machine.folder.path().join("policy.yaml"));
    std::fs::copy(env!("CARGO_BIN_EXE_opsgate"), &program).unwrap();
    std::fs::write(&policy, "version: 1\n").unwrap();
    mode(&program, 0o755);
    mode(&policy, 0o644);
    let closed = machine.folder.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    let standing = |home: &Path, shell: &str| {
        {
            let _one = ACCOUNTS.lock().unwrap();
            assert!(Command::new("usermod").args(["--shell", shell, &machine.agent]).output().unwrap().status.success());
        }
        let mut serve = machine.as_agent(&program);
        serve.args(["serve", "--announce", "--listen", "127.0.0.1:0"]).env("OPSGATE_HOME", home).env("OPSGATE_POLICY", &policy);
        let mut child = serve.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut said).unwrap();
        harness::stop(child.id(), "-TERM");
        let output = child.wait_with_output().unwrap();
        assert!(said.contains("\"exit\":0"), "{said}{}", text(&output.stderr));
        text(&output.stderr)
    };
    let own = machine.agent_home().join("own");
    let said = standing(&own, "/bin/sh");
    assert!(said.contains("trust: same-user") && said.contains("it can log in"), "{said}");
    let others = opsgate::trust::Accounts::read(Path::new("/")).others_log_in(&[machine.agent_ids.0]);
    let said = standing(&own, "/usr/sbin/nologin");
    assert_eq!(said.contains("trust: same-user") && said.contains("keeps others out"), others, "{said}");
    // As setup makes it.
    chown(&closed, Some(0), Some(machine.agent_ids.1)).unwrap();
    std::fs::create_dir(closed.join("home")).unwrap();
    chown(closed.join("home"), Some(machine.agent_ids.0), Some(machine.agent_ids.1)).unwrap();
    mode(&closed, 0o750);
    mode(&closed.join("home"), 0o700);
    let said = standing(&closed.join("home"), "/usr/sbin/nologin");
    assert!(said.contains("trust: separate"), "{said}");
}

#[test]
fn the_unit_is_one_that_systemd_takes_and_finds_closed() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("etc")).unwrap();
    std::fs::write(
        dir.path().join("etc/passwd"),
        "root:x:0:0::/:/bin/sh\ngate:x:4000001:4000001::/:/usr/sbin/nologin\nana:x:4000002:4000002::/:/bin/sh\n",
    )
    .unwrap();
    std::fs::write(dir.path().join("etc/group"), "root:x:0:\ngate:x:4000001:\nana:x:4000002:\n").unwrap();
    if !rustix::process::geteuid().is_root() || Command::new("systemd-analyze").arg("--version").output().is_err() {
        skipped("needs root and systemd-analyze");
        return;
    }
    let mut setup = Command::new(env!("CARGO_BIN_EXE_opsgate"));
    setup.args(["setup", "--user", "gate", "--agent", "ana", "--listen", "127.0.0.1:8787", "--root"]).arg(dir.path());
    let output = setup.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let unit = dir.path().join("etc/systemd/system/gate.service");
    // `verify` looks for the program on this machine, where it is not installed.
    let written = std::fs::read_to_string(&unit).unwrap().replace("/usr/local/bin/gate", "/bin/true");
    std::fs::write(&unit, written).unwrap();
    let verify = Command::new("systemd-analyze").arg("verify").arg("--man=no").arg(&unit).output().unwrap();
    let said = text(&verify.stderr);
    assert!(verify.status.success() && !said.contains("gate.service"), "{said}");
    let security = Command::new("systemd-analyze").args(["security", "--offline=true", "--threshold=25", "--no-pager"]).arg(&unit).output().unwrap();
    let said = text(&security.stdout) + &text(&security.stderr);
    assert!(security.status.success(), "{said}");
}
