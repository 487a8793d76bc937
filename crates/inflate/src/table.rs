//! Decoding tables: what the bits that come next mean.
//!
//! The first `BITS` bits of the input index the main part of a table. Codes that are longer have their other bits looked up
//! in a subtable behind it.

use crate::{CODES_MAX, InflateError};

/// Longest code, in bits.
const CODE_BITS_MAX: usize = 15;

/// A code with its meaning.
///
/// | bits | |
/// |---|---|
/// | 0 to 7 | how many bits of input it takes, extra bits included |
/// | 8 to 11 | how many of these are the code; of a [`Entry::SUBTABLE`] the bits that index it |
/// | 12 to 15 | flags |
/// | 16 to 31 | a literal, or the base of a length or distance, or where a subtable begins |
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry(u32);

/// Of literals and lengths. The size is the most that a complete code needs.
pub(crate) type Lengths = Table<11, 2342>;

/// Of distances.
pub(crate) type Distances = Table<8, 402>;

/// Of the lengths of the codes of the other two.
pub(crate) type CodeLengths = Table<7, 128>;

#[derive(Clone, Debug)]
pub(crate) struct Table<const BITS: u32, const SIZE: usize> {
    entries: Box<[Entry; SIZE]>,
}

impl Entry {
    /// Neither a literal nor a length nor a distance.
    const EXCEPTION: u32 = 1 << 12;
    const LITERAL: u32 = 1 << 13;
    const SUBTABLE: u32 = 1 << 14;
    const END: u32 = 1 << 15;

    /// Takes a bit, so that it is told only where there is one.
    const INVALID: Entry = Entry(Entry::EXCEPTION | 1 << 8 | 1);

    #[inline(always)]
    pub(crate) fn total(self) -> u32 {
        self.0 & 0xff
    }

    #[inline(always)]
    pub(crate) fn code(self) -> u32 {
        self.0 >> 8 & 0xf
    }

    #[inline(always)]
    pub(crate) fn value(self) -> u32 {
        self.0 >> 16
    }

    #[inline(always)]
    pub(crate) fn is_literal(self) -> bool {
        self.0 & Entry::LITERAL != 0
    }

    #[inline(always)]
    pub(crate) fn is_exception(self) -> bool {
        self.0 & Entry::EXCEPTION != 0
    }

    #[inline(always)]
    pub(crate) fn is_subtable(self) -> bool {
        self.0 & Entry::SUBTABLE != 0
    }

    #[inline(always)]
    pub(crate) fn is_end(self) -> bool {
        self.0 & Entry::END != 0
    }

    /// The value with the extra bits, which are the last of those that the entry takes of `bits`.
    #[inline(always)]
    pub(crate) fn with_extra(self, bits: u64) -> usize {
        let taken = bits & !(u64::MAX << (self.total() & 63));
        self.value() as usize + (taken >> self.code()) as usize
    }

    fn with_code(self, length: usize) -> Entry {
        let length = length as u32;
        Entry(self.0 + (length << 8) + length)
    }
}

impl<const BITS: u32, const SIZE: usize> Table<BITS, SIZE> {
    pub(crate) fn new() -> Table<BITS, SIZE> {
        Table { entries: Box::new([Entry::INVALID; SIZE]) }
    }

    /// The entry of the first `BITS` of `bits`.
    #[inline(always)]
    pub(crate) fn main(&self, bits: u64) -> Entry {
        const { assert!(1 << BITS <= SIZE, "the main part is a part of the table") };
        self.entries[(bits & ((1 << BITS) - 1)) as usize]
    }

    /// The entry in the subtable of `entry`, of `bits` after the first `BITS`.
    #[inline(always)]
    pub(crate) fn sub(&self, entry: Entry, bits: u64) -> Entry {
        let index = (bits & !(u64::MAX << entry.code())) as usize;
        self.entries.get(entry.value() as usize + index).copied().unwrap_or(Entry::INVALID)
    }

    /// Makes the table of a canonical code: `lengths` has the bits of each symbol's code, 0 of those without. `meaning` is
    /// an entry without code.
    ///
    /// # Errors
    /// A code that has too many codes for its bits, or too few: only a single code of one bit leaves the other one unused.
    pub(crate) fn build(
        &mut self,
        lengths: &[u8],
        meaning: impl Fn(usize) -> Entry,
    ) -> Result<(), InflateError> {
        let mut counts = [0_usize; CODE_BITS_MAX + 1];
        for length in lengths {
            counts[usize::from(*length)] += 1;
        }
        counts[0] = 0;
        let longest = counts.iter().rposition(|count| *count > 0).unwrap_or_default();
        let mut free = 1_usize;
        for count in &counts[1..] {
            free = (free * 2).checked_sub(*count).ok_or(InflateError::Code)?;
        }
        if free > 0 && longest > 1 {
            return Err(InflateError::Code);
        }

        let mut sorted = [0_u16; CODES_MAX];
        let mut places = [0_usize; CODE_BITS_MAX + 2];
        for length in 1..=CODE_BITS_MAX {
            places[length + 1] = places[length] + counts[length];
        }
        for (symbol, length) in lengths.iter().enumerate().filter(|(_, length)| **length > 0) {
            let place = &mut places[usize::from(*length)];
            sorted[*place] = symbol as u16;
            *place += 1;
        }
        let mut symbols = sorted.iter().map(|symbol| usize::from(*symbol));

        // Codes are written from their highest bit on, so that here all are mirrored.
        let mut code = 0_usize;
        self.entries[0] = Entry::INVALID;
        for (length, count) in counts.iter().enumerate().take(BITS as usize + 1).skip(1) {
            // What is told by fewer bits is told whatever the next one is.
            let half = 1 << (length - 1);
            self.entries.copy_within(..half, half);
            for symbol in symbols.by_ref().take(*count) {
                self.entries[code] = meaning(symbol).with_code(length);
                code = next(code, length);
            }
        }
        let main = 1 << BITS;
        let (mut begin, mut size, mut prefix) = (main, 0, usize::MAX);
        for length in BITS as usize + 1..=longest {
            for left in (1..=counts[length]).rev() {
                let symbol = symbols.next().unwrap_or_default();
                if code % main != prefix {
                    prefix = code % main;
                    begin += size;
                    let mut bits = length - BITS as usize;
                    let mut used = left;
                    while used < 1 << bits {
                        bits += 1;
                        used = used * 2 + counts.get(BITS as usize + bits).ok_or(InflateError::Code)?;
                    }
                    size = 1 << bits;
                    self.entries[prefix] = Entry(
                        (begin as u32) << 16 | Entry::EXCEPTION | Entry::SUBTABLE | (bits as u32) << 8 | BITS,
                    );
                }
                let entry = meaning(symbol).with_code(length - BITS as usize);
                let subtable = self.entries.get_mut(begin..begin + size).ok_or(InflateError::Code)?;
                let places = subtable.iter_mut().skip(code >> BITS).step_by(1 << (length - BITS as usize));
                places.for_each(|place| *place = entry);
                code = next(code, length);
            }
        }
        Ok(())
    }
}

/// The mirrored code after `code`, of `length` bits.
fn next(code: usize, length: usize) -> usize {
    let mut bit = 1 << (length - 1);
    while code & bit != 0 {
        bit >>= 1;
    }
    // All are set in the last one, after which none follows.
    if bit == 0 { 0 } else { code & (bit - 1) | bit }
}

/// A literal, the end of a block, or a length (RFC 1951, 3.2.5).
pub(crate) fn length(symbol: usize) -> Entry {
    const BASES: [u16; 29] = [
        3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163,
        195, 227, 258,
    ];
    const EXTRA: [u8; 29] =
        [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
    match symbol {
        0..256 => Entry((symbol as u32) << 16 | Entry::LITERAL),
        256 => Entry(Entry::EXCEPTION | Entry::END),
        _ => based(&BASES, &EXTRA, symbol - 257),
    }
}

/// A distance (RFC 1951, 3.2.5).
pub(crate) fn distance(symbol: usize) -> Entry {
    const BASES: [u16; 30] = [
        1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049,
        3073, 4097, 6145, 8193, 12289, 16385, 24577,
    ];
    const EXTRA: [u8; 30] =
        [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13];
    based(&BASES, &EXTRA, symbol)
}

/// The length of a code, or how often one comes again (RFC 1951, 3.2.7).
pub(crate) fn code_length(symbol: usize) -> Entry {
    let extra = match symbol {
        16 => 2,
        17 => 3,
        18 => 7,
        _ => 0,
    };
    // The extra bits are added to the symbol: 16 to 19, 17 to 24, 18 to 145. Only the symbol tells them apart.
    Entry((symbol as u32) << 16 | extra)
}

fn based(bases: &[u16], extra: &[u8], symbol: usize) -> Entry {
    match (bases.get(symbol), extra.get(symbol)) {
        (Some(base), Some(extra)) => Entry(u32::from(*base) << 16 | u32::from(*extra)),
        _ => Entry(Entry::EXCEPTION),
    }
}
