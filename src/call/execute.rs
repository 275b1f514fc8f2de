//! Execute: the tool takes the receipt by value and runs under the call's deadline.

use super::stage::{Call, Executed, Intended, Licensed};
use crate::error::{Code, Refusal};
use crate::gateway::Gateway;

impl Gateway {
    pub(super) async fn execute(&self, call: Call<Intended>) -> Call<Executed> {
        let Call { mark, stage: Intended { about, work, permit, pending, slot } } = call;
        let deadline = mark.left();
        let filter = permit.output_filter();
        let wrote = matches!(work, Licensed::Write(..));
        let shown = filter.clone();
        let run = async move {
            match work {
                Licensed::Read(read, receipt) => read.run(shown, receipt).await,
                Licensed::Write(write, receipt) => write.run(receipt).await,
            }
        };
        let result = match tokio::time::timeout(deadline, run).await {
            Ok(result) => result.map_err(Refusal::from),
            Err(_) => {
                mark.cancel.cancel(); // the tool's own work elsewhere (a blocking thread, a child) watches this
                Err(Refusal::new(Code::TimedOut, format!("`{}` did not end within {:?}", about.tool, mark.policy.limits().timeout)))
            }
        };
        let hidden = filter.hidden();
        Call { mark, stage: Executed { about, wrote, result, hidden, pending, slot } }
    }
}
