//! Every tool, and arguments that make it answer.

use std::sync::Arc;

use opsgate::catalogue;
use opsgate::policy::Policy;
use opsgate_tools::tool::Spec;
use serde_json::{Value, json};

/// Every tool that this build can have.
pub fn specs() -> Vec<Spec> {
    let known = catalogue::catalogue().unwrap();
    let policy = Arc::new(Policy::parse(Policy::shipped(), "policy.yaml", &known).unwrap());
    catalogue::every_spec(&policy).unwrap()
}

/// Arguments that make each tool answer with something of the repository of its test. A new tool without a row fails here.
pub fn arguments(tool: &str) -> Value {
    match tool {
        "github_create_issue" => json!({ "repo": "acme/app", "title": "A title" }),
        "github_get_file" => json!({ "repo": "acme/app", "path": "config/deploy.yaml" }),
        "github_list_issues" => json!({ "repo": "acme/app" }),
        "policy_explain" => json!({ "tool": "workspace_read_file", "arguments": { "path": "conf/app.yaml" } }),
        "workspace_git_blame" | "workspace_read_file" => json!({ "path": "conf/app.yaml" }),
        "workspace_git_diff" => json!({ "from": "HEAD~1", "to": "HEAD" }),
        "workspace_git_show" => json!({ "rev": "HEAD" }),
        "workspace_list_directory" => json!({ "depth": 3 }),
        "workspace_search_code" => json!({ "pattern": "token" }),
        "workspace_service_status" => json!({ "name": "cron.service" }),
        "policy_whoami" | "workspace_git_log" | "workspace_git_status" => json!({}),
        "workspace_write_file" => json!({ "path": "conf/app.yaml", "content": "a: 2\n" }),
        "workspace_create_branch" => json!({ "name": "fix" }),
        "workspace_run_tests" => json!({}),
        "workspace_install_dependency" => json!({ "name": "left-pad" }),
        "workspace_commit" => json!({ "paths": ["conf/app.yaml"], "message": "Change it" }),
        other => panic!("`{other}` has no row here"),
    }
}
