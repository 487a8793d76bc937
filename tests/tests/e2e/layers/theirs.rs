//! containerd's side: its content store, its overlayfs snapshotter, its differ, layer on layer.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use containerd::{Client, IngestStart, Prepared};
use layer_testing::Tree;
use oci::Descriptor;
use tests::Containerd;

use crate::mounted::Mounted;

/// A containerd that unpacks what it is given.
pub(crate) struct Theirs {
    client: Client,
    stacks: usize,
}

/// What became of a stack.
pub(crate) enum Applied {
    Tree(Tree),
    /// The layer that it refused, and how.
    Refused(usize, String),
}

impl Theirs {
    pub(crate) async fn new(containerd: &Containerd) -> anyhow::Result<Theirs> {
        let client = Client::new(containerd.channel().await?, "layers")?;
        #[expect(clippy::disallowed_methods, reason = "a real containerd compares it with the wall's clock")]
        let expires = SystemTime::now() + Duration::from_secs(3600);
        let lease = client.leases().create("layers", expires, BTreeMap::new()).await?;
        Ok(Theirs { client: client.with_lease(&lease), stacks: 0 })
    }

    /// The tree that a container would see.
    pub(crate) async fn tree(&mut self, layers: &[Vec<u8>]) -> anyhow::Result<Applied> {
        self.stacks += 1;
        let snapshots = self.client.snapshots("overlayfs");
        let mut parent = String::new();
        for (number, archive) in layers.iter().enumerate() {
            let key = format!("active-{}-{number}", self.stacks);
            let Prepared::Active(mounts) = snapshots.prepare(&key, &parent, &BTreeMap::new()).await? else {
                bail!("{key} is there already");
            };
            let descriptor = self.ingest(archive).await?;
            if let Err(error) = self.client.diff().apply(&descriptor, mounts).await {
                snapshots.remove(&key).await?;
                return Ok(Applied::Refused(number, error.to_string()));
            }
            parent = format!("layer-{}-{number}", self.stacks);
            snapshots.commit(&parent, &key, &BTreeMap::new()).await?;
        }
        let key = format!("read-{}", self.stacks);
        let Prepared::Active(mounts) = snapshots.prepare(&key, &parent, &BTreeMap::new()).await? else {
            bail!("{key} is there already");
        };
        let [mount] = mounts.as_slice() else { bail!("not one mount but {mounts:?}") };
        let tree = {
            let mounted = Mounted::overlay(&mount.options.join(","))?;
            Tree::read(mounted.path()).context("cannot read containerd's tree")?
        };
        snapshots.remove(&key).await?;
        Ok(Applied::Tree(tree))
    }

    async fn ingest(&self, archive: &[u8]) -> anyhow::Result<Descriptor> {
        let descriptor = Descriptor::new(
            "application/vnd.oci.image.layer.v1.tar",
            oci::sha256(archive),
            archive.len() as u64,
        );
        match self.client.content().ingest(descriptor.digest.as_str(), &descriptor).await? {
            IngestStart::Exists => {}
            IngestStart::Open(mut ingest) => {
                ingest.write(archive.to_vec().into()).await?;
                ingest.commit(&BTreeMap::new()).await?;
            }
        }
        Ok(descriptor)
    }
}
