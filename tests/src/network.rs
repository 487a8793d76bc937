//! The bad network, made of real parts: a web server in front of the registry, links that delay and lose packets, relays
//! that break connections at chosen bytes, proxies, and a storage that blobs are redirected to.
//!
//! Everything listens on the loopback interface or at the far end of a [`Link`], and ends when its value is dropped.

mod black_hole;
mod forward_proxy;
mod link;
mod nginx;
mod object_store;
mod proxy;
mod relay;
mod socks_proxy;

pub use black_hole::BlackHole;
pub use forward_proxy::ForwardProxy;
pub use link::{Link, Quality};
pub use nginx::{Answered, Front, Nginx};
pub use object_store::{ObjectStore, StoreRequest};
pub use relay::{Harm, Relay, resets};
pub use socks_proxy::SocksProxy;
