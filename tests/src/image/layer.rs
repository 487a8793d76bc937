//! One layer: a tar archive in the form that the OCI image specification wants, and its compression.

use std::fmt;
use std::io::Write as _;

use tar::{Builder, EntryType, Header};

/// How a layer is packed for the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// `tar+gzip`
    Gzip,
    /// `tar+zstd`
    Zstd,
    /// `tar`
    None,
}

impl Compression {
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
            Self::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
            Self::None => "application/vnd.oci.image.layer.v1.tar",
        }
    }

    pub(super) fn apply(self, tar: Vec<u8>) -> anyhow::Result<Vec<u8>> {
        Ok(match self {
            Self::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(&tar)?;
                encoder.finish()?
            }
            Self::Zstd => zstd::encode_all(&*tar, 3)?,
            Self::None => tar,
        })
    }
}

/// A tar archive in the making. Times are zero, so that equal content has an equal digest.
pub struct LayerBuilder {
    archive: Builder<Vec<u8>>,
}

impl fmt::Debug for LayerBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LayerBuilder").field("bytes", &self.archive.get_ref().len()).finish()
    }
}

impl Default for LayerBuilder {
    fn default() -> Self {
        Self { archive: Builder::new(Vec::new()) }
    }
}

impl LayerBuilder {
    /// An empty layer.
    pub fn new() -> Self {
        Self::default()
    }

    /// A folder.
    ///
    /// # Errors
    /// Where the path does not fit the format; as all of these.
    pub fn folder(mut self, path: &str, mode: u32) -> anyhow::Result<Self> {
        self.append(EntryType::Directory, &format!("{path}/"), mode, &[])?;
        Ok(self)
    }

    /// A file.
    ///
    /// # Errors
    /// As [`LayerBuilder::folder`].
    pub fn file(mut self, path: &str, mode: u32, bytes: &[u8]) -> anyhow::Result<Self> {
        self.append(EntryType::Regular, path, mode, bytes)?;
        Ok(self)
    }

    /// A symbolic link.
    ///
    /// # Errors
    /// As [`LayerBuilder::folder`].
    pub fn symlink(mut self, path: &str, to: &str) -> anyhow::Result<Self> {
        self.link(EntryType::Symlink, 0o777, path, to)?;
        Ok(self)
    }

    /// A hard link to an earlier entry, of this layer or one below; the file takes its mode.
    ///
    /// # Errors
    /// As [`LayerBuilder::folder`].
    pub fn hard_link(mut self, path: &str, mode: u32, to: &str) -> anyhow::Result<Self> {
        self.link(EntryType::Link, mode, path, to)?;
        Ok(self)
    }

    /// Hides `path` of the layers below.
    ///
    /// # Errors
    /// As [`LayerBuilder::folder`].
    pub fn whiteout(self, path: &str) -> anyhow::Result<Self> {
        let (folder, name) = path.rsplit_once('/').unwrap_or((".", path));
        self.file(&format!("{folder}/.wh.{name}"), 0o644, &[])
    }

    /// Hides everything that the layers below have in `folder`.
    ///
    /// # Errors
    /// As [`LayerBuilder::folder`].
    pub fn opaque(self, folder: &str) -> anyhow::Result<Self> {
        self.file(&format!("{folder}/.wh..wh..opq"), 0o644, &[])
    }

    pub(super) fn finish(self) -> anyhow::Result<Vec<u8>> {
        Ok(self.archive.into_inner()?)
    }

    fn append(&mut self, kind: EntryType, path: &str, mode: u32, bytes: &[u8]) -> anyhow::Result<()> {
        let mut header = header(kind, mode);
        header.set_size(bytes.len() as u64);
        Ok(self.archive.append_data(&mut header, path, bytes)?)
    }

    fn link(&mut self, kind: EntryType, mode: u32, path: &str, to: &str) -> anyhow::Result<()> {
        Ok(self.archive.append_link(&mut header(kind, mode), path, to)?)
    }
}

fn header(kind: EntryType, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}
