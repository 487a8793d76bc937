//! What containerd's differ refuses and we unpack, by the OCI image specification (v1.1, "Image Layer Filesystem
//! Changeset"): entries mean what they mean in their order, on top of what the layers below have.

use anyhow::Context as _;
use layer::tar::{Entry, Kind};
use layer_testing::{Archive, Node, Tree, entry};
use tests::{Containerd, Version};

use super::ours;
use super::theirs::{Applied, Theirs};

/// A stack that containerd refuses in its last layer, and the files of the tree that it is.
struct Case {
    layers: Vec<Archive>,
    expected: &'static [(&'static str, What)],
}

enum What {
    /// A file with these bytes, and its first name where it has several.
    File(&'static str, Option<&'static str>),
    Symlink(&'static str, Option<&'static str>),
    Directory,
}

use What::{Directory, File, Symlink};

fn cases() -> Vec<Case> {
    let base = || Archive::new().directory("d").file("d/target", "from below").file("d/other", "other");
    let link = || Archive::new().hard_link("link", "d/target");
    vec![
        Case {
            layers: vec![base(), link()],
            expected: &[
                ("d", Directory),
                ("d/other", File("other", None)),
                ("d/target", File("from below", Some("d/target"))),
                ("link", File("from below", Some("d/target"))),
            ],
        },
        // A link to a link.
        Case {
            layers: vec![base(), link().hard_link("second", "link")],
            expected: &[
                ("d", Directory),
                ("d/other", File("other", None)),
                ("d/target", File("from below", Some("d/target"))),
                ("link", File("from below", Some("d/target"))),
                ("second", File("from below", Some("d/target"))),
            ],
        },
        // The target is replaced after the links: they keep what there was.
        Case {
            layers: vec![base(), link().hard_link("second", "d/target").file("d/target", "new")],
            expected: &[
                ("d", Directory),
                ("d/other", File("other", None)),
                ("d/target", File("new", None)),
                ("link", File("from below", Some("link"))),
                ("second", File("from below", Some("link"))),
            ],
        },
        // Or hidden.
        Case {
            layers: vec![base(), link().file("d/.wh.target", "")],
            expected: &[
                ("d", Directory),
                ("d/other", File("other", None)),
                ("link", File("from below", None)),
            ],
        },
        Case {
            layers: vec![base(), link().directory("d").file("d/.wh..wh..opq", "")],
            expected: &[("d", Directory), ("link", File("from below", None))],
        },
        // The link itself is replaced, or its directory is.
        Case {
            layers: vec![
                base(),
                link().file("link", "new").hard_link("e/link", "d/target").file("e", "file"),
            ],
            expected: &[
                ("d", Directory),
                ("d/other", File("other", None)),
                ("d/target", File("from below", None)),
                ("e", File("file", None)),
                ("link", File("new", None)),
            ],
        },
        // A whiteout of a link that waits, as of any file of its own layer.
        Case {
            layers: vec![base(), link().file(".wh.link", "")],
            expected: &[
                ("d", Directory),
                ("d/other", File("other", None)),
                ("d/target", File("from below", Some("d/target"))),
                ("link", File("from below", Some("d/target"))),
            ],
        },
        // A symbolic link is linked itself, not what it leads to.
        Case {
            layers: vec![Archive::new().symlink("s", "nowhere"), Archive::new().hard_link("link", "s")],
            expected: &[("link", Symlink("nowhere", Some("link"))), ("s", Symlink("nowhere", Some("link")))],
        },
        // A whiteout hides what is below it, not what its own layer has.
        Case {
            layers: vec![base(), Archive::new().file("d/target", "new").file("d/.wh.target", "")],
            expected: &[("d", Directory), ("d/other", File("other", None)), ("d/target", File("new", None))],
        },
        Case {
            layers: vec![base(), Archive::new().directory("d").file("d/new", "new").file(".wh.d", "")],
            expected: &[("d", Directory), ("d/new", File("new", None))],
        },
        // A file below makes room for directories that no entry describes.
        Case {
            layers: vec![Archive::new().file("a", "file"), Archive::new().file("a/b/c/d", "new")],
            expected: &[
                ("a", Directory),
                ("a/b", Directory),
                ("a/b/c", Directory),
                ("a/b/c/d", File("new", None)),
            ],
        },
    ]
}

pub(crate) async fn what_containerd_refuses_is_what_the_specification_says(
    version: Version,
) -> anyhow::Result<()> {
    let containerd = Containerd::start(version).await?;
    let mut theirs = Theirs::new(&containerd).await?;
    for (number, case) in cases().into_iter().enumerate() {
        let archives: Vec<_> = case.layers.into_iter().map(Archive::finish).collect();
        match theirs.tree(&archives).await? {
            Applied::Refused(layer, _) => {
                anyhow::ensure!(layer == 1, "case {number}: layer {layer} is refused")
            }
            Applied::Tree(_) => anyhow::bail!("containerd takes case {number}: compare the trees instead"),
        }
        let tree = ours::tree(&archives).with_context(|| format!("case {number}"))?;
        let actual: Vec<_> = tree.nodes.iter().map(|(path, node)| line(path, node)).collect();
        let expected: Vec<_> = case.expected.iter().map(|(path, what)| expected_line(path, what)).collect();
        assert_eq!(actual, expected, "case {number}");
    }
    Ok(())
}

fn line(path: &[u8], node: &Node) -> String {
    let what = match (&node.kind, node.digest) {
        (Kind::Regular, Some(digest)) => format!("file {digest:02x?}"),
        (kind, _) => format!("{kind:?}"),
    };
    let group = node.group.as_deref().map(|group| group.escape_ascii().to_string());
    format!("{} {what} {group:?}", path.escape_ascii())
}

fn expected_line(path: &str, what: &What) -> String {
    let (what, group) = match what {
        File(bytes, group) => (format!("file {:02x?}", digest(bytes)), *group),
        Symlink(target, group) => (format!("{:?}", Kind::Symlink(target.as_bytes().to_vec())), *group),
        Directory => (format!("{:?}", Kind::Directory), None),
    };
    format!("{path} {what} {group:?}")
}

fn digest(bytes: &str) -> Vec<u8> {
    let digest = oci::sha256(bytes.as_bytes());
    digest
        .hex()
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(&String::from_utf8_lossy(pair), 16).expect("hex"))
        .collect()
}

/// A link gives its attributes to the file, and the file below keeps its own.
#[test]
fn a_link_to_a_file_below_has_what_its_entry_says() {
    let base = Entry {
        mode: 0o4755,
        uid: 7,
        xattrs: vec![(b"user.a".into(), b"1".into())],
        ..entry("f", Kind::Regular)
    };
    let sparse = Archive::new().entry(&base, &[0; 5000]);
    let link = Entry {
        mode: 0o640,
        uid: 8,
        xattrs: vec![(b"user.b".into(), b"2".into())],
        ..entry("l", Kind::HardLink(b"f".into()))
    };
    let folder = tempfile::tempdir().expect("a folder");
    let layers = [sparse.finish(), Archive::new().entry(&link, b"").finish()];
    let directories = ours::unpack(&layers, folder.path()).expect("they are well formed");
    let trees = directories.iter().map(|directory| Tree::read(directory).expect("it was just made"));
    let [upper, lower] = trees.collect::<Vec<_>>().try_into().expect("two layers");
    let node = |tree: &Tree, name: &str| tree.nodes[name.as_bytes()].clone();
    assert_eq!((node(&lower, "f").mode, node(&lower, "f").uid), (0o4755, 7));
    assert_eq!(node(&lower, "f").xattrs.len(), 1);
    assert_eq!(node(&upper, "f"), node(&upper, "l"));
    assert_eq!((node(&upper, "l").mode, node(&upper, "l").uid), (0o640, 8));
    assert_eq!(node(&upper, "l").xattrs.len(), 2);
    assert_eq!(node(&upper, "l").size, 5000);
}
