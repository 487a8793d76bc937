//! Pulls of one reference at the same time.

use scenarios::{image, on_host};

use crate::expect::{fully_gone, fully_there, pull_works};
use crate::explore::{ensure, every_point, seeds, told};

#[test]
fn a_leader_cancelled_at_any_point_leaves_the_pull_to_those_who_wait() {
    every_point(async |world, at| {
        let app = image(1);
        world.registry().push("app", Some("1"), &app);
        let gate = world.gate().clone();
        gate.close();
        let name = on_host("app:1");
        let leader = at.until(&gate, "cancel", world.daemon().pull(&name));
        let (leader, second, third) =
            futures::join!(leader, world.daemon().pull(&name), world.daemon().pull(&name));
        let came = leader.is_none();
        told(second)?;
        told(third)?;
        fully_there(world, &app, "app", "1").await?;
        told(world.check_fetched_once())?;
        Ok(came)
    });
}

#[test]
fn a_pull_whose_callers_are_all_cancelled_at_any_point_leaves_nothing_or_the_image() {
    every_point(async |world, at| {
        let app = image(1);
        world.registry().push("app", Some("1"), &app);
        let gate = world.gate().clone();
        gate.close();
        let name = on_host("app:1");
        let both = async { futures::join!(world.daemon().pull(&name), world.daemon().pull(&name)) };
        let came = at.until(&gate, "cancel", both).await.is_none();
        ensure(world.daemon().puller().in_flight() == 0, "a pull nobody wants is in flight")?;
        crate::expect::there_or_gone(world, &app, "app", "1").await?;
        pull_works(world, &app, "app", "1").await?;
        Ok(came)
    });
}

/// A pull that comes at any point of another, and at its very end begins anew.
#[test]
fn a_second_caller_at_any_point_of_a_pull_fetches_no_blob_twice() {
    every_point(async |world, at| {
        let app = image(1);
        world.registry().push("app", Some("1"), &app);
        let gate = world.gate().clone();
        gate.close();
        let name = on_host("app:1");
        let second = std::cell::Cell::new(None);
        let join = async { second.set(Some(world.daemon().pull(&name).await)) };
        let (first, came) = at.beside(&gate, "join", world.daemon().pull(&name), join).await;
        told(first)?;
        second.into_inner().map_or(Ok(()), |second| told(second).map(drop))?;
        fully_there(world, &app, "app", "1").await?;
        told(world.check_fetched_once())?;
        Ok(came)
    });
}

#[test]
fn a_caller_who_comes_after_the_tag_was_deleted_at_any_point_of_a_pull_has_it_again() {
    every_point(async |world, at| {
        let app = image(1);
        world.registry().push("app", Some("1"), &app);
        let gate = world.gate().clone();
        gate.close();
        let name = on_host("app:1");
        let images = world.ctr_images();
        let second = std::cell::Cell::new(None);
        let delete_and_pull = async {
            // Not there yet, at most points.
            let _ = images.delete(&name, None, false).await;
            second.set(Some(world.daemon().pull(&name).await));
        };
        let (first, came) =
            at.beside(&gate, "delete and pull", world.daemon().pull(&name), delete_and_pull).await;
        told(first)?;
        second.into_inner().map_or(Ok(()), |second| told(second).map(drop))?;
        fully_there(world, &app, "app", "1").await?;
        Ok(came)
    });
}

/// The two do not join where their credentials differ, and meet in containerd. 30 seeds.
#[test]
fn two_pulls_of_one_tag_that_moves_between_them_end_with_what_each_was_told() {
    seeds(0..30, async |world| {
        let (old, new) = (image(1), image(2));
        world.registry().push("app", Some("1"), &old);
        world.gate().close();
        let name = on_host("app:1");
        let daemon = world.daemon();
        let moves = async {
            world.gate().pass("event move").await;
            world.registry().push("app", Some("1"), &new);
        };
        let (one, two, ()) = futures::join!(daemon.pull(&name), daemon.pull_as(&name, "u", "p"), moves);
        let (one, two) = (told(one)?, told(two)?);
        told(world.check_at_rest().await)?;
        for pulled in [&one, &two] {
            let id = pulled.image_id.as_str();
            ensure([&old, &new].iter().any(|image| image.config().digest() == id), "a third image")?;
            ensure(crate::expect::is_shown(world, id).await?, "an image that was pulled is not shown")?;
        }
        let tagged = told(daemon.store().status(&name).await)?.ok_or("the tag leads nowhere")?;
        let is_of = |pulled: &puller::Pulled| *tagged.id() == pulled.image_id;
        ensure(is_of(&one) || is_of(&two), "the tag leads elsewhere")?;
        pull_works(world, &new, "app", "1").await
    });
}

#[test]
fn a_tag_that_moves_at_any_point_of_a_pull_leaves_one_of_the_images_under_it() {
    every_point(async |world, at| {
        let (old, new) = (image(1), image(2));
        world.registry().push("app", Some("1"), &old);
        let gate = world.gate().clone();
        gate.close();
        let name = on_host("app:1");
        let moves = async {
            world.registry().push("app", Some("1"), &new);
        };
        let (pulled, came) = at.beside(&gate, "move", world.daemon().pull(&name), moves).await;
        let id = told(pulled)?.image_id.to_string();
        let (is, not) = if id == old.config().digest() { (&old, &new) } else { (&new, &old) };
        fully_there(world, is, "app", "1").await?;
        fully_gone(world, not).await?;
        pull_works(world, if came { &new } else { &old }, "app", "1").await?;
        Ok(came)
    });
}
