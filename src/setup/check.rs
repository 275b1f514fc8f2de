//! `opsgate setup --check`: whether an installation is as it was made, fact by fact.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::layout::Layout;
use super::recorded::Recorded;
use super::{account, script, unit};
use crate::catalogue;
use crate::policy::Policy;
use crate::trust::{Accounts, User, guarded_for, hosts};

/// How long the gateway may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// One fact.
#[derive(Debug, Serialize)]
pub struct Fact {
    /// Its name.
    pub id: &'static str,
    /// Whether it is as it should be.
    pub ok: bool,
    /// What was found.
    pub found: String,
}

type Found = Result<String, String>;

/// Checks an installation on this machine. `agent` is the agent's user where the installation does not remember one.
pub fn check(layout: &Layout, systemd: bool, agent: Option<&str>) -> Vec<Fact> {
    let started = if systemd { layout.unit() } else { layout.script() };
    let recorded = Recorded::of_file(&layout.on_disk(&started));
    let accounts = Accounts::read(layout.root());
    let agent = agent.or(recorded.as_ref().and_then(|recorded| recorded.agent.as_deref()));
    let agent = agent.and_then(|name| accounts.user(name)).cloned();
    let user = account::user(layout);
    let mut facts = Facts { layout, facts: Vec::new() };
    facts.add("user", user_is_apart(layout, &accounts, agent.as_ref()));
    let Ok(user) = user else { return facts.facts };
    facts.add("program", guarded(layout, &layout.program()).and_then(|said| runnable(layout, said)));
    facts.add("home", private(layout, &layout.home(), user.uid, 0o700));
    facts.add("home-folder-above", guarded(layout, &layout.state()).and_then(|said| closed_to_others(layout, &user, said)));
    for name in ["keys", "signing.key", "digest.key", "head"] {
        let file = layout.home().join(name);
        if layout.on_disk(&file).symlink_metadata().is_ok() {
            facts.add("home-files", private(layout, &file, user.uid, 0o600));
        }
    }
    if layout.on_disk(&layout.home().join("audit")).symlink_metadata().is_ok() {
        facts.add("audit", audit(layout, user.uid));
    }
    facts.add("policy", policy(layout, &user, agent.as_ref()));
    facts.add(
        "environment",
        guarded(layout, &layout.environment()).and_then(|_| private(layout, &layout.environment(), 0, 0o600)).and_then(|said| names(layout, said)),
    );
    let expected = recorded.as_ref().map(|recorded| if systemd { unit::text(layout, recorded) } else { script::text(layout, recorded) });
    facts.add(if systemd { "unit" } else { "script" }, guarded(layout, &started).and_then(|_| as_written(layout, &started, expected)));
    for (folder, writable) in recorded.iter().flat_map(Recorded::workspaces) {
        facts.add("workspace", workspace(layout, &user, agent.as_ref(), folder, writable));
    }
    if layout.is_this_machine() {
        facts.running(&user);
    }
    facts.facts
}

struct Facts<'a> {
    layout: &'a Layout,
    facts: Vec<Fact>,
}

impl Facts<'_> {
    fn add(&mut self, id: &'static str, found: Found) {
        let ok = found.is_ok();
        self.facts.push(Fact { id, ok, found: found.unwrap_or_else(|why| why) });
    }

    /// What only a running gateway shows.
    fn running(&mut self, user: &User) {
        self.add("socket-folder", socket_folder(self.layout, user));
        let (pid, enforced) = match answering(self.layout, user) {
            Ok(answer) => answer,
            Err(why) => return self.add("socket", Err(why)),
        };
        self.add("socket", Ok(format!("{} answers as `{}`", self.layout.socket().display(), user.name)));
        self.add("policy-enforced", enforces(self.layout, enforced.as_deref()));
        self.add("process", process(self.layout, user, pid));
        self.add("unattachable", unattachable(pid));
    }
}

fn user_is_apart(layout: &Layout, accounts: &Accounts, agent: Option<&User>) -> Found {
    let user = account::user(layout).map_err(|error| error.to_string())?;
    let shown = accounts.user_text(user.uid);
    if user.uid == 0 {
        return Err(format!("{shown} is root"));
    }
    if user.logs_in() {
        return Err(format!("{shown} can log in with {}", user.shell));
    }
    let Some(agent) = agent else { return Err("the agent's user is not known; name it with --agent".to_owned()) };
    if agent.uid == user.uid {
        return Err(format!("{shown} is the agent's user too"));
    }
    if let Some(other) = accounts.sharing(user.uid).find(|other| **other != user) {
        return Err(format!("`{}` has the number of {shown} too; remove it", other.name));
    }
    if accounts.sharing(user.uid).count() > 1 {
        return Err(format!("{shown} is listed twice in /etc/passwd"));
    }
    if let Some(group) = accounts.groups_of(&user).find(|group| group.gid != user.gid) {
        return Err(format!("{shown} is in the group `{0}` too; run `gpasswd -d {1} {0}`", group.name, user.name));
    }
    if has_password(layout, &user.name) {
        return Err(format!("{shown} has a password; run `usermod --lock --password '!' {}`", user.name));
    }
    if !accounts.only_listed(user.gid, &[user.uid]) {
        return Err(format!("others are in the group {}", accounts.group_text(user.gid)));
    }
    Ok(format!("{shown} does not log in, and is not the agent's {}", accounts.user_text(agent.uid)))
}

/// Whether something is there to log in with. An empty field is a password that everybody knows.
fn has_password(layout: &Layout, name: &str) -> bool {
    let field = |file: &str| {
        let text = std::fs::read_to_string(layout.on_disk(Path::new(file))).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::to_owned)?;
        line.split(':').next().map(str::to_owned)
    };
    let opens = |field: String| !field.starts_with(['!', '*']);
    field("/etc/passwd").filter(|field| field != "x").is_some_and(opens) || field("/etc/shadow").is_some_and(opens)
}

/// Root's alone, with every folder above.
fn guarded(layout: &Layout, path: &Path) -> Found {
    let on_disk = layout.on_disk(path);
    if !on_disk.exists() {
        return Err(format!("{} is not there; run `opsgate setup`", path.display()));
    }
    guarded_for(&on_disk, &[0]).map(|()| format!("{} is root's alone", path.display())).map_err(|exposed| exposed.to_string())
}

/// Of this owner and mode.
fn private(layout: &Layout, path: &Path, uid: u32, mode: u32) -> Found {
    let shown = path.display();
    let meta = layout.on_disk(path).symlink_metadata().map_err(|error| format!("{shown}: {error}"))?;
    let (has, owner) = (meta.mode() & 0o7777, meta.uid());
    if owner != uid {
        return Err(format!("{shown} belongs to uid {owner} and not to uid {uid}; run `chown {uid} {shown}`"));
    }
    if has != mode {
        return Err(format!("{shown} has the mode {has:04o} and not {mode:04o}; run `chmod {mode:04o} {shown}`"));
    }
    // A mode shows what an access list lets others do, but not what it gives to files that come later.
    if ["system.posix_acl_access", "system.posix_acl_default"]
        .iter()
        .any(|list| rustix::fs::lgetxattr(layout.on_disk(path), *list, &mut [0u8; 1024]).is_ok())
    {
        return Err(format!("{shown} has an access list; run `setfacl -b {shown}`"));
    }
    Ok(format!("{shown} is uid {uid}'s alone"))
}

/// The log's folder and what lies in it.
fn audit(layout: &Layout, uid: u32) -> Found {
    let folder = layout.home().join("audit");
    let said = private(layout, &folder, uid, 0o700)?;
    for entry in std::fs::read_dir(layout.on_disk(&folder)).map_err(|error| format!("{}: {error}", folder.display()))? {
        let entry = entry.map_err(|error| format!("{}: {error}", folder.display()))?;
        private(layout, &folder.join(entry.file_name()), uid, 0o600)?;
    }
    Ok(format!("{said}, with every file in it"))
}

/// The environment file sets what is in the table, and nothing else.
fn names(layout: &Layout, said: String) -> Found {
    let file = layout.environment();
    let text = std::fs::read(layout.on_disk(&file)).map_err(|error| format!("{}: {error}", file.display()))?;
    let beyond = super::policy::beyond(&String::from_utf8_lossy(&zeroize::Zeroizing::new(text)));
    if beyond.is_empty() {
        Ok(said)
    } else {
        Err(format!("{} sets what the gateway does not take from there: {}", file.display(), beyond.join(", ")))
    }
}

/// A recorded repository is still the agent's, and given as it was recorded.
fn workspace(layout: &Layout, user: &User, agent: Option<&User>, folder: &Path, writable: bool) -> Found {
    let agent = agent.ok_or("the agent's user is not known; name it with --agent")?;
    let shown = folder.display();
    let reached = super::workspace::reach(layout, folder, agent.uid).map_err(|error| error.to_string())?;
    let (reads, writes) = reached.holds(user.uid).map_err(|error| format!("`{shown}`: {error}"))?;
    let flag = if writable { " --writable" } else { "" };
    let mend = format!("run `opsgate setup --workspace {shown}{flag}`");
    match (reads, writes, writable) {
        (false, ..) => Err(format!("`{}` cannot read `{shown}`, which was given to it; {mend}", user.name)),
        (_, true, false) => Err(format!("`{}` can write to `{shown}`, which was given to it to read; {mend}", user.name)),
        (_, false, true) => Err(format!("`{}` cannot write to `{shown}`, which was given to it to write; {mend}", user.name)),
        _ => Ok(format!("`{}` may {} `{shown}`", user.name, if writable { "read and write" } else { "read" })),
    }
}

/// Nobody but root and the gateway's group gets through the folder above the home.
fn closed_to_others(layout: &Layout, user: &User, said: String) -> Found {
    let path = layout.on_disk(&layout.state());
    let meta = path.metadata().map_err(|error| error.to_string())?;
    if meta.mode() & 0o7777 == 0o750 && meta.gid() == user.gid {
        return Ok(said);
    }
    Err(format!("{0} should be root:{1} 0750; run `chown root:{1} {0} && chmod 0750 {0}`", layout.state().display(), user.name))
}

fn runnable(layout: &Layout, said: String) -> Found {
    let path = layout.on_disk(&layout.program());
    let mode = path.metadata().map_err(|error| error.to_string())?.permissions().mode() & 0o7777;
    if super::files::has_capability(&path) {
        return Err(format!("{0} has capabilities of its own; run `setcap -r {0}`", layout.program().display()));
    }
    if mode == 0o755 { Ok(said) } else { Err(format!("{} has the mode {mode:04o} and not 0755", layout.program().display())) }
}

/// Beyond all but root, not read by everybody, sound, and one that knows the agent.
fn policy(layout: &Layout, user: &User, agent: Option<&User>) -> Found {
    let said = guarded(layout, &layout.policy())?;
    let path = layout.on_disk(&layout.policy());
    let meta = path.metadata().map_err(|error| error.to_string())?;
    if meta.mode() & 0o7 != 0 || meta.gid() != user.gid {
        return Err(format!("{0} should be root:{1} 0640; run `chown root:{1} {0} && chmod 0640 {0}`", layout.policy().display(), user.name));
    }
    let catalogue = catalogue::catalogue().map_err(|error| error.to_string())?;
    let policy = Policy::load(&path, &catalogue).map_err(|errors| errors.to_string())?;
    match agent {
        Some(agent) if policy.caller(&format!("local:uid={}", agent.uid)).is_none() => {
            Err(format!("the policy does not know the agent; add \"local:uid={}\" under `callers`", agent.uid))
        }
        _ => Ok(format!("{said}, and sound")),
    }
}

fn as_written(layout: &Layout, path: &Path, expected: Option<String>) -> Found {
    let there = std::fs::read_to_string(layout.on_disk(path)).map_err(|error| format!("{}: {error}", path.display()))?;
    if expected.is_some_and(|expected| expected == there) {
        Ok(format!("{} is as setup writes it", path.display()))
    } else {
        Err(format!("{} was changed, or is of another version; run `opsgate setup`", path.display()))
    }
}

/// The running gateway's policy is the file's.
fn enforces(layout: &Layout, enforced: Option<&str>) -> Found {
    let catalogue = catalogue::catalogue().map_err(|error| error.to_string())?;
    let policy = Policy::load(&layout.on_disk(&layout.policy()), &catalogue).map_err(|errors| errors.to_string())?;
    match enforced {
        Some(hash) if hash == policy.hash() => Ok(format!("the gateway enforces {}", layout.policy().display())),
        Some(_) => Err(format!(
            "the gateway enforces another policy than {}; a changed file is taken within seconds, so its log says why this one is not",
            layout.policy().display()
        )),
        None => Err("the gateway does not say which policy it enforces; run `opsgate setup`, and start it again".to_owned()),
    }
}

/// The process behind the socket, and the hash of its policy: it speaks opsgate's hand-shake, and the kernel says whose it is.
fn answering(layout: &Layout, user: &User) -> Result<(u32, Option<String>), String> {
    use std::io::{BufRead, Write};
    let socket = layout.socket();
    let silent = |error: std::io::Error| format!("{} does not answer: {error}", socket.display());
    let mut stream = std::os::unix::net::UnixStream::connect(&socket).map_err(silent)?;
    stream.set_read_timeout(Some(ANSWER)).map_err(silent)?;
    let peer = rustix::net::sockopt::socket_peercred(&stream).map_err(|error| silent(error.into()))?;
    if peer.uid.as_raw() != user.uid {
        return Err(format!("{} is answered by uid {} and not by `{}`", socket.display(), peer.uid.as_raw(), user.name));
    }
    stream.write_all(b"{\"opsgate\":1,\"workspace\":null,\"explicit\":false,\"write_mode_off\":false,\"policy\":null}\n").map_err(silent)?;
    let mut line = String::new();
    std::io::BufReader::new(&stream).read_line(&mut line).map_err(silent)?;
    let reply =
        serde_json::from_str::<crate::server::HelloReply>(&line).map_err(|_| format!("what answers at {} is no opsgate", socket.display()))?;
    let pid = u32::try_from(peer.pid.as_raw_nonzero().get()).map_err(|error| error.to_string())?;
    Ok((pid, reply.policy))
}

/// Root's, so that what runs as the gateway's user cannot change its mode; that user puts its socket there by its group.
fn socket_folder(layout: &Layout, user: &User) -> Found {
    let (socket, folder) = (layout.socket(), layout.run());
    let meta = folder.symlink_metadata().map_err(|error| format!("{}: {error}", folder.display()))?;
    if !meta.is_dir() || (meta.uid(), meta.gid(), meta.mode() & 0o7777) != (0, user.gid, 0o775) {
        let shown = folder.display();
        return Err(format!("{shown} should be root:{0} 0775; run `chown root:{0} {shown} && chmod 0775 {shown}`", user.name));
    }
    let hosts = hosts(&socket).map_err(|error| error.to_string())?;
    if !hosts.contains(user.uid) {
        return Err(format!("{} is not where `{}` listens", socket.display(), user.name));
    }
    Ok("nobody else can put a socket in its place".to_owned())
}

/// The installed program, under the gateway's user in every respect, without capabilities.
fn process(layout: &Layout, user: &User, pid: u32) -> Found {
    let proc = Path::new("/proc").join(pid.to_string());
    let program = std::fs::read_link(proc.join("exe")).map_err(|error| format!("process {pid}: {error}"))?;
    if program != layout.program() {
        return Err(format!("process {pid} runs {} and not {}; start the service again", program.display(), layout.program().display()));
    }
    let status = std::fs::read_to_string(proc.join("status")).map_err(|error| format!("process {pid}: {error}"))?;
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim).unwrap_or_default();
    if field("Uid:").split_whitespace().any(|uid| uid != user.uid.to_string()) {
        return Err(format!("process {pid} has the uids {}", field("Uid:")));
    }
    if field("Gid:").split_whitespace().any(|gid| gid != user.gid.to_string()) {
        return Err(format!("process {pid} has the gids {}", field("Gid:")));
    }
    if field("Groups:").split_whitespace().any(|gid| gid != user.gid.to_string()) {
        return Err(format!("process {pid} is in the groups {}; start the service again", field("Groups:")));
    }
    // The last one is what it could be given.
    for set in ["CapEff:", "CapPrm:", "CapInh:", "CapAmb:", "CapBnd:"] {
        if field(set).is_empty() || field(set).bytes().any(|b| b != b'0') {
            return Err(format!("process {pid} has capabilities: {set} {}", field(set)));
        }
    }
    if field("NoNewPrivs:") != "1" {
        return Err(format!("process {pid} could gain privileges"));
    }
    Ok(format!("process {pid} runs as `{}` alone, with no capability and none to gain", user.name))
}

/// The kernel gives the `/proc` files of a process that cannot be attached to, to root.
fn unattachable(pid: u32) -> Found {
    let environ = Path::new("/proc").join(pid.to_string()).join("environ");
    let owner = environ.metadata().map_err(|error| format!("process {pid}: {error}"))?.uid();
    if owner == 0 { Ok(format!("process {pid} cannot be attached to")) } else { Err(format!("process {pid} can be attached to by uid {owner}")) }
}
