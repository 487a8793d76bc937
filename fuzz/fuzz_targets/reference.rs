//! Any string: parsing never panics, what parses prints to itself, and every error points into its input.
#![no_main]

use libfuzzer_sys::fuzz_target;
use refparse::Reference;

fuzz_target!(|input: &str| match Reference::parse(input) {
    Ok(reference) => {
        assert_eq!(Reference::parse(reference.as_str()).as_ref(), Ok(&reference), "normalized form");
        assert_eq!(Reference::parse(&reference.familiar()).as_ref(), Ok(&reference), "familiar form");
    }
    Err(error) => {
        assert!(error.offset() <= input.len(), "offset inside the input");
        assert!(!error.to_string().chars().any(char::is_control), "display escapes control characters");
    }
});
