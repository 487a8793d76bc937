//! What goes wrong between this node and a registry: one cause for one host, and the errors of the verbs.
//!
//! Nothing here holds a secret: URLs are redacted, what a server says is bounded and cleaned, and credentials are
//! told apart only by whether any were sent.

mod failure;
mod server_says;
mod verbs;

pub use failure::{Failure, Kind, Origin, ProtocolError, Retry};
pub(crate) use server_says::ERROR_BODY_BYTES_MAX;
pub use server_says::ServerSays;
pub use verbs::{AccessError, FetchError, HostFailure, ResolveError};

use std::error::Error as StdError;
use std::fmt::Write as _;

/// The texts of an error and all its sources on one line. Equal neighbours are written once: several libraries print
/// their source as their own text.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut line = error.to_string();
    let mut last = line.clone();
    let mut next = error.source();
    while let Some(error) = next {
        let text = error.to_string();
        if text != last {
            // Writing to a string cannot fail.
            let _ = write!(line, ": {text}");
            last = text;
        }
        next = error.source();
    }
    line
}
