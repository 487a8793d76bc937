//! The one way to wait: ask for a state until it holds or the deadline has passed.

use std::time::Duration;

use anyhow::Context as _;

/// How often a state is asked for; only the latency of a passing test depends on it.
const INTERVAL: Duration = Duration::from_millis(20);

/// Asks `probe` until it answers with a value.
///
/// # Errors
/// After `deadline`, naming `what` was waited for; at once where `probe` itself fails.
pub async fn until<T, F>(what: &str, deadline: Duration, mut probe: impl FnMut() -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<Option<T>>>,
{
    let asking = async {
        loop {
            if let Some(value) = probe().await? {
                return Ok(value);
            }
            tokio::time::sleep(INTERVAL).await;
        }
    };
    tokio::time::timeout(deadline, asking)
        .await
        .with_context(|| format!("{what}: not within {deadline:?}"))?
}
