//! The pieces of input and output of one step.

/// Input, and how much of it is taken.
pub(crate) struct Input<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) at: usize,
}

/// Output, how much of it is written, and from where on it may be referred to.
pub(crate) struct Output<'a> {
    pub(crate) bytes: &'a mut [u8],
    pub(crate) at: usize,
    pub(crate) window: usize,
}

impl<'a> Input<'a> {
    pub(crate) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The next bytes, `count` at most.
    pub(crate) fn take(&mut self, count: usize) -> &'a [u8] {
        let end = self.at + count.min(self.left());
        let taken = &self.bytes[self.at..end];
        self.at = end;
        taken
    }
}

impl Output<'_> {
    pub(crate) fn room(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Puts out bytes for which there is room.
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        let end = self.at + bytes.len();
        self.bytes[self.at..end].copy_from_slice(bytes);
        self.at = end;
    }

    /// Puts out `count` bytes for which there is room, each as the one `distance` before it.
    pub(crate) fn repeat(&mut self, distance: usize, count: usize) {
        for _ in 0..count {
            self.bytes[self.at] = self.bytes[self.at - distance];
            self.at += 1;
        }
    }
}
