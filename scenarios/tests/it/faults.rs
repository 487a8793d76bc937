//! One call to containerd goes wrong, each call of a pull in turn.

use std::sync::atomic::Ordering;

use scenarios::{World, image, on_host};
use sim::containerd::{Fault, Match, Rule};
use tokio::time::Instant;
use tonic::Code;

use crate::expect::{fully_there, pull_works, records, there_or_gone};
use crate::explore::{At, Told, ensure, every_point, fault_at, told};

/// The pull may succeed or fail. Where it succeeded the image is there; where it failed it is there or gone, and the
/// next pull works.
async fn pull_with(world: &World, at: &At, fault: Fault) -> Told<bool> {
    let app = image(1);
    world.registry().push("app", Some("1"), &app);
    let seen = fault_at(world, "daemon1", at.step(), fault);
    world.gate().close();
    let pulled = world.daemon().pull(&on_host("app:1")).await;
    world.settle().await;
    world.containerd().heal();
    match pulled {
        Ok(_) => fully_there(world, &app, "app", "1").await?,
        Err(_) => drop(there_or_gone(world, &app, "app", "1").await?),
    }
    pull_works(world, &app, "app", "1").await?;
    Ok(seen.load(Ordering::Relaxed) > at.step())
}

#[test]
fn a_pull_during_which_the_reply_of_any_call_is_lost_leaves_no_half_image() {
    every_point(async |world, at| pull_with(world, at, Fault::LoseReply).await);
}

#[test]
fn a_pull_during_which_the_connection_breaks_after_any_call_leaves_no_half_image() {
    every_point(async |world, at| pull_with(world, at, Fault::DisconnectAfter).await);
}

/// Where the call is the one that deletes the lease, the pull has succeeded and its lease stays until recovery comes.
#[test]
fn a_tag_that_another_client_deletes_after_a_pull_that_lost_its_connection_stays_deleted() {
    every_point(async |world, at| {
        let app = image(1);
        world.registry().push("app", Some("1"), &app);
        let seen = fault_at(world, "daemon1", at.step(), Fault::Disconnect);
        world.gate().close();
        let pulled = world.daemon().pull(&on_host("app:1")).await;
        if pulled.is_ok() {
            told(world.ctr_images().delete(&on_host("app:1"), None, false).await)?;
        }
        world.settle().await;
        world.containerd().heal();
        told(world.check_at_rest().await)?;
        let is_back = pulled.is_ok() && records(world, &app).contains(&on_host("app:1"));
        ensure(!is_back, "the tag is back")?;
        pull_works(world, &app, "app", "1").await?;
        Ok(seen.load(Ordering::Relaxed) > at.step())
    });
}

/// The record of the tag is not the pull's own: a pull that does not know whether it moved it must not take it back.
#[test]
fn a_pull_that_moves_a_tag_and_loses_the_reply_of_any_call_keeps_the_tag() {
    every_point(async |world, at| {
        let (old, new) = (image(1), image(2));
        world.registry().push("app", Some("1"), &old);
        told(world.daemon().pull(&on_host("app:1")).await)?;
        world.registry().push("app", Some("1"), &new);
        let seen = fault_at(world, "daemon1", at.step(), Fault::LoseReply);
        world.gate().close();
        // It may succeed or fail.
        let _ = world.daemon().pull(&on_host("app:1")).await;
        world.settle().await;
        world.containerd().heal();
        told(world.check_at_rest().await)?;
        let has_tag = |image| records(world, image).contains(&on_host("app:1"));
        ensure(has_tag(&old) || has_tag(&new), "the tag is gone")?;
        pull_works(world, &new, "app", "1").await?;
        Ok(seen.load(Ordering::Relaxed) > at.step())
    });
}

/// Nothing but the subscription breaks, and while there is none another client makes a tag and deletes one.
#[test]
fn events_lost_at_any_point_of_a_pull_leave_the_index_true() {
    every_point(async |world, at| {
        let (app, other) = (image(1), image(2));
        world.registry().push("app", Some("1"), &app);
        world.registry().push("other", Some("1"), &other);
        told(world.daemon().pull(&on_host("other:1")).await)?;
        let images = world.ctr_images();
        let mut tag = told(images.get(&on_host("other:1")).await)?;
        tag.name = on_host("other:2");
        let gate = world.gate().clone();
        gate.close();
        let lose = async {
            world.containerd().break_subscriptions("daemon1");
            images.create(&tag).await.unwrap();
            images.delete(&on_host("other:1"), None, false).await.unwrap();
        };
        let name = on_host("app:1");
        let (pulled, came) = at.beside(&gate, "lose events", world.daemon().pull(&name), lose).await;
        told(pulled)?;
        fully_there(world, &app, "app", "1").await?;
        let tags = told(world.daemon().store().status(other.config().digest()).await)?.ok_or("gone")?;
        let expected = on_host(if came { "other:2" } else { "other:1" });
        crate::explore::ensure(tags.repo_tags == [expected], format_args!("{:?}", tags.repo_tags))?;
        Ok(came)
    });
}

/// The plugin has no such image, it does not answer, or containerd runs without it.
#[test]
fn a_pull_whose_image_the_plugin_does_not_show_is_an_error_and_the_image_is_there() {
    for (code, within) in [(Code::NotFound, 31), (Code::Unavailable, 31), (Code::Unimplemented, 1)] {
        every_point(async |world, at| {
            let app = image(1);
            world.registry().push("app", Some("1"), &app);
            let asked = Match::method("ImageService/ImageStatus");
            world.containerd().inject(Rule::new(asked, Fault::Fail(code, "planted".to_owned())));
            let begun = Instant::now();
            let pulled = world.daemon().pull(&on_host("app:1")).await;
            let error = pulled.err().ok_or("it succeeded")?.to_string();
            ensure(error.contains("CRI plugin does not show image"), error)?;
            let waited = begun.elapsed().as_secs();
            let in_time = waited <= within && (waited >= 30 || within < 30);
            ensure(in_time, format_args!("after {waited} s"))?;
            world.containerd().heal();
            pull_works(world, &app, "app", "1").await?;
            Ok(at.step() == 0)
        });
    }
}
