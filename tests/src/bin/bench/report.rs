//! The report's file: every run of every image, as JSON.

use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::outcome::Outcome;

/// What is known so far.
#[derive(Debug)]
pub(crate) struct Report {
    value: Value,
}

impl Report {
    /// Of nothing yet; `gunzip` is the pipeline's, `with_igzip` says whether containerd may use it too.
    pub(crate) fn new(gunzip: &str, with_igzip: bool) -> Self {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let value = json!({
            "cores": cores, "kernel": kernel.trim(), "load_before": load(), "limit_gunzip": gunzip, "with_igzip": with_igzip, "images": [],
        });
        Self { value }
    }

    /// Adds an image.
    pub(crate) fn add(&mut self, outcome: &Outcome) {
        if let Some(images) = self.value["images"].as_array_mut() {
            images.push(outcome.json());
        }
    }

    /// Writes the file.
    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let text = format!("{:#}\n", self.value);
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// How many processes the machine ran in the last minute, on average: a bench beside a build measures both.
pub(crate) fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(f64::NAN)
}
