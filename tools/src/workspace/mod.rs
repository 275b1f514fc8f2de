//! The workspace: reading and writing a local git repository, and the services of this machine.
//!
//! Paths are normalised once (`path`), opened beneath the root's handle without following a link unseen (`open`), and
//! the handle that policy judged is the one that is read. Git is read by libgit2, off the async threads; what it says
//! of the work tree is names and ids alone, content comes through the handle.

mod blame;
mod change;
mod commands;
mod commit;
mod content;
mod docker;
mod git_blame;
mod git_diff;
mod git_links;
mod git_log;
mod git_show;
mod git_status;
mod history;
mod language;
mod list_directory;
mod main_tree;
mod matches;
mod nested;
mod open;
mod owner;
pub(crate) mod page;
mod patch;
pub(crate) mod path;
mod pattern;
mod read_file;
mod redacted;
mod rename;
mod replace;
mod repository;
mod root;
mod search_code;
mod service_status;
mod settings;
mod spot;
mod systemd;
mod walk;
mod writing;

use std::sync::Arc;

pub use root::Workspace;
pub use service_status::ServiceSources;
pub use settings::{Author, Command, DEPENDENCY, Settings};

use crate::erased::{Tool, read};
use crate::tool::Card;

/// The tools of the `workspace` system, as these settings and this machine let it have them.
#[must_use]
pub fn tools(settings: &Settings) -> Vec<Arc<dyn Tool>> {
    tools_with(settings, ServiceSources::default())
}

/// Every tool that the system can have, whatever this machine and a policy let it have: for the names and schemas.
#[must_use]
pub fn every_tool() -> Vec<Arc<dyn Tool>> {
    always(&Settings::default(), ServiceSources::default()).into_iter().chain(commands::every_tool()).collect()
}

/// As [`tools`], asking these sources for services.
#[must_use]
pub fn tools_with(settings: &Settings, services: ServiceSources) -> Vec<Arc<dyn Tool>> {
    always(settings, services).into_iter().chain(commands::tools(settings)).collect()
}

fn always(settings: &Settings, services: ServiceSources) -> Vec<Arc<dyn Tool>> {
    let reading = [
        read(git_blame::GitBlame),
        read(git_diff::GitDiff),
        read(git_log::GitLog),
        read(git_show::GitShow),
        read(git_status::GitStatus),
        read(list_directory::ListDirectory),
        read(read_file::ReadFile),
        read(search_code::SearchCode),
        read(service_status::ServiceStatus(services)),
    ];
    reading.into_iter().chain(writing::tools(&settings.author)).collect()
}

const fn card(name: &'static str, title: &'static str, description: &'static str, risk: f32) -> Card {
    Card { name, system: "workspace", title, description, risk, open_world: false }
}
