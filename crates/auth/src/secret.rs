//! One secret string. It owns the only long-lived copy of the text, wipes it when the last clone goes, and never prints it.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroize;

/// A text that must not be printed: a password, a token, or a header or form made of one.
///
/// Clones share one allocation, which is overwritten when the last of them is dropped; the message or file that the text
/// was read from is its owner's to wipe. There is no `Display`, and `Debug` shows a mask of fixed length, so that neither
/// the text nor its size reaches a log by accident:
///
/// ```
/// let password = auth::Secret::from("hunter2");
/// assert_eq!(format!("{password:?}"), "Secret(****)");
/// assert_eq!(password.expose(), "hunter2");
/// ```
///
/// ```compile_fail
/// let password = auth::Secret::from("hunter2");
/// println!("{password}");
/// ```
///
/// Equality, order and hash are those of the text, so that work is shared only between callers that hold the same
/// credentials. They are not constant-time: both sides are already inside this process, nobody is authenticated by
/// the comparison (the registry does that), and whoever could time it would need nanoseconds out of a network pull.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Secret(Arc<Text>);

/// The text, wiped when it goes.
#[derive(Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Text(String);

impl Drop for Text {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Secret {
    /// The text itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0.0
    }

    /// Whether the text is empty.
    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Secret(Arc::new(Text(text)))
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Secret::from(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(****)")
    }
}

/// The mask alone, for `Debug` of types that borrow their secrets; an empty field shows as empty, for that is no secret
/// and is what one looks for when a pull is anonymous against expectation.
pub(crate) struct Masked<'a>(pub(crate) &'a str);

impl fmt::Debug for Masked<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.0.is_empty() { "\"\"" } else { "****" })
    }
}
