//! gzip members (RFC 1952) around raw deflate (RFC 1951).
//!
//! Both checksum and length are checked; a header's own checksum is not, for nothing in a header matters to the bytes.

use std::fmt;

use inflate::{Inflate, InflateError};

use crate::{Output, Progress};

/// Decompresses members, one after the other.
pub(crate) struct Gzip {
    state: State,
    inflate: Inflate,
    checksum: crc32fast::Hasher,
    /// Bytes put out of this member.
    length: u64,
}

/// Bytes that are no gzip member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GzipError {
    #[error("not the header of a gzip member")]
    Header,
    #[error("not a deflate stream: {0}")]
    Inflate(#[from] InflateError),
    #[error("the checksum is wrong")]
    Checksum,
    #[error("the length is wrong")]
    Length,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Before a member. Not within one: the input may end.
    Between,
    /// The fixed fields: how many bytes of them came, and the flags.
    Fixed { seen: usize, flags: u8 },
    /// The length of the extra field: how many bytes of it came, and its value. The flags here and below are those of the
    /// fields that are still to come.
    ExtraLength { flags: u8, seen: usize, length: u16 },
    /// Bytes to pass over, then the other fields.
    Skip { flags: u8, left: u16 },
    /// Bytes up to a NUL, then the other fields.
    Text { flags: u8 },
    /// Raw deflate.
    Body,
    /// Checksum and length, each with the lowest byte first: how many bytes came, and their value.
    Trailer { seen: u32, value: u64 },
}

const HEADER_CHECKSUM: u8 = 0x02;
const EXTRA: u8 = 0x04;
const NAME: u8 = 0x08;
const COMMENT: u8 = 0x10;

/// ID1, ID2, CM, FLG, MTIME, XFL, OS.
const FIXED_BYTES: usize = 10;

const TRAILER_BYTES: u32 = 8;

impl Gzip {
    pub(crate) fn new() -> Gzip {
        Gzip { state: State::Between, inflate: Inflate::new(), checksum: crc32fast::Hasher::new(), length: 0 }
    }

    /// Whether a member has begun and not ended.
    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.state, State::Between)
    }

    /// Takes from `input` and writes to `output` until one of them is at its end.
    pub(crate) fn step(&mut self, input: &[u8], output: &mut Output) -> Result<Progress, GzipError> {
        let mut progress = Progress::default();
        loop {
            let (_, input) = input.split_at(progress.consumed);
            if let State::Body = self.state {
                let step = self.inflate(input, output)?;
                progress.consumed += step.consumed;
                progress.produced += step.produced;
                if let (State::Body, 0, 0) = (self.state, step.consumed, step.produced) {
                    return Ok(progress);
                }
                continue;
            }
            let Some(byte) = input.first() else { return Ok(progress) };
            self.state = self.byte(*byte)?;
            progress.consumed += 1;
        }
    }

    /// Takes a byte of a header or trailer.
    fn byte(&mut self, byte: u8) -> Result<State, GzipError> {
        Ok(match self.state {
            State::Between => {
                self.inflate.reset();
                self.checksum = crc32fast::Hasher::new();
                self.length = 0;
                fixed(0, 0, byte)?
            }
            State::Fixed { seen, flags } => fixed(seen, flags, byte)?,
            State::ExtraLength { flags, seen: 0, .. } => {
                State::ExtraLength { flags, seen: 1, length: u16::from(byte) }
            }
            State::ExtraLength { flags, length, .. } => skip(flags, length | u16::from(byte) << 8),
            State::Skip { flags, left } => skip(flags, left.saturating_sub(1)),
            State::Text { flags } if byte == 0 => fields(flags),
            State::Text { flags } => State::Text { flags },
            State::Trailer { seen, value } => {
                let value = value | u64::from(byte) << (8 * seen);
                if seen + 1 < TRAILER_BYTES {
                    return Ok(State::Trailer { seen: seen + 1, value });
                }
                let checksum = std::mem::take(&mut self.checksum).finalize();
                if value & u64::from(u32::MAX) != u64::from(checksum) {
                    return Err(GzipError::Checksum);
                }
                if value >> 32 != self.length & u64::from(u32::MAX) {
                    return Err(GzipError::Length);
                }
                State::Between
            }
            // Takes no single bytes.
            State::Body => State::Body,
        })
    }

    fn inflate(&mut self, input: &[u8], output: &mut Output) -> Result<Progress, GzipError> {
        let (buffer, at) = output.buffer();
        let step = self.inflate.step(input, buffer, at)?;
        let written = buffer.get(at..at + step.produced).unwrap_or_default();
        self.checksum.update(written);
        self.length = self.length.wrapping_add(step.produced as u64);
        output.advance(step.produced);
        if step.is_end {
            self.state = State::Trailer { seen: 0, value: 0 };
        }
        Ok(Progress { consumed: step.consumed, produced: step.produced })
    }
}

fn fixed(seen: usize, flags: u8, byte: u8) -> Result<State, GzipError> {
    let is_expected = match seen {
        0 => byte == 0x1f,
        1 => byte == 0x8b,
        2 => byte == 8,
        _ => true,
    };
    if !is_expected {
        return Err(GzipError::Header);
    }
    let flags = if seen == 3 { byte } else { flags };
    if seen + 1 == FIXED_BYTES { Ok(fields(flags)) } else { Ok(State::Fixed { seen: seen + 1, flags }) }
}

/// What comes next by the flags that are left, in the order of the format.
fn fields(flags: u8) -> State {
    if flags & EXTRA != 0 {
        State::ExtraLength { flags: flags & !EXTRA, seen: 0, length: 0 }
    } else if flags & NAME != 0 {
        State::Text { flags: flags & !NAME }
    } else if flags & COMMENT != 0 {
        State::Text { flags: flags & !COMMENT }
    } else if flags & HEADER_CHECKSUM != 0 {
        State::Skip { flags: flags & !HEADER_CHECKSUM, left: 2 }
    } else {
        State::Body
    }
}

fn skip(flags: u8, left: u16) -> State {
    if left == 0 { fields(flags) } else { State::Skip { flags, left } }
}

impl fmt::Debug for Gzip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gzip").field("state", &self.state).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn member(builder: flate2::GzBuilder, bytes: &[u8]) -> Vec<u8> {
        let mut encoder = builder.write(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// All bytes, and whether a member is open at the end.
    fn all(input: &[u8], piece: usize) -> Result<(Vec<u8>, bool), GzipError> {
        let mut gzip = Gzip::new();
        let (mut all, mut output) = (Vec::new(), Output::new(16));
        for mut piece in input.chunks(piece) {
            loop {
                let progress = gzip.step(piece, &mut output)?;
                piece = &piece[progress.consumed..];
                let is_full = output.is_full();
                all.extend_from_slice(output.bytes());
                output.clear();
                if piece.is_empty() && !is_full {
                    break;
                }
            }
        }
        Ok((all, gzip.is_open()))
    }

    #[test]
    fn every_optional_field_of_a_header_is_passed_over() {
        let builder = || flate2::GzBuilder::new().filename("name").comment("comment").extra(vec![0; 300]);
        let mut input = member(builder(), b"first ");
        input.extend(member(flate2::GzBuilder::new().extra(Vec::new()), b"second"));
        // A header's own checksum, which flate2 does not write.
        let mut third = member(flate2::GzBuilder::new(), b" third");
        third[3] |= HEADER_CHECKSUM;
        third.splice(FIXED_BYTES..FIXED_BYTES, [0xab, 0xcd]);
        input.extend(third);
        for piece in [1, 7, 1000] {
            assert_eq!(all(&input, piece), Ok((b"first second third".to_vec(), false)));
        }
    }

    #[test]
    fn checksum_and_length_are_checked() {
        let good = member(flate2::GzBuilder::new(), b"some bytes");
        let spoilt = |place: usize| {
            let mut bad = good.clone();
            bad[place] ^= 1;
            all(&bad, 1000)
        };
        let length = good.len();
        assert_eq!(spoilt(length - 8), Err(GzipError::Checksum));
        assert_eq!(spoilt(length - 4), Err(GzipError::Length));
        assert_eq!(spoilt(2), Err(GzipError::Header));
        assert_eq!(all(&good[..length - 1], 1000), Ok((b"some bytes".to_vec(), true)));
    }
}
