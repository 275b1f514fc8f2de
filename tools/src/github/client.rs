//! One client for every tool of the system: octocrab over the wire that the settings opened.

use std::sync::Arc;

use http::{Method, Request, header};
use http_body_util::BodyExt;
use octocrab::{AuthState, FromResponse, Octocrab, OctocrabBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::failure::{self, Doing};
use super::link::PageAt;
use super::mock::World;
use super::settings::{Access, Settings};
use crate::error::{ToolError, ToolErrorKind};
use crate::http::{Bounds, HttpWire};
use crate::tool::CallContext;
use crate::wire::Wire;

/// What GitHub is reached by.
pub(super) enum Client {
    Open { wire: Wire, token: Option<SecretString> },
    Closed { why: String },
}

impl Client {
    /// Opens what the settings allow. Nothing is connected yet.
    pub(super) fn open(settings: &Settings) -> Self {
        match &settings.access {
            Access::Mock => Self::Open { wire: Wire::Mock(Arc::new(World::new())), token: None },
            Access::Real { api, token } => match HttpWire::to(api.clone(), Bounds::default()) {
                Ok(wire) => Self::Open { wire: Wire::Http(Arc::new(wire)), token: Some(token.clone()) },
                Err(_) => Self::Closed { why: "this machine has no root certificates to know github by; install `ca-certificates`".to_owned() },
            },
            Access::Closed { why } => Self::Closed { why: why.clone() },
        }
    }

    /// The client as one call uses it: in its caller's name, until it is cancelled. Reaches nothing yet.
    ///
    /// # Errors
    /// [`ToolErrorKind::Unavailable`] with what is missing.
    pub(super) fn session(&self, cx: &CallContext) -> Result<Session, ToolError> {
        match self {
            Self::Closed { why } => Err(ToolError::new(ToolErrorKind::Unavailable, why.clone())),
            Self::Open { wire, token } => {
                let auth = token.clone().map_or(AuthState::None, |token| AuthState::AccessToken { token });
                let built = OctocrabBuilder::new_empty().with_service(wire.for_caller(cx.caller.clone())).with_auth(auth).build();
                let Ok(octocrab) = built;
                Ok(Session { octocrab, token: token.clone(), cancel: cx.cancel.clone() })
            }
        }
    }
}

/// One call's client.
pub(super) struct Session {
    octocrab: Octocrab,
    token: Option<SecretString>,
    cancel: CancellationToken,
}

/// What GitHub answered, and where its next page is.
pub(super) struct Answer<T> {
    pub(super) body: T,
    pub(super) next: Option<PageAt>,
}

impl Session {
    /// Asks for what is at this address of the API, a path with its query.
    pub(super) async fn get<T: DeserializeOwned>(&self, address: &str) -> Result<Answer<T>, ToolError> {
        self.exchange(Method::GET, address, None::<&()>, Doing::Reading).await
    }

    /// Sends a body. Once: a request that may have arrived is not repeated.
    pub(super) async fn post<T: DeserializeOwned>(&self, address: &str, body: &impl Serialize) -> Result<Answer<T>, ToolError> {
        self.exchange(Method::POST, address, Some(body), Doing::Writing).await
    }

    async fn exchange<T: DeserializeOwned>(
        &self,
        method: Method,
        address: &str,
        body: Option<&(impl Serialize + ?Sized)>,
        doing: Doing,
    ) -> Result<Answer<T>, ToolError> {
        let request = Request::builder().method(method).uri(address).header(header::ACCEPT, "application/vnd.github+json");
        let request = self.octocrab.build_request(request, body).map_err(ToolError::internal)?;
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(failure::cancelled(doing)),
            answer = self.answered(request, doing) => answer.map_err(|error| self.for_the_log(error)),
        }
    }

    // INVARIANT: a server that repeats the token puts it into no log (test: a_server_that_repeats_the_token_shows_it_to_nobody).
    fn for_the_log(&self, mut error: ToolError) -> ToolError {
        let Some(detail) = &mut error.detail else { return error };
        if let Some(token) = &self.token {
            *detail = detail.replace(token.expose_secret(), "[token]");
        }
        *detail = failure::words(detail);
        error
    }

    async fn answered<T: DeserializeOwned>(&self, request: Request<octocrab::OctoBody>, doing: Doing) -> Result<Answer<T>, ToolError> {
        let answer = self.octocrab.execute(request).await.map_err(|error| failure::of_client(&error, doing, ""))?;
        let (parts, body) = answer.into_parts();
        let id = failure::request_id(&parts.headers);
        if !parts.status.is_success() {
            let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            return Err(failure::of_status(&parts, &body, doing));
        }
        let next = PageAt::next(&parts.headers);
        let body = T::from_response(http::Response::from_parts(parts, body)).await.map_err(|error| failure::of_client(&error, doing, &id))?;
        Ok(Answer { body, next })
    }
}
