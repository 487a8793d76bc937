//! The text about one entry: what Docker 1.9 and older kept as the JSON of a layer.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use super::go_object::go_object;
use super::go_time::GoTime;

/// What every entry is read for.
#[derive(Clone, Debug, Default)]
pub(super) struct Compatibility {
    pub(super) author: String,
    pub(super) created: GoTime,
    pub(super) comment: String,
    throwaway: Option<bool>,
    /// Bytes that the layer changes, written before `throwaway` was.
    size: Option<i64>,
    pub(super) container_config: ContainerConfig,
}

go_object!(Compatibility {
    author: "author",
    created: "created",
    comment: "comment",
    throwaway: "throwaway",
    size: "size",
    container_config: "container_config",
});

impl Compatibility {
    /// Whether it says that its layer changes nothing. That it does not say so means nothing.
    pub(super) fn is_empty_layer(&self) -> bool {
        self.throwaway.unwrap_or(self.size == Some(0))
    }
}

/// The configuration of the container that the entry was committed from.
#[derive(Clone, Debug, Default)]
pub(super) struct ContainerConfig {
    pub(super) cmd: Vec<Text>,
}

go_object!(ContainerConfig { cmd: "cmd" });

/// What the newest entry is read for: the fields of an OCI image config, of which `id`, `parent`, `layer_id`,
/// `throwaway` and the like are none. Written in this order.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Image {
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<GoTime>,
    #[serde(skip_serializing_if = "String::is_empty")]
    author: String,
    architecture: String,
    os: String,
    #[serde(rename = "os.version", skip_serializing_if = "String::is_empty")]
    os_version: String,
    #[serde(rename = "os.features", skip_serializing_if = "Vec::is_empty")]
    os_features: Vec<Text>,
    #[serde(skip_serializing_if = "String::is_empty")]
    variant: String,
    config: RunConfig,
}

go_object!(Image {
    created: "created",
    author: "author",
    architecture: "architecture",
    os: "os",
    os_version: "os.version",
    os_features: "os.features",
    variant: "variant",
    config: "config",
});

/// How containers of the image run.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct RunConfig {
    #[serde(skip_serializing_if = "String::is_empty")]
    user: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    exposed_ports: BTreeMap<String, Empty>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    env: Vec<Text>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    entrypoint: Vec<Text>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cmd: Vec<Text>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    volumes: BTreeMap<String, Empty>,
    #[serde(skip_serializing_if = "String::is_empty")]
    working_dir: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, Text>,
    #[serde(skip_serializing_if = "String::is_empty")]
    stop_signal: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    args_escaped: bool,
}

go_object!(RunConfig {
    user: "user",
    exposed_ports: "exposedports",
    env: "env",
    entrypoint: "entrypoint",
    cmd: "cmd",
    volumes: "volumes",
    working_dir: "workingdir",
    labels: "labels",
    stop_signal: "stopsignal",
    args_escaped: "argsescaped",
});

/// An object of which only the name matters.
#[derive(Clone, Debug, Default, Serialize)]
struct Empty {}

go_object!(Empty {});

/// A string; `null` in a list or map is an empty one.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub(super) struct Text(pub(super) String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text, D::Error> {
        crate::lenient::null_default(deserializer).map(Text)
    }
}
