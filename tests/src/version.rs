//! The containerd versions that the daemon promises to work with.

/// A containerd line, as one Debian release ships it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 1.6: no `sync_fs`, events from the service, CRI v1 and v1alpha2.
    V1_6,
    /// 1.7: the last line with the one-piece CRI plugin.
    V1_7,
    /// 2.1 or later: transfer service, split CRI plugins.
    V2,
}

impl Version {
    /// The Debian release whose folder holds this containerd.
    pub fn release(self) -> &'static str {
        match self {
            Self::V1_6 => "bookworm",
            Self::V1_7 => "trixie",
            Self::V2 => "sid",
        }
    }

    /// What `containerd --version` must report: a release that moved on must not silently narrow the matrix.
    pub fn expected(self) -> &'static [&'static str] {
        match self {
            Self::V1_6 => &["1.6."],
            Self::V1_7 => &["1.7."],
            Self::V2 => &["2.1.", "2.2.", "2.3.", "2.4.", "2.5."],
        }
    }
}
