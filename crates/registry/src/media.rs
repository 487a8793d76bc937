//! Media types of manifests as they come in headers and bodies, and what is asked for.
//!
//! Docker schema 1 is a document where the client is told to give it to its caller, else unsupported.

use http::{HeaderMap, HeaderValue, header};
use oci::{DocumentKind, media_type};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::error::Failure;

/// What a manifest request accepts. The wildcard makes a registry that holds nothing else answer with what it has, so
/// that the error can say what that is; without it old registries convert to Docker schema 1. That is not named here, as
/// in containerd 1.x, so that it comes only where there is nothing newer.
pub(crate) const MANIFEST_ACCEPT: HeaderValue = HeaderValue::from_static(
    "application/vnd.docker.distribution.manifest.v2+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.oci.image.index.v1+json, */*",
);

/// Most characters of a peer's media type shown.
const SHOWN_CHARS_MAX: usize = 100;

/// What a header says about a document's type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Announced {
    /// One of the types that are pulled.
    Document(String),
    /// Nothing, or a type that says nothing (`application/json`, `application/octet-stream`): the body must tell.
    Unclear,
    /// Anything else, cleaned.
    Unsupported(String),
}

impl Announced {
    pub(crate) fn of(headers: &HeaderMap, schema1: bool) -> Announced {
        let Some(text) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
            return Announced::Unclear;
        };
        // Parameters such as the charset say nothing (RFC 9110, section 8.3.1).
        let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            // Plain text: Red Hat's registry sent schema 1 so, and containerd 1.x takes all of it for that.
            "" | "application/json" | "application/octet-stream" | "binary/octet-stream" | "text/plain" => {
                Announced::Unclear
            }
            other if is_document(other, schema1) => Announced::Document(essence),
            _ => Announced::Unsupported(shown(&essence)),
        }
    }
}

#[derive(Deserialize)]
struct Probe {
    #[serde(rename = "mediaType", default)]
    media_type: Option<String>,
    #[serde(rename = "schemaVersion", default)]
    schema_version: Option<u64>,
    #[serde(default)]
    manifests: Option<IgnoredAny>,
    #[serde(default)]
    config: Option<IgnoredAny>,
    #[serde(default)]
    signatures: Option<IgnoredAny>,
}

fn is_document(media_type: &str, schema1: bool) -> bool {
    DocumentKind::of(media_type).is_some() || schema1 && media_type::is_schema1(media_type)
}

/// The type of a document whose header does not say: its own `mediaType`, or its form (OCI image-spec 1.1 lets the
/// field out).
///
/// # Errors
/// [`Failure::UnsupportedMediaType`].
pub(crate) fn sniff(body: &[u8], schema1: bool) -> Result<String, Failure> {
    let unsupported = |media_type: &str| Failure::UnsupportedMediaType { media_type: shown(media_type) };
    let probe: Probe = serde_json::from_slice(body).map_err(|_| unsupported("unknown, not a JSON object"))?;
    match (&probe.media_type, probe.schema_version) {
        (Some(text), _) if is_document(text, schema1) => Ok(text.clone()),
        (Some(text), _) if !text.is_empty() => Err(unsupported(text)),
        (_, Some(1)) if !schema1 => Err(unsupported(media_type::DOCKER_SCHEMA1)),
        (_, Some(1)) if probe.signatures.is_some() => Ok(media_type::DOCKER_SCHEMA1_SIGNED.to_owned()),
        (_, Some(1)) => Ok(media_type::DOCKER_SCHEMA1.to_owned()),
        _ if probe.manifests.is_some() => Ok(media_type::OCI_INDEX.to_owned()),
        _ if probe.config.is_some() => Ok(media_type::OCI_MANIFEST.to_owned()),
        _ => Err(unsupported("unknown, neither index nor manifest")),
    }
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(SHOWN_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_header(text: &'static str, expected: Announced) {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(text))]);
        assert_eq!(Announced::of(&headers, true), expected, "{text}");
    }

    #[test]
    fn a_content_type_is_read_without_parameters_and_case() {
        let index = Announced::Document(media_type::OCI_INDEX.to_owned());
        check_header("application/vnd.oci.image.index.v1+JSON; charset=utf-8", index);
        check_header("application/json", Announced::Unclear);
        check_header("text/html", Announced::Unsupported("text/html".to_owned()));
        check_header("text/plain; charset=utf-8", Announced::Unclear);
        for schema1 in [media_type::DOCKER_SCHEMA1, media_type::DOCKER_SCHEMA1_SIGNED] {
            check_header(schema1, Announced::Document(schema1.to_owned()));
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(schema1))]);
            assert_eq!(Announced::of(&headers, false), Announced::Unsupported(schema1.to_owned()));
        }
    }

    #[test]
    fn a_body_tells_its_type() {
        let sniffed = |text: &str| sniff(text.as_bytes(), true).map_err(|error| error.to_string());
        assert_eq!(sniffed(r#"{"manifests":[]}"#).unwrap(), media_type::OCI_INDEX);
        assert_eq!(sniffed(r#"{"config":{}}"#).unwrap(), media_type::OCI_MANIFEST);
        let docker = format!(r#"{{"mediaType":"{}"}}"#, media_type::DOCKER_INDEX);
        assert_eq!(sniffed(&docker).unwrap(), media_type::DOCKER_INDEX);
        let schema1 = r#"{"schemaVersion":1,"fsLayers":[]}"#;
        assert_eq!(sniffed(schema1).unwrap(), media_type::DOCKER_SCHEMA1);
        assert!(sniff(schema1.as_bytes(), false).unwrap_err().to_string().contains("schema 1"));
        let signed = r#"{"schemaVersion":1,"signatures":[{}]}"#;
        assert_eq!(sniffed(signed).unwrap(), media_type::DOCKER_SCHEMA1_SIGNED);
        assert!(sniffed("<html>").unwrap_err().contains("not a JSON object"));
        assert!(sniffed(r#"{"mediaType":"application/x"}"#).unwrap_err().contains("application/x"));
    }
}
