//! The numbers that the daemon tells about itself, in Prometheus' text form.
//!
//! Owns their names and meanings; who counts is given a handle. The registry is a value, so that many daemons can live
//! in one process.

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

pub(crate) mod http;

/// A handle to the numbers; its clones count into the same ones.
#[derive(Clone)]
pub struct Metrics {
    pulls_in_flight: Gauge,
    pulls: Family<PullLabels, Counter>,
    registry: Arc<Registry>,
}

/// How a pull ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PullResult {
    /// The image is ready.
    Done,
    /// An error was answered.
    Failed,
    /// The last caller went away.
    Cancelled,
}

impl EncodeLabelValue for PullResult {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        let name = match self {
            PullResult::Done => "done",
            PullResult::Failed => "failed",
            PullResult::Cancelled => "cancelled",
        };
        name.encode(encoder)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PullLabels {
    result: PullResult,
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Metrics {
        let mut registry = Registry::with_prefix("cri_imaged");
        let pulls_in_flight = Gauge::default();
        registry.register("pulls_in_flight", "Pulls that run now", pulls_in_flight.clone());
        let pulls = Family::<PullLabels, Counter>::default();
        // Present from the start: a rate over a series that appears with its first count misses that count.
        for result in [PullResult::Done, PullResult::Failed, PullResult::Cancelled] {
            pulls.get_or_create(&PullLabels { result }).inc_by(0);
        }
        registry.register("pulls", "Pulls that ended, by result", pulls.clone());
        Metrics { pulls_in_flight, pulls, registry: Arc::new(registry) }
    }

    /// Counts a pull as running until what this returns is ended or dropped.
    pub fn pull_started(&self) -> PullInFlight {
        self.pulls_in_flight.inc();
        PullInFlight { metrics: self.clone(), result: PullResult::Cancelled }
    }

    /// All numbers, in the OpenMetrics text form that Prometheus reads.
    pub fn text(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)
            .expect("a string takes any text");
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics")
            .field("pulls_in_flight", &self.pulls_in_flight.get())
            .finish_non_exhaustive()
    }
}

/// A running pull. Dropped without [`PullInFlight::end`], it counts as cancelled.
#[derive(Debug)]
pub struct PullInFlight {
    metrics: Metrics,
    result: PullResult,
}

impl PullInFlight {
    /// Counts the pull as ended.
    pub fn end(mut self, result: PullResult) {
        self.result = result;
    }
}

impl Drop for PullInFlight {
    fn drop(&mut self) {
        self.metrics.pulls_in_flight.dec();
        self.metrics.pulls.get_or_create(&PullLabels { result: self.result }).inc();
    }
}
