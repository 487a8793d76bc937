//! cri-server
