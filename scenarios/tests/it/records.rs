//! Other clients change the records that a pull writes.

use std::collections::BTreeMap;

use containerd::ImageRecord;
use imagestore::write_record;
use oci::Descriptor;
use refparse::Digest;
use scenarios::{image, on_host};
use sim::containerd::{Containerd, Options};
use sim::image::Image;
use sim::schedule::Link;

use crate::expect::{fully_there, names, records};
use crate::explore::{ensure, every_order, every_point, pull_beside, told};

fn record(name: &str, image: &Image) -> ImageRecord {
    let manifest = image.manifest();
    let digest = Digest::parse(manifest.digest()).unwrap();
    let target = Descriptor::new(manifest.media_type().to_owned(), digest, manifest.size());
    ImageRecord { name: name.to_owned(), target, labels: BTreeMap::new() }
}

/// The record exists with another target, so that the pull has to update it; at each point of the pull another client
/// deletes it, as long as it has that target.
#[track_caller]
fn a_record_deleted_before_its_update_is_created(number: usize) {
    let points = every_point(async |world, at| {
        let (app, other) = (image(1), image(2));
        world.registry().push("app", Some("1"), &app);
        let name = names(&app, "app", "1").into_iter().nth(number).unwrap();
        told(world.daemon().pull(&on_host("app:1")).await)?;
        let wrong = record(&name, &other);
        told(world.ctr_images().update(&wrong).await)?;
        world.settle().await;
        let gate = world.gate().clone();
        gate.close();
        let images = world.ctr_images();
        let delete = async {
            // Refused where the pull was faster.
            let _ = images.delete(&name, Some(&wrong.target), false).await;
        };
        let reference = on_host("app:1");
        let (pulled, came) = at.beside(&gate, "delete", world.daemon().pull(&reference), delete).await;
        told(pulled)?;
        fully_there(world, &app, "app", "1").await?;
        Ok(came)
    });
    assert!(points > 30, "{points} points");
}

#[test]
fn a_tag_record_deleted_between_create_and_update_is_created() {
    a_record_deleted_before_its_update_is_created(0);
}

#[test]
fn a_digest_record_deleted_between_create_and_update_is_created() {
    a_record_deleted_before_its_update_is_created(1);
}

#[test]
fn an_id_record_deleted_between_create_and_update_is_created() {
    a_record_deleted_before_its_update_is_created(2);
}

/// All orders of the messages of one write and of a client that deletes the record and creates it elsewhere. This
/// containerd has neither plugin nor points within its calls: the orders are those of the calls' effects and answers.
#[test]
fn a_record_is_as_wanted_when_its_write_ends_unless_another_client_came_after_it() {
    let orders = every_order(2_000, async |world| {
        let mut options = Options::default();
        options.cri = false;
        let containerd = Containerd::new(options);
        let client = |name: &str| {
            let channel = Link::new(name, world.gate()).containerd(&containerd);
            containerd::Client::new(channel, "k8s.io").unwrap().images()
        };
        let (ours, theirs) = (client("ours"), client("theirs"));
        let (app, other) = (image(1), image(2));
        let name = on_host("app:1");
        let (wanted, wrong) = (record(&name, &app), record(&name, &other));
        told(theirs.create(&wrong).await)?;
        // Both are connected before the first choice.
        told(ours.get(&name).await)?;
        world.gate().close();
        let fight = async {
            // Refused, the first where we were faster, the second where we were between them.
            let _ = theirs.delete(&name, Some(&wrong.target), false).await;
            theirs.create(&wrong).await.is_ok()
        };
        let (written, is_created) = futures::join!(write_record(&ours, &wanted), fight);
        told(written)?;
        world.gate().open();
        let is = told(ours.get(&name).await)?.target;
        let log = world.gate().log();
        let last =
            |wanted: &[&str]| log.iter().rposition(|line| wanted.iter().all(|word| line.contains(word)));
        let is_theirs_last =
            is_created && last(&["theirs Images/Create", ">"]) > last(&["ours Images/Create", ">"]);
        ensure(is == wanted.target || is_theirs_last, format_args!("it is {is:?}"))
    });
    assert!(orders > 50, "{orders} orders");
}

#[test]
fn a_tag_that_another_client_moves_at_any_point_of_a_pull_is_shown_where_it_was_moved_last() {
    every_point(async |world, at| {
        let (app, other) = (image(1), image(2));
        world.registry().push("app", Some("1"), &app);
        world.registry().push("other", Some("1"), &other);
        told(world.daemon().pull(&on_host("other:1")).await)?;
        let images = world.ctr_images();
        let moved = record(&on_host("app:1"), &other);
        let came = pull_beside(world, at, "retag", async {
            if images.create(&moved).await.is_err() {
                let _ = images.update(&moved).await;
            }
        })
        .await?;
        told(world.check_at_rest().await)?;
        let tagged = told(world.daemon().store().status(&on_host("app:1")).await)?;
        let tagged = tagged.ok_or("the tag leads nowhere")?;
        let last = &world.inventory().images[&on_host("app:1")];
        let expected = if last.target == app.manifest().digest() { &app } else { &other };
        ensure(tagged.id().to_string() == expected.config().digest(), "the tag shows another image")?;
        fully_there(world, &other, "other", "1").await?;
        Ok(came)
    });
}

#[test]
fn an_image_listed_at_any_point_of_its_pull_has_all_its_names() {
    every_point(async |world, at| {
        let app = image(1);
        world.registry().push("app", Some("1"), &app);
        let listed = std::cell::Cell::new(Ok(Vec::new()));
        let came = pull_beside(world, at, "list", async {
            listed.set(world.daemon().store().list().await);
        })
        .await?;
        for image in told(listed.into_inner())? {
            ensure(image.names.len() == 3, format_args!("{:?}", image.names))?;
        }
        told(world.check_at_rest().await)?;
        Ok(came)
    });
}

#[test]
fn all_records_deleted_by_another_client_at_any_point_of_a_pull_leave_no_half_image() {
    every_point(async |world, at| {
        let app = image(1);
        world.registry().push("app", Some("1"), &app);
        let images = world.ctr_images();
        let came = pull_beside(world, at, "delete all", async {
            for name in names(&app, "app", "1") {
                // Not there yet, at most points.
                let _ = images.delete(&name, None, false).await;
            }
        })
        .await;
        // The plugin may never have shown an image that was deleted at once: then the pull says so.
        let came = came.or_else(|why| if why.contains("does not show") { Ok(true) } else { Err(why) })?;
        told(world.check_at_rest().await)?;
        let left = records(world, &app);
        ensure(left.is_empty() || left.is_subset(&names(&app, "app", "1")), format_args!("{left:?}"))?;
        crate::expect::pull_works(world, &app, "app", "1").await?;
        Ok(came)
    });
}
