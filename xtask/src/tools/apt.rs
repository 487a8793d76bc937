//! A private apt: its own sources, lists and cache below one folder, the machine's archive and keyring.
//!
//! Never installs and never touches the machine's package state, so it works without root too.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::step::{output, run};

/// The archive's keys, where Debian's own keyring package puts them.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A private apt state.
pub(super) struct Apt {
    folder: PathBuf,
}

impl Apt {
    /// Lays the state out in `folder` and reads the lists of `releases`.
    pub(super) fn open(folder: &Path, releases: &[&str]) -> anyhow::Result<Self> {
        let archive = debian_archive()?;
        let signed_by = match Path::new(KEYRING).exists() {
            true => format!("[signed-by={KEYRING}] "),
            false => String::new(),
        };
        let sources: String =
            releases.iter().map(|release| format!("deb {signed_by}{archive} {release} main\n")).collect();
        for sub in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(sub))
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        fs::write(folder.join("sources.list"), sources).context("cannot write the sources")?;
        fs::write(folder.join("status"), "").context("cannot write the package state")?;
        let apt = Self { folder: folder.to_owned() };
        run(apt.command("apt-get").args(["--quiet=2", "update"]))?;
        Ok(apt)
    }

    /// Fetches `packages` of `release` and unpacks them into `into`; their dependencies are not followed.
    pub(super) fn unpack(&self, release: &str, packages: &[&str], into: &Path) -> anyhow::Result<()> {
        let fetched = self.folder.join("fetched").join(release);
        fs::create_dir_all(&fetched).with_context(|| format!("cannot make {}", fetched.display()))?;
        fs::create_dir_all(into).with_context(|| format!("cannot make {}", into.display()))?;
        let wanted = packages.iter().map(|package| format!("{package}/{release}"));
        run(self.command("apt-get").current_dir(&fetched).args(["--quiet=2", "download"]).args(wanted))?;
        for entry in fs::read_dir(&fetched).context("cannot list the fetched packages")? {
            let package = entry.context("cannot list the fetched packages")?.path();
            run(Command::new("dpkg-deb").arg("--extract").arg(&package).arg(into))?;
        }
        fs::remove_dir_all(&fetched).context("cannot remove the fetched packages")
    }

    fn command(&self, program: &str) -> Command {
        let path = |sub: &str| self.folder.join(sub).display().to_string();
        let mut command = Command::new(program);
        for (option, value) in [
            ("Dir::Etc::sourcelist", path("sources.list")),
            ("Dir::Etc::sourceparts", "-".to_owned()),
            ("Dir::State", path("")),
            ("Dir::State::lists", path("lists")),
            ("Dir::State::status", path("status")),
            ("Dir::Cache", path("cache")),
            // The archive's descriptions and translations are as large as its package lists and are not read.
            ("Acquire::Languages", "none".to_owned()),
            ("Acquire::IndexTargets::deb::DEP-11::DefaultEnabled", "false".to_owned()),
            // apt's own user cannot enter a checkout below a home folder.
            ("APT::Sandbox::User", "root".to_owned()),
        ] {
            command.arg("-o").arg(format!("{option}={value}"));
        }
        command
    }
}

/// The address of the archive that this machine's own release comes from.
fn debian_archive() -> anyhow::Result<String> {
    let os = fs::read_to_string("/etc/os-release").context("cannot read /etc/os-release: is this Debian?")?;
    let field = |name: &str| {
        os.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim_matches('"').to_owned())
    };
    if field("ID=").as_deref() != Some("debian") {
        bail!("these tools are unpacked from Debian's packages, and this machine does not run Debian");
    }
    let release = field("VERSION_CODENAME=").unwrap_or_else(|| "sid".to_owned());
    let format = "$(RELEASE)|$(COMPONENT)|$(REPO_URI)";
    let targets =
        output(Command::new("apt-get").args(["indextargets", "--format", format, "Created-By: Packages"]))?;
    for target in targets.lines() {
        let fields: Vec<&str> = target.split('|').collect();
        if let [suite, "main", archive] = fields[..]
            && suite == release
        {
            return Ok(archive.to_owned());
        }
    }
    bail!("the machine's apt sources name no archive for `{release}`")
}
