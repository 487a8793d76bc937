//! Any bytes decompress or are an error, the same through pieces and rooms of any size, and what was compressed comes out
//! as it was.

#![no_main]

use std::io::Write as _;

use layer::{DecompressError, Decompressor, Output};
use libfuzzer_sys::fuzz_target;

/// More than any input here may become: the rest of a bomb is like its beginning.
const OUTPUT_BYTES_MAX: usize = 1 << 20;

fuzz_target!(|input: (u8, u8, u8, &[u8])| {
    let (form, piece, room, bytes) = input;
    let compressed = match form % 3 {
        0 => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).expect("memory takes it");
            encoder.finish().expect("memory takes it")
        }
        1 => zstd::encode_all(bytes, 1).expect("memory takes it"),
        _ => bytes.to_vec(),
    };
    let whole = run(&compressed, usize::MAX, OUTPUT_BYTES_MAX);
    let parts = run(&compressed, usize::from(piece) + 1, usize::from(room) + 1);
    // Where an error is found depends on the pieces; that there is one does not.
    assert_eq!(whole.as_ref().ok(), parts.as_ref().ok());
    if form % 3 < 2 {
        assert_eq!(whole.as_deref(), Ok(bytes));
    }
});

/// At most [`OUTPUT_BYTES_MAX`] bytes of the output.
fn run(input: &[u8], piece: usize, room: usize) -> Result<Vec<u8>, DecompressError> {
    let mut decompressor = Decompressor::new();
    let mut output = Output::new(room);
    let mut all = Vec::new();
    for mut piece in input.chunks(piece) {
        loop {
            let progress = decompressor.step(piece, &mut output)?;
            piece = &piece[progress.consumed..];
            let is_full = output.is_full();
            all.extend_from_slice(output.bytes());
            output.clear();
            if all.len() >= OUTPUT_BYTES_MAX {
                all.truncate(OUTPUT_BYTES_MAX);
                return Ok(all);
            }
            if piece.is_empty() && !is_full {
                break;
            }
        }
    }
    while decompressor.finish(&mut output)? > 0 {
        all.extend_from_slice(output.bytes());
        output.clear();
        if all.len() >= OUTPUT_BYTES_MAX {
            all.truncate(OUTPUT_BYTES_MAX);
            return Ok(all);
        }
    }
    Ok(all)
}
