//! What the end-to-end tests need and the workspace does not build, unpacked below `target/tools`.
//!
//! Debian's packages are fetched with a private apt state and unpacked, not installed: nothing on the machine changes,
//! no service starts, and three containerds fit beside each other. A second run finds them there and fetches nothing.

mod apt;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use apt::Apt;

/// What is unpacked from one Debian release.
struct Release {
    name: &'static str,
    folder: &'static str,
    packages: &'static [&'static str],
}

/// The three containerds: 1.6, 1.7 and 2.1 or later. All other tools come from the oldest release, whose programs also
/// run on a newer libc; runc of the newer ones wants glibc 2.38, while any runc from 1.1 on serves every containerd.
const RELEASES: [Release; 3] = [
    Release {
        name: "bookworm",
        folder: "bookworm",
        packages: &[
            "containerd",
            "runc",
            "libseccomp2",
            "busybox-static",
            "docker-registry",
            "nginx",
            "libpcre2-8-0",
            "skopeo",
            "libgpgme11",
            "libassuan0",
            "libdevmapper1.02.1",
        ],
    },
    Release { name: "trixie", folder: "trixie", packages: &["containerd", "docker.io"] },
    Release { name: "sid", folder: "sid", packages: &["containerd"] },
];

/// igzip, in a folder of its own: a containerd that found it would inflate with it, also in a test.
const ISAL: Release = Release { name: "bookworm", folder: "isal", packages: &["isal", "libisal2"] };

/// Brings every tool and returns the folder that holds one folder a release.
///
/// # Errors
/// Where this is not Debian, the archive cannot be reached, or a package cannot be unpacked.
pub(crate) fn prepare() -> anyhow::Result<PathBuf> {
    prepare_all(&RELEASES)
}

/// Brings igzip and returns its folder.
///
/// # Errors
/// As [`prepare`]; a bench can do without it.
pub(crate) fn prepare_isal() -> anyhow::Result<PathBuf> {
    Ok(prepare_all(&[ISAL])?.join(ISAL.folder))
}

fn prepare_all(releases: &[Release]) -> anyhow::Result<PathBuf> {
    let folder = crate::cargo::target().join("tools").join("debian");
    let missing: Vec<&Release> = releases.iter().filter(|release| !is_unpacked(&folder, release)).collect();
    if !missing.is_empty() {
        crate::step::step("Debian's packages into target/tools", || {
            let names: Vec<&str> = releases.iter().map(|release| release.name).collect();
            let apt = Apt::open(&folder.join("apt"), &names)
                .with_context(|| format!("missing: {}", wanted(&missing)))?;
            missing.iter().try_for_each(|release| unpack(&apt, &folder, release))
        })?;
    }
    Ok(folder)
}

fn wanted(releases: &[&Release]) -> String {
    let lists =
        releases.iter().map(|release| format!("{} of Debian {}", release.packages.join(", "), release.name));
    lists.collect::<Vec<_>>().join("; ")
}

/// The stamp lists the packages: a changed list in this file brings a changed folder.
fn stamp_text(release: &Release) -> String {
    release.packages.join("\n")
}

fn stamp_path(folder: &Path, release: &Release) -> PathBuf {
    folder.join(format!("{}.stamp", release.folder))
}

fn is_unpacked(folder: &Path, release: &Release) -> bool {
    fs::read_to_string(stamp_path(folder, release)).is_ok_and(|text| text == stamp_text(release))
}

fn unpack(apt: &Apt, folder: &Path, release: &Release) -> anyhow::Result<()> {
    let into = folder.join(release.folder);
    if into.exists() {
        fs::remove_dir_all(&into).with_context(|| format!("cannot empty {}", into.display()))?;
    }
    apt.unpack(release.name, release.packages, &into)?;
    fs::write(stamp_path(folder, release), stamp_text(release)).context("cannot write the stamp")
}
