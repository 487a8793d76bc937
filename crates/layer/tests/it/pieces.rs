//! However the bytes of an archive are cut, they are the same archive.

use layer::Limits;
use layer::tar::{Entry, Kind, Time};
use layer_testing::{Archive, entry};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::{Owned, events};

fn path() -> impl Strategy<Value = Vec<u8>> {
    // Any bytes but NUL; short ones, and ones that no header holds.
    vec(1..=255u8, 1..300)
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        4 => Just(Kind::Regular),
        1 => Just(Kind::Directory),
        1 => path().prop_map(Kind::Symlink),
        1 => path().prop_map(Kind::HardLink),
        1 => (any::<u16>(), any::<u16>())
            .prop_map(|(major, minor)| Kind::Character { major: major.into(), minor: minor.into() }),
        1 => (any::<u16>(), any::<u16>())
            .prop_map(|(major, minor)| Kind::Block { major: major.into(), minor: minor.into() }),
        1 => Just(Kind::Fifo),
    ]
}

fn any_entry() -> impl Strategy<Value = (Entry, Vec<u8>)> {
    let numbers = (0..0o10000u32, 0..u32::MAX, 0..u32::MAX, 0..i64::from(u32::MAX), 0..1_000_000_000u32);
    let xattr =
        ("[a-z.]{1,20}", vec(any::<u8>(), 0..40)).prop_map(|(name, value)| (name.into_bytes(), value));
    (path(), kind(), numbers, vec(xattr, 0..3), vec(any::<u8>(), 0..1500)).prop_map(
        |(path, kind, (mode, uid, gid, seconds, nanoseconds), mut xattrs, bytes)| {
            xattrs.sort();
            xattrs.dedup_by(|a, b| a.0 == b.0);
            let bytes = if kind == Kind::Regular { bytes } else { Vec::new() };
            let size = bytes.len() as u64;
            let modified = Time { seconds, nanoseconds };
            (Entry { size, mode, uid, gid, modified, xattrs, ..entry(path, kind) }, bytes)
        },
    )
}

proptest! {
    #[test]
    fn any_pieces_give_the_entries_that_were_written(
        files in vec(any_entry(), 0..5),
        cuts in vec(1..2000usize, 1..20),
    ) {
        let mut archive = Archive::new();
        let mut expected = Vec::new();
        for (entry, bytes) in files {
            archive = archive.entry(&entry, &bytes);
            let is_regular = entry.kind == Kind::Regular;
            expected.push(Owned::Entry(Box::new(entry)));
            if !bytes.is_empty() {
                expected.push(Owned::Data(0, bytes));
            }
            if is_regular {
                expected.push(Owned::Done);
            }
        }
        expected.push(Owned::End);
        let archive = archive.finish();
        let mut pieces = Vec::new();
        let mut rest = archive.as_slice();
        for cut in cuts.iter().cycle() {
            let (piece, later) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(events(pieces, Limits::default()).unwrap(), expected.clone());
        prop_assert_eq!(events(archive.chunks(1), Limits::default()).unwrap(), expected);
    }

    #[test]
    fn any_cut_of_an_archive_is_too_short_or_ends_between_entries(
        files in vec(any_entry(), 1..3),
        at in any::<prop::sample::Index>(),
    ) {
        let mut ends = vec![0];
        let mut archive = Archive::new();
        for (entry, bytes) in files {
            archive = archive.entry(&entry, &bytes);
            ends.push(archive.clone().cut().len());
        }
        let archive = archive.cut();
        let at = at.index(archive.len());
        let cut = events([&archive[..at]], Limits::default());
        match cut {
            Ok(_) => prop_assert!(ends.contains(&at), "cut at {at} of {ends:?}"),
            Err(error) => {
                prop_assert!(!ends.contains(&at), "cut at {at} of {ends:?}");
                prop_assert!(error.to_string().ends_with("it ends too early"), "{error}");
            }
        }
    }

    #[test]
    fn any_flipped_bits_give_the_same_in_any_pieces(
        files in vec(any_entry(), 1..3),
        flips in vec((any::<prop::sample::Index>(), 0..8u8), 1..8),
        piece in 1..1000usize,
    ) {
        let archive = files.iter().fold(Archive::new(), |archive, (entry, bytes)| archive.entry(entry, bytes));
        let mut archive = archive.finish();
        for (at, bit) in flips {
            let at = at.index(archive.len());
            archive[at] ^= 1 << bit;
        }
        let whole = events([archive.as_slice()], Limits::default());
        prop_assert_eq!(events(archive.chunks(piece), Limits::default()), whole);
    }
}
