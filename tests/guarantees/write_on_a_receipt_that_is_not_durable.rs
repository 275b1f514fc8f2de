//! A write waits until its intent is on disk.
use opsgate_audit::{Receipt, Written};
use opsgate_tools::erased::WriteAction;
use opsgate_tools::scope::OutputFilter;

async fn run(action: WriteAction, filter: OutputFilter, receipt: Receipt<Written>) {
    let _ = action.run(filter, receipt).await;
}

fn main() {}
