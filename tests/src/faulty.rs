//! The simulator's registry on a loopback port: it lies or stops at a chosen place, as no real registry does on request.

use std::path::Path;
use std::time::Duration;

use sim::image::Pushable;
use sim::registry::{Fault, Match, Options, Registry, Rule, Serving};

use crate::{certs_d, until};

/// A running registry that serves one image under the repository `faulty`, tag `1`.
#[derive(Debug)]
pub struct FaultyRegistry {
    registry: Registry,
    serving: Serving,
}

impl FaultyRegistry {
    /// Serves `image` without a fault, and tells `certs_d` how to reach it.
    ///
    /// # Errors
    /// Where no port can be had or a file cannot be written.
    pub async fn start(image: &impl Pushable, folder: &Path) -> anyhow::Result<Self> {
        let registry = Registry::new(Options::default());
        registry.push("faulty", Some("1"), image);
        let serving = registry.serve_tcp().await?;
        certs_d(folder, &serving.address().to_string(), None)?;
        Ok(Self { registry, serving })
    }

    /// The reference of its image.
    pub fn reference(&self) -> String {
        format!("{}/faulty:1", self.serving.address())
    }

    /// From now on, requests that name `digest` meet this fault instead of any earlier one.
    pub fn set_fault(&self, digest: &str, fault: Fault) {
        self.registry.heal();
        self.registry.inject(Rule::new(Match::path(digest), fault));
    }

    /// The next `times` requests that name `digest` meet this fault, beside any other.
    pub fn add_fault(&self, digest: &str, fault: Fault, times: u32) {
        self.registry.inject(Rule::new(Match::path(digest), fault).times(times));
    }

    /// No fault from now on.
    pub fn heal(&self) {
        self.registry.heal();
    }

    /// How often it has answered with `status`.
    pub fn answers_of(&self, status: http::StatusCode) -> usize {
        self.registry.requests().iter().filter(|request| request.status == Some(status)).count()
    }

    /// The `Range` headers of the requests for the blob `digest`, in their order.
    pub fn ranges_of(&self, digest: &str) -> Vec<Option<String>> {
        let requests = self.registry.requests().into_iter();
        requests.filter(|request| request.path.contains(digest)).map(|request| request.range).collect()
    }

    /// Returns once a client has asked for `digest`.
    ///
    /// # Errors
    /// Where none does within 30 s.
    pub async fn asked_for(&self, digest: &str) -> anyhow::Result<()> {
        until(&format!("a client asks for {digest}"), Duration::from_secs(30), || async {
            Ok(self.registry.requests().iter().any(|request| request.path.contains(digest)).then_some(()))
        })
        .await
    }
}
