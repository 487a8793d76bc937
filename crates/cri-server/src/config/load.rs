//! Brings file and flags together.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use registry::ProxySetting;

use crate::exposed::is_open_to_all;

use super::key::KEYS;
use super::{Config, ConfigErrors, Fault, Flags, Origin, Problem, document};

/// The file that is read where none is named; it need not exist.
pub const DEFAULT_FILE: &str = "/etc/cri-imaged/config.toml";

/// Far above any configuration, far below what a wrong file could take.
const FILE_BYTES_MAX: u64 = 1 << 20;

impl Config {
    /// Reads the file that `flags` names, or [`DEFAULT_FILE`], and sets what the flags set on top of it.
    ///
    /// # Errors
    /// All faults of the file and the flags together. A file that was named and is missing is one; the default file
    /// may be missing, but not be unreadable.
    pub fn load(flags: &Flags) -> Result<Config, ConfigErrors> {
        let mut config = Config::default();
        let mut problems = match &flags.config {
            Some(path) => read(&mut config, path, Missing::IsFault),
            None => read(&mut config, Path::new(DEFAULT_FILE), Missing::IsEmpty),
        };
        for key in KEYS {
            let set = key.given(flags).map(|value| key.set(&mut config, value, Origin::Flag(key.flag)));
            problems.extend(set.and_then(Result::err));
        }
        ConfigErrors::check(problems).map(|()| config)
    }

    /// What should be otherwise although it works, for the log and for `check`: that the file which `flags` name has a
    /// proxy's password and can be read by every user of the machine.
    pub(crate) fn warnings(&self, flags: &Flags) -> Vec<String> {
        let path = flags.config.as_deref().unwrap_or(Path::new(DEFAULT_FILE));
        let has_password =
            self.registry.hosts.values().any(
                |host| matches!(&host.proxy, Some(ProxySetting::Through(proxy)) if proxy.has_user_info()),
            );
        let is_open = is_open_to_all(path);
        let warning = || format!("`{}` has a proxy's password and every user may read it", path.display());
        (has_password && is_open).then(warning).into_iter().collect()
    }

    /// Reads a configuration from `text`; `path` is where the messages say it stands.
    ///
    /// # Errors
    /// All faults of the text.
    ///
    /// ```
    /// let config = cri_server::Config::parse("[containerd]\nsnapshotter = 'native'", "node.toml".as_ref())?;
    /// assert_eq!(config.containerd.snapshotter, "native");
    /// # Ok::<(), cri_server::ConfigErrors>(())
    /// ```
    pub fn parse(text: &str, path: &Path) -> Result<Config, ConfigErrors> {
        let mut config = Config::default();
        let problems = document::apply(&mut config, text, path);
        ConfigErrors::check(problems).map(|()| config)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    IsEmpty,
    IsFault,
}

fn read(config: &mut Config, path: &Path, missing: Missing) -> Vec<Problem> {
    match text(path) {
        Ok(text) => document::apply(config, &text, path),
        Err(Fault::Read(error)) if error.kind() == io::ErrorKind::NotFound && missing == Missing::IsEmpty => {
            Vec::new()
        }
        Err(fault) => vec![Problem { origin: Origin::File { path: path.to_owned(), line: None }, fault }],
    }
}

fn text(path: &Path) -> Result<String, Fault> {
    let mut text = String::new();
    let file = File::open(path).map_err(Fault::Read)?;
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(Fault::Read)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(Fault::TooLong { bytes_max: FILE_BYTES_MAX });
    }
    Ok(text)
}
