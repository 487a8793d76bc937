//! The write of a layer's bytes into the content store: over containerd's API, or into its file.

use bytes::Bytes;
use containerd::{CallError, Client, FileIngest, Ingest};
use oci::Descriptor;
use registry::Session;

use crate::PullError;
use crate::fetch::{self, LAYER};
use crate::gc_labels::Labels;
use crate::source::ingest_file;

/// The open write of a layer.
pub(crate) enum LayerIngest {
    Api(Box<Ingest>),
    File(FileIngest),
}

impl LayerIngest {
    /// Goes on with `ingest`: into its file where the layer has at least `file_bytes_min` bytes and the file is here.
    pub(crate) async fn new(
        client: &Client,
        descriptor: &Descriptor,
        ingest: Ingest,
        file_bytes_min: u64,
    ) -> LayerIngest {
        if descriptor.size >= file_bytes_min
            && let Some(file) = ingest_file(client, &ingest).await
        {
            return LayerIngest::File(ingest.into_file(file));
        }
        LayerIngest::Api(Box::new(ingest))
    }

    pub(crate) async fn write(&mut self, bytes: Bytes) -> Result<(), CallError> {
        match self {
            LayerIngest::Api(ingest) => ingest.write(bytes).await,
            LayerIngest::File(ingest) => ingest.write(bytes).await,
        }
    }

    /// Makes content of the written bytes, which are all of `descriptor` and verified, with `labels`. Answers whether it
    /// did: see [`Ingest::commit`]. The bytes of a file are hashed once more, by containerd.
    pub(crate) async fn commit(
        self,
        client: &Client,
        session: &Session,
        descriptor: &Descriptor,
        labels: &Labels,
    ) -> Result<bool, PullError> {
        let ingest = match self {
            LayerIngest::Api(ingest) => *ingest,
            LayerIngest::File(ingest) => {
                ingest.close().await?;
                // Another client may have been faster to open it.
                let found = fetch::open_as_found(client, LAYER, descriptor).await?;
                let Some(mut ingest) = found else { return Ok(false) };
                if ingest.found() != descriptor.size {
                    // And has begun anew, and gone away.
                    drop(ingest);
                    fetch::abort_layer(client, &descriptor.digest).await;
                    return fetch::layer(client, session, descriptor, labels).await;
                }
                ingest.keep_found();
                ingest
            }
        };
        Ok(ingest.commit(labels).await?)
    }
}
