//! The daemon is killed, at every point of what it does.

use std::cell::Cell;

use scenarios::{image, on_host};

use crate::expect::{fully_gone, fully_there, pull_works, there_or_gone};
use crate::explore::{ensure, every_point, told};

#[test]
fn a_crash_at_any_point_of_a_pull_leaves_the_image_fully_there_or_fully_gone() {
    let (there, gone) = (Cell::new(0), Cell::new(0));
    let points = every_point(async |world, at| {
        let app = image(1);
        world.registry().push("app", Some("1"), &app);
        let gate = world.gate().clone();
        gate.close();
        let name = on_host("app:1");
        let done = at.until(&gate, "crash", world.daemon().pull(&name)).await;
        let came = done.is_none();
        done.map_or(Ok(()), |done| told(done).map(drop))?;
        world.restart_daemon();
        let is_there = there_or_gone(world, &app, "app", "1").await?;
        ensure(came || is_there, "a pull that ended before the crash is lost")?;
        let seen = if is_there { &there } else { &gone };
        seen.set(seen.get() + 1);
        pull_works(world, &app, "app", "1").await?;
        Ok(came)
    });
    let (there, gone) = (there.get(), gone.get());
    assert!(points > 60 && there > 10 && gone > 40, "{points} points, {there} there, {gone} gone");
}

#[test]
fn a_crash_at_any_point_of_a_pull_that_moves_a_tag_leaves_the_old_image_or_the_new_one_under_it() {
    every_point(async |world, at| {
        let (old, new) = (image(1), image(2));
        let name = on_host("app:1");
        world.registry().push("app", Some("1"), &old);
        told(world.daemon().pull(&name).await)?;
        world.registry().push("app", Some("1"), &new);
        let gate = world.gate().clone();
        gate.close();
        let done = at.until(&gate, "crash", world.daemon().pull(&name)).await;
        let came = done.is_none();
        world.restart_daemon();
        told(world.check_at_rest().await)?;
        let shown = told(world.daemon().store().status(&name).await)?;
        let id = shown.map(|image| image.id().to_string()).ok_or("the tag leads nowhere")?;
        ensure(id == old.config().digest() || id == new.config().digest(), "the tag leads elsewhere")?;
        ensure(came || id == new.config().digest(), "a pull that ended before the crash is lost")?;
        pull_works(world, &new, "app", "1").await?;
        Ok(came)
    });
}

/// Records are deleted one by one, so a removal that was cut off leaves the image whole under its other names, the id
/// at least: by it the removal can be asked for again.
#[test]
fn a_crash_at_any_point_of_a_removal_leaves_an_image_that_is_whole_or_gone() {
    every_point(async |world, at| {
        let app = image(1);
        let name = on_host("app:1");
        world.registry().push("app", Some("1"), &app);
        told(world.daemon().pull(&name).await)?;
        let gate = world.gate().clone();
        gate.close();
        let done = at.until(&gate, "crash", world.daemon().store().remove(&name)).await;
        let came = done.is_none();
        done.map_or(Ok(()), told)?;
        world.restart_daemon();
        told(world.check_at_rest().await)?;
        told(world.daemon().store().remove(app.config().digest()).await)?;
        fully_gone(world, &app).await?;
        pull_works(world, &app, "app", "1").await?;
        Ok(came)
    });
}

/// The pull was cut off at three points: in the middle of a layer, and between its records.
#[test]
fn a_crash_at_any_point_of_the_recovery_leaves_the_image_fully_there_or_fully_gone() {
    for (count, label, is_there) in
        [(1, "Snapshots/Commit", false), (1, "Images/Create", true), (2, "Images/Create", true)]
    {
        every_point(async |world, at| {
            let app = image(1);
            let name = on_host("app:1");
            world.registry().push("app", Some("1"), &app);
            let gate = world.gate().clone();
            gate.close();
            at.after(count, label);
            let done = at.until(&gate, "crash", world.daemon().pull(&name)).await;
            ensure(done.is_none(), "the pull was not cut off")?;
            world.restart_daemon();
            at.again();
            let done = at.until(&gate, "second crash", world.daemon().until_ready()).await;
            let came = done.is_none();
            world.restart_daemon();
            // The second crash may come after the lease was deleted and before its collection was asked for; then
            // containerd's own schedule makes it, which this one does not have.
            world.settle().await;
            world.containerd().collect();
            if is_there {
                fully_there(world, &app, "app", "1").await?;
            } else {
                fully_gone(world, &app).await?;
            }
            pull_works(world, &app, "app", "1").await?;
            Ok(came)
        });
    }
}
