//! An archive of one file, written around bytes that stream by.

use super::header::{BLOCK_BYTES, Block};

/// Longest path that a header has room for.
const PATH_BYTES_MAX: usize = 100;

/// Largest size that eleven octal digits write.
const SIZE_MAX: u64 = (1 << 33) - 1;

/// The name of extended headers themselves, which no reader looks at.
const PAX_NAME: &str = "././@PaxHeader";

/// What is before and behind a file's bytes in an archive of that file alone: the directories that lead to it, mode 0755,
/// and the file, mode 0644, all of root and of 1970. It follows from path and size, so that the same file always makes
/// the same archive (POSIX.1-2001, "pax Interchange Format"; extended headers only where a ustar header has no room).
///
/// ```
/// use layer::tar::FileArchive;
///
/// let archive = FileArchive::new("models/weights", 3);
/// let whole = [archive.head(), b"abc", &archive.tail()].concat();
/// assert_eq!(whole.len() as u64, archive.size());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileArchive {
    head: Vec<u8>,
    file_bytes: u64,
}

impl FileArchive {
    /// For a file of `size` bytes at `path`, which is relative, has no empty and no dot component and no NUL byte: it is
    /// written as it is.
    pub fn new(path: &str, size: u64) -> FileArchive {
        let mut head = Vec::new();
        for (at, _) in path.match_indices('/') {
            let directory = path.get(..=at).unwrap_or_default();
            entry(&mut head, directory, b'5', 0o755, 0);
        }
        entry(&mut head, path, b'0', 0o644, size);
        FileArchive { head, file_bytes: size }
    }

    /// What comes before the file's bytes.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// What comes behind them: filling up to a whole block, and the end of the archive.
    pub fn tail(&self) -> Vec<u8> {
        vec![0; self.filling() + 2 * BLOCK_BYTES]
    }

    /// Bytes of the whole archive.
    pub fn size(&self) -> u64 {
        let around = self.head.len() + self.filling() + 2 * BLOCK_BYTES;
        self.file_bytes.saturating_add(around as u64)
    }

    fn filling(&self) -> usize {
        // Less than a block.
        usize::try_from(self.file_bytes.wrapping_neg() % BLOCK_BYTES as u64).unwrap_or_default()
    }
}

/// One entry without its bytes, and before it an extended header where there is no room.
fn entry(archive: &mut Vec<u8>, path: &str, type_flag: u8, mode: u32, size: u64) {
    let mut records = Vec::new();
    // Which characters a header's own path may have beside ASCII's, POSIX does not say.
    if path.len() > PATH_BYTES_MAX || !path.is_ascii() {
        record(&mut records, "path", path);
    }
    if size > SIZE_MAX {
        record(&mut records, "size", &size.to_string());
    }
    if !records.is_empty() {
        let length = records.len();
        archive.extend_from_slice(&header(PAX_NAME, b'x', 0o644, length as u64));
        archive.extend_from_slice(&records);
        archive.resize(archive.len().next_multiple_of(BLOCK_BYTES), 0);
    }
    archive.extend_from_slice(&header(path, type_flag, mode, if size > SIZE_MAX { 0 } else { size }));
}

/// `length key=value\n`, whose length counts its own digits.
fn record(records: &mut Vec<u8>, key: &str, value: &str) {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len();
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    records.extend_from_slice(format!("{length}{rest}").as_bytes());
}

/// A ustar header; of a path that is too long, its beginning.
fn header(path: &str, type_flag: u8, mode: u32, size: u64) -> Block {
    let mut block = [0; BLOCK_BYTES];
    let path = path.as_bytes();
    put(&mut block, 0, path.get(..PATH_BYTES_MAX).unwrap_or(path));
    put(&mut block, 100, format!("{mode:07o}").as_bytes());
    put(&mut block, 108, b"0000000");
    put(&mut block, 116, b"0000000");
    put(&mut block, 124, format!("{size:011o}").as_bytes());
    put(&mut block, 136, b"00000000000");
    put(&mut block, 148, b"        ");
    put(&mut block, 156, &[type_flag]);
    put(&mut block, 257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    put(&mut block, 148, format!("{sum:07o}\0").as_bytes());
    block
}

fn put(block: &mut Block, offset: usize, bytes: &[u8]) {
    if let Some(field) = block.get_mut(offset..offset + bytes.len()) {
        field.copy_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Limits;
    use crate::tar::{Entry, Event, Kind, Parser};

    /// The entries of an archive, and the bytes of all files.
    fn read(mut archive: &[u8]) -> (Vec<Entry>, Vec<u8>) {
        let mut parser = Parser::new(Limits::default());
        let (mut entries, mut bytes) = (Vec::new(), Vec::new());
        while let Some(event) = parser.next(&mut archive).unwrap() {
            match event {
                Event::Entry(entry) => entries.push(*entry),
                Event::Data { bytes: more, .. } => bytes.extend_from_slice(more),
                Event::Done => {}
                Event::End => break,
            }
        }
        (entries, bytes)
    }

    #[track_caller]
    fn check(path: &str, bytes: &[u8]) {
        let archive = FileArchive::new(path, bytes.len() as u64);
        let whole = [archive.head(), bytes, &archive.tail()].concat();
        assert_eq!(whole.len() as u64, archive.size());
        assert_eq!(whole.len() % BLOCK_BYTES, 0);
        let (entries, read_bytes) = read(&whole);
        assert_eq!(read_bytes, bytes);
        let got: Vec<_> = entries
            .iter()
            .map(|entry| {
                assert_eq!((entry.uid, entry.gid, entry.modified.seconds), (0, 0, 0));
                (String::from_utf8(entry.path.clone()).unwrap(), entry.kind.clone(), entry.mode, entry.size)
            })
            .collect();
        let directories = path.match_indices('/').map(|(at, _)| path[..=at].to_owned());
        let mut expected: Vec<_> = directories.map(|path| (path, Kind::Directory, 0o755, 0)).collect();
        expected.push((path.to_owned(), Kind::Regular, 0o644, bytes.len() as u64));
        assert_eq!(got, expected);
    }

    #[test]
    fn an_archive_has_the_file_and_its_directories() {
        check("weights", b"abc");
        check("a/b/c", &[7; BLOCK_BYTES]);
        check("empty", b"");
        check("\u{fc}n\u{ef}/\u{2603}", b"x");
        for length in [99, 100, 101, 255, 4000] {
            check(&"p".repeat(length), b"long");
            check(&format!("d/{}", "p".repeat(length)), b"long");
        }
    }

    #[test]
    fn a_size_that_no_header_holds_is_in_an_extended_one() {
        for size in [SIZE_MAX, SIZE_MAX + 1, 40 << 30] {
            let archive = FileArchive::new("weights", size);
            let (entries, _) = read(archive.head());
            assert_eq!(entries.iter().map(|entry| entry.size).collect::<Vec<_>>(), [size]);
            assert_eq!(archive.head().len(), if size > SIZE_MAX { 3 * BLOCK_BYTES } else { BLOCK_BYTES });
            assert_eq!(archive.size() % BLOCK_BYTES as u64, 0);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(path in "[a-z\u{e9}]{1,60}(/[a-z]{1,60}){0,4}", length in 0usize..1100) {
            check(&path, &vec![1; length]);
        }
    }
}
