//! A token server's answer. Owns the reading of it and the rule until when the token is used; the clock is the caller's.

mod answer;
mod rfc3339;

use std::time::{Duration, Instant, SystemTime};

use crate::bounds::TOKEN_ANSWER_BYTES_MAX;
use crate::credential::{bearer_authorization, is_header_safe};
use crate::json::{self, JsonFault};
use crate::secret::Secret;

use answer::Answer;

/// Life of a token whose answer does not say (distribution, `docs/content/spec/auth/token.md`, `expires_in`).
const LIFETIME_DEFAULT: Duration = Duration::from_secs(60);

/// Longest time a token is used for, whatever its server says: asking once a day costs nothing, and a number that
/// stands for "never" would overflow the clock.
const LIFETIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Taken off the end of a token's life, at most a quarter of it: the request that carries it must still arrive, and the
/// registry's clock need not agree with the token server's.
const EXPIRY_MARGIN: Duration = Duration::from_secs(10);

/// A bearer token and the time until which it is used.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// # #[expect(clippy::disallowed_methods, reason = "an example has no simulated clock")]
/// let requested_at = Instant::now();
/// let token = auth::Token::parse(br#"{"token":"abc","expires_in":300}"#, requested_at)?;
/// assert!(token.is_valid_at(requested_at + Duration::from_secs(289)));
/// assert!(!token.is_valid_at(requested_at + Duration::from_secs(290)));
/// # Ok::<(), auth::TokenError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    secret: Secret,
    refresh_token: Option<Secret>,
    requested_at: Instant,
    lifetime: Duration,
    issued_at: Option<SystemTime>,
}

/// Why a token server's answer has no token that can be used. The answer itself is never shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The answer is longer than [`TOKEN_ANSWER_BYTES_MAX`].
    #[error("the token answer has {bytes} bytes, more than the {TOKEN_ANSWER_BYTES_MAX} that are read")]
    Length {
        /// Its length in bytes.
        bytes: usize,
    },
    /// The answer is not the JSON object that the specification describes.
    #[error("the token answer is not the expected JSON at line {line}, column {column}")]
    Json {
        /// Line of the fault, from 1.
        line: usize,
        /// Column of the last byte read, from 1; 0 where nothing of the line was.
        column: usize,
    },
    /// Neither `token` nor `access_token` holds anything.
    #[error("the token answer has no token")]
    NoToken,
    /// The token has a character that no HTTP header may have.
    #[error("the token answer's token has a character that cannot be sent in an HTTP header")]
    HeaderCharacter,
}

impl Token {
    /// Reads the body of a successful answer to a request that was sent at `requested_at`.
    ///
    /// The life of the token counts from the request, which is never later than its issue. `access_token` goes before
    /// `token` where they differ, as in docker and containerd. `expires_in` may be a string, as some servers send it;
    /// where it is missing, unreadable or not positive, 60 seconds count.
    ///
    /// # Errors
    /// [`TokenError`]: the server answered something else. It may do better another time.
    pub fn parse(body: &[u8], requested_at: Instant) -> Result<Token, TokenError> {
        if body.len() > TOKEN_ANSWER_BYTES_MAX {
            return Err(TokenError::Length { bytes: body.len() });
        }
        let answer: Answer =
            json::object(body).map_err(|JsonFault { line, column }| TokenError::Json { line, column })?;
        let secret = answer.token().ok_or(TokenError::NoToken)?;
        if !is_header_safe(secret.expose()) {
            return Err(TokenError::HeaderCharacter);
        }
        Ok(Token {
            secret,
            lifetime: answer.expires_in.unwrap_or(LIFETIME_DEFAULT).min(LIFETIME_MAX),
            issued_at: answer.issued_at(),
            refresh_token: answer.refresh_token(),
            requested_at,
        })
    }

    /// The token, shortened by the time it had already lived when the server sent it.
    ///
    /// Some servers answer with a token that they issued before. How old it was is told by `issued_at` and
    /// `answered_at`, the answer's `Date` header: both are the server's clock, so this node's may be wrong.
    /// Without `issued_at`, or if it is later, nothing changes.
    #[must_use]
    pub fn aged(self, answered_at: SystemTime) -> Token {
        let age = self.issued_at.and_then(|issued_at| answered_at.duration_since(issued_at).ok());
        Token { lifetime: self.lifetime.saturating_sub(age.unwrap_or_default()), ..self }
    }

    /// The token itself.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// The whole value of an `Authorization` header with it.
    pub fn authorization(&self) -> Secret {
        bearer_authorization(&self.secret)
    }

    /// The refresh token that came along, to be used as an [identity token](crate::Credential::IdentityToken).
    pub fn refresh_token(&self) -> Option<&Secret> {
        self.refresh_token.as_ref()
    }

    /// When the server says that it issued the token.
    pub fn issued_at(&self) -> Option<SystemTime> {
        self.issued_at
    }

    /// When to stop using the token: its end less 10 seconds, or less a quarter of a life shorter than 40.
    pub fn expires_at(&self) -> Instant {
        let used_for = self.lifetime - EXPIRY_MARGIN.min(self.lifetime / 4);
        self.requested_at + used_for
    }

    /// Whether to use the token at `now`, by the clock that `requested_at` was taken from.
    pub fn is_valid_at(&self, now: Instant) -> bool {
        now < self.expires_at()
    }
}
