//! Any bytes are a tar archive, or an error with a bounded line, and the same in any pieces. What an entry says is within
//! the limits, and the bytes of a file come in order and lie within it.

#![no_main]

use layer::Limits;
use layer::tar::{Event, Kind, Parser, TarError};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (piece, bytes) = input;
    let whole = read(bytes, usize::MAX);
    assert_eq!(read(bytes, usize::from(piece) + 1), whole);
    if let Err(error) = whole {
        assert!(error.offset <= bytes.len() as u64);
        assert!(error.to_string().len() < 4096 + 1024);
    }
});

/// Count of entries and bytes, and a sum over all that they say.
fn read(bytes: &[u8], piece: usize) -> Result<(u64, u64, u64), TarError> {
    let limits = Limits::default();
    let mut parser = Parser::new(limits);
    let (mut entries, mut stored, mut sum) = (0, 0, 0u64);
    let (mut size, mut end, mut is_open) = (0, 0, false);
    for mut piece in bytes.chunks(piece) {
        while let Some(event) = parser.next(&mut piece)? {
            match event {
                Event::Entry(entry) => {
                    assert!(!is_open, "an entry within a file");
                    assert!(entry.path.len() <= limits.path_bytes_max);
                    assert!(entry.mode <= 0o7777 && entry.modified.nanoseconds < 1_000_000_000);
                    is_open = entry.kind == Kind::Regular;
                    (size, end) = (entry.size, 0);
                    entries += 1;
                    sum = sum
                        .wrapping_mul(31)
                        .wrapping_add(format!("{entry:?}{:?}", entry.xattrs).len() as u64);
                }
                Event::Data { offset, bytes } => {
                    assert!(is_open && !bytes.is_empty() && offset >= end);
                    end = offset + bytes.len() as u64;
                    assert!(end <= size);
                    stored += bytes.len() as u64;
                }
                Event::Done => {
                    assert!(std::mem::take(&mut is_open));
                }
                Event::End => assert!(!is_open),
            }
        }
        assert!(piece.is_empty());
    }
    parser.finish()?;
    Ok((entries, stored, sum))
}
