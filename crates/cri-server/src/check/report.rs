//! What was found out, in the form of the JSON output, which is stable: keys are added, never changed.

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;

use oci::Platform;
use refparse::Reference;
use registry::{ClientPair, Fallback, HostsFile, PlannedHost, Probe, Scheme, Step, UnknownKey};
use serde::Serialize;

use crate::exposed::is_open_to_all;

/// The whole.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Normalized.
    pub(super) reference: String,
    /// The platform that is taken of an index.
    pub(super) platform: String,
    /// The directory in `certs.d` that was used; null where there is none.
    pub(super) hosts_directory: Option<PathBuf>,
    /// `always` or `never`.
    pub(super) fallback: &'static str,
    /// In the order in which they are asked.
    pub(super) hosts: Vec<HostReport>,
    /// What a pull would fail with, or might.
    pub(super) problems: Vec<String>,
    /// What means nothing, and may have been meant to.
    pub(super) warnings: Vec<String>,
    /// Whether some host would serve the image; left out without `--probe`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) served: Option<bool>,
}

/// One host.
#[derive(Debug, Serialize)]
pub(super) struct HostReport {
    /// `host` or `host:port`.
    pub(super) name: String,
    /// What is asked first.
    pub(super) url: String,
    /// `mirror` or `registry`.
    pub(super) role: &'static str,
    /// Of `pull` and `resolve`.
    pub(super) capabilities: Vec<&'static str>,
    /// Whether these are enough for the reference to be resolved here.
    pub(super) may_resolve: bool,
    /// The protocols that are tried, in order.
    pub(super) schemes: Vec<&'static str>,
    /// Files with certificates beside the system's.
    pub(super) ca: Vec<PathBuf>,
    /// Client certificates.
    pub(super) client: Vec<ClientReport>,
    /// Whether any certificate is taken.
    pub(super) skip_verify: bool,
    /// Names of the configured headers.
    pub(super) headers: Vec<String>,
    /// Limit for connecting.
    pub(super) dial_timeout_ms: u128,
    /// URL without user information; null is none.
    pub(super) proxy: Option<String>,
    /// Whether the kubelet's credentials for the registry are shown here.
    pub(super) kubelet_credentials: bool,
    /// Where the node's own are; null is nowhere.
    pub(super) node_credentials: Option<String>,
    /// Left out without `--probe`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) probe: Option<ProbeReport>,
}

/// The files of a client certificate.
#[derive(Debug, Serialize)]
pub(super) struct ClientReport {
    /// The certificate's.
    pub(super) cert: PathBuf,
    /// The key's; null where it is the certificate's.
    pub(super) key: Option<PathBuf>,
}

/// What a host answered.
#[derive(Debug, Serialize)]
pub(super) struct ProbeReport {
    /// Whether a pull would get on with it.
    pub(super) serves: bool,
    /// Up to the first that failed.
    pub(super) steps: Vec<StepReport>,
}

/// One step.
#[derive(Debug, Serialize)]
pub(super) struct StepReport {
    /// `connect`, `tls`, `base` or `manifest`.
    pub(super) step: String,
    /// How long it took.
    pub(super) took_ms: u128,
    /// The HTTP status, where there was one.
    pub(super) status: Option<u16>,
    /// Of `base` the kinds of challenges, of `manifest` the digest.
    pub(super) says: Vec<String>,
    /// Why it failed; null where it did not.
    pub(super) error: Option<String>,
}

impl Report {
    pub(super) fn new(reference: &Reference, fallback: Fallback) -> Report {
        Report {
            reference: reference.as_str().to_owned(),
            platform: Platform::host().to_string(),
            hosts_directory: None,
            fallback: match fallback {
                Fallback::Always => "always",
                Fallback::Never => "never",
            },
            hosts: Vec::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
            served: None,
        }
    }

    pub(super) fn set_directory(&mut self, directory: PathBuf) {
        let path = directory.join("hosts.toml");
        let ignored = |unknown: &UnknownKey| {
            format!("`{}` line {}: unknown key `{}` is ignored", path.display(), unknown.line, unknown.key)
        };
        // What it cannot be read for, the plan has as a problem.
        if let Ok(file) = HostsFile::read(&directory) {
            self.warnings.extend(file.unknown.iter().map(ignored));
        }
        self.hosts_directory = Some(directory);
    }

    pub(super) fn add_problem(&mut self, error: &dyn Error) {
        let problem = chain(error);
        // A directory that cannot be read is found by each who looks for it.
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    pub(super) fn set_hosts(&mut self, plan: &[PlannedHost]) {
        self.hosts = plan.iter().map(HostReport::new).collect();
        // containerd takes such a key without a word, so it is no more than a warning here.
        let keys =
            plan.iter().flat_map(|host| &host.client).map(|pair| pair.key.as_ref().unwrap_or(&pair.cert));
        for key in keys.filter(|key| is_open_to_all(key)) {
            self.warnings.push(format!("`{}` has a private key and every user may read it", key.display()));
        }
        for problem in plan.iter().filter_map(|host| host.credentials_problem.as_ref()) {
            self.add_problem(problem);
        }
        if !plan.iter().any(|host| host.may_resolve) {
            self.problems.push("no host may be asked what the reference points at".to_owned());
        }
    }

    pub(super) fn set_probes(&mut self, probes: &[Probe]) {
        self.served = Some(probes.iter().any(|probe| probe.serves));
        for (host, probe) in self.hosts.iter_mut().zip(probes) {
            host.probe = Some(ProbeReport {
                serves: probe.serves,
                steps: probe.steps.iter().map(StepReport::new).collect(),
            });
        }
    }

    /// Whether a pull would work, as far as this was looked into.
    pub(super) fn is_good(&self) -> bool {
        self.problems.is_empty() && self.served != Some(false)
    }

    pub(super) fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, self)?;
        out.write_all(b"\n")
    }
}

impl HostReport {
    fn new(host: &PlannedHost) -> HostReport {
        let capabilities = [("pull", host.capabilities.pull), ("resolve", host.capabilities.resolve)];
        HostReport {
            name: host.name.clone(),
            url: host.url.clone(),
            role: if host.is_mirror { "mirror" } else { "registry" },
            capabilities: capabilities.into_iter().filter(|(_, has)| *has).map(|(name, _)| name).collect(),
            may_resolve: host.may_resolve,
            schemes: match host.scheme {
                Scheme::Https => vec!["https"],
                Scheme::Http => vec!["http"],
                Scheme::HttpsThenHttp => vec!["https", "http"],
            },
            ca: host.ca.clone(),
            client: host.client.iter().map(ClientReport::new).collect(),
            skip_verify: host.skip_verify,
            headers: host.headers.clone(),
            dial_timeout_ms: host.dial_timeout.as_millis(),
            proxy: host.proxy.clone(),
            kubelet_credentials: host.takes_callers_credentials,
            node_credentials: host.credentials.as_ref().map(ToString::to_string),
            probe: None,
        }
    }
}

impl ClientReport {
    fn new(pair: &ClientPair) -> ClientReport {
        ClientReport { cert: pair.cert.clone(), key: pair.key.clone() }
    }
}

impl StepReport {
    fn new(step: &Step) -> StepReport {
        StepReport {
            step: step.kind.to_string(),
            took_ms: step.took.as_millis(),
            status: step.status,
            says: step.says.clone(),
            error: step.failure.as_ref().map(|failure| chain(failure)),
        }
    }
}

/// An error with its causes. Equal neighbours are written once: several libraries print their cause as their own text.
fn chain(error: &dyn Error) -> String {
    let mut texts = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        texts.push(cause.to_string());
        source = cause.source();
    }
    texts.dedup();
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    use registry::Capabilities;

    use super::*;

    #[test]
    fn a_private_key_that_everyone_may_read_is_a_warning() {
        let key = tempfile::NamedTempFile::new().expect("a file");
        let host = PlannedHost {
            name: "r.example".to_owned(),
            url: "https://r.example/v2/".to_owned(),
            is_mirror: false,
            capabilities: Capabilities::ALL,
            may_resolve: true,
            scheme: Scheme::Https,
            ca: Vec::new(),
            client: vec![ClientPair { cert: "/nonexistent".into(), key: Some(key.path().to_owned()) }],
            skip_verify: false,
            headers: Vec::new(),
            dial_timeout: Duration::from_secs(1),
            proxy: None,
            takes_callers_credentials: true,
            credentials: None,
            credentials_problem: None,
        };
        let reference = Reference::parse("r.example/a").expect("a reference");
        let mut warned = [0o640, 0o644].into_iter().map(|mode| {
            fs::set_permissions(key.path(), fs::Permissions::from_mode(mode)).expect("set");
            let mut report = Report::new(&reference, Fallback::Always);
            report.set_hosts(std::slice::from_ref(&host));
            assert!(report.is_good());
            report.warnings
        });
        assert_eq!(warned.next(), Some(Vec::new()));
        let warning = format!("`{}` has a private key and every user may read it", key.path().display());
        assert_eq!(warned.next(), Some(vec![warning]));
    }
}
