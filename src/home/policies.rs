//! Every policy that was ever in force, kept by its hash: a record can be judged again under the policy it was decided under.

use std::fs::DirBuilder;
use std::io::{Error, ErrorKind, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::{Home, HomeError, write_private};
use crate::policy::Policy;

/// No policy is longer; see `Policy::read`.
const MOST_BYTES: u64 = 1 << 20;

impl Home {
    /// The folder of the policies that were in force: `policies/<64 hex digits>.yaml`.
    #[must_use]
    pub fn policies(&self) -> PathBuf {
        self.path().join("policies")
    }

    /// Keeps a policy's text under its hash. What is there already is only compared.
    ///
    /// # Errors
    /// Where it cannot be written, where another text is there under this hash, and where `hash` is not the text's.
    pub(crate) fn archive_policy(&self, hash: &str, text: &[u8]) -> Result<(), HomeError> {
        let folder = self.policies();
        let path = folder.join(file_name(hash).filter(|_| Policy::hash_of(text) == hash).ok_or_else(|| wrong(&folder, "no such hash"))?);
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(|source| HomeError::Io { path: folder, source })?;
        match std::fs::read(&path) {
            Ok(kept) if kept == text => Ok(()),
            Ok(_) => Err(wrong(&path, "it does not hold the policy that its name says; remove it after looking into why")),
            Err(error) if error.kind() == ErrorKind::NotFound => write_private(&path, text),
            Err(source) => Err(HomeError::Io { path, source }),
        }
    }
}

/// The text of the policy with this hash (`sha256:` and 64 hex digits) out of [`Home::policies`], held against the hash.
///
/// # Errors
/// Where `hash` is none, there is no such policy, or the file does not hold it.
pub fn archived_policy(policies: &Path, hash: &str) -> Result<String, HomeError> {
    let path = policies.join(file_name(hash).ok_or_else(|| wrong(policies, "a policy's hash is `sha256:` and 64 hex digits"))?);
    let io = |source| HomeError::Io { path: path.clone(), source };
    let mut text = String::new();
    std::fs::File::open(&path).map_err(io)?.take(MOST_BYTES + 1).read_to_string(&mut text).map_err(io)?;
    if Policy::hash_of(text.as_bytes()) == hash { Ok(text) } else { Err(wrong(&path, "it does not hold the policy that its name says")) }
}

fn file_name(hash: &str) -> Option<String> {
    let hex = hash.strip_prefix("sha256:")?;
    let is_hex = hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    is_hex.then(|| format!("{hex}.yaml"))
}

fn wrong(path: &Path, what: &str) -> HomeError {
    HomeError::Io { path: path.to_owned(), source: Error::new(ErrorKind::InvalidData, what) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_policy_is_kept_once_and_found_by_its_hash() {
        let dir = tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o700)).tempdir().unwrap();
        let home = Home::open(dir.path()).unwrap();
        let (text, hash) = ("version: 1\n", Policy::hash_of(b"version: 1\n"));
        for _ in 0..2 {
            home.archive_policy(&hash, text.as_bytes()).unwrap();
            assert_eq!(archived_policy(&home.policies(), &hash).unwrap(), text);
        }
        let file = home.policies().join(file_name(&hash).unwrap());
        assert_eq!(
            (file.metadata().unwrap().permissions().mode() & 0o777, home.policies().metadata().unwrap().permissions().mode() & 0o777),
            (0o600, 0o700)
        );
        std::fs::write(&file, "version: 2\n").unwrap();
        assert!(home.archive_policy(&hash, text.as_bytes()).is_err(), "written over");
        assert!(archived_policy(&home.policies(), &hash).is_err(), "another text was given out");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "version: 2\n");
        assert!(home.archive_policy(&Policy::hash_of(b"x"), b"y").is_err());
        for bad in ["", "sha256:", "sha256:../../etc/passwd", &hash.to_uppercase(), hash.trim_start_matches("sha256:")] {
            assert!(archived_policy(&home.policies(), bad).is_err(), "{bad}");
        }
    }
}
