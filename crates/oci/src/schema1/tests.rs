//! Documents as registries have them, and as nobody should have them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use expect_test::{Expect, expect};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{DOCUMENT_BYTES_MAX, DiffId, Document, ImageConfig, sha256};

/// An entry of a document: the number of its blob, what is said of it.
type Said = (u8, serde_json::Value);

fn blob(number: u8) -> Digest {
    Digest::from_sha256([number; 32])
}

/// A document of these entries, the newest first.
fn document(entries: &[Said]) -> serde_json::Value {
    let layers: Vec<_> =
        entries.iter().map(|(number, _)| json!({"blobSum": blob(*number).as_str()})).collect();
    let history: Vec<_> =
        entries.iter().map(|(_, said)| json!({"v1Compatibility": said.to_string()})).collect();
    json!({
        "schemaVersion": 1, "name": "a/b", "tag": "1", "architecture": "amd64",
        "fsLayers": layers, "history": history,
    })
}

fn parse(document: &serde_json::Value) -> Result<Schema1, Schema1Error> {
    Schema1::parse(document.to_string().as_bytes())
}

/// Every blob measured: those with an even number are empty, those from 100 on were not compressed.
fn measured(schema1: &Schema1) -> BTreeMap<Digest, Schema1Layer> {
    let measure = |digest: &Digest| {
        let number = u8::from_str_radix(digest.hex().get(..2).unwrap(), 16).unwrap();
        let diff_id = if number >= 100 { digest.clone() } else { blob(number + 100) };
        Schema1Layer {
            size: number.into(),
            diff_id: DiffId::new(diff_id),
            is_empty: number.is_multiple_of(2),
        }
    };
    schema1.layers().into_iter().map(|digest| (digest.clone(), measure(digest))).collect()
}

/// Error and causes in one line.
fn line(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[track_caller]
fn check_config(entries: &[Said], expected: Expect) {
    let schema1 = parse(&document(entries)).unwrap();
    let converted = schema1.convert(&measured(&schema1)).unwrap();
    expected.assert_eq(&String::from_utf8(converted.config).unwrap());
}

#[track_caller]
fn check_error(document: &serde_json::Value, expected: Expect) {
    expected.assert_eq(&line(&parse(document).expect_err("no document")));
}

#[test]
fn the_config_has_what_an_oci_config_has_and_nothing_else() {
    check_config(
        &[
            (
                1,
                json!({
                    "id": "aa", "parent": "bb", "layer_id": "cc", "throwaway": false, "docker_version": "1.9.1",
                    "container": "dd", "created": "2015-10-31T22:22:56.01500Z", "author": "A <a@b>", "os": "linux",
                    "architecture": "amd64", "Size": 5, "checksum": "x",
                    "config": {
                        "Hostname": "h", "Cmd": ["sh", "-c", "a && b"], "Env": ["A=1"], "Image": "x",
                        "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/v": null}, "Labels": {"b": "2", "a": null},
                        "User": "1:2", "WorkingDir": "/w", "Entrypoint": null, "OnBuild": [], "ArgsEscaped": true,
                        "StopSignal": "SIGQUIT",
                    },
                    "container_config": {"Cmd": ["/bin/sh", "-c", "#(nop) CMD"]},
                }),
            ),
            (3, json!({"comment": "c", "created": "2015-10-30T22:22:56+00:00", "author": ""})),
        ],
        expect![[r#"
            {
               "created": "2015-10-31T22:22:56.015Z",
               "author": "A \u003ca@b\u003e",
               "architecture": "amd64",
               "os": "linux",
               "config": {
                  "User": "1:2",
                  "ExposedPorts": {
                     "80/tcp": {}
                  },
                  "Env": [
                     "A=1"
                  ],
                  "Cmd": [
                     "sh",
                     "-c",
                     "a \u0026\u0026 b"
                  ],
                  "Volumes": {
                     "/v": {}
                  },
                  "WorkingDir": "/w",
                  "Labels": {
                     "a": "",
                     "b": "2"
                  },
                  "StopSignal": "SIGQUIT",
                  "ArgsEscaped": true
               },
               "rootfs": {
                  "type": "layers",
                  "diff_ids": [
                     "sha256:6767676767676767676767676767676767676767676767676767676767676767",
                     "sha256:6565656565656565656565656565656565656565656565656565656565656565"
                  ]
               },
               "history": [
                  {
                     "created": "2015-10-30T22:22:56Z",
                     "comment": "c"
                  },
                  {
                     "created": "2015-10-31T22:22:56.015Z",
                     "created_by": "/bin/sh -c #(nop) CMD",
                     "author": "A \u003ca@b\u003e"
                  }
               ]
            }"#]],
    );
}

#[test]
fn nothing_said_makes_a_config_of_defaults() {
    check_config(
        &[(1, json!({}))],
        expect![[r#"
        {
           "architecture": "",
           "os": "",
           "config": {},
           "rootfs": {
              "type": "layers",
              "diff_ids": [
                 "sha256:6565656565656565656565656565656565656565656565656565656565656565"
              ]
           },
           "history": [
              {
                 "created": "0001-01-01T00:00:00Z"
              }
           ]
        }"#]],
    );
    check_config(
        &[(2, json!(null))],
        expect![[r#"
        {
           "architecture": "",
           "os": "",
           "config": {},
           "rootfs": {
              "type": "layers",
              "diff_ids": []
           },
           "history": [
              {
                 "created": "0001-01-01T00:00:00Z",
                 "empty_layer": true
              }
           ]
        }"#]],
    );
}

#[test]
fn names_match_in_any_case_and_the_later_counts() {
    let text = r#"{"OS":"a","os":"linux","Architecture":"arm","architecture":null,"CONFIG":{"cmd":["x"]}}"#;
    let mut document = document(&[(1, json!({}))]);
    document["history"][0]["v1Compatibility"] = json!(text);
    let schema1 = parse(&document).unwrap();
    let config = schema1.convert(&measured(&schema1)).unwrap().config;
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    assert_eq!((&config["os"], &config["architecture"]), (&json!("linux"), &json!("arm")));
    assert_eq!(config["config"], json!({"Cmd": ["x"]}));
}

#[test]
fn the_manifest_lists_the_layers_from_the_base_up() {
    let schema1 = parse(&document(&[(101, json!({})), (2, json!({})), (1, json!({}))])).unwrap();
    let converted = schema1.convert(&measured(&schema1)).unwrap();
    expect![[r#"
        {
           "schemaVersion": 2,
           "config": {
              "mediaType": "application/vnd.oci.image.config.v1+json",
              "digest": "sha256:ca751f00ce408d1ded34d149bd38919b1a612892a43ab899ff1d845d30654648",
              "size": 526
           },
           "layers": [
              {
                 "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                 "digest": "sha256:0101010101010101010101010101010101010101010101010101010101010101",
                 "size": 1
              },
              {
                 "mediaType": "application/vnd.docker.image.rootfs.diff.tar",
                 "digest": "sha256:6565656565656565656565656565656565656565656565656565656565656565",
                 "size": 101
              }
           ]
        }"#]]
    .assert_eq(&String::from_utf8(converted.manifest.clone()).unwrap());
    assert_eq!(converted.manifest_descriptor.digest, sha256(&converted.manifest));
}

#[test]
fn empty_layers_are_in_the_history_alone() {
    // Blob 1 is thrown away, blob 3 has no size, blob 5 says nothing, blob 2 turns out to be empty.
    let entries = [
        (1, json!({"throwaway": true, "Size": 7})),
        (3, json!({"Size": 0})),
        (2, json!({"throwaway": false, "Size": 0})),
        (5, json!({})),
        (7, json!({"Size": 1})),
    ];
    let schema1 = parse(&document(&entries)).unwrap();
    assert_eq!(schema1.layers(), [&blob(7), &blob(5), &blob(2)]);
    let converted = schema1.convert(&measured(&schema1)).unwrap();
    let config: serde_json::Value = serde_json::from_slice(&converted.config).unwrap();
    let empty: Vec<bool> =
        config["history"].as_array().unwrap().iter().map(|entry| entry["empty_layer"] == true).collect();
    assert_eq!(empty, [false, false, true, true, true]);
    assert_eq!(config["rootfs"]["diff_ids"], json!([blob(107).as_str(), blob(105).as_str()]));
}

#[test]
fn what_the_newest_entry_says_of_a_blob_counts() {
    let thrown = (1, json!({"throwaway": true}));
    let kept = (1, json!({}));
    assert!(parse(&document(&[thrown.clone(), kept.clone()])).unwrap().layers().is_empty());
    let schema1 = parse(&document(&[kept, thrown])).unwrap();
    assert_eq!(schema1.layers(), [&blob(1)]);
    let manifest = schema1.convert(&measured(&schema1)).unwrap().manifest;
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 2);
}

#[test]
fn the_known_empty_layer_is_not_fetched() {
    let mut document = document(&[(1, json!({}))]);
    document["fsLayers"][0]["blobSum"] = json!(EMPTY_LAYER);
    let schema1 = parse(&document).unwrap();
    assert!(schema1.layers().is_empty());
    let converted = schema1.convert(&BTreeMap::new()).unwrap();
    assert!(ImageConfig::parse(&converted.config).unwrap().diff_ids.is_empty());
}

#[test]
fn a_layer_that_was_not_measured_is_named() {
    let schema1 = parse(&document(&[(1, json!({}))])).unwrap();
    let error = schema1.convert(&BTreeMap::new()).unwrap_err();
    assert_eq!(error.to_string(), format!("layer `{}` was not measured", blob(1)));
}

#[test]
fn what_is_no_document_is_told() {
    let entry = (1, json!({}));
    let whole = document(std::slice::from_ref(&entry));
    let with = |field: &str, value: serde_json::Value| {
        let mut document = whole.clone();
        document[field] = value;
        document
    };
    check_error(&json!([]), expect!["Docker schema 1 manifest with schema version 0"]);
    check_error(&with("schemaVersion", json!(2)), expect!["Docker schema 1 manifest with schema version 2"]);
    check_error(
        &with("history", json!([])),
        expect!["Docker schema 1 manifest with 1 layers but 0 history entries"],
    );
    check_error(
        &with("fsLayers", json!(null)),
        expect!["Docker schema 1 manifest with 0 layers but 1 history entries"],
    );
    check_error(&document(&[]), expect!["Docker schema 1 manifest without history"]);
    check_error(&with("manifests", json!([])), expect!["Docker schema 1 manifest that also has `manifests`"]);
    check_error(&with("layers", json!([])), expect!["Docker schema 1 manifest that also has `layers`"]);
    check_error(&with("config", json!({})), expect!["Docker schema 1 manifest that also has `config`"]);
    check_error(
        &with("fsLayers", json!([{"blobSum": "sha256:00"}])),
        expect![
            "Docker schema 1 manifest whose layer 0 has no digest: invalid digest `sha256:00` at byte 9: the digest has 2 hex digits, its algorithm has 64"
        ],
    );
    check_error(
        &with("history", json!([{"v1Compatibility": ""}])),
        expect![
            "Docker schema 1 manifest with malformed history entry 0: EOF while parsing a value at line 1 column 0"
        ],
    );
    check_error(
        &document(&[(1, json!({"created": "yesterday"}))]),
        expect![
            "Docker schema 1 manifest with malformed history entry 0: invalid value: text, expected a time of RFC 3339 at line 1 column 23"
        ],
    );
    check_error(
        &document(&[(1, json!({"config": {"Cmd": "sh"}}))]),
        expect![[
            r#"Docker schema 1 manifest with malformed history entry 0: invalid type: string "sh", expected a sequence at line 1 column 21"#
        ]],
    );
    check_error(
        &document(&[(1, json!([]))]),
        expect![
            "Docker schema 1 manifest with malformed history entry 0: invalid type: sequence, expected an object at line 1 column 2"
        ],
    );
}

#[test]
fn documents_are_bounded() {
    check_error(
        &document(&vec![(1, json!({})); ENTRIES_MAX + 1]),
        expect!["Docker schema 1 manifest with 1025 history entries, more than 1024"],
    );
    check_error(
        &document(&[(1, json!({"comment": "x".repeat(COMPATIBILITY_BYTES_MAX)}))]),
        expect!["Docker schema 1 manifest whose history entry 0 is longer than 1048576 bytes"],
    );
    // What is quoted of it is short.
    let error = parse(&document(&[(1, json!({"config": "x".repeat(5000)}))])).unwrap_err();
    assert!(line(&error).len() < 400, "{}", line(&error));
    // Six bytes for one: what is written must be readable again.
    let entry = json!({"comment": "<".repeat(COMPATIBILITY_BYTES_MAX - 100)});
    let schema1 = parse(&document(&[(2, entry.clone()), (1, entry)])).unwrap();
    let error = schema1.convert(&measured(&schema1)).err();
    assert!(
        matches!(error, Some(Schema1Error::TooLarge { what: "config", max: DOCUMENT_BYTES_MAX, .. })),
        "{error:?}"
    );
}

/// `payload` as Docker signs it: `signatures` goes before the end of the object.
fn signed(payload: &str, length: usize, tail: &str) -> String {
    let header =
        json!({"formatLength": length, "formatTail": BASE64_URL_SAFE_NO_PAD.encode(tail)}).to_string();
    let protected = BASE64_URL_SAFE_NO_PAD.encode(header);
    let signature = json!([{"header": {"alg": "ES256"}, "signature": "x", "protected": protected}]);
    format!("{},\n   \"signatures\": {signature}\n}}", payload.get(..length.min(payload.len())).unwrap())
}

#[test]
fn the_payload_is_what_was_signed() {
    let text = serde_json::to_string_pretty(&document(&[(1, json!({}))])).unwrap();
    let length = text.len() - "\n}".len();
    let whole = signed(&text, length, "\n}");
    assert_eq!(payload(whole.as_bytes()).unwrap(), text.as_bytes());
    assert_eq!(payload(text.as_bytes()).unwrap(), text.as_bytes(), "without a signature");
    Schema1::parse(&payload(whole.as_bytes()).unwrap()).unwrap();
}

#[test]
fn a_malformed_signature_is_told() {
    let text = document(&[(1, json!({}))]).to_string();
    let with = |signatures: serde_json::Value| {
        let mut document = document(&[(1, json!({}))]);
        document["signatures"] = signatures;
        line(&payload(document.to_string().as_bytes()).expect_err("no signature"))
    };
    let long = signed(&text, text.len() - 1, "}").replace(
        &BASE64_URL_SAFE_NO_PAD
            .encode(json!({"formatLength": text.len() - 1, "formatTail": "fQ"}).to_string()),
        &BASE64_URL_SAFE_NO_PAD.encode(r#"{"formatLength":99999,"formatTail":"fQ"}"#),
    );
    expect!["Docker schema 1 manifest with a malformed signature: `formatLength` is 99999 in a document of 334 bytes"].assert_eq(&line(&payload(long.as_bytes()).unwrap_err()));
    expect!["Docker schema 1 manifest with a malformed signature: `protected` is no base64url"]
        .assert_eq(&with(json!([{"protected": "!"}])));
    expect!["Docker schema 1 manifest with a malformed signature: malformed protected header: invalid type: integer `7`, expected struct Protected at line 1 column 1"].assert_eq(&with(json!([{"protected": BASE64_URL_SAFE_NO_PAD.encode("7")}])));
    expect!["Docker schema 1 manifest with a malformed signature: malformed protected header: EOF while parsing a value at line 1 column 0"].assert_eq(&with(json!([{}])));
    expect!["Docker schema 1 manifest with a malformed signature: malformed protected header: invalid value: integer `-1`, expected u64 at line 1 column 18"]
        .assert_eq(&with(json!([{"protected": BASE64_URL_SAFE_NO_PAD.encode(r#"{"formatLength":-1}"#)}])));
    expect!["malformed Docker schema 1 manifest: invalid type: integer `7`, expected a sequence at line 1 column 205"].assert_eq(&with(json!(7)));
}

proptest! {
    #[test]
    fn a_conversion_is_an_image_and_always_the_same(
        entries in prop::collection::vec((0..200u8, ".*", prop::option::of(any::<bool>())), 1..12),
    ) {
        let entries: Vec<Said> = entries
            .into_iter()
            .map(|(number, author, throwaway)| (number, json!({"author": author, "throwaway": throwaway})))
            .collect();
        let schema1 = parse(&document(&entries)).unwrap();
        let converted = schema1.convert(&measured(&schema1)).unwrap();
        prop_assert_eq!(&converted, &parse(&document(&entries)).unwrap().convert(&measured(&schema1)).unwrap());
        let Document::Manifest(manifest) =
            Document::parse(&converted.manifest_descriptor.media_type, &converted.manifest).unwrap()
        else {
            panic!("not a manifest");
        };
        prop_assert_eq!(&manifest.config, &converted.config_descriptor);
        let config = ImageConfig::parse(&converted.config).unwrap();
        config.check_layers(&manifest).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&converted.config).unwrap();
        let history = value["history"].as_array().unwrap();
        prop_assert_eq!(history.len(), entries.len());
        prop_assert_eq!(
            history.iter().filter(|entry| entry["empty_layer"] != true).count(),
            config.diff_ids.len()
        );
        for (entry, (_, said)) in history.iter().zip(entries.iter().rev()) {
            prop_assert_eq!(entry["author"].as_str().unwrap_or_default(), said["author"].as_str().unwrap());
        }
    }
}
