//! The two keys to the real GitHub: the policy's mode, and the gateway's environment.

use std::fmt;

use secrecy::SecretString;

use crate::http::ApiUrl;
use crate::mode::Mode;

/// How the tools reach GitHub.
#[derive(Debug)]
pub struct Settings {
    /// Both keys turned, or why not.
    pub access: Access,
}

/// What the tools reach.
pub enum Access {
    /// An invented world in this process.
    Mock,
    /// A server.
    Real {
        /// Where its API is.
        api: ApiUrl,
        /// What it is asked with.
        token: SecretString,
    },
    /// Nothing: every call answers why.
    Closed {
        /// A sentence for the caller that names what is missing.
        why: String,
    },
}

/// What the environment says about GitHub.
#[derive(Debug, Default)]
pub struct Environment {
    /// `ENABLE_REAL_GITHUB_CALLS=true`: the second key.
    pub real_calls: bool,
    /// `GITHUB_API_URL`, else [`ApiUrl`] of github.com.
    pub api: Option<ApiUrl>,
    /// `GITHUB_TOKEN`, or what the file holds that `GITHUB_TOKEN_FILE` names; or what is wrong with it.
    pub token: Option<Result<SecretString, String>>,
}

/// Where the API is unless told otherwise.
const API: &str = "https://api.github.com";

impl Settings {
    /// What both keys together open. `mode` is the policy's; `None` is a policy that does not list the system.
    // INVARIANT: without both keys and a token there is no wire out (test: each_missing_key_closes_it).
    #[must_use]
    pub fn new(mode: Option<Mode>, environment: Environment) -> Self {
        let closed = |why: String| Self { access: Access::Closed { why } };
        let Some(mode) = mode else { return closed("the policy does not list `github`".to_owned()) };
        if mode == Mode::Mock {
            return Self { access: Access::Mock };
        }
        if !mode.is_real() {
            return closed(format!("github is in mode `{mode}`"));
        }
        let Environment { real_calls, api, token } = environment;
        let mut missing = Vec::new();
        if !real_calls {
            missing.push("calls to the real one are not enabled: set ENABLE_REAL_GITHUB_CALLS=true".to_owned());
        }
        let token = match token {
            Some(Ok(token)) => Some(token),
            Some(Err(problem)) => {
                missing.push(problem);
                None
            }
            None => {
                missing.push("there is no token: set GITHUB_TOKEN_FILE or GITHUB_TOKEN".to_owned());
                None
            }
        };
        match (token.filter(|_| missing.is_empty()), api.or_else(|| ApiUrl::parse(API).ok())) {
            (Some(token), Some(api)) => Self { access: Access::Real { api, token } },
            _ => closed(format!("github is in mode `{mode}`, but {}; that is for the gateway's environment", missing.join(", and "))),
        }
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mock => f.write_str("Mock"),
            Self::Real { api, .. } => write!(f, "Real({api})"),
            Self::Closed { why } => write!(f, "Closed({why})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> Option<Result<SecretString, String>> {
        Some(Ok(SecretString::from("t".repeat(20))))
    }

    #[test]
    fn each_missing_key_closes_it() {
        for (mode, _) in Mode::ALL {
            for (real_calls, token, words) in [
                (false, None, vec!["ENABLE_REAL_GITHUB_CALLS", "GITHUB_TOKEN"]),
                (true, None, vec!["GITHUB_TOKEN"]),
                (false, token(), vec!["ENABLE_REAL_GITHUB_CALLS"]),
                (true, Some(Err("the token is odd".to_owned())), vec!["the token is odd"]),
                (true, token(), vec![]),
            ] {
                let whole = words.is_empty();
                match Settings::new(Some(mode), Environment { real_calls, api: None, token }).access {
                    Access::Mock => assert_eq!(mode, Mode::Mock),
                    Access::Real { api, .. } => assert!(whole && mode.is_real() && api.to_string() == API),
                    Access::Closed { why } => {
                        assert!(mode != Mode::Mock && !(whole && mode.is_real()), "{mode}");
                        assert!(!mode.is_real() || words.iter().all(|word| why.contains(word)), "{why}");
                        assert_eq!(why.contains("GITHUB_TOKEN") && mode.is_real(), words.contains(&"GITHUB_TOKEN") && mode.is_real(), "{why}");
                    }
                }
            }
        }
        assert!(matches!(Settings::new(None, Environment { real_calls: true, api: None, token: token() }).access, Access::Closed { .. }));
    }

    #[test]
    fn a_token_is_in_no_debug() {
        let environment = || Environment { real_calls: true, api: None, token: token() };
        let said = format!("{:?} {:?}", environment(), Settings::new(Some(Mode::ReadOnly), environment()));
        assert!(said.contains("api.github.com") && !said.contains("ttt"), "{said}");
    }
}
