//! A SOCKS 5 proxy (RFC 1928), with a user and password (RFC 1929) or for everybody. It alone knows where the names of a
//! test are.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::proxy::{Proxy, State};

const VERSION: u8 = 5;
const FOR_EVERYBODY: u8 = 0;
const BY_PASSWORD: u8 = 2;
const CONNECT: u8 = 1;
const DOMAIN: u8 = 3;

/// A running proxy.
#[derive(Debug)]
pub struct SocksProxy {
    proxy: Proxy,
    /// What it asks for before anything else.
    method: u8,
}

impl SocksProxy {
    /// User and password that it lets in.
    pub const ACCOUNT: (&str, &str) = ("proxy-user", "proxy-password");

    /// Starts one that reaches the servers of `names` (`host:port`), and nothing else, and asks for the account.
    ///
    /// # Errors
    /// Where no port can be had.
    pub async fn start(names: BTreeMap<String, SocketAddr>) -> anyhow::Result<Self> {
        Self::start_with(BY_PASSWORD, names).await
    }

    /// One that lets everybody in.
    ///
    /// # Errors
    /// Where no port can be had.
    pub async fn for_everybody(names: BTreeMap<String, SocketAddr>) -> anyhow::Result<Self> {
        Self::start_with(FOR_EVERYBODY, names).await
    }

    async fn start_with(method: u8, names: BTreeMap<String, SocketAddr>) -> anyhow::Result<Self> {
        let proxy = Proxy::start(names, move |state, client| pass(state, client, method)).await?;
        Ok(Self { proxy, method })
    }

    /// Its URL, with user and password where it asks for them, for a `proxy` of the configuration.
    pub fn url(&self) -> String {
        let (user, password) = Self::ACCOUNT;
        let account = if self.method == BY_PASSWORD { format!("{user}:{password}@") } else { String::new() };
        format!("socks5h://{account}{}", self.proxy.address())
    }

    /// `host:port` of every request so far.
    pub fn requests(&self) -> Vec<String> {
        self.proxy.requests()
    }
}

async fn pass(state: Arc<State>, mut client: TcpStream, method: u8) -> anyhow::Result<()> {
    ensure!(client.read_u8().await? == VERSION, "another version");
    ensure!(counted(&mut client).await?.contains(&method), "the method is not offered");
    client.write_all(&[VERSION, method]).await?;
    if method == BY_PASSWORD {
        ensure!(client.read_u8().await? == 1, "another version of the password's form");
        let account = (counted(&mut client).await?, counted(&mut client).await?);
        let (user, password) = SocksProxy::ACCOUNT;
        let is_right = account == (user.into(), password.into());
        client.write_all(&[1, u8::from(!is_right)]).await?;
        ensure!(is_right, "a wrong password");
    }

    let mut head = [0; 4];
    client.read_exact(&mut head).await?;
    ensure!(head == [VERSION, CONNECT, 0, DOMAIN], "no connect to a name: {head:?}");
    let name = String::from_utf8(counted(&mut client).await?)?;
    let target = format!("{name}:{}", client.read_u16().await?);
    state.note(target.clone());
    let address = state.server(&target).with_context(|| format!("`{target}` is nowhere"))?;
    let mut server = TcpStream::connect(address).await?;
    // Succeeded, from 0.0.0.0:0.
    client.write_all(&[VERSION, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// Bytes behind one that says how many they are.
async fn counted(client: &mut TcpStream) -> anyhow::Result<Vec<u8>> {
    let mut bytes = vec![0; client.read_u8().await?.into()];
    client.read_exact(&mut bytes).await?;
    Ok(bytes)
}
