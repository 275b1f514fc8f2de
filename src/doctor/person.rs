//! The user who asks, as the ways round the gateway see that user: an environment, a home folder, groups.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::trust::Accounts;

/// Whom the doctor looks at. Of the environment only names and paths are ever told.
pub struct Person {
    /// Name and number, for a person.
    pub name: String,
    /// The number.
    pub uid: u32,
    /// The name as files list it, where one does.
    pub(super) login: Option<String>,
    home: Option<PathBuf>,
    env: BTreeMap<String, String>,
    groups: Vec<String>,
}

impl Person {
    /// The user that this process runs as.
    #[must_use]
    pub fn of_this_process() -> Self {
        let uid = rustix::process::geteuid().as_raw();
        let accounts = Accounts::read(Path::new("/"));
        let env: BTreeMap<_, _> = std::env::vars_os().map(|(k, v)| (k.to_string_lossy().into_owned(), v.to_string_lossy().into_owned())).collect();
        let home = env.get("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        let home = home.or_else(|| accounts.uid(uid).map(|user| PathBuf::from(&user.home)));
        let mut groups: Vec<_> = accounts.uid(uid).map(|user| accounts.groups_of(user).map(|group| group.name.clone()).collect()).unwrap_or_default();
        groups.extend(rustix::process::getgroups().unwrap_or_default().iter().map(|gid| accounts.group_name(gid.as_raw())));
        let login = accounts.uid(uid).map(|user| user.name.clone());
        Self { name: accounts.user_text(uid), uid, login, home, env, groups }
    }

    /// Somebody with this environment and home folder: for tests.
    #[must_use]
    pub fn with(home: &Path, env: &[(&str, &str)]) -> Self {
        let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Self {
            name: "test".into(),
            uid: rustix::process::geteuid().as_raw(),
            login: Some("test".into()),
            home: Some(home.to_owned()),
            env,
            groups: Vec::new(),
        }
    }

    #[cfg(test)]
    pub(super) fn in_groups(self, groups: &[&str]) -> Self {
        Self { groups: groups.iter().map(|group| (*group).to_owned()).collect(), ..self }
    }

    /// A variable's value, where it is set to something.
    pub(super) fn var(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The names of the variables that are set to something.
    pub(super) fn vars(&self) -> impl Iterator<Item = &str> {
        self.env.iter().filter(|(_, value)| !value.is_empty()).map(|(name, _)| name.as_str())
    }

    /// A path in the home folder.
    pub(super) fn at_home(&self, relative: &str) -> Option<PathBuf> {
        self.home.as_ref().map(|home| home.join(relative))
    }

    pub(super) fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|name| name == group)
    }

    /// Whether a program of this name is on the path.
    pub(super) fn program(&self, name: &str) -> Option<PathBuf> {
        std::env::split_paths(self.var("PATH")?).map(|folder| folder.join(name)).find(|file| file.is_file())
    }
}

/// What one file is read of.
const BEGINNING: u64 = 256 << 10;

/// How a regular file begins, where it can be read; a link to one counts. What is there instead of a file is not opened for long: a pipe
/// put in its place does not make this wait.
pub(super) fn beginning(path: &Path) -> Option<zeroize::Zeroizing<String>> {
    use std::io::Read;
    use std::os::unix::fs::OpenOptionsExt;
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    path.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let file = std::fs::OpenOptions::new().read(true).custom_flags(i32::try_from(flags.bits()).ok()?).open(path).ok()?;
    file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let mut bytes = zeroize::Zeroizing::new(Vec::new());
    file.take(BEGINNING).read_to_end(&mut bytes).ok()?;
    Some(zeroize::Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Whether there is something readable here: a file with content, or a folder with something in it.
pub(super) fn readable(path: &Path) -> bool {
    match path.metadata() {
        Ok(meta) if meta.is_dir() => std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some()),
        // Opening a pipe would wait for its other end.
        Ok(meta) if meta.is_file() => meta.len() > 0 && std::fs::File::open(path).is_ok(),
        _ => false,
    }
}
