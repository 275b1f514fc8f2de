//! opsgate's tools: everything that touches another system.
//!
//! A tool implements [`tool::ReadTool`] or [`tool::WriteTool`]; that choice is its class. It parses and resolves its
//! arguments once, tells policy its [`scope::Scopes`], and runs only on a receipt of the audit log.

pub mod change;
mod cursor;
pub mod erased;
pub mod error;
pub mod github;
pub mod http;
mod lean;
mod mock;
pub mod mode;
pub mod progress;
pub mod registry;
pub mod sandbox;
mod schema;
pub mod scope;
pub mod tool;
mod wire;
pub mod workspace;
