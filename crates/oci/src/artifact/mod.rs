//! OCI artifacts: manifests of files instead of an image, and the image that is made of one.
//!
//! An artifact has no image config; each of its blobs is a file (OCI image-spec 1.1, manifest.md, "Guidelines for
//! Artifact Usage"). It becomes an image whose layers are archives of one file each, so that containerd mounts it like any
//! other: [`Artifact::new`], bring the files and measure their archives, [`Artifact::convert`].
//!
//! Which blob is which file is read as CRI-O reads it, whose image volumes showed artifacts first (1.37
//! `internal/ociartifact/store.go`, `artifactName`): the blob's title, else its path of the model specification; a blob
//! with neither is no file. Its bytes are the file's, whatever its media type says: tools give that of a layer to files
//! that are no archives.

mod convert;
mod error;
mod path;

use std::collections::BTreeSet;

use refparse::Digest;

pub use convert::ArtifactLayer;
pub use error::{ArtifactError, PathFault};

use crate::{Descriptor, Manifest};

/// The annotation with a blob's file name (OCI image-spec 1.1, annotations.md).
const TITLE: &str = "org.opencontainers.image.title";

/// The annotation with the path of a model's file (CNCF model-spec v0.0.7, annotations.md).
const MODEL_PATH: &str = "org.cncf.model.filepath";

/// A file of an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactFile {
    /// Its path: relative, without empty and dot components, different from that of each other file, below none of them.
    pub path: String,
    /// The blob with its bytes.
    pub blob: Descriptor,
}

/// An artifact whose files can be laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    digest: Digest,
    artifact_type: String,
    files: Vec<ArtifactFile>,
}

impl Artifact {
    /// Reads the files of `manifest`, whose digest is `digest`. Blobs without a name are left out.
    ///
    /// # Errors
    /// [`ArtifactError`]: no blob has a name, or one has a name that is no path of a file here.
    pub fn new(digest: Digest, manifest: &Manifest) -> Result<Artifact, ArtifactError> {
        let mut files = Vec::with_capacity(manifest.layers.len());
        for blob in &manifest.layers {
            let Some(name) = name(blob) else { continue };
            let path = path::of(name).map_err(|fault| ArtifactError::path(blob, name, fault))?;
            files.push(ArtifactFile { path, blob: blob.clone() });
        }
        if files.is_empty() {
            return Err(ArtifactError::NoFiles { blobs: manifest.layers.len() });
        }
        let mut taken = BTreeSet::new();
        for ArtifactFile { path, blob } in &files {
            if !taken.insert(path.as_str()) {
                return Err(ArtifactError::path(blob, path, PathFault::Twice));
            }
        }
        for ArtifactFile { path, blob } in &files {
            let mut above = path.match_indices('/').filter_map(|(at, _)| path.get(..at));
            if above.any(|directory| taken.contains(directory)) {
                return Err(ArtifactError::path(blob, path, PathFault::BelowFile));
            }
        }
        let of_config = &manifest.config.media_type;
        let artifact_type =
            if manifest.artifact_type.is_empty() { of_config } else { &manifest.artifact_type };
        Ok(Artifact { digest, artifact_type: artifact_type.clone(), files })
    }

    /// The files in the order of the manifest.
    pub fn files(&self) -> &[ArtifactFile] {
        &self.files
    }
}

/// What a blob is called, where it is called anything. A title counts also where it is empty.
fn name(blob: &Descriptor) -> Option<&str> {
    [TITLE, MODEL_PATH].iter().find_map(|key| blob.annotations.get(*key)).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::media_type::OCI_EMPTY;
    use crate::sha256;

    /// An artifact of blobs with these annotations.
    fn artifact(annotations: &[&[(&str, &str)]]) -> Result<Artifact, ArtifactError> {
        let config = Descriptor::new(OCI_EMPTY, sha256(b"{}"), 2);
        let layers = annotations.iter().zip(0u64..).map(|(annotations, number)| {
            let mut blob = Descriptor::new("application/octet-stream", sha256(&[0]), number);
            let pairs = annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            blob.annotations = pairs.collect();
            blob
        });
        let manifest = Manifest { config, layers: layers.collect(), artifact_type: String::new() };
        assert!(manifest.is_artifact());
        Artifact::new(sha256(b"manifest"), &manifest)
    }

    #[track_caller]
    fn check(titles: &[&str], expected: Expect) {
        let annotations: Vec<_> = titles.iter().map(|title| [(TITLE, *title)]).collect();
        let annotations: Vec<&[_]> = annotations.iter().map(<[_; 1]>::as_slice).collect();
        let got = match artifact(&annotations) {
            Ok(artifact) => {
                let paths: Vec<&str> = artifact.files().iter().map(|file| file.path.as_str()).collect();
                paths.join(", ")
            }
            Err(error) => error.to_string().replace(sha256(&[0]).as_str(), "BLOB"),
        };
        expected.assert_eq(&got);
    }

    #[test]
    fn titles_are_paths() {
        check(&["a", "b/c", "./d//e/"], expect!["a, b/c, d/e"]);
        check(&["über/☃", " ", "..a", "...", "a.wh.b"], expect!["über/☃,  , ..a, ..., a.wh.b"]);
    }

    #[test]
    fn a_blob_is_called_by_its_title_then_by_its_path_of_a_model() {
        let artifact = artifact(&[
            &[(TITLE, "title"), (MODEL_PATH, "model")],
            &[(MODEL_PATH, "model")],
            &[("other", "x")],
            &[],
        ]);
        let artifact = artifact.unwrap();
        let named: Vec<_> =
            artifact.files().iter().map(|file| (file.path.as_str(), file.blob.size)).collect();
        assert_eq!(named, [("title", 0), ("model", 1)]);
    }

    #[test]
    fn names_that_are_no_paths_of_files_here_are_told() {
        check(&["ok", ""], expect!["artifact with blob `BLOB` called ``, which names no file"]);
        check(&["/etc/passwd"], expect!["artifact with blob `BLOB` called `/etc/passwd`, which is absolute"]);
        check(&["a/../../b"], expect!["artifact with blob `BLOB` called `a/../../b`, which has `..`"]);
        check(&["./."], expect!["artifact with blob `BLOB` called `./.`, which names no file"]);
        check(
            &["a\0b"],
            expect![[r#"artifact with blob `BLOB` called `a\0b`, which has a control character"#]],
        );
        check(
            &["a\nb"],
            expect![[r#"artifact with blob `BLOB` called `a\nb`, which has a control character"#]],
        );
        check(
            &["a/.wh.b"],
            expect!["artifact with blob `BLOB` called `a/.wh.b`, which layers take for a removal (`.wh.`)"],
        );
        check(
            &[".wh..wh..opq/a"],
            expect![
                "artifact with blob `BLOB` called `.wh..wh..opq/a`, which layers take for a removal (`.wh.`)"
            ],
        );
        check(
            &[&"x".repeat(256)],
            expect![
                "artifact with blob `BLOB` called `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx`, of which a part is longer than 255 bytes"
            ],
        );
        check(
            &[&"x/".repeat(2100)],
            expect![
                "artifact with blob `BLOB` called `x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/`, which is longer than 4095 bytes"
            ],
        );
        check(&["a", "./a"], expect!["artifact with blob `BLOB` called `a`, as another blob is"]);
        check(
            &["a/b/c", "a/b"],
            expect!["artifact with blob `BLOB` called `a/b/c`, which is below another blob's file"],
        );
    }

    #[test]
    fn an_artifact_without_files_is_told() {
        check(
            &[],
            expect![
                "no file in an artifact of 0 blobs: none has the annotation `org.opencontainers.image.title` or `org.cncf.model.filepath`"
            ],
        );
        let error = artifact(&[&[], &[("other", "x")]]).unwrap_err();
        expect!["no file in an artifact of 2 blobs: none has the annotation `org.opencontainers.image.title` or `org.cncf.model.filepath`"].assert_eq(&error.to_string());
    }
}
