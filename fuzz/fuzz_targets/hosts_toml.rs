//! Any `hosts.toml`: reading never panics, an error names a line of the file, and what was read can be used.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use registry::{ConfigError, HostsFile};

fuzz_target!(|input: &str| {
    match HostsFile::parse(Path::new("/certs.d/r.example/hosts.toml"), input) {
        Ok(file) => {
            let lines = 1..=input.bytes().filter(|byte| *byte == b'\n').count() + 1;
            assert!(file.unknown.iter().all(|unknown| lines.contains(&unknown.line)));
            for entry in file.mirrors.iter().chain([&file.root]) {
                assert!(entry.dial_timeout.is_none_or(|timeout| !timeout.is_zero()));
                assert!(entry.ca.iter().flatten().all(|path| path.is_absolute()));
                assert!(entry.header.values().all(|value| value.is_sensitive()));
            }
            for entry in &file.mirrors {
                let server = entry.server.as_ref().expect("a mirror has an address");
                assert!(!server.authority.is_empty() && !server.authority.contains('@'));
                assert!(server.path.is_empty() || server.path.starts_with('/'));
            }
        }
        Err(ConfigError::Invalid { line, .. }) => {
            assert!((1..=input.bytes().filter(|byte| *byte == b'\n').count() + 1).contains(&line));
        }
        Err(error) => panic!("parsing touches no file: {error}"),
    }
});
