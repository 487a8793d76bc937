//! Other clients take away what an image is made of.

use std::collections::BTreeMap;
use std::time::Duration;

use containerd::{ImageRecord, IngestStart};
use imagestore::StoreError;
use oci::Descriptor;
use refparse::Digest;
use scenarios::{World, image, on_host};
use sim::containerd::{Fault, Match, Rule};
use sim::image::Image;
use tonic::Code;

use crate::expect::{fully_there, is_shown, pull_works};
use crate::explore::{At, Told, ensure, every_point, told};

async fn pulled(world: &World) -> Told<Image> {
    let app = image(1);
    world.registry().push("app", Some("1"), &app);
    pull_works(world, &app, "app", "1").await?;
    Ok(app)
}

async fn delete_content(world: &World, digest: &str) {
    // Not there, at some points.
    let _ = world.ctr().content().delete(&Digest::parse(digest).unwrap()).await;
}

/// The topmost first: containerd does not remove a snapshot that has children.
async fn remove_snapshots(world: &World, app: &Image, count: usize) {
    for name in app.chain_ids().iter().rev().take(count) {
        let _ = world.ctr_snapshots().remove(name).await;
    }
}

#[test]
fn an_image_whose_content_was_deleted_is_absent_until_it_is_pulled() {
    every_point(async |world, at| {
        let app = pulled(world).await?;
        let documents = [app.manifest().digest(), app.config().digest()];
        let Some(digest) = documents.get(at.step()) else { return Ok(false) };
        delete_content(world, digest).await;
        ensure(!is_shown(world, &on_host("app:1")).await?, "it is shown")?;
        ensure(told(world.daemon().store().list().await)?.is_empty(), "it is listed")?;
        pull_works(world, &app, "app", "1").await?;
        Ok(true)
    });
}

#[test]
fn a_record_whose_manifest_comes_back_with_the_pull_of_another_is_shown() {
    every_point(async |world, at| {
        let app = pulled(world).await?;
        let mut theirs = told(world.ctr_images().get(&on_host("app:1")).await)?;
        theirs.name = on_host("app:theirs");
        told(world.ctr_images().create(&theirs).await)?;
        delete_content(world, app.manifest().digest()).await;
        world.restart_daemon();
        told(world.daemon().until_ready().await)?;
        ensure(!is_shown(world, &theirs.name).await?, "it is shown without its manifest")?;
        pull_works(world, &app, "app", "1").await?;
        ensure(is_shown(world, &theirs.name).await?, "it is not shown")?;
        Ok(at.step() == 0)
    });
}

#[test]
fn an_image_whose_snapshots_were_removed_is_absent_until_it_is_pulled() {
    every_point(async |world, at| {
        let app = pulled(world).await?;
        if at.step() == 2 {
            return Ok(false);
        }
        remove_snapshots(world, &app, at.step() + 1).await;
        ensure(!is_shown(world, &on_host("app:1")).await?, "it is shown")?;
        ensure(told(world.daemon().store().list().await)?.is_empty(), "it is listed")?;
        pull_works(world, &app, "app", "1").await?;
        Ok(true)
    });
}

/// containerd shows one in the making under its name like one that is committed.
#[test]
fn an_image_whose_top_snapshot_is_in_the_making_is_absent() {
    every_point(async |world, at| {
        let app = pulled(world).await?;
        remove_snapshots(world, &app, 1).await;
        let top = app.chain_ids().pop().unwrap();
        told(world.ctr_snapshots().prepare(&top, "", &BTreeMap::new()).await)?;
        ensure(!is_shown(world, &on_host("app:1")).await?, "it is shown")?;
        ensure(told(world.daemon().store().list().await)?.is_empty(), "it is listed")?;
        told(world.ctr_snapshots().remove(&top).await)?;
        pull_works(world, &app, "app", "1").await?;
        Ok(at.step() == 0)
    });
}

/// `event` at a point of the pull that finds all of the image there (`again`), or nothing. The pull may succeed or fail;
/// what is listed is whole, and the next pull works.
async fn beside_a_pull(
    world: &mut World,
    at: &At,
    again: bool,
    event: impl AsyncFnOnce(&World, &Image),
) -> Told<bool> {
    let app = image(1);
    world.registry().push("app", Some("1"), &app);
    let name = on_host("app:1");
    if again {
        told(world.daemon().pull(&name).await)?;
    }
    let gate = world.gate().clone();
    gate.close();
    let (_, came) = at.beside(&gate, "event", world.daemon().pull(&name), event(world, &app)).await;
    told(world.check_at_rest().await)?;
    pull_works(world, &app, "app", "1").await?;
    Ok(came)
}

async fn delete_leases(world: &World) {
    let leases = world.ctr().leases();
    for lease in leases.list().await.unwrap() {
        let _ = leases.delete(&lease.id, false).await;
    }
    world.containerd().collect();
}

#[test]
fn a_lease_deleted_and_collected_at_any_point_of_a_pull_leaves_no_half_image() {
    every_point(async |world, at| {
        beside_a_pull(world, at, false, async |world, _| delete_leases(world).await).await
    });
}

#[test]
fn snapshots_removed_at_any_point_of_a_pull_that_found_them_leave_no_half_image() {
    every_point(async |world, at| {
        beside_a_pull(world, at, true, async |world, app| remove_snapshots(world, app, 2).await).await
    });
}

#[test]
fn snapshots_removed_at_any_point_of_a_pull_that_makes_them_leave_no_half_image() {
    every_point(async |world, at| {
        beside_a_pull(world, at, false, async |world, app| remove_snapshots(world, app, 2).await).await
    });
}

#[test]
fn a_config_deleted_at_any_point_of_a_pull_that_found_it_leaves_no_half_image() {
    every_point(async |world, at| {
        beside_a_pull(world, at, true, async |world, app| delete_content(world, app.config().digest()).await)
            .await
    });
}

#[test]
fn a_manifest_deleted_at_any_point_of_a_pull_leaves_no_half_image() {
    every_point(async |world, at| {
        beside_a_pull(world, at, false, async |world, app| {
            delete_content(world, app.manifest().digest()).await
        })
        .await
    });
}

/// After the pull, layers are not needed to start containers; the next pull does not fetch them either.
#[test]
fn a_layer_deleted_after_its_unpack_leaves_the_image_ready() {
    let _ = every_point(async |world, at| {
        let app = pulled(world).await?;
        if at.step() == 1 {
            return Ok(false);
        }
        delete_content(world, app.layer_blobs()[0].digest()).await;
        fully_there(world, &app, "app", "1").await?;
        pull_works(world, &app, "app", "1").await?;
        Ok(true)
    });
}

/// A record of another client whose manifest is garbage, or that the disk does not give back.
#[test]
fn a_record_that_cannot_be_read_hides_no_other_and_can_be_removed() {
    every_point(async |world, at| {
        let app = pulled(world).await?;
        let garbage = if at.step() == 0 { "no json" } else { "{}" };
        let digest = oci::sha256(garbage.as_bytes());
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let target = Descriptor::new(media_type, digest.clone(), garbage.len() as u64);
        let content = world.ctr().content();
        match told(content.ingest("theirs", &target).await)? {
            IngestStart::Exists => return Err("it is there".to_owned()),
            IngestStart::Open(mut ingest) => {
                told(ingest.write(garbage.into()).await)?;
                told(ingest.commit(&BTreeMap::new()).await)?;
            }
        }
        if at.step() == 1 {
            let read = Match::method("Content/Read").subject(digest.as_ref());
            world
                .containerd()
                .inject(Rule::new(read, Fault::Fail(Code::Internal, "input/output".to_owned())));
        }
        let name = on_host("theirs:1");
        let labels = BTreeMap::new();
        told(world.ctr_images().create(&ImageRecord { name: name.clone(), target, labels }).await)?;
        for is_known_from_events in [true, false] {
            if !is_known_from_events {
                world.restart_daemon();
                told(world.daemon().until_ready().await)?;
            }
            fully_there(world, &app, "app", "1").await?;
            let store = world.daemon().store();
            ensure(!is_shown(world, &name).await?, "it is shown")?;
            ensure(told(store.list().await)?.len() == 1, "it is listed")?;
        }
        told(world.daemon().store().remove(&name).await)?;
        ensure(!world.inventory().images.contains_key(&name), "its record is left")?;
        fully_there(world, &app, "app", "1").await?;
        Ok(at.step() < 1)
    });
}

#[test]
fn a_daemon_whose_containerd_is_away_says_so_and_knows_all_when_it_is_back() {
    every_point(async |world, at| {
        let app = pulled(world).await?;
        let away = if at.step() == 0 { Code::Unavailable } else { Code::Internal };
        world.containerd().inject(Rule::new(Match::any(), Fault::Fail(away, "away".to_owned())));
        world.containerd().break_subscriptions("daemon1");
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (store, name) = (world.daemon().store(), on_host("app:1"));
        let answers = [
            store.status(&name).await.map(drop),
            store.list().await.map(drop),
            store.usage().await.map(drop),
            store.remove(&name).await,
        ];
        for answer in answers {
            ensure(matches!(answer, Err(StoreError::NotReady(_))), format_args!("{answer:?}"))?;
        }
        world.containerd().heal();
        tokio::time::sleep(Duration::from_secs(3)).await;
        fully_there(world, &app, "app", "1").await?;
        Ok(at.step() == 0)
    });
}
