//! The keys: their names in the file, their flags, and the field of [`Config`] that each sets.

use super::value::{identifier, loopback_address, path_list, socket_path};
use super::{BadValue, Config, CriAddress, Fault, Flags, Origin, Problem};

/// One key.
#[derive(Debug)]
pub(super) struct Key {
    /// The table it stands in; empty for the top of the file.
    pub(super) table: &'static str,
    /// Its name in full: `containerd.address`.
    pub(super) name: &'static str,
    /// Its flag, with the dashes.
    pub(super) flag: &'static str,
    given: fn(&Flags) -> &Option<String>,
    set: fn(&mut Config, &str) -> Result<(), BadValue>,
}

impl Key {
    /// Sets the field, or reports why `value` cannot be the key's.
    pub(super) fn set(&self, config: &mut Config, value: &str, origin: Origin) -> Result<(), Problem> {
        (self.set)(config, value).map_err(|reason| {
            let value = value.chars().take(SHOWN_CHARS_MAX).collect();
            Problem { origin, fault: Fault::BadValue { name: self.name, value, reason } }
        })
    }

    /// What its flag says, where it is there.
    pub(super) fn given<'a>(&self, flags: &'a Flags) -> Option<&'a str> {
        (self.given)(flags).as_deref()
    }

    /// Its name within its table.
    pub(super) fn short_name(&self) -> &'static str {
        self.name.rsplit('.').next().unwrap_or(self.name)
    }
}

/// A value is shown up to here, so that a wrong file given as configuration does not flood the terminal.
const SHOWN_CHARS_MAX: usize = 200;

/// Every key, in the order of `default.toml`.
pub(super) const KEYS: &[Key] = &[
    Key {
        table: "",
        name: "socket",
        flag: "--socket",
        given: |flags| &flags.socket,
        set: |config, text| socket_path(text).map(|path| config.socket = path),
    },
    Key {
        table: "containerd",
        name: "containerd.address",
        flag: "--containerd-address",
        given: |flags| &flags.containerd_address,
        set: |config, text| socket_path(text).map(|path| config.containerd.address = path),
    },
    Key {
        table: "containerd",
        name: "containerd.namespace",
        flag: "--containerd-namespace",
        given: |flags| &flags.containerd_namespace,
        set: |config, text| identifier(text).map(|name| config.containerd.namespace = name),
    },
    Key {
        table: "containerd",
        name: "containerd.snapshotter",
        flag: "--containerd-snapshotter",
        given: |flags| &flags.containerd_snapshotter,
        set: |config, text| identifier(text).map(|name| config.containerd.snapshotter = name),
    },
    Key {
        table: "containerd",
        name: "containerd.cri_address",
        flag: "--containerd-cri-address",
        given: |flags| &flags.containerd_cri_address,
        set: |config, text| {
            config.containerd.cri =
                if text.is_empty() { CriAddress::Off } else { CriAddress::Socket(socket_path(text)?) };
            Ok(())
        },
    },
    Key {
        table: "registry",
        name: "registry.config_path",
        flag: "--registry-config-path",
        given: |flags| &flags.registry_config_path,
        set: |config, text| path_list(text).map(|paths| config.registry.config_path = paths),
    },
    Key {
        table: "metrics",
        name: "metrics.address",
        flag: "--metrics-address",
        given: |flags| &flags.metrics_address,
        set: |config, text| loopback_address(text).map(|address| config.metrics.address = address),
    },
];

/// The key of a full name.
pub(super) fn by_name(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Whether `name` is a table of keys.
pub(super) fn is_table(name: &str) -> bool {
    !name.is_empty() && KEYS.iter().any(|key| key.table == name)
}
