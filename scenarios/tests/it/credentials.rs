//! Whose credentials go where, and who is served by them.

use std::collections::BTreeSet;

use scenarios::{World, image, on_host};
use sim::registry::{Access, User};

use crate::expect::{fully_there, is_shown};
use crate::explore::{Told, ensure, seeds, told};

fn private(world: &World, access: Access) {
    world.registry().push("app", Some("1"), &image(1));
    world.registry().add_user(User::new("right", "password"));
    world.registry().configure(|options| {
        options.access = access;
        options.private_repositories = BTreeSet::from(["app".to_owned()]);
    });
}

async fn both(world: &World) -> Told<()> {
    let name = on_host("app:1");
    let daemon = world.daemon();
    let (wrong, right, nobody) = futures::join!(
        daemon.pull_as(&name, "right", "guess"),
        daemon.pull_as(&name, "right", "password"),
        daemon.pull(&name),
    );
    told(right)?;
    ensure(wrong.is_err(), "a wrong password was served by the pull with the right one")?;
    ensure(nobody.is_err(), "a caller without credentials was served by another's pull")?;
    fully_there(world, &image(1), "app", "1").await?;
    let again = daemon.pull_as(&name, "right", "guess").await;
    ensure(again.is_err(), "a wrong password was served by what is here already")?;
    told(world.check_at_rest().await)
}

/// 15 seeds.
#[test]
fn a_wrong_password_is_never_served_by_the_pull_of_a_right_one() {
    seeds(0..15, async |world| {
        private(world, Access::Basic);
        world.gate().close();
        both(world).await
    });
}

/// 15 seeds.
#[test]
fn a_wrong_password_is_never_served_by_the_token_of_a_right_one() {
    seeds(0..15, async |world| {
        private(world, Access::Token { anonymous_pull: true });
        world.gate().close();
        both(world).await
    });
}

/// The storage refuses a signed URL that comes with credentials, as object stores do; that none came there is checked
/// at rest, as in every run.
#[test]
fn credentials_do_not_follow_a_redirect_to_another_host() {
    seeds(0..5, async |world| {
        private(world, Access::Token { anonymous_pull: false });
        world
            .registry()
            .configure(|options| options.redirect = Some("http://storage.localhost:81".to_owned()));
        world.gate().close();
        told(world.daemon().pull_as(&on_host("app:1"), "right", "password").await)?;
        fully_there(world, &image(1), "app", "1").await?;
        let hosts: BTreeSet<String> = world.registry().requests().into_iter().map(|r| r.host).collect();
        ensure(hosts.contains("storage.localhost:81"), format_args!("only {hosts:?} were asked"))?;
        ensure(is_shown(world, &on_host("app:1")).await?, "not shown")
    });
}
