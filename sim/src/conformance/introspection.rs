//! What containerd tells about itself.

use containerd_client::services::v1 as api;
use containerd_client::services::v1::introspection_client::IntrospectionClient;
use containerd_client::services::v1::version_client::VersionClient;

use super::subject::{SNAPSHOTTER, Subject};

pub(super) async fn the_version_is_told(subject: Subject) {
    let mut client = VersionClient::new(subject.channel.clone());
    let version = client.version(()).await.unwrap().into_inner().version;
    let told = version.trim_start_matches('v');
    let wanted = subject.version.text().trim_start_matches('v').rsplit_once('.').unwrap().0;
    assert!(told.starts_with(wanted), "{version} is of the line {wanted}");
}

pub(super) async fn the_snapshotter_tells_root_and_capabilities(subject: Subject) {
    let mut client = IntrospectionClient::new(subject.channel.clone());
    let filters = vec![format!("type==io.containerd.snapshotter.v1,id=={SNAPSHOTTER}")];
    let plugins = client.plugins(api::PluginsRequest { filters }).await.unwrap().into_inner().plugins;
    assert_eq!(plugins.len(), 1, "{plugins:?}");
    let root = plugins[0].exports.get("root").expect("an exported root");
    assert!(root.ends_with(&format!("io.containerd.snapshotter.v1.{SNAPSHOTTER}")), "{root}");
    let rebases = plugins[0].capabilities.iter().any(|capability| capability == "rebase");
    assert_eq!(rebases, subject.version.has_rebase_capability());
}
