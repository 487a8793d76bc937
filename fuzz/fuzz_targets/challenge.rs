//! Any `WWW-Authenticate` values, one a line: parsing never panics, errors point into a header, and what parses makes
//! token requests whose URLs are plain ASCII.
#![no_main]

use auth::{Challenge, ChallengeError, ScopeSet, TokenRequest, TokenRequestOptions, parse_challenges};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| match parse_challenges(input.split('\n')) {
    Ok(challenges) => {
        assert!(challenges.len() <= auth::CHALLENGE_COUNT_MAX, "bounded");
        for challenge in challenges {
            let Challenge::Bearer(challenge) = challenge else { continue };
            let scope = challenge.scope.to_string();
            assert_eq!(ScopeSet::parse(&scope).as_ref(), Ok(&challenge.scope), "scopes print to themselves");
            assert!(challenge.scope.covers(&challenge.scope), "a set covers itself");
            let request =
                TokenRequest::new(&challenge, &challenge.scope, None, &TokenRequestOptions::default());
            if let Ok(request) = request {
                assert!(request.url.bytes().all(|byte| byte.is_ascii_graphic()), "an ASCII URL");
                assert!(request.url.starts_with("http"), "an http or https URL");
            }
        }
    }
    Err(ChallengeError::Syntax { offset, .. } | ChallengeError::OpenQuote { offset }) => {
        assert!(offset <= input.len(), "offset inside the input");
    }
    Err(_) => {}
});
