//! What processes cost, as `/proc` tells it.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::Context as _;

/// A process whose costs are counted under a name.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    pub(crate) name: &'static str,
    pub(crate) id: u32,
    pub(crate) counted: Counted,
}

/// Whose processor time it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    /// Its own and that of the children that it waited for.
    Whole,
    /// That of the children alone: the bench's own is nobody's cost.
    Children,
}

/// What was spent between the start and the end of a meter.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spent {
    pub(crate) cpu: BTreeMap<&'static str, Duration>,
    /// The largest resident memory since the start; nothing for children.
    pub(crate) peak_bytes: BTreeMap<&'static str, u64>,
}

/// Counts from its start to its end.
#[derive(Debug)]
pub(crate) struct Meter {
    watched: Vec<(Watched, Duration)>,
}

impl Meter {
    /// Begins to count, peaks of memory from what is resident now.
    pub(crate) fn start(watched: Vec<Watched>) -> anyhow::Result<Self> {
        let begin = |watched: Watched| {
            if watched.counted == Counted::Whole {
                // proc(5): 5 resets the peak resident set size.
                fs::write(format!("/proc/{}/clear_refs", watched.id), "5").context("cannot reset a peak")?;
            }
            let cpu = cpu(&watched)?;
            Ok((watched, cpu))
        };
        Ok(Self { watched: watched.into_iter().map(begin).collect::<anyhow::Result<_>>()? })
    }

    /// Ends counting.
    pub(crate) fn finish(self) -> anyhow::Result<Spent> {
        let mut spent = Spent::default();
        for (watched, before) in self.watched {
            spent.cpu.insert(watched.name, cpu(&watched)?.saturating_sub(before));
            if watched.counted == Counted::Whole {
                spent.peak_bytes.insert(watched.name, peak_bytes(watched.id)?);
            }
        }
        Ok(spent)
    }
}

/// User and system time so far, in steps of a clock tick: 10 ms.
fn cpu(watched: &Watched) -> anyhow::Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{}/stat", watched.id))
        .with_context(|| format!("{} is gone", watched.name))?;
    // The command, in parentheses, may hold spaces; what follows it begins with field 3 of proc(5).
    let (_, rest) = text.rsplit_once(')').context("no command in stat")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |number: usize| -> anyhow::Result<u64> {
        Ok(fields.get(number - 3).context("too few fields in stat")?.parse()?)
    };
    // 14 and 15 are the process's own, 16 and 17 those of its children.
    let sum =
        ticks(16)? + ticks(17)? + if watched.counted == Counted::Whole { ticks(14)? + ticks(15)? } else { 0 };
    Ok(Duration::from_millis(sum * 1000 / rustix::param::clock_ticks_per_second()))
}

fn peak_bytes(id: u32) -> anyhow::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes << 10)
}
