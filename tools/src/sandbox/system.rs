//! What of the machine every command may reach: data, so that it can be read as a list.

use landlock::{AccessFs, BitFlags, make_bitflags};

/// Programs and libraries.
const PROGRAMS: &[&str] = &["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/// Of `/etc`, what programs ask of the machine. Whatever else is there may be private, and a gateway may run as root.
const CONFIGURATION: &[&str] = &[
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/ca-certificates.conf",
    "/etc/crypto-policies",
    "/etc/debian_version",
    "/etc/fonts",
    "/etc/gai.conf",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/locale.alias",
    "/etc/localtime",
    "/etc/magic",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/pki/ca-trust",
    "/etc/pki/tls/certs",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/terminfo",
    "/etc/timezone",
];

/// Of other processes `/proc` shows what anybody may see: the kernel asks for a right to trace before it shows more, and
/// Landlock gives none over a process outside.
const KERNEL: &[&str] = &["/proc", "/sys/devices/system/cpu", "/dev/urandom", "/dev/random"];

const SINKS: &[&str] = &["/dev/null", "/dev/zero", "/dev/full"];

const READ: BitFlags<AccessFs> = make_bitflags!(AccessFs::{Execute | ReadFile | ReadDir});
const LOOK: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});
const BOTH: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | WriteFile});

/// Each path with what may be done there. Those that this machine does not have are left out by the caller.
pub(super) fn paths() -> impl Iterator<Item = (&'static str, BitFlags<AccessFs>)> {
    let programs = PROGRAMS.iter().map(|path| (*path, READ));
    let looked_at = CONFIGURATION.iter().chain(KERNEL).map(|path| (*path, LOOK));
    programs.chain(looked_at).chain(SINKS.iter().map(|path| (*path, BOTH)))
}
