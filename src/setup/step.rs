//! One step of an installation.

/// Whether a step has something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is as it should be.
    Done,
    /// It is not.
    Missing,
}

impl State {
    pub(super) fn done(done: bool) -> Self {
        if done { Self::Done } else { Self::Missing }
    }
}

/// Something to be put in its place. Applying what is done already changes nothing.
pub trait Step {
    /// Its name.
    fn id(&self) -> &'static str;
    /// What it sees to, for a person.
    fn what(&self) -> String;
    /// Whether it is as it should be; `changed` says that a step before it changed what the gateway runs with.
    ///
    /// # Errors
    /// Where that cannot be told, or something else stands in its place.
    fn state(&self, changed: bool) -> Result<State, SetupError>;
    /// Puts it in its place.
    ///
    /// # Errors
    /// What did not work, and the mend.
    fn apply(&self) -> Result<(), SetupError>;
    /// Whether a running gateway has to start again after it.
    fn restarts(&self) -> bool {
        false
    }
}

/// Why an installation stops.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SetupError {
    message: String,
}

impl SetupError {
    /// For the person who installs: what is wrong, and what to do.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }

    /// What the system said about a path.
    pub(super) fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self + use<'_> {
        move |error| Self::new(format!("`{}`: {error}", path.display()))
    }
}

/// Runs a program of the system; its words are in the error.
pub(super) fn run(command: &mut std::process::Command) -> Result<Vec<u8>, SetupError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(std::process::Stdio::null())
        .output()
        .map_err(|error| SetupError::new(format!("`{program}` cannot be run: {error}; install it and run setup again")))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = [output.stderr, output.stdout].map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
    Err(SetupError::new(format!("`{program}` failed: {}", said.into_iter().find(|text| !text.is_empty()).unwrap_or_default())))
}
