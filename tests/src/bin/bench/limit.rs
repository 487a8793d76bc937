//! What the machine could do: `curl | igzip -d | tar x`, two layers at a time, nothing checked and nothing kept.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::image::Image;
use crate::programs::Programs;

/// As many as the cores of the machine that the numbers in the documentation are from.
const AT_A_TIME: usize = 2;

/// Unpacks every layer of `image` into a folder of its own below `into`.
pub(crate) async fn pull(image: &Image, host: &str, programs: &Programs, into: &Path) -> anyhow::Result<()> {
    let permits = Arc::new(Semaphore::new(AT_A_TIME));
    let mut layers = JoinSet::new();
    for (number, layer) in image.layers.iter().enumerate() {
        let url = format!("http://{host}/v2/{}/blobs/{}", image.name(), layer.digest);
        let decompress = programs.decompress(image.shape.codec)?;
        let folder = into.join(format!("layer-{number}"));
        let permits = Arc::clone(&permits);
        layers.spawn(async move {
            let _permit = permits.acquire_owned().await?;
            std::fs::create_dir(&folder)?;
            unpack(&url, decompress, &folder).await
        });
    }
    while let Some(ended) = layers.join_next().await {
        ended??;
    }
    Ok(())
}

async fn unpack(url: &str, decompress: Command, folder: &Path) -> anyhow::Result<()> {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--fail", url]);
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--file=-", "--directory"]).arg(folder);
    let mut children = Vec::new();
    let mut input = Stdio::null();
    for (name, mut command, is_last) in
        [("curl", curl, false), ("the decompression", decompress, false), ("tar", tar, true)]
    {
        command.stdin(input).kill_on_drop(true);
        if !is_last {
            command.stdout(Stdio::piped());
        }
        let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        input = match child.stdout.take() {
            Some(output) => output.try_into()?,
            None => Stdio::null(),
        };
        children.push((name, child));
    }
    drop(input);
    for (name, child) in &mut children {
        wait(name, child).await?;
    }
    Ok(())
}

async fn wait(name: &str, child: &mut Child) -> anyhow::Result<()> {
    let status = child.wait().await?;
    ensure!(status.success(), "{name} ended with {status}");
    Ok(())
}
