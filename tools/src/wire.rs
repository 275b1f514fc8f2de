//! Where a system's requests go: out to the real one, or to recorded answers. What is above it does not know which.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::{HeaderValue, USER_AGENT};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Body;
use tower::{BoxError, Service};

use crate::http::HttpWire;
use crate::mock::Recorded;

/// Who asks.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("opsgate/", env!("CARGO_PKG_VERSION")));

/// Why there is no answer. The texts are for the log.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum WireError {
    /// Nothing was sent: no connection, no trusted certificate.
    #[error("not sent: {0}")]
    Unsent(String),
    /// The connection broke; the request may have arrived.
    #[error("broken: {0}")]
    Broken(String),
    /// The answer was not there in time; the request may have arrived.
    #[error("no whole answer within {0:?}")]
    TimedOut(Duration),
    /// The answer leads elsewhere.
    #[error("redirected with status {0}")]
    Redirected(u16),
    /// The answer is larger than this many bytes.
    #[error("the answer has more than {0} bytes")]
    TooLarge(usize),
}

/// A system's wire.
#[derive(Clone)]
pub(crate) enum Wire {
    /// To a server.
    Http(Arc<HttpWire>),
    /// To recorded answers in this process: no network.
    Mock(Arc<dyn Recorded>),
}

impl Wire {
    /// The wire as one caller's requests take it: recorded answers remember what each caller wrote.
    pub(crate) fn for_caller(&self, caller: Arc<str>) -> CallerWire {
        CallerWire { wire: self.clone(), caller }
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(wire) => wire.fmt(f),
            Self::Mock(_) => f.write_str("Mock"),
        }
    }
}

/// A [`Wire`] for one caller, as the clients of the systems take it.
#[derive(Debug, Clone)]
pub(crate) struct CallerWire {
    wire: Wire,
    caller: Arc<str>,
}

impl<B> Service<Request<B>> for CallerWire
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Full<Bytes>>;
    type Error = WireError;
    type Future = BoxFuture<'static, Result<Self::Response, WireError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Self { wire, caller } = self.clone();
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let body = body.collect().await.map_err(|error| WireError::Unsent(error.into().to_string()))?.to_bytes();
            parts.headers.insert(USER_AGENT, AGENT);
            let request = Request::from_parts(parts, body);
            let answer = match wire {
                Wire::Http(wire) => wire.exchange(request).await?,
                Wire::Mock(recorded) => recorded.answer(&caller, &request),
            };
            Ok(answer.map(Full::new))
        })
    }
}
