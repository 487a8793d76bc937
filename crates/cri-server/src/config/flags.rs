//! The flags of `cri-imaged serve` that set configuration keys.

use std::path::PathBuf;

/// What the command line says about the configuration. A flag wins over the file; a value is checked as in the file.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Flags {
    /// Configuration file [default: /etc/cri-imaged/config.toml, where it exists]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Socket to serve (key `socket`)
    #[arg(long, value_name = "PATH")]
    pub socket: Option<String>,
    /// containerd's socket (key `containerd.address`)
    #[arg(long, value_name = "PATH")]
    pub containerd_address: Option<String>,
    /// containerd's namespace (key `containerd.namespace`)
    #[arg(long, value_name = "NAME")]
    pub containerd_namespace: Option<String>,
    /// Snapshotter to unpack with (key `containerd.snapshotter`)
    #[arg(long, value_name = "NAME")]
    pub containerd_snapshotter: Option<String>,
    /// Socket of containerd's CRI plugin, "" to not ask it (key `containerd.cri_address`)
    #[arg(long, value_name = "PATH")]
    pub containerd_cri_address: Option<String>,
    /// Directories of hosts.toml files, with `:` between them (key `registry.config_path`)
    #[arg(long, value_name = "PATHS")]
    pub registry_config_path: Option<String>,
    /// What becomes of Docker schema 1 images, `convert` or `reject` (key `registry.schema1`)
    #[arg(long, value_name = "POLICY")]
    pub registry_schema1: Option<String>,
    /// Longest connect, "0" for any (key `registry.dial_timeout`)
    #[arg(long, value_name = "DURATION")]
    pub registry_dial_timeout: Option<String>,
    /// Longest wait for an answer to begin, "0" for any (key `registry.header_timeout`)
    #[arg(long, value_name = "DURATION")]
    pub registry_header_timeout: Option<String>,
    /// Time in which `stall_bytes` have to come, "0" for any (key `registry.stall_timeout`)
    #[arg(long, value_name = "DURATION")]
    pub registry_stall_timeout: Option<String>,
    /// Fewest bytes within `stall_timeout` (key `registry.stall_bytes`)
    #[arg(long, value_name = "BYTES")]
    pub registry_stall_bytes: Option<String>,
    /// Most requests for one big layer at the same time (key `registry.range_width`)
    #[arg(long, value_name = "COUNT")]
    pub registry_range_width: Option<String>,
    /// Most big layers from one host at the same time (key `registry.streams_per_host`)
    #[arg(long, value_name = "COUNT")]
    pub registry_streams_per_host: Option<String>,
    /// Most big layers from all hosts at the same time (key `registry.streams`)
    #[arg(long, value_name = "COUNT")]
    pub registry_streams: Option<String>,
    /// How long an interrupted pull can be resumed, "0" for not at all (key `pull.resume_within`)
    #[arg(long, value_name = "DURATION")]
    pub pull_resume_within: Option<String>,
    /// Who writes the files of layers, `auto` or `differ` (key `unpack.method`)
    #[arg(long, value_name = "METHOD")]
    pub unpack_method: Option<String>,
    /// What becomes of compressed layers, `keep` or `discard` (key `unpack.layers`)
    #[arg(long, value_name = "POLICY")]
    pub unpack_layers: Option<String>,
    /// Pieces of unpacking work at a time, 0 for one a processor (key `unpack.workers`)
    #[arg(long, value_name = "COUNT")]
    pub unpack_workers: Option<String>,
    /// Niceness of the threads that unpack, 0 to 19 (key `unpack.niceness`)
    #[arg(long, value_name = "NICENESS")]
    pub unpack_niceness: Option<String>,
    /// Loopback address for metrics and health, "" for none (key `metrics.address`)
    #[arg(long, value_name = "IP:PORT")]
    pub metrics_address: Option<String>,
}
