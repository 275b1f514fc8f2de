//! What the environment says about GitHub. The token is a [`SecretString`] from the moment it is read, and read once.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use opsgate_tools::http::{ApiUrl, EXPECTED};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::settings::SettingsError;

/// The longest token, in bytes.
const LONGEST: u64 = 4096;

/// `GITHUB_API_URL`, `GITHUB_TOKEN` or `GITHUB_TOKEN_FILE`, and the second key.
#[derive(Debug, Clone, Default)]
pub struct GithubSettings {
    /// `ENABLE_REAL_GITHUB_CALLS=true`: the second key to the real system; the first is its mode in the policy.
    pub real_calls: bool,
    /// `GITHUB_API_URL`, where it is set.
    pub api: Option<ApiUrl>,
    source: Option<Source>,
    /// Shared by all copies, so that none reads another token than the scrubber knows.
    token: Arc<OnceLock<Result<SecretString, String>>>,
}

#[derive(Debug, Clone)]
enum Source {
    Variable(SecretString),
    File(PathBuf),
}

impl GithubSettings {
    /// Takes its variables out of the environment's.
    pub(super) fn taken(vars: &mut BTreeMap<String, String>) -> Result<Self, SettingsError> {
        let mut take = |name: &str| vars.remove(name).filter(|value| !value.is_empty());
        let real_calls = match take("ENABLE_REAL_GITHUB_CALLS").as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(value) => {
                return Err(SettingsError::Value { name: "ENABLE_REAL_GITHUB_CALLS", value: value.to_owned(), expected: "`true` or `false`" });
            }
        };
        let api = match take("GITHUB_API_URL") {
            None => None,
            // The value may hold a credential where none belongs, so it is not repeated.
            Some(value) => Some(ApiUrl::parse(&value).map_err(|_| SettingsError::Unfit { name: "GITHUB_API_URL", expected: EXPECTED })?),
        };
        let source = match (take("GITHUB_TOKEN").map(SecretString::from), take("GITHUB_TOKEN_FILE").map(PathBuf::from)) {
            (Some(_), Some(_)) => return Err(SettingsError::Twice { name: "GITHUB_TOKEN", other: "GITHUB_TOKEN_FILE" }),
            (Some(token), None) => Some(Source::Variable(token)),
            (None, Some(file)) => Some(Source::File(file)),
            (None, None) => None,
        };
        Ok(Self { real_calls, api, source, token: Arc::default() })
    }

    /// The variable that names a credential, where one does.
    #[must_use]
    pub fn credential(&self) -> Option<&'static str> {
        self.source.as_ref().map(|source| match source {
            Source::Variable(_) => "GITHUB_TOKEN",
            Source::File(_) => "GITHUB_TOKEN_FILE",
        })
    }

    /// The token, or a sentence that says what is wrong with it and shows nothing of it. A file is read on first use, and once
    /// for all copies of these settings.
    #[must_use]
    pub fn token(&self) -> Option<Result<SecretString, String>> {
        let source = self.source.as_ref()?;
        let read = || match source {
            Source::Variable(token) => checked("GITHUB_TOKEN", token.expose_secret()),
            Source::File(path) => from_file(path),
        };
        Some(self.token.get_or_init(read).clone())
    }
}

fn from_file(path: &Path) -> Result<SecretString, String> {
    crate::trust::guarded(path)
        .map_err(|exposed| format!("the file that GITHUB_TOKEN_FILE names can be changed by others: something on the way to it {}", exposed.who))?;
    if path.metadata().is_ok_and(|meta| !meta.is_file()) {
        return Err("the file that GITHUB_TOKEN_FILE names is no regular file".to_owned());
    }
    let mut text = Zeroizing::new(String::new());
    let read = std::fs::File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text));
    match read {
        Ok(_) if text.len() as u64 <= LONGEST => checked("the file that GITHUB_TOKEN_FILE names", &text),
        Ok(_) => Err("the file that GITHUB_TOKEN_FILE names is too large for a token".to_owned()),
        Err(error) => Err(format!("the file that GITHUB_TOKEN_FILE names cannot be read ({})", error.kind())),
    }
}

/// Mounted secrets end with a line's end, which is no part of the token.
fn checked(name: &str, text: &str) -> Result<SecretString, String> {
    let token = text.trim_end_matches(['\n', '\r']);
    let plain = token.bytes().all(|byte| byte.is_ascii_graphic());
    if !plain || !(8..=LONGEST as usize).contains(&token.len()) {
        return Err(format!("{name} does not hold one token: 8 to {LONGEST} letters, digits and signs, without spaces"));
    }
    Ok(SecretString::from(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(vars: &[(&str, &str)]) -> Result<GithubSettings, String> {
        let mut vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        GithubSettings::taken(&mut vars).map_err(|error| error.to_string())
    }

    fn secret() -> String {
        crate::identity::random_hex().unwrap().expose_secret().to_owned()
    }

    #[test]
    fn values_that_do_not_fit_are_told_without_what_they_hold() {
        assert!(taken(&[("ENABLE_REAL_GITHUB_CALLS", "yes")]).unwrap_err().contains("`yes`"));
        let secret = secret();
        let url = format!("https://user:{secret}@github.example.org");
        let error = taken(&[("GITHUB_API_URL", &url)]).unwrap_err();
        assert!(error.contains("GITHUB_API_URL") && !error.contains(&secret), "{error}");
        let error = taken(&[("GITHUB_TOKEN", &secret), ("GITHUB_TOKEN_FILE", "/x")]).unwrap_err();
        assert!(error.contains("GITHUB_TOKEN_FILE") && !error.contains(&secret), "{error}");
        assert!(taken(&[("GITHUB_API_URL", "http://github.example.org")]).is_err());
    }

    #[test]
    fn only_true_turns_the_key() {
        for (value, turned) in [("true", true), ("false", false), ("", false)] {
            assert_eq!(taken(&[("ENABLE_REAL_GITHUB_CALLS", value)]).unwrap().real_calls, turned);
        }
        assert!(taken(&[("ENABLE_REAL_GITHUB_CALLS", "TRUE")]).is_err());
    }

    #[test]
    fn a_token_is_read_once_trimmed_and_never_shown() {
        let secret = secret();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{secret}\n")).unwrap();
        let path = file.path().to_str().unwrap();
        let settings = taken(&[("GITHUB_TOKEN_FILE", path)]).unwrap();
        let copy = settings.clone();
        assert_eq!(settings.token().unwrap().unwrap().expose_secret(), secret);
        std::fs::remove_file(file.path()).unwrap();
        for settings in [&settings, &copy] {
            assert_eq!(settings.token().unwrap().unwrap().expose_secret(), secret);
        }
        assert!(!format!("{settings:?}").contains(&secret));
        let given = taken(&[("GITHUB_TOKEN", &secret)]).unwrap();
        assert_eq!(given.token().unwrap().unwrap().expose_secret(), secret);
        assert!(!format!("{given:?}").contains(&secret));
        assert!(taken(&[]).unwrap().token().is_none());
    }

    #[test]
    fn what_is_no_token_is_told() {
        let missing = taken(&[("GITHUB_TOKEN_FILE", "/nonexistent/token")]).unwrap().token().unwrap().unwrap_err();
        assert!(missing.contains("GITHUB_TOKEN_FILE") && !missing.contains("nonexistent"), "{missing}");
        let long = "x".repeat(5000);
        for bad in ["two words here", "short", "a\u{e9}aaaaaaaaaa", "aaaaaaaa\nbbbbbbbb", &long] {
            let problem = taken(&[("GITHUB_TOKEN", bad)]).unwrap().token().unwrap().unwrap_err();
            assert!(!problem.contains(bad), "{problem}");
        }
    }
}
