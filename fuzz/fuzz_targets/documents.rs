//! Any bytes are an image document, or an error: index, manifest and config, as a registry may send them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use oci::{Document, ImageConfig, PlatformMatcher, chain_ids, media_type};

fuzz_target!(|bytes: &[u8]| {
    let host = PlatformMatcher::host();
    for announced in [media_type::OCI_INDEX, media_type::DOCKER_MANIFEST] {
        match Document::parse(announced, bytes) {
            Ok(Document::Index(index)) => {
                if let Some(entry) = host.select(&index.manifests) {
                    assert!(entry.platform.as_ref().is_none_or(|platform| host.matches(platform)));
                }
            }
            Ok(Document::Manifest(manifest)) => drop(manifest.layers),
            // What cannot be read is told in a bounded line.
            Err(error) => assert!(error.to_string().len() < 2048),
        }
    }
    if let Ok(config) = ImageConfig::parse(bytes) {
        assert_eq!(chain_ids(&config.diff_ids).len(), config.diff_ids.len());
    }
});
