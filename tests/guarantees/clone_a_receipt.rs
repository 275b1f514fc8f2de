//! One receipt, one run.
use opsgate_audit::{Receipt, Written};

fn twice(receipt: Receipt<Written>) -> (Receipt<Written>, Receipt<Written>) {
    (receipt.clone(), receipt)
}

fn main() {}
