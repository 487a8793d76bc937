//! The report for people; may change.

use std::io::{self, Write};

use super::report::{HostReport, Report, StepReport};

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let directory = report.hosts_directory.as_ref().map(|directory| directory.display().to_string());
    writeln!(out, "reference    {}", report.reference)?;
    writeln!(out, "platform     {}", report.platform)?;
    writeln!(out, "hosts from   {}", directory.as_deref().unwrap_or("(no directory in certs.d)"))?;
    writeln!(out, "fallback     {}", report.fallback)?;
    for (index, host) in report.hosts.iter().enumerate() {
        writeln!(out, "\n{}. {} ({})", index + 1, host.name, host.role)?;
        plan(host, out)?;
        for step in host.probe.iter().flat_map(|probe| &probe.steps) {
            write_step(step, out)?;
        }
    }
    for (title, lines) in [("problems", &report.problems), ("warnings", &report.warnings)] {
        if !lines.is_empty() {
            writeln!(out, "\n{title}")?;
            lines.iter().try_for_each(|line| writeln!(out, "   {line}"))?;
        }
    }
    match report.served {
        Some(true) => writeln!(out, "\nserved       yes"),
        Some(false) => writeln!(out, "\nserved       by no host"),
        None => Ok(()),
    }
}

fn plan(host: &HostReport, out: &mut dyn Write) -> io::Result<()> {
    line(out, "url", &host.url)?;
    let asked_for = match (host.capabilities.contains(&"pull"), host.may_resolve) {
        (false, _) => "nothing",
        (true, false) => "content only, not what a tag points at",
        (true, true) => "everything",
    };
    line(out, "asked for", asked_for)?;
    if host.schemes == ["https", "http"] {
        line(out, "scheme", "https, then http where the host speaks no TLS")?;
    }
    if host.schemes != ["http"] {
        let trusted = match (host.skip_verify, host.ca.is_empty()) {
            (true, _) => "any certificate, unverified".to_owned(),
            (false, true) => "the system's authorities".to_owned(),
            (false, false) => {
                let files: Vec<_> = host.ca.iter().map(|path| path.display().to_string()).collect();
                format!("the system's authorities and {}", files.join(", "))
            }
        };
        line(out, "trusts", &trusted)?;
    }
    for pair in &host.client {
        let key = pair.key.as_ref().unwrap_or(&pair.cert);
        line(out, "client", &format!("{} with the key in {}", pair.cert.display(), key.display()))?;
    }
    if !host.headers.is_empty() {
        line(out, "headers", &host.headers.join(", "))?;
    }
    line(out, "timeout", &format!("{} ms to connect", host.dial_timeout_ms))?;
    line(out, "proxy", host.proxy.as_deref().unwrap_or("none"))?;
    let node = host.node_credentials.as_deref();
    let credentials = match (host.kubelet_credentials, node) {
        (true, Some(node)) => format!("the kubelet's, else {node}"),
        (false, Some(node)) => node.to_owned(),
        (true, None) => "the kubelet's".to_owned(),
        (false, None) => "none".to_owned(),
    };
    line(out, "credentials", &credentials)
}

fn write_step(step: &StepReport, out: &mut dyn Write) -> io::Result<()> {
    let mut parts: Vec<String> = step.status.iter().map(ToString::to_string).collect();
    parts.extend(step.says.iter().cloned());
    parts.extend(step.error.clone());
    if parts.is_empty() {
        parts.push("ok".to_owned());
    }
    let mark = if step.error.is_some() { "!" } else { "=" };
    writeln!(out, " {mark} {:<12} {} ({} ms)", step.step, parts.join(", "), step.took_ms)
}

fn line(out: &mut dyn Write, name: &str, value: &str) -> io::Result<()> {
    writeln!(out, "   {name:<12} {value}")
}
