//! GitHub's failures in sentences of ours. What GitHub wrote goes to the log alone.

use std::time::Duration;

use http::response::Parts;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use crate::error::{ToolError, ToolErrorKind};
use crate::wire::WireError;

/// Whether a request could have changed something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    Reading,
    Writing,
}

/// How much of GitHub's own words the log keeps, in characters.
const MOST_WORDS: usize = 400;

pub(super) fn cancelled(doing: Doing) -> ToolError {
    ToolError::new(ToolErrorKind::Cancelled, format!("the call was cancelled{}", aftermath(doing)))
}

/// What a caller must know of a write that may have arrived.
fn aftermath(doing: Doing) -> &'static str {
    match doing {
        Doing::Reading => "",
        Doing::Writing => "; it may have been done all the same, so look before you repeat it",
    }
}

fn upstream(client: String) -> ToolError {
    ToolError::new(ToolErrorKind::Upstream, client)
}

/// GitHub's name for a request, to look it up with its support.
pub(super) fn request_id(headers: &HeaderMap) -> String {
    let id = headers.get("x-github-request-id").and_then(|id| id.to_str().ok()).unwrap_or("none");
    id.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '.')).take(80).collect()
}

/// No answer, or one that could not be read. `id` is the request's, where there was an answer.
pub(super) fn of_client(error: &octocrab::Error, doing: Doing, id: &str) -> ToolError {
    let wire = match error {
        octocrab::Error::Service { source, .. } => source.downcast_ref::<WireError>(),
        _ => None,
    };
    let after = aftermath(doing);
    let told = match wire {
        Some(WireError::Unsent(_)) => upstream("github cannot be reached from the gateway; nothing was sent".to_owned()),
        Some(WireError::Broken(_)) => upstream(format!("the connection to github broke{after}")),
        Some(WireError::TimedOut(most)) => upstream(format!("github gave no whole answer within {} s{after}", most.as_secs())),
        Some(WireError::Redirected(_)) => {
            upstream("github answered with a redirect, which is not followed: the repository may be renamed; name it as it is now".to_owned())
        }
        Some(WireError::TooLarge(most)) => {
            ToolError::new(ToolErrorKind::TooLarge, format!("github's answer has more than {most} bytes; ask for less{after}"))
        }
        None => upstream(format!("github answered with something that does not fit its own description{after}")),
    };
    let is_harmless = doing == Doing::Reading || matches!(wire, Some(WireError::Unsent(_) | WireError::Redirected(_)));
    let told = if is_harmless { told } else { told.maybe_done() };
    let why = wire.map_or_else(|| error.to_string(), ToString::to_string);
    told.because(if id.is_empty() { why } else { format!("request {id}: {why}") })
}

/// GitHub's own form of an error.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    message: String,
    errors: Vec<Detail>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Detail {
    Field { field: Option<String>, code: Option<String> },
    Other(serde::de::IgnoredAny),
}

/// An answer that says it failed.
pub(super) fn of_status(parts: &Parts, body: &[u8], doing: Doing) -> ToolError {
    let said: Said = serde_json::from_slice(body).unwrap_or_default();
    let told = match parts.status {
        StatusCode::UNAUTHORIZED => unavailable("github does not accept the gateway's token; whoever runs the gateway must renew it"),
        StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => limited(&parts.headers, parts.status, &said).unwrap_or_else(|| {
            if said.codes().any(|code| code == "too_large") {
                return ToolError::new(ToolErrorKind::TooLarge, "that is larger than github gives out by this way");
            }
            unavailable("github forbids this to the gateway's token: it lacks a permission, or the repository does not take it")
        }),
        StatusCode::NOT_FOUND => ToolError::not_found("github has no such repository, reference or file, or the gateway's token may not see it"),
        StatusCode::GONE => ToolError::not_found("it is gone at github: deleted, or switched off in the repository's settings"),
        StatusCode::CONFLICT => {
            ToolError::new(ToolErrorKind::Moved, "github says that it conflicts with what is there now (or the repository is empty)")
        }
        StatusCode::UNPROCESSABLE_ENTITY => ToolError::invalid(format!("github does not take these arguments{}", said.fields())),
        status if status.is_server_error() => upstream(format!("github failed by itself ({}); try again later{}", status.as_u16(), aftermath(doing))),
        status => upstream(format!("github refused the request with status {}", status.as_u16())),
    };
    let told = if doing == Doing::Writing && parts.status.is_server_error() { told.maybe_done() } else { told };
    let text = if said.message.is_empty() { String::from_utf8_lossy(body).into_owned() } else { said.message };
    told.because(format!("status {}, request {}: {}", parts.status.as_u16(), request_id(&parts.headers), text))
}

fn unavailable(client: &str) -> ToolError {
    ToolError::new(ToolErrorKind::Unavailable, client)
}

/// The primary limit (no requests left until a time) and the secondary one (wait so many seconds).
fn limited(headers: &HeaderMap, status: StatusCode, said: &Said) -> Option<ToolError> {
    let number = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).and_then(|value| value.parse::<i64>().ok());
    let until_reset = || number("x-ratelimit-reset").map(|at| at.saturating_sub(jiff::Timestamp::now().as_second()));
    let used_up = number("x-ratelimit-remaining") == Some(0);
    let secondary = status == StatusCode::TOO_MANY_REQUESTS || said.message.contains("secondary rate limit");
    let wait = number("retry-after").or_else(|| used_up.then(until_reset).flatten());
    if wait.is_none() && !used_up && !secondary {
        return None;
    }
    let seconds = wait.unwrap_or(60).clamp(1, 24 * 3600);
    let told = upstream(format!("github's limit on requests is reached; try again in {seconds} s, and not before"));
    Some(told.retry_after(Duration::from_secs(seconds.unsigned_abs())))
}

impl Said {
    fn codes(&self) -> impl Iterator<Item = &str> {
        self.errors.iter().filter_map(|detail| match detail {
            Detail::Field { code, .. } => code.as_deref(),
            Detail::Other(_) => None,
        })
    }

    /// ` (title: missing_field)`: names and codes alone, as GitHub documents them.
    fn fields(&self) -> String {
        let plain = |text: &str| (1..=40).contains(&text.len()) && text.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        let mut told = Vec::new();
        for detail in self.errors.iter().take(5) {
            if let Detail::Field { field: Some(field), code: Some(code) } = detail
                && plain(field)
                && plain(code)
            {
                told.push(format!("{field}: {code}"));
            }
        }
        if told.is_empty() { String::new() } else { format!(" ({})", told.join(", ")) }
    }
}

/// A detail short enough to keep, on one line. Cut only once the token is out: a part of it would not be known for one.
pub(super) fn words(text: &str) -> String {
    text.chars().take(MOST_WORDS).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: u16, headers: &[(&str, &str)], body: &str) -> ToolError {
        let mut answer = http::Response::builder().status(status);
        for (name, value) in headers {
            answer = answer.header(*name, *value);
        }
        of_status(&answer.body(()).unwrap().into_parts().0, body.as_bytes(), Doing::Reading)
    }

    #[test]
    fn each_status_has_its_kind_and_no_words_of_github() {
        let said = r#"{"message":"UPSTREAM WORDS","errors":[{"resource":"Issue","code":"missing_field","field":"title"},{"field":"UPSTREAM WORDS","code":"x"},"UPSTREAM WORDS"]}"#;
        for (status, kind, word) in [
            (401, ToolErrorKind::Unavailable, "token"),
            (403, ToolErrorKind::Unavailable, "forbids"),
            (404, ToolErrorKind::NotFound, "may not see it"),
            (409, ToolErrorKind::Moved, "conflicts"),
            (410, ToolErrorKind::NotFound, "gone"),
            (418, ToolErrorKind::Upstream, "418"),
            (422, ToolErrorKind::InvalidArguments, "(title: missing_field)"),
            (429, ToolErrorKind::Upstream, "60 s"),
            (500, ToolErrorKind::Upstream, "500"),
            (503, ToolErrorKind::Upstream, "503"),
        ] {
            for body in [said, "<html>UPSTREAM WORDS</html>", "", "{\"message\":7}"] {
                let error = told(status, &[("x-github-request-id", "AB12:3\u{e9}")], body);
                assert_eq!(error.kind, kind, "{status}");
                assert!(!error.client.contains("UPSTREAM"), "{error}");
                assert!(error.client.contains(word) || (status == 422 && body != said), "{error}");
                assert!(error.detail.unwrap().contains(&format!("status {status}")));
            }
        }
    }

    #[test]
    fn a_limit_says_how_long_to_wait() {
        let seconds = |error: &ToolError| {
            let told = error.retry_after.map(|wait| wait.as_secs());
            assert!(told.is_none_or(|told| error.client.contains(&format!(" {told} s"))), "{error}");
            told
        };
        assert_eq!(seconds(&told(403, &[("retry-after", "7")], "{}")), Some(7));
        assert_eq!(seconds(&told(403, &[], r#"{"message":"You have exceeded a secondary rate limit."}"#)), Some(60));
        assert_eq!(seconds(&told(403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1")], "{}")), Some(1));
        assert_eq!(seconds(&told(429, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "99999999999")], "{}")), Some(86400));
        assert_eq!(told(403, &[("x-ratelimit-remaining", "17")], "{}").kind, ToolErrorKind::Unavailable);
    }

    #[test]
    fn a_write_that_may_have_arrived_is_told() {
        assert!(cancelled(Doing::Writing).client.contains("look before you repeat it"));
        assert!(!cancelled(Doing::Reading).client.contains("look"));
    }
}
