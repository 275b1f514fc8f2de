//! What a reviewer of a policy is shown.

mod approvable;
pub(super) mod callers;
mod calls;
pub(super) mod diff;
pub(super) mod draw;
pub(super) mod entries;
pub(super) mod instances;
mod marks;
pub(super) mod matrix;
mod outcome;
mod reachable;
pub(super) mod said;
pub(super) mod samples;
pub(super) mod schema;
mod settings;
mod subsume;
pub(super) mod touches;
mod unsaid;
pub(super) mod weaker;

use super::diagnostics::{At, Pos};
use super::model::File;
use super::read::Reader;
use super::yaml::{Node, Value};

pub(super) use approvable::asks_for_approvals;
pub use diff::{Change, Diff, Direction, Target};
pub use draw::Look;
pub use entries::{Became, Entry, Key, Says};
pub use matrix::{Cell, Column, Matrix, May, Row};
pub use outcome::Reason;
pub use settings::Setting;

/// Looks at a whole policy that reads without an error: what it says and cannot mean, or may not have meant.
pub(super) fn review(reader: &mut Reader<'_>, root: &Node, file: &File) {
    reachable::review(reader, root, file);
    approvable::review(reader, root, file);
    unsaid::review(reader, root, file);
}

/// Where the entry `name` of the section `section` is written.
fn place(root: &Node, section: &str, name: &str) -> Pos {
    entry(root, section).and_then(|(_, section)| entry(section, name)).map(|(key, _)| key.at).unwrap_or_default()
}

fn entry<'n>(node: &'n Node, name: &str) -> Option<&'n (At<String>, Node)> {
    let Value::Map(entries) = &node.value else { return None };
    entries.iter().find(|(key, _)| key.value == name)
}
