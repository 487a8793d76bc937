//! The programs that inflate: the limit's, and what containerd may use.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tests::{ContainerdSetup, Tools};
use tokio::process::Command;

use crate::shape::Codec;

/// Where the programs are.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    /// Debian's igzip, unpacked by xtask.
    isal: Option<PathBuf>,
    gunzip: PathBuf,
}

impl Programs {
    /// Takes igzip as xtask brought it, else the fastest that the machine has.
    pub(crate) fn find() -> anyhow::Result<Self> {
        let isal = env::var_os("CRI_IMAGED_BENCH_ISAL").map(PathBuf::from);
        let brought = isal.as_deref().map(|folder: &Path| folder.join("usr/bin/igzip"));
        let installed = || ["igzip", "pigz", "gzip"].into_iter().find_map(on_path);
        let gunzip = brought.filter(|program| program.exists()).or_else(installed);
        Ok(Self { isal, gunzip: gunzip.context("there is no igzip, pigz or gzip")? })
    }

    /// What inflates gzip in the limit.
    pub(crate) fn gunzip_name(&self) -> String {
        self.gunzip.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// A command that decompresses its standard input.
    pub(crate) fn decompress(&self, codec: Codec) -> anyhow::Result<Command> {
        let mut command = match codec {
            Codec::Gzip => Command::new(&self.gunzip),
            Codec::Zstd => Command::new("zstd"),
        };
        command.args(["-d", "-c"]);
        if let Some(folder) = &self.isal {
            Tools::extend(&mut command, folder)?;
        }
        Ok(command)
    }

    /// A containerd with `config` that uses igzip, or none of the programs that it may find.
    pub(crate) fn containerd_setup(&self, with_igzip: bool, config: &str) -> ContainerdSetup {
        let mut setup = ContainerdSetup { config: config.to_owned(), ..ContainerdSetup::default() };
        match with_igzip {
            true => setup.packages.clone_from(&self.isal),
            false => {
                setup.environment = vec![("CONTAINERD_DISABLE_IGZIP", "1"), ("CONTAINERD_DISABLE_PIGZ", "1")]
            }
        }
        setup
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.exists())
}
