//! Only the policy's decision makes a permit, and one permit serves one call.
use opsgate::policy::Permit;

fn forge() -> Permit {
    Permit {}
}

fn twice(permit: Permit) -> (Permit, Permit) {
    (permit.clone(), permit)
}

fn main() {}
