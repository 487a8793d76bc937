//! The public surface of refparse, by what holds it.

/// Tables of chosen cases: good and bad references, familiar forms, digests.
mod tables;

/// What the Go module that docker and containerd use answers to some thousand inputs.
mod golden;

/// A naive parser made of regular expressions, compared on random inputs.
mod model;

/// Printing and parsing again, on random inputs.
mod round_trip;

/// Equality, order, hashing and conversions.
mod traits;

/// The text of errors.
mod messages;

/// The listing of public items.
mod public_api;
