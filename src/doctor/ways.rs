//! The ways round the gateway: credentials and sockets that let the calling user reach the same systems without it.
//!
//! Only that something is there is told; no value and no path that a variable names.

use std::path::{Path, PathBuf};

use super::WayFound;
use super::gateway::Found;
use super::person::{Person, beginning, readable};
use super::{git, ssh, sudo};
use crate::trust::attachable;

/// A way round, as data.
pub struct Way {
    /// Its name.
    pub id: &'static str,
    /// What is looked at, for a person.
    pub looked_at: &'static str,
    /// What to do where something is found.
    pub remedy: &'static str,
    /// Variables that are a credential by being set. One that ends in `*` stands for all that begin so.
    variables: &'static [&'static str],
    /// Variables that name a file which is one.
    named: &'static [&'static str],
    /// Files and folders: beneath the home folder, or absolute.
    files: &'static [&'static str],
    /// What cannot be told without doing what is not done here.
    unknown: fn(&Person) -> Option<String>,
    more: fn(&Person) -> Vec<String>,
}

const MOVE: &str = "remove it from this user; the gateway keeps the credential for the tools that need it";

/// Every way that does not go through the gateway's own files.
pub const WAYS: [Way; 13] = [
    Way {
        id: "github-cli",
        looked_at: "GH_TOKEN, GITHUB_TOKEN, GH_ENTERPRISE_TOKEN, GITHUB_PAT, GH_PAT, ~/.config/gh/hosts.yml",
        remedy: "run `gh auth logout` or unset the variable; the gateway keeps the token for its GitHub tools",
        variables: &["GH_TOKEN", "GITHUB_TOKEN", "GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN", "GITHUB_PAT", "GH_PAT"],
        named: &[],
        files: &[".config/gh/hosts.yml"],
        unknown: |_| None,
        more: |person| {
            let moved = person.var("GH_CONFIG_DIR").is_some_and(|folder| readable(&Path::new(folder).join("hosts.yml")));
            moved.then(|| "hosts.yml in the folder that GH_CONFIG_DIR names can be read".to_owned()).into_iter().collect()
        },
    },
    Way {
        id: "git-credentials",
        looked_at: "~/.git-credentials, ~/.config/git/credentials, ~/.netrc, and helpers, headers and passwords of git's configuration",
        remedy: "remove the stored password and header, and `git config --global --unset-all credential.helper`",
        variables: &[],
        named: &[],
        files: &[".git-credentials", ".config/git/credentials", ".netrc"],
        unknown: |_| None,
        more: git::configured,
    },
    Way {
        id: "ssh",
        looked_at: "SSH_AUTH_SOCK, ~/.ssh/id_*, private keys of any name in ~/.ssh",
        remedy: "give this user no key that the forge or a server accepts, and no agent (unset SSH_AUTH_SOCK)",
        variables: &[],
        named: &[],
        files: &[],
        unknown: |_| None,
        more: ssh::findings,
    },
    Way {
        id: "aws",
        looked_at: "AWS_ACCESS_KEY_ID, AWS_SESSION_TOKEN, container credentials, ~/.aws/credentials, ~/.aws/sso/cache, ~/.aws/cli/cache",
        remedy: "run `aws sso logout`, and move the keys to the gateway's environment file",
        variables: &[
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        ],
        named: &["AWS_SHARED_CREDENTIALS_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE"],
        files: &[".aws/credentials", ".aws/sso/cache", ".aws/cli/cache"],
        unknown: |_| None,
        more: |_| Vec::new(),
    },
    Way {
        id: "kubectl",
        looked_at: "KUBECONFIG, ~/.kube/config, the service account's token",
        remedy: MOVE,
        variables: &[],
        named: &[],
        files: &[".kube/config", "/var/run/secrets/kubernetes.io/serviceaccount/token"],
        unknown: |_| None,
        more: |person| {
            let named = person.var("KUBECONFIG").is_some_and(|list| std::env::split_paths(list).any(|file| readable(&file)));
            named.then(|| "a file that KUBECONFIG names can be read".to_owned()).into_iter().collect()
        },
    },
    Way {
        id: "docker",
        looked_at: "the Docker and Podman sockets, the group docker, DOCKER_HOST, ~/.docker/config.json",
        remedy: "take this user from the group docker: who may start containers is root on this machine",
        variables: &["DOCKER_HOST", "DOCKER_AUTH_CONFIG"],
        named: &[],
        files: &[".docker/config.json"],
        unknown: |_| None,
        more: docker,
    },
    Way {
        id: "gcloud",
        looked_at: "GOOGLE_APPLICATION_CREDENTIALS, CLOUDSDK_AUTH_ACCESS_TOKEN, ~/.config/gcloud",
        remedy: "run `gcloud auth revoke --all` and `gcloud auth application-default revoke`",
        variables: &["CLOUDSDK_AUTH_ACCESS_TOKEN", "GOOGLE_OAUTH_ACCESS_TOKEN"],
        named: &["GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE"],
        files: &[".config/gcloud/application_default_credentials.json", ".config/gcloud/credentials.db", ".config/gcloud/access_tokens.db"],
        unknown: |_| None,
        more: |_| Vec::new(),
    },
    Way {
        id: "azure",
        looked_at: "AZURE_CLIENT_SECRET, AZURE_PASSWORD, ~/.azure",
        remedy: "run `az logout` and `az account clear`",
        variables: &["AZURE_CLIENT_SECRET", "AZURE_PASSWORD", "ARM_CLIENT_SECRET"],
        named: &["AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE"],
        files: &[".azure/msal_token_cache.json", ".azure/msal_token_cache.bin", ".azure/accessTokens.json", ".azure/service_principal_entries.json"],
        unknown: |_| None,
        more: |_| Vec::new(),
    },
    Way {
        id: "terraform",
        looked_at: "TF_TOKEN_*, ~/.terraform.d/credentials.tfrc.json, ~/.vault-token, VAULT_TOKEN",
        remedy: MOVE,
        variables: &["TF_TOKEN_*", "VAULT_TOKEN"],
        named: &[],
        files: &[".terraform.d/credentials.tfrc.json", ".vault-token"],
        unknown: |_| None,
        more: |_| Vec::new(),
    },
    Way {
        id: "databases",
        looked_at: "~/.pgpass, ~/.my.cnf, PGPASSWORD, PGPASSFILE, MYSQL_PWD",
        remedy: MOVE,
        variables: &["PGPASSWORD", "MYSQL_PWD"],
        named: &["PGPASSFILE"],
        files: &[".pgpass", ".my.cnf"],
        unknown: |_| None,
        more: |_| Vec::new(),
    },
    Way {
        id: "services",
        looked_at: "GITLAB_TOKEN, SLACK_BOT_TOKEN",
        remedy: MOVE,
        variables: &["GITLAB_TOKEN", "SLACK_BOT_TOKEN"],
        named: &[],
        files: &[],
        unknown: |_| None,
        more: |_| Vec::new(),
    },
    Way {
        id: "registries",
        looked_at: "NPM_TOKEN, CARGO_REGISTRY_TOKEN, TWINE_PASSWORD, ~/.npmrc, ~/.pypirc, ~/.cargo/credentials.toml",
        remedy: MOVE,
        variables: &["NPM_TOKEN", "NODE_AUTH_TOKEN", "CARGO_REGISTRY_TOKEN", "TWINE_PASSWORD"],
        named: &[],
        files: &[".pypirc", ".cargo/credentials.toml", ".cargo/credentials"],
        unknown: |_| None,
        more: |person| {
            let npmrc = person.at_home(".npmrc").and_then(|file| beginning(&file)).unwrap_or_default();
            let setting = |line: &str| line.split_once('=').map(|(name, value)| (name.trim().to_owned(), !value.trim().is_empty()));
            let is = |name: &str| ["_authToken", "_auth", "_password"].iter().any(|key| name == *key || name.ends_with(&format!(":{key}")));
            let holds = npmrc.lines().filter_map(setting).any(|(name, set)| set && is(&name));
            holds.then(|| "~/.npmrc holds a credential".to_owned()).into_iter().collect()
        },
    },
    Way {
        id: "sudo",
        looked_at: "being root, the groups sudo, wheel and admin, sudo's rules where they can be read",
        remedy: "run the agent as a user that is not root, is in none of these groups and has no rule of sudo's",
        variables: &[],
        named: &[],
        files: &[],
        unknown: sudo::unknown,
        more: sudo::findings,
    },
];

impl Way {
    /// What of it cannot be told.
    #[must_use]
    pub fn unknown(&self, person: &Person) -> Option<String> {
        (self.unknown)(person)
    }

    /// What this person holds of it.
    #[must_use]
    pub fn look(&self, person: &Person) -> Vec<String> {
        let mut found = Vec::new();
        for name in person.vars() {
            let is = |pattern: &&str| pattern.strip_suffix('*').map_or(*pattern == name, |start| name.starts_with(start));
            if self.variables.iter().any(is) {
                found.push(format!("{name} is set"));
            }
        }
        for name in self.named {
            if person.var(name).is_some_and(|file| readable(Path::new(file))) {
                found.push(format!("the file that {name} names can be read"));
            }
        }
        for file in self.files {
            let (path, shown) =
                if file.starts_with('/') { (Some(PathBuf::from(file)), (*file).to_owned()) } else { (person.at_home(file), format!("~/{file}")) };
            if path.is_some_and(|path| readable(&path)) {
                found.push(format!("{shown} can be read"));
            }
        }
        found.extend((self.more)(person));
        found
    }
}

fn docker(person: &Person) -> Vec<String> {
    let mut found = Vec::new();
    for socket in ["/var/run/docker.sock", "/run/podman/podman.sock", "/run/containerd/containerd.sock"] {
        if rustix::fs::access(socket, rustix::fs::Access::WRITE_OK).is_ok() {
            found.push(format!("{socket} can be written"));
        }
    }
    for group in ["docker", "lxd", "incus-admin"].into_iter().filter(|group| person.is_in(group)) {
        found.push(format!("this user is in the group {group}"));
    }
    found
}

/// What this user could do to the gateway itself.
pub(super) fn round_the_gateway(gateway: &Found, person: &Person) -> Vec<WayFound> {
    let changeable = gateway.own_files().filter(|(_, path)| may_change(path)).map(|(what, _)| format!("{what} can be changed by this user"));
    let attach = gateway.pid.filter(|pid| attachable(*pid)).map(|_| "this user can attach to the gateway's process".to_owned());
    let is_gateway = gateway.uid == Some(person.uid) || (gateway.uid.is_none() && gateway.form == super::Form::PerUser);
    let same = is_gateway.then(|| "the gateway runs as this user, who can stop it and change its home".to_owned());
    vec![
        WayFound {
            id: "gateway-files",
            unknown: None,
            looked_at: "changing the gateway's policy, home or program",
            findings: if person.uid == 0 { Vec::new() } else { same.into_iter().chain(changeable).collect() },
            remedy: "run `sudo opsgate setup`: it gives the gateway a user of its own and the policy to root",
        },
        WayFound {
            id: "gateway-process",
            unknown: None,
            looked_at: "attaching to the gateway's process, reading its memory",
            findings: if person.uid == 0 { Vec::new() } else { attach.into_iter().collect() },
            remedy: "run `sudo opsgate setup`; as root nothing can be held from you",
        },
    ]
}

/// Whether the current user could change this file or put another in its place.
fn may_change(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let me = rustix::process::geteuid().as_raw();
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    real.ancestors().enumerate().any(|(step, at)| {
        let Ok(meta) = at.metadata() else { return false };
        let sticky = step > 0 && meta.mode() & 0o1000 != 0;
        meta.uid() == me || (!sticky && rustix::fs::access(at, rustix::fs::Access::WRITE_OK).is_ok())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every file of every way, planted one at a time, is found by that way, told by name and never by content.
    #[test]
    fn what_is_planted_is_found_and_not_printed() {
        for way in &WAYS {
            for file in way.files.iter().filter(|file| !file.starts_with('/')) {
                let home = tempfile::tempdir().unwrap();
                let person = Person::with(home.path(), &[]);
                if way.id != "sudo" && way.id != "docker" {
                    let nothing: Vec<_> = way.look(&person).into_iter().filter(|line| line.contains("~/")).collect();
                    assert!(nothing.is_empty(), "{}: {nothing:?}", way.id);
                }
                let secret = uuid::Uuid::new_v4().to_string();
                let path = home.path().join(file);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(&path, &secret).unwrap();
                let found = way.look(&person).join("\n");
                assert!(found.contains(&format!("~/{file} can be read")), "{}: {found}", way.id);
                assert!(!found.contains(&secret));
            }
            for name in way.variables {
                let home = tempfile::tempdir().unwrap();
                let (name, secret) = (name.replace('*', "app_example"), uuid::Uuid::new_v4().to_string());
                let found = way.look(&Person::with(home.path(), &[(&name, &secret)])).join("\n");
                assert!(found.contains(&format!("{name} is set")) && !found.contains(&secret), "{}: {found}", way.id);
            }
            for name in way.named {
                let home = tempfile::tempdir().unwrap();
                let file = home.path().join("named-file");
                std::fs::write(&file, "x").unwrap();
                let found = way.look(&Person::with(home.path(), &[(name, file.to_str().unwrap())])).join("\n");
                assert!(found.contains(name) && !found.contains("named-file"), "{}: {found}", way.id);
            }
        }
    }

    #[test]
    fn keys_helpers_and_named_kubeconfigs_are_found() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".ssh")).unwrap();
        std::fs::write(home.path().join(".ssh/id_ed25519"), "x").unwrap();
        std::fs::write(home.path().join(".ssh/id_ed25519.pub"), "x").unwrap();
        std::fs::write(home.path().join(".gitconfig"), "[credential \"https://example.invalid\"]\n\thelper = store\n").unwrap();
        std::fs::write(home.path().join("cluster"), "x").unwrap();
        let kubeconfig = format!("/nowhere:{}", home.path().join("cluster").display());
        let person = Person::with(home.path(), &[("KUBECONFIG", &kubeconfig)]);
        let look = |id: &str| WAYS.iter().find(|way| way.id == id).unwrap().look(&person);
        assert_eq!(look("ssh"), ["~/.ssh/id_ed25519 can be read"]);
        assert!(look("git-credentials").contains(&"git has a credential helper".to_owned()));
        assert_eq!(look("kubectl"), ["a file that KUBECONFIG names can be read"]);
    }

    /// What a file that need not hold a credential holds is told where it does, and never shown.
    #[test]
    fn a_credential_in_a_file_that_need_not_hold_one_is_found() {
        let secret = uuid::Uuid::new_v4().simple().to_string();
        let (npm, extra, url) = ("~/.npmrc holds a credential", "git sends a header of its own", "git's configuration holds a password");
        for (file, way, content, expected) in [
            (".npmrc", "registries", format!("//registry.example.invalid/:_authToken={secret}\n"), Some(npm)),
            (".npmrc", "registries", format!("registry=https://example.invalid\n _auth = {secret}\n"), Some(npm)),
            (".npmrc", "registries", "registry=https://example.invalid\n//example.invalid/:_authToken=\n".to_owned(), None),
            (
                ".gitconfig",
                "git-credentials",
                format!("[http \"https://example.invalid\"]\n\textraheader = Authorization: x {secret}\n"),
                Some(extra),
            ),
            (".gitconfig", "git-credentials", format!("[url \"https://ana:{secret}@example.invalid/\"]\n\tinsteadOf = x:\n"), Some(url)),
            (".config/git/config", "git-credentials", format!("[remote \"o\"]\n\turl = https://{secret}@example.invalid/\n"), Some(url)),
            (".gitconfig", "git-credentials", "[remote \"o\"]\n\turl = ssh://git@example.invalid/a\n[user]\n\tname = ana\n".to_owned(), None),
        ] {
            let home = tempfile::tempdir().unwrap();
            let path = home.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &content).unwrap();
            let found = WAYS.iter().find(|one| one.id == way).unwrap().look(&Person::with(home.path(), &[]));
            let found: Vec<_> = found.iter().map(String::as_str).filter(|line| [npm, extra, url].contains(line)).collect();
            assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{file}");
        }
    }
}
