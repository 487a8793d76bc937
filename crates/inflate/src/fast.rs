//! Symbols, for as long as neither input nor output are near their ends.
//!
//! Here the time goes. Eight bytes of input are loaded at once, whole bytes of which are used; the next entry is looked up
//! before the bytes of the last one are copied; and copies are made in pieces of a fixed size, beyond their ends.

use crate::bits::Bits;
use crate::pieces::{Input, Output};
use crate::table::Entry;
use crate::{InflateError, State, Tables};

/// Input of one turn: bits are loaded three times, seven bytes at most, and the last time eight bytes are read.
const INPUT_BYTES: usize = 2 * 7 + 8;

/// Output of one turn: two literals and a match, and what is copied beyond it.
const OUTPUT_BYTES: usize = 2 + 258 + BEYOND_BYTES;

/// Bytes that [`repeat`] may write beyond the end.
const BEYOND_BYTES: usize = 2 * WIDE_BYTES;

const WIDE_BYTES: usize = 16;
const NARROW_BYTES: usize = 8;

/// Bits of a distance: of its code, and the extra ones.
const DISTANCE_BITS_MAX: u8 = 15 + 13;

/// Input bits. Those of `bits` above `count` are right, but not all of them are there.
struct Loaded<'a> {
    bytes: &'a [u8],
    at: usize,
    bits: u64,
    count: u8,
}

/// Whether there is input and output for a turn, and no whole byte of input was taken before.
pub(crate) fn is_possible(bits: &Bits, input: &Input<'_>, output: &Output<'_>) -> bool {
    bits.count < 8 && input.left() >= INPUT_BYTES && output.room() >= OUTPUT_BYTES
}

/// Takes symbols until the block ends, or it is not possible any more.
pub(crate) fn run(
    tables: &Tables,
    bits: &mut Bits,
    input: &mut Input<'_>,
    output: &mut Output<'_>,
) -> Result<State, InflateError> {
    let (lengths, distances) = (&tables.lengths, &tables.distances);
    let mut loaded = Loaded { bytes: input.bytes, at: input.at, bits: bits.bits, count: bits.count as u8 };
    let (last_input, last_output) = (input.bytes.len() - INPUT_BYTES, output.bytes.len() - OUTPUT_BYTES);
    let (out, mut at) = (&mut *output.bytes, output.at);

    loaded.load();
    let mut entry = lengths.main(loaded.bits);
    let state = loop {
        // 56 bits are there. Three codes of the main part have 33 at most, two and a length 42, a length and a distance 48.
        if entry.is_literal() {
            out[at] = loaded.literal(entry);
            at += 1;
            entry = lengths.main(loaded.bits);
            if entry.is_literal() {
                out[at] = loaded.literal(entry);
                at += 1;
                entry = lengths.main(loaded.bits);
            }
        }
        if entry.is_subtable() {
            loaded.drop(entry);
            entry = lengths.sub(entry, loaded.bits);
        }
        let mut matched = None;
        if entry.is_literal() {
            out[at] = loaded.literal(entry);
            at += 1;
        } else if entry.is_exception() {
            if !entry.is_end() {
                return Err(InflateError::Symbol);
            }
            loaded.drop(entry);
            break State::BlockEnd;
        } else {
            let length = loaded.value(entry);
            if loaded.count < DISTANCE_BITS_MAX {
                loaded.load();
            }
            entry = distances.main(loaded.bits);
            if entry.is_subtable() {
                loaded.drop(entry);
                entry = distances.sub(entry, loaded.bits);
            }
            if entry.is_exception() {
                return Err(InflateError::Symbol);
            }
            let distance = loaded.value(entry);
            if distance > at - output.window {
                return Err(InflateError::Distance);
            }
            matched = Some((distance, length));
        }
        loaded.load();
        entry = lengths.main(loaded.bits);
        if let Some((distance, length)) = matched {
            repeat(out, at, distance, length);
            at += length;
        }
        if loaded.at > last_input || at > last_output {
            break State::Symbol;
        }
    };
    (*bits, input.at) = loaded.unload();
    output.at = at;
    Ok(state)
}

impl Loaded<'_> {
    /// Loads bits until there are at least 56.
    #[inline(always)]
    fn load(&mut self) {
        let mut eight = [0; 8];
        eight.copy_from_slice(&self.bytes[self.at..self.at + 8]);
        self.bits |= u64::from_le_bytes(eight) << (self.count & 63);
        self.at += 7 - usize::from(self.count >> 3 & 7);
        self.count |= 56;
    }

    #[inline(always)]
    fn drop(&mut self, entry: Entry) {
        self.bits >>= entry.total() & 63;
        self.count = self.count.wrapping_sub(entry.total() as u8);
    }

    #[inline(always)]
    fn literal(&mut self, entry: Entry) -> u8 {
        self.drop(entry);
        entry.value() as u8
    }

    #[inline(always)]
    fn value(&mut self, entry: Entry) -> usize {
        let value = entry.with_extra(self.bits);
        self.drop(entry);
        value
    }

    /// What is left, with whole bytes given back, and where the input goes on.
    fn unload(self) -> (Bits, usize) {
        let count = u32::from(self.count % 8);
        (Bits { bits: self.bits & !(u64::MAX << count), count }, self.at - usize::from(self.count / 8))
    }
}

/// Puts out `length` bytes at `at`, each as the one `distance` before it, and up to [`BEYOND_BYTES`] of no meaning.
#[inline(always)]
fn repeat(out: &mut [u8], at: usize, distance: usize, length: usize) {
    let from = at - distance;
    if distance >= WIDE_BYTES {
        copy::<WIDE_BYTES>(out, from, at);
        copy::<WIDE_BYTES>(out, from + WIDE_BYTES, at + WIDE_BYTES);
        let mut done = 2 * WIDE_BYTES;
        while done < length {
            copy::<WIDE_BYTES>(out, from + done, at + done);
            done += WIDE_BYTES;
        }
    } else if distance == 1 {
        let byte = out[from];
        out[at..at + length].fill(byte);
    } else {
        // Of a distance below eight, each copy makes that many bytes right and those behind them wrong, until the next.
        let step = distance.min(NARROW_BYTES);
        let mut done = 0;
        while done < length {
            copy::<NARROW_BYTES>(out, from + done, at + done);
            done += step;
        }
    }
}

#[inline(always)]
fn copy<const BYTES: usize>(out: &mut [u8], from: usize, to: usize) {
    let mut piece = [0; BYTES];
    piece.copy_from_slice(&out[from..from + BYTES]);
    out[to..to + BYTES].copy_from_slice(&piece);
}
