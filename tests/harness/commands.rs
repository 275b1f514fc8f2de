//! A gateway under a policy that declares commands.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::Home;
use super::repository::Repository;
use super::stdio::Client;

/// A policy under which these commands run, and `hidden/**` and `.env` cannot be seen.
pub fn policy(commands: &str) -> String {
    format!(
        r#"
version: 1
write_mode: on
defaults: {{read: allow}}
callers: {{"local:*": {{roles: [developer]}}}}
systems:
  policy: {{mode: read_only}}
  workspace:
    mode: approval_required_write
    commands: {{{commands}}}
repositories: {{"/tmp/**": {{write: true, paths: {{deny: [".env", "hidden/**"]}}}}}}
rules: [{{id: runs, allow: {{tools: [workspace_run_tests, workspace_install_dependency]}}, approvals: 0}}]
limits: {{per_caller: {{rate: 1000/s, burst: 1000}}}}
"#
    )
}

/// A gateway in a process of its own, on a repository, with commands that are declared.
pub struct Stand {
    pub home: Home,
    pub repository: Repository,
    pub client: Client,
}

impl Stand {
    /// `script` is python, and the command `test` with these settings.
    pub fn python(script: &str, settings: &str) -> Self {
        Self::with(&[("script.py", script)], &format!("test: {{argv: [/usr/bin/python3, script.py], {settings}}}"))
    }

    pub fn with(files: &[(&str, &str)], commands: &str) -> Self {
        let repository = Repository::with(files);
        let home = Home::with_policy(&policy(commands));
        let client = Client::legacy(&home, &["--in-process", "--workspace", repository.arg()]);
        Self { home, repository, client }
    }

    pub fn run(&mut self) -> Value {
        self.client.answer("workspace_run_tests", json!({}))["result"].clone()
    }

    pub fn gateway(&self) -> u32 {
        self.client.child.id()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.repository.path().join(name)
    }
}

/// What a command printed.
pub fn output(result: &Value) -> &str {
    result["output"].as_str().unwrap()
}
