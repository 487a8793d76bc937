//! Any bytes are an artifact whose files lie below the root and go through an archive as they are, or an error. What is no
//! manifest is taken for the names of two blobs, a line each.

#![no_main]

use layer::Limits;
use layer::tar::{Event, FileArchive, Kind, Parser};
use libfuzzer_sys::fuzz_target;
use oci::{
    Artifact, ArtifactError, ArtifactLayer, Document, ImageConfig, Manifest, Platform, media_type, sha256,
};

fuzz_target!(|bytes: &[u8]| {
    if let Some(manifest) = manifest(bytes) {
        check(Artifact::new(sha256(bytes), &manifest));
    } else if let Ok(text) = std::str::from_utf8(bytes) {
        let (one, other) = text.split_once('\n').unwrap_or((text, "other"));
        let config = serde_json::json!({ "mediaType": media_type::OCI_EMPTY, "digest": sha256(b"{}").as_str(), "size": 2 });
        let blob = |name: &str| {
            let annotations = serde_json::json!({ "org.opencontainers.image.title": name });
            serde_json::json!({
                "mediaType": "a/b", "digest": sha256(name.as_bytes()).as_str(), "size": 3, "annotations": annotations,
            })
        };
        let document = serde_json::json!({
            "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": config, "layers": [blob(one), blob(other)],
        });
        let document = document.to_string();
        let manifest = manifest(document.as_bytes()).expect("an artifact's manifest");
        check(Artifact::new(sha256(document.as_bytes()), &manifest));
    }
});

fn manifest(bytes: &[u8]) -> Option<Manifest> {
    match Document::parse(media_type::OCI_MANIFEST, bytes) {
        Ok(Document::Manifest(manifest)) if manifest.is_artifact() => Some(manifest),
        _ => None,
    }
}

fn check(artifact: Result<Artifact, ArtifactError>) {
    let artifact = match artifact {
        Ok(artifact) => artifact,
        // What cannot be laid out is told in a bounded line.
        Err(error) => return assert!(error.to_string().len() < 2048),
    };
    for file in artifact.files() {
        assert!(file.path.split('/').all(|name| !matches!(name, "" | "." | "..")), "{:?}", file.path);
        assert_eq!(archived(&file.path), [file.path.as_bytes()]);
    }
    let layers = artifact.files().iter().map(|file| {
        let archive = FileArchive::new(&file.path, file.blob.size);
        ArtifactLayer { digest: sha256(archive.head()), size: archive.size() }
    });
    let layers: Vec<ArtifactLayer> = layers.collect();
    let converted = artifact.convert(&Platform::default(), &layers).expect("documents of a readable size");
    let media_type = &converted.manifest_descriptor.media_type;
    let Ok(Document::Manifest(manifest)) = Document::parse(media_type, &converted.manifest) else {
        panic!("no manifest: {}", String::from_utf8_lossy(&converted.manifest));
    };
    assert!(!manifest.is_artifact(), "an image was made of it");
    let config = ImageConfig::parse(&converted.config).expect("a readable config");
    config.check_layers(&manifest).expect("as many layers as diff ids");
}

/// The regular files in the archive of an empty file at `path`.
fn archived(path: &str) -> Vec<Vec<u8>> {
    let archive = FileArchive::new(path, 0);
    let bytes = [archive.head(), &archive.tail()].concat();
    let mut parser = Parser::new(Limits::default());
    let (mut rest, mut files) = (bytes.as_slice(), Vec::new());
    while let Some(event) = parser.next(&mut rest).expect("an archive") {
        if let Event::Entry(entry) = event
            && entry.kind == Kind::Regular
        {
            files.push(entry.path.to_vec());
        }
    }
    files
}
