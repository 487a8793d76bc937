//! The images of the bench by their shape alone: how many layers of how many bytes and files.

use anyhow::Context as _;

/// How the layers of an image are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    /// gzip at level 6, what builders use.
    Gzip,
    /// zstd at level 3, what builders use.
    Zstd,
}

/// What an image is to be; what came of it is in [`crate::image::Image`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Its name, of the repository and on the command line.
    pub(crate) name: &'static str,
    /// What its files are chosen by: equal seeds and sizes are equal files.
    pub(crate) seed: &'static str,
    pub(crate) codec: Codec,
    /// The uncompressed bytes of all layers together.
    pub(crate) bytes: u64,
    /// The files of all layers together.
    pub(crate) files: u64,
    /// The layers and their shares of bytes and files, base first.
    pub(crate) shares: &'static [u64],
}

/// The large base, the runtime, its libraries, the application and two small ones on top.
const SIX: &[u64] = &[28, 26, 20, 14, 8, 4];

/// A base and what one command after another added.
const FORTY: &[u64] = &[
    20, 8, 2, 1, 1, 4, 1, 1, 2, 1, 1, 6, 1, 1, 1, 2, 1, 1, 1, 3, 1, 1, 2, 1, 1, 1, 4, 1, 1, 1, 2, 1, 1, 1, 1,
    2, 1, 1, 1, 1,
];

const SHAPES: [Shape; 5] = [
    Shape { name: "tiny", seed: "tiny", codec: Codec::Gzip, bytes: 3_300_000, files: 60, shares: &[1] },
    Shape { name: "app", seed: "app", codec: Codec::Gzip, bytes: 685_000_000, files: 17_600, shares: SIX },
    Shape { name: "big", seed: "big", codec: Codec::Gzip, bytes: 1_100_000_000, files: 9_000, shares: &[1] },
    Shape { name: "many", seed: "many", codec: Codec::Gzip, bytes: 198_000_000, files: 8_300, shares: FORTY },
    Shape { name: "zstd", seed: "app", codec: Codec::Zstd, bytes: 685_000_000, files: 17_600, shares: SIX },
];

/// For the memory that a pull takes; made and pulled in minutes, and so only where it is asked for.
const HUGE: Shape = Shape {
    name: "huge",
    seed: "huge",
    codec: Codec::Gzip,
    bytes: 10_000_000_000,
    files: 60_000,
    shares: &[1],
};

/// The shapes of these names; where there are none, all but [`HUGE`].
pub(crate) fn named(names: &[String]) -> anyhow::Result<Vec<Shape>> {
    if names.is_empty() {
        return Ok(SHAPES.to_vec());
    }
    let find = |name: &String| {
        let all = || SHAPES.into_iter().chain([HUGE]);
        let known = || all().map(|shape| shape.name).collect::<Vec<_>>().join(", ");
        all()
            .find(|shape| shape.name == name)
            .with_context(|| format!("no image is called `{name}`; there are {}", known()))
    };
    names.iter().map(find).collect()
}
