//! What git's own configuration hands out: helpers, headers, and passwords in its addresses.

use std::path::{Path, PathBuf};

use super::person::{Person, beginning};

/// What this person's and the machine's configuration holds. Files that it includes are not looked at.
pub(super) fn configured(person: &Person) -> Vec<String> {
    let files = [".gitconfig", ".config/git/config"].into_iter().filter_map(|file| person.at_home(file)).chain([PathBuf::from("/etc/gitconfig")]);
    let mut found: Vec<_> = files.flat_map(|file| of_file(&file)).collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(str::to_owned).collect()
}

fn of_file(file: &Path) -> Vec<&'static str> {
    let Some(text) = beginning(file) else { return Vec::new() };
    let mut found: Vec<_> =
        text.lines().filter(|line| line.split_whitespace().any(has_password)).map(|_| "git's configuration holds a password").collect();
    let entries = git2::Config::open(file).ok().and_then(|config| {
        let mut names = Vec::new();
        let mut entries = config.entries(None).ok()?;
        while let Some(Ok(entry)) = entries.next() {
            if let (Ok(name), Ok(value)) = (entry.name(), entry.value())
                && !value.is_empty()
            {
                names.push(name.to_ascii_lowercase());
            }
        }
        Some(names)
    });
    for name in entries.unwrap_or_default() {
        if name.starts_with("credential.") && name.ends_with(".helper") {
            found.push("git has a credential helper");
        }
        if name.starts_with("http.") && name.ends_with(".extraheader") {
            found.push("git sends a header of its own");
        }
    }
    found
}

/// Whether a word is an address with a credential: over SSH a name alone is none, over HTTP a token stands there.
fn has_password(word: &str) -> bool {
    word.match_indices("://").any(|(at, mark)| {
        let (before, after) = (word.get(..at).unwrap_or_default(), word.get(at + mark.len()..).unwrap_or_default());
        let host = after.split(['/', '?', '#', '"']).next().unwrap_or_default();
        let web = before.ends_with("http") || before.ends_with("https");
        host.rsplit_once('@')
            .is_some_and(|(user, _)| if web { !user.is_empty() } else { user.split_once(':').is_some_and(|(_, word)| !word.is_empty()) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_a_password_is_one() {
        for (word, expected) in [
            ("https://ana:x@example.invalid/a", true),
            ("\"https://x@example.invalid\"]", true),
            ("ssh://git:x@example.invalid", true),
            ("ssh://git@example.invalid", false),
            ("git@example.invalid:a/b", false),
            ("https://example.invalid/a@b", false),
            ("https://@example.invalid", false),
            ("://", false),
        ] {
            assert_eq!(has_password(word), expected, "{word}");
        }
    }
}
