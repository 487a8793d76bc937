//! Images that have layers in common, and names for them.

use scenarios::{Unpacking, image, on_host, run};
use sim::schedule::Script;

use crate::expect::{fully_gone, fully_there, pull_works, there_or_gone};
use crate::explore::{ensure, every_point, seeds, told};

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
