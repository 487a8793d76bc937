//! The public surface of the crate, a file a part.
