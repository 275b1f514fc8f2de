//! What a glob can have that nobody means: it compiles, and then matches something else or nothing. A denial that is dead
//! must not look sound.

use opsgate_tools::scope::ScopeKind;

use super::glob::Subject;
use super::normalise::{normalise_path, normalise_ref, scope_spelling};
use super::review::instances::{Class, instances_by_choice};

/// A sentence about the glob, and what to write.
type Slip = (String, Option<String>);

/// What is wrong with the text, where something is. It is not yet known to compile.
pub(super) fn of_text(text: &str, subject: Subject) -> Option<Slip> {
    let said = |what: &str, help: &str| Some((format!("the glob `{text}` {what}"), Some(help.to_owned())));
    // A caller's name comes from elsewhere and may have any of the rest.
    let names_things = subject != Subject::Caller;
    if names_things && text.starts_with('!') {
        return said("begins with `!`, and a list has no exceptions", "deny and allow apart: a denial wins wherever it stands");
    }
    if subject == Subject::Scope(ScopeKind::Path) && (text == "~" || text.starts_with("~/")) {
        return said("begins with `~/`", "paths are relative to the repository's root: `**/.ssh/**`");
    }
    if subject == Subject::Scope(ScopeKind::Ref) && has_wild_ref_folder(text) {
        return said("names refs by their folder, and refs are compared without `refs/heads/`", "write `main`, or `**` for every ref");
    }
    if subject == Subject::Scope(ScopeKind::Repo) && !text.starts_with('/') && (text.contains("://") || text.contains('@')) {
        return said("is an address", "write `owner/name`, or the whole name of a folder");
    }
    let (mut depth, mut rest) = (0usize, text);
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        match c {
            '[' if after.starts_with("[:") => return said("has `[:…:]`, which is read as single letters", "write the range: `[0-9]`"),
            '[' => {
                rest = Class::read(after)?.1; // without one it will not compile
                continue;
            }
            '{' if after.trim_start_matches(',').starts_with('}') => return said("has braces with nothing to choose", "drop them"),
            '{' if after.starts_with(' ') => return said(SPACED, TIGHT),
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth > 0 && after.starts_with(' ') => return said(SPACED, TIGHT),
            ' ' if depth > 0 && after.starts_with([',', '}']) => return said(SPACED, TIGHT),
            ',' if depth == 0 && names_things => return said("has a comma outside of braces", "write two globs, or `[,]` for a comma in a name"),
            '|' if names_things => return said("has a `|`, which chooses nothing", "write `{a,b}`, or `[|]` for this character in a name"),
            _ => {}
        }
        rest = after;
    }
    None
}

const SPACED: &str = "has a space beside a comma or brace, which belongs to the name";
const TIGHT: &str = "write `{yml,yaml}`, without spaces";

/// `refs/**`, `refs/*/main`: what is left of a ref seldom begins so.
fn has_wild_ref_folder(text: &str) -> bool {
    text.strip_prefix("refs/").is_some_and(|rest| rest.starts_with(['*', '?', '[']))
}

/// What is wrong with a glob that compiles, where one of its choices can match nothing at all: it is tried with names made
/// from its own text, in the one spelling that they have when a call touches them.
// INVARIANT: each choice of a glob can match something (test: what_nobody_can_mean_in_a_glob_is_refused).
pub(super) fn of_meaning(text: &str, subject: Subject) -> Option<Slip> {
    let spelt = |name: &str| match subject {
        Subject::Scope(kind) => scope_spelling(kind, name).map(std::borrow::Cow::into_owned),
        Subject::Caller | Subject::Tool | Subject::Folder => Some(name.to_owned()),
    };
    // A glob matches the names that are made from it (test: every_glob_matches_the_names_made_from_it): what may be missing
    // is a call that has such a name.
    let is_spelt_so = |name: &String| spelt(name).as_ref() == Some(name);
    let is_repository = |choice: &str| subject != Subject::Scope(ScopeKind::Repo) || names_repository(choice);
    let (choice, names) = instances_by_choice(text).find(|(choice, names)| !is_repository(choice) || !names.iter().any(is_spelt_so))?;
    let of = if choice == text { String::new() } else { format!(", chosen as `{choice}`,") };
    let message = format!("the glob `{text}`{of} can match nothing");
    let spelling = names.first().map(|name| (name, spelt(name)));
    let help = match (subject, spelling) {
        (Subject::Scope(ScopeKind::Ref), Some((name, _))) => ref_help(text, &choice, name),
        (Subject::Scope(ScopeKind::Repo), _) if !is_repository(&choice) => Some(repo_help(&choice)),
        (Subject::Scope(_), Some((name, None))) => {
            let relative = name.trim_start_matches('/');
            normalise_path(relative).err().map(|problem| format!("no call touches such a name: {problem}"))
        }
        (Subject::Scope(_), Some((name, Some(spelling)))) if spelling != *name => Some(format!("it is compared as `{spelling}`")),
        _ => None,
    };
    Some((message, help.or_else(|| Some("name what it is to match".to_owned()))))
}

fn ref_help(text: &str, choice: &str, name: &str) -> Option<String> {
    if let Some((prefix, rest)) =
        ["refs/heads/", "refs/tags/", "refs/remotes/"].iter().find_map(|prefix| Some((prefix, choice.strip_prefix(prefix)?)))
    {
        return Some(format!("refs are compared without `{prefix}`: write `{rest}`"));
    }
    // As it was written, since `main^{commit}` has braces and chooses nothing.
    match normalise_ref(text).or_else(|_| normalise_ref(name)) {
        Ok(spelling) => Some(format!("refs are compared by name alone: write `{spelling}`")),
        Err(problem) => Some(format!("no call touches such a name: {problem}")),
    }
}

/// Whether it can be `owner/name` or the whole name of a folder. What begins with a wildcard may be the end of either.
fn names_repository(choice: &str) -> bool {
    let mut parts = choice.split('/');
    let first = parts.next().unwrap_or_default();
    let rest = parts.collect::<Vec<_>>();
    match (first, rest.as_slice()) {
        ("" | "**", _) => true,
        (_, []) => false,
        // Of `acme/**` the stars are the name, of `acme/**/app` nothing.
        _ if !first.starts_with(['*', '?', '[']) => {
            rest.iter().enumerate().filter(|(at, part)| **part != "**" || at + 1 == rest.len()).count() <= 1 && !choice.ends_with(".git")
        }
        _ => true,
    }
}

fn repo_help(choice: &str) -> String {
    let ours = choice.trim_end_matches(".git");
    match ours.split('/').collect::<Vec<_>>().as_slice() {
        [one] if one.starts_with('*') => "write `**` for every repository".to_owned(),
        [owner] => format!("write `{owner}/*` for all of an owner's, `*/{owner}` for one of that name, or the whole name of a folder"),
        [host, owner, name] if host.contains('.') => format!("write `{owner}/{name}`: a repository is named without its host"),
        [_, _] => format!("write `{ours}`"),
        _ => format!("a repository is `owner/name`, or a folder from the root: `/{ours}`"),
    }
}
