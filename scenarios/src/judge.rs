//! What a play's answers must fulfil, beyond what is left at rest.

use std::collections::BTreeMap;

use sim::registry::{Authorization, LoggedRequest, Principal};

use crate::Violation;
use crate::history::{Answer, Event};
use crate::linear::{self, Act, OPERATIONS_MAX, Op};
use crate::play::{LastState, is_other_host};
use crate::workload::{Access, IMAGES, Operation, RegistryFaultKind, TAGS, Who, Workload};

/// Judges a play by its history, the requests that the registry got, and what the daemon says at the end.
///
/// # Errors
/// The first [`Violation`].
pub(crate) fn judge(
    workload: &Workload,
    events: &[Event],
    requests: &[LoggedRequest],
    last: &LastState,
) -> Result<(), Violation> {
    credentials_stay_home(requests)?;
    for event in events {
        is_answered(workload, events, event)?;
    }
    bytes_come_once(workload, events, requests)?;
    is_explained(workload, events, last)
}

fn violated(what: String) -> Result<(), Violation> {
    Err(Violation(what))
}

fn credentials_stay_home(requests: &[LoggedRequest]) -> Result<(), Violation> {
    for request in requests {
        let host = request.dialled.as_deref().unwrap_or(&request.host);
        if is_other_host(host) && request.authorization != Authorization::Absent {
            return violated(format!("credentials went to {host}: {request:?}"));
        }
        if let Authorization::Valid(Principal::User(name)) = &request.authorization
            && name != "user"
        {
            return violated(format!("credentials of {name}, who never called"));
        }
    }
    Ok(())
}

fn told(event: &Event) -> String {
    format!("c{} {}: {}", event.client + 1, event.operation, event.answer)
}

/// Each operation returns in its time, fails for a reason only, and serves nobody whom the registry would refuse.
fn is_answered(workload: &Workload, events: &[Event], event: &Event) -> Result<(), Violation> {
    match (&event.operation, &event.answer) {
        (_, Answer::Late) => violated(format!("{}, which is a deadline passed", told(event))),
        (Operation::Pull { tag, who, .. }, answer) => {
            let is_refused = is_refused(workload, *who);
            match answer {
                Answer::Pulled(_) if is_refused => {
                    violated(format!("{}, which the registry refuses", told(event)))
                }
                Answer::Pulled(image) => {
                    let images = values_of_tag(events, *tag, began_jointly(events, event), event.ended);
                    match image {
                        Some(image) if images & (1 << image) != 0 => Ok(()),
                        _ => violated(format!("{}, which the tag was not in that time", told(event))),
                    }
                }
                Answer::Failed(_) if !is_refused && !is_disturbed(workload, events, event) => {
                    violated(format!("{}, and nothing disturbed it", told(event)))
                }
                _ => Ok(()),
            }
        }
        (operation, Answer::Failed(_)) if operation.is_call() && !is_disturbed(workload, events, event) => {
            violated(format!("{}, and nothing disturbed it", told(event)))
        }
        _ => Ok(()),
    }
}

/// Whether something happened that excuses a failure: containerd or the daemon was restarted, or the connection or the
/// event stream between them broke, at some time before its end (the daemon may not be ready yet), or another client took
/// parts of images away while it ran.
fn is_disturbed(workload: &Workload, events: &[Event], event: &Event) -> bool {
    if !workload.cuts.is_empty() {
        return true;
    }
    let began = began_jointly(events, event);
    events.iter().any(|other| match other.operation {
        Operation::RestartContainerd | Operation::Kill | Operation::LoseEvents => other.began <= event.ended,
        Operation::RemoveSnapshot(_) | Operation::DeleteManifest(_) => {
            // One whose outcome its client does not know may take effect later.
            let is_unknown = matches!(other.answer, Answer::Failed(_));
            other.began <= event.ended && (is_unknown || other.ended >= began)
        }
        _ => false,
    })
}

/// When the pull that `event` is, or has joined, may have begun: the earliest beginning in an unbroken chain of
/// overlapping pulls with equal reference and credentials. A caller who joins a pull is answered as of its beginning;
/// that is what joining means.
fn began_jointly(events: &[Event], event: &Event) -> u32 {
    let Operation::Pull { tag, who, .. } = &event.operation else { return event.began };
    let mut began = event.began;
    loop {
        let earlier = events.iter().filter(|other| match &other.operation {
            Operation::Pull { tag: also, who: same, .. } => also == tag && same == who,
            _ => false,
        });
        let earlier =
            earlier.filter(|other| other.began < began && other.ended > began).map(|other| other.began);
        match earlier.min() {
            Some(earliest) => began = earliest,
            None => return began,
        }
    }
}

/// The images (a set) that `tag` was at the registry between two moments.
fn values_of_tag(events: &[Event], tag: u8, from: u32, to: u32) -> u8 {
    let mut present = tag % IMAGES;
    let mut values = 0;
    for event in events {
        let Operation::Push { tag: pushed, image } = event.operation else { continue };
        if pushed != tag || event.began > to {
            continue;
        }
        if event.ended >= from {
            values |= 1 << present;
        }
        present = image;
    }
    values | 1 << present
}

/// No blob is sent more often than there were separate pulls; each removal may be one reason more, for a pull that another
/// is not joined to any more finds nothing of what the first brought.
fn bytes_come_once(
    workload: &Workload,
    events: &[Event],
    requests: &[LoggedRequest],
) -> Result<(), Violation> {
    let is_faulty = workload.faults.iter().any(|fault| fault.kind != RegistryFaultKind::Unavailable);
    let is_restarted = events.iter().any(|event| event.operation == Operation::RestartContainerd);
    if is_faulty || is_restarted || !workload.cuts.is_empty() {
        return Ok(());
    }
    let separate = events
        .iter()
        .filter(|event| matches!(event.operation, Operation::Pull { .. }))
        .filter(|event| began_jointly(events, event) == event.began)
        .count();
    let removals = events.iter().filter(|event| is_damage(event) || is_removal(event)).count();
    let mut sent: BTreeMap<&str, usize> = BTreeMap::new();
    for request in requests {
        let is_whole = request.status.is_some_and(|status| status.is_success());
        let Some((_, digest)) = request.path.split_once("/blobs/") else { continue };
        if is_whole && request.method == http::Method::GET {
            *sent.entry(digest).or_default() += 1;
        }
    }
    match sent.into_iter().find(|(_, times)| *times > separate + removals) {
        Some((digest, times)) => violated(format!(
            "{digest} was fetched {times} times for {separate} pulls and {removals} removals"
        )),
        None => Ok(()),
    }
}

fn is_explained(workload: &Workload, events: &[Event], last: &LastState) -> Result<(), Violation> {
    let mut ops = Vec::new();
    let mut about = Vec::new();
    for event in events {
        let rewritten = is_rewritten(workload, events).then(|| rewrite(event)).flatten();
        for op in acts(workload, events, event).into_iter().chain(rewritten) {
            ops.push(op);
            about.push(told(event));
        }
    }
    let end = u32::MAX - 8;
    ops.push(Op { act: Act::Settled, began: end, ended: end + 1 });
    about.push("rest".to_owned());
    for (name, seen) in &last.statuses {
        ops.push(Op { act: Act::Read { name: *name, seen: *seen }, began: end + 2, ended: end + 3 });
        let seen = Answer::Status(*seen);
        about.push(format!("at rest the status of {name}: {seen}"));
    }
    for image in 0..IMAGES {
        let seen = last.listed.contains(&image);
        ops.push(Op { act: Act::Has { image, seen }, began: end + 2, ended: end + 3 });
        about.push(format!("at rest image{} is {}", image + 1, if seen { "listed" } else { "not listed" }));
    }
    if ops.len() > OPERATIONS_MAX {
        return violated(format!("{} operations are too many to be explained", ops.len()));
    }
    linear::explain(&ops, &workload.pulled).map_err(|unexplained| {
        let told: Vec<&str> =
            unexplained.iter().filter_map(|number| about.get(*number)).map(String::as_str).collect();
        Violation(format!("no order explains what was answered; without a place: {}", told.join("; ")))
    })
}

/// Whether the lease of a pull that succeeded may have outlived the daemon's memory of it: the connection was cut when it
/// was to be deleted, and the next daemon takes it for one of a pull that was cut off.
fn is_rewritten(workload: &Workload, events: &[Event]) -> bool {
    !workload.cuts.is_empty() && events.iter().any(|event| event.operation == Operation::Kill)
}

/// What recovery may make of such a lease: the records of its pull once more.
fn rewrite(event: &Event) -> Option<Op> {
    let (Operation::Pull { tag, .. }, Answer::Pulled(Some(image))) = (&event.operation, &event.answer) else {
        return None;
    };
    let act = Act::Pull { tag: *tag % TAGS, images: 1 << image, certain: false };
    Some(Op { act, began: event.began, ended: u32::MAX - 16 })
}

fn is_removal(event: &Event) -> bool {
    matches!(event.operation, Operation::Remove(_) | Operation::Delete { .. })
}

fn is_damage(event: &Event) -> bool {
    matches!(event.operation, Operation::RemoveSnapshot(_) | Operation::DeleteManifest(_))
}

/// Whether the registry gives nothing to `who`.
fn is_refused(workload: &Workload, who: Who) -> bool {
    workload.access != Access::Open && who != Who::Right
}

/// What an event means to the model.
fn acts(workload: &Workload, events: &[Event], event: &Event) -> Vec<Op> {
    let at = |act| Op { act, began: event.began, ended: event.ended };
    // Recovery may complete it at any time before all rests.
    let later = |act, began| Op { act, began, ended: u32::MAX - 16 };
    let is_certain = matches!(event.answer, Answer::Done);
    let is_unknown = matches!(event.answer, Answer::Failed(_) | Answer::GivenUp);
    match &event.operation {
        // It did nothing; several of them, as pulls that may yet take effect, make the search exponential.
        Operation::Pull { who, .. } if is_refused(workload, *who) => Vec::new(),
        Operation::Pull { tag, .. } => {
            let began = began_jointly(events, event);
            let images = values_of_tag(events, *tag, began, event.ended);
            let mut ops = Vec::new();
            if events.iter().any(is_damage) {
                ops.push(Op { began, ..at(Act::Mend { images }) });
            }
            ops.extend(match &event.answer {
                Answer::Pulled(Some(image)) => {
                    let act = Act::Pull { tag: *tag % TAGS, images: 1 << image, certain: true };
                    vec![Op { began, ..at(act) }]
                }
                _ => {
                    // Twice: recovery also writes again what another client deleted after the pull wrote it, for a pull
                    // that nobody was told of is not over.
                    let act = Act::Pull { tag: *tag % TAGS, images, certain: false };
                    vec![later(act.clone(), began), later(act, began)]
                }
            });
            ops
        }
        Operation::Remove(name) if is_certain => vec![at(Act::Remove { name: *name, certain: true })],
        Operation::Remove(name) => vec![later(Act::Remove { name: *name, certain: false }, event.began)],
        Operation::Status(name) => match &event.answer {
            Answer::Status(seen) => vec![at(Act::Read { name: *name, seen: *seen })],
            _ => Vec::new(),
        },
        Operation::List => match &event.answer {
            Answer::Listed(images) => {
                (0..IMAGES).map(|image| at(Act::Has { image, seen: images.contains(&image) })).collect()
            }
            _ => Vec::new(),
        },
        Operation::Delete { name, .. } => {
            if is_unknown {
                return vec![later(Act::Delete { name: *name, found: None }, event.began)];
            }
            vec![at(Act::Delete { name: *name, found: Some(is_certain) })]
        }
        Operation::Retag { name, to } if is_certain => {
            vec![at(Act::Retag { name: *name, to: *to, certain: true })]
        }
        Operation::Retag { name, to } if is_unknown => {
            vec![later(Act::Retag { name: *name, to: *to, certain: false }, event.began)]
        }
        Operation::RemoveSnapshot(image) | Operation::DeleteManifest(image) if is_certain => {
            vec![at(Act::Damage { image: *image, certain: true })]
        }
        Operation::RemoveSnapshot(image) | Operation::DeleteManifest(image) if is_unknown => {
            vec![later(Act::Damage { image: *image, certain: false }, event.began)]
        }
        _ => Vec::new(),
    }
}
