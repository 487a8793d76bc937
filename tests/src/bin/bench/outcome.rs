//! All runs of one image.

use serde_json::{Value, json};

use crate::contestant::Contestant;
use crate::figures::Figures;
use crate::image::Image;

/// What came of the pulls of one image.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) image: Image,
    /// The version of containerd.
    pub(crate) release: String,
    runs: Vec<(Contestant, Figures)>,
}

/// What one contestant's median is as a part of another's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ratio {
    pub(crate) of: Contestant,
    pub(crate) to: Contestant,
    pub(crate) wall: f64,
    pub(crate) cpu: f64,
    pub(crate) peak: f64,
    pub(crate) written: f64,
}

impl Outcome {
    pub(crate) fn new(image: Image, release: String) -> Self {
        Self { image, release, runs: Vec::new() }
    }

    pub(crate) fn add(&mut self, contestant: Contestant, figures: Figures) {
        self.runs.push((contestant, figures));
    }

    /// How often each contestant pulled.
    pub(crate) fn count(&self) -> usize {
        self.runs.iter().filter(|(contestant, _)| *contestant == Contestant::Ours).count()
    }

    /// The medians, in the order of the turns.
    pub(crate) fn medians(&self) -> Vec<(Contestant, Figures)> {
        let mut contestants: Vec<Contestant> = self.runs.iter().map(|(contestant, _)| *contestant).collect();
        contestants.sort_unstable();
        contestants.dedup();
        let median = |contestant: Contestant| {
            let own = self.runs.iter().filter(|(other, _)| *other == contestant);
            Figures::median(&own.map(|(_, figures)| figures).collect::<Vec<_>>())
        };
        contestants.into_iter().filter_map(|contestant| Some((contestant, median(contestant)?))).collect()
    }

    /// Each way of ours against each other contestant.
    pub(crate) fn ratios(&self) -> Vec<Ratio> {
        let medians = self.medians();
        let (ours, others): (Vec<_>, Vec<_>) =
            medians.iter().partition(|(contestant, _)| contestant.is_ours());
        let ratio = |(of, mine): &(Contestant, Figures), (to, theirs): &(Contestant, Figures)| Ratio {
            of: *of,
            to: *to,
            wall: mine.wall_s / theirs.wall_s,
            cpu: mine.cpu_s / theirs.cpu_s,
            peak: mine.peak_mb() / theirs.peak_mb(),
            written: mine.written_mb / theirs.written_mb,
        };
        ours.iter().flat_map(|mine| others.iter().map(move |theirs| ratio(mine, theirs))).collect()
    }

    /// As in the report's file.
    pub(crate) fn json(&self) -> Value {
        let figures = |(contestant, figures): &(Contestant, Figures)| {
            let mut value = figures.json();
            value["contestant"] = contestant.name().into();
            value
        };
        let ratio = |ratio: Ratio| {
            json!({
                "of": ratio.of.name(), "to": ratio.to.name(), "wall": ratio.wall, "cpu": ratio.cpu,
                "peak": ratio.peak.is_finite().then_some(ratio.peak), "written": ratio.written,
            })
        };
        json!({
            "image": self.image.shape.name,
            "layers": self.image.layers.len(),
            "compressed_bytes": self.image.compressed_bytes(),
            "bytes": self.image.bytes(),
            "files": self.image.files(),
            "entries": self.image.entries(),
            "containerd": self.release,
            "runs": self.runs.iter().map(figures).collect::<Vec<_>>(),
            "medians": self.medians().iter().map(figures).collect::<Vec<_>>(),
            "ratios": self.ratios().into_iter().map(ratio).collect::<Vec<_>>(),
        })
    }
}
