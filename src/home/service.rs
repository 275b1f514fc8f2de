//! The machine's own gateway, as `opsgate setup` installs it: where it is, and whom to believe about that.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Settings;
use crate::trust::hosts;

/// The name of the service: of its user, its folders and its unit.
pub const SERVICE: &str = "opsgate";

/// The folder that the service's socket is in, by its name.
#[must_use]
pub fn run_folder(name: &str) -> PathBuf {
    Path::new("/run").join(name)
}

/// The folder of the service's policy and environment, by its name.
#[must_use]
pub fn etc_folder(name: &str) -> PathBuf {
    Path::new("/etc").join(name)
}

/// The folder above the service's home, by its name. It is root's: what runs as the service's user, a declared command too, can change the
/// mode of what is its own, but lets nobody through this one.
#[must_use]
pub fn state_folder(name: &str) -> PathBuf {
    Path::new("/var/lib").join(name)
}

/// The service's home, by its name.
#[must_use]
pub fn home_folder(name: &str) -> PathBuf {
    state_folder(name).join("home")
}

/// The name of the service whose socket this is: that of the folder it is in.
#[must_use]
pub fn name_of(socket: &Path) -> String {
    socket.parent().and_then(Path::file_name).map_or_else(|| SERVICE.to_owned(), |name| name.to_string_lossy().into_owned())
}

impl Settings {
    /// The socket that clients join instead of a home's own: the one that `OPSGATE_SOCKET` names, else the one of the
    /// service that this machine has, unless `OPSGATE_HOME` names a home. Where there is one, no gateway is started.
    #[must_use]
    pub fn service(&self) -> Option<PathBuf> {
        self.socket.clone().or_else(|| (!self.home_named).then(|| installed(&run_folder(SERVICE), &etc_folder(SERVICE))).flatten())
    }
}

/// The socket of an installed service. One that is stopped counts: its clients hear so, and get no gateway of their own.
fn installed(run: &Path, etc: &Path) -> Option<PathBuf> {
    let socket = run.join("gateway.sock");
    let roots = etc.join(format!("{SERVICE}.env")).symlink_metadata().is_ok_and(|meta| meta.uid() == 0);
    // Whom to believe there, whoever joins it asks again: that root's file lies there says nothing about what listens.
    let believed = || socket.exists() && hosts(&socket).is_ok_and(|hosts| hosts.lies().is_ok());
    (roots || believed()).then_some(socket)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_socket_in_a_folder_that_others_write_is_not_the_services() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("run");
        std::fs::create_dir(&run).unwrap();
        let none = dir.path().join("etc");
        assert_eq!(installed(&run, &none), None);
        let _listening = std::os::unix::net::UnixListener::bind(run.join("gateway.sock")).unwrap();
        for (mode, expected) in [(0o755, true), (0o777, false), (0o757, false)] {
            std::fs::set_permissions(&run, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(installed(&run, &none).is_some(), expected, "{mode:o}");
        }
    }

    #[test]
    fn a_named_home_is_the_one_that_is_meant() {
        let vars = |list: &[(&str, &str)]| Settings::read(list.iter().map(|(k, v)| ((*k).into(), (*v).into()))).unwrap();
        assert_eq!(vars(&[("OPSGATE_HOME", "/o")]).service(), None);
        assert_eq!(vars(&[("OPSGATE_HOME", "/o"), ("OPSGATE_SOCKET", "/r/s")]).service(), Some("/r/s".into()));
    }
}
