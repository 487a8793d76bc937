//! Removals beside pulls and beside each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use scenarios::{image, on_host};
use sim::containerd::Fault;
use tonic::Code;

use crate::expect::{fully_gone, fully_there, is_shown, pull_works, records, there_or_gone};
use crate::explore::{ensure, every_point, late, seeds, told};

#[test]
fn a_removal_at_any_point_of_a_pull_comes_before_it_or_after_it() {
    every_point(async |world, at| {
        let app = image(1);
        world.registry().push("app", Some("1"), &app);
        let gate = world.gate().clone();
        gate.close();
        let name = on_host("app:1");
        let removed = std::cell::Cell::new(Ok(()));
        let remove = async { removed.set(world.daemon().store().remove(&name).await) };
        let (pulled, came) = at.beside(&gate, "remove", world.daemon().pull(&name), remove).await;
        let removed = removed.into_inner();
        told(removed)?;
        told(pulled)?;
        there_or_gone(world, &app, "app", "1").await?;
        pull_works(world, &app, "app", "1").await?;
        Ok(came)
    });
}

#[test]
fn a_removal_after_a_deletion_of_the_tag_at_any_point_of_a_pull_leaves_no_image_without_it() {
    every_point(async |world, at| {
        let app = image(1);
        world.registry().push("app", Some("1"), &app);
        let gate = world.gate().clone();
        gate.close();
        let images = world.ctr_images();
        let (name, by_digest) = (on_host("app:1"), on_host(&format!("app@{}", app.manifest().digest())));
        let removed = std::cell::Cell::new(Ok(()));
        let delete_and_remove = async {
            // Not there yet, at most points.
            let _ = images.delete(&name, None, false).await;
            removed.set(world.daemon().store().remove(&by_digest).await);
        };
        let (pulled, came) =
            at.beside(&gate, "delete and remove", world.daemon().pull(&name), delete_and_remove).await;
        told(removed.into_inner())?;
        told(pulled)?;
        there_or_gone(world, &app, "app", "1").await?;
        Ok(came)
    });
}

/// The pull is done when its records are there; the plugin's look at them only delays its answer.
#[test]
fn a_pull_whose_image_is_removed_before_the_plugin_showed_it_has_succeeded() {
    late(&["removal", "ImageService/ImageStatus"], async |world| {
        let app = image(1);
        world.registry().push("app", Some("1"), &app);
        world.gate().close();
        let name = on_host("app:1");
        let removal = async {
            world.gate().pass("removal").await;
            ensure(!records(world, &app).is_empty(), "the pull has written nothing yet")?;
            told(world.daemon().store().remove(&name).await)
        };
        let (pulled, removed) = futures::join!(world.daemon().pull(&name), removal);
        removed?;
        told(pulled)?;
        fully_gone(world, &app).await
    });
}

/// The removal has taken the tag, and another client has made it anew and pulls.
#[test]
fn a_pull_that_comes_after_what_others_saw_of_a_removal_is_not_taken_by_it() {
    late(&["again", "Images/Delete localhost:5000/app@"], async |world| {
        let app = image(1);
        world.registry().push("app", Some("1"), &app);
        let name = on_host("app:1");
        told(world.daemon().pull(&name).await)?;
        let images = world.ctr_images();
        let tag = told(images.get(&name).await)?;
        let gate = world.gate();
        gate.close();
        let again = async {
            gate.pass("again").await;
            told(images.create(&tag).await)?;
            told(world.daemon().pull(&name).await)
        };
        let (removed, pulled) = futures::join!(world.daemon().store().remove(&name), again);
        told(removed)?;
        pulled?;
        fully_there(world, &app, "app", "1").await
    });
}

/// 30 seeds: the space of all orders is far too large.
#[test]
fn a_removal_during_a_second_pull_leaves_the_image_fully_there_or_fully_gone() {
    seeds(0..30, async |world| {
        let app = image(1);
        world.registry().push("app", Some("1"), &app);
        let name = on_host("app:1");
        told(world.daemon().pull(&name).await)?;
        world.gate().close();
        let (pulled, removed) =
            futures::join!(world.daemon().pull(&name), world.daemon().store().remove(&name));
        told(removed)?;
        told(pulled)?;
        there_or_gone(world, &app, "app", "1").await.map(drop)
    });
}

/// 20 seeds.
#[test]
fn two_removals_of_one_image_under_different_names_both_succeed() {
    seeds(0..20, async |world| {
        let app = image(1);
        world.registry().push("app", Some("1"), &app);
        world.registry().push("app", Some("2"), &app);
        told(world.daemon().pull(&on_host("app:1")).await)?;
        told(world.daemon().pull(&on_host("app:2")).await)?;
        world.gate().close();
        let (first, second) = (on_host("app:1"), app.config().digest().to_owned());
        let store = world.daemon().store();
        let (first, second) = futures::join!(store.remove(&first), store.remove(&second));
        told(first)?;
        told(second)?;
        fully_gone(world, &app).await
    });
}

#[test]
fn a_tag_that_another_client_moves_at_any_point_of_a_removal_is_not_removed_with_the_old_image() {
    every_point(async |world, at| {
        let (app, other) = (image(1), image(2));
        world.registry().push("app", Some("1"), &app);
        world.registry().push("other", Some("1"), &other);
        told(world.daemon().pull(&on_host("app:1")).await)?;
        told(world.daemon().pull(&on_host("other:1")).await)?;
        let images = world.ctr_images();
        let mut moved = told(images.get(&on_host("other:1")).await)?;
        moved.name = on_host("app:1");
        let gate = world.gate().clone();
        gate.close();
        let has_moved = std::cell::Cell::new(false);
        let retag = async { has_moved.set(images.update(&moved).await.is_ok()) };
        let name = on_host("app:1");
        let remove = world.daemon().store().remove(&name);
        let (removed, came) = at.beside(&gate, "retag", remove, retag).await;
        told(removed)?;
        told(world.check_at_rest().await)?;
        let is_kept = records(world, &other).contains(&on_host("app:1"));
        // Before the removal looked the name up, the tag meant the other image already.
        let is_other_removed = records(world, &other).is_empty();
        ensure(!has_moved.get() || is_kept || is_other_removed, "the moved tag was removed")?;
        Ok(came)
    });
}

#[test]
fn an_image_asked_for_at_any_point_of_its_removal_has_all_its_names_or_is_gone() {
    every_point(async |world, at| {
        let app = image(1);
        world.registry().push("app", Some("1"), &app);
        told(world.daemon().pull(&on_host("app:1")).await)?;
        let gate = world.gate().clone();
        gate.close();
        let store = world.daemon().store();
        let seen = std::cell::RefCell::new(Vec::new());
        let ask = async {
            for name in [app.config().digest().to_owned(), on_host("app:1")] {
                let status = store.status(&name).await;
                seen.borrow_mut().push(status);
            }
        };
        let (removed, came) = at.beside(&gate, "ask", store.remove(&on_host("app:1")), ask).await;
        told(removed)?;
        for status in seen.into_inner() {
            let names = told(status)?.map_or(3, |image| image.names.len());
            ensure(names == 3, format_args!("{names} names"))?;
        }
        told(world.check_at_rest().await)?;
        Ok(came)
    });
}

/// 60 seeds: the event of the move must overtake the removal.
#[test]
fn a_second_tag_that_another_client_moves_during_a_removal_stays() {
    seeds(0..60, async |world| {
        let (app, other) = (image(1), image(2));
        world.registry().push("app", Some("1"), &app);
        world.registry().push("other", Some("1"), &other);
        told(world.daemon().pull(&on_host("app:1")).await)?;
        told(world.daemon().pull(&on_host("other:1")).await)?;
        let images = world.ctr_images();
        let mut second = told(images.get(&on_host("app:1")).await)?;
        second.name = on_host("app:2");
        told(images.create(&second).await)?;
        second.target = told(images.get(&on_host("other:1")).await)?.target;
        world.settle().await;
        world.gate().close();
        let remove = world.daemon().store().remove(app.config().digest());
        let (removed, moved) = futures::join!(remove, images.update(&second));
        told(removed)?;
        told(world.check_at_rest().await)?;
        ensure(records(world, &app).is_empty(), "the image is left")?;
        let is_kept = records(world, &other).contains(&on_host("app:2"));
        ensure(moved.is_err() || is_kept, "the moved tag was removed")
    });
}

/// 30 seeds: the question must outlast both.
#[test]
fn a_tag_that_moves_while_its_status_is_asked_is_shown_though_its_old_image_is_removed() {
    seeds(0..30, async |world| {
        let (old, new) = (image(1), image(2));
        world.registry().push("app", Some("1"), &old);
        let name = on_host("app:1");
        told(world.daemon().pull(&name).await)?;
        world.registry().push("app", Some("1"), &new);
        world.gate().close();
        let moves = async {
            told(world.daemon().pull(&name).await)?;
            told(world.daemon().store().remove(old.config().digest()).await)
        };
        let (shown, moved) = futures::join!(is_shown(world, &name), moves);
        moved?;
        ensure(shown?, "it is not shown")
    });
}

#[test]
fn a_removal_dropped_at_any_point_is_made_known_and_can_be_asked_for_again() {
    every_point(async |world, at| {
        let app = image(1);
        world.registry().push("app", Some("1"), &app);
        told(world.daemon().pull(&on_host("app:1")).await)?;
        let gate = world.gate().clone();
        gate.close();
        let store = world.daemon().store();
        let removed = at.until(&gate, "drop", store.remove(app.config().digest())).await;
        let came = removed.is_none();
        removed.map_or(Ok(()), told)?;
        told(world.check_at_rest().await)?;
        told(store.remove(app.config().digest()).await)?;
        fully_gone(world, &app).await?;
        Ok(came)
    });
}

/// The lease by which a removal makes containerd collect may go before that, for it has expired since it was made.
#[test]
fn a_record_that_another_client_deletes_at_any_point_of_a_removal_leaves_no_bytes() {
    for answer in [None, Some(Code::NotFound), Some(Code::Internal)] {
        every_point(async |world, at| {
            let app = image(1);
            world.registry().push("app", Some("1"), &app);
            told(world.daemon().pull(&on_host("app:1")).await)?;
            let is_asked = Arc::new(AtomicBool::new(false));
            let asked = Arc::clone(&is_asked);
            world.containerd().inject_by(move |call| {
                if call.method != "Leases/Delete" || !call.subject.ends_with("-collect") {
                    return None;
                }
                asked.store(true, Ordering::Relaxed);
                answer.map(|code| Fault::Fail(code, "planted".to_owned()))
            });
            let gate = world.gate().clone();
            gate.close();
            let name = on_host("app:1");
            // Gone already, at some points.
            let delete = async { drop(world.ctr_images().delete(app.config().digest(), None, false).await) };
            let (removed, came) =
                at.beside(&gate, "delete", world.daemon().store().remove(&name), delete).await;
            let is_refused = answer == Some(Code::Internal) && is_asked.load(Ordering::Relaxed);
            ensure(removed.is_err() == is_refused, format_args!("{answer:?}: {removed:?}"))?;
            let left = world.inventory().content;
            ensure(answer.is_some() || left.is_empty(), format_args!("left: {left:?}"))?;
            world.containerd().heal();
            fully_gone(world, &app).await?;
            Ok(came)
        });
    }
}
