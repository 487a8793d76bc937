//! Runs a credential helper: found in fixed directories, bounded in time and output, its words kept out of logs.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use auth::{Credentials, HELPER_ANSWER_BYTES_MAX, HelperRequest, Secret};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::time::timeout;

use super::source::CredentialSourceError;

/// Longest run of a helper. Those of the clouds ask an API over the network, which takes a second or two.
const HELPER_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a helper gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HelperRunError {
    /// There is no such program.
    #[error("not found in {}", listed(.directories))]
    NotFound {
        /// Where it was looked for.
        directories: Vec<PathBuf>,
    },
    /// It cannot be started, or breaks off.
    #[error("it does not run")]
    Io(#[source] io::Error),
    /// It did not end in time, and was killed.
    #[error("no answer within {after:?}")]
    Timeout {
        /// The limit.
        after: Duration,
    },
}

/// The program of that name, in the first of `directories` that has it. A relative directory is passed over: what it
/// leads to is up to whoever started the daemon.
pub(super) fn find(program: &str, directories: &[PathBuf]) -> Result<PathBuf, CredentialSourceError> {
    let is_program = |path: &PathBuf| {
        path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    let absolute = directories.iter().filter(|directory| directory.is_absolute());
    absolute
        .map(|directory| directory.join(program))
        .find(is_program)
        .ok_or_else(|| failed(program, HelperRunError::NotFound { directories: directories.to_vec() }))
}

/// Asks a helper.
///
/// # Cancel safety
/// Dropping the future kills the program.
pub(super) async fn ask(
    request: &HelperRequest,
    directories: &[PathBuf],
) -> Result<Credentials, CredentialSourceError> {
    let path = find(request.program(), directories)?;
    let (succeeded, answer) = match timeout(HELPER_TIMEOUT, run(&path, request)).await {
        Ok(ran) => ran.map_err(|error| failed(request.program(), HelperRunError::Io(error)))?,
        Err(_elapsed) => {
            return Err(failed(request.program(), HelperRunError::Timeout { after: HELPER_TIMEOUT }));
        }
    };
    request.answer(succeeded, answer.expose().as_bytes()).map_err(CredentialSourceError::Helper)
}

/// Whether it exited with 0, and what it wrote.
async fn run(path: &Path, request: &HelperRequest) -> io::Result<(bool, Secret)> {
    let mut child = Command::new(path)
        .arg(request.argument())
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // Helpers write there what they please, a secret too; whoever wants to know runs the helper by hand.
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    // At once, as a helper may write before it has read; one that does not read at all is judged by what it writes.
    let ask = async {
        if let Some(mut stdin) = stdin {
            let _ = stdin.write_all(request.stdin().as_bytes()).await;
        }
    };
    let listen = async {
        // Room for the bound and the byte beyond it: a vector that grows leaves copies of the secret behind.
        let mut answer = Vec::with_capacity(HELPER_ANSWER_BYTES_MAX + 1);
        if let Some(stdout) = stdout {
            let limit = HELPER_ANSWER_BYTES_MAX as u64 + 1;
            stdout.take(limit).read_to_end(&mut answer).await?;
        }
        Ok::<_, io::Error>(answer)
    };
    let ((), answer) = tokio::join!(ask, listen);
    let answer = String::from_utf8(answer?).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    // Its output is closed now (or was by us, beyond the bound), so it has nothing left to do but to end.
    let status = child.wait().await?;
    Ok((status.success(), Secret::from(answer)))
}

fn failed(program: &str, source: HelperRunError) -> CredentialSourceError {
    CredentialSourceError::Run { program: program.to_owned(), source }
}

fn listed(directories: &[PathBuf]) -> String {
    let names: Vec<_> = directories.iter().map(|path| format!("`{}`", path.display())).collect();
    if names.is_empty() { "no directory".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_relative_directory_is_passed_over() {
        let folder = tempfile::tempdir_in(".").unwrap();
        let program = folder.path().join("docker-credential-x");
        fs::write(&program, "").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let absolute = folder.path().canonicalize().unwrap();
        let relative = PathBuf::from(folder.path().file_name().unwrap());
        assert!(relative.join("docker-credential-x").exists());
        let look = |directories: &[PathBuf]| find("docker-credential-x", directories).ok();
        assert_eq!(look(std::slice::from_ref(&relative)), None);
        assert_eq!(look(&[relative, absolute.clone()]), Some(absolute.join("docker-credential-x")));
        fs::set_permissions(&program, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(look(&[absolute]), None);
    }
}
