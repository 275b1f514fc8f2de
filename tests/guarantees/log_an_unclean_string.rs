//! A log line takes clean values only.
use opsgate::observe::log;

fn leak(secret: String) {
    log::info(log::Component::Call, "a call").with("detail", &secret).emit();
}

fn main() {}
