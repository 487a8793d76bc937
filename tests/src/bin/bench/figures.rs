//! The numbers of one pull, and the median of several.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::meter::Spent;

/// What one pull took, or the median of each number over several.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    /// From the call to its answer.
    pub(crate) wall_s: f64,
    /// Of all processes.
    pub(crate) cpu_s: f64,
    pub(crate) cpu_s_of: BTreeMap<&'static str, f64>,
    pub(crate) peak_mb_of: BTreeMap<&'static str, f64>,
    pub(crate) written_mb: f64,
}

impl Figures {
    pub(crate) fn new(wall: Duration, spent: &Spent, written_bytes: u64) -> Self {
        let cpu_s_of: BTreeMap<_, _> =
            spent.cpu.iter().map(|(name, cpu)| (*name, cpu.as_secs_f64())).collect();
        Self {
            wall_s: wall.as_secs_f64(),
            cpu_s: cpu_s_of.values().sum(),
            cpu_s_of,
            peak_mb_of: spent.peak_bytes.iter().map(|(name, bytes)| (*name, megabytes(*bytes))).collect(),
            written_mb: megabytes(written_bytes),
        }
    }

    /// The median of each number; `None` of nothing.
    pub(crate) fn median(all: &[&Self]) -> Option<Self> {
        let first = all.first()?;
        let of = |number: &dyn Fn(&Self) -> f64| median(all.iter().map(|figures| number(figures)).collect());
        let of_each = |numbers: &dyn Fn(&Self) -> &BTreeMap<&'static str, f64>| {
            let names = numbers(first).keys();
            let median =
                |name: &'static str| of(&|figures| numbers(figures).get(name).copied().unwrap_or(0.0));
            names.map(|name| (*name, median(name))).collect()
        };
        Some(Self {
            wall_s: of(&|figures| figures.wall_s),
            cpu_s: of(&|figures| figures.cpu_s),
            cpu_s_of: of_each(&|figures| &figures.cpu_s_of),
            peak_mb_of: of_each(&|figures| &figures.peak_mb_of),
            written_mb: of(&|figures| figures.written_mb),
        })
    }

    /// The peaks of containerd and the daemon together; the registry belongs to neither side.
    pub(crate) fn peak_mb(&self) -> f64 {
        ["containerd", "cri-imaged"].iter().filter_map(|name| self.peak_mb_of.get(name)).sum()
    }

    /// As in the report's file.
    pub(crate) fn json(&self) -> Value {
        json!({
            "wall_s": self.wall_s, "cpu_s": self.cpu_s, "cpu_s_of": self.cpu_s_of,
            "peak_mb_of": self.peak_mb_of, "written_mb": self.written_mb,
        })
    }
}

/// Millions of bytes, as images are measured.
#[expect(clippy::cast_precision_loss, reason = "a number for people, of which three digits are read")]
pub(crate) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// The one in the middle; NaN of nothing.
pub(crate) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let (upper, lower) = (numbers.len() / 2, numbers.len().saturating_sub(1) / 2);
    let at = |index: usize| numbers.get(index).copied().unwrap_or(f64::NAN);
    f64::midpoint(at(lower), at(upper))
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_in_the_middle() {
        for (numbers, expected) in
            [(vec![3.0], 3.0), (vec![9.0, 1.0, 2.0], 2.0), (vec![4.0, 1.0, 2.0, 3.0], 2.5)]
        {
            assert!((median(numbers) - expected).abs() < 1e-9);
        }
    }
}
