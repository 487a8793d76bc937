//! The namespace and the lease of a request, from its headers.

use tonic::Status;
use tonic::metadata::MetadataMap;

use super::failure;

const NAMESPACE_HEADER: &str = "containerd-namespace";
const LEASE_HEADER: &str = "containerd-lease";

/// containerd's bound on identifiers (pkg/identifiers, v2.3.4).
const IDENTIFIER_BYTES_MAX: usize = 76;

/// In whose name a request acts.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) namespace: String,
    pub(crate) lease: Option<String>,
}

impl Context {
    pub(crate) fn read(headers: &MetadataMap) -> Result<Context, Status> {
        let namespace = text(headers, NAMESPACE_HEADER)
            .ok_or_else(|| failure::failed_precondition("namespace is required"))?;
        validate_identifier(&namespace)
            .map_err(|reason| failure::invalid_argument(format!("namespace validation: {reason}")))?;
        Ok(Context { namespace, lease: text(headers, LEASE_HEADER) })
    }
}

fn text(headers: &MetadataMap, name: &str) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    (!value.is_empty()).then(|| value.to_owned())
}

/// Alphanumeric runs joined by single `.`, `_` or `-`, at most [`IDENTIFIER_BYTES_MAX`] bytes.
pub(crate) fn validate_identifier(identifier: &str) -> Result<(), String> {
    if identifier.is_empty() {
        return Err("identifier must not be empty".to_owned());
    }
    if identifier.len() > IDENTIFIER_BYTES_MAX {
        return Err(format!("identifier `{identifier}` greater than maximum length"));
    }
    let runs = identifier.split(['.', '_', '-']);
    if runs.into_iter().all(|run| !run.is_empty() && run.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
        Ok(())
    } else {
        Err(format!("identifier `{identifier}` has a form that is not allowed"))
    }
}
