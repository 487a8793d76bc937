//! `WWW-Authenticate` values read into the challenges that a registry client can answer.
//! Relies on `lexer` for the grammar; knows nothing of what is done about a challenge.

mod lexer;

use crate::bounds::{CHALLENGE_COUNT_MAX, CHALLENGE_HEADER_BYTES_MAX, PARAMETER_COUNT_MAX, SCOPE_COUNT_MAX};
use crate::scope::ScopeError;
use crate::scope_set::ScopeSet;

use lexer::{Lexer, Raw};

/// One way to prove oneself that a registry offers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Challenge {
    /// User name and password, sent to the registry itself (RFC 7617).
    Basic {
        /// What the password is for; a label, and empty where the registry gives none.
        realm: String,
    },
    /// A token from another server (RFC 6750, distribution's token specification).
    Bearer(BearerChallenge),
}

/// Where a token is to be had, and what it must allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BearerChallenge {
    /// URL of the token server, as given; checked when a request is made of it.
    pub realm: String,
    /// The service that the token is for.
    pub service: Option<String>,
    /// What the token must allow; empty where the registry does not say.
    pub scope: ScopeSet,
    /// Why the token that was sent was not accepted, such as `invalid_token` or `insufficient_scope`.
    pub error: Option<String>,
}

/// Why a `WWW-Authenticate` value cannot be understood. Offsets are in bytes of that header's value, which is not
/// repeated: it is the peer's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChallengeError {
    /// A header is longer than [`CHALLENGE_HEADER_BYTES_MAX`].
    #[error(
        "a www-authenticate header has {bytes} bytes, more than the {CHALLENGE_HEADER_BYTES_MAX} that are read"
    )]
    Length {
        /// Its length in bytes.
        bytes: usize,
    },
    /// There are more than [`CHALLENGE_COUNT_MAX`] challenges or headers.
    #[error("there are more than {CHALLENGE_COUNT_MAX} www-authenticate challenges")]
    ChallengeCount,
    /// One challenge has more parameters than any scheme defines.
    #[error("a www-authenticate challenge has more than {PARAMETER_COUNT_MAX} parameters")]
    ParameterCount,
    /// The grammar of RFC 9110, section 11.6.1, wants something else here.
    #[error("a www-authenticate header has no {expected} at byte {offset}")]
    Syntax {
        /// What should stand there.
        expected: &'static str,
        /// Where it should stand.
        offset: usize,
    },
    /// A quoted string does not end.
    #[error("a www-authenticate header has a quoted string without end at byte {offset}")]
    OpenQuote {
        /// Where the string begins.
        offset: usize,
    },
    /// A parameter occurs twice, so it is not clear which one counts.
    #[error("the www-authenticate parameter `{name}` occurs twice in one challenge")]
    Duplicate {
        /// The parameter.
        name: &'static str,
    },
    /// A Bearer challenge does not say where to get the token.
    #[error("a bearer challenge has no realm")]
    NoRealm,
    /// A scope of a Bearer challenge cannot be read.
    #[error("a bearer challenge has a scope that cannot be read")]
    Scope(#[source] ScopeError),
    /// A Bearer challenge has more scopes than any request needs.
    #[error("a bearer challenge has more than {SCOPE_COUNT_MAX} scopes")]
    ScopeCount,
}

/// Reads the values of all `WWW-Authenticate` headers of one answer, in their order.
///
/// Each may hold several challenges; schemes other than Basic and Bearer are skipped. Values without quotes may hold any
/// visible character but a comma or a quote, because registries send URLs that way although RFC 9110 does not allow it.
///
/// ```
/// use auth::{Challenge, parse_challenges};
///
/// let challenges = parse_challenges([
///     r#"Negotiate, Basic realm="a \"b\"", Bearer realm="https://auth.example/token", service=registry"#,
/// ])?;
/// assert!(matches!(&challenges[0], Challenge::Basic { realm } if realm == r#"a "b""#));
/// assert!(matches!(&challenges[1], Challenge::Bearer(bearer) if bearer.service.as_deref() == Some("registry")));
/// # Ok::<(), auth::ChallengeError>(())
/// ```
///
/// # Errors
/// The first [`ChallengeError`], if no other header has a challenge that can be used: a proxy's broken header must not
/// hide the registry's good one. A header counts as a whole. No header, or none of a known scheme, is no error.
pub fn parse_challenges<'a>(
    headers: impl IntoIterator<Item = &'a str>,
) -> Result<Vec<Challenge>, ChallengeError> {
    let mut challenges = Vec::new();
    let mut fault = None;
    let mut count = 0;
    for header in headers {
        // Also a header without any challenge counts, so that their number is bounded too.
        count += 1;
        if count > CHALLENGE_COUNT_MAX {
            return Err(ChallengeError::ChallengeCount);
        }
        match parse_header(header, &mut count) {
            Ok(found) => challenges.extend(found),
            Err(error) => fault = fault.or(Some(error)),
        }
    }
    match fault {
        Some(fault) if challenges.is_empty() => Err(fault),
        _ => Ok(challenges),
    }
}

fn parse_header(header: &str, count: &mut usize) -> Result<Vec<Challenge>, ChallengeError> {
    if header.len() > CHALLENGE_HEADER_BYTES_MAX {
        return Err(ChallengeError::Length { bytes: header.len() });
    }
    let mut challenges = Vec::new();
    let mut lexer = Lexer::new(header);
    while let Some(raw) = lexer.next_challenge()? {
        if !challenges.is_empty() {
            *count += 1;
        }
        if *count > CHALLENGE_COUNT_MAX {
            return Err(ChallengeError::ChallengeCount);
        }
        challenges.push(interpret(raw)?);
    }
    Ok(challenges.into_iter().flatten().collect())
}

/// The challenge if its scheme is known.
fn interpret(mut raw: Raw<'_>) -> Result<Option<Challenge>, ChallengeError> {
    if raw.scheme.eq_ignore_ascii_case("basic") {
        return Ok(Some(Challenge::Basic { realm: raw.take("realm")?.unwrap_or_default() }));
    }
    if !raw.scheme.eq_ignore_ascii_case("bearer") {
        return Ok(None);
    }
    let realm = raw.take("realm")?.ok_or(ChallengeError::NoRealm)?;
    let service = raw.take("service")?;
    let error = raw.take("error")?;
    let scope = raw.take("scope")?.unwrap_or_default();
    let scope = ScopeSet::parse(&scope).map_err(ChallengeError::Scope)?;
    if scope.exceeds_bound() {
        return Err(ChallengeError::ScopeCount);
    }
    Ok(Some(Challenge::Bearer(BearerChallenge { realm, service, scope, error })))
}
