//! Writing files, branches and commits: what `resolve` found is the precondition, and each write looks again before it acts, in one
//! step of the kernel or under git's own locks.

mod attributes;
mod branch_lock;
mod commit_files;
mod commit_message;
mod confined;
mod create_branch;
mod durable;
mod git_folder;
mod index_lock;
mod survey;
mod write_file;

use std::sync::Arc;

use crate::erased::{Tool, write};
use crate::workspace::settings::Author;

/// The tools that write, with this author of what they commit.
pub(super) fn tools(author: &Author) -> [Arc<dyn Tool>; 3] {
    [write(commit_files::CommitFiles(author.clone())), write(create_branch::CreateBranch(author.clone())), write(write_file::WriteFile)]
}
