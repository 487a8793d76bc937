//! One layer, written as a stream: tar, digest of it, compression, digest of that.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use ring::digest::{Context, SHA256};

use crate::corpus::Entry;
use crate::shape::Codec;

/// What was written.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    /// `sha256:…` of the compressed bytes.
    pub(crate) digest: String,
    pub(crate) compressed_bytes: u64,
    /// `sha256:…` of the tar.
    pub(crate) diff_id: String,
    pub(crate) bytes: u64,
    /// Files and links.
    pub(crate) files: u64,
    /// These and folders.
    pub(crate) entries: u64,
}

/// Writes the layer of `files` to `path`.
pub(crate) fn write(files: &[Entry], codec: Codec, path: &Path) -> anyhow::Result<Layer> {
    let blob = Digesting::new(BufWriter::new(File::create(path)?));
    let mut archive = tar::Builder::new(Digesting::new(Encoder::new(blob, codec)?));
    archive.follow_symlinks(false);
    // Holes would make it another kind of archive than builders write.
    archive.sparse(false);
    let mut folders = BTreeSet::new();
    for file in files {
        for (folder, source) in parents(file) {
            if folders.insert(folder.clone()) {
                archive.append_path_with_name(&source, &folder)?;
            }
        }
        let source = &file.source;
        archive
            .append_path_with_name(source, &file.name)
            .with_context(|| format!("cannot add {}", source.display()))?;
    }
    let (encoder, diff_id, bytes) = archive.into_inner()?.finish();
    let (mut file, digest, compressed_bytes) = encoder.finish()?.finish();
    file.flush()?;
    let (files, folders) = (files.len() as u64, folders.len() as u64);
    Ok(Layer { digest, compressed_bytes, diff_id, bytes, files, entries: files + folders })
}

/// The folders that `file` needs, outermost first, each with the machine's folder that it is like.
fn parents(file: &Entry) -> Vec<(PathBuf, PathBuf)> {
    let inside = file.name.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
    let outside = file.source.ancestors().skip(1);
    let mut pairs: Vec<(PathBuf, PathBuf)> =
        inside.zip(outside).map(|(folder, source)| (folder.to_owned(), source.to_owned())).collect();
    pairs.reverse();
    pairs
}

/// A writer that knows the digest and the number of what went through.
struct Digesting<W> {
    inner: W,
    context: Context,
    bytes: u64,
}

impl<W: Write> Digesting<W> {
    fn new(inner: W) -> Self {
        Self { inner, context: Context::new(&SHA256), bytes: 0 }
    }

    fn finish(self) -> (W, String, u64) {
        (self.inner, hex(self.context.finish().as_ref()), self.bytes)
    }
}

impl<W: Write> Write for Digesting<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(buffer)?;
        let (written, _) = buffer.split_at(count);
        self.context.update(written);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

enum Encoder<W: Write> {
    Gzip(flate2::write::GzEncoder<W>),
    Zstd(zstd::Encoder<'static, W>),
}

impl<W: Write> Encoder<W> {
    fn new(inner: W, codec: Codec) -> io::Result<Self> {
        Ok(match codec {
            Codec::Gzip => Self::Gzip(flate2::write::GzEncoder::new(inner, flate2::Compression::new(6))),
            Codec::Zstd => Self::Zstd(zstd::Encoder::new(inner, 3)?),
        })
    }

    fn finish(self) -> io::Result<W> {
        match self {
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(encoder) => encoder.write(buffer),
            Self::Zstd(encoder) => encoder.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Gzip(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }
}

/// `sha256:…` of a digest's bytes.
pub(crate) fn hex(digest: &[u8]) -> String {
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digits}")
}
