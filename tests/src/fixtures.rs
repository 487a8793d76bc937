//! The images of the tests, all around Debian's static busybox: it needs no library and no shell beside itself.

use anyhow::Context as _;
use sim::image::{Compression, File, Image, ImageBuilder, Layer};

use crate::Tools;

/// The applets that the tests' containers call.
const APPLETS: [&str; 10] = ["sh", "cat", "echo", "find", "grep", "id", "ls", "sleep", "sort", "stat"];

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

/// The base layer: `/bin/busybox` and links to it.
///
/// # Errors
/// Where the tools have no busybox.
pub fn busybox_layer() -> anyhow::Result<Layer> {
    let path = Tools::get().program("bookworm", "busybox")?;
    let busybox = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut files = vec![File::directory("bin"), File::regular("bin/busybox", busybox).mode(0o755)];
    files.extend(APPLETS.map(|applet| File::symlink(format!("bin/{applet}"), "busybox")));
    files.push(File::directory("etc"));
    files.push(File::regular("etc/passwd", "root:x:0:0::/:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n"));
    Ok(Layer::new(files, Compression::Gzip))
}

/// The sandbox image: sleeps until it is told to end.
///
/// # Errors
/// As [`busybox_layer`].
pub(crate) fn pause() -> anyhow::Result<Image> {
    let script = "trap 'exit 0' TERM INT; sleep 2147483647 & wait";
    Ok(ImageBuilder::new().layer(busybox_layer()?).command(&["/bin/sh", "-c", script]).build())
}

/// A two-layer image that prints `text` and ends; another text is another image on the same base.
///
/// # Errors
/// As [`busybox_layer`].
pub fn small(text: &str) -> anyhow::Result<Image> {
    Ok(small_for(text).layer(busybox_layer()?).layer(message(text)).build())
}

/// As [`small`], for another platform; `variant` may be empty.
///
/// # Errors
/// As [`busybox_layer`].
pub fn small_on(text: &str, os: &str, architecture: &str, variant: &str) -> anyhow::Result<Image> {
    let image = small_for(text).platform(os, architecture).layer(busybox_layer()?).layer(message(text));
    Ok(if variant.is_empty() { image } else { image.variant(variant) }.build())
}

fn small_for(text: &str) -> ImageBuilder {
    ImageBuilder::new().comment(text).command(&["/bin/cat", "/message"])
}

fn message(text: &str) -> Layer {
    Layer::new([File::regular("message", format!("{text}\n"))], Compression::Gzip)
}

/// Six layers, in all three compressions, that add, replace, hide and link: [`SIX_LAYERS_OUTPUT`] tells whether each
/// arrived.
///
/// # Errors
/// As [`busybox_layer`].
pub fn six_layers() -> anyhow::Result<Image> {
    let replaced = [
        File::directory("data"),
        File::regular("data/replaced", "old\n").mode(0o600),
        File::regular("data/removed", "must not be seen\n"),
        File::directory("data/opaque"),
        File::regular("data/opaque/below", "must not be seen\n"),
    ];
    let links = [
        File::regular("data/first", "linked\n"),
        File::hardlink("data/second", "data/first"),
        File::symlink("data/symbolic", "first"),
    ];
    let hiding = [
        File::regular("data/replaced", "new\n"),
        File::whiteout("data/removed"),
        File::directory("data/opaque").mode(0o705),
        File::opaque("data/opaque"),
        File::regular("data/opaque/above", "above\n"),
    ];
    let bits = [File::directory("data/sticky").mode(0o1777), File::regular("data/setuid", "").mode(0o4755)];
    let script = "cd /data; for f in $(find . | sort); do stat -c '%n %a' \"$f\"; done | grep -v '^[.] '; \
                  stat -c %h first; cat replaced symbolic; stat -c %s large; id -u";
    Ok(ImageBuilder::new()
        .layer(busybox_layer()?)
        .layer(Layer::new(replaced, Compression::Zstd))
        .layer(Layer::new(links, Compression::None))
        .layer(Layer::new(hiding, Compression::Gzip))
        .layer(Layer::new(bits, Compression::Zstd))
        .layer(Layer::random("data/large", 300_000, 1, Compression::Gzip))
        .command(&["/bin/sh", "-c", script])
        .user("1000")
        .build())
}

/// The CRI's size of an image: what its descriptors add up to.
pub fn size_bytes(image: &Image) -> u64 {
    let layers: u64 = image.layer_blobs().iter().map(sim::image::Blob::size).sum();
    image.manifest().size() + image.config().size() + layers
}
