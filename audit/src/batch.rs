//! The entries that one sync makes durable, and those who wait for it.

use std::sync::OnceLock;

use tokio::sync::Notify;

use crate::error::AppendError;

/// Ends once, for all who wait.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    result: OnceLock<Result<(), AppendError>>,
    ended: Notify,
}

impl Batch {
    /// Ends it; only the first call counts.
    pub(crate) fn end(&self, result: Result<(), AppendError>) {
        let _ = self.result.set(result);
        self.ended.notify_waiters();
    }

    pub(crate) fn result(&self) -> Option<&Result<(), AppendError>> {
        self.result.get()
    }

    /// Waits for its end.
    pub(crate) async fn done(&self) -> Result<(), AppendError> {
        let mut ended = std::pin::pin!(self.ended.notified());
        // Enrolled before looking, so that an end between the look and the wait is not missed.
        ended.as_mut().enable();
        if let Some(result) = self.result.get() {
            return result.clone();
        }
        ended.await;
        self.result.get().cloned().unwrap_or(Err(AppendError::Closed))
    }
}
