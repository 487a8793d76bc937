//! containerd refuses one call of an operation, each in turn: the operation says so, and nothing is left half done.

use std::error::Error;
use std::iter::successors;
use std::sync::{Arc, Mutex};

use scenarios::{World, image, on_host};
use sim::containerd::{Fault, Inventory, Match, Rule};
use sim::image::Schema1;
use tonic::Code;

use crate::expect::{fully_gone, fully_there, is_shown, pull_works, records, there_or_gone};
use crate::explore::{Told, ensure, every_point, told};

/// What containerd says when it refuses.
const WHY: &str = "planted refusal";

/// What a pull does without: a lease that containerd does not delete is left to the recovery at the next start, a snapshot
/// that it does not remove to the collector, the plugin is asked for the image until it answers, and layers go over the API
/// where containerd does not say where its files are.
const DOES_WITHOUT: [&str; 4] = [
    "Leases/Delete",
    "Snapshots/Remove",
    "ImageService/ImageStatus",
    "Introspection/Plugins type==io.containerd.content.v1",
];

/// What a pull asks for when its records are written, to show the image.
const ENTERS: [&str; 2] = ["Images/Get", "Content/Read"];

/// The call that was refused, once it came.
#[derive(Clone, Default)]
struct Refused(Arc<Mutex<Option<String>>>);

impl Refused {
    /// `Images/Create NAME`; `None` where there were fewer calls.
    fn call(&self) -> Option<String> {
        self.0.lock().unwrap().clone()
    }

    fn is_of(&self, methods: &[&str]) -> bool {
        self.call().is_some_and(|call| methods.iter().any(|method| call.starts_with(method)))
    }
}

/// Makes containerd refuse the daemon's call number `step` from now; what it sends of its own accord is none.
fn refuse_at(world: &World, step: usize) -> Refused {
    let refused = Refused::default();
    let (seen, mut count) = (refused.clone(), 0);
    world.containerd().inject_by(move |call| {
        if !call.client.starts_with("daemon") || call.method.starts_with("Subscribe/") {
            return None;
        }
        count += 1;
        (count == step + 1).then(|| {
            *seen.0.lock().unwrap() = Some(format!("{} {}", call.method, call.subject));
            Fault::Fail(Code::Internal, WHY.to_owned())
        })
    });
    refused
}

/// The error with all its causes.
fn chain(error: &dyn Error) -> String {
    let causes = successors(error.source(), |&cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// The result of an operation of which `refused` was one call: it says why, unless it is one that it `does_without`.
fn says_why<T, E: Error>(result: &Result<T, E>, refused: &Refused, does_without: &[&str]) -> Told<()> {
    let call = refused.call().unwrap_or_default();
    match result {
        Err(error) => ensure(chain(error).contains(WHY), format_args!("{call}: {}", chain(error))),
        Ok(_) if refused.call().is_none() || refused.is_of(does_without) => Ok(()),
        Ok(_) => Err(format!("{call}: refused, and yet it succeeded")),
    }
}

#[test]
fn a_pull_of_which_any_call_is_refused_says_why_and_leaves_nothing_behind() {
    every_point(async |world, at| {
        let app = image(1);
        world.registry().push("app", Some("1"), &app);
        let refused = refuse_at(world, at.step());
        let pulled = world.daemon().pull(&on_host("app:1")).await;
        world.containerd().heal();
        if refused.is_of(&DOES_WITHOUT) {
            world.restart_daemon();
        }
        let is_written = !records(world, &app).is_empty();
        if pulled.is_ok() || is_written && refused.is_of(&ENTERS) {
            fully_there(world, &app, "app", "1").await?;
        } else {
            let has = world.inventory();
            ensure(has == Inventory::default(), format_args!("{:?} left {has:?}", refused.call()))?;
        }
        says_why(&pulled, &refused, &DOES_WITHOUT)?;
        pull_works(world, &app, "app", "1").await?;
        Ok(refused.call().is_some())
    });
}

/// What its layers are is asked anew where they are there already.
#[test]
fn a_schema_1_pull_of_which_any_call_is_refused_says_why() {
    every_point(async |world, at| {
        let old = Schema1::new("app", "1", image(1).layers()).signed();
        world.registry().push("app", Some("1"), &old);
        // Its layers without the labels of a conversion.
        let other = image(1);
        world.registry().push("other", Some("1"), &other);
        pull_works(world, &other, "other", "1").await?;
        let refused = refuse_at(world, at.step());
        let pulled = world.daemon().pull(&on_host("app:1")).await;
        world.containerd().heal();
        if refused.is_of(&DOES_WITHOUT) {
            world.restart_daemon();
        }
        says_why(&pulled, &refused, &DOES_WITHOUT)?;
        told(world.check_at_rest().await)?;
        told(world.daemon().pull(&on_host("app:1")).await)?;
        fully_there(world, &other, "other", "1").await?;
        Ok(refused.call().is_some())
    });
}

/// Where another client has made a record its own, it is that client's, and the pull has ended; where containerd does not
/// say so, recovery ends it.
#[test]
fn a_refused_record_is_taken_back_with_those_before_it() {
    for (code, is_ended) in [(Code::FailedPrecondition, true), (Code::Internal, false)] {
        every_point(async |world, at| {
            let app = image(1);
            world.registry().push("app", Some("1"), &app);
            let fail = |code| Fault::Fail(code, WHY.to_owned());
            let (create, delete) = (Match::method("Images/Create"), Match::method("Images/Delete"));
            world.containerd().inject(Rule::new(create.subject("app:1"), fail(Code::Internal)));
            world.containerd().inject(Rule::new(delete, fail(code)));
            let pulled = world.daemon().pull(&on_host("app:1")).await;
            ensure(pulled.is_err_and(|error| chain(&error).contains(WHY)), "it does not say why")?;
            let leases = world.inventory().leases;
            ensure(leases.is_empty() == is_ended, format_args!("{code:?}: {leases:?}"))?;
            world.containerd().heal();
            world.restart_daemon();
            pull_works(world, &app, "app", "1").await?;
            Ok(at.step() == 0)
        });
    }
}

/// The image that had the tag stays as it was, and what was written for the new one is gone.
#[test]
fn a_pull_that_moves_a_tag_and_of_which_any_call_is_refused_says_why() {
    every_point(async |world, at| {
        let (old, new) = (image(1), image(2));
        world.registry().push("app", Some("1"), &old);
        pull_works(world, &old, "app", "1").await?;
        world.registry().push("app", Some("1"), &new);
        let refused = refuse_at(world, at.step());
        let pulled = world.daemon().pull(&on_host("app:1")).await;
        world.containerd().heal();
        if refused.is_of(&DOES_WITHOUT) {
            world.restart_daemon();
        }
        says_why(&pulled, &refused, &DOES_WITHOUT)?;
        told(world.check_at_rest().await)?;
        let has_tag = |image| records(world, image).contains(&on_host("app:1"));
        ensure(has_tag(&old) || has_tag(&new), "the tag is gone")?;
        pull_works(world, &new, "app", "1").await?;
        Ok(refused.call().is_some())
    });
}

#[test]
fn a_removal_of_which_any_call_is_refused_says_why_and_can_be_asked_for_again() {
    every_point(async |world, at| {
        let app = image(1);
        world.registry().push("app", Some("1"), &app);
        pull_works(world, &app, "app", "1").await?;
        let refused = refuse_at(world, at.step());
        let removed = world.daemon().store().remove(app.config().digest()).await;
        world.containerd().heal();
        says_why(&removed, &refused, &[])?;
        told(world.check_at_rest().await)?;
        told(world.daemon().store().remove(app.config().digest()).await)?;
        fully_gone(world, &app).await?;
        Ok(refused.call().is_some())
    });
}

#[test]
fn a_status_a_list_and_a_usage_of_which_any_call_is_refused_say_why() {
    every_point(async |world, at| {
        let app = image(1);
        world.registry().push("app", Some("1"), &app);
        pull_works(world, &app, "app", "1").await?;
        let store = world.daemon().store();
        let refused = refuse_at(world, at.step());
        says_why(&store.status(&on_host("app:1")).await, &refused, &[])?;
        let of_status = refused.call().is_some();
        let refused = refuse_at(world, at.step());
        says_why(&store.list().await, &refused, &[])?;
        let of_list = refused.call().is_some();
        let refused = refuse_at(world, at.step());
        says_why(&store.usage().await, &refused, &[])?;
        world.containerd().heal();
        fully_there(world, &app, "app", "1").await?;
        Ok(of_status || of_list || refused.call().is_some())
    });
}

/// What an earlier daemon left is one image, and a pull that was cut off: with its id record written, or before.
#[test]
fn a_start_of_which_any_call_is_refused_ends_what_an_earlier_daemon_left() {
    for cut_off_at in ["Images/Create", "Snapshots/Commit"] {
        every_point(async |world, at| {
            let (app, other) = (image(1), image(2));
            world.registry().push("app", Some("1"), &app);
            world.registry().push("other", Some("1"), &other);
            pull_works(world, &other, "other", "1").await?;
            let gate = world.gate().clone();
            gate.close();
            at.after(1, cut_off_at);
            let done = at.until(&gate, "kill", world.daemon().pull(&on_host("app:1"))).await;
            ensure(done.is_none(), "the pull ended first")?;
            gate.open();
            let refused = refuse_at(world, at.step());
            world.restart_daemon();
            told(world.daemon().until_ready().await)?;
            world.containerd().heal();
            there_or_gone(world, &app, "app", "1").await?;
            fully_there(world, &other, "other", "1").await?;
            pull_works(world, &app, "app", "1").await?;
            Ok(refused.call().is_some())
        });
    }
}

/// Its lease stays for the next start, and the daemon is ready without it.
#[test]
fn a_pull_that_was_cut_off_and_whose_manifest_the_disk_does_not_give_back_stops_nobody() {
    every_point(async |world, at| {
        let (app, other) = (image(1), image(2));
        world.registry().push("app", Some("1"), &app);
        world.registry().push("other", Some("1"), &other);
        pull_works(world, &other, "other", "1").await?;
        let gate = world.gate().clone();
        gate.close();
        at.after(1, "Images/Create");
        let done = at.until(&gate, "kill", world.daemon().pull(&on_host("app:1"))).await;
        ensure(done.is_none(), "the pull ended first")?;
        gate.open();
        let read = Match::method("Content/Read").subject(app.manifest().digest());
        world.containerd().inject(Rule::new(read, Fault::Fail(Code::Internal, WHY.to_owned())));
        world.restart_daemon();
        told(world.daemon().until_ready().await)?;
        ensure(is_shown(world, &on_host("other:1")).await?, "the other image is not shown")?;
        ensure(!world.inventory().leases.is_empty(), "its lease is gone")?;
        world.containerd().heal();
        world.restart_daemon();
        told(world.daemon().until_ready().await)?;
        fully_there(world, &app, "app", "1").await?;
        Ok(at.step() == 0)
    });
}
