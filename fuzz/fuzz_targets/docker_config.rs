//! Any configuration file, the name to look up before its first line end: reading never panics, what is found is bound
//! to the name's registry, a helper is one word, and errors hold nothing of the file's credentials.
#![no_main]

use auth::{DockerConfig, HelperRequest, Lookup};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let end = input.iter().position(|&byte| byte == b'\n').unwrap_or(0);
    let (name, file) = input.split_at(end);
    let Ok(name) = std::str::from_utf8(name) else { return };
    // A helper answers with JSON too.
    let request = HelperRequest::new("pass", "registry.example").expect("a helper and a host");
    for succeeded in [false, true] {
        if let Ok(credentials) = request.answer(succeeded, file) {
            assert_eq!(credentials.is_anonymous(), credentials.for_host("registry.example").is_none());
        }
    }
    let Ok(config) = DockerConfig::parse(file) else { return };
    match config.lookup(name) {
        Ok(Lookup::Credentials(credentials)) => {
            let registry = name.split('/').next().unwrap_or_default();
            assert_eq!(
                credentials.is_anonymous(),
                credentials.for_host(registry).is_none(),
                "bound to the name"
            );
        }
        Ok(Lookup::Helper(request)) => {
            assert!(!request.program().contains(['/', '\\', ' ', '\0']), "one word");
            assert!(!request.stdin().contains(['\n', '\r']), "one line");
        }
        Ok(Lookup::None) | Err(_) => {}
    }
});
