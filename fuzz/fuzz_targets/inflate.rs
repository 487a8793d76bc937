//! Any bytes are to `inflate` what they are to zlib: the same output and the same end, or an error to both; through pieces
//! and rooms of any size.

#![no_main]

use flate2::{Decompress, FlushDecompress, Status};
use inflate::{Inflate, InflateError, WINDOW_BYTES};
use libfuzzer_sys::fuzz_target;

/// More than the window; the rest of a bomb is like its beginning.
const OUTPUT_BYTES_MAX: usize = 80 << 10;

fuzz_target!(|input: (u16, u16, &[u8])| {
    let (piece, room, bytes) = input;
    let zlib = zlib(bytes);
    for (piece, room) in [(usize::from(piece) + 1, usize::from(room) + 1), (usize::MAX >> 1, OUTPUT_BYTES_MAX)] {
        let ours = inflate(bytes, piece, room);
        let length = ours.0.len().min(zlib.0.len());
        assert_eq!(ours.0[..length], zlib.0[..length]);
        match (ours.1, zlib.1) {
            (Ok(End::Input), Err(())) | (Err(_), Ok(End::Input)) | (Err(_), Err(())) => {}
            (Ok(ours_end), Ok(zlib_end)) => {
                assert_eq!(ours_end, zlib_end);
                assert_eq!(ours.0.len(), zlib.0.len());
            }
            (ours_end, zlib_end) => panic!("{ours_end:?}, and to zlib {zlib_end:?}"),
        }
    }
});

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The stream's, after so many bytes.
    Stream(usize),
    /// There may be more, which was not asked for.
    Output,
    /// More input is needed.
    Input,
}

fn inflate(input: &[u8], piece: usize, room: usize) -> (Vec<u8>, Result<End, InflateError>) {
    let mut inflate = Inflate::new();
    let (mut all, mut taken) = (Vec::new(), 0_usize);
    let mut output = vec![0; WINDOW_BYTES + room];
    let mut at = WINDOW_BYTES;
    loop {
        let end = input.len().min(taken.saturating_add(piece));
        let progress = match inflate.step(&input[taken..end], &mut output, at) {
            Ok(progress) => progress,
            Err(error) => return (all, Err(error)),
        };
        all.extend_from_slice(&output[at..at + progress.produced]);
        taken += progress.consumed;
        at += progress.produced;
        if all.len() >= OUTPUT_BYTES_MAX {
            all.truncate(OUTPUT_BYTES_MAX);
            return (all, Ok(End::Output));
        }
        if progress.is_end {
            return (all, Ok(End::Stream(taken)));
        }
        if at == output.len() {
            output.copy_within(at - WINDOW_BYTES.., 0);
            at = WINDOW_BYTES;
        } else if taken == input.len() {
            return (all, Ok(End::Input));
        } else {
            assert!(progress.consumed > 0, "it goes on where there is input and room");
        }
    }
}

fn zlib(input: &[u8]) -> (Vec<u8>, Result<End, ()>) {
    let mut zlib = Decompress::new(false);
    let mut output = vec![0; OUTPUT_BYTES_MAX];
    let status = zlib.decompress(input, &mut output, FlushDecompress::None);
    output.truncate(usize::try_from(zlib.total_out()).expect("it is in memory"));
    let end = match status {
        _ if output.len() == OUTPUT_BYTES_MAX => Ok(End::Output),
        Ok(Status::StreamEnd) => Ok(End::Stream(usize::try_from(zlib.total_in()).expect("it is in memory"))),
        Ok(_) => Ok(End::Input),
        Err(_) => Err(()),
    };
    (output, end)
}
