//! Lines for the client while a call runs.

use std::fmt;
use std::sync::Arc;

/// Takes a line and brings it to whoever waits. Must not block.
type Sink = dyn Fn(&str) + Send + Sync;

/// Where a running tool says how far it is. Nobody may be listening: then nothing happens.
///
/// A tool passes lines that [`crate::scope::OutputFilter::redacted`] saw in their context; the gateway scrubs each line again.
#[derive(Clone, Default)]
pub struct Progress(Option<Arc<Sink>>);

impl Progress {
    /// Progress that goes to this sink.
    #[must_use]
    pub fn to(sink: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(sink)))
    }

    /// Whether anybody listens.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.0.is_some()
    }

    /// Says a line.
    pub fn say(&self, line: &str) {
        if let Some(sink) = &self.0 {
            sink(line);
        }
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").field("wanted", &self.is_wanted()).finish()
    }
}
