//! Facts that were written down: in a policy's unit test, in the log.

use opsgate_tools::scope::Scopes;
use opsgate_tools::tool::Class;

use super::decision::{ChangePart, Facts, Trigger};

/// [`Facts`] that own what they are made of.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) caller: String,
    pub(super) tool: String,
    pub(super) system: String,
    pub(super) class: Class,
    pub(super) scopes: Scopes,
    pub(super) trigger: Trigger,
    pub(super) write_mode_env_off: bool,
    pub(super) same_user: bool,
    pub(super) change: Vec<ChangePart>,
    pub(super) now: jiff::Timestamp,
}

impl Asked {
    pub(super) fn facts(&self) -> Facts<'_> {
        Facts {
            caller: &self.caller,
            tool: &self.tool,
            system: &self.system,
            class: self.class,
            scopes: &self.scopes,
            trigger: self.trigger,
            write_mode_env_off: self.write_mode_env_off,
            same_user: self.same_user,
            change: &self.change,
            now: self.now,
        }
    }
}
