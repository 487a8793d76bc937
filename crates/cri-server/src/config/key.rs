//! The keys: their names in the file, their flags, and the field of [`Config`] that each sets.

use super::value::{
    count, duration, duration_to, identifier, loopback_address, niceness, one_of, path_list, socket_path,
    stall_bytes, workers,
};
use std::time::Duration;

use puller::{Layers, Method};

use super::{BadValue, Config, CriAddress, Fault, Flags, Origin, Problem, Schema1};

/// Longest time for which an interrupted pull is kept: as long as any lease.
const RESUME_WITHIN_MAX: Duration = Duration::from_secs(24 * 3600);

/// One key.
#[derive(Debug)]
pub(super) struct Key {
    /// The table it stands in; empty for the top of the file.
    pub(super) table: &'static str,
    /// Its name in full: `containerd.address`.
    pub(super) name: &'static str,
    /// Whether the file has a whole number for it, not a string.
    pub(super) is_number: bool,
    /// Its flag, with the dashes.
    pub(super) flag: &'static str,
    given: fn(&Flags) -> &Option<String>,
    set: fn(&mut Config, &str) -> Result<(), BadValue>,
}

impl Key {
    /// Sets the field, or reports why `value` cannot be the key's.
    pub(super) fn set(&self, config: &mut Config, value: &str, origin: Origin) -> Result<(), Problem> {
        (self.set)(config, value).map_err(|reason| {
            let value = shown(value);
            Problem { origin, fault: Fault::BadValue { name: self.name.to_owned(), value, reason } }
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

/// A value as messages show it: cut, so that a wrong file given as configuration does not flood the terminal.
pub(super) fn shown(value: &str) -> String {
    value.chars().take(SHOWN_CHARS_MAX).collect()
}

const SHOWN_CHARS_MAX: usize = 200;

/// Every key, in the order of `default.toml`.
pub(super) const KEYS: &[Key] = &[
    Key {
        table: "",
        name: "socket",
        is_number: false,
        flag: "--socket",
        given: |flags| &flags.socket,
        set: |config, text| socket_path(text).map(|path| config.socket = path),
    },
    Key {
        table: "containerd",
        name: "containerd.address",
        is_number: false,
        flag: "--containerd-address",
        given: |flags| &flags.containerd_address,
        set: |config, text| socket_path(text).map(|path| config.containerd.address = path),
    },
    Key {
        table: "containerd",
        name: "containerd.namespace",
        is_number: false,
        flag: "--containerd-namespace",
        given: |flags| &flags.containerd_namespace,
        set: |config, text| identifier(text).map(|name| config.containerd.namespace = name),
    },
    Key {
        table: "containerd",
        name: "containerd.snapshotter",
        is_number: false,
        flag: "--containerd-snapshotter",
        given: |flags| &flags.containerd_snapshotter,
        set: |config, text| identifier(text).map(|name| config.containerd.snapshotter = name),
    },
    Key {
        table: "containerd",
        name: "containerd.cri_address",
        is_number: false,
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
        is_number: false,
        flag: "--registry-config-path",
        given: |flags| &flags.registry_config_path,
        set: |config, text| path_list(text).map(|paths| config.registry.config_path = paths),
    },
    Key {
        table: "registry",
        name: "registry.schema1",
        is_number: false,
        flag: "--registry-schema1",
        given: |flags| &flags.registry_schema1,
        set: |config, text| {
            let words = [("convert", Schema1::Convert), ("reject", Schema1::Reject)];
            one_of(text, &words).map(|schema1| config.registry.schema1 = schema1)
        },
    },
    Key {
        table: "registry",
        name: "registry.dial_timeout",
        is_number: false,
        flag: "--registry-dial-timeout",
        given: |flags| &flags.registry_dial_timeout,
        set: |config, text| duration(text).map(|limit| config.registry.network.dial_timeout = limit),
    },
    Key {
        table: "registry",
        name: "registry.header_timeout",
        is_number: false,
        flag: "--registry-header-timeout",
        given: |flags| &flags.registry_header_timeout,
        set: |config, text| duration(text).map(|limit| config.registry.network.header_timeout = limit),
    },
    Key {
        table: "registry",
        name: "registry.stall_timeout",
        is_number: false,
        flag: "--registry-stall-timeout",
        given: |flags| &flags.registry_stall_timeout,
        set: |config, text| duration(text).map(|limit| config.registry.network.stall_timeout = limit),
    },
    Key {
        table: "registry",
        name: "registry.stall_bytes",
        is_number: true,
        flag: "--registry-stall-bytes",
        given: |flags| &flags.registry_stall_bytes,
        set: |config, text| stall_bytes(text).map(|bytes| config.registry.network.stall_bytes = bytes),
    },
    Key {
        table: "registry",
        name: "registry.range_width",
        is_number: true,
        flag: "--registry-range-width",
        given: |flags| &flags.registry_range_width,
        set: |config, text| count(text, 64).map(|width| config.registry.network.range_width = width),
    },
    Key {
        table: "registry",
        name: "registry.streams_per_host",
        is_number: true,
        flag: "--registry-streams-per-host",
        given: |flags| &flags.registry_streams_per_host,
        set: |config, text| count(text, 1024).map(|most| config.registry.network.streams_per_host = most),
    },
    Key {
        table: "registry",
        name: "registry.streams",
        is_number: true,
        flag: "--registry-streams",
        given: |flags| &flags.registry_streams,
        set: |config, text| count(text, 1024).map(|most| config.registry.network.streams = most),
    },
    Key {
        table: "pull",
        name: "pull.resume_within",
        is_number: false,
        flag: "--pull-resume-within",
        given: |flags| &flags.pull_resume_within,
        set: |config, text| {
            duration_to(text, RESUME_WITHIN_MAX).map(|within| config.pull.resume_within = within)
        },
    },
    Key {
        table: "unpack",
        name: "unpack.method",
        is_number: false,
        flag: "--unpack-method",
        given: |flags| &flags.unpack_method,
        set: |config, text| {
            let words = [("auto", Method::Auto), ("differ", Method::Differ)];
            one_of(text, &words).map(|method| config.unpack.method = method)
        },
    },
    Key {
        table: "unpack",
        name: "unpack.layers",
        is_number: false,
        flag: "--unpack-layers",
        given: |flags| &flags.unpack_layers,
        set: |config, text| {
            let words = [("keep", Layers::Keep), ("discard", Layers::Discard)];
            one_of(text, &words).map(|layers| config.unpack.layers = layers)
        },
    },
    Key {
        table: "unpack",
        name: "unpack.workers",
        is_number: true,
        flag: "--unpack-workers",
        given: |flags| &flags.unpack_workers,
        set: |config, text| workers(text).map(|count| config.unpack.workers = count),
    },
    Key {
        table: "unpack",
        name: "unpack.niceness",
        is_number: true,
        flag: "--unpack-niceness",
        given: |flags| &flags.unpack_niceness,
        set: |config, text| niceness(text).map(|niceness| config.unpack.niceness = niceness),
    },
    Key {
        table: "metrics",
        name: "metrics.address",
        is_number: false,
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
