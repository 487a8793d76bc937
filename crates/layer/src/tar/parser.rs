//! From blocks to entries and their bytes.

use super::entry::{Entry, Kind, Time};
use super::error::{TarError, TarProblem};
use super::header::{BLOCK_BYTES, Block, Header};
use super::number::text;
use super::pax::Pax;
use super::sparse::{self, Map10, Segment};
use crate::Limits;

/// Longest extended header, long name or long link, as in Go's reader.
const EXTENSION_BYTES_MAX: u64 = 1 << 20;

/// Most segments of a sparse file: four megabytes in memory.
const SEGMENTS_MAX: usize = 1 << 18;

/// What an archive says next.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'i> {
    /// A file begins. For a regular one [`Event::Data`] follows, then [`Event::Done`].
    Entry(Box<Entry>),
    /// Bytes of the file, in ascending order; what no event covers is a hole.
    Data {
        /// Where in the file.
        offset: u64,
        /// What.
        bytes: &'i [u8],
    },
    /// The file has no more bytes.
    Done,
    /// The archive ends. Further input is filling and is taken without a look at it.
    End,
}

/// Reads an archive.
#[derive(Debug)]
pub struct Parser {
    limits: Limits,
    state: State,
    block: Block,
    filled: usize,
    offset: u64,
    entries: u64,
    extension: Vec<u8>,
    pending: Pending,
    /// Path of the entry that is being read, for errors.
    path: Option<Vec<u8>>,
}

/// What extension entries say of the next entry.
#[derive(Debug, Default)]
struct Pending {
    long_path: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
    pax: Option<Pax>,
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.long_path.is_none() && self.long_link.is_none() && self.pax.is_none()
    }
}

#[derive(Debug)]
enum State {
    /// The next block is a header.
    Header {
        /// Whether the block before was zeros.
        after_zeros: bool,
    },
    /// Bytes of an extension entry, then its padding.
    Extension {
        type_flag: u8,
        left: usize,
        padding: usize,
    },
    /// Blocks with more of an old GNU map.
    OldMap {
        entry: Box<Entry>,
        stored: u64,
        segments: Vec<Segment>,
    },
    /// Blocks with a map of format 1.0.
    Map10 {
        entry: Box<Entry>,
        stored: u64,
        map: Map10,
    },
    /// Bytes of a file: the segments to come, the last one first; filled up to whole blocks.
    Data {
        segments: Vec<Segment>,
        padding: usize,
    },
    Padding(usize),
    Ended,
}

fn padding(length: u64) -> usize {
    // Less than a block.
    usize::try_from(length.wrapping_neg() % BLOCK_BYTES as u64).unwrap_or_default()
}

impl Parser {
    /// For one archive.
    pub fn new(limits: Limits) -> Parser {
        Parser {
            limits,
            state: State::Header { after_zeros: false },
            block: [0; BLOCK_BYTES],
            filled: 0,
            offset: 0,
            entries: 0,
            extension: Vec::new(),
            pending: Pending::default(),
            path: None,
        }
    }

    /// The next event, taking from `input` what it needs; `None` where that is more than there is. The input is then empty.
    ///
    /// # Errors
    /// [`TarError`]; the parser is then of no further use.
    pub fn next<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Event<'i>>, TarError> {
        match self.step(input) {
            Ok(event) => Ok(event),
            Err(problem) => {
                let path = self.path.take();
                Err(TarError { offset: self.offset, path, problem })
            }
        }
    }

    /// Says that there is no more input.
    ///
    /// # Errors
    /// [`TarProblem::Truncated`] where the archive has begun something that did not end. The two blocks of zeros at the
    /// end may be missing, as in Go.
    pub fn finish(self) -> Result<(), TarError> {
        let is_whole = match self.state {
            State::Ended => true,
            State::Header { .. } => self.filled == 0 && self.pending.is_empty(),
            _ => false,
        };
        if is_whole {
            return Ok(());
        }
        Err(TarError { offset: self.offset, path: self.path, problem: TarProblem::Truncated })
    }

    fn step<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Event<'i>>, TarProblem> {
        loop {
            match &mut self.state {
                State::Header { after_zeros } => {
                    let after_zeros = *after_zeros;
                    if !self.fill(input) {
                        return Ok(None);
                    }
                    if let Some(event) = self.header(after_zeros)? {
                        return Ok(Some(event));
                    }
                }
                State::Extension { left: 0, padding, .. } => {
                    let padding = *padding;
                    self.extension_done()?;
                    self.state = State::Padding(padding);
                }
                State::Extension { left, .. } => {
                    if input.is_empty() {
                        return Ok(None);
                    }
                    let bytes = take(input, *left);
                    *left -= bytes.len();
                    self.extension.extend_from_slice(bytes);
                    self.offset += bytes.len() as u64;
                }
                State::Padding(0) => self.state = State::Header { after_zeros: false },
                State::Padding(left) => {
                    if input.is_empty() {
                        return Ok(None);
                    }
                    let skipped = take(input, *left).len();
                    *left -= skipped;
                    self.offset += skipped as u64;
                }
                State::OldMap { .. } | State::Map10 { .. } => {
                    if !self.fill(input) {
                        return Ok(None);
                    }
                    if let Some(entry) = self.map_block()? {
                        return Ok(Some(Event::Entry(entry)));
                    }
                }
                State::Data { segments, padding } => {
                    let Some(segment) = segments.last_mut() else {
                        self.state = State::Padding(*padding);
                        self.path = None;
                        return Ok(Some(Event::Done));
                    };
                    if segment.length == 0 {
                        segments.pop();
                        continue;
                    }
                    if input.is_empty() {
                        return Ok(None);
                    }
                    let bytes = take(input, usize::try_from(segment.length).unwrap_or(usize::MAX));
                    let offset = segment.offset;
                    segment.offset += bytes.len() as u64;
                    segment.length -= bytes.len() as u64;
                    self.offset += bytes.len() as u64;
                    return Ok(Some(Event::Data { offset, bytes }));
                }
                State::Ended => {
                    self.offset += input.len() as u64;
                    *input = &[];
                    return Ok(None);
                }
            }
        }
    }

    /// Gathers a block; `false` where the input has ended before.
    fn fill(&mut self, input: &mut &[u8]) -> bool {
        let bytes = take(input, BLOCK_BYTES - self.filled);
        if let Some(room) = self.block.get_mut(self.filled..self.filled + bytes.len()) {
            room.copy_from_slice(bytes);
        }
        self.filled += bytes.len();
        self.offset += bytes.len() as u64;
        if self.filled < BLOCK_BYTES {
            return false;
        }
        self.filled = 0;
        true
    }

    /// Takes the block that was gathered as a header.
    fn header(&mut self, after_zeros: bool) -> Result<Option<Event<'static>>, TarProblem> {
        if self.block.iter().all(|byte| *byte == 0) {
            if after_zeros {
                if !self.pending.is_empty() {
                    return Err(TarProblem::Truncated);
                }
                self.state = State::Ended;
                return Ok(Some(Event::End));
            }
            self.state = State::Header { after_zeros: true };
            return Ok(None);
        }
        if after_zeros {
            return Err(TarProblem::LoneZeros);
        }
        let header = Header::parse(&self.block)?;
        match header.type_flag {
            type_flag @ (b'x' | b'g' | b'L' | b'K') => {
                let length = unsigned("size", header.size)?;
                if length > EXTENSION_BYTES_MAX {
                    return Err(TarProblem::Limit {
                        what: "the size of an extended header",
                        limit: EXTENSION_BYTES_MAX,
                    });
                }
                self.extension.clear();
                let left = usize::try_from(length).unwrap_or_default();
                self.state = State::Extension { type_flag, left, padding: padding(length) };
                Ok(None)
            }
            _ => self.entry(header).map(|entry| entry.map(Event::Entry)),
        }
    }

    fn extension_done(&mut self) -> Result<(), TarProblem> {
        let State::Extension { type_flag, .. } = self.state else { return Ok(()) };
        let bytes = std::mem::take(&mut self.extension);
        match type_flag {
            b'x' => self.pending.pax = Some(Pax::parse(&bytes, SEGMENTS_MAX)?),
            b'L' => self.pending.long_path = long(&bytes),
            b'K' => self.pending.long_link = long(&bytes),
            // A global header says nothing that Go's reader heeds.
            _ => {}
        }
        Ok(())
    }

    /// Makes the entry of a header and what stood before it. `None` where its map is to be read first.
    fn entry(&mut self, header: Header) -> Result<Option<Box<Entry>>, TarProblem> {
        self.entries += 1;
        if self.entries > self.limits.entries_max {
            return Err(TarProblem::Limit { what: "the count of entries", limit: self.limits.entries_max });
        }
        let Pending { long_path, long_link, pax } = std::mem::take(&mut self.pending);
        let pax = pax.unwrap_or_default();
        let mut path = long_path.or(pax.path).unwrap_or(header.path);
        let link = long_link.or(pax.link).unwrap_or(header.link);
        let mut pax_sparse = pax.sparse;
        if let Some(name) = pax_sparse.name.take() {
            path = name;
        }
        self.path = Some(path.clone());
        let longest = path.len().max(link.len());
        if longest > self.limits.path_bytes_max {
            let limit = self.limits.path_bytes_max as u64;
            return Err(TarProblem::Limit { what: "the length of a path", limit });
        }
        let number = |name, record: Option<u64>, field: i64| match record {
            Some(value) => Ok(value),
            None => unsigned(name, field),
        };
        let device = |field| narrow("device number", unsigned("device number", field)?);
        let (major, minor) = header.device;
        let kind = match header.type_flag {
            0 if path.ends_with(b"/") => Kind::Directory,
            // '7' asks for contiguous storage, which nobody has (POSIX: to be taken as '0').
            0 | b'0' | b'7' | b'S' => Kind::Regular,
            b'1' => Kind::HardLink(link),
            b'2' => Kind::Symlink(link),
            b'3' => Kind::Character { major: device(major)?, minor: device(minor)? },
            b'4' => Kind::Block { major: device(major)?, minor: device(minor)? },
            b'5' => Kind::Directory,
            b'6' => Kind::Fifo,
            other => return Err(TarProblem::Type(other)),
        };
        let stored = match kind {
            Kind::Regular => number("size", pax.size, header.size)?,
            // Some writers give a size to entries that have no bytes.
            _ => 0,
        };
        let seconds = header.modified;
        let mut entry = Box::new(Entry {
            path,
            kind,
            size: stored,
            // The other bits repeat the type.
            mode: u32::try_from(header.mode & 0o7777).unwrap_or_default(),
            uid: narrow("uid", number("uid", pax.uid, header.uid)?)?,
            gid: narrow("gid", number("gid", pax.gid, header.gid)?)?,
            modified: pax.modified.unwrap_or(Time { seconds, nanoseconds: 0 }),
            xattrs: pax.xattrs,
        });
        if entry.kind != Kind::Regular {
            self.state = State::Header { after_zeros: false };
            return Ok(Some(entry));
        }
        if header.type_flag == b'S' {
            let (real_size, segments, is_extended) = sparse::old_header(&self.block)?;
            entry.size = real_size;
            if is_extended {
                self.state = State::OldMap { entry, stored, segments };
                return Ok(None);
            }
            return self.begin_data(entry, segments, stored).map(Some);
        }
        let records = pax_sparse;
        if let (Some(1), Some(0)) = (records.major, records.minor) {
            entry.size = records.real_size.ok_or(TarProblem::Sparse("the size of the file is missing"))?;
            self.state = State::Map10 { entry, stored, map: Map10::default() };
            return Ok(None);
        }
        if records.has_map {
            entry.size = records.real_size.ok_or(TarProblem::Sparse("the size of the file is missing"))?;
            let segments = sparse::pairs(&records.map)?;
            return self.begin_data(entry, segments, stored).map(Some);
        }
        let whole = Segment { offset: 0, length: stored };
        self.begin_data(entry, vec![whole], stored).map(Some)
    }

    /// Takes the block that was gathered as a part of a map; answers the entry when the map is complete.
    fn map_block(&mut self) -> Result<Option<Box<Entry>>, TarProblem> {
        let state = std::mem::replace(&mut self.state, State::Ended);
        match state {
            State::OldMap { entry, stored, mut segments } => {
                let (more, is_extended) = sparse::old_extension(&self.block)?;
                segments.extend(more);
                if segments.len() > SEGMENTS_MAX {
                    let what = "the count of a sparse file's segments";
                    return Err(TarProblem::Limit { what, limit: SEGMENTS_MAX as u64 });
                }
                if is_extended {
                    self.state = State::OldMap { entry, stored, segments };
                    return Ok(None);
                }
                self.begin_data(entry, segments, stored).map(Some)
            }
            State::Map10 { entry, stored, mut map } => {
                const SHORT: TarProblem = TarProblem::Sparse("it is longer than the entry");
                let stored = stored.checked_sub(BLOCK_BYTES as u64).ok_or(SHORT)?;
                match map.take(&self.block, SEGMENTS_MAX)? {
                    Some(segments) => self.begin_data(entry, segments, stored).map(Some),
                    None => {
                        self.state = State::Map10 { entry, stored, map };
                        Ok(None)
                    }
                }
            }
            other => {
                self.state = other;
                Ok(None)
            }
        }
    }

    fn begin_data(
        &mut self,
        entry: Box<Entry>,
        mut segments: Vec<Segment>,
        stored: u64,
    ) -> Result<Box<Entry>, TarProblem> {
        sparse::check(&segments, entry.size, stored)?;
        segments.reverse();
        self.state = State::Data { segments, padding: padding(stored) };
        Ok(entry)
    }
}

/// At most `most` bytes from the front of `input`.
fn take<'i>(input: &mut &'i [u8], most: usize) -> &'i [u8] {
    let (bytes, rest) = input.split_at(most.min(input.len()));
    *input = rest;
    bytes
}

/// A long name or link; an empty one says nothing.
fn long(bytes: &[u8]) -> Option<Vec<u8>> {
    Some(text(bytes).to_vec()).filter(|text| !text.is_empty())
}

fn unsigned(field: &'static str, value: i64) -> Result<u64, TarProblem> {
    u64::try_from(value).map_err(|_| TarProblem::Field { field, value: value.to_string() })
}

fn narrow(field: &'static str, value: u64) -> Result<u32, TarProblem> {
    // All ones is what the kernel takes for "leave as it is".
    match u32::try_from(value) {
        Ok(narrow) if narrow != u32::MAX => Ok(narrow),
        _ => Err(TarProblem::Field { field, value: value.to_string() }),
    }
}
