//! What the environment says: where things are, never what may happen.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::github::GithubSettings;
use crate::observe::log;

/// What the environment sets, read once through a lookup so that tests need no environment.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// `OPSGATE_HOME`, else the platform's state folder.
    pub home: PathBuf,
    /// Whether the environment named the home: then it is that home's gateway that is meant, and not the machine's.
    pub home_named: bool,
    /// `OPSGATE_SOCKET`: where the gateway listens, and where clients join it, in place of the home's own socket.
    pub socket: Option<PathBuf>,
    /// `OPSGATE_POLICY`.
    pub policy: Option<PathBuf>,
    /// `OPSGATE_LISTEN`.
    pub listen: Option<SocketAddr>,
    /// `OPSGATE_ADMIN_LISTEN`.
    pub admin_listen: Option<SocketAddr>,
    /// Whether `--insecure-bind` lets HTTP listen beyond loopback without TLS: said on the command line alone.
    pub insecure_bind: bool,
    /// `WRITE_MODE=off`: wins over the policy.
    pub write_mode_off: bool,
    /// What it says about GitHub.
    pub github: GithubSettings,
}

/// Why the environment cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A name nobody reads: most often a misspelt one.
    #[error("unknown environment variable `{name}`{}; unset it", near.map(|n| format!(", did you mean `{n}`?")).unwrap_or_default())]
    Unknown {
        /// The variable.
        name: String,
        /// The nearest one that exists.
        near: Option<&'static str>,
    },
    /// A value that does not fit.
    #[error("the environment variable {name} is `{value}`, but should be {expected}")]
    Value {
        /// The variable.
        name: &'static str,
        /// What it holds.
        value: String,
        /// What it may hold.
        expected: &'static str,
    },
    /// A value that does not fit and is better not repeated.
    #[error("the environment variable {name} should be {expected}")]
    Unfit {
        /// The variable.
        name: &'static str,
        /// What it may hold.
        expected: &'static str,
    },
    /// Two variables for one thing.
    #[error("both {name} and {other} are set; unset one of them")]
    Twice {
        /// The one.
        name: &'static str,
        /// The other.
        other: &'static str,
    },
    /// No place for the state.
    #[error("there is no home folder to keep state in; set OPSGATE_HOME to a folder of your own")]
    NoHome,
}

/// Every `OPSGATE_*` variable there is.
pub const VARIABLES: [&str; 6] = ["OPSGATE_HOME", "OPSGATE_POLICY", "OPSGATE_SOCKET", "OPSGATE_LISTEN", "OPSGATE_ADMIN_LISTEN", "OPSGATE_LOG"];

/// What is read without that prefix, and opens or closes something.
const OTHERS: [&str; 2] = ["WRITE_MODE", "ENABLE_REAL_GITHUB_CALLS"];

impl Settings {
    /// Reads the process's environment.
    ///
    /// # Errors
    /// On an unknown `OPSGATE_*` name, on a misspelt `WRITE_MODE` or `ENABLE_REAL_*`, and on a value that does not fit.
    pub fn from_env() -> Result<Self, SettingsError> {
        Self::read(std::env::vars_os().map(|(k, v)| (k.to_string_lossy().into_owned(), v.to_string_lossy().into_owned())))
    }

    /// Reads these variables.
    ///
    /// # Errors
    /// As [`Settings::from_env`].
    pub fn read(vars: impl Iterator<Item = (String, String)>) -> Result<Self, SettingsError> {
        let mut vars: std::collections::BTreeMap<String, String> = vars.collect();
        for name in vars.keys() {
            if let Some(near) = misspelt(name) {
                return Err(SettingsError::Unknown { name: name.clone(), near: Some(near) });
            }
        }
        // Set to nothing by a mistake it would stand for the shipped policy.
        if vars.get("OPSGATE_POLICY").is_some_and(String::is_empty) {
            return Err(SettingsError::Value {
                name: "OPSGATE_POLICY",
                value: String::new(),
                expected: "the path of a policy; unset it for the home's own",
            });
        }
        let github = GithubSettings::taken(&mut vars)?;
        let set = |name: &str| vars.get(name).filter(|v| !v.is_empty());
        let address = |name: &'static str| match set(name) {
            None => Ok(None),
            Some(value) => value.parse().map(Some).map_err(|_| SettingsError::Value {
                name,
                value: value.clone(),
                expected: "an address such as 127.0.0.1:8787",
            }),
        };
        let write_mode_off = match set("WRITE_MODE").map(String::as_str) {
            None | Some("on") => false,
            Some("off") => true,
            Some(value) => return Err(SettingsError::Value { name: "WRITE_MODE", value: value.into(), expected: "`off` or `on`" }),
        };
        if let Some(value) = set("OPSGATE_LOG").filter(|value| !log::understands(value)) {
            let expected = "`debug`, `info`, `warn`, `error`, `off`, or directives such as `rmcp=debug`";
            return Err(SettingsError::Value { name: "OPSGATE_LOG", value: value.clone(), expected });
        }
        let home = set("OPSGATE_HOME")
            .map(PathBuf::from)
            .or_else(|| set("XDG_STATE_HOME").map(|state| PathBuf::from(state).join("opsgate")))
            .or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".local/state/opsgate")))
            .ok_or(SettingsError::NoHome)?;
        let socket = set("OPSGATE_SOCKET").map(PathBuf::from);
        if let Some(socket) = socket.as_ref().filter(|socket| !socket.is_absolute() || socket.as_os_str().len() > 107) {
            return Err(SettingsError::Value {
                name: "OPSGATE_SOCKET",
                value: socket.display().to_string(),
                expected: "an absolute path of at most 107 bytes",
            });
        }
        Ok(Self {
            home,
            home_named: set("OPSGATE_HOME").is_some(),
            socket,
            policy: set("OPSGATE_POLICY").map(PathBuf::from),
            listen: address("OPSGATE_LISTEN")?,
            admin_listen: address("OPSGATE_ADMIN_LISTEN")?,
            insecure_bind: false,
            write_mode_off,
            github,
        })
    }
}

/// The variable that was meant, where a name is no variable of ours and looks like one. What is not read by mistake is worst where
/// it would have closed something: `WRITEMODE=off`.
fn misspelt(name: &str) -> Option<&'static str> {
    let like = name.to_uppercase().replace('-', "_");
    let nearest = |names: &[&'static str]| names.iter().copied().min_by_key(|one| strsim::damerau_levenshtein(one, &like));
    if let Some(rest) = like.strip_prefix("OPSGATE_").filter(|_| !VARIABLES.contains(&name)) {
        // Some have no prefix.
        if let Some(other) = OTHERS.into_iter().find(|one| strsim::damerau_levenshtein(one, rest) <= 2) {
            return Some(other);
        }
        return nearest(&VARIABLES);
    }
    // What is ours without the prefix: its nearest neighbours, since others' variables are no business of ours.
    let other = nearest(&OTHERS).filter(|one| *one != name)?;
    let near = strsim::damerau_levenshtein(other, &like) <= 2 || (like.starts_with("ENABLE_REAL_") && other.starts_with("ENABLE_REAL_"));
    near.then_some(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(vars: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        Settings::read(vars.iter().map(|(k, v)| ((*k).into(), (*v).into())))
    }

    #[test]
    fn a_misspelt_name_is_told_with_the_right_one() {
        let error = read(&[("HOME", "/h"), ("OPSGATE_POLCY", "x")]).unwrap_err().to_string();
        assert!(error.contains("`OPSGATE_POLCY`") && error.contains("`OPSGATE_POLICY`"), "{error}");
    }

    #[test]
    fn values_that_do_not_fit_are_told() {
        for (name, value) in [("OPSGATE_LISTEN", "8787"), ("WRITE_MODE", "maybe"), ("OPSGATE_SOCKET", "gateway.sock")] {
            let error = read(&[("HOME", "/h"), (name, value)]).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(value), "{error}");
        }
    }

    #[test]
    fn home_follows_the_platform() {
        assert_eq!(read(&[("HOME", "/h")]).unwrap().home, PathBuf::from("/h/.local/state/opsgate"));
        assert_eq!(read(&[("HOME", "/h"), ("XDG_STATE_HOME", "/s")]).unwrap().home, PathBuf::from("/s/opsgate"));
        assert_eq!(read(&[("HOME", "/h"), ("OPSGATE_HOME", "/o")]).unwrap().home, PathBuf::from("/o"));
        assert!(matches!(read(&[]), Err(SettingsError::NoHome)));
    }

    #[test]
    fn write_mode_off_is_read_and_on_grants_nothing() {
        assert!(read(&[("HOME", "/h"), ("WRITE_MODE", "off")]).unwrap().write_mode_off);
        assert!(!read(&[("HOME", "/h"), ("WRITE_MODE", "on")]).unwrap().write_mode_off);
    }
}
