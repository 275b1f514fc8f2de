//! A resolved read runs on a receipt, and nothing else is one.
use opsgate_tools::scope::OutputFilter;
use opsgate_tools::erased::ReadAction;

async fn run(action: ReadAction, filter: OutputFilter) {
    let _ = action.run(filter, ()).await;
}

fn main() {}
