//! Maps of sparse files: which parts of a file are stored, in what order.

use super::error::TarProblem;
use super::header::{Block, field};
use super::number::{decimal, number};

/// A stored part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// Checks that the segments come in order, do not overlap, lie within `real_size`, and are as long as the `stored` bytes.
pub(super) fn check(segments: &[Segment], real_size: u64, stored: u64) -> Result<(), TarProblem> {
    let mut end = 0u64;
    let mut sum = 0u64;
    for segment in segments {
        let after = segment.offset.checked_add(segment.length);
        match after {
            Some(after) if segment.offset >= end && after <= real_size => end = after,
            _ => return Err(TarProblem::Sparse("segments overlap or lie outside of the file")),
        }
        // Segments that do not overlap have a sum below their end.
        sum += segment.length;
    }
    if sum == stored { Ok(()) } else { Err(TarProblem::Sparse("it does not fit the stored bytes")) }
}

/// Segments from offsets and lengths in turn.
pub(super) fn pairs(numbers: &[u64]) -> Result<Vec<Segment>, TarProblem> {
    if !numbers.len().is_multiple_of(2) {
        return Err(TarProblem::Sparse("an offset without a length"));
    }
    let pair = |pair: &[u64]| match pair {
        [offset, length] => Some(Segment { offset: *offset, length: *length }),
        _ => None,
    };
    Ok(numbers.chunks(2).filter_map(pair).collect())
}

/// What the old GNU format has in its header: the file's size, the first segments, and whether a block with more follows.
pub(super) fn old_header(block: &Block) -> Result<(u64, Vec<Segment>, bool), TarProblem> {
    let real_size = number(field(block, 483, 12)).and_then(|size| u64::try_from(size).ok());
    let real_size = real_size.ok_or(TarProblem::Sparse("the size of the file is no number"))?;
    let (segments, is_last) = old_segments(field(block, 386, 4 * 24))?;
    Ok((real_size, segments, !is_last && is_extended(block, 482)))
}

/// A block with more segments, and whether another one follows.
pub(super) fn old_extension(block: &Block) -> Result<(Vec<Segment>, bool), TarProblem> {
    let (segments, is_last) = old_segments(field(block, 0, 21 * 24))?;
    Ok((segments, !is_last && is_extended(block, 504)))
}

fn is_extended(block: &Block, offset: usize) -> bool {
    field(block, offset, 1).first().is_some_and(|flag| *flag != 0)
}

/// The segments up to the first empty slot, and whether there is one.
fn old_segments(slots: &[u8]) -> Result<(Vec<Segment>, bool), TarProblem> {
    const MALFORMED: TarProblem = TarProblem::Sparse("an offset or length is no number");
    let mut segments = Vec::new();
    for slot in slots.chunks(24) {
        let (offset, length) = slot.split_at_checked(12).ok_or(MALFORMED)?;
        if slot.first() == Some(&0) {
            return Ok((segments, true));
        }
        let read = |field| number(field).and_then(|value| u64::try_from(value).ok()).ok_or(MALFORMED);
        segments.push(Segment { offset: read(offset)?, length: read(length)? });
    }
    Ok((segments, false))
}

/// Gathers the map of format 1.0, which stands before the file's bytes: decimal lines, filled up to whole blocks.
#[derive(Clone, Debug, Default)]
pub(super) struct Map10 {
    line: Vec<u8>,
    count: Option<u64>,
    numbers: Vec<u64>,
}

/// Longest decimal line: more digits than 64 bits need.
const LINE_BYTES_MAX: usize = 20;

impl Map10 {
    /// Takes a whole block; answers the segments when they are complete. What the block has after them is filling.
    pub(super) fn take(
        &mut self,
        block: &Block,
        segments_max: usize,
    ) -> Result<Option<Vec<Segment>>, TarProblem> {
        const MALFORMED: TarProblem = TarProblem::Sparse("a line is no number");
        for byte in block {
            if *byte != b'\n' {
                self.line.push(*byte);
                if self.line.len() > LINE_BYTES_MAX {
                    return Err(MALFORMED);
                }
                continue;
            }
            let value = decimal(&self.line).ok_or(MALFORMED)?;
            self.line.clear();
            match self.count {
                None if value > segments_max as u64 => {
                    return Err(TarProblem::Limit {
                        what: "the count of a sparse file's segments",
                        limit: segments_max as u64,
                    });
                }
                None => self.count = Some(value),
                Some(_) => self.numbers.push(value),
            }
            if self.count.is_some_and(|count| self.numbers.len() as u64 == 2 * count) {
                return pairs(&std::mem::take(&mut self.numbers)).map(Some);
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tar::header::BLOCK_BYTES;

    #[track_caller]
    fn map(text: &[u8]) -> Result<Option<Vec<Segment>>, TarProblem> {
        let mut map = Map10::default();
        for part in text.chunks(BLOCK_BYTES) {
            let mut block = [0; BLOCK_BYTES];
            block[..part.len()].copy_from_slice(part);
            if let Some(segments) = map.take(&block, 1000)? {
                return Ok(Some(segments));
            }
        }
        Ok(None)
    }

    #[test]
    fn a_map_may_have_no_segments_or_more_than_a_block_holds() {
        assert_eq!(map(b"0\n"), Ok(Some(vec![])));
        assert_eq!(map(b"1\n5\n6\n"), Ok(Some(vec![Segment { offset: 5, length: 6 }])));
        let lines: String = (0..500).map(|number| format!("{}\n1\n", number * 10)).collect();
        let segments = map(format!("500\n{lines}").as_bytes()).unwrap().unwrap();
        assert_eq!(segments.len(), 500);
        assert_eq!(segments.last(), Some(&Segment { offset: 4990, length: 1 }));
        assert_eq!(map(b"2\n5\n6\n").unwrap_err(), TarProblem::Sparse("a line is no number"));
        assert!(matches!(map(b"1001\n"), Err(TarProblem::Limit { limit: 1000, .. })));
    }

    #[test]
    fn segments_touch_but_do_not_overlap() {
        let segments = |pairs: &[(u64, u64)]| -> Vec<Segment> {
            pairs.iter().map(|(offset, length)| Segment { offset: *offset, length: *length }).collect()
        };
        assert_eq!(check(&segments(&[(0, 2), (2, 3), (9, 0)]), 9, 5), Ok(()));
        assert_eq!(check(&[], 0, 0), Ok(()));
        for wrong in [&[(0, 2), (1, 3)][..], &[(5, 5)], &[(u64::MAX, 2)], &[(2, 1), (0, 1)]] {
            assert!(check(&segments(wrong), 9, wrong.iter().map(|pair| pair.1).sum()).is_err(), "{wrong:?}");
        }
    }
}
