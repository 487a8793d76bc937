//! Any bytes are a Docker schema 1 manifest that converts to a readable image, always the same, or an error. What is no
//! manifest is taken for the text about one entry. `cargo +nightly fuzz run schema1 corpus/schema1 seeds/schema1`.

#![no_main]

use std::collections::BTreeMap;
use std::error::Error;

use libfuzzer_sys::fuzz_target;
use oci::{DiffId, Document, ImageConfig, Schema1, Schema1Error, Schema1Layer, schema1_payload, sha256};

fuzz_target!(|bytes: &[u8]| {
    if let Err(error) = schema1_payload(bytes).and_then(|payload| convert(&payload)) {
        check_told(&error);
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        let about = |text: &str| serde_json::json!({ "v1Compatibility": text });
        let blob = |text: &[u8]| serde_json::json!({ "blobSum": sha256(text).as_str() });
        let document = serde_json::json!({
            "schemaVersion": 1, "fsLayers": [blob(b"1"), blob(b"2")], "history": [about(text), about("{}")],
        });
        if let Err(error) = convert(document.to_string().as_bytes()) {
            check_told(&error);
        }
    }
});

fn convert(payload: &[u8]) -> Result<(), Schema1Error> {
    let schema1 = Schema1::parse(payload)?;
    let measure = |(number, digest): (usize, &refparse::Digest)| {
        let diff_id = if number % 2 == 0 { sha256(digest.as_str().as_bytes()) } else { digest.clone() };
        let layer =
            Schema1Layer { size: number as u64, diff_id: DiffId::new(diff_id), is_empty: number % 5 == 4 };
        (digest.clone(), layer)
    };
    let measured: BTreeMap<_, _> = schema1.layers().into_iter().enumerate().map(measure).collect();
    let converted = schema1.convert(&measured)?;
    assert_eq!(converted, schema1.convert(&measured)?);
    let media_type = &converted.manifest_descriptor.media_type;
    let Ok(Document::Manifest(manifest)) = Document::parse(media_type, &converted.manifest) else {
        panic!("no manifest: {}", String::from_utf8_lossy(&converted.manifest));
    };
    assert_eq!(manifest.config, converted.config_descriptor);
    let config = ImageConfig::parse(&converted.config).expect("a readable config");
    config.check_layers(&manifest).expect("as many layers as diff ids");
    Ok(())
}

/// What cannot be read is told in a bounded line.
fn check_told(error: &Schema1Error) {
    assert!(!matches!(error, Schema1Error::NotMeasured(_) | Schema1Error::Write { .. }), "{error}");
    let mut cause: Option<&dyn Error> = Some(error);
    while let Some(error) = cause {
        assert!(error.to_string().len() < 2048);
        cause = error.source();
    }
}
