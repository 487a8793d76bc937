//! imagestore
