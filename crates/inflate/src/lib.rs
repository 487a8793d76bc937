//! Streaming raw deflate (RFC 1951).
//!
//! Input and output come in pieces of any size, and nothing is kept but the tables and less than eight bytes of input: the
//! output's last 32 KiB, which later bytes refer to, stay with the caller, who has them anyway.
//!
//! ```
//! use inflate::Inflate;
//!
//! let mut output = [0; 100];
//! let progress = Inflate::new().step(&[0x4b, 0x04, 0x00], &mut output, 0)?;
//! assert!(progress.is_end);
//! assert_eq!(output[..progress.produced], *b"a");
//! # Ok::<(), inflate::InflateError>(())
//! ```
//!
//! No I/O, no `unsafe`.

#![expect(clippy::cast_possible_truncation, reason = "fields of bits, none wider than what it is cast to")]

mod bits;
mod fast;
mod pieces;
mod table;

use std::fmt;

use bits::Bits;
use pieces::{Input, Output};
use table::{CodeLengths, Distances, Lengths};

/// How far back the output may be referred to, in bytes.
pub const WINDOW_BYTES: usize = 32 << 10;

/// Inflates one deflate stream.
pub struct Inflate {
    state: State,
    /// Whether this is the last block.
    is_last: bool,
    bits: Bits,
    /// Bytes of output that may be referred to, at most [`WINDOW_BYTES`].
    window: usize,
    tables: Box<Tables>,
}

/// Bytes that are no deflate stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InflateError {
    /// A block of the type that there is not.
    #[error("a block of a reserved type")]
    BlockType,
    /// The two forms of a stored block's length do not agree.
    #[error("a stored block's length is not that of its complement")]
    StoredLength,
    /// More codes than there are symbols, lengths that are no code, or a repetition of nothing.
    #[error("a block's code is malformed")]
    Code,
    /// Bits that are the code of nothing.
    #[error("bits that are no symbol's code")]
    Symbol,
    /// A reference to before the beginning.
    #[error("a distance leads back beyond the beginning")]
    Distance,
}

/// What one step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Input bytes that are done with.
    pub consumed: usize,
    /// Output bytes that were written.
    pub produced: usize,
    /// The stream has ended, right behind the consumed bytes.
    pub is_end: bool,
}

struct Tables {
    lengths: Lengths,
    distances: Distances,
    code_lengths: CodeLengths,
    /// The code lengths of a block, while they are read.
    read: [u8; CODES_MAX],
    /// Whether the tables are those of blocks with fixed codes.
    is_fixed: bool,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Header,
    StoredLength,
    Stored {
        left: usize,
    },
    Counts,
    /// Lengths of the code that the other codes' lengths are written in: how many are read, of how many.
    CodeLengths {
        read: usize,
        count: usize,
        codes: Codes,
    },
    /// Lengths of the codes of the block: how many are read.
    CodesLengths {
        read: usize,
        codes: Codes,
    },
    Symbol,
    Distance {
        length: usize,
    },
    Copy {
        length: usize,
        distance: usize,
    },
    BlockEnd,
    End,
}

/// Codes of a block.
#[derive(Clone, Copy, Debug)]
struct Codes {
    lengths: usize,
    distances: usize,
}

/// The order in which the lengths of [`State::CodeLengths`] come (RFC 1951, 3.2.7).
const CODE_LENGTHS_ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

const LENGTH_CODES_MAX: usize = 286;
const DISTANCE_CODES_MAX: usize = 30;
/// Both counts have five bits.
const CODES_MAX: usize = 288 + 32;

impl Default for Inflate {
    fn default() -> Inflate {
        Inflate::new()
    }
}

impl Inflate {
    /// At the beginning of a stream.
    pub fn new() -> Inflate {
        Inflate {
            state: State::Header,
            is_last: false,
            bits: Bits::default(),
            window: 0,
            tables: Box::new(Tables {
                lengths: Lengths::new(),
                distances: Distances::new(),
                code_lengths: CodeLengths::new(),
                read: [0; CODES_MAX],
                is_fixed: false,
            }),
        }
    }

    /// Goes to the beginning of another stream.
    pub fn reset(&mut self) {
        self.state = State::Header;
        self.bits = Bits::default();
        self.window = 0;
    }

    /// Takes bytes from `input` and writes to `output` from `at` on, until one of them is at its end or the stream is. What
    /// it wrote before must still be right before `at`, of which it reads no more than [`WINDOW_BYTES`]. It may write
    /// anywhere behind `at`, also beyond the bytes that it says it produced.
    ///
    /// # Errors
    /// [`InflateError`]; it is of no further use then, until it is reset.
    pub fn step(&mut self, input: &[u8], output: &mut [u8], at: usize) -> Result<Progress, InflateError> {
        let at = at.min(output.len());
        let mut input = Input { bytes: input, at: 0 };
        let mut output = Output { bytes: output, at, window: at.saturating_sub(self.window) };
        while self.advance(&mut input, &mut output)? {}
        let produced = output.at - at;
        self.window = self.window.saturating_add(produced).min(WINDOW_BYTES);
        let is_end = matches!(self.state, State::End);
        Ok(Progress { consumed: input.at, produced, is_end })
    }

    /// Goes on to the next state; `false` where input or output are at their end, or the stream is.
    fn advance(&mut self, input: &mut Input<'_>, output: &mut Output<'_>) -> Result<bool, InflateError> {
        let Inflate { bits, tables, .. } = self;
        self.state = match self.state {
            State::Header => {
                if !bits.need(3, input) {
                    return Ok(false);
                }
                self.is_last = bits.take(1) == 1;
                match bits.take(2) {
                    0 => {
                        // The rest of the byte, of which there are less than eight bits.
                        *bits = Bits::default();
                        State::StoredLength
                    }
                    1 => {
                        tables.fix()?;
                        State::Symbol
                    }
                    2 => State::Counts,
                    _ => return Err(InflateError::BlockType),
                }
            }
            State::StoredLength => {
                if !bits.need(32, input) {
                    return Ok(false);
                }
                let (length, complement) = (bits.take(16), bits.take(16));
                if length ^ complement != 0xffff {
                    return Err(InflateError::StoredLength);
                }
                State::Stored { left: length }
            }
            State::Stored { left: 0 } => State::BlockEnd,
            State::Stored { left } => {
                let taken = input.take(left.min(output.room()));
                if taken.is_empty() {
                    return Ok(false);
                }
                output.put(taken);
                State::Stored { left: left - taken.len() }
            }
            State::Counts => {
                if !bits.need(14, input) {
                    return Ok(false);
                }
                let codes = Codes { lengths: bits.take(5) + 257, distances: bits.take(5) + 1 };
                let count = bits.take(4) + 4;
                if codes.lengths > LENGTH_CODES_MAX || codes.distances > DISTANCE_CODES_MAX {
                    return Err(InflateError::Code);
                }
                tables.read = [0; CODES_MAX];
                State::CodeLengths { read: 0, count, codes }
            }
            State::CodeLengths { read, count, codes } if read < count => {
                if !bits.need(3, input) {
                    return Ok(false);
                }
                tables.read[CODE_LENGTHS_ORDER[read]] = bits.take(3) as u8;
                State::CodeLengths { read: read + 1, count, codes }
            }
            State::CodeLengths { codes, .. } => {
                tables.build_code_lengths()?;
                State::CodesLengths { read: 0, codes }
            }
            State::CodesLengths { read, codes } if read < codes.lengths + codes.distances => {
                let Some(symbol) = bits.peek(&tables.code_lengths, input) else { return Ok(false) };
                let value = bits.take_symbol(symbol);
                let read = tables.repeat(read, codes, symbol.entry.value(), value)?;
                State::CodesLengths { read, codes }
            }
            State::CodesLengths { codes, .. } => {
                tables.build(codes)?;
                State::Symbol
            }
            State::Symbol if fast::is_possible(bits, input, output) => {
                fast::run(tables, bits, input, output)?
            }
            State::Symbol => {
                let Some(symbol) = bits.peek(&tables.lengths, input) else { return Ok(false) };
                let entry = symbol.entry;
                if entry.is_literal() && output.room() == 0 {
                    return Ok(false);
                }
                let value = bits.take_symbol(symbol);
                if entry.is_literal() {
                    output.put(&[value as u8]);
                    State::Symbol
                } else if entry.is_end() {
                    State::BlockEnd
                } else if entry.is_exception() {
                    return Err(InflateError::Symbol);
                } else {
                    State::Distance { length: value }
                }
            }
            State::Distance { length } => {
                let Some(symbol) = bits.peek(&tables.distances, input) else { return Ok(false) };
                if symbol.entry.is_exception() {
                    return Err(InflateError::Symbol);
                }
                let distance = bits.take_symbol(symbol);
                if distance > output.at - output.window {
                    return Err(InflateError::Distance);
                }
                State::Copy { length, distance }
            }
            State::Copy { length: 0, .. } => State::Symbol,
            State::Copy { length, distance } => {
                let copied = length.min(output.room());
                if copied == 0 {
                    return Ok(false);
                }
                output.repeat(distance, copied);
                State::Copy { length: length - copied, distance }
            }
            State::BlockEnd if self.is_last => State::End,
            State::BlockEnd => State::Header,
            State::End => return Ok(false),
        };
        Ok(true)
    }
}

impl Tables {
    /// Of a block with fixed codes (RFC 1951, 3.2.6).
    fn fix(&mut self) -> Result<(), InflateError> {
        if self.is_fixed {
            return Ok(());
        }
        let mut lengths = [8; 288];
        lengths[144..256].fill(9);
        lengths[256..280].fill(7);
        self.lengths.build(&lengths, table::length)?;
        self.distances.build(&[5; 32], table::distance)?;
        self.is_fixed = true;
        Ok(())
    }

    fn build_code_lengths(&mut self) -> Result<(), InflateError> {
        let lengths = self.read.split_at(CODE_LENGTHS_ORDER.len()).0;
        // That one code may do is for the codes of symbols.
        if lengths.iter().filter(|length| **length > 0).count() < 2 {
            return Err(InflateError::Code);
        }
        self.code_lengths.build(lengths, table::code_length)
    }

    /// Notes the length, or the lengths, that `symbol` with its extra bits stands for. How many are read then.
    fn repeat(
        &mut self,
        read: usize,
        codes: Codes,
        symbol: u32,
        value: usize,
    ) -> Result<usize, InflateError> {
        // What the extra bits add to.
        let more = value - symbol as usize;
        let (length, count) = match symbol {
            16 => {
                let last = read.checked_sub(1).ok_or(InflateError::Code)?;
                (self.read[last], 3 + more)
            }
            17 => (0, 3 + more),
            18 => (0, 11 + more),
            _ => (symbol as u8, 1),
        };
        let end = read + count;
        if end > codes.lengths + codes.distances {
            return Err(InflateError::Code);
        }
        self.read[read..end].fill(length);
        Ok(end)
    }

    fn build(&mut self, codes: Codes) -> Result<(), InflateError> {
        self.is_fixed = false;
        let (lengths, rest) = self.read.split_at(codes.lengths);
        let (distances, _) = rest.split_at(codes.distances);
        // A block without end.
        if lengths[256] == 0 {
            return Err(InflateError::Code);
        }
        self.lengths.build(lengths, table::length)?;
        self.distances.build(distances, table::distance)
    }
}

impl fmt::Debug for Inflate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflate").field("state", &self.state).finish_non_exhaustive()
    }
}
