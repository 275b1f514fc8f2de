//! Names at GitHub, checked by its rules once: what parses is what policy judges and what the request carries.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::scope::{ScopeKind, Scopes};
use crate::workspace::path::{RepoPath, quoted};

/// What stands for itself in a path or a query (RFC 3986, unreserved).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A part of a request's address, escaped.
pub(super) fn escaped(part: &str) -> String {
    utf8_percent_encode(part, ESCAPED).to_string()
}

/// A path's parts, each escaped.
pub(super) fn escaped_path(path: &RepoPath) -> String {
    path.parts().map(escaped).collect::<Vec<_>>().join("/")
}

/// A repository, `owner/name`, as the caller wrote it: GitHub compares it without regard to case, and so do denials.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub(super) struct RepoRef(String);

impl RepoRef {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn scope(&self) -> Scopes {
        Scopes::of(ScopeKind::Repo, self.as_str())
    }

    /// The path of this repository in the API. Its characters need no escaping.
    pub(super) fn route(&self) -> String {
        format!("/repos/{}", self.0)
    }

    /// Whether an address that the API gave is this repository's or below it.
    // INVARIANT: an answer about another repository than the judged one is not shown (test: an_answer_about_another_repository_is_refused).
    pub(super) fn holds(&self, api_url: &str) -> bool {
        let Some((_, after)) = api_url.split_once("/repos/") else { return false };
        let (name, rest) = after.split_at_checked(self.0.len()).unwrap_or((after, ""));
        name.eq_ignore_ascii_case(&self.0) && (rest.is_empty() || rest.starts_with(['/', '?']))
    }
}

impl TryFrom<String> for RepoRef {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let good = text.split_once('/').is_some_and(|(owner, name)| is_owner(owner) && is_name(name));
        if good { Ok(Self(text)) } else { Err(format!("{} is no repository; write `owner/name`", quoted(&text))) }
    }
}

/// Letters, digits and `-`; `_` before a company's short code.
fn is_owner(owner: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    (1..=39).contains(&owner.len()) && owner.chars().all(plain) && owner.starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// No `.git` at the end: GitHub would drop it, and the rules would have judged another name.
fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let ends = name.to_ascii_lowercase();
    (1..=100).contains(&name.len()) && name.chars().all(plain) && !matches!(name, "." | "..") && !ends.ends_with(".git") && !ends.ends_with(".wiki")
}

/// A branch, a tag or a commit by name, without the suffixes that git would compute with.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub(super) struct RefName(String);

impl RefName {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Adds this name to the scopes, and what it is short for: `heads/main` reads `main`.
    pub(super) fn scoped(&self, mut scopes: Scopes) -> Scopes {
        let mut name = self.as_str();
        scopes = scopes.and(ScopeKind::Ref, name);
        while let Some(rest) = ["refs/", "heads/", "tags/", "remotes/"].iter().find_map(|prefix| name.strip_prefix(prefix)) {
            name = rest;
            scopes = scopes.and(ScopeKind::Ref, name);
        }
        scopes
    }
}

impl TryFrom<String> for RefName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if is_ref(&text) { Ok(Self(text)) } else { Err(format!("{} is no branch, tag or commit; write its plain name", quoted(&text))) }
    }
}

/// The rules of `git check-ref-format --allow-onelevel`, no leading `-`, no escapes.
fn is_ref(name: &str) -> bool {
    let bad = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '~' | '^' | ':' | '?' | '*' | '[' | '\\' | '%');
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    (1..=255).contains(&name.len())
        && name != "@"
        && !name.starts_with('-')
        && !name.ends_with('.')
        && !name.contains("..")
        && !name.contains("@{")
        && !name.contains(bad)
        && name.split('/').all(part)
}

/// A label of an issue.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(try_from = "String")]
pub(super) struct Label(String);

impl Label {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Label {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // A comma parts labels in a query, so one inside a label would ask for others.
        let good = (1..=50).contains(&text.chars().count()) && text.trim() == text && !text.contains(|c: char| c.is_control() || c == ',');
        if good { Ok(Self(text)) } else { Err(format!("{} is no label: 1 to 50 characters, no comma", quoted(&text))) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn repo(text: &str) -> Result<RepoRef, String> {
        RepoRef::try_from(text.to_owned())
    }

    #[test]
    fn repositories_that_parse_and_that_do_not() {
        for good in ["acme/app", "A-1/b_c.d", "ana_acme/.github", "a/b"] {
            assert!(repo(good).is_ok(), "{good}");
        }
        let long = format!("acme/{}", "x".repeat(101));
        for bad in [
            "",
            "acme",
            "acme/",
            "/app",
            "acme/app/x",
            "acme/..",
            "acme/.",
            "../app",
            "acme/app.git",
            "acme/app.GIT",
            "acme/a b",
            "acme/a%2fb",
            "acme/app?x",
            "acme/app#x",
            "acmé/app",
            "acme\\app",
            "-a/app",
            "acme/app\n",
            &long,
        ] {
            assert!(repo(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_belongs_to_its_own_repository_alone() {
        let app = repo("acme/app").unwrap();
        for own in ["https://api.github.com/repos/acme/app", "https://ghe.example.org/api/v3/repos/Acme/APP/contents/x", "https://x/repos/acme/app?x"]
        {
            assert!(app.holds(own), "{own}");
        }
        for other in ["https://x/repos/acme/app2", "https://x/repos/acme/ap", "https://x/repos/evil/app", "https://x/acme/app", ""] {
            assert!(!app.holds(other), "{other}");
        }
    }

    #[test]
    fn a_long_name_of_a_branch_is_judged_as_its_short_one_too() {
        let judged = |name: &str| {
            let scopes = RefName::try_from(name.to_owned()).unwrap().scoped(repo("a/b").unwrap().scope());
            scopes.values(ScopeKind::Ref).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(judged("main"), ["main"]);
        assert_eq!(judged("heads/main"), ["heads/main", "main"]);
        assert_eq!(judged("refs/tags/v1"), ["refs/tags/v1", "tags/v1", "v1"]);
    }

    proptest! {
        #[test]
        fn what_parses_is_one_segment_each_and_plain(text in "([aA.-_/%?#@~^: ]|\\.\\.|\\.git|é){0,12}") {
            if let Ok(repo) = repo(&text) {
                prop_assert_eq!(repo.as_str().split('/').count(), 2);
                prop_assert!(repo.as_str().split('/').all(|part| part != "." && part != ".." && escaped(part) == part));
            }
            if let Ok(name) = RefName::try_from(text) {
                prop_assert!(!name.as_str().contains("..") && !name.as_str().contains(['~', '^', '%', ' ']));
            }
        }
    }
}
