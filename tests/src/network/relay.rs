//! A TCP relay that harms connections at chosen bytes of the server's answers, or passes those of all together on at a
//! pace.
//!
//! Knows nothing of HTTP: what it does to a connection is decided when the connection is accepted, so a run with the
//! same order of connections is the same run.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

/// The chunks that [`resets`] counts in, and the most that is read at a time.
const CHUNK_BYTES: u64 = 64 << 10;

/// What the kernel may hold of what was sent to a client: it is lost with a reset although the client could have read it,
/// so more of it would make every client ask for more bytes again than it lost by its own fault. Less of it makes every
/// connection slow, so that this is for those that are harmed.
const UNREAD_BYTES_MAX: usize = 16 << 10;

/// How far what is passed on may be behind its pace and catch up: timers are late by a millisecond.
const BURST: Duration = Duration::from_millis(5);

/// What becomes of one connection, by the number of bytes that the server has answered on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// All goes well.
    None,
    /// It is reset after this many bytes.
    Reset(u64),
    /// It ends after this many bytes as if that were all.
    Truncate(u64),
    /// Nothing more comes after this many bytes, and it stays open.
    Stall(u64),
    /// After this many bytes come as many others as the server sends, chosen by the seed.
    Garbage(u64, u64),
    /// After this many bytes the relay is no more: every connection is reset, and no other is taken.
    Die(u64),
}

/// A running relay.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    counts: Arc<Counts>,
    serving: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Counts {
    sent_bytes: AtomicU64,
    connections: AtomicU32,
    harmed: AtomicU32,
    spared_after: AtomicU32,
    pace: OnceLock<Pace>,
}

/// What all connections together are given.
#[derive(Debug)]
struct Pace {
    bytes_per_second: f64,
    /// When what was passed on is due.
    due: Mutex<Instant>,
}

impl Pace {
    /// When `bytes` more may be passed on that come `now`. What was not used before [`BURST`] is not made up for.
    fn due(&self, now: Instant, bytes: usize) -> Instant {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        *due = (*due).max(now - BURST) + Duration::from_secs_f64(bytes as f64 / self.bytes_per_second);
        *due
    }
}

impl Counts {
    /// Whether one more may be harmed; counts it.
    fn may_harm(&self) -> bool {
        let spared_after = self.spared_after.load(Ordering::Relaxed);
        let one_more = |harmed: u32| (harmed < spared_after).then_some(harmed + 1);
        self.harmed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Closed,
    Death,
}

impl Relay {
    /// Starts one on a loopback port; `plan` says what becomes of each connection, numbered from 0.
    ///
    /// # Errors
    /// Where no port can be had.
    pub async fn start(
        server: SocketAddr,
        plan: impl Fn(u32) -> Harm + Send + 'static,
    ) -> anyhow::Result<Self> {
        Self::on(TcpListener::bind(("127.0.0.1", 0)).await?, server, plan)
    }

    /// As [`Relay::start`], listening where `listener` does.
    ///
    /// # Errors
    /// Where `listener` does not say where that is.
    pub fn on(
        listener: TcpListener,
        server: SocketAddr,
        plan: impl Fn(u32) -> Harm + Send + 'static,
    ) -> anyhow::Result<Self> {
        let address = listener.local_addr()?;
        let counts = Arc::new(Counts { spared_after: AtomicU32::new(u32::MAX), ..Counts::default() });
        let serving = tokio::spawn(serve(listener, server, plan, Arc::clone(&counts)));
        Ok(Self { address, counts, serving })
    }

    /// No more than `count` connections are harmed; whatever the plan says, the next that come to their byte go on.
    #[must_use]
    pub fn at_most(self, count: u32) -> Self {
        self.counts.spared_after.store(count, Ordering::Relaxed);
        self
    }

    /// All connections together are given so many bytes of answers in a second.
    ///
    /// # Panics
    /// When it is called twice.
    #[must_use]
    pub fn paced(self, bytes_per_second: f64) -> Self {
        let pace = Pace { bytes_per_second, due: Mutex::new(Instant::now()) };
        self.counts.pace.set(pace).expect("a relay is given one pace");
        self
    }

    /// Where it listens, as the host of a reference.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// The bytes that it has passed on to clients, heads of answers included.
    pub fn sent_bytes(&self) -> u64 {
        self.counts.sent_bytes.load(Ordering::Relaxed)
    }

    /// The connections that it has taken.
    pub fn connections(&self) -> u32 {
        self.counts.connections.load(Ordering::Relaxed)
    }

    /// The connections that came to the byte of their harm.
    pub fn harmed(&self) -> u32 {
        self.counts.harmed.load(Ordering::Relaxed)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A plan by which `percent` of all chunks of 64 KiB are not passed on but reset the connection.
pub fn resets(percent: f64, seed: u64) -> impl Fn(u32) -> Harm + Send + 'static {
    move |connection| {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed ^ (u64::from(connection) << 32));
        let mut bytes = 0;
        while !random.random_bool(percent / 100.0) {
            bytes += CHUNK_BYTES;
        }
        // Somewhere in the chunk: an answer shorter than a chunk must not be spared.
        Harm::Reset(bytes + random.random_range(0..CHUNK_BYTES))
    }
}

async fn serve(
    listener: TcpListener,
    server: SocketAddr,
    plan: impl Fn(u32) -> Harm + Send + 'static,
    counts: Arc<Counts>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { return };
                let number = counts.connections.fetch_add(1, Ordering::Relaxed);
                connections.spawn(relay(client, server, plan(number), Arc::clone(&counts)));
            }
            Some(ended) = connections.join_next() => {
                if matches!(ended, Ok(Ok(End::Death))) {
                    // Dropping the set drops the other connections, and the listener goes with this task.
                    return;
                }
            }
        }
    }
}

async fn relay(
    mut client: TcpStream,
    server: SocketAddr,
    harm: Harm,
    counts: Arc<Counts>,
) -> anyhow::Result<End> {
    let mut upstream = TcpStream::connect(server).await.context("the server is gone")?;
    client.set_nodelay(true)?;
    upstream.set_nodelay(true)?;
    // Every end of a connection is a reset but one that is chosen to look like the end of an answer.
    client.set_zero_linger()?;
    if harm != Harm::None {
        rustix::net::sockopt::set_socket_send_buffer_size(&client, UNREAD_BYTES_MAX)?;
    }
    // Borrowed halves: an owned one that is dropped says that the answer is complete, before the reset.
    let (mut from_client, to_client) = client.split();
    let (from_server, mut to_server) = upstream.split();
    let asking = async {
        // The end of one direction is not that of the other: a client may close its half and read on.
        let copied = tokio::io::copy(&mut from_client, &mut to_server).await;
        let _ = to_server.shutdown().await;
        match copied {
            Ok(_) => std::future::pending().await,
            Err(_) => Ok(End::Closed),
        }
    };
    tokio::select! {
        ended = asking => ended,
        ended = answer(from_server, to_client, harm, &counts) => ended,
    }
}

async fn answer(
    mut server: ReadHalf<'_>,
    mut client: WriteHalf<'_>,
    mut harm: Harm,
    counts: &Counts,
) -> anyhow::Result<End> {
    let (unharmed, mut garbage) = match harm {
        Harm::None => (u64::MAX, None),
        Harm::Garbage(bytes, seed) => (bytes, Some(Xoshiro256PlusPlus::seed_from_u64(seed))),
        Harm::Reset(bytes) | Harm::Truncate(bytes) | Harm::Stall(bytes) | Harm::Die(bytes) => (bytes, None),
    };
    let (mut left, mut is_harmed) = (unharmed, false);
    let mut buffer = vec![0; usize::try_from(CHUNK_BYTES)?];
    loop {
        let count = server.read(&mut buffer).await?;
        let Some(chunk) = buffer.get_mut(..count).filter(|chunk| !chunk.is_empty()) else {
            client.as_ref().set_linger_off()?;
            client.shutdown().await?;
            return Ok(End::Closed);
        };
        let kept = usize::try_from(left.min(count as u64))?;
        left -= kept as u64;
        if let Some(pace) = counts.pace.get() {
            tokio::time::sleep_until(pace.due(Instant::now(), count)).await;
        }
        let (kept, harmed) = chunk.split_at_mut(kept);
        client.write_all(kept).await?;
        counts.sent_bytes.fetch_add(kept.len() as u64, Ordering::Relaxed);
        if left > 0 {
            continue;
        }
        // Once a connection, where its last unharmed byte went.
        if harm != Harm::None && !std::mem::replace(&mut is_harmed, true) && !counts.may_harm() {
            harm = Harm::None;
        }
        match harm {
            Harm::None => {
                client.write_all(harmed).await?;
                counts.sent_bytes.fetch_add(harmed.len() as u64, Ordering::Relaxed);
            }
            Harm::Garbage(..) => {
                if let Some(random) = &mut garbage {
                    random.fill_bytes(harmed);
                }
                client.write_all(harmed).await?;
                counts.sent_bytes.fetch_add(harmed.len() as u64, Ordering::Relaxed);
            }
            Harm::Reset(_) => return Ok(End::Closed),
            Harm::Die(_) => return Ok(End::Death),
            Harm::Truncate(_) => {
                client.as_ref().set_linger_off()?;
                client.shutdown().await?;
                return Ok(End::Closed);
            }
            Harm::Stall(_) => std::future::pending().await,
        }
    }
}

/// A connection whose end was to be a reset, and is to be an ordinary one.
trait LingerOff {
    fn set_linger_off(&self) -> anyhow::Result<()>;
}

impl LingerOff for TcpStream {
    fn set_linger_off(&self) -> anyhow::Result<()> {
        Ok(rustix::net::sockopt::set_socket_linger(self, None)?)
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::{CHUNK_BYTES, Duration, Harm, Instant, Mutex, Pace, Relay, resets};

    #[test]
    fn one_of_so_many_chunks_is_not_passed_on() {
        let plan = resets(5.0, 7);
        let mut chunks = 0;
        for connection in 0..1000 {
            let Harm::Reset(bytes) = plan(connection) else { panic!("not a reset") };
            chunks += bytes / CHUNK_BYTES + 1;
        }
        assert!((18_000..22_000).contains(&chunks), "{chunks} chunks for 1000 resets");
    }

    /// What a client reads of 300 kB behind a relay, and how that ends.
    async fn read_through(harm: Harm) -> (Vec<u8>, Result<(), ErrorKind>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let server = listener.local_addr().unwrap();
        let answering = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            // The relay may hang up before all is written.
            let _ = stream.write_all(&[7; 300_000]).await;
        });
        let relay = Relay::start(server, move |_| harm).await.unwrap();
        let mut stream = TcpStream::connect(relay.address).await.unwrap();
        let mut read = Vec::new();
        let ended = stream.read_to_end(&mut read).await.map(drop).map_err(|error| error.kind());
        answering.await.unwrap();
        (read, ended)
    }

    #[test]
    fn connections_share_a_pace() {
        let begun = Instant::now();
        let after = |milliseconds| begun + Duration::from_millis(milliseconds);
        let pace = Pace { bytes_per_second: 1e6, due: Mutex::new(begun) };
        assert_eq!(pace.due(begun, 300_000), after(300));
        assert_eq!(pace.due(after(100), 200_000), after(500));
        assert_eq!(pace.due(after(5000), 1000), after(4996));
    }

    #[tokio::test]
    async fn each_harm_is_what_a_client_meets() {
        let whole = vec![7; 300_000];
        assert_eq!(read_through(Harm::None).await, (whole.clone(), Ok(())));
        let part = vec![7; 100_000];
        assert_eq!(read_through(Harm::Truncate(100_000)).await, (part.clone(), Ok(())));
        for harm in [Harm::Reset(100_000), Harm::Die(100_000)] {
            assert_eq!(read_through(harm).await, (part.clone(), Err(ErrorKind::ConnectionReset)));
        }
        let (read, ended) = read_through(Harm::Garbage(100_000, 1)).await;
        assert_eq!((read.len(), &read[..100_000], ended), (300_000, &part[..], Ok(())));
        assert_ne!(read, whole);
    }
}
