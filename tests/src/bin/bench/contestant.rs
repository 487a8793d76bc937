//! Who pulls. A new contestant is a name here and the settings that make it differ.

use std::str::FromStr;

use anyhow::bail;
use tests::Version;

/// One way to pull an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Contestant {
    /// containerd's own CRI plugin, as it comes.
    Containerd,
    /// The same, with everything that it can do at once switched on.
    ContainerdTuned,
    /// The daemon in front of a stock containerd, as it comes.
    Ours,
    /// The daemon, not keeping layers once they are unpacked.
    OursDiscard,
    /// Plain programs: what the machine could do.
    Limit,
}

/// All of them, in the order in which they pull.
const ALL: [Contestant; 5] = [
    Contestant::Containerd,
    Contestant::ContainerdTuned,
    Contestant::Ours,
    Contestant::OursDiscard,
    Contestant::Limit,
];

/// containerd 2.x: layers are fetched in ranges of this, several at a time, and unpacked at once where it can.
const TUNED: &str = "
[plugins.\"io.containerd.transfer.v1.local\"]
  max_concurrent_downloads = 6
  concurrent_layer_fetch_buffer = 8388608
  max_concurrent_unpacks = 4
";

impl Contestant {
    /// Its name in the table and on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::ContainerdTuned => "containerd-tuned",
            Self::Ours => "ours",
            Self::OursDiscard => "ours-discard",
            Self::Limit => "limit",
        }
    }

    /// Whether the daemon is what pulls.
    pub(crate) fn is_ours(self) -> bool {
        matches!(self, Self::Ours | Self::OursDiscard)
    }

    /// Whether its containerd may use igzip although the command line does not ask for it.
    pub(crate) fn wants_igzip(self) -> bool {
        self == Self::ContainerdTuned
    }

    /// What its containerd's configuration has more than a stock one.
    pub(crate) fn containerd_config(self) -> &'static str {
        match self {
            Self::ContainerdTuned => TUNED,
            Self::Containerd | Self::Ours | Self::OursDiscard | Self::Limit => "",
        }
    }

    /// What its daemon's configuration has more than the default.
    pub(crate) fn daemon_config(self) -> &'static str {
        match self {
            Self::OursDiscard => "[unpack]\nlayers = \"discard\"\n",
            Self::Containerd | Self::ContainerdTuned | Self::Ours | Self::Limit => "",
        }
    }
}

impl FromStr for Contestant {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = ALL.into_iter().find(|contestant| contestant.name() == name);
        found.ok_or_else(|| format!("one of {}", ALL.map(Self::name).join(", ")))
    }
}

/// `ours` and those of `against`, each once, in the order of their turns.
pub(crate) fn order(version: Version, against: &[Contestant]) -> anyhow::Result<Vec<Contestant>> {
    let plays = |contestant: &Contestant| *contestant == Contestant::Ours || against.contains(contestant);
    let contestants: Vec<Contestant> = ALL.into_iter().filter(plays).collect();
    if contestants.contains(&Contestant::ContainerdTuned) && version != Version::V2 {
        bail!("`containerd-tuned` is settings of containerd 2.1 and later: choose --containerd 2.1");
    }
    Ok(contestants)
}
