//! Credentials that the node itself has: in files, docker configurations and credential helpers.
//!
//! Read when a host has asked for credentials and the caller has none for it, never before: a pull of a public image
//! runs no program. What was found is kept for the session.

mod helper;
mod secret_file;
mod source;
mod wallet;

pub use helper::HelperRunError;
pub use secret_file::SecretFileError;
pub use source::{CredentialSource, CredentialSourceError};
pub(crate) use wallet::Wallet;
