//! Which containerd the fake is, and what differs between them.
//!
//! Every difference that a client can see is a method here, named for the behaviour, so that no service compares
//! versions itself.

/// A release line of containerd.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Version {
    /// 1.6, as of 1.6.20, which Debian 12 ships.
    V1_6,
    /// 1.7, as of 1.7.34.
    V1_7,
    /// 2.1, as of 2.1.9.
    V2_1,
    /// 2.3, as of 2.3.4.
    #[default]
    V2_3,
}

impl Version {
    /// Every version, oldest first.
    pub const ALL: [Version; 4] = [Version::V1_6, Version::V1_7, Version::V2_1, Version::V2_3];

    /// What the version service answers.
    pub fn text(self) -> &'static str {
        match self {
            Version::V1_6 => "1.6.20",
            Version::V1_7 => "1.7.34",
            Version::V2_1 => "v2.1.9",
            Version::V2_3 => "v2.3.4",
        }
    }

    /// Whether `DeleteImageRequest.target` is compared (2.0); before, it is ignored and the delete unconditional.
    pub fn honours_delete_target(self) -> bool {
        self >= Version::V2_1
    }

    /// Whether `CommitSnapshotRequest.parent` is known (2.2); before, it is an unknown field and dropped.
    pub fn commits_onto_parent(self) -> bool {
        self >= Version::V2_3
    }

    /// Whether the overlay snapshotter lists the capability `rebase` (2.2).
    pub fn has_rebase_capability(self) -> bool {
        self.commits_onto_parent()
    }

    /// Whether a snapshot that a prepare finds instead of making it is added to the caller's lease (1.6.33 has
    /// it, 1.6.30 does not).
    pub fn leases_found_snapshots(self) -> bool {
        self >= Version::V1_7
    }

    /// Whether a committed blob is announced on `/content/create` (2.0).
    pub fn announces_content_create(self) -> bool {
        self >= Version::V2_1
    }

    /// Whether the collector removes expired image records and announces it (2.0).
    pub fn collects_expired_images(self) -> bool {
        self >= Version::V2_1
    }

    /// Whether the CRI plugin compares the pinned label too when it decides to relabel a record (2.0).
    pub fn relabels_unpinned(self) -> bool {
        self >= Version::V2_1
    }
}
