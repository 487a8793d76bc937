//! One pull, step by step.

use std::sync::Arc;

use auth::Credentials;
use futures::future;
use imagestore::{Committed, ConvertedFrom, PullLease};
use oci::{Descriptor, ImageId};
use refparse::Reference;
use registry::{Resolved, Session};
use tokio::time::Instant;

use crate::conversion::Conversion;
use crate::documents::{Down, Way};
use crate::in_flight::Door;
use crate::puller::{Layers, Shared, UnpackConfig};
use crate::unpack::{self, Unpack};
use crate::workers::Turns;
use crate::{PullError, Pulled, visible};

/// Pulls `reference`; see [`crate::Puller::pull`].
pub(crate) async fn pull(
    shared: Arc<Shared>,
    reference: Reference,
    credentials: Credentials,
    door: Door,
) -> Result<Pulled, PullError> {
    let begun = Instant::now();
    let session = shared.registry.session(&reference, &credentials);
    // Every pull asks the registry, also when all bytes are here: only it can say whether these credentials may have
    // the image, and what a tag means now.
    let resolved = session.resolve().await?;
    let resolved_at = Instant::now();
    // The lease comes before the first byte: containerd may collect between a blob's commit and the record naming it.
    let lease = shared.store.lease(&reference).await?;
    let turns = shared.workers.pull();
    let Brought { image_id, target, converted_from, unpacked, documents_at } =
        match bring(&shared, &reference, &session, &resolved, &lease, &turns).await {
            Ok(brought) => brought,
            Err(error) => {
                if error.may_pass() {
                    lease.interrupt().await;
                } else {
                    lease.discard().await;
                }
                if error.is_no_space() {
                    shared.store.forget_interrupted().await;
                }
                return Err(error);
            }
        };
    let layers_at = Instant::now();
    let pulled = Pulled { image_id, target, converted_from };
    // Who comes from now on may have seen another client delete what is written (found by the simulator, 2026-11-27).
    door.close();
    let records_at = finish(&shared, lease, &reference, &pulled).await?;
    let seconds = |from: Instant, to: Instant| to.duration_since(from).as_secs_f64();
    let ended = Instant::now();
    tracing::info!(
        image = %reference, image_id = %pulled.image_id, target = %pulled.target.digest,
        converted_from = pulled.converted_from.as_ref().map(|from| tracing::field::display(from.digest())),
        unpack = unpacked.name(),
        resolve_s = seconds(begun, resolved_at), documents_s = seconds(resolved_at, documents_at),
        layers_s = seconds(documents_at, layers_at), records_s = seconds(layers_at, records_at),
        shown_s = seconds(records_at, ended), pull_s = seconds(begun, ended),
        "pulled"
    );
    Ok(pulled)
}

/// What is in containerd when all but the records is.
struct Brought {
    image_id: ImageId,
    target: Descriptor,
    converted_from: Option<ConvertedFrom>,
    unpacked: unpack::Way,
    /// When the documents were read, and the layers' turn came.
    documents_at: Instant,
}

/// Brings all that the image is made of into containerd, under the lease.
async fn bring(
    shared: &Shared,
    reference: &Reference,
    session: &Session,
    resolved: &Resolved,
    lease: &PullLease,
    turns: &Turns,
) -> Result<Brought, PullError> {
    let config = shared.store.config();
    let client = lease.client();
    let how = shared.config.unpack;
    let converting = Conversion {
        reference,
        store: &shared.store,
        lease,
        session,
        turns,
        how,
        fetching: &shared.unpacking,
    };
    let mut made = converting.of(resolved).await?;
    let is_converted = made.is_some();
    let snapshotter = config.snapshotter.as_str();
    let platform = &config.platform;
    let mut way = Way { reference, platform, client, session, snapshotter, layers: how.layers, is_converted };
    let mut down = way.down(made.as_ref().map_or(resolved, |made| &made.target)).await?;
    if let Down::Artifact(digest, manifest) = down {
        let image = converting.artifact(resolved, digest, &manifest).await?;
        way.is_converted = true;
        down = way.down(&image.target).await?;
        made = Some(image);
    }
    let Down::Image(documents) = down else {
        return Err(PullError::Ended("an artifact was made of an artifact".to_owned()));
    };
    let documents_at = Instant::now();
    let sizes = documents.manifest.layers.iter().map(|layer| layer.size);
    turns.of_image(sizes.fold(0, u64::saturating_add));
    let is_fetched = made.as_ref().is_some_and(|made| made.is_fetched);
    // Layers that were fetched for the conversion are in the content store, and unpacked from there. Where they are not to
    // stay, no document holds them.
    if is_fetched && how.layers == Layers::Discard {
        lease.leave_to_collector();
    }
    let layers = if is_fetched { Layers::Keep } else { how.layers };
    let unpack = Unpack {
        reference,
        lease,
        session,
        snapshotter,
        root: shared.store.snapshotter().and_then(|plugin| plugin.root.clone()),
        how: UnpackConfig { layers, ..how },
        turns,
        unpacking: &shared.unpacking,
    };
    // Documents and layers need nothing of each other in containerd, and what is missing of an unfinished image the lease
    // replaces.
    let brought = future::try_join(unpack.all(&documents), way.keep(&documents)).await;
    if brought.is_err() {
        // What was begun must not write into what is removed.
        turns.idle().await;
    }
    let (unpacked, ()) = brought?;
    let image_id = ImageId::new(documents.manifest.config.digest.clone());
    let (target, converted_from) = match made {
        Some(made) => (made.target.descriptor, Some(made.from)),
        None => (resolved.descriptor.clone(), None),
    };
    Ok(Brought { image_id, target, converted_from, unpacked, documents_at })
}

/// Writes the records and waits until containerd's plugin shows the image. The writing is on a task of its own: once
/// begun it ends, so that a caller that goes away leaves an image with all its names or none. Answers when the records
/// were written.
async fn finish(
    shared: &Arc<Shared>,
    lease: PullLease,
    reference: &Reference,
    pulled: &Pulled,
) -> Result<Instant, PullError> {
    let committing = tokio::spawn({
        let (store, reference, pulled) = (shared.store.clone(), reference.clone(), pulled.clone());
        async move {
            let image = Committed {
                reference: &reference,
                target: &pulled.target,
                image_id: &pulled.image_id,
                converted_from: pulled.converted_from.as_ref(),
            };
            store.commit(lease, image).await
        }
    });
    // The task is never aborted, so it ends early only by a panic, which the runtime has reported.
    committing.await.map_err(|error| PullError::Ended(error.to_string()))??;
    let records_at = Instant::now();
    if let Some(cri) = &shared.config.cri {
        visible::wait(cri, &shared.store, &pulled.image_id).await?;
    }
    Ok(records_at)
}
