//! Plays a workload in a world, and judges what came of it.

use std::cell::RefCell;
use std::time::Duration;

use futures::future::join_all;
use http::StatusCode;
use imagestore::ImageStore;
use puller::Puller;
use sim::containerd;
use sim::registry::{Fault, Match, Rule, User};
use sim::schedule::Choose;
use tokio::sync::watch;

use crate::history::{Answer, Event, History};
use crate::workload::{
    Access, Cut, IMAGES, Name, Operation, RegistryFault, RegistryFaultKind, Step, TAGS, Who, Workload,
    image_number, image_with_id,
};
use crate::{HOST, Violation, World, judge, run};

/// Simulated time that a pull may take: its retries and stalls, and what an unlucky schedule adds.
const PULL_WITHIN: Duration = Duration::from_secs(600);
/// Simulated time that any other operation may take: a collection's deadline, and what an unlucky schedule adds.
const CALL_WITHIN: Duration = Duration::from_secs(150);

/// Another host, for redirects of blobs. A loopback name, because it is served over plain HTTP.
pub(crate) const STORAGE: &str = "localhost:5001";

const REPOSITORY: &str = "app";
const USER: &str = "user";
const PASSWORD: &str = "right";

/// What a play gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Played {
    /// The first broken promise.
    pub outcome: Result<(), Violation>,
    /// What was done and answered.
    pub events: Vec<Event>,
    /// Every message in the order of its turn, with the simulated time.
    pub log: Vec<String>,
}

/// Plays `workload` with the turns of messages chosen by `choose`, and judges it.
pub fn play(workload: &Workload, choose: impl Choose) -> Played {
    let run = run(workload.unpacking, choose, async |world| scenario(workload, world).await);
    let (outcome, events) = run.outcome;
    Played { outcome, events, log: run.log }
}

async fn scenario(workload: &Workload, world: &mut World) -> (Result<(), Violation>, Vec<Event>) {
    prepare(workload, world).await;
    world.gate().close();
    let (killed, _) = watch::channel(());
    let stage =
        Stage { world: RefCell::new(world), daemon: RefCell::default(), killed, history: History::default() };
    stage.enter_daemon();
    let clients = workload.clients.iter().enumerate();
    join_all(clients.map(|(number, steps)| stage.client(number, steps))).await;
    let (world, events) = (stage.world.into_inner(), stage.history.events());
    world.containerd().heal();
    let requests = world.registry().requests();
    let outcome = async {
        let is_restarted = events.iter().any(|event| event.operation == Operation::RestartContainerd);
        if is_restarted || !workload.cuts.is_empty() {
            // A collection that the restart cut off is made up for by the one after containerd's start.
            world.settle().await;
            world.containerd().collect();
        }
        world.check_at_rest().await?;
        let is_of_others =
            |event: &Event| matches!(event.operation, Operation::Delete { .. } | Operation::Retag { .. });
        let is_by_others = events.iter().any(is_of_others);
        if !is_by_others && !is_restarted && workload.cuts.is_empty() {
            world.check_ids()?;
        }
        let last = last_state(world).await?;
        judge::judge(workload, &events, &requests, &last)
    };
    (outcome.await, events)
}

/// What the daemon answers when nothing goes on any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LastState {
    pub(crate) statuses: Vec<(Name, Option<u8>)>,
    pub(crate) listed: Vec<u8>,
}

async fn last_state(world: &World) -> Result<LastState, Violation> {
    let store = world.daemon().store();
    let failed = |error: imagestore::StoreError| Violation(format!("at rest: {error}"));
    let mut statuses = Vec::new();
    for name in Name::all() {
        let found = store.status(&name.record()).await.map_err(failed)?;
        statuses.push((name, found.and_then(|image| image_with_id(image.id().as_str()))));
    }
    Ok(LastState { statuses, listed: listed(store).await.map_err(failed)? })
}

async fn listed(store: &ImageStore) -> Result<Vec<u8>, imagestore::StoreError> {
    let images = store.list().await?;
    Ok(images.iter().filter_map(|image| image_with_id(image.id().as_str())).collect())
}

async fn prepare(workload: &Workload, world: &World) {
    let registry = world.registry();
    for number in 0..IMAGES {
        registry.push(REPOSITORY, None, image_number(number));
    }
    for tag in 0..TAGS {
        registry.tag(REPOSITORY, &(tag + 1).to_string(), image_number(tag).manifest().digest());
    }
    registry.add_user(User::new(USER, PASSWORD));
    registry.configure(|options| {
        options.access = match workload.access {
            Access::Open => sim::registry::Access::Open,
            Access::Basic => sim::registry::Access::Basic,
            Access::Token => sim::registry::Access::Token { anonymous_pull: false },
        };
        if workload.redirect {
            options.redirect = Some(format!("http://{STORAGE}"));
        }
    });
    for tag in &workload.pulled {
        let pulled = world.daemon().pull_as(&Name::Tag(*tag).record(), USER, PASSWORD).await;
        assert!(pulled.is_ok(), "a pull that nothing disturbs: {pulled:?}");
    }
    for RegistryFault { behind, kind } in &workload.faults {
        let blob = Match::path("/blobs/").method(http::Method::GET);
        let (matching, fault) = match kind {
            RegistryFaultKind::Unavailable => {
                (Match::any(), Fault::Status(StatusCode::SERVICE_UNAVAILABLE, Vec::new()))
            }
            RegistryFaultKind::Reset(after) => (blob, Fault::Reset(u64::from(*after))),
            RegistryFaultKind::Disconnect => (Match::any(), Fault::Disconnect),
        };
        registry.inject(Rule::new(matching, fault).skip(u32::from(*behind)).times(1));
    }
    for Cut { after, effective } in &workload.cuts {
        let fault =
            if *effective { containerd::Fault::DisconnectAfter } else { containerd::Fault::Disconnect };
        let daemon = containerd::Match::any().client("daemon1");
        world.containerd().inject(containerd::Rule::new(daemon, fault).skip(u32::from(*after)).times(1));
    }
    registry.clear_requests();
}

/// What all clients of a play share.
struct Stage<'w> {
    world: RefCell<&'w mut World>,
    /// The daemon's handles; none between a kill and the next start.
    daemon: RefCell<Option<(ImageStore, Puller)>>,
    /// Told of each kill.
    killed: watch::Sender<()>,
    history: History,
}

impl Stage<'_> {
    fn enter_daemon(&self) {
        let world = self.world.borrow();
        let daemon = world.daemon();
        *self.daemon.borrow_mut() = Some((daemon.store().clone(), daemon.puller().clone()));
    }

    /// Waits for a turn. No handle to the world is held meanwhile.
    async fn turn(&self, label: &str) {
        let gate = self.world.borrow().gate().clone();
        gate.pass(label).await;
    }

    fn note(&self, line: &str) {
        self.world.borrow().gate().note(line);
    }

    async fn client(&self, number: usize, steps: &[Step]) {
        let name = format!("c{}", number + 1);
        for Step { wait, operation } in steps {
            for _ in 0..*wait {
                self.turn(&format!("{name} waits")).await;
            }
            self.turn(&format!("{name} {operation}")).await;
            let entry = self.history.begin(number, operation);
            let within = if matches!(operation, Operation::Pull { .. }) { PULL_WITHIN } else { CALL_WITHIN };
            let answer = match tokio::time::timeout(within, self.perform(&name, operation)).await {
                Ok(answer) => answer,
                Err(_) => Answer::Late,
            };
            self.note(&format!("{name} {operation}: {answer}"));
            self.history.end(entry, answer);
        }
    }

    /// A call of the daemon, which ends with it.
    async fn call(&self, call: impl AsyncFnOnce(ImageStore, Puller) -> Answer) -> Answer {
        let Some((store, puller)) = self.daemon.borrow().clone() else { return Answer::GivenUp };
        let mut killed = self.killed.subscribe();
        tokio::select! {
            biased;
            _ = killed.changed() => Answer::GivenUp,
            answer = call(store, puller) => answer,
        }
    }

    async fn perform(&self, name: &str, operation: &Operation) -> Answer {
        match operation {
            Operation::Pull { tag, who, patience } => self.pull(name, *tag, *who, *patience).await,
            Operation::Remove(image) => self.call(async |store, _| remove(store, *image).await).await,
            Operation::Status(image) => {
                let status = async |store: ImageStore, _| match store.status(&image.record()).await {
                    Ok(found) => Answer::Status(found.and_then(|image| image_with_id(image.id().as_str()))),
                    Err(error) => Answer::Failed(error.to_string()),
                };
                self.call(status).await
            }
            Operation::List => {
                let list = async |store: ImageStore, _| match listed(&store).await {
                    Ok(images) => Answer::Listed(images),
                    Err(error) => Answer::Failed(error.to_string()),
                };
                self.call(list).await
            }
            Operation::Collect => {
                self.world.borrow().containerd().collect();
                Answer::Done
            }
            Operation::Push { tag, image } => {
                let digest = image_number(*image).manifest().digest();
                self.world.borrow().registry().tag(REPOSITORY, &(tag + 1).to_string(), digest);
                Answer::Done
            }
            Operation::Kill => {
                self.daemon.borrow_mut().take();
                self.killed.send_replace(());
                self.world.borrow_mut().kill_daemon();
                self.turn(&format!("{name} starts the daemon")).await;
                if self.daemon.borrow().is_none() {
                    self.world.borrow_mut().restart_daemon();
                    self.enter_daemon();
                }
                Answer::Done
            }
            Operation::LoseEvents => {
                let world = self.world.borrow();
                world.containerd().break_subscriptions(&world.daemon_name());
                Answer::Done
            }
            Operation::RestartContainerd => {
                self.world.borrow().containerd().restart();
                Answer::Done
            }
            Operation::Delete { .. }
            | Operation::Retag { .. }
            | Operation::RemoveSnapshot(_)
            | Operation::DeleteManifest(_) => self.as_another_client(operation).await,
        }
    }

    async fn pull(&self, name: &str, tag: u8, who: Who, patience: Option<u8>) -> Answer {
        let reference = Name::Tag(tag).record();
        let (user, password) = match who {
            Who::Right => (USER, PASSWORD),
            Who::Anonymous => ("", ""),
            Who::Wrong => (USER, "wrong"),
        };
        let pulling =
            async |_, puller: Puller| match crate::daemon::pull_with(&puller, &reference, user, password)
                .await
            {
                Ok(pulled) => Answer::Pulled(image_with_id(pulled.image_id.as_str())),
                Err(error) => Answer::Failed(chain(&*error)),
            };
        let gives_up = async {
            match patience {
                Some(turns) => {
                    for _ in 0..turns {
                        self.turn(&format!("{name} is patient")).await;
                    }
                    self.turn(&format!("{name} gives up")).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            answer = self.call(pulling) => answer,
            () = gives_up => Answer::GivenUp,
        }
    }

    async fn as_another_client(&self, operation: &Operation) -> Answer {
        let ctr = self.world.borrow().ctr().clone();
        let outcome = match operation {
            Operation::Delete { name, sync } => ctr.images().delete(&name.record(), None, *sync).await,
            Operation::Retag { name, to } => retag(&ctr, *name, *to).await,
            Operation::RemoveSnapshot(number) => {
                let top = image_number(*number).chain_ids().pop().unwrap_or_default();
                ctr.snapshots("overlayfs").remove(&top).await
            }
            Operation::DeleteManifest(number) => {
                let digest =
                    image_number(*number).manifest().digest().parse().expect("a digest of the simulator");
                ctr.content().delete(&digest).await
            }
            _ => Ok(()),
        };
        match outcome {
            Ok(()) => Answer::Done,
            Err(error) if error.is_not_found() => Answer::Nothing,
            Err(error) => Answer::Failed(error.to_string()),
        }
    }
}

/// `RemoveImage` as the daemon does it: on a task of its own, which ends even if the caller goes away.
async fn remove(store: ImageStore, image: Name) -> Answer {
    let removal = tokio::spawn(async move { store.remove(&image.record()).await });
    match removal.await {
        Ok(Ok(())) => Answer::Done,
        Ok(Err(error)) => Answer::Failed(error.to_string()),
        Err(error) => Answer::Failed(error.to_string()),
    }
}

/// As `ctr images tag`: takes the target of the image's record and writes it under another name.
async fn retag(ctr: &::containerd::Client, name: Name, to: u8) -> Result<(), ::containerd::CallError> {
    let images = ctr.images();
    let source = images.get(&Name::Id(to).record()).await?;
    let record = ::containerd::ImageRecord { name: name.record(), ..source };
    match images.create(&record).await {
        Err(error) if error.is_already_exists() => images.update(&record).await,
        other => other,
    }
}

/// The error and its causes as one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        line = format!("{line}: {cause}");
        source = cause.source();
    }
    line
}

/// Whether the log shows the registry under another name than its own.
pub(crate) fn is_other_host(host: &str) -> bool {
    host != HOST
}
