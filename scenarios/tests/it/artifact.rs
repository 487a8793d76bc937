//! OCI artifacts, of which an image is made while they are pulled.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::time::Duration;

use scenarios::{World, on_host};
use sim::image::{Artifact, Pushable as _};
use sim::registry::{Fault, Match, Rule};

use crate::expect::{begun_at, is_shown};
use crate::explore::{Told, ensure, every_point, seeds, told};

/// Longer than an interrupted pull needs to be put away, shorter than it is kept.
const SHORTLY: Duration = Duration::from_secs(2);

/// Two files, the second below a directory; the first is the same for all seeds.
fn model(seed: u8) -> Artifact {
    Artifact::new([("config.json", b"{\"layers\":1}".to_vec()), ("weights/part-1", vec![seed; 3000])])
}

/// Names of the records that lead to what is made of `model`.
fn records(world: &World, model: &Artifact) -> BTreeSet<String> {
    let images = world.inventory().images;
    let of_image = images.iter().filter(|(_, record)| record.target == model.converted().digest());
    of_image.map(|(name, _)| name.clone()).collect()
}

/// The daemon shows `model`, which has the records of a pull of `model:1`, at rest.
async fn fully_there(world: &World, model: &Artifact) -> Told<()> {
    told(world.check_at_rest().await)?;
    let wants = BTreeSet::from([model.config().digest().to_owned(), on_host("model:1")]);
    let has = records(world, model);
    ensure(has == wants, format_args!("records {has:?} instead of {wants:?}"))?;
    ensure(is_shown(world, model.config().digest()).await?, "the image is not shown")
}

/// [`fully_there`], or nothing leads to `model`; answers which.
async fn there_or_gone(world: &World, model: &Artifact) -> Told<bool> {
    world.settle().await;
    if records(world, model).is_empty() {
        told(world.check_at_rest().await)?;
        let content = world.inventory().content;
        ensure(!content.contains_key(model.config().digest()), "the config is left")?;
        return Ok(false);
    }
    fully_there(world, model).await?;
    Ok(true)
}

/// A pull of `model:1` works and ends with `model`.
async fn pull_works(world: &World, model: &Artifact) -> Told<()> {
    let pulled = told(world.daemon().pull(&on_host("model:1")).await)?;
    ensure(pulled.image_id.as_str() == model.config().digest(), "another image was pulled")?;
    fully_there(world, model).await
}

/// Digests of the blobs that were asked for since the last look.
fn asked(world: &World) -> Vec<String> {
    let requests = world.registry().requests();
    world.registry().clear_requests();
    requests.iter().filter_map(|request| Some(request.path.split_once("/blobs/")?.1.to_owned())).collect()
}

/// 10 seeds.
#[test]
fn an_artifact_is_pulled_as_a_ready_image_and_removed() {
    seeds(0..10, async |world| {
        let model = model(1);
        world.registry().push("model", Some("1"), &model);
        world.gate().close();
        pull_works(world, &model).await?;
        ensure(asked(world).len() == 2, "another number of blobs than it has files")?;
        pull_works(world, &model).await?;
        let requests = world.registry().requests();
        ensure(requests.iter().all(|request| request.method == "HEAD"), "the second pull fetched something")?;
        told(world.daemon().store().remove(&on_host("model:1")).await)?;
        ensure(!there_or_gone(world, &model).await?, "the removed image is there")
    });
}

#[test]
fn a_crash_at_any_point_of_an_artifacts_pull_leaves_it_fully_there_or_fully_gone() {
    let (there, gone) = (Cell::new(0), Cell::new(0));
    let points = every_point(async |world, at| {
        let model = model(1);
        world.registry().push("model", Some("1"), &model);
        let gate = world.gate().clone();
        gate.close();
        let name = on_host("model:1");
        let done = at.until(&gate, "crash", world.daemon().pull(&name)).await;
        let came = done.is_none();
        done.map_or(Ok(()), |done| told(done).map(drop))?;
        world.restart_daemon();
        let is_there = there_or_gone(world, &model).await?;
        ensure(came || is_there, "a pull that ended before the crash is lost")?;
        let seen = if is_there { &there } else { &gone };
        seen.set(seen.get() + 1);
        pull_works(world, &model).await?;
        Ok(came)
    });
    let (there, gone) = (there.get(), gone.get());
    assert!(points > 80 && there > 10 && gone > 60, "{points} points, {there} there, {gone} gone");
}

/// Blobs of the files whose archives are in the content store.
fn archived(world: &World, model: &Artifact) -> BTreeSet<String> {
    let content = world.inventory().content;
    let blobs = model.blobs();
    let each = model.layers().iter().zip(&blobs);
    let there = each.filter(|(layer, _)| content.contains_key(layer.diff_id()));
    there.map(|(_, blob)| blob.digest().to_owned()).collect()
}

#[test]
fn an_artifacts_pull_given_up_at_any_point_leaves_its_files_to_the_next() {
    every_point(async |world, at| {
        let model = model(1);
        world.registry().push("model", Some("1"), &model);
        let gate = world.gate().clone();
        gate.close();
        let done = at.until(&gate, "interrupt", world.daemon().pull(&on_host("model:1"))).await;
        let came = done.is_none();
        done.map_or(Ok(()), |done| told(done).map(drop))?;
        let had = archived(world, &model);
        gate.open();
        tokio::time::sleep(SHORTLY).await;
        asked(world);
        pull_works(world, &model).await?;
        let again: Vec<String> = asked(world).into_iter().filter(|digest| had.contains(digest)).collect();
        ensure(again.is_empty(), format_args!("asked for again: {again:?}"))?;
        Ok(came)
    });
}

/// The bytes of an unfinished archive can be read where containerd's directories can be.
#[test]
fn a_file_interrupted_in_its_midst_is_fetched_from_there() {
    let resumed = Cell::new(0);
    every_point(async |world, at| {
        let model =
            Artifact::new([("config.json", b"{\"layers\":1}".to_vec()), ("weights", vec![7; 3 << 20])]);
        world.registry().push("model", Some("1"), &model);
        let weights = model.blobs()[1].digest().to_owned();
        // So that there are points in its midst.
        world.registry().inject(Rule::new(Match::path(&weights), Fault::Reset(600 << 10)));
        let gate = world.gate().clone();
        gate.close();
        let done = at.until(&gate, "interrupt", world.daemon().pull(&on_host("model:1"))).await;
        let came = done.is_none();
        done.map_or(Ok(()), |done| told(done).map(drop))?;
        gate.open();
        tokio::time::sleep(SHORTLY).await;
        let before = world.registry().requests().len();
        pull_works(world, &model).await?;
        let byte = begun_at(world, before, &weights);
        resumed.set(resumed.get() + usize::from(byte.is_some_and(|byte| byte > 0)));
        Ok(came)
    });
    assert!(resumed.get() > 5, "resumed at {} points", resumed.get());
}

/// They do not join, for their credentials differ, and meet in containerd. 20 seeds.
#[test]
fn two_pulls_of_an_artifact_side_by_side_fetch_each_file_once() {
    seeds(0..20, async |world| {
        let model = model(1);
        world.registry().push("model", Some("1"), &model);
        world.gate().close();
        let name = on_host("model:1");
        let daemon = world.daemon();
        let (one, two) = futures::join!(daemon.pull(&name), daemon.pull_as(&name, "u", "p"));
        for pulled in [told(one)?, told(two)?] {
            ensure(pulled.image_id.as_str() == model.config().digest(), "another image was pulled")?;
        }
        let mut digests = asked(world);
        digests.sort();
        let count = digests.len();
        digests.dedup();
        ensure(digests.len() == 2 && count == 2, format_args!("{count} requests for {digests:?}"))?;
        fully_there(world, &model).await
    });
}

/// Both have the file `config.json`, whose archive the second finds in the first.
#[test]
fn an_artifact_removed_at_any_point_of_the_pull_of_its_next_version_takes_nothing_of_it() {
    every_point(async |world, at| {
        let (first, second) = (model(1), model(2));
        world.registry().push("old", Some("1"), &first);
        world.registry().push("model", Some("1"), &second);
        let name = on_host("old:1");
        told(world.daemon().pull(&name).await)?;
        let gate = world.gate().clone();
        gate.close();
        let removed = Cell::new(Ok(()));
        let remove = async { removed.set(world.daemon().store().remove(&name).await) };
        let (pulled, came) =
            at.beside(&gate, "remove", world.daemon().pull(&on_host("model:1")), remove).await;
        told(pulled)?;
        told(removed.into_inner())?;
        fully_there(world, &second).await?;
        Ok(came)
    });
}
