//! The places between two steps of containerd at which other requests may run.

use std::fmt;

/// A place between two steps of containerd at which other requests may run.
///
/// Requests and replies are points too, but those a scheduler sees on the wire. Printed, a point is one line that
/// begins with the client in whose name containerd works, as the lines of a [`Gate`](crate::schedule::Gate) do.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Point {
    /// A synchronous delete has removed its record and is about to collect.
    BeforeCollect,
    /// The CRI plugin has taken an image event from its queue and is about to look at the record.
    BeforeCacheUpdate,
    /// A message of a content write, not its first, is about to be applied.
    BeforeWrite {
        /// Whose write.
        client: String,
        /// The ingest.
        reference: String,
        /// Bytes that the ingest has before it.
        offset: i64,
    },
    /// All bytes of a write are there and it is about to become a blob.
    BeforeCommit {
        /// Whose write.
        client: String,
        /// The ingest.
        reference: String,
    },
    /// A layer's blob was found and is about to be written into its snapshot.
    BeforeLayer {
        /// Whose call.
        client: String,
        /// Digest of the blob.
        digest: String,
    },
    /// An image record was written and is about to be announced: containerd publishes after its transaction, so
    /// events of concurrent requests may be published in another order than their records were written in.
    BeforePublish {
        /// Whose call.
        client: String,
        /// Topic of the event.
        topic: String,
        /// The image.
        name: String,
    },
    /// An event is about to be sent to a subscriber.
    BeforeEvent {
        /// Whose subscription.
        client: String,
        /// Topic of the event.
        topic: String,
        /// The image, for an event of one.
        name: String,
    },
}

/// The client of what containerd does on its own, or for a connection without a name.
const OWN_NAME: &str = "containerd";

impl Point {
    /// In whose name containerd works; `containerd` where it is its own.
    pub fn client(&self) -> &str {
        match self {
            Point::BeforeCollect | Point::BeforeCacheUpdate => OWN_NAME,
            Point::BeforeWrite { client, .. }
            | Point::BeforeCommit { client, .. }
            | Point::BeforeLayer { client, .. }
            | Point::BeforePublish { client, .. }
            | Point::BeforeEvent { client, .. } => {
                if client.is_empty() {
                    OWN_NAME
                } else {
                    client
                }
            }
        }
    }

    fn write_step(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Point::BeforeCollect => f.write_str("BeforeCollect"),
            Point::BeforeCacheUpdate => f.write_str("BeforeCacheUpdate"),
            Point::BeforeWrite { reference, offset, .. } => {
                write!(f, "BeforeWrite {}@{offset}", shorten(reference))
            }
            Point::BeforeCommit { reference, .. } => write!(f, "BeforeCommit {}", shorten(reference)),
            Point::BeforeLayer { digest, .. } => write!(f, "BeforeLayer {}", shorten(digest)),
            Point::BeforePublish { topic, name, .. } => write!(f, "BeforePublish {topic} {}", shorten(name)),
            Point::BeforeEvent { topic, name, .. } => write!(f, "BeforeEvent {topic} {}", shorten(name)),
        }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.client())?;
        self.write_step(f)
    }
}

impl fmt::Debug for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.client() != OWN_NAME {
            write!(f, "{} ", self.client())?;
        }
        self.write_step(f)
    }
}

/// Hex digits that are kept of a digest in a line for people.
const HEX_DIGITS: usize = 12;

/// Shorter runs of hex digits are not taken for digests.
const DIGEST_DIGITS_MIN: usize = 64;

/// `text` with every digest in it cut to its first digits.
pub(crate) fn shorten(text: &str) -> String {
    let mut short = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let run = rest.bytes().take_while(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')).count();
        let taken = if run == 0 { character.len_utf8() } else { run };
        let (head, tail) = rest.split_at(taken);
        short.push_str(if run < DIGEST_DIGITS_MIN { head } else { &head[..HEX_DIGITS] });
        rest = tail;
    }
    short
}

#[cfg(test)]
mod tests {
    use super::{Point, shorten};

    #[test]
    fn digests_are_cut_and_nothing_else() {
        let digest = format!("layer-sha256:{}@é", "ab".repeat(32));
        assert_eq!(shorten(&digest), "layer-sha256:abababababab@é");
        assert_eq!(shorten("docker.io/library/decade:1"), "docker.io/library/decade:1");
    }

    #[test]
    fn a_point_says_whose_it_is_and_what_it_is_about() {
        let point = Point::BeforeWrite { client: "a".into(), reference: "r".into(), offset: 7 };
        assert_eq!(
            (point.to_string(), format!("{point:?}")),
            ("a BeforeWrite r@7".into(), "a BeforeWrite r@7".into())
        );
        assert_eq!(Point::BeforeCollect.to_string(), "containerd BeforeCollect");
    }
}
