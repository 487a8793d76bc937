//! Images of layers that no compression makes smaller, as OCI image layouts below xtask's folder, built once.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng as _, SeedableRng as _};

use crate::corpus::Entry;
use crate::image::{blob_path, write_documents};
use crate::layer;
use crate::shape::Codec;

/// Its presence says that the layout is whole.
const WHOLE: &str = "whole";

/// A built image.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    /// The folder of its layout.
    pub(crate) layout: PathBuf,
    /// Manifest, config and layers: what goes over the wire when all goes well.
    pub(crate) bytes: u64,
}

/// The image of `layers` bytes, from `folder` where it is there already; equal seeds are equal images.
pub(crate) async fn build(folder: &Path, layers: Vec<u64>, seed: u64) -> anyhow::Result<Image> {
    let sizes: Vec<String> = layers.iter().map(u64::to_string).collect();
    let layout = folder.join("images").join(format!("random-{seed}-{}", sizes.join("-")));
    if !layout.join(WHOLE).exists() {
        let layout = layout.clone();
        tokio::task::spawn_blocking(move || write(&layout, &layers, seed)).await??;
    }
    let blobs = layout.join("blobs/sha256");
    let listed = fs::read_dir(&blobs).with_context(|| format!("cannot list {}", blobs.display()))?;
    let sizes = listed.map(|entry| Ok(entry?.metadata()?.len())).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Image { layout, bytes: sizes.iter().sum() })
}

fn write(layout: &Path, sizes: &[u64], seed: u64) -> anyhow::Result<()> {
    if layout.exists() {
        fs::remove_dir_all(layout).with_context(|| format!("cannot empty {}", layout.display()))?;
    }
    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&blobs).with_context(|| format!("cannot make {}", blobs.display()))?;
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut layers = Vec::new();
    for (number, bytes) in sizes.iter().enumerate() {
        let (source, path) = (layout.join("content"), blobs.join("layer"));
        write_random(&source, *bytes, &mut random)?;
        let files = [Entry { source: source.clone(), name: PathBuf::from(format!("data-{number}")) }];
        let layer = layer::write(&files, Codec::Gzip, &path)?;
        fs::rename(&path, blob_path(&blobs, &layer.digest))?;
        fs::remove_file(&source)?;
        layers.push(layer);
    }
    write_documents(layout, &blobs, Codec::Gzip, &layers)?;
    fs::write(layout.join(WHOLE), "")?;
    Ok(())
}

fn write_random(path: &Path, bytes: u64, random: &mut Xoshiro256PlusPlus) -> anyhow::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let mut buffer = vec![0; 1 << 20];
    let mut left = bytes;
    while left > 0 {
        let count = usize::try_from(left.min(buffer.len() as u64))?;
        let (chunk, _) = buffer.split_at_mut(count);
        random.fill_bytes(chunk);
        file.write_all(chunk)?;
        left -= count as u64;
    }
    Ok(file.flush()?)
}
