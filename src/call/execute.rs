//! Execute: the tool takes the receipt by value and runs under the call's deadline.

use std::sync::{Arc, Mutex, PoisonError};

use opsgate_tools::scope::Redaction;

use super::stage::{Call, Executed, Intended, Licensed};
use crate::error::{Code, Refusal};
use crate::gateway::Gateway;
use crate::scrub::{Counts, Scrubber};

impl Gateway {
    pub(super) async fn execute(&self, call: Call<Intended>) -> Call<Executed> {
        let Call { mark, stage: Intended { about, work, permit, pending, slot } } = call;
        let deadline = mark.left();
        let redacted = Arc::new(Redacted::new(self.scrubber.clone()));
        let filter = permit.output_filter().with_redaction(redacted.clone());
        let wrote = matches!(work, Licensed::Write(..));
        let shown = filter.clone();
        let run = async move {
            match work {
                Licensed::Read(read, receipt) => read.run(shown, receipt).await.map(|answer| (answer, None)),
                Licensed::Rehearsal(write, receipt) => write.rehearse(shown, receipt).await.map(|answer| (answer, None)),
                Licensed::Write(write, receipt) => write.run(shown, receipt).await.map(|done| (done.answer, done.reference)),
            }
        };
        let result = match tokio::time::timeout(deadline, run).await {
            Ok(result) => result.map_err(Refusal::from),
            Err(_) => {
                mark.cancel.cancel(); // the tool's own work elsewhere (a blocking thread, a child) watches this
                Err(Refusal::new(Code::TimedOut, format!("`{}` did not end within {:?}", about.tool, mark.allowed)))
            }
        };
        let (result, reference) = match result {
            Ok((answer, reference)) => (Ok(answer), reference),
            Err(refusal) => (Err(refusal), None),
        };
        let (hidden, redacted) = (filter.hidden(), redacted.counts());
        Call { mark, stage: Executed { about, wrote, result, reference, hidden, redacted, pending, slot } }
    }
}

/// The scrubber as a tool sees it while it reads: whole files, counted for the call's record.
struct Redacted {
    scrubber: Arc<Scrubber>,
    counts: Mutex<Counts>,
}

impl Redacted {
    fn new(scrubber: Arc<Scrubber>) -> Self {
        Self { scrubber, counts: Mutex::default() }
    }

    fn counts(&self) -> Counts {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Redaction for Redacted {
    fn by_line(&self, whole: &str) -> Option<String> {
        let (text, counts) = self.scrubber.by_line(whole);
        if !counts.is_empty() {
            self.counts.lock().unwrap_or_else(PoisonError::into_inner).merge(&counts);
        }
        text
    }

    fn uncounted(&self, whole: &str) -> Option<String> {
        self.scrubber.by_line(whole).0
    }
}
