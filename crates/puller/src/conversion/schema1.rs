//! Docker schema 1 manifests: their layers brought into the content store and measured, config and manifest made anew.

use std::collections::BTreeMap;

use bytes::Bytes;
use containerd::labels::{SCHEMA1_EMPTY_LAYER, UNCOMPRESSED};
use containerd::{ContentInfo, Ingest};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use imagestore::ConvertedFrom;
use oci::{Descriptor, DiffId, Schema1, Schema1Error, Schema1Layer};
use refparse::Digest;
use registry::Resolved;

use super::{Conversion, FETCHED_AT_ONCE, Made};
use crate::gc_labels::{self, Labels};
use crate::layer_ingest::LayerIngest;
use crate::source::Source;
use crate::unpack::{LayerStream, Measured};
use crate::{PullError, fetch};

/// Largest layer, in bytes. The document tells no size and the registry's word is no proof, so that something else must
/// say when it is enough.
const LAYER_BYTES_MAX: u64 = 32 << 30;

/// Of a layer before it was measured: what it almost always is.
const LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

impl Conversion<'_> {
    /// Converts `resolved`. Config and layers are in the content store when this is done.
    pub(super) async fn schema1(&self, resolved: &Resolved) -> Result<Made, PullError> {
        const WHAT: &str = "manifest";
        let digest = &resolved.descriptor.digest;
        let malformed = |source| PullError::Schema1 { digest: digest.to_string(), source };
        let document = match &resolved.body {
            Some(document) => document.clone(),
            None => {
                let fetched = self.session.manifest(&resolved.descriptor).await;
                fetched.map_err(|source| PullError::Fetch { what: WHAT, source })?
            }
        };
        let schema1 = parse(&document).map_err(malformed)?;
        let digests: Vec<Digest> = schema1.layers().into_iter().cloned().collect();
        let measured: BTreeMap<Digest, Schema1Layer> = stream::iter(digests)
            .map(|digest| async move {
                let layer = self.layer(&digest).await?;
                Ok::<_, PullError>((digest, layer))
            })
            .buffer_unordered(FETCHED_AT_ONCE)
            .try_collect()
            .await?;
        if measured.values().any(|layer| layer.is_empty) {
            // No document names it.
            self.lease.leave_to_collector();
        }
        let converted = schema1.convert(&measured).map_err(malformed)?;
        self.made(resolved, ConvertedFrom::Schema1(digest.clone()), converted).await
    }

    /// Brings a layer into the content store, unless it is there, and tells what it is.
    async fn layer(&self, digest: &Digest) -> Result<Schema1Layer, PullError> {
        let client = self.lease.client();
        if let Some(found) = self.lease.hold_blob(digest).await? {
            return self.found(found).await;
        }
        let size = self.session.blob_size(digest).await;
        let size = size.map_err(|source| PullError::Fetch { what: fetch::LAYER, source })?;
        if size > LAYER_BYTES_MAX {
            let digest = digest.to_string();
            return Err(PullError::LayerSize { digest, bytes: size, max: LAYER_BYTES_MAX });
        }
        let descriptor = Descriptor::new(LAYER_GZIP, digest.clone(), size);
        let labels = gc_labels::first_source(self.reference);
        match fetch::open(client, fetch::LAYER, &descriptor, &labels).await? {
            // Another pull has written it since; the call has put it under the lease.
            None => self.found(client.content().info(digest).await?).await,
            Some(ingest) => {
                let fetched = self.fetch(&descriptor, ingest).await;
                if fetched.is_err() {
                    fetch::abort_layer(client, &descriptor.digest).await;
                }
                fetched
            }
        }
    }

    /// From the registry into `ingest`.
    async fn fetch(&self, descriptor: &Descriptor, ingest: Ingest) -> Result<Schema1Layer, PullError> {
        let blob = self.session.blob(descriptor, 0).await;
        let blob = blob.map_err(|source| PullError::Fetch { what: fetch::LAYER, source })?;
        let source = Source::Registry(Box::new(blob));
        let client = self.lease.client();
        let ingest = LayerIngest::new(client, descriptor, ingest, self.how.file_bytes_min).await;
        let (measured, ingest) = self.stream(descriptor).measure(source, Some(ingest)).await?;
        let labels = labels(&measured);
        if let Some(ingest) = ingest {
            let all = labels.clone().into_iter().chain(gc_labels::first_source(self.reference)).collect();
            // Committed by another client, it does not have these labels.
            if !ingest.commit(client, self.session, descriptor, &all).await? {
                client.content().set_labels(&descriptor.digest, &labels).await?;
            }
        }
        Ok(layer(descriptor.size, measured))
    }

    /// What its labels say of a layer that is in the content store, or else its bytes.
    async fn found(&self, info: ContentInfo) -> Result<Schema1Layer, PullError> {
        if let Some(measured) = labelled(&info.labels) {
            return Ok(layer(info.size, measured));
        }
        let content = self.lease.client().content();
        let descriptor = Descriptor::new(LAYER_GZIP, info.digest, info.size);
        let source = Source::Content(Box::new(content.stream(&descriptor.digest).await?));
        let (measured, _) = self.stream(&descriptor).measure(source, None).await?;
        content.set_labels(&descriptor.digest, &labels(&measured)).await?;
        Ok(layer(info.size, measured))
    }

    fn stream<'a>(&'a self, descriptor: &'a Descriptor) -> LayerStream<'a> {
        LayerStream { turns: self.turns.of_layer(0), descriptor, limits: self.how.limits }
    }
}

fn parse(document: &Bytes) -> Result<Schema1, Schema1Error> {
    Schema1::parse(&oci::schema1_payload(document)?)
}

fn layer(size: u64, measured: Measured) -> Schema1Layer {
    Schema1Layer { size, diff_id: measured.diff_id, is_empty: measured.is_empty }
}

fn labels(measured: &Measured) -> Labels {
    Labels::from([
        (UNCOMPRESSED.to_owned(), measured.diff_id.to_string()),
        (SCHEMA1_EMPTY_LAYER.to_owned(), measured.is_empty.to_string()),
    ])
}

/// What an earlier conversion has noted, ours or containerd's. Both labels must be there: other pulls write the first one
/// alone.
fn labelled(labels: &Labels) -> Option<Measured> {
    let diff_id = DiffId::parse(labels.get(UNCOMPRESSED)?).ok()?;
    let is_empty = labels.get(SCHEMA1_EMPTY_LAYER)?.parse().ok()?;
    Some(Measured { diff_id, is_empty })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_tell_what_was_measured() {
        for is_empty in [true, false] {
            let diff_id = DiffId::new(oci::sha256(b"layer"));
            let measured = Measured { diff_id, is_empty };
            assert_eq!(labelled(&labels(&measured)), Some(measured));
        }
    }

    #[test]
    fn a_layer_of_another_pull_is_measured_again() {
        let diff_id = oci::sha256(b"layer").to_string();
        for (uncompressed, empty) in
            [(Some(diff_id.as_str()), None), (None, Some("true")), (Some("x"), Some("true"))]
        {
            let pairs = [(UNCOMPRESSED, uncompressed), (SCHEMA1_EMPTY_LAYER, empty)];
            let pairs =
                pairs.iter().filter_map(|(key, value)| Some(((*key).to_owned(), (*value)?.to_owned())));
            assert_eq!(labelled(&pairs.collect()), None);
        }
    }
}
