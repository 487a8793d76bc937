//! Keeping the index true to containerd: build it, follow the events, and begin again when the stream breaks.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use containerd::ImageEvents;

use crate::{ImageStore, Readiness, StoreError};

/// First and longest wait before containerd is tried again.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(2);

impl ImageStore {
    /// Keeps the index true for as long as it is polled. Everything else of the store works only while this runs.
    ///
    /// # Cancel safety
    /// The index stays as it was and is no longer kept.
    pub async fn run(&self) {
        let mut wait = RETRY_MIN;
        loop {
            let broken = match self.build().await {
                Ok(mut events) => {
                    self.shared.readiness.send_replace(Readiness::Ready);
                    tracing::info!(
                        images = self.index().images().count(),
                        "image index built from containerd"
                    );
                    wait = RETRY_MIN;
                    self.follow(&mut events).await
                }
                Err(error) => error,
            };
            // The daemon says each change in its log; the same reason again is none.
            let waiting = Readiness::Waiting { reason: chain(&broken) };
            self.shared.readiness.send_if_modified(|state| {
                let changed = *state != waiting;
                *state = waiting;
                changed
            });
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY_MAX);
        }
    }

    /// Subscribes first and lists afterwards: what happens in between is in the list, in the events, or in both.
    async fn build(&self) -> Result<ImageEvents, StoreError> {
        let client = &self.shared.client;
        let events = client.events().images().await?;
        let plugin = client.introspection().snapshotter(&self.shared.config.snapshotter).await?;
        self.shared.plugin.store(Some(Arc::new(plugin)));
        self.recover_and_look().await?;
        Ok(events)
    }

    /// Ends what was cut off, and brings the index to what containerd has.
    async fn recover_and_look(&self) -> Result<(), StoreError> {
        let images = self.shared.client.images();
        self.recover(&images.list().await?).await?;
        let mut names: BTreeSet<String> = images.list().await?.into_iter().map(|r| r.name).collect();
        // What is being read may have been deleted after its reading and before the subscription (found by the simulator,
        // 2026-11-27). Before the index, which it is entered in meanwhile.
        names.extend(self.refreshing());
        names.extend(self.index().names().map(str::to_owned));
        for name in names {
            // To leave one out that is being written would be not to know what was there before (found by the simulator,
            // 2026-11-27).
            if self.shared.writing.has(&name) {
                drop(self.shared.changing.lock_one(&name).await);
            }
            self.refresh(&name).await?;
        }
        Ok(())
    }

    /// Refreshes the name of each event, and ends the pulls that were left to recovery, until the stream breaks or
    /// containerd cannot be asked.
    async fn follow(&self, events: &mut ImageEvents) -> StoreError {
        loop {
            let done = tokio::select! {
                biased;
                () = self.shared.recovery_wanted.notified() => self.recover_and_look().await,
                () = self.shared.resumables.expired() => {
                    self.forget_expired().await;
                    Ok(())
                }
                event = events.next() => match event {
                    Ok(event) => self.refresh(&event.name).await,
                    Err(error) => return error.into(),
                },
            };
            if let Err(error) = done {
                return error;
            }
        }
    }
}

/// The error and its causes as one line.
fn chain(error: &StoreError) -> String {
    let mut line = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        line = format!("{line}: {cause}");
        source = cause.source();
    }
    line
}
