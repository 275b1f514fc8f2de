//! Only the scrubber makes a clean value.
use opsgate::scrub::Clean;

fn vouch(secret: String) -> Clean<String> {
    Clean(secret)
}

fn convert(secret: String) -> Clean<String> {
    secret.into()
}

fn main() {}
