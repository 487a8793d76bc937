//! What a layer unpacks to, without unpacking it: for documents that do not say.

use layer::{Hasher, UnpackError};
use oci::DiffId;

use super::layer_stream::{LayerStream, Outputs};
use crate::PullError;
use crate::layer_ingest::LayerIngest;
use crate::source::Source;

/// What was measured on a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Measured {
    /// Digest of the uncompressed bytes.
    pub(crate) diff_id: DiffId,
    /// Whether they are nothing but zeros: an archive without entries.
    pub(crate) is_empty: bool,
}

impl LayerStream<'_> {
    /// Inflates and hashes the layer, and writes its compressed bytes into `ingest`, which is not committed yet. The digest
    /// of the compressed bytes is verified.
    ///
    /// # Errors
    /// [`PullError`].
    ///
    /// # Cancel safety
    /// The ingest is dropped, unfinished.
    pub(crate) async fn measure(
        &self,
        source: Source<'_>,
        ingest: Option<LayerIngest>,
    ) -> Result<(Measured, Option<LayerIngest>), PullError> {
        self.stages(source, ingest, |outputs| self.hash(outputs)).await
    }

    async fn hash(&self, mut outputs: Outputs) -> Result<Result<Measured, PullError>, PullError> {
        let layer = || self.descriptor.digest.to_string();
        let mut hasher = Hasher::sha256();
        let (mut is_empty, mut bytes) = (true, 0);
        while let Some(output) = outputs.filled.recv().await {
            bytes += output.bytes().len() as u64;
            if bytes > self.limits.bytes_max {
                let (what, limit) = ("the count of bytes", self.limits.bytes_max);
                return Err(PullError::Unpack { layer: layer(), source: UnpackError::Limit { what, limit } });
            }
            let emptied;
            (hasher, is_empty, emptied) = self
                .turns
                .run(output.bytes().len(), move || {
                    hasher.update(output.bytes());
                    let is_empty = is_empty && output.bytes().iter().all(|byte| *byte == 0);
                    (hasher, is_empty, output)
                })
                .await?;
            // As in unpacking: full only where there are more buffers than were made.
            let _ = outputs.emptied.try_send(emptied);
        }
        let diff_id = hasher.finish();
        match DiffId::parse(&diff_id) {
            Ok(diff_id) => Ok(Ok(Measured { diff_id, is_empty })),
            // A hasher writes digests.
            Err(error) => Err(PullError::Ended(error.to_string())),
        }
    }
}
