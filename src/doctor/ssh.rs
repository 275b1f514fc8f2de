//! Keys and an agent of SSH's.

use super::person::{Person, beginning, readable};

/// An agent that answers, keys by their usual name, and private keys of any name, by their first line.
pub(super) fn findings(person: &Person) -> Vec<String> {
    let mut found = Vec::new();
    if person.var("SSH_AUTH_SOCK").is_some_and(|socket| std::os::unix::net::UnixStream::connect(socket).is_ok()) {
        found.push("an SSH agent answers at SSH_AUTH_SOCK".to_owned());
    }
    let folder = person.at_home(".ssh").and_then(|folder| std::fs::read_dir(folder).ok());
    let is_key = |entry: &std::fs::DirEntry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let usual = name.starts_with("id_") && !name.ends_with(".pub") && readable(&entry.path());
        usual || beginning(&entry.path()).is_some_and(|text| text.lines().next().is_some_and(is_private))
    };
    let keys = folder.into_iter().flatten().flatten().filter(is_key);
    let mut keys: Vec<_> = keys.map(|entry| format!("~/.ssh/{} can be read", entry.file_name().to_string_lossy())).collect();
    keys.sort();
    found.extend(keys);
    found
}

/// The first line of a private key: in PEM of any kind, and PuTTY's.
fn is_private(line: &str) -> bool {
    let line = line.trim();
    let pem = line.strip_prefix("-----BEGIN ").and_then(|line| line.strip_suffix("-----"));
    pem.is_some_and(|kind| kind.ends_with("PRIVATE KEY")) || line.starts_with("PuTTY-User-Key-File-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_key_of_any_name_is_found_and_nothing_else_is_opened() {
        let home = tempfile::tempdir().unwrap();
        let ssh = home.path().join(".ssh");
        std::fs::create_dir_all(ssh.join("folder")).unwrap();
        let first = |kind: &str| format!("-----BEGIN {kind}-----\n");
        for (name, text) in [
            ("deploy", first("OPENSSH PRIVATE KEY")),
            ("old.pem", first("RSA PRIVATE KEY")),
            ("plain", first("PRIVATE KEY")),
            ("putty.ppk", "PuTTY-User-Key-File-3: ssh-ed25519\n".to_owned()),
            ("public.pem", first("PUBLIC KEY")),
            ("config", format!("Host x\n{}", first("OPENSSH PRIVATE KEY"))),
            ("known_hosts", "example.invalid ssh-ed25519 x\n".to_owned()),
            ("empty", String::new()),
        ] {
            std::fs::write(ssh.join(name), text).unwrap();
        }
        // A pipe would wait for its other end.
        rustix::fs::mknodat(rustix::fs::CWD, ssh.join("pipe"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        let found = findings(&Person::with(home.path(), &[]));
        assert_eq!(found, ["deploy", "old.pem", "plain", "putty.ppk"].map(|name| format!("~/.ssh/{name} can be read")));
    }
}
