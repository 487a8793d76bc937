//! OCI artifacts: each file fetched into an archive of its own, config and manifest made around them.
//!
//! An archive is known by its digest only when it is whole, so it has an id before: a digest over what it is made of. By
//! the label with that id the next pull finds it, of another artifact too, and of one that was interrupted.

use bytes::Bytes;
use containerd::Ingest;
use containerd::labels::{ARTIFACT_FILE, UNCOMPRESSED};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use imagestore::ConvertedFrom;
use layer::tar::FileArchive;
use layer::{Hasher, Verifier, VerifyError};
use oci::{Artifact, ArtifactFile, ArtifactLayer, Descriptor, Manifest};
use refparse::Digest;
use registry::Resolved;

use super::{Conversion, FETCHED_AT_ONCE, Made};
use crate::gc_labels::Labels;
use crate::source::{Chunk, Source};
use crate::{PullError, fetch};

/// Bytes that are gathered for one piece of work.
const PIECE_BYTES: usize = 256 << 10;

/// The two digests of a file on its way: whether its bytes are those of the blob, and what its archive is called.
struct Digests {
    verifier: Verifier,
    archive: Hasher,
}

impl Digests {
    fn update(&mut self, piece: &[Bytes]) -> Result<(), VerifyError> {
        for bytes in piece {
            self.verifier.update(bytes)?;
            self.archive.update(bytes);
        }
        Ok(())
    }
}

fn unverified(source: VerifyError) -> PullError {
    PullError::Verify { what: fetch::LAYER, source }
}

impl Conversion<'_> {
    /// Converts the artifact with this manifest, to which `resolved` led. Config and layers are in the content store when
    /// this is done.
    pub(crate) async fn artifact(
        &self,
        resolved: &Resolved,
        digest: Digest,
        manifest: &Manifest,
    ) -> Result<Made, PullError> {
        let malformed = |source| PullError::Artifact { digest: digest.to_string(), source };
        if resolved.descriptor.digest != digest {
            // No record holds the index.
            self.lease.leave_to_collector();
        }
        let artifact = Artifact::new(digest.clone(), manifest).map_err(malformed)?;
        let layers: Vec<ArtifactLayer> = stream::iter(artifact.files().to_vec())
            .map(|file| async move { self.file(&file).await })
            .buffered(FETCHED_AT_ONCE)
            .try_collect()
            .await?;
        let platform = self.store.config().platform.platform();
        let converted = artifact.convert(platform, &layers).map_err(malformed)?;
        let from = ConvertedFrom::Artifact(resolved.descriptor.digest.clone());
        self.made(resolved, from, converted).await
    }

    /// Brings the archive of a file into the content store, unless it is there.
    async fn file(&self, file: &ArtifactFile) -> Result<ArtifactLayer, PullError> {
        let client = self.lease.client();
        let archive = FileArchive::new(&file.path, file.blob.size);
        let id = oci::sha256(&[archive.head(), file.blob.digest.as_str().as_bytes()].concat());
        let _held = self.fetching.lock_one(&format!("file {id}")).await;
        if let Some(found) = self.archived(&id, archive.size()).await? {
            return Ok(found);
        }
        let ingest = fetch::open_made(client, &id, archive.size()).await?;
        let written = self.archive(&file.blob, &archive, &id, ingest).await;
        if let Err(error) = &written {
            fetch::abort_unless_passing(client, &id, error).await;
        }
        written
    }

    /// The archive called `id` that an earlier pull has made, now under the lease.
    async fn archived(&self, id: &Digest, size: u64) -> Result<Option<ArtifactLayer>, PullError> {
        for info in self.lease.client().content().labelled(ARTIFACT_FILE, id).await? {
            let held = self.lease.hold_blob(&info.digest).await?;
            if held.is_some_and(|held| held.size == size) {
                return Ok(Some(ArtifactLayer { digest: info.digest, size }));
            }
        }
        Ok(None)
    }

    /// Writes the archive of `blob` into `ingest` while it streams in, behind what an interrupted pull left there.
    async fn archive(
        &self,
        blob: &Descriptor,
        archive: &FileArchive,
        id: &Digest,
        mut ingest: Ingest,
    ) -> Result<ArtifactLayer, PullError> {
        let verifier = Verifier::new(blob.digest.clone(), blob.size);
        let mut digests = Digests { verifier, archive: Hasher::sha256() };
        digests.archive.update(archive.head());
        let mut source = self.file_source(blob, archive.head(), &mut ingest).await?;
        if !matches!(source, Source::Resumed(_)) {
            ingest.write(Bytes::copy_from_slice(archive.head())).await?;
        }
        loop {
            let piece = piece(&mut source).await?;
            if piece.is_empty() {
                break;
            }
            let hashed: Vec<Bytes> = piece.iter().map(|chunk| chunk.bytes.clone()).collect();
            let length = hashed.iter().map(Bytes::len).sum();
            let hash = self.turns.run(length, move || {
                let updated = digests.update(&hashed);
                (digests, updated)
            });
            let write = async {
                for Chunk { bytes, .. } in piece.into_iter().filter(|chunk| !chunk.is_ingested) {
                    ingest.write(bytes).await?;
                }
                Ok(())
            };
            let ((back, updated), ()) = tokio::try_join!(hash, write)?;
            digests = back;
            updated.map_err(unverified)?;
        }
        digests.verifier.finish().map_err(unverified)?;
        let tail = archive.tail();
        digests.archive.update(&tail);
        ingest.write(tail.into()).await?;
        // A hasher writes digests.
        let digest = Digest::parse(&digests.archive.finish());
        let digest = digest.map_err(|error| PullError::Ended(error.to_string()))?;
        let labels = [(ARTIFACT_FILE, id), (UNCOMPRESSED, &digest)];
        let labels: Labels = labels.map(|(key, value)| (key.to_owned(), value.to_string())).into();
        if !ingest.commit_as(&digest, &labels).await? {
            self.lease.hold_blob(&digest).await?;
            self.lease.client().content().set_labels(&digest, &labels).await?;
        }
        Ok(ArtifactLayer { digest, size: archive.size() })
    }

    /// From the manifest where that has the blob; else from `ingest` what of it is there behind `head`, and from the
    /// registry.
    async fn file_source<'a>(
        &'a self,
        blob: &'a Descriptor,
        head: &[u8],
        ingest: &mut Ingest,
    ) -> Result<Source<'a>, PullError> {
        if let Some(data) = &blob.data {
            let mut verifier = Verifier::new(blob.digest.clone(), blob.size);
            if verifier.update(data).and_then(|()| verifier.finish()).is_ok() {
                return Ok(Source::Held(Some(Bytes::copy_from_slice(data))));
            }
        }
        Source::behind(head.len() as u64, self.lease.client(), self.session, blob, ingest).await
    }
}

/// The next bytes for one piece of work; none at the end.
async fn piece(source: &mut Source<'_>) -> Result<Vec<Chunk>, PullError> {
    let (mut piece, mut length) = (Vec::new(), 0);
    while length < PIECE_BYTES
        && let Some(chunk) = source.chunk().await?
    {
        length += chunk.bytes.len();
        piece.push(chunk);
    }
    Ok(piece)
}
