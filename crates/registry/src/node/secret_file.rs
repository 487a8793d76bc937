//! Files with secrets: who may read them, how long they may be, and the form of our own.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use auth::{AuthConfig, Credentials, Secret};
use toml::de::DeTable;

/// Mode bits that let every user of the machine read or change a file.
const OTHERS: u32 = 0o006;
/// Longest file of credentials, in bytes; one credential is at most as long.
const CREDENTIALS_FILE_BYTES_MAX: usize = 128 * 1024;

/// Why a file with secrets is not used. Shows nothing of what is in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretFileError {
    /// The file cannot be read.
    #[error("the file cannot be read")]
    Read(#[source] io::Error),
    /// A directory, a pipe or a device.
    #[error("the file is not a regular one")]
    NotAFile,
    /// Others than owner and group may read or write it. Refused, as ssh refuses such a key: a warning in a log is
    /// read by nobody, and a password that every user of the node can read is no secret.
    #[error(
        "the file has mode {mode:04o}, so every user of this machine may read or change it: `chmod o-rw` it"
    )]
    Mode {
        /// The permission bits.
        mode: u32,
    },
    /// Longer than such a file can be.
    #[error("the file is longer than {bytes_max} bytes")]
    TooLong {
        /// The bound.
        bytes_max: usize,
    },
    /// Not TOML.
    #[error("the file is not valid TOML at line {line}")]
    Syntax {
        /// The line, from 1.
        line: usize,
    },
    /// A key that does not exist, or a value that is no string. Neither is shown: a file that has the password where
    /// a key should be looks like this.
    #[error(
        "the file may have `username`, `password`, `identity_token` and `registry_token` only, each a string: see line {line}"
    )]
    Key {
        /// The line, from 1.
        line: usize,
    },
    /// Not exactly one of the forms.
    #[error("the file must have either `username` and `password`, or `identity_token`, or `registry_token`")]
    Form,
    /// A value that cannot be used.
    #[error("the file has a value that cannot be used")]
    Value(#[source] auth::CredentialsError),
}

/// Reads a file with secrets of at most `bytes_max` bytes.
pub(super) fn read(path: &Path, bytes_max: usize) -> Result<Secret, SecretFileError> {
    // Looked at before it is opened: to open a pipe would wait for its writer.
    if !fs::metadata(path).map_err(SecretFileError::Read)?.is_file() {
        return Err(SecretFileError::NotAFile);
    }
    let file = fs::File::open(path).map_err(SecretFileError::Read)?;
    // The mode of what was opened, not of what the path may lead to meanwhile.
    let metadata = file.metadata().map_err(SecretFileError::Read)?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & OTHERS != 0 {
        return Err(SecretFileError::Mode { mode });
    }
    let too_long = || SecretFileError::TooLong { bytes_max };
    let length = usize::try_from(metadata.len()).map_err(|_| too_long())?;
    // Sized up front: a string that grows leaves its former content behind in freed memory.
    let mut text = String::with_capacity(length.min(bytes_max) + 1);
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_string(&mut text).map_err(SecretFileError::Read)?;
    let text = Secret::from(text);
    if text.expose().len() > bytes_max { Err(too_long()) } else { Ok(text) }
}

/// Reads a file of our own form, with the credentials for `host`:
///
/// ```toml
/// username = "jane"
/// password = "..."
/// ```
///
/// or `identity_token` or `registry_token` alone.
pub(super) fn credentials(path: &Path, host: &str) -> Result<Credentials, SecretFileError> {
    let text = read(path, CREDENTIALS_FILE_BYTES_MAX)?;
    parse(text.expose(), host)
}

fn parse(text: &str, host: &str) -> Result<Credentials, SecretFileError> {
    let line = |offset: usize| 1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count();
    let parsed = DeTable::parse(text).map_err(|error| SecretFileError::Syntax {
        // The parser's own words may quote the file.
        line: line(error.span().map_or(0, |span| span.start)),
    })?;
    let mut auth = AuthConfig::default();
    for (name, value) in parsed.get_ref() {
        let bad = || SecretFileError::Key { line: line(name.span().start) };
        let field = match name.get_ref().as_ref() {
            "username" => &mut auth.username,
            "password" => &mut auth.password,
            "identity_token" => &mut auth.identity_token,
            "registry_token" => &mut auth.registry_token,
            _ => return Err(bad()),
        };
        *field = value.get_ref().as_str().filter(|text| !text.is_empty()).ok_or_else(bad)?;
    }
    let pair = (!auth.username.is_empty(), !auth.password.is_empty());
    match (pair, !auth.identity_token.is_empty(), !auth.registry_token.is_empty()) {
        ((true, true), false, false) | ((false, false), true, false) | ((false, false), false, true) => {
            Credentials::from_auth_config(&auth, host).map_err(SecretFileError::Value)
        }
        _ => Err(SecretFileError::Form),
    }
}

#[cfg(test)]
mod tests {
    use auth::Credential;

    use super::*;

    #[track_caller]
    fn check_error(text: &str, expected: &str) {
        let error = parse(text, "r.example").unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }

    #[test]
    fn each_form_is_bound_to_the_host() {
        let pair = parse("username = 'jane'\npassword = 'hunter2'", "r.example").unwrap();
        assert!(
            matches!(pair.for_host("r.example"), Some(Credential::Basic { username, .. }) if username == "jane")
        );
        assert!(pair.for_host("other.example").is_none());
        let token = parse("identity_token = 'hunter2'", "r.example:5000").unwrap();
        assert!(matches!(token.for_host("r.example:5000"), Some(Credential::IdentityToken(_))));
        let token = parse("registry_token = 'hunter2'", "r.example").unwrap();
        assert!(matches!(token.for_host("r.example"), Some(Credential::RegistryToken(_))));
    }

    #[test]
    fn what_is_wrong_names_the_line_and_nothing_else() {
        let keys = "the file may have `username`, `password`, `identity_token` and `registry_token` only, each a string: \
                    see line";
        check_error("username = 'jane'\nhunter2", "the file is not valid TOML at line 2");
        check_error("username = 'jane'\nhunter2 = 1", &format!("{keys} 2"));
        check_error("password = 7", &format!("{keys} 1"));
        check_error("username = ''\npassword = 'hunter2'", &format!("{keys} 1"));
        let form =
            "the file must have either `username` and `password`, or `identity_token`, or `registry_token`";
        check_error("", form);
        check_error("username = 'jane'", form);
        check_error("username = 'jane'\npassword = 'hunter2'\nregistry_token = 'hunter2'", form);
        check_error("registry_token = \"hunter2\\n\"", "the file has a value that cannot be used");
    }

    #[test]
    fn only_files_that_others_cannot_read_or_change_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, mode: u32| {
            let path = folder.path().join(format!("{name}-{mode:o}"));
            fs::write(&path, "registry_token = 'hunter2'").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        for mode in [0o400, 0o600, 0o640, 0o660] {
            assert!(read(&file("good", mode), 100).is_ok(), "{mode:o}");
        }
        for mode in [0o644, 0o604, 0o602, 0o666] {
            let error = read(&file("bad", mode), 100).unwrap_err();
            assert!(error.to_string().starts_with(&format!("the file has mode {mode:04o}, ")), "{error}");
        }
        let error = read(&file("long", 0o600), 10).unwrap_err();
        assert_eq!(error.to_string(), "the file is longer than 10 bytes");
        assert!(matches!(read(folder.path(), 100), Err(SecretFileError::NotAFile)));
        assert!(matches!(read(&folder.path().join("none"), 100), Err(SecretFileError::Read(_))));
    }
}
