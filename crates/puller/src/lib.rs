//! puller
