//! The images of the tests, all around Debian's static busybox: it needs no library and no shell beside itself.

use anyhow::Context as _;

use crate::Tools;

use super::{Compression, Image, ImageBuilder, LayerBuilder};

/// The applets that the tests' containers call.
const APPLETS: [&str; 10] = ["sh", "cat", "echo", "find", "grep", "id", "ls", "sleep", "sort", "stat"];

/// The base layer: `/bin/busybox` and links to it.
///
/// # Errors
/// Where the tools have no busybox.
pub fn busybox_layer() -> anyhow::Result<LayerBuilder> {
    let path = Tools::get().program("bookworm", "busybox")?;
    let busybox = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut layer = LayerBuilder::new().folder("bin", 0o755)?.file("bin/busybox", 0o755, &busybox)?;
    for applet in APPLETS {
        layer = layer.symlink(&format!("bin/{applet}"), "busybox")?;
    }
    layer.folder("etc", 0o755)?.file("etc/passwd", 0o644, b"root:x:0:0::/:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n")
}

/// The sandbox image: sleeps until it is told to end.
///
/// # Errors
/// As [`busybox_layer`].
pub(crate) fn pause() -> anyhow::Result<Image> {
    let script = "trap 'exit 0' TERM INT; sleep 2147483647 & wait";
    ImageBuilder::new().layer(busybox_layer()?, Compression::Gzip)?.entrypoint(&["/bin/sh", "-c", script]).build()
}

/// A two-layer image that prints `text` and ends; another text is another image on the same base.
///
/// # Errors
/// As [`busybox_layer`].
pub fn small(text: &str) -> anyhow::Result<Image> {
    let layer = LayerBuilder::new().file("message", 0o644, format!("{text}\n").as_bytes())?;
    ImageBuilder::new()
        .layer(busybox_layer()?, Compression::Gzip)?
        .layer(layer, Compression::Gzip)?
        .entrypoint(&["/bin/cat", "/message"])
        .build()
}

/// What [`six_layers`] prints when all six arrived, each as it was meant.
pub const SIX_LAYERS_OUTPUT: &str = "\
./first 644
./large 644
./opaque 705
./opaque/above 644
./replaced 644
./second 644
./setuid 4755
./sticky 1777
./symbolic 777
2
new
linked
300000
1000
";

/// Six layers, in all three compressions, that add, replace, hide and link: [`SIX_LAYERS_OUTPUT`] tells whether each
/// arrived.
///
/// # Errors
/// As [`busybox_layer`].
pub fn six_layers() -> anyhow::Result<Image> {
    let replaced = LayerBuilder::new()
        .folder("data", 0o755)?
        .file("data/replaced", 0o600, b"old\n")?
        .file("data/removed", 0o644, b"must not be seen\n")?
        .folder("data/opaque", 0o755)?
        .file("data/opaque/below", 0o644, b"must not be seen\n")?;
    let links = LayerBuilder::new()
        .file("data/first", 0o644, b"linked\n")?
        .hard_link("data/second", 0o644, "data/first")?
        .symlink("data/symbolic", "first")?;
    let hiding = LayerBuilder::new()
        .file("data/replaced", 0o644, b"new\n")?
        .whiteout("data/removed")?
        .folder("data/opaque", 0o705)?
        .opaque("data/opaque")?
        .file("data/opaque/above", 0o644, b"above\n")?;
    let setuid = LayerBuilder::new().folder("data/sticky", 0o1777)?.file("data/setuid", 0o4755, b"")?;
    let script = "cd /data; for f in $(find . | sort); do stat -c '%n %a' \"$f\"; done | grep -v '^[.] '; \
                  stat -c %h first; cat replaced symbolic; stat -c %s large; id -u";
    let top = LayerBuilder::new().file("data/large", 0o644, &incompressible(300_000))?;
    ImageBuilder::new()
        .layer(busybox_layer()?, Compression::Gzip)?
        .layer(replaced, Compression::Zstd)?
        .layer(links, Compression::None)?
        .layer(hiding, Compression::Gzip)?
        .layer(setuid, Compression::Zstd)?
        .layer(top, Compression::Gzip)?
        .entrypoint(&["/bin/sh", "-c", script])
        .user("1000")
        .build()
}

/// Bytes that do not compress away to nothing, the same each time.
pub fn incompressible(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(count).collect()
}
