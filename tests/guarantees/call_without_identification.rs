//! A caller comes from identification; nobody names himself.
use opsgate::identity::{Address, Caller};

fn claim() -> Caller {
    Caller { id: "key:root".into(), address: Address::Ip([127, 0, 0, 1].into()) }
}

fn main() {}
