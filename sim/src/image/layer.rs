//! A layer: a tar archive of files, compressed or not.

use std::io::{self, Write as _};

use bytes::Bytes;
use flate2::GzBuilder;
use tar::{EntryType, Header};

use super::Blob;
use super::file::{File, Kind};
use crate::digest::sha256;

/// How a layer is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// A bare tar archive.
    None,
    /// gzip, without a time in its header.
    Gzip,
    /// zstd.
    Zstd,
}

/// A layer and both of its digests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    compression: Compression,
    diff_id: String,
    bytes: Bytes,
    tar: Bytes,
}

impl Layer {
    /// Archives `files` in their order.
    pub fn new(files: impl IntoIterator<Item = File>, compression: Compression) -> Layer {
        let tar = archive(files).expect("writing to memory does not fail");
        Layer::from_tar(tar, compression)
    }

    /// Stores `tar`, well formed or not.
    pub fn from_tar(tar: impl Into<Bytes>, compression: Compression) -> Layer {
        let tar = tar.into();
        let bytes = compress(&tar, compression).expect("writing to memory does not fail");
        Layer { compression, diff_id: sha256(&tar), bytes, tar }
    }

    /// A layer of one file of `size` bytes that compress badly, the same for the same `seed`.
    pub fn random(path: &str, size: usize, seed: u64, compression: Compression) -> Layer {
        // xorshift64*: enough against a compressor, and no dependency.
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let words = std::iter::repeat_with(|| {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes()
        });
        let bytes: Vec<u8> = words.flatten().take(size).collect();
        Layer::new([File::regular(path, bytes)], compression)
    }

    /// Digest of the uncompressed archive.
    pub fn diff_id(&self) -> &str {
        &self.diff_id
    }

    /// The uncompressed archive.
    pub fn tar(&self) -> &Bytes {
        &self.tar
    }

    /// How it is stored.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// The stored bytes, with the OCI media type or docker's.
    pub fn blob(&self, format: super::Format) -> Blob {
        let base = match format {
            super::Format::Oci => "application/vnd.oci.image.layer.v1.tar",
            super::Format::Docker => "application/vnd.docker.image.rootfs.diff.tar",
        };
        let suffix = match (self.compression, format) {
            (Compression::None, _) => "",
            (Compression::Gzip, super::Format::Oci) => "+gzip",
            (Compression::Zstd, super::Format::Oci) => "+zstd",
            (Compression::Gzip, super::Format::Docker) => ".gzip",
            (Compression::Zstd, super::Format::Docker) => ".zstd",
        };
        Blob::new(format!("{base}{suffix}"), self.bytes.clone())
    }
}

fn compress(tar: &Bytes, compression: Compression) -> io::Result<Bytes> {
    match compression {
        Compression::None => Ok(tar.clone()),
        Compression::Gzip => {
            let mut encoder = GzBuilder::new().write(Vec::new(), flate2::Compression::new(6));
            encoder.write_all(tar)?;
            encoder.finish().map(Bytes::from)
        }
        Compression::Zstd => zstd::stream::encode_all(tar.as_ref(), 3).map(Bytes::from),
    }
}

fn archive(files: impl IntoIterator<Item = File>) -> io::Result<Bytes> {
    let mut builder = tar::Builder::new(Vec::new());
    for file in files {
        let attributes: Vec<(String, &[u8])> = file
            .attributes
            .iter()
            .map(|(name, value)| (format!("SCHILY.xattr.{name}"), value.as_slice()))
            .collect();
        if !attributes.is_empty() {
            builder.append_pax_extensions(attributes.iter().map(|(name, value)| (name.as_str(), *value)))?;
        }
        append(&mut builder, &file)?;
    }
    builder.into_inner().map(Bytes::from)
}

fn append(builder: &mut tar::Builder<Vec<u8>>, file: &File) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_mode(file.mode);
    header.set_uid(file.uid);
    header.set_gid(file.gid);
    header.set_mtime(file.modified);
    header.set_size(0);
    let (kind, bytes) = match &file.kind {
        Kind::Directory => (EntryType::Directory, None),
        Kind::File(bytes) => (EntryType::Regular, Some(bytes)),
        Kind::Symlink(_) => (EntryType::Symlink, None),
        Kind::Hardlink(_) => (EntryType::Link, None),
        Kind::Fifo => (EntryType::Fifo, None),
        Kind::Character(..) => (EntryType::Char, None),
        Kind::Block(..) => (EntryType::Block, None),
    };
    header.set_entry_type(kind);
    match &file.kind {
        Kind::Character(major, minor) | Kind::Block(major, minor) => {
            header.set_device_major(*major)?;
            header.set_device_minor(*minor)?;
            builder.append_data(&mut header, &file.path, io::empty())
        }
        Kind::Symlink(target) | Kind::Hardlink(target) => {
            builder.append_link(&mut header, &file.path, target)
        }
        _ => {
            let bytes = bytes.map(Bytes::as_ref).unwrap_or_default();
            header.set_size(bytes.len() as u64);
            let path = if kind.is_dir() { format!("{}/", file.path) } else { file.path.clone() };
            builder.append_data(&mut header, path, bytes)
        }
    }
}
