//! Images that have layers in common, and names for them.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use containerd::{ErrorKind, Ingest, IngestStart, Prepared};
use oci::Descriptor;
use puller::Origin;
use scenarios::{Unpacking, World, image, on_host, run};
use sim::containerd::{Fault, Match, Rule};
use sim::image::{Compression, File, Image, ImageBuilder, Layer};
use sim::registry;
use sim::schedule::Script;
use tokio::time::Instant;

use crate::expect::{fully_gone, fully_there, pull_works, there_or_gone};
use crate::explore::{Told, ensure, every_point, seeds, told};

/// 30 seeds.
#[test]
fn two_pulls_that_share_a_layer_fetch_it_once() {
    seeds(0..30, async |world| {
        let (one, two) = (image(1), image(2));
        world.registry().push("app", Some("1"), &one);
        world.registry().push("app", Some("2"), &two);
        world.gate().close();
        let (first, second) = (on_host("app:1"), on_host("app:2"));
        let (first, second) = futures::join!(world.daemon().pull(&first), world.daemon().pull(&second));
        told(first)?;
        told(second)?;
        told(world.check_fetched_once())?;
        fully_there(world, &one, "app", "1").await?;
        fully_there(world, &two, "app", "2").await
    });
}

/// 30 seeds.
#[test]
fn a_pull_does_not_go_on_with_a_layer_that_another_one_found_to_be_wrong() {
    let failed = Cell::new(0);
    seeds(0..30, async |world| {
        let of = |number: u8| {
            let shared = Layer::random("shared", 5 << 19, 8, Compression::Gzip);
            let own = Layer::random("own", 100, u64::from(number), Compression::Gzip);
            ImageBuilder::new().layer(own).layer(shared).build()
        };
        let (one, two) = (of(1), of(2));
        world.registry().push("app", Some("1"), &one);
        world.registry().push("app", Some("2"), &two);
        let of_shared = registry::Match::path(one.layer_blobs()[1].digest());
        world.registry().inject(registry::Rule::new(of_shared, registry::Fault::Corrupt(1000)).times(1));
        let slowly = Fault::Delay(Duration::from_secs(2));
        world.containerd().inject(Rule::new(Match::method("Content/Abort"), slowly));
        world.gate().close();
        let (first, second) = (on_host("app:1"), on_host("app:2"));
        let (first, second) = futures::join!(world.daemon().pull(&first), world.daemon().pull(&second));
        world.gate().open();
        failed.set(failed.get() + usize::from(first.is_err() || second.is_err()));
        ensure(first.is_ok() || second.is_ok(), "the wrong bytes were met by both")?;
        pull_works(world, &one, "app", "1").await?;
        pull_works(world, &two, "app", "2").await
    });
    assert!(failed.get() > 20, "only {} runs met the wrong bytes", failed.get());
}

#[test]
fn an_image_removed_at_any_point_of_the_pull_of_one_that_shares_a_layer_takes_nothing_of_it() {
    every_point(async |world, at| {
        let (one, two) = (image(1), image(2));
        world.registry().push("app", Some("1"), &one);
        world.registry().push("app", Some("2"), &two);
        let (first, second) = (on_host("app:1"), on_host("app:2"));
        told(world.daemon().pull(&first).await)?;
        let gate = world.gate().clone();
        gate.close();
        let removed = std::cell::Cell::new(Ok(()));
        let remove = async { removed.set(world.daemon().store().remove(&first).await) };
        let (pulled, came) = at.beside(&gate, "remove", world.daemon().pull(&second), remove).await;
        told(pulled)?;
        told(removed.into_inner())?;
        fully_there(world, &two, "app", "2").await?;
        ensure(there_or_gone(world, &one, "app", "1").await? != came, "removed or not")?;
        Ok(came)
    });
}

/// 20 seeds.
#[test]
fn two_images_that_share_a_layer_are_removed_side_by_side() {
    seeds(0..20, async |world| {
        let (one, two) = (image(1), image(2));
        world.registry().push("app", Some("1"), &one);
        world.registry().push("app", Some("2"), &two);
        pull_works(world, &one, "app", "1").await?;
        pull_works(world, &two, "app", "2").await?;
        world.gate().close();
        let store = world.daemon().store();
        let (first, second) = (on_host("app:1"), two.config().digest().to_owned());
        let (first, second) = futures::join!(store.remove(&first), store.remove(&second));
        told(first)?;
        told(second)?;
        fully_gone(world, &one).await?;
        fully_gone(world, &two).await
    });
}

/// Without this, a daemon that never unpacks by itself would pass all scenarios of that way. Needs root, as that way does.
#[test]
fn the_daemon_unpacks_by_itself_where_the_snapshots_are_on_its_machine() {
    for unpacking in Unpacking::ALL {
        let run = run(unpacking, Script::new([]), async |world| {
            world.registry().push("app", Some("1"), &image(1));
            world.gate().close();
            told(world.daemon().pull(&on_host("app:1")).await).map(drop)
        });
        assert_eq!(run.outcome, Ok(()));
        let is_applied = run.log.iter().any(|line| line.contains("Diff/Apply"));
        assert_eq!(is_applied, unpacking == Unpacking::Differ, "{unpacking:?}:\n{}", run.log.join("\n"));
    }
}

/// A file of the base is linked into the layer above it, in a directory that no entry makes.
#[test]
fn layers_that_the_daemon_unpacks_by_itself_are_where_containerd_mounts_them() {
    let run = run(Unpacking::Direct, Script::new([]), async |world| {
        let base = Layer::new([File::directory("etc"), File::regular("etc/os", "base")], Compression::Gzip);
        let top = [File::hardlink("opt/linked", "etc/os"), File::regular("opt/top", "top")];
        let app = ImageBuilder::new().layer(base).layer(Layer::new(top, Compression::Gzip)).build();
        world.registry().push("app", Some("1"), &app);
        told(world.daemon().pull(&on_host("app:1")).await)?;
        let parent = app.chain_ids().pop().unwrap();
        let prepared = told(world.ctr_snapshots().prepare("theirs", &parent, &BTreeMap::new()).await)?;
        let Prepared::Active(mounts) = prepared else { return Err("it is there".to_owned()) };
        let lower = mounts[0].options.iter().find_map(|option| option.strip_prefix("lowerdir="));
        let lower: Vec<&Path> = lower.ok_or("no overlay")?.split(':').map(Path::new).collect();
        let file = |layer: usize, path: &str| {
            let path = lower[layer].join(path);
            std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
        };
        ensure(file(1, "etc/os")? == "base", "the base")?;
        ensure(file(0, "opt/top")? == "top", "the top")?;
        ensure(file(0, "opt/linked")? == "base", "the link")
    });
    assert_eq!(run.outcome, Ok(()), "{}", run.log.join("\n"));
}

/// A second directory to unpack into is for the layers above the first.
#[test]
fn an_image_of_one_layer_is_one_snapshot_from_the_beginning() {
    every_point(async |world, at| {
        let app = of_messages();
        world.registry().push("app", Some("1"), &app);
        let prepared = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&prepared);
        world.containerd().inject_by(move |call| {
            count.fetch_add(usize::from(call.method == "Snapshots/Prepare"), Ordering::Relaxed);
            None
        });
        pull_works(world, &app, "app", "1").await?;
        let prepared = prepared.load(Ordering::Relaxed);
        ensure(prepared == 1, format_args!("{prepared} snapshots were begun"))?;
        Ok(at.step() == 0)
    });
}

/// By `ctr content fetch`, say. The next pull of another image must know what they unpack to.
#[test]
fn layers_that_another_client_brought_get_their_label() {
    every_point(async |world, at| {
        let app = image(1);
        world.registry().push("app", Some("1"), &app);
        for blob in app.layer_blobs() {
            let descriptor = Descriptor::new(blob.media_type(), told(blob.digest().parse())?, blob.size());
            let IngestStart::Open(mut ingest) =
                told(world.ctr().content().ingest(blob.digest(), &descriptor).await)?
            else {
                return Err("it is there".to_owned());
            };
            told(ingest.write(blob.bytes().clone()).await)?;
            told(ingest.commit(&BTreeMap::new()).await)?;
        }
        pull_works(world, &app, "app", "1").await?;
        let content = world.inventory().content;
        for (blob, layer) in app.layer_blobs().iter().zip(app.layers()) {
            let label = content[blob.digest()].labels.get("containerd.io/uncompressed");
            ensure(label.map(String::as_str) == Some(layer.diff_id()), format_args!("{label:?}"))?;
        }
        Ok(at.step() == 0)
    });
}

/// The time in a gzip header, which no uncompressed byte follows from.
#[test]
fn a_layer_with_other_bytes_that_unpack_alike_is_the_registry_s_fault() {
    every_point(async |world, at| {
        let app = image(1);
        world.registry().push("app", Some("1"), &app);
        let layer = registry::Match::path(app.layer_blobs()[at.step()].digest());
        world.registry().inject(registry::Rule::new(layer, registry::Fault::Corrupt(4)));
        let error = world.daemon().pull(&on_host("app:1")).await.err().ok_or("it succeeded")?;
        ensure(error.origin() == Origin::Registry, format_args!("{error:?}"))?;
        fully_gone(world, &app).await?;
        world.registry().heal();
        pull_works(world, &app, "app", "1").await?;
        Ok(at.step() == 0)
    });
}

#[test]
fn layers_come_while_containerd_unpacks_one() {
    let run = run(Unpacking::Differ, Script::new([]), async |world| {
        let layers = (0..6).map(|seed| Layer::random("layer", 100, seed, Compression::Gzip));
        let app = layers.fold(ImageBuilder::new(), ImageBuilder::layer).build();
        world.registry().push("app", Some("1"), &app);
        let slowly = Fault::Delay(Duration::from_secs(5));
        world.containerd().inject(Rule::new(Match::method("Diff/Apply"), slowly));
        let name = on_host("app:1");
        let mut pull = std::pin::pin!(world.daemon().pull(&name));
        let first = tokio::time::timeout(Duration::from_secs(4), &mut pull).await;
        ensure(first.is_err(), "containerd was fast")?;
        let content = world.inventory().content;
        let missing = app.layer_blobs().iter().filter(|layer| !content.contains_key(layer.digest()));
        ensure(missing.count() == 0, "layers wait for containerd")?;
        told(pull.await)?;
        fully_there(world, &app, "app", "1").await
    });
    assert_eq!(run.outcome, Ok(()), "{}", run.log.join("\n"));
}

#[test]
fn the_beginning_of_an_id_is_the_image_where_it_is_the_only_one_and_an_error_else() {
    // Of so many images two ids begin with the same digit.
    const IMAGES: u64 = 17;
    let run = run(Unpacking::Differ, Script::new([]), async |world| {
        let mut ids = Vec::new();
        for number in 0..IMAGES {
            let repository = format!("app{number}");
            world.registry().push(&repository, Some("1"), &image(number));
            told(world.daemon().pull(&on_host(&format!("{repository}:1"))).await)?;
            ids.push(image(number).config().digest().to_owned());
        }
        let hex = |id: &str| id.trim_start_matches("sha256:").to_owned();
        let store = world.daemon().store();
        for id in &ids {
            for length in 1..=64 {
                let prefix = &hex(id)[..length];
                let fitting = ids.iter().filter(|id| hex(id).starts_with(prefix)).count();
                match (store.status(prefix).await, fitting) {
                    (Ok(Some(image)), 1) if image.id().as_str() == id => {}
                    (Err(error), 2..) if error.to_string().contains("give more of it") => {}
                    (answer, _) => return Err(format!("`{prefix}`, which {fitting} fit: {answer:?}")),
                }
            }
        }
        let ambiguous = ids.iter().find_map(|id| {
            let first = hex(id)[..1].to_owned();
            (ids.iter().filter(|id| hex(id).starts_with(&first)).count() > 1).then_some(first)
        });
        let ambiguous = ambiguous.ok_or("no two ids begin alike")?;
        ensure(store.remove(&ambiguous).await.is_err(), "an ambiguous removal went through")?;
        ensure(told(store.list().await)?.len() == ids.len(), "it removed something")?;
        told(store.remove(&hex(&ids[0])[..12]).await)?;
        fully_gone(world, &image(0)).await?;
        ensure(told(world.daemon().store().list().await)?.len() == ids.len() - 1, "it removed another")
    });
    assert_eq!(run.outcome, Ok(()));
}

/// Longest time without a new byte, and a pause between two.
const STALL: Duration = Duration::from_secs(300);
const PAUSE: Duration = Duration::from_secs(250);

/// Another client that begins to write the first layer of `image`.
async fn foreign_write(world: &World, image: &Image) -> Told<Ingest> {
    let blob = &image.layer_blobs()[0];
    let descriptor = Descriptor::new(blob.media_type(), told(blob.digest().parse())?, blob.size());
    let name = format!("layer-{}", blob.digest());
    match told(world.ctr().content().ingest(&name, &descriptor).await)? {
        IngestStart::Open(ingest) => Ok(*ingest),
        IngestStart::Exists => Err("it is there".to_owned()),
    }
}

/// A layer of several messages.
fn of_messages() -> Image {
    let layer = Layer::random("large", 3 << 19, 7, Compression::None);
    ImageBuilder::new().layer(layer).build()
}

#[test]
fn a_layer_that_another_client_writes_is_waited_for_while_it_comes() {
    every_point(async |world, at| {
        let app = of_messages();
        world.registry().push("app", Some("1"), &app);
        let bytes = app.layer_blobs()[0].bytes().clone();
        let mut ingest = foreign_write(world, &app).await?;
        let writes = async {
            for part in bytes.chunks(1 << 20) {
                tokio::time::sleep(PAUSE).await;
                ensure(world.daemon().puller().in_flight() == 1, "no pull waits")?;
                told(ingest.write(part.to_vec().into()).await)?;
            }
            told(ingest.commit(&BTreeMap::new()).await)
        };
        let name = on_host("app:1");
        let (pulled, written) = futures::join!(world.daemon().pull(&name), writes);
        written?;
        told(pulled)?;
        ensure(world.daemon().puller().in_flight() == 0, "the pull is still counted")?;
        let fetched = world
            .registry()
            .requests()
            .into_iter()
            .any(|r| r.method == http::Method::GET && r.path.ends_with(app.layer_blobs()[0].digest()));
        ensure(!fetched, "the layer was fetched too")?;
        fully_there(world, &app, "app", "1").await?;
        Ok(at.step() == 0)
    });
}

#[test]
fn a_layer_that_another_client_stops_writing_is_an_error_in_time() {
    every_point(async |world, at| {
        let app = of_messages();
        world.registry().push("app", Some("1"), &app);
        let mut ingest = foreign_write(world, &app).await?;
        let tries = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&tries);
        world.containerd().inject_by(move |call| {
            let is_try = call.client == "daemon1" && call.method == "Content/Write";
            count.fetch_add(usize::from(is_try), Ordering::Relaxed);
            None
        });
        let part = app.layer_blobs()[0].bytes().slice(..1 << 19);
        let writes = async {
            tokio::time::sleep(PAUSE).await;
            ingest.write(part).await
        };
        let begun = Instant::now();
        let name = on_host("app:1");
        let (pulled, written) = futures::join!(world.daemon().pull(&name), writes);
        told(written)?;
        let waited = begun.elapsed();
        let error = pulled.err().ok_or("it succeeded")?.to_string();
        ensure(error.contains("is being written by another client"), error)?;
        let in_time = PAUSE + STALL..PAUSE + STALL + Duration::from_secs(3);
        ensure(in_time.contains(&waited), format_args!("after {waited:?}"))?;
        let tries = tries.load(Ordering::Relaxed);
        ensure(tries < 700, format_args!("{tries} tries"))?;
        drop(ingest);
        pull_works(world, &app, "app", "1").await?;
        Ok(at.step() == 0)
    });
}

/// What another client does with a layer's write that it finds free: the daemon's own, between its last byte in the file
/// and the commit.
#[derive(Clone, Copy, Debug)]
enum Meddling {
    BeginsAnew,
    Commits,
    Aborts,
}

/// Answers whether there was something to meddle with.
async fn meddle(world: &World, app: &Image, how: Meddling) -> Told<bool> {
    let blob = &app.layer_blobs()[0];
    let descriptor = Descriptor::new(blob.media_type(), told(blob.digest().parse())?, blob.size());
    let (content, name) = (world.ctr().content(), format!("layer-{}", blob.digest()));
    let mut ingest = match content.ingest(&name, &descriptor).await {
        Ok(IngestStart::Open(ingest)) if ingest.found() > 0 => *ingest,
        Err(error) if error.kind() != ErrorKind::Locked => return Err(error.to_string()),
        _ => return Ok(false),
    };
    match how {
        Meddling::BeginsAnew => {
            told(ingest.write("something else".into()).await)?;
            ensure(ingest.commit(&BTreeMap::new()).await.is_err(), "containerd took something else")?;
        }
        Meddling::Commits => {
            ingest.keep_found();
            told(ingest.commit(&BTreeMap::new()).await)?;
        }
        Meddling::Aborts => {
            drop(ingest);
            told(content.abort(&name).await)?;
        }
    }
    Ok(true)
}

#[test]
fn a_layer_whose_write_another_client_takes_before_it_is_content_is_there_all_the_same() {
    for how in [Meddling::BeginsAnew, Meddling::Commits, Meddling::Aborts] {
        let met = Cell::new(0);
        every_point(async |world, at| {
            let app = image(1);
            world.registry().push("app", Some("1"), &app);
            let gate = world.gate().clone();
            gate.close();
            let meddled = Cell::new(Ok(false));
            let meddles = async { meddled.set(meddle(world, &app, how).await) };
            let name = on_host("app:1");
            let (pulled, came) = at.beside(&gate, "meddle", world.daemon().pull(&name), meddles).await;
            met.set(met.get() + usize::from(meddled.into_inner()?));
            gate.open();
            told(pulled)?;
            fully_there(world, &app, "app", "1").await?;
            Ok(came)
        });
        assert!(met.get() > 0, "{how:?} met no free write");
    }
}
