//! The machine's own files as what images are made of, chosen so that equal machines make equal images.
//!
//! Reads names and sizes below [`ROOTS`]; never follows a link.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use ring::digest::{SHA256, digest};

/// What a distribution puts there; other folders hold what someone did on this machine.
const ROOTS: [&str; 6] = ["/usr/bin", "/usr/include", "/usr/lib", "/usr/libexec", "/usr/sbin", "/usr/share"];

/// Above it a single file would be most of a layer.
const FILE_BYTES_MAX: u64 = 48 << 20;

/// What is compressed already; a real image has little of it, and a layer of it would measure copying.
const COMPRESSED: [&str; 16] = [
    "bz2", "deb", "gif", "gz", "jar", "jmod", "jpg", "mp3", "ogg", "png", "webp", "whl", "woff2", "xz",
    "zip", "zst",
];

/// Neighbours stay together, as in an image, until they are this much.
const CHUNK_BYTES_MAX: u64 = 1 << 20;
const CHUNK_FILES_MAX: usize = 60;

/// What a file is in a tar beside its content: header, padding, its part of the folders' headers.
const HEADER_BYTES: u64 = 1024;

/// How many chunks that are too large for the rest of a layer are passed over before the layer is called full.
const PASSED_OVER_MAX: usize = 400;

/// Some files of one folder.
#[derive(Clone, Debug, Default)]
struct Chunk {
    paths: Vec<PathBuf>,
    bytes: u64,
}

/// A file and the name that it has in the image.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) source: PathBuf,
    /// Without a leading slash.
    pub(crate) name: PathBuf,
}

/// The files that no layer of the image has yet.
#[derive(Debug)]
pub(crate) struct Corpus {
    small: Pool,
    large: Pool,
}

/// Chunks in their order; once all are used they come again under other names.
#[derive(Debug)]
struct Pool {
    chunks: VecDeque<(Chunk, u32)>,
}

impl Corpus {
    /// Reads the machine's files; `seed` orders them, and `mean_bytes` is what parts small ones from large ones.
    pub(crate) fn read(seed: &str, mean_bytes: u64) -> anyhow::Result<Self> {
        let mut chunks = Vec::new();
        for root in ROOTS.map(Path::new).iter().filter(|root| root.is_dir()) {
            collect(root, &mut chunks)?;
        }
        chunks.sort_by_cached_key(|chunk| {
            let first = chunk.paths.first().map(|path| path.to_string_lossy().into_owned());
            let key = digest(&SHA256, format!("{seed} {}", first.unwrap_or_default()).as_bytes());
            key.as_ref().to_vec()
        });
        let is_small = |chunk: &Chunk| chunk.bytes <= mean_bytes * chunk.paths.len() as u64;
        let (small, large): (Vec<_>, Vec<_>) = chunks.into_iter().partition(is_small);
        ensure!(!small.is_empty() && !large.is_empty(), "there are not enough files below {ROOTS:?}");
        Ok(Self { small: Pool::new(small), large: Pool::new(large) })
    }

    /// Takes files that make a tar of about `bytes` and, as far as the sizes allow, about `files` of them.
    pub(crate) fn take(&mut self, bytes: u64, files: u64) -> Vec<Entry> {
        let (mut taken, mut taken_bytes) = (Vec::new(), 0);
        let bytes = bytes.saturating_sub(files * HEADER_BYTES);
        while taken_bytes < bytes {
            let too_few = (taken.len() as u64) * bytes < taken_bytes * files;
            let pool = if too_few { &mut self.small } else { &mut self.large };
            let Some((chunk, again)) = pool.next(bytes - taken_bytes) else { break };
            taken_bytes += chunk.bytes;
            taken.extend(chunk.paths.into_iter().map(|source| Entry { name: name(&source, again), source }));
        }
        taken.sort_by(|one, other| one.name.cmp(&other.name));
        taken
    }
}

impl Pool {
    fn new(chunks: Vec<Chunk>) -> Self {
        Self { chunks: chunks.into_iter().map(|chunk| (chunk, 0)).collect() }
    }

    /// The first chunk of at most `bytes`, and how often it was used before.
    fn next(&mut self, bytes: u64) -> Option<(Chunk, u32)> {
        let fits = |(chunk, _): &(Chunk, u32)| chunk.bytes <= bytes;
        let position = self.chunks.iter().take(PASSED_OVER_MAX).position(fits)?;
        let (chunk, again) = self.chunks.remove(position)?;
        self.chunks.push_back((chunk.clone(), again + 1));
        Some((chunk, again))
    }
}

fn name(source: &Path, again: u32) -> PathBuf {
    let inside = source.strip_prefix("/").unwrap_or(source);
    match again {
        0 => inside.to_owned(),
        _ => Path::new(&format!("again-{again}")).join(inside),
    }
}

/// Adds the files and links of `folder` and of the folders below it, in the order of their names.
fn collect(folder: &Path, chunks: &mut Vec<Chunk>) -> anyhow::Result<()> {
    let listed = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut entries = listed.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    let (mut chunk, mut folders) = (Chunk::default(), Vec::new());
    for entry in entries {
        let about = entry.metadata()?;
        let kind = about.file_type();
        if kind.is_dir() {
            folders.push(entry.path());
        } else if kind.is_symlink() || (kind.is_file() && is_suitable(&entry.path(), about.len())) {
            let bytes = if kind.is_file() { about.len() } else { 0 };
            let is_full = chunk.bytes + bytes > CHUNK_BYTES_MAX || chunk.paths.len() == CHUNK_FILES_MAX;
            if is_full && !chunk.paths.is_empty() {
                chunks.push(std::mem::take(&mut chunk));
            }
            chunk.bytes += bytes;
            chunk.paths.push(entry.path());
        }
    }
    if !chunk.paths.is_empty() {
        chunks.push(chunk);
    }
    folders.iter().try_for_each(|folder| collect(folder, chunks))
}

fn is_suitable(path: &Path, bytes: u64) -> bool {
    let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    bytes <= FILE_BYTES_MAX && !COMPRESSED.contains(&extension)
}
