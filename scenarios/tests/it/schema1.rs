//! Docker schema 1 images, which are converted while they are pulled.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use scenarios::{World, image, on_host};
use sim::image::{Compression, Layer, Schema1};

use crate::expect::is_shown;
use crate::explore::{Told, ensure, every_point, seeds, told};

/// The layers of [`image`], as they were pushed ten years ago.
fn old(seed: u64) -> Schema1 {
    Schema1::new("app", "1", image(seed).layers()).signed()
}

/// Names of the records that lead to `old`.
fn records(world: &World, old: &Schema1) -> BTreeSet<String> {
    let images = world.inventory().images;
    let of_image = images.iter().filter(|(_, record)| record.target == old.converted().digest());
    of_image.map(|(name, _)| name.clone()).collect()
}

/// The daemon shows `old`, which has the records of a pull of `app:1`, at rest.
async fn fully_there(world: &World, old: &Schema1) -> Told<()> {
    told(world.check_at_rest().await)?;
    let wants = BTreeSet::from([old.config().digest().to_owned(), on_host("app:1")]);
    let has = records(world, old);
    ensure(has == wants, format_args!("records {has:?} instead of {wants:?}"))?;
    let tag = &world.inventory().images[&on_host("app:1")].labels;
    let ours = BTreeMap::from([("io.cri-containerd.image".to_owned(), "managed".to_owned())]);
    ensure(*tag == ours, format_args!("labels of the tag: {tag:?}"))?;
    ensure(is_shown(world, old.config().digest()).await?, "the image is not shown")
}

/// [`fully_there`], or nothing leads to `old`; answers which.
async fn there_or_gone(world: &World, old: &Schema1) -> Told<bool> {
    world.settle().await;
    if records(world, old).is_empty() {
        told(world.check_at_rest().await)?;
        let content = world.inventory().content;
        ensure(!content.contains_key(old.config().digest()), "the config is left")?;
        return Ok(false);
    }
    fully_there(world, old).await?;
    Ok(true)
}

/// A pull of `app:1` works and ends with `old`.
async fn pull_works(world: &World, old: &Schema1) -> Told<()> {
    let pulled = told(world.daemon().pull(&on_host("app:1")).await)?;
    ensure(pulled.image_id.as_str() == old.config().digest(), "another image was pulled")?;
    fully_there(world, old).await
}

/// Requests for blobs since the last look that were answered with bytes.
fn blobs_fetched(world: &World) -> usize {
    let requests = world.registry().requests();
    world.registry().clear_requests();
    let is_get = |request: &&sim::registry::LoggedRequest| request.method == "GET";
    requests.iter().filter(is_get).filter(|request| request.path.contains("/blobs/")).count()
}

/// 10 seeds.
#[test]
fn a_schema_1_pull_gives_a_ready_image() {
    seeds(0..10, async |world| {
        for old in [old(1), Schema1::new("app", "1", image(1).layers())] {
            world.registry().push("app", Some("1"), &old);
            world.gate().close();
            pull_works(world, &old).await?;
            let status = told(world.daemon().store().status(&on_host("app:1")).await)?;
            ensure(
                status.is_some_and(|image| image.repo_digests.is_empty()),
                "a digest that no registry knows",
            )?;
            ensure(blobs_fetched(world) == 2, "another number of blobs than it has layers")?;
            told(world.daemon().store().remove(&on_host("app:1")).await)?;
            ensure(!there_or_gone(world, &old).await?, "the removed image is there")?;
        }
        Ok(())
    });
}

#[test]
fn a_crash_at_any_point_of_a_schema_1_pull_leaves_the_image_fully_there_or_fully_gone() {
    let (there, gone) = (Cell::new(0), Cell::new(0));
    let points = every_point(async |world, at| {
        let old = old(1);
        world.registry().push("app", Some("1"), &old);
        let gate = world.gate().clone();
        gate.close();
        let name = on_host("app:1");
        let done = at.until(&gate, "crash", world.daemon().pull(&name)).await;
        let came = done.is_none();
        done.map_or(Ok(()), |done| told(done).map(drop))?;
        world.restart_daemon();
        let is_there = there_or_gone(world, &old).await?;
        ensure(came || is_there, "a pull that ended before the crash is lost")?;
        let seen = if is_there { &there } else { &gone };
        seen.set(seen.get() + 1);
        pull_works(world, &old).await?;
        Ok(came)
    });
    let (there, gone) = (there.get(), gone.get());
    assert!(points > 80 && there > 10 && gone > 60, "{points} points, {there} there, {gone} gone");
}

/// The second one knows by the record what the first one made. 10 seeds.
#[test]
fn two_schema_1_pulls_give_the_same_id_and_fetch_once() {
    seeds(0..10, async |world| {
        let old = old(1);
        world.registry().push("app", Some("1"), &old);
        world.gate().close();
        pull_works(world, &old).await?;
        ensure(blobs_fetched(world) == 2, "another number of blobs than it has layers")?;
        pull_works(world, &old).await?;
        let requests = world.registry().requests();
        ensure(requests.iter().all(|request| request.method == "HEAD"), "the second pull fetched something")
    });
}

/// They do not join, for their credentials differ, and meet in containerd. 20 seeds.
#[test]
fn two_schema_1_pulls_side_by_side_give_the_same_id_and_fetch_once() {
    seeds(0..20, async |world| {
        let old = old(1);
        world.registry().push("app", Some("1"), &old);
        world.gate().close();
        let name = on_host("app:1");
        let daemon = world.daemon();
        let (one, two) = futures::join!(daemon.pull(&name), daemon.pull_as(&name, "u", "p"));
        for pulled in [told(one)?, told(two)?] {
            ensure(pulled.image_id.as_str() == old.config().digest(), "another image was pulled")?;
        }
        ensure(blobs_fetched(world) == 2, "a layer was fetched twice")?;
        fully_there(world, &old).await
    });
}

#[test]
fn a_removal_at_any_point_of_a_second_schema_1_pull_comes_before_it_or_after_it() {
    every_point(async |world, at| {
        let old = old(1);
        world.registry().push("app", Some("1"), &old);
        let name = on_host("app:1");
        pull_works(world, &old).await?;
        let gate = world.gate().clone();
        gate.close();
        let removed = Cell::new(Ok(()));
        let remove = async { removed.set(world.daemon().store().remove(&name).await) };
        let (pulled, came) = at.beside(&gate, "remove", world.daemon().pull(&name), remove).await;
        told(removed.into_inner())?;
        told(pulled)?;
        there_or_gone(world, &old).await?;
        pull_works(world, &old).await?;
        Ok(came)
    });
}

/// The layers are there, the image of today is removed while the old one is pulled that has the same ones.
#[test]
fn an_image_removed_at_any_point_of_a_schema_1_pull_that_shares_its_layers_takes_nothing_of_it() {
    every_point(async |world, at| {
        let (new, old) = (image(1), old(1));
        world.registry().push("new", Some("1"), &new);
        world.registry().push("app", Some("1"), &old);
        let (first, second) = (on_host("new:1"), on_host("app:1"));
        told(world.daemon().pull(&first).await)?;
        let gate = world.gate().clone();
        gate.close();
        let removed = Cell::new(Ok(()));
        let remove = async { removed.set(world.daemon().store().remove(&first).await) };
        let (pulled, came) = at.beside(&gate, "remove", world.daemon().pull(&second), remove).await;
        told(pulled)?;
        told(removed.into_inner())?;
        fully_there(world, &old).await?;
        Ok(came)
    });
}

/// 10 seeds.
#[test]
fn layers_that_another_image_has_are_not_fetched_for_a_schema_1_pull() {
    seeds(0..10, async |world| {
        let old = Schema1::new(
            "app",
            "1",
            &[image(1).layers(), &[Layer::random("more", 300, 7, Compression::None)]].concat(),
        );
        world.registry().push("new", Some("1"), &image(1));
        world.registry().push("app", Some("1"), &old);
        told(world.daemon().pull(&on_host("new:1")).await)?;
        world.registry().clear_requests();
        world.gate().close();
        pull_works(world, &old).await?;
        ensure(blobs_fetched(world) == 1, "a layer was fetched that is there")
    });
}
