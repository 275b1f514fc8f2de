//! MCP on the outside, [`RawCall`](crate::call::RawCall) and [`Reply`](crate::call::Reply) on the inside. The only
//! folder that knows JSON-RPC, stdio or HTTP.

mod admin;
mod announce;
mod body;
mod handler;
mod http;
mod line;
mod listen;
mod peer;
mod progress;
mod relay;
mod sessions;
mod socket;
mod start;
mod stdio;

pub use admin::serve_admin;
pub use handler::{Connection, Door};
pub use http::{HttpDoor, serve_http};
pub use line::{LineTransport, Lines, MOST_LINE_BYTES, NextLine};
pub use listen::{Idle, serve_socket};
pub use peer::{serve_stream, workspace_for};
pub use relay::relay;
pub(crate) use socket::word;
pub use socket::{About, Hello, HelloReply, JoinError, join};
pub use start::{StartFailed, Started, join_or_start};
pub use stdio::standard_streams;
