//! containerd's collector runs, at every point of what the daemon does.

use scenarios::{World, image, on_host};

use crate::expect::{fully_gone, fully_there};
use crate::explore::{every_point, told};

#[test]
fn a_collection_at_any_point_of_a_pull_takes_nothing_of_it() {
    every_point(async |world, at| {
        let app = image(1);
        world.registry().push("app", Some("1"), &app);
        let came = pull_with_collection(world, at).await?;
        fully_there(world, &app, "app", "1").await?;
        Ok(came)
    });
}

#[test]
fn a_collection_at_any_point_of_a_pull_takes_nothing_that_the_pull_found() {
    every_point(async |world, at| {
        // The base layer's content and snapshot are there and held by nothing when the pull comes upon them.
        let (old, new) = (image(1), image(2));
        world.registry().push("old", Some("1"), &old);
        told(world.daemon().pull(&on_host("old:1")).await)?;
        for name in crate::expect::names(&old, "old", "1") {
            told(world.ctr_images().delete(&name, None, false).await)?;
        }
        world.registry().push("app", Some("1"), &new);
        let came = pull_with_collection(world, at).await?;
        fully_there(world, &new, "app", "1").await?;
        Ok(came)
    });
}

#[test]
fn a_collection_at_any_point_of_a_removal_changes_nothing() {
    every_point(async |world, at| {
        let (app, other) = (image(1), image(2));
        world.registry().push("app", Some("1"), &app);
        world.registry().push("other", Some("1"), &other);
        told(world.daemon().pull(&on_host("app:1")).await)?;
        told(world.daemon().pull(&on_host("other:1")).await)?;
        let gate = world.gate().clone();
        gate.close();
        let name = on_host("app:1");
        let remove = world.daemon().store().remove(&name);
        let (removed, came) =
            at.beside(&gate, "collect", remove, async { world.containerd().collect() }).await;
        told(removed)?;
        fully_gone(world, &app).await?;
        fully_there(world, &other, "other", "1").await?;
        Ok(came)
    });
}

async fn pull_with_collection(world: &mut World, at: &crate::explore::At) -> crate::explore::Told<bool> {
    let gate = world.gate().clone();
    gate.close();
    let name = on_host("app:1");
    let pull = world.daemon().pull(&name);
    let (pulled, came) = at.beside(&gate, "collect", pull, async { world.containerd().collect() }).await;
    told(pulled)?;
    Ok(came)
}
