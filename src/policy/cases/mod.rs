//! Policy unit tests: calls as facts, each with the decision that its writer expects. Nothing is prepared and nothing is touched.

mod coverage;
mod run;
mod unhit;

use std::fmt;
use std::path::{Path, PathBuf};

use opsgate_tools::tool::Class;

use super::Catalogue;
use super::asked::Asked;
use super::decision::{DenialCode, Quorum};
use super::diagnostics::{Finding, PolicyErrors, Source};
use super::read::Reader;
use super::review::Look;
use super::review::draw::draw;
use super::yaml;

pub use run::{CaseReport, CaseResult};
pub use unhit::UnhitGlob;

/// A file of cases, read strictly.
#[derive(Debug)]
pub struct CaseFile {
    /// The policy that the file names, relative to the file's folder.
    pub(super) policy: Option<String>,
    /// Tools that this version does not have yet, as the file declares them: name, system, class.
    pub(super) tools: Vec<(String, String, Class)>,
    pub(super) cases: Vec<Case>,
}

/// One call and what is expected of it.
#[derive(Debug)]
pub(super) struct Case {
    /// With the values of `each`, where the case has it.
    pub(super) name: String,
    pub(super) line: u32,
    pub(super) asked: Asked,
    pub(super) expected: Expected,
}

/// What a case says of the answer. What it does not say may be anything.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    /// `permit`, `needs_approval` or `deny`.
    pub(super) decision: &'static str,
    /// The rule or setting that denied, or one of those that permitted.
    pub(super) rule: Option<String>,
    pub(super) code: Option<DenialCode>,
    pub(super) approvals: Option<Vec<Quorum>>,
    pub(super) shadow: Option<Vec<String>>,
}

impl CaseFile {
    /// Reads a file of cases.
    ///
    /// # Errors
    /// [`CasesError`]: the file cannot be read, is larger than 1 MiB or no UTF-8, or is no file of cases.
    pub fn load(path: &Path, catalogue: &Catalogue) -> Result<Self, CasesError> {
        let name = path.display().to_string();
        let unread = |why: String| CasesError(format!("`{name}` cannot be read: {why}"));
        let about = path.metadata().map_err(|error| unread(error.to_string()))?;
        if !about.is_file() || about.len() > yaml::MAX_BYTES as u64 {
            return Err(unread("it is no regular file of at most 1 MiB".to_owned()));
        }
        let text = std::fs::read_to_string(path).map_err(|error| unread(error.to_string()))?;
        Self::parse(&text, &name, catalogue)
    }

    /// Reads cases from their text; `source_name` is the file that errors name.
    ///
    /// # Errors
    /// [`CasesError`] with everything that is wrong, each with its place.
    pub fn parse(text: &str, source_name: &str, catalogue: &Catalogue) -> Result<Self, CasesError> {
        let source = Source { name: source_name, text };
        let root = yaml::read(source).map_err(|finding| CasesError::of(vec![finding]))?;
        let mut reader = Reader::new(source, catalogue);
        let file = reader.case_file(&root);
        if reader.errors.is_empty() { Ok(file) } else { Err(CasesError::of(reader.errors)) }
    }

    /// The policy that the file is about, where it says so; `at` is the file's own path.
    #[must_use]
    pub fn policy_path(&self, at: &Path) -> Option<PathBuf> {
        self.policy.as_ref().map(|policy| at.parent().unwrap_or(Path::new("")).join(policy))
    }

    /// The names its policy may use: this version's tools, and those that the file declares to come.
    #[must_use]
    pub fn catalogue(&self, own: Catalogue) -> Catalogue {
        self.tools.iter().fold(own, |all, (name, system, class)| all.with_to_come(name, system, *class))
    }
}

/// Why a file of cases is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CasesError(String);

impl CasesError {
    fn of(findings: Vec<Finding>) -> Self {
        let errors = PolicyErrors::new(findings);
        Self(format!("{}these cases are not run", draw(errors.all(), Look::Plain)))
    }
}

impl fmt::Display for CasesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CasesError {}
