//! One image, pulled by each contestant in turn: A B C A B C …, each time on a fresh disk.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tests::{
    Access, Containerd, Cri, Daemon, Disk, Format, Process, Registry, Tools, Version, push_layout, until,
};
use tokio::time::{Instant, timeout};

use crate::contestant::Contestant;
use crate::figures::Figures;
use crate::image::Image;
use crate::limit;
use crate::meter::{Counted, Meter, Watched};
use crate::outcome::Outcome;
use crate::programs::Programs;
use crate::table;

/// Blobs and files of the largest image, several times over; the file is sparse.
const DISK_BYTES: u64 = 24 << 30;

/// Past this a pull hangs.
const PULL_DEADLINE: Duration = Duration::from_secs(600);

/// Everything that the contestants share.
#[derive(Debug)]
pub(crate) struct Bench<'a> {
    /// Where the disks' files lie.
    folder: &'a Path,
    programs: &'a Programs,
    image: Image,
    registry: Registry,
    version: Version,
    with_igzip: bool,
}

impl<'a> Bench<'a> {
    /// Starts a registry that holds `image`.
    pub(crate) async fn prepare(
        folder: &'a Path,
        programs: &'a Programs,
        image: Image,
        version: Version,
        with_igzip: bool,
    ) -> anyhow::Result<Self> {
        let registry = Registry::start(Access::Plain).await?;
        push_layout(&registry, &format!("{}:1", image.name()), &image.layout, Format::Oci).await?;
        Ok(Self { folder, programs, image, registry, version, with_igzip })
    }

    /// Lets each of `contestants` pull `runs` times.
    pub(crate) async fn run(self, contestants: &[Contestant], runs: u32) -> anyhow::Result<Outcome> {
        let mut outcome = Outcome::new(self.image.clone(), release(self.version).await?);
        let shape = self.image.shape.name;
        for run in 1..=runs {
            for contestant in contestants {
                let name = contestant.name();
                tests::show_logs();
                let figures = self.pull(*contestant).await;
                let figures = figures.with_context(|| format!("`{shape}`, run {run}, `{name}`"))?;
                table::progress(&format!("{shape} {run}/{runs} {name}: {:.2} s", figures.wall_s));
                outcome.add(*contestant, figures);
            }
        }
        tests::hide_logs();
        Ok(outcome)
    }

    async fn pull(&self, contestant: Contestant) -> anyhow::Result<Figures> {
        let disk = Disk::new(self.folder, DISK_BYTES).await?;
        let figures = match contestant {
            Contestant::Limit => {
                let host = self.registry.host();
                let pulling = limit::pull(&self.image, &host, self.programs, disk.path());
                let pipeline =
                    Watched { name: "pipeline", id: std::process::id(), counted: Counted::Children };
                self.measure(&disk, vec![pipeline], pulling).await?
            }
            _ => self.pull_into_containerd(contestant, &disk).await?,
        };
        disk.unmount().await?;
        Ok(figures)
    }

    async fn pull_into_containerd(&self, contestant: Contestant, disk: &Disk) -> anyhow::Result<Figures> {
        let with_igzip = self.with_igzip || contestant.wants_igzip();
        let setup = self.programs.containerd_setup(with_igzip, contestant.containerd_config());
        let containerd = Containerd::start_in(disk.path(), self.version, setup).await?;
        self.registry.announce(&containerd.certs_d())?;
        let mut watched = vec![whole("containerd", containerd.process()?)?];
        let mut daemon = None;
        let cri = match contestant.is_ours() {
            false => containerd.cri().await?,
            true => {
                let mut config = Daemon::config(&containerd);
                contestant.daemon_config().clone_into(&mut config.more);
                let daemon = daemon.insert(Daemon::start_with(&containerd, &config).await?);
                watched.push(whole("cri-imaged", daemon.process())?);
                daemon.cri().await?
            }
        };
        let reference = self.registry.reference(&format!("{}:1", self.image.name()));
        let figures = self.measure(disk, watched, pull(cri, &reference)).await?;
        let theirs = containerd.cri().await?;
        until("containerd's CRI plugin has the image", Duration::from_secs(30), || {
            let (mut theirs, reference) = (theirs.clone(), &reference);
            async move { Ok(theirs.status(reference).await?.map(drop)) }
        })
        .await?;
        // What ends now ends because we want it.
        tests::hide_logs();
        Ok(figures)
    }

    /// Times `pulling`; what it costs is counted until everything is on the disk.
    async fn measure(
        &self,
        disk: &Disk,
        mut watched: Vec<Watched>,
        pulling: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<Figures> {
        watched.push(whole("registry", self.registry.process())?);
        warm(&self.registry.data())?;
        rustix::fs::sync();
        let (written_before, files_before) = (disk.written_bytes()?, disk.file_count()?);
        let meter = Meter::start(watched)?;
        let started = Instant::now();
        timeout(PULL_DEADLINE, pulling)
            .await
            .with_context(|| format!("no end within {PULL_DEADLINE:?}"))??;
        let wall = started.elapsed();
        disk.sync()?;
        let spent = meter.finish()?;
        let files = disk.file_count()? - files_before;
        ensure!(files >= self.image.entries(), "only {files} files are on the disk");
        Ok(Figures::new(wall, &spent, disk.written_bytes()? - written_before))
    }
}

async fn pull(mut cri: Cri, reference: &str) -> anyhow::Result<()> {
    cri.pull(reference).await?;
    Ok(())
}

fn whole(name: &'static str, process: &Process) -> anyhow::Result<Watched> {
    let id = process.id().with_context(|| format!("{name} has ended"))?;
    Ok(Watched { name, id, counted: Counted::Whole })
}

/// Reads every file below `folder`, so that no contestant waits for the registry's disk.
fn warm(folder: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path: PathBuf = entry?.path();
        if path.is_dir() {
            warm(&path)?;
        } else {
            io::copy(&mut File::open(&path)?, &mut io::sink())?;
        }
    }
    Ok(())
}

/// What a containerd says its version is.
pub(crate) async fn release(version: Version) -> anyhow::Result<String> {
    let mut command = Tools::get().command(version.release(), "containerd")?;
    let output = command.arg("--version").output().await.context("cannot start containerd")?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.split_whitespace().nth(2).map(str::to_owned).context("containerd does not say its version")
}
