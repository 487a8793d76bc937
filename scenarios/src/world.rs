//! A node: containerd, registry, the daemon, and other clients beside it.

use std::io;
use std::path::Path;
use std::time::Duration;

use containerd::{Client, Images, Snapshots};
use sim::containerd::{Containerd, Inventory, Options, Point};
use sim::image::{Compression, File, Image, ImageBuilder, Layer};
use sim::registry::Registry;
use sim::schedule::{Gate, Link};
use tempfile::TempDir;

use crate::Daemon;
use crate::watch::Watch;

/// The registry's host: plain HTTP, because it is a loopback name.
pub const HOST: &str = "localhost:5000";

/// Simulated time after which all that was begun has ended: longer than every retry of the product but its stalls.
const REST: Duration = Duration::from_secs(30);

/// How long an interrupted pull is kept.
const RESUME_WITHIN: Duration = Duration::from_secs(10);

/// Who unpacks layers in a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unpacking {
    /// containerd's differ: its snapshots are not on this machine, as far as the daemon can see.
    Differ,
    /// The daemon, into containerd's own directories. Needs the privilege to set trusted attributes; without it, the
    /// daemon leaves layers to the differ.
    Direct,
}

impl Unpacking {
    /// Both.
    pub const ALL: [Unpacking; 2] = [Unpacking::Differ, Unpacking::Direct];
}

/// A simulated node.
#[derive(Debug)]
pub struct World {
    /// Where the snapshots are; removed with the world.
    _directory: Option<TempDir>,
    gate: Gate,
    containerd: Containerd,
    registry: Registry,
    daemon: Option<Daemon>,
    daemons_count: u32,
    boots_count: u32,
    resume_within: Duration,
    other: Client,
    watch: Watch,
}

impl World {
    /// A world with an empty containerd, an empty registry and a daemon that is ready; the gate is open.
    ///
    /// # Panics
    /// Where no directory can be made for the snapshots.
    pub async fn start(unpacking: Unpacking) -> World {
        let gate = Gate::new();
        let mut options = Options::default();
        let directory = match unpacking {
            Unpacking::Differ => None,
            Unpacking::Direct => Some(directory().expect("a directory for snapshots can be made")),
        };
        options.directory = directory.as_ref().map(|directory| directory.path().to_owned());
        let at = gate.clone();
        options.pause = Some(std::sync::Arc::new(move |point: Point| {
            let gate = at.clone();
            Box::pin(async move { gate.pass(&point.to_string()).await })
        }));
        let containerd = Containerd::new(options);
        let registry = Registry::new(sim::registry::Options::default());
        let ctr = Link::new("ctr", &gate).containerd(&containerd);
        let other = Client::new(ctr, "k8s.io").expect("a namespace that containerd takes");
        let watch = Watch::new(&containerd);
        let mut world = World {
            _directory: directory,
            gate,
            containerd,
            registry,
            daemon: None,
            daemons_count: 0,
            boots_count: 0,
            resume_within: RESUME_WITHIN,
            other,
            watch,
        };
        world.restart_daemon();
        world.daemon().until_ready().await.expect("an empty containerd is known at once");
        world
    }

    /// Where messages wait.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// containerd.
    pub fn containerd(&self) -> &Containerd {
        &self.containerd
    }

    /// The registry.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The daemon.
    ///
    /// # Panics
    /// After [`World::kill_daemon`], until it is started again.
    pub fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().expect("the scenario has a daemon running")
    }

    /// Image records as another client of containerd sees them.
    pub fn ctr_images(&self) -> Images {
        self.other.images()
    }

    /// Snapshots as another client of containerd sees them.
    pub fn ctr_snapshots(&self) -> Snapshots {
        self.other.snapshots("overlayfs")
    }

    /// All of containerd as another client sees it.
    pub fn ctr(&self) -> &Client {
        &self.other
    }

    /// Ends the daemon as SIGKILL would.
    pub fn kill_daemon(&mut self) {
        self.watch.of(None);
        if let Some(daemon) = self.daemon.take() {
            daemon.kill();
        }
    }

    /// Starts a daemon, after killing the one that runs.
    pub fn restart_daemon(&mut self) {
        self.kill_daemon();
        self.daemons_count += 1;
        let name = self.daemon_name();
        let (boot, resume_within) = (self.boots_count.to_string(), self.resume_within);
        let daemon = Daemon::start(&name, &boot, resume_within, &self.gate, &self.containerd, &self.registry);
        self.watch.of(Some(daemon.store().clone()));
        self.daemon = Some(daemon);
    }

    /// From the next start of the daemon on, interrupted pulls are kept for so long: by default, for less than the world
    /// needs to come to rest.
    pub fn keep_interrupted_for(&mut self, resume_within: Duration) {
        self.resume_within = resume_within;
    }

    /// Restarts the machine: the daemon and containerd, which has what is on its disk.
    pub fn reboot(&mut self) {
        self.kill_daemon();
        self.containerd.restart();
        self.boots_count += 1;
        self.restart_daemon();
    }

    /// What looks at the daemon between messages.
    pub(crate) fn watch(&self) -> &Watch {
        &self.watch
    }

    /// The name of the daemon that was started last, at the gate.
    pub(crate) fn daemon_name(&self) -> String {
        format!("daemon{}", self.daemons_count)
    }

    /// Opens the gate and waits until nothing goes on any more.
    pub async fn settle(&self) {
        self.gate.open();
        tokio::time::sleep(REST).await;
    }

    /// How many daemons were killed that had found what earlier ones left, at most.
    pub(crate) fn recoveries_cut_off(&self) -> u32 {
        self.daemons_count.saturating_sub(2)
    }

    /// What containerd holds.
    pub fn inventory(&self) -> Inventory {
        self.containerd.inventory("k8s.io")
    }
}

/// In memory where that is possible: thousands of worlds come and go.
fn directory() -> io::Result<TempDir> {
    let shared_memory = Path::new("/dev/shm");
    if shared_memory.is_dir() {
        TempDir::with_prefix_in("cri-imaged-", shared_memory)
    } else {
        tempfile::tempdir()
    }
}

/// An image of two small layers: a base that all share, and one that depends on `seed`.
pub fn image(seed: u64) -> Image {
    let base = Layer::new([File::directory("etc"), File::regular("etc/os", "base")], Compression::Gzip);
    let top = Layer::random("top", 200, seed, Compression::Gzip);
    ImageBuilder::new().layer(base).layer(top).build()
}

/// `localhost:5000/name`.
pub fn on_host(name: &str) -> String {
    format!("{HOST}/{name}")
}
