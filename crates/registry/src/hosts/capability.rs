//! What a host may be asked for.

use std::fmt;

/// One thing that a host may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// Content by digest.
    Pull,
    /// What a tag points at now. Needs [`Capability::Pull`] too, as in containerd.
    Resolve,
}

/// The capabilities of one host. `push` and `referrers` are accepted in files and mean nothing to a puller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// May serve content by digest.
    pub pull: bool,
    /// May say what a tag points at.
    pub resolve: bool,
}

impl Capabilities {
    /// Everything: what a host has whose entry names none.
    pub const ALL: Capabilities = Capabilities { pull: true, resolve: true };

    /// Whether `capability` is among these.
    pub fn has(self, capability: Capability) -> bool {
        match capability {
            Capability::Pull => self.pull,
            Capability::Resolve => self.pull && self.resolve,
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Capability::Pull => "pull",
            Capability::Resolve => "resolve tags",
        })
    }
}
