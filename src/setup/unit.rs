//! The systemd unit: the gateway with as little of the machine as it needs.

use super::layout::Layout;
use super::recorded::Recorded;

/// The unit of this installation.
///
/// - `ProtectHome=read-only` and not `yes`: workspaces lie in homes, and file permissions say which of them it may read. A
///   workspace beneath `/tmp` is not seen, since `/tmp` is the gateway's own.
/// - `/proc` shows all processes: a sandboxed command's limit of threads counts those of the gateway, which hides itself.
/// - `RestrictSUIDSGID` would take `openat2` away, by which the sandbox opens what was judged and nothing else; the sandbox
///   refuses those modes itself, and no tool sets them.
/// - The socket's folder is made as root and is root's: a `RuntimeDirectory` would be the gateway's user's, and a declared
///   command could change its mode. It is made before `ReadWritePaths` is looked at.
/// - `capset` is how the sandbox gives capabilities up.
/// - What the gateway runs is under the same rules: see the unit's own word on programs that make code as they run.
pub(super) fn text(layout: &Layout, recorded: &Recorded) -> String {
    let name = layout.name();
    let mut writable = vec![layout.home().display().to_string(), format!("-{}", layout.run().display())];
    writable.extend(recorded.writable.iter().map(|path| path.display().to_string()));
    let writable: Vec<_> = writable.iter().map(|path| quoted(path)).collect();
    let listen = recorded.listen.map(|listen| format!("Environment=OPSGATE_LISTEN={listen}\n")).unwrap_or_default();
    format!(
        "\
{recorded}
[Unit]
Description=opsgate, the gateway between AI clients and production
After=network.target

[Service]
Type=exec
ExecStartPre=+install -d -o root -g {name} -m 0775 {run}
ExecStart={program} {serve}
ExecReload=/bin/kill -HUP $MAINPID
User={name}
Group={name}
UMask=0077
Environment=OPSGATE_HOME={home}
Environment=OPSGATE_POLICY={policy}
Environment=OPSGATE_SOCKET={socket}
{listen}EnvironmentFile=-{environment}
WorkingDirectory=/
Restart=on-failure
RestartSec=1
RestartPreventExitStatus=64 70
TimeoutStopSec=30
LimitCORE=0

NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=read-only
ReadWritePaths={writable}
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RemoveIPC=yes
LockPersonality=yes
# A declared command that makes code as it runs (node, java) needs this off: `systemctl edit {name}`.
MemoryDenyWriteExecute=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
SystemCallFilter=@system-service seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self
SystemCallFilter=~@privileged @keyring
SystemCallFilter=capset

[Install]
WantedBy=multi-user.target
",
        recorded = recorded.line(),
        program = layout.program().display(),
        serve = recorded.serve(),
        home = layout.home().display(),
        policy = layout.policy().display(),
        socket = layout.socket().display(),
        run = layout.run().display(),
        environment = layout.environment().display(),
        writable = writable.join(" "),
    )
}

/// A path as systemd takes it: its specifiers and quotes mean themselves.
fn quoted(path: &str) -> String {
    format!("\"{}\"", path.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%"))
}
