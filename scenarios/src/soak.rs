//! Pull after pull of small images in one world, from a registry that misbehaves by a seed.
//!
//! What one pull leaks, thousands show. The world goes on from pull to pull: a permit that was not given back makes a
//! later pull wait for ever, a lease or an ingest that was left is found when all is at rest, and so is a task that still
//! runs. On the paused clock the waits of a bad network cost nothing.

use std::error::Error;
use std::time::Duration;

use http::StatusCode;
use sim::image::{Blob, Compression, File, Image, ImageBuilder, Layer, Pushable};
use sim::registry::{Fault, Match, Rule};
use sim::schedule::Random;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};

use crate::generator::Generator;
use crate::{HOST, Unpacking, Violation, World, on_host, run};

/// Within this, in simulated time, each pull must have ended: every wait has its bound and every retry its count, and an
/// image has four documents and layers.
const END_WITHIN: Duration = Duration::from_secs(900);

/// Every so many pulls one meets no fault, and has to work.
const GOOD_EVERY: u64 = 10;

/// How long a pull without faults may take in simulated time; who waits for a lost permit waits for ever.
const GOOD_WITHIN: Duration = Duration::from_secs(30);

/// Tasks that may run at rest beside those that ran after the first pull: connections that are kept for the next one.
const TASKS_MORE: usize = 8;

/// What came of a soak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Soaked {
    /// Pulls from the misbehaving registry that ended with the image.
    pub pulled: u64,
    /// Those that ended with an error.
    pub failed: u64,
    /// The longest of them, in simulated time.
    pub longest: Duration,
}

/// Makes the pulls numbered from `first`, each of which misbehaves as `seed` and its number say.
///
/// # Errors
/// The first [`Violation`], with the number of the pull.
pub fn soak(unpacking: Unpacking, seed: u64, first: u64, pulls: u64) -> Result<Soaked, Violation> {
    let soaking = async |world: &mut World| {
        let mut soaked = Soaked::default();
        // The daemon's own tasks, and the connections that every pull makes.
        good_pull(world, seed).await?;
        let tasks = Handle::current().metrics().num_alive_tasks();
        for number in first..first + pulls {
            let at = |violation: Violation| Violation(format!("pull {number} of seed {seed}: {violation}"));
            bad_pull(world, seed, number, &mut soaked).await.map_err(at)?;
            if number % GOOD_EVERY == 0 {
                good_pull(world, seed ^ number).await.map_err(at)?;
            }
            let now = Handle::current().metrics().num_alive_tasks();
            if now > tasks + TASKS_MORE {
                return Err(at(Violation(format!("{now} tasks run at rest, after the first pull {tasks}"))));
            }
        }
        Ok(soaked)
    };
    run(unpacking, Random::new(seed), soaking).outcome
}

async fn bad_pull(world: &World, seed: u64, number: u64, soaked: &mut Soaked) -> Result<(), Violation> {
    let mut random = Generator::new(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let image = Pulled { image: image(&mut random), lies: random.chance(5) };
    world.registry().push("app", Some("1"), &image);
    for _ in 0..=random.below(3) {
        world.registry().inject(misdeed(&mut random, &image));
    }
    let began = Instant::now();
    let ended = timeout(END_WITHIN, world.daemon().pull(&on_host("app:1"))).await;
    soaked.longest = soaked.longest.max(began.elapsed());
    world.registry().heal();
    let is_there = matches!(ended, Ok(Ok(_)));
    match ended {
        Err(_) => return Err(Violation(format!("it did not end within {END_WITHIN:?}"))),
        Ok(Ok(pulled)) if image.lies => {
            return Err(Violation(format!("{} was pulled, whose manifest lies", pulled.image_id)));
        }
        Ok(Ok(_)) => soaked.pulled += 1,
        Ok(Err(error)) => {
            soaked.failed += 1;
            is_clear(&*error)?;
        }
    }
    ends_clean(world, &image.image, is_there).await?;
    take_back(world, &image);
    Ok(())
}

/// A pull that meets no fault works, and soon.
async fn good_pull(world: &World, seed: u64) -> Result<(), Violation> {
    let image = Pulled { image: image(&mut Generator::new(!seed)), lies: false };
    world.registry().push("app", Some("1"), &image);
    match timeout(GOOD_WITHIN, world.daemon().pull(&on_host("app:1"))).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => return Err(Violation(format!("a pull without faults failed: {}", chain(&*error)))),
        Err(_) => return Err(Violation(format!("a pull without faults did not end within {GOOD_WITHIN:?}"))),
    }
    ends_clean(world, &image.image, true).await?;
    take_back(world, &image);
    Ok(())
}

/// At rest the image is whole or gone, and after its removal there is nothing at all.
async fn ends_clean(world: &World, image: &Image, is_there: bool) -> Result<(), Violation> {
    world.check_at_rest().await?;
    let id = image.config().digest();
    let store = world.daemon().store();
    let status = store.status(id).await.map_err(|error| Violation(chain(&error)))?;
    if status.is_some() != is_there {
        return Err(Violation(format!(
            "the image is shown: {}, it was pulled: {is_there}",
            status.is_some()
        )));
    }
    if is_there {
        store.remove(id).await.map_err(|error| Violation(chain(&error)))?;
        world.check_at_rest().await?;
    }
    let inventory = world.inventory();
    if !inventory.images.is_empty() {
        return Err(Violation(format!("records are left: {:?}", inventory.images.keys())));
    }
    Ok(())
}

/// A soak must not be one of the registry's own memory.
fn take_back(world: &World, image: &Pulled) {
    for blob in image.blobs().iter().chain(&image.manifests()) {
        world.registry().remove("app", blob.digest());
    }
    world.registry().clear_requests();
}

/// An error that a person can use says who was asked, or for what.
fn is_clear(error: &(dyn Error + 'static)) -> Result<(), Violation> {
    let text = chain(error);
    match text.contains(HOST) || text.contains("sha256:") {
        true => Ok(()),
        false => Err(Violation(format!("an error that names neither host nor digest: {text}"))),
    }
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

/// A base that all share, and a layer of one or of several frames.
fn image(random: &mut Generator) -> Image {
    let base = Layer::new([File::directory("etc"), File::regular("etc/os", "base")], Compression::Gzip);
    let bytes = if random.chance(25) { 150_000 } else { 200 };
    let top = Layer::random("top", bytes, random.fork(), Compression::Gzip);
    ImageBuilder::new().layer(base).layer(top).build()
}

/// An image, and whether its manifest gives the last layer another length than it has.
struct Pulled {
    image: Image,
    lies: bool,
}

impl Pulled {
    fn manifest(&self) -> Blob {
        if !self.lies {
            return self.image.manifest().clone();
        }
        let text = String::from_utf8_lossy(self.image.manifest().bytes()).into_owned();
        let size = self.image.layer_blobs().last().map(Blob::size).unwrap_or_default();
        let lie = text.replace(&format!("\"size\":{size}"), &format!("\"size\":{}", size + 1));
        Blob::new(self.image.manifest().media_type(), lie.into_bytes())
    }
}

impl Pushable for Pulled {
    fn target(&self) -> Blob {
        self.manifest()
    }

    fn manifests(&self) -> Vec<Blob> {
        vec![self.manifest()]
    }

    fn blobs(&self) -> Vec<Blob> {
        self.image.blobs()
    }
}

/// What the registry does wrong, to which requests, and how often.
fn misdeed(random: &mut Generator, pulled: &Pulled) -> Rule {
    let image = &pulled.image;
    let layers = image.layer_blobs();
    let matching = match random.below(5) {
        0 => Match::any(),
        1 => Match::path("/manifests/"),
        2 => Match::path(image.config().digest()),
        number => match layers.get(usize::from(number) - 3) {
            Some(layer) => Match::path(layer.digest()),
            None => Match::path("/blobs/"),
        },
    };
    let rule = Rule::new(matching, fault(random)).skip(random.below(3).into());
    // Now and then for ever.
    if random.chance(20) { rule } else { rule.times(1 + u32::from(random.below(6))) }
}

fn fault(random: &mut Generator) -> Fault {
    let somewhere = |random: &mut Generator| match random.below(3) {
        0 => 0,
        1 => u64::from(random.below(255)),
        _ => u64::from(random.below(255)) * 600,
    };
    let header = |name: &str, value: &str| Fault::Header(name.to_owned(), value.to_owned());
    let wait = |text: &str| vec![("retry-after".to_owned(), text.to_owned())];
    match random.below(16) {
        0 => Fault::Status(StatusCode::SERVICE_UNAVAILABLE, Vec::new()),
        1 => Fault::Status(StatusCode::BAD_GATEWAY, Vec::new()),
        2 => Fault::Status(StatusCode::TOO_MANY_REQUESTS, wait("3")),
        3 => Fault::Status(StatusCode::TOO_MANY_REQUESTS, wait("86400")),
        4 => Fault::Status(StatusCode::UNAUTHORIZED, Vec::new()),
        // An answer of nothing, where something was asked for.
        5 => Fault::Status(StatusCode::OK, Vec::new()),
        6 => Fault::Status(StatusCode::PARTIAL_CONTENT, Vec::new()),
        7 => Fault::Status(
            StatusCode::TEMPORARY_REDIRECT,
            vec![("location".to_owned(), "/v2/loop".to_owned())],
        ),
        8 => Fault::Delay(Duration::from_secs(random.below(60).into())),
        9 => Fault::Disconnect,
        10 => Fault::Reset(somewhere(random)),
        11 => Fault::Stall(somewhere(random)),
        12 => Fault::Corrupt(somewhere(random)),
        13 => Fault::IgnoreRange,
        14 => header(
            "docker-content-digest",
            "sha256:0000000000000000000000000000000000000000000000000000000000000000",
        ),
        _ => header("content-range", "bytes 7-3/2"),
    }
}
