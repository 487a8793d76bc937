//! One pull of an image, from a reference to records in containerd.
//!
//! ```text
//! join an identical pull, or lead one
//!   resolve   registry: which index or manifest the reference is right now, for these credentials
//!   lease     containerd spares all that follows
//!   convert   a Docker schema 1 manifest, or an OCI artifact, into an image, for which its layers are fetched
//!   fetch     documents and layers, verified as they stream, into the content store
//!   unpack    each layer as it streams into its snapshot's directory, or by containerd's differ
//!   commit    image records: id, digest, tag
//!   show      wait until containerd's own CRI plugin has the image
//! ```
//!
//! Whatever ends a pull (an error, its last caller going away) deletes the lease, and with it everything that no
//! record holds. No gRPC server types, no configuration: [`Puller`] is given what it needs.

mod conversion;
mod documents;
mod error;
mod fetch;
mod gc_labels;
mod in_flight;
mod layer_ingest;
mod precedence;
mod pull;
mod puller;
mod source;
mod unpack;
mod visible;
mod workers;

pub use error::{Origin, PullError};
pub use imagestore::ConvertedFrom;
pub use puller::{Layers, Method, Pulled, Puller, PullerConfig, UnpackConfig};
