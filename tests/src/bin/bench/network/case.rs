//! The cases: what each network does, and what is pulled over it.

use std::str::FromStr;
use std::time::Duration;

use tests::Quality;

const MEGABYTE: u64 = 1_000_000;

/// A bad network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    /// Each connection gets 50 MB/s.
    RateLimited,
    /// Each connection gets 50 MB/s, and all together 150 MB/s.
    SharedLink,
    /// A round trip takes 100 ms and of a hundred packets one is lost.
    Far,
    /// Of a hundred chunks of 64 KiB five reset their connection.
    Resets,
    /// Of a hundred requests one is answered with 5xx.
    Errors,
    /// For ten seconds every request is answered with 429.
    Throttled,
    /// A hundred pulls of one image at once.
    Hundred,
    /// A small image while a huge one is pulled.
    Beside,
    /// The first mirror answers nothing, not even the connect.
    DeadMirror,
}

impl Case {
    pub(crate) const ALL: [Self; 9] = [
        Self::RateLimited,
        Self::SharedLink,
        Self::Far,
        Self::Resets,
        Self::Errors,
        Self::Throttled,
        Self::Hundred,
        Self::Beside,
        Self::DeadMirror,
    ];

    /// Its name on the command line and in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RateLimited => "rate-limited",
            Self::SharedLink => "shared-link",
            Self::Far => "far",
            Self::Resets => "resets",
            Self::Errors => "errors",
            Self::Throttled => "throttled",
            Self::Hundred => "hundred",
            Self::Beside => "beside",
            Self::DeadMirror => "dead-mirror",
        }
    }

    /// What the table says about it.
    pub(crate) fn about(self) -> &'static str {
        match self {
            Self::RateLimited => "one layer of 1 GB, 50 MB/s for each connection",
            Self::SharedLink => "one layer of 1 GB, 50 MB/s for each connection and 150 MB/s for all",
            Self::Far => "layers of 6, 1 and 1 MB, 100 ms a round trip, 1 % of packets lost",
            Self::Resets => "layers of 64, 16 and 4 MB, 5 % of chunks of 64 KiB reset",
            Self::Errors => "eight images of 20 layers, one after the other, 1 % of requests answered 5xx",
            Self::Throttled => "three layers of 1 MB, 429 with `Retry-After: 2` for ten seconds",
            Self::Hundred => "layers of 40, 10 and 1 MB, pulled a hundred times at once; alone: once",
            Self::Beside => {
                "layers of 1 and 0.1 MB while six of 200 MB come at 50 MB/s each; alone: without these"
            }
            Self::DeadMirror => "six layers of 1 MB, dial timeout 3 s; alone: without the mirror",
        }
    }

    /// The images: for each the bytes of its layers. Where there is a pull alone, the first is for it.
    pub(crate) fn images(self) -> Vec<Vec<u64>> {
        let megabytes = |layers: &[u64]| layers.iter().map(|layer| layer * MEGABYTE).collect::<Vec<_>>();
        match self {
            Self::RateLimited | Self::SharedLink => vec![megabytes(&[1000])],
            Self::Far => vec![megabytes(&[6, 1, 1])],
            Self::Resets => vec![megabytes(&[64, 16, 4])],
            Self::Errors => vec![vec![20_000; 20]; 8],
            Self::Throttled => vec![megabytes(&[1, 1, 1])],
            Self::Hundred => vec![megabytes(&[40, 10, 1]); 2],
            Self::Beside => vec![vec![MEGABYTE, 100_000], vec![MEGABYTE, 100_000], megabytes(&[200; 6])],
            Self::DeadMirror => vec![megabytes(&[1; 6]); 2],
        }
    }

    /// Whether an equal image is pulled before, over the same network without what the case is about.
    pub(crate) fn has_pull_alone(self) -> bool {
        matches!(self, Self::Hundred | Self::Beside | Self::DeadMirror)
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|case| case.name() == name);
        found.ok_or_else(|| format!("one of {}", Self::ALL.map(Self::name).join(", ")))
    }
}

/// What each connection of [`Case::RateLimited`], [`Case::SharedLink`] and [`Case::Beside`] gets.
pub(crate) const RATE_BYTES: u64 = 50 * MEGABYTE;

/// What all connections of [`Case::SharedLink`] get together, in bytes a second.
pub(crate) const LINK_RATE_BYTES: f64 = 150e6;

/// How long [`Case::Throttled`] refuses, and the wait that it asks for.
pub(crate) const THROTTLED: Duration = Duration::from_secs(10);
pub(crate) const RETRY_AFTER_S: u64 = 2;

/// The link of [`Case::Far`].
pub(crate) fn far(seed: u64) -> Quality {
    Quality { delay: Duration::from_millis(50), loss_percent: 1.0, rate_bytes: None, seed }
}
