//! How the CRI plugin follows the image store. These bodies work in its namespace, whatever the subject's.

use std::time::Duration;

use k8s_cri::v1 as api;
use k8s_cri::v1::image_service_client::ImageServiceClient;

use super::subject::Subject;
use crate::image::{Compression, File, Image, ImageBuilder, Layer, Pushable as _};

/// How long the plugin may take to follow.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long between two looks at it.
const LOOK: Duration = Duration::from_millis(20);

const MANAGED: (&str, &str) = ("io.cri-containerd.image", "managed");

/// Puts an image's documents into the plugin's namespace. `tag` makes it one of its own; the lease must be deleted.
async fn put(subject: &Subject, tag: &str) -> (Subject, Image) {
    let plugin = subject.in_namespace("k8s.io");
    plugin.create_lease(tag, &[]).await;
    let layer = Layer::new([File::regular("tag", tag.to_owned())], Compression::Gzip);
    let image = ImageBuilder::new().layer(layer).user("1000:1000").comment(tag).build();
    let leased = plugin.with_lease(tag);
    for blob in image.blobs() {
        leased.put(&blob, &[]).await;
    }
    let layer = image.layer_blobs()[0].digest().to_owned();
    let below = [
        ("containerd.io/gc.ref.content.config", image.config().digest()),
        ("containerd.io/gc.ref.content.l.0", layer.as_str()),
    ];
    leased.put(image.manifest(), &below).await;
    (plugin, image)
}

async fn status(subject: &Subject, name: &str) -> Option<api::Image> {
    let image = Some(api::ImageSpec { image: name.to_owned(), ..Default::default() });
    let request = api::ImageStatusRequest { image, verbose: false };
    let mut client = ImageServiceClient::new(subject.channel.clone());
    client.image_status(request).await.unwrap().into_inner().image
}

/// Looks until `seen` is satisfied.
async fn wait(
    subject: &Subject,
    name: &str,
    seen: impl Fn(Option<&api::Image>) -> bool,
) -> Option<api::Image> {
    let looking = async {
        loop {
            let image = status(subject, name).await;
            if seen(image.as_ref()) {
                return image;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.expect("the plugin follows the record")
}

pub(super) async fn a_record_becomes_visible_by_id_and_by_name(subject: Subject) {
    let tag = format!("{}-visible", subject.namespace);
    let (plugin, image) = put(&subject, &tag).await;
    let (id, target) = (image.config().digest(), image.manifest());
    let name = format!("sim.example/visible:{}", subject.namespace);
    let digested = format!("sim.example/visible@{}", target.digest());
    for name in [name.as_str(), digested.as_str(), id] {
        plugin.create_image(name, target, &[MANAGED]).await;
    }
    let complete = |image: Option<&api::Image>| {
        image.is_some_and(|image| !image.repo_tags.is_empty() && !image.repo_digests.is_empty())
    };
    let seen = wait(&plugin, id, complete).await.unwrap();
    assert_eq!(seen.id, id);
    assert_eq!(seen.repo_tags, [name.as_str()]);
    assert_eq!(seen.repo_digests, [digested.as_str()]);
    let layers: u64 = image.layer_blobs().iter().map(|layer| layer.size()).sum();
    assert_eq!(seen.size, target.size() + image.config().size() + layers);
    assert_eq!(seen.uid.map(|uid| uid.value), Some(1000));
    let hex = id.strip_prefix("sha256:").unwrap();
    for other in [name.as_str(), digested.as_str(), hex, &hex[..20]] {
        assert_eq!(status(&plugin, other).await.map(|image| image.id).as_deref(), Some(id), "by {other}");
    }
    let mut client = ImageServiceClient::new(plugin.channel.clone());
    let listed = client.list_images(api::ListImagesRequest::default()).await.unwrap().into_inner().images;
    assert!(listed.iter().any(|image| image.id == id));
    clean(&plugin, &tag, &[&name, &digested, id]).await;
}

pub(super) async fn an_unlabelled_record_is_taken_over(subject: Subject) {
    let tag = format!("{}-taken", subject.namespace);
    let (plugin, image) = put(&subject, &tag).await;
    let id = image.config().digest();
    let name = format!("sim.example/taken:{}", subject.namespace);
    plugin.create_image(&name, image.manifest(), &[]).await;
    wait(&plugin, id, |image| image.is_some_and(|image| !image.repo_tags.is_empty())).await;
    for name in [name.as_str(), id] {
        let request = containerd_client::services::v1::GetImageRequest { name: name.to_owned() };
        let record = plugin.images().get(plugin.request(request)).await.unwrap().into_inner().image.unwrap();
        assert_eq!(record.labels.get(MANAGED.0).map(String::as_str), Some(MANAGED.1), "{name}");
    }
    clean(&plugin, &tag, &[&name, id]).await;
}

pub(super) async fn a_deleted_record_disappears(subject: Subject) {
    let tag = format!("{}-gone", subject.namespace);
    let (plugin, image) = put(&subject, &tag).await;
    let id = image.config().digest();
    let name = format!("sim.example/gone:{}", subject.namespace);
    plugin.create_image(id, image.manifest(), &[MANAGED]).await;
    plugin.create_image(&name, image.manifest(), &[MANAGED]).await;
    wait(&plugin, id, |image| image.is_some_and(|image| !image.repo_tags.is_empty())).await;
    plugin.delete_image(&name, false).await.unwrap();
    wait(&plugin, id, |image| image.is_some_and(|image| image.repo_tags.is_empty())).await;
    plugin.delete_image(id, true).await.unwrap();
    wait(&plugin, id, |image| image.is_none()).await;
    clean(&plugin, &tag, &[]).await;
}

async fn clean(plugin: &Subject, lease: &str, names: &[&str]) {
    for name in names {
        plugin.delete_image(name, false).await.unwrap();
    }
    plugin.delete_lease_and_collect(lease).await;
}
