//! containerd goes away and comes back, and with it the stream of events.

use std::time::Duration;

use scenarios::{image, on_host};
use sim::registry::{Fault, Match, Rule};

use crate::expect::{fully_there, is_shown, pull_works, records, there_or_gone};
use crate::explore::{ensure, every_point, late, seeds, told};

#[test]
fn a_containerd_restarted_at_any_point_of_a_pull_has_the_image_fully_or_not_at_all() {
    every_point(async |world, at| {
        let app = image(1);
        world.registry().push("app", Some("1"), &app);
        let gate = world.gate().clone();
        gate.close();
        let name = on_host("app:1");
        let restart = async { world.containerd().restart() };
        let (pulled, came) = at.beside(&gate, "restart", world.daemon().pull(&name), restart).await;
        let is_there = there_or_gone(world, &app, "app", "1").await?;
        ensure(is_there || pulled.is_err(), "a pull that succeeded is lost")?;
        pull_works(world, &app, "app", "1").await?;
        Ok(came)
    });
}

#[test]
fn a_containerd_away_for_a_second_at_any_point_of_a_pull_has_the_image_fully_or_not_at_all() {
    every_point(async |world, at| {
        let app = image(1);
        world.registry().push("app", Some("1"), &app);
        let gate = world.gate().clone();
        gate.close();
        let name = on_host("app:1");
        let outage = async {
            world.containerd().stop();
            tokio::time::sleep(Duration::from_secs(1)).await;
            world.containerd().start();
        };
        let (pulled, came) = at.beside(&gate, "outage", world.daemon().pull(&name), outage).await;
        let is_there = there_or_gone(world, &app, "app", "1").await?;
        ensure(is_there || pulled.is_err(), "a pull that succeeded is lost")?;
        pull_works(world, &app, "app", "1").await?;
        Ok(came)
    });
}

#[test]
fn a_containerd_restarted_at_any_point_of_a_removal_has_an_image_that_is_whole_or_gone() {
    every_point(async |world, at| {
        let app = image(1);
        world.registry().push("app", Some("1"), &app);
        let name = on_host("app:1");
        told(world.daemon().pull(&name).await)?;
        let gate = world.gate().clone();
        gate.close();
        let restart = async { world.containerd().restart() };
        let (removed, came) =
            at.beside(&gate, "restart", world.daemon().store().remove(&name), restart).await;
        told(world.check_at_rest().await)?;
        ensure(removed.is_err() || !is_shown(world, &name).await?, "a removed image is shown")?;
        told(world.daemon().store().remove(app.config().digest()).await)?;
        crate::expect::fully_gone(world, &app).await?;
        Ok(came)
    });
}

/// The stream breaks, and what other clients change before it is there again sends its events to nobody.
#[test]
fn changes_whose_events_are_lost_are_seen_when_the_stream_is_there_again() {
    every_point(async |world, at| {
        let (app, other) = (image(1), image(2));
        world.registry().push("app", Some("1"), &app);
        world.registry().push("other", Some("1"), &other);
        told(world.daemon().pull(&on_host("app:1")).await)?;
        told(world.daemon().pull(&on_host("other:1")).await)?;
        let images = world.ctr_images();
        let mut tag = told(images.get(&on_host("app:1")).await)?;
        tag.name = on_host("app:2");
        let gate = world.gate().clone();
        gate.close();
        world.containerd().restart();
        let change = async {
            images.create(&tag).await.unwrap();
            for name in crate::expect::names(&other, "other", "1") {
                images.delete(&name, None, false).await.unwrap();
            }
        };
        // The daemon notices the break, builds its index anew, and is idle again.
        let mut readiness = world.daemon().store().readiness();
        let rebuilt = async {
            readiness.wait_for(|state| *state != imagestore::Readiness::Ready).await.unwrap();
            readiness.wait_for(|state| *state == imagestore::Readiness::Ready).await.unwrap();
        };
        let ((), came) = at.beside(&gate, "change", rebuilt, change).await;
        told(world.check_at_rest().await)?;
        ensure(is_shown(world, &on_host("app:2")).await? == came, "a tag that was created is not shown")?;
        ensure(
            is_shown(world, other.config().digest()).await? != came,
            "an image that was deleted is shown",
        )?;
        fully_there(world, &app, "app", "1").await?;
        Ok(came)
    });
}

/// The stream breaks while the registry lets the pull wait for a layer, and the store is built anew meanwhile: the lease
/// that it finds is no leftover. The seconds are the paused clock's.
#[test]
fn a_recovery_during_a_pull_of_this_process_leaves_it_alone() {
    every_point(async |world, at| {
        let app = image(1);
        world.registry().push("app", Some("1"), &app);
        let blobs = Match::path("/blobs/").method(http::Method::GET);
        let wait = Rule::new(blobs, Fault::Delay(Duration::from_secs(5)));
        world.registry().inject(wait.skip(u32::try_from(at.step()).unwrap()).times(1));
        let name = on_host("app:1");
        let lose = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            world.containerd().break_subscriptions("daemon1")
        };
        let (pulled, broken) = futures::join!(world.daemon().pull(&name), lose);
        told(pulled)?;
        ensure(broken == 1, "there was no stream to break")?;
        fully_there(world, &app, "app", "1").await?;
        Ok(at.step() < app.layer_blobs().len())
    });
}

/// Where the pull fails for it, what it wrote may be the other client's by then.
#[test]
fn a_tag_that_another_client_writes_again_before_containerd_goes_at_any_point_of_a_pull_stays() {
    every_point(async |world, at| {
        let app = image(1);
        world.registry().push("app", Some("1"), &app);
        let gate = world.gate().clone();
        gate.close();
        let name = on_host("app:1");
        let images = world.ctr_images();
        let mut written = false;
        let write = async {
            if let Ok(record) = images.get(&name).await {
                written = images.update(&record).await.is_ok();
            }
            world.containerd().restart();
        };
        let (_pulled, came) = at.beside(&gate, "write and restart", world.daemon().pull(&name), write).await;
        there_or_gone(world, &app, "app", "1").await?;
        ensure(!written || records(world, &app).contains(&name), "the tag is gone")?;
        pull_works(world, &app, "app", "1").await?;
        Ok(came)
    });
}

/// 60 seeds: the list must be read between the first record and the last one.
#[test]
fn an_image_that_is_pulled_again_while_the_daemon_starts_is_listed_as_soon_as_it_is_ready() {
    seeds(0..60, async |world| {
        let app = image(1);
        world.registry().push("app", Some("1"), &app);
        let name = on_host("app:1");
        told(world.daemon().pull(&name).await)?;
        world.gate().close();
        world.restart_daemon();
        let list = async {
            told(world.daemon().until_ready().await)?;
            told(world.daemon().store().list().await)
        };
        let (pulled, listed) = futures::join!(world.daemon().pull(&name), list);
        told(pulled)?;
        ensure(listed?.len() == 1, "it is not listed")
    });
}

/// The tag is read for the index before it is deleted, and entered after the index was built anew: that its record came and
/// went was told to nobody.
#[test]
fn a_tag_that_is_deleted_while_its_pull_enters_it_and_the_stream_is_broken_is_gone() {
    const TAG_IS_CREATED: &str = "Images/Create localhost:5000/app:1 >";
    const TAG_IS_READ: &str = "Images/Get localhost:5000/app:1 <";
    late(&["break", TAG_IS_CREATED, "deletion", TAG_IS_READ], async |world| {
        let app = image(1);
        world.registry().push("app", Some("1"), &app);
        let gate = world.gate();
        gate.close();
        let (name, images) = (on_host("app:1"), world.ctr_images());
        let others = async {
            gate.pass("break").await;
            world.containerd().break_subscriptions("daemon1");
            gate.pass("deletion").await;
            told(images.delete(&name, None, false).await)?;
            // Until the daemon has subscribed again and listed the records.
            for _ in 0..500 {
                gate.pass("after the deletion").await;
            }
            Ok::<_, String>(())
        };
        let (pulled, others) = futures::join!(world.daemon().pull(&name), others);
        others?;
        told(pulled)?;
        told(world.check_at_rest().await)?;
        ensure(!is_shown(world, &name).await?, "a deleted tag is shown")
    });
}
