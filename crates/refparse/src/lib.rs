//! Parses container image references and prints them in docker's normalized and familiar forms.
//!
//! ```
//! use refparse::Reference;
//!
//! let reference = Reference::parse("busybox:1.36")?;
//! assert_eq!(reference.as_str(), "docker.io/library/busybox:1.36");
//! # Ok::<(), refparse::ParseError>(())
//! ```
//!
//! The rules are those of the Go module `distribution/reference` (v0.6.0, `ParseDockerRef`), which docker, containerd
//! and the kubelet use: what they accept is accepted here, what they refuse is refused here, and the result prints the
//! same, byte for byte. The crate depends on `std` alone, does no I/O and is not async.
//!
//! # Example: the parts
//!
//! ```
//! # use refparse::Reference;
//! let reference: Reference = "localhost:5000/team/app:v2".parse()?;
//! assert_eq!(reference.registry(), "localhost:5000");
//! assert_eq!(reference.repository(), "team/app");
//! assert_eq!(reference.name(), "localhost:5000/team/app");
//! assert_eq!(reference.tag(), Some("v2"));
//! assert_eq!(reference.digest(), None);
//! # Ok::<(), refparse::ParseError>(())
//! ```
//!
//! # Example: a tag beside a digest
//!
//! The digest says which bytes are meant, so the tag is checked and then dropped.
//!
//! ```
//! # use refparse::{Algorithm, Reference};
//! let hex = "7cc4b5aefd1d0cadf8d97d4350462ba51c694ebca145b08d7d41b41acc8db5aa";
//! let reference = Reference::parse(&format!("busybox:1.36@sha256:{hex}"))?;
//! assert_eq!(reference.as_str(), format!("docker.io/library/busybox@sha256:{hex}"));
//! assert_eq!(reference.familiar(), format!("busybox@sha256:{hex}"));
//! assert_eq!(reference.tag(), None);
//! let digest = reference.digest().expect("a digest was given");
//! assert_eq!((digest.algorithm(), digest.hex()), (Algorithm::Sha256, hex));
//! # Ok::<(), refparse::ParseError>(())
//! ```
//!
//! # Example: an error
//!
//! An error tells the part that is wrong, the byte where it is wrong, and why.
//!
//! ```
//! # use refparse::{ParseErrorKind, Part, Reference};
//! let error = Reference::parse("example.com/team/App:v1").expect_err("repositories are lower case");
//! assert_eq!(error.kind(), &ParseErrorKind::RepositoryUppercase('A'));
//! assert_eq!((error.part(), error.offset()), (Part::Repository, 17));
//! assert_eq!(
//!     error.to_string(),
//!     "invalid reference `example.com/team/App:v1` at byte 17: `A` is upper case, which a repository cannot have",
//! );
//! ```
//!
//! # Grammar
//!
//! In the notation of RFC 5234, with `%s` for case-sensitive strings (RFC 7405). All of it is ASCII.
//!
//! ```text
//! reference   = name [ ":" tag ] [ "@" digest ]
//! name        = [ registry "/" ] repository
//!
//! registry    = host [ ":" port ]
//! host        = domain / "[" address "]"
//! domain      = label *( "." label )                     ; an IPv4 address is one too
//! label       = alnum [ *( alnum / "-" ) alnum ]
//! address     = 1*( hex / UPHEX / ":" )                  ; of IPv6, without zone; not checked further
//! port        = 1*DIGIT                                  ; not checked further
//!
//! repository  = component *( "/" component )             ; 1 to 255 bytes, `library/` included
//! component   = 1*lower *( separator 1*lower )
//! separator   = "." / "_" / "__" / 1*"-"
//!
//! tag         = ( alnum / "_" ) *127( alnum / "_" / "." / "-" )
//!
//! digest      = %s"sha256:" 64hex / %s"sha384:" 96hex / %s"sha512:" 128hex
//!
//! alnum       = ALPHA / DIGIT
//! lower       = %x61-7A / DIGIT                          ; a-z 0-9
//! hex         = %x61-66 / DIGIT                          ; a-f 0-9
//! UPHEX       = %x41-46                                  ; A-F
//! ```
//!
//! # Normalization
//!
//! 1. An input of exactly 64 `hex` is refused: it would be taken for an image id ([`ParseErrorKind::BareIdentifier`]).
//! 2. What stands before the first `/` is the registry if it is `localhost`, or holds a `.`, a `:` or an upper-case
//!    letter. Otherwise there is none, and it is `docker.io`. So `localhost:5000` is the repository `localhost` with the
//!    tag `5000`, and `Team/app` names the registry `Team`.
//! 3. The registry `index.docker.io` becomes `docker.io`. No other spelling does: `Docker.io` and `docker.io:443` stay.
//! 4. On `docker.io`, a repository of one component is put below `library/`.
//! 5. With a digest, the tag is dropped. With neither, the tag is `latest`.
//!
//! # What is not in the grammar
//!
//! * **Hosts with `_`.** `my_host.example/app` is no registry by the grammar, but the Go module accepts it: as a
//!   repository without a registry. containerd then connects to `my_host.example`. This crate accepts and prints it
//!   likewise, and answers `my_host.example` as the registry, so that every [`Reference`] has one. The limit of 255
//!   bytes then counts the host too, as it does there. With a port or an upper-case letter it is an error in both.
//! * **Digest algorithms.** The Go module's grammar takes any algorithm name and 32 or more hex digits in either case,
//!   then its digest package refuses what is not exactly the digest of a registered algorithm: those of the grammar
//!   above. The outcome is the same; here an unknown algorithm is an error that says so.
//! * **Length of the registry.** There is no limit to it, so a caller that reads from an untrusted peer bounds the input.

pub use digest::{Algorithm, Digest};
pub use error::{DigestError, ParseError, Part};
pub use kind::{DigestErrorKind, ParseErrorKind};
pub use reference::Reference;

mod digest;
mod error;
mod familiar;
mod grammar;
mod kind;
mod normalize;
mod parse;
mod reference;
mod shown;

/// Runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
