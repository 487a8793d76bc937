//! Images as an OCI image layout: a folder for skopeo, an archive for `ctr images import`.

use std::fs;
use std::path::Path;

use super::{Blob, Image, Index};

const LAYOUT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

impl Image {
    /// Writes the layout into the empty folder `into`; its one image has no name.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub fn write_layout(&self, into: &Path) -> anyhow::Result<()> {
        write_layout(into, &self.manifest, self.blobs(), None)
    }

    /// Writes the layout as a tar archive whose image has the full name `name`.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub fn write_archive(&self, name: &str, into: &Path) -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        write_layout(folder.path(), &self.manifest, self.blobs(), Some(name))?;
        let mut archive = tar::Builder::new(fs::File::create(into)?);
        archive.append_dir_all(".", folder.path())?;
        Ok(archive.finish()?)
    }
}

impl Index {
    /// Writes the layout into the empty folder `into`.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub fn write_layout(&self, into: &Path) -> anyhow::Result<()> {
        write_layout(into, &self.document, self.images.iter().flat_map(Image::blobs), None)
    }
}

fn write_layout<'a>(
    into: &Path,
    target: &'a Blob,
    blobs: impl Iterator<Item = &'a Blob>,
    name: Option<&str>,
) -> anyhow::Result<()> {
    let store = into.join("blobs").join("sha256");
    fs::create_dir_all(&store)?;
    for blob in blobs.chain([target]) {
        let hex = blob.digest.trim_start_matches("sha256:");
        fs::write(store.join(hex), &blob.bytes)?;
    }
    // The name that containerd's importer reads; skopeo takes the only image there is.
    let annotations = name.map(|name| serde_json::json!({ "io.containerd.image.name": name }));
    let descriptor = serde_json::json!({
        "mediaType": target.media_type, "digest": target.digest, "size": target.bytes.len(), "annotations": annotations,
    });
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": [descriptor] });
    fs::write(into.join("index.json"), index.to_string())?;
    fs::write(into.join("oci-layout"), LAYOUT)?;
    Ok(())
}
