//! One contestant's turn at one case, on a fresh disk.

use std::path::Path;
use std::time::Duration;

use tests::{Containerd, Cri, Daemon, Disk, until};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::Bench;
use super::case::{Case, THROTTLED};
use super::outcome::{Ended, Figures};
use super::scene::{Scene, Way};
use crate::contestant::Contestant;

/// Blobs and files of the largest image, several times over; the file is sparse.
const DISK_BYTES: u64 = 8 << 30;

/// Past this a pull hangs.
const PULL_DEADLINE: Duration = Duration::from_secs(300);

/// How many pulls [`Case::Hundred`] makes.
const HUNDRED: usize = 100;

/// A contestant that is ready to pull.
struct Player<'a> {
    cri: Cri,
    theirs: Cri,
    way: &'a Way,
    certs_d: &'a Path,
    scene: &'a Scene,
}

impl Bench {
    /// Lets `contestant` pull; `run` chooses the network's mood.
    pub(super) async fn turn(
        &self,
        scene: &Scene,
        contestant: Contestant,
        run: u32,
    ) -> anyhow::Result<Figures> {
        let disk = Disk::new(&self.folder, DISK_BYTES).await?;
        let way = scene.way(run.into()).await?;
        let setup = self.programs.containerd_setup(contestant.wants_igzip(), contestant.containerd_config());
        let containerd = Containerd::start_in(disk.path(), self.version, setup).await?;
        let certs_d = containerd.certs_d();
        way.announce(&certs_d)?;
        let mut daemon = None;
        let cri = match contestant.is_ours() {
            false => containerd.cri().await?,
            true => {
                let mut config = Daemon::config(&containerd);
                contestant.daemon_config().clone_into(&mut config.more);
                daemon.insert(Daemon::start_with(&containerd, &config).await?).cri().await?
            }
        };
        let theirs = containerd.cri().await?;
        let figures = Player { cri, theirs, way: &way, certs_d: &certs_d, scene }.play().await?;
        // What ends now ends because we want it.
        tests::hide_logs();
        drop((daemon, containerd));
        disk.unmount().await?;
        Ok(figures)
    }
}

impl Player<'_> {
    async fn play(&self) -> anyhow::Result<Figures> {
        let case = self.scene.case;
        let mut alone = None;
        if case.has_pull_alone() {
            let (wall, ended) = self.pull(0).await;
            if let Ended::Failed(error) = ended {
                anyhow::bail!("the pull alone failed: {error}");
            }
            alone = Some(wall);
        }
        let first = usize::from(case.has_pull_alone());
        let sent_before = self.way.sent_bytes().await?;
        let started = Instant::now();
        let (pulled, ended) = match case {
            Case::RateLimited | Case::SharedLink | Case::Far | Case::Resets => {
                (vec![first], self.pull(first).await.1)
            }
            Case::Errors => {
                let all: Vec<usize> = (0..self.scene.images.len()).collect();
                let mut ended = Ended::Pulled;
                for number in &all {
                    ended = ended.and(self.pull(*number).await.1);
                }
                (all, ended)
            }
            Case::Throttled => (vec![first], self.pull_throttled(first).await?),
            Case::Hundred => (vec![first], self.pull_hundred(first).await),
            Case::Beside => return self.pull_beside(first, alone).await,
            Case::DeadMirror => {
                self.way.announce_mirror(self.certs_d)?;
                (vec![first], self.pull(first).await.1)
            }
        };
        let wall = started.elapsed();
        let ended = match ended {
            Ended::Pulled => self.seen_by_containerd(&pulled).await,
            Ended::Failed(_) => ended,
        };
        let sent = self.way.sent_bytes().await? - sent_before;
        let bytes: u64 =
            pulled.iter().filter_map(|number| self.scene.images.get(*number)).map(|image| image.bytes).sum();
        Ok(Figures::new(wall, alone, Some((sent, bytes)), self.way.harms()?, ended))
    }

    /// Pulls the image of this number, and says how long it took and what came of it.
    async fn pull(&self, number: usize) -> (Duration, Ended) {
        let started = Instant::now();
        let mut cri = self.cri.clone();
        let ended = match timeout(PULL_DEADLINE, cri.pull(&self.way.reference(number))).await {
            Ok(Ok(_)) => Ended::Pulled,
            Ok(Err(status)) => Ended::Failed(status.message().to_owned()),
            Err(_) => Ended::Failed(format!("no end within {PULL_DEADLINE:?}")),
        };
        (started.elapsed(), ended)
    }

    /// The network relents at its own time, whether someone still asks or not.
    async fn pull_throttled(&self, number: usize) -> anyhow::Result<Ended> {
        let pulling = self.pull(number);
        tokio::pin!(pulling);
        match timeout(THROTTLED, &mut pulling).await {
            Ok((_, ended)) => Ok(ended),
            Err(_) => {
                self.way.relent()?;
                Ok(pulling.await.1)
            }
        }
    }

    async fn pull_hundred(&self, number: usize) -> Ended {
        let mut pulls = JoinSet::new();
        for _ in 0..HUNDRED {
            let (mut cri, reference) = (self.cri.clone(), self.way.reference(number));
            pulls.spawn(async move { timeout(PULL_DEADLINE, cri.pull(&reference)).await });
        }
        pulls.join_all().await.into_iter().fold(Ended::Pulled, |ended, result| {
            ended.and(match result {
                Ok(Ok(_)) => Ended::Pulled,
                Ok(Err(status)) => Ended::Failed(status.message().to_owned()),
                Err(_) => Ended::Failed(format!("no end within {PULL_DEADLINE:?}")),
            })
        })
    }

    /// A pull that is timed while the huge image, which is the last, is on its way. What was sent is of no meaning then.
    async fn pull_beside(&self, small: usize, alone: Option<Duration>) -> anyhow::Result<Figures> {
        let huge = self.pull(self.scene.images.len() - 1);
        tokio::pin!(huge);
        let timed = async {
            // Its layers have to be under way, not only its manifest.
            until("the huge image is on its way", Duration::from_secs(60), || async {
                Ok(self.way.is_busy().await?.then_some(()))
            })
            .await?;
            anyhow::Ok(self.pull(small).await)
        };
        let (wall, ended) = tokio::select! {
            (_, ended) = &mut huge => anyhow::bail!("the huge image came to its end first: {ended:?}"),
            timed = timed => timed?,
        };
        Ok(Figures::new(wall, alone, None, self.way.harms()?, ended))
    }

    /// Whether the images are where pods are started from.
    async fn seen_by_containerd(&self, pulled: &[usize]) -> Ended {
        for number in pulled {
            let reference = self.way.reference(*number);
            let seen = until("containerd's CRI plugin has the image", Duration::from_secs(30), || {
                let (mut theirs, reference) = (self.theirs.clone(), &reference);
                async move { Ok(theirs.status(reference).await?.map(drop)) }
            });
            if let Err(error) = seen.await {
                return Ended::Failed(format!("{error:#}"));
            }
        }
        Ended::Pulled
    }
}
