//! Many pods that want one image at the same moment.

use tests::{Access, Format, Front, Nginx, Registry, certs_d, push};
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_pulls_of_one_image_fetch_it_once() -> anyhow::Result<()> {
    let node = super::node().await?;
    let registry = Registry::start(Access::Plain).await?;
    let image = super::incompressible(&[2 << 20, 1 << 20, 1000]);
    push(&registry, "team/app:1", &image, Format::Oci).await?;
    let front = Nginx::start(&registry, &Front::default()).await?;
    certs_d(&node.containerd().certs_d(), &front.host(), None)?;
    let reference = format!("{}/team/app:1", front.host());

    let mut pulls = JoinSet::new();
    for _ in 0..100 {
        let (mut images, reference) = (node.images().await?, reference.clone());
        pulls.spawn(async move { images.pull(&reference).await });
    }
    for image_ref in pulls.join_all().await {
        assert_eq!(image_ref?, image.config().digest());
    }
    let answered = front.all_answered().await?;
    let sent: u64 = answered.iter().filter(|answer| answer.is_blob()).map(|answer| answer.body_bytes).sum();
    assert_eq!(sent, super::blob_bytes(&image), "{answered:?}");
    Ok(())
}
