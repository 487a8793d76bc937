//! Pods on containerd's own CRI plugin: the proof that an image we pulled can be started.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8s_cri::v1::{
    ContainerConfig, ContainerMetadata, ContainerState, ContainerStatusRequest, CreateContainerRequest,
    LinuxPodSandboxConfig, LinuxSandboxSecurityContext, Mount, NamespaceMode, NamespaceOption,
    PodSandboxConfig, PodSandboxMetadata, RemovePodSandboxRequest, RunPodSandboxRequest,
    StartContainerRequest, StopPodSandboxRequest,
};

use crate::{Containerd, Cri, image_spec, until};

/// From the start of a container to its end; each prints a few lines.
const RUN_DEADLINE: Duration = Duration::from_secs(60);

/// A pod on the host's network: there is no CNI below the temporary folder.
#[derive(Debug)]
pub struct Pod {
    cri: Cri,
    id: String,
    config: PodSandboxConfig,
    logs: PathBuf,
}

/// What a container left when it ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code.
    pub exit_code: i32,
    /// Its standard output.
    pub output: String,
    /// The image id in its status, which kubelet's image collector compares with ours.
    pub image_id: String,
}

impl Pod {
    /// Starts the sandbox.
    ///
    /// # Errors
    /// Where containerd cannot.
    pub async fn start(containerd: &Containerd, name: &str) -> anyhow::Result<Self> {
        let folder = containerd.folder();
        Self::start_with(containerd.cri().await?, name, folder, &folder.to_string_lossy()).await
    }

    /// Starts the sandbox over `cri`, for a containerd that sees our `folder` as `seen_as`.
    ///
    /// # Errors
    /// Where containerd cannot.
    pub async fn start_with(mut cri: Cri, name: &str, folder: &Path, seen_as: &str) -> anyhow::Result<Self> {
        let logs = folder.join(format!("logs-{name}"));
        std::fs::create_dir_all(&logs)?;
        let node = NamespaceMode::Node as i32;
        let namespaces = NamespaceOption { network: node, ipc: node, ..NamespaceOption::default() };
        let security =
            LinuxSandboxSecurityContext { namespace_options: Some(namespaces), ..Default::default() };
        let linux = LinuxPodSandboxConfig { security_context: Some(security), ..Default::default() };
        let metadata = PodSandboxMetadata {
            name: name.to_owned(),
            uid: format!("uid-{name}"),
            namespace: "default".to_owned(),
            attempt: 0,
        };
        let config = PodSandboxConfig {
            metadata: Some(metadata),
            log_directory: format!("{seen_as}/logs-{name}"),
            linux: Some(linux),
            ..Default::default()
        };
        let request = RunPodSandboxRequest { config: Some(config.clone()), runtime_handler: String::new() };
        let answer = cri.runtime.run_pod_sandbox(request).await.context("cannot run the pod sandbox")?;
        Ok(Self { cri, id: answer.into_inner().pod_sandbox_id, config, logs })
    }

    /// Runs one container from `image_ref`, as kubelet passes it from PullImage's answer, until it ends.
    ///
    /// # Errors
    /// Where containerd cannot create or start it.
    pub async fn run(&mut self, name: &str, image_ref: &str) -> anyhow::Result<Ended> {
        self.run_with(name, image_ref, Vec::new()).await
    }

    /// As [`Pod::run`], with the image `volume` mounted at `path`, as kubelet passes an image volume. containerd can since
    /// 2.1.
    ///
    /// # Errors
    /// Where containerd cannot create or start it.
    pub async fn run_with_volume(
        &mut self,
        name: &str,
        image_ref: &str,
        (volume, path): (&str, &str),
    ) -> anyhow::Result<Ended> {
        let mount = Mount {
            container_path: path.to_owned(),
            readonly: true,
            image: Some(image_spec(volume)),
            ..Default::default()
        };
        self.run_with(name, image_ref, vec![mount]).await
    }

    async fn run_with(&mut self, name: &str, image_ref: &str, mounts: Vec<Mount>) -> anyhow::Result<Ended> {
        let log = format!("{name}.log");
        let config = ContainerConfig {
            metadata: Some(ContainerMetadata { name: name.to_owned(), attempt: 0 }),
            image: Some(image_spec(image_ref)),
            mounts,
            log_path: log.clone(),
            ..Default::default()
        };
        let request = CreateContainerRequest {
            pod_sandbox_id: self.id.clone(),
            config: Some(config),
            sandbox_config: Some(self.config.clone()),
        };
        let created =
            self.cri.runtime.create_container(request).await.context("cannot create the container")?;
        let container_id = created.into_inner().container_id;
        let start = StartContainerRequest { container_id: container_id.clone() };
        self.cri.runtime.start_container(start).await.context("cannot start the container")?;
        let status = until("the container ends", RUN_DEADLINE, || {
            let request = ContainerStatusRequest { container_id: container_id.clone(), verbose: false };
            let mut runtime = self.cri.runtime.clone();
            async move {
                let status = runtime.container_status(request).await?.into_inner().status;
                Ok(status.filter(|status| status.state == ContainerState::ContainerExited as i32))
            }
        })
        .await?;
        let log = std::fs::read_to_string(self.logs.join(log)).context("the container has no log")?;
        Ok(Ended { exit_code: status.exit_code, output: standard_output(&log), image_id: status.image_ref })
    }

    /// Stops and removes the pod with its containers.
    ///
    /// # Errors
    /// Where containerd cannot.
    pub async fn remove(mut self) -> anyhow::Result<()> {
        let stop = StopPodSandboxRequest { pod_sandbox_id: self.id.clone() };
        self.cri.runtime.stop_pod_sandbox(stop).await.context("cannot stop the pod")?;
        let remove = RemovePodSandboxRequest { pod_sandbox_id: self.id.clone() };
        self.cri.runtime.remove_pod_sandbox(remove).await.context("cannot remove the pod")?;
        Ok(())
    }
}

/// Runs `image_ref` in a pod of its own and returns what it printed.
///
/// # Errors
/// Where anything fails or the container does not end with 0.
pub async fn run_to_end(containerd: &Containerd, image_ref: &str) -> anyhow::Result<String> {
    let mut pod = Pod::start(containerd, "pod").await?;
    let ended = pod.run("main", image_ref).await?;
    pod.remove().await?;
    ensure!(ended.exit_code == 0, "the container ended with {}: {}", ended.exit_code, ended.output);
    Ok(ended.output)
}

/// The CRI's log lines are `time stream tag text`.
fn standard_output(log: &str) -> String {
    let texts = log.lines().filter_map(|line| {
        let mut fields = line.splitn(4, ' ');
        let (_, stream, _, text) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        (stream == "stdout").then(|| format!("{text}\n"))
    });
    texts.collect()
}
