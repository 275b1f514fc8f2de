//! The GitHub tools in the invented world and against a server on loopback, run on receipts of a real audit log.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod arguments;
mod fixture;
mod invented;
mod real;
mod server;
