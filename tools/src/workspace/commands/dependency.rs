//! The dependency that a caller names: a name and a version of a registry, never an option, an address or a path.

use crate::error::ToolError;
use crate::workspace::path::quoted;

const LONGEST_NAME: usize = 214;
const LONGEST_VERSION: usize = 64;
/// Package managers take a name that ends like this for a file.
const ARCHIVES: &[&str] = &[".whl", ".zip", ".tgz", ".gz", ".bz2", ".xz", ".tar", ".egg", ".gem", ".crate", ".git", ".toml", ".txt", ".json"];

/// How a package manager reads an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ecosystem {
    Cargo,
    Npm,
    Python,
    Go,
    Other,
}

impl Ecosystem {
    /// Of the program that a command runs, and of what it runs where that is an interpreter's module.
    pub(super) fn of(argv: &[String]) -> Self {
        let words = argv.iter().map(|word| word.rsplit('/').next().unwrap_or_default());
        words
            .filter_map(|word| match word {
                "cargo" => Some(Self::Cargo),
                "npm" | "pnpm" | "yarn" | "bun" | "npx" => Some(Self::Npm),
                "pip" | "pip3" | "uv" | "poetry" | "pdm" | "pipenv" => Some(Self::Python),
                "go" => Some(Self::Go),
                _ => None,
            })
            .next()
            .unwrap_or(Self::Other)
    }
}

/// A name, and a version where one was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dependency {
    pub(super) name: String,
    pub(super) version: Option<String>,
    pub(super) ecosystem: Ecosystem,
}

impl Dependency {
    // INVARIANT: what parses is one package of a registry (test: names_that_are_no_packages).
    pub(super) fn parse(name: &str, version: Option<&str>, ecosystem: Ecosystem) -> Result<Self, ToolError> {
        if !is_name(name) || !fits(name, ecosystem) {
            return Err(ToolError::invalid(format!(
                "{} is no name of a package in a registry; options, addresses, paths and files are not taken",
                quoted(name)
            )));
        }
        if let Some(version) = version.filter(|version| !is_version(version)) {
            return Err(ToolError::invalid(format!("{} is no version; write it like `1.4.2` or `^1.4`", quoted(version))));
        }
        Ok(Self { name: name.to_owned(), version: version.map(str::to_owned), ecosystem })
    }

    /// The one argument that the package manager gets.
    pub(super) fn argument(&self) -> String {
        let Some(version) = &self.version else { return self.name.clone() };
        let is_range = version.starts_with(['<', '>', '=', '~', '^', '*']);
        match self.ecosystem {
            Ecosystem::Python if is_range => format!("{}{version}", self.name),
            Ecosystem::Python => format!("{}=={version}", self.name),
            Ecosystem::Cargo | Ecosystem::Npm | Ecosystem::Go | Ecosystem::Other => format!("{}@{version}", self.name),
        }
    }

    /// Whether a lock file means this package by that name.
    pub(super) fn is_named(&self, other: &str) -> bool {
        let plain = |name: &str| name.to_ascii_lowercase().replace(['_', '.'], "-");
        match self.ecosystem {
            Ecosystem::Python | Ecosystem::Cargo => plain(&self.name) == plain(other),
            _ => self.name == other,
        }
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'@' | b'/' | b'.' | b'_' | b'-');
    let lower = name.to_ascii_lowercase();
    name.len() <= LONGEST_NAME
        && name.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '@')
        && name.bytes().all(allowed)
        && !name.contains("..")
        && name.split('/').all(|part| !part.is_empty() && !part.starts_with(['.', '-']))
        && !name.chars().skip(1).any(|char| char == '@')
        && !ARCHIVES.iter().any(|ending| lower.ends_with(ending))
}

/// To npm `owner/name` is a repository at a forge, to others a folder. Only a scope, or the path of a Go module, has a slash.
fn fits(name: &str, ecosystem: Ecosystem) -> bool {
    let slashes = name.matches('/').count();
    match ecosystem {
        // What an unknown one makes of a slash nobody knows.
        Ecosystem::Npm | Ecosystem::Other => {
            if name.starts_with('@') {
                slashes == 1 && name.len() > 3
            } else {
                slashes == 0
            }
        }
        Ecosystem::Cargo | Ecosystem::Python => slashes == 0 && !name.starts_with('@'),
        Ecosystem::Go => !name.starts_with('@') && name.split('/').next().is_some_and(|host| host.contains('.')),
    }
}

fn is_version(version: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'*' | b'^' | b'~' | b'<' | b'>' | b'=' | b'-');
    !version.is_empty() && version.len() <= LONGEST_VERSION && !version.starts_with('-') && !version.contains("..") && version.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Ecosystem; 5] = [Ecosystem::Cargo, Ecosystem::Npm, Ecosystem::Python, Ecosystem::Go, Ecosystem::Other];

    #[test]
    fn a_dependency_is_written_as_its_package_manager_reads_it() {
        let table = [
            (&["cargo", "add"][..], "serde_json", Some("1.0.3"), "serde_json@1.0.3"),
            (&["/usr/bin/npm", "install"], "@types/node", Some("^20"), "@types/node@^20"),
            (&["npm", "install"], "left-pad", None, "left-pad"),
            (&["python3", "-m", "pip", "install"], "Django", Some("4.2"), "Django==4.2"),
            (&["uv", "add"], "requests", Some(">=2"), "requests>=2"),
            (&["go", "get"], "example.com/a/b", Some("v1.2.3"), "example.com/a/b@v1.2.3"),
            (&["tool"], "a", Some("1"), "a@1"),
        ];
        for (argv, name, version, argument) in table {
            let argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(Dependency::parse(name, version, Ecosystem::of(&argv)).unwrap().argument(), argument);
        }
    }

    #[test]
    fn a_slash_is_for_those_who_know_what_it_means() {
        for (argv, name, taken) in
            [("npm", "user/repo", false), ("tool", "user/repo", false), ("tool", "@scope/name", true), ("go", "example.com/a/b", true)]
        {
            assert_eq!(Dependency::parse(name, None, Ecosystem::of(&[argv.to_owned()])).is_ok(), taken, "{argv} {name}");
        }
    }

    #[test]
    fn names_that_are_no_packages() {
        let names = [
            "",
            "-g",
            "--registry=x",
            ".",
            "..",
            "./a",
            "../a",
            "/a",
            "a/../b",
            "a//b",
            "a/",
            "https://x/y",
            "git+ssh://x",
            "a b",
            "a;b",
            "a$(b)",
            "a\nb",
            "a\0b",
            "a@1",
            "@a@b",
            "a:b",
            "file:a",
            "a#b",
            "a%2e",
            "pkg.whl",
            "pkg.tar.gz",
            "pkg.TGZ",
            "repo.git",
            "requirements.txt",
            "ä",
            "a\\b",
            "~a",
            "@",
            "a=b",
        ];
        for name in names.into_iter().chain([&*"a".repeat(215)]) {
            for ecosystem in ALL {
                assert!(Dependency::parse(name, None, ecosystem).is_err(), "{name:?} {ecosystem:?}");
            }
        }
        assert!(Dependency::parse("owner/name", None, Ecosystem::Npm).is_err());
        assert!(Dependency::parse("folder/name", None, Ecosystem::Python).is_err());
        assert!(Dependency::parse("folder/name", None, Ecosystem::Go).is_err());
        for version in ["", "-1", "a b", "git:x", "../x", "1/2", "1;2", "http://x", &"1".repeat(65)] {
            assert!(Dependency::parse("a", Some(version), Ecosystem::Npm).is_err(), "{version:?}");
        }
    }

    proptest! {
        #[test]
        fn what_parses_is_one_plain_argument(name in ".{0,30}", version in proptest::option::of(".{0,12}"), which in 0..ALL.len()) {
            if let Ok(dependency) = Dependency::parse(&name, version.as_deref(), ALL[which]) {
                let argument = dependency.argument();
                prop_assert!(!argument.starts_with(['-', '.', '/', '~']) && !argument.contains("..") && !argument.contains(':'));
                prop_assert!(argument.is_ascii() && !argument.contains(char::is_whitespace));
            }
        }
    }
}
