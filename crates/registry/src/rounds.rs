//! The order in which hosts are asked, and asked again: the one place where retries happen.
//!
//! A round asks each host once. When all failed and the failure that decides is transient, another round asks those
//! whose own failure was. So a mirror's hiccup costs no wait at all while another host is there.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use oci::Descriptor;

use crate::client::Shared;
use crate::endpoint::Endpoint;
use crate::error::{AccessError, Failure, HostFailure, Retry, chain};
use crate::hosts::Capability;
use crate::reach::Reach;
use crate::retry::{Budget, Retries};
use crate::session::Inner;

pub(crate) struct Rounds {
    shared: Arc<Shared>,
    budget: Arc<Budget>,
    /// Those with the capability, in the configured order.
    endpoints: Vec<Arc<Endpoint>>,
    is_of_blob: bool,
    queue: VecDeque<Arc<Endpoint>>,
    /// By position in the configured order.
    failures: BTreeMap<usize, HostFailure>,
    retries: Retries,
}

impl Rounds {
    /// # Errors
    /// [`AccessError::Config`] and [`AccessError::NoHost`].
    pub(crate) fn new(session: &Inner, capability: Capability) -> Result<Rounds, AccessError> {
        let endpoints = Rounds::endpoints(session, capability)?;
        Rounds::over(session, capability, endpoints, false)
    }

    /// For the blob of `descriptor`: where the hosts do not have it, the URLs that it names do.
    ///
    /// # Errors
    /// As [`Rounds::new`].
    pub(crate) fn of_blob(session: &Inner, descriptor: &Descriptor) -> Result<Rounds, AccessError> {
        let mut endpoints = Rounds::endpoints(session, Capability::Pull)?;
        let position = endpoints.last().map_or(0, |last| last.position + 1);
        endpoints.extend(session.foreign(descriptor, position));
        Rounds::over(session, Capability::Pull, endpoints, true)
    }

    fn endpoints(session: &Inner, capability: Capability) -> Result<Vec<Arc<Endpoint>>, AccessError> {
        let all = session.endpoints.as_ref().map_err(|error| AccessError::Config(Arc::clone(error)))?;
        let able = all.iter().filter(|endpoint| endpoint.host.capabilities.has(capability));
        Ok(able.cloned().collect())
    }

    fn over(
        session: &Inner,
        capability: Capability,
        endpoints: Vec<Arc<Endpoint>>,
        is_of_blob: bool,
    ) -> Result<Rounds, AccessError> {
        if endpoints.is_empty() {
            return Err(AccessError::NoHost {
                registry: session.reference.registry().to_owned(),
                capability,
            });
        }
        let mut rounds = Rounds {
            shared: Arc::clone(&session.shared),
            budget: Arc::clone(&session.budget),
            endpoints,
            is_of_blob,
            queue: VecDeque::new(),
            failures: BTreeMap::new(),
            retries: Retries::default(),
        };
        rounds.restart();
        Ok(rounds)
    }

    /// The next host to ask. Waits between rounds.
    ///
    /// # Errors
    /// [`AccessError::Hosts`] when there is none left.
    pub(crate) async fn next(&mut self) -> Result<Arc<Endpoint>, AccessError> {
        if let Some(endpoint) = self.next_in_queue() {
            return Ok(endpoint);
        }
        let again = match self.failures.values().next_back() {
            Some(HostFailure { failure, .. }) => {
                self.retries.pause(&self.shared.jitter, &self.budget, failure).await
            }
            None => false,
        };
        if again {
            let failures = &self.failures;
            let transient = |endpoint: &&Arc<Endpoint>| {
                failures.get(&endpoint.position).is_some_and(|failed| failed.failure.retry() != Retry::Never)
            };
            self.queue = self.endpoints.iter().filter(transient).cloned().collect();
        }
        let failures = &mut self.failures;
        self.queue
            .pop_front()
            .ok_or_else(|| AccessError::Hosts(std::mem::take(failures).into_values().collect()))
    }

    /// The next of this round. A mirror that was out of reach a short while ago is not waited for where another host has
    /// given its last word: it is listed with the reason.
    fn next_in_queue(&mut self) -> Option<Arc<Endpoint>> {
        loop {
            let endpoint = self.queue.pop_front()?;
            let answered = self.failures.values().any(|failed| failed.failure.is_last_word());
            let is_mirror = endpoint.host.mirror_of.is_some();
            let down = self.reaches(&endpoint).find_map(Reach::down_lately).filter(|_| answered && is_mirror);
            let Some(cause) = down else { return Some(endpoint) };
            let host = endpoint.host.name().to_owned();
            let failure = Failure::OutOfReach { cause: cause.to_string() };
            self.failures.insert(endpoint.position, HostFailure { host, failure });
        }
    }

    /// Notes that `endpoint` did not help this time.
    pub(crate) fn failed(&mut self, endpoint: &Endpoint, failure: Failure) {
        let host = endpoint.host.name().to_owned();
        tracing::debug!(host, cause = chain(&failure), "host failed");
        endpoint.note(&failure);
        self.failures.insert(endpoint.position, HostFailure { host, failure });
    }

    /// Begins anew with every host, after progress: hosts that could not be reached last.
    pub(crate) fn restart(&mut self) {
        let (down, up): (Vec<_>, Vec<_>) =
            self.endpoints.iter().cloned().partition(|endpoint| self.reaches(endpoint).any(Reach::is_down));
        for endpoint in &down {
            endpoint.probe_when_due();
        }
        self.queue = up.into_iter().chain(down).collect();
        self.failures.clear();
        self.retries.reset();
    }

    /// What has to be in reach for a request to `endpoint`.
    fn reaches<'a>(&self, endpoint: &'a Endpoint) -> impl Iterator<Item = &'a Reach> + use<'a> {
        let health = &endpoint.health;
        [&health.reach].into_iter().chain(self.is_of_blob.then_some(&health.storage))
    }

    /// Has the host at this position asked first: the one that served the rest of a blob has all of it.
    pub(crate) fn prefer(&mut self, position: usize) {
        if let Some(place) = self.queue.iter().position(|endpoint| endpoint.position == position)
            && let Some(endpoint) = self.queue.remove(place)
        {
            self.queue.push_front(endpoint);
        }
    }
}
