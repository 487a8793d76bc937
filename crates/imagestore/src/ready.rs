//! Whether the index stands for containerd right now.

/// State of the connection to containerd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// The index is not built, or events were lost since.
    Waiting {
        /// What is known of the reason, as a line for an operator; holds no secret.
        reason: String,
    },
    /// The index is built and events are followed.
    Ready,
}
