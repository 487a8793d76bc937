//! What came of all turns at one case.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::case::Case;
use crate::contestant::Contestant;
use crate::figures::median;

/// How a turn ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Pulled,
    /// With this error; the first where there were several.
    Failed(String),
}

/// The numbers of one turn.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    pub(crate) wall_s: f64,
    /// An equal pull without what the case is about.
    pub(crate) alone_s: Option<f64>,
    /// What was sent as a part of the image.
    pub(crate) sent: Option<f64>,
    /// How often the network was bad.
    pub(crate) harms: usize,
    pub(crate) ended: Ended,
}

/// The medians of one contestant's turns that ended with an image.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) contestant: Contestant,
    pub(crate) turns: usize,
    pub(crate) pulled: usize,
    pub(crate) wall_s: Option<f64>,
    pub(crate) alone_s: Option<f64>,
    pub(crate) added_s: Option<f64>,
    pub(crate) times_alone: Option<f64>,
    pub(crate) sent: Option<f64>,
    /// Of all turns.
    pub(crate) harms: usize,
    /// The first error.
    pub(crate) error: Option<String>,
}

/// All turns at one case.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) case: Case,
    pub(crate) scale: u64,
    /// The version of containerd.
    pub(crate) release: String,
    turns: Vec<(Contestant, Figures)>,
}

impl Ended {
    /// The first error of both.
    pub(crate) fn and(self, other: Self) -> Self {
        match self {
            Self::Pulled => other,
            Self::Failed(_) => self,
        }
    }
}

impl Figures {
    #[expect(clippy::cast_precision_loss, reason = "a number for people, of which three digits are read")]
    pub(crate) fn new(
        wall: Duration,
        alone: Option<Duration>,
        sent_of: Option<(u64, u64)>,
        harms: usize,
        ended: Ended,
    ) -> Self {
        Self {
            wall_s: wall.as_secs_f64(),
            alone_s: alone.map(|alone| alone.as_secs_f64()),
            sent: sent_of.map(|(sent, bytes)| sent as f64 / bytes as f64),
            harms,
            ended,
        }
    }

    fn json(&self) -> Value {
        let error = match &self.ended {
            Ended::Pulled => None,
            Ended::Failed(error) => Some(error),
        };
        json!({ "wall_s": self.wall_s, "alone_s": self.alone_s, "sent": self.sent, "harms": self.harms,
            "error": error })
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} s", self.wall_s)?;
        match &self.ended {
            Ended::Pulled => Ok(()),
            Ended::Failed(error) => write!(f, ", failed: {}", error.chars().take(100).collect::<String>()),
        }
    }
}

impl Outcome {
    pub(crate) fn new(case: Case, scale: u64, release: &str) -> Self {
        Self { case, scale, release: release.to_owned(), turns: Vec::new() }
    }

    pub(crate) fn add(&mut self, contestant: Contestant, figures: Figures) {
        self.turns.push((contestant, figures));
    }

    /// A row for each contestant, in the order of the turns.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let mut contestants: Vec<Contestant> = self.turns.iter().map(|(contestant, _)| *contestant).collect();
        contestants.sort_unstable();
        contestants.dedup();
        contestants.into_iter().map(|contestant| self.row(contestant)).collect()
    }

    fn row(&self, contestant: Contestant) -> Row {
        let own: Vec<&Figures> =
            self.turns.iter().filter(|(other, _)| *other == contestant).map(|(_, figures)| figures).collect();
        let good: Vec<&Figures> =
            own.iter().copied().filter(|figures| figures.ended == Ended::Pulled).collect();
        let of = |number: &dyn Fn(&Figures) -> Option<f64>| {
            let numbers: Vec<f64> = good.iter().filter_map(|figures| number(figures)).collect();
            (!numbers.is_empty()).then(|| median(numbers))
        };
        let error = own.iter().find_map(|figures| match &figures.ended {
            Ended::Pulled => None,
            Ended::Failed(error) => Some(error.clone()),
        });
        Row {
            contestant,
            turns: own.len(),
            pulled: good.len(),
            wall_s: of(&|figures| Some(figures.wall_s)),
            alone_s: of(&|figures| figures.alone_s),
            added_s: of(&|figures| Some(figures.wall_s - figures.alone_s?)),
            times_alone: of(&|figures| Some(figures.wall_s / figures.alone_s?)),
            sent: of(&|figures| figures.sent),
            harms: own.iter().map(|figures| figures.harms).sum(),
            error,
        }
    }

    /// The wall of ours as a part of each other contestant's, where both have one.
    pub(crate) fn ratios(&self) -> Vec<(Contestant, Contestant, f64)> {
        let rows = self.rows();
        let (ours, others): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.contestant.is_ours());
        let ratio = |mine: &Row, theirs: &Row| {
            Some((mine.contestant, theirs.contestant, mine.wall_s? / theirs.wall_s?))
        };
        ours.iter().flat_map(|mine| others.iter().filter_map(move |theirs| ratio(mine, theirs))).collect()
    }

    /// As in the report's file.
    pub(crate) fn json(&self) -> Value {
        let turn = |(contestant, figures): &(Contestant, Figures)| {
            let mut value = figures.json();
            value["contestant"] = contestant.name().into();
            value
        };
        let row = |row: Row| {
            json!({
                "contestant": row.contestant.name(), "turns": row.turns, "pulled": row.pulled,
                "wall_s": row.wall_s, "alone_s": row.alone_s, "added_s": row.added_s,
                "times_alone": row.times_alone, "sent": row.sent, "harms": row.harms, "error": row.error,
            })
        };
        let ratio = |(of, to, wall): (Contestant, Contestant, f64)| json!({ "of": of.name(), "to": to.name(), "wall": wall });
        json!({
            "case": self.case.name(), "scale": self.scale, "containerd": self.release,
            "turns": self.turns.iter().map(turn).collect::<Vec<_>>(),
            "medians": self.rows().into_iter().map(row).collect::<Vec<_>>(),
            "ratios": self.ratios().into_iter().map(ratio).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Case, Contestant, Ended, Figures, Outcome};

    #[test]
    fn a_failed_turn_counts_but_is_in_no_median() {
        let figures = |wall, ended| {
            Figures::new(Duration::from_secs(wall), Some(Duration::from_secs(2)), Some((3, 2)), 5, ended)
        };
        let mut outcome = Outcome::new(Case::Beside, 100, "2.1");
        outcome.add(Contestant::Ours, figures(4, Ended::Pulled));
        outcome.add(Contestant::Ours, figures(100, Ended::Failed("first".to_owned())));
        outcome.add(Contestant::Containerd, figures(100, Ended::Failed("theirs".to_owned())));
        let rows = outcome.rows();
        let [theirs, ours] = &rows[..] else { panic!("{rows:?}") };
        assert_eq!((ours.turns, ours.pulled), (2, 1));
        assert_eq!((ours.wall_s, ours.added_s, ours.times_alone), (Some(4.0), Some(2.0), Some(2.0)));
        assert_eq!((ours.sent, ours.error.as_deref()), (Some(1.5), Some("first")));
        assert_eq!(ours.harms, 10);
        assert_eq!((theirs.wall_s, theirs.pulled), (None, 0));
        assert!(outcome.ratios().is_empty());
    }
}
