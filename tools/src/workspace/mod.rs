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
mod docker;
mod durable;
mod git_blame;
mod git_diff;
mod git_log;
mod git_show;
mod git_status;
mod history;
mod index_lock;
mod language;
mod list_directory;
mod matches;
mod open;
mod owner;
mod page;
mod patch;
mod path;
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
mod survey;
mod systemd;
mod walk;
mod write_file;

use std::sync::Arc;

pub use root::Workspace;
pub use service_status::ServiceSources;
pub use settings::{Author, Command, DEPENDENCY, Settings};

use crate::erased::{Tool, read, write};
use crate::tool::Card;

/// The tools of the `workspace` system.
#[must_use]
pub fn tools(settings: &Settings) -> Vec<Arc<dyn Tool>> {
    tools_with(settings, ServiceSources::default())
}

/// Every tool that the system can have, whatever this machine and a policy let it have: for the names and schemas.
#[must_use]
pub fn every_tool() -> Vec<Arc<dyn Tool>> {
    tools(&Settings::default())
}

/// As [`tools`], asking these sources for services.
#[must_use]
pub fn tools_with(settings: &Settings, services: ServiceSources) -> Vec<Arc<dyn Tool>> {
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

const fn card(name: &'static str, title: &'static str, description: &'static str, risk: f32) -> Card {
    Card { name, system: "workspace", title, description, risk, open_world: false }
}
