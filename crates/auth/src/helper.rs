//! The protocol of docker's credential helpers, without running any: what to run, what to write to it, how to read it.

mod answer;

use crate::bounds::HELPER_ANSWER_BYTES_MAX;
use crate::credential::Credential;
use crate::credentials::Credentials;
use crate::host::{Host, HostFault};
use crate::json::{self, JsonFault};

use answer::Answer;

/// Longest name of a helper, in bytes.
const HELPER_NAME_BYTES_MAX: usize = 64;

/// What docker and its helpers call Docker Hub.
const DOCKER_HUB_SERVER: &str = "https://index.docker.io/v1/";

/// The user name by which a helper says that its secret is an identity token.
const IDENTITY_TOKEN_USER: &str = "<token>";

/// How a helper's answer begins that has nothing for the server (docker-credential-helpers, `credentials/error.go`).
const NOT_FOUND: &str = "credentials not found";

/// One question to one credential helper: run [`program`](Self::program) with the argument `get`, write
/// [`stdin`](Self::stdin) to it, and give what it wrote to [`answer`](Self::answer).
///
/// ```
/// use auth::HelperRequest;
///
/// let request = HelperRequest::new("pass", "quay.io")?;
/// assert_eq!((request.program(), request.argument()), ("docker-credential-pass", "get"));
/// assert_eq!(request.stdin(), "quay.io");
/// let answer = br#"{"ServerURL":"quay.io","Username":"jane","Secret":"hunter2"}"#;
/// assert!(request.answer(true, answer)?.for_host("quay.io").is_some());
/// # Ok::<(), auth::HelperError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HelperRequest {
    program: String,
    host: Host,
    stdin: String,
}

/// Why a helper cannot be asked or gave no credentials. Its output is never shown, for it may hold them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HelperError {
    /// The helper's name is not one: it could lead to a program elsewhere, or is too long.
    #[error(
        "a credential helper's name has up to {HELPER_NAME_BYTES_MAX} letters, digits, `-`, `_` and `.` only"
    )]
    Name,
    /// The registry to ask for is no host.
    #[error("the registry to ask a credential helper for is no host")]
    Registry(#[source] HostFault),
    /// The helper failed and did not say that there are no credentials.
    #[error("`{program}` failed to get the credentials for `{server}`")]
    Failed {
        /// The program.
        program: String,
        /// What it was asked for.
        server: String,
    },
    /// The helper wrote more than [`HELPER_ANSWER_BYTES_MAX`].
    #[error("`{program}` wrote {bytes} bytes, more than the {HELPER_ANSWER_BYTES_MAX} that are read")]
    Length {
        /// The program.
        program: String,
        /// How much it wrote.
        bytes: usize,
    },
    /// The helper succeeded but wrote something else than the protocol's JSON.
    #[error("`{program}` wrote something else than the expected JSON at line {line}, column {column}")]
    Json {
        /// The program.
        program: String,
        /// Line of the fault, from 1.
        line: usize,
        /// Column of the last byte read, from 1; 0 where nothing of the line was.
        column: usize,
    },
}

impl HelperRequest {
    /// The question for `registry` to `docker-credential-<helper>`.
    ///
    /// # Errors
    /// [`HelperError::Name`] if the name is not one word: it comes from a file and must not lead to another directory's
    /// program. [`HelperError::Registry`] if the registry is no host.
    pub fn new(helper: &str, registry: &str) -> Result<HelperRequest, HelperError> {
        HelperRequest::for_host(helper, Host::parse(registry).map_err(HelperError::Registry)?)
    }

    pub(crate) fn for_host(helper: &str, host: Host) -> Result<HelperRequest, HelperError> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if helper.is_empty() || helper.len() > HELPER_NAME_BYTES_MAX || !helper.bytes().all(is_allowed) {
            return Err(HelperError::Name);
        }
        let stdin = if host.is_docker_hub() { DOCKER_HUB_SERVER.to_owned() } else { host.to_string() };
        Ok(HelperRequest { program: format!("docker-credential-{helper}"), host, stdin })
    }

    /// The program, to be found on the path.
    pub fn program(&self) -> &str {
        &self.program
    }

    /// Its only argument.
    pub fn argument(&self) -> &'static str {
        "get"
    }

    /// What to write to its standard input, which is then closed.
    pub fn stdin(&self) -> &str {
        &self.stdin
    }

    /// Reads what the program wrote to its standard output, and whether it exited with 0.
    ///
    /// No credentials for this server, in either way that helpers say so, is anonymous. At most
    /// [`HELPER_ANSWER_BYTES_MAX`] and one byte need to be read from the program.
    ///
    /// # Errors
    /// [`HelperError`] naming the program; whoever runs the daemon sees why by running it by hand.
    pub fn answer(&self, succeeded: bool, stdout: &[u8]) -> Result<Credentials, HelperError> {
        let program = || self.program.clone();
        if stdout.len() > HELPER_ANSWER_BYTES_MAX {
            return Err(HelperError::Length { program: program(), bytes: stdout.len() });
        }
        if !succeeded {
            let is_not_found = stdout.trim_ascii_start().get(..NOT_FOUND.len());
            return if is_not_found.is_some_and(|start| start.eq_ignore_ascii_case(NOT_FOUND.as_bytes())) {
                Ok(Credentials::anonymous())
            } else {
                Err(HelperError::Failed { program: program(), server: self.stdin.clone() })
            };
        }
        let answer: Answer = json::object(stdout)
            .map_err(|JsonFault { line, column }| HelperError::Json { program: program(), line, column })?;
        let username = if answer.username == IDENTITY_TOKEN_USER { String::new() } else { answer.username };
        let credential = Credential::from_pair(username, answer.secret);
        Ok(Credentials::bound_to(self.host.clone(), credential))
    }
}
