//! A write waits until its intent is on disk.
use opsgate_audit::{Receipt, Written};
use opsgate_tools::erased::WriteAction;

async fn run(action: WriteAction, receipt: Receipt<Written>) {
    let _ = action.run(receipt).await;
}

fn main() {}
