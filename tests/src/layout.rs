//! Images as an OCI image layout: a folder for skopeo, an archive for `ctr images import`.

use std::fs;
use std::path::Path;

use sim::image::Pushable;

const LAYOUT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// Writes the layout into the empty folder `into`; its one image has no name.
///
/// # Errors
/// Where a file cannot be written.
pub(crate) fn write(image: &impl Pushable, into: &Path) -> anyhow::Result<()> {
    write_named(image, None, into)
}

/// Writes the layout as a tar archive whose image has the full name `name`.
///
/// # Errors
/// Where a file cannot be written.
pub(crate) fn write_archive(image: &impl Pushable, name: &str, into: &Path) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    write_named(image, Some(name), folder.path())?;
    let mut archive = tar::Builder::new(fs::File::create(into)?);
    archive.append_dir_all(".", folder.path())?;
    Ok(archive.finish()?)
}

fn write_named(image: &impl Pushable, name: Option<&str>, into: &Path) -> anyhow::Result<()> {
    let store = into.join("blobs").join("sha256");
    fs::create_dir_all(&store)?;
    for blob in image.manifests().iter().chain(&image.blobs()) {
        let hex = blob.digest().trim_start_matches("sha256:");
        fs::write(store.join(hex), blob.bytes())?;
    }
    // The name that containerd's importer reads; skopeo takes the only image there is.
    let annotations = name.map(|name| serde_json::json!({ "io.containerd.image.name": name }));
    let target = image.target();
    let descriptor = serde_json::json!({
        "mediaType": target.media_type(), "digest": target.digest(), "size": target.size(), "annotations": annotations,
    });
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": [descriptor] });
    fs::write(into.join("index.json"), index.to_string())?;
    fs::write(into.join("oci-layout"), LAYOUT)?;
    Ok(())
}
