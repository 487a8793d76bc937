//! What the daemon says of the disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use containerd::{IngestStart, SnapshotUsage};
use oci::Descriptor;
use refparse::Digest;
use scenarios::{World, image, on_host};

use crate::explore::{Told, ensure, every_point, told};

/// As long as an answer is kept.
const LATER: Duration = Duration::from_secs(10);

/// As many bytes as a client sends at once.
const MESSAGE: usize = 512 << 10;

/// What the snapshots take, as containerd measures each.
async fn of_snapshots(world: &World) -> Told<SnapshotUsage> {
    let mut sum = SnapshotUsage::default();
    for (_, name) in world.inventory().snapshots.into_keys() {
        let one = told(world.ctr_snapshots().usage(&name).await)?;
        sum.bytes += one.bytes;
        sum.inodes += one.inodes;
    }
    Ok(sum)
}

/// The answer is all blobs, the snapshots and `unfinished` bytes.
async fn is_all(world: &World, unfinished: u64) -> Told<()> {
    let snapshots = of_snapshots(world).await?;
    let content = world.inventory().content;
    let blobs: u64 = content.values().map(|blob| blob.size.unsigned_abs()).sum();
    let usage = told(world.daemon().store().usage().await)?;
    let expected = (snapshots.bytes + blobs + unfinished, snapshots.inodes + content.len() as u64);
    ensure((usage.bytes, usage.inodes) == expected, format_args!("{usage:?} instead of {expected:?}"))
}

#[test]
fn the_usage_is_that_of_blobs_unfinished_writes_and_snapshots() {
    every_point(async |world, at| {
        is_all(world, 0).await?;
        for (tag, seed) in [("1", 1), ("2", 2)] {
            world.registry().push("app", Some(tag), &image(seed));
            told(world.daemon().pull(&on_host(&format!("app:{tag}"))).await)?;
        }
        tokio::time::sleep(LATER).await;
        is_all(world, 0).await?;
        let descriptor =
            Descriptor::new("application/octet-stream", Digest::from_sha256([7; 32]), 2 * MESSAGE as u64);
        let begun = told(world.ctr().content().ingest("theirs", &descriptor).await)?;
        let IngestStart::Open(mut ingest) = begun else { return Err("it is there".to_owned()) };
        told(ingest.write(vec![0; MESSAGE].into()).await)?;
        tokio::time::sleep(LATER).await;
        is_all(world, MESSAGE as u64).await?;
        drop(ingest);
        told(world.daemon().store().remove(&on_host("app:1")).await)?;
        tokio::time::sleep(LATER).await;
        is_all(world, MESSAGE as u64).await?;
        Ok(at.step() == 0)
    });
}

/// The kubelet asks every ten seconds, and measuring a snapshot reads all its files.
#[test]
fn a_usage_is_kept_for_a_while_and_a_committed_snapshot_measured_once() {
    every_point(async |world, at| {
        let store = world.daemon().store();
        world.registry().push("app", Some("1"), &image(1));
        told(world.daemon().pull(&on_host("app:1")).await)?;
        let measured = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&measured);
        world.containerd().inject_by(move |call| {
            count.fetch_add(usize::from(call.method == "Snapshots/Usage"), Ordering::Relaxed);
            None
        });
        let first = told(store.usage().await)?;
        world.registry().push("app", Some("2"), &image(2));
        told(world.daemon().pull(&on_host("app:2")).await)?;
        ensure(told(store.usage().await)? == first, "it was measured again at once")?;
        tokio::time::sleep(LATER).await;
        ensure(told(store.usage().await)?.bytes > first.bytes, "it was not measured again")?;
        // Three layers, one of them in both images.
        let measured = measured.load(Ordering::Relaxed);
        ensure(measured == 3, format_args!("{measured} snapshots were measured"))?;
        Ok(at.step() == 0)
    });
}

#[test]
fn a_snapshot_removed_at_any_point_of_a_usage_is_none_of_it() {
    every_point(async |world, at| {
        let app = image(1);
        world.registry().push("app", Some("1"), &app);
        told(world.daemon().pull(&on_host("app:1")).await)?;
        let gate = world.gate().clone();
        gate.close();
        let remove = async {
            for name in app.chain_ids().iter().rev() {
                let _ = world.ctr_snapshots().remove(name).await;
            }
        };
        let (usage, came) = at.beside(&gate, "remove", world.daemon().store().usage(), remove).await;
        told(usage)?;
        Ok(came)
    });
}
