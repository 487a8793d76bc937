//! The images that are in containerd: their records, an index over them, and what keeps both true.
//!
//! An image has up to three records in containerd: the tag reference, the digest reference and the image id, all with
//! the same target. containerd is the truth; the [`Index`] is a cache of it, built at start, kept by containerd's
//! events and by this store's own writes, and built anew whenever the event stream breaks.
//!
//! An image is *ready* when its records, its documents (index, manifest, config) and its full committed snapshot
//! chain are there. A record alone says nothing: [`ImageStore::status`] and [`ImageStore::list`] ask containerd about
//! the rest before they answer, because content and snapshots can vanish without an event.
//!
//! What is ordered against what:
//! - [`ImageStore::commit`] and [`ImageStore::remove`] of one image, and of one name, exclude each other.
//! - Everything of a pull is under its [`PullLease`] until after its records are in the index.
//! - A refresh of one name reads containerd and updates the index under one lock of that name, so an older answer
//!   never overwrites a newer one.
//!
//! No network, no CRI types, no blobs beyond the documents.

mod commit;
mod converted;
mod details;
mod error;
mod index;
mod lease;
mod locks;
mod lookup;
mod names;
mod ready;
mod reconcile;
mod recover;
mod remove;
mod resume;
mod store;
mod usage;
mod verify;

pub use commit::{Committed, Written, write_record};
pub use converted::ConvertedFrom;
pub use details::Details;
pub use error::{LookupError, StoreError};
pub use index::{Image, Index};
pub use lease::PullLease;
pub use locks::{KeyedGuard, KeyedLocks};
pub use ready::Readiness;
pub use store::{ImageStore, StoreConfig};
pub use usage::Usage;
