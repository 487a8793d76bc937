//! What is done to a node: clients that each do a few things, one after the other.
//!
//! Owns the vocabulary (operations, names, images), its generation from a seed and its sentences. Performs nothing.

use std::fmt;
use std::sync::OnceLock;

use sim::image::Image;

use crate::Unpacking;
use crate::generator::Generator;
use crate::world::{image, on_host};

/// Tags in the registry.
pub const TAGS: u8 = 2;
/// Images in the registry. Tag `n` begins at image `n`.
pub const IMAGES: u8 = 3;

/// The repository of all images.
const REPOSITORY: &str = "app";

/// Image number `number`, built once a process: it is the same in every run.
pub(crate) fn image_number(number: u8) -> &'static Image {
    static BUILT: OnceLock<Vec<Image>> = OnceLock::new();
    let built = BUILT.get_or_init(|| (0..IMAGES).map(|seed| image(u64::from(seed))).collect());
    built.get(usize::from(number % IMAGES)).expect("the remainder is a number of an image")
}

/// Which image has this id.
pub(crate) fn image_with_id(id: &str) -> Option<u8> {
    (0..IMAGES).find(|number| image_number(*number).config().digest() == id)
}

/// A name of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// `app:<n+1>`.
    Tag(u8),
    /// `app@<digest of the manifest of image n>`.
    Digest(u8),
    /// The id of image n.
    Id(u8),
    /// A tag that is in containerd only, for another client made it.
    Foreign,
}

impl Name {
    /// Every name there is.
    pub fn all() -> impl Iterator<Item = Name> {
        let tags = (0..TAGS).map(Name::Tag);
        let digests = (0..IMAGES).map(Name::Digest);
        tags.chain(digests).chain((0..IMAGES).map(Name::Id)).chain([Name::Foreign])
    }

    /// The record's name.
    pub fn record(self) -> String {
        match self {
            Name::Tag(tag) => on_host(&format!("{REPOSITORY}:{}", tag + 1)),
            Name::Digest(number) => {
                on_host(&format!("{REPOSITORY}@{}", image_number(number).manifest().digest()))
            }
            Name::Id(number) => image_number(number).config().digest().to_owned(),
            Name::Foreign => on_host(&format!("{REPOSITORY}:theirs")),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Tag(tag) => write!(f, "{REPOSITORY}:{}", tag + 1),
            Name::Digest(number) => write!(f, "{REPOSITORY}@image{}", number + 1),
            Name::Id(number) => write!(f, "id of image{}", number + 1),
            Name::Foreign => write!(f, "{REPOSITORY}:theirs"),
        }
    }
}

/// On whose behalf a pull asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// A user whose password is right.
    Right,
    /// Nobody.
    Anonymous,
    /// The same user with a wrong password.
    Wrong,
}

/// Whom the registry serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Open,
    /// The user, by Basic authentication.
    Basic,
    /// The user, by tokens.
    Token,
}

/// What goes wrong once on the way to the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegistryFault {
    /// Requests that go well before: those for blobs where a blob breaks off, any otherwise.
    pub behind: u8,
    /// What happens.
    pub kind: RegistryFaultKind,
}

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistryFaultKind {
    /// Status 503.
    Unavailable,
    /// A blob's connection breaks after this many bytes.
    Reset(u8),
    /// A connection ends without an answer.
    Disconnect,
}

/// The daemon's connection to containerd breaks, with all that goes on over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Calls, and messages within calls, that go before.
    pub after: u8,
    /// Whether the call at which it breaks has its effect.
    pub effective: bool,
}

/// One thing that a client does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `PullImage`; given up after so many turns, where a number is given.
    Pull {
        /// What is pulled.
        tag: u8,
        /// With whose credentials.
        who: Who,
        /// Turns after which the caller goes away.
        patience: Option<u8>,
    },
    /// `RemoveImage`.
    Remove(Name),
    /// `ImageStatus`.
    Status(Name),
    /// `ListImages`.
    List,
    /// Another client deletes a record.
    Delete {
        /// The record.
        name: Name,
        /// Whether containerd collects before it answers.
        sync: bool,
    },
    /// Another client gives an image that is there one more name, or moves a name to it.
    Retag {
        /// The name.
        name: Name,
        /// The image.
        to: u8,
    },
    /// Another client removes the topmost snapshot of an image.
    RemoveSnapshot(u8),
    /// Another client deletes the manifest of an image from the content store.
    DeleteManifest(u8),
    /// containerd's collector runs.
    Collect,
    /// Someone pushes an image under a tag.
    Push {
        /// The tag.
        tag: u8,
        /// The image.
        image: u8,
    },
    /// The daemon is killed, and some turns later a new one is started.
    Kill,
    /// containerd is stopped and started.
    RestartContainerd,
    /// The daemon's event stream breaks, and what it had not told yet is lost.
    LoseEvents,
}

impl Operation {
    /// Whether it is a call of the daemon.
    pub fn is_call(&self) -> bool {
        matches!(self, Operation::Pull { .. } | Operation::Remove(_) | Operation::Status(_) | Operation::List)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Operation::Pull { tag, who, patience } => {
                write!(f, "pulls {}", Name::Tag(*tag))?;
                match who {
                    Who::Right => {}
                    Who::Anonymous => write!(f, " without credentials")?,
                    Who::Wrong => write!(f, " with a wrong password")?,
                }
                match patience {
                    Some(turns) => write!(f, ", giving up after {turns} turns"),
                    None => Ok(()),
                }
            }
            Operation::Remove(name) => write!(f, "removes {name}"),
            Operation::Status(name) => write!(f, "asks for the status of {name}"),
            Operation::List => write!(f, "lists the images"),
            Operation::Delete { name, sync } => {
                write!(
                    f,
                    "as another client deletes the record {name}{}",
                    if *sync { " and collects" } else { "" }
                )
            }
            Operation::Retag { name, to } => {
                write!(f, "as another client points the record {name} to image{}", to + 1)
            }
            Operation::RemoveSnapshot(number) => {
                write!(f, "as another client removes the top snapshot of image{}", number + 1)
            }
            Operation::DeleteManifest(number) => {
                write!(f, "as another client deletes the manifest of image{}", number + 1)
            }
            Operation::Collect => write!(f, "makes containerd collect"),
            Operation::Push { tag, image } => write!(f, "pushes image{} as {}", image + 1, Name::Tag(*tag)),
            Operation::Kill => write!(f, "kills the daemon and starts another"),
            Operation::RestartContainerd => write!(f, "restarts containerd"),
            Operation::LoseEvents => write!(f, "breaks the daemon's event stream"),
        }
    }
}

/// An operation and how many turns its client lets pass first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Turns before it.
    pub wait: u8,
    /// The operation.
    pub operation: Operation,
}

/// Everything that is done in one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Who unpacks layers.
    pub unpacking: Unpacking,
    /// Whom the registry serves.
    pub access: Access,
    /// Whether the registry sends clients elsewhere for blobs.
    pub redirect: bool,
    /// What goes wrong on the way to it.
    pub faults: Vec<RegistryFault>,
    /// When the connection to containerd breaks.
    pub cuts: Vec<Cut>,
    /// Tags that were pulled before.
    pub pulled: Vec<u8>,
    /// Each client's steps.
    pub clients: Vec<Vec<Step>>,
}

impl Workload {
    /// The workload that `seed` determines.
    pub fn generate(seed: u64) -> Workload {
        let mut random = Generator::new(seed);
        let access = match random.below(8) {
            0 => Access::Basic,
            1 => Access::Token,
            _ => Access::Open,
        };
        // Most runs are calm: what disturbs all (a kill, a restart, damage) also excuses much.
        let disturbed = random.chance(40);
        let faults = (0..if random.chance(20) { 1 + random.below(2) } else { 0 })
            .map(|_| {
                let kind = match random.below(3) {
                    0 => RegistryFaultKind::Unavailable,
                    1 => RegistryFaultKind::Reset(1 + random.below(200)),
                    _ => RegistryFaultKind::Disconnect,
                };
                RegistryFault { behind: random.below(6), kind }
            })
            .collect();
        let cuts = (0..u8::from(disturbed && random.chance(25)))
            .map(|_| Cut { after: random.below(80), effective: random.chance(50) })
            .collect();
        // Where all do something to the same image, one is more often just there when another comes.
        let scope = if random.chance(40) { Scope { tags: 1, images: 1 } } else { Scope::default() };
        let pulled =
            (0..scope.tags).filter(|_| random.chance(if scope.tags == 1 { 60 } else { 30 })).collect();
        let clients = (0..2 + random.below(3))
            .map(|_| {
                let steps = 1 + random.below(3);
                (0..steps).map(|_| step(&mut random, scope, access, disturbed)).collect()
            })
            .collect();
        let redirect = random.chance(15);
        let unpacking = if random.chance(50) { Unpacking::Direct } else { Unpacking::Differ };
        Workload { unpacking, access, redirect, faults, cuts, pulled, clients }
    }

    /// How many operations there are.
    pub fn operations(&self) -> usize {
        self.clients.iter().map(Vec::len).sum()
    }
}

/// Of what a workload speaks: the first of all tags and images.
#[derive(Clone, Copy)]
struct Scope {
    tags: u8,
    images: u8,
}

impl Default for Scope {
    fn default() -> Scope {
        Scope { tags: TAGS, images: IMAGES }
    }
}

fn step(random: &mut Generator, scope: Scope, access: Access, disturbed: bool) -> Step {
    let wait = if random.chance(60) { 0 } else { random.below(24) };
    Step { wait, operation: operation(random, scope, access, disturbed) }
}

fn operation(random: &mut Generator, scope: Scope, access: Access, disturbed: bool) -> Operation {
    let (tag, number) = (random.below(scope.tags), random.below(scope.images));
    match random.below(if disturbed { 22 } else { 15 }) {
        0..=4 => {
            let who = match access {
                Access::Open => Who::Right,
                _ => [Who::Right, Who::Right, Who::Wrong, Who::Anonymous]
                    .get(usize::from(random.below(4)))
                    .copied()
                    .unwrap_or(Who::Right),
            };
            Operation::Pull { tag, who, patience: random.chance(20).then(|| random.below(30)) }
        }
        5..=7 => Operation::Remove(name(random, scope)),
        8 | 9 => Operation::Status(name(random, scope)),
        10 => Operation::List,
        // To another image even where all else is about one: a tag that moves is what makes an update.
        11 => Operation::Push { tag, image: random.below(IMAGES) },
        12 => Operation::Delete { name: name(random, scope), sync: random.chance(50) },
        13 => Operation::Collect,
        14 => {
            // An id or a digest that another client points elsewhere would be a lie that no client tells.
            let name = if random.chance(60) { Name::Tag(tag) } else { Name::Foreign };
            Operation::Retag { name, to: number }
        }
        15 => Operation::RemoveSnapshot(number),
        16 => Operation::DeleteManifest(number),
        17 | 18 => Operation::Kill,
        19 | 20 => Operation::LoseEvents,
        _ => Operation::RestartContainerd,
    }
}

/// Mostly tags, as a kubelet's requests.
fn name(random: &mut Generator, scope: Scope) -> Name {
    match random.below(10) {
        0..=5 => Name::Tag(random.below(scope.tags)),
        6 => Name::Digest(random.below(scope.images)),
        7 | 8 => Name::Id(random.below(scope.images)),
        _ => Name::Foreign,
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.unpacking == Unpacking::Direct {
            writeln!(f, "The daemon writes layers into containerd's directories.")?;
        }
        match self.access {
            Access::Open => {}
            Access::Basic => writeln!(f, "The registry wants a password.")?,
            Access::Token => writeln!(f, "The registry wants tokens.")?,
        }
        if self.redirect {
            writeln!(f, "It sends clients to another host for blobs.")?;
        }
        for RegistryFault { behind, kind } in &self.faults {
            match kind {
                RegistryFaultKind::Unavailable => {
                    writeln!(f, "It answers a request behind {behind} others with 503.")?;
                }
                RegistryFaultKind::Reset(after) => {
                    writeln!(f, "It breaks a blob behind {behind} others off after {after} bytes.")?;
                }
                RegistryFaultKind::Disconnect => {
                    writeln!(f, "It hangs up on a request behind {behind} others.")?
                }
            }
        }
        for Cut { after, effective } in &self.cuts {
            let effect = if *effective { "after" } else { "before" };
            writeln!(
                f,
                "The connection to containerd breaks {effect} the effect of the call behind {after} others."
            )?;
        }
        for tag in &self.pulled {
            writeln!(f, "{} was pulled before.", Name::Tag(*tag))?;
        }
        for (number, steps) in self.clients.iter().enumerate() {
            for step in steps {
                write!(f, "c{} ", number + 1)?;
                if step.wait > 0 {
                    write!(f, "lets {} turns pass, then ", step.wait)?;
                }
                writeln!(f, "{}.", step.operation)?;
            }
        }
        Ok(())
    }
}
