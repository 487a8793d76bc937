//! Decompression as a step function: bytes in, bytes out, no I/O and no waiting.
//!
//! The format is told by the first bytes, as containerd tells it, not by the media type: registries hold gzip under
//! media types that say otherwise.

use std::fmt;

use zstd::stream::raw::{InBuffer, Operation, OutBuffer};

use crate::Output;
use crate::gzip::{Gzip, GzipError};

/// A compressed form that layers come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// The tar stream itself.
    None,
    /// gzip members, one after the other (RFC 1952).
    Gzip,
    /// Zstandard frames, one after the other (RFC 8878).
    Zstd,
}

/// Bytes that do not decompress.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecompressError {
    /// The compressed form is broken at this place.
    #[error("the {compression} stream is malformed near byte {offset}: {reason}")]
    Malformed {
        /// What it seemed to be.
        compression: Compression,
        /// Compressed bytes taken before.
        offset: u64,
        /// What the decompressor says.
        reason: String,
    },
    /// The bytes end before the compressed form does.
    #[error("the {compression} stream ends too early, after {offset} bytes")]
    Truncated {
        /// What it seemed to be.
        compression: Compression,
        /// Bytes that there were.
        offset: u64,
    },
}

/// What one step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Input bytes that are done with.
    pub consumed: usize,
    /// Output bytes that were written.
    pub produced: usize,
}

/// Decompresses a layer, step by step.
pub struct Decompressor {
    state: State,
    taken: u64,
}

/// Bytes that tell the format. Streams may deliver them one by one.
const MAGIC_BYTES: usize = 4;

enum State {
    /// The first bytes, which may be all.
    Unknown(Vec<u8>),
    Plain {
        /// What [`State::Unknown`] had kept and was not put out yet.
        head: Vec<u8>,
    },
    Gzip {
        gzip: Box<Gzip>,
        head: Vec<u8>,
    },
    Zstd {
        decoder: Box<zstd::stream::raw::Decoder<'static>>,
        head: Vec<u8>,
        /// Whether a frame has begun and not ended.
        is_open: bool,
    },
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Compression::None => "uncompressed",
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
        })
    }
}

impl Compression {
    /// Told by the first four bytes.
    fn of(head: &[u8]) -> Compression {
        match head {
            [0x1f, 0x8b, 0x08, ..] => Compression::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd] => Compression::Zstd,
            // A skippable frame, with which zstd:chunked layers may begin.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Compression::Zstd,
            _ => Compression::None,
        }
    }
}

impl Default for Decompressor {
    fn default() -> Decompressor {
        Decompressor::new()
    }
}

impl Decompressor {
    /// For the bytes of one layer.
    pub fn new() -> Decompressor {
        Decompressor { state: State::Unknown(Vec::new()), taken: 0 }
    }

    /// What the bytes are; `None` before there are enough to tell.
    pub fn compression(&self) -> Option<Compression> {
        match &self.state {
            State::Unknown(_) => None,
            State::Plain { .. } => Some(Compression::None),
            State::Gzip { .. } => Some(Compression::Gzip),
            State::Zstd { .. } => Some(Compression::Zstd),
        }
    }

    /// Takes bytes from `input` and puts bytes out, for which there must be room. Where it consumed all input and did not
    /// fill the output, it needs more input; where it filled the output, it may have more to put out for none. The output
    /// must be the one of the step before, or have gone on from it.
    ///
    /// # Errors
    /// [`DecompressError::Malformed`]; the decompressor is then of no further use.
    pub fn step(&mut self, input: &[u8], output: &mut Output) -> Result<Progress, DecompressError> {
        let mut consumed = 0;
        if let State::Unknown(head) = &mut self.state {
            consumed = input.len().min(MAGIC_BYTES - head.len());
            let (begin, _) = input.split_at(consumed);
            head.extend_from_slice(begin);
            if head.len() < MAGIC_BYTES {
                self.taken += consumed as u64;
                return Ok(Progress { consumed, produced: 0 });
            }
            self.begin()?;
        }
        let (_, input) = input.split_at(consumed);
        let progress = self.step_known(input, output)?;
        consumed += progress.consumed;
        self.taken += consumed as u64;
        Ok(Progress { consumed, produced: progress.produced })
    }

    /// Says that there is no more input. Puts out what is left like [`Decompressor::step`], to be called until it produces
    /// nothing.
    ///
    /// # Errors
    /// [`DecompressError::Truncated`] where a member or frame has not ended.
    pub fn finish(&mut self, output: &mut Output) -> Result<usize, DecompressError> {
        if let State::Unknown(head) = &self.state {
            if head.is_empty() {
                return Ok(0);
            }
            self.begin()?;
        }
        let progress = self.step_known(&[], output)?;
        if progress.produced > 0 {
            return Ok(progress.produced);
        }
        let is_open = match &self.state {
            State::Gzip { gzip, .. } => gzip.is_open(),
            State::Zstd { is_open, .. } => *is_open,
            State::Unknown(_) | State::Plain { .. } => false,
        };
        match self.compression() {
            Some(compression) if is_open => {
                Err(DecompressError::Truncated { compression, offset: self.taken })
            }
            _ => Ok(0),
        }
    }

    /// From the kept bytes to the format that they tell.
    fn begin(&mut self) -> Result<(), DecompressError> {
        let State::Unknown(head) = &mut self.state else { return Ok(()) };
        let head = std::mem::take(head);
        self.state = match Compression::of(&head) {
            Compression::None => State::Plain { head },
            Compression::Gzip => State::Gzip { gzip: Box::new(Gzip::new()), head },
            Compression::Zstd => {
                let decoder =
                    zstd::stream::raw::Decoder::new().map_err(|error| DecompressError::Malformed {
                        compression: Compression::Zstd,
                        offset: 0,
                        reason: error.to_string(),
                    })?;
                State::Zstd { decoder: Box::new(decoder), head, is_open: true }
            }
        };
        Ok(())
    }

    fn step_known(&mut self, input: &[u8], output: &mut Output) -> Result<Progress, DecompressError> {
        let offset = self.taken;
        let malformed =
            |compression, reason: String| DecompressError::Malformed { compression, offset, reason };
        match &mut self.state {
            State::Unknown(_) => Ok(Progress::default()),
            State::Plain { head } => {
                let room = output.room();
                let kept = head.len().min(room.len());
                let (now, later) = room.split_at_mut(kept);
                for (to, from) in now.iter_mut().zip(head.drain(..kept)) {
                    *to = from;
                }
                let length = input.len().min(later.len());
                let ((to, _), (from, _)) = (later.split_at_mut(length), input.split_at(length));
                to.copy_from_slice(from);
                output.advance(kept + length);
                Ok(Progress { consumed: length, produced: kept + length })
            }
            State::Gzip { gzip, head } => {
                let malformed = |error: GzipError| malformed(Compression::Gzip, error.to_string());
                if !head.is_empty() {
                    // Four bytes are a part of the member's header: all are consumed, and nothing comes out.
                    gzip.step(&std::mem::take(head), output).map_err(malformed)?;
                }
                gzip.step(input, output).map_err(malformed)
            }
            State::Zstd { decoder, head, is_open } => {
                let mut produced = 0;
                if !head.is_empty() {
                    let head = std::mem::take(head);
                    // As above: a part of the frame's header.
                    let step = zstd_step(decoder, is_open, &head, output)
                        .map_err(|reason| malformed(Compression::Zstd, reason))?;
                    produced += step.produced;
                }
                let step = zstd_step(decoder, is_open, input, output)
                    .map_err(|reason| malformed(Compression::Zstd, reason))?;
                Ok(Progress { consumed: step.consumed, produced: produced + step.produced })
            }
        }
    }
}

fn zstd_step(
    decoder: &mut zstd::stream::raw::Decoder<'static>,
    is_open: &mut bool,
    input: &[u8],
    output: &mut Output,
) -> Result<Progress, String> {
    let mut from = InBuffer::around(input);
    let mut to = OutBuffer::around(output.room());
    loop {
        let before = (from.pos(), to.pos());
        if !*is_open && before.0 == input.len() {
            break;
        }
        let hint = decoder.run(&mut from, &mut to).map_err(|error| error.to_string())?;
        // Zero: a frame has ended and all of it is out.
        *is_open = hint != 0;
        if (from.pos(), to.pos()) == before {
            break;
        }
    }
    let produced = to.pos();
    output.advance(produced);
    Ok(Progress { consumed: from.pos(), produced })
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompressor")
            .field("compression", &self.compression())
            .field("taken", &self.taken)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::encode_all(bytes, 1).unwrap()
    }

    /// All output for `input` in pieces of `piece` bytes, through an output of `room` bytes.
    fn all(input: &[u8], piece: usize, room: usize) -> Result<Vec<u8>, DecompressError> {
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
                if piece.is_empty() && !is_full {
                    break;
                }
            }
        }
        while decompressor.finish(&mut output)? > 0 {
            all.extend_from_slice(output.bytes());
            output.clear();
        }
        Ok(all)
    }

    proptest! {
        #[test]
        fn any_pieces_through_any_room_give_the_bytes(
            parts in prop::collection::vec((0..3u8, prop::collection::vec(any::<u8>(), 0..300)), 0..4),
            piece in 1..100usize,
            room in 1..100usize,
        ) {
            for (way, encode) in [(1, gzip as fn(&[u8]) -> Vec<u8>), (2, zstd)] {
                let of_way = parts.iter().filter(|(kind, _)| kind % 2 == way % 2);
                let (mut encoded, mut plain) = (Vec::new(), Vec::new());
                for (_, bytes) in of_way {
                    encoded.extend(encode(bytes));
                    plain.extend_from_slice(bytes);
                }
                prop_assert_eq!(all(&encoded, piece, room), Ok(plain));
                if !encoded.is_empty() {
                    let cut = all(&encoded[..encoded.len() - 1], piece, room);
                    prop_assert!(cut.is_err(), "{cut:?}");
                }
            }
        }

        #[test]
        fn other_bytes_are_taken_as_they_are(bytes in prop::collection::vec(any::<u8>(), 0..50), piece in 1..9usize) {
            prop_assume!(Compression::of(&bytes[..bytes.len().min(4)]) == Compression::None);
            prop_assert_eq!(all(&bytes, piece, 7), Ok(bytes));
        }
    }

    #[test]
    fn a_flipped_bit_is_an_error_or_has_no_meaning() {
        let bytes = b"some bytes that are not all the same";
        let good = gzip(bytes);
        for place in 3..good.len() {
            let mut bad = good.clone();
            bad[place] ^= 0x10;
            // Time, level and system of the header, and the bits that fill up the last byte, mean nothing.
            let all = all(&bad, 8, 64);
            assert!(all.is_err() || all.as_deref() == Ok(bytes.as_slice()), "byte {place}: {all:?}");
        }
    }

    #[test]
    fn bytes_after_the_last_member_are_an_error() {
        let mut input = gzip(b"layer");
        input.extend_from_slice(b"trailer");
        let message = all(&input, 1000, 1000).unwrap_err().to_string();
        assert!(message.starts_with("the gzip stream is malformed near byte "), "{message}");
    }
}
