//! What a layer costs on its way from the registry to the disk, in bytes of its archive a second: each stage alone, then
//! all of them in a row on one thread.
//!
//! The layer is made of the machine's own programs and libraries, for random bytes do not compress and text compresses too
//! well. It is unpacked in memory (`/dev/shm`): what a disk adds is measured by whole pulls.

#![expect(clippy::expect_used, reason = "a bench that cannot be set up ends by it")]

use std::fs;
use std::hint::black_box;
use std::io::Write as _;
use std::path::PathBuf;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use layer::tar::Parser;
use layer::{Decompressor, Form, Hasher, Limits, Output, Unpacker};
use layer_testing::Archive;
use refparse::Digest;
use tempfile::TempDir;

/// As much as a typical layer has.
const ARCHIVE_BYTES: usize = 32 << 20;

/// What passes from stage to stage at once.
const PIECE_BYTES: usize = 256 << 10;

/// Files of the machine, the small ones as they are and the large ones in part.
fn archive() -> Vec<u8> {
    let mut archive = Archive::new();
    let mut total = 0;
    let mut todo =
        vec![PathBuf::from("/usr/lib/python3"), PathBuf::from("/usr/bin"), PathBuf::from("/usr/lib")];
    while let Some(directory) = todo.pop() {
        let Ok(files) = fs::read_dir(&directory) else { continue };
        for path in files.filter_map(|file| Some(file.ok()?.path())) {
            if path.is_symlink() {
                continue;
            }
            if path.is_dir() {
                todo.push(path);
                continue;
            }
            let Ok(mut bytes) = fs::read(&path) else { continue };
            bytes.truncate(1 << 20);
            total += bytes.len();
            archive = archive.file(path.as_os_str().as_encoded_bytes(), bytes);
            if total >= ARCHIVE_BYTES {
                return archive.finish();
            }
        }
    }
    archive.finish()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

/// Gives all pieces of the output to `take`.
fn inflate(compressed: &[u8], mut take: impl FnMut(&[u8])) {
    let mut decompressor = Decompressor::new();
    let mut output = Output::new(PIECE_BYTES);
    for mut piece in compressed.chunks(PIECE_BYTES) {
        loop {
            let progress = decompressor.step(piece, &mut output).expect("it is well formed");
            piece = &piece[progress.consumed..];
            let is_full = output.is_full();
            take(output.bytes());
            output.clear();
            if piece.is_empty() && !is_full {
                break;
            }
        }
    }
    while decompressor.finish(&mut output).expect("it is well formed") > 0 {
        take(output.bytes());
        output.clear();
    }
}

/// An unpacker into a new directory, which must outlive it.
fn unpacker() -> (TempDir, Unpacker) {
    let directory = TempDir::new_in("/dev/shm").expect("memory has room");
    let root = fs::File::open(directory.path()).expect("it was just made");
    (directory, Unpacker::new(root.into(), Form::Overlay, Limits::default()))
}

fn stages(criterion: &mut Criterion) {
    let archive = archive();
    let compressed = [
        ("gzip", gzip(&archive)),
        ("zstd", zstd::encode_all(archive.as_slice(), 3).expect("memory takes it")),
    ];
    let expected = Digest::from_sha256([0; 32]);
    let mut group = criterion.benchmark_group("layer");
    group.throughput(Throughput::Bytes(archive.len() as u64)).sample_size(10);
    for (name, compressed) in &compressed {
        group.bench_function(format!("inflate_{name}"), |bencher| {
            bencher.iter(|| {
                inflate(compressed, |piece| {
                    black_box(piece);
                })
            });
        });
    }
    group.bench_function("hash", |bencher| {
        bencher.iter(|| {
            let mut hasher = Hasher::of(&expected);
            archive.chunks(PIECE_BYTES).for_each(|piece| hasher.update(piece));
            hasher.finish()
        });
    });
    group.bench_function("parse", |bencher| {
        bencher.iter(|| {
            let mut parser = Parser::new(Limits::default());
            for mut piece in archive.chunks(PIECE_BYTES) {
                while let Some(event) = parser.next(&mut piece).expect("it is well formed") {
                    black_box(event);
                }
            }
        });
    });
    group.bench_function("untar", |bencher| {
        let run = |(directory, mut unpacker): (TempDir, Unpacker)| {
            for piece in archive.chunks(PIECE_BYTES) {
                unpacker.push(piece).expect("it is well formed");
            }
            unpacker.finish().expect("it is well formed");
            // Removed after the clock has stopped.
            directory
        };
        bencher.iter_batched(unpacker, run, BatchSize::PerIteration);
    });
    for (name, compressed) in &compressed {
        group.bench_function(format!("pipeline_{name}"), |bencher| {
            let run = |(directory, mut unpacker): (TempDir, Unpacker)| {
                let (mut digest, mut diff_id) = (Hasher::of(&expected), Hasher::of(&expected));
                digest.update(compressed);
                inflate(compressed, |piece| {
                    diff_id.update(piece);
                    unpacker.push(piece).expect("it is well formed");
                });
                unpacker.finish().expect("it is well formed");
                (directory, digest.finish(), diff_id.finish())
            };
            bencher.iter_batched(unpacker, run, BatchSize::PerIteration);
        });
    }
    group.finish();
}

criterion_group!(benches, stages);
criterion_main!(benches);
