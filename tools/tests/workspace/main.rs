//! The workspace tools on real temporary git repositories, run on receipts of a real audit log.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod branches;
mod commits;
mod commits_refused;
mod denied;
mod files;
mod fixture;
mod git;
mod git_folder;
mod listing;
mod nested;
mod pages;
mod paths;
mod redacted;
mod schema;
mod secret;
mod services;
mod writes;
