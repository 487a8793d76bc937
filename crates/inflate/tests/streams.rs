//! Streams, good and bad, as zlib takes them: in pieces of any size, into any room.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected fails by it, in helpers too")]

use std::io::Write as _;

use flate2::{Compression, Decompress, FlushDecompress, Status, write::DeflateEncoder};
use inflate::{Inflate, InflateError, WINDOW_BYTES};
use proptest::prelude::*;

fn deflate(bytes: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What is put out for `input`, which comes in pieces of `piece` bytes, `room` bytes at a time; how much of the input was
/// taken, if it has an end.
fn inflate(input: &[u8], piece: usize, room: usize) -> (Vec<u8>, Result<Option<usize>, InflateError>) {
    let mut inflate = Inflate::new();
    let (mut all, mut taken) = (Vec::new(), 0);
    let mut output = vec![0; WINDOW_BYTES + room];
    let mut at = 0;
    loop {
        let end = input.len().min(taken + piece);
        let progress = match inflate.step(&input[taken..end], &mut output, at) {
            Ok(progress) => progress,
            Err(error) => return (all, Err(error)),
        };
        all.extend_from_slice(&output[at..at + progress.produced]);
        taken += progress.consumed;
        at += progress.produced;
        if progress.is_end {
            return (all, Ok(Some(taken)));
        }
        if at == output.len() {
            output.copy_within(at - WINDOW_BYTES.., 0);
            at = WINDOW_BYTES;
            // Nothing behind what was produced may matter.
            output[at..].fill(0xa5);
        } else if taken == input.len() {
            return (all, Ok(None));
        } else {
            assert!(progress.consumed > 0, "it goes on where there is input and room");
        }
    }
}

/// What zlib puts out for `input`, and how much it takes, if it has an end.
fn zlib(input: &[u8]) -> (Vec<u8>, Result<Option<usize>, ()>) {
    let mut zlib = Decompress::new(false);
    let mut output = vec![0; 4 << 20];
    let status = zlib.decompress(input, &mut output, FlushDecompress::None);
    output.truncate(usize::try_from(zlib.total_out()).unwrap());
    let taken = usize::try_from(zlib.total_in()).unwrap();
    (output, status.map(|status| (status == Status::StreamEnd).then_some(taken)).map_err(drop))
}

/// Bits as they are written down in RFC 1951: numbers from the lowest bit on, codes from the highest.
#[derive(Default)]
struct Stream {
    bytes: Vec<u8>,
    count: usize,
}

impl Stream {
    fn number(mut self, value: u32, bits: usize) -> Stream {
        for bit in 0..bits {
            if self.count.is_multiple_of(8) {
                self.bytes.push(0);
            }
            *self.bytes.last_mut().unwrap() |= ((value >> bit & 1) as u8) << (self.count % 8);
            self.count += 1;
        }
        self
    }

    fn code(mut self, code: &str) -> Stream {
        for bit in code.bytes() {
            self = self.number(u32::from(bit == b'1'), 1);
        }
        self
    }

    /// A last block with dynamic codes, of 257 + `lengths` and 1 + `distances` symbols, whose codes' lengths are written in
    /// a code with two symbols of one bit each, `0` for a length of one bit and `1` for eighteen: zeros, 11 of them and
    /// more by seven bits.
    fn dynamic(lengths: u32, distances: u32) -> Stream {
        // The order is 16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1.
        let mut stream = Stream::default().number(1, 1).number(2, 2).number(lengths, 5).number(distances, 5);
        stream = stream.number(14, 4);
        for place in 0..18 {
            stream = stream.number(u32::from(place == 2 || place == 17), 3);
        }
        stream
    }

    fn zeros(self, count: u32) -> Stream {
        self.code("1").number(count - 11, 7)
    }

    fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

#[test]
fn a_stored_block_is_copied() {
    let stream = [0x01, 0x03, 0x00, 0xfc, 0xff, b'a', b'b', b'c', 0x77];
    assert_eq!(inflate(&stream, 1, 1), (b"abc".to_vec(), Ok(Some(8))));
    assert_eq!(inflate(&stream[..7], 3, 9), (b"ab".to_vec(), Ok(None)));
}

#[test]
fn a_block_with_one_literal_and_no_distance_is_fine() {
    // `0` for `z` (122) and `1` for the end.
    let stream =
        Stream::dynamic(0, 0).zeros(122).code("0").zeros(133).code("0").code("0").code("0001").finish();
    let (output, end) = inflate(&stream, 1, 1);
    // One distance of one bit: the code need not be whole.
    assert_eq!((output.as_slice(), end), (b"zzz".as_slice(), Ok(Some(stream.len()))));
    assert_eq!(zlib(&stream), (output, Ok(Some(stream.len()))));
}

#[test]
fn what_is_malformed_is_told() {
    let fixed = || Stream::default().number(1, 1).number(1, 2);
    // Dynamic codes, with the lengths of 16, 17, 18 and 0 told, from the last digit on.
    let lengths = |four| Stream::default().number(1, 1).number(2, 2).number(0, 14).number(four, 12);
    let cases = [
        (InflateError::BlockType, Stream::default().number(1, 1).number(3, 2)),
        (InflateError::StoredLength, Stream::default().number(1, 8).number(3, 16).number(3, 16)),
        // The length symbols 286 and 287.
        (InflateError::Symbol, fixed().code("11000110")),
        (InflateError::Symbol, fixed().code("11000111")),
        // A literal, a length of 3, and the distance symbol 30.
        (InflateError::Symbol, fixed().code("00110000").code("0000001").code("11110")),
        // A distance of 2 after one byte.
        (InflateError::Distance, fixed().code("00110000").code("0000001").code("00001")),
        // 287 lengths.
        (InflateError::Code, Stream::dynamic(30, 0)),
        // 31 distances.
        (InflateError::Code, Stream::dynamic(0, 30)),
        // No end of the block: 256 has no code.
        (InflateError::Code, Stream::dynamic(0, 0).code("00").zeros(138).zeros(118)),
        // More lengths than there are symbols.
        (InflateError::Code, Stream::dynamic(0, 0).zeros(138).zeros(138)),
        // Three codes of one bit.
        (InflateError::Code, Stream::dynamic(0, 0).code("00").zeros(138).zeros(116).code("0").code("0")),
        // A code for lengths that has one symbol only, and one that has none.
        (
            InflateError::Code,
            Stream::default().number(1, 1).number(2, 2).number(0, 14).number(1, 3).number(0, 9),
        ),
        (InflateError::Code, lengths(0)),
        // A code for lengths with 0, 16, 17 and 18, two bits each, and a repetition before the first.
        (InflateError::Code, lengths(0o2222).code("01").number(0, 2)),
    ];
    for (number, (error, stream)) in cases.into_iter().enumerate() {
        let near_the_end = stream.finish();
        let mut far_from_it = near_the_end.clone();
        far_from_it.extend([0; 100]);
        for stream in [near_the_end, far_from_it] {
            assert_eq!(inflate(&stream, 1000, 1000).1, Err(error), "case {number}");
            assert_eq!(inflate(&stream, 1, 1).1, Err(error), "case {number}, byte for byte");
        }
    }
}

#[test]
fn a_distance_of_the_whole_window_is_known_and_one_more_is_not() {
    // Two stored blocks make a whole window; then a length of 3 with the largest distance, 32768.
    let window = vec![7; WINDOW_BYTES];
    let stored = |mut stream: Vec<u8>, length: u16| {
        stream.push(0);
        stream.extend(length.to_le_bytes());
        stream.extend((!length).to_le_bytes());
        stream.extend(&window[..usize::from(length)]);
        stream
    };
    let farthest =
        Stream::default().number(1, 1).number(1, 2).code("0000001").code("11101").number((1 << 13) - 1, 13);
    let farthest = farthest.code("0000000").finish();
    let mut whole = stored(Vec::new(), 1 << 15);
    whole.extend(&farthest);
    let mut short = stored(Vec::new(), (1 << 15) - 1);
    short.extend(&farthest);
    for room in [1, 100, 1 << 16] {
        let (output, end) = inflate(&whole, 999, room);
        assert_eq!((output.len(), end), ((1 << 15) + 3, Ok(Some(whole.len()))));
        assert_eq!(inflate(&short, 999, room).1, Err(InflateError::Distance));
    }
}

#[test]
fn another_stream_begins_anew_after_a_reset() {
    let mut inflate = Inflate::new();
    let mut output = [0; 2000];
    let stream = deflate(&[b'x'; 1000], 6);
    assert!(inflate.step(&stream[..stream.len() - 1], &mut output, 0).is_ok());
    inflate.reset();
    let progress = inflate.step(&stream, &mut output, 1000).unwrap();
    assert_eq!((progress.consumed, progress.produced, progress.is_end), (stream.len(), 1000, true));
    inflate.reset();
    // A distance of one, before which this stream has nothing, whatever is in the output.
    let nothing_before = Stream::default().number(1, 1).number(1, 2).code("0000001").code("00000").finish();
    assert_eq!(inflate.step(&nothing_before, &mut output, 1000), Err(InflateError::Distance));
}

#[test]
fn nothing_is_taken_or_put_out_after_the_end() {
    let mut inflate = Inflate::new();
    let mut output = [0; 100];
    let mut stream = deflate(b"bytes", 6);
    let length = stream.len();
    stream.extend([0x55; 40]);
    assert_eq!(inflate.step(&stream, &mut output, 0).unwrap().consumed, length);
    let progress = inflate.step(&stream[length..], &mut output, 5).unwrap();
    assert_eq!((progress.consumed, progress.produced, progress.is_end), (0, 0, true));
}

/// Bytes that repeat themselves at all distances, with runs and with noise.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        3 => (any::<u8>(), 1..400_usize).prop_map(|(byte, count)| vec![byte; count]),
        3 => prop::collection::vec(any::<u8>(), 1..200),
        3 => prop::collection::vec(b'a'..b'e', 1..200),
        2 => (prop::collection::vec(any::<u8>(), 2..40), 1..200_usize).prop_map(|(bytes, count)| bytes.repeat(count)),
    ];
    (prop::collection::vec(part, 1..12), prop::collection::vec(any::<prop::sample::Index>(), 0..40)).prop_map(
        |(parts, order)| {
            let mut all = parts.concat();
            order.iter().for_each(|index| all.extend_from_slice(index.get::<Vec<u8>>(&parts)));
            all
        },
    )
}

/// The number of bytes of the output that must agree with those of the other, which may have told of an error earlier.
fn is_prefix(one: &[u8], other: &[u8]) -> bool {
    let length = one.len().min(other.len());
    one[..length] == other[..length]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_was_deflated_comes_back(
        bytes in bytes(), level in 0..10_u32, piece in 1..3000_usize, room in 1..3000_usize, tail in 0..60_usize,
    ) {
        let mut stream = deflate(&bytes, level);
        let length = stream.len();
        stream.extend(std::iter::repeat_n(0xee, tail));
        for (piece, room) in [(piece, room), (usize::MAX >> 1, 1 << 20), (1, room), (piece, 1)] {
            let (output, end) = inflate(&stream, piece, room);
            prop_assert_eq!(end, Ok(Some(length)));
            prop_assert!(output == bytes);
        }
    }

    #[test]
    fn what_is_spoilt_is_what_it_is_to_zlib(
        bytes in bytes(),
        level in 0..10_u32,
        spoilt in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
        piece in 1..3000_usize,
        room in 1..3000_usize,
    ) {
        let mut stream = deflate(&bytes, level);
        for (place, byte) in spoilt {
            *place.get_mut(&mut stream) ^= byte;
        }
        if level % 2 == 0 {
            stream.truncate(cut.index(stream.len()));
        }
        agree(&stream, piece, room)?;
    }

    #[test]
    fn any_bits_are_what_they_are_to_zlib(
        mut bits in prop::collection::vec(any::<u8>(), 1..300), kind in 0..2_u8, piece in 1..40_usize, room in 1..400_usize,
    ) {
        // A last block of fixed or dynamic codes.
        bits[0] = (bits[0] & !7) | (3 + 2 * kind);
        agree(&bits, piece, room)?;
    }
}

fn agree(stream: &[u8], piece: usize, room: usize) -> Result<(), TestCaseError> {
    let (expected, zlib_end) = zlib(stream);
    for (piece, room) in [(piece, room), (usize::MAX >> 1, 1 << 20)] {
        let (output, end) = inflate(stream, piece, room);
        match (end, zlib_end) {
            (Ok(end), Ok(zlib_end)) => {
                prop_assert_eq!(end, zlib_end);
                prop_assert!(output == expected);
            }
            (Err(_), Err(())) => prop_assert!(is_prefix(&output, &expected)),
            // Both wait for more bytes before they tell of an error, not always for as many.
            (Ok(None), Err(())) | (Err(_), Ok(None)) => prop_assert!(is_prefix(&output, &expected)),
            (end, zlib_end) => prop_assert!(false, "{end:?}, and to zlib {zlib_end:?}"),
        }
    }
    Ok(())
}
