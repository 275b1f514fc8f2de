//! The wire to a real system: HTTP/1.1, TLS 1.2 or later with verified certificates, bounded in time and size, never redirected.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use bytes::Bytes;
use http::uri::{Authority, Scheme};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, Error as ClientError, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::wire::WireError;

/// Where a system's API is: https, or plain http on loopback alone, where nobody listens on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiUrl {
    scheme: Scheme,
    authority: Authority,
    prefix: String,
}

/// Why a text is no [`ApiUrl`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{EXPECTED}")]
pub struct BadUrl;

/// What an [`ApiUrl`] looks like, for messages.
pub const EXPECTED: &str = "an address such as https://api.github.com: https (plain http is for loopback), no credential, no query";

impl ApiUrl {
    /// Parses an address.
    ///
    /// # Errors
    /// [`BadUrl`]: not absolute, another scheme, plain http beyond loopback, a credential, a query or a fragment.
    // INVARIANT: no credential goes over an unencrypted network (test: plain_http_is_for_loopback_alone).
    pub fn parse(text: &str) -> Result<Self, BadUrl> {
        let parts = text.parse::<Uri>().map_err(|_| BadUrl)?.into_parts();
        let (Some(scheme), Some(authority), Some(path)) = (parts.scheme, parts.authority, parts.path_and_query) else { return Err(BadUrl) };
        let encrypted = scheme == Scheme::HTTPS || (scheme == Scheme::HTTP && is_loopback(authority.host()));
        if !encrypted || authority.as_str().contains('@') || authority.host().is_empty() || text.contains(['?', '#']) {
            return Err(BadUrl);
        }
        Ok(Self { scheme, authority, prefix: path.path().trim_end_matches('/').to_owned() })
    }

    /// The address of a path below this one. `path` begins with `/`.
    fn join(&self, path: &str) -> Result<Uri, http::Error> {
        let whole = format!("{}{path}", self.prefix);
        Uri::builder().scheme(self.scheme.clone()).authority(self.authority.clone()).path_and_query(whole).build()
    }
}

impl fmt::Display for ApiUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.prefix)
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// How long an exchange may take, and how large an answer may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Until the connection is there, without TLS.
    pub(crate) connect: Duration,
    /// From the first byte sent to the last byte read.
    pub(crate) total: Duration,
    /// The answer's body.
    pub(crate) bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), total: Duration::from_secs(30), bytes: 8 << 20 }
    }
}

/// One system's server, with its idle connections.
pub(crate) struct HttpWire {
    to: ApiUrl,
    connections: Connections,
    bounds: Bounds,
}

enum Connections {
    Plain(Client<HttpConnector, Full<Bytes>>),
    Tls(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

impl HttpWire {
    /// A wire to this address. Nothing is connected yet; for https the machine's root certificates are read.
    ///
    /// # Errors
    /// Where there are no root certificates.
    pub(crate) fn to(to: ApiUrl, bounds: Bounds) -> std::io::Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.set_connect_timeout(Some(bounds.connect));
        tcp.set_nodelay(true);
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(Duration::from_secs(30)).http1_max_buf_size(64 << 10);
        // What may have been sent is not sent again.
        builder.retry_canceled_requests(false);
        let connections = if to.scheme == Scheme::HTTPS {
            tcp.enforce_http(false);
            let tls = HttpsConnectorBuilder::new().with_provider_and_native_roots(rustls::crypto::ring::default_provider())?;
            Connections::Tls(builder.build(tls.https_only().enable_http1().wrap_connector(tcp)))
        } else {
            // From a loopback address nothing gets off this machine, whatever the host's name resolves to.
            tcp.set_local_addresses(Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST);
            Connections::Plain(builder.build(tcp))
        };
        Ok(Self { to, connections, bounds })
    }

    /// One request and its whole answer, whatever its status, but for redirects.
    pub(crate) async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, WireError> {
        let request = self.addressed(request)?;
        tokio::time::timeout(self.bounds.total, self.answered(request)).await.map_err(|_| WireError::TimedOut(self.bounds.total))?
    }

    /// A request names a path; a request that names a host is none of ours, and its credential must not go there.
    fn addressed(&self, request: Request<Bytes>) -> Result<Request<Full<Bytes>>, WireError> {
        let (mut parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().filter(|_| parts.uri.authority().is_none());
        let path = path.ok_or_else(|| WireError::Unsent("a request names a host of its own".to_owned()))?;
        parts.uri = self.to.join(path.as_str()).map_err(|error| WireError::Unsent(error.to_string()))?;
        Ok(Request::from_parts(parts, Full::new(body)))
    }

    async fn answered(&self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, WireError> {
        let answer = match &self.connections {
            Connections::Plain(client) => client.request(request).await,
            Connections::Tls(client) => client.request(request).await,
        };
        let answer = answer.map_err(lost)?;
        // INVARIANT: a redirect is not followed: it could carry the credential elsewhere (test: a_redirect_is_not_followed).
        if answer.status().is_redirection() && answer.status() != StatusCode::NOT_MODIFIED {
            return Err(WireError::Redirected(answer.status().as_u16()));
        }
        let (parts, body) = answer.into_parts();
        Ok(Response::from_parts(parts, self.whole(body).await?))
    }

    async fn whole(&self, body: Incoming) -> Result<Bytes, WireError> {
        match Limited::new(body, self.bounds.bytes).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(WireError::TooLarge(self.bounds.bytes)),
            Err(error) => Err(WireError::Broken(chain(&*error))),
        }
    }
}

impl fmt::Debug for HttpWire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpWire").field("to", &self.to).field("bounds", &self.bounds).finish_non_exhaustive()
    }
}

fn lost(error: ClientError) -> WireError {
    let what = chain(&error);
    if error.is_connect() { WireError::Unsent(what) } else { WireError::Broken(what) }
}

/// An error with what caused it. hyper's and rustls's words hold no header and no body.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |said, cause| format!("{said}: {cause}"))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn plain_http_is_for_loopback_alone() {
        for good in ["https://api.github.com", "https://ghe.example.org/api/v3/", "http://127.0.0.1:8080", "http://[::1]:1/x", "http://localhost:80"]
        {
            assert!(ApiUrl::parse(good).is_ok(), "{good}");
        }
        let bad = [
            "http://api.github.com",
            "http://127.0.0.1.example.org",
            "http://localhost.example.org",
            "ftp://127.0.0.1",
            "https://user:pass@api.github.com",
            "http://127.0.0.1@example.org",
            "https://api.github.com?x=1",
            "https://api.github.com/#x",
            "api.github.com",
            "/repos",
            "https://",
            "",
        ];
        for bad in bad {
            assert_eq!(ApiUrl::parse(bad), Err(BadUrl), "{bad}");
        }
    }

    #[test]
    fn a_path_goes_below_the_prefix() {
        let below = |url: &str| ApiUrl::parse(url).unwrap().join("/repos/a/b?x=1").unwrap().to_string();
        assert_eq!(below("https://ghe.example.org/api/v3/"), "https://ghe.example.org/api/v3/repos/a/b?x=1");
        assert_eq!(below("https://api.github.com"), "https://api.github.com/repos/a/b?x=1");
    }

    async fn wire(total: Duration) -> (TcpListener, HttpWire) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = ApiUrl::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let bounds = Bounds { total, bytes: 1000, ..Bounds::default() };
        (listener, HttpWire::to(url, bounds).unwrap())
    }

    async fn asked(wire: &HttpWire) -> Result<Response<Bytes>, WireError> {
        wire.exchange(Request::get("/x").body(Bytes::new()).unwrap()).await
    }

    /// Answers one request with these bytes, and holds the connection open.
    async fn answers(listener: &TcpListener, bytes: &[u8]) -> tokio::net::TcpStream {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = [0; 4096];
        assert!(stream.read(&mut head).await.unwrap() > 0);
        stream.write_all(bytes).await.unwrap();
        stream
    }

    #[tokio::test]
    async fn an_answer_is_bounded_whatever_it_says_of_its_length() {
        let long = Duration::from_secs(60);
        let declared = format!("HTTP/1.1 200 OK\r\ncontent-length: 1001\r\n\r\n{}", "x".repeat(1001));
        let endless = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}", "fa\r\n".to_owned() + &"x".repeat(250) + "\r\n");
        let endless = endless.clone() + &("fa\r\n".to_owned() + &"x".repeat(250) + "\r\n").repeat(5);
        for bytes in [declared, endless] {
            let (listener, wire) = wire(long).await;
            let (answer, _held) = tokio::join!(asked(&wire), answers(&listener, bytes.as_bytes()));
            assert!(matches!(answer, Err(WireError::TooLarge(1000))), "{answer:?}");
        }
    }

    #[tokio::test]
    async fn a_server_that_says_nothing_is_left() {
        let (listener, wire) = wire(Duration::from_millis(50)).await;
        let (answer, _held) = tokio::join!(asked(&wire), answers(&listener, b""));
        assert!(matches!(answer, Err(WireError::TimedOut(_))), "{answer:?}");
    }

    #[tokio::test]
    async fn a_request_to_a_host_of_its_own_is_not_sent() {
        let (_listener, wire) = wire(Duration::from_secs(60)).await;
        let answer = wire.exchange(Request::get("http://127.0.0.1:1/x").body(Bytes::new()).unwrap()).await;
        assert!(matches!(answer, Err(WireError::Unsent(_))), "{answer:?}");
    }

    #[tokio::test]
    async fn a_certificate_that_nobody_trusts_ends_it_before_anything_is_sent() {
        let certified = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![certified.cert.der().clone()], key).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = ApiUrl::parse(&format!("https://{}", listener.local_addr().unwrap())).unwrap();
        let wire = HttpWire::to(url, Bounds::default()).unwrap();
        let server = async {
            let (stream, _) = listener.accept().await.unwrap();
            tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config)).accept(stream).await.map(drop)
        };
        let (answer, shaken) = tokio::join!(asked(&wire), server);
        assert!(matches!(&answer, Err(WireError::Unsent(why)) if why.contains("certificate")), "{answer:?}");
        assert!(shaken.is_err());
    }

    #[tokio::test]
    async fn what_was_not_sent_is_told_from_what_may_have_arrived() {
        let (listener, wire) = wire(Duration::from_secs(60)).await;
        let hang_up = async { drop(answers(&listener, b"").await) };
        let (answer, ()) = tokio::join!(asked(&wire), hang_up);
        assert!(matches!(answer, Err(WireError::Broken(_))), "{answer:?}");
        drop(listener);
        let answer = asked(&wire).await;
        assert!(matches!(answer, Err(WireError::Unsent(_))), "{answer:?}");
    }
}
