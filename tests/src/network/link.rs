//! A link of packets that is far, slow and lossy: two network devices, one of them in a network namespace of its own, and
//! a task that carries packets between them late, at a rate, or not at all.
//!
//! What `tc netem` does in a kernel that has it; this one needs the kernel's `tun` only. The delays and losses are those
//! of packets, so that TCP itself does what it does: slow starts, retransmissions, windows. Relies on root, on
//! `/dev/net/tun` and on iproute2's `ip`. Its addresses are of the range that is set apart for benchmarks.

use std::collections::BTreeSet;
use std::fs::File;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::os::fd::AsFd as _;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tun_rs::{AsyncDevice, DeviceBuilder};

/// What an Ethernet carries.
const PACKET_BYTES_MAX: usize = 1500;

/// What waits for its time; netem's own default.
const QUEUE_PACKETS: usize = 1000;

/// What most nodes and registries send with; a kernel whose default is BBR would not mind a loss.
const CONGESTION_CONTROL: &str = "cubic";

static LINKS: AtomicU32 = AtomicU32::new(0);

/// How good a link is; the same both ways.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    /// From one end to the other: half a round trip.
    pub delay: Duration,
    /// Of a hundred packets so many are lost.
    pub loss_percent: f64,
    /// Bytes a second, heads of packets included.
    pub rate_bytes: Option<u64>,
    /// What the lost packets are chosen by.
    pub seed: u64,
}

/// A link from this machine to a far end.
#[derive(Debug)]
pub struct Link {
    namespace: Namespace,
    far: Ipv4Addr,
    dials: Dials,
    carrying: Vec<JoinHandle<()>>,
}

/// The ports from which connections to the far end were begun; what is sent again has the same.
type Dials = Arc<Mutex<BTreeSet<u16>>>;

/// A network namespace with a name, removed when dropped.
#[derive(Debug)]
struct Namespace {
    name: String,
}

impl Link {
    /// Lays one.
    ///
    /// # Errors
    /// Where a device or the namespace cannot be made.
    pub async fn new(quality: Quality) -> anyhow::Result<Self> {
        let number = LINKS.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let namespace = Namespace::new(format!("cri-imaged-{process}-{number}")).await?;
        let (near_name, far_name) = (format!("ci{process}n{number}"), format!("ci{process}f{number}"));
        let device = |name: &str| {
            let device = DeviceBuilder::new().name(name).mtu(1500).build_async();
            device.with_context(|| format!("cannot make the device {name}"))
        };
        let (near, far) = (Arc::new(device(&near_name)?), Arc::new(device(&far_name)?));
        // 198.18.0.0/15 in pieces of four addresses; another process has other ones.
        let base =
            Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 18, 0, 0)) + (process * 8 + number) % (1 << 15) * 4);
        let [near_address, far_address] = [1, 2].map(|offset| Ipv4Addr::from(u32::from(base) + offset));
        ip(&["link", "set", &far_name, "netns", &namespace.name]).await?;
        ip(&["address", "add", &format!("{near_address}/30"), "dev", &near_name]).await?;
        ip(&["link", "set", &near_name, "up"]).await?;
        let inside = ["-n", namespace.name.as_str()];
        ip(&[&inside[..], &["address", "add", &format!("{far_address}/30"), "dev", &far_name]].concat())
            .await?;
        ip(&[&inside[..], &["link", "set", &far_name, "up"]].concat()).await?;
        let dials = Dials::default();
        let mut carrying = carry(&near, &far, quality, quality.seed, Some(Arc::clone(&dials)));
        carrying.extend(carry(&far, &near, quality, !quality.seed, None));
        Ok(Self { namespace, far: far_address, dials, carrying })
    }

    /// The address of the far end.
    pub fn far(&self) -> Ipv4Addr {
        self.far
    }

    /// How many connections to the far end were begun, whatever became of them.
    pub fn dials(&self) -> usize {
        self.dials.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// A listener at the far end; what it is asked from here crosses the link both ways.
    ///
    /// # Errors
    /// Where the namespace cannot be entered.
    pub async fn listen(&self) -> anyhow::Result<TcpListener> {
        let (path, address) = (self.namespace.path(), self.far);
        // A thread of its own, which ends there: it cannot be given back to those that are not in the namespace.
        let (done, listening) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let _ = done.send(listen_in(&path, address));
        });
        let listener = listening.await.context("the thread ended")??;
        listener.set_nonblocking(true)?;
        Ok(TcpListener::from_std(listener)?)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.carrying.iter().for_each(JoinHandle::abort);
    }
}

fn listen_in(namespace: &PathBuf, address: Ipv4Addr) -> anyhow::Result<std::net::TcpListener> {
    let file = File::open(namespace).with_context(|| format!("cannot open {}", namespace.display()))?;
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
    let listener =
        std::net::TcpListener::bind((address, 0)).with_context(|| format!("cannot listen at {address}"))?;
    rustix::net::sockopt::set_tcp_congestion(&listener, CONGESTION_CONTROL)?;
    Ok(listener)
}

impl Namespace {
    async fn new(name: String) -> anyhow::Result<Self> {
        ip(&["netns", "add", &name]).await?;
        Ok(Self { name })
    }

    fn path(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(&self.name)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = std::process::Command::new("ip").args(["netns", "delete", &self.name]).status();
    }
}

/// Carries packets one way: one task takes them and decides, the other lets them go when it is time.
fn carry(
    from: &Arc<AsyncDevice>,
    to: &Arc<AsyncDevice>,
    quality: Quality,
    seed: u64,
    dials: Option<Dials>,
) -> Vec<JoinHandle<()>> {
    let (from, to) = (Arc::clone(from), Arc::clone(to));
    let (sender, mut queue) = mpsc::channel::<(Instant, Bytes)>(QUEUE_PACKETS);
    let taking = tokio::spawn(async move {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut buffer = vec![0; PACKET_BYTES_MAX];
        let mut line_free_at = Instant::now();
        while let Ok(count) = from.recv(&mut buffer).await {
            if let (Some(dials), Some(port)) = (&dials, begins_from(buffer.get(..count).unwrap_or_default()))
            {
                dials.lock().unwrap_or_else(PoisonError::into_inner).insert(port);
            }
            if random.random_bool(quality.loss_percent / 100.0) {
                continue;
            }
            let Some(packet) = buffer.get(..count) else { continue };
            if let Some(rate) = quality.rate_bytes {
                let nanoseconds = (count as u64 * 1_000_000_000) / rate.max(1);
                line_free_at = line_free_at.max(Instant::now()) + Duration::from_nanos(nanoseconds);
            } else {
                line_free_at = Instant::now();
            }
            // A full queue loses the packet, as every router's does.
            let _ = sender.try_send((line_free_at + quality.delay, Bytes::copy_from_slice(packet)));
        }
    });
    let giving = tokio::spawn(async move {
        while let Some((when, packet)) = queue.recv().await {
            tokio::time::sleep_until(when).await;
            let _ = to.send(&packet).await;
        }
    });
    vec![taking, giving]
}

/// The port from which `packet` begins a connection, if it does: a SYN without an ACK (RFC 9293, section 3.1) in an IPv4
/// packet (RFC 791, section 3.1).
fn begins_from(packet: &[u8]) -> Option<u16> {
    const TCP: u8 = 6;
    const SYN: u8 = 0x02;
    const ACK: u8 = 0x10;
    let first = *packet.first()?;
    let (version, head_bytes) = (first >> 4, usize::from(first & 0x0f) * 4);
    let segment = packet.get(head_bytes..)?;
    let begins = version == 4 && *packet.get(9)? == TCP && segment.get(13)? & (SYN | ACK) == SYN;
    let port = [*segment.first()?, *segment.get(1)?];
    begins.then(|| u16::from_be_bytes(port))
}

async fn ip(arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("ip").args(arguments).output().await.context("cannot start ip")?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ip {arguments:?} ended with {}: {}", output.status, stderr.trim());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::begins_from;

    #[test]
    fn only_the_first_packet_of_a_connection_begins_it() {
        let packet = |version: u8, protocol: u8, flags: u8| {
            let mut packet = [0; 40];
            packet[0] = version << 4 | 5;
            packet[9] = protocol;
            packet[20..22].copy_from_slice(&4711_u16.to_be_bytes());
            packet[33] = flags;
            packet
        };
        assert_eq!(begins_from(&packet(4, 6, 0x02)), Some(4711));
        for other in [packet(4, 6, 0x12), packet(4, 6, 0x10), packet(4, 17, 0x02), packet(6, 6, 0x02)] {
            assert_eq!(begins_from(&other), None);
        }
        assert_eq!(begins_from(&packet(4, 6, 0x02)[..30]), None);
    }
}
