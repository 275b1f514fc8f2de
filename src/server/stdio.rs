//! This process's standard streams, without a thread in between where the system allows.

use std::os::fd::AsFd;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;

/// Standard input and output: as a socket where the parent gave one (Node does), else as pipes, else through threads.
#[must_use]
pub fn standard_streams() -> (Box<dyn AsyncRead + Unpin + Send>, Box<dyn AsyncWrite + Unpin + Send>) {
    match (socket(std::io::stdin().as_fd()), socket(std::io::stdout().as_fd())) {
        (Some(input), Some(output)) => (Box::new(input), Box::new(output)),
        _ => {
            let (input, output) = rmcp::transport::io::stdio_pipes();
            (Box::new(input), Box::new(output))
        }
    }
}

fn socket(descriptor: std::os::fd::BorrowedFd<'_>) -> Option<UnixStream> {
    let kind = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(descriptor).ok()?.st_mode);
    if kind != rustix::fs::FileType::Socket {
        return None;
    }
    let stream = std::os::unix::net::UnixStream::from(descriptor.try_clone_to_owned().ok()?);
    stream.set_nonblocking(true).ok()?;
    UnixStream::from_std(stream).ok()
}
