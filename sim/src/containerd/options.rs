//! How a fake containerd behaves, and what it is told about its surroundings.

use std::fmt;
use std::path::PathBuf;

use super::shared::Pause;
use super::version::Version;
use crate::clock::Clock;

/// Where the snapshotters of a fake without directories claim to live: nowhere on this machine.
const NO_DIRECTORY: &str = "/nonexistent/sim-containerd";

/// The platform that the CRI plugin picks from an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// GOOS.
    pub os: String,
    /// GOARCH.
    pub architecture: String,
}

impl Platform {
    /// The platform of this machine, in Go's names.
    pub fn host() -> Platform {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Platform { os: std::env::consts::OS.to_owned(), architecture: architecture.to_owned() }
    }
}

/// Options of [`Containerd::new`](super::Containerd::new).
#[derive(Clone)]
#[non_exhaustive]
pub struct Options {
    /// Which containerd to be. Default: the newest known.
    pub version: Version,
    /// Source of timestamps. Default: [`Clock::simulated`].
    pub clock: Clock,
    /// Names of the snapshotters. Default: `overlayfs`.
    pub snapshotters: Vec<String>,
    /// Keeps snapshots as directories below this one, and unfinished writes as files. Default: none, all is
    /// kept in memory.
    pub directory: Option<PathBuf>,
    /// Whether the CRI plugin runs. Default: yes.
    pub cri: bool,
    /// Image names that the CRI plugin pins. Default: none.
    pub pinned_images: Vec<String>,
    /// Platform of the CRI plugin. Default: [`Platform::host`].
    pub platform: Platform,
    /// Whether the collector runs by itself, after the triggers of containerd's defaults. Default: no.
    pub automatic_collection: bool,
    /// Holds containerd between two of its steps. Default: never.
    pub pause: Option<Pause>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            version: Version::default(),
            clock: Clock::simulated(),
            snapshotters: vec!["overlayfs".to_owned()],
            directory: None,
            cri: true,
            pinned_images: Vec::new(),
            platform: Platform::host(),
            automatic_collection: false,
            pause: None,
        }
    }
}

impl Options {
    /// Defaults of one version.
    pub fn version(version: Version) -> Options {
        Options { version, ..Options::default() }
    }

    /// The directory that introspection reports for a snapshotter.
    pub(crate) fn snapshotter_root(&self, name: &str) -> String {
        let base = self.directory.as_ref().map_or(NO_DIRECTORY.into(), |path| path.to_string_lossy());
        format!("{base}/io.containerd.snapshotter.v1.{name}")
    }

    /// The directory that introspection reports for the content store.
    pub(crate) fn content_root(&self) -> String {
        let base = self.directory.as_ref().map_or(NO_DIRECTORY.into(), |path| path.to_string_lossy());
        format!("{base}/io.containerd.content.v1.content")
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("version", &self.version)
            .field("snapshotters", &self.snapshotters)
            .field("directory", &self.directory)
            .field("cri", &self.cri)
            .field("automatic_collection", &self.automatic_collection)
            .finish_non_exhaustive()
    }
}
