//! One layer from the registry, or from the content store, into a directory: a stream all the way.
//!
//! ```text
//! source ──► gather ──► inflate ──► hash, untar ──► directory
//!              ├──────► verify
//!              └──────► ingest
//! ```
//! Each arrow is a bounded queue, so that a slow stage slows those before it; what computes or blocks takes its turns
//! among the [`Workers`](crate::workers::Workers). In memory are about five megabytes of a
//! layer, whatever its size.

use std::os::fd::OwnedFd;

use bytes::Bytes;
use layer::{
    DecompressError, Decompressor, Deferred, Form, Hasher, Limits, Output, UnpackError, Unpacker, Verifier,
};
use oci::{Descriptor, DiffId};
use tokio::sync::mpsc;

use crate::PullError;
use crate::fetch::LAYER;
use crate::layer_ingest::LayerIngest;
use crate::source::{Chunk, Source};
use crate::workers::LayerTurns;

/// Compressed bytes that are gathered for one piece of work.
const INPUT_BYTES: usize = 256 << 10;

/// Uncompressed bytes of one piece of work.
const OUTPUT_BYTES: usize = 1 << 20;

/// Buffers of uncompressed bytes: one being filled, one waiting, one being unpacked.
const OUTPUTS: usize = 3;

/// Chunks on their way to the content store, which gathers them itself.
const INGEST_CHUNKS: usize = 4;

/// What a layer should be.
pub(crate) struct LayerStream<'a> {
    pub(crate) turns: LayerTurns<'a>,
    pub(crate) descriptor: &'a Descriptor,
    pub(crate) limits: Limits,
}

/// Where a layer is unpacked to, and what it should unpack to.
pub(crate) struct Target<'a> {
    pub(crate) directory: OwnedFd,
    pub(crate) form: Form,
    pub(crate) diff_id: &'a DiffId,
}

/// What the last stage takes: uncompressed bytes, and where the emptied buffers go.
pub(super) struct Outputs {
    pub(super) filled: mpsc::Receiver<Output>,
    pub(super) emptied: mpsc::Sender<Output>,
}

impl LayerStream<'_> {
    /// Unpacks the layer into the empty directory of `target`, and writes its compressed bytes into `ingest`, which is not
    /// committed yet. Both digests are verified.
    ///
    /// # Errors
    /// [`PullError`]; the directory then holds a part of the layer.
    ///
    /// # Cancel safety
    /// A piece of work that has begun goes on to its end: wait for [`Turns::idle`](crate::workers::Turns::idle) before
    /// removing the directory.
    pub(crate) async fn run(
        &self,
        source: Source<'_>,
        ingest: Option<LayerIngest>,
        target: Target<'_>,
    ) -> Result<(Deferred, Option<LayerIngest>), PullError> {
        self.stages(source, ingest, |outputs| self.untar(target, outputs)).await
    }

    /// Runs all stages, of which `last` takes the uncompressed bytes. Its inner error is the archive's own fault.
    pub(super) async fn stages<T, L: Future<Output = Result<Result<T, PullError>, PullError>>>(
        &self,
        source: Source<'_>,
        ingest: Option<LayerIngest>,
        last: impl FnOnce(Outputs) -> L,
    ) -> Result<(T, Option<LayerIngest>), PullError> {
        let (inputs, inflating) = mpsc::channel(1);
        let (hashed, verifying) = mpsc::channel(1);
        let (outputs, filled) = mpsc::channel(1);
        let (emptied, empty) = mpsc::channel(OUTPUTS);
        let (written, ingesting) = mpsc::channel(INGEST_CHUNKS);
        let written = ingest.is_some().then_some(written);
        let ((), ingest, (), inflated, done) = tokio::try_join!(
            gather(source, inputs, hashed, written),
            store(ingest, ingesting),
            self.verify(verifying),
            self.inflate(inflating, outputs, empty),
            last(Outputs { filled, emptied }),
        )?;
        // Told only of bytes that are the descriptor's: those that broke on their way should be called that.
        inflated?;
        Ok((done?, ingest))
    }

    async fn verify(&self, mut inputs: mpsc::Receiver<Vec<Bytes>>) -> Result<(), PullError> {
        let failed = |source| PullError::Verify { what: LAYER, source };
        let mut verifier = Verifier::new(self.descriptor.digest.clone(), self.descriptor.size);
        while let Some(input) = inputs.recv().await {
            let updated;
            (verifier, updated) = self
                .turns
                .run(length(&input), move || {
                    let updated = input.iter().try_for_each(|bytes| verifier.update(bytes));
                    (verifier, updated)
                })
                .await?;
            updated.map_err(failed)?;
        }
        verifier.finish().map_err(failed)
    }

    /// Fails at once where nothing else can be at fault; what the archive itself is at fault for is the inner error.
    async fn inflate(
        &self,
        mut inputs: mpsc::Receiver<Vec<Bytes>>,
        outputs: mpsc::Sender<Output>,
        mut empty: mpsc::Receiver<Output>,
    ) -> Result<Result<(), PullError>, PullError> {
        let layer = || self.descriptor.digest.to_string();
        let mut inflate = Inflate::new(self.limits);
        // The one that is filled first.
        let mut made = 1;
        loop {
            let next = inputs.recv().await;
            let is_last = next.is_none();
            inflate.take(next.unwrap_or_default());
            loop {
                let step;
                (inflate, step) = self
                    .turns
                    .run(inflate.cost(), move || {
                        let step = inflate.step(is_last);
                        (inflate, step)
                    })
                    .await?;
                let more = match step {
                    Ok(more) => more,
                    Err(Problem::Decompress(source)) => {
                        // The rest is only verified.
                        while inputs.recv().await.is_some() {}
                        return Ok(Err(PullError::Decompress { layer: layer(), source }));
                    }
                    Err(Problem::Ratio(limit)) => {
                        let what = "the count of uncompressed bytes for each compressed one";
                        let source = UnpackError::Limit { what, limit };
                        return Err(PullError::Unpack { layer: layer(), source });
                    }
                };
                if more == Step::Full || is_last {
                    let next = match empty.try_recv() {
                        Ok(output) => output,
                        Err(_) if more != Step::Full => Output::new(0),
                        Err(_) if made < OUTPUTS => {
                            made += 1;
                            Output::new(OUTPUT_BYTES)
                        }
                        Err(_) => empty.recv().await.unwrap_or_else(|| Output::new(OUTPUT_BYTES)),
                    };
                    // Fails where the untarring has failed, which is what the whole answers then.
                    let _ = outputs.send(inflate.take_output(next)).await;
                }
                if more != Step::Full {
                    break;
                }
            }
            if is_last {
                return Ok(Ok(()));
            }
        }
    }

    /// As [`LayerStream::inflate`].
    async fn untar(
        &self,
        target: Target<'_>,
        mut outputs: Outputs,
    ) -> Result<Result<Deferred, PullError>, PullError> {
        let Target { directory, form, diff_id } = target;
        let mut unpacker = Unpacker::new(directory, form, self.limits);
        let mut hasher = Hasher::of(diff_id.digest());
        let mut malformed = None;
        let failed = |source| PullError::Unpack { layer: self.descriptor.digest.to_string(), source };
        while let Some(output) = outputs.filled.recv().await {
            let is_malformed = malformed.is_some();
            let (emptied, pushed);
            (unpacker, hasher, emptied, pushed) = self
                .turns
                .run(output.bytes().len(), move || {
                    hasher.update(output.bytes());
                    let pushed = if is_malformed { Ok(()) } else { unpacker.push(output.bytes()) };
                    (unpacker, hasher, output, pushed)
                })
                .await?;
            match pushed {
                // The rest is only verified.
                Err(error @ UnpackError::Tar(_)) => malformed = malformed.or(Some(error)),
                other => other.map_err(failed)?,
            }
            // Full only where there are more buffers than were made; closed where the inflating has ended.
            let _ = outputs.emptied.try_send(emptied);
        }
        if let Some(source) = malformed {
            return Ok(Err(failed(source)));
        }
        let actual = hasher.finish();
        let (counts, deferred) = match self.turns.run(0, move || unpacker.finish()).await? {
            Ok(unpacked) => unpacked,
            Err(source @ UnpackError::Tar(_)) => return Ok(Err(failed(source))),
            Err(source) => return Err(failed(source)),
        };
        if actual != diff_id.digest().as_str() {
            let (layer, expected) = (self.descriptor.digest.to_string(), diff_id.to_string());
            return Ok(Err(PullError::DiffId { layer, expected, actual }));
        }
        if counts.skipped_xattrs > 0 {
            tracing::warn!(layer = %self.descriptor.digest, count = counts.skipped_xattrs,
                "extended attributes of the layer were left out: not for archives, or not supported here");
        }
        Ok(Ok(deferred))
    }
}

fn length(chunks: &[Bytes]) -> usize {
    chunks.iter().map(Bytes::len).sum()
}

async fn gather(
    mut source: Source<'_>,
    inputs: mpsc::Sender<Vec<Bytes>>,
    hashed: mpsc::Sender<Vec<Bytes>>,
    written: Option<mpsc::Sender<Bytes>>,
) -> Result<(), PullError> {
    let mut gathered: Vec<Bytes> = Vec::new();
    // A send fails where a later stage has failed, which is what the whole answers then.
    while let Some(Chunk { bytes, is_ingested }) = source.chunk().await? {
        if let Some(written) = &written
            && !is_ingested
        {
            let _ = written.send(bytes.clone()).await;
        }
        gathered.push(bytes);
        if length(&gathered) >= INPUT_BYTES {
            let _ = hashed.send(gathered.clone()).await;
            let _ = inputs.send(std::mem::take(&mut gathered)).await;
        }
    }
    let _ = hashed.send(gathered.clone()).await;
    let _ = inputs.send(gathered).await;
    Ok(())
}

async fn store(
    ingest: Option<LayerIngest>,
    mut chunks: mpsc::Receiver<Bytes>,
) -> Result<Option<LayerIngest>, PullError> {
    let Some(mut ingest) = ingest else { return Ok(None) };
    while let Some(bytes) = chunks.recv().await {
        ingest.write(bytes).await?;
    }
    Ok(Some(ingest))
}

/// The state of a decompression between two pieces of work.
struct Inflate {
    decompressor: Decompressor,
    limits: Limits,
    input: Vec<Bytes>,
    output: Output,
    taken: u64,
    made: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The output is full, and there may be more.
    Full,
    /// All input is taken.
    Drained,
}

enum Problem {
    Decompress(DecompressError),
    Ratio(u64),
}

impl Inflate {
    fn new(limits: Limits) -> Inflate {
        Inflate {
            decompressor: Decompressor::new(),
            limits,
            input: Vec::new(),
            output: Output::new(OUTPUT_BYTES),
            taken: 0,
            made: 0,
        }
    }

    /// Takes the next input; the last one must be drained.
    fn take(&mut self, mut input: Vec<Bytes>) {
        // The next one is at the end.
        input.reverse();
        self.input = input;
    }

    fn cost(&self) -> usize {
        length(&self.input)
    }

    /// The output, and `next` to go on with.
    fn take_output(&mut self, mut next: Output) -> Output {
        next.go_on_from(&self.output);
        std::mem::replace(&mut self.output, next)
    }

    fn step(&mut self, is_last: bool) -> Result<Step, Problem> {
        while let Some(bytes) = self.input.last_mut() {
            if self.output.is_full() {
                return Ok(Step::Full);
            }
            let progress = self.decompressor.step(bytes, &mut self.output).map_err(Problem::Decompress)?;
            drop(bytes.split_to(progress.consumed));
            let is_taken = bytes.is_empty();
            self.advance(progress.consumed, progress.produced)?;
            // What is taken may still have more to put out where the output is full.
            if is_taken && !self.output.is_full() {
                self.input.pop();
            }
        }
        if !is_last {
            return Ok(Step::Drained);
        }
        loop {
            if self.output.is_full() {
                return Ok(Step::Full);
            }
            match self.decompressor.finish(&mut self.output).map_err(Problem::Decompress)? {
                0 => return Ok(Step::Drained),
                produced => self.advance(0, produced)?,
            }
        }
    }

    fn advance(&mut self, taken: usize, made: usize) -> Result<(), Problem> {
        self.taken += taken as u64;
        self.made += made as u64;
        let limit = self.limits.ratio_max;
        let most = self.taken.saturating_mul(limit).max(Limits::RATIO_FREE_BYTES);
        if self.made > most { Err(Problem::Ratio(limit)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_inflated_beyond_its_ratio_is_a_bomb_once_the_free_bytes_came() {
        let mut limits = Limits::default();
        limits.ratio_max = 2;
        let free = usize::try_from(Limits::RATIO_FREE_BYTES).unwrap();
        let mut inflate = Inflate::new(limits);
        assert!(inflate.advance(1, free).is_ok());
        assert!(inflate.advance(free, free).is_ok());
        assert!(inflate.advance(0, 2).is_ok());
        assert!(matches!(inflate.advance(0, 1), Err(Problem::Ratio(2))));
    }
}
