//! Any `Content-Range` value: what reads is a range of bytes that can be, and is read again from its own text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use registry::ContentRange;

fuzz_target!(|input: &str| {
    let Some(range) = ContentRange::parse(input) else { return };
    assert!(range.first <= range.last, "not empty");
    assert!(range.size.is_none_or(|size| range.last < size), "within the whole");
    let size = range.size.map_or("*".to_owned(), |size| size.to_string());
    let text = format!("bytes {}-{}/{size}", range.first, range.last);
    assert_eq!(ContentRange::parse(&text), Some(range), "reads from its own text");
});
