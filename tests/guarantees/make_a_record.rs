//! Only a durable append makes the proof that a reply needs.
use opsgate_audit::Recorded;

fn forge() -> Recorded {
    Recorded { seq: 1 }
}

fn main() {}
