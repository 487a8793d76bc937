//! Pulls that are interrupted, and the next pull of the same reference.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use scenarios::{World, image, on_host};
use sim::containerd::{Fault, Inventory, Match, Rule, SnapshotKind};
use sim::image::{Compression, Image, ImageBuilder, Layer};
use sim::registry;
use tonic::Code;

use crate::expect::{begun_at, pull_works, records, there_or_gone};
use crate::explore::{At, Told, ensure, every_point, fault_at, told};

/// Longer than an interrupted pull needs to be put away, shorter than it is kept.
const SHORTLY: Duration = Duration::from_secs(2);

/// Digests of the blobs, and names of the committed snapshots.
fn brought(world: &World) -> BTreeSet<String> {
    let Inventory { content, snapshots, .. } = world.inventory();
    let committed = snapshots.into_iter().filter(|(_, snapshot)| snapshot.kind == SnapshotKind::Committed);
    content.into_keys().chain(committed.map(|((_, name), _)| name)).collect()
}

/// Digests of the blobs that were asked for since the request number `from`.
fn asked_since(world: &World, from: usize) -> BTreeSet<String> {
    let requests = world.registry().requests().into_iter().skip(from);
    let blobs = requests.filter_map(|request| Some(request.path.split_once("/blobs/")?.1.to_owned()));
    blobs.collect()
}

/// Pulls up to the point, and answers whether it came, with what was in the content store there.
async fn interrupted(world: &World, at: &At) -> Told<(bool, BTreeSet<String>)> {
    let gate = world.gate().clone();
    gate.close();
    let done = at.until(&gate, "interrupt", world.daemon().pull(&on_host("app:1"))).await;
    let came = done.is_none();
    done.map_or(Ok(()), |done| told(done).map(drop))?;
    Ok((came, brought(world)))
}

/// The next pull works, and asks for nothing of what `had` names.
async fn goes_on(world: &World, app: &Image, had: &BTreeSet<String>) -> Told<()> {
    tokio::time::sleep(SHORTLY).await;
    // What is whole and was about to become content is as good.
    let ingests = world.inventory().ingests;
    let layers = ingests.iter().filter_map(|ingest| ingest.strip_prefix("layer-")).map(str::to_owned);
    let has: BTreeSet<String> = brought(world).into_iter().chain(layers).collect();
    let lost: Vec<&String> = had.difference(&has).collect();
    ensure(lost.is_empty(), format_args!("collected: {lost:?}"))?;
    let snapshots = world.inventory().snapshots;
    let is_begun = snapshots.values().any(|snapshot| snapshot.kind == SnapshotKind::Active);
    ensure(!is_begun, format_args!("kept: {snapshots:?}"))?;
    let before = world.registry().requests().len();
    pull_works(world, app, "app", "1").await?;
    let again: Vec<String> = asked_since(world, before).intersection(had).cloned().collect();
    ensure(again.is_empty(), format_args!("asked for again: {again:?}"))
}

#[test]
fn a_pull_given_up_at_any_point_leaves_what_it_has_brought_to_the_next() {
    every_point(async |world, at| {
        let app = image(1);
        world.registry().push("app", Some("1"), &app);
        let (came, had) = interrupted(world, at).await?;
        world.gate().open();
        goes_on(world, &app, &had).await?;
        Ok(came)
    });
}

#[test]
fn a_pull_killed_at_any_point_leaves_what_it_has_brought_to_the_next() {
    every_point(async |world, at| {
        let app = image(1);
        world.registry().push("app", Some("1"), &app);
        let (came, had) = interrupted(world, at).await?;
        world.restart_daemon();
        world.gate().open();
        goes_on(world, &app, &had).await?;
        Ok(came)
    });
}

#[test]
fn a_daemon_killed_at_any_point_of_putting_an_interrupted_pull_away_loses_nothing_of_it() {
    every_point(async |world, at| {
        let app = image(1);
        world.registry().push("app", Some("1"), &app);
        let gate = world.gate().clone();
        gate.close();
        // The first layer is there.
        at.after(1, "Snapshots/Commit");
        let done = at.until(&gate, "interrupt", world.daemon().pull(&on_host("app:1"))).await;
        ensure(done.is_none(), "the pull ended first")?;
        let had = brought(world);
        at.again();
        let quiet = async { tokio::time::sleep(SHORTLY).await };
        let came = at.until(&gate, "kill", quiet).await.is_none();
        world.restart_daemon();
        gate.open();
        goes_on(world, &app, &had).await?;
        Ok(came)
    });
}

/// A base that is fetched at once, and a layer of several messages.
fn large() -> Image {
    let base = Layer::random("base", 200, 7, Compression::Gzip);
    ImageBuilder::new().layer(base).layer(Layer::random("large", 3 << 20, 8, Compression::Gzip)).build()
}

/// The bytes of an unfinished write can be read where containerd's directories can be.
#[test]
fn a_layer_interrupted_in_its_midst_is_fetched_from_there() {
    let (app, resumed) = (large(), std::cell::Cell::new(0));
    every_point(async |world, at| {
        world.registry().push("app", Some("1"), &app);
        // So that there are points in its midst.
        let of_large = registry::Match::path(app.layer_blobs()[1].digest());
        world.registry().inject(registry::Rule::new(of_large, registry::Fault::Reset(600 << 10)));
        let (came, _) = interrupted(world, at).await?;
        world.gate().open();
        tokio::time::sleep(SHORTLY).await;
        let before = world.registry().requests().len();
        pull_works(world, &app, "app", "1").await?;
        resumed.set(
            resumed.get()
                + usize::from(
                    begun_at(world, before, app.layer_blobs()[1].digest()).is_some_and(|byte| byte > 0),
                ),
        );
        Ok(came)
    });
    assert!(resumed.get() > 5, "resumed at {} points", resumed.get());
}

/// containerd hashes an unfinished write when it is opened again, which takes it longer the more is there.
#[test]
fn a_layer_whose_resumption_takes_containerd_too_long_is_fetched_anew() {
    let app = large();
    every_point(async |world, at| {
        // Longer than containerd is waited for.
        world.keep_interrupted_for(Duration::from_secs(600));
        world.restart_daemon();
        told(world.daemon().until_ready().await)?;
        world.registry().push("app", Some("1"), &app);
        let (came, _) = interrupted(world, at).await?;
        world.gate().open();
        tokio::time::sleep(SHORTLY).await;
        if world.inventory().ingests.is_empty() {
            return Ok(came);
        }
        let large = format!("layer-{}", app.layer_blobs()[1].digest());
        world
            .containerd()
            .inject(Rule::new(Match::method("Content/Write").subject(&large), Fault::Stall).times(1));
        if world.daemon().pull(&on_host("app:1")).await.is_ok() {
            // It was there.
            return Ok(came);
        }
        let before = world.registry().requests().len();
        pull_works(world, &app, "app", "1").await?;
        let byte =
            begun_at(world, before, app.layer_blobs()[1].digest()).ok_or("the layer was not asked for")?;
        ensure(byte == 0, format_args!("the layer was asked for from byte {byte} on"))?;
        Ok(came)
    });
}

#[test]
fn a_registry_that_goes_away_in_the_midst_of_a_pull_costs_nothing_of_what_came() {
    every_point(async |world, at| {
        let app = image(1);
        world.registry().push("app", Some("1"), &app);
        let gate = world.gate().clone();
        gate.close();
        let had = RefCell::default();
        let away = async {
            had.replace(brought(world));
            world.registry().inject(registry::Rule::new(registry::Match::any(), registry::Fault::Disconnect));
        };
        let (pulled, came) = at.beside(&gate, "away", world.daemon().pull(&on_host("app:1")), away).await;
        gate.open();
        world.registry().heal();
        if pulled.is_err() {
            let leases = world.inventory().leases;
            let is_put_away = leases.keys().all(|lease| lease.ends_with("-next"));
            ensure(is_put_away, format_args!("the pull has ended: {leases:?}"))?;
            goes_on(world, &app, &had.into_inner()).await?;
        }
        Ok(came)
    });
}

/// What is lost is the answer of containerd at the next start, to each call in turn.
#[test]
fn a_killed_pull_is_kept_for_the_next_though_containerd_does_not_answer_at_the_start() {
    every_point(async |world, at| {
        let app = image(1);
        world.registry().push("app", Some("1"), &app);
        let gate = world.gate().clone();
        gate.close();
        at.after(1, "Snapshots/Commit");
        let done = at.until(&gate, "kill", world.daemon().pull(&on_host("app:1"))).await;
        ensure(done.is_none(), "the pull ended first")?;
        let had = brought(world);
        let seen = fault_at(world, "daemon2", at.step(), Fault::LoseReply);
        world.restart_daemon();
        gate.open();
        tokio::time::sleep(SHORTLY).await;
        let came = seen.load(Ordering::Relaxed) > at.step();
        world.containerd().heal();
        goes_on(world, &app, &had).await?;
        Ok(came)
    });
}

/// It costs the next pull bytes; it must not keep the daemon from being ready.
#[test]
fn a_killed_pull_that_containerd_does_not_let_be_kept_stops_nobody() {
    every_point(async |world, at| {
        let app = image(1);
        world.registry().push("app", Some("1"), &app);
        let gate = world.gate().clone();
        gate.close();
        at.after(1, "Snapshots/Commit");
        let done = at.until(&gate, "kill", world.daemon().pull(&on_host("app:1"))).await;
        ensure(done.is_none(), "the pull ended first")?;
        let kept = Match::method("Leases/Create").subject("-next");
        world.containerd().inject(Rule::new(kept, Fault::Fail(Code::Internal, "planted".to_owned())));
        world.restart_daemon();
        gate.open();
        told(world.daemon().until_ready().await)?;
        world.containerd().heal();
        pull_works(world, &app, "app", "1").await?;
        Ok(at.step() == 0)
    });
}

/// All is there, and the pull does not know of the last snapshot.
#[test]
fn a_pull_that_containerd_stops_to_answer_costs_nothing_of_what_came() {
    every_point(async |world, at| {
        let app = image(1);
        world.registry().push("app", Some("1"), &app);
        let top = app.chain_ids().pop().expect("an image with layers");
        let committed = Match::method("Snapshots/Commit").subject(&top);
        world.containerd().inject(Rule::new(committed, Fault::LoseReply));
        ensure(world.daemon().pull(&on_host("app:1")).await.is_err(), "it succeeded")?;
        world.containerd().heal();
        let blobs = app.layer_blobs().iter().chain([app.config(), app.manifest()]);
        let all = blobs.map(|blob| blob.digest().to_owned()).chain(app.chain_ids()).collect();
        goes_on(world, &app, &all).await?;
        Ok(at.step() == 0)
    });
}

#[test]
fn what_an_interrupted_pull_left_goes_in_time_where_no_other_comes() {
    every_point(async |world, at| {
        let app = image(1);
        world.registry().push("app", Some("1"), &app);
        let (came, _) = interrupted(world, at).await?;
        if !there_or_gone(world, &app, "app", "1").await? {
            ensure(brought(world).is_empty(), "content is left")?;
        }
        Ok(came)
    });
}

/// A power cut may have taken what was not synced.
#[test]
fn what_an_interrupted_pull_left_before_a_restart_of_the_machine_is_not_used() {
    every_point(async |world, at| {
        let app = image(1);
        world.registry().push("app", Some("1"), &app);
        let (came, _) = interrupted(world, at).await?;
        if at.step() % 2 == 0 {
            // Put away already, at some points.
            world.gate().open();
            tokio::time::sleep(SHORTLY).await;
        }
        world.reboot();
        world.gate().open();
        tokio::time::sleep(SHORTLY).await;
        if records(world, &app).is_empty() {
            ensure(brought(world).is_empty(), "content is left")?;
        }
        pull_works(world, &app, "app", "1").await?;
        Ok(came)
    });
}

#[test]
fn a_full_disk_takes_what_interrupted_pulls_left() {
    every_point(async |world, at| {
        let (app, other) = (image(1), image(2));
        world.registry().push("app", Some("1"), &app);
        world.registry().push("other", Some("1"), &other);
        let (came, had) = interrupted(world, at).await?;
        world.gate().open();
        tokio::time::sleep(SHORTLY).await;
        let full = Fault::Fail(Code::Unknown, "write: no space left on device".into());
        world.containerd().inject(Rule::new(Match::method("Content/Write"), full).times(1));
        ensure(world.daemon().pull(&on_host("other:1")).await.is_err(), "the disk is not full")?;
        let is_left = had.iter().any(|digest| brought(world).contains(digest));
        ensure(!is_left || !records(world, &app).is_empty(), "something is left")?;
        Ok(came)
    });
}

#[test]
fn a_removal_takes_what_an_interrupted_pull_of_the_same_name_left() {
    every_point(async |world, at| {
        let (old, app) = (image(1), image(2));
        world.registry().push("app", Some("1"), &old);
        told(world.daemon().pull(&on_host("app:1")).await)?;
        world.registry().push("app", Some("1"), &app);
        let (came, _) = interrupted(world, at).await?;
        world.gate().open();
        tokio::time::sleep(SHORTLY).await;
        told(world.daemon().store().remove(&on_host("app:1")).await)?;
        let is_left = brought(world).contains(app.config().digest());
        ensure(!is_left || !records(world, &app).is_empty(), "the config is left")?;
        Ok(came)
    });
}
