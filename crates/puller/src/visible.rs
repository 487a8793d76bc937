//! Waiting until containerd's own CRI plugin has an image.
//!
//! The plugin learns of records by events, after the fact. A kubelet that hears of the image before the plugin did
//! asks it for a container and is told that there is no such image.

use std::time::Duration;

use containerd::{CallError, Cri, ErrorKind};
use imagestore::{ImageStore, Readiness};
use oci::ImageId;
use tokio::time::Instant;

use crate::PullError;

/// How long the plugin gets. It needs a millisecond; its event queue stands still while it handles slow task exits,
/// ten seconds for each at most (v2.3.4 `internal/cri/server/events.go`).
const WAIT_MAX: Duration = Duration::from_secs(30);
/// First and longest pause between two looks.
const POLL_MIN: Duration = Duration::from_millis(2);
const POLL_MAX: Duration = Duration::from_millis(200);

/// Returns when the plugin shows the image, or when the image is gone again: then the pull was done, and a removal came
/// after it.
///
/// # Errors
/// [`PullError::NotVisible`]; at once where containerd runs without the plugin.
pub(crate) async fn wait(cri: &Cri, store: &ImageStore, image_id: &ImageId) -> Result<(), PullError> {
    let begun = Instant::now();
    let mut pause = POLL_MIN;
    loop {
        let last: Option<CallError> = match cri.image(image_id.as_str()).await {
            Ok(Some(image)) if image.id == image_id.as_str() => return Ok(()),
            Ok(_) => None,
            Err(error) => Some(error),
        };
        // Found by the simulator, 2026-11-26: a pull whose image was removed at once failed 30 s later.
        if is_removed(store, image_id) {
            tracing::info!(%image_id, "removed as soon as it was pulled");
            return Ok(());
        }
        let never = last.as_ref().is_some_and(|error| error.kind() == ErrorKind::Unimplemented);
        let waited = begun.elapsed();
        if never || waited >= WAIT_MAX {
            return Err(PullError::NotVisible { image_id: image_id.to_string(), waited, last });
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(POLL_MAX);
    }
}

/// Whether the record that the pull wrote is gone, as far as the store knows.
fn is_removed(store: &ImageStore, image_id: &ImageId) -> bool {
    let is_ready = *store.readiness().borrow() == Readiness::Ready;
    is_ready && store.index().target(image_id.as_str()).is_none()
}
