//! Public surface of `cri-api`.
