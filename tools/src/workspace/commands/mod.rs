//! Running the commands that the policy declares, in the sandbox: what they may reach, what came of them, and what they bring back.

mod dependency;
mod feed;
mod install_dependency;
mod lockfile;
mod reach;
mod report;
mod run;
mod run_tests;
mod scratch;
mod state;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::erased::{Tool, write};
use crate::sandbox::Sandbox;
use crate::workspace::settings::Settings;

use install_dependency::InstallDependency;
use run_tests::RunTests;

/// What runs commands: where there is a sandbox for them, and a command for the tool to run.
// INVARIANT: no sandbox, no tool (test: without_a_sandbox_or_a_command_there_is_no_tool).
pub(super) fn tools(settings: &Settings) -> Vec<Arc<dyn Tool>> {
    let Ok(sandbox) = Sandbox::through(settings.entry.as_deref()) else { return Vec::new() };
    let install = InstallDependency::new(&settings.commands, Some(sandbox.clone()));
    let tests = RunTests::new(&settings.commands, Some(sandbox));
    let install = (!install.is_empty()).then(|| write(install));
    let tests = (!tests.is_empty()).then(|| write(tests));
    install.into_iter().chain(tests).collect()
}

/// Both tools, for their names and schemas.
pub(super) fn every_tool() -> [Arc<dyn Tool>; 2] {
    let none = BTreeMap::new();
    [write(InstallDependency::new(&none, None)), write(RunTests::new(&none, None))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::settings::{Command, DEPENDENCY};

    #[test]
    fn without_a_sandbox_or_a_command_there_is_no_tool() {
        let argv = |words: &[&str]| Command { argv: words.iter().map(|word| (*word).to_owned()).collect(), ..Command::default() };
        let commands = BTreeMap::from([("test".to_owned(), argv(&["true"])), ("add".to_owned(), argv(&["true", DEPENDENCY]))]);
        let names = |settings: &Settings| -> Vec<_> { tools(settings).iter().map(|tool| tool.spec().card.name).collect() };
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
