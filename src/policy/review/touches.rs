//! Which kinds of things each tool touches: what a rule about it can name at all.

use opsgate_tools::scope::ScopeKind::{self, Method, Path, Ref, Repo, Service, Tree};

/// The shapes that a call of a tool can have, each as the kinds that it touches. A tool without a row may touch anything,
/// and is tried with any one or two kinds.
// INVARIANT: a tool touches no kind that its row does not have (test: tests/policy_review.rs,
// every_tool_touches_what_the_table_says).
const TOUCHES: &[(&str, &[&[ScopeKind]])] = &[
    ("github_create_issue", &[&[Repo]]),
    ("github_get_file", &[&[Repo, Path, Ref]]),
    ("github_list_issues", &[&[Repo]]),
    ("policy_explain", &[&[]]),
    ("policy_whoami", &[&[]]),
    ("workspace_commit", &[&[Repo, Path, Ref], &[Repo, Tree, Ref]]),
    ("workspace_create_branch", &[&[Repo, Ref]]),
    ("workspace_git_blame", &[&[Repo, Path, Ref], &[Repo, Tree, Ref]]),
    ("workspace_git_diff", &[&[Repo, Path, Ref], &[Repo, Tree, Ref], &[Repo, Path], &[Repo, Tree]]),
    ("workspace_git_log", &[&[Repo, Path, Ref], &[Repo, Tree, Ref]]),
    ("workspace_git_show", &[&[Repo, Path, Ref], &[Repo, Tree, Ref]]),
    ("workspace_git_status", &[&[Repo, Tree]]),
    ("workspace_install_dependency", &[&[Repo, Method], &[Repo, Method, Path], &[Repo, Method, Tree]]),
    ("workspace_list_directory", &[&[Repo, Tree]]),
    ("workspace_read_file", &[&[Repo, Path], &[Repo, Path, Ref]]),
    ("workspace_run_tests", &[&[Repo, Method]]),
    ("workspace_search_code", &[&[Repo, Path], &[Repo, Tree]]),
    ("workspace_service_status", &[&[Repo, Service]]),
    ("workspace_write_file", &[&[Repo, Path]]),
];

/// Tools whose folder is the root, whatever the arguments.
const ONLY_THE_ROOT: &[&str] = &["workspace_git_status"];

/// Whether a call of the tool can touch this folder.
pub(super) fn can_touch_folder(tool: &str, folder: &str) -> bool {
    folder == "." || !ONLY_THE_ROOT.contains(&tool)
}

/// The shapes of a tool's calls; `None` where they are not known.
#[must_use]
pub fn touches(tool: &str) -> Option<&'static [&'static [ScopeKind]]> {
    TOUCHES.iter().find(|(name, _)| *name == tool).map(|(_, shapes)| *shapes)
}

/// Whether an answer of the tool is of more paths than the call names: it shows a folder, or hands the repository to a command.
pub(in super::super) fn is_filtered_by_path(tool: &str) -> bool {
    touches(tool).is_none_or(|shapes| shapes.iter().any(|shape| shape.contains(&Tree) || shape.contains(&Method)))
}

/// What of these kinds no call of the tool can touch, in words: one that it never touches, or some that it never touches
/// together. A file and a folder are two kinds here.
pub(in super::super) fn cannot_touch(tool: &str, kinds: &[ScopeKind]) -> Option<String> {
    let shapes = touches(tool)?;
    if shapes.iter().any(|shape| kinds.iter().all(|kind| shape.contains(kind))) {
        return None;
    }
    let never = kinds.iter().find(|kind| !shapes.iter().any(|shape| shape.contains(kind)));
    let listed = |kinds: &[ScopeKind], and: &str| kinds.iter().map(ScopeKind::to_string).collect::<Vec<_>>().join(and);
    Some(match never {
        Some(kind) => format!("`{tool}` never touches a {kind}"),
        None => format!("no call of `{tool}` touches a {} in one", listed(kinds, " and a ")),
    })
}

/// Whether one call of the tool can touch all of these kinds; `true` where that is not known. `paths` are files or folders.
pub(super) fn can_touch(tool: &str, mut kinds: impl Iterator<Item = ScopeKind> + Clone) -> bool {
    let Some(shapes) = touches(tool) else { return true };
    let in_shape = |shape: &[ScopeKind], kind: ScopeKind| shape.contains(&kind) || (kind == Path && shape.contains(&Tree));
    if kinds.clone().count() < 2 {
        return kinds.all(|kind| shapes.iter().any(|shape| in_shape(shape, kind)));
    }
    shapes.iter().any(|shape| kinds.clone().all(|kind| in_shape(shape, kind)))
}
