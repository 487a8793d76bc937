//! One pull, step by step.

use std::collections::BTreeMap;
use std::sync::Arc;

use auth::Credentials;
use containerd::labels::GC_REF_SNAPSHOT;
use imagestore::{Committed, PullLease};
use oci::{ChainId, Descriptor, ImageId};
use refparse::Reference;
use registry::{Resolved, Session};
use tokio::time::Instant;

use crate::documents::Way;
use crate::layers::Unpack;
use crate::puller::Shared;
use crate::{PullError, Pulled, visible};

/// Pulls `reference`; see [`crate::Puller::pull`].
pub(crate) async fn pull(
    shared: Arc<Shared>,
    reference: Reference,
    credentials: Credentials,
) -> Result<Pulled, PullError> {
    let begun = Instant::now();
    let session = shared.registry.session(&reference, &credentials);
    // Every pull asks the registry, also when all bytes are here: only it can say whether these credentials may have
    // the image, and what a tag means now.
    let resolved = session.resolve().await?;
    let resolved_after = begun.elapsed();
    // The lease comes before the first byte: containerd may collect between a blob's commit and the record naming it.
    let lease = shared.store.lease(&reference, (shared.config.now)()).await?;
    let outcome = under_lease(&shared, &reference, &session, &resolved, &lease).await;
    match outcome {
        Ok(image_id) => {
            lease.release();
            tracing::info!(
                image = %reference, image_id = %image_id, target = %resolved.descriptor.digest,
                resolve_s = resolved_after.as_secs_f64(), pull_s = begun.elapsed().as_secs_f64(),
                "pulled"
            );
            Ok(Pulled { image_id, target: resolved.descriptor })
        }
        Err(error) => {
            lease.discard().await;
            Err(error)
        }
    }
}

async fn under_lease(
    shared: &Shared,
    reference: &Reference,
    session: &Session,
    resolved: &Resolved,
    lease: &PullLease,
) -> Result<ImageId, PullError> {
    let store = &shared.store;
    let client = lease.client();
    let way = Way { reference, platform: &store.config().platform, client, session };
    let documents = way.down(resolved).await?;
    let snapshotter = store.config().snapshotter.as_str();
    let top = Unpack { reference, lease, session, snapshotter }.all(&documents).await?;
    let config = &documents.manifest.config;
    hold_snapshot(client, snapshotter, config, top.as_ref()).await?;
    let image_id = ImageId::new(config.digest.clone());
    let image = Committed { reference, target: &resolved.descriptor, image_id: &image_id };
    store.commit(lease, image).await?;
    if let Some(cri) = &shared.config.cri {
        visible::wait(cri, &image_id).await?;
    }
    Ok(image_id)
}

/// Makes the collector keep the snapshot chain with the config: from record to config to snapshot.
async fn hold_snapshot(
    client: &containerd::Client,
    snapshotter: &str,
    config: &Descriptor,
    top: Option<&ChainId>,
) -> Result<(), PullError> {
    let Some(top) = top else { return Ok(()) };
    let label = (format!("{GC_REF_SNAPSHOT}.{snapshotter}"), top.to_string());
    client.content().set_labels(&config.digest, &BTreeMap::from([label])).await?;
    Ok(())
}
