//! Asks a token server for a token, over the connections of the host that named it: its CA is usually the same private one.
//!
//! A password goes by an OAuth2 POST first, and by the GET of distribution's first specification where the server does not
//! know that, as with containerd (`core/remotes/docker/authorizer.go`, v2.3.4).

use std::time::SystemTime;

use auth::{Token, TokenMethod, TokenRequest};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, header};
use http_body_util::Full;
use tokio::time::Instant;

use crate::authorizer::sensitive;
use crate::body;
use crate::client::Shared;
use crate::endpoint::Endpoint;
use crate::error::{Failure, ProtocolError};
use crate::exchange;
use crate::url::RedactedUrl;

/// The token server that `challenger` has named.
pub(crate) struct TokenServer<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) challenger: &'a RedactedUrl,
    /// What of the requests no error may repeat.
    pub(crate) secret: Option<&'a str>,
}

impl TokenServer<'_> {
    /// The token that `request` asks for, or `by_post` where there is that and the server takes it.
    pub(crate) async fn token(
        &self,
        by_post: Option<TokenRequest>,
        request: TokenRequest,
    ) -> Result<Token, Failure> {
        let realm = realm(&request)?;
        let Some(by_post) = by_post.filter(|_| self.shared.tokens.takes_post(&realm.origin())) else {
            return self.ask(request).await;
        };
        match self.ask(by_post).await {
            Err(failure) if may_be_for_the_method(&failure) => {}
            asked => return asked,
        }
        let token = self.ask(request).await?;
        // Only now is it known that it was not the password.
        self.shared.tokens.takes_no_post(realm.origin());
        Ok(token)
    }

    async fn ask(&self, token_request: TokenRequest) -> Result<Token, Failure> {
        let requested_at = Instant::now().into_std();
        let realm = realm(&token_request)?;
        let pace = self.shared.pace();
        let mut request =
            Request::builder().uri(realm.uri()).body(Full::default()).map_err(|_| ProtocolError::Header)?;
        let headers = request.headers_mut();
        // Configured headers may be keys; they are for the configured host, not for whoever a peer names.
        if realm.origin() == self.challenger.origin() {
            headers.extend(self.endpoint.host.header.clone());
        }
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(value) = &token_request.authorization {
            headers.insert(header::AUTHORIZATION, sensitive(value)?);
        }
        if let (TokenMethod::Post, Some(form)) = (token_request.method, &token_request.form) {
            let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
            headers.insert(header::CONTENT_TYPE, form_type);
            *request.body_mut() = Full::new(Bytes::copy_from_slice(form.expose().as_bytes()));
            *request.method_mut() = Method::POST;
        }
        let response = self.endpoint.transport.send(request).await?;
        if !response.status().is_success() {
            // What a server repeats of a form is the form's own spelling.
            let form = token_request.form.as_ref().map(|form| form.expose()).unwrap_or_default();
            let fields = form.split('&').filter_map(|field| field.split_once('='));
            let in_form = fields.filter(|(name, _)| matches!(*name, "password" | "refresh_token"));
            let secrets: Vec<_> = self.secret.into_iter().chain(in_form.map(|(_, value)| value)).collect();
            let failure = exchange::refusal(response, self.secret.is_some(), &secrets, pace).await;
            return Err(failure.into_token_refusal(self.secret.is_some()));
        }
        let answered_at = date(response.headers());
        let body = body::read(response.into_body(), auth::TOKEN_ANSWER_BYTES_MAX as u64, pace).await?;
        let token = Token::parse(&body, requested_at).map_err(Failure::TokenAnswer)?;
        Ok(match answered_at {
            Some(answered_at) => token.aged(answered_at),
            None => token,
        })
    }
}

/// Whether the server may have refused because of how it was asked. Of those that know no POST, some answer 401 (JFrog
/// Artifactory), some 404 (GCR), and OAuth2 has 400 for a kind of grant that is not supported (RFC 6749, section 5.2).
fn may_be_for_the_method(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::Unauthorized { .. }
            | Failure::NotFound { .. }
            | Failure::Server { status: 405 | 415 | 501, .. }
    )
}

/// Where `request` goes.
pub(crate) fn realm(request: &TokenRequest) -> Result<RedactedUrl, Failure> {
    RedactedUrl::parse(&request.url).map_err(|error| ProtocolError::Url(error).into())
}

fn date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(header::DATE)?.to_str().ok()?).ok()
}

impl Failure {
    /// A token server that refuses with 400 refuses the credentials: OAuth2's `invalid_grant` (RFC 6749, section 5.2).
    fn into_token_refusal(self, credentials_given: bool) -> Failure {
        match self {
            Failure::Server { status: 400, says, .. } => Failure::Unauthorized { credentials_given, says },
            other => other,
        }
    }
}
