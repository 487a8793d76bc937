//! Registries that keep blobs elsewhere.

use tests::{Access, Format, Front, Nginx, ObjectStore, Registry, push};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signed_urls_are_followed_without_credentials_and_afresh_when_they_expire() -> anyhow::Result<()> {
    let mut node = super::node_without_ranges().await?;
    let registry = Registry::start(Access::TlsAndToken).await?;
    let image = super::incompressible(&[4 << 20, 1000]);
    push(&registry, "team/app:1", &image, Format::Oci).await?;
    let store = ObjectStore::start(registry.data()).await?;
    let front = Nginx::start(&registry, &Front { blobs: Some(store.signer()), ..Front::default() }).await?;
    // The authority is that of the token server, which has its own origin too.
    let hosts =
        format!("server = \"http://{}\"\nca = \"{}\"\n", front.host(), registry.authority().display());
    super::configure(&node, &front.host(), &hosts)?;

    store.break_next(image.layer_blobs()[0].digest());
    let mut images = node.images().await?;
    let image_ref = images.pull_as(&format!("{}/team/app:1", front.host()), registry.auth()).await?;
    assert_eq!(image_ref, image.config().digest());

    let asked = store.requests();
    assert!(asked.iter().all(|request| !request.has_authorization), "{asked:?}");
    // What is asked for again is asked for with a URL that was signed after the first had expired.
    assert!(asked.iter().all(|request| [200, 206].contains(&request.status)), "{asked:?}");
    assert_eq!(asked.iter().filter(|request| request.offset > 0).count(), 1, "{asked:?}");
    let at_front = front.all_answered().await?;
    let with_token = at_front.iter().filter(|answer| answer.is_blob() && answer.has_authorization).count();
    assert!(with_token >= 3, "the credentials that must not reach the storage reached nobody: {at_front:?}");
    let log = node.daemon()?.process().log();
    assert!(log.contains("team/app") && !log.contains("signature="), "{log}");
    Ok(())
}
