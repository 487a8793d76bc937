//! Bits of the input, one symbol at a time, with no byte taken before it is needed.

use crate::pieces::Input;
use crate::table::{Entry, Table};

/// Input bits that were taken and not used, the next one lowest; those above `count` are zero.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bits {
    pub(crate) bits: u64,
    pub(crate) count: u32,
}

/// A symbol that comes next, and how many bits come before those of its entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Symbol {
    pub(crate) entry: Entry,
    before: u32,
}

impl Bits {
    /// Takes bytes until there are `count` bits; whether there are.
    pub(crate) fn need(&mut self, count: u32, input: &mut Input<'_>) -> bool {
        while self.count < count {
            let [byte] = input.take(1) else { return false };
            self.bits |= u64::from(*byte) << self.count;
            self.count += 8;
        }
        true
    }

    /// `count` bits that are there.
    pub(crate) fn take(&mut self, count: u32) -> usize {
        let taken = self.bits & !(u64::MAX << count);
        self.drop(count);
        taken as usize
    }

    fn drop(&mut self, count: u32) {
        self.bits >>= count;
        self.count -= count;
    }

    /// The next symbol, with all its bits there; as few bytes are taken as it needs. None where there are not enough.
    pub(crate) fn peek<const BITS: u32, const SIZE: usize>(
        &mut self,
        table: &Table<BITS, SIZE>,
        input: &mut Input<'_>,
    ) -> Option<Symbol> {
        loop {
            // Where bits are missing they are zero here. An entry that takes no more than there are does not depend on them.
            let mut symbol = Symbol { entry: table.main(self.bits), before: 0 };
            if symbol.entry.is_subtable() {
                symbol = Symbol { entry: table.sub(symbol.entry, self.bits >> BITS), before: BITS };
            }
            if symbol.before + symbol.entry.total() <= self.count {
                return Some(symbol);
            }
            if !self.need(self.count + 1, input) {
                return None;
            }
        }
    }

    /// The value of a symbol that was peeked.
    pub(crate) fn take_symbol(&mut self, symbol: Symbol) -> usize {
        self.drop(symbol.before);
        let value = symbol.entry.with_extra(self.bits);
        self.drop(symbol.entry.total());
        value
    }
}
