//! A buffer of decompressed bytes that knows those before it.

use std::fmt;

use inflate::WINDOW_BYTES;

/// Takes what a [`Decompressor`](crate::Decompressor) puts out. In front of it is the end of what was put out before, which
/// deflate refers to: a full buffer is emptied with [`Output::clear`], or another one goes on with [`Output::go_on_from`].
pub struct Output {
    /// The window, then what was put out, then scratch.
    buffer: Vec<u8>,
    filled: usize,
}

impl Output {
    /// An empty one for `room` bytes.
    pub fn new(room: usize) -> Output {
        Output { buffer: vec![0; WINDOW_BYTES + room], filled: WINDOW_BYTES }
    }

    /// What was put out.
    pub fn bytes(&self) -> &[u8] {
        self.buffer.get(WINDOW_BYTES..self.filled).unwrap_or_default()
    }

    /// Whether there is no room left.
    pub fn is_full(&self) -> bool {
        self.filled == self.buffer.len()
    }

    /// Forgets what was put out, as far as it need not be known.
    pub fn clear(&mut self) {
        self.buffer.copy_within(self.filled - WINDOW_BYTES..self.filled, 0);
        self.filled = WINDOW_BYTES;
    }

    /// Forgets everything, to go on after `before`.
    pub fn go_on_from(&mut self, before: &Output) {
        let (window, _) = self.buffer.split_at_mut(WINDOW_BYTES);
        window.copy_from_slice(&before.buffer[before.filled - WINDOW_BYTES..before.filled]);
        self.filled = WINDOW_BYTES;
    }

    /// The buffer, and where in it the room begins.
    pub(crate) fn buffer(&mut self) -> (&mut [u8], usize) {
        (&mut self.buffer, self.filled)
    }

    pub(crate) fn room(&mut self) -> &mut [u8] {
        self.buffer.split_at_mut(self.filled).1
    }

    /// Says that `count` bytes were written where the room began.
    pub(crate) fn advance(&mut self, count: usize) {
        self.filled = self.buffer.len().min(self.filled + count);
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("length", &self.bytes().len()).finish_non_exhaustive()
    }
}
