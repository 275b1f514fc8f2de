//! Which packages a lock file pins, in the forms of the common package managers.

use std::collections::BTreeSet;

use serde_json::Value;

use super::dependency::Dependency;

/// Name and version.
pub(super) type Pinned = BTreeSet<(String, String)>;

/// What the file of this name pins; nothing where it is no lock file that is known.
pub(super) fn pinned(file: &str, text: &str) -> Option<Pinned> {
    match file.rsplit('/').next().unwrap_or_default() {
        "Cargo.lock" | "uv.lock" | "poetry.lock" | "pdm.lock" => Some(tables(text)),
        "package-lock.json" | "npm-shrinkwrap.json" => npm(text),
        "pnpm-lock.yaml" => Some(pnpm(text)),
        "yarn.lock" => Some(yarn(text)),
        "go.mod" => Some(go(text)),
        "requirements.txt" => Some(requirements(text)),
        _ => None,
    }
}

/// Whether a file of this name is a lock file that is known.
pub(super) fn is_known(file: &str) -> bool {
    pinned(file, "{\"packages\":{}}").is_some()
}

/// `[[package]]` with `name = "…"` and `version = "…"`.
fn tables(text: &str) -> Pinned {
    let value = |line: &str, key: &str| Some(line.strip_prefix(key)?.trim_start().strip_prefix('=')?.trim().trim_matches('"').to_owned());
    let mut pinned = Pinned::new();
    let (mut inside, mut name) = (false, None);
    for line in text.lines() {
        if line.starts_with('[') {
            inside = line.trim() == "[[package]]";
            name = None;
        } else if let (true, Some(found)) = (inside, value(line, "name")) {
            name = Some(found);
        } else if let (true, Some(version)) = (inside, value(line, "version"))
            && let Some(name) = name.take()
        {
            pinned.insert((name, version));
        }
    }
    pinned
}

/// `packages` of version 2 and 3, `dependencies` of version 1.
fn npm(text: &str) -> Option<Pinned> {
    let lock: Value = serde_json::from_str(text).ok()?;
    let version = |entry: &Value| entry.get("version").and_then(Value::as_str).map(str::to_owned);
    if let Some(packages) = lock.get("packages").and_then(Value::as_object) {
        let named = packages.iter().filter_map(|(place, entry)| Some((place.rsplit_once("node_modules/")?.1.to_owned(), version(entry)?)));
        return Some(named.collect());
    }
    let dependencies = lock.get("dependencies").and_then(Value::as_object)?;
    Some(dependencies.iter().filter_map(|(name, entry)| Some((name.clone(), version(entry)?))).collect())
}

/// `  name@1.0.0:` or `  /name@1.0.0:`, with peers in brackets after it.
fn pnpm(text: &str) -> Pinned {
    let entries = text.lines().filter_map(|line| line.strip_prefix("  ")?.trim_end().strip_suffix(':').filter(|line| !line.starts_with(' ')));
    entries
        .filter_map(|entry| {
            let entry = entry.trim_matches('\'').trim_start_matches('/');
            let (name, version) = entry.split('(').next()?.rsplit_once('@')?;
            (!name.is_empty()).then(|| (name.to_owned(), version.to_owned()))
        })
        .collect()
}

/// `name@^1.0, name@^1.1:` and below it `version "1.1.0"` or `version: 1.1.0`.
fn yarn(text: &str) -> Pinned {
    let (mut pinned, mut name) = (Pinned::new(), None);
    for line in text.lines() {
        if let Some(heading) = line.strip_suffix(':').filter(|line| !line.starts_with([' ', '#'])) {
            let first = heading.split(',').next().unwrap_or_default().trim_matches('"');
            name = first.char_indices().skip(1).find(|(_, char)| *char == '@').and_then(|(at, _)| first.get(..at)).map(str::to_owned);
        } else if let Some(version) = line.trim().strip_prefix("version")
            && let Some(name) = name.take()
        {
            pinned.insert((name, version.trim_matches([' ', ':', '"']).to_owned()));
        }
    }
    pinned
}

/// `require example.com/a v1.0.0`, one by one or in brackets.
fn go(text: &str) -> Pinned {
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default().trim());
    lines
        .filter_map(|line| {
            let (name, version) = line.strip_prefix("require ").unwrap_or(line).trim().split_once(' ')?;
            let version = version.trim();
            (name.contains('.') && version.starts_with('v') && !version.contains(' ')).then(|| (name.to_owned(), version.to_owned()))
        })
        .collect()
}

fn requirements(text: &str) -> Pinned {
    text.lines()
        .filter_map(|line| line.split([' ', ';', '#']).next()?.split_once("=="))
        .map(|(name, version)| (name.to_owned(), version.to_owned()))
        .collect()
}

/// What a package manager says that it installed.
pub(super) fn said(output: &str) -> Pinned {
    let mut pinned = Pinned::new();
    for line in output.lines().map(str::trim) {
        if let Some(list) = line.strip_prefix("Successfully installed ") {
            pinned.extend(list.split(' ').filter_map(|word| word.rsplit_once('-')).map(|(name, version)| (name.to_owned(), version.to_owned())));
        } else if let Some((name, version)) = line.strip_prefix("+ ").and_then(|rest| rest.split_once("==")) {
            pinned.insert((name.to_owned(), version.to_owned()));
        } else if let Some((name, version)) = line.strip_prefix("Adding ").and_then(|rest| rest.split(" to ").next()?.split_once(" v")) {
            pinned.insert((name.to_owned(), version.trim().to_owned()));
        } else if let Some((name, version)) = line.strip_prefix("go: added ").and_then(|rest| rest.split_once(' ')) {
            pinned.insert((name.to_owned(), version.to_owned()));
        }
    }
    pinned
}

/// The version of this dependency: of those that are new, else of all.
pub(super) fn version_of(dependency: &Dependency, added: &Pinned, all: &Pinned) -> Option<String> {
    let of = |pinned: &Pinned| pinned.iter().rev().find(|(name, _)| dependency.is_named(name)).map(|(_, version)| version.clone());
    of(added).or_else(|| of(all))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A lock file's name, its text, and what it pins.
    type Row = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

    const LOCKS: &[Row] = &[
        (
            "Cargo.lock",
            "version = 4\n\n[[package]]\nname = \"serde\"\nversion = \"1.0.2\"\ndependencies = [\n \"x\",\n]\n\n[[package]]\nname = \"x\"\nversion = \"0.1.0\"\n",
            &[("serde", "1.0.2"), ("x", "0.1.0")],
        ),
        ("a/uv.lock", "version = 1\n[[package]]\nname = \"idna\"\nversion = \"3.7\"\n[package.metadata]\nversion = \"9\"\n", &[("idna", "3.7")]),
        (
            "package-lock.json",
            r#"{"lockfileVersion":3,"packages":{"":{"version":"0.0.1"},"node_modules/a":{"version":"1.0.0"},"node_modules/a/node_modules/@s/b":{"version":"2.0.0"}}}"#,
            &[("@s/b", "2.0.0"), ("a", "1.0.0")],
        ),
        ("package-lock.json", r#"{"dependencies":{"a":{"version":"1.0.0"}}}"#, &[("a", "1.0.0")]),
        (
            "pnpm-lock.yaml",
            "packages:\n\n  '@s/b@2.0.0':\n    resolution: {}\n  /a@1.0.0(b@2.0.0):\n    dev: true\n",
            &[("@s/b", "2.0.0"), ("a", "1.0.0")],
        ),
        (
            "yarn.lock",
            "# yarn\n\n\"@s/b@^2.0.0\", \"@s/b@^2.1.0\":\n  version \"2.1.0\"\n\na@^1:\n  version: 1.0.0\n",
            &[("@s/b", "2.1.0"), ("a", "1.0.0")],
        ),
        (
            "go.mod",
            "module example.com/x\n\ngo 1.22\n\nrequire (\n\texample.com/a v1.2.3\n\texample.com/b v0.0.1 // indirect\n)\nrequire example.com/c v2.0.0\n",
            &[("example.com/a", "v1.2.3"), ("example.com/b", "v0.0.1"), ("example.com/c", "v2.0.0")],
        ),
        ("requirements.txt", "a==1.0 ; python_version > '3'\n# b==2\nc>=1\n", &[("a", "1.0")]),
    ];

    #[test]
    fn lock_files_are_read() {
        for (file, text, expected) in LOCKS {
            let expected: Pinned = expected.iter().map(|(name, version)| ((*name).to_owned(), (*version).to_owned())).collect();
            assert_eq!(pinned(file, text), Some(expected), "{file}");
        }
        assert_eq!(pinned("package.json", "{}"), None);
        assert_eq!(pinned("package-lock.json", "broken"), None);
    }

    #[test]
    fn what_is_said_is_read() {
        let output = "Collecting x\nSuccessfully installed six-1.17.0 my-pkg-2.0\n + idna==3.7\n      Adding serde v1.0.2 to dependencies\ngo: added example.com/a v1.2.3\n";
        let said = said(output);
        for (name, version) in [("six", "1.17.0"), ("my-pkg", "2.0"), ("idna", "3.7"), ("serde", "1.0.2"), ("example.com/a", "v1.2.3")] {
            assert!(said.contains(&(name.to_owned(), version.to_owned())), "{name}: {said:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_them_panic(row in 0..LOCKS.len(), cut in 0.0..1.0f64, text in ".{0,60}") {
            let (file, whole, _) = LOCKS[row];
            let at = whole.floor_char_boundary((whole.len() as f64 * cut) as usize);
            let _ = (pinned(file, &whole[..at]), pinned(file, &whole[at..]), pinned(file, &text), said(&text));
        }
    }
}
