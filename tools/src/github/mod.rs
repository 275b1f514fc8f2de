//! GitHub: repositories and issues at github.com, or at the GitHub Enterprise Server that `GITHUB_API_URL` names.
//!
//! A tool's arguments are typed (`names`), its request goes through one client (`client`), which is octocrab over the
//! wire that `settings` opened, and every failure becomes a sentence of ours (`failure`). Nothing is asked of GitHub
//! before the call was judged and recorded; what it answers is checked to be about what was judged.

mod client;
mod create_issue;
mod failure;
mod get_file;
mod issue;
mod link;
mod list_issues;
mod mock;
mod names;
mod settings;

use std::sync::Arc;

pub use settings::{Access, Environment, Settings};

use crate::erased::{Tool, read, write};
use crate::tool::Card;
use client::Client;

/// The tools of the `github` system. They share one client, and in mock mode one invented world.
#[must_use]
pub fn tools(settings: &Settings) -> Vec<Arc<dyn Tool>> {
    let client = Arc::new(Client::open(settings));
    vec![write(create_issue::CreateIssue(client.clone())), read(get_file::GetFile(client.clone())), read(list_issues::ListIssues(client))]
}

/// Every tool that the system can have: for the names and schemas.
#[must_use]
pub fn every_tool() -> Vec<Arc<dyn Tool>> {
    tools(&Settings { access: Access::Closed { why: "github is not set up".to_owned() } })
}

const fn card(name: &'static str, title: &'static str, description: &'static str, risk: f32) -> Card {
    Card { name, system: "github", title, description, risk, open_world: true }
}
