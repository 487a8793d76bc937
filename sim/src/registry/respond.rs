//! What the registry answers, before any fault.

use bytes::Bytes;
use http::{HeaderName, Method, StatusCode, header};
use serde_json::{Value, json};

use super::State;
use super::access::Access;
use super::log::Authorization;
use super::request::{Head, Range, Route};
use super::token;
use crate::image::Blob;

const DIGEST_HEADER: HeaderName = HeaderName::from_static("docker-content-digest");
const API_HEADER: HeaderName = HeaderName::from_static("docker-distribution-api-version");

/// An answer whose body is all there.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(HeaderName, String)>,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn new(status: StatusCode) -> Answer {
        Answer { status, headers: Vec::new(), body: Bytes::new() }
    }

    pub(super) fn json(status: StatusCode, value: &Value) -> Answer {
        let body = Bytes::from(value.to_string());
        Answer { body, ..Answer::new(status) }.with(header::CONTENT_TYPE, "application/json")
    }

    pub(super) fn with(mut self, name: HeaderName, value: impl Into<String>) -> Answer {
        self.headers.push((name, value.into()));
        self
    }
}

/// An error body of distribution-spec v1.1, "Error Codes".
pub(super) fn error(status: StatusCode, code: &str, message: &str) -> Answer {
    Answer::json(status, &json!({ "errors": [{ "code": code, "message": message }] }))
}

/// What the request's credentials prove.
pub(super) fn authorization(state: &State, head: &Head) -> Authorization {
    let Some(value) = head.header(header::AUTHORIZATION) else { return Authorization::Absent };
    let principal = state.access.basic(value).or_else(|| Some(state.access.bearer(value)?.principal.clone()));
    principal.map_or(Authorization::Invalid, Authorization::Valid)
}

pub(super) fn answer(state: &mut State, head: &Head, form: &str, ignore_range: bool) -> Answer {
    let route = Route::parse(&head.path);
    match &route {
        Route::Token => return token::answer(state, head, form),
        Route::Storage { repository, digest } => {
            if head.headers.contains_key(header::AUTHORIZATION) {
                return error(
                    StatusCode::BAD_REQUEST,
                    "UNSUPPORTED",
                    "only one auth mechanism allowed beside the signed URL",
                );
            }
            return match state.store.blob(repository, digest) {
                Some(blob) => content(head, blob, "application/octet-stream", ignore_range),
                None => error(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", "no such object"),
            };
        }
        Route::Unknown => return Answer::new(StatusCode::NOT_FOUND),
        _ => {}
    }
    if let Some(refusal) = refuse(state, head, &route) {
        return refusal;
    }
    if !matches!(head.method, Method::GET | Method::HEAD) {
        return error(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "this registry is read-only");
    }
    match &route {
        Route::Manifest { repository, reference } => manifest(state, head, repository, reference),
        Route::Blob { repository, digest } => blob(state, head, repository, digest, ignore_range),
        Route::Tags { repository } => match state.store.tags(repository) {
            Some(tags) => Answer::json(StatusCode::OK, &json!({ "name": repository, "tags": tags })),
            None => unknown_name(),
        },
        _ => Answer::json(StatusCode::OK, &json!({})).with(API_HEADER, "registry/2.0"),
    }
}

/// The challenge, when the request's credentials do not suffice.
fn refuse(state: &State, head: &Head, route: &Route) -> Option<Answer> {
    let value = head.header(header::AUTHORIZATION);
    match state.options.access {
        Access::Open => None,
        Access::Basic => {
            let principal = value.and_then(|value| state.access.basic(value));
            let may_read = principal.is_some_and(|principal| {
                route.repository().is_none_or(|repository| {
                    state.access.may_read(&principal, repository, false, &state.options.private_repositories)
                })
            });
            (!may_read).then(|| unauthorized("Basic realm=\"sim\""))
        }
        Access::Token { .. } => {
            let token = value.and_then(|value| state.access.bearer(value));
            let is_open = token.is_some_and(|token| {
                route.repository().is_none_or(|repository| token.repositories.contains(repository))
            });
            if is_open {
                return None;
            }
            let realm = state.options.realm.clone().unwrap_or_else(|| format!("http://{}", head.host));
            let mut challenge = format!("Bearer realm=\"{realm}/token\",service=\"sim\"");
            if let Some(repository) = route.repository() {
                challenge.push_str(&format!(",scope=\"repository:{repository}:pull\""));
            }
            match (value, token) {
                (None, _) => {}
                (Some(_), None) => challenge.push_str(",error=\"invalid_token\""),
                (Some(_), Some(_)) => challenge.push_str(",error=\"insufficient_scope\""),
            }
            Some(unauthorized(&challenge))
        }
    }
}

fn unauthorized(challenge: &str) -> Answer {
    error(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "authentication required")
        .with(header::WWW_AUTHENTICATE, challenge)
}

fn manifest(state: &State, head: &Head, repository: &str, reference: &str) -> Answer {
    match state.store.manifest(repository, reference) {
        Some(manifest) => content(head, manifest, manifest.media_type(), true),
        None if state.store.has_repository(repository) => {
            error(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", "manifest unknown")
        }
        None => unknown_name(),
    }
}

fn blob(state: &State, head: &Head, repository: &str, digest: &str, ignore_range: bool) -> Answer {
    let Some(blob) = state.store.blob(repository, digest) else {
        return error(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", "blob unknown to registry");
    };
    match &state.options.redirect {
        Some(base) => Answer::new(StatusCode::TEMPORARY_REDIRECT)
            .with(header::LOCATION, format!("{base}/storage/{repository}/{digest}?X-Signature=secret")),
        None => content(head, blob, "application/octet-stream", ignore_range),
    }
}

/// The body is cut for HEAD only when the answer is sent, so that its length stays known.
fn content(head: &Head, blob: &Blob, media_type: &str, ignore_range: bool) -> Answer {
    let range = if ignore_range { None } else { head.header(header::RANGE) };
    let length = blob.size();
    let answer = match Range::parse(range, length) {
        Range::Whole => Answer { body: blob.bytes().clone(), ..Answer::new(StatusCode::OK) },
        Range::Part(from, to) => {
            let index = |at: u64| usize::try_from(at).expect("within a blob in memory");
            let body = blob.bytes().slice(index(from)..index(to));
            Answer { body, ..Answer::new(StatusCode::PARTIAL_CONTENT) }
                .with(header::CONTENT_RANGE, format!("bytes {from}-{}/{length}", to.saturating_sub(1)))
        }
        Range::Unsatisfiable => {
            return Answer::new(StatusCode::RANGE_NOT_SATISFIABLE)
                .with(header::CONTENT_RANGE, format!("bytes */{length}"));
        }
    };
    answer
        .with(header::CONTENT_TYPE, media_type)
        .with(header::ACCEPT_RANGES, "bytes")
        .with(header::ETAG, format!("\"{}\"", blob.digest()))
        .with(DIGEST_HEADER, blob.digest())
}

fn unknown_name() -> Answer {
    error(StatusCode::NOT_FOUND, "NAME_UNKNOWN", "repository name not known to registry")
}
