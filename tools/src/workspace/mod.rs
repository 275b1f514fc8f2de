//! The workspace: reading and writing a local git repository, and the services of this machine.
//!
//! Paths are normalised once (`path`), opened beneath the root's handle without following a link unseen (`open`), and
//! the handle that policy judged is the one that is read. Git is read by libgit2, off the async threads; what it says
//! of the work tree is names and ids alone, content comes through the handle.

mod attributes;
mod blame;
mod branch_lock;
mod change;
mod commit;
mod commit_files;
mod commit_message;
mod content;
mod create_branch;
mod dependency;
mod docker;
mod durable;
mod feed;
mod git_blame;
mod git_diff;
mod git_log;
mod git_show;
mod git_status;
mod history;
mod index_lock;
mod install_dependency;
mod language;
mod list_directory;
mod lockfile;
mod matches;
mod open;
mod owner;
pub(crate) mod page;
mod patch;
pub(crate) mod path;
mod pattern;
mod place;
mod reach;
mod read_file;
mod redacted;
mod rename;
mod replace;
mod report;
mod repository;
mod root;
mod run;
mod run_tests;
mod scratch;
mod search_code;
mod service_status;
mod settings;
mod spot;
mod state;
mod survey;
mod systemd;
mod walk;
mod write_file;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use root::Workspace;
pub use service_status::ServiceSources;
pub use settings::{Author, Command, DEPENDENCY, Settings};

use crate::erased::{Tool, read, write};
use crate::sandbox::Sandbox;
use crate::tool::Card;
use install_dependency::InstallDependency;
use run_tests::RunTests;

/// The tools of the `workspace` system, as these settings and this machine let it have them.
#[must_use]
pub fn tools(settings: &Settings) -> Vec<Arc<dyn Tool>> {
    tools_with(settings, ServiceSources::default())
}

/// Every tool that the system can have, whatever this machine and a policy let it have: for the names and schemas.
#[must_use]
pub fn every_tool() -> Vec<Arc<dyn Tool>> {
    let none = BTreeMap::new();
    always(&Settings::default(), ServiceSources::default())
        .into_iter()
        .chain([write(InstallDependency::new(&none, None)), write(RunTests::new(&none, None))])
        .collect()
}

/// As [`tools`], asking these sources for services.
#[must_use]
pub fn tools_with(settings: &Settings, services: ServiceSources) -> Vec<Arc<dyn Tool>> {
    always(settings, services).into_iter().chain(running(settings)).collect()
}

fn always(settings: &Settings, services: ServiceSources) -> Vec<Arc<dyn Tool>> {
    vec![
        read(git_blame::GitBlame),
        read(git_diff::GitDiff),
        read(git_log::GitLog),
        read(git_show::GitShow),
        read(git_status::GitStatus),
        read(list_directory::ListDirectory),
        read(read_file::ReadFile),
        read(search_code::SearchCode),
        read(service_status::ServiceStatus(services)),
        write(commit_files::CommitFiles(settings.author.clone())),
        write(create_branch::CreateBranch(settings.author.clone())),
        write(write_file::WriteFile),
    ]
}

/// What runs commands: where there is a sandbox for them, and a command for the tool to run.
// INVARIANT: no sandbox, no tool (test: without_a_sandbox_or_a_command_there_is_no_tool).
fn running(settings: &Settings) -> Vec<Arc<dyn Tool>> {
    let Ok(sandbox) = Sandbox::through(settings.entry.as_deref()) else { return Vec::new() };
    let install = InstallDependency::new(&settings.commands, Some(sandbox.clone()));
    let tests = RunTests::new(&settings.commands, Some(sandbox));
    let install = (!install.is_empty()).then(|| write(install));
    let tests = (!tests.is_empty()).then(|| write(tests));
    install.into_iter().chain(tests).collect()
}

const fn card(name: &'static str, title: &'static str, description: &'static str, risk: f32) -> Card {
    Card { name, system: "workspace", title, description, risk, open_world: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_sandbox_or_a_command_there_is_no_tool() {
        let argv = |words: &[&str]| Command { argv: words.iter().map(|word| (*word).to_owned()).collect(), ..Command::default() };
        let commands = BTreeMap::from([("test".to_owned(), argv(&["true"])), ("add".to_owned(), argv(&["true", DEPENDENCY]))]);
        let names = |settings: &Settings| -> Vec<_> { running(settings).iter().map(|tool| tool.spec().card.name).collect() };
        assert!(names(&Settings { commands: commands.clone(), ..Settings::default() }).is_empty(), "without an entry");
        let entry = std::env::current_exe().ok();
        assert!(names(&Settings { entry: entry.clone(), ..Settings::default() }).is_empty(), "without a command");
        if crate::sandbox::available().is_ok() {
            assert_eq!(names(&Settings { commands, entry, ..Settings::default() }), ["workspace_install_dependency", "workspace_run_tests"]);
        }
        let every: Vec<_> = every_tool().iter().map(|tool| tool.spec().card.name).collect();
        assert!(every.contains(&"workspace_run_tests") && every.contains(&"workspace_install_dependency"));
    }
}
